"""Reading a study: what a radiologist's folder or file becomes, and what is refused."""

from __future__ import annotations

import gzip
import io
import logging
import re
import shutil
import struct
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import (
    IDENTITY,
    T1_SPIN_ECHO,
    enhanced_dataset,
    image_dataset,
    series_datasets,
    thigh_like,
    write_series,
)
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.series import Acquisition, Series


def _rotated(degrees: float, axis: int) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.roll(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), (axis + 1) % 3, axis=(0, 1))


ORIENTATIONS = {
    "axial": np.eye(3),
    "axial feet first, prone": np.diag([-1.0, -1.0, 1.0]),
    "axial from the head": np.diag([-1.0, 1.0, -1.0]),
    "axial, rows and columns exchanged": np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]]),
    "oblique": _rotated(17, 0) @ _rotated(-11, 1) @ _rotated(8, 2),
    "sagittal": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}


def _read_by_gdcm(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def _assert_same_volume(series: Series, image: sitk.Image) -> None:
    np.testing.assert_allclose(series.voxels, sitk.GetArrayFromImage(image), rtol=1e-6)
    np.testing.assert_allclose(series.geometry.origin, image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(series.geometry.spacing, image.GetSpacing(), atol=1e-4)
    np.testing.assert_allclose(series.geometry.direction.ravel(), image.GetDirection(), atol=1e-6)


def _refusal(path: Path, series_uid: str | None = None) -> str:
    """The message of the refusal, after checking that it is one line without identity."""
    with pytest.raises(InputError) as error:
        read_study(path, series_uid)
    message = str(error.value)
    assert "\n" not in message
    assert not any(word in message for word in (*IDENTITY, str(path.name)))
    return message


def _said(series: Series) -> str:
    return " ".join((series.selection, *series.notes, repr(series.acquisition)))


# --- DICOM geometry and voxels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_slices_lie_where_gdcm_puts_them(tmp_path, name):
    voxels = thigh_like(7)
    write_series(tmp_path, series_datasets(voxels, ORIENTATIONS[name]))
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    _assert_same_volume(series, _read_by_gdcm(tmp_path))
    assert series.kind == "dicom"
    assert series.notes == ()
    assert name.split()[0].strip(",") in series.selection or name == "oblique"


def test_the_instance_number_does_not_order_the_slices(tmp_path):
    voxels = thigh_like(9)
    datasets = series_datasets(voxels)
    for dataset, number in zip(datasets, (3, 9, 1, 7, 5, 2, 8, 6, 4), strict=True):
        dataset.InstanceNumber = number
    write_series(tmp_path, datasets)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def test_a_single_slice_and_a_single_file_are_read(tmp_path):
    voxels = thigh_like(1)
    (path,) = write_series(tmp_path, series_datasets(voxels, spacing=(1.5, 1.2, 6.0)))
    for given in (path, tmp_path, str(path)):
        series = read_study(given)
        np.testing.assert_array_equal(series.voxels, voxels)
        assert series.geometry.spacing == (1.5, 1.2, 6.0)


def test_one_slice_without_position_is_read_but_its_sides_are_unknown(tmp_path):
    dataset = image_dataset(thigh_like(1)[0], PixelSpacing=[1.0, 1.0], **T1_SPIN_ECHO)
    dataset.save_as(tmp_path / "one", enforce_file_format=True)
    series = read_study(tmp_path)
    assert not series.orientation_known
    assert "cannot be trusted" in " ".join(series.notes)


def test_a_series_of_2000_slices_is_read_in_seconds(tmp_path):
    voxels = thigh_like(2000, 16, 16)
    write_series(tmp_path, series_datasets(voxels, spacing=(1.0, 1.0, 0.5)))
    start = time.perf_counter()
    series = read_study(tmp_path)
    assert time.perf_counter() - start < 30
    np.testing.assert_array_equal(series.voxels, voxels)
    assert series.geometry.spacing[2] == pytest.approx(0.5)


# --- stored values ---------------------------------------------------------------------------------------------------


def test_each_slice_is_rescaled_by_its_own_slope_and_intercept(tmp_path):
    voxels = thigh_like(4) - 1000
    datasets = series_datasets(voxels)
    slopes, intercepts = np.array([0.5, 1.0, 2.25, 3.0]), np.array([0.0, -10.5, 7.0, 100.0])
    for dataset, slope, intercept in zip(datasets, slopes, intercepts, strict=True):
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    write_series(tmp_path, datasets)
    expected = voxels * slopes[:, None, None] + intercepts[:, None, None]
    np.testing.assert_allclose(read_study(tmp_path).voxels, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32])
def test_pixels_of_any_width_and_sign(tmp_path, dtype):
    info = np.iinfo(dtype)
    voxels = np.random.default_rng(1).integers(max(info.min, -30000), min(info.max, 30000), (3, 20, 18)).astype(dtype)
    write_series(tmp_path, series_datasets(voxels))
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def test_signed_12_bit_values_with_foreign_bits_above_them(tmp_path):
    voxels = thigh_like(3) - 1024
    stored = (voxels & 0x0FFF) | 0x5000
    write_series(tmp_path, series_datasets(stored.astype(np.int16), BitsStored=12, HighBit=11))
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    _assert_same_volume(series, _read_by_gdcm(tmp_path))


def test_monochrome1_is_inverted_so_that_bright_is_strong_signal(tmp_path):
    signal = thigh_like(3)
    signal[0, 0, 0], signal[1, 1, 1] = 0, 2047
    write_series(tmp_path, series_datasets((2047 - signal).astype(np.int16), PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(read_study(tmp_path).voxels, signal)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_no_signal(tmp_path, photometric):
    voxels = thigh_like(3)
    voxels[:, :4] = -2000
    write_series(tmp_path, series_datasets(voxels, PixelPaddingValue=-2000, PhotometricInterpretation=photometric))
    series = read_study(tmp_path)
    assert (series.voxels[:, :4] == 0).all()
    assert series.voxels.min() == 0


# --- transfer syntaxes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
                                    DeflatedExplicitVRLittleEndian])  # fmt: skip
def test_uncompressed_and_deflated_files(tmp_path, syntax):
    voxels = thigh_like(3)
    stored = voxels.byteswap() if syntax == ExplicitVRBigEndian else voxels
    datasets = series_datasets(stored)
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
        dataset["PixelData"].VR = "OW"
    write_series(tmp_path, datasets)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("signed", [False, True])
def test_losslessly_compressed_files(tmp_path, syntax, signed):
    voxels = thigh_like(3, 32, 32) - (1000 if signed else 0)
    datasets = series_datasets(voxels if signed else voxels.astype(np.uint16))
    for dataset in datasets:
        dataset.compress(syntax, generate_instance_uid=False)
    write_series(tmp_path, datasets)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def test_jpeg_lossless_as_written_by_gdcm(tmp_path):
    voxels = thigh_like(3, 32, 32)
    datasets = series_datasets(voxels)
    for dataset, pixels in zip(datasets, voxels, strict=True):
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(tmp_path / "gdcm.dcm"))
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.Execute(sitk.GetImageFromArray(pixels[None]))
        written = pydicom.dcmread(tmp_path / "gdcm.dcm")
        assert written.file_meta.TransferSyntaxUID == JPEGLosslessSV1
        _set_compressed(dataset, written.PixelData, JPEGLosslessSV1)
    (tmp_path / "gdcm.dcm").unlink()
    write_series(tmp_path, datasets)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def test_jpeg_baseline_decodes_as_in_pillow(tmp_path):
    rows, columns = np.mgrid[:32, :32]
    voxels = np.stack([(rows * 3 + columns * 2 + 10 * k).astype(np.uint8) for k in range(3)])
    datasets, expected = series_datasets(voxels), []
    for dataset, pixels in zip(datasets, voxels, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
        expected.append(np.asarray(Image.open(buffer)))
        _set_compressed(dataset, encapsulate([buffer.getvalue()]), JPEGBaseline8Bit)
    write_series(tmp_path, datasets)
    np.testing.assert_allclose(read_study(tmp_path).voxels, expected, atol=1)


def test_jpeg_extended_and_lossy_jpeg_2000_decode_as_in_gdcm(tmp_path):
    # pydicom ships a 12-bit JPEG stream; there is no free encoder for it.
    source = pydicom.dcmread(get_testdata_file("JPGExtended.dcm", download=False))
    (stream,) = generate_frames(source.PixelData, number_of_frames=1)
    (dataset,) = series_datasets(np.zeros((1, source.Rows, source.Columns), np.uint16), BitsStored=12, HighBit=11)
    dataset.PixelRepresentation = source.PixelRepresentation
    _set_compressed(dataset, encapsulate([stream]), JPEGExtended12Bit)
    write_series(tmp_path / "extended", [dataset])
    (lossy,) = series_datasets(thigh_like(1, 64, 64).astype(np.uint16))
    lossy.compress(JPEG2000, j2k_cr=[8], generate_instance_uid=False)
    write_series(tmp_path / "j2k", [lossy])
    for folder in ("extended", "j2k"):
        expected = sitk.GetArrayFromImage(_read_by_gdcm(tmp_path / folder))
        assert np.ptp(expected) > 100
        np.testing.assert_allclose(read_study(tmp_path / folder).voxels, expected, atol=1)


def _set_compressed(dataset: pydicom.Dataset, pixel_data: bytes, syntax: str) -> None:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = pixel_data
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"


def test_missing_decoders_are_named_with_the_extra_that_brings_them(tmp_path, monkeypatch):
    datasets = series_datasets(thigh_like(2, 32, 32))
    for dataset in datasets:
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    write_series(tmp_path, datasets)
    monkeypatch.setattr(pydicom.pixels.get_decoder(JPEGLSLossless), "_available", {})
    assert "pip install 'dystrophydx[cli]'" in _refusal(tmp_path)


def test_files_without_preamble_and_meta_header_are_read(tmp_path):
    voxels = thigh_like(3)
    for k, dataset in enumerate(series_datasets(voxels)):
        with (tmp_path / f"{k}").open("wb") as file:
            pydicom.dcmwrite(file, pydicom.Dataset(dataset), implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


# --- enhanced multi-frame --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["axial", "oblique", "sagittal"])
def test_enhanced_mr_frames_lie_where_their_functional_groups_say(tmp_path, name):
    direction, voxels = ORIENTATIONS[name], thigh_like(6)
    positions = np.array([10.0, -20, 30]) + np.outer(np.arange(6) * 6.0, direction[:, 2])
    order = np.random.default_rng(2).permutation(6)
    attributes = [{"RescaleSlope": 1.0 + n, "RescaleIntercept": -n, "EffectiveEchoTime": 11.0} for n in range(6)]
    dataset = enhanced_dataset(
        voxels[order], positions[order], direction, frame_attributes=[attributes[n] for n in order]
    )
    dataset.save_as(tmp_path / "enhanced", enforce_file_format=True)
    series = read_study(tmp_path)
    factors = np.arange(6)[:, None, None]
    np.testing.assert_allclose(series.voxels, voxels * (1.0 + factors) - factors, rtol=1e-6)
    np.testing.assert_allclose(series.geometry.origin, positions[0], atol=1e-5)
    np.testing.assert_allclose(series.geometry.direction, direction, atol=1e-6)
    assert series.geometry.spacing == pytest.approx((1.5, 1.2, 6.0))
    facts = series.acquisition
    assert (facts.repetition_time_ms, facts.echo_time_ms, facts.field_strength_t) == (600.0, 11.0, 3.0)
    assert facts.scanning_sequence == ("SE",)
    assert facts.t1_weighted


def test_compressed_enhanced_mr(tmp_path):
    voxels = thigh_like(5, 32, 32)
    dataset = enhanced_dataset(voxels, np.outer(np.arange(5) * 6.0, [0, 0, 1]))
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "enhanced", enforce_file_format=True)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def test_of_the_echoes_in_one_enhanced_object_the_short_one_is_taken(tmp_path):
    short, long = thigh_like(4, seed=1), thigh_like(4, seed=2)
    positions = np.repeat(np.outer(np.arange(4) * 6.0, [0, 0, 1]), 2, axis=0)
    voxels = np.stack([short, long], axis=1).reshape(8, *short.shape[1:])
    echoes = [{"EffectiveEchoTime": te, "FrameLaterality": "L"} for te in (12.0, 80.0)] * 4
    dataset = enhanced_dataset(voxels, positions, frame_attributes=echoes)
    dataset.save_as(tmp_path / "enhanced", enforce_file_format=True)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, short)
    assert series.acquisition.echo_time_ms == 12.0
    assert series.acquisition.laterality == "left"
    assert "best of the 2 stacks" in series.selection


