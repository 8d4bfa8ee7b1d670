"""What is no MR volume is refused in one plain line."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import series_datasets, thigh_like, write_series
from pydicom.uid import RLELossless
from series_cases import refusal, sitk_image

RGB = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
SKEWED = np.array([[1, 0.5, 0], [0, 0.8660254, 0], [0, 0, 1]])


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


def _without(path: Path, keyword: str, of: slice = slice(2, 3)) -> Path:
    datasets = series_datasets(thigh_like(4))
    for dataset in datasets[of]:
        delattr(dataset, keyword)
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
    "colour DICOM": (lambda p: _dicom(p, thigh_like(3), **RGB), "No DICOM image"),
    "1×1 pixels": (lambda p: _dicom(p, thigh_like(3, 1, 1)), "at least 16"),
    "1×1 pixels in a file": (lambda p: _nifti(p, sitk_image(thigh_like(3, 1, 1))), "at least 16"),
    "all zeros": (lambda p: _dicom(p, np.zeros((3, 20, 20), np.int16)), "empty"),
    "one value": (lambda p: _nifti(p, sitk_image(np.full((3, 20, 20), 7, np.int16))), "same value"),
    "NaN": (lambda p: _nifti(p, sitk_image(_with_voxel(np.nan))), "NaN"),
    "NaN in MetaImage": (lambda p: _image_file(p / "image.mha", sitk_image(_with_voxel(np.nan))), "NaN"),
    "infinite": (lambda p: _nifti(p, sitk_image(_with_voxel(np.inf))), "NaN or infinite"),
    "4D": (lambda p: _nifti(p, sitk.JoinSeries([sitk_image(thigh_like(3), np.eye(3))] * 2)), "one 3D volume"),
    "vector": (lambda p: _nifti(p, sitk.Compose([sitk_image(thigh_like(3))] * 3)), "grey-scale"),
    "complex": (lambda p: _nifti(p, sitk.Cast(sitk_image(thigh_like(3)), sitk.sitkComplexFloat32)), "grey-scale"),
    "huge": (_huge, "too many"),
    "huge through a gap": (_far_apart, "too many"),
    "a slice without pixels": (lambda p: _without(p, "PixelData"), "Slice 2 .* no pixels"),
    "a slice without position": (lambda p: _without(p, "ImagePositionPatient"), "1 slice .* without position"),
    "a slice without orientation": (lambda p: _without(p, "ImageOrientationPatient"), "1 slice .* without position"),
    "a slice without size": (lambda p: _without(p, "Rows"), "1 DICOM file is damaged"),
    "a slice cut off in its pixels": (lambda p: _truncated(p, 0.8), "Slice 3 .* cut off"),
    "a slice cut off in its header": (lambda p: _truncated(p, 0.05), "1 DICOM file is damaged"),
    "a compressed slice cut off": (_truncated_rle, "Slice 1 .* cut off"),
    "no pixel spacing": (lambda p: _without(p, "PixelSpacing", of=slice(None)), "pixel spacing"),
    "axes that are not perpendicular": (lambda p: _dicom(p, thigh_like(3), direction=SKEWED), "perpendicular"),
    "a UID for an image file": (lambda p: _nifti(p, sitk_image(thigh_like(3))), "DICOM input only"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_input_is_refused_in_one_plain_line(tmp_path, caplog, capfd, name):
    make, expected = REFUSALS[name]
    path = make(tmp_path)
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        message = refusal(path, "1.2" if name.startswith("a UID") else None)
    assert re.search(expected, message)
    output = capfd.readouterr()
    assert (caplog.text, output.out, output.err) == ("", "", "")
