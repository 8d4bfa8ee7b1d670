"""Mean diffusivity of a diffusion series, as a map that recipes of maps take.

The diffusion tensor is fitted by weighted least squares and its mean eigenvalue taken, both by DIPY (Garyfallidis et
al., Front Neuroinform 2014;8:8).
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..files.small_files import read_bytes
from .image_files import as_image, read_image_frames
from .series import Series

LARGEST_TABLE = 1 << 24
"""Bytes of the longest file of b-values or directions."""
LEAST_DIRECTIONS = 6
"""Directions that a tensor needs."""
UNWEIGHTED = 50.0
"""b-value (s/mm²) up to which an image counts as not diffusion-weighted."""
BRAIN_FRACTION = 0.1
"""Signal without diffusion weighting, of the brightest voxels', below which there is no tissue."""
SMALLEST = 1e-5
"""Diffusivity (mm²/s) that tissue exceeds many times: white matter has 7e-4."""
LARGEST = 5e-3
"""Diffusivity (mm²/s) that no tissue exceeds: free water at body temperature has 3e-3."""


def mean_diffusivity(path: Path, b_values: Path | None = None, directions: Path | None = None) -> sitk.Image:
    """The map of a diffusion series: mm²/s in float32, 0 where there is no tissue, on the grid of the series.

    Args:
        path: the series, 4D NIfTI.
        b_values, directions: text files as of FSL; beside the series and of its name (.bval, .bvec) when not given.

    Raises:
        InputError: a file cannot be read, the series is no diffusion series, or DIPY is not installed.
    """
    frames = _read(path)
    values, vectors = (
        _numbers(given or _beside(path, suffix), suffix)
        for given, suffix in ((b_values, ".bval"), (directions, ".bvec"))
    )
    values = values.ravel()
    vectors = vectors.T if vectors.shape[0] == 3 and vectors.shape[1] != 3 else vectors
    _check_weighting(len(frames), values, vectors)
    signal = np.stack([frame.voxels for frame in frames], axis=-1).astype(np.float32)
    plain = signal[..., values <= UNWEIGHTED].mean(axis=-1)
    tissue = plain > BRAIN_FRACTION * np.percentile(plain, 99)
    if not tissue.any():
        raise InputError("The diffusion series shows nothing; export it again.")
    diffusivity = _fitted(signal, tissue, values, vectors)
    if np.median(diffusivity[tissue]) < SMALLEST:
        raise InputError(
            "The diffusion series shows no diffusion; check that its voxels are signals, and that its b-values are in "
            "s/mm² and belong to it."
        )
    return as_image(diffusivity, frames[0].geometry)


def write_map(diffusivity: sitk.Image, out: Path) -> None:
    """Writes a map as NIfTI or NRRD.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        sitk.WriteImage(diffusivity, str(out), useCompression=True)
    except RuntimeError:
        raise InputError(
            f"The map {out} cannot be written; give a place with room whose name ends with .nii.gz."
        ) from None


def _fitted(signal: np.ndarray, tissue: np.ndarray, values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    try:
        from dipy.core.gradients import gradient_table
        from dipy.reconst.dti import TensorModel
    except ImportError:
        raise InputError("Diffusion series need DIPY; install it with: pip install 'dipy>=1.9,<2'.") from None
    # The mean eigenvalue does not depend on the frame in which the directions are given.
    table = gradient_table(values, bvecs=vectors, b0_threshold=UNWEIGHTED, atol=0.1)
    diffusivity = TensorModel(table, fit_method="WLS").fit(signal, mask=tissue).md
    return np.where(tissue, np.nan_to_num(diffusivity), 0).clip(0, LARGEST).astype(np.float32)


def _check_weighting(count: int, values: np.ndarray, vectors: np.ndarray) -> None:
    """Raises an `InputError` unless a tensor can be fitted to `count` volumes with these b-values and directions."""
    if len(values) != count or vectors.shape != (count, 3):
        raise InputError(
            f"The diffusion series has {count} volumes, but {len(values)} b-values and {len(vectors)} directions; give "
            "the files that belong to it."
        )
    if not np.isfinite(values).all() or values.min() < 0 or values.max() <= UNWEIGHTED:
        raise InputError(
            f"The b-values are not in s/mm², or no image is diffusion-weighted: they must be positive numbers, some "
            f"above {UNWEIGHTED:.0f}."
        )
    weighted = values > UNWEIGHTED
    if weighted.all():
        raise InputError("The diffusion series has no image without diffusion weighting; give a whole series.")
    lengths = np.linalg.norm(vectors[weighted], axis=1)
    if not np.allclose(lengths, 1, atol=0.1):
        raise InputError(
            "The directions of diffusion-weighted images are not of length 1; give the files that belong to the series."
        )
    if np.linalg.matrix_rank(_tensor_design(vectors[weighted])) < LEAST_DIRECTIONS:
        raise InputError(f"A tensor needs {LEAST_DIRECTIONS} directions that differ enough; give a whole series.")


def _tensor_design(vectors: np.ndarray) -> np.ndarray:
    """(n, 6) products of the components of directions, whose rank says how much of a tensor they determine."""
    x, y, z = vectors.T
    return np.stack([x * x, y * y, z * z, x * y, x * z, y * z], axis=1)


def _read(path: Path) -> tuple[Series, ...]:
    if not path.is_file():
        raise InputError(f"The diffusion series {path} does not exist; check the path.")
    try:
        frames = read_image_frames(path)
    except OSError:
        raise InputError(f"The diffusion series {path} cannot be opened; check its permissions.") from None
    if len(frames) == 1:
        raise InputError("The diffusion series has one volume only; give the 4D file with all of its volumes.")
    return frames


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + suffix)


def _numbers(path: Path, suffix: str) -> np.ndarray:
    try:
        return np.loadtxt(io.BytesIO(read_bytes(path, LARGEST_TABLE)), ndmin=2)
    except OSError:
        raise InputError(f"There is no {suffix} file {path}; give it with --{suffix.lstrip('.')}.") from None
    except ValueError:
        raise InputError(f"{path} is not a table of numbers; give FSL's {suffix} file.") from None
