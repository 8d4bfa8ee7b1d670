"""The tables of an evaluation, after Tables 1 and 3 of Yang et al., BMC Neurology 2021;21:13.

They are made from tables with one row an image or one a patient (see `predictions`), with `patient_id`, `truth` (0 or
1) and `probability`. Intervals as published (Wilson's for proportions, DeLong's for the AUC) take rows as independent,
which patients are and images of one patient are not; intervals by bootstrap draw patients with all of their images.
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
from .predictions import counted

AGE_BANDS = (0, 10, 20, 40, 60, math.inf)
"""Years at which the bands of age begin."""
PUBLISHED, BOOTSTRAP = "Wilson, DeLong", "patient bootstrap"
NOT_GIVEN = "not given"


def table1(
    images: pd.DataFrame, patients: pd.DataFrame, threshold: float, classes: Sequence[str], seed: int
) -> tuple[Table, Table]:
    """Table 1 of the paper for images, for patients, and for the patients whose case is not labelled indeterminate,
    each with both kinds of interval; and F1 and likelihood ratios of the same."""
    definite = patients[patients["label"].isin(classes)].reset_index(drop=True)
    rows = []
    units = (("Images", counted(images)), ("Patients", patients), ("Patients, definite label", definite))
    for unit, members in units:
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
            f"Positive: {classes[1]}, negative: {classes[0]}. Wilson's and DeLong's intervals, as published, take "
            "images as independent; those of images are therefore too narrow, and the patient bootstrap is the one to "
            f"quote. (–): it gives none because fewer than {LEAST_PATIENTS} patients of a class stand behind the "
            "figure or all decisions are alike; –: a class is missing. A label is definite when it is not "
            "indeterminate.",
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


def by_disease(
    images: pd.DataFrame, patients: pd.DataFrame, threshold: float, classes: Sequence[str], seed: int
) -> Table:
    """Table 3 of the paper: share of images and patients of each disease that are called rightly, which is sensitivity
    for a disease of the second class and specificity for one of the first."""
    rows = []
    shown = counted(images)
    for disease, truth in diseases(patients):
        own_images, own_patients = (
            table[table["disease"] == disease].reset_index(drop=True) for table in (shown, patients)
        )
        right_images, right_patients = (
            ((table["probability"] >= threshold) == bool(truth)).to_numpy() for table in (own_images, own_patients)
        )
        rows.append(
            {
                "Disease": disease,
                "Class": classes[truth],
                "Figure": "sensitivity" if truth else "specificity",
                "Images": len(own_images),
                "Images right, Wilson": proportion(int(right_images.sum()), len(own_images)),
                "Images right, bootstrap": bootstrap_each(
                    own_images, {"right": (mean_of(right_images), np.ones(len(own_images), bool))}, seed
                )["right"],
                "Patients": len(own_patients),
                "Patients right, Wilson": proportion(int(right_patients.sum()), len(own_patients)),
            }
        )
    return Table(
        "table3_diseases",
        "Table 3. Sensitivity for each dystrophinopathy and specificity for each control disease, with 95 % intervals",
        pd.DataFrame(rows),
        f"Bootstrap draws patients; (–): fewer than {LEAST_PATIENTS} patients, or all decisions alike.",
    )


def diseases(patients: pd.DataFrame) -> list[tuple[str, int]]:
    """Diseases with their truth: those of the second class first, the more frequent before the rarer."""
    found = patients.groupby(["disease", "truth"]).size()
    return sorted(found.index, key=lambda group: (-group[1], -found[group], group[0].casefold()))


def by_group(
    images: pd.DataFrame, patients: pd.DataFrame, threshold: float, classes: Sequence[str], seed: int
) -> Table:
    """Performance by sex, band of age, centre and field strength."""
    rows = []
    for attribute, group_of in GROUPS.items():
        image_group, patient_group = (group_of(table) for table in (counted(images), patients))
        for group in sorted(patient_group.unique(), key=group_order):
            for unit, members in (
                ("patients", patients[patient_group == group].reset_index(drop=True)),
                ("images", counted(images)[image_group == group].reset_index(drop=True)),
            ):
                if len(members):
                    figures = (
                        published_figures(members, threshold)
                        if unit == "patients"
                        else bootstrap_figures(members, threshold, seed)
                    )
                    shown = {name: figures[name] for name in ("Accuracy", "Specificity", "Sensitivity", "AUC")}
                    rows.append(
                        {"By": attribute, "Group": group, "Per": unit, **sizes(members), **shown}
                    )  # fmt: skip
    return Table(
        "groups",
        "Performance by sex, age, centre and field strength, with 95 % intervals",
        pd.DataFrame(rows),
        f"Positive: {classes[1]}, negative: {classes[0]}. Patients with Wilson's and DeLong's intervals, images with "
        f"the patient bootstrap, which gives none (–) for fewer than {LEAST_PATIENTS} patients of a class or decisions "
        "that are all alike. –: a class is missing.",
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


def calibration(images: pd.DataFrame, patients: pd.DataFrame) -> tuple[Table, Table]:
    """Calibration figures of images and patients, and the bins of the curve."""
    figures, bins = [], []
    for unit, rows in (("Images", counted(images)), ("Patients", patients)):
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
        group = means[means["disease"] == disease]
        figures = {row.figure: row for row in group.itertuples()}
        row = {
            "Disease": disease,
            "Patients": int(group["patients"].max()),
            "Images": int(group["images"].max()),
        }
        for title, figure in HEAT.items():
            mean = figures[figure]
            row[title] = mean_of_patients(mean.patients, mean.value, mean.low, mean.high)
        rows.append(row)
    return Table(
        "localisation",
        "Does the heatmap look where the disease is? Means over images, with 95 % intervals by patient bootstrap",
        pd.DataFrame(rows),
        "Pointing game: the highest heat lies in diseased muscle. Rank correlation (Spearman): of heat with fat "
        "fraction over the muscle. Images without heat or diseased muscle are left out of the figures about these. "
        f"(–): fewer than {LEAST_PATIENTS} patients.",
    )


def mean_of_patients(patients: int, value: float, low: float, high: float) -> Estimate:
    """A mean with its interval, which is left out (nan) where fewer than `LEAST_PATIENTS` stand behind it."""
    return Estimate(value, *((low, high) if patients >= LEAST_PATIENTS else (math.nan, math.nan)))


HEAT = {
    "Pointing game": "pointing",
    "By chance": "pointing_by_chance",
    "Heat in diseased muscle": "heat_in_diseased_muscle",
    "Its area": "area_of_diseased_muscle",
    "Rank correlation": "rank_correlation",
    "Heat outside muscle": "heat_outside_muscle",
}
"""Figures of `localisation`, by their titles."""


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
            means = {
                title: (mean_of(group[column].to_numpy()), np.ones(len(group), bool))
                for title, column in _AREAS.items()
            }
            described = {"Disease": name, "Patients": group["patient_id"].nunique(), "Images": len(group)}
            rows.append({**described, **bootstrap_each(group.reset_index(drop=True), means, seed)})
    return Table(
        "deletion_insertion",
        "Does the answer hang on what the heatmap marks? Areas under the curves, means with 95 % intervals by patient "
        "bootstrap",
        pd.DataFrame(rows),
        "Deletion is good when it is low, insertion when it is high. Gain: how much better than in a random order, the "
        "mean of both differences; 0 says that the heatmap marks nothing that the model needs. "
        f"(–): fewer than {LEAST_PATIENTS} patients of a class.",
    )


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
    rows = []
    for name, score, called in (
        ("the model", patients["probability"], patients["probability"] >= threshold),
        ("mean fat of the muscles", patients["severity"], None),
        ("trefoil sign, from the truth", None, patients["patient_id"].map(trefoil)),
    ):
        confusion = None if called is None else Confusion.from_decisions(truth, called.to_numpy(bool))
        rows.append(
            {
                "Known": name,
                **sizes(patients),
                "AUC": math.nan if score is None else auc(truth, score.to_numpy()),
                "Specificity": math.nan if confusion is None else confusion.specificity,
                "Sensitivity": math.nan if confusion is None else confusion.sensitivity,
            }
        )
    return Table(
        "rivals",
        "The model beside what knows the truth of the phantoms, per patient, with 95 % intervals (Wilson, DeLong)",
        pd.DataFrame(rows),
        "Near 0.5, the mean fat alone does not tell the groups apart. The trefoil sign is Zheng et al.'s (2015).",
    )
