"""Real images that lie beside a checkout on some machines; tests that take them skip elsewhere."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from DystrophyDxLib.archive.ray_environment import settle_environment
from DystrophyDxLib.series.series import Geometry, Series

# A process crashes where it trains after a slice view has drawn: Triton, which PyTorch's optimisers import if it is
# there, and Mesa bring an LLVM each, and get on only in this order.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

# DIPY imports Ray where it is there; it is not to find another environment than the archive's tests.
settle_environment(local=True)

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests that take `shared`, also through another fixture, so that `-m shared` runs them alone; leaves out
    those that take long unless they are asked for."""
    if "doc_commands" not in config.option.markexpr:
        items[:] = [item for item in items if not item.get_closest_marker("doc_commands")]
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Gives the path of a file or folder of the shared data."""

    def find(relative: str) -> Path:
        path = SHARED_DATA / relative
        if not path.exists():
            pytest.skip(f"real images are not beside this checkout: {relative}")
        return path

    return find


@pytest.fixture(scope="session")
def shared_nifti(shared: Callable[[str], Path]) -> Callable[[str], Series]:
    """Reads one of the series of both legs, independently of the library."""
    return lambda name: _series(sitk.ReadImage(str(shared(f"bilateral_dixon/{name}.nii.gz"))))


@pytest.fixture(scope="session")
def shared_dicom(shared: Callable[[str], Path]) -> Callable[[str], Series]:
    """Reads one of the T1-weighted series of one thigh, independently of the library."""

    def read(name: str) -> Series:
        folder = shared(f"t1_thigh_dicom/{name}")
        return _series(sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))))

    return read


def _series(image: sitk.Image) -> Series:
    geometry = Geometry(image.GetOrigin(), image.GetSpacing(), np.array(image.GetDirection()).reshape(3, 3))
    return Series(sitk.GetArrayFromImage(image).astype(np.float32), geometry)
