"""Square windows, one a slice: around the middle of the image, or of the region that a user drew; or the whole slice.

"Image preparation" of Germain et al., Diagnostics 2021;11:1554: frames in pixels of 1.5 mm, cropped to 128, 160 or 256
of them around the heart, or not cropped. A square that would leave the image is moved into it; a smaller image is shown
whole. In all functions `edge_mm` is the edge of the square, None for the whole slice.
"""

from __future__ import annotations

import numpy as np

from ..series.series import Series
from .masks import box_around
from .windows import LABEL_OF_SIDE, LEFT_OUT, Regions, Side, Skipped, Source, Window


def find_squares(series: Series, edge_mm: float | None) -> Regions:
    """Squares around the middle of every slice that is there."""
    windows = [_window(series, k, series.square(edge_mm), "auto") for k in series.present_slices]
    return _regions(series, windows, [Skipped(k, None, "slice missing from the series") for k in series.missing_slices])


def squares_from_labels(series: Series, labels: np.ndarray, edge_mm: float | None) -> Regions:
    """Squares around the middle of what a person drew in each slice; a slice without a region is skipped.

    Args:
        labels: (z, y, x) on the grid of `series`, 0 outside.
    """
    windows, skipped = [], []
    for k, plane in enumerate(labels != 0):
        if box := box_around(plane):
            row, column = ((part.start + part.stop - 1) / 2 for part in box)
            windows.append(_window(series, k, series.square(edge_mm, (row, column)), "edited"))
        else:
            skipped.append(Skipped(k, None, "nothing in the given region"))
    return _regions(series, windows, skipped)


def corrected_squares(series: Series, automatic: Regions, labels: np.ndarray, edge_mm: float | None) -> Regions:
    """Squares after a person moved some of the automatic ones; in a slice that was left as it was, the automatic one.

    Args:
        labels: (z, y, x) on the grid of `automatic.labels`.
    """
    edited = (labels != automatic.labels).any(axis=(1, 2))
    drawn = squares_from_labels(series, labels, edge_mm)
    windows = [
        window
        for found, wanted in ((automatic, ~edited), (drawn, edited))
        for window in found.windows
        if wanted[window.slice]
    ]
    skipped = [item for item in automatic.skipped if not edited[item.slice]]
    skipped += [Skipped(item.slice, None, LEFT_OUT) for item in drawn.skipped if edited[item.slice]]
    return _regions(series, sorted(windows, key=lambda window: window.slice), skipped)


def _window(series: Series, k: int, box: tuple[slice, slice], source: Source) -> Window:
    rows, columns = box
    mask = np.ones(series.voxels[k][box].shape, bool)
    return Window(k, Side.NONE, (columns.start, columns.stop), (rows.start, rows.stop), mask, source)


def _regions(series: Series, windows: list[Window], skipped: list[Skipped]) -> Regions:
    labels = np.zeros(series.voxels.shape, np.uint8)
    for window in windows:
        labels[window.box] = LABEL_OF_SIDE[Side.NONE]
    return Regions(labels, tuple(windows), tuple(sorted(skipped, key=lambda item: item.slice)))
