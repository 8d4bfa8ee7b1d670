"""`Window`: what one sample is made of, in a slice or in all of them; `Regions`: all windows of a series."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np

from ..results import ResultWarning
from .masks import box_around

Source = Literal["auto", "edited"]
"""Whether a window was found, or a person drew or corrected it."""
Box = tuple[int | slice, slice, slice]
"""Index of a rectangle or a box in (z, y, x) voxels."""


class Side(str, Enum):
    """The patient's side, from the direction cosines. UNKNOWN: nothing says which side the leg is. NONE: no leg, but a
    region that has no side."""

    LEFT = "left"
    RIGHT = "right"
    UNKNOWN = "unknown"
    NONE = "none"


LABEL_OF_SIDE = {Side.LEFT: 1, Side.RIGHT: 2, Side.UNKNOWN: 3, Side.NONE: 4}
LEG_SIDES = (Side.LEFT, Side.RIGHT, Side.UNKNOWN)
SEGMENT_NAMES = {
    Side.LEFT: "Left leg",
    Side.RIGHT: "Right leg",
    Side.UNKNOWN: "Leg, side unknown",
    Side.NONE: "Region",
}
"""What the region of each side is called where a person draws it."""


@dataclass(frozen=True)
class Window:
    """The rectangle around one leg, or another region, in one slice.

    Attributes:
        slice: index k.
        side: the patient's side.
        i: half-open range (i0, i1) of columns.
        j: half-open range (j0, j1) of rows.
        mask: (j1 - j0, i1 - i0) bool, True inside this leg; everywhere in other regions.
        source: "auto", or "edited" for a region that a person drew.
    """

    slice: int
    side: Side
    i: tuple[int, int]
    j: tuple[int, int]
    mask: np.ndarray
    source: Source = "auto"

    @property
    def slices(self) -> None:
        """Half-open range of the slices of a volume; a window of one slice is none."""
        return None

    @property
    def box(self) -> Box:
        return self.slice, slice(*self.j), slice(*self.i)


@dataclass(frozen=True)
class VolumeWindow:
    """The box around one leg, or another region, in all slices that show it.

    Attributes:
        side: the patient's side.
        slices, j, i: half-open ranges of slices, rows and columns.
        mask: (slices, j1 - j0, i1 - i0) bool, True inside the region.
        source: "edited" where a person drew or corrected any slice of it, else "auto".
    """

    side: Side
    slices: tuple[int, int]
    j: tuple[int, int]
    i: tuple[int, int]
    mask: np.ndarray
    source: Source = "auto"

    @property
    def slice(self) -> int:
        """The middle slice, by which a view is moved to the region."""
        return sum(self.slices) // 2

    @property
    def box(self) -> Box:
        return slice(*self.slices), slice(*self.j), slice(*self.i)


AnyWindow = Window | VolumeWindow


LEFT_OUT = "left out by the reader"
"""Why there is no window where there was one before a correction."""
NOT_DRAWN = "no leg in the given region"
"""Why there is no window in a slice where a person drew the legs of others."""


@dataclass(frozen=True)
class Skipped:
    """A slice, or one leg of it, without a window, and why. `side` is None when the whole slice is meant."""

    slice: int
    side: Side | None
    reason: str


@dataclass(frozen=True)
class Regions:
    """All windows of a series.

    Attributes:
        labels: (z, y, x) uint8: 0 outside, else `LABEL_OF_SIDE`.
        windows: ordered by slice, then left before right.
        skipped: what has no window, ordered by slice.
        touching: slices in which the legs touch and were separated by a cut.
        cut_by_border: slices in which a leg runs out of the image.
        warnings: what was found with the windows and may change what an answer means.
    """

    labels: np.ndarray
    windows: tuple[Window, ...]
    skipped: tuple[Skipped, ...] = ()
    touching: tuple[int, ...] = ()
    cut_by_border: tuple[int, ...] = ()
    warnings: tuple[ResultWarning, ...] = ()


def window_around(
    k: int,
    side: Side,
    mask: np.ndarray,
    source: Source,
    box: tuple[slice, slice] = (slice(0, None), slice(0, None)),
) -> Window | None:
    """Minimal window around `mask` (j, i), which covers `box` of the slice; None when it is empty."""
    tight = box_around(mask)
    if tight is None:
        return None
    j, i = ((part.start + whole.start, part.stop + whole.start) for part, whole in zip(tight, box, strict=True))
    return Window(k, side, i, j, mask[tight].copy(), source)
