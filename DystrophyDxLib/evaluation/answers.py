"""What can be measured of answers, whichever kind they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from ..classify import Classifier
from ..reporting.figures import RocLine
from ..reporting.pages import Section
from ..statistics.estimate import Estimate
from ..statistics.roc import AucComparison
from .evaluated import Evaluation, EvaluationOptions
from .gallery import Chosen
from .summaries import BothIntervals

Figures = Mapping[str, Estimate | float]
AUC_INTERVAL = "DeLong's 95 % interval, as in the table"
"""Of the AUC in a legend."""


@dataclass(frozen=True)
class Answers(ABC):
    """How one kind of answer is measured, and what a report says of it. Rows are of images or patients, see
    `predictions`.
    """

    classes: tuple[str, ...]

    @property
    @abstractmethod
    def how(self) -> str:
        """How the classes are told, after a list of figures."""

    @abstractmethod
    def published(self, rows: pd.DataFrame) -> Figures:
        """Figures of rows with the intervals as published, which take rows as independent."""

    @abstractmethod
    def drawn(self, rows: pd.DataFrame, seed: int) -> Mapping[str, Estimate]:
        """Figures of rows with intervals by patient bootstrap."""

    def main(self, patients: pd.DataFrame) -> Figures:
        """The few figures that a report begins with, as published."""
        return self.published(patients)

    @abstractmethod
    def right(self, rows: pd.DataFrame) -> np.ndarray:
        """(N,) bool, which rows are called rightly."""

    @abstractmethod
    def area(self, rows: pd.DataFrame, seed: int) -> float:
        """Area under the ROC curve."""

    @abstractmethod
    def sections(self, evaluation: Evaluation, figures: Path) -> Iterator[Section]:
        """Performance, diseases or classes, groups and calibration; pictures are written into `figures`."""

    @abstractmethod
    def chosen(self, images: pd.DataFrame, patients: pd.DataFrame) -> list[Chosen]:
        """Cases for the gallery."""

    def heat_limit(self, heat: pd.DataFrame) -> tuple[str, ...]:
        """What heat outside the muscles says of the limit from which the program warns, where it can be told."""
        return ()

    def further_sections(
        self, evaluation: Evaluation, classifier: Classifier, figures: Path, options: EvaluationOptions
    ) -> Iterator[Section]:
        """What else can be told of some models and cohorts."""
        yield from ()

    # Beside other models

    TITLE: ClassVar[str]
    """Of the table of performance."""
    DRAWS_PATIENTS: ClassVar[bool]
    """Whether the bootstrap adds something to the published intervals where rows are patients, who are independent."""

    @property
    @abstractmethod
    def note(self) -> str:
        """What a reader of that table must know."""

    @abstractmethod
    def sizes(self, rows: pd.DataFrame) -> dict[str, int]:
        """How many rows there are, as columns of a table."""

    def figure_of(self, truth: int) -> str:
        """What the share of rightly called rows of a class is called."""
        return "sensitivity"

    def roc_line(self, rows: pd.DataFrame, name: str, seed: int, *, band: bool) -> RocLine | None:
        """The ROC curve of rows with its AUC and n in the label; None where there is none to draw."""
        return None

    def compared_areas(self, own: pd.DataFrame, other: pd.DataFrame) -> AucComparison | None:
        """The test that another model has another AUC on the same rows, where there is one."""
        return None

    def both_intervals(self, rows: pd.DataFrame, seed: int) -> dict[str, BothIntervals]:
        """All figures for a summary."""
        published = self.published(rows)
        return {
            name: BothIntervals(value=figure.value, ci95=_bounds(published.get(name)), ci95_bootstrap=_bounds(figure))
            for name, figure in self.drawn(rows, seed).items()
        }


def _bounds(figure: Estimate | float | None) -> tuple[float, float] | None:
    return (figure.low, figure.high) if isinstance(figure, Estimate) else None
