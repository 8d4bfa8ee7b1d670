"""The kinds of region that a recipe can look at."""

from __future__ import annotations

from typing import Any

from ..models.recipe import SampleRecipe
from .legs import LegSlices, LegVolumes
from .maps import Maps
from .region import Region
from .squares import Squares, WholeSlices

KINDS: dict[tuple[str, bool], type[Region[Any, Any]]] = {
    ("legs", False): LegSlices,
    ("legs", True): LegVolumes,
    ("square", False): Squares,
    ("slice", False): WholeSlices,
    ("volume", True): Maps,
}
"""By the kind that a recipe names and whether its samples are volumes; `recipe` says what a kind may be told."""


def region_of(sample: SampleRecipe) -> Region[Any, Any]:
    """What a recipe looks at.

    Args:
        sample: of the recipe.
    """
    return KINDS[sample.region.kind, sample.of_volumes](sample)
