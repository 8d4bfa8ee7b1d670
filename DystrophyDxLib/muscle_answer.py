"""What the muscle map of a classification tells: fat, grade and heat of each muscle, and signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .explain.muscle_heat import heat_of_muscles
from .explain.texture_score import UNDER_HEAT
from .muscles.fat_of_series import NO_GREY, NO_MUSCLES
from .muscles.fat_reference import FatUnderSkin
from .muscles.infiltration import FatScale, fat_of_muscles, scale_of
from .muscles.muscle_map import MapSource, MuscleMap
from .muscles.muscle_voxels import MuscleVoxels
from .muscles.rims import rim_fat
from .muscles.signs import RIMMED, signs_of
from .muscles.structures import label_of
from .results import UNSUITABLE, FatSource, StudyResult, WarningCode
from .series.series import Series

_UNLIKE = (
    WarningCode.MUSCLES_UNLIKE,
    "The given muscles are hardly those of these images: do not use their fat, grades and volumes.",
)
_MASS = (
    WarningCode.MASS_POSSIBLE,
    "A mass may be counted as muscle: do not use fat, grades and volumes of the muscles.",
)
DOUBTS: dict[MapSource, tuple[WarningCode, str]] = {"auto": _MASS, "edited": _UNLIKE, "given": _UNLIKE}
"""By `MuscleMap.source`, the warning with which the map may show no muscles of the patient, and what is said then. A
map that a person corrected or drew has no mass in it, nor is one looked for in a given one."""


class Measured(NamedTuple):
    """Where the fat of muscles was measured: the muscles, and the fat that grey is compared with, if it is."""

    voxels: MuscleVoxels
    fat: FatUnderSkin | None


def with_muscles(
    result: StudyResult,
    series: Series,
    channels: Mapping[str, np.ndarray],
    muscles: MuscleMap,
    legs: np.ndarray,
    heatmap: np.ndarray,
    most: float,
    before: Measured | None,
) -> tuple[StudyResult, Measured]:
    """A result that tells volume, fat, grade and heat of each muscle, and the signs that follow.

    Args:
        channels: all of the series by name, (z, y, x) each.
        legs: (z, y, x) bool.
        heatmap: (z, y, x) float32, 0 to `most`.
        before: of the same voxels; slices that are the same are taken over.
    """
    spacing, (voxels_before, fat_before) = series.geometry.spacing, before or (None, None)
    voxels = MuscleVoxels.of(muscles.labels, muscles.sides, min(spacing[:2]), voxels_before)
    scale = scale_of(series, channels, muscles.labels, voxels, legs, fat_before)
    measured = Measured(voxels, scale.fat if isinstance(scale, FatScale) else None)
    given = {warning.code for warning in result.warnings}
    if isinstance(scale, FatScale):
        unlike = next((UNSUITABLE[code] for code in NO_GREY if code in given), None)
        scale = scale.trusted(by_network=muscles.source == "auto", unlike=unlike)
    heat = heatmap.ravel()[voxels.index]
    fat = fat_of_muscles(voxels, heat / np.float32(most) >= UNDER_HEAT, spacing, scale)
    others = tuple(muscle for muscle in result.muscles if label_of(muscle.muscle) is None)
    doubtful, doubt = DOUBTS[muscles.source]
    source = FatSource(
        source=scale.source if isinstance(scale, FatScale) else None,
        note=scale.note if isinstance(scale, FatScale) else scale.why,
        map=muscles.told,
        doubt=doubt if doubtful in given else "",
    )
    rims = rim_fat([row for row in fat if row.muscle in RIMMED], voxels, spacing, scale)
    added = {
        "muscles": (*fat, *others),
        "fat": source if fat else FatSource(source=None, note=NO_MUSCLES),
        "muscle_heat": heat_of_muscles(voxels, heat, float(heatmap.sum(dtype=np.float64))),
        "signs": signs_of(fat, rims, source),
    }
    return result.model_copy(update=added), measured
