"""`dystrophydx evaluate`: how good a model package is on a cohort, as tables, figures, a gallery and a report."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from .. import __version__
from ..classify import HEAT_OUTSIDE, Classifier
from ..cohort.seen import seen_patients
from ..cohort.table import SPLITS, Cohort
from ..errors import InputError
from ..models.package import ModelCard, ModelPackage
from ..phantom.known_fat import trefoil_sign
from ..reporting.case_report import DEMONSTRATION_MODEL, NOT_SHOWN_TO_TELL, RESEARCH_ONLY, SYNTHETIC_COHORT
from ..reporting.figures import (
    CalibrationBins,
    MeanCurve,
    RocLine,
    calibration_figure,
    deletion_insertion_figure,
    heat_figure,
    probability_figure,
    roc_figure,
    save_figure,
)
from ..reporting.output_folder import check_results_folder, results_folder
from ..reporting.pages import Page, Picture, Section
from ..reporting.progress import Advance
from ..reporting.tables import Table
from ..results import INDETERMINATE
from ..statistics import ranked
from ..statistics.calibration_error import reliability
from ..statistics.estimate import Estimate
from ..statistics.roc import auc, roc_band
from . import heat_audit, localisation, tables
from .faithfulness import MOST_IMAGES, choose_images, faithfulness, mean_curve
from .gallery import Chosen, choose, choose_ranked, gallery_figure, save_gallery
from .map_report import Atlas, map_sections, reference_cases, region_rows
from .phantom_truth import has_truth, muscle_fat, read_truth
from .predictions import ClassifiedSeries, Predictions, by_patient, classify_case, counted, predict, said
from .ranked_report import sections as ranked_sections

SCHEMA = "dystrophydx.evaluation/1"
FILES = (
    "report.html", "evaluation.json", "predictions.csv", "patients.csv", "failures.csv", "audit.csv", "tables",
    "figures", "gallery",
)  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """A package's answers on a cohort, with what is needed to tell about them.

    Attributes:
        split: the split that was evaluated, None for patients of any.
        seen: number of the patients that the model has seen, see `training.seen`.
        heat: rows of `localisation.localise_series` of the series with truth beside them, with `patient_id`, `disease`
            and `truth`; empty where no series has.
        audit: rows of `heat_audit.audited`.
        further: sections of `map_report`.
    """

    package: ModelPackage
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
    def patients(self) -> pd.DataFrame:
        return by_patient(self.images)

    @property
    def ranks(self) -> bool:
        """Whether the package tells more than two classes apart, and so ranks them."""
        return len(self.package.card.classes) > 2

    @property
    def notices(self) -> tuple[str, ...]:
        """What must stand beside every figure."""
        facts = (
            (DEMONSTRATION_MODEL, self.package.card.demonstration),
            (SYNTHETIC_COHORT, is_synthetic(self.cohort)),
            (seen_notice(self.seen, len(self.cohort.patients)), self.seen > 0),
        )
        return (*(notice for notice, applies in facts if applies), RESEARCH_ONLY)


def seen_notice(seen: int, patients: int) -> str:
    """What must stand beside figures of patients that a model has seen."""
    return (
        f"Too good: {seen} of these {patients} patients {'was' if seen == 1 else 'were'} used in training or to choose "
        "the threshold. Such figures say nothing of new patients."
    )


def evaluate(
    package: Path,
    cohort: Path,
    out: Path,
    *,
    split: str | None,
    device: str,
    seed: int,
    overwrite: bool,
    advance: Advance,
    atlas: Atlas | None = None,
    reference: str | None = None,
) -> dict[str, object]:
    """Evaluates a package and writes `FILES` into `out`.

    Args:
        package: folder or .zip.
        cohort: the CSV.
        out: all of the files or none are written.
        split: train, validation or test; None: see `evaluated_cases`.
        seed: of the bootstrap, and of the images that are deleted and inserted.
        overwrite: whether an earlier evaluation in `out` is replaced.
        atlas: by whose regions the heat is ranked.
        reference: diagnosis of the reference group of maps, see `map_report.reference_cases`.

    Returns:
        The content of evaluation.json.

    Raises:
        InputError: package, cohort or `out` cannot be used, or no series could be classified.
    """
    check_results_folder(out, FILES, overwrite=overwrite)
    read = ModelPackage.read(package)
    everyone = Cohort.read(cohort, read.recipe)
    chosen, split = evaluated_cases(everyone, split, [read.card])
    seen = len(seen_patients(chosen, read.card))
    group = reference_cases(everyone, chosen, reference)
    heat_audit.check_organs(chosen, cohort.parent)
    classifier = Classifier(read, device)
    heat: list[pd.DataFrame] = []
    audit: list[pd.DataFrame] = []
    regions: list[dict[str, object]] = []

    def observe(found: ClassifiedSeries) -> None:
        heat.extend(_localised(found))
        audit.append(heat_audit.audited(found, cohort.parent))
        if atlas is not None:
            regions.extend(region_rows(found, atlas))

    predictions = predict(classifier, chosen, advance, observe)
    localised = pd.concat(heat) if heat else pd.DataFrame()
    audited = pd.concat(audit, ignore_index=True)
    evaluation = Evaluation(read, chosen, split, seen, predictions, localised, audited, seed)
    patients = evaluation.patients.assign(said=lambda rows: said(rows, read.card))
    evaluation = replace(evaluation, further=tuple(map_sections(regions, group, chosen, patients, advance)))
    summary = summarised(evaluation, hashlib.sha256(cohort.read_bytes()).hexdigest())
    with results_folder(out, FILES, overwrite=overwrite) as folder:
        write_evaluation(evaluation, classifier, summary, folder, advance)
    return summary


def evaluated_cases(cohort: Cohort, split: str | None, cards: Sequence[ModelCard]) -> tuple[Cohort, str | None]:
    """The cases to evaluate, and the split that they are; None for patients of any split.

    Args:
        split: None takes the test split. Where the cohort has none, or models were trained in other splits and so have
            seen some of it, these are the patients that no model has seen, if there are any.

    Raises:
        InputError: there is no such split, or it is empty.
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"There is no split {split!r}; choose one of {', '.join(SPLITS)}.")
    if split and not cohort.has_splits:
        raise InputError("The cohort table has no splits; leave --split out to evaluate whom the model has not seen.")
    chosen = cohort.of_split(split or "test") if cohort.has_splits else cohort
    if not chosen.cases:
        raise InputError(f"The cohort has no case in the split {split or 'test'!r}; choose another with --split.")
    if split is None:
        seen = frozenset().union(*(seen_patients(cohort, card) for card in cards))
        unseen = tuple(case for case in cohort.cases if case.patient_id not in seen)
        if unseen and not seen.isdisjoint(case.patient_id for case in chosen.cases):
            return replace(cohort, cases=unseen), None
    return chosen, split or ("test" if cohort.has_splits else None)


