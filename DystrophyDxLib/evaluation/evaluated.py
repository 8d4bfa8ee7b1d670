"""A cohort with what models answered, and what was found in its series on the way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from ..cohort.table import Cohort
from ..models.packages import AnsweringPackage
from ..reporting.pages import Section
from ..reporting.progress import Advance
from ..reporting.reports import CASE_TABLES
from . import heat_audit, localisation
from .map_report import Atlas, region_rows
from .phantom_truth import has_truth, read_truth
from .predictions import ClassifiedSeries, Predictions, units_of


@dataclass(frozen=True)
class EvaluationOptions:
    """What is asked of an evaluation, whichever models answer.

    Attributes:
        device: see `devices.choose_device`.
        overwrite: whether earlier results are replaced.
        advance: told how far the work is.
        atlas: by whose regions the heat is ranked.
        reference: diagnosis of the reference group of maps, see `map_report.reference_cases`.
        quick: whether deletion and insertion are left out.
        recorded: dataset of an archive whose answers are taken instead of classifying, and its key, see
            `archive.answers.ArchiveAnswers`.
    """

    device: str
    overwrite: bool
    advance: Advance
    atlas: Atlas | None = None
    reference: str | None = None
    quick: bool = False
    recorded: tuple[Path, Path | None] | None = None


@dataclass(frozen=True)
class Evaluation:
    """A package's answers on a cohort, with what is needed to tell about them.

    Attributes:
        split: the split that was evaluated, None for patients of any.
        seen: number of the patients that the model has seen, see `cohort.seen`.
        heat: rows of `localisation.localise_series` of the series with truth beside them, with `patient_id`, `disease`
            and `truth`; empty where no series has.
        audit: rows of `heat_audit.audited`.
        further: sections of `map_report`.
    """

    package: AnsweringPackage
    cohort: Cohort
    split: str | None
    seen: int
    predictions: Predictions
    heat: pd.DataFrame
    audit: pd.DataFrame
    seed: int
    further: tuple[Section, ...] = ()

    @property
    def images(self) -> pd.DataFrame:
        return self.predictions.images

    @cached_property
    def units(self) -> dict[str, pd.DataFrame]:
        """See `predictions.units_of`."""
        return units_of(self.images)

    @property
    def patients(self) -> pd.DataFrame:
        return self.units["Patients"]


class Observer:
    """Gathers what is found in each series while its voxels and heatmap are in memory.

    Attributes:
        audit: of each series the rows of `heat_audit.audited`.
        heat: of each series with truth the rows of `Evaluation.heat`.
        regions: rows of `map_report.region_rows`, none without an atlas.
    """

    def __init__(self, folder: Path, atlas: Atlas | None, *, localises: bool) -> None:
        """
        Args:
            folder: of the cohort table.
            localises: whether heat is held against the truth.
        """
        self._folder, self._atlas, self._localises = folder, atlas, localises
        self.audit: list[pd.DataFrame] = []
        self.heat: list[pd.DataFrame] = []
        self.regions: list[dict[str, object]] = []

    def __call__(self, found: ClassifiedSeries) -> None:
        self.audit.append(heat_audit.audited(found, self._folder))
        if self._localises and has_truth(found.case):
            truth = read_truth(found.case, found.series)
            table = localisation.localise_series(found.series, found.classification, truth)
            case = found.case
            self.heat.append(table.assign(patient_id=case.patient_id, disease=case.disease, truth=case.label))
        if self._atlas is not None:
            self.regions.extend(region_rows(found, self._atlas))


def tables_of(predictions: Predictions, patients: pd.DataFrame, audit: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables that stand beside a report, by the names of their files."""
    return dict(zip(CASE_TABLES, (predictions.images, patients, predictions.failures, audit), strict=True))
