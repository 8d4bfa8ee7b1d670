"""Probabilities of a cohort by the way that a study takes: `read_study`, then `Classifier`. One row an image.

Columns of an image table:

- `row`: of the series in the cohort table; `patient_id`, `disease`, `sex`, `age` (years), `centre`: as there
- `truth`: index of the class among the package's
- `slice`: index k; `side`: left, right or unknown
- `probability`: of the image, as `classify` gives it; of more than two classes, `ranked.probability_columns` hold all
- `counted`: whether it enters the case (False where it shows no thigh)
- `field_strength_t`: tesla, of the header, or of a column of the cohort that is so called
- `severity`: where the cohort has a column that is so called, such as a phantom's mean fat fraction of the muscles
- `label`: of the series' case, as `classify` gives it, "indeterminate" included
- `warnings`: codes of the series, separated by blanks
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from ..cohort.table import Case, Cohort
from ..errors import InputError
from ..reporting.progress import Advance
from ..results import INDETERMINATE, StudyResult
from ..samples.region import why_unusable
from ..series.reading import read_input
from ..series.series import Series
from ..statistics.ranked import probability_columns

if TYPE_CHECKING:  # what only has tables to make does without the network
    from ..archive.answers import ArchiveAnswers
    from ..classify import Classification, Classifier
    from ..models.package import AnswerCard
    from .pattern_classifier import PatternClassifier

_OF_PATIENT = ("disease", "truth", "sex", "age", "centre", "field_strength_t", "severity")


@dataclass(frozen=True)
class Predictions:
    """What a model said of a cohort.

    Attributes:
        images: one row an image, see the head of this module.
        failures: one row a series that enters no figure, since it could not be read or classified or shows nothing
            that training would take from it: row, patient_id, disease, reason.
    """

    images: pd.DataFrame
    failures: pd.DataFrame


@dataclass(frozen=True)
class ClassifiedSeries:
    """One series of a cohort with all that was found in it; by a model of patterns that is a `result` alone, and so it
    is, without the series, of what the dataset of an archive holds."""

    case: Case
    series: Series
    classification: Classification


@dataclass(frozen=True)
class _Recorded:
    """A `Classification` of which only the result is known."""

    result: StudyResult


def predict(
    classifier: Classifier | PatternClassifier,
    cohort: Cohort,
    advance: Advance,
    observe: Callable[[ClassifiedSeries], None] = lambda _: None,
) -> Predictions:
    """Classifies every series of `cohort`, once.

    Args:
        observe: called with each series that enters the figures, while its voxels and heatmap are in memory.

    Raises:
        InputError: when no series enters them.
    """
    return _gathered(lambda case: classify_case(classifier, case), cohort, advance, observe)


def recorded(answers: ArchiveAnswers, cohort: Cohort, advance: Advance) -> Predictions:
    """What the dataset of an archive holds of every series of `cohort`; nothing is classified.

    Raises:
        InputError: as `predict`.
    """

    def answer(case: Case) -> ClassifiedSeries:
        return ClassifiedSeries(case, cast("Series", None), cast("Classification", _Recorded(answers.of(case))))

    return _gathered(answer, cohort, advance, lambda _: None)


def _gathered(
    answer: Callable[[Case], ClassifiedSeries],
    cohort: Cohort,
    advance: Advance,
    observe: Callable[[ClassifiedSeries], None],
) -> Predictions:
    """Predictions of the answer to every series of `cohort`; see `predict`.

    Args:
        answer: raises an `InputError` for a series that has none.
    """
    rows, failures = [], []
    for number, case in enumerate(cohort.cases):
        advance("Classifying", number, len(cohort.cases))
        try:
            classified = answer(case)
            _check_usable(classified.classification.result)
        except InputError as error:
            failures.append((case.row, case.patient_id, case.disease, str(error)))
            continue
        rows += _image_rows(classified)
        observe(classified)
    if not rows:
        raise InputError(
            f"None of the {len(cohort.cases)} series can be evaluated; the first is left out as: {failures[0][-1]}"
        )
    images = pd.DataFrame(rows)
    for name in ("age", "field_strength_t", "severity"):
        images[name] = pd.to_numeric(images[name], errors="coerce")
    return Predictions(images, pd.DataFrame(failures, columns=["row", "patient_id", "disease", "reason"]))


def classify_case(classifier: Classifier | PatternClassifier, case: Case) -> ClassifiedSeries:
    """Reads and classifies the series of one row of a cohort.

    Raises:
        InputError: when it cannot be read or shows no leg.
    """
    series = read_input(case.path, case.further, classifier.package.recipe.sample)
    return ClassifiedSeries(case, series, cast("Classification", classifier.classify(series)))


def _check_usable(result: StudyResult) -> None:
    """Raises an `InputError` for a series that training leaves out, so that both count the same patients."""
    reason = why_unusable(result.warnings, any_fits=any(image.anatomy == "thigh" for image in result.images))
    if reason:
        raise InputError(f"{reason}.")


def answered(cohort: Cohort, rows: pd.DataFrame) -> Cohort:
    """The cases of the patients of an image table, or of patients: those who are in the figures."""
    there = set(rows["patient_id"])
    return replace(cohort, cases=tuple(case for case in cohort.cases if case.patient_id in there))


def counted(images: pd.DataFrame) -> pd.DataFrame:
    """The images that enter the figures."""
    return images[images["counted"]].reset_index(drop=True)


def by_patient(images: pd.DataFrame) -> pd.DataFrame:
    """One row a patient: probability is the mean over the counted images, `images` their number.

    A patient with one series has the probability that `classify` gives the case. The label is that of the patient's
    series where they agree, else "indeterminate".
    """
    probabilities = [name for name in images.columns if name.startswith("probability")]
    return (
        counted(images)
        .groupby("patient_id", sort=False)
        .agg(
            **{name: (name, "first") for name in _OF_PATIENT},
            **{name: (name, "mean") for name in probabilities},
            images=("probability", "size"),
            label=("label", lambda labels: labels.iloc[0] if labels.nunique() == 1 else INDETERMINATE),
        )
        .reset_index()
    )


def units_of(images: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What figures are given of: the images that count, and the patients."""
    return {"Images": counted(images), "Patients": by_patient(images)}


def said(rows: pd.DataFrame, card: AnswerCard) -> np.ndarray:
    """(N,) index of the class that each row, of images or patients, says."""
    return card.decision.said(probabilities_of(rows, card.classes))


def probabilities_of(rows: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """(N, K) probabilities of all classes of images or patients."""
    columns = probability_columns(classes)
    if columns[0] in rows:
        return rows[columns].to_numpy()
    return np.stack([1 - rows["probability"], rows["probability"]], axis=1)


def _image_rows(classified: ClassifiedSeries) -> list[dict[str, object]]:
    case, result = classified.case, classified.classification.result
    columns = probability_columns(result.model.classes)
    return [
        {
            "row": case.row,
            "patient_id": case.patient_id,
            "disease": case.disease,
            "truth": case.label,
            "slice": image.slice,
            "side": image.side,
            "probability": image.probability,
            **(dict(zip(columns, image.probabilities, strict=True)) if image.probabilities else {}),
            "counted": image.counted,
            "sex": case.sex,
            "age": case.age,
            "centre": case.centre,
            "field_strength_t": result.input.acquisition.get("field_strength_t") or case.extra.get("field_strength_t"),
            "severity": case.extra.get("severity"),
            "label": result.case.label,
            "warnings": " ".join(warning.code.value for warning in result.warnings),
        }
        for image in result.images
    ]