def test_of_dixon_frames_the_in_phase_one_is_taken(tmp_path):
    contrasts = ("WATER", "FAT", "OPP_PHASE", "IN_PHASE")
    voxels = thigh_like(16).reshape(4, 4, 24, 20)
    positions = np.tile(np.outer(np.arange(4) * 6.0, [0, 0, 1]), (4, 1))
    types = [{"FrameType": ["DERIVED", "PRIMARY", "DIXON", c], "EffectiveEchoTime": 11.0} for c in contrasts]
    dataset = enhanced_dataset(voxels.reshape(16, 24, 20), positions, frame_attributes=list(np.repeat(types, 4)))
    dataset.save_as(tmp_path / "enhanced", enforce_file_format=True)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels[3])
    assert "IN_PHASE" in series.acquisition.image_type


# --- which series ----------------------------------------------------------------------------------------------------


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
    message = _refusal(tmp_path, "1.2.3")
    assert all(uid in message for uid, _ in studies.values())


def test_a_folder_of_several_patients_is_refused_unless_the_series_is_named(tmp_path):
    ours = series_datasets(thigh_like(3))
    other = series_datasets(thigh_like(3), PatientID="another", SeriesInstanceUID="1.2.3.4")
    write_series(tmp_path / "a", ours)
    write_series(tmp_path / "b", other)
    assert "2 patients" in _refusal(tmp_path)
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
    assert series.notes == ()
    assert "best of the 2 stacks" in series.selection


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
    assert f"{len(absent)} slice" in series.notes[0]
    expected = voxels.copy()
    expected[list(absent)] = 0
    np.testing.assert_array_equal(series.voxels, expected)
    assert series.geometry.spacing[2] == pytest.approx(6.0)


