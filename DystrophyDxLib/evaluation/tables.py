"""The tables of an evaluation, after Tables 1 and 3 of Yang et al., BMC Neurology 2021;21:13.

They are made from tables with one row an image or one a patient (see `predictions`), with `patient_id`, `truth` (0 or
1) and `probability`. The intervals are those of `statistics.binary`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from ..reporting.tables import Table
from ..statistics.binary import bootstrap_figures, published_figures
from ..statistics.bootstrap import LEAST_PATIENTS, bootstrap_each, mean_of
from ..statistics.calibration_error import brier, expected_calibration_error, recalibration, reliability
from ..statistics.confusion import Confusion, proportion
from ..statistics.estimate import Estimate
from ..statistics.roc import auc

Units = Mapping[str, pd.DataFrame]
"""Rows of "Images" and of "Patients", see `predictions.units_of`."""
AGE_BANDS = (0, 10, 20, 40, 60, math.inf)
"""Years at which the bands of age begin."""
PUBLISHED, BOOTSTRAP = "Wilson, DeLong", "patient bootstrap"
NOT_GIVEN = "not given"


def table1(units: Units, threshold: float, classes: Sequence[str], seed: int) -> tuple[Table, Table]:
    """Table 1 of the paper for images, for patients, and for the patients whose case is not labelled indeterminate,
    each with both kinds of interval; and F1 and likelihood ratios of the same."""
    patients = units["Patients"]
    definite = patients[patients["label"].isin(classes)].reset_index(drop=True)
    rows = []
    for unit, members in {**units, "Patients, definite label": definite}.items():
        if len(members):
            described = {"Per": unit, **sizes(members)}
            rows.append({**described, "Interval": PUBLISHED, **published_figures(members, threshold)})
            rows.append({**described, "Interval": BOOTSTRAP, **bootstrap_figures(members, threshold, seed)})
    frame = pd.DataFrame(rows)
    further = ["F1", "LR+", "LR−"]
    return (
        Table(
            "table1",
            f"Table 1. Performance at the threshold {threshold:.2f}, with 95 % intervals",
            frame.drop(columns=further),
            f"Positive: {classes[1]}, negative: {classes[0]}. Wilson's intervals, as published, take images as "
            "independent; those of images are therefore too narrow, and the patient bootstrap is the one to quote. "
            "DeLong's of the AUC know which images belong to one patient (Obuchowski 1997), and stand beside the AUC "
            f"elsewhere, too. (–): the bootstrap gives none because fewer than {LEAST_PATIENTS} patients of a class "
            "stand behind the figure or all decisions are alike; –: a class is missing. A label is definite when it "
            "is not indeterminate.",
        ),
        Table(
            "table1_further",
            "F1 and likelihood ratios, with 95 % intervals",
            frame[["Per", "Interval", *further]],
            "Beside Wilson's stand the intervals of likelihood ratios by the log method; F1 has only the bootstrap's.",
        ),
    )


def sizes(rows: pd.DataFrame) -> dict[str, int]:
    """How many rows are of the second and of the first class, as columns of a table."""
    positive = int(rows["truth"].sum())
    return {"Positive": positive, "Negative": len(rows) - positive}


def by_disease(units: Units, threshold: float, classes: Sequence[str], seed: int) -> Table:
    """Table 3 of the paper: share of images and patients of each disease that are called rightly, which is sensitivity
    for a disease of the second class and specificity for one of the first."""
    rows = []
    for disease, truth in diseases(units["Patients"]):
        figure = "sensitivity" if truth else "specificity"
        row: dict[str, object] = {"Disease": disease, "Class": classes[truth], "Figure": figure}
        for unit, members in units.items():
            own = members[members["disease"] == disease].reset_index(drop=True)
            right = ((own["probability"] >= threshold) == bool(truth)).to_numpy()
            row |= {unit: len(own), f"{unit} right, Wilson": proportion(int(right.sum()), len(own))}
            if unit == "Images":
                row[f"{unit} right, bootstrap"] = _means(own, {"right": right}, seed)["right"]
        rows.append(row)
    return Table(
        "table3_diseases",
        f"Table 3. Sensitivity for each disease of the class {classes[1]} and specificity for each of {classes[0]}, "
        "with 95 % intervals",
        pd.DataFrame(rows),
        f"Bootstrap draws patients; (–): fewer than {LEAST_PATIENTS} patients, or all decisions alike.",
    )


def diseases(patients: pd.DataFrame) -> list[tuple[str, int]]:
    """Diseases with their truth: those of the second class first, the more frequent before the rarer."""
    found = patients.groupby(["disease", "truth"]).size()
    return sorted(found.index, key=lambda group: (-group[1], -found[group], group[0].casefold()))


def by_group(units: Units, threshold: float, classes: Sequence[str], seed: int) -> Table:
    """Performance by sex, band of age, centre and field strength."""
    rows = []

    def of_images(members: pd.DataFrame) -> Mapping[str, Estimate | float]:
        area = published_figures(members, threshold)["AUC"]
        return {**bootstrap_figures(members, threshold, seed), "AUC": area}

    figures_of: dict[str, Callable[[pd.DataFrame], Mapping[str, Estimate | float]]] = {
        "Patients": lambda members: published_figures(members, threshold),
        "Images": of_images,
    }
    for attribute, group_of in GROUPS.items():
        for group in sorted(group_of(units["Patients"]).unique(), key=group_order):
            for unit, figures in ((name, own) for name, own in figures_of.items() if name in units):
                members = units[unit][group_of(units[unit]) == group].reset_index(drop=True)
                if len(members):
                    found = figures(members)
                    shown = {name: found[name] for name in ("Accuracy", "Specificity", "Sensitivity", "AUC")}
                    row = {"By": attribute, "Group": group, "Per": unit.lower()}
                    rows.append({**row, **sizes(members), **shown})
    return Table(
        "groups",
        "Performance by sex, age, centre and field strength, with 95 % intervals",
        pd.DataFrame(rows),
        f"Positive: {classes[1]}, negative: {classes[0]}. AUC with DeLong's intervals; the others of patients with "
        f"Wilson's, of images by patient bootstrap, which gives none (–) for fewer than {LEAST_PATIENTS} patients of a "
        "class or decisions that are all alike. –: a class is missing.",
    )


def _band(age: float) -> str:
    if math.isnan(age):
        return NOT_GIVEN
    start, end = next((a, b) for a, b in itertools.pairwise(AGE_BANDS) if a <= age < b)
    return f"{start} years and over" if end == math.inf else f"{start} to {end - 1} years"


GROUPS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "Sex": lambda rows: rows["sex"].map({"F": "female", "M": "male"}).fillna(NOT_GIVEN),
    "Age": lambda rows: rows["age"].map(_band),
    "Centre": lambda rows: rows["centre"].astype(object).fillna(NOT_GIVEN),
    "Field strength": lambda rows: rows["field_strength_t"].map(
        lambda tesla: NOT_GIVEN if math.isnan(tesla) else f"{tesla:.2g} T"
    ),
}


def group_order(name: str) -> tuple[bool, float, str]:
    """Sorts bands of age and field strengths by their number, other names by the alphabet, those not given last."""
    try:
        return name == NOT_GIVEN, float(name.split()[0]), name
    except ValueError:
        return name == NOT_GIVEN, math.inf, name


def calibration(units: Units) -> tuple[Table, Table]:
    """Calibration figures of images and patients, and the bins of the curve."""
    figures, bins = [], []
    for unit, rows in units.items():
        truth, probability = rows["truth"].to_numpy(), rows["probability"].to_numpy()
        fitted = recalibration(truth, probability, rows["patient_id"].to_numpy())
        figures.append(
            {
                "Per": unit,
                "n": len(rows),
                "Expected calibration error": expected_calibration_error(truth, probability),
                "Brier score": brier(truth, probability),
                "Intercept": fitted.intercept,
                "Slope": fitted.slope,
            }
        )
        for found in reliability(truth, probability).itertuples():
            bins.append(
                {
                    "Per": unit,
                    "Probability": f"{found.bin_low:.1f} to {found.bin_high:.1f}",
                    "n": found.cases,
                    "Mean probability": found.probability,
                    "Observed": Estimate(found.observed, found.low, found.high),
                }
            )
    return (
        Table(
            "calibration",
            "Calibration",
            pd.DataFrame(figures),
            "Perfect: error 0, intercept 0 (below 0: probabilities too high), slope 1 (below 1: too extreme).",
        ),
        Table("calibration_bins", "Bins of the calibration curve, with Wilson's intervals", pd.DataFrame(bins)),
    )


def heat_by_disease(means: pd.DataFrame, patients: pd.DataFrame) -> Table:
    """Where the heat lies, a row a disease.

    Args:
        means: of `localisation.by_disease`.
        patients: who gives the order of the diseases.
    """
    rows = []
    for disease, _ in diseases(patients):
        rows.append({"Disease": disease, **heat_figures(means[means["disease"] == disease], HEAT)})
    return Table(
        "localisation",
        "Does the heatmap look where the disease is? Means over images, with 95 % intervals by patient bootstrap",
        pd.DataFrame(rows),
        "Pointing game: the highest heat lies in diseased muscle. Rank correlation (Spearman): of heat with fat "
        "fraction over the muscle. Images without heat or diseased muscle are left out of the figures about these. "
        f"(–): fewer than {LEAST_PATIENTS} patients.",
    )


def heat_figures(means: pd.DataFrame, titles: Mapping[str, str]) -> dict[str, object]:
    """Columns of one disease: how many patients and images there are, and each figure of `titles`, with an interval
    only (else nan) where at least `LEAST_PATIENTS` stand behind it.

    Args:
        means: of the disease, of `localisation.by_disease` or `differences`.
        titles: by the names of the figures.
    """
    row: dict[str, object] = {"Patients": int(means["patients"].max()), "Images": int(means["images"].max())}
    for figure, title in titles.items():
        (mean,) = means[means["figure"] == figure].itertuples()
        bounds = (mean.low, mean.high) if mean.patients >= LEAST_PATIENTS else (math.nan, math.nan)
        row[title] = Estimate(mean.value, *bounds)
    return row


HEAT = {
    "pointing": "Pointing game",
    "pointing_by_chance": "By chance",
    "heat_in_diseased_muscle": "Heat in diseased muscle",
    "area_of_diseased_muscle": "Its area",
    "rank_correlation": "Rank correlation",
    "heat_outside_muscle": "Heat outside muscle",
}
"""Titles of the figures of `localisation`."""


def deletion_insertion(areas: pd.DataFrame, patients: pd.DataFrame, seed: int) -> Table:
    """Areas under the curves of deletion and insertion, over all images and a row a disease.

    Args:
        areas: of `faithfulness.Faithfulness`.
        patients: who gives the order of the diseases.
    """
    compared = areas.assign(
        gain=(areas["deletion_at_random"] - areas["deletion"] + areas["insertion"] - areas["insertion_at_random"]) / 2
    )
    groups = [("all", compared)]
    groups += [(disease, compared[compared["disease"] == disease]) for disease, _ in diseases(patients)]
    rows = []
    for name, group in groups:
        if len(group):
            described = {"Disease": name, "Patients": group["patient_id"].nunique(), "Images": len(group)}
            areas_of = {title: group[column].to_numpy() for title, column in _AREAS.items()}
            rows.append({**described, **_means(group.reset_index(drop=True), areas_of, seed)})
    return Table(
        "deletion_insertion",
        "Does the answer hang on what the heatmap marks? Areas under the curves, means with 95 % intervals by patient "
        "bootstrap",
        pd.DataFrame(rows),
        "Deletion is good when it is low, insertion when it is high. Gain: how much better than in a random order, the "
        "mean of both differences; 0 says that the heatmap marks nothing that the model needs. "
        f"(–): fewer than {LEAST_PATIENTS} patients of a class.",
    )


def _means(rows: pd.DataFrame, figures: Mapping[str, np.ndarray], seed: int) -> dict[str, Estimate]:
    """Means of (N,) figures over rows, with intervals by patient bootstrap where there are patients enough."""
    everyone = np.ones(len(rows), bool)
    return bootstrap_each(rows, {name: (mean_of(values), everyone) for name, values in figures.items()}, seed)


_AREAS = {
    "Deletion": "deletion",
    "Deletion, random": "deletion_at_random",
    "Insertion": "insertion",
    "Insertion, random": "insertion_at_random",
    "Gain": "gain",
}


def known_fat(patients: pd.DataFrame, trefoil: Mapping[str, bool], threshold: float) -> Table:
    """What the model adds to the amount of fat alone, and to a rule that knows the fat of every muscle.

    Args:
        patients: with `severity`, the mean fat fraction of the muscles.
        trefoil: of each patient, whether the truth shows the trefoil sign.
    """
    truth = patients["truth"].to_numpy()

    def decided(called: pd.Series) -> dict[str, Estimate]:
        confusion = Confusion.from_decisions(truth, called.to_numpy(bool))
        return {"Specificity": confusion.specificity, "Sensitivity": confusion.sensitivity}

    rows: dict[str, dict[str, Estimate]] = {
        "the model": {"AUC": auc(truth, patients["probability"]), **decided(patients["probability"] >= threshold)},
        "mean fat of the muscles": {"AUC": auc(truth, patients["severity"])},
        "trefoil sign, from the truth": decided(patients["patient_id"].map(trefoil)),
    }
    return Table(
        "rivals",
        "The model beside what knows the truth of the phantoms, per patient, with 95 % intervals (Wilson, DeLong)",
        pd.DataFrame([{"Known": name, **sizes(patients), **figures} for name, figures in rows.items()]),
        "Near 0.5, the mean fat alone does not tell the groups apart. The trefoil sign is Zheng et al.'s (2015).",
    )
