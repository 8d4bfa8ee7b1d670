"""`dystrophydx readers analyse`: how good readers are, aided and unaided and beside the model, and how they agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from .. import __version__
from ..evaluation.estimate import Estimate
from ..evaluation.evaluation_report import Page, Picture, Section
from ..evaluation.figures import save_figure
from ..evaluation.roc import auc
from ..evaluation.tables import Table, cell_text
from ..output_folder import results_folder
from ..report import RESEARCH_ONLY
from . import agreement_tables, comparison_tables, performance_tables
from .analysis_figures import Curve, Points, bars_figure, confusion_figure, curves_figure, readers_figure
from .comparison_tables import ArmsAnalysis
from .first_answers import FirstAnswers, first_answers
from .performance_tables import MEAN, MODEL
from .reads import AIDED, RE_READ, UNAIDED, Reads

SCHEMA = "dystrophydx.reader_study/1"
FILES = ("report.html", "analysis.json", "tables", "figures")
POSITIVE = "dystrophinopathy"
_BARS = ("Accuracy", "Sensitivity", "Specificity")


def analyse(reads: Reads, out: Path, *, seed: int, overwrite: bool) -> dict[str, object]:
    """Analyses a reader study and writes `FILES` into `out`: a page that stands alone, its tables as CSV and Markdown
    and its figures as SVG and PNG.

    Args:
        reads: of `Reads.read` for a folder of CSV files.
        out: all of the files or none are written.
        seed: of the bootstrap.
        overwrite: whether an earlier analysis in `out` is replaced.

    Returns:
        The content of analysis.json.

    Raises:
        InputError: there is nothing to analyse, or `out` cannot be used.
    """
    answers = FirstAnswers.of(reads)
    performance = performance_tables.performance_table(answers, seed)
    arms = comparison_tables.analyse_arms(answers)
    with results_folder(out, FILES, overwrite=overwrite) as folder:
        for name in ("tables", "figures"):
            (folder / name).mkdir()
        page = Page(
            "reader study",
            f"{len(answers.readers)} readers, {len(answers.cases)} cases",
            (RESEARCH_ONLY,),
            (
                _brief(reads, answers, performance, arms),
                _read(reads, answers),
                _performance(answers, performance, folder / "figures"),
                _agreement(reads, answers, seed),
                _arms(reads, answers, arms),
                _model(answers),
                _planning(arms),
            ),
        )
        page.write_tables(folder / "tables")
        page.write(folder / "report.html")
        summary = _summarised(reads, answers, performance, arms, seed)
        (folder / "analysis.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary


def _brief(reads: Reads, answers: FirstAnswers, performance: Table, arms: tuple[ArmsAnalysis, ...]) -> Section:
    positive = int(answers.truth.sum())
    missing = int(np.isnan(answers.decisions).sum())
    paragraphs = [
        f"{len(answers.readers)} readers ({', '.join(answers.readers)}) read {len(answers.cases)} cases "
        f"({positive} {POSITIVE}, {len(answers.cases) - positive} other), {' and '.join(answers.arms)}.",
        f"{answers.decisions.size} first decisions were to be made, {missing} of them are missing."
        if missing
        else f"All {answers.decisions.size} first decisions were made.",
    ]
    for row in performance.frame.to_dict("records"):
        if row["Reader"] == MEAN or row["Arm"] == MODEL:
            who = f"Mean of the readers, {row['Arm']}" if row["Reader"] == MEAN else f"Model {row['Reader']}"
            told = (
                f"{name if name == 'AUC' else name.lower()} {cell_text(name, row[name])}" for name in (*_BARS, "AUC")
            )
            paragraphs.append(f"{who}: {', '.join(told)}.")
    if arms:
        test = arms[0].tests[0]
        paragraphs.append(
            f"Aided less unaided, for other readers and cases: {arms[0].figure} "
            f"{cell_text('AUC', test.differences[0].difference)}, p {cell_text('p', test.p)}."
        )
    unread = len(reads.truth) - len(answers.cases)
    if unread:
        paragraphs.append(f"{unread} cases of the table of truth were read by no one and are in no figure.")
    if answers.model:
        without = int(np.isnan(answers.label).sum())
        if without:
            paragraphs.append(f"The model has no answer to {without} of the cases; they are in none of its figures.")
    return Section("In brief", tuple(paragraphs))


def _read(reads: Reads, answers: FirstAnswers) -> Section:
    paragraphs = []
    if _is_sequential(reads):
        paragraphs.append(
            "Sequential reading: aided answers were given in the session of the unaided ones. Differences tell what "
            "the aid changes in a reader who has just decided without it."
        )
    answered = performance_tables.answers_table(reads, answers)
    times = performance_tables.time_table(reads, answers)
    return Section("What was read", tuple(paragraphs), (), _there(answered, times))


def _is_sequential(reads: Reads) -> bool:
    """Whether a reader gave unaided and aided answers to one case in one session."""
    keys = ["reader", "case", "session"]
    first = first_answers(reads)
    unaided, aided = (first.loc[first["arm"] == arm, keys] for arm in (UNAIDED, AIDED))
    return not unaided.merge(aided, on=keys).empty


def _performance(answers: FirstAnswers, performance: Table, figures: Path) -> Section:
    shown = {
        name: {
            (row["Arm"], row["Reader"]): row[name]
            for row in performance.frame.to_dict("records")
            if _is_estimate(row[name])
        }
        for name in _BARS
    }
    pictures = [
        _saved(
            bars_figure(shown),
            figures,
            "bars",
            "Bars of accuracy, sensitivity and specificity of each reader, their mean and the model",
            "Readers beside the model, with 95 % intervals (after Figure 3 of Yang et al. 2021).",
        )
    ]
    points = tuple(_points(answers))
    if points and 0 < answers.truth.sum() < len(answers.truth):
        pictures += _roc_pictures(answers, points, figures)
    matrices = [
        (reader if arm == MODEL else f"{reader}, {arm}", found)
        for arm, reader, found in performance_tables.confusions(answers)
    ]
    pictures.append(
        _saved(
            confusion_figure(matrices, POSITIVE),
            figures,
            "confusion",
            "Confusion matrices of each reader in each arm and of the model; the counts are in the table below",
            f"Confusion matrices: rows are the truth, columns what was said. {POSITIVE.capitalize()}: yes.",
        )
    )
    return Section("Performance", (), tuple(pictures), (performance, performance_tables.confusion_table(answers)))


def _roc_pictures(answers: FirstAnswers, points: tuple[Points, ...], figures: Path) -> Iterator[Picture]:
    scored = ~np.isnan(answers.probability)
    curve = point = None
    if answers.model and len(set(answers.truth[scored])) == 2:
        curve = _curve(answers.model, answers.truth[scored], answers.probability[scored])
        point = _operating_point(answers.truth, answers.label)
    yield _saved(
        readers_figure(points, curve, point),
        figures,
        "roc",
        "ROC plane with readers as points, their average as a triangle" + (f", and {curve.label}" if curve else ""),
        "Readers as points and their average as a triangle beside the model's ROC curve (after Figure 4 of Yang et al. "
        "2021).",
    )
    curves = {}
    for arm, confidences in zip(answers.arms, answers.confidences, strict=True):
        for reader, own in zip(answers.readers, confidences, strict=True):
            rated = ~np.isnan(own)
            if len(set(answers.truth[rated])) == 2:
                curves.setdefault(arm, []).append(_curve(reader, answers.truth[rated], own[rated]))
    if curves:
        yield _saved(
            curves_figure(curves),
            figures,
            "roc_readers",
            "ROC curve of each reader: " + "; ".join(f"{arm}: {line.label}" for arm in curves for line in curves[arm]),
            "Empirical ROC curve of each reader's confidences, with AUC and DeLong's interval.",
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


def _curve(name: str, truth: np.ndarray, scores: np.ndarray) -> Curve:
    false_positive, true_positive, _ = roc_curve(truth, scores)
    return Curve(f"{name}: AUC {auc(truth, scores):.3f}", false_positive, true_positive)


def _agreement(reads: Reads, answers: FirstAnswers, seed: int) -> Section:
    found = _there(
        agreement_tables.agreement_table(answers),
        agreement_tables.pairs_table(answers),
        agreement_tables.intra_reader_table(reads),
        agreement_tables.grades_table(reads, seed),
    )
    return Section("Agreement", () if found else ("No two answers to one case can be compared.",), (), found)


def _arms(reads: Reads, answers: FirstAnswers, arms: tuple[ArmsAnalysis, ...]) -> Section:
    if answers.arms != (UNAIDED, AIDED):
        read = f"Only {answers.arms[0]} readings are there"
        more = ", and re-reads, which are compared under Agreement" if (reads.reads["arm"] == RE_READ).any() else ""
        return Section("Aided against unaided", (f"{read}{more}.",))
    found = _there(comparison_tables.arms_table(arms), comparison_tables.paired_arms_table(answers))
    told = (
        ()
        if arms
        else ("Fewer than two readers answered enough cases of both classes in both arms to tell of others.",)
    )
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
    reads: Reads, answers: FirstAnswers, performance: Table, arms: tuple[ArmsAnalysis, ...], seed: int
) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "program": f"DystrophyDx {__version__}",
        "notices": [RESEARCH_ONLY],
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
            "missing_decisions": int(np.isnan(answers.decisions).sum()),
        },
        "seed": seed,
        "performance": [
            {name: _json(cell) for name, cell in row.items()} for row in performance.frame.to_dict("records")
        ],
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


def _is_estimate(cell: object) -> bool:
    return isinstance(cell, Estimate) and not np.isnan(cell.value)


def _there(*tables: Table | None) -> tuple[Table, ...]:
    return tuple(table for table in tables if table is not None)


def _saved(figure: Figure, folder: Path, name: str, alt: str, caption: str) -> Picture:
    save_figure(figure, folder, name)
    return Picture(folder / f"{name}.svg", alt, caption)