def test_missing_slices_of_an_inverted_series_stay_zero(tmp_path):
    datasets = series_datasets(thigh_like(5), PhotometricInterpretation="MONOCHROME1")
    write_series(tmp_path, datasets[:2] + datasets[3:])
    assert not read_study(tmp_path).voxels[2].any()


def test_copies_of_files_and_repeated_slices_are_read_once_and_reported(tmp_path):
    voxels = thigh_like(6)
    paths = write_series(tmp_path / "a", series_datasets(voxels))
    (tmp_path / "b").mkdir()
    shutil.copy(paths[2], tmp_path / "b" / "copy")
    repeated = series_datasets(voxels[::-1], InstanceNumber=99)[3]
    repeated.save_as(tmp_path / "b" / "repeated", enforce_file_format=True)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert "1 image of the series is there twice" in series.notes[0]
    assert "1 slice is at the place of another one" in series.notes[1]


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
    assert series.acquisition.repetition_time_ms == pytest.approx(552.5)


def test_uneven_slices_are_reported(tmp_path):
    voxels = thigh_like(6)
    datasets = series_datasets(voxels)
    datasets[3].ImagePositionPatient = [-110, -85, 40 + 3 * 6 + 2.5]
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert "not evenly spaced; some are shown up to 2.5 mm" in series.notes[0]


