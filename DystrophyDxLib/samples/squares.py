"""Squares, or whole slices, as what a recipe looks at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..regions.drawn import SQUARE
from ..regions.squares import corrected_squares, find_squares, squares_from_labels
from ..regions.windows import Regions, Window
from ..series.series import Series
from .region import Region
from .slice_samples import SampleBatch, make_squares


class Squares(Region[Window, SampleBatch]):
    """As much of each slice as a sample shows."""

    least_drawn = SQUARE

    def described(self) -> str:
        return f"pixels of {self.sample.region.pixel_mm} mm"

    def find(self, series: Series) -> Regions:
        return find_squares(series, self.sample.extent_mm)

    def seen(self, regions: Regions) -> tuple[Window, ...]:
        return regions.windows

    def samples(self, series: Series, windows: Sequence[Window]) -> SampleBatch:
        return make_squares(series, windows, self.sample)

    def _drawn(self, series: Series, labels: np.ndarray) -> Regions:
        return squares_from_labels(series, labels, self.sample.extent_mm)

    def _corrected(self, series: Series, automatic: Regions, labels: np.ndarray) -> Regions:
        return corrected_squares(series, automatic, labels, self.sample.extent_mm)


class WholeSlices(Squares):
    """All of each slice."""

    def described(self) -> str:
        return "the whole slice"
