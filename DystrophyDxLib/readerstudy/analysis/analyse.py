"""`dystrophydx readers analyse`: how good readers are, aided and unaided and beside the model, and how they agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ...cohort.table import listed
from ...reporting.harness import FIGURES, report_notices
from ...reporting.pages import Section
from ...reporting.reports import READER_STUDY as REPORT
from ...reporting.tables import Table, cell_text
from ..reads import AIDED, RE_READ, UNAIDED, Reads
from . import agreement_tables, comparison_tables, performance_tables
from . import primary as primary_results
from .agreement_tables import READERS
from .comparison_tables import ArmsAnalysis, ModelAnalysis
from .first_answers import FirstAnswers, first_answers
from .performance_tables import BARS, MEAN, MODEL, value_of
from .pictures import bars_picture, confusion_picture, curves_picture, readers_picture
from .primary import PrimaryResult
from .summary import ReaderStudySummary, summarised


def analyse(reads: Reads, out: Path, *, overwrite: bool, notices: tuple[str, ...] = ()) -> ReaderStudySummary:
    """Analyses a reader study and writes `REPORT` into `out`: a page that stands alone, its tables as CSV and Markdown
    and its figures as SVG and PNG.

    Args:
        reads: of `Reads.read` for a folder of CSV files.
        out: all of the files or none are written.
        overwrite: whether an earlier analysis in `out` is replaced.
        notices: what is to stand beside every figure besides, such as readers whose answers could not be had.

    Returns:
        The content of analysis.json.

    Raises:
        InputError: there is nothing to analyse, or `out` cannot be used.
    """
    before = REPORT.check(out, overwrite=overwrite)
    answers = FirstAnswers.of(reads)
    performance = performance_tables.performance_frame(answers)
    agreement = agreement_tables.agreement_table(answers)
    arms, model = comparison_tables.analyse_arms(answers), comparison_tables.analyse_model(answers)
    primary = PrimaryResult.of(reads, arms, model)
    summary = summarised(reads, answers, performance, arms, primary, (*_unfinished(reads), *notices, *_notices(reads)))

    def sections(folder: Path) -> Iterator[Section]:
        yield primary_results.section(primary)
        yield _brief(reads, answers, performance, agreement, arms)
        yield _read(reads, answers)
        yield from _performance(reads, answers, performance, folder / FIGURES)
        yield _agreement(reads, answers, agreement)
        yield _arms(reads, answers, arms)
        yield _model(reads, answers, model)
        yield _planning(arms)

    title = f"{len(answers.readers)} readers, {len(answers.cases)} cases"
    REPORT.write(out, summary, title, sections, overwrite=overwrite, before=before)
    return summary


def _unfinished(reads: Reads) -> tuple[str, ...]:
    """A sentence while answers are still to be given."""
    if reads.unread is None:
        return ()
    given = int((reads.reads["amended"] == 0).sum())
    return (
        f"Reading is unfinished: {given} of {given + len(reads.unread)} answers are given. Whoever looks at these "
        "figures or the truth now is unblinded; keep them from the readers, and change nothing of the study for them.",
    )


def _notices(reads: Reads) -> tuple[str, ...]:
    """What stands beside every figure: how it was read, what the model was trained on, and what it is all for."""
    trained_on = () if reads.model is None else sorted(set(filter(None, reads.model["trained_on"])))
    return report_notices(
        demonstration=False,
        synthetic=bool(reads.truth["synthetic"].any()),
        further=[*(f"The model was trained on {told}." for told in trained_on), *_read_elsewhere(reads)],
    )


def _read_elsewhere(reads: Reads) -> Iterator[str]:
    """What is not known of answers that were given on paper or in a spreadsheet, and where they depart from the
    protocol."""
    first = reads.reads[reads.reads["amended"] == 0]
    imported = first[first["imported"] == 1]
    if len(imported):
        who = ", ".join(sorted(set(imported["reader"])))
        yield (
            f"{len(imported)} of {len(first)} answers ({who}) were given on paper or in a spreadsheet: that "
            "cases came in their order, and the model's answer only when it was due, rests on the readers' word, and "
            "times and slices seen are not known."
        )
    broken = [f"{row['reader']}, {row['deviation']}" for row in imported.to_dict("records") if row["deviation"]]
    if broken:
        yield f"The protocol was not kept: {listed(broken)}."


def _brief(
    reads: Reads,
    answers: FirstAnswers,
    performance: pd.DataFrame,
    agreement: Table,
    arms: tuple[ArmsAnalysis, ...],
) -> Section:
    positive = int(answers.truth.sum())
    planned, missing = answers.planned.sum() * len(answers.arms), int(answers.missing.sum())
    paragraphs = [
        *_unfinished(reads),
        f"{len(answers.readers)} readers ({', '.join(answers.readers)}) read {len(answers.cases)} cases "
        f"({positive} {reads.asked}, {len(answers.cases) - positive} other), {' and '.join(answers.arms)}.",
        f"{planned} first decisions on them were to be made, {missing} of them are missing."
        if missing
        else f"All {planned} first decisions on them were made.",
    ]
    silent = sorted(set(reads.readers["reader"]) - set(answers.readers))
    if silent:
        paragraphs.append(f"Without an unaided or aided answer and in no figure: {', '.join(silent)}.")
    if positive in (0, len(answers.cases)):
        paragraphs.append(
            f"All cases that were read are of one class, so that the AUC and the "
            f"{'specificity' if positive else 'sensitivity'} cannot be told."
        )
    for row in performance.to_dict("records"):
        if row["Reader"] == MEAN or row["Arm"] == MODEL:
            who = f"Mean of the readers, {row['Arm']}" if row["Reader"] == MEAN else f"Model {row['Reader']}"
            told = [
                f"{name if name == 'AUC' else name.lower()} {cell_text(name, row[name])}"
                for name in (*BARS, "AUC")
                if not np.isnan(value_of(row[name]))
            ]
            if told:
                paragraphs.append(f"{who}: {', '.join(told)}.")
    for row in agreement.frame.to_dict("records"):
        if row["Among"] == READERS:
            kappa = row["Kappa, Fleiss"]
            value = "cannot be told" if np.isnan(kappa.value) else cell_text("Kappa", kappa)
            agreed = ", ".join(filter(None, (value, row["Band"])))
            paragraphs.append(f"Fleiss' kappa of the readers, {row['Arm']}: {agreed}.")
    if arms and reads.primary is None:
        test = arms[0].tests[0]
        paragraphs.append(
            f"Aided minus unaided, for other readers and cases: {arms[0].figure} "
            f"{cell_text('AUC', test.differences[0].difference)}, p {cell_text('p', test.p)}."
        )
    unread = len(reads.truth) - len(answers.cases)
    if unread:
        paragraphs.append(f"Read by no one and in no figure: {unread} of the cases in the table of truth.")
    if answers.model:
        without = int(np.isnan(answers.label).sum())
        if without:
            paragraphs.append(f"Without an answer of the model and in none of its figures: {without} of the cases.")
    return Section("In brief", tuple(paragraphs))


def _read(reads: Reads, answers: FirstAnswers) -> Section:
    paragraphs = []
    both = _answered_twice(reads)
    if (both["session_unaided"].eq(both["session_aided"]) & both["session_unaided"].gt(0)).any():
        paragraphs.append(
            "Sequential reading: aided answers were given in the session of the unaided ones. Differences tell what "
            "the aid changes in a reader who has just decided without it."
        )
    if both[["session_unaided", "session_aided"]].eq(0).any(axis=None):
        paragraphs.append("The tables do not tell all sessions, and so not whether reading was sequential.")
    answered = performance_tables.answers_table(reads, answers)
    times = performance_tables.time_table(reads, answers)
    subtypes, quality = performance_tables.subtype_table(reads), performance_tables.quality_table(reads)
    return Section("What was read", tuple(paragraphs), (), _there(answered, times, subtypes, quality))


def _answered_twice(reads: Reads) -> pd.DataFrame:
    """Cases that a reader answered both unaided and aided, with the session of each answer."""
    keys = ["reader", "case"]
    first = first_answers(reads)
    unaided, aided = (first.loc[first["arm"] == arm, [*keys, "session"]] for arm in (UNAIDED, AIDED))
    return unaided.merge(aided, on=keys, suffixes=("_unaided", "_aided"))


def _performance(
    reads: Reads, answers: FirstAnswers, performance: pd.DataFrame, figures: Path
) -> tuple[Section, Section]:
    beside = (*bars_picture(answers, performance, figures), *readers_picture(answers, performance, figures))
    each = (*curves_picture(answers, figures), *confusion_picture(answers, reads.asked, figures))
    tables = performance_tables.performance_tables(performance)
    return (
        Section("Performance", (), beside, tables),
        Section("Decisions and confidences", (), each, _there(performance_tables.confusion_table(answers))),
    )


def _agreement(reads: Reads, answers: FirstAnswers, agreement: Table) -> Section:
    found = _there(
        agreement,
        agreement_tables.pairs_table(answers),
        agreement_tables.intra_reader_table(reads),
        agreement_tables.grades_table(reads),
    )
    return Section("Agreement", () if found else ("No two answers to one case can be compared.",), (), found)


def _arms(reads: Reads, answers: FirstAnswers, arms: tuple[ArmsAnalysis, ...]) -> Section:
    if answers.arms != (UNAIDED, AIDED):
        unread = set() if reads.unread is None else set(reads.unread["arm"]) - set(answers.arms) - {RE_READ}
        read = f"Only {answers.arms[0]} readings are there" + "".join(
            f"; {arm} ones are still to come" for arm in unread
        )
        more = ", and re-reads, which are compared under Agreement" if (reads.reads["arm"] == RE_READ).any() else ""
        return Section("Aided against unaided", (f"{read}{more}.",))
    found = _there(comparison_tables.arms_table(arms, reads.primary), comparison_tables.paired_arms_table(answers))
    told = () if arms else ("Fewer than two readers answered enough cases in both arms to tell of others.",)
    return Section("Aided against unaided", told, (), found)


def _model(reads: Reads, answers: FirstAnswers, model: tuple[ModelAnalysis, ...]) -> Section:
    if not answers.model:
        return Section("Readers against the model", ("No model answered.",))
    found = _there(comparison_tables.model_table(model, reads.primary), comparison_tables.paired_model_table(answers))
    return Section("Readers against the model", (), (), found)


def _planning(arms: tuple[ArmsAnalysis, ...]) -> Section:
    found = _there(comparison_tables.sample_size_table(arms), comparison_tables.components_table(arms))
    told = () if found else ("A next study can be planned from one in which at least two readers read both arms.",)
    return Section("The next study", told, (), found)


def _there(*tables: Table | None) -> tuple[Table, ...]:
    """Those that have rows."""
    return tuple(table for table in tables if table is not None and len(table.frame))