def test_rounding_of_positions_in_the_header_is_not_reported(tmp_path):
    datasets = series_datasets(thigh_like(40), spacing=(1.0, 1.0, 3.3))
    for dataset in datasets:
        dataset.ImagePositionPatient = [round(float(value), 1) for value in dataset.ImagePositionPatient]
    write_series(tmp_path, datasets)
    series = read_study(tmp_path)
    assert series.notes == ()
    assert series.geometry.spacing[2] == pytest.approx(3.3, abs=0.01)


def test_slices_shifted_in_their_plane_are_reported(tmp_path):
    datasets = series_datasets(thigh_like(5))
    datasets[4].ImagePositionPatient = [-106.0, -85, 40 + 4 * 6]
    write_series(tmp_path, datasets)
    assert "shifted against the first one by up to 4.0 mm" in read_study(tmp_path).notes[0]


def test_an_empty_file_beside_the_series_is_mentioned(tmp_path):
    write_series(tmp_path, series_datasets(thigh_like(3)))
    (tmp_path / "IM8").touch()
    (tmp_path / "IM9").write_bytes(bytes(5000))
    assert "2 files of the input are empty" in read_study(tmp_path).notes[-1]


# --- acquisition facts and identity ----------------------------------------------------------------------------------


def test_acquisition_facts_come_from_the_header(tmp_path):
    write_series(
        tmp_path,
        series_datasets(
            thigh_like(2), InversionTime=0, ScanOptions=["PFP", "FS"], BodyPartExamined="LEG", Laterality="R"
        ),
    )
    facts = read_study(tmp_path).acquisition
    assert facts == Acquisition(
        modality="MR", field_strength_t=1.5, repetition_time_ms=550.0, echo_time_ms=12.0, scanning_sequence=("SE",),
        scan_options=("PFP", "FS"), image_type=("ORIGINAL", "PRIMARY", "M"), body_part="LEG", laterality="right",
    )  # fmt: skip


