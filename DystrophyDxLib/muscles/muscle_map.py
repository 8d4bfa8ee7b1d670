"""`MuscleMap`: which muscle each voxel of the thighs belongs to; `mapper` finds it."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from ..errors import InputError
from ..regions.windows import LABEL_OF_SIDE, Regions, Side, Window
from ..results import ResultWarning
from ..samples.image_quality import ImageQuality
from .structures import STRUCTURES

MapSource = Literal["auto", "edited", "given"]
"""Whether a map was found, a person drew or corrected it here, or it was given, whoever or whatever made it."""
OWNERS: dict[MapSource, str] = {
    "edited": "Drawn or corrected by a person",
    "given": "Given by the user; its origin is not known",
}
"""Whose a map is that was not found."""
TOLD = {source: f"Map of the muscles: {words}." for source, words in OWNERS.items()}
"""The same as a sentence."""


@dataclass(frozen=True)
class LegMap:
    """What the network says of one leg in one slice.

    Attributes:
        window: the leg.
        labels: as `window.mask`, uint8 labels of `STRUCTURES`; 0 outside the leg, and everywhere if it is not mapped.
        mapped: whether muscles and a femur are found with enough certainty.
        as_left: whether the map is that of a left leg.
        either: mean log probability of the map where the leg is taken for a left one, and for a right one.
        quality: what the leg shows by the map.
        undivided_mm: see `masses.undivided_mm`.
    """

    window: Window
    labels: np.ndarray
    mapped: bool
    as_left: bool
    either: tuple[float, float]
    quality: ImageQuality
    undivided_mm: float


@dataclass(frozen=True)
class MuscleMap:
    """The muscles of a series. Arrays are (z, y, x) as the series.

    Attributes:
        labels: uint8, 0 or 1 + index in `STRUCTURES`.
        sides: uint8, `LABEL_OF_SIDE` of the leg of each voxel with a label; 0 elsewhere.
        source: see `MapSource`.
        legs: of each window; none of a map that was not found.
        warnings: on the sides, and on what may be no muscle.
        told: whose map it is, in a sentence.
    """

    labels: np.ndarray
    sides: np.ndarray
    source: MapSource = "auto"
    legs: tuple[LegMap, ...] = ()
    warnings: tuple[ResultWarning, ...] = ()
    told: str = ""

    @classmethod
    def drawn(cls, labels: np.ndarray, regions: Regions, source: Literal["edited", "given"] = "edited") -> MuscleMap:
        """A map that was not found, each voxel on the side of the leg that it lies in.

        Args:
            labels: uint8, labels of `STRUCTURES`.
            source: see `MapSource`.

        Raises:
            InputError: it lies on another grid, or nothing of it in a leg.
        """
        if labels.shape != regions.labels.shape:
            raise InputError("The muscle map lies on another grid than the MRI; draw it on this series.")
        inside = np.where(regions.labels > 0, labels, 0).astype(np.uint8)
        if not inside.any():
            raise InputError("The muscle map holds no muscle within the legs; draw it on this series.")
        return cls(inside, np.where(inside > 0, regions.labels, 0).astype(np.uint8), source, told=TOLD[source])

    def of_source(self, source: MapSource) -> MuscleMap:
        """The same map as one of another source."""
        return replace(self, source=source, told=TOLD.get(source, ""))

    @cached_property
    def shown(self) -> tuple[tuple[Side, int], ...]:
        """Side and label of all that is there, left before right."""
        step = len(STRUCTURES) + 1
        codes = self.sides * np.uint8(step) + self.labels
        found = np.bincount(codes[codes > 0])
        sides = {value: side for side, value in LABEL_OF_SIDE.items()}
        return tuple((sides[int(code) // step], int(code) % step) for code in np.flatnonzero(found) if code % step)

    def mask(self, side: Side, label: int) -> np.ndarray:
        """(z, y, x) bool: the voxels of a structure of a side."""
        return (self.labels == label) & (self.sides == LABEL_OF_SIDE[side])


def segment_name(side: Side, label: int) -> str:
    """Name of a structure of a side.

    >>> segment_name(Side.LEFT, 1), segment_name(Side.UNKNOWN, 14)
    ('Left sartorius', 'Femur, side unknown')
    """
    name = STRUCTURES[label - 1]
    return f"{name.capitalize()}, side unknown" if side is Side.UNKNOWN else f"{side.value.capitalize()} {name}"


def colour(label: int) -> tuple[float, float, float]:
    """Red, green and blue, 0 to 1, of a structure, the same on both sides; neighbours in the list lie far apart on the
    colour circle."""
    return colorsys.hsv_to_rgb(label * 0.381966 % 1, 0.45 + 0.25 * (label % 2), 0.95)
