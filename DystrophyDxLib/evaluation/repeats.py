"""`dystrophydx evaluate` of repeated cross-validation: each repeat as `folds` evaluates it, and how the figures spread
over the repeats, in each of which the patients were dealt to other folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..cohort.splits import repeats_in
from ..reporting.harness import in_words
from ..reporting.pages import Section
from ..reporting.progress import WRITING, part_of
from ..reporting.reports import of_repeats
from ..reporting.tables import Table
from .evaluated import EvaluationOptions
from .folds import TrainedFolds, answered_folds, summary_of, write_folds_report
from .summaries import FoldsSummary, RepeatsSummary, Spread, SummedFolds


def evaluate_repeats(folder: Path, cohort: Path, out: Path, options: EvaluationOptions) -> RepeatsSummary:
    """Evaluates the models of all repeats and writes a report into `out`, with a folder for each repeat.

    Args:
        folder: in which `dystrophydx train --split-by kfold:K --repeats R` trained.
        cohort, out: as of `folds.evaluate_folds`.

    Raises:
        InputError: as `folds.evaluate_folds`.
    """
    repeats = repeats_in(folder)
    names = tuple(repeat.name for repeat in repeats)
    report = of_repeats(names)
    before = report.check(out, overwrite=options.overwrite)
    trained = [TrainedFolds.read(repeat, cohort) for repeat in repeats]
    found = [
        answered_folds(of_repeat, cohort, replace(options, advance=part_of(options.advance, name)))
        for name, of_repeat in zip(names, trained, strict=True)
    ]
    each = [summary_of(evaluation, cohort) for evaluation in found]
    summary = _summarised(each)

    options.advance(WRITING, 0, 0)

    def sections(folder: Path) -> Iterator[Section]:
        for name, evaluation, of_repeat in zip(names, found, each, strict=True):
            write_folds_report(evaluation, of_repeat, name, folder / name, overwrite=False)
        yield _over_all(summary, each[0].patients.total)

    report.write(out, summary, f"{len(found)} repeats", sections, overwrite=options.overwrite, before=before)
    return summary


def figures_of(classes: Sequence[str], *, images: SummedFolds | None, patients: SummedFolds) -> dict[str, float]:
    """Figures of one repeat: accuracy of images, where they have answers of their own, and patients, and of the
    patients of each class the share who are called so."""
    matrix = np.array(patients.confusion)
    shares = np.divide(
        matrix.diagonal(), matrix.sum(axis=1), out=np.full(len(matrix), np.nan), where=matrix.any(axis=1)
    )
    units = {"images": images, "patients": patients}
    accuracies = {unit: summed.accuracy.value for unit, summed in units.items() if summed is not None}
    return {
        **{f"Accuracy, {unit}": np.nan if value is None else value for unit, value in accuracies.items()},
        **{f"Called rightly, {name}": float(share) for name, share in zip(classes, shares, strict=True)},
    }


def spread(repeats: Sequence[dict[str, float]]) -> dict[str, Spread]:
    """Mean and standard deviation (n - 1) of each figure over repeats."""
    table = pd.DataFrame(repeats)
    return {
        name: Spread(mean=table[name].mean(), sd=table[name].std(ddof=1), repeats=tuple(table[name])) for name in table
    }


def _summarised(found: Sequence[FoldsSummary]) -> RepeatsSummary:
    first = found[0]
    figures = spread([figures_of(each.classes, images=each.images, patients=each.patients) for each in found])
    return RepeatsSummary(notices=first.notices, classes=first.classes, cohort=first.cohort, figures=figures)


def _over_all(summary: RepeatsSummary, patients: int) -> Section:
    rows = [
        {
            "Figure": name,
            "Mean ± standard deviation": str(figure),
            **{f"Repeat {n}": in_words(value, None) for n, value in enumerate(figure.repeats, 1)},
        }
        for name, figure in summary.figures.items()
    ]
    table = Table(
        "repeats",
        f"{len(rows[0]) - 2} repeats",
        pd.DataFrame(rows),
        "The standard deviation tells how much the answer hangs on who is trained on; all repeats have the same "
        "patients, so it is no interval.",
    )
    return Section(
        "Over all repeats",
        (
            f"Each repeat deals the {patients} patients to other folds, and each patient is answered for by the model "
            "of the fold that did not see them. The folders beside this page hold each repeat.",
        ),
        (),
        (table,),
    )
