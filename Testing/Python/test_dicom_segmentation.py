"""DICOM segmentations as regions and muscles: our own come back exactly, and others where they lie."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import slicer
from exchange_cases import study_datasets, write_all
from scipy.spatial.transform import Rotation

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.mrml.muscle_nodes import map_given
from DystrophyDxLib.mrml.segmentation import labels_of_file, muscles_of_file
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.regions.windows import Regions
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.segmentation_file import read_segmentation, segmentation_header

DIRECTIONS = {
    "axial": np.eye(3),
    "feet first": np.diag([1.0, -1.0, -1.0]),
    "oblique": Rotation.from_euler("xz", [20, 12], degrees=True).as_matrix(),
}


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_legs_and_muscles_of_our_own_object_come_back_exactly(direction, tmp_path):
    written = write_all(tmp_path, study_datasets(direction=direction))
    path, findings = written.folder / "seg.dcm", written.findings
    volume = add_series(slicer.vtkMRMLScene(), read_study(tmp_path / "study"))
    legs = labels_of_file(read_segmentation(path), volume, lambda labels: labels)
    np.testing.assert_array_equal(legs.labels, findings.legs)
    assert not legs.overlapping
    muscles = muscles_of_file(read_segmentation(path), volume)
    assert set(muscles.names.values()) == {"Left sartorius", "Right gracilis"}
    drawn = map_given(muscles, Regions(findings.legs, ()))
    np.testing.assert_array_equal(drawn.labels, findings.muscles.labels)
    np.testing.assert_array_equal(drawn.sides, findings.muscles.sides)


def test_segments_in_few_slices_lie_where_their_frames_do(tmp_path):
    written = write_all(tmp_path, study_datasets())
    ds = pydicom.dcmread(written.folder / "seg.dcm")
    keep = [
        n
        for n, groups in enumerate(ds.PerFrameFunctionalGroupsSequence)
        if round(groups.PlanePositionSequence[0].ImagePositionPatient[2]) in (46, 58)
    ]
    pixels = ds.pixel_array[keep]
    ds.PerFrameFunctionalGroupsSequence = [ds.PerFrameFunctionalGroupsSequence[n] for n in keep]
    ds.NumberOfFrames = len(keep)
    ds.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    ds.save_as(tmp_path / "few.dcm")
    file = read_segmentation(tmp_path / "few.dcm")
    assert file.geometry.origin == pytest.approx((-110, -85, 46))
    left = next(segment for segment in file.segments if segment.name == "Left leg")
    np.testing.assert_array_equal(file.layers[left.layer][[0, -1]] == left.value, (written.findings.legs == 1)[[1, 3]])
    assert file.geometry.spacing[2] * (len(file.layers[0]) - 1) == pytest.approx(12)


def test_a_fractional_object_counts_from_half_on(tmp_path):
    written = write_all(tmp_path, study_datasets())
    ds = pydicom.dcmread(written.folder / "seg.dcm")
    pixels = ds.pixel_array
    ds.SegmentationType, ds.SegmentationFractionalType, ds.MaximumFractionalValue = "FRACTIONAL", "PROBABILITY", 100
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelData = np.where(pixels > 0, 51, 49).astype(np.uint8).tobytes()
    ds.save_as(tmp_path / "fractional.dcm")
    file = read_segmentation(tmp_path / "fractional.dcm")
    left = next(segment for segment in file.segments if segment.name == "Left leg")
    np.testing.assert_array_equal(file.layers[left.layer] == left.value, written.findings.legs == 1)


def test_another_dicom_object_and_a_damaged_one_are_refused(tmp_path):
    written = write_all(tmp_path, study_datasets())
    with pytest.raises(InputError, match="no segmentation"):
        segmentation_header(written.folder / "report.dcm")
    ds = pydicom.dcmread(written.folder / "seg.dcm")
    ds.PixelData = ds.PixelData[:10]
    ds.save_as(tmp_path / "short.dcm")
    with pytest.raises(InputError, match="damaged"):
        read_segmentation(tmp_path / "short.dcm")


def test_frames_that_lie_too_far_apart_are_refused_in_bounded_memory(tmp_path):
    written = write_all(tmp_path, study_datasets())
    ds = pydicom.dcmread(written.folder / "seg.dcm")
    ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient = [-110, -85, 4e7]
    ds.save_as(tmp_path / "far.dcm")
    with pytest.raises(InputError, match=r"too (large|many)"):
        read_segmentation(tmp_path / "far.dcm")


def test_a_real_object_of_two_segments_is_read(shared):
    file = read_segmentation(shared("cases/18-roi-dicom-seg-rtstruct/in/seg.dcm"))
    sizes = sorted(int((file.layers[s.layer] == s.value).sum()) for s in file.segments)
    assert sizes == [12_776, 12_936]