def test_laterality_is_kept_only_where_all_slices_agree(tmp_path):
    datasets = series_datasets(thigh_like(3), Laterality="L")
    datasets[1].Laterality = "R"
    write_series(tmp_path, datasets)
    assert read_study(tmp_path).acquisition.laterality is None


def test_nothing_that_identifies_the_patient_leaves_the_reader(tmp_path, caplog, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = series_datasets(thigh_like(3), ScanOptions=f"for {IDENTITY[0]}")
        for dataset in datasets:
            dataset.add_new("RepetitionTime", "LO", f"{IDENTITY[0]} 12")  # not the number it should be
            dataset.StudyDate = f"{IDENTITY[1]} wrote here"
        write_series(tmp_path, datasets)
    caplog.clear()
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        series = read_study(tmp_path)
    output = capfd.readouterr()
    everything = _said(series) + caplog.text + output.out + output.err + " ".join(str(w.message) for w in caught)
    assert not any(word in everything for word in IDENTITY)
    assert series.acquisition.repetition_time_ms is None


@pytest.mark.parametrize(
    ("facts", "t1_weighted"),
    [
        ({"repetition_time_ms": 550.0, "echo_time_ms": 12.0, "scanning_sequence": ("SE",)}, True),
        ({"repetition_time_ms": 4000.0, "echo_time_ms": 12.0, "scanning_sequence": ("SE",)}, False),
        ({"repetition_time_ms": 550.0, "echo_time_ms": 80.0, "scanning_sequence": ("SE",)}, False),
        ({"repetition_time_ms": 550.0, "echo_time_ms": 12.0, "scan_options": ("FS",)}, False),
        ({"inversion_time_ms": 160.0, "scanning_sequence": ("SE", "IR")}, False),
        ({"echo_time_ms": 90.0}, False),
        ({"repetition_time_ms": 550.0}, None),
        ({}, None),
        ({"image_type": ("ORIGINAL", "PRIMARY", "M", "OPP_PHASE")}, False),
        ({"image_type": ("DERIVED", "PRIMARY", "WATER")}, False),
    ],
)
def test_t1_weighting_by_the_header(facts, t1_weighted):
    assert Acquisition(**facts).t1_weighted is t1_weighted


# In and opposed phase echo times of fat and water, ms, as commonly tabulated.
@pytest.mark.parametrize(
    ("field_t", "echo_ms", "opposed"),
    [(1.5, 2.3, True), (1.5, 4.6, False), (1.5, 6.9, True), (3.0, 1.15, True), (3.0, 2.3, False), (3.0, 3.45, True)],
)
def test_a_gradient_echo_in_opposed_phase_is_not_t1_weighted(field_t, echo_ms, opposed):
    facts = Acquisition(
        field_strength_t=field_t, repetition_time_ms=150.0, echo_time_ms=echo_ms, scanning_sequence=("GR",)
    )
    assert facts.opposed_phase is opposed
    assert facts.t1_weighted is not opposed


# --- image files -----------------------------------------------------------------------------------------------------

FORMATS = [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"]


def _image(voxels: np.ndarray, direction: np.ndarray = ORIENTATIONS["oblique"]) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.5, 1.2, 6.0))
    image.SetOrigin((-110.0, -85.0, 40.0))
    image.SetDirection(direction.ravel())
    return image


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", ["axial", "axial from the head", "oblique"])
def test_image_files_keep_voxels_and_geometry(tmp_path, suffix, name):
    image = _image(thigh_like(5), ORIENTATIONS[name])
    sitk.WriteImage(image, tmp_path / f"image{suffix}", useCompression=True)
    series = read_study(tmp_path / f"image{suffix}")
    _assert_same_volume(series, image)
    assert series.kind == "file"
    assert series.orientation_known
    assert series.notes == ()


