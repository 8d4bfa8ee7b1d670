"""Reading NIfTI, NRRD and MetaImage files."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import thigh_like
from series_cases import ORIENTATIONS, assert_same_volume, refusal, sitk_image

from DystrophyDxLib.series.reading import read_study

FORMATS = [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", ["axial", "axial from the head", "oblique"])
def test_image_files_keep_voxels_and_geometry(tmp_path, suffix, name):
    image = sitk_image(thigh_like(5), ORIENTATIONS[name])
    sitk.WriteImage(image, tmp_path / f"image{suffix}", useCompression=True)
    series = read_study(tmp_path / f"image{suffix}")
    assert_same_volume(series, image)
    assert series.kind == "file"
    assert series.orientation_known
    assert series.notes == ()


def test_nifti_rescale_is_applied(tmp_path):
    path = tmp_path / "image.nii"
    sitk.WriteImage(sitk_image(thigh_like(3)), path)
    data = bytearray(path.read_bytes())
    data[112:120] = struct.pack("<2f", 0.5, 3.0)  # scl_slope, scl_inter
    path.write_bytes(data)
    np.testing.assert_allclose(read_study(path).voxels, thigh_like(3) * 0.5 + 3)


def test_four_dimensions_with_one_volume_are_a_volume(tmp_path):
    sitk.WriteImage(sitk.JoinSeries([sitk_image(thigh_like(3), np.eye(3))]), tmp_path / "image.nrrd")
    np.testing.assert_array_equal(read_study(tmp_path / "image.nrrd").voxels, thigh_like(3))


def test_a_2d_image_is_a_slice_of_unknown_orientation(tmp_path):
    sitk.WriteImage(sitk_image(thigh_like(2), np.eye(3))[:, :, 1], tmp_path / "image.nrrd")
    series = read_study(tmp_path / "image.nrrd")
    np.testing.assert_array_equal(series.voxels, thigh_like(2)[1:])
    assert not series.orientation_known


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_a_header_without_orientation_is_said_aloud(tmp_path, suffix):
    voxels, path = thigh_like(3), tmp_path / f"image{suffix}"
    if suffix == ".nii":
        sitk.WriteImage(sitk_image(voxels), path)
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
    assert "sides of the patient cannot be trusted" in series.warnings[0].message


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.98])
def test_truncated_image_files_are_refused(tmp_path, capfd, suffix, kept):
    path = tmp_path / f"Mustermann{suffix}"
    sitk.WriteImage(sitk_image(thigh_like(20)), path, useCompression=suffix == ".nii.gz")
    data_file = next((file for file in tmp_path.iterdir() if file.suffix in (".raw", ".zraw", ".gz")), path)
    data = data_file.read_bytes()
    data_file.write_bytes(data[: int(kept * len(data))])
    assert "cut off, damaged" in refusal(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
def test_damaged_compressed_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    sitk.WriteImage(sitk_image(thigh_like(20, 64, 64)), path, useCompression=True)
    data_file = next((file for file in tmp_path.iterdir() if file.suffix in (".raw", ".zraw", ".gz")), path)
    data = bytearray(data_file.read_bytes())
    for damaged in range(len(data) // 2, len(data) // 2 + 5):
        data[damaged] ^= 0xFF
    data_file.write_bytes(data)
    assert "cut off, damaged" in refusal(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_label_map_is_no_mri(tmp_path, dtype):
    labels = np.zeros((3, 40, 60), dtype)
    labels[:, 10:30, 5:25], labels[:, 10:30, 35:55] = 1, 7
    sitk.WriteImage(sitk_image(labels, np.eye(3)), tmp_path / "image.nii.gz")
    assert "label map" in refusal(tmp_path / "image.nii.gz")


def test_an_image_of_few_grey_levels_is_no_label_map(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 4, (3, 40, 60)).astype(np.uint8)
    sitk.WriteImage(sitk_image(voxels, np.eye(3)), tmp_path / "image.nii.gz")
    np.testing.assert_array_equal(read_study(tmp_path / "image.nii.gz").voxels, voxels)
