"""`Placement`: where a window lies in its sample; and the weights by which its lines are scaled to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse

from ..models.recipe import SampleRecipe
from ..series.plane_orientation import PlaneOrientation
from ..series.series import Geometry


@dataclass(frozen=True)
class Placement:
    """Where a window lies in its sample, in the canonical plane; of volumes, along the slices first.

    A window pixel centre (row, column) lies at sample coordinate `origin + scale * (row + 0.5, column + 0.5) - 0.5`.

    Attributes:
        shape: (rows, columns) of the window in the canonical plane.
        scale: sample pixels a window pixel, for rows and columns.
        origin: sample coordinate of the window's upper left corner, for rows and columns.
    """

    shape: tuple[int, ...]
    scale: tuple[float, ...]
    origin: tuple[int, ...]

    def sample_coordinates(self, axis: int) -> np.ndarray:
        """Sample coordinates of the window's pixel centres along rows (axis 0) or columns (axis 1)."""
        return self.origin[axis] + self.scale[axis] * (np.arange(self.shape[axis]) + 0.5) - 0.5


def place(shape: tuple[int, int], spacing: tuple[float, float], size: int, extent_mm: float | None = None) -> Placement:
    """The largest placement in a sample that is true to scale and centred.

    Args:
        shape: (rows, columns) of the window in the canonical plane.
        spacing: mm a pixel along rows and columns.
        size: edge of the sample in pixels.
        extent_mm: that the sample's edge shows; the window's longer side when not given.

    >>> place((100, 50), (1.0, 1.0), size=200)
    Placement(shape=(100, 50), scale=(2.0, 2.0), origin=(0, 50))
    """
    extent = [pixels * mm for pixels, mm in zip(shape, spacing, strict=True)]
    filled = [min(size, max(1, round(size * length / (extent_mm or max(extent))))) for length in extent]
    return Placement(
        tuple(shape),
        tuple(pixels / n for pixels, n in zip(filled, shape, strict=True)),
        tuple((size - pixels) // 2 for pixels in filled),
    )


def place_window(geometry: Geometry, mask: np.ndarray, sample: SampleRecipe) -> Placement:
    """Where a window with this mask lies in a sample of a recipe: along rows and columns, and where it has several
    slices along these first, from the feet up."""
    plane = PlaneOrientation.of(geometry)
    *slices, rows, columns = plane.of_window(mask).shape
    flat = place((rows, columns), plane.pixel_mm(geometry), sample.size, sample.extent_mm)
    deep = [depth / count for depth, count in zip(sample.shape[1:-2], slices, strict=True)]
    return Placement((*slices, *flat.shape), (*deep, *flat.scale), (*(0 for _ in deep), *flat.origin))


@lru_cache(maxsize=512)
def resampling_weights(scale: float, length: int) -> sparse.csr_array:
    """(round(scale * length), length) weights that scale a line: linear interpolation, widened where it shrinks so that
    no pixel is skipped.

    >>> resampling_weights(2.0, 2) @ [1, 3]
    array([1. , 1.5, 2.5, 3. ])
    """
    centres = (np.arange(round(scale * length)) + 0.5) / scale - 0.5
    reach = max(1.0, 1 / scale)
    taps = np.floor(centres - reach).astype(np.int32)[:, None] + np.arange(1, int(2 * reach) + 2, dtype=np.int32)
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - taps) / reach) * ((taps >= 0) & (taps < length))
    weights /= weights.sum(axis=1, keepdims=True)
    starts = np.arange(len(centres) + 1, dtype=np.int32) * taps.shape[1]
    columns = taps.clip(0, length - 1).ravel()
    return sparse.csr_array((weights.ravel().astype(np.float32), columns, starts), (len(centres), length))
