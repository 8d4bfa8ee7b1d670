"""Real images that lie beside a checkout on some machines; tests that need them skip elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from DystrophyDxLib.series.series import Geometry, Series

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def shared(relative: str) -> Path:
    """Path of a real image; skips the test where it is absent."""
    path = SHARED_DATA / relative
    if not path.exists():
        pytest.skip(f"real images are not beside this checkout: {relative}")
    return path


def read_nifti(name: str) -> Series:
    return _series(sitk.ReadImage(str(shared(f"bilateral_dixon/{name}.nii.gz"))))


def read_dicom_series(name: str) -> Series:
    folder = shared(f"t1_thigh_dicom/{name}")
    return _series(sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))))


def _series(image: sitk.Image) -> Series:
    geometry = Geometry(image.GetOrigin(), image.GetSpacing(), np.array(image.GetDirection()).reshape(3, 3))
    return Series(sitk.GetArrayFromImage(image).astype(np.float32), geometry)
