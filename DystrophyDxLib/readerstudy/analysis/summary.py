"""What the analysis of a reader study found, for machines: analysis.json."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...reporting.harness import Measure, Number, Part, Summary
from ...statistics.estimate import Estimate
from ..reads import Reads
from .comparison_tables import ArmsAnalysis
from .first_answers import FirstAnswers
from .primary import PrimaryResult


class Cases(Part):
    read: int
    positive: int
    not_read: int


class Answers(Part):
    """How many there are: rows of the tables, and decisions among the first answers."""

    rows: int
    first_decisions: int
    missing_decisions: int
    unread: int


class ArmsDifference(Part):
    """Aided minus unaided for one figure of merit; see `comparison_tables.arms_table`."""

    figure: str
    covariances: str
    holds_for_other: str
    readers: int
    difference: Measure
    f: Number
    df: tuple[int, int | Number]
    p: Number


class Primary(Part):
    """The primary endpoint as it was declared, and what was found of it."""

    figure: str
    compares: str
    holds_for_other: str
    declared: str
    difference: Measure
    p: Number
    told: str

    @property
    def line(self) -> str:
        return f"Primary endpoint, {self.figure} for other {self.holds_for_other}: {self.told}"


class ReaderStudySummary(Summary):
    """The content of analysis.json.

    Attributes:
        primary: None where none was declared.
        performance: a row for each reader and arm, their mean and the model, by the headers of the report's tables.
    """

    schema_: str = "dystrophydx.reader_study/1"
    readers: tuple[str, ...]
    arms: tuple[str, ...]
    model: str | None
    cases: Cases
    answers: Answers
    primary: Primary | None = None
    performance: tuple[dict[str, Measure | int | str | Number], ...]
    aided_less_unaided: tuple[ArmsDifference, ...]

    def lines(self) -> Iterator[str]:
        yield from super().lines()
        if self.primary is not None:
            yield self.primary.line


def summarised(
    reads: Reads,
    answers: FirstAnswers,
    performance: pd.DataFrame,
    arms: tuple[ArmsAnalysis, ...],
    primary: PrimaryResult | None,
    notices: tuple[str, ...],
) -> ReaderStudySummary:
    """The summary of an analysis; `performance` is of `performance_tables.performance_frame`."""
    return ReaderStudySummary(
        notices=notices,
        readers=answers.readers,
        arms=answers.arms,
        model=answers.model,
        cases=Cases(
            read=len(answers.cases),
            positive=int(answers.truth.sum()),
            not_read=len(reads.truth) - len(answers.cases),
        ),
        answers=Answers(
            rows=len(reads.reads),
            first_decisions=int(np.count_nonzero(~np.isnan(answers.decisions))),
            missing_decisions=int(answers.missing.sum()),
            unread=0 if reads.unread is None else len(reads.unread),
        ),
        primary=None
        if primary is None
        else Primary(
            figure=primary.endpoint.figure,
            compares=primary.endpoint.compares,
            holds_for_other=primary.endpoint.holds_for,
            declared=primary.declared,
            difference=Measure.of(primary.difference),
            p=primary.p,
            told=primary.told,
        ),
        performance=tuple(
            {name: Measure.of(cell) if isinstance(cell, Estimate) else cell for name, cell in row.items()}
            for row in performance.to_dict("records")
        ),
        aided_less_unaided=tuple(
            ArmsDifference(
                figure=found.figure,
                covariances=found.covariance,
                holds_for_other=test.random,
                readers=found.readers,
                difference=Measure.of(test.differences[0].difference),
                f=test.f,
                df=(test.df1, test.df2),
                p=test.p,
            )
            for found in arms
            for test in found.tests
        ),
    )
