"""Of all series in a folder the one that fits is read, as one whole volume."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import IDENTITY, image_dataset, series_datasets, thigh_like, write_series
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid
from series_cases import ORIENTATIONS, refusal

from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.series.reading import read_study


def _study(folder: Path) -> dict[str, tuple[str, np.ndarray]]:
    """An examination of the thighs as a scanner exports it; UID and voxels of each series by name."""
    protocols = {
        "localizer": ("oblique", 9, {"RepetitionTime": 8.6, "EchoTime": 4, "ScanningSequence": "GR"}, "loc 3 plane"),
        "t2": ("axial", 31, {"RepetitionTime": 4200, "EchoTime": 88}, "t2 tse tra"),
        "stir": ("axial", 31, {"RepetitionTime": 3900, "EchoTime": 30, "InversionTime": 160,
                               "ScanningSequence": ["SE", "IR"]}, "tirm tra"),
        "t1 sagittal": ("sagittal", 40, {}, "t1 tse sag"),
        "t1": ("axial", 27, {}, "t1 tse tra Oberschenkel"),
        "t1 fat-suppressed": ("axial", 31, {"ScanOptions": "FS"}, "t1 tse tra fs gd"),
        "water": ("axial", 31, {"RepetitionTime": 7, "EchoTime": 2.4, "ScanningSequence": "GR",
                                "ImageType": ["DERIVED", "PRIMARY", "M", "DIXON", "WATER"]}, "t1 vibe dixon W"),
    }  # fmt: skip
    series = {}
    for number, (name, (orientation, slices, attributes, description)) in enumerate(protocols.items(), start=1):
        voxels, uid = thigh_like(slices, 16, 16, seed=number), generate_uid()
        datasets = series_datasets(
            voxels, ORIENTATIONS[orientation], SeriesInstanceUID=uid, SeriesNumber=number,
            **{"SeriesDescription": f"{IDENTITY[0]} {description}"} | attributes,
        )  # fmt: skip
        write_series(folder / "DICOM" / f"S{number}", datasets)
        series[name] = uid, voxels
    report = image_dataset(thigh_like(1)[0], "1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(report, keyword)
    report.save_as(folder / "DICOM" / "report", enforce_file_format=True)
    (folder / "README.txt").write_text("viewer instructions")
    (folder / "._IM0001").write_bytes(b"\0\5\x16\7")
    return series


def test_the_axial_t1_series_of_the_legs_is_chosen_and_the_reason_given(tmp_path):
    uid, voxels = _study(tmp_path)["t1"]
    series = read_study(tmp_path)
    assert series.series_uid == uid
    np.testing.assert_array_equal(series.voxels, voxels)
    assert series.selection.startswith("Series 5 of 7: axial, 27 slices, TR 550 ms, TE 12 ms, spin echo")


def test_without_words_in_the_description_the_timing_decides(tmp_path):
    uid, _ = _study(tmp_path)["t1"]
    for path in (tmp_path / "DICOM").rglob("*"):
        if path.is_file():
            dataset = pydicom.dcmread(path)
            dataset.SeriesDescription = ""
            dataset.save_as(path)
    assert read_study(tmp_path).series_uid == uid


def test_a_series_is_taken_by_its_uid(tmp_path):
    studies = _study(tmp_path)
    for name in ("t2", "t1 sagittal"):
        uid, voxels = studies[name]
        series = read_study(tmp_path, uid)
        assert series.series_uid == uid
        np.testing.assert_array_equal(series.voxels, voxels)
        assert "asked for by its UID" in series.selection
    assert "not axial" in series.selection


def test_an_unknown_uid_is_refused_with_those_that_are_there(tmp_path):
    studies = _study(tmp_path)
    message = refusal(tmp_path, "1.2.3")
    assert all(uid in message for uid, _ in studies.values())


def test_a_folder_of_several_patients_is_refused_unless_the_series_is_named(tmp_path):
    ours = series_datasets(thigh_like(3))
    other = series_datasets(thigh_like(3), PatientID="another", SeriesInstanceUID="1.2.3.4")
    write_series(tmp_path / "a", ours)
    write_series(tmp_path / "b", other)
    assert "2 patients" in refusal(tmp_path)
    assert read_study(tmp_path, "1.2.3.4").series_uid == "1.2.3.4"


def test_only_sagittal_t2_images_are_still_read_and_doubted(tmp_path):
    write_series(tmp_path, series_datasets(thigh_like(3), ORIENTATIONS["sagittal"], RepetitionTime=4000, EchoTime=90))
    selection = read_study(tmp_path).selection
    assert "it is not axial" in selection
    assert "does not describe T1 weighting" in selection


def test_of_the_planes_in_one_series_the_axial_one_is_taken(tmp_path):
    voxels = thigh_like(9)
    datasets = []
    for n, name in enumerate(("coronal", "sagittal", "axial")):
        datasets += series_datasets(voxels[3 * n : 3 * n + 3], ORIENTATIONS[name])
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels[6:])
    assert "best of the 3 stacks" in series.selection


def test_two_legs_scanned_apart_in_one_series_are_not_taken_for_duplicates(tmp_path):
    right, left = thigh_like(5, seed=1), thigh_like(5, seed=2)
    datasets = series_datasets(right, origin=(-150, 0, 0)) + series_datasets(left, origin=(50, 0, 0))
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, right if series.geometry.origin[0] < 0 else left)
    assert "best of the 2 stacks" in series.selection
    (warning,) = series.warnings
    assert warning.code is WarningCode.IMAGES_LEFT_OUT
    assert "5 images are left out that the header gives the same contrast: another field of view" in warning.message


def test_a_saved_screen_in_the_series_is_passed_over(tmp_path):
    voxels = thigh_like(4)
    screen = image_dataset(thigh_like(1, 64, 64)[0], SecondaryCaptureImageStorage)
    write_series(tmp_path, [*series_datasets(voxels), screen])
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


# --- gaps, duplicates, irregular slices ------------------------------------------------------------------------------


@pytest.mark.parametrize("absent", [(4,), (2, 3, 7), (1, 3, 5, 7)])
def test_missing_slices_are_zero_and_reported(tmp_path, absent):
    voxels = thigh_like(10) + 1
    write_series(tmp_path, [d for k, d in enumerate(series_datasets(voxels)) if k not in absent])
    series = read_study(tmp_path)
    assert series.missing_slices == absent
    assert f"{len(absent)} slice" in series.warnings[0].message
    expected = voxels.copy()
    expected[list(absent)] = 0
    np.testing.assert_array_equal(series.voxels, expected)
    assert series.geometry.spacing[2] == pytest.approx(6.0)


def test_missing_slices_of_an_inverted_series_stay_zero(tmp_path):
    datasets = series_datasets(thigh_like(5), PhotometricInterpretation="MONOCHROME1")
    write_series(tmp_path, datasets[:2] + datasets[3:])
    assert not read_study(tmp_path).voxels[2].any()


@pytest.mark.parametrize("folder", ["before", "zz_after"])
def test_a_copy_that_was_cut_off_does_not_take_the_place_of_the_whole_image(tmp_path, folder):
    voxels = thigh_like(4)
    paths = write_series(tmp_path / "images", series_datasets(voxels))
    (tmp_path / folder).mkdir()
    whole = paths[2].read_bytes()
    (tmp_path / folder / "copy").write_bytes(whole[: len(whole) - voxels[2].size])
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert "1 image of the series repeats another" in series.notes[0]


def test_copies_of_files_and_repeated_slices_are_read_once_and_reported(tmp_path):
    voxels = thigh_like(6)
    paths = write_series(tmp_path / "a", series_datasets(voxels))
    (tmp_path / "b").mkdir()
    shutil.copy(paths[2], tmp_path / "b" / "copy")
    repeated = series_datasets(voxels[::-1], InstanceNumber=99)[3]
    repeated.save_as(tmp_path / "b" / "repeated", enforce_file_format=True)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert "1 image of the series repeats another" in series.notes[0]
    assert "1 image is at the place of another one" in series.warnings[0].message


def test_slices_that_share_one_instance_uid_by_mistake_are_all_read(tmp_path):
    voxels = thigh_like(5)
    write_series(tmp_path, series_datasets(voxels, SOPInstanceUID="1.2.3"))
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def test_a_header_field_that_varies_from_slice_to_slice_does_not_tear_the_volume(tmp_path):
    voxels = thigh_like(6)
    datasets = series_datasets(voxels)
    for k, dataset in enumerate(datasets):
        dataset.RepetitionTime, dataset.ImageType = 550 + k, ["ORIGINAL", "PRIMARY", "M", "NORM" if k % 2 else "ND"]
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert series.acquisition.repetition_time_ms in range(550, 556)


def test_uneven_slices_are_reported(tmp_path):
    voxels = thigh_like(6)
    datasets = series_datasets(voxels)
    datasets[3].ImagePositionPatient = [-110, -85, 40 + 3 * 6 + 2.5]
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert "not evenly spaced; some are shown up to 2.5 mm" in series.warnings[0].message


def test_rounding_of_positions_in_the_header_is_not_reported(tmp_path):
    datasets = series_datasets(thigh_like(40), spacing=(1.0, 1.0, 3.3))
    for dataset in datasets:
        dataset.ImagePositionPatient = [round(float(value), 1) for value in dataset.ImagePositionPatient]
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    assert series.notes == series.warnings == ()
    assert series.geometry.spacing[2] == pytest.approx(3.3, abs=0.01)


def test_slices_shifted_in_their_plane_lie_where_their_positions_say(tmp_path):
    voxels = thigh_like(5)
    datasets = series_datasets(voxels, spacing=(1.5, 1.2, 6.0))
    datasets[4].ImagePositionPatient = [-110 - 2 * 1.5, -85 + 1.2, 40 + 4 * 6]
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    assert series.warnings == ()
    np.testing.assert_array_equal(series.voxels[:4, :24, 2:], voxels[:4])
    np.testing.assert_array_equal(series.voxels[4, 1:, :20], voxels[4])
    assert series.geometry.origin == pytest.approx((-113, -85, 40))


def test_slices_that_are_sheared_lie_where_their_positions_say(tmp_path):
    voxels = thigh_like(9)
    datasets = series_datasets(voxels, spacing=(1.5, 1.5, 6.0))
    for k, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [-110 + 3 * k, -85, 40 + 6 * k]
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    for k in range(9):
        np.testing.assert_array_equal(series.voxels[k, :, 2 * k : 2 * k + 20], voxels[k])
    assert series.warnings == ()


def test_an_empty_file_beside_the_series_is_mentioned(tmp_path):
    write_series(tmp_path, series_datasets(thigh_like(3)))
    (tmp_path / "IM8").touch()
    (tmp_path / "IM9").write_bytes(bytes(5000))
    assert "2 files of the input are empty" in read_study(tmp_path).notes[-1]
