"""What can be pressed on the classification page, as things stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..results import StudyResult


@dataclass(frozen=True)
class Possible:
    """How things stand, and what may be done then.

    Attributes:
        busy: a classification runs.
        volume: one is chosen.
        result: the answer of that volume; None before it is classified.
        region: the regions of that answer are there.
        heatmap: its heatmap is there.
        overlay: the heatmap is seen over the MRI.

    >>> Possible(volume=True).classify, Possible(volume=True, busy=True).classify
    (True, False)
    """

    busy: bool = False
    volume: bool = False
    result: StudyResult | None = None
    region: bool = False
    heatmap: bool = False
    overlay: bool = False

    @property
    def choose(self) -> bool:
        """Another volume, model or device."""
        return not self.busy

    @property
    def classify(self) -> bool:
        return self.choose and self.volume

    @property
    def first(self) -> str:
        """What has to be done before a volume can be classified; nothing where it can."""
        return "" if self.volume or self.busy else "Choose a thigh MRI, or load the sample study."

    @property
    def use_result(self) -> bool:
        """Look at images, reset the region, write a report."""
        return self.choose and self.result is not None

    @property
    def edit(self) -> bool:
        """Correct the region."""
        return self.use_result and self.region

    @property
    def reset_side(self) -> bool:
        """Put the automatic region of one side back."""
        return self.use_result and self.result is not None and any(image.side != "none" for image in self.result.images)

    @property
    def adjust_heatmap(self) -> bool:
        """Its opacity, threshold, legend and class."""
        return self.heatmap and self.overlay
