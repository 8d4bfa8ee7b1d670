"""Leg windows from what a person drew, or corrected of what was found."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from .masks import TOUCHING
from .windows import LABEL_OF_SIDE, LEFT_OUT, LEG_SIDES, NOT_DRAWN, Regions, Side, Skipped, Window, window_around


def legs_from_labels(labels: np.ndarray) -> Regions:
    """Windows from a region that a person drew or corrected.

    Args:
        labels: (z, y, x) uint8 on the grid of the series, with the values of `LABEL_OF_SIDE`.
    """
    windows: list[Window] = []
    skipped = []
    for k, plane in enumerate(labels):
        drawn = _drawn(plane, k)
        windows += drawn
        if not drawn:
            skipped.append(Skipped(k, None, NOT_DRAWN))
    return Regions(labels, tuple(windows), tuple(skipped))


def corrected_legs(automatic: Regions, labels: np.ndarray) -> Regions:
    """Windows of the automatic regions after a person corrected them.

    A leg whose outline is as it was found stays "auto", and what was said of its slice still holds.

    Args:
        labels: (z, y, x) uint8 on the grid of `automatic.labels`, with the values of `LABEL_OF_SIDE`.
    """
    edited = np.flatnonzero((labels != automatic.labels).any(axis=(1, 2))).tolist()
    windows = [window for window in automatic.windows if window.slice not in edited]
    skipped = [item for item in automatic.skipped if item.slice not in edited]
    for k in edited:
        now, then = _drawn(labels[k], k), [window for window in automatic.windows if window.slice == k]
        for side in LEG_SIDES:
            as_found, mask = (leg[k] == LABEL_OF_SIDE[side] for leg in (automatic.labels, labels))
            windows += (
                [window for window in automatic.windows if (window.slice, window.side) == (k, side)]
                if np.array_equal(mask, as_found)
                else _of_side(mask, k, side)
            )
        if not now:
            skipped.append(Skipped(k, None, LEFT_OUT))
            continue
        before, drawn = ({window.side for window in legs} for legs in (then, now))
        if len(now) < len(then):  # else a leg that is not there any more was given another side
            skipped += [Skipped(k, side, LEFT_OUT) for side in LEG_SIDES if side in before - drawn]
        skipped += [item for item in automatic.skipped if item.slice == k and item.side in set(Side) - drawn]
    shown = {window.slice for window in windows}
    return Regions(
        labels,
        tuple(sorted(windows, key=lambda window: window.slice)),
        tuple(sorted(skipped, key=lambda item: item.slice)),
        tuple(k for k in automatic.touching if k not in edited),
        tuple(k for k in automatic.cut_by_border if k in shown),
        automatic.warnings if any(window.side is Side.UNKNOWN for window in windows) else (),
    )


def _drawn(plane: np.ndarray, k: int) -> list[Window]:
    """The legs in slice k, whose labels are `plane`."""
    return [window for side in LEG_SIDES for window in _of_side(plane == LABEL_OF_SIDE[side], k, side)]


def _of_side(mask: np.ndarray, k: int, side: Side) -> list[Window]:
    """The windows of what is drawn as one side in slice k: one, but one for each part where the side is unknown, as
    both legs may be."""
    masks = [mask]
    if side is Side.UNKNOWN:
        parts, count = ndimage.label(mask, TOUCHING[1])
        masks = [parts == number for number in range(1, count + 1)]
    found = (window_around(k, side, part, "edited") for part in masks)
    return [window for window in found if window is not None]


def corrected_leg_volumes(automatic: Regions, labels: np.ndarray) -> Regions:
    """As `corrected_legs`, but all windows of a leg are edited where any of it is: as one volume it is another one
    without a slice, too."""
    regions = corrected_legs(automatic, labels)
    edited = {
        side
        for side, label in LABEL_OF_SIDE.items()
        if not np.array_equal(regions.labels == label, automatic.labels == label)
    }
    windows = (
        dataclasses.replace(window, source="edited") if window.side in edited else window for window in regions.windows
    )
    return dataclasses.replace(regions, windows=tuple(windows))
