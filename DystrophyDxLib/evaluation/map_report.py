"""Sections of an evaluation that need an atlas or maps: regions ranked by the heat in them, and whether misclassified
patients are altered less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..classify import with_region_heat
from ..cohort.table import Case, Cohort
from ..errors import InputError
from ..explain.region_heat import read_atlas
from ..models.decision import decision_before_training
from ..models.recipe import Recipe
from ..reporting.pages import Section
from ..reporting.progress import Advance
from ..reporting.tables import Table
from ..samples.kinds import region_of
from .alterations import ALTERED, Reference, alterations, compared, in_words
from .predictions import ClassifiedSeries

Atlas = tuple[Path, Path | None]
"""A label map on the grid of all series, and the table of its names; see `explain.region_heat.read_atlas`."""
REGIONS_TOLD = 5


def region_rows(found: ClassifiedSeries, atlas: Atlas) -> list[dict[str, object]]:
    """A row a region of a classified series, with its rank.

    Raises:
        InputError: the atlas cannot be read, or lies on another grid than the series.
    """
    regions = with_region_heat(found.classification, *read_atlas(*atlas, found.series)).result.regions
    return [
        {"patient_id": found.case.patient_id, "rank": rank, **region.model_dump()}
        for rank, region in enumerate(regions, 1)
    ]


def map_sections(
    regions: Sequence[dict[str, object]],
    reference: Sequence[Case] | None,
    evaluated: Cohort,
    patients: pd.DataFrame,
    advance: Advance,
) -> Iterator[Section]:
    """The sections for which there is what they need.

    Args:
        regions: of `region_rows`, of all series; empty without an atlas.
        reference: of `reference_cases`.
        patients: those of `evaluated`, see `predictions.by_patient`, with `said`.
    """
    recipe = evaluated.recipe
    if regions:
        yield region_section(pd.DataFrame(regions), patients, recipe.classes)
    if reference is not None and isinstance(recipe, Recipe):
        yield alteration_section(reference, evaluated, patients, recipe, advance)


def region_section(rows: pd.DataFrame, patients: pd.DataFrame, classes: Sequence[str]) -> Section:
    """Mean heat of each region over the patients of a class who were called rightly, the highest first.

    Args:
        rows: of `region_rows`, of all series.
        patients: see `predictions.by_patient`, with `said`.
    """
    shown = patients[patients["said"] == patients["truth"]]
    tables, told = [], []
    with_map = decision_before_training(classes).has_map(np.arange(len(classes)))
    for label in np.flatnonzero(with_map).tolist():
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
    return Section("Which regions does the heat lie in?", (*told, *nobody), (), tuple(tables))


def reference_cases(everyone: Cohort, evaluated: Cohort, diagnosis: str | None) -> tuple[Case, ...] | None:
    """The cases of the reference group, none of whose patients is evaluated; None where the recipe sees no maps.

    Args:
        diagnosis: of the group, which the recipe may leave out; None for the first class' patients of the split train.

    Raises:
        InputError: the recipe sees no maps though `diagnosis` is given, or the cohort has no patients with it.
    """
    if not region_of(everyone.recipe.sample).registered:
        if diagnosis is not None:
            raise InputError("A reference group is for models of registered maps; leave --reference out.")
        return None
    tested = {case.patient_id for case in evaluated.cases}
    if diagnosis is None:
        first = (case for case in everyone.of_split("train").cases if case.label == 0)
        return tuple(case for case in first if case.patient_id not in tested)
    found = tuple(
        case
        for case in (*everyone.cases, *everyone.others)
        if case.disease.casefold() == diagnosis.casefold() and case.patient_id not in tested
    )
    if not found:
        raise InputError(
            f"The cohort has no patients with {diagnosis!r} beside those who are evaluated; name another diagnosis "
            "with --reference."
        )
    return found


def alteration_section(
    reference: Sequence[Case], evaluated: Cohort, patients: pd.DataFrame, recipe: Recipe, advance: Advance
) -> Section:
    """Misclassified patients against those called rightly, by what a reference group does not have.

    Args:
        patients: those of `evaluated`, see `predictions.by_patient`, with `said`.
    """
    title = "Are misclassified patients altered less?"
    try:
        group = Reference.of(reference, recipe.sample, advance)
    except InputError as error:
        return Section(title, (f"This cannot be told. {error} Name one with --reference.",))
    judged = patients.assign(right=patients["said"] == patients["truth"])[["patient_id", "truth", "right"]]
    table = alterations(evaluated.cases, group, recipe.sample, advance).merge(judged, on="patient_id")
    found = compared(table, recipe.classes)
    diseases = ", ".join(sorted({case.disease for case in reference}))
    return Section(
        title,
        (
            f"Reference: {group.series} series of {diseases}, none of which is evaluated. A voxel is altered where "
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
