"""A row of the panel's table of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .slices import ranges


@dataclass(frozen=True)
class ImageRow:
    """An image as the scene's table holds it (`mrml.classification.COLUMNS`), with all the slices that it shows.

    >>> ImageRow(range(7, 8), "left", 0.8649, "edited", "other", "no").cells()
    (7, 'left', '0.865', 'edited', 'other, not counted')
    """

    slices: Sequence[int]
    side: str
    probability: float
    source: str
    anatomy: str
    counted: str

    def cells(self) -> tuple[int | str, ...]:
        """As they are shown; a single slice is a number, so that it is sorted as one."""
        return (
            self.slices[0] if len(self.slices) == 1 else ranges(self.slices),
            self.side,
            f"{self.probability:.3f}",
            self.source,
            self.anatomy if self.counted == "yes" else f"{self.anatomy}, not counted",
        )
