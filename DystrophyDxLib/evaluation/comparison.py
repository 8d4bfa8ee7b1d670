"""Models side by side on one cohort: what is compared, and the tables and figures of the comparison.

Table 1 of Yang et al., BMC Neurology 2021;21:13, which compares five backbones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ..cohort.seen import seen_notice, seen_patients
from ..cohort.table import Cohort
from ..models.package import ModelPackage
from ..models.packages import AnsweringPackage
from ..models.recipe import SampleRecipe
from ..reporting.figures import roc_figure, saved_picture
from ..reporting.harness import report_notices
from ..reporting.pages import Picture, Section
from ..reporting.tables import Table
from ..samples.kinds import region_of
from ..statistics.bootstrap import LEAST_PATIENTS
from ..statistics.confusion import proportion
from ..statistics.paired import compare_decisions
from ..statistics.unpaired import equal_errors
from . import tables
from .answer_kinds import answers_of
from .answers import AUC_INTERVAL, Answers
from .phantom_truth import is_synthetic
from .predictions import Predictions, answered, by_patient, counted
from .summaries import ComparedCohort, ComparedModel, ComparisonSummary, FailedModel

_IMAGE = ["row", "slice", "side"]
_COMPARED = ("Accuracy", "Specificity", "Sensitivity", "Top-1 accuracy", "Top-3 accuracy", "AUC")


@dataclass(frozen=True)
class Model:
    """A model of the comparison with its predictions."""

    name: str
    package: AnsweringPackage
    predictions: Predictions

    @property
    def answers(self) -> Answers:
        """How what it says is measured."""
        return answers_of(self.package.card.decision)


@dataclass(frozen=True)
class Comparison:
    """What is compared. All models are compared on the images and patients that every one of them has answered for.

    Attributes:
        models: at least two, of the same classes.
        failures: (name, reason) of what could not be trained or evaluated.
    """

    models: tuple[Model, ...]
    failures: tuple[tuple[str, str], ...]
    cohort: Cohort
    split: str | None
    seed: int

    @cached_property
    def images(self) -> dict[str, pd.DataFrame]:
        """Counted images of each model, row by row the same image."""
        indexed = {model.name: counted(model.predictions.images).set_index(_IMAGE) for model in self.models}
        first = next(iter(indexed.values()))
        common = first.index[np.all([first.index.isin(table.index) for table in indexed.values()], axis=0)]
        return {name: table.loc[common].reset_index() for name, table in indexed.items()}

    @cached_property
    def patients(self) -> dict[str, pd.DataFrame]:
        """Patients of each model, row by row the same."""
        return {name: by_patient(table) for name, table in self.images.items()}

    @cached_property
    def best(self) -> Model:
        """The model with the highest AUC of patients, of equal ones that of images."""

        def areas(model: Model) -> tuple[float, ...]:
            return tuple(model.answers.area(rows[model.name], self.seed) for rows in (self.patients, self.images))

        return max(self.models, key=areas)

    @property
    def answers(self) -> Answers:
        """How what all models say is measured, but for their own thresholds."""
        return self.models[0].answers

    def summary(self, cohort_sha256: str) -> ComparisonSummary:
        """The content of comparison.json."""
        synthetic = is_synthetic(self.cohort)
        cohort = answered(self.cohort, self.patients[self.best.name])
        seen = {model.name: len(seen_patients(cohort, model.package.card)) for model in self.models}
        return ComparisonSummary(
            notices=report_notices(
                demonstration=any(model.package.card.demonstration for model in self.models),
                synthetic=synthetic,
                further=[
                    *(f"{name}: {seen_notice(count, len(cohort.patients))}" for name, count in seen.items() if count),
                    *self.cohort.notices,
                ],
            ),
            cohort=ComparedCohort(
                sha256=cohort_sha256,
                split=self.split,
                synthetic=synthetic,
                patients=len(self.patients[self.best.name]),
                images=len(self.images[self.best.name]),
            ),
            seed=self.seed,
            best=self.best.name,
            models={
                model.name: ComparedModel(
                    sha256=model.package.sha256,
                    threshold=model.package.card.threshold,
                    images=model.answers.both_intervals(self.images[model.name], self.seed),
                    patients=model.answers.both_intervals(self.patients[model.name], self.seed),
                )
                for model in self.models
            },
            failures=tuple(FailedModel(model=name, reason=reason) for name, reason in self.failures),
        )


def performance_table(comparison: Comparison) -> Table:
    """Table 1: a row for each model, unit and kind of interval."""
    rows = []
    for unit, members_of in (("images", comparison.images), ("patients", comparison.patients)):
        for model in comparison.models:
            members, answers = members_of[model.name], model.answers
            described = {"Model": model.name, "Per": unit, **answers.sizes(members)}
            found = {tables.PUBLISHED: answers.published(members)}
            if unit == "images" or answers.DRAWS_PATIENTS:
                found[tables.BOOTSTRAP] = answers.drawn(members, comparison.seed)
            for interval, figures in found.items():
                shown = {name: figures[name] for name in _COMPARED if name in figures}
                rows.append({**described, "Interval": interval, **shown})
    rows.sort(key=lambda row: (row["Per"], row["Interval"]))
    return Table("table1", comparison.answers.TITLE, pd.DataFrame(rows), comparison.answers.note)


def difference_table(comparison: Comparison) -> Table:
    """Every model against the best: AUCs by DeLong, decisions on patients by McNemar."""
    best, rows, note = comparison.best, [], ""
    for model in comparison.models:
        if model is best:
            continue
        row: dict[str, object] = {"Model": model.name}
        for unit, members in (("images", comparison.images), ("patients", comparison.patients)):
            test = model.answers.compared_areas(members[model.name], members[best.name])
            if test is not None:
                row |= {f"AUC, this minus {best.name}, {unit}": test.difference, f"p, {unit}": test.p}
                note = "AUC: DeLong's test, for images with the covariance of images of one patient (Obuchowski). "
        own = model.answers.right(comparison.patients[model.name])
        other = best.answers.right(comparison.patients[best.name])
        decided = compare_decisions(np.ones(len(own)), other, own)
        row |= {f"Only {best.name} right": decided.only_first, "Only this right": decided.only_second}
        unpaired = equal_errors([int((~called).sum()) for called in (own, other)], [len(own), len(other)])
        rows.append(row | {"p, McNemar": decided.p, "p, chi-square": unpaired})
    return Table(
        "differences",
        f"Each model minus the one with the highest AUC per patient, {best.name}; differences with 95 % intervals",
        pd.DataFrame(rows),
        f"{note}McNemar: paired decisions on patients; chi-square, as Germain et al. print it, takes the same as "
        "decisions on different patients. The p values are not corrected for the number of comparisons. "
        f"p –: DeLong's test has none of fewer than {LEAST_PATIENTS} patients of a class, nor where nothing varies.",
    )


def disease_table(comparison: Comparison) -> Table:
    """Table 3 side by side: share of images of each disease that each model calls rightly."""
    rows = []
    for disease, truth in tables.diseases(comparison.patients[comparison.best.name]):
        row: dict[str, object] = {"Disease": disease, "Figure": comparison.answers.figure_of(truth)}
        for model in comparison.models:
            own = comparison.images[model.name]
            own = own[own["disease"] == disease]
            right = model.answers.right(own)
            row |= {"Images": len(own), model.name: proportion(int(right.sum()), len(own))}
        rows.append(row)
    return Table(
        "table3_diseases",
        "Table 3. Share of images of each disease that each model calls rightly, with Wilson's 95 % intervals",
        pd.DataFrame(rows),
    )


def sections(comparison: Comparison, summary: ComparisonSummary, figures: Path) -> Iterator[Section]:
    """The sections of the report; pictures are written into `figures`."""
    cohort = summary.cohort
    yield Section(
        "In brief",
        (
            f"{cohort.patients} patients with {cohort.images} images, "
            + (f"split {cohort.split} of the cohort." if cohort.split else "the whole cohort."),
            *filter(None, [summary.not_shown]),
            f"{summary.best} has the highest AUC per patient.",
            "A difference says something only where its interval leaves out 0.",
        ),
    )
    pictures = tuple(_roc_pictures(comparison, figures))
    yield Section("Performance", (), pictures, (performance_table(comparison), difference_table(comparison)))
    yield Section("Diseases", (), (), (disease_table(comparison),))
    described = [
        {
            "Model": model.name,
            "Backbone": _backbone(model.package),
            "Recipe": model.package.recipe.name,
            "Sample": _sample_text(model.package.recipe.sample),
            "Threshold": next(iter(model.package.card.decision.marks), "none"),
            "Trained on": model.package.card.trained_on,
            "Series not evaluated": len(model.predictions.failures),
        }
        for model in comparison.models
    ]
    yield Section("Models", (), (), (Table("models", "What was compared", pd.DataFrame(described)),))
    left_out = [model.predictions.failures.assign(model=model.name) for model in comparison.models]
    if any(map(len, left_out)):
        titles = {"model": "Model", "row": "Row", "patient_id": "Patient", "disease": "Disease", "reason": "Reason"}
        frame = pd.concat(left_out)[[*titles]].astype({"row": int}).rename(columns=titles)
        table = Table("left_out", "Series that are in no figure, and why", frame, "Rows are those of the cohort table.")
        yield Section("What was left out", (), (), (table,))
    if comparison.failures:
        frame = pd.DataFrame(comparison.failures, columns=["Model", "Reason"])
        yield Section("Models that failed", (), (), (Table("failures", "Not in any figure", frame),))


def _roc_pictures(comparison: Comparison, figures: Path) -> Iterator[Picture]:
    """The ROC curves of images and of patients, where every model has one."""
    for unit, members in (("images", comparison.images), ("patients", comparison.patients)):
        found = [
            model.answers.roc_line(members[model.name], model.name, comparison.seed, band=False)
            for model in comparison.models
        ]
        lines = [line for line in found if line is not None]
        if len(lines) == len(found):
            told = "; ".join(line.label for line in lines)
            caption = f"ROC curves, {unit}; AUC with {AUC_INTERVAL}. Dots: the thresholds."
            yield saved_picture(roc_figure(lines), figures, f"roc_{unit}", f"ROC curves, {unit}: {told}", caption)


def _backbone(package: AnsweringPackage) -> str:
    return package.recipe.network.backbone if isinstance(package, ModelPackage) else "none: fat of the muscles"


def _sample_text(sample: SampleRecipe) -> str:
    """Size and region of a recipe's samples in words, as the matrix sizes of Table 4 of Germain et al."""
    return f"{sample.size} × {sample.size}, {region_of(sample).described()}"
