"""The pictures of a reader study's report, each with its caption, where there is something to draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from ...reporting.figures import RocLine, saved_picture
from ...reporting.pages import Picture
from ...statistics.estimate import Estimate
from ...statistics.roc import auc
from .figures import Points, bars_figure, confusion_figure, curves_figure, readers_figure
from .first_answers import FirstAnswers
from .performance_tables import BARS, MEAN, MODEL, confusions, value_of


def bars_picture(answers: FirstAnswers, performance: pd.DataFrame, figures: Path) -> Iterator[Picture]:
    """Figures of the decisions; none where nobody decided."""
    rows = performance.to_dict("records")
    shown = {
        name: {
            (row["Arm"], MODEL if row["Arm"] == MODEL else row["Reader"]): row[name]
            for row in rows
            if not np.isnan(value_of(row[name]))
        }
        for name in BARS
    }
    there = {place for estimates in shown.values() for _, place in estimates}
    if not there:
        return
    yield saved_picture(
        bars_figure(
            {name: estimates for name, estimates in shown.items() if estimates},
            [place for place in (*answers.readers, MEAN, MODEL) if place in there],
        ),
        figures,
        "bars",
        "Bars of accuracy, sensitivity and specificity of each reader, their mean" + _and_model(answers),
        f"Readers{_and_model(answers, ' beside')}, with 95 % intervals as in the table below (after Figure 3 of Yang "
        f"et al. 2021).{_without_interval(shown)}",
    )


def _without_interval(shown: Mapping[str, Mapping[tuple[str, str], Estimate]]) -> str:
    lacks = any(np.isnan(estimate.low) for estimates in shown.values() for estimate in estimates.values())
    return " Bars without a line: no interval can be told." if lacks else ""


def _and_model(answers: FirstAnswers, joined: str = " and") -> str:
    """The model by its name, for a caption; empty where none answered. In figures it is "model"."""
    return f"{joined} the model ({answers.model})" if answers.model else ""


def readers_picture(answers: FirstAnswers, performance: pd.DataFrame, figures: Path) -> Iterator[Picture]:
    """The ROC plane; none where no reader decided on both classes. The means are those of the table."""
    points = tuple(_points(answers, performance))
    means = any(arm.mean for arm in points)
    if not points:
        return
    curve = _curve(MODEL, answers.truth, answers.probability) if answers.model else None
    point = _operating_point(answers.truth, answers.label)
    yield saved_picture(
        readers_figure(points, curve, point),
        figures,
        "roc",
        f"ROC plane with readers as points{', their mean as a triangle' if means else ''}"
        + (f", and {curve.label}" if curve else ""),
        "Readers as points, with the number of those at one place"
        + (", and their mean, as in the table, as a triangle" if means else "")
        + (f", beside the ROC curve of the model ({answers.model})" if curve else "")
        + " (after Figure 4 of Yang et al. 2021).",
    )


def curves_of(answers: FirstAnswers) -> dict[str, dict[int, RocLine]]:
    """The ROC curve of each reader by arm and number of the reader; without those who told no confidences on both
    classes."""
    found = {
        arm: {
            number: curve
            for number, (reader, own) in enumerate(zip(answers.readers, confidences, strict=True))
            if (curve := _curve(reader, answers.truth, own))
        }
        for arm, confidences in zip(answers.arms, answers.confidences, strict=True)
    }
    return {arm: own for arm, own in found.items() if own}


def curves_picture(answers: FirstAnswers, figures: Path) -> Iterator[Picture]:
    """ROC curves; none where no reader told confidences on both classes."""
    curves = curves_of(answers)
    if not curves:
        return
    yield saved_picture(
        curves_figure(curves),
        figures,
        "roc_readers",
        "ROC curve of each reader: "
        + "; ".join(f"{arm}: {line.label}" for arm, own in curves.items() for line in own.values()),
        "Empirical ROC curve of each reader's confidences, with AUC and DeLong's 95 % interval. A reader has the "
        "same colour and dashes in every arm.",
    )


def confusion_picture(answers: FirstAnswers, asked: str, figures: Path) -> Iterator[Picture]:
    """Confusion matrices of the decisions, yes being `asked`; none where nobody decided."""
    matrices = [(MODEL if arm == MODEL else f"{reader}\n{arm}", found) for arm, reader, found in confusions(answers)]
    if not matrices:
        return
    yield saved_picture(
        confusion_figure(matrices, asked),
        figures,
        "confusion",
        f"Confusion matrices of each reader in each arm{_and_model(answers)}; the counts are in the table below",
        f"Confusion matrices: rows are the truth, columns what was said. Yes: {asked}.",
    )


def _points(answers: FirstAnswers, performance: pd.DataFrame) -> Iterator[Points]:
    """Readers with decisions on both classes, by arm."""
    for arm, decisions in zip(answers.arms, answers.decisions, strict=True):
        places = [place for own in decisions if (place := _operating_point(answers.truth, own))]
        if places:
            of_mean = performance[(performance["Arm"] == arm) & (performance["Reader"] == MEAN)]
            rates = [
                value_of(row[name]) for row in of_mean.to_dict("records") for name in ("Specificity", "Sensitivity")
            ]
            known = len(rates) == 2 and not np.isnan(rates).any()
            false_positive, true_positive = np.array(places).T
            yield Points(arm, false_positive, true_positive, (1 - rates[0], rates[1]) if known else None)


def _operating_point(truth: np.ndarray, decisions: np.ndarray) -> tuple[float, float] | None:
    """False-positive and true-positive rate; None without decisions on both classes."""
    rates = []
    for label in (0, 1):
        own = decisions[(truth == label) & ~np.isnan(decisions)]
        if not len(own):
            return None
        rates.append(float(own.mean()))
    return rates[0], rates[1]


def _curve(name: str, truth: np.ndarray, scores: np.ndarray) -> RocLine | None:
    """None without scores of both classes."""
    rated = ~np.isnan(scores)
    truth, scores = truth[rated], scores[rated]
    if len(np.unique(truth)) < 2:
        return None
    false_positive, true_positive, _ = roc_curve(truth, scores)
    return RocLine(f"{name}: AUC {auc(truth, scores):.3f}", false_positive, true_positive)
