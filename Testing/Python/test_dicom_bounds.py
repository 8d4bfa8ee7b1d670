"""DICOM that claims more than it holds is read with bounded work; what calls itself something else is told."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import enhanced_dataset, image_dataset, series_datasets, thigh_like, write_series
from pydicom.uid import (
    Comprehensive3DSRStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from series_cases import refusal

from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.files.resources import sample_study
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.series import Series


@pytest.mark.parametrize("compressed", [False, True])
def test_frames_that_the_file_cannot_hold_are_refused_before_they_are_counted(tmp_path, compressed):
    dataset = series_datasets(thigh_like(1, 32, 32))[0]
    if compressed:
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.NumberOfFrames = 1_000_000
    dataset.save_as(tmp_path / "one", enforce_file_format=True)
    start = time.perf_counter()
    assert "1 DICOM file is damaged" in refusal(tmp_path)
    assert time.perf_counter() - start < 15


def _deflated(path: Path, dataset: pydicom.Dataset, grown_to: int) -> None:
    """Writes a deflated file whose pixels go on with zeros."""
    dataset.save_as(path, enforce_file_format=True)
    plain = path.read_bytes()
    end = 144 + int.from_bytes(plain[140:144], "little")
    value = len(dataset.PixelData)
    header = plain[end : len(plain) - value - 4] + struct.pack("<I", grown_to)
    deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [deflater.compress(header + dataset.PixelData)]
    parts += [deflater.compress(bytes(1 << 20)) for _ in range((grown_to - value) >> 20)]
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    meta = pydicom.filebase.DicomBytesIO()
    pydicom.filewriter.write_file_meta_info(meta, dataset.file_meta)
    path.write_bytes(plain[:132] + meta.getvalue() + b"".join(parts) + deflater.flush())


def _read_with_peak(folder: Path) -> tuple[Series, int]:
    """A study, and the most bytes that were in use while it was read."""
    read_study(folder)  # imports
    tracemalloc.start()
    try:
        return read_study(folder), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_deflated_files_are_unpacked_only_as_far_as_an_image_needs(tmp_path):
    large, small = series_datasets(thigh_like(2, 64, 64))
    _deflated(tmp_path / "large", large, 256 << 20)
    _deflated(tmp_path / "small", small, len(small.PixelData))
    series, peak = _read_with_peak(tmp_path)
    np.testing.assert_array_equal(series.voxels, thigh_like(2, 64, 64))
    assert peak < 300 << 20


def test_deflated_frames_are_read(tmp_path):
    voxels = thigh_like(5, 40, 40)
    dataset = enhanced_dataset(voxels, np.outer(np.arange(5) * 6.0, [0, 0, 1]))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "enhanced", enforce_file_format=True)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def test_many_frames_of_a_file_come_into_memory_one_by_one(tmp_path):
    voxels = thigh_like(64, 512, 512)
    enhanced_dataset(voxels, np.outer(np.arange(64.0), [0, 0, 1])).save_as(tmp_path / "e", enforce_file_format=True)
    series, peak = _read_with_peak(tmp_path)
    assert peak < 1.5 * series.voxels.nbytes


def test_overlays_in_bits_that_are_not_stored_are_no_signal_in_compressed_images(tmp_path):
    voxels = thigh_like(3, 32, 32).astype(np.uint16)
    datasets = series_datasets(voxels | 0x4000)
    for dataset in datasets:
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
        dataset.BitsStored, dataset.HighBit = 12, 11
    write_series(tmp_path, datasets)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def _exported_by_slicer(folder: Path) -> np.ndarray:
    """A volume as Slicer's DICOM export writes it where one chooses nothing; its voxels."""
    voxels = thigh_like(4)
    datasets = series_datasets(voxels, Modality="CT", SOPClassUID=CTImageStorage, RescaleSlope=1, RescaleIntercept=0)
    for dataset in datasets:
        dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        for keyword in ("RepetitionTime", "EchoTime", "ScanningSequence", "MagneticFieldStrength"):
            delattr(dataset, keyword)
    write_series(folder, datasets)
    return voxels


def test_a_volume_that_slicer_exported_is_read_where_the_user_says_that_it_is_mr(tmp_path):
    voxels = _exported_by_slicer(tmp_path)
    message = refusal(tmp_path)
    assert "3D Slicer exported" in message
    assert "--modality MR" in message
    series = read_study(tmp_path, modality="MR")
    np.testing.assert_array_equal(series.voxels, voxels)
    assert series.acquisition.modality == "MR"
    assert series.acquisition.t1_weighted is None
    assert "The header calls images CT; they were read as MR, as asked." in series.notes


