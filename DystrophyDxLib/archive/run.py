"""`dystrophydx archive`: all studies of an archive, each once, into one dataset."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Container, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from ..devices import compute_device
from ..errors import InputError
from ..files.spreadsheet import write_rows
from ..models.package import ModelPackage
from ..reporting.progress import WRITING, Advance
from ..results import StudyResult
from .dataset import ABOUT, RESULTS, DatasetWriter, open_dataset
from .engine import RayWorkers, Resources, connected
from .folders import Folders
from .pseudonyms import Pseudonyms
from .schedule import Schedule
from .sources import Asked, check, find, source_name
from .studies import Found, Identity, Study
from .summary import ArchiveSummary, Run, write_summary
from .tree import crew_for
from .worker import Model, Outcome, StudyWorker

CLASSIFYING = "Classifying"
Outcomes = Generator[tuple[Study, Outcome[StudyResult]], None, None]
"""Each study once, with what became of it."""
Figures = dict[str, float | int]
"""What machines are told of a run that goes on."""


@dataclass(frozen=True)
class ArchiveOptions:
    """What is asked of a run.

    Attributes:
        out: folder of the dataset.
        asked: which studies of a PACS.
        key: file of the key of the pseudonyms; it is made where it is not there.
        identities: file that gets whose studies they are, for the user alone; None for none.
        address: of a Ray cluster; None for this computer.
        workers: processes; None for as many as there are cores.
        device: see `devices.DEVICES`.
        limit_s: seconds that one study may take.
        memory_gb: memory that studies may take in a worker, beside the model.
        folders, dicom: whether each study gets a folder as `classify` makes it, with DICOM objects.
        changed, add_source: see `open_dataset`.
        retry: whether failures of earlier runs are tried again.
    """

    out: Path
    key: Path
    asked: Asked = field(default_factory=Asked)
    identities: Path | None = None
    address: str | None = None
    workers: int | None = None
    device: str = "auto"
    limit_s: float = 600.0
    memory_gb: float = 8.0
    folders: bool = False
    dicom: bool = False
    changed: Literal["keep", "again"] | None = None
    add_source: bool = False
    retry: bool = False

    @property
    def written(self) -> Folders | None:
        """What is written of each study beside the dataset."""
        return Folders(self.out.resolve() / RESULTS, self.dicom) if self.folders or self.dicom else None


def classify_archive(
    source: str,
    model: Path,
    maps: Path | None,
    pattern: Path | None,
    options: ArchiveOptions,
    advance: Advance,
    tell: Callable[[Figures], None] | None = None,
) -> ArchiveSummary:
    """Finds the studies of an archive, classifies those that the dataset lacks, and writes the summary.

    Args:
        source: see `sources.find`.
        model, maps, pattern: packages of the model, of muscle maps and of the second answer; see `Model`.
        tell: called about once a second with figures for machines.

    Raises:
        Changed, OtherSource: see `open_dataset`.
        InputError: source, packages or output cannot be used; Ray cannot be started or reached.
        KeyboardInterrupt: after what is done has been written.
    """
    package = ModelPackage.read(model)
    check(source, options.asked, package)
    if options.device not in ("auto", "cpu") and options.address is None:
        compute_device(options.device)
    packages = Model.read(package, maps, pattern)
    _refuse_inside(options.out, {"--key": options.key, "--identities": options.identities})
    if options.changed == "again":
        _refuse_old_folders(options, Folders(options.out / RESULTS).earlier())
    pseudonyms = Pseudonyms.with_key(options.key, make=not (options.out / ABOUT).exists())
    named = pseudonyms.study("source", source_name(source))
    with open_dataset(
        options.out, packages, pseudonyms, options.changed, source=named, add_source=options.add_source
    ) as dataset:
        crew = partial(crew_for, address=options.address, processes=_cores(options))
        found = find(source, options.asked, package, pseudonyms, options.out, advance, crew)
        if options.identities is not None:
            _write_identities(options.identities, found.identities)
        kept = dataset.done - dataset.failed if options.retry else dataset.done
        _refuse_old_folders(options, {study.study for study in found.studies} - kept)
        if options.retry:
            dataset.drop_failures()
        before = sum(study in dataset.done for study in _all_of(found))
        for study, patient, failure in found.failures:
            if study not in dataset.done:
                dataset.fail(study, patient, failure)
        todo = _unlike_each_other(study for study in found.studies if study.study not in dataset.done)
        run = _Running(dataset, options.written, found.total, found.total - len(todo), advance, tell)
        if todo:
            run.through(partial(_outcomes, packages, options), todo)
        dataset.flush()
        advance(WRITING, 0, 0)
        with_folder = options.written.earlier() if options.written else dataset.done
        told = Run(
            found=found.total,
            copies=found.copies,
            files=found.files,
            passed_over=found.passed_over,
            before=before,
            done=len(dataset.done & set(_all_of(found))) - before,
            classified=len(todo),
            seconds=round(run.seconds, 1),
            workers=run.workers,
            without_folder=len(dataset.dataset.studies_in("studies") - with_folder),
        )
        try:
            return write_summary(dataset.dataset, told)
        except OSError:
            raise InputError("The summary cannot be written; check the space in the folder.") from None


def _outcomes(model: Model, options: ArchiveOptions, studies: list[Study], begun: Callable[[int], None]) -> Outcomes:
    """Each study once, by workers on Ray.

    Args:
        begun: told how many workers there are.
    """
    make = partial(StudyWorker, model, options.device, options.written, options.memory_gb)
    with connected(options.address, _cores(options)) as (there, gpus):
        resources = Resources.of(there, gpus, options.workers, options.device)
        begun(resources.workers)
        with closing(RayWorkers(make, resources)) as workers:
            yield from Schedule[Study](workers, resources.workers, options.limit_s).outcomes(studies)


def _cores(options: ArchiveOptions) -> int:
    """Of this computer that may be used; Ray starts a process for each."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, options.workers or cores)


