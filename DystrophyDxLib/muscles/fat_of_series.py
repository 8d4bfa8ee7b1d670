"""The fat of each muscle of a series, found as a classification finds it, but without a network that classifies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..models.recipe import SampleRecipe
from ..regions.windows import AnyWindow
from ..results import UNSUITABLE, MuscleFat, ResultWarning, WarningCode
from ..samples.kinds import region_of
from ..samples.region import why_unusable
from ..series.series import Series
from .infiltration import FatScale, fat_of_muscles, scale_of
from .mapper import MuscleMapper
from .muscle_map import MuscleMap
from .muscle_voxels import MuscleVoxels

NO_GREY = (
    WarningCode.NOT_T1_WEIGHTED,
    WarningCode.NOT_AXIAL,
    WarningCode.NOT_THIGH,
    WarningCode.MOSTLY_OUT_OF_VIEW,
)
"""Warnings of images whose grey does not tell the fat of muscles."""

NO_MUSCLES = "No thigh is shown whose muscles could be mapped, so their fat, signs and pattern are not told."


@dataclass(frozen=True)
class SeriesFat:
    """The fat of a series.

    Attributes:
        by_grey: whether grey told it, and not Dixon images.
        why: it cannot be told; empty where it can.
        warnings: on the series.
        windows: each leg.
    """

    muscles: tuple[MuscleFat, ...]
    by_grey: bool
    why: str
    warnings: tuple[ResultWarning, ...]
    windows: tuple[AnyWindow, ...]


def fat_of_series(
    series: Series, sample: SampleRecipe, mapper: MuscleMapper, dixon: tuple[str, str], drawn: np.ndarray | None = None
) -> SeriesFat:
    """The fat of the muscles of a series.

    Args:
        series: its `further` may hold the Dixon images.
        sample: of a recipe whose windows and judgement of images hold.
        dixon: names of the fat and the water image; where only the second is there, the series is the first.
        drawn: (z, y, x) a person's map of its muscles.

    Raises:
        InputError: no leg is found, or the series is none that such a model takes.
    """
    region = region_of(sample)
    regions = region.find(series)
    if not regions.windows:
        raise InputError("No leg was found in any slice; choose a series of the thighs.")
    batch = region.samples(series, region.seen(regions))
    windows, legs = region.seen(regions), mapper.legs(series, regions.windows)
    qualities = region.with_maps(windows, region.quality(series, batch), regions, [leg.quality for leg in legs])
    judged = region.judge(series, regions, windows, qualities)
    fat, water = dixon
    channels = {sample.channels[0].name: series.voxels, **series.further}
    if water in channels:
        channels.setdefault(fat, series.voxels)
    else:
        reason = why_unusable(judged.warnings, any_fits=any(judged.fits))
        if reason:
            raise InputError(f"{reason}.")
    thighs = [anatomy == "thigh" for anatomy in judged.anatomy]
    muscles = mapper.map(series, regions, legs, thighs) if drawn is None else MuscleMap.drawn(drawn, regions)
    spacing = series.geometry.spacing
    voxels = MuscleVoxels.of(muscles.labels, muscles.sides, min(spacing[:2]))
    scale = scale_of(series, channels, muscles.labels, voxels, regions.labels > 0)
    warnings = (*series.warnings, *regions.warnings, *judged.warnings, *muscles.warnings)
    if isinstance(scale, FatScale):
        given = {warning.code for warning in warnings}
        unlike = next((UNSUITABLE[code] for code in NO_GREY if code in given), None)
        scale = scale.trusted(by_network=drawn is None, unlike=unlike)
    found = fat_of_muscles(voxels, np.zeros(len(voxels.index), bool), spacing, scale)
    return SeriesFat(
        found,
        not (isinstance(scale, FatScale) and scale.source == "Dixon"),
        "" if isinstance(scale, FatScale) else scale.why,
        warnings,
        regions.windows,
    )
