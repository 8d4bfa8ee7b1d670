"""Which series training and evaluation leave out, told without either."""

from __future__ import annotations

from ..errors import InputError
from ..models.recipe import SampleRecipe
from ..series.series import Series
from .kinds import region_of
from .quality import JUDGED
from .region import why_unusable


def why_left_out(series: Series) -> str | None:
    """Why training and evaluation of models of T1-weighted thighs leave a series out; None where they take it."""
    region = region_of(SampleRecipe(size=JUDGED))
    try:
        regions = region.find(series)
    except InputError as error:
        return str(error)
    windows = region.seen(regions)
    if not windows:
        return "No leg was found in any slice."
    judged = region.judge(series, regions, windows, region.quality(series, region.samples(series, windows)))
    return why_unusable(judged.warnings, any_fits=any(judged.fits))
