"""Reading DICOM: pixels of any encoding, single-frame and enhanced, lie where the header says."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import T1_SPIN_ECHO, enhanced_dataset, image_dataset, series_datasets, thigh_like, write_series
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
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from series_cases import ORIENTATIONS, assert_same_volume, read_by_gdcm, refusal

from DystrophyDxLib.series.reading import read_study


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_slices_lie_where_gdcm_puts_them(tmp_path, name):
    voxels = thigh_like(7)
    write_series(tmp_path, series_datasets(voxels, ORIENTATIONS[name]))
    series = read_study(tmp_path)
    np.testing.assert_array_equal(series.voxels, voxels)
    assert_same_volume(series, read_by_gdcm(tmp_path))
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
    assert "cannot be trusted" in series.warnings[0].message


def test_a_series_of_hundreds_of_slices_is_read_whole_and_in_order(tmp_path):
    voxels = thigh_like(500, 16, 16)
    write_series(tmp_path, series_datasets(voxels, spacing=(1.0, 1.0, 0.5)))
    series = read_study(tmp_path)
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
    assert_same_volume(series, read_by_gdcm(tmp_path))


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
        expected = sitk.GetArrayFromImage(read_by_gdcm(tmp_path / folder))
        assert np.ptp(expected) > 100
        np.testing.assert_allclose(read_study(tmp_path / folder).voxels, expected, atol=1)


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
@pytest.mark.parametrize(("bits", "predictor"), [(12, 1), (16, 1), (12, 6), (16, 7)])
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_jpeg_of_any_prediction_is_decoded_to_the_bit(tmp_path, syntax, bits, predictor, signed):
    imagecodecs = pytest.importorskip("imagecodecs")
    voxels = thigh_like(2, 32, 32) - (300 if signed else 0)
    kind = np.int16 if signed else np.uint16
    datasets = series_datasets(voxels.astype(kind), BitsStored=bits, HighBit=bits - 1)
    for dataset, pixels in zip(datasets, voxels.astype(kind), strict=True):
        stored = pixels.view(np.uint16) & ((1 << bits) - 1)
        stream = imagecodecs.jpeg8_encode(stored, lossless=True, predictor=predictor, bitspersample=bits)
        _set_compressed(dataset, encapsulate([stream]), syntax)
    write_series(tmp_path, datasets)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def test_jpeg_of_another_size_than_its_header_says_is_refused(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    datasets = series_datasets(thigh_like(2, 32, 32))
    stream = imagecodecs.jpeg8_encode(np.zeros((16, 32), np.uint16), lossless=True, predictor=1, bitspersample=12)
    for dataset in datasets:
        _set_compressed(dataset, encapsulate([stream]), JPEGLosslessSV1)
    write_series(tmp_path, datasets)
    assert "no pixels that can be read" in refusal(tmp_path)


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
    assert "pip install 'dystrophydx[cli]'" in refusal(tmp_path)


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
