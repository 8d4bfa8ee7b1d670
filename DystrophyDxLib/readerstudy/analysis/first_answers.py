"""The first answers of a reader study as arrays, and the answers that repeat them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...errors import InputError
from ...statistics.merit import FigureOfMerit
from ...statistics.mrmc import LEAST_CASES, Covariance, Performance, counted_cases
from ..reads import AIDED, RE_READ, UNAIDED, Reads

_FIRST = ["reader", "case"]


@dataclass(frozen=True)
class FirstAnswers:
    """First answers as submitted, of T arms, R readers and N cases; those of hidden duplicates and re-reads are in
    `repeated_answers`.

    Attributes:
        arms: those of unaided and aided that were read.
        readers: who read, in the order of the table of readers.
        cases: that anyone read, in the order of the table of truth.
        truth: (N,) 0 or 1.
        planned: (R, N) whether the case is one of the reader's own: it stands in the tables for any arm, answered or
            still to be read.
        decisions: (T, R, N) 0 or 1, NaN where there is none.
        confidences: (T, R, N) 0 to 100, NaN where there is none.
        model: name of the model, None without one.
        probability, label: (N,) of the model; NaN where it has no answer.
    """

    arms: tuple[str, ...]
    readers: tuple[str, ...]
    cases: tuple[str, ...]
    truth: np.ndarray
    planned: np.ndarray
    decisions: np.ndarray
    confidences: np.ndarray
    model: str | None
    probability: np.ndarray
    label: np.ndarray

    @classmethod
    def of(cls, reads: Reads) -> FirstAnswers:
        """The first answers of `reads`.

        Raises:
            InputError: there is no unaided or aided one.
        """
        first = first_answers(reads)
        arms = tuple(arm for arm in (UNAIDED, AIDED) if (first["arm"] == arm).any())
        if not arms:
            raise InputError("There is no unaided or aided answer; read the cases first.")
        readers = list(reads.readers.loc[reads.readers["reader"].isin(first["reader"]), "reader"])
        truth = reads.truth[reads.truth["case"].isin(first["case"])].set_index("case")["label"]
        cases = list(truth.index)

        def cube(column: str) -> np.ndarray:
            index = pd.MultiIndex.from_product([arms, readers])
            wide = first.pivot(index=["arm", "reader"], columns="case", values=column)
            return wide.reindex(index=index, columns=cases).to_numpy(float).reshape(len(arms), len(readers), -1)

        own = pd.MultiIndex.from_frame(pd.concat([first[_FIRST], *_first_unread(reads)]))
        planned = pd.MultiIndex.from_product([readers, cases]).isin(own).reshape(len(readers), -1)
        if reads.model is None:
            model, told = None, pd.DataFrame(np.nan, cases, ["probability", "label"])
        else:
            model, told = reads.model["model"].iloc[0], reads.model.set_index("case").reindex(cases)
        return cls(
            arms,
            tuple(readers),
            tuple(cases),
            truth.to_numpy(),
            planned,
            cube("decision"),
            cube("confidence"),
            model,
            told["probability"].to_numpy(float),
            told["label"].to_numpy(float),
        )

    @property
    def missing(self) -> np.ndarray:
        """(T, R, N) planned decisions that there are not."""
        return self.planned & np.isnan(self.decisions)

    def answered(self, arm: int, reader: int) -> bool:
        """Whether a reader, by index, gave any decision or confidence in an arm, by index."""
        given = np.stack([self.decisions[arm, reader], self.confidences[arm, reader]])
        return not np.isnan(given).all()

    def ratings(self, figure: FigureOfMerit) -> np.ndarray:
        """(T, R, N) what a figure of merit is of: confidences for the AUC, else decisions."""
        return self.confidences if figure == "AUC" else self.decisions

    def model_ratings(self, figure: FigureOfMerit) -> np.ndarray:
        """(N,) the same of the model."""
        return self.probability if figure == "AUC" else self.label

    def performance(
        self, ratings: np.ndarray, arms: Sequence[str], figure: FigureOfMerit, covariance: Covariance
    ) -> Performance | None:
        """Of the readers who rated `LEAST_CASES` cases (of each class that the figure is of) in every arm of `ratings`
        (T, R, N); None where fewer than two did."""
        rated = ~np.isnan(ratings)
        counts = [np.count_nonzero(rated & of_class, axis=-1) for of_class in counted_cases(self.truth == 1, figure)]
        enough = (np.min(counts, axis=0) >= LEAST_CASES).all(axis=0)
        readers = [reader for reader, chosen in zip(self.readers, enough, strict=True) if chosen]
        if len(readers) < 2:
            return None
        return Performance.of(self.truth, ratings[:, enough], arms, readers, figure=figure, covariance=covariance)


def first_answers(reads: Reads) -> pd.DataFrame:
    """Rows of `reads.reads`: unaided and aided, no duplicates, as submitted."""
    table = reads.reads
    return table[(table["arm"] != RE_READ) & (table["repeat"] == 0) & (table["amended"] == 0)]


def _first_unread(reads: Reads) -> list[pd.DataFrame]:
    if reads.unread is None:
        return []
    unread = reads.unread
    return [unread.loc[(unread["arm"] != RE_READ) & (unread["repeat"] == 0), _FIRST]]


def repeated_answers(table: pd.DataFrame, within: Sequence[str] = ()) -> pd.DataFrame:
    """Answers that a reader gave twice to one case: a row each with `reader`, `case`, `repeats` ("duplicate, unaided",
    "re-read 2" by its session), and the columns of both answers, ending in _first and _again.

    Args:
        table: `reads.reads` as submitted, or `reads.mercuri`.
        within: further columns that both answers share, such as muscle and side.
    """
    keys = [*_FIRST, *within]
    original = table[(table["arm"] != RE_READ) & (table["repeat"] == 0)]
    duplicates = table[(table["arm"] != RE_READ) & (table["repeat"] == 1)]
    duplicates = duplicates.assign(repeats="duplicate, " + duplicates["arm"])
    again = table[(table["arm"] == RE_READ) & (table["repeat"] == 0)]
    again = again.assign(repeats="re-read " + again["session"].astype(str))
    return pd.concat(
        [
            original.merge(duplicates, on=[*keys, "arm"], suffixes=("_first", "_again")),
            original[original["arm"] == UNAIDED].merge(again, on=keys, suffixes=("_first", "_again")),
        ],
        ignore_index=True,
    )