@dataclass
class _Running:
    """One run on its way into the dataset, and how far it is.

    Attributes:
        total: studies of the archive; `done` of them are in the dataset.
        workers: processes that classify.
        seconds: since they were begun.
    """

    dataset: DatasetWriter
    folders: Folders | None
    total: int
    done: int
    advance: Advance
    tell: Callable[[Figures], None] | None
    workers: int = 0
    seconds: float = 0.0

    def through(
        self,
        outcomes: Callable[[list[Study], Callable[[int], None]], Outcomes],
        studies: list[Study],
    ) -> None:
        """Takes what becomes of the studies into the dataset.

        Args:
            outcomes: gives it, and is told whom to tell the number of workers.
        """
        self.advance("Starting the workers", 0, 0)
        start, last, failed = 0.0, 0.0, 0

        def begun(workers: int) -> None:
            nonlocal start
            self.workers, start = workers, time.monotonic()

        with closing(outcomes(studies, begun)) as each:
            for here, (study, outcome) in enumerate(each, 1):
                self.dataset.add(study, outcome)
                if outcome.failure is not None and self.folders is not None:
                    self.folders.remove(study)
                self.done += 1
                failed += outcome.failure is not None
                now = time.monotonic()
                self.seconds = now - start
                per_minute = 60 * here / max(self.seconds, 1e-6)
                told = f"{CLASSIFYING}: {per_minute:.1f} studies a minute, {failed} failed"
                self.advance(told, self.done, self.total)
                if self.tell and now - last >= 1:
                    last, left_s = now, 60 * (len(studies) - here) / per_minute
                    self.tell(_figures(self.done, self.total, failed, per_minute, left_s))


def _figures(done: int, total: int, failed: int, per_minute: float, left_s: float) -> Figures:
    return {
        "done": done,
        "total": total,
        "failed": failed,
        "per_minute": round(per_minute, 2),
        "seconds_left": round(left_s, 1),
    }


def _refuse_inside(out: Path, files: Mapping[str, Path | None]) -> None:
    """Raises the `InputError` of a secret that would lie in the folder that is handed on."""
    for option, path in files.items():
        if path is not None and path.resolve().is_relative_to(out.resolve()):
            raise InputError(f"{option} would lie in the folder of the results and go with it; give another place.")


def _refuse_old_folders(options: ArchiveOptions, among: Container[str]) -> None:
    """Raises the `InputError` of studies among those to be classified that have a folder, which would be of an earlier
    answer then."""
    there = Folders(options.out / RESULTS).earlier() if options.written is None else ()
    if old := sum(study in among for study in there):
        raise InputError(
            f"{old} of the studies to be classified have folders of an earlier run in {RESULTS}/; add --folders to "
            "write them anew, or remove them."
        )


def print_figures(figures: Figures) -> None:
    """A line of JSON on stderr."""
    print(json.dumps(figures), file=sys.stderr, flush=True)


def _all_of(found: Found) -> list[str]:
    return [*(study.study for study in found.studies), *(study for study, *_ in found.failures)]


def _unlike_each_other(studies: Iterable[Study]) -> list[Study]:
    """Each study once, whatever the source says twice."""
    return list({study.study: study for study in studies}.values())


def _write_identities(path: Path, identities: list[Identity]) -> None:
    """A table that leads from pseudonyms to patients, for the user alone to read.

    Raises:
        InputError: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            write_rows(file, (Identity._fields, *([cell or "" for cell in identity] for identity in identities)))
    except OSError:
        raise InputError(f"The table {path} cannot be written; check its place and permissions.") from None
