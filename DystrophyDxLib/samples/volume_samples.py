"""A region in all its slices becomes one volume, the input of 3D networks, that remembers where its voxels lie.

A volume holds the slices from the feet to the head, each in the canonical plane (`PlaneOrientation`). In the plane
it is true to scale; along the body the slices that show the region fill the recipe's `depth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InputError
from ..models.recipe import SampleRecipe
from ..regions.windows import VolumeWindow, Window
from ..series.plane_orientation import PlaneOrientation
from ..series.series import Series
from .placement import Placement, place_window, resampling_weights
from .slice_samples import BRIGHTEST, LegBatch, SampleBatch, check_fraction, make_samples

MEAN_LEVEL = BRIGHTEST / 2
STANDARD_DEVIATION = BRIGHTEST / 6
"""Levels of the mean and of a standard deviation of `standardised` maps: three of these to either side are seen."""


@dataclass(frozen=True)
class LegVolumeBatch(SampleBatch):
    """Network input of some legs, each as a volume.

    Attributes:
        legs: of each leg its slices from the feet up, on which its quality is judged.
    """

    legs: tuple[LegBatch, ...]


def make_leg_volumes(series: Series, windows: Sequence[VolumeWindow], recipe: SampleRecipe) -> LegVolumeBatch:
    """Samples of legs as volumes, (N, channels, depth, size, size). Each slice has the greys of
    `slice_samples.make_samples`.

    Raises:
        InputError: a channel that is to be a fraction is none.
    """
    placements = tuple(place_window(series.geometry, window.mask, recipe) for window in windows)
    legs = tuple(_slices(series, window, recipe) for window in windows)
    pixels = np.stack([_along_depth(batch.pixels.numpy(), recipe.shape[1]) for batch in legs])
    return LegVolumeBatch(tuple(windows), placements, torch.from_numpy(pixels), legs)


def make_map_volumes(series: Series, windows: Sequence[VolumeWindow], recipe: SampleRecipe) -> SampleBatch:
    """Samples of maps, (N, channels, depth, size, size), in the greys of their channels' scales.

    Raises:
        InputError: a channel that is to be a fraction is none, or the slices are not axial.
    """
    if not series.geometry.is_axial:
        raise InputError("The slices of the maps are not axial; resample them to the axial grid of the others.")
    placements = tuple(place_window(series.geometry, window.mask, recipe) for window in windows)
    pixels = [_maps(series, *pair, recipe) for pair in zip(windows, placements, strict=True)]
    return SampleBatch(tuple(windows), placements, torch.from_numpy(np.stack(pixels)))


def standardised(volume: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A map about its mean over the voxels inside that are not zero, in standard deviations of these: the mean is seen
    as `MEAN_LEVEL`, a deviation as `STANDARD_DEVIATION`, beyond three of them as three. Elsewhere it is 0.

    Scanners whose maps differ in offset and scale so give the same.
    """
    inside = inside & (volume != 0)
    values = volume[inside].astype(np.float64)
    if not len(values):
        return np.zeros_like(volume)
    scores = (volume - values.mean()) / max(values.std(), np.finfo(np.float32).tiny)
    return np.where(inside, (MEAN_LEVEL + STANDARD_DEVIATION * scores).clip(0, BRIGHTEST), 0).astype(np.float32)


def _slices(series: Series, window: VolumeWindow, recipe: SampleRecipe) -> LegBatch:
    """The slices of a leg from the feet up, all cut from the one box, so that they lie over each other."""
    plane = PlaneOrientation.of(series.geometry)
    numbers = range(len(window.mask))[:: -1 if plane.flip_slices else 1]
    windows = [
        Window(window.slices[0] + n, window.side, window.i, window.j, window.mask[n], window.source) for n in numbers
    ]
    return make_samples(series, windows, recipe.size, recipe.channels[1:])


def _along_depth(slices: np.ndarray, depth: int) -> np.ndarray:
    """(C, depth, size, size) of slices (n, C, size, size)."""
    weights = resampling_weights(depth / len(slices), len(slices))
    return (weights @ slices.reshape(len(slices), -1)).reshape(depth, *slices.shape[1:]).swapaxes(0, 1)


def _maps(series: Series, window: VolumeWindow, placement: Placement, recipe: SampleRecipe) -> np.ndarray:
    """(C, depth, size, size) maps of a window."""
    plane = PlaneOrientation.of(series.geometry)
    mask = plane.volume(window.mask)
    sample = np.zeros(recipe.shape, np.float32)
    weights = [resampling_weights(*pair) for pair in zip(placement.scale, placement.shape, strict=True)]
    target = tuple(slice(o, o + part.shape[0]) for o, part in zip(placement.origin, weights, strict=True))
    for channel, levels in zip(recipe.channels, sample, strict=True):
        voxels = series.further.get(channel.name, series.voxels)
        values = plane.volume(voxels[window.box])
        if channel.scale == "standard":
            values = standardised(values, mask)
        else:
            check_fraction(channel.name, values)
        for axis, part in enumerate(weights):
            lines = np.moveaxis(values * mask if axis == 0 else values, axis, 0)
            scaled = (part @ lines.reshape(len(lines), -1)).reshape(-1, *lines.shape[1:])
            values = np.moveaxis(scaled, 0, axis)
        levels[target] = values
    return sample
