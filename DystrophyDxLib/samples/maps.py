"""Registered maps, all slices of them, as what a recipe looks at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..regions.drawn import VOLUME
from ..regions.volumes import corrected_volume, find_volume, volume_from_labels, whole
from ..regions.windows import Regions, VolumeWindow
from ..series.series import Series
from .region import Region
from .slice_samples import SampleBatch
from .volume_samples import make_map_volumes


class Maps(Region[VolumeWindow, SampleBatch]):
    """All voxels of the first map that are not zero."""

    registered = True
    least_drawn = VOLUME

    def described(self) -> str:
        return "volume"

    def find(self, series: Series) -> Regions:
        return find_volume(series)

    def seen(self, regions: Regions) -> tuple[VolumeWindow, ...]:
        return whole(regions)

    def samples(self, series: Series, windows: Sequence[VolumeWindow]) -> SampleBatch:
        return make_map_volumes(series, windows, self.sample)

    def slices_drawn(self, windows: Sequence[VolumeWindow]) -> None:
        return None

    def _drawn(self, series: Series, labels: np.ndarray) -> Regions:
        return volume_from_labels(labels)

    def _corrected(self, series: Series, automatic: Regions, labels: np.ndarray) -> Regions:
        return corrected_volume(automatic, labels)