def test_nifti_rescale_is_applied(tmp_path):
    path = tmp_path / "image.nii"
    sitk.WriteImage(_image(thigh_like(3)), path)
    data = bytearray(path.read_bytes())
    data[112:120] = struct.pack("<2f", 0.5, 3.0)  # scl_slope, scl_inter
    path.write_bytes(data)
    np.testing.assert_allclose(read_study(path).voxels, thigh_like(3) * 0.5 + 3)


def test_four_dimensions_with_one_volume_are_a_volume(tmp_path):
    sitk.WriteImage(sitk.JoinSeries([_image(thigh_like(3), np.eye(3))]), tmp_path / "image.nrrd")
    np.testing.assert_array_equal(read_study(tmp_path / "image.nrrd").voxels, thigh_like(3))


def test_a_2d_image_is_a_slice_of_unknown_orientation(tmp_path):
    sitk.WriteImage(_image(thigh_like(2), np.eye(3))[:, :, 1], tmp_path / "image.nrrd")
    series = read_study(tmp_path / "image.nrrd")
    np.testing.assert_array_equal(series.voxels, thigh_like(2)[1:])
    assert not series.orientation_known


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_a_header_without_orientation_is_said_aloud(tmp_path, suffix):
    voxels, path = thigh_like(3), tmp_path / f"image{suffix}"
    if suffix == ".nii":
        sitk.WriteImage(_image(voxels), path)
        data = bytearray(path.read_bytes())
        data[252:256] = b"\0\0\0\0"  # qform_code, sform_code
        path.write_bytes(data)
    elif suffix == ".nrrd":
        header = (
            "NRRD0004\ntype: short\ndimension: 3\nsizes: 20 24 3\nspacings: 1 1 3\nencoding: raw\nendian: little\n\n"
        )
        path.write_bytes(header.encode() + voxels.tobytes())
    else:
        header = "ObjectType = Image\nNDims = 3\nDimSize = 20 24 3\nElementSpacing = 1 1 3\nElementType = MET_SHORT\n"
        path.write_bytes(header.encode() + b"ElementDataFile = LOCAL\n" + voxels.tobytes())
    series = read_study(path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert not series.orientation_known
    assert "sides of the patient cannot be trusted" in series.notes[0]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.98])
