"""Muscle maps that a person drew, with names or numbers, become labels of the structures."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.muscles.label_maps import read_label_map
from DystrophyDxLib.muscles.structures import FEMUR, MUSCLES, STRUCTURES, label_of
from DystrophyDxLib.series.series import Acquisition, Geometry, Series

GRACILIS = MUSCLES.index("gracilis") + 1


def series(spacing=(2.0, 2.0, 5.0), shape=(2, 40, 40)):
    geometry = Geometry((0.0, 0.0, 0.0), spacing, np.eye(3))
    return Series(np.ones(shape, np.float32), geometry, Acquisition(modality="MR"), selection="")


def written(path, labels, spacing=(2.0, 2.0, 5.0), names=None):
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(spacing)
    for n, (value, name) in enumerate((names or {}).items()):
        image.SetMetaData(f"Segment{n}_Name", name)
        image.SetMetaData(f"Segment{n}_LabelValue", str(value))
        image.SetMetaData(f"Segment{n}_Layer", "0")
    sitk.WriteImage(image, str(path))
    return path


def drawn():
    labels = np.zeros((2, 40, 40), np.uint8)
    labels[0, 5:15, 5:15], labels[1, 20:30, 8:20] = 7, 14
    return labels


def test_numbers_without_names_are_the_labels(tmp_path):
    np.testing.assert_array_equal(read_label_map(written(tmp_path / "map.nii.gz", drawn()), series()), drawn())


def test_segments_are_known_by_their_names_whatever_their_numbers(tmp_path):
    names = {7: "Femur_left", 14: "Right Gracilis muscle"}
    found = read_label_map(written(tmp_path / "map.seg.nrrd", drawn(), names=names), series())
    np.testing.assert_array_equal(found == FEMUR, drawn() == 7)
    np.testing.assert_array_equal(found == GRACILIS, drawn() == 14)


def test_a_segment_of_another_name_is_nothing_of_the_map(tmp_path):
    found = read_label_map(written(tmp_path / "m.seg.nrrd", drawn(), names={7: "tumour", 14: "gracilis"}), series())
    assert set(np.unique(found)) == {0, GRACILIS}


def test_a_map_on_another_grid_is_brought_to_that_of_the_series(tmp_path):
    path = written(tmp_path / "map.nii.gz", drawn().repeat(2, axis=1).repeat(2, axis=2), (1.0, 1.0, 5.0))
    found = read_label_map(path, series())
    assert found.shape == (2, 40, 40)
    assert abs(int((found == 7).sum()) - 100) <= 21


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (drawn() + np.uint8(len(STRUCTURES)), None, "1 \\(sartorius\\) to 15 \\(subcutaneous fat\\)"),
        (drawn(), {7: "tumour", 14: "Region"}, "name them sartorius"),
    ],
)
def test_what_names_no_structure_is_told(tmp_path, labels, names, message):
    with pytest.raises(InputError, match=message):
        read_label_map(written(tmp_path / "map.nrrd", labels, names=names), series())


def test_every_structure_is_known_by_its_own_name():
    assert [label_of(name) for name in STRUCTURES] == list(range(1, 16))
    assert [label_of(f"{name} (right)") for name in STRUCTURES] == list(range(1, 16))
