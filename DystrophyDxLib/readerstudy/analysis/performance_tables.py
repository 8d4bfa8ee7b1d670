"""Tables of what was read, how long it took and how good the answers are, by reader and arm and beside the model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ...reporting.tables import Table
from ...statistics.confusion import Confusion, proportion
from ...statistics.estimate import Estimate
from ...statistics.merit import FIGURES_OF_MERIT, RANDOM
from ...statistics.mrmc import COVARIANCES, LEAST_CASES, mean_of_readers
from ...statistics.roc import auc
from ..questions import SUBTYPES
from ..reads import RE_READ, Reads
from .first_answers import FirstAnswers, first_answers

MEAN, MODEL = "(mean)", "model"
"""In the place of a reader, and of an arm."""
BARS = ("Accuracy", "Sensitivity", "Specificity")
"""The figures of decisions that are told first."""


def answers_table(reads: Reads, answers: FirstAnswers) -> Table:
    """Which answers there are, and how many are missing."""
    rows = []
    described = reads.readers.set_index("reader")
    table = reads.reads
    arms = (*answers.arms, RE_READ) if (table["arm"] == RE_READ).any() else answers.arms
    for arm in arms:
        for r, reader in enumerate(answers.readers):
            own = table[(table["reader"] == reader) & (table["arm"] == arm)]
            submitted = own[own["amended"] == 0]
            first, again = (submitted[submitted["repeat"] == n] for n in (0, 1))
            rows.append(
                {
                    "Reader": reader,
                    "Role": described.at[reader, "role"],
                    "Years": _years(described.at[reader, "years"]),
                    "Arm": arm,
                    "Cases": int(answers.planned[r].sum()),
                    "Decisions": int(first["decision"].count()),
                    "Confidences": int(first["confidence"].count()),
                    "Duplicates": len(again),
                    "Comments": int((submitted["comment"] != "").sum()),
                    "Amendments": int(own["amended"].sum()),
                    "Amended decisions": _amended_decisions(own),
                }
            )
    return Table(
        "answers",
        "What was read",
        pd.DataFrame(rows, dtype=object),
        "Cases: the reader's own, as far as any reader has read them. Decisions and confidences: without hidden "
        "duplicates, which are counted beside; what is missing is left out of the figures that need it and of no "
        "other. Re-reads and duplicates count for agreement alone. Comments: their text is in the tables that export "
        "writes. Amendments stand beside the answers as submitted, which are "
        "what is analysed; amended decisions would be other ones.",
    )


def _years(years: float) -> float | int:
    return int(years) if years == years // 1 else years


def _amended_decisions(own: pd.DataFrame) -> int:
    keys = ["case", "session", "repeat"]
    submitted, amended = (own[own["amended"] == n] for n in (0, 1))
    both = submitted.merge(amended, on=keys, suffixes=("", "_amended"))
    return int((both["decision"].fillna(-1) != both["decision_amended"].fillna(-1)).sum())


def time_table(reads: Reads, answers: FirstAnswers) -> Table:
    """How long reading took; no rows where no time was taken."""
    table = reads.reads
    timed = table[(table["repeat"] == 0) & (table["amended"] == 0) & table["seconds"].notna()]
    rows = []
    for (arm, reader), own in timed.groupby(["arm", "reader"], sort=False):
        low, middle, high = own["seconds"].quantile([0.25, 0.5, 0.75])
        rows.append(
            {
                "Arm": arm,
                "Reader": reader,
                "Answers": len(own),
                "Median, s": float(middle),
                "Lower quartile, s": float(low),
                "Upper quartile, s": float(high),
                "In all, min": float(own["seconds"].sum() / 60),
                "Slices seen, median": float(own["slices_seen"].median()),
            }
        )
    order = [*answers.arms, RE_READ], list(reads.readers["reader"])
    rows.sort(key=lambda row: (order[0].index(row["Arm"]), order[1].index(row["Reader"])))
    note = "Of answers whose time was taken, without hidden duplicates."
    return Table("times", "Reading time", pd.DataFrame(rows), note)


def subtype_table(reads: Reads) -> Table:
    """Which subtypes readers told of cases whose diagnosis is one of them."""
    told = _first_told(reads, "subtype").merge(reads.truth, on="case")
    told = told[told["diagnosis"].isin(SUBTYPES)]
    rows = []
    for (arm, reader), own in told.groupby(["arm", "reader"], sort=False):
        right = int((own["subtype"] == own["diagnosis"]).sum())
        counts = {
            f"{said}, truly {true}": int(((own["subtype"] == said) & (own["diagnosis"] == true)).sum())
            for true in SUBTYPES
            for said in SUBTYPES
        }
        rows.append({"Arm": arm, "Reader": reader, **counts, "Right": proportion(right, len(own))})
    return Table(
        "subtypes",
        "Subtypes told, with 95 % intervals",
        pd.DataFrame(rows),
        "First answers yes to cases whose diagnosis is one of the subtypes. Intervals are Wilson's.",
    )


def quality_table(reads: Reads) -> Table | None:
    """How good readers found the images; None where nobody told."""
    told = _first_told(reads, "quality")
    if told.empty:
        return None
    counts = told.groupby(["arm", "reader", "quality"], sort=False).size().unstack(fill_value=0).sort_index(axis=1)
    frame = counts.reset_index().rename(columns={"arm": "Arm", "reader": "Reader"})
    frame.columns = [name if name in ("Arm", "Reader") else f"Quality {name}" for name in frame.columns]
    return Table("quality", "Quality of the images", frame, "First answers; 1 is not diagnostic, 5 excellent.")


def _first_told(reads: Reads, column: str) -> pd.DataFrame:
    """First answers in which a text column is filled."""
    first = first_answers(reads)
    return first[first[column] != ""]


def performance_frame(answers: FirstAnswers) -> pd.DataFrame:
    """Figures of each reader and arm, of the mean of the readers, and of the model, a row each."""
    rows = []
    for t, arm in enumerate(answers.arms):
        for r, reader in enumerate(answers.readers):
            if answers.answered(t, r):
                figures = _figures(answers.truth, answers.decisions[t, r], answers.confidences[t, r])
                rows.append({"Arm": arm, "Reader": reader, **figures})
        if len(answers.readers) > 1:
            rows.append({"Arm": arm, "Reader": MEAN, **_mean_figures(answers, t)})
    if answers.model:
        figures = _figures(answers.truth, answers.label, answers.probability)
        rows.append({"Arm": MODEL, "Reader": answers.model, **figures})
    return pd.DataFrame(rows, dtype=object)


def performance_tables(frame: pd.DataFrame) -> tuple[Table, Table]:
    """What `performance_frame` gives as two tables of a page's width."""
    further = ["F1", "LR+", "LR−"]
    return (
        Table(
            "performance",
            "Performance, with 95 % intervals",
            frame.drop(columns=further),
            "Positive and negative: cases with a decision. AUC: of confidences, or of the model's probability. "
            "Intervals are Wilson's, for the AUC DeLong's. Means are over readers with at least "
            f"{LEAST_CASES} cases of each class that the figure is of; their intervals hold for other readers "
            "and cases (Obuchowski and Rockette, Hillis).",
        ),
        Table(
            "performance_further",
            "F1 and likelihood ratios, with 95 % intervals",
            frame.loc[frame["Reader"] != MEAN, ["Arm", "Reader", *further]],
            "Intervals of F1 are Wilson's, by way of the share of true positives among all positives, said or true; of "
            "likelihood ratios by the log method.",
        ),
    )


