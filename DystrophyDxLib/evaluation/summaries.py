"""What `evaluate`, `compare` and `texture` found, for machines: the content of their JSON files, and what the terminal
says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import pandas as pd

from ..cohort.table import listed
from ..reporting.case_report import NOT_SHOWN_TO_TELL
from ..reporting.harness import Measure, Number, Part, Summary, in_words

_TOLD = ("AUC", "Sensitivity", "Specificity", "Top-1 accuracy", "Top-3 accuracy")
"""Figures of an evaluation that the terminal says, where it has them."""


class BothIntervals(Part):
    """A figure with its 95 % intervals as published (none where it has no such one) and by patient bootstrap."""

    value: Number
    ci95: tuple[Number, Number] | None
    ci95_bootstrap: tuple[Number, Number] | None

    def told(self, *, by_patient: bool = False) -> str:
        """In words, with the interval as published; by patient bootstrap where it has no such one, or is a share of
        images, `by_patient`, for which the published one is too narrow."""
        return in_words(self.value, self.ci95_bootstrap if by_patient else self.ci95 or self.ci95_bootstrap)


def reaches_chance(patients: Mapping[str, BothIntervals]) -> bool:
    """Whether the interval of the AUC per patient, by patient bootstrap where it has no published one, reaches 0.5.

    >>> reaches_chance({"AUC": BothIntervals(value=1.0, ci95=(0.34, 1.0), ci95_bootstrap=None)})
    True
    """
    if "AUC" not in patients:
        return False
    area = patients["AUC"]
    low, _ = area.ci95 or area.ci95_bootstrap or (None, None)
    return low is not None and low <= 0.5


class CohortFacts(Part):
    """A cohort by the SHA-256 of its table, and whether its images are of phantoms."""

    sha256: str
    synthetic: bool


class LeftOut(Part):
    """A series that is in no figure, by its row in the cohort table, and why."""

    row: int
    reason: str


def left_out_of(failures: pd.DataFrame) -> tuple[LeftOut, ...]:
    """Rows of `predictions.Predictions.failures` for a summary."""
    return tuple(LeftOut(row=row, reason=reason) for row, reason in failures[["row", "reason"]].itertuples(index=False))


def left_out_told(series: Sequence[LeftOut]) -> str:
    """Which series are in no figure, and why, in one sentence."""
    told = listed([f"row {item.row} ({item.reason.rstrip('.')})" for item in series])
    return f"{len(series)} series {'is' if len(series) == 1 else 'are'} in no figure: {told}."


class ComparedCohort(Part):
    """A cohort as models are compared on it; `split` is None for patients of any."""

    sha256: str
    split: str | None
    synthetic: bool
    patients: int
    images: int


class EvaluatedCohort(ComparedCohort):
    """A cohort as a model is evaluated on it; `seen_in_training` counts patients."""

    series_failed: int
    seen_in_training: int
    left_out: tuple[LeftOut, ...] = ()


class EvaluatedModel(Part):
    """The package that was evaluated."""

    name: str
    version: str
    sha256: str
    trained_on: str
    classes: tuple[str, ...]
    threshold: float | None


class EvaluationSummary(Summary):
    """evaluation.json: `figures` are of images and of patients, by name; `labels` counts the patients of each."""

    schema_: Literal["dystrophydx.evaluation/1"] = "dystrophydx.evaluation/1"
    model: EvaluatedModel
    cohort: EvaluatedCohort
    seed: int
    figures: dict[Literal["images", "patients"], dict[str, BothIntervals]]
    labels: dict[str, int]

    @property
    def not_shown(self) -> str:
        """That the model is not shown to tell the classes apart, where it is not; else nothing."""
        return NOT_SHOWN_TO_TELL if reaches_chance(self.figures["patients"]) else ""

    def lines(self) -> Iterator[str]:
        yield from super().lines()
        yield from filter(None, [self.not_shown])
        images, patients = self.figures["images"], self.figures["patients"]
        of_images = (f"{name} {images[name].told(by_patient=name != 'AUC')}" for name in _TOLD if name in images)
        of_patients = (f"{name} {patients[name].told()}" for name in _TOLD if name in patients)
        yield f"{self.cohort.images} images: {', '.join(of_images)}"
        yield f"{self.cohort.patients} patients: {', '.join(of_patients)}"
        if self.cohort.left_out:
            yield left_out_told(self.cohort.left_out)


class SummedFolds(Part):
    """Images or patients of all folds: the summed confusion matrix, rows the truth, and what follows from it."""

    confusion: tuple[tuple[int, ...], ...]
    errors: int
    total: int
    accuracy: Measure


class FoldsSummary(Summary):
    """folds.json: `models` are the SHA-256 of the packages, that of fold 1 first; `images` is null where no image has
    an answer of its own, as by models of patterns."""

    schema_: Literal["dystrophydx.folds/1"] = "dystrophydx.folds/1"
    models: tuple[str, ...]
    classes: tuple[str, ...]
    cohort: CohortFacts
    images: SummedFolds | None = None
    patients: SummedFolds
    series_failed: int
    left_out: tuple[LeftOut, ...] = ()

    @property
    def not_shown(self) -> str:
        """That the models are not shown to tell the classes apart, where they are not; else nothing."""
        found = self.patients
        chance = max(map(sum, found.confusion)) / found.total
        low = found.accuracy.ci95[0]
        if low is not None and low > chance:
            return ""
        return (
            "These models are not shown to tell the classes apart: the interval of their accuracy per patient reaches "
            f"{chance:.3f}, which who always says the most frequent class has."
        )

    def lines(self) -> Iterator[str]:
        yield from super().lines()
        yield from filter(None, [self.not_shown])
        for unit, found in (("images", self.images), ("patients", self.patients)):
            if found is not None:
                yield f"{found.total} {unit}: accuracy {found.accuracy}"
        if self.left_out:
            yield left_out_told(self.left_out)


class Spread(Part):
    """A figure over repeats: mean, standard deviation and that of each."""

    mean: Number
    sd: Number
    repeats: tuple[Number, ...]

    def __str__(self) -> str:
        return in_words(None, None) if self.mean is None else f"{self.mean:.3f} ± {in_words(self.sd, None)}"


class RepeatsSummary(Summary):
    """repeats.json."""

    schema_: Literal["dystrophydx.repeats/1"] = "dystrophydx.repeats/1"
    classes: tuple[str, ...]
    cohort: CohortFacts
    figures: dict[str, Spread]

    def lines(self) -> Iterator[str]:
        yield from super().lines()
        for name, figure in self.figures.items():
            yield f"{name}: {figure} (mean ± sd of {len(figure.repeats)} repeats)"


class ComparedModel(Part):
    """A model of a comparison with its figures of images and of patients, by name."""

    sha256: str
    threshold: float | None
    images: dict[str, BothIntervals]
    patients: dict[str, BothIntervals]


class FailedModel(Part):
    """A model that could not be trained or evaluated, and why."""

    model: str
    reason: str


class ComparisonSummary(Summary):
    """comparison.json."""

    schema_: Literal["dystrophydx.comparison/1"] = "dystrophydx.comparison/1"
    cohort: ComparedCohort
    seed: int
    best: str
    models: dict[str, ComparedModel]
    failures: tuple[FailedModel, ...]

    @property
    def not_shown(self) -> str:
        """Which models are not shown to tell the classes apart, where some are not; else nothing."""
        names = [name for name, model in self.models.items() if reaches_chance(model.patients)]
        if not names:
            return ""
        return f"Not shown to tell the classes apart, as the interval of their AUC reaches chance: {listed(names)}."

    def lines(self) -> Iterator[str]:
        yield from super().lines()
        for name, model in self.models.items():
            yield f"{name}: patients AUC {model.patients['AUC'].told()}"
        yield from filter(None, [self.not_shown])
        for failure in self.failures:
            yield f"{failure.model} failed: {failure.reason}"


class TextureCohort(CohortFacts):
    """A cohort as texture methods are compared on it."""

    patients: int
    images: int


class FoldShares(Part):
    """Accuracy of a method in each fold, and over all of them."""

    folds: tuple[Number, ...]
    mean: Number
    maximum: Number
    minimum: Number
    all: Measure


class FailedMethod(Part):
    """A texture method that could not be tried, and why."""

    method: str
    reason: str


class TextureSummary(Summary):
    """texture.json: `accuracy` by method and unit; `chance` of who says the most frequent class, by unit; `models` the
    SHA-256 of each network's packages."""

    schema_: Literal["dystrophydx.texture/1"] = "dystrophydx.texture/1"
    cohort: TextureCohort
    seed: int
    accuracy: dict[str, dict[Literal["images", "patients"], FoldShares]]
    chance: dict[Literal["images", "patients"], float]
    models: dict[str, tuple[str, ...]]
    failures: tuple[FailedMethod, ...]

    def lines(self) -> Iterator[str]:
        yield from super().lines()
        for name, accuracy in self.accuracy.items():
            images = accuracy["images"]
            folds = f"folds {in_words(images.minimum, None)} to {in_words(images.maximum, None)}"
            yield f"{name}: accuracy {in_words(images.mean, None)} ({folds})"
        yield f"By chance (always the most frequent class): {self.chance['images']:.3f}"
        for failure in self.failures:
            yield f"{failure.method} failed: {failure.reason}"
