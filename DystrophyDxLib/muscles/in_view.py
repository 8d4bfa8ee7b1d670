"""Which muscles of a leg are in view, and which only by a sliver or a few wrong voxels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ..results import MuscleFat

LEAST_SHARE = 0.01
"""Share of all muscle of a leg up to which a muscle of it counts as hardly or not in view."""


def in_view(muscles: Sequence[MuscleFat]) -> list[MuscleFat]:
    """Those of which more is in view, in their order; each is held against the muscles of its own leg."""
    ml_of_leg: dict[str, float] = defaultdict(float)
    for muscle in muscles:
        ml_of_leg[muscle.side] += muscle.volume_ml
    return [muscle for muscle in muscles if muscle.volume_ml > LEAST_SHARE * ml_of_leg[muscle.side]]
