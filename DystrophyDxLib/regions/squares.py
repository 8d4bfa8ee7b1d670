"""Square windows, one a slice: around the middle of the image, or of the region that a user drew; or the whole slice.

"Image preparation" of Germain et al., Diagnostics 2021;11:1554: frames in pixels of 1.5 mm, cropped to 128, 160 or 256
of them around the heart, or not cropped. A square that would leave the image is moved into it; a smaller image is shown
whole.
"""

from __future__ import annotations

import numpy as np

from ..models.recipe import SampleRecipe
from ..series.series import Series
from .legs import LABEL_OF_SIDE, LegRegions, Side, Skipped, Window


def find_squares(series: Series, sample: SampleRecipe) -> LegRegions:
    """Squares around the middle of every slice that is there."""
    middle = tuple((edge - 1) / 2 for edge in series.voxels.shape[1:])
    there = [k for k in range(len(series.voxels)) if k not in series.missing_slices]
    windows = [_square(series, sample, k, middle, source="auto") for k in there]
    return _regions(series, windows, [Skipped(k, None, "slice missing from the series") for k in series.missing_slices])


def squares_from_labels(series: Series, labels: np.ndarray, sample: SampleRecipe) -> LegRegions:
    """Squares around the middle of what a person drew in each slice; a slice without a region is skipped.

    Args:
        labels: (z, y, x) on the grid of `series`, 0 outside.
    """
    windows, skipped = [], []
    for k, plane in enumerate(labels != 0):
        if plane.any():
            windows.append(_square(series, sample, k, _middle(plane), source="edited"))
        else:
            skipped.append(Skipped(k, None, "nothing in the given region"))
    return _regions(series, windows, skipped)


def corrected_squares(series: Series, automatic: LegRegions, labels: np.ndarray, sample: SampleRecipe) -> LegRegions:
    """Squares after a person moved some of the automatic ones; in a slice that was left as it was, the automatic one.

    Args:
        labels: (z, y, x) on the grid of `automatic.labels`.
    """
    edited = (labels != automatic.labels).any(axis=(1, 2))
    drawn = squares_from_labels(series, labels, sample)
    windows = [
        window
        for found, wanted in ((automatic, ~edited), (drawn, edited))
        for window in found.windows
        if wanted[window.slice]
    ]
    skipped = [item for item in automatic.skipped if not edited[item.slice]]
    skipped += [Skipped(item.slice, None, "left out by the reader") for item in drawn.skipped if edited[item.slice]]
    return _regions(series, sorted(windows, key=lambda window: window.slice), skipped)


def _middle(mask: np.ndarray) -> tuple[float, float]:
    """(j, i) of the middle of the box around a mask."""
    places = np.argwhere(mask)
    row, column = (places.min(axis=0) + places.max(axis=0)) / 2
    return float(row), float(column)


def _square(series: Series, sample: SampleRecipe, k: int, middle: tuple[float, float], source: str) -> Window:
    i_mm, j_mm, _ = series.geometry.spacing
    j, i = (
        _range(edge, centre, sample.extent_mm and sample.extent_mm / mm)
        for edge, centre, mm in zip(series.voxels.shape[1:], middle, (j_mm, i_mm), strict=True)
    )
    return Window(k, Side.NONE, i, j, np.ones((j[1] - j[0], i[1] - i[0]), bool), source)


def _range(edge: int, centre: float, length: float | None) -> tuple[int, int]:
    """Half-open range of about `length` pixels around `centre` within an edge; the whole edge without a length."""
    pixels = edge if length is None else min(edge, max(1, round(length)))
    start = min(max(0, round(centre + 0.5 - pixels / 2)), edge - pixels)
    return start, start + pixels


def _regions(series: Series, windows: list[Window], skipped: list[Skipped]) -> LegRegions:
    labels = np.zeros(series.voxels.shape, np.uint8)
    for window in windows:
        labels[window.slice, slice(*window.j), slice(*window.i)] = LABEL_OF_SIDE[Side.NONE]
    return LegRegions(labels, tuple(windows), tuple(sorted(skipped, key=lambda item: item.slice)))
