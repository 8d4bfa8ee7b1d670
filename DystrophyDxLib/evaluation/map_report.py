"""Sections of an evaluation that need an atlas or maps: regions ranked by the heat in them, and whether misclassified
patients are altered less."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import InputError
from ..recipe import Recipe
from ..results import RegionHeat
from ..training.cohort import Case, Cohort
from .alterations import ALTERED, Reference, alterations, compared, in_words
from .evaluation_report import Section
from .predictions import Advance
from .ranked import probability_columns
from .tables import Table

REGIONS_TOLD = 5


def called_rightly(patients: pd.DataFrame, classes: Sequence[str], threshold: float | None) -> np.ndarray:
    """(P,) bool of a table of patients, see `predictions.by_patient`."""
    if threshold is None:
        return patients[probability_columns(classes)].to_numpy().argmax(axis=1) == patients["truth"].to_numpy()
    return (patients["probability"] >= threshold).to_numpy() == (patients["truth"] == 1).to_numpy()


def heat_rows(case: Case, regions: Sequence[RegionHeat]) -> list[dict[str, object]]:
    """A row a region of a classified series, with its rank."""
    return [
        {"patient_id": case.patient_id, "rank": rank, **region.model_dump()} for rank, region in enumerate(regions, 1)
    ]


def region_section(
    rows: pd.DataFrame, patients: pd.DataFrame, classes: Sequence[str], threshold: float | None
) -> Section:
    """Mean heat of each region over the patients of a class who were called rightly, the highest first.

    Args:
        rows: of `heat_rows`, of all series.
    """
    shown = patients[called_rightly(patients, classes, threshold)]
    tables, told = [], []
    for label in range(0 if threshold is None else 1, len(classes)):
        own = rows[rows["patient_id"].isin(shown.loc[shown["truth"] == label, "patient_id"])]
        if own.empty:
            continue
        means = own.groupby("region").agg(
            **{name: (name, "mean") for name in ("mean_heat", "share", "rank")}, series=("rank", "size")
        )
        means = means.sort_values("mean_heat", ascending=False).reset_index()
        names = {
            "region": "Region", "mean_heat": "Mean heat", "share": "Share of the heat", "rank": "Mean rank",
            "series": "Series",
        }  # fmt: skip
        title = f"Heat by region of the atlas, patients with {classes[label]} who were called rightly"
        tables.append(Table(f"regions_{label}", title, means.rename(columns=names)))
        told.append(f"{classes[label]}: most heat in {', '.join(means['region'].head(REGIONS_TOLD))}.")
    nobody = () if told else ("Nobody was called rightly, so there is no heat to rank.",)
    return Section("Where does the heat lie?", (*told, *nobody), (), tuple(tables))


def reference_cases(everyone: Cohort, evaluated: Cohort, diagnosis: str | None) -> tuple[Case, ...]:
    """The cases of the reference group, none of whose patients is evaluated.

    Args:
        diagnosis: of the group, which the recipe may leave out; None for the first class' patients of the split train.

    Raises:
        InputError: the cohort has no such patients.
    """
    tested = {case.patient_id for case in evaluated.cases}
    if diagnosis is None:
        found = [case for case in everyone.of_split("train").cases if case.label == 0]
    else:
        named = [
            case for case in (*everyone.cases, *everyone.others) if case.disease.casefold() == diagnosis.casefold()
        ]
        found = [case for case in named if case.patient_id not in tested]
        if not found:
            raise InputError(
                f"The cohort has no patients with {diagnosis!r} beside those who are evaluated; name another diagnosis "
                "with --reference."
            )
    return tuple(case for case in found if case.patient_id not in tested)


def alteration_section(
    reference: Sequence[Case],
    evaluated: Cohort,
    patients: pd.DataFrame,
    recipe: Recipe,
    threshold: float | None,
    advance: Advance,
) -> Section:
    """Misclassified patients against those called rightly, by what a reference group does not have."""
    title = "Are misclassified patients altered less?"
    try:
        group = Reference.of(reference, recipe.sample, advance)
    except InputError as error:
        return Section(title, (f"This cannot be told. {error}",))
    right = called_rightly(patients, recipe.classes, threshold)
    judged = patients.assign(right=right)[["patient_id", "truth", "right"]]
    table = alterations(evaluated.cases, group, recipe.sample, advance).merge(judged, on="patient_id")
    found = compared(table, recipe.classes)
    diseases = ", ".join(sorted({case.disease for case in reference}))
    return Section(
        title,
        (
            f"Reference: {group.patients} series of {diseases}, none of which is evaluated. A voxel is altered where "
            f"it is {ALTERED} standard deviations of the reference or more away from its mean.",
            *in_words(found),
        ),
        (),
        (
            Table(
                "alterations",
                "Altered voxels (share of all) and how altered they are (mean |z|), medians",
                found.rename(columns=_TITLES),
                "p: two-sided Mann–Whitney test of misclassified patients against those called rightly, not corrected "
                "for the number of comparisons; –: too few on one side.",
            ),
            Table("alterations_patients", "Each series", table.drop(columns="row").rename(columns=_TITLES)),
        ),
    )


_TITLES = {
    "class": "Class", "channel": "Map", "right": "Right", "wrong": "Wrong", "altered_right": "Altered, right",
    "altered_wrong": "Altered, wrong", "altered_p": "p, altered", "mean_z_right": "Mean |z|, right",
    "mean_z_wrong": "Mean |z|, wrong", "mean_z_p": "p, mean |z|", "patient_id": "Patient", "altered": "Altered",
    "mean_z": "Mean |z|", "truth": "Truth",
}  # fmt: skip
