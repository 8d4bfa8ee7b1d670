"""`dystrophydx evaluate` of a model of patterns: how good its answers are, per patient, and what they rest on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pandas as pd

from ..cohort.seen import evaluated_cases, seen_notice, seen_patients
from ..cohort.table import Cohort
from ..models.pattern_package import PatternPackage
from ..muscles.structures import MUSCLES
from ..reporting.harness import FIGURES, provenance, report_notices, table_sha256
from ..reporting.pages import Section
from ..reporting.progress import WRITING
from ..reporting.reports import PATTERNS as REPORT
from ..reporting.tables import Table
from .answer_kinds import answers_of
from .evaluated import Evaluation, EvaluationOptions
from .pattern_classifier import PatternClassifier
from .phantom_truth import is_synthetic
from .predictions import answered, by_patient, predict
from .summaries import EvaluatedCohort, EvaluatedModel, EvaluationSummary, left_out_of, left_out_told


class PatternSummary(EvaluationSummary):
    """evaluation.json of a model of patterns; its figures are of patients alone."""

    def lines(self) -> Iterator[str]:
        yield from self.notices
        yield from filter(None, [self.not_shown])
        told = (f"{name} {figure.told()}" for name, figure in self.figures["patients"].items())
        yield f"{self.cohort.patients} patients: {', '.join(told)}"
        if self.cohort.left_out:
            yield left_out_told(self.cohort.left_out)


class PatternEvaluation(Evaluation):
    """Answers of a model of patterns: of patients, as no image has one of its own."""

    @cached_property
    def units(self) -> dict[str, pd.DataFrame]:
        return {"Patients": by_patient(self.images)}


def evaluate_pattern(
    package: Path, cohort: Path, out: Path, options: EvaluationOptions, *, split: str | None, seed: int
) -> PatternSummary:
    """Evaluates a package of patterns and writes a report. The fat is found as a classification finds it: by the model
    of muscle maps that ships with the extension, whatever maps the cohort has.

    Args:
        package, cohort, out, split, seed: as of `evaluate.evaluate`.

    Raises:
        InputError: as `evaluate.evaluate`.
    """
    before = REPORT.check(out, overwrite=options.overwrite)
    read = PatternPackage.read(package)
    card = read.card
    chosen, split = evaluated_cases(Cohort.read(cohort, read.recipe), split, [card])
    predictions = predict(PatternClassifier(read, options.device), chosen, options.advance)
    chosen = answered(chosen, predictions.images)
    seen = len(seen_patients(chosen, card))
    none = pd.DataFrame()
    evaluation = PatternEvaluation(read, chosen, split, seen, predictions, none, none, seed)
    answers, patients, synthetic = answers_of(card.decision), evaluation.patients, is_synthetic(chosen)
    notice = (seen_notice(seen, len(chosen.patients)),) if seen else ()
    summary = PatternSummary(
        notices=report_notices(
            demonstration=card.demonstration, synthetic=synthetic, further=(*notice, *chosen.notices)
        ),
        model=EvaluatedModel(
            name=card.name, version=card.version, sha256=read.sha256, trained_on=card.trained_on,
            classes=card.classes, threshold=card.threshold,
        ),
        cohort=EvaluatedCohort(
            sha256=table_sha256(cohort), split=split, synthetic=synthetic, patients=len(patients),
            images=int(evaluation.images["counted"].sum()), series_failed=len(predictions.failures),
            left_out=left_out_of(predictions.failures), seen_in_training=seen,
        ),
        seed=seed,
        figures={"patients": answers.both_intervals(patients, seed)},
        labels=dict(sorted(Counter(patients["label"]).items())),
    )  # fmt: skip

    def sections(folder: Path) -> Iterator[Section]:
        yield Section("In brief", (*list(summary.lines())[len(summary.notices) :], _labels(summary)))
        yield from answers.sections(evaluation, folder / FIGURES)
        yield Section("What the answer rests on", (_ABOUT,), (), (coefficients(read),))
        yield provenance([
            ("Program", summary.program), ("Model package, SHA-256", read.sha256),
            ("Fitted to the fat under the maps of, SHA-256", card.muscles_by),
            ("Cohort table, SHA-256", summary.cohort.sha256), ("Seed", str(seed)),
        ])  # fmt: skip

    options.advance(WRITING, 0, 0)
    tables = {"predictions.csv": predictions.images, "patients.csv": patients, "failures.csv": predictions.failures}
    title = f"{card.name} {card.version}"
    REPORT.write(out, summary, title, sections, tables, overwrite=options.overwrite, before=before)
    return summary


_ABOUT = (
    "Coefficients: what one step of log-odds by which a muscle's fat exceeds the mean of the patient's muscles adds to "
    "the evidence for a class, before it is divided by the temperature. – : the muscle has no say."
)


def coefficients(package: PatternPackage) -> Table:
    """The coefficients of a model, a row a muscle."""
    frame = pd.DataFrame({"Muscle": MUSCLES})
    for name, values in package.card.coefficients.items():
        frame[name] = [f"{values[muscle]:+.2f}" if muscle in values else "–" for muscle in MUSCLES]
    labels = package.card.decision.labels_in_words()
    note = f"Temperature {package.card.temperature:.2f}. {labels[:1].upper()}{labels[1:]}."
    return Table("coefficients", "Coefficients of the muscles", frame, note)


def _labels(summary: PatternSummary) -> str:
    told = ", ".join(f"{label} {count}" for label, count in summary.labels.items())
    return f"Labels as a user sees them: {told}."
