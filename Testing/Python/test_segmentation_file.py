"""Segmentation files: any length of header, layers, names; nothing reaches Slicer's reader."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from test_image_headers import nrrd

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.files.resources import embedded_model, sample_study
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.mrml.pipeline import (
    UNCOMPARED,
    UNNAMED,
    ModelOnDevice,
    StudyFiles,
    classify_into_folder,
    notes_on_labels,
)
from DystrophyDxLib.series.image_files import as_image
from DystrophyDxLib.series.segmentation_file import Segment, read_segmentation
from DystrophyDxLib.series.series import Geometry

LABELS = (np.arange(3 * 24 * 20).reshape(3, 24, 20) % 5).astype(np.uint8)


def segmentation(path: Path, keys: dict[str, object], labels: np.ndarray = LABELS, **changed: str | None) -> Path:
    lines = "\n".join(f"{key}:={value}" for key, value in keys.items())
    stored = changed.pop("stored", zlib.compress(labels.tobytes()))
    return nrrd(path, stored, more=lines, type="uint8", encoding="gzip", endian=None, **changed)


def named(*names: str, more: str = "") -> dict[str, object]:
    own = {}
    for n, name in enumerate(names):
        own |= {f"Segment{n}_Name": name, f"Segment{n}_LabelValue": n + 1, f"Segment{n}_Layer": 0}
        own |= {f"Segment{n}_Tags": more}
    return own


@pytest.mark.parametrize("skip", [None, "0", "1"])
@pytest.mark.parametrize("segments", [4, 117, 400])
def test_headers_of_any_length_are_read(tmp_path, segments, skip):
    names = [f"muscle {n}" for n in range(segments)]
    stored = (b"a line\n" if skip == "1" else b"") + zlib.compress(LABELS.tobytes())
    path = segmentation(tmp_path / "a.seg.nrrd", named(*names, more="x" * 700), stored=stored, line_skip=skip)
    file = read_segmentation(path)
    np.testing.assert_array_equal(file.layers, LABELS[None])
    assert [segment.name for segment in file.segments] == names
    assert file.segments[-1] == Segment(names[-1], 0, segments)


def test_overlapping_segments_are_layers(tmp_path):
    layers = np.stack([LABELS == 1, LABELS > 0]).astype(np.uint8)
    keys = {"Segment0_Name": "Left leg", "Segment0_Layer": 1, "Segment0_LabelValue": 1}
    keys |= {"Segment1_Name": "Ünders\\nide", "Segment1_Layer": 0, "Segment1_LabelValue": 1}
    path = segmentation(
        tmp_path / "a.seg.nrrd",
        keys,
        np.ascontiguousarray(np.moveaxis(layers, 0, -1)),
        dimension="4",
        sizes="2 20 24 3",
        kinds="list domain domain domain",
        space_directions="none (1.5,0,0) (0,1.2,0) (0,0,6)",
    )
    file = read_segmentation(path)
    np.testing.assert_array_equal(file.layers, layers)
    assert file.segments == (Segment("Left leg", 1, 1), Segment("Ünders\nide", 0, 1))


def test_a_label_map_has_segments_without_names(tmp_path):
    file = read_segmentation(segmentation(tmp_path / "a.nrrd", {}))
    assert not file.named
    assert [segment.value for segment in file.segments] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "keys",
    [
        {"Segmentation_ReferenceImageExtentOffset": "2147483647 0 0"},
        {"Segment0_Layer": 7},
        {"Segment0_LabelValue": "1e9999"},
        {"Segment0_LabelValue": -1},
    ],
)
def test_segments_that_are_none_are_refused(tmp_path, keys):
    with pytest.raises(InputError, match="names segments that are none"):
        read_segmentation(segmentation(tmp_path / "a.seg.nrrd", named("Left leg") | keys))


def test_a_grey_image_is_no_segmentation(tmp_path):
    voxels = np.arange(3 * 24 * 20, dtype="<i2")
    with pytest.raises(InputError, match="holds an image"):
        read_segmentation(nrrd(tmp_path / "a.nrrd", voxels.tobytes()))
    with pytest.raises(InputError, match="no whole numbers"):
        read_segmentation(nrrd(tmp_path / "a.nrrd", (voxels / 2).astype("<f4").tobytes(), type="float"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.seg.nrrd")
    with pytest.raises(InputError, match="is a pipe"):
        read_segmentation(tmp_path / "a.seg.nrrd")


def test_dicom_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "a.seg.nrrd").write_bytes(bytes(128) + b"DICM" + bytes(100))
    with pytest.raises(InputError, match=r"save the segmentation there as \.seg\.nrrd"):
        read_segmentation(tmp_path / "a.seg.nrrd")


def test_what_is_drawn_beside_the_images_is_refused(tmp_path):
    """As another patient's map; a crop, a shift of half the images and an empty file are not."""
    images = Geometry((-80.0, -60.0, -20.0), (1.0, 1.0, 5.0), np.eye(3))
    drawn = np.zeros((4, 40, 50), np.uint8)
    drawn[1:3, 10:20, 10:30] = 1

    def check(origin, labels=drawn):
        path = tmp_path / "drawn.nii.gz"
        sitk.WriteImage(as_image(labels, Geometry(origin, (2.0, 2.0, 5.0), np.diag([-1.0, -1.0, 1.0]))), str(path))
        read_segmentation(path).check_lies_in(images, (6, 120, 160))

    check((0.0, 0.0, -20.0))
    check((75.0, 0.0, -20.0))
    check((500.0, 0.0, -20.0), np.zeros_like(drawn))
    for origin in ((145.0, 0.0, -20.0), (0.0, -45.0, -20.0), (0.0, 0.0, 15.0)):
        with pytest.raises(InputError, match="lies beside the images, as of another patient"):
            check(origin)


def test_another_patients_map_is_refused_before_pytorch_is_loaded(tmp_path, monkeypatch):
    def loaded(_):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(ModelOnDevice, "classifier", property(loaded))
    model = ModelOnDevice(ModelPackage.read(embedded_model()), "cpu")
    path = tmp_path / "muscles.nii.gz"
    elsewhere = Geometry((0.0, 0.0, 5000.0), (1.0, 1.0, 5.0), np.eye(3))
    sitk.WriteImage(as_image(np.ones((3, 9, 9), np.uint8), elsewhere), str(path))
    for option, files in (("--roi", {"region": path}), ("--muscles", {"muscles": path})):
        with pytest.raises(InputError, match=f"^{option} .*muscles.nii.gz: All that is drawn lies beside the images"):
            classify_into_folder(StudyFiles(sample_study(), **files), model, tmp_path / "out")
    with pytest.raises(AssertionError, match="the model was loaded"):
        classify_into_folder(StudyFiles(sample_study()), model, tmp_path / "out")


@pytest.mark.parametrize(
    ("names", "uncompared", "told"),
    [
        (["Left sartorius"], False, ()),
        (["Left sartorius"], True, (UNCOMPARED,)),
        (["label 3", "tumour"], True, (UNNAMED, UNCOMPARED)),
        (["label 3"], False, (UNNAMED,)),
    ],
)
def test_that_given_muscles_have_no_names_or_could_not_be_compared_is_noted(names, uncompared, told):
    assert notes_on_labels(names, uncompared=uncompared) == told
