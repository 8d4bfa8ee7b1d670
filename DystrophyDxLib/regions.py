"""Windows of the kind of region that a recipe names: legs (`roi`) or squares (`squares`)."""

from __future__ import annotations

import numpy as np

from .recipe import SampleRecipe
from .roi import LegRegions, corrected_regions, find_legs, regions_from_labels
from .series import Series
from .squares import corrected_squares, find_squares, squares_from_labels


def find_regions(series: Series, sample: SampleRecipe) -> LegRegions:
    """Windows found without help."""
    return find_legs(series) if sample.region.kind == "legs" else find_squares(series, sample)


def drawn_regions(series: Series, labels: np.ndarray, sample: SampleRecipe) -> LegRegions:
    """Windows from a region that a person drew, (z, y, x) uint8 on the grid of `series`."""
    labels = _where_seen(series, labels)
    if sample.region.kind == "legs":
        return regions_from_labels(series, labels)
    return squares_from_labels(series, labels, sample)


def after_correction(series: Series, automatic: LegRegions, labels: np.ndarray, sample: SampleRecipe) -> LegRegions:
    """Windows after a person corrected the automatic ones; what was left as it was found stays "auto"."""
    labels = _where_seen(series, labels)
    if sample.region.kind == "legs":
        return corrected_regions(automatic, labels)
    return corrected_squares(series, automatic, labels, sample)


def _where_seen(series: Series, labels: np.ndarray) -> np.ndarray:
    """The same without what was drawn on slices that the series lacks, as one does who draws through all of them."""
    seen = labels.copy()
    seen[list(series.missing_slices)] = 0
    return seen
