"""A ranked differential of more than two classes: how answers of that kind are measured, and what a report says of
them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..reporting.figures import calibration_figure, confusion_figure, saved_picture
from ..reporting.pages import Section
from ..reporting.tables import Table
from ..statistics import ranked
from ..statistics.calibration_error import expected_calibration_error, reliability
from ..statistics.confusion import proportion
from ..statistics.estimate import Estimate
from ..statistics.ranked import among_first, depths, probability_columns
from ..statistics.roc import auc
from .answers import Answers
from .evaluated import Evaluation
from .gallery import Chosen, choose_ranked
from .strata import by_stratum
from .tables import BOOTSTRAP, PUBLISHED, Units


@dataclass(frozen=True)
class RankedAnswers(Answers):
    """Answers of models that rank their classes."""

    TITLE = "Performance of each model's ranked differential, with 95 % intervals"
    DRAWS_PATIENTS = True  # only the bootstrap gives the mean AUC

    @property
    def how(self) -> str:
        return f"of {len(self.classes)} ranked classes"

    @property
    def note(self) -> str:
        return (
            "All models answer for the same images. AUC: mean of each class against the rest. Wilson's intervals take "
            "images as independent; the patient bootstrap does not."
        )

    def published(self, rows: pd.DataFrame) -> dict[str, Estimate]:
        return ranked.published_figures(rows, self.classes)

    def drawn(self, rows: pd.DataFrame, seed: int) -> dict[str, Estimate]:
        return ranked.bootstrap_figures(rows, self.classes, seed)

    def right(self, rows: pd.DataFrame) -> np.ndarray:
        """By the most likely class; of equally likely ones none is."""
        return ranked.accuracies(rows, self.classes)["Top-1 accuracy"]

    def area(self, rows: pd.DataFrame, seed: int) -> float:
        """The mean of each class against the rest."""
        return ranked.mean_auc(rows, self.classes, seed).value

    def sizes(self, rows: pd.DataFrame) -> dict[str, int]:
        return {"n": len(rows)}

    def chosen(self, images: pd.DataFrame, patients: pd.DataFrame) -> list[Chosen]:
        return choose_ranked(images, patients)

    def sections(self, evaluation: Evaluation, figures: Path) -> Iterator[Section]:
        units, patients, classes = evaluation.units, evaluation.patients, self.classes
        yield Section("Performance", (), (), (performance(units, classes, evaluation.seed),))
        matrix = ranked.confusion(patients, classes)
        shown = saved_picture(
            confusion_figure(matrix, classes),
            figures,
            "confusion",
            "Confusion matrix of patients; the table holds the numbers",
            "Patients: rows are the truth, columns the most likely class; shades are shares of the row.",
        )
        counts = pd.DataFrame(matrix, columns=list(classes))
        counts.insert(0, "Truth", list(classes))
        matrices = Table("confusion", "Confusion matrix of patients", counts)
        yield Section("Classes", (), (shown,), (by_class(units, classes), matrices))
        said = patients[probability_columns(classes)].to_numpy().argmax(axis=1)
        yield Section("Sex, age, centre and field strength", (), (), (by_stratum(patients.assign(said=said)),))
        yield self._calibration(evaluation, figures)

    def _calibration(self, evaluation: Evaluation, figures: Path) -> Section:
        """Calibration of the most likely class (Guo et al., ICML 2017, section 2)."""
        curves, rows = {}, []
        for unit, members in evaluation.units.items():
            probabilities = members[probability_columns(self.classes)].to_numpy()
            right = (probabilities.argmax(axis=1) == members["truth"].to_numpy()).astype(int)
            sure = probabilities.max(axis=1)
            curves[f"{unit}, n = {len(members)}"] = reliability(right, sure)
            error = expected_calibration_error(right, sure)
            rows.append({"Per": unit, "n": len(right), "Expected calibration error": error})
        shown = saved_picture(
            calibration_figure(curves, "the most likely class"),
            figures,
            "calibration",
            "Observed share of right answers against the probability of the most likely class",
            "Calibration: of all whose most likely class has a probability, that share should be of it. Bars: Wilson's "
            "95 % intervals. Below: how many there are in each bin.",
        )
        return Section("Calibration", (), (shown,), (Table("calibration", "Calibration", pd.DataFrame(rows)),))


def performance(units: Units, classes: Sequence[str], seed: int) -> Table:
    """Accuracy at each of `ranked.depths` and mean AUC of images and patients."""
    rows = []
    for unit, members in units.items():
        described = {"Per": unit, "n": len(members)}
        rows.append({**described, "Interval": PUBLISHED, **ranked.published_figures(members, classes)})
        rows.append({**described, "Interval": BOOTSTRAP, **ranked.bootstrap_figures(members, classes, seed)})
    return Table(
        "performance",
        "Performance of the ranked differential, with 95 % intervals",
        pd.DataFrame(rows),
        "".join(
            f"Top-{k}: the truth is among the {k} most likely classes, by chance {k / len(classes):.2f}. "
            for k in depths(classes)
        )
        + "AUC: mean of each class against the rest, every class with the same weight. Images of one patient are not "
        "independent: the patient bootstrap is the one to quote for them, and the only one of the AUC. (–): it gives "
        "none because all draws are alike.",
    )


def by_class(units: Units, classes: Sequence[str]) -> Table:
    """Sensitivity at each of `ranked.depths`, positive predictive value and AUC against the rest, a row a class."""
    rows = []
    for k, name in enumerate(classes):
        row: dict[str, object] = {"Class": name}
        for unit, members in units.items():
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
