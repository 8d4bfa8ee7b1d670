"""Does the answer survive another scanner? The same series under simulated changes that say nothing of the disease."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import ndimage

from ..classify import Classification, Classifier
from ..regions.legs import PlaneOrientation, Side, Window, find_legs
from ..series.series import Geometry, Series


def _contrast(series: Series, gamma: float) -> Series:
    """Greys bent as by another repetition or echo time; the brightest percent keeps its level."""
    bright = max(float(np.percentile(series.voxels, 99)), 1e-6)
    return replace(series, voxels=bright * (series.voxels / bright).clip(min=0) ** np.float32(gamma))


def _shading(series: Series, seed: int) -> Series:
    """A surface coil twice as sensitive on one side as on the other, falling off slantwise."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=2)
    direction /= np.hypot(*direction)
    y, x = (np.linspace(-1, 1, size, dtype=np.float32) for size in series.voxels.shape[1:])
    slope = np.float32(np.log(2) / 2) * (direction[0] * y[:, None] + direction[1] * x)
    return replace(series, voxels=series.voxels * np.exp(slope))


def _noise(series: Series, seed: int) -> Series:
    """Rician noise (Gudbjartsson and Patz 1995, MRM 34:910) of a twentieth of the brightest percent."""
    rng = np.random.default_rng(seed)
    sd = np.float32(0.05 * np.percentile(series.voxels, 99))
    noise = rng.standard_normal((2, *series.voxels.shape), dtype=np.float32) * sd
    return replace(series, voxels=np.hypot(series.voxels + noise[0], noise[1]))


def _coarse(series: Series) -> Series:
    """Half the resolution in the plane, on the same grid."""
    return replace(series, voxels=ndimage.gaussian_filter(series.voxels, (0, 1.0, 1.0)))


def _mirrored(series: Series) -> Series:
    """The person's mirror image: what was on the left is on the right."""
    axis = 1 if PlaneOrientation.of(series.geometry).transposed else 2
    return replace(series, voxels=np.ascontiguousarray(np.flip(series.voxels, axis=axis)))


def _leg_turned(series: Series) -> Series:
    """One leg alone, turned by 90° about the thigh's axis. The grid grows as the turned leg may need."""
    windows = find_legs(series).windows
    side = next((side for side in Side if any(window.side == side for window in windows)), None)
    own = [window for window in windows if window.side == side]
    if not own:
        return series
    size = max(series.voxels.shape[1:])
    voxels = np.zeros((len(series.voxels), size, size), np.float32)
    spacing = series.geometry.spacing
    finest = min(spacing[:2])
    for window in own:
        turned = np.rot90(_square(series, window, finest))
        rows, columns = (min(size, length) for length in turned.shape)
        top, left = (size - rows) // 2, (size - columns) // 2
        voxels[window.slice, top : top + rows, left : left + columns] = turned[:rows, :columns]
    geometry = Geometry(series.geometry.origin, (finest, finest, spacing[2]), series.geometry.direction)
    return replace(series, voxels=voxels, geometry=geometry)


def _square(series: Series, window: Window, pixel_mm: float) -> np.ndarray:
    """The leg of one window on square pixels, 0 outside it."""
    image = series.voxels[window.slice, slice(*window.j), slice(*window.i)] * window.mask
    factors = (series.geometry.spacing[1] / pixel_mm, series.geometry.spacing[0] / pixel_mm)
    return image if factors == (1.0, 1.0) else ndimage.zoom(image, factors, order=1)


SCANNER_CHANGES: dict[str, Callable[[Series, int], Series]] = {
    "flatter contrast": lambda series, seed: _contrast(series, 0.75),
    "steeper contrast": lambda series, seed: _contrast(series, 1.3),
    "surface coil": _shading,
    "noise": _noise,
    "half the resolution": lambda series, seed: _coarse(series),
    "mirrored": lambda series, seed: _mirrored(series),
    "one leg turned 90°": lambda series, seed: _leg_turned(series),
}
"""Name to a function of the series and a seed."""


def stability(classifier: Classifier, series: Series, seed: int = 0) -> pd.DataFrame:
    """Classifies a series as it is and under each of `SCANNER_CHANGES`.

    Returns:
        One row a change, the first "as acquired": change, probability, low and high (95 % interval), label, images
        that count, warning codes.

    Raises:
        InputError: when the series itself cannot be classified.
    """
    rows = [_row("as acquired", classifier.classify(series))]
    rows += [_row(name, classifier.classify(change(series, seed))) for name, change in SCANNER_CHANGES.items()]
    return pd.DataFrame(rows)


def _row(change: str, classification: Classification) -> dict[str, object]:
    case = classification.result.case
    return {
        "change": change,
        "probability": case.probability,
        "low": case.ci95[0],
        "high": case.ci95[1],
        "label": case.label,
        "images": sum(image.counted for image in classification.result.images),
        "warnings": " ".join(warning.code.value for warning in classification.result.warnings),
    }
