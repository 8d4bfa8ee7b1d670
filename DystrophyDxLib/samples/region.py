"""`Region`: what a recipe looks at, from its windows in a series to their samples and what these are fit for."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

import numpy as np

from ..models.cells import CellGrid
from ..models.recipe import SampleRecipe
from ..regions.drawn import LeastSize, Tidied, tidied
from ..regions.windows import LABEL_OF_SIDE, AnyWindow, Regions, Side
from ..results import ResultWarning, WarningCode
from ..series.series import Series
from ..series.words import listed
from .image_quality import ImageQuality
from .slice_samples import SampleBatch

Seen = TypeVar("Seen", bound=AnyWindow)
"""Windows, one a sample."""
Batch = TypeVar("Batch", bound=SampleBatch)


Anatomy = Literal["thigh", "other", "not judged"]
_NOT_JUDGED: tuple[Anatomy, ...] = ("not judged",)


class Judgement(NamedTuple):
    """What the windows of a series are fit for.

    Attributes:
        anatomy: what each window shows; "not judged" where it is no leg.
        fits: of each window, whether it shows what the model was made for.
        warnings: on the series.
        contrast_note: see `InputFacts`.
    """

    anatomy: tuple[Anatomy, ...]
    fits: tuple[bool, ...]
    warnings: tuple[ResultWarning, ...] = ()
    contrast_note: str = ""


def why_unusable(warnings: Iterable[ResultWarning], *, any_fits: bool) -> str | None:
    """Why nothing of a series is trained on or enters a figure of an evaluation, or None.

    Args:
        warnings: on the series.
        any_fits: whether an image shows what the model was made for.
    """
    told = {warning.code: warning.message for warning in warnings}
    codes = (WarningCode.NOT_AXIAL, WarningCode.NOT_T1_WEIGHTED, *(() if any_fits else (WarningCode.NOT_THIGH,)))
    return next((told[code].partition(";")[0] for code in codes if code in told), None)


class Region(ABC, Generic[Seen, Batch]):
    """What a recipe looks at in a series. A kind of region is a subclass and a line in `kinds.KINDS`; nothing else asks
    which kind it is.

    Args:
        sample: of the recipe.

    Attributes:
        registered: whether the samples of all patients lie over each other, voxel by voxel.
        least_drawn: what of a region that a person drew is too small to count.
    """

    registered = False
    least_drawn: ClassVar[LeastSize]

    def __init__(self, sample: SampleRecipe) -> None:
        self.sample = sample

    @abstractmethod
    def described(self) -> str:
        """What a sample shows, in words."""

    @abstractmethod
    def find(self, series: Series) -> Regions:
        """Windows found without help.

        Raises:
            InputError: the series holds nothing that could be looked at.
        """

    def from_labels(self, series: Series, labels: np.ndarray, overlapping: Sequence[int] = ()) -> Regions:
        """Windows from a region that a person drew, as it counts (see `regions.drawn.tidied`).

        Args:
            labels: (z, y, x) uint8 on the grid of `series`, with the values of `LABEL_OF_SIDE`.
            overlapping: slices in which a voxel was drawn as more than one region.

        Raises:
            InputError: a region that the model does not look at, or of which nothing counts.
        """
        drawn = self._as_it_counts(series, _where_present(series, labels), None)
        return _with_warnings(self._drawn(series, drawn.labels), drawn.warnings, overlapping)

    def labels_of_map(self, series: Series, values: np.ndarray) -> np.ndarray:
        """A label map without names as a drawn region: all of its labels together.

        Args:
            values: (z, y, x) on the grid of `series`, 0 outside.

        Raises:
            InputError: as `regions.drawn.legs_of_map`, where the model looks at legs.
        """
        return np.where(values != 0, LABEL_OF_SIDE[Side.NONE], 0).astype(np.uint8)

    def corrected(
        self, series: Series, automatic: Regions, labels: np.ndarray, overlapping: Sequence[int] = ()
    ) -> Regions:
        """Windows after a person corrected the automatic ones; what was left as it was found stays "auto".

        Args:
            labels, overlapping: as of `from_labels`.

        Raises:
            InputError: as `from_labels`.
        """
        drawn = self._as_it_counts(series, _where_present(series, labels), automatic.labels)
        return _with_warnings(self._corrected(series, automatic, drawn.labels), drawn.warnings, overlapping)

    @abstractmethod
    def seen(self, regions: Regions) -> tuple[Seen, ...]:
        """The windows of a series as the network sees them, one a sample.

        Raises:
            InputError: as `regions.volumes.whole`, where a sample holds all slices.
        """

    @abstractmethod
    def samples(self, series: Series, windows: Sequence[Seen]) -> Batch:
        """Network input of windows, as `seen` gives them.

        Raises:
            InputError: the channels of the series contradict each other or what the recipe says of them.
        """

    def quality(self, series: Series, batch: Batch) -> list[ImageQuality | None]:
        """What each sample shows; None where that is not judged."""
        return [None] * len(batch.windows)

    def with_maps(
        self,
        windows: Sequence[Seen],
        qualities: Sequence[ImageQuality | None],
        regions: Regions,
        by_map: Sequence[ImageQuality],
    ) -> list[ImageQuality | None]:
        """What each sample shows by itself or by the muscle map of its windows.

        Args:
            windows, qualities: of all samples.
            by_map: of each of `regions.windows`.
        """
        return [*qualities]

    def judge(
        self, series: Series, regions: Regions, windows: Sequence[Seen], qualities: Sequence[ImageQuality | None]
    ) -> Judgement:
        """What a series is fit for.

        Args:
            windows: of all its samples.
            qualities: of each of them, see `quality`.
        """
        return Judgement(_NOT_JUDGED * len(windows), (True,) * len(windows))

    def heat_outside(
        self, cells: CellGrid, evidence: Sequence[np.ndarray | None], batch: Batch, slices: int
    ) -> list[float | None]:
        """Share of the heat of each sample outside the muscles; None where that is not judged.

        Args:
            evidence: ([d,] h, w) of each sample, what speaks for the class that it says; None where it has no such map.
            slices: of the series.
        """
        return [None] * len(batch.windows)

    def slices_drawn(self, windows: Sequence[Seen]) -> np.ndarray | None:
        """(N,) slice of each window, over which the case's interval is drawn; None where a sample is a whole volume,
        whose probability has no interval."""
        return np.array([window.slice for window in windows])

    def _as_it_counts(self, series: Series, labels: np.ndarray, found: np.ndarray | None) -> Tidied:
        """What counts of a region that was drawn, or of which one that was found was made.

        Raises:
            InputError: a region that the model does not look at, or of which nothing counts.
        """
        return tidied(series.geometry, labels, self.least_drawn, found)

    @abstractmethod
    def _drawn(self, series: Series, labels: np.ndarray) -> Regions: ...

    @abstractmethod
    def _corrected(self, series: Series, automatic: Regions, labels: np.ndarray) -> Regions: ...


def _with_warnings(regions: Regions, warnings: tuple[ResultWarning, ...], overlapping: Sequence[int]) -> Regions:
    if overlapping:
        message = f"Drawn regions overlap in {listed(overlapping)}; there the later of them counts."
        warnings = (*warnings, ResultWarning(code=WarningCode.REGION_OVERLAP, message=message))
    return dataclasses.replace(regions, warnings=(*regions.warnings, *warnings)) if warnings else regions


def _where_present(series: Series, labels: np.ndarray) -> np.ndarray:
    """The same without what was drawn on slices that the series lacks, as one does who draws through all of them."""
    present = labels.copy()
    present[list(series.missing_slices)] = 0
    return present
