"""What an archive's dataset says as a whole: `summary.html` and, for machines, `summary.json`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pandas as pd

from ..reporting.case_report import WARNINGS
from ..reporting.harness import Part, Summary, provenance, report_notices
from ..reporting.pages import Section
from ..reporting.rendering import rendered
from ..reporting.tables import Table
from ..results import INDETERMINATE, WarningCode
from ..series.words import are, counted
from .dataset import PAGE, SUMMARY, Dataset, write_atomically
from .pictures import as_picture, bar_figure, probability_figure
from .studies import KINDS

_NUMBERS = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w-])")
_WORST, _REASONS = 20, 30
"""Rows of the tables of disagreements and of reasons."""
_STAGES = {"read": "Reading", "roi": "Finding the legs", "network": "Network", "muscles": "Muscles"}


class Run(Part):
    """What one run did.

    Attributes:
        found: studies, and what counts as one, in the archive.
        copies: images that another file of the archive holds, too.
        files, passed_over: that were looked at, and of them those that are no images.
        before: of what was found, how many were in the dataset already.
        done: that this run has put into it.
        classified: of them, those that workers took; the others failed by their headers.
        seconds: that workers needed.
        workers: processes that classified.
        without_folder: answered studies of the dataset without a folder, where folders were asked for.
    """

    found: int
    copies: int
    files: int
    passed_over: int
    before: int
    done: int
    classified: int
    seconds: float
    workers: int
    without_folder: int = 0

    @property
    def per_minute(self) -> float:
        """Studies that workers took a minute."""
        return 60 * self.classified / self.seconds if self.seconds > 0 else 0.0

    @property
    def work(self) -> str:
        """What workers did, in words."""
        if not self.classified:
            return "there was nothing to classify"
        return (
            f"{counted(self.workers, 'worker')} took {counted_studies(self.classified)} in {self.seconds:.0f} s "
            f"({self.per_minute:.1f} a minute)"
        )


class ArchiveSummary(Summary):
    """Counts of the whole dataset, and what the last run did.

    Attributes:
        sources: archives that the dataset was made of; the last run looked at one of them.
        without_patient: studies that name no patient, as image files do.
        lacking: studies whose folder lacks something, such as DICOM objects.
    """

    schema_: Literal["dystrophydx.archive-summary/1"] = "dystrophydx.archive-summary/1"
    made: tuple[str, ...]
    sources: int = 1
    studies: int
    patients: int
    without_patient: int = 0
    failures: int
    labels: dict[str, int]
    failures_by_kind: dict[str, int]
    warnings: dict[str, int]
    disagreements: int
    lacking: int = 0
    run: Run

    @property
    def of_patients(self) -> str:
        """Studies and patients in words."""
        told = counted_studies(self.studies)
        if not self.without_patient:
            return f"{told} of {counted(self.patients, 'patient')}"
        none = f"{self.without_patient} of them name{'s' if self.without_patient == 1 else ''} no patient"
        return f"{told} of {counted(self.patients, 'patient')} ({none})" if self.patients else f"{told} ({none})"

    @property
    def of_lacking(self) -> str:
        """How many folders lack something, in words."""
        return f"{counted(self.lacking, 'folder')} {'lacks' if self.lacking == 1 else 'lack'} something"

    @property
    def of_folders(self) -> str:
        """How many studies have no folder although folders were asked for, in words."""
        number = self.run.without_folder
        return f"{counted_studies(number)} {'has' if number == 1 else 'have'} no folder, as a run without folders " + (
            f"answered {'it' if number == 1 else 'them'}; for theirs, give another folder with --out"
        )

    @property
    def of_sources(self) -> str:
        """Which part of the dataset the last run is about, where it is not all of it."""
        return f" (one of the dataset's {self.sources} archives)" if self.sources > 1 else ""

    def lines(self) -> Iterator[str]:
        yield from self.notices
        labels = ", ".join(f"{name} {number}" for name, number in self.labels.items())
        yield self.of_patients + (f": {labels}." if labels else ".")
        kinds = ", ".join(f"{kind} {number}" for kind, number in self.failures_by_kind.items())
        yield f"{counted(self.failures, 'failure')}" + (f": {kinds}." if kinds else ".")
        run = self.run
        yield f"This run{self.of_sources}: {run.done} new, {run.before} were there before; {run.work}."
        if self.lacking:
            yield f"{self.of_lacking}; the column lacking of the table studies says what."
        if self.run.without_folder:
            yield f"{self.of_folders}."


def counted_studies(number: int) -> str:
    """
    >>> counted_studies(1), counted_studies(2)
    ('1 study', '2 studies')
    """
    return f"{number} {'study' if number == 1 else 'studies'}"


def write_summary(dataset: Dataset, run: Run) -> ArchiveSummary:
    """Writes `summary.html` and `summary.json` into the folder of a dataset.

    Raises:
        InputError: the dataset is damaged.
        OSError: they cannot be written.
    """
    studies, failures = (dataset.table(name).to_pandas() for name in ("studies", "failures"))
    codes = Counter(item["code"] for warnings in studies["warnings"] for item in warnings)
    summary = ArchiveSummary(
        notices=report_notices(demonstration=WarningCode.DEMONSTRATION_MODEL.value in codes, synthetic=False),
        made=tuple(dataset.about.made.values()),
        sources=max(1, len(dataset.about.sources)),
        studies=len(studies),
        patients=studies["patient"].nunique(),
        without_patient=int(studies["patient"].isna().sum()),
        failures=len(failures),
        labels=_counts(studies["label"]),
        failures_by_kind=_counts(failures["kind"]),
        warnings=dict(codes.most_common()),
        disagreements=int((studies["pattern_agrees"] == False).sum()),  # noqa: E712 -- null is neither
        lacking=int(studies["lacking"].notna().sum()),
        run=run,
    )
    with TemporaryDirectory(prefix="dystrophydx") as name:
        sections = tuple(_sections(studies, failures, summary, Path(name)))
        title = f"{summary.studies} studies and {summary.failures} failures"
        page = rendered("evaluation.html", kind="archive", title=title, notices=summary.notices, sections=sections)
    write_atomically(dataset.folder / SUMMARY, (summary.to_json() + "\n").encode())
    write_atomically(dataset.folder / PAGE, page.encode())
    return summary


def _counts(values: pd.Series) -> dict[str, int]:
    """How often each value is there, the most frequent first."""
    return {str(name): int(number) for name, number in values.value_counts().items()}


def _sections(
    studies: pd.DataFrame, failures: pd.DataFrame, summary: ArchiveSummary, folder: Path
) -> Iterator[Section]:
    yield _brief(summary)
    if len(studies):
        yield _answers(studies, summary, folder)
        yield _disagreements(studies)
        yield _warnings(summary, folder)
    yield _failures(failures)
    if summary.lacking or summary.run.without_folder:
        yield _folders(studies, summary)
    yield _throughput(studies, summary.run)
    rows = [("Program", summary.program), *(("Made by", told) for told in summary.made)]
    yield provenance(rows)


def _brief(summary: ArchiveSummary) -> Section:
    run = summary.run
    labels = ", ".join(f"{name} {number}" for name, number in summary.labels.items())
    return Section(
        "In brief",
        (
            f"The dataset has answers to {summary.of_patients}: {labels or 'none'}; {summary.failures} have none, for "
            "the reasons below.",
            f"The last run{summary.of_sources} found {counted_studies(run.found)} in {counted(run.files, 'file')}; "
            f"{are(run.passed_over, 'file')} no image, and {counted(run.copies, 'file')} held what another file holds. "
            f"{run.before} of the studies were in the dataset already, {run.done} were added.",
            "Studies and patients have pseudonyms; who has the key finds the examination.",
        ),
    )


def _answers(studies: pd.DataFrame, summary: ArchiveSummary, folder: Path) -> Section:
    classes = tuple(studies["classes"].iloc[-1])
    picture = as_picture(
        probability_figure(studies, classes),
        folder,
        "probabilities",
        "How many studies have which probability, by label",
        "Studies by their probability and label. Of what is labelled indeterminate either the interval holds the "
        "threshold, or the images are not what the model was made for: see the warnings.",
    )
    frame = studies.groupby("label", sort=True).agg(
        Studies=("study", "size"),
        Patients=("patient", "nunique"),
        Unnamed=("patient", lambda patients: patients.isna().sum()),
        Median=("probability", "median"),
        Low=("probability", lambda values: values.quantile(0.25)),
        High=("probability", lambda values: values.quantile(0.75)),
    )
    if not summary.without_patient:
        frame = frame.drop(columns="Unnamed")
    named = frame.reset_index().rename(
        columns={
            "label": "Label",
            "Unnamed": "Studies without a patient",
            "Median": "Median probability",
            "Low": "Lower quartile",
            "High": "Upper quartile",
        }
    )
    return Section("Answers", (), (picture,), (Table("labels", "Studies by label", named),))


def _disagreements(studies: pd.DataFrame) -> Section:
    differ = studies[studies["pattern_agrees"] == False]  # noqa: E712 -- null is neither
    apart = (differ["probability"] - differ["pattern_probability"]).abs()
    worst = differ.loc[apart.sort_values(ascending=False).index[:_WORST]]
    frame = pd.DataFrame(
        {
            "Study": worst["study"],
            "Network": worst["network_label"],
            "Its probability": worst["probability"],
            "Pattern of fat": worst["pattern_label"],
            "Probability by it": worst["pattern_probability"],
        }
    )
    told = f"Network and pattern of fat contradict each other in {len(differ)} of {len(studies)} studies."
    tables = [Table("worst", "The widest apart", frame)] if len(frame) else []
    against = studies[studies["diagnosis"].notna() & (studies["label"] != INDETERMINATE)]
    if len(against):
        by_disease = against.groupby(["diagnosis", "label"]).size().reset_index(name="Studies")
        named = by_disease.rename(columns={"diagnosis": "Diagnosis of the table", "label": "Label"})
        tables.append(Table("diagnoses", "Labels by the diagnosis that the cohort table tells", named))
    return Section("Disagreements", (told,), (), tuple(tables))


def _warnings(summary: ArchiveSummary, folder: Path) -> Section:
    if not summary.warnings:
        return Section("Warnings", ("No study has a warning.",))
    picture = as_picture(
        bar_figure(summary.warnings, "Studies"), folder, "warnings", "Studies by warning", "Studies with each warning."
    )
    rows = [(code, number, WARNINGS[WarningCode(code)][0]) for code, number in summary.warnings.items()]
    table = Table("warnings", "Studies by warning", pd.DataFrame(rows, columns=["Code", "Studies", "Warning"]))
    return Section("Warnings", (), (picture,), (table,))


def _failures(failures: pd.DataFrame) -> Section:
    if failures.empty:
        return Section("Failures", ("Every study has an answer.",))
    alike = failures.assign(reason=[_NUMBERS.sub("…", reason) for reason in failures["reason"]])
    counts = alike.groupby(["kind", "reason"]).size().reset_index(name="Studies").sort_values("Studies")[::-1]
    frame = counts.head(_REASONS).rename(columns={"kind": "Kind", "reason": "Reason"})
    frame = frame[["Kind", "Studies", "Reason"]]
    kinds = _counts(failures["kind"])
    means = pd.DataFrame([(kind, number, KINDS[kind]) for kind, number in kinds.items()])
    means.columns = pd.Index(["Kind", "Number", "Meaning"])
    more = f" The {_REASONS} most frequent of {len(counts)} reasons." if len(counts) > _REASONS else ""
    return Section(
        "Failures",
        (f"{len(failures)} have no answer. Each has a row in the table failures, with its pseudonym.{more}",),
        (),
        (Table("kinds", "By kind", means), Table("reasons", "By reason; … stands for a number", frame)),
    )


def _folders(studies: pd.DataFrame, summary: ArchiveSummary) -> Section:
    counts = studies["lacking"].value_counts().head(_REASONS).reset_index()
    table = Table("lacking", "By reason", counts.set_axis(["Reason", "Folders"], axis="columns"))
    told = (f"{summary.of_lacking} of what was asked for.",) if summary.lacking else ()
    without = (f"{summary.of_folders}.",) if summary.run.without_folder else ()
    return Section("Folders", (*told, *without), (), (table,) if summary.lacking else ())


def _throughput(studies: pd.DataFrame, run: Run) -> Section:
    seconds = {name: studies[f"seconds_{stage}"].astype(float) for stage, name in _STAGES.items()}
    rows = [
        (name, float(values.median()), float(values.quantile(0.95)), float(values.sum()) / 3600)
        for name, values in seconds.items()
        if np.isfinite(values).any()
    ]
    frame = pd.DataFrame(rows, columns=["Stage", "Median, s", "95 of 100 within, s", "All, h"])
    note = "Seconds on the clock of a worker. It reads the next study and finds its legs while its network works."
    return Section(
        "Throughput",
        (f"In the last run {run.work}.",),
        (),
        (Table("stages", "Time of a study", frame, note),) if rows else (),
    )