def is_synthetic(cohort: Cohort) -> bool:
    """Whether a case is of a phantom: the table says so, or the truth lies beside it."""
    return any(has_truth(case) or case.synthetic for case in cohort.cases)


def _localised(found: ClassifiedSeries) -> list[pd.DataFrame]:
    """The heatmap of a series held against its truth, where there is one."""
    case = found.case
    if not has_truth(case):
        return []
    table = localisation.localise_series(found.series, found.classification, read_truth(case, found.series))
    return [table.assign(patient_id=case.patient_id, disease=case.disease, truth=case.label)]


def summarised(evaluation: Evaluation, cohort_sha256: str) -> dict[str, object]:
    """evaluation.json: what was evaluated, and each figure of images and patients with both intervals."""
    card, images, patients = evaluation.package.card, evaluation.images, evaluation.patients
    return {
        "schema": SCHEMA,
        "program": f"DystrophyDx {__version__}",
        "notices": list(evaluation.notices),
        "model": {
            "name": card.name,
            "version": card.version,
            "sha256": evaluation.package.sha256,
            "trained_on": card.trained_on,
            "classes": list(card.classes),
            "threshold": card.threshold,
        },
        "cohort": {
            "sha256": cohort_sha256,
            "split": evaluation.split,
            "synthetic": is_synthetic(evaluation.cohort),
            "patients": len(patients),
            "images": int(images["counted"].sum()),
            "series_failed": len(evaluation.predictions.failures),
            "seen_in_training": evaluation.seen,
        },
        "seed": evaluation.seed,
        "figures": {
            unit: both_intervals(rows, evaluation.package, evaluation.seed)
            for unit, rows in (("images", counted(images)), ("patients", patients))
        },
        "labels": {label: int(count) for label, count in sorted(Counter(patients["label"]).items())},
    }


