"""Windows of the kind of region that a recipe names: legs (`roi`), squares (`squares`) or all (`volumes`)."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..models.recipe import SampleRecipe
from ..series.series import Series
from .legs import LABEL_OF_SIDE, LegRegions, corrected_regions, find_legs, regions_from_labels
from .squares import corrected_squares, find_squares, squares_from_labels
from .volumes import corrected_volume, find_volume, volume_from_labels, whole


def find_regions(series: Series, sample: SampleRecipe) -> LegRegions:
    """Windows found without help."""
    if sample.region.kind == "legs":
        return find_legs(series)
    return find_volume(series) if sample.region.kind == "volume" else find_squares(series, sample)


def drawn_regions(series: Series, labels: np.ndarray, sample: SampleRecipe) -> LegRegions:
    """Windows from a region that a person drew, (z, y, x) uint8 on the grid of `series`."""
    labels = _where_seen(series, labels)
    if sample.region.kind == "legs":
        return regions_from_labels(series, labels)
    if sample.region.kind == "volume":
        return volume_from_labels(labels)
    return squares_from_labels(series, labels, sample)


def after_correction(series: Series, automatic: LegRegions, labels: np.ndarray, sample: SampleRecipe) -> LegRegions:
    """Windows after a person corrected the automatic ones; what was left as it was found stays "auto"."""
    labels = _where_seen(series, labels)
    if sample.region.kind == "legs":
        regions = corrected_regions(automatic, labels)
        return regions if sample.depth is None else _edited_as_wholes(regions, automatic)
    if sample.region.kind == "volume":
        return corrected_volume(automatic, labels)
    return corrected_squares(series, automatic, labels, sample)


def as_seen(regions: LegRegions, sample: SampleRecipe) -> LegRegions:
    """The regions with a window a sample: of recipes with a depth, those of all slices of a leg or region as one.

    Raises:
        InputError: as `volumes.whole`.
    """
    return regions if sample.depth is None else whole(regions)


def _edited_as_wholes(regions: LegRegions, automatic: LegRegions) -> LegRegions:
    """All windows of a leg are edited where any of it is: as one volume it is another one without a slice, too."""
    edited = {
        side
        for side, label in LABEL_OF_SIDE.items()
        if not np.array_equal(regions.labels == label, automatic.labels == label)
    }
    windows = (
        dataclasses.replace(window, source="edited") if window.side in edited else window for window in regions.windows
    )
    return dataclasses.replace(regions, windows=tuple(windows))


def _where_seen(series: Series, labels: np.ndarray) -> np.ndarray:
    """The same without what was drawn on slices that the series lacks, as one does who draws through all of them."""
    seen = labels.copy()
    seen[list(series.missing_slices)] = 0
    return seen
