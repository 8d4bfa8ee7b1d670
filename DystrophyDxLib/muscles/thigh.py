"""Whether a leg is a thigh, and how its fat shines beside muscle, by its muscle map.

The map finds the femur where a search for round marrow (`samples.quality`) misses it: beside the image border, in
coarse pixels, in images of fat alone, beside a mass. In lower legs, hips and knees the network finds no femur that
looks like one, or tells no side.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..regions.masks import box_around
from ..samples.image_quality import ImageQuality
from ..samples.quality import CENTRAL
from .structures import FEMUR, MUSCLES, SUBCUTANEOUS_FAT

FEMUR_CM2 = (1.5, 11.0)
"""Area of the shaft with its cortex: a child's and a tall man's."""
REST = 0.3
"""Area of all else that is called femur, in cm², at most: two bones are a lower leg."""
ROUND = 0.83
"""Area of the femur relative to the ellipse in its bounding box, at least."""
LONGEST = 1.45
"""Length of that box relative to its breadth, at most."""
SURE = 0.8
"""Mean probability of the femur, at least."""
LIKELY = -0.6
"""Mean log probability of the map of the whole leg, at least."""
ONE_SIDED = 0.8
"""Mean log probability by which the map of the likelier side leads over the other one's, at least."""
LEAST_PIXELS = 30
"""Pixels of muscle and of fat from which their signals are compared."""


def quality_by_map(
    image: np.ndarray,
    inside: np.ndarray,
    labels: np.ndarray,
    femur: np.ndarray,
    either: tuple[float, float],
    pixel_mm: float,
    at_border: bool,
) -> ImageQuality:
    """What a leg shows by its muscle map. The limits are our choice, made on phantoms and healthy volunteers' images.

    Args:
        image: (size, size) float32 sample, see `samples.slice_samples`.
        inside: the same shape, bool: the leg.
        labels: uint8 of `STRUCTURES`, the likeliest of each pixel.
        femur: float, probability of it.
        either: see `LegMap.either`.
        pixel_mm: edge of a pixel of the sample.
        at_border: whether the leg meets the border of the image, so that its depth below the skin cannot be told.
    """
    likely = max(either) >= LIKELY and abs(either[0] - either[1]) >= ONE_SIDED
    shaft = likely and _is_shaft((labels == FEMUR) & inside, femur, inside, pixel_mm, at_border)
    muscle, fat = (
        image[part & inside] for part in ((labels > 0) & (labels <= len(MUSCLES)), labels == SUBCUTANEOUS_FAT)
    )
    if min(len(muscle), len(fat)) < LEAST_PIXELS:
        return ImageQuality(shaft, 0.0, 0.0)
    level = float(np.median(fat))
    dark, bright = (max(float(np.percentile(*of)), 1e-3) for of in ((muscle, 50), (image[inside], 90)))
    return ImageQuality(shaft, level / dark, level / bright)


def _is_shaft(found: np.ndarray, femur: np.ndarray, inside: np.ndarray, pixel_mm: float, at_border: bool) -> bool:
    """Whether what is called femur looks like the shaft of one: one round bone, deep in the leg."""
    box = box_around(found)
    if box is None:
        return False
    parts, _ = ndimage.label(found[box])
    cm2 = np.bincount(parts.ravel())[1:] * (pixel_mm**2 / 100)
    largest = int(cm2.argmax())
    bone = parts == largest + 1
    rows, columns = (part.stop - part.start for part in ndimage.find_objects(parts)[largest])
    if not (
        FEMUR_CM2[0] <= cm2[largest] <= FEMUR_CM2[1]
        and cm2.sum() - cm2[largest] <= REST
        and np.count_nonzero(bone) >= ROUND * np.pi / 4 * rows * columns
        and max(rows, columns) <= LONGEST * min(rows, columns)
        and femur[box][bone].mean() >= SURE
    ):
        return False
    if at_border:
        return True
    centre = (np.argwhere(bone) + [part.start for part in box]).mean(axis=0).round()
    rows, columns = ((np.arange(-1, size + 1) - middle) ** 2 for size, middle in zip(inside.shape, centre, strict=True))
    depth = np.sqrt((rows[:, None] + columns)[~np.pad(inside, 1)].min())
    return bool(depth >= CENTRAL * np.sqrt(np.count_nonzero(inside) / np.pi))
