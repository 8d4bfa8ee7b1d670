"""Leg windows: one rectangle and mask a slice and leg, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np


class Side(str, Enum):
    """The patient's side, from the direction cosines. UNKNOWN: one leg in view and nothing that says which."""

    LEFT = "left"
    RIGHT = "right"
    UNKNOWN = "unknown"


LABEL_OF_SIDE = {Side.LEFT: 1, Side.RIGHT: 2, Side.UNKNOWN: 3}


@dataclass(frozen=True)
class Window:
    """The rectangle around one leg in one slice.

    Attributes:
        slice: index k.
        side: the patient's side.
        i: half-open range (i0, i1) of columns.
        j: half-open range (j0, j1) of rows.
        mask: (j1 - j0, i1 - i0) bool, True inside this leg.
        source: "auto", or "edited" for a region that a person drew.
    """

    slice: int
    side: Side
    i: tuple[int, int]
    j: tuple[int, int]
    mask: np.ndarray
    source: Literal["auto", "edited"] = "auto"


@dataclass(frozen=True)
class Skipped:
    """A slice, or one leg of it, without a window, and why. `side` is None when the whole slice is meant."""

    slice: int
    side: Side | None
    reason: str


@dataclass(frozen=True)
class LegRegions:
    """All windows of a series.

    Attributes:
        labels: (z, y, x) uint8: 0 outside, else `LABEL_OF_SIDE`. Window masks are cut from it.
        windows: ordered by slice, then left before right.
        skipped: what has no window.
        touching: slices in which the legs touch and were separated by a cut.
        cut_by_border: slices in which a leg runs out of the image.
    """

    labels: np.ndarray
    windows: tuple[Window, ...]
    skipped: tuple[Skipped, ...] = ()
    touching: tuple[int, ...] = ()
    cut_by_border: tuple[int, ...] = ()
