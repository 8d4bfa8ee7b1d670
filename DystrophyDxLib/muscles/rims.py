"""Fat along the rim of a muscle and in its centre."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy import ndimage

from ..regions.windows import LABEL_OF_SIDE, Side
from ..results import MuscleFat
from .infiltration import FatScale, Undecided
from .muscle_voxels import MuscleVoxels
from .structures import MUSCLES

EDGE_MM = 3.0
"""Depth up to which a muscle's pixels are left out: fat between muscles, and where the map ends (our
choice on phantoms)."""
RIM, CENTRE = 0.6, 0.75
"""Depths, relative to the deepest point of a muscle in a slice, up to which its rim and from which its centre lies
(our choice on phantoms)."""
LEAST_DEPTH_MM = 6.0
"""Depth of the deepest point of a muscle in a slice from which it has a rim and a centre (our choice)."""
MOST_SLICES = 9
"""Slices, evenly spread over those that show the muscle, that are looked at: neighbours tell much the same."""
_LEAST_PIXELS = 40


def rim_fat(
    fat: Iterable[MuscleFat], voxels: MuscleVoxels, spacing: tuple[float, float, float], scale: FatScale | Undecided
) -> Mapping[tuple[str, str], np.ndarray]:
    """Fat of the rim and of the centre of muscles, by side and muscle: (2, 3) fraction, least and greatest of each.

    A muscle that is too thin, or whose fat cannot be told, is not among them.

    Args:
        fat: of the muscles that are asked for.
        voxels: of the muscle map.
        spacing: mm along i, j, k.
    """
    found: dict[tuple[str, str], np.ndarray] = {}
    for row in fat:
        if isinstance(scale, Undecided) or row.fat_fraction is None:
            continue
        side, muscle = LABEL_OF_SIDE[Side(row.side)] - 1, MUSCLES.index(row.muscle)
        chosen = np.unique(np.linspace(0, len(row.slices) - 1, MOST_SLICES).round().astype(int))
        own = (voxels.in_slice(side, muscle, row.slices[n].slice) for n in chosen)
        planes = [_parts(scale.signal[numbers], places, spacing) for numbers, places in own]
        rim, centre = (np.concatenate([np.zeros(0), *(plane[n] for plane in planes if plane)]) for n in (0, 1))
        if min(len(rim), len(centre)) >= _LEAST_PIXELS:
            means = np.array([rim.mean(), centre.mean()])
            found[row.side, row.muscle] = scale.fractions(means, means).T
    return found


def _parts(
    signal: np.ndarray, places: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Signals (n,) of the rim and of the centre of a muscle in a slice; None where it is too thin.

    Args:
        signal: (N,) of its pixels.
        places: rows and columns (N,) of them.
    """
    if not len(signal):
        return None
    places = tuple(place - place.min() + 1 for place in places)
    mask = np.zeros([place.max() + 2 for place in places], bool)
    mask[places] = True
    depth = ndimage.distance_transform_edt(mask, (spacing[1], spacing[0]))[places]
    deepest = depth.max()
    if deepest < LEAST_DEPTH_MM:
        return None
    return signal[(depth > EDGE_MM) & (depth <= RIM * deepest)], signal[depth >= CENTRE * deepest]
