"""Tables of how readers agree with each other, with the model and with themselves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...reporting.tables import Table
from ...statistics.agreement import LEAST_CASES, Agreement, band, cohen_kappa, fleiss_kappa, gwet_ac1, weighted_kappa
from ...statistics.estimate import Estimate
from ..questions import GRADES
from ..reads import RE_READ, Reads
from .first_answers import FirstAnswers, repeated_answers

READERS = "readers"
TOO_FEW = "too few cases"
_NONE = (
    f"(–): no interval, as nothing varies between cases. {TOO_FEW.capitalize()}: fewer than {LEAST_CASES}, from which "
    "no kappa is told."
)
_NOT_TOLD = Estimate(np.nan, -1.0, 1.0)


def agreement_table(answers: FirstAnswers) -> Table:
    """Agreement of all readers of an arm, and of them and the model; no rows with fewer than two."""
    rows = []
    for t, arm in enumerate(answers.arms):
        among = {READERS: answers.decisions[t]}
        if answers.model:
            among["readers and model"] = np.vstack([answers.decisions[t], answers.label])
        for who, decisions in among.items():
            read = decisions[~np.isnan(decisions).all(axis=1)].T
            if (np.count_nonzero(~np.isnan(read), axis=1) >= 2).any():
                kappa, ac1 = fleiss_kappa(read, 2), gwet_ac1(read, 2)
                rows.append(
                    {"Arm": arm, "Among": who, "Deciders": read.shape[1], **_agreed(kappa, "Kappa, Fleiss", ac1)}
                )
    return Table(
        "agreement",
        "Agreement among readers; kappa and AC1 with 95 % intervals",
        pd.DataFrame(rows),
        "Cases: with at least two decisions. Bands as in Yang et al. 2021. Kappa falls where nearly all cases are "
        "called alike; Gwet's AC1 does not. "
        f"{_NONE}",
    )


def pairs_table(answers: FirstAnswers) -> Table:
    """Agreement of each pair of readers, and of each reader with the model."""
    rows = []
    for t, arm in enumerate(answers.arms):
        deciders = list(zip(answers.readers, answers.decisions[t], strict=True))
        deciders += [(answers.model, answers.label)] if answers.model else []
        for (first, one), (second, other) in itertools.combinations(deciders, 2):
            if (~np.isnan(one) & ~np.isnan(other)).any():
                rows.append({"Arm": arm, "First": first, "Second": second, **_agreement_of_two(one, other)})
    return Table(
        "agreement_pairs",
        "Agreement of two; kappa and AC1 with 95 % intervals",
        pd.DataFrame(rows),
        f"Cases: decided by both. {_NONE}",
    )


def intra_reader_table(reads: Reads) -> Table:
    """Agreement of readers with themselves on hidden duplicates and re-reads."""
    submitted = reads.reads[reads.reads["amended"] == 0]
    twice = repeated_answers(submitted).dropna(subset=["decision_first", "decision_again"])
    rows = [
        {"Reader": reader, "Again": repeats, **_agreement_of_two(own["decision_first"], own["decision_again"])}
        for (reader, repeats), own in twice.groupby(["reader", "repeats"])
    ]
    return Table(
        "agreement_intra",
        "Agreement of readers with themselves; kappa and AC1 with 95 % intervals",
        pd.DataFrame(rows),
        "Again: a hidden duplicate in the same arm, or a re-read, by its session, against the unaided reading. "
        f"{_NONE}",
    )


def _agreement_of_two(first: np.ndarray, second: np.ndarray) -> dict[str, object]:
    first, second = np.asarray(first, float), np.asarray(second, float)
    return _agreed(cohen_kappa(first, second, 2), "Kappa, Cohen", gwet_ac1(np.stack([first, second], axis=1), 2))


def _agreed(kappa: Agreement, name: str, ac1: Agreement) -> dict[str, object]:
    few = kappa.cases < LEAST_CASES
    return {
        "Cases": kappa.cases,
        "Same decision": kappa.observed,
        name: _NOT_TOLD if few else kappa.coefficient,
        "Band": TOO_FEW if few else band(kappa.coefficient.value),
        "AC1, Gwet": _NOT_TOLD if few else ac1.coefficient,
    }


def grades_table(reads: Reads) -> Table | None:
    """Agreement on Mercuri grades of two readers, and of readers with themselves; None where no grades were
    given."""
    if reads.mercuri is None:
        return None
    grades = reads.mercuri.assign(grade=reads.mercuri["grade"].map(GRADES.index))
    rows = []
    for reading, one, other, both in _grades_in_common(grades):
        found = weighted_kappa(both["case"], both["grade_first"], both["grade_again"], len(GRADES))
        rows.append(
            {
                "Reading": reading,
                "First": one,
                "Second": other,
                "Cases": found.cases,
                "Muscles": len(both),
                "Same grade": found.observed,
                "Kappa, weighted": found.coefficient,
                "Band": band(found.coefficient.value),
            }
        )
    return Table(
        "agreement_grades",
        "Agreement on Mercuri grades; kappa with 95 % intervals",
        pd.DataFrame(rows),
        "Quadratic weights; intervals by the jackknife over cases, each with all of its muscles; (–): none, as nothing "
        "varies between cases.",
    )


def _grades_in_common(grades: pd.DataFrame) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """Reading, both readers, and the muscles that both graded, in columns that end in _first and _again."""
    where = ["muscle", "side"]
    first = grades[(grades["arm"] != RE_READ) & (grades["repeat"] == 0)]
    for arm, of_arm in first.groupby("arm", sort=False):
        for (one, own), (other, others) in itertools.combinations(list(of_arm.groupby("reader")), 2):
            both = own.merge(others, on=["case", *where], suffixes=("_first", "_again"))
            if len(both):
                yield arm, one, other, both
    for (repeats, reader), both in repeated_answers(grades, where).groupby(["repeats", "reader"]):
        yield repeats, reader, reader, both