def test_ct_of_a_scanner_is_not_taken_for_an_export(tmp_path):
    write_series(tmp_path, series_datasets(thigh_like(3), Modality="CT", KVP=120))
    assert "Slicer" not in refusal(tmp_path)


def test_the_command_line_takes_mr_alone_for_a_modality(tmp_path):
    from typer.testing import CliRunner

    asked = ["classify", str(sample_study()), "--out", str(tmp_path / "out"), "--modality", "CT"]
    assert CliRunner().invoke(app, asked).exit_code == 2


def test_a_file_that_is_no_slice_is_not_read_as_mr_even_where_asked(tmp_path):
    write_series(tmp_path, [image_dataset(thigh_like(1)[0], Modality="SEG", NumberOfFrames=1)])
    with pytest.raises(InputError, match="holds no MR images, only SEG"):
        read_study(tmp_path, modality="MR")


def test_results_in_the_place_of_a_study_are_named(tmp_path):
    """As the folder `dicom/` of a classification."""
    kinds = {
        "SEG": SegmentationStorage,
        "OT": SecondaryCaptureImageStorage,
        "PM": ParametricMapStorage,
        "SR": Comprehensive3DSRStorage,
    }
    for modality, kind in kinds.items():
        ds = image_dataset(thigh_like(1)[0], Modality=modality, SOPClassUID=kind)
        if modality == "SR":
            del ds.Rows, ds.Columns, ds.PixelData
        write_series(tmp_path / modality, [ds])
    assert refusal(tmp_path).endswith(
        "The input holds no MR images, only Comprehensive 3D SR, Parametric Map, Secondary Capture Image, Segmentation;"
        " give the MR examination that they are of."
    )


def test_reading_tells_how_far_it_is(tmp_path):
    write_series(tmp_path, series_datasets(thigh_like(120, 16, 16)))
    told = []
    read_study(tmp_path, advance=lambda *step: told.append(step))
    for what in ("Reading headers", "Reading images"):
        steps = [(done, total) for name, done, total in told if name == what]
        assert len(steps) > 1
        assert all(total == 120 for _, total in steps)
        assert steps == sorted(steps)


def test_a_first_group_that_is_damaged_ends_nothing(tmp_path):
    voxels = thigh_like(3)
    for path in write_series(tmp_path, series_datasets(voxels)):
        path.write_bytes(path.read_bytes().replace(b"\x02\0\x02\0UI", b"\x02\0\x02\0U\x7f"))
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


@pytest.mark.parametrize("frames", [1, 4])
def test_a_file_that_does_not_keep_to_its_transfer_syntax_is_read_as_it_is(tmp_path, frames):
    voxels = thigh_like(frames, 32, 32)
    dataset = enhanced_dataset(voxels, np.outer(np.arange(frames) * 6.0, [0, 0, 1]))
    parts = pydicom.filebase.DicomBytesIO(), pydicom.filebase.DicomBytesIO()
    pydicom.filewriter.write_file_meta_info(parts[0], dataset.file_meta)
    parts[1].is_implicit_VR = parts[1].is_little_endian = True
    pydicom.filewriter.write_dataset(parts[1], pydicom.Dataset(dataset))
    padding = struct.pack("<HHI", 0xFFFC, 0xFFFC, 8) + bytes(8)
    (tmp_path / "file").write_bytes(bytes(128) + b"DICM" + b"".join(part.getvalue() for part in parts) + padding)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def test_pixels_of_a_transfer_syntax_that_is_not_named_are_still_streamed(tmp_path):
    voxels = thigh_like(4, 32, 32)
    dataset = enhanced_dataset(voxels, np.outer(np.arange(4) * 6.0, [0, 0, 1]))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with (tmp_path / "bare").open("wb") as file:
        pydicom.dcmwrite(file, pydicom.Dataset(dataset), implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read_study(tmp_path).voxels, voxels)


def test_a_file_that_is_cut_off_within_its_class_is_damaged_and_not_left_out(tmp_path):
    paths = write_series(tmp_path, series_datasets(thigh_like(3)))
    whole = paths[1].read_bytes()
    storage = MRImageStorage.encode()
    of_dataset = whole.index(storage, whole.index(storage) + 1)
    paths[1].write_bytes(whole[: of_dataset + 12])
    assert "1 DICOM file is damaged" in refusal(tmp_path)
