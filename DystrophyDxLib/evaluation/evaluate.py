"""`dystrophydx evaluate`: how good a model package is on a cohort, as tables, figures, a gallery and a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..classify import Classifier
from ..cohort.seen import evaluated_cases, seen_notice, seen_patients
from ..cohort.table import Cohort
from ..models.package import ModelPackage
from ..regions.windows import Side
from ..reporting.figures import heat_figure, saved_picture
from ..reporting.harness import FIGURES, provenance, report_notices, table_sha256
from ..reporting.pages import Picture, Section
from ..reporting.progress import WRITING, Advance
from ..reporting.reports import EVALUATION as REPORT
from ..reporting.reports import GALLERY
from ..reporting.tables import Table, cell_text
from ..results import INDETERMINATE
from ..statistics.bootstrap import LEAST_PATIENTS
from . import evaluated, heat_audit, localisation, tables
from .answer_kinds import answers_of
from .answers import Answers
from .evaluated import Evaluation, EvaluationOptions, Observer
from .gallery import Chosen, gallery_figure
from .map_report import map_sections, reference_cases
from .phantom_truth import is_synthetic
from .predictions import answered, classify_case, counted, predict, recorded, said
from .summaries import EvaluatedCohort, EvaluatedModel, EvaluationSummary, left_out_of


def evaluate(
    package: Path, cohort: Path, out: Path, options: EvaluationOptions, *, split: str | None, seed: int
) -> EvaluationSummary:
    """Evaluates a package and writes the files of `REPORT` into `out`.

    Args:
        package: folder or .zip.
        cohort: the CSV.
        out: all of the files or none are written.
        split: train, validation or test; None: see `evaluated_cases`.
        seed: of the bootstrap, and of the images that are deleted and inserted.

    Raises:
        InputError: package, cohort or `out` cannot be used, or no series can be evaluated.
    """
    before = REPORT.check(out, overwrite=options.overwrite)
    read = ModelPackage.read(package)
    everyone = Cohort.read(cohort, read.recipe)
    chosen, split = evaluated_cases(everyone, split, [read.card])
    group = reference_cases(everyone, chosen, options.reference)
    heat_audit.check_organs(chosen, cohort.parent)
    classifier = Classifier(read, options.device)
    observer = Observer(cohort.parent, options.atlas, localises=True)
    if options.recorded is None:
        predictions = predict(classifier, chosen, options.advance, observer)
        audit = pd.concat(observer.audit, ignore_index=True)
    else:
        from ..archive.answers import ArchiveAnswers

        predictions = recorded(ArchiveAnswers(*options.recorded, read, cohort), chosen, options.advance)
        audit = heat_audit.unjudged(predictions.images, read.card)
    chosen = answered(chosen, predictions.images)
    evaluation = Evaluation(
        read,
        chosen,
        split,
        len(seen_patients(chosen, read.card)),
        predictions,
        pd.concat(observer.heat) if observer.heat else pd.DataFrame(),
        audit,
        seed,
    )
    patients = evaluation.patients.assign(said=lambda rows: said(rows, read.card))
    further = tuple(map_sections(observer.regions, group, chosen, patients, options.advance))
    evaluation = replace(evaluation, further=further)
    answers = answers_of(read.card.decision)
    options.advance(WRITING, 0, 0)
    summary = _summarised(evaluation, answers, table_sha256(cohort))

    def sections(folder: Path) -> Iterator[Section]:
        return _sections(evaluation, answers, summary, classifier, folder, options)

    REPORT.write(
        out,
        summary,
        f"{read.card.name} {read.card.version}",
        sections,
        evaluated.tables_of(predictions, evaluation.patients, evaluation.audit),
        overwrite=options.overwrite,
        before=before,
    )
    return summary


def _summarised(evaluation: Evaluation, answers: Answers, cohort_sha256: str) -> EvaluationSummary:
    card, images, patients = evaluation.package.card, evaluation.images, evaluation.patients
    synthetic = is_synthetic(evaluation.cohort)
    seen = seen_notice(evaluation.seen, len(evaluation.cohort.patients))
    return EvaluationSummary(
        notices=report_notices(
            demonstration=card.demonstration,
            synthetic=synthetic,
            further=(*((seen,) if evaluation.seen else ()), *evaluation.cohort.notices),
        ),
        model=EvaluatedModel(
            name=card.name,
            version=card.version,
            sha256=evaluation.package.sha256,
            trained_on=card.trained_on,
            classes=card.classes,
            threshold=card.threshold,
        ),
        cohort=EvaluatedCohort(
            sha256=cohort_sha256,
            split=evaluation.split,
            synthetic=synthetic,
            patients=len(patients),
            images=int(images["counted"].sum()),
            series_failed=len(evaluation.predictions.failures),
            left_out=left_out_of(evaluation.predictions.failures),
            seen_in_training=evaluation.seen,
        ),
        seed=evaluation.seed,
        figures={
            "images": answers.both_intervals(counted(images), evaluation.seed),
            "patients": answers.both_intervals(patients, evaluation.seed),
        },
        labels=dict(sorted(Counter(patients["label"]).items())),
    )


def _sections(
    evaluation: Evaluation,
    answers: Answers,
    summary: EvaluationSummary,
    classifier: Classifier,
    folder: Path,
    options: EvaluationOptions,
) -> Iterator[Section]:
    figures = folder / FIGURES
    yield _brief(evaluation, answers, summary)
    yield from answers.sections(evaluation, figures)
    yield _gallery(evaluation, answers, classifier, folder / GALLERY, options.advance)
    yield from _heat(evaluation, answers, figures)
    yield heat_audit.section(evaluation.audit)
    if options.recorded:
        yield Section(
            "Where the heat lies", ("The dataset of an archive holds no heatmaps, so nothing is told of the heat.",)
        )
    yield from answers.further_sections(evaluation, classifier, figures, options)
    options.advance(WRITING, 0, 0)
    yield from evaluation.further
    yield _unevaluated(evaluation)
    of_archive = [("Answers", "Taken from the dataset of an archive, not classified again")]
    yield provenance(
        [
            *(of_archive if options.recorded else []),
            ("Program", summary.program),
            ("Model package, SHA-256", summary.model.sha256),
            ("Cohort table, SHA-256", summary.cohort.sha256),
            ("Seed", str(summary.seed)),
        ]
    )


def _brief(evaluation: Evaluation, answers: Answers, summary: EvaluationSummary) -> Section:
    card, patients = evaluation.package.card, evaluation.patients
    figures = answers.main(patients)
    told = ", ".join(
        f"{name.lower() if name != 'AUC' else name} {cell_text(name, figure)}" for name, figure in figures.items()
    )
    series = evaluation.images["row"].nunique()
    paragraphs = [
        f"Per patient: {told} (95 % intervals), {answers.how}.",
        f"{len(patients)} patients ({_counts(patients, card.classes)}) with {summary.cohort.images} "
        f"images from {series} series; "
        + (
            f"split {evaluation.split} of the cohort."
            if evaluation.split
            else "patients of the cohort that the model has not seen in training."
            if card.seen and not evaluation.seen
            else "the whole cohort, also patients that the model has seen, if they are in it."
        ),
        "Labels as a user sees them: "
        + ", ".join(f"{label} {summary.labels.get(label, 0)}" for label in (*card.classes[::-1], INDETERMINATE))
        + ".",
        f"The model was trained on {card.trained_on}.",
    ]
    if summary.not_shown:
        paragraphs.insert(0, summary.not_shown)
    if failures := summary.cohort.series_failed:
        are = "is in no figure; it is" if failures == 1 else "are in no figure; they are"
        paragraphs.append(f"{failures} series {are} listed below, with the reason.")
    return Section("In brief", tuple(paragraphs))


def _counts(rows: pd.DataFrame, classes: tuple[str, ...]) -> str:
    counts = Counter(rows["truth"])
    return ", ".join(f"{counts[label]} {classes[label]}" for label in reversed(range(len(classes))))


def _gallery(
    evaluation: Evaluation, answers: Answers, classifier: Classifier, folder: Path, advance: Advance
) -> Section:
    """Reads and classifies the few series of the gallery once more, so that no heatmap of the others is kept."""
    cases = {case.row: case for case in evaluation.cohort.cases}
    of_legs = (evaluation.images["side"] != Side.NONE.value).any()
    shown = (
        "each leg's probability (in brackets where it does not enter the case). The patient's right (R) is on the left."
        if of_legs
        else "its probability."
    )
    chosen = answers.chosen(evaluation.images, evaluation.patients)
    pictures = []
    for number, item in enumerate(chosen):
        advance("Drawing cases", number, len(chosen))
        name = f"{number + 1:02d}_{item.kind.replace(' ', '_')}"
        path, figure = folder / f"{name}.png", gallery_figure(item, classify_case(classifier, cases[item.row]))
        figure.savefig(path, dpi=150, metadata={"Software": None})
        pictures.append(Picture(path, f"MRI slice, and the same with the heatmap: {_told(item)}", _told(item)))
    return Section(
        "Correct and wrong cases",
        (
            "The correct cases are the most typical ones (nearest to the median of their kind), the wrong ones the "
            "surest. "
            f"Left the slice, right with the heatmap and {shown} The heatmap shows where the "
            "model's evidence lies, not where disease is: blue is little, red the strongest.",
        ),
        tuple(pictures),
    )


def _told(item: Chosen) -> str:
    return (
        f"{item.kind.capitalize()}: {item.disease}, patient {item.patient_id}, slice {item.slice}, "
        f"probability of the patient {item.probability:.2f}."
    )


def _heat(evaluation: Evaluation, answers: Answers, figures: Path) -> Iterator[Section]:
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
        shown.append(
            saved_picture(
                heat_figure(rows, "Share of the heat in diseased muscle"),
                figures,
                "heat_in_diseased_muscle",
                "Share of the heat that lies in diseased muscle, by disease; the table holds the numbers",
                "Dots: share of the heat that lies in muscle with a fat fraction of at least "
                f"{100 * localisation.DISEASED:.0f} %; diamonds: that muscle's share of the leg, which heat without "
                "knowledge would give; lines: 95 % intervals by patient bootstrap, none for fewer than "
                f"{LEAST_PATIENTS} patients. n: images.",
            )
        )
    paragraphs = (
        "The cohort is of phantoms, whose muscles and fat are known, so heat can be held against the truth.",
        *answers.heat_limit(evaluation.heat),
    )
    yield Section("Does the heatmap look where the disease is?", paragraphs, tuple(shown), (table,))


def _unevaluated(evaluation: Evaluation) -> Section:
    images, failures = evaluation.images, evaluation.predictions.failures
    codes = Counter(code for text in images.groupby("row")["warnings"].first() for code in text.split())
    told = ", ".join(f"{code} {count}" for code, count in sorted(codes.items())) or "none"
    names = {"row": "Row", "patient_id": "Patient", "disease": "Disease", "reason": "Reason"}
    note = (
        "Rows are those of the cohort table, its header being row 1. What cannot be read, or is not what the model was "
        "made for, is left out of training in the same way."
    )
    table = Table("failures", "Series that are in no figure, and why", failures.rename(columns=names), note)
    return Section(
        "What was left out, and warnings",
        (
            f"Images that do not show what the model expects and enter no figure: {int((~images['counted']).sum())} of "
            f"{len(images)}.",
            f"Series with a warning: {told}.",
            *((evaluation.cohort.others_told,) if evaluation.cohort.others else ()),
            *(() if len(failures) else ("No series of the patients that were evaluated was left out.",)),
        ),
        (),
        (table,) if len(failures) else (),
    )
