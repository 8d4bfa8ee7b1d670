"""Mean diffusivity of a diffusion series, as a map that recipes of maps take.

The diffusion tensor is fitted by weighted least squares and its mean eigenvalue taken, both by DIPY (Garyfallidis et
al., Front Neuroinform 2014;8:8).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import InputError

LEAST_DIRECTIONS = 6
"""Directions that a tensor needs."""
UNWEIGHTED = 50.0
"""b-value (s/mm²) up to which an image counts as not diffusion-weighted."""
BRAIN_FRACTION = 0.1
"""Signal without diffusion weighting, of the brightest voxels', below which there is no tissue."""
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
    image = _read(path)
    values, vectors = (
        _numbers(given or _beside(path, suffix), suffix)
        for given, suffix in ((b_values, ".bval"), (directions, ".bvec"))
    )
    values = values.ravel()
    vectors = vectors.T if vectors.shape[0] == 3 and vectors.shape[1] != 3 else vectors
    count = image.GetSize()[3]
    if len(values) != count or vectors.shape != (count, 3):
        raise InputError(
            f"The diffusion series has {count} volumes, but {len(values)} b-values and {len(vectors)} directions; give "
            "the files that belong to it."
        )
    weighted = values > UNWEIGHTED
    if weighted.all() or np.linalg.matrix_rank(_tensor_design(vectors[weighted])) < LEAST_DIRECTIONS:
        raise InputError(
            f"The diffusion series needs an image without diffusion weighting and {LEAST_DIRECTIONS} directions with "
            "it; give a whole series."
        )
    signal = np.moveaxis(sitk.GetArrayFromImage(image).astype(np.float32), 0, -1)
    plain = signal[..., ~weighted].mean(axis=-1)
    tissue = plain > BRAIN_FRACTION * np.percentile(plain, 99)
    if not np.isfinite(signal).all() or not tissue.any():
        raise InputError("The diffusion series holds values that are no numbers, or nothing at all; export it again.")
    found = sitk.GetImageFromArray(_fitted(signal, tissue, values, vectors))
    found.CopyInformation(image[:, :, :, 0])
    return found


def write_map(diffusivity: sitk.Image, out: Path) -> None:
    """Writes a map as NIfTI or NRRD.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        sitk.WriteImage(diffusivity, str(out), useCompression=True)
    except RuntimeError:
        raise InputError("The map cannot be written; give a place with room whose name ends with .nii.gz.") from None


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


def _tensor_design(vectors: np.ndarray) -> np.ndarray:
    """(n, 6) products of the components of directions, whose rank says how much of a tensor they determine."""
    x, y, z = vectors.T
    return np.stack([x * x, y * y, z * z, x * y, x * z, y * z], axis=1)


def _read(path: Path) -> sitk.Image:
    if not path.is_file():
        raise InputError("The diffusion series does not exist; check the path.")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise InputError("The diffusion series cannot be read; give a 4D NIfTI file that is intact.") from None
    if image.GetDimension() != 4 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            f"The diffusion series has {image.GetDimension()} dimensions; give the 4D file with all of its volumes."
        )
    return image


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + suffix)


def _numbers(path: Path, suffix: str) -> np.ndarray:
    try:
        return np.loadtxt(path, ndmin=2)
    except OSError:
        raise InputError(
            f"There is no {suffix} file beside the diffusion series; give it with --{suffix.lstrip('.')}."
        ) from None
    except ValueError:
        raise InputError(f"The {suffix} file is not a table of numbers; give FSL's.") from None