def _figures(truth: np.ndarray, decisions: np.ndarray, scores: np.ndarray) -> dict[str, object]:
    decided, scored = ~np.isnan(decisions), ~np.isnan(scores)
    confusion = Confusion.from_decisions(truth[decided], decisions[decided])
    return {
        "Positive": confusion.positives,
        "Negative": confusion.negatives,
        "Accuracy": confusion.accuracy,
        "Sensitivity": confusion.sensitivity,
        "Specificity": confusion.specificity,
        "F1": _f1(confusion),
        "LR+": confusion.positive_likelihood_ratio,
        "LR−": confusion.negative_likelihood_ratio,
        "AUC": auc(truth[scored], scores[scored]),
    }


def _f1(found: Confusion) -> Estimate:
    """F1 with an interval: it is 2 J / (1 + J) of the proportion J = TP / (TP + FP + FN), whose Wilson interval it
    takes."""
    share = proportion(found.tp, found.tp + found.fp + found.fn)
    return Estimate(*(2 * part / (1 + part) for part in (share.value, share.low, share.high)))


def _mean_figures(answers: FirstAnswers, arm: int) -> dict[str, Estimate | float]:
    figures = {}
    for figure in FIGURES_OF_MERIT:
        name = answers.arms[arm]
        studied = answers.performance(answers.ratings(figure)[[arm]], [name], figure, COVARIANCES[0])
        title = figure if figure == "AUC" else figure.capitalize()
        figures[title] = np.nan if studied is None else mean_of_readers(studied, 0, RANDOM[0])
    return figures


def confusion_table(answers: FirstAnswers) -> Table:
    """Counts of decisions; no rows where nobody decided."""
    planned = dict(zip(answers.readers, answers.planned.sum(axis=1), strict=True))
    rows = [
        {
            "Arm": arm,
            "Reader": reader,
            "True positive": found.tp,
            "False negative": found.fn,
            "False positive": found.fp,
            "True negative": found.tn,
            "No decision": (len(answers.cases) if arm == MODEL else int(planned[reader]))
            - found.positives
            - found.negatives,
        }
        for arm, reader, found in confusions(answers)
    ]
    return Table("confusion", "Confusion matrices", pd.DataFrame(rows))


def confusions(answers: FirstAnswers) -> Iterator[tuple[str, str, Confusion]]:
    """Arm, reader and counts of each reader who decided in an arm, and of the model."""
    deciders = [
        (arm, reader, answers.decisions[t, r])
        for t, arm in enumerate(answers.arms)
        for r, reader in enumerate(answers.readers)
    ]
    if answers.model:
        deciders.append((MODEL, answers.model, answers.label))
    for arm, reader, decisions in deciders:
        decided = ~np.isnan(decisions)
        if not decided.any():
            continue
        yield arm, reader, Confusion.from_decisions(answers.truth[decided], decisions[decided])


def value_of(cell: Estimate | float) -> float:
    """The figure of a cell, without its interval."""
    return cell.value if isinstance(cell, Estimate) else cell
