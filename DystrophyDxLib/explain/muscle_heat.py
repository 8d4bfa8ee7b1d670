"""Which muscles the model's evidence lies in: muscles of each side ranked by their share of the heat.

An image's score is the mean of its activation map, and heat is what of that map speaks for the told class: the shares
say how much of this evidence comes from each muscle.
"""

from __future__ import annotations

import numpy as np

from ..muscles.structures import MUSCLES
from ..regions.windows import LABEL_OF_SIDE
from ..results import MuscleHeat

_SIDES = {label: side for side, label in LABEL_OF_SIDE.items()}


def heat_of_muscles(
    heatmap: np.ndarray, labels: np.ndarray, sides: np.ndarray, legs: np.ndarray
) -> tuple[MuscleHeat, ...]:
    """The muscles of a map that are in view, in the order of their share of all heat in the legs.

    Args:
        heatmap: (z, y, x) float32, 0 to 1, see `Classification.heatmap`.
        labels: (z, y, x) uint8 of a muscle map, see `muscles.structures`.
        sides: (z, y, x) uint8, `LABEL_OF_SIDE` of each voxel of it.
        legs: (z, y, x) bool, what was classified; nothing else of a muscle counts.
    """
    shape = (max(_SIDES) + 1, len(MUSCLES) + 1)
    own, heat = labels[legs], heatmap[legs]
    muscle = np.where(own <= len(MUSCLES), own, 0)
    group = sides[legs].astype(np.int64) * shape[1] + muscle
    voxels = np.bincount(group, minlength=shape[0] * shape[1]).reshape(shape)
    sums = np.bincount(group, heat, shape[0] * shape[1]).reshape(shape)
    total = float(sums.sum())
    found = [
        MuscleHeat(
            side=_SIDES[side].value,
            muscle=MUSCLES[label - 1],
            share=min(1.0, float(sums[side, label]) / total) if total else 0.0,
            mean_heat=min(1.0, float(sums[side, label] / voxels[side, label])),
        )
        for side, label in np.argwhere(voxels > 0).tolist()
        if label and side in _SIDES
    ]
    return tuple(sorted(found, key=lambda row: (-row.share, row.muscle, row.side)))
