"""A region in all its slices becomes one volume, the input of 3D networks, that remembers where its voxels lie.

A volume holds the slices from the feet to the head, each in the canonical plane (`roi.PlaneOrientation`). In the plane
it is true to scale; along the body the slices that show the region fill the recipe's `depth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InputError
from ..models.recipe import SampleRecipe
from ..regions.legs import PlaneOrientation, Window, is_axial
from ..regions.volumes import VolumeWindow
from ..series.series import Geometry, Series
from .slice_samples import (
    BRIGHTEST,
    LegBatch,
    Placement,
    SampleBatch,
    check_fraction,
    make_samples,
    place,
    resampling_weights,
    samples_as,
)

MEAN_LEVEL = BRIGHTEST / 2
STANDARD_DEVIATION = BRIGHTEST / 6
"""Levels of the mean and of a standard deviation of `standardised` maps: three of these to either side are seen."""


@dataclass(frozen=True)
class VolumeBatch(SampleBatch):
    """Network input of some volumes; `pixels` is (N, channels, depth, size, size).

    Attributes:
        legs: of each volume its slices from the feet up, on which its quality is judged; empty where it is no leg.
    """

    legs: tuple[LegBatch, ...]


def sampled(series: Series, windows: Sequence[Window] | Sequence[VolumeWindow], recipe: SampleRecipe) -> SampleBatch:
    """Samples of windows as the recipe's network sees them (`regions.as_seen`), all at once.

    Raises:
        InputError: as `samples.make_samples` and `make_volumes`.
    """
    return samples_as(recipe, series, windows) if recipe.depth is None else make_volumes(series, windows, recipe)


def make_volumes(series: Series, windows: Sequence[VolumeWindow], recipe: SampleRecipe) -> VolumeBatch:
    """Samples of volumes. Each slice of a leg has the greys of `samples.make_samples`; maps have those of their scale.

    Raises:
        InputError: a channel that is to be a fraction is none, or maps are not axial.
    """
    of_legs = recipe.region.kind == "legs"
    if not of_legs and not is_axial(series.geometry):
        raise InputError("The slices of the maps are not axial; resample them to the axial grid of the others.")
    placements = tuple(place_volume(series.geometry, window, recipe.size, recipe.depth) for window in windows)
    legs = tuple(_slices(series, window, recipe) for window in windows) if of_legs else ()
    volumes = (
        [_along_depth(batch.pixels.numpy(), recipe.depth) for batch in legs]
        if of_legs
        else [_maps(series, *pair, recipe) for pair in zip(windows, placements, strict=True)]
    )
    return VolumeBatch(tuple(windows), placements, torch.from_numpy(np.stack(volumes)), legs)


def place_volume(geometry: Geometry, window: VolumeWindow, size: int, depth: int) -> Placement:
    """Where a window lies in its sample: along slices from the feet up, rows and columns."""
    plane = PlaneOrientation.of(geometry)
    spacing = geometry.spacing[:2] if plane.transposed else geometry.spacing[1::-1]
    slices, *shape = plane.volume(window.mask).shape
    flat = place(tuple(shape), spacing, size)
    return Placement((slices, *flat.shape), (depth / slices, *flat.scale), (0, *flat.origin))


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
    windows = [Window(window.k[0] + n, window.side, window.i, window.j, window.mask[n], window.source) for n in numbers]
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
