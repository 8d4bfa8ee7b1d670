"""Heat: a class' evidence, window by window on the network's cells, drawn on the voxels of the series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..models.cells import CellGrid
from ..regions.legs import LegRegions, PlaneOrientation, Window
from ..regions.volumes import VolumeWindow
from ..samples.slice_samples import Placement, place
from ..samples.volume_samples import place_volume
from ..series.series import Geometry


class Heat(NamedTuple):
    """Evidence on the voxels.

    Attributes:
        voxels: (z, y, x) float32 on the grid of the series: evidence for `label`, up to 1 over the case, and where
            negative against it (of two classes: for the first), down to -1 on the same scale; 0 outside the windows.
        strongest: evidence at 1.
        peaks: strongest evidence for `label` in each window.
        label: index of the class.
    """

    voxels: np.ndarray
    strongest: float
    peaks: tuple[float, ...]
    label: int


@dataclass(frozen=True)
class HeatDrawing:
    """Draws maps of cells on the voxels of one series.

    Attributes:
        cells: where the cells look in a sample.
        size: edge of the samples in pixels.
        reference: evidence that is at 1 in a case with none higher.
        geometry: of the series.
        extent_mm: that a sample's edge shows; the window's longer side when None.
        depth: slices of the samples, where they are volumes.
    """

    cells: CellGrid
    size: int
    reference: float
    geometry: Geometry
    extent_mm: float | None = None
    depth: int | None = None

    def draw(self, regions: LegRegions, maps: Sequence[np.ndarray], counted: Sequence[bool], label: int) -> Heat:
        """Draws everything anew.

        Args:
            maps: ([d,] h, w) of each window, the evidence for class `label`.
            counted: of each window, whether its evidence may set the scale.
        """
        nothing = Heat(np.zeros(regions.labels.shape, np.float32), self.reference, (), label)
        return self.redraw(nothing, LegRegions(regions.labels, ()), {}, regions, maps, counted)

    def redraw(
        self,
        before: Heat,
        regions_before: LegRegions,
        kept: Mapping[int, int],
        regions: LegRegions,
        maps: Sequence[np.ndarray],
        counted: Sequence[bool],
    ) -> Heat:
        """Draws what changed, into the voxels of `before`.

        Args:
            kept: number of each window that is as it was → its number in `regions_before`.
        """
        plane = PlaneOrientation.of(self.geometry)
        voxels = before.voxels
        for n in set(range(len(regions_before.windows))) - set(kept.values()):
            window = regions_before.windows[n]
            voxels[window.box][window.mask] = 0

        def drawn(n: int) -> float:
            """Draws one window and returns its strongest evidence."""
            window = regions.windows[n]
            as_sampled = plane.canonical if self.depth is None else plane.volume
            mask = as_sampled(window.mask)
            heat = self.cells.to_window(maps[n], self._placement(window))
            np.copyto(as_sampled(voxels[window.box]), heat, where=mask)
            return float(heat[mask].max())

        everything = range(len(regions.windows))
        peaks = [before.peaks[kept[n]] if n in kept else drawn(n) for n in everything]
        strongest = max([self.reference, *(peak for peak, counts in zip(peaks, counted, strict=True) if counts)])
        changed = [n for n in everything if n not in kept]
        if kept and strongest != before.strongest:
            for n in kept:
                drawn(n)
            changed = everything
        for n in changed:
            window = regions.windows[n]
            target = voxels[window.box]
            np.divide(target, strongest, out=target, where=window.mask)
            np.clip(target, -1, 1, out=target, where=window.mask)
        return Heat(voxels, strongest, tuple(peaks), before.label)

    def _placement(self, window: Window | VolumeWindow) -> Placement:
        if self.depth is not None:
            return place_volume(self.geometry, window, self.size, self.depth)
        plane = PlaneOrientation.of(self.geometry)
        spacing = self.geometry.spacing[:2] if plane.transposed else self.geometry.spacing[1::-1]
        return place(plane.canonical(window.mask).shape, spacing, self.size, self.extent_mm)