def test_truncated_image_files_are_refused(tmp_path, capfd, suffix, kept):
    path = tmp_path / f"Mustermann{suffix}"
    sitk.WriteImage(_image(thigh_like(20)), path, useCompression=suffix == ".nii.gz")
    data_file = next((file for file in tmp_path.iterdir() if file.suffix in (".raw", ".zraw", ".gz")), path)
    data = data_file.read_bytes()
    data_file.write_bytes(data[: int(kept * len(data))])
    assert "cut off, damaged" in _refusal(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
def test_damaged_compressed_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    sitk.WriteImage(_image(thigh_like(20, 64, 64)), path, useCompression=True)
    data_file = next((file for file in tmp_path.iterdir() if file.suffix in (".raw", ".zraw", ".gz")), path)
    data = bytearray(data_file.read_bytes())
    for damaged in range(len(data) // 2, len(data) // 2 + 5):
        data[damaged] ^= 0xFF
    data_file.write_bytes(data)
    assert "cut off, damaged" in _refusal(path)


# --- refusals --------------------------------------------------------------------------------------------------------


def _image_file(path: Path, image: sitk.Image) -> Path:
    sitk.WriteImage(image, path)
    return path


def _nifti(path: Path, image: sitk.Image) -> Path:
    return _image_file(path / "image.nii", image)


def _dicom(path: Path, voxels: np.ndarray, **attributes) -> Path:
    write_series(path, series_datasets(voxels, **attributes))
    return path


def _with_voxel(value: float) -> np.ndarray:
    voxels = thigh_like(3).astype(np.float32)
    voxels[1, 2, 3] = value
    return voxels


def _text(path: Path, name: str) -> Path:
    (path / name).write_text("not an image at all\n" * 20)
    return path / name


def _without(path: Path, *keywords: str) -> Path:
    datasets = series_datasets(thigh_like(4))
    for keyword in keywords:
        delattr(datasets[2], keyword)
    write_series(path, datasets)
    return path


def _truncated(path: Path, kept: float) -> Path:
    file = write_series(path, series_datasets(thigh_like(5, 64, 64)))[3]
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    return path


def _truncated_rle(path: Path) -> Path:
    datasets = series_datasets(thigh_like(3, 64, 64))
    for dataset in datasets:
        dataset.compress(RLELossless, generate_instance_uid=False)
    file = write_series(path, datasets)[1]
    file.write_bytes(file.read_bytes()[:-2000])
    return path


def _huge(path: Path) -> Path:
    _text(path, "image.nhdr").write_text(
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4096 4096 4096\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n"
        "encoding: raw\nendian: little\ndata file: image.raw\n"
    )
    (path / "image.raw").touch()
    return path / "image.nhdr"


def _far_apart(path: Path) -> Path:
    datasets = series_datasets(thigh_like(2, 1024, 1024))
    datasets += series_datasets(thigh_like(2, 1024, 1024), origin=(-110.0, -85.0, 6.0e4 - 200))
    write_series(path, datasets)
    return path


REFUSALS = {
    "a path that does not exist": (lambda p: p / "Mustermann", "does not exist"),
    "an empty folder": (lambda p: p, "folder is empty"),
    "a folder without images": (lambda p: _text(p, "notes.txt").parent, "No DICOM image"),
    "a file of unknown type": (lambda p: _text(p, "notes.txt"), "No DICOM image"),
    "text with an image's name": (lambda p: _text(p, "image.nii.gz"), "damaged"),
    "CT": (lambda p: _dicom(p, thigh_like(3), Modality="CT"), "no MR images, only CT"),
    "colour DICOM": (lambda p: _rgb_dicom(p), "No DICOM image"),
    "1×1 pixels": (lambda p: _dicom(p, thigh_like(3, 1, 1)), "at least 16"),
    "1×1 pixels in a file": (lambda p: _nifti(p, _image(thigh_like(3, 1, 1))), "at least 16"),
    "all zeros": (lambda p: _dicom(p, np.zeros((3, 20, 20), np.int16)), "empty"),
    "one value": (lambda p: _nifti(p, _image(np.full((3, 20, 20), 7, np.int16))), "same value"),
    "NaN": (lambda p: _nifti(p, _image(_with_voxel(np.nan))), "NaN"),
    "NaN in MetaImage": (lambda p: _image_file(p / "image.mha", _image(_with_voxel(np.nan))), "NaN"),
    "infinite": (lambda p: _nifti(p, _image(_with_voxel(np.inf))), "NaN or infinite"),
    "4D": (lambda p: _nifti(p, sitk.JoinSeries([_image(thigh_like(3), np.eye(3))] * 2)), "one 3D volume"),
    "vector": (lambda p: _nifti(p, sitk.Compose([_image(thigh_like(3))] * 3)), "grey-scale"),
    "complex": (lambda p: _nifti(p, sitk.Cast(_image(thigh_like(3)), sitk.sitkComplexFloat32)), "grey-scale"),
    "huge": (_huge, "too many"),
    "huge through a gap": (_far_apart, "too many"),
    "a slice without pixels": (lambda p: _without(p, "PixelData"), "Slice 2 .* no pixels"),
    "a slice without position": (lambda p: _without(p, "ImagePositionPatient"), "1 slice .* without position"),
    "a slice without orientation": (lambda p: _without(p, "ImageOrientationPatient"), "1 slice .* without position"),
    "a slice without size": (lambda p: _without(p, "Rows"), "1 DICOM file is damaged"),
    "a slice cut off in its pixels": (lambda p: _truncated(p, 0.8), "Slice 3 .* cut off"),
    "a slice cut off in its header": (lambda p: _truncated(p, 0.05), "1 DICOM file is damaged"),
    "a compressed slice cut off": (_truncated_rle, "Slice 1 .* cut off"),
    "no pixel spacing": (lambda p: _no_spacing(p), "pixel spacing"),
    "axes that are not perpendicular": (lambda p: _skewed(p), "perpendicular"),
    "a UID for an image file": (lambda p: _nifti(p, _image(thigh_like(3))), "DICOM input only"),
}


def _rgb_dicom(path: Path) -> Path:
    datasets = series_datasets(thigh_like(3), SamplesPerPixel=3, PhotometricInterpretation="RGB")
    write_series(path, datasets)
    return path


def _no_spacing(path: Path) -> Path:
    datasets = series_datasets(thigh_like(3))
    for dataset in datasets:
        del dataset.PixelSpacing
    write_series(path, datasets)
    return path


def _skewed(path: Path) -> Path:
    datasets = series_datasets(thigh_like(3))
    for dataset in datasets:
        dataset.ImageOrientationPatient = [1, 0, 0, 0.5, 0.8660254, 0]
    write_series(path, datasets)
    return path


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_input_is_refused_in_one_plain_line(tmp_path, caplog, capfd, name):
    make, expected = REFUSALS[name]
    path = make(tmp_path)
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        message = _refusal(path, "1.2" if name.startswith("a UID") else None)
    assert re.search(expected, message)
    output = capfd.readouterr()
    assert (caplog.text, output.out, output.err) == ("", "", "")


# --- the library and real data ---------------------------------------------------------------------------------------


def test_importing_the_module_loads_no_heavy_library():
    code = "import sys, DystrophyDxLib.series.image_files; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "slicer", "SimpleITK", "pydicom"} & set(loaded)


@pytest.mark.parametrize("name", ["009", "013", "014", "022", "045", "050"])
def test_real_dicom_series_agree_with_gdcm(shared, name):
    folder = shared(f"t1_thigh_dicom/STS_{name}")
    series = read_study(folder)
    _assert_same_volume(series, _read_by_gdcm(folder))
    assert series.notes == ()
    assert "axial" in series.selection


@pytest.mark.parametrize("name", ["thighs", "lower_legs"])
def test_real_nifti_files_are_read(shared, name):
    path = shared(f"bilateral_dixon/{name}.nii.gz")
    series = read_study(path)
    assert series.voxels.shape == (31, 320, 320)
    with gzip.open(path) as file:
        raw = np.frombuffer(file.read()[352:], "<f4").reshape(31, 320, 320)
    np.testing.assert_array_equal(series.voxels, raw)
    assert series.geometry.spacing == pytest.approx((1.5, 1.5, 6.0))
