"""Heat: a class' evidence, window by window on the network's cells, drawn on the voxels of the series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..models.cells import CellGrid
from ..models.recipe import SampleRecipe
from ..regions.windows import AnyWindow
from ..samples.placement import place_window
from ..series.plane_orientation import PlaneOrientation
from ..series.series import Geometry


class Heat(NamedTuple):
    """Evidence on the voxels.

    Attributes:
        voxels: (z, y, x) float32 on the grid of the series: evidence for `label`, up to `HeatDrawing.most` over the
            case, and where negative against it (of two classes: for the first), down to -`most` on the same scale; 0
            outside the windows.
        strongest: evidence at `most`.
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
        sample: what the samples are.
        reference: evidence that is at `most` in a case with none higher.
        geometry: of the series.
        shape: (z, y, x) of the series.
        most: heat of the strongest evidence: 1, or `results.FAINT`.
    """

    cells: CellGrid
    sample: SampleRecipe
    reference: float
    geometry: Geometry
    shape: tuple[int, ...]
    most: float = 1.0

    def draw(
        self, windows: Sequence[AnyWindow], maps: Sequence[np.ndarray], counted: Iterable[bool], label: int
    ) -> Heat:
        """Draws everything anew.

        Args:
            maps: ([d,] h, w) of each window, the evidence for class `label`.
            counted: of each window, whether its evidence may set the scale.
        """
        nothing = Heat(np.zeros(self.shape, np.float32), self.reference, (), label)
        return self.redraw(nothing, (), {}, windows, maps, counted)

    def redraw(
        self,
        before: Heat,
        windows_before: Sequence[AnyWindow],
        kept: Mapping[int, int],
        windows: Sequence[AnyWindow],
        maps: Sequence[np.ndarray],
        counted: Iterable[bool],
    ) -> Heat:
        """Draws what changed, into the voxels of `before`.

        Args:
            kept: number of each window that is as it was → its number in `windows_before`.
        """
        plane = PlaneOrientation.of(self.geometry)
        voxels = before.voxels
        for n in set(range(len(windows_before))) - set(kept.values()):
            window = windows_before[n]
            voxels[window.box][window.mask] = 0

        def drawn(n: int) -> float:
            """Draws one window and returns its strongest evidence."""
            window = windows[n]
            mask = plane.of_window(window.mask)
            heat = self.cells.to_window(maps[n], place_window(self.geometry, window.mask, self.sample))
            np.copyto(plane.of_window(voxels[window.box]), heat, where=mask)
            return float(heat[mask].max())

        everything = range(len(windows))
        peaks = [before.peaks[kept[n]] if n in kept else drawn(n) for n in everything]
        strongest = max([self.reference, *(peak for peak, counts in zip(peaks, counted, strict=True) if counts)])
        changed = [n for n in everything if n not in kept]
        if kept and strongest != before.strongest:
            for n in kept:
                drawn(n)
            changed = list(everything)
        for n in changed:
            window = windows[n]
            target = voxels[window.box]
            np.divide(target, strongest / self.most, out=target, where=window.mask)
            np.clip(target, -self.most, self.most, out=target, where=window.mask)
        return Heat(voxels, strongest, tuple(peaks), before.label)
