"""`dystrophydx readers analyse`: how good readers are, aided and unaided and beside the model, and how they agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from ... import __version__
from ...reporting.case_report import RESEARCH_ONLY, SYNTHETIC_COHORT
from ...reporting.figures import save_figure
from ...reporting.output_folder import check_results_folder, results_folder
from ...reporting.pages import Page, Picture, Section
from ...reporting.tables import Table, cell_text
from ...statistics.estimate import Estimate
from ...statistics.roc import auc
from ..reads import AIDED, RE_READ, UNAIDED, Reads
from . import agreement_tables, comparison_tables, performance_tables
from .agreement_tables import READERS
from .comparison_tables import ArmsAnalysis
from .figures import Curve, Points, bars_figure, confusion_figure, curves_figure, readers_figure
from .first_answers import FirstAnswers, first_answers
from .performance_tables import MEAN, MODEL

SCHEMA = "dystrophydx.reader_study/1"
FILES = ("report.html", "analysis.json", "tables", "figures")
POSITIVE = "dystrophinopathy"
_BARS = ("Accuracy", "Sensitivity", "Specificity")


def analyse(reads: Reads, out: Path, *, overwrite: bool, notices: tuple[str, ...] = ()) -> dict[str, object]:
    """Analyses a reader study and writes `FILES` into `out`: a page that stands alone, its tables as CSV and Markdown
    and its figures as SVG and PNG.

    Args:
        reads: of `Reads.read` for a folder of CSV files.
        out: all of the files or none are written.
        overwrite: whether an earlier analysis in `out` is replaced.
        notices: what is to stand beside every figure besides, such as readers whose answers could not be had.

    Returns:
        The content of analysis.json.

    Raises:
        InputError: there is nothing to analyse, or `out` cannot be used.
    """
    check_results_folder(out, FILES, overwrite=overwrite)
    answers = FirstAnswers.of(reads)
    notices = (*_unfinished(reads), *notices, *_notices(reads))
    performance = performance_tables.performance_frame(answers)
    agreement = agreement_tables.agreement_table(answers)
    arms = comparison_tables.analyse_arms(answers)
    with results_folder(out, FILES, overwrite=overwrite) as folder:
        for name in ("tables", "figures"):
            (folder / name).mkdir()
        page = Page(
            "reader study",
            f"{len(answers.readers)} readers, {len(answers.cases)} cases",
            notices,
            (
                _brief(reads, answers, performance, agreement, arms),
                _read(reads, answers),
                *_performance(answers, performance, folder / "figures"),
                _agreement(reads, answers, agreement),
                _arms(reads, answers, arms),
                _model(answers),
                _planning(arms),
            ),
        )
        page.write_tables(folder / "tables")
        page.write(folder / "report.html")
        summary = _summarised(reads, answers, performance, arms, notices)
        (folder / "analysis.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary


def _unfinished(reads: Reads) -> tuple[str, ...]:
    """A sentence while answers are still to be given."""
    if reads.unread is None:
        return ()
    given = int((reads.reads["amended"] == 0).sum())
    return (
        f"Reading is unfinished: {given} of {given + len(reads.unread)} answers are given. Whoever looks at these "
        "figures or the truth now is unblinded; keep them from the readers, and change nothing of the study for them.",
    )


def _notices(reads: Reads) -> tuple[str, ...]:
    """What stands beside every figure: what was read, what the model was trained on, and what it is all for."""
    synthetic = (SYNTHETIC_COHORT,) if reads.truth["synthetic"].any() else ()
    trained_on = () if reads.model is None else sorted(set(filter(None, reads.model["trained_on"])))
    return (*synthetic, *(f"The model was trained on {told}." for told in trained_on), RESEARCH_ONLY)


def _brief(
    reads: Reads,
    answers: FirstAnswers,
    performance: pd.DataFrame,
    agreement: Table | None,
    arms: tuple[ArmsAnalysis, ...],
) -> Section:
    positive = int(answers.truth.sum())
    planned, missing = answers.planned.sum() * len(answers.arms), int(answers.missing.sum())
    paragraphs = [
        *_unfinished(reads),
        f"{len(answers.readers)} readers ({', '.join(answers.readers)}) read {len(answers.cases)} cases "
        f"({positive} {POSITIVE}, {len(answers.cases) - positive} other), {' and '.join(answers.arms)}.",
        f"{planned} first decisions on them were to be made, {missing} of them are missing."
        if missing
        else f"All {planned} first decisions on them were made.",
    ]
    silent = sorted(set(reads.readers["reader"]) - set(answers.readers))
    if silent:
        paragraphs.append(f"Without an unaided or aided answer and in no figure: {', '.join(silent)}.")
    if positive in (0, len(answers.cases)):
        paragraphs.append(
            f"All cases that were read are of one class, so that the AUC and the "
            f"{'specificity' if positive else 'sensitivity'} cannot be told."
        )
    for row in performance.to_dict("records"):
        if row["Reader"] == MEAN or row["Arm"] == MODEL:
            who = f"Mean of the readers, {row['Arm']}" if row["Reader"] == MEAN else f"Model {row['Reader']}"
            told = [
                f"{name if name == 'AUC' else name.lower()} {cell_text(name, row[name])}"
                for name in (*_BARS, "AUC")
                if not np.isnan(_value(row[name]))
            ]
            if told:
                paragraphs.append(f"{who}: {', '.join(told)}.")
    for row in [] if agreement is None else agreement.frame.to_dict("records"):
        if row["Among"] == READERS:
            told = (cell_text("Kappa", row["Kappa, Fleiss"]), row["Band"])
            paragraphs.append(f"Fleiss' kappa of the readers, {row['Arm']}: {', '.join(filter(None, told))}.")
    if arms:
        test = arms[0].tests[0]
        paragraphs.append(
            f"Aided less unaided, for other readers and cases: {arms[0].figure} "
            f"{cell_text('AUC', test.differences[0].difference)}, p {cell_text('p', test.p)}."
        )
    unread = len(reads.truth) - len(answers.cases)
    if unread:
        paragraphs.append(f"Read by no one and in no figure: {unread} of the cases in the table of truth.")
    if answers.model:
        without = int(np.isnan(answers.label).sum())
        if without:
            paragraphs.append(f"Without an answer of the model and in none of its figures: {without} of the cases.")
    return Section("In brief", tuple(paragraphs))


def _read(reads: Reads, answers: FirstAnswers) -> Section:
    paragraphs = []
    both = _answered_twice(reads)
    if (both["session_unaided"].eq(both["session_aided"]) & both["session_unaided"].gt(0)).any():
        paragraphs.append(
            "Sequential reading: aided answers were given in the session of the unaided ones. Differences tell what "
            "the aid changes in a reader who has just decided without it."
        )
    if both[["session_unaided", "session_aided"]].eq(0).any(axis=None):
        paragraphs.append("The tables do not tell all sessions, and so not whether reading was sequential.")
    answered = performance_tables.answers_table(reads, answers)
    times = performance_tables.time_table(reads, answers)
    subtypes, quality = performance_tables.subtype_table(reads), performance_tables.quality_table(reads)
    return Section("What was read", tuple(paragraphs), (), _there(answered, times, subtypes, quality))


def _answered_twice(reads: Reads) -> pd.DataFrame:
    """Cases that a reader answered both unaided and aided, with the session of each answer."""
    keys = ["reader", "case"]
    first = first_answers(reads)
    unaided, aided = (first.loc[first["arm"] == arm, [*keys, "session"]] for arm in (UNAIDED, AIDED))
    return unaided.merge(aided, on=keys, suffixes=("_unaided", "_aided"))


def _performance(answers: FirstAnswers, performance: pd.DataFrame, figures: Path) -> tuple[Section, Section]:
    beside = (*_bars_picture(answers, performance, figures), *_readers_picture(answers, figures))
    each = (*_curves_picture(answers, figures), *_confusion_picture(answers, figures))
    tables = performance_tables.performance_tables(performance)
    return (
        Section("Performance", (), beside, tables),
        Section("Decisions and confidences", (), each, _there(performance_tables.confusion_table(answers))),
    )


def _bars_picture(answers: FirstAnswers, performance: pd.DataFrame, figures: Path) -> Iterator[Picture]:
    """None where nobody decided."""
    rows = performance.to_dict("records")
    shown = {
        name: {
            (row["Arm"], MODEL if row["Arm"] == MODEL else row["Reader"]): row[name]
            for row in rows
            if not np.isnan(_value(row[name]))
        }
        for name in _BARS
    }
    there = {place for estimates in shown.values() for _, place in estimates}
    if not there:
        return
    yield _saved(
        bars_figure(
            {name: estimates for name, estimates in shown.items() if estimates},
            [place for place in (*answers.readers, MEAN, MODEL) if place in there],
        ),
        figures,
        "bars",
        "Bars of accuracy, sensitivity and specificity of each reader, their mean" + _and_model(answers),
        f"Readers{_and_model(answers, ' beside')}, with 95 % intervals (after Figure 3 of Yang et al. 2021).",
    )


def _and_model(answers: FirstAnswers, joined: str = " and") -> str:
    """The model by its name, for a caption; empty where none answered. In figures it is "model"."""
    return f"{joined} the model ({answers.model})" if answers.model else ""


def _readers_picture(answers: FirstAnswers, figures: Path) -> Iterator[Picture]:
    """None where no reader decided on both classes."""
    points = tuple(_points(answers))
    if not points:
        return
    curve = _curve(MODEL, answers.truth, answers.probability) if answers.model else None
    point = _operating_point(answers.truth, answers.label)
    yield _saved(
        readers_figure(points, curve, point),
        figures,
        "roc",
        "ROC plane with readers as points, their average as a triangle" + (f", and {curve.label}" if curve else ""),
        "Readers as points, with the number of those at one place, and their average as a triangle"
        + (f", beside the ROC curve of the model ({answers.model})" if curve else "")
        + " (after Figure 4 of Yang et al. 2021).",
    )


def _curves_picture(answers: FirstAnswers, figures: Path) -> Iterator[Picture]:
    """None where no reader told confidences on both classes."""
    found = {
        arm: [
            curve
            for reader, own in zip(answers.readers, confidences, strict=True)
            if (curve := _curve(reader, answers.truth, own))
        ]
        for arm, confidences in zip(answers.arms, answers.confidences, strict=True)
    }
    curves = {arm: own for arm, own in found.items() if own}
    if not curves:
        return
    yield _saved(
        curves_figure(curves),
        figures,
        "roc_readers",
        "ROC curve of each reader: " + "; ".join(f"{arm}: {line.label}" for arm, own in curves.items() for line in own),
        "Empirical ROC curve of each reader's confidences, with AUC and DeLong's interval.",
    )


def _confusion_picture(answers: FirstAnswers, figures: Path) -> Iterator[Picture]:
    """None where nobody decided."""
    matrices = [
        (MODEL if arm == MODEL else f"{reader}\n{arm}", found)
        for arm, reader, found in performance_tables.confusions(answers)
    ]
    if not matrices:
        return
    yield _saved(
        confusion_figure(matrices, POSITIVE),
        figures,
        "confusion",
        f"Confusion matrices of each reader in each arm{_and_model(answers)}; the counts are in the table below",
        f"Confusion matrices: rows are the truth, columns what was said. {POSITIVE.capitalize()}: yes.",
    )


def _points(answers: FirstAnswers) -> Iterator[Points]:
    """Readers with decisions on both classes, by arm."""
    for arm, decisions in zip(answers.arms, answers.decisions, strict=True):
        places = [place for own in decisions if (place := _operating_point(answers.truth, own))]
        if places:
            yield Points(arm, *np.array(places).T)


def _operating_point(truth: np.ndarray, decisions: np.ndarray) -> tuple[float, float] | None:
    """False-positive and true-positive rate; None without decisions on both classes."""
    rates = []
    for label in (0, 1):
        own = decisions[(truth == label) & ~np.isnan(decisions)]
        if not len(own):
            return None
        rates.append(float(own.mean()))
    return rates[0], rates[1]


def _curve(name: str, truth: np.ndarray, scores: np.ndarray) -> Curve | None:
    """None without scores of both classes."""
    rated = ~np.isnan(scores)
    truth, scores = truth[rated], scores[rated]
    if len(np.unique(truth)) < 2:
        return None
    false_positive, true_positive, _ = roc_curve(truth, scores)
    return Curve(f"{name}: AUC {auc(truth, scores):.3f}", false_positive, true_positive)


def _agreement(reads: Reads, answers: FirstAnswers, agreement: Table | None) -> Section:
    found = _there(
        agreement,
        agreement_tables.pairs_table(answers),
        agreement_tables.intra_reader_table(reads),
        agreement_tables.grades_table(reads),
    )
    return Section("Agreement", () if found else ("No two answers to one case can be compared.",), (), found)


def _arms(reads: Reads, answers: FirstAnswers, arms: tuple[ArmsAnalysis, ...]) -> Section:
    if answers.arms != (UNAIDED, AIDED):
        unread = set() if reads.unread is None else set(reads.unread["arm"]) - set(answers.arms) - {RE_READ}
        read = f"Only {answers.arms[0]} readings are there" + "".join(
            f"; {arm} ones are still to come" for arm in unread
        )
        more = ", and re-reads, which are compared under Agreement" if (reads.reads["arm"] == RE_READ).any() else ""
        return Section("Aided against unaided", (f"{read}{more}.",))
    found = _there(comparison_tables.arms_table(arms), comparison_tables.paired_arms_table(answers))
    told = () if arms else ("Fewer than two readers answered enough cases in both arms to tell of others.",)
    return Section("Aided against unaided", told, (), found)


def _model(answers: FirstAnswers) -> Section:
    if not answers.model:
        return Section("Readers against the model", ("No model answered.",))
    found = _there(comparison_tables.model_table(answers), comparison_tables.paired_model_table(answers))
    return Section("Readers against the model", (), (), found)


def _planning(arms: tuple[ArmsAnalysis, ...]) -> Section:
    found = _there(comparison_tables.sample_size_table(arms), comparison_tables.components_table(arms))
    told = () if found else ("A next study can be planned from one in which at least two readers read both arms.",)
    return Section("The next study", told, (), found)


def _summarised(
    reads: Reads,
    answers: FirstAnswers,
    performance: pd.DataFrame,
    arms: tuple[ArmsAnalysis, ...],
    notices: tuple[str, ...],
) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "program": f"DystrophyDx {__version__}",
        "notices": list(notices),
        "readers": list(answers.readers),
        "arms": list(answers.arms),
        "model": answers.model,
        "cases": {
            "read": len(answers.cases),
            "positive": int(answers.truth.sum()),
            "not_read": len(reads.truth) - len(answers.cases),
        },
        "answers": {
            "rows": len(reads.reads),
            "first_decisions": int(np.count_nonzero(~np.isnan(answers.decisions))),
            "missing_decisions": int(answers.missing.sum()),
            "unread": 0 if reads.unread is None else len(reads.unread),
        },
        "performance": [{name: _json(cell) for name, cell in row.items()} for row in performance.to_dict("records")],
        "aided_less_unaided": [
            {
                "figure": found.figure,
                "covariances": found.covariance,
                "holds_for_other": test.random,
                "readers": found.readers,
                "difference": _json(test.differences[0].difference),
                "f": _json(test.f),
                "df": [test.df1, _json(test.df2)],
                "p": _json(test.p),
            }
            for found in arms
            for test in found.tests
        ],
    }


def _json(cell: object) -> object:
    """A cell for JSON, with None for what JSON has no number for."""
    if isinstance(cell, Estimate):
        return {"value": _json(cell.value), "ci95": [_json(cell.low), _json(cell.high)]}
    if isinstance(cell, float):
        return cell if np.isfinite(cell) else None
    return cell


def _value(cell: Estimate | float) -> float:
    return cell.value if isinstance(cell, Estimate) else cell


def _there(*tables: Table | None) -> tuple[Table, ...]:
    return tuple(table for table in tables if table is not None)


def _saved(figure: Figure, folder: Path, name: str, alt: str, caption: str) -> Picture:
    save_figure(figure, folder, name)
    return Picture(folder / f"{name}.svg", alt, caption)
