"""Frames of a beating heart: end-diastole and end-systole of a cine, as a user picks them or by the heart's cavity.

Germain et al., Diagnostics 2021;11:1554, whose readers picked the frames by eye.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import InputError
from ..models.recipe import SampleRecipe
from .series import Series

_CAVITY: dict[str | None, str] = {"diastole": "largest", "systole": "smallest"}


def picked(cine: Sequence[Series], sample: SampleRecipe, frames: Mapping[str, int]) -> Series:
    """The channels of a recipe, each a frame of a cine; see `read_input`.

    Raises:
        InputError: there is no such frame, or one frame is two channels.
    """
    automatic = automatic_frames(cine, sample)
    numbers, told = [], []
    for channel in sample.channels:
        number = frames.get(channel.name, automatic[channel.name])
        if not 0 <= number < len(cine):
            raise InputError(f"The cine has no frame {number}; give one from 0 to {len(cine) - 1} for {channel.name}.")
        numbers.append(number)
        why = "as asked" if channel.name in frames else f"with the {_CAVITY[channel.frame]} cavity"
        told.append(f"{channel.name} is frame {number} of {len(cine)} (from 0), {why}.")
    if len(set(numbers)) < len(numbers):
        raise InputError(f"Frame {numbers[0]} cannot be two inputs; give another one for one of them.")
    first = cine[numbers[0]]
    return dataclasses.replace(
        first,
        selection=" ".join((first.selection, *told)),
        notes=(*first.notes, f"Pictures show {sample.channels[0].name}, frame {numbers[0]} of {len(cine)} (from 0)."),
        further={name: cine[number].voxels for name, number in zip(sample.further, numbers[1:], strict=True)},
    )


def automatic_frames(cine: Sequence[Series], sample: SampleRecipe) -> dict[str, int]:
    """Number, from 0, of the frame that each channel of a recipe is, by `cavity_voxels`."""
    areas = cavity_voxels(cine, sample)
    number = {"largest": int(areas.argmax()), "smallest": int(areas.argmin())}
    return {channel.name: number[_CAVITY[channel.frame]] for channel in sample.channels}


def cavity_voxels(cine: Sequence[Series], sample: SampleRecipe) -> np.ndarray:
    """(frames,) voxels that are as bright as blood within the windows of a recipe.

    Blood is what lies above one Otsu threshold for all frames. Fat is as bright, but does not change from frame to
    frame as the cavities do.
    """
    import SimpleITK as sitk

    box = (list(cine[0].present_slices), *cine[0].square(sample.extent_mm))
    within = np.stack([frame.voxels[box].ravel() for frame in cine])
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(within))
    return np.count_nonzero(within > otsu.GetThreshold(), axis=1)
