"""`dystrophydx evaluate` of the models of a cross-validation: every patient is answered for by the model that has not
seen them, and the folds' confusion matrices are summed.

Table 3 of Germain et al., Diagnostics 2021;11:1554. Rows are the truth (normal, HCM, DCM), columns what is said. As
printed, diastole [369 4 21; 9 396 6; 6 1 388] and systole [359 26 10; 14 394 3; 1 0 393] have 47 and 54 errors among
1200 (accuracy 0.961 and 0.955). The pair's matrix, [390 3 2; 9 400 2; 4 0 388], sums to 1198 with 20 errors, where the
text says 22 of 1200 (0.982): two errors are missing from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ..cohort.splits import FOLDS, read_folds
from ..cohort.table import Cohort
from ..errors import InputError
from ..models.packages import AnsweringPackage, fold_packages
from ..models.pattern_package import PatternPackage, PatternRecipe
from ..reporting.figures import confusion_figure, saved_picture
from ..reporting.harness import FIGURES, Measure, report_notices, table_sha256
from ..reporting.output_folder import Content
from ..reporting.pages import Section
from ..reporting.progress import WRITING, part_of
from ..reporting.reports import AUDIT
from ..reporting.reports import FOLDS as REPORT
from ..reporting.tables import Table
from ..statistics.confusion import errors_of, proportion
from . import evaluated, heat_audit
from .evaluated import EvaluationOptions, Observer
from .map_report import map_sections, reference_cases
from .pattern_classifier import classifier_of
from .phantom_truth import is_synthetic
from .predictions import Predictions, by_patient, counted, predict, said
from .strata import by_stratum
from .summaries import CohortFacts, FoldsSummary, SummedFolds, left_out_of, left_out_told


@dataclass(frozen=True)
class TrainedFolds:
    """The models of a cross-validation, that of fold 1 first, and the fold in which each patient is tested."""

    packages: tuple[AnsweringPackage, ...]
    cohort: Cohort
    fold_of: Mapping[str, int]

    @classmethod
    def read(cls, folder: Path, cohort: Path) -> TrainedFolds:
        """Reads all of a training.

        Args:
            folder: in which `dystrophydx train --split-by kfold:K` trained a model a fold.
            cohort: the CSV that they were trained on.

        Raises:
            InputError: a model is missing, or they are of another cohort or of several trainings.
        """
        (first,) = fold_packages(folder, 1)
        cases = Cohort.read(cohort, first.recipe)
        fold_of = read_folds(folder / FOLDS, cases)
        packages = fold_packages(folder, max(fold_of.values()))
        if any((type(package), package.card.classes) != (type(first), first.card.classes) for package in packages):
            raise InputError(
                f"The models in {folder.name} are of other kinds or tell other classes apart; give those of one "
                "training."
            )
        return cls(packages, cases, fold_of)


@dataclass(frozen=True)
class FoldEvaluation:
    """Answers of the models of a cross-validation.

    Attributes:
        packages: that of fold 1 first.
        predictions: of all folds; `images` has the columns `fold`, from 1, and `said`, the index of the class.
        audit: rows of `heat_audit.audited`; none of models of patterns, which have no heatmap.
        further: sections of `map_report`.
    """

    packages: tuple[AnsweringPackage, ...]
    cohort: Cohort
    predictions: Predictions
    audit: pd.DataFrame
    further: tuple[Section, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        return self.packages[0].card.classes

    @property
    def of_patterns(self) -> bool:
        """Whether no image has an answer of its own."""
        return isinstance(self.packages[0], PatternPackage)

    @cached_property
    def images(self) -> pd.DataFrame:
        return counted(self.predictions.images)

    @cached_property
    def patients(self) -> pd.DataFrame:
        """One row a patient, with `fold` and `said` by the mean of the images."""
        found = [
            by_patient(images).assign(fold=fold, said=lambda rows, fold=fold: said(rows, self.packages[fold - 1].card))
            for fold, images in self.images.groupby("fold")
        ]
        return pd.concat(found, ignore_index=True)

    @property
    def units(self) -> dict[Literal["images", "patients"], pd.DataFrame]:
        """What figures are given of."""
        patients: dict[Literal["images", "patients"], pd.DataFrame] = {"patients": self.patients}
        return patients if self.of_patterns else {"images": self.images, **patients}

    def matrix(self, rows: pd.DataFrame) -> np.ndarray:
        """(K, K) of images or patients of any folds: rows the truth, columns what is said."""
        matrix = np.zeros((len(self.classes),) * 2, int)
        np.add.at(matrix, (rows["truth"].to_numpy(), rows["said"].to_numpy()), 1)
        return matrix


def evaluate_folds(folder: Path, cohort: Path, out: Path, options: EvaluationOptions) -> FoldsSummary:
    """Evaluates the models of a cross-validation and writes the files of `REPORT` into `out`.

    Args:
        folder: in which `dystrophydx train --split-by kfold:K` trained a model a fold.
        cohort: the CSV that they were trained on.
        out: all of the files or none are written.

    Raises:
        InputError: models, cohort or `out` cannot be used, or no series can be evaluated.
    """
    before = REPORT.check(out, overwrite=options.overwrite)
    evaluation = answered_folds(TrainedFolds.read(folder, cohort), cohort, options)
    options.advance(WRITING, 0, 0)
    summary = summary_of(evaluation, cohort)
    write_folds_report(evaluation, summary, folder.absolute().name, out, overwrite=options.overwrite, before=before)
    return summary


def answered_folds(trained: TrainedFolds, cohort: Path, options: EvaluationOptions) -> FoldEvaluation:
    """What the models of a cross-validation say of its patients; errors as of `evaluate_folds`.

    Args:
        cohort: the CSV that they were trained on.
    """
    packages, cases, fold_of = trained.packages, trained.cohort, trained.fold_of
    heat_audit.check_organs(cases, cohort.parent)
    group = reference_cases(cases, cases, options.reference)
    observer = Observer(cohort.parent, options.atlas, localises=False)
    images, failures = [], []
    for number, package in enumerate(packages, 1):
        tested = Cohort(tuple(case for case in cases.cases if fold_of[case.patient_id] == number), cases.recipe)
        advance = part_of(options.advance, f"Fold {number}")
        classifier = classifier_of(package, options.device)
        found = predict(classifier, tested, advance, *(() if isinstance(package, PatternPackage) else (observer,)))
        images.append(found.images.assign(fold=number, said=said(found.images, package.card)))
        failures.append(found.failures)
    predictions = Predictions(pd.concat(images, ignore_index=True), pd.concat(failures, ignore_index=True))
    audit = pd.concat(observer.audit, ignore_index=True) if observer.audit else pd.DataFrame()
    evaluation = FoldEvaluation(packages, cases, predictions, audit)
    further = map_sections(observer.regions, group, cases, evaluation.patients, options.advance)
    return replace(evaluation, further=tuple(further))


def summary_of(evaluation: FoldEvaluation, cohort: Path) -> FoldsSummary:
    """The content of folds.json.

    Args:
        cohort: the CSV.
    """

    def summed(rows: pd.DataFrame) -> SummedFolds:
        matrix = evaluation.matrix(rows)
        errors, total = errors_of(matrix)
        accuracy = Measure.of(proportion(total - errors, total))
        return SummedFolds(confusion=matrix.tolist(), errors=errors, total=total, accuracy=accuracy)

    synthetic = is_synthetic(evaluation.cohort)
    demonstration = any(package.card.demonstration for package in evaluation.packages)
    return FoldsSummary(
        notices=report_notices(demonstration=demonstration, synthetic=synthetic, further=evaluation.cohort.notices),
        models=tuple(package.sha256 for package in evaluation.packages),
        classes=evaluation.classes,
        cohort=CohortFacts(sha256=table_sha256(cohort), synthetic=synthetic),
        images=None if evaluation.of_patterns else summed(evaluation.images),
        patients=summed(evaluation.patients),
        series_failed=len(evaluation.predictions.failures),
        left_out=left_out_of(evaluation.predictions.failures),
    )


def write_folds_report(
    evaluation: FoldEvaluation,
    summary: FoldsSummary,
    name: str,
    out: Path,
    *,
    overwrite: bool,
    before: Content | None = None,
) -> None:
    """Writes the files of `REPORT` into `out`.

    Args:
        name: of the models, by which the page is known.

    Raises:
        InputError: `out` cannot be used or written.
    """
    recipe = evaluation.packages[0].recipe
    what = recipe.name if isinstance(recipe, PatternRecipe) else f"{recipe.name}, {recipe.network.backbone}"
    tables = evaluated.tables_of(evaluation.predictions, evaluation.patients, evaluation.audit)
    REPORT.write(
        out,
        summary,
        f"{name} ({what}), {len(evaluation.packages)} folds",
        lambda folder: _sections(evaluation, summary, folder / FIGURES),
        {file: table for file, table in tables.items() if file != AUDIT or not evaluation.of_patterns},
        overwrite=overwrite,
        before=before,
    )


def _sections(evaluation: FoldEvaluation, summary: FoldsSummary, figures: Path) -> Iterator[Section]:
    patients = summary.patients
    yield Section(
        "In brief",
        (
            *filter(None, [summary.not_shown]),
            f"{patients.total} patients with {len(evaluation.images)} images, each answered for by the model of "
            f"the fold that did not see them: {patients.errors} patients are wrong, accuracy "
            f"{patients.accuracy}.",
            left_out_told(summary.left_out) if summary.left_out else "No series of these patients was left out.",
        ),
    )
    yield _matrices(evaluation, figures)
    yield Section("Folds", (), (), (fold_table(evaluation),))
    yield Section("Sex, age, centre and field strength", (), (), (by_stratum(evaluation.patients),))
    if not evaluation.of_patterns:
        yield heat_audit.section(evaluation.audit)
    yield from evaluation.further


def _matrices(evaluation: FoldEvaluation, figures: Path) -> Section:
    """Table 3."""
    shown, pictures = [], []
    for unit, rows in evaluation.units.items():
        matrix = evaluation.matrix(rows)
        frame = pd.DataFrame(matrix, columns=list(evaluation.classes))
        frame.insert(0, "Truth", list(evaluation.classes))
        errors, total = errors_of(matrix)
        title = f"Confusion matrices of all folds, summed, {unit}: {errors} errors of {total}"
        shown.append(Table(f"confusion_{unit}", title, frame, "Rows are the truth, columns what is said."))
        drawn, name = confusion_figure(matrix, evaluation.classes), f"confusion_{unit}"
        alt = f"Summed confusion matrix of {unit}; the table holds the numbers"
        pictures.append(saved_picture(drawn, figures, name, alt, f"{title}; shades are shares of the row."))
    return Section("Confusion matrices", (), tuple(pictures), tuple(shown))


def fold_table(evaluation: FoldEvaluation) -> Table:
    """Accuracy of each fold, with mean and standard deviation over the folds."""
    rows, shares = [], []
    for fold in range(1, len(evaluation.packages) + 1):
        row: dict[str, object] = {"Fold": str(fold)}
        for unit, members in evaluation.units.items():
            errors, total = errors_of(evaluation.matrix(members[members["fold"] == fold]))
            accuracy = proportion(total - errors, total)
            row |= {unit.capitalize(): total, f"Accuracy, {unit}": accuracy}
        rows.append(row)
        shares.append(accuracy.value)  # of patients, who come last
    return Table(
        "folds",
        "Accuracy of each fold, with Wilson's 95 % intervals",
        pd.DataFrame(rows),
        f"Over the folds, by patient: {np.nanmean(shares):.3f} ± {np.nanstd(shares, ddof=1):.3f} (mean ± standard "
        "deviation). The folds' training sets overlap, so this is no interval.",
    )
