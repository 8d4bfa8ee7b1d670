"""The chart of a leg's muscles, of the map that is in a scene."""

from __future__ import annotations

from ..regions.windows import Regions
from ..reporting.leg_chart import LegChart
from ..results import StudyResult
from .classification import SceneClassification
from .drawn_region import drawn_region
from .muscle_nodes import muscles_of
from .volumes import geometry_in_world


def leg_chart(classification: SceneClassification, result: StudyResult) -> LegChart | None:
    """The muscles of the map in the scene, shaded by their grades in a result; None where there are none.

    Raises:
        InputError: map or region cannot be read, or the volume lies under a transform that is not linear.
    """
    volume, legs = classification.volume, classification.segmentation
    if not result.muscle_fat or legs is None:
        return None
    regions = Regions(drawn_region(legs, volume).labels, ())
    muscles = muscles_of(volume, regions)
    if muscles is None:
        return None
    return LegChart.of(muscles.labels, muscles.sides, regions.labels, geometry_in_world(volume), result.muscle_fat)