def both_intervals(rows: pd.DataFrame, package: ModelPackage, seed: int) -> dict[str, dict[str, object]]:
    """Figures with both kinds of interval for JSON, with None for what is not a finite number."""
    card = package.card
    if card.threshold is None:
        published, drawn = (
            ranked.published_figures(rows, card.classes), ranked.bootstrap_figures(rows, card.classes, seed)
        )  # fmt: skip
    else:
        published = tables.published_figures(rows, card.threshold)
        drawn = tables.bootstrap_figures(rows, card.threshold, seed)
    return _finite(
        {
            name: {"value": figure.value, "ci95": _bounds(published.get(name)), "ci95_bootstrap": _bounds(figure)}
            for name, figure in drawn.items()
        }
    )


def _bounds(figure: Estimate | float | None) -> list[float] | None:
    return [figure.low, figure.high] if isinstance(figure, Estimate) else None


def _finite(part: object) -> object:
    """The same with None for what JSON has no number for."""
    if isinstance(part, dict):
        return {name: _finite(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_finite(value) for value in part]
    return None if isinstance(part, float) and not np.isfinite(part) else part


def write_evaluation(
    evaluation: Evaluation, classifier: Classifier, summary: dict[str, object], folder: Path, advance: Advance
) -> None:
    """Writes `FILES` into `folder`."""
    for name in ("tables", "figures", "gallery"):
        (folder / name).mkdir()
    page = Page(
        "evaluation of a model",
        f"{evaluation.package.card.name} {evaluation.package.card.version}",
        evaluation.notices,
        (
            _brief(evaluation),
            *_figures(evaluation, folder / "figures"),
            _gallery(evaluation, classifier, folder / "gallery", advance),
            *_heat(evaluation, folder / "figures"),
            heat_audit.section(evaluation.audit),
            *_deletion_insertion(evaluation, classifier, folder / "figures", advance),
            *_rivals(evaluation),
            *evaluation.further,
            _unevaluated(evaluation),
            _provenance(summary),
        ),
    )
    page.write_tables(folder / "tables")
    page.write(folder / "report.html")
    evaluation.images.to_csv(folder / "predictions.csv", index=False)
    evaluation.patients.to_csv(folder / "patients.csv", index=False)
    evaluation.predictions.failures.to_csv(folder / "failures.csv", index=False)
    evaluation.audit.to_csv(folder / "audit.csv", index=False)
    (folder / "evaluation.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def _figures(evaluation: Evaluation, figures: Path) -> Iterator[Section]:
    """Performance, diseases, groups and calibration."""
    if evaluation.ranks:
        yield from ranked_sections(
            evaluation.images, evaluation.patients, evaluation.package.card.classes, evaluation.seed, figures
        )
        return
    yield _performance(evaluation, figures)
    yield _diseases(evaluation, figures)
    yield _groups(evaluation)
    yield _calibration(evaluation, figures)


def roc_line(rows: pd.DataFrame, name: str, threshold: float, seed: int, *, band: bool) -> RocLine:
    """The ROC curve of `rows` (of both classes), with its AUC and n in the label."""
    truth, probability = rows["truth"].to_numpy(), rows["probability"].to_numpy()
    area = auc(truth, probability, rows["patient_id"].to_numpy())
    curve = roc_band(rows, seed=seed)
    called = probability >= threshold
    return RocLine(
        f"{name}: AUC {area:.3f}, n = {int(truth.sum())} + {int((1 - truth).sum())}",
        curve["false_positive_rate"].to_numpy(),
        curve["sensitivity"].to_numpy(),
        curve[["false_positive_rate", "low", "high"]].to_numpy().T if band else None,
        (float(called[truth == 0].mean()), float(called[truth == 1].mean())),
    )


def picture(folder: Path, name: str, alt: str, caption: str) -> Picture:
    """A figure that `save_figure` wrote."""
    return Picture(folder / f"{name}.svg", alt, caption)


def _brief(evaluation: Evaluation) -> Section:
    card, patients = evaluation.package.card, evaluation.patients
    if evaluation.ranks:
        published = ranked.published_figures(patients, card.classes)
        how = f"of {len(card.classes)} ranked classes"
    else:
        published = tables.published_figures(patients, card.threshold)
        published = {name: published[name] for name in ("AUC", "Sensitivity", "Specificity")}
        how = f"at the package's threshold {card.threshold:.2f} for {card.classes[1]}"
    told = ", ".join(
        f"{name.lower() if name != 'AUC' else name} {tables.cell_text(name, figure)}"
        for name, figure in published.items()
    )
    failures, labels = len(evaluation.predictions.failures), Counter(patients["label"])
    series = evaluation.images["row"].nunique()
    paragraphs = [
        f"Per patient: {told} (95 % intervals), {how}.",
        f"{len(patients)} patients ({_counts(patients, card.classes)}) with {int(evaluation.images['counted'].sum())} "
        f"images from {series} series; "
        + (
            f"split {evaluation.split} of the cohort."
            if evaluation.split
            else "patients of the cohort that the model has not seen in training."
            if card.seen and not evaluation.seen
            else "the whole cohort, also patients that the model has seen, if they are in it."
        ),
        "Labels as a user sees them: "
        + ", ".join(f"{label} {labels[label]}" for label in (*card.classes[::-1], INDETERMINATE))
        + ".",
        f"The model was trained on {card.trained_on}.",
    ]
    if "AUC" in published and not published["AUC"].low > 0.5:
        paragraphs.insert(1, NOT_SHOWN_TO_TELL)
    if failures:
        paragraphs.append(f"{failures} series could not be evaluated and are in no figure; they are listed below.")
    return Section("In brief", tuple(paragraphs))


def _counts(rows: pd.DataFrame, classes: tuple[str, ...]) -> str:
    counts = Counter(rows["truth"])
    return ", ".join(f"{counts[label]} {classes[label]}" for label in reversed(range(len(classes))))


def _performance(evaluation: Evaluation, figures: Path) -> Section:
    card, patients = evaluation.package.card, evaluation.patients
    table1 = tables.table1(evaluation.images, patients, card.threshold, card.classes, evaluation.seed)
    units = (("Images", counted(evaluation.images)), ("Patients", patients))
    if any(rows["truth"].nunique() < 2 for _, rows in units):
        return Section("Performance", ("A ROC curve needs patients of both classes.",), (), table1)
    band = patients["truth"].value_counts().min() >= tables.LEAST_PATIENTS
    lines = [roc_line(rows, unit, card.threshold, evaluation.seed, band=band) for unit, rows in units]
    drawn = (
        "ROC curves with pointwise 95 % bands by patient bootstrap"
        if band
        else f"ROC curves, without bands as a class has fewer than {tables.LEAST_PATIENTS} patients"
    )
    save_figure(roc_figure(lines), figures, "roc")
    shown = picture(
        figures,
        "roc",
        "ROC curves: " + "; ".join(line.label for line in lines),
        f"{drawn}; dots: the threshold {card.threshold:.2f}; n: {card.classes[1]} + {card.classes[0]}.",
    )
    return Section("Performance", (), (shown,), table1)


def _diseases(evaluation: Evaluation, figures: Path) -> Section:
    card, patients = evaluation.package.card, evaluation.patients
    groups = [
        (disease, bool(truth), patients.loc[patients["disease"] == disease, "probability"].to_numpy())
        for disease, truth in tables.diseases(patients)
    ]
    save_figure(probability_figure(groups, card.threshold, card.classes[1]), figures, "probability_by_disease")
    shown = picture(
        figures,
        "probability_by_disease",
        "Probability of each patient by disease; medians: "
        + ", ".join(f"{disease} {np.median(values):.2f}" for disease, _, values in groups),
        "One mark a patient; marks of a disease are spread vertically so that they can be seen.",
    )
    table = tables.by_disease(evaluation.images, patients, card.threshold, card.classes, evaluation.seed)
    return Section("Diseases", (), (shown,), (table,))


def _groups(evaluation: Evaluation) -> Section:
    card = evaluation.package.card
    table = tables.by_group(evaluation.images, evaluation.patients, card.threshold, card.classes, evaluation.seed)
    return Section("Sex, age, centre and field strength", (), (), (table,))


def _calibration(evaluation: Evaluation, figures: Path) -> Section:
    curves = []
    for unit, rows in (("Images", counted(evaluation.images)), ("Patients", evaluation.patients)):
        bins = reliability(rows["truth"].to_numpy(), rows["probability"].to_numpy())
        names = ("probability", "observed", "low", "high", "cases")
        curves.append(CalibrationBins(f"{unit}, n = {len(rows)}", *(bins[name].to_numpy() for name in names)))
    save_figure(calibration_figure(curves, evaluation.package.card.classes[1]), figures, "calibration")
    shown = picture(
        figures,
        "calibration",
        "Observed share against predicted probability of images and patients; the table holds the numbers",
        "Calibration: of all that are given a probability, that share should have the disease. Bars: Wilson's 95 % "
        "intervals. Below: how many there are in each bin.",
    )
    return Section("Calibration", (), (shown,), tables.calibration(evaluation.images, evaluation.patients))


def _gallery(evaluation: Evaluation, classifier: Classifier, folder: Path, advance: Advance) -> Section:
    """Reads and classifies the few series of the gallery once more, so that no heatmap of the others is kept."""
    cases = {case.row: case for case in evaluation.cohort.cases}
    chosen = (
        choose_ranked(evaluation.images, evaluation.patients)
        if evaluation.ranks
        else choose(evaluation.images, evaluation.patients, evaluation.package.card.threshold)
    )
    pictures = []
    for number, item in enumerate(chosen):
        advance("Drawing cases", number, len(chosen))
        name = f"{number + 1:02d}_{item.kind.replace(' ', '_')}"
        path = save_gallery(gallery_figure(item, classify_case(classifier, cases[item.row])), folder, name)
        pictures.append(Picture(path, f"MRI slice, and the same with the heatmap: {_told(item)}", _told(item)))
    return Section(
        "Correct and wrong cases",
        (
            "The correct cases are the most typical ones (nearest to the median of their kind), the wrong ones the "
            "surest. Left the slice, right with the heatmap and each leg's probability (in "
            "brackets where it does not enter the case). The patient's right (R) is on the left. The heatmap shows "
            "where the model's evidence lies, not where disease is: blue is little, red the strongest.",
        ),
        tuple(pictures),
    )


def _told(item: Chosen) -> str:
    return (
        f"{item.kind.capitalize()}: {item.disease}, patient {item.patient_id}, slice {item.slice}, "
        f"probability of the patient {item.probability:.2f}."
    )


def _heat(evaluation: Evaluation, figures: Path) -> Iterator[Section]:
    if evaluation.heat.empty:
        return
    table = tables.heat_by_disease(localisation.by_disease(evaluation.heat, seed=evaluation.seed), evaluation.patients)
    rows = [
        (f"{row['Disease']} (n = {row['Images']})", row["Heat in diseased muscle"], row["Its area"].value)
        for row in table.frame.to_dict("records")
        if np.isfinite(row["Heat in diseased muscle"].value)
    ]
    shown = []
    if rows:
        save_figure(heat_figure(rows, "Share of the heat in diseased muscle"), figures, "heat_in_diseased_muscle")
        shown.append(
            picture(
                figures,
                "heat_in_diseased_muscle",
                "Share of the heat that lies in diseased muscle, by disease; the table holds the numbers",
                "Dots: share of the heat that lies in muscle with a fat fraction of at least "
                f"{100 * localisation.DISEASED:.0f} %; diamonds: that muscle's share of the leg, which heat without "
                "knowledge would give. n: images.",
            )
        )
    paragraphs = ["The cohort is of phantoms, whose muscles and fat are known, so heat can be held against the truth."]
    if not evaluation.ranks:
        paragraphs.append(_outside_limit(evaluation))
    yield Section("Does the heatmap look where the disease is?", tuple(paragraphs), tuple(shown), (table,))


def _outside_limit(evaluation: Evaluation) -> str:
    """What the heat outside the muscles of rightly called cases says of the warning's limit."""
    card = evaluation.package.card
    try:
        limit = localisation.outside_threshold(evaluation.heat, card.threshold)
    except InputError:
        return "No case was called rightly, so nothing can be said of heat outside the muscles."
    return (
        f"{100 * localisation.QUANTILE:g} % of the rightly called {card.classes[1]} cases have at most "
        f"{100 * limit:.0f} % of their heat in subcutaneous fat; the program warns (HEATMAP_OUTSIDE_MUSCLE) from "
        f"{100 * HEAT_OUTSIDE:.0f} %."
    )


def _deletion_insertion(
    evaluation: Evaluation, classifier: Classifier, figures: Path, advance: Advance
) -> Iterator[Section]:
    """Of T1-weighted images alone and two classes: what is deleted becomes the grey that healthy muscle has there."""
    if evaluation.ranks or not evaluation.package.recipe.sample.of_t1_alone:
        return
    title, card = "Does the answer hang on what the heatmap marks?", evaluation.package.card
    chosen = choose_images(evaluation.images, card.threshold, seed=evaluation.seed)
    if chosen.empty:
        yield Section(title, (f"No image was called {card.classes[1]}, so there is no evidence to delete.",))
        return
    found = faithfulness(classifier, evaluation.cohort, chosen, seed=evaluation.seed, advance=advance)
    orders = (("by the heatmap", found.by_heat), ("in random order", found.at_random))
    deletion = [MeanCurve(label, *mean_curve(chosen, order.deletion, seed=evaluation.seed)) for label, order in orders]
    insertion = [
        MeanCurve(label, *mean_curve(chosen, order.insertion, seed=evaluation.seed)) for label, order in orders
    ]
    save_figure(deletion_insertion_figure(deletion, insertion, card.classes[1]), figures, "deletion_insertion")
    shown = picture(
        figures,
        "deletion_insertion",
        "Mean probability while the leg is deleted and inserted, by the heatmap and in random order; the table holds "
        "the areas under the curves",
        f"Mean over {len(chosen)} images of {chosen['patient_id'].nunique()} patients, with pointwise 95 % bands by "
        "patient bootstrap. Random order: of a map as coarse and as smooth as the heatmap.",
    )
    paragraph = (
        "Pixels of the leg are given the grey of healthy muscle, the hottest first (deletion), or a leg of that grey "
        "gets its own pixels back, the hottest first (insertion; Petsiuk et al. 2018). The sooner the probability "
        "falls, and rises, the more the answer hangs on what the heatmap marks. Only images that were called "
        f"{card.classes[1]} have a probability to lose; up to {MOST_IMAGES} are taken, evenly over the diseases."
    )
    yield Section(
        title, (paragraph,), (shown,), (tables.deletion_insertion(found.areas, evaluation.patients, evaluation.seed),)
    )


def _rivals(evaluation: Evaluation) -> Iterator[Section]:
    cases = {case.patient_id: case for case in evaluation.cohort.cases if has_truth(case)}
    patients = evaluation.patients
    if not evaluation.ranks and set(patients["patient_id"]) <= set(cases) and patients["severity"].notna().all():
        trefoil = {name: trefoil_sign(muscle_fat(cases[name])) for name in patients["patient_id"]}
        table = tables.rivals(patients, trefoil, evaluation.package.card.threshold)
        yield Section("Beside rivals that know the truth", (), (), (table,))


def _unevaluated(evaluation: Evaluation) -> Section:
    images, failures = evaluation.images, evaluation.predictions.failures
    codes = Counter(code for text in images.groupby("row")["warnings"].first() for code in text.split())
    told = ", ".join(f"{code} {count}" for code, count in sorted(codes.items())) or "none"
    frame = failures.rename(
        columns={"row": "Row", "patient_id": "Patient", "disease": "Disease", "reason": "Reason"}
    )  # fmt: skip
    note = "Rows are those of the cohort table, its header being row 1."
    listed = (Table("failures", "Series that could not be evaluated", frame, note),) if len(failures) else ()
    return Section(
        "What was left out, and warnings",
        (
            f"Images that do not show what the model expects and enter no figure: {int((~images['counted']).sum())} of "
            f"{len(images)}.",
            f"Series with a warning: {told}.",
            *((evaluation.cohort.others_told,) if evaluation.cohort.others else ()),
            *(() if len(failures) else ("All series of the cohort could be evaluated.",)),
        ),
        (),
        listed,
    )


def _provenance(summary: dict[str, object]) -> Section:
    model, cohort = summary["model"], summary["cohort"]
    rows = [
        ("Program", summary["program"]),
        ("Model package, SHA-256", model["sha256"]),
        ("Cohort table, SHA-256", cohort["sha256"]),
        ("Seed", str(summary["seed"])),
    ]
    table = Table("provenance", "Enough to make the figures again", pd.DataFrame(rows, columns=["What", "Value"]))
    return Section("How this was made", (), (), (table,))
