"""Fields of view, stations and contrasts of one series: read as one volume where they fit, or told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import image_dataset, series_datasets, thigh_like, write_series
from pydicom.uid import generate_uid
from series_cases import refusal

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.files.resources import embedded_model, sample_study
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.windows import Side
from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.series.reading import read_study

LEFT, RIGHT = (5.0, -85.0, 40.0), (-25.0, -85.0, 40.0)
"""Corners of two fields of 20 columns of 1.5 mm, side by side."""


def _two_fields(left: np.ndarray, right: np.ndarray, up_mm: float = 0.0, **of_right) -> list[pydicom.Dataset]:
    moved = (*RIGHT[:2], RIGHT[2] + up_mm)
    datasets = series_datasets(left, origin=LEFT) + series_datasets(right, origin=moved, **of_right)
    for number, dataset in enumerate(datasets, start=1):
        dataset.InstanceNumber = number
    return datasets


def _codes(series) -> list[WarningCode]:
    return [warning.code for warning in series.warnings]


def test_a_field_for_each_leg_becomes_one_volume_with_each_leg_on_its_side(tmp_path):
    left, right = thigh_like(5, seed=1), thigh_like(5, seed=2)
    write_series(tmp_path, _two_fields(left, right))
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, np.concatenate([right, left], axis=2))
    assert series.geometry.origin == pytest.approx(RIGHT)
    assert series.warnings == ()
    assert "with 1 stack of the same contrast beside it" in series.selection


def test_legs_at_other_heights_are_both_read_and_the_difference_is_told(tmp_path):
    left, right = thigh_like(5, seed=1), thigh_like(5, seed=2)
    write_series(tmp_path, _two_fields(left, right, up_mm=2.0))
    series = read_study(tmp_path)
    assert series.voxels.shape == (5, 24, 40)
    assert _codes(series) == [WarningCode.SLICES_MISPLACED]
    assert "up to 2.0 mm" in series.warnings[0].message


def test_a_leg_that_was_imaged_further_up_than_the_other_is_not_taken_for_its_continuation(tmp_path):
    left, right = thigh_like(5, seed=1) + 1, thigh_like(5, seed=2) + 1
    write_series(tmp_path, _two_fields(left, right, up_mm=5 * 6.0))
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels[:5, :, 20:], left)
    np.testing.assert_array_equal(series.voxels[5:, :, :20], right)
    assert not series.voxels[:5, :, :20].any()
    assert not series.voxels[5:, :, 20:].any()
    assert series.missing_slices == ()


def test_legs_in_series_of_their_own_are_one_case(tmp_path):
    left, right = thigh_like(5, seed=1), thigh_like(5, seed=2)
    write_series(tmp_path, _two_fields(left, right, SeriesInstanceUID="1.2.3", SeriesDescription="t1 tse tra right"))
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, np.concatenate([right, left], axis=2))
    assert series.warnings == ()
    np.testing.assert_array_equal(read_study(tmp_path, "1.2.3").voxels, right)


def test_a_field_of_another_contrast_is_no_part_of_the_volume(tmp_path):
    left, right = thigh_like(5, seed=1), thigh_like(5, seed=2)
    write_series(tmp_path, _two_fields(left, right, RepetitionTime=4000, EchoTime=90))
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, left)
    assert series.warnings == ()


@pytest.mark.parametrize("shared", [4, 12])
def test_fields_that_overlap_meet_in_the_middle(tmp_path, shared):
    left, right = thigh_like(4, seed=1), thigh_like(4, seed=2)
    of_left = (LEFT[0] - 1.5 * shared, -85, 40)
    datasets = series_datasets(left, origin=of_left) + series_datasets(right, origin=RIGHT)
    for number, dataset in enumerate(datasets, start=1):
        dataset.InstanceNumber = number
    write_series(tmp_path, datasets)
    voxels = read_study(tmp_path).voxels
    assert voxels.shape == (4, 24, 40 - shared)
    middle = 20 - shared // 2
    np.testing.assert_array_equal(voxels[:, :, :middle], right[:, :, :middle])
    np.testing.assert_array_equal(voxels[:, :, middle:], left[:, :, shared // 2 :])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_what_lies_beside_a_field_has_no_signal(tmp_path, photometric):
    left, right = thigh_like(3, seed=1), thigh_like(4, seed=2)
    write_series(tmp_path, _two_fields(left, right, PhotometricInterpretation="MONOCHROME2"))
    datasets = _two_fields(left, right)
    for dataset in datasets:
        dataset.PhotometricInterpretation = photometric
    write_series(tmp_path, datasets)
    assert not read_study(tmp_path).voxels[3, :, 20:].any()


@pytest.mark.parametrize(
    ("of_left", "of_right", "contradicted"), [("L", "R", False), ("R", "L", True), ("R", "R", True)]
)
def test_lateralities_of_fields_are_held_against_where_they_lie(tmp_path, of_left, of_right, contradicted):
    datasets = _two_fields(thigh_like(3, seed=1), thigh_like(3, seed=2), Laterality=of_right)
    for dataset in datasets[:3]:
        dataset.Laterality = of_left
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    assert (_codes(series) == [WarningCode.SIDE_CONTRADICTED]) is contradicted
    assert series.orientation_known is not contradicted
    assert series.acquisition.laterality is None


@pytest.mark.parametrize(
    ("orientation", "laterality", "side", "contradicted"),
    [
        (["L", "P"], "R", "", False),
        (["R", "P"], "", "", True),
        (["A", "F"], "", "", False),
        (["LA", "P"], "L", "L", False),
        (["L", "P"], "L", "R", True),
    ],
)
def test_a_header_that_names_two_sides_names_none(tmp_path, orientation, laterality, side, contradicted):
    datasets = series_datasets(thigh_like(3))
    for dataset in datasets:
        dataset.PatientOrientation, dataset.Laterality, dataset.ImageLaterality = orientation, laterality, side
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    assert _codes(series) == [WarningCode.SIDE_CONTRADICTED] * contradicted
    assert series.orientation_known is not contradicted


# --- stations ---------------------------------------------------------------------------------------------------------


def _stations(second_from_mm: float, shift_mm: float = 0.0) -> tuple[list[pydicom.Dataset], np.ndarray, np.ndarray]:
    low, high = thigh_like(6, seed=1), thigh_like(4, seed=2)
    datasets = series_datasets(low) + series_datasets(high, origin=(-110.0 + shift_mm, -85.0, 40.0 + second_from_mm))
    for number, dataset in enumerate(datasets, start=1):
        dataset.InstanceNumber = number
    return datasets, low, high


def test_stations_that_overlap_slice_by_slice_are_one_volume(tmp_path):
    datasets, low, high = _stations(4 * 6.0)
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, np.concatenate([low, high[2:]]))
    assert _codes(series) == [WarningCode.IMAGES_LEFT_OUT]
    assert "2 images are at the place of another one" in series.warnings[0].message


def test_stations_that_overlap_between_slices_are_told(tmp_path):
    datasets, low, high = _stations(4 * 6.0 + 2.0)
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, np.concatenate([low, high[2:]]))
    assert set(_codes(series)) == {WarningCode.IMAGES_LEFT_OUT, WarningCode.SLICES_MISPLACED}


def test_stations_that_were_numbered_anew_are_known_by_their_slices(tmp_path):
    datasets, low, high = _stations(4 * 6.0 + 2.0)
    for number, dataset in enumerate(datasets[6:], start=1):
        dataset.InstanceNumber = number
    write_series(tmp_path, datasets)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, np.concatenate([low, high[2:]]))


def test_a_station_whose_field_was_moved_lies_where_it_was_imaged(tmp_path):
    datasets, low, high = _stations(6 * 6.0, shift_mm=6 * 1.5)
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels[:6, :, :20], low)
    np.testing.assert_array_equal(series.voxels[6:, :, 6:], high)
    assert series.warnings == ()


def test_a_gap_between_slices_that_are_numbered_through_is_not_called_missing(tmp_path):
    datasets, low, _ = _stations(20 * 6.0)
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels[:6], low)
    assert WarningCode.SLICES_MISSING not in _codes(series)
    assert "gap of 90 mm" in " ".join(series.notes)


def test_slices_of_other_pixels_are_left_out_and_not_called_missing(tmp_path):
    datasets, fine = series_datasets(thigh_like(7)), series_datasets(thigh_like(7, 48, 40), spacing=(0.75, 0.6, 6.0))
    write_series(tmp_path, [fine[k] if k in (2, 5) else dataset for k, dataset in enumerate(datasets)])
    series = read_study(tmp_path)
    assert series.missing_slices == (2, 5)
    assert _codes(series) == [WarningCode.IMAGES_LEFT_OUT]
    assert "2 images are left out that the header gives the same contrast: of another" in series.warnings[0].message


def test_slices_with_a_wider_field_of_the_same_pixels_are_part_of_the_volume(tmp_path):
    voxels, wide = thigh_like(7), thigh_like(7, 24, 32, seed=1)
    datasets, others = series_datasets(voxels), series_datasets(wide)
    write_series(tmp_path, [others[k] if k in (2, 5) else dataset for k, dataset in enumerate(datasets)])
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels[[2, 5]], wide[[2, 5]])
    np.testing.assert_array_equal(series.voxels[[0, 1, 3, 4, 6], :, :20], voxels[[0, 1, 3, 4, 6]])
    assert series.warnings == ()


# --- contrasts --------------------------------------------------------------------------------------------------------


def test_echoes_that_jitter_are_two_volumes(tmp_path):
    in_phase, opposed = thigh_like(8, seed=1), thigh_like(8, seed=2)
    gradient_echo = {"ScanningSequence": "GR", "RepetitionTime": 120}
    datasets = [*series_datasets(opposed, **gradient_echo), *series_datasets(in_phase, **gradient_echo)]
    for n, dataset in enumerate(datasets):
        dataset.EchoTime = (2.3 if n < 8 else 4.6) + 0.0003 * (n % 3)
        dataset.InstanceNumber = n + 1
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, in_phase)
    assert series.acquisition.echo_time_ms == pytest.approx(4.6, abs=0.001)
    assert series.warnings == ()


def test_contrasts_at_other_places_are_two_volumes(tmp_path):
    t1, stir = thigh_like(6, seed=1), thigh_like(6, seed=2)
    inversion = {"ScanningSequence": ["SE", "IR"], "RepetitionTime": 4000, "EchoTime": 45, "InversionTime": 150}
    write_series(tmp_path, series_datasets(t1) + series_datasets(stir, origin=(-110, -85, 42.5), **inversion))
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, t1)
    assert (series.acquisition.repetition_time_ms, series.acquisition.echo_time_ms) == (550, 12)
    assert series.acquisition.t1_weighted


def _twice_at_each_place(numbers: list[list[int]]) -> list[pydicom.Dataset]:
    datasets = []
    for seed, own in enumerate(numbers):
        datasets += series_datasets(thigh_like(4, seed=seed))
        for dataset, number in zip(datasets[-4:], own, strict=True):
            dataset.InstanceNumber = number
    return datasets


@pytest.mark.parametrize(
    "numbers", [[[1, 2, 3, 4], [5, 6, 7, 8]], [[1, 3, 5, 7], [2, 4, 6, 8]], [[1, 2, 3, 4], [8, 7, 6, 5]]]
)
def test_of_images_that_only_their_numbers_tell_apart_the_first_of_all_are_taken(tmp_path, numbers):
    write_series(tmp_path, _twice_at_each_place(numbers))
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, thigh_like(4, seed=0))
    assert _codes(series) == [WarningCode.IMAGES_LEFT_OUT]
    assert "4 images" in series.warnings[0].message


@pytest.mark.parametrize("keyword", ["FlipAngle", "SeriesNumber", "ProtocolName", "StackID", "AcquisitionNumber"])
def test_images_are_told_apart_by_what_the_header_says_of_them(tmp_path, keyword):
    datasets = _twice_at_each_place([[1, 6, 3, 7], [5, 2, 4, 8]])
    for n, dataset in enumerate(datasets):
        setattr(dataset, keyword, "12" if n < 4 else "3")
    write_series(tmp_path, datasets)
    voxels = read_study(tmp_path).voxels
    assert any(np.array_equal(voxels, thigh_like(4, seed=seed)) for seed in (0, 1))


@pytest.mark.parametrize("numbers", [[[0] * 4] * 2, [[1, 2, 3, 4], [1, 2, 3, 4]], [[1, 6, 3, 7], [5, 2, 4, 8]]])
def test_images_that_nothing_tells_apart_are_refused(tmp_path, numbers):
    write_series(tmp_path, _twice_at_each_place(numbers))
    assert "2 images at a place that its header does not tell apart" in refusal(tmp_path)


def test_temporal_positions_are_not_mixed(tmp_path):
    datasets = []
    for time in (2, 1):
        datasets += series_datasets(thigh_like(4, seed=time), TemporalPositionIdentifier=time)
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, thigh_like(4, seed=1))
    assert _codes(series) == [WarningCode.IMAGES_LEFT_OUT]


# --- positions and UIDs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decimals", [0, 1])
def test_a_second_export_with_rounded_positions_is_read_once(tmp_path, decimals):
    voxels, spacing = thigh_like(8), (1.501, 1.501, 5.953)
    exact, rounded = (series_datasets(voxels, spacing=spacing) for _ in range(2))
    for dataset in rounded:
        dataset.PixelSpacing = [1.5, 1.5]
        dataset.ImagePositionPatient = [round(float(value), decimals) for value in dataset.ImagePositionPatient]
    write_series(tmp_path, rounded + exact)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert series.geometry.spacing == pytest.approx((1.501, 1.501, 5.953))
    assert series.notes == ("8 images of the series repeat others; each is read once.",)
    assert series.warnings == ()


def test_pixel_spacings_that_were_rounded_differently_tear_no_volume(tmp_path):
    voxels = thigh_like(8)
    datasets = series_datasets(voxels)
    for dataset in datasets[1::3]:
        dataset.PixelSpacing = ["1.2000000324", "1.5000000324"]
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert series.warnings == ()


def test_orientations_that_were_rounded_differently_tear_no_volume(tmp_path):
    voxels, turn = thigh_like(6), np.radians(17.0)
    direction = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    datasets = series_datasets(voxels, direction)
    for dataset in datasets[::2]:
        dataset.ImageOrientationPatient = [round(float(value), 2) for value in dataset.ImageOrientationPatient]
    write_series(tmp_path, datasets)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


@pytest.mark.parametrize(("places", "most"), [(1, 8), (2, 4)])
def test_slices_that_have_no_places_of_their_own_are_refused(tmp_path, places, most):
    datasets = series_datasets(thigh_like(8))
    for n, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [0, 0, 6 * (n * places // 8)]
    write_series(tmp_path, datasets)
    assert f"{most} images of the series lie at one place" in refusal(tmp_path)


def test_slices_some_of_which_have_no_places_of_their_own_are_refused(tmp_path):
    datasets = series_datasets(thigh_like(8))
    for dataset in datasets[2:6]:
        dataset.ImagePositionPatient = [0, 0, 0]
    write_series(tmp_path, datasets)
    assert "4 images of the series lie at one place" in refusal(tmp_path)


def test_frames_without_places_of_their_own_are_refused(tmp_path):
    dataset = image_dataset(thigh_like(8), NumberOfFrames=8, SpacingBetweenSlices=6)
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-110, -85, 40], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [1.2, 1.5]
    dataset.save_as(tmp_path / "frames", enforce_file_format=True)
    assert "8 images of the series lie at one place" in refusal(tmp_path)


def test_mosaics_are_refused_by_name(tmp_path):
    write_series(tmp_path, series_datasets(thigh_like(3), ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]))
    assert "mosaics" in refusal(tmp_path)


@pytest.mark.parametrize(
    "keywords", [(), ("SeriesNumber",), ("StudyInstanceUID",), ("SeriesNumber", "SeriesDescription")]
)
def test_a_series_for_each_image_is_put_together(tmp_path, keywords):
    voxels = thigh_like(6)
    datasets = series_datasets(voxels)
    for n, dataset in enumerate(datasets):
        dataset.SeriesInstanceUID, dataset.SeriesNumber = generate_uid(), 4
        for keyword in keywords:
            setattr(dataset, keyword, str(n))
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert "Each of 6 images has a series of its own" in " ".join(series.notes)
    assert series.selection.startswith("Series 1 of 1")


@pytest.mark.parametrize(
    "keywords",
    [("SeriesInstanceUID",), ("SOPInstanceUID",), ("StudyInstanceUID",), ("SOPClassUID", "SeriesInstanceUID")],
)
def test_a_file_that_lacks_a_uid_is_not_called_damaged(tmp_path, keywords):
    voxels = thigh_like(5)
    datasets = series_datasets(voxels)
    for dataset, path in zip(datasets, write_series(tmp_path, datasets), strict=True):
        for keyword in keywords:
            delattr(dataset, keyword)
        dataset.save_as(path)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert series.series_uid is None or keywords[-1] != "SeriesInstanceUID"


def test_one_uid_for_all_images_loses_none_of_two_contrasts(tmp_path):
    datasets = series_datasets(thigh_like(4, seed=1)) + series_datasets(thigh_like(4, seed=2), EchoTime=80)
    for dataset in datasets:
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    write_series(tmp_path, datasets)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, thigh_like(4, seed=1))


# --- the answer -------------------------------------------------------------------------------------------------------


def _halves(folder: Path, up_mm: float) -> None:
    """The sample study as a scanner writes it that images each leg by itself."""
    folder.mkdir()
    for n, path in enumerate(sorted(sample_study().glob("*.dcm"))):
        whole = pydicom.dcmread(path)
        pixels, (x, y, z) = whole.pixel_array, map(float, whole.ImagePositionPatient)
        columns = whole.Columns // 2
        for side in (0, 1):
            half = pydicom.dcmread(path)
            half.Columns = columns
            half.PixelData = np.ascontiguousarray(pixels[:, side * columns : (side + 1) * columns]).tobytes()
            half.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
            half["PixelData"].VR, half["PixelData"].is_undefined_length = "OW", False
            up = up_mm if side == 0 else 0.0
            half.ImagePositionPatient = [x + side * columns * float(whole.PixelSpacing[1]), y, z + up]
            half.SOPInstanceUID, half.InstanceNumber = generate_uid(), n + 1 + 100 * side
            half.save_as(folder / f"{side}{n}")


@pytest.mark.slow
@pytest.mark.parametrize("up_mm", [0.0, 3.0])
def test_a_patient_whose_legs_were_imaged_apart_gets_the_answer_of_both(tmp_path, up_mm):
    _halves(tmp_path / "apart", up_mm)
    classifier = Classifier(ModelPackage.read(embedded_model()), "cpu")
    whole = classifier.classify(read_study(sample_study())).result
    apart = classifier.classify(read_study(tmp_path / "apart")).result
    assert apart.case.probability == pytest.approx(whole.case.probability, abs=1e-6)
    assert [(i.slice, i.side) for i in apart.images] == [(i.slice, i.side) for i in whole.images]


@pytest.mark.slow
def test_a_leg_that_was_imaged_above_the_other_keeps_its_side(tmp_path):
    _halves(tmp_path / "apart", 16 * 14.953)
    regions = find_legs(read_study(tmp_path / "apart"))
    assert [(w.slice < 16, w.side) for w in regions.windows] == [(True, Side.LEFT)] * 16 + [(False, Side.RIGHT)] * 16
