"""`dystrophydx evaluate` of the models of a cross-validation: every patient is answered for by the model that has not
seen them, and the folds' confusion matrices are summed.

Table 3 of Germain et al., Diagnostics 2021;11:1554. Rows are the truth (normal, HCM, DCM), columns what is said. As
printed, diastole [369 4 21; 9 396 6; 6 1 388] and systole [359 26 10; 14 394 3; 1 0 393] have 47 and 54 errors among
1200 (accuracy 0.961 and 0.955). The pair's matrix, [390 3 2; 9 400 2; 4 0 388], sums to 1198 with 20 errors, where the
text says 22 of 1200 (0.982): two errors are missing from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from .. import __version__
from ..classify import Classifier
from ..cohort.splits import FOLDS, read_folds
from ..cohort.table import Cohort
from ..errors import InputError
from ..models.package import ModelPackage, fold_packages
from ..reporting.case_report import DEMONSTRATION_MODEL, RESEARCH_ONLY, SYNTHETIC_COHORT
from ..reporting.figures import confusion_figure, save_figure
from ..reporting.output_folder import check_results_folder, results_folder
from ..reporting.pages import Page, Picture, Section
from ..reporting.progress import Advance
from ..reporting.tables import Table
from ..statistics.confusion import errors_of, proportion
from . import heat_audit
from .evaluate import is_synthetic
from .map_report import Atlas, map_sections, reference_cases, region_rows
from .predictions import ClassifiedSeries, Predictions, by_patient, counted, predict, said
from .strata import by_stratum

SCHEMA = "dystrophydx.folds/1"
FILES = (
    "report.html", "folds.json", "predictions.csv", "patients.csv", "failures.csv", "audit.csv", "tables", "figures",
)  # fmt: skip


@dataclass(frozen=True)
class FoldEvaluation:
    """Answers of the models of a cross-validation.

    Attributes:
        packages: that of fold 1 first.
        predictions: of all folds; `images` has the columns `fold`, from 1, and `said`, the index of the class.
        audit: rows of `heat_audit.audited`.
        further: sections of `map_report`.
    """

    packages: tuple[ModelPackage, ...]
    cohort: Cohort
    predictions: Predictions
    audit: pd.DataFrame
    further: tuple[Section, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        return self.packages[0].card.classes

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

    def matrix(self, rows: pd.DataFrame) -> np.ndarray:
        """(K, K) of images or patients of any folds: rows the truth, columns what is said."""
        matrix = np.zeros((len(self.classes),) * 2, int)
        np.add.at(matrix, (rows["truth"].to_numpy(), rows["said"].to_numpy()), 1)
        return matrix

    @property
    def notices(self) -> tuple[str, ...]:
        """What must stand beside every figure."""
        demonstration = any(package.card.demonstration for package in self.packages)
        facts = ((DEMONSTRATION_MODEL, demonstration), (SYNTHETIC_COHORT, is_synthetic(self.cohort)))
        return (*(notice for notice, applies in facts if applies), RESEARCH_ONLY)


def evaluate_folds(
    folder: Path,
    cohort: Path,
    out: Path,
    *,
    device: str,
    overwrite: bool,
    advance: Advance,
    atlas: Atlas | None = None,
    reference: str | None = None,
) -> dict[str, object]:
    """Evaluates the models of a cross-validation and writes `FILES` into `out`.

    Args:
        folder: in which `dystrophydx train --split kfold:K` trained a model a fold.
        cohort: the CSV that they were trained on.
        out, device, overwrite, atlas, reference: as of `evaluate.evaluate`.

    Returns:
        The content of folds.json.

    Raises:
        InputError: models, cohort or `out` cannot be used, or no series could be classified.
    """
    check_results_folder(out, FILES, overwrite=overwrite)
    (first,) = fold_packages(folder, 1)
    cases = Cohort.read(cohort, first.recipe)
    heat_audit.check_organs(cases, cohort.parent)
    fold_of = read_folds(folder / FOLDS, cases)
    packages = fold_packages(folder, max(fold_of.values()))
    if any(package.card.classes != first.card.classes for package in packages):
        raise InputError(f"The models in {folder.name} tell other classes apart; give those of one training.")
    group = reference_cases(cases, cases, reference)
    images, failures, audit, regions = [], [], [], []

    def observe(found: ClassifiedSeries) -> None:
        audit.append(heat_audit.audited(found, cohort.parent))
        if atlas is not None:
            regions.extend(region_rows(found, atlas))

    for number, package in enumerate(packages, 1):
        tested = Cohort(tuple(case for case in cases.cases if fold_of[case.patient_id] == number), cases.recipe)
        found = predict(
            Classifier(package, device),
            tested,
            lambda what, done, total, number=number: advance(f"Fold {number}: {what}", done, total),
            observe,
        )
        images.append(found.images.assign(fold=number, said=said(found.images, package.card)))
        failures.append(found.failures)
    predictions = Predictions(pd.concat(images, ignore_index=True), pd.concat(failures, ignore_index=True))
    evaluation = FoldEvaluation(packages, cases, predictions, pd.concat(audit, ignore_index=True))
    further = tuple(map_sections(regions, group, cases, evaluation.patients, advance))
    evaluation = replace(evaluation, further=further)
    summary = _summarised(evaluation, hashlib.sha256(cohort.read_bytes()).hexdigest())
    with results_folder(out, FILES, overwrite=overwrite) as inside:
        _write(evaluation, summary, inside)
    return summary


def _summarised(evaluation: FoldEvaluation, cohort_sha256: str) -> dict[str, object]:
    def told(rows: pd.DataFrame) -> dict[str, object]:
        matrix = evaluation.matrix(rows)
        errors, total = errors_of(matrix)
        accuracy = proportion(total - errors, total)
        return {
            "confusion": matrix.tolist(),
            "errors": errors,
            "total": total,
            "accuracy": {"value": accuracy.value, "ci95": [accuracy.low, accuracy.high]},
        }

    return {
        "schema": SCHEMA,
        "program": f"DystrophyDx {__version__}",
        "notices": list(evaluation.notices),
        "models": [package.sha256 for package in evaluation.packages],
        "classes": list(evaluation.classes),
        "cohort": {"sha256": cohort_sha256, "synthetic": is_synthetic(evaluation.cohort)},
        "images": told(evaluation.images),
        "patients": told(evaluation.patients),
        "series_failed": len(evaluation.predictions.failures),
    }


def _write(evaluation: FoldEvaluation, summary: dict[str, object], folder: Path) -> None:
    for name in ("tables", "figures"):
        (folder / name).mkdir()
    page = Page(
        "cross-validation",
        f"{evaluation.packages[0].card.name}, {len(evaluation.packages)} folds",
        evaluation.notices,
        tuple(_sections(evaluation, summary, folder / "figures")),
    )
    page.write_tables(folder / "tables")
    page.write(folder / "report.html")
    evaluation.predictions.images.to_csv(folder / "predictions.csv", index=False)
    evaluation.patients.to_csv(folder / "patients.csv", index=False)
    evaluation.predictions.failures.to_csv(folder / "failures.csv", index=False)
    evaluation.audit.to_csv(folder / "audit.csv", index=False)
    (folder / "folds.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def _sections(evaluation: FoldEvaluation, summary: dict[str, object], figures: Path) -> Iterator[Section]:
    patients = summary["patients"]
    low, high = patients["accuracy"]["ci95"]
    yield Section(
        "In brief",
        (
            f"{patients['total']} patients with {summary['images']['total']} images, each answered for by the model of "
            f"the fold that did not see them: {patients['errors']} patients are wrong, accuracy "
            f"{patients['accuracy']['value']:.3f} ({low:.3f} to {high:.3f}).",
            f"{summary['series_failed']} series could not be evaluated and are in no figure.",
        ),
    )
    yield _matrices(evaluation, figures)
    yield Section("Folds", (), (), (fold_table(evaluation),))
    yield Section("Sex, age, centre and field strength", (), (), (by_stratum(evaluation.patients),))
    yield heat_audit.section(evaluation.audit)
    yield from evaluation.further


def _matrices(evaluation: FoldEvaluation, figures: Path) -> Section:
    """Table 3."""
    shown, pictures = [], []
    for unit, rows in (("images", evaluation.images), ("patients", evaluation.patients)):
        matrix = evaluation.matrix(rows)
        frame = pd.DataFrame(matrix, columns=list(evaluation.classes))
        frame.insert(0, "Truth", list(evaluation.classes))
        errors, total = errors_of(matrix)
        title = f"Confusion matrices of all folds, summed, {unit}: {errors} errors of {total}"
        shown.append(Table(f"confusion_{unit}", title, frame, "Rows are the truth, columns what is said."))
        save_figure(confusion_figure(matrix, evaluation.classes), figures, f"confusion_{unit}")
        alt = f"Summed confusion matrix of {unit}; the table holds the numbers"
        pictures.append(Picture(figures / f"confusion_{unit}.svg", alt, f"{title}; shades are shares of the row."))
    return Section("Confusion matrices", (), tuple(pictures), tuple(shown))


def fold_table(evaluation: FoldEvaluation) -> Table:
    """Accuracy of each fold, with mean and standard deviation over the folds."""
    rows = []
    for fold in range(1, len(evaluation.packages) + 1):
        row: dict[str, object] = {"Fold": str(fold)}
        for unit, members in (("images", evaluation.images), ("patients", evaluation.patients)):
            errors, total = errors_of(evaluation.matrix(members[members["fold"] == fold]))
            row |= {unit.capitalize(): total, f"Accuracy, {unit}": proportion(total - errors, total)}
        rows.append(row)
    values = np.array([row["Accuracy, patients"].value for row in rows])
    return Table(
        "folds",
        "Accuracy of each fold, with Wilson's 95 % intervals",
        pd.DataFrame(rows),
        f"Over the folds, by patient: {np.nanmean(values):.3f} ± {np.nanstd(values, ddof=1):.3f} (mean ± standard "
        "deviation). The folds' training sets overlap, so this is no interval.",
    )
