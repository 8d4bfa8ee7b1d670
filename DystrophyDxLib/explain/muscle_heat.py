"""Which muscles the model's evidence lies in: muscles of each side ranked by their share of the heat.

An image's score is the mean of its activation map, and heat is what of that map speaks for the told class: the shares
say how much of this evidence comes from each muscle.
"""

from __future__ import annotations

import numpy as np

from ..muscles.muscle_voxels import MuscleVoxels
from ..muscles.structures import MUSCLES
from ..regions.windows import LABEL_OF_SIDE
from ..results import MuscleHeat


def heat_of_muscles(voxels: MuscleVoxels, heat: np.ndarray, total: float) -> tuple[MuscleHeat, ...]:
    """The muscles of a map that are in view, in the order of their share of all heat in the legs.

    Args:
        voxels: of the map, within the legs.
        heat: (N,) float32 of each of them, 0 to 1, see `Classification.heatmap`.
        total: heat of all voxels of the legs.
    """
    counts, sums = voxels.counts.sum(axis=2), voxels.totals(heat)
    found = [
        MuscleHeat(
            side=side.value,
            muscle=MUSCLES[muscle],
            share=min(1.0, float(sums[value - 1, muscle]) / total) if total else 0.0,
            mean_heat=min(1.0, float(sums[value - 1, muscle] / counts[value - 1, muscle])),
        )
        for side, value in LABEL_OF_SIDE.items()
        for muscle in np.flatnonzero(counts[value - 1]).tolist()
    ]
    return tuple(sorted(found, key=lambda row: (-row.share, row.muscle, row.side)))
