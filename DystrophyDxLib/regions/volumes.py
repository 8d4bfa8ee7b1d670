"""One window for a region in all its slices, for networks that see volumes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..series.series import Series
from .legs import LABEL_OF_SIDE, LegRegions, Side, Window

LEAST_SLICES = 4
"""Slices from which a region is a volume."""


@dataclass(frozen=True)
class VolumeWindow:
    """The box around one leg, or another region, in all slices that show it.

    Attributes:
        side: the patient's side.
        k, j, i: half-open ranges of slices, rows and columns.
        mask: (k1 - k0, j1 - j0, i1 - i0) bool, True inside the region.
        source: "edited" where a person drew or corrected any slice of it, else "auto".
    """

    side: Side
    k: tuple[int, int]
    j: tuple[int, int]
    i: tuple[int, int]
    mask: np.ndarray
    source: Literal["auto", "edited"] = "auto"

    @property
    def slice(self) -> int:
        """The middle slice, by which a view is moved to the region."""
        return sum(self.k) // 2

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Index of the box in (z, y, x) voxels."""
        return slice(*self.k), slice(*self.j), slice(*self.i)


def find_volume(series: Series) -> LegRegions:
    """The region of maps that are zero outside it: all voxels of the first channel that are not.

    Raises:
        InputError: there are none.
    """
    if not series.voxels.any():
        raise InputError("The map of the first channel is zero everywhere; give one that holds something.")
    return volume_from_labels(series.voxels != 0, "auto")


def volume_from_labels(labels: np.ndarray, source: Literal["auto", "edited"] = "edited") -> LegRegions:
    """One region of all voxels with a label.

    Args:
        labels: (z, y, x), 0 outside.
    """
    region = labels != 0
    [(_, rows, columns)] = ndimage.find_objects(region.astype(np.uint8)) or [(None, slice(0, 0), slice(0, 0))]
    windows = [
        Window(k, Side.NONE, (columns.start, columns.stop), (rows.start, rows.stop), plane[rows, columns], source)
        for k, plane in enumerate(region)
        if plane.any()
    ]
    return LegRegions(np.where(region, np.uint8(LABEL_OF_SIDE[Side.NONE]), np.uint8(0)), tuple(windows))


def corrected_volume(automatic: LegRegions, labels: np.ndarray) -> LegRegions:
    """The region after a person corrected the automatic one, (z, y, x) on its grid."""
    return automatic if np.array_equal(labels, automatic.labels) else volume_from_labels(labels)


def whole(regions: LegRegions) -> LegRegions:
    """The same regions with one `VolumeWindow` a side in the place of the windows of its slices.

    Raises:
        InputError: a region is seen in fewer than `LEAST_SLICES` slices.
    """
    volumes = []
    for side, value in LABEL_OF_SIDE.items():
        own = [window for window in regions.windows if window.side is side]
        if not own:
            continue
        k, j, i = (
            (min(start for start, _ in ranges), max(stop for _, stop in ranges))
            for ranges in (
                [(window.slice, window.slice + 1) for window in own],
                [window.j for window in own],
                [window.i for window in own],
            )
        )
        if k[1] - k[0] < LEAST_SLICES:
            raise InputError(
                f"The model sees whole volumes of at least {LEAST_SLICES} slices, and the region is seen in "
                f"{k[1] - k[0]}; give the whole 3D series."
            )
        mask = regions.labels[slice(*k), slice(*j), slice(*i)] == value
        source = "edited" if any(window.source == "edited" for window in own) else "auto"
        volumes.append(VolumeWindow(side, k, j, i, mask, source))
    return dataclasses.replace(regions, windows=tuple(volumes))
