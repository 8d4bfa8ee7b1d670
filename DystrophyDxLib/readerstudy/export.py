"""What was read, out of the study folder: the tables that the analysis takes, and what was logged beside them."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import pandas as pd

from ..cohort.table import listed
from ..errors import InputError
from ..files.spreadsheet import Sheet, write_rows
from ..reporting.output_folder import output_folder
from .protocol import Presentation, Protocol, Reader
from .reads import COLUMNS, Reads
from .session import Progress, progress_of
from .store import ReaderStore, StoredAnswer
from .study import RESTORE, TRUTH_TABLE, ReaderStudy

_Found = TypeVar("_Found")
EVENTS = ("reader", "case", "arm", "session", "repeat", "kind", "seconds", "at", "slice", "low", "high")
AMENDMENTS = (
    "reader", "case", "arm", "session", "repeat", "revision", "at", "reason", "decision", "confidence", "subtype",
    "quality", "comment",
)  # fmt: skip


@dataclass(frozen=True)
class ReaderStatus:
    """How far a reader is.

    Attributes:
        last_at: when he or she last did something (UTC); None before that.
        day_only: whether that is the day of an answer on paper or in a spreadsheet, whose time is not known.
    """

    reader: Reader
    progress: Progress
    last_at: datetime | None
    day_only: bool = False

    @property
    def last(self) -> str:
        """`last_at` in the time of this computer, in words; empty where there is none."""
        if self.last_at is None:
            return ""
        return (
            f"{self.last_at.date()}, at a time not known"
            if self.day_only
            else f"{self.last_at.astimezone():%Y-%m-%d %H:%M}"
        )


@dataclass(frozen=True)
class Unusable:
    """A reader whose file of answers cannot be used, and why."""

    reader: Reader
    why: str

    def __str__(self) -> str:
        return f"Reader {self.reader.code}: {self.why}"


def status(study: ReaderStudy, now: datetime) -> tuple[tuple[ReaderStatus, ...], tuple[Unusable, ...]]:
    """How far each reader is, of those whose files can be used, and the others."""

    def look(reader: Reader, store: ReaderStore) -> ReaderStatus:
        last = store.last_at
        day_only = any(answer.at == last and answer.deviation is not None for answer in store.answers)
        return ReaderStatus(reader, progress_of(store, study.protocol, now), last, day_only)

    return _of_each(study, look)


def check_content(study: ReaderStudy) -> None:
    """Refuses a study of which a case, an answer of the model or the truth is not as it was when it was created.

    Raises:
        InputError: it names them.
    """
    if faults := study.faults:
        raise InputError(f"{listed(faults)}; {RESTORE}")


def reads_of(study: ReaderStudy) -> tuple[Reads, tuple[Unusable, ...]]:
    """All answers so far with truth and model, and the readers whose answers cannot be had.

    An amended answer has two rows: as submitted, and as last amended. The grades of muscles are the last ones.

    Raises:
        InputError: nobody has answered yet, no reader's file can be used, or `check_content`.
    """
    check_content(study)

    def look(reader: Reader, store: ReaderStore) -> dict[str, list[tuple[object, ...]]]:
        rows: dict[str, list[tuple[object, ...]]] = {"reads": [], "mercuri": [], "unread": []}
        answered = tuple(_answered(store))
        read = {shown.number for shown, _ in answered}
        rows["unread"] += [_key(reader, shown) for shown in store.presentations if shown.number not in read]
        for shown, (submitted, *amendments) in answered:
            key = _key(reader, shown)
            last = amendments[-1] if amendments else submitted
            for stored in (submitted, *amendments[-1:]):
                seen = (submitted.seconds, submitted.slices_seen)
                how = (int(submitted.deviation is not None), submitted.deviation or "")
                rows["reads"].append((*key, int(stored.revision > 0), *_given(stored), *seen, *how))
            rows["mercuri"] += [(*key, muscle, side, grade) for (muscle, side), grade in last.answer.grades.items()]
        return rows

    found, unusable = _of_each(study, look)
    reads, grades, unread = ([row for rows in found for row in rows[name]] for name in ("reads", "mercuri", "unread"))
    if not reads:
        told = " ".join(map(str, unusable))
        raise InputError(told or "No reader has answered a case yet; come back once reading has begun.")
    tables = Reads(
        reads=pd.DataFrame(reads, columns=list(COLUMNS["reads"])),
        readers=pd.DataFrame(
            [(reader.code, reader.role, reader.years) for reader in study.protocol.readers],
            columns=list(COLUMNS["readers"]),
        ),
        truth=_truth(study),
        model=_model(study),
        mercuri=pd.DataFrame(grades, columns=list(COLUMNS["mercuri"])) if grades else None,
        unread=pd.DataFrame(unread, columns=list(COLUMNS["unread"])) if unread else None,
        study=_declared(study.protocol),
    )
    return tables, unusable


def nobody_answered(study: ReaderStudy) -> bool:
    """Whether the file of every reader can be used and holds no answer."""
    counted, unusable = _of_each(study, lambda _, store: len(store.answers))
    return not (unusable or any(counted))


def export(study: ReaderStudy, out: Path) -> tuple[Reads, tuple[Unusable, ...]]:
    """Writes the tables of `reads_of` into a new or empty folder, with amendments.csv and events.csv: every amendment
    with its reason, and all that was logged.

    Raises:
        InputError: as in `reads_of`, or `out` cannot be written.
    """
    reads, unusable = reads_of(study)

    def look(reader: Reader, store: ReaderStore) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
        keys = {shown.number: _key(reader, shown) for shown in store.presentations}
        amendments: list[tuple[object, ...]] = [
            (*keys[stored.presentation], stored.revision, stored.at.isoformat(), stored.reason, *_given(stored))
            for stored in store.answers
            if stored.revision
        ]
        events: list[tuple[object, ...]] = [
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
        return amendments, events

    logged, without_log = _of_each(study, look)
    with output_folder(out, (), overwrite=False) as folder:
        reads.write(folder)
        for part, (name, header) in enumerate((("amendments", AMENDMENTS), ("events", EVENTS))):
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                write_rows(file, (header, *(row for parts in logged for row in parts[part])))
    return reads, tuple(dict.fromkeys((*unusable, *without_log)))


def _of_each(
    study: ReaderStudy, look: Callable[[Reader, ReaderStore], _Found]
) -> tuple[tuple[_Found, ...], tuple[Unusable, ...]]:
    """What `look` finds in the file of each reader's answers, open meanwhile, and the readers whose file it cannot
    read."""
    found, unusable = [], []
    for reader in study.protocol.readers:
        try:
            with contextlib.closing(ReaderStore.open(study.answers(reader), study.protocol, reader)) as store:
                found.append(look(reader, store))
        except InputError as error:
            unusable.append(Unusable(reader, str(error)))
    return tuple(found), tuple(unusable)


def _answered(store: ReaderStore) -> Iterator[tuple[Presentation, list[StoredAnswer]]]:
    """Each presentation that was answered, with its answer as submitted and the amendments in their order."""
    revisions = defaultdict(list)
    for stored in store.answers:
        revisions[stored.presentation].append(stored)
    for shown in store.presentations:
        if shown.number in revisions:
            yield shown, revisions[shown.number]


def _key(reader: Reader, shown: Presentation) -> tuple[str | int, ...]:
    return (reader.code, shown.case, shown.arm.value, shown.session, shown.repeat)


def _given(stored: StoredAnswer) -> tuple[object, ...]:
    answer = stored.answer
    return (int(answer.decision), answer.confidence, answer.subtype, answer.quality, answer.comment)


def _truth(study: ReaderStudy) -> pd.DataFrame:
    rows = Sheet.read(study.truth / TRUTH_TABLE, TRUTH_TABLE).records()
    return pd.DataFrame([{name: row[name] for name in COLUMNS["truth"]} for _, row in rows])


def _declared(protocol: Protocol) -> pd.DataFrame:
    primary = {} if protocol.primary is None else protocol.primary.model_dump()
    return pd.DataFrame([{"asked": protocol.condition, **primary, "declared": protocol.created}])


def _model(study: ReaderStudy) -> pd.DataFrame:
    facts = study.protocol.model
    probabilities = [(case, study.model_answer(case).probability) for case in study.protocol.cases]
    return pd.DataFrame(
        [
            (case, f"{facts.name} {facts.version}", p, int(p >= facts.threshold), facts.trained_on)
            for case, p in probabilities
        ],
        columns=list(COLUMNS["model"]),
    )
