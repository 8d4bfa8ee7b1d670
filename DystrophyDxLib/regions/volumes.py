"""One window for a region in all its slices, for networks that see volumes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..series.series import Series
from .windows import LABEL_OF_SIDE, Regions, Side, Source, VolumeWindow, Window

LEAST_SLICES = 4
"""Slices from which a region is a volume."""


def find_volume(series: Series) -> Regions:
    """The region of maps that are zero outside it: all voxels of the first channel that are not.

    Raises:
        InputError: there are none.
    """
    if not series.voxels.any():
        raise InputError("The map of the first channel is zero everywhere; give one that holds something.")
    return volume_from_labels(series.voxels != 0, "auto")


def volume_from_labels(labels: np.ndarray, source: Source = "edited") -> Regions:
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
    return Regions(np.where(region, np.uint8(LABEL_OF_SIDE[Side.NONE]), np.uint8(0)), tuple(windows))


def corrected_volume(automatic: Regions, labels: np.ndarray) -> Regions:
    """The region after a person corrected the automatic one, (z, y, x) on its grid."""
    return automatic if np.array_equal(labels, automatic.labels) else volume_from_labels(labels)


def whole(regions: Regions) -> tuple[VolumeWindow, ...]:
    """One window a side in the place of those of its slices.

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
        source: Source = "edited" if any(window.source == "edited" for window in own) else "auto"
        volumes.append(VolumeWindow(side, k, j, i, mask, source))
    return tuple(volumes)
