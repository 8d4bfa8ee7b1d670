"""What was read, out of the study folder: the tables that the analysis takes, and what was logged beside them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from ..errors import InputError
from ..output_folder import output_folder
from ..training.cohort import listed
from .protocol import Presentation, Reader
from .reads import COLUMNS, Reads
from .session import Progress, progress_of
from .store import ReaderStore, StoredAnswer
from .study import Study

EVENTS = ("reader", "case", "arm", "session", "repeat", "kind", "seconds", "at", "slice", "low", "high")
AMENDMENTS = (
    "reader", "case", "arm", "session", "repeat", "revision", "at", "reason", "decision", "confidence", "subtype",
    "quality", "comment",
)  # fmt: skip


@dataclass(frozen=True)
class ReaderStatus:
    """How far a reader is, and when he or she last did something (UTC; None before that)."""

    reader: Reader
    progress: Progress
    last_at: datetime | None


def status(study: Study, now: datetime) -> tuple[ReaderStatus, ...]:
    """How far each reader is.

    Raises:
        InputError: the file of a reader's answers cannot be used.
    """
    return tuple(
        ReaderStatus(reader, progress_of(store, study.protocol, now), store.last_at) for reader, store in _stores(study)
    )


def reads_of(study: Study) -> Reads:
    """All answers so far, with truth and model.

    An amended answer has two rows: as submitted, and as last amended. The grades of muscles are the last ones.

    Raises:
        InputError: nobody has answered yet, a file cannot be used, or the truth is not that of the study's cases.
    """
    reads, grades = [], []
    for reader, store in _stores(study):
        for shown, submitted, *amendments in _answered(store):
            key = _key(reader, shown)
            last = amendments[-1] if amendments else submitted
            for stored in (submitted, *amendments[-1:]):
                seen = (submitted.seconds, submitted.slices_seen)
                reads.append((*key, int(stored.revision > 0), *_given(stored), *seen))
            grades += [(*key, muscle, side, grade) for (muscle, side), grade in last.answer.grades.items()]
    if not reads:
        raise InputError("No reader has answered a case yet; come back once reading has begun.")
    return Reads(
        reads=pd.DataFrame(reads, columns=list(COLUMNS["reads"])),
        readers=pd.DataFrame(
            [(reader.code, reader.role, reader.years) for reader in study.protocol.readers],
            columns=list(COLUMNS["readers"]),
        ),
        truth=_truth(study),
        model=_model(study),
        mercuri=pd.DataFrame(grades, columns=list(COLUMNS["mercuri"])) if grades else None,
    )


def export(study: Study, out: Path) -> Reads:
    """Writes the tables of `reads_of` into a new or empty folder, with amendments.csv and events.csv: every amendment
    with its reason, and all that was logged.

    Raises:
        InputError: as in `reads_of`, or `out` cannot be written.
    """
    reads = reads_of(study)
    amendments, events = [AMENDMENTS], [EVENTS]
    for reader, store in _stores(study):
        keys = {shown.number: _key(reader, shown) for shown in store.presentations}
        amendments += [
            (*keys[stored.presentation], stored.revision, stored.at.isoformat(), stored.reason, *_given(stored))
            for stored in store.answers
            if stored.revision
        ]
        events += [
            (
                *keys[event.presentation],
                event.kind.value,
                event.seconds,
                event.at.isoformat(),
                event.slice,
                event.low,
                event.high,
            )
            for event in store.events()
        ]
    with output_folder(out, overwrite=False) as folder:
        reads.write(folder)
        for name, rows in (("amendments", amendments), ("events", events)):
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(rows)
    return reads


def _stores(study: Study) -> Iterator[tuple[Reader, ReaderStore]]:
    """Each reader with the file of the answers, open while it is looked at."""
    for reader in study.protocol.readers:
        store = ReaderStore.open(study.answers(reader), study.protocol, reader)
        try:
            yield reader, store
        finally:
            store.close()


def _answered(store: ReaderStore) -> Iterator[tuple[Presentation, StoredAnswer]]:
    """Each presentation that was answered, with its answer as submitted and the amendments in their order."""
    revisions = defaultdict(list)
    for stored in store.answers:
        revisions[stored.presentation].append(stored)
    for shown in store.presentations:
        if shown.number in revisions:
            yield shown, *revisions[shown.number]


def _key(reader: Reader, shown: Presentation) -> tuple[str | int, ...]:
    return (reader.code, shown.case, shown.arm.value, shown.session, shown.repeat)


def _given(stored: StoredAnswer) -> tuple[object, ...]:
    answer = stored.answer
    return (int(answer.decision), answer.confidence, answer.subtype, answer.quality, answer.comment)


def _truth(study: Study) -> pd.DataFrame:
    path = study.truth / "truth.csv"
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except OSError:
        raise InputError("The study's truth (truth/truth.csv) cannot be opened; check its permissions.") from None
    except ValueError:
        raise InputError("The study's truth (truth/truth.csv) is not a CSV in UTF-8; restore it.") from None
    if list(table) != list(COLUMNS["truth"]):
        raise InputError(
            f"The study's truth (truth/truth.csv) lacks its columns {', '.join(COLUMNS['truth'])}; restore it."
        )
    cases, told = set(study.protocol.cases), set(table["case"])
    for codes, what in ((told - cases, "cases that the protocol does not have"), (cases - told, "no truth for cases")):
        if codes:
            raise InputError(f"The study's truth (truth/truth.csv) has {what} ({listed(sorted(codes))}); correct it.")
    return table


def _model(study: Study) -> pd.DataFrame:
    facts = study.protocol.model
    probabilities = [(case, study.model_answer(case).probability) for case in study.protocol.cases]
    return pd.DataFrame(
        [
            (case, f"{facts.name} {facts.version}", p, int(p >= facts.threshold), facts.trained_on)
            for case, p in probabilities
        ],
        columns=list(COLUMNS["model"]),
    )
