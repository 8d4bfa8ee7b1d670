"""Registered series of the same legs as further channels of one series."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from ..errors import InputError
from .series import Series

_SAME_PLACE_MM = 0.5
"""Distance of two channels' voxels up to which they are taken to be at one place: half a fine pixel."""


def with_channels(series: Series, further: Mapping[str, Series]) -> Series:
    """The series with registered series of the same legs as further channels.

    Args:
        further: by the channels' names.

    Raises:
        InputError: a further series lies on another grid, or is the first one once more.

    >>> from .series import Geometry
    >>> grid = Geometry((0.0, 0.0, 0.0), (1.5, 1.5, 6.0), np.eye(3))
    >>> fat, water = (Series(np.full((2, 16, 16), signal), grid) for signal in (9, 4))
    >>> list(with_channels(fat, {"DIXON_WATER": water}).further)
    ['DIXON_WATER']
    """
    for name, other in further.items():
        if apart := why_apart(series, other):
            raise InputError(f"The channel {name} {apart}; register it to the first and resample it on its grid.")
        if np.array_equal(series.voxels, other.voxels):
            raise InputError(f"The channel {name} is the first channel's series once more; give the other one.")
    for name, other in further.items():
        for warning in other.warnings:
            series = series.warned(warning.code, f"Channel {name}: {warning.message}")
    return dataclasses.replace(series, further={name: other.voxels for name, other in further.items()})


def why_apart(series: Series, other: Series) -> str | None:
    """How the grid of another series differs from that of the first channel; None where it does not."""
    ours, theirs = series.voxels.shape, other.voxels.shape
    if ours != theirs:
        return (
            f"has {theirs[2]} × {theirs[1]} × {theirs[0]} voxels and the first channel "
            f"{ours[2]} × {ours[1]} × {ours[0]}"
        )
    corners = np.array([[i, j, k, 1] for i in (0, ours[2]) for j in (0, ours[1]) for k in (0, ours[0])]).T
    apart = np.linalg.norm((series.geometry.ijk_to_lps - other.geometry.ijk_to_lps)[:3] @ corners, axis=0).max()
    return f"lies up to {apart:.0f} mm away from the first channel" if apart > _SAME_PLACE_MM else None
