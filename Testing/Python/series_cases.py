"""Volumes in all orientations, what other readers make of them, and how a study that cannot be read is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import IDENTITY

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.series import Series


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


def read_by_gdcm(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def assert_same_volume(series: Series, image: sitk.Image) -> None:
    np.testing.assert_allclose(series.voxels, sitk.GetArrayFromImage(image), rtol=1e-6)
    np.testing.assert_allclose(series.geometry.origin, image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(series.geometry.spacing, image.GetSpacing(), atol=1e-4)
    np.testing.assert_allclose(series.geometry.direction.ravel(), image.GetDirection(), atol=1e-6)


def refusal(path: Path, series_uid: str | None = None) -> str:
    """The message of the refusal, after checking that it is one line without identity."""
    with pytest.raises(InputError) as error:
        read_study(path, series_uid)
    message = str(error.value)
    assert "\n" not in message
    assert not any(word in message for word in (*IDENTITY, str(path.name)))
    return message


def sitk_image(voxels: np.ndarray, direction: np.ndarray = ORIENTATIONS["oblique"]) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.5, 1.2, 6.0))
    image.SetOrigin((-110.0, -85.0, 40.0))
    image.SetDirection(direction.ravel())
    return image
