"""The part of an evaluation's report that is about a ranked differential of more than two classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from ..reporting.figures import CalibrationBins, calibration_figure, confusion_figure, save_figure
from ..reporting.pages import Picture, Section
from ..reporting.tables import Table
from ..statistics.calibration_error import expected_calibration_error, reliability
from ..statistics.confusion import proportion
from ..statistics.ranked import (
    among_first,
    bootstrap_figures,
    confusion,
    depths,
    probability_columns,
    published_figures,
)
from ..statistics.roc import auc
from .predictions import counted
from .strata import by_stratum
from .tables import BOOTSTRAP, PUBLISHED


def sections(
    images: pd.DataFrame, patients: pd.DataFrame, classes: Sequence[str], seed: int, folder: Path
) -> Iterator[Section]:
    """Performance, classes, strata and calibration for the report; figures are written into `folder`."""
    matrix = confusion(patients, classes)
    save_figure(confusion_figure(matrix, classes), folder, "confusion")
    shown = Picture(
        folder / "confusion.svg",
        "Confusion matrix of patients; the table holds the numbers",
        "Patients: rows are the truth, columns the most likely class; shades are shares of the row.",
    )
    counts = pd.DataFrame(matrix, columns=list(classes))
    counts.insert(0, "Truth", list(classes))
    yield Section("Performance", (), (), (performance(images, patients, classes, seed),))
    yield Section(
        "Classes",
        (),
        (shown,),
        (by_class(images, patients, classes), Table("confusion", "Confusion matrix of patients", counts)),
    )
    said = patients[probability_columns(classes)].to_numpy().argmax(axis=1)
    yield Section("Sex, age, centre and field strength", (), (), (by_stratum(patients.assign(said=said)),))
    yield _calibration(images, patients, classes, folder)


def performance(images: pd.DataFrame, patients: pd.DataFrame, classes: Sequence[str], seed: int) -> Table:
    """Accuracy at each of `ranked.depths` and mean AUC of images and patients."""
    rows = []
    for unit, members in (("Images", counted(images)), ("Patients", patients)):
        described = {"Per": unit, "n": len(members)}
        rows.append({**described, "Interval": PUBLISHED, **published_figures(members, classes)})
        rows.append({**described, "Interval": BOOTSTRAP, **bootstrap_figures(members, classes, seed)})
    return Table(
        "performance",
        "Performance of the ranked differential, with 95 % intervals",
        pd.DataFrame(rows),
        "".join(
            f"Top-{k}: the truth is among the {k} most likely classes, by chance {k / len(classes):.2f}. "
            for k in depths(classes)
        )
        + "AUC: mean of each class against the rest, every class with the same weight. Images of one patient are not "
        "independent: the patient bootstrap is the one to quote for them, and the only one of the AUC.",
    )


def by_class(images: pd.DataFrame, patients: pd.DataFrame, classes: Sequence[str]) -> Table:
    """Sensitivity at each of `ranked.depths`, positive predictive value and AUC against the rest, a row a class."""
    shown = counted(images)
    rows = []
    for k, name in enumerate(classes):
        row: dict[str, object] = {"Class": name}
        for unit, members in (("Images", shown), ("Patients", patients)):
            truth, probabilities = members["truth"].to_numpy(), members[probability_columns(classes)].to_numpy()
            own, said = truth == k, probabilities.argmax(axis=1) == k
            row[unit] = int(own.sum())
            for n in depths(classes):
                title = "Sensitivity" if n == 1 else f"Top-{n}"
                row[f"{title}, {unit.lower()}"] = proportion(
                    int(among_first(truth[own], probabilities[own], n).sum()), int(own.sum())
                )
            if unit == "Patients":
                row["Predictive value, patients"] = proportion(int((own & said).sum()), int(said.sum()))
                row["AUC, patients"] = auc(own.astype(int), probabilities[:, k])
        rows.append(row)
    return Table(
        "classes",
        "Each class: how often it is found, and how often it is right when said, with 95 % intervals",
        pd.DataFrame(rows),
        "Wilson's intervals (those of images take images as independent, and are too narrow) and DeLong's. –: nobody "
        "of the class, or nobody who was said to be of it.",
    )


def _calibration(images: pd.DataFrame, patients: pd.DataFrame, classes: Sequence[str], folder: Path) -> Section:
    """Calibration of the most likely class (Guo et al., ICML 2017, section 2)."""
    curves, rows = [], []
    for unit, members in (("Images", counted(images)), ("Patients", patients)):
        probabilities = members[probability_columns(classes)].to_numpy()
        right = (probabilities.argmax(axis=1) == members["truth"].to_numpy()).astype(int)
        sure = probabilities.max(axis=1)
        bins = reliability(right, sure)
        names = ("probability", "observed", "low", "high", "cases")
        curves.append(CalibrationBins(f"{unit}, n = {len(members)}", *(bins[name].to_numpy() for name in names)))
        rows.append(
            {"Per": unit, "n": len(right), "Expected calibration error": expected_calibration_error(right, sure)}
        )
    save_figure(calibration_figure(curves, "the most likely class"), folder, "calibration")
    shown = Picture(
        folder / "calibration.svg",
        "Observed share of right answers against the probability of the most likely class",
        "Calibration: of all whose most likely class has a probability, that share should be of it.",
    )
    return Section("Calibration", (), (shown,), (Table("calibration", "Calibration", pd.DataFrame(rows)),))
