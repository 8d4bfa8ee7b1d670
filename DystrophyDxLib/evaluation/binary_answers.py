"""Two classes and a threshold: how answers of that kind are measured, and what a report says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..classify import HEAT_OUTSIDE, Classifier
from ..errors import InputError
from ..muscles.signs import TREFOIL
from ..reporting.figures import (
    RocLine,
    calibration_figure,
    deletion_insertion_figure,
    probability_figure,
    roc_figure,
    saved_picture,
)
from ..reporting.pages import Section
from ..reporting.progress import Advance
from ..statistics import binary
from ..statistics.bootstrap import LEAST_PATIENTS, enough_patients
from ..statistics.calibration_error import reliability
from ..statistics.estimate import Estimate
from ..statistics.roc import AucComparison, auc, compare_auc, roc_band
from . import localisation, tables
from .answers import AUC_INTERVAL, Answers, Figures
from .evaluated import Evaluation, EvaluationOptions
from .faithfulness import MOST_IMAGES, choose_images, faithfulness, mean_curve
from .gallery import Chosen, choose
from .phantom_truth import has_truth, muscle_fat

_DELETION_INSERTION = "Does the answer hang on what the heatmap marks?"


@dataclass(frozen=True)
class BinaryAnswers(Answers):
    """Answers of models of two classes: the second is said from `threshold` on."""

    threshold: float

    TITLE = "Table 1. Performance of each model at its own threshold, with 95 % intervals"
    DRAWS_PATIENTS = False

    @property
    def how(self) -> str:
        return f"at the package's threshold {self.threshold:.2f} for {self.classes[1]}"

    @property
    def note(self) -> str:
        return (
            f"Positive: {self.classes[1]}. All models answer for the same images. Wilson's intervals, as published, "
            "take images as independent; DeLong's of the AUC and the patient bootstrap do not. (–): the bootstrap "
            f"gives none because fewer than {LEAST_PATIENTS} patients of a class stand behind the figure or all "
            "decisions are alike."
        )

    def published(self, rows: pd.DataFrame) -> Figures:
        return binary.published_figures(rows, self.threshold)

    def drawn(self, rows: pd.DataFrame, seed: int) -> dict[str, Estimate]:
        return binary.bootstrap_figures(rows, self.threshold, seed)

    def main(self, patients: pd.DataFrame) -> Figures:
        published = self.published(patients)
        return {name: published[name] for name in ("AUC", "Sensitivity", "Specificity")}

    def right(self, rows: pd.DataFrame) -> np.ndarray:
        return (rows["probability"] >= self.threshold).to_numpy() == (rows["truth"] == 1).to_numpy()

    def area(self, rows: pd.DataFrame, seed: int) -> float:
        return auc(rows["truth"].to_numpy(), rows["probability"].to_numpy()).value

    def sizes(self, rows: pd.DataFrame) -> dict[str, int]:
        return tables.sizes(rows)

    def figure_of(self, truth: int) -> str:
        return "sensitivity" if truth else "specificity"

    def chosen(self, images: pd.DataFrame, patients: pd.DataFrame) -> list[Chosen]:
        return choose(images, patients, self.threshold)

    def roc_line(self, rows: pd.DataFrame, name: str, seed: int, *, band: bool) -> RocLine | None:
        """None where one class is missing."""
        truth, probability = rows["truth"].to_numpy(), rows["probability"].to_numpy()
        if len(np.unique(truth)) < 2:
            return None
        area = self.published(rows)["AUC"]
        curve = roc_band(rows, seed=seed)
        called = probability >= self.threshold
        return RocLine(
            f"{name}: AUC {area:.3f}, n = {int(truth.sum())} + {int((1 - truth).sum())}",
            curve["false_positive_rate"].to_numpy(),
            curve["sensitivity"].to_numpy(),
            curve[["false_positive_rate", "low", "high"]].to_numpy().T if band else None,
            (float(called[truth == 0].mean()), float(called[truth == 1].mean())),
        )

    def compared_areas(self, own: pd.DataFrame, other: pd.DataFrame) -> AucComparison:
        return compare_auc(
            own["truth"].to_numpy(),
            other["probability"].to_numpy(),
            own["probability"].to_numpy(),
            own["patient_id"].to_numpy(),
        )

    def sections(self, evaluation: Evaluation, figures: Path) -> Iterator[Section]:
        yield self._performance(evaluation, figures)
        yield self._diseases(evaluation, figures)
        table = tables.by_group(evaluation.units, self.threshold, self.classes, evaluation.seed)
        yield Section("Sex, age, centre and field strength", (), (), (table,))
        yield self._calibration(evaluation, figures)

    def _performance(self, evaluation: Evaluation, figures: Path) -> Section:
        patients, seed = evaluation.patients, evaluation.seed
        table1 = tables.table1(evaluation.units, self.threshold, self.classes, seed)
        band = patients["truth"].value_counts().min() >= LEAST_PATIENTS
        units = evaluation.units.items()
        lines = [line for unit, rows in units if (line := self.roc_line(rows, unit, seed, band=band))]
        if len(lines) < len(units):
            return Section("Performance", ("A ROC curve needs patients of both classes.",), (), table1)
        drawn = (
            "ROC curves with pointwise 95 % bands by patient bootstrap"
            if band
            else f"ROC curves, without bands as a class has fewer than {LEAST_PATIENTS} patients"
        )
        shown = saved_picture(
            roc_figure(lines),
            figures,
            "roc",
            "ROC curves: " + "; ".join(line.label for line in lines),
            f"{drawn}; AUC with {AUC_INTERVAL}; dots: the threshold {self.threshold:.2f}; n: {self.classes[1]} + "
            f"{self.classes[0]}.",
        )
        return Section("Performance", (), (shown,), table1)

    def _diseases(self, evaluation: Evaluation, figures: Path) -> Section:
        patients = evaluation.patients
        groups = [
            (disease, bool(truth), patients.loc[patients["disease"] == disease, "probability"].to_numpy())
            for disease, truth in tables.diseases(patients)
        ]
        shown = saved_picture(
            probability_figure(groups, self.threshold, self.classes[1]),
            figures,
            "probability_by_disease",
            "Probability of each patient by disease; medians: "
            + ", ".join(f"{disease} {np.median(values):.2f}" for disease, _, values in groups),
            "One mark a patient; marks of a disease are spread vertically so that they can be seen.",
        )
        table = tables.by_disease(evaluation.units, self.threshold, self.classes, evaluation.seed)
        return Section("Diseases", (), (shown,), (table,))

    def _calibration(self, evaluation: Evaluation, figures: Path) -> Section:
        curves = {
            f"{unit}, n = {len(rows)}": reliability(rows["truth"], rows["probability"])
            for unit, rows in evaluation.units.items()
        }
        shown = saved_picture(
            calibration_figure(curves, self.classes[1]),
            figures,
            "calibration",
            "Observed share against predicted probability of images and patients; the table holds the numbers",
            "Calibration: of all that are given a probability, that share should have the disease. Bars: Wilson's 95 % "
            "intervals. Below: how many there are in each bin.",
        )
        return Section("Calibration", (), (shown,), tables.calibration(evaluation.units))

    def heat_limit(self, heat: pd.DataFrame) -> tuple[str, ...]:
        """Of rightly called cases."""
        try:
            limit, cases = localisation.outside_threshold(heat, self.threshold)
        except InputError:
            return ("No case was called rightly, so nothing can be said of heat outside the muscles.",)
        if cases < localisation.LEAST_CALLED:
            return ()
        return (
            f"{100 * localisation.QUANTILE:g} % of the {cases} rightly called {self.classes[1]} cases have at most "
            f"{100 * limit:.0f} % of their heat in subcutaneous fat; the program warns (HEATMAP_OUTSIDE_MUSCLE) from "
            f"{100 * HEAT_OUTSIDE:.0f} %.",
        )

    def further_sections(
        self, evaluation: Evaluation, classifier: Classifier, figures: Path, options: EvaluationOptions
    ) -> Iterator[Section]:
        # What is deleted becomes the grey that healthy muscle has in T1-weighted images.
        if evaluation.package.recipe.sample.of_t1_alone:
            if options.quick or options.recorded:
                why = "--quick" if options.quick else "the answers come from a dataset without heatmaps"
                yield Section(_DELETION_INSERTION, (f"Deletion and insertion were left out ({why}).",))
            else:
                yield self._deletion_insertion(evaluation, classifier, figures, options.advance)
        cases = {case.patient_id: case for case in evaluation.cohort.cases if has_truth(case)}
        patients = evaluation.patients
        if set(patients["patient_id"]) <= set(cases) and patients["severity"].notna().all():
            trefoil = {name: TREFOIL.shown(muscle_fat(cases[name])) for name in patients["patient_id"]}
            table = tables.known_fat(patients, trefoil, self.threshold)
            yield Section("Beside rivals that know the truth", (), (), (table,))

    def _deletion_insertion(
        self, evaluation: Evaluation, classifier: Classifier, figures: Path, advance: Advance
    ) -> Section:
        title, seed = _DELETION_INSERTION, evaluation.seed
        chosen = choose_images(evaluation.images, self.threshold, seed=seed)
        if chosen.empty:
            return Section(title, (f"No image was called {self.classes[1]}, so there is no evidence to delete.",))
        found = faithfulness(classifier, evaluation.cohort, chosen, seed=seed, advance=advance)
        orders = {"by the heatmap": found.by_heat, "in random order": found.at_random}
        deletion, insertion = (
            {label: mean_curve(chosen, curves[n], seed=seed) for label, curves in orders.items()} for n in range(2)
        )
        bands = "with pointwise 95 % bands by patient bootstrap"
        if not enough_patients(chosen):
            bands = f"without bands as there are fewer than {LEAST_PATIENTS} patients of a class"
        shown = saved_picture(
            deletion_insertion_figure(deletion, insertion, self.classes[1]),
            figures,
            "deletion_insertion",
            "Mean probability while the leg is deleted and inserted, by the heatmap and in random order; the table "
            "holds the areas under the curves",
            f"Mean over {len(chosen)} images of {chosen['patient_id'].nunique()} patients, {bands}. "
            "Random order: of a map as coarse and as smooth as the heatmap.",
        )
        paragraph = (
            "Pixels of the leg are given the grey of healthy muscle, the hottest first (deletion), or a leg of that "
            "grey gets its own pixels back, the hottest first (insertion; Petsiuk et al. 2018). The sooner the "
            "probability falls, and rises, the more the answer hangs on what the heatmap marks. Only images that were "
            f"called {self.classes[1]} have a probability to lose; up to {MOST_IMAGES} are taken, evenly over the "
            "diseases."
        )
        table = tables.deletion_insertion(found.areas, evaluation.patients, seed)
        return Section(title, (paragraph,), (shown,), (table,))
