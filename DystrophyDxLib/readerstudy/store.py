"""A reader's answers: one SQLite file a reader, made with the study and checked as a whole whenever it is opened.

What was submitted is never changed: triggers refuse it, and each answer carries a digest of itself and of the one
before it, so that an answer changed, removed or put in with another program is found. An amendment is a row beside the
answer. The number of an answer or event, not its time, says what came first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError
from .database import connect, plain_errors, transaction
from .lease import Lease
from .protocol import Protocol, Reader, plan
from .questions import Answer
from .schema import bring_up_to_date, is_intact, make_tables

_Written = TypeVar("_Written")
_ANSWER = "presentation, revision, reason, decision, confidence, subtype, quality, comment, seconds, slices_seen, at"


class EventKind(str, Enum):
    SHOWN = "shown"
    SLICE = "slice"
    WINDOW = "window"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True)
class Event:
    """What happened while a case was shown.

    Attributes:
        presentation: number of the `Presentation`.
        seconds: that the case had been seen until then, without pauses.
        at: UTC, by the computer's clock.
        slice: index k of the slice that was gone to; of `EventKind.SLICE` alone.
        low: grey value that became black; of `EventKind.WINDOW` alone, like `high`, which became white.
    """

    presentation: int
    kind: EventKind
    seconds: float
    at: datetime
    slice: int | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class StoredAnswer:
    """An answer as it was submitted, or an amendment of it.

    Attributes:
        presentation: number of the `Presentation`.
        revision: 0 as submitted, then 1, 2, ... for amendments.
        reason: of the amendment; None as submitted.
        seconds: that the case was seen until the answer, without pauses; None for an amendment and where the answer was
            given without this program, like `slices_seen`.
        at: UTC, by the computer's clock; of an answer that was given without this program, its day.
        deviation: of an answer that was given on paper or in a spreadsheet, how it departs from the protocol, empty
            where it does not; None of other answers.
    """

    presentation: int
    revision: int
    reason: str | None
    answer: Answer
    seconds: float | None
    slices_seen: int | None
    at: datetime
    deviation: str | None = None


class ReaderStore:
    """The file of a reader's answers, checked and open.

    Attributes:
        presentations: all that the reader is shown, in order.
        answers: in the order in which they were submitted, each followed sooner or later by its amendments.
    """

    def __init__(self, database: sqlite3.Connection, protocol: Protocol, reader: Reader) -> None:
        self.presentations = plan(protocol, reader)
        self._reader = reader
        self._database = database
        self._seal = _seal(protocol, reader)
        self._lease: Lease | None = None
        self._load()

    @staticmethod
    def create(path: Path, protocol: Protocol, reader: Reader) -> None:
        """Makes the file of a reader who has not read yet.

        Raises:
            InputError: it cannot be written.
        """
        database = connect(path)
        try:
            with transaction(database, write=True):
                make_tables(database)
                database.execute("INSERT INTO study VALUES (1, ?, ?)", (protocol.digest, reader.code))
                database.executemany(
                    "INSERT INTO presentation VALUES (?, ?, ?, ?, ?, ?)", map(astuple, plan(protocol, reader))
                )
        finally:
            database.close()

    @classmethod
    def open(cls, path: Path, protocol: Protocol, reader: Reader) -> ReaderStore:
        """Opens the file to look at it; an older version is brought to this one.

        Raises:
            InputError: it is missing, damaged, tampered with, of another study or reader, or of a newer version.
        """
        if not path.is_file() or not path.stat().st_size:
            raise InputError(
                f"The file of reader {reader.code}'s answers is missing or empty; restore it from a backup."
            )
        with _read_of(reader):
            database = connect(path)
            try:
                bring_up_to_date(database)
                with transaction(database, write=False):
                    _check(database, protocol, reader)
                return cls(database, protocol, reader)
            except BaseException:
                database.close()
                raise

    @classmethod
    def sign_in(cls, path: Path, protocol: Protocol, reader: Reader) -> ReaderStore:
        """Opens the file to write into it, which one process at a time can.

        Raises:
            InputError: as in `open`, or the reader is signed in elsewhere.
        """
        store = cls.open(path, protocol, reader)
        try:
            store._lease = Lease.take(store._database, reader.code)
            store._load()  # somebody else may have written until then
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Signs out and closes the file."""
        try:
            if self._lease:
                self._lease.release()
        finally:
            self._database.close()

    @property
    def last_at(self) -> datetime | None:
        """Time of the latest answer or event; None before the first."""
        with _read_of(self._reader):
            (latest,) = self._database.execute(
                "SELECT MAX(at) FROM (SELECT at FROM answer UNION ALL SELECT at FROM event)"
            ).fetchone()
            return latest and datetime.fromisoformat(latest)

    def events(self) -> list[Event]:
        """All events in their order."""
        with _read_of(self._reader):
            rows = self._database.execute(
                "SELECT presentation, kind, seconds, at, slice, low, high FROM event ORDER BY id"
            ).fetchall()
            return [
                Event(number, EventKind(kind), float(seconds), datetime.fromisoformat(at), *values)
                for number, kind, seconds, at, *values in rows
            ]

    def seconds_seen(self, presentation: int) -> float:
        """How long a case was seen until the last event that is known of it."""
        with _read_of(self._reader):
            (seconds,) = self._database.execute(
                "SELECT COALESCE(MAX(seconds), 0) FROM event WHERE presentation = ?", (presentation,)
            ).fetchone()
            return float(seconds)

    def draft(self, presentation: int) -> dict[str, object]:
        """The draft of an answer as it was saved, empty where there is none."""
        with _read_of(self._reader):
            row = self._database.execute("SELECT content FROM draft WHERE presentation = ?", (presentation,)).fetchone()
            return dict(json.loads(row[0])) if row else {}

    def log(self, events: Sequence[Event]) -> None:
        """Keeps events.

        Raises:
            InputError: it cannot be written, or somebody else has signed in.
        """
        self._write(lambda: self._insert_events(events))

    def save_draft(self, presentation: int, draft: Mapping[str, object]) -> None:
        """Keeps the draft of an answer.

        Raises:
            InputError: as in `log`.
        """
        row = (presentation, json.dumps(draft))
        self._write(lambda: self._database.execute("REPLACE INTO draft VALUES (?, ?)", row))

    def submit(self, events: Sequence[Event], presentation: int, answer: Answer, seconds: float, at: datetime) -> None:
        """Keeps the answer to a presentation, for good, and removes its draft.

        Raises:
            InputError: as in `log`.
        """

        def submit() -> StoredAnswer:
            self._insert_events(events)
            (slices,) = self._database.execute(
                "SELECT COUNT(DISTINCT slice) FROM event WHERE presentation = ?", (presentation,)
            ).fetchone()
            self._database.execute("DELETE FROM draft WHERE presentation = ?", (presentation,))
            return self._insert_answer(StoredAnswer(presentation, 0, None, answer, round(seconds, 3), slices, at))

        self.answers += (self._write(submit),)

    def take_over(self, answers: Sequence[tuple[int, Answer, datetime, str]]) -> None:
        """Keeps answers that were given on paper or in a spreadsheet, all of them or none.

        Args:
            answers: number of the presentation, answer, time, and deviation from the protocol, in their order.

        Raises:
            InputError: as in `log`.
        """

        def take_over() -> list[StoredAnswer]:
            taken = []
            for number, answer, at, deviation in answers:
                stored = self._insert_answer(StoredAnswer(number, 0, None, answer, 0.0, 0, at))
                self._database.execute("DELETE FROM draft WHERE presentation = ?", (number,))
                self._database.execute("INSERT INTO imported VALUES (?, ?)", (number, deviation))
                taken.append(replace(stored, seconds=None, slices_seen=None, deviation=deviation))
            return taken

        self.answers += tuple(self._write(take_over))

    def amend(self, presentation: int, answer: Answer, reason: str, at: datetime) -> None:
        """Keeps an amendment beside the answer to a presentation.

        Raises:
            InputError: as in `log`.
        """
        revision = max(stored.revision for stored in self.answers if stored.presentation == presentation) + 1
        amendment = StoredAnswer(presentation, revision, reason, answer, None, None, at)
        self.answers += (self._write(lambda: self._insert_answer(amendment)),)

    def _write(self, work: Callable[[], _Written]) -> _Written:
        assert self._lease, "only a store that `sign_in` gave can be written to"
        with transaction(self._database, write=True):
            self._lease.renew()
            return work()

    def _insert_events(self, events: Iterable[Event]) -> None:
        rows = (
            (event.presentation, event.kind.value, event.seconds, _stamp(event.at), event.slice, event.low, event.high)
            for event in events
        )
        self._database.executemany(
            "INSERT INTO event (presentation, kind, seconds, at, slice, low, high) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
        )

    def _insert_answer(self, stored: StoredAnswer) -> StoredAnswer:
        last = self._database.execute("SELECT digest FROM answer ORDER BY id DESC LIMIT 1").fetchone()
        row = _answer_row(stored)
        grades = [[muscle, side, grade] for (muscle, side), grade in sorted(stored.answer.grades.items())]
        digest = _digest(last[0] if last else self._seal, row, grades)
        number = self._database.execute(
            f"INSERT INTO answer ({_ANSWER}, digest) VALUES ({', '.join('?' * (len(row) + 1))})", (*row, digest)
        ).lastrowid
        self._database.executemany("INSERT INTO grade VALUES (?, ?, ?, ?)", [(number, *grade) for grade in grades])
        return stored

    def _load(self) -> None:
        with transaction(self._database, write=False):
            grades = _grades(self._database)
            rows = self._database.execute(f"SELECT id, {_ANSWER} FROM answer ORDER BY id").fetchall()
            imported = dict(self._database.execute("SELECT presentation, deviation FROM imported").fetchall())
        self.answers = tuple(_stored(row, grades[number], imported) for number, *row in rows)


@contextlib.contextmanager
def _read_of(reader: Reader) -> Iterator[None]:
    """Turns whatever a damaged file gives rise to while it is read into the `InputError` that says so."""
    try:
        with plain_errors():
            yield
    except (sqlite3.Error, ValueError, TypeError, OverflowError, RecursionError):
        raise _damaged(reader) from None


def _damaged(reader: Reader) -> InputError:
    return InputError(f"The file of reader {reader.code}'s answers is damaged; restore it from a backup.")


def _answer_row(stored: StoredAnswer) -> tuple[object, ...]:
    """The columns `_ANSWER` of an answer."""
    given = stored.answer
    return (
        stored.presentation, stored.revision, stored.reason, int(given.decision), given.confidence, given.subtype,
        given.quality, given.comment, stored.seconds, stored.slices_seen, _stamp(stored.at),
    )  # fmt: skip


def _stored(row: Sequence[Any], grades: list[list[str]], imported: Mapping[int, str]) -> StoredAnswer:
    number, revision, reason, decision, confidence, subtype, quality, comment, seconds, slices, at = row
    given = {(muscle, side): grade for muscle, side, grade in grades}
    answer = Answer(bool(decision), confidence, subtype, quality, comment, given)
    stored = StoredAnswer(number, revision, reason, answer, seconds, slices, datetime.fromisoformat(at))
    if revision or number not in imported:
        return stored
    return replace(stored, seconds=None, slices_seen=None, deviation=imported[number])


def _check(database: sqlite3.Connection, protocol: Protocol, reader: Reader) -> None:
    """Refuses a file that this program did not write as it is, or wrote for another reader or protocol."""
    if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
        raise _damaged(reader)
    if not is_intact(database):
        raise _tampered(reader)
    study = database.execute("SELECT protocol_sha256, reader FROM study").fetchall()
    if [name for _, name in study] != [reader.code]:
        raise _tampered(reader)
    if study[0][0] != protocol.digest:
        raise InputError(
            f"The protocol is another one than when reader {reader.code}'s file was made; restore protocol.json as it"
            " was."
        )
    presentations = database.execute("SELECT * FROM presentation ORDER BY number").fetchall()
    if presentations != [astuple(shown) for shown in plan(protocol, reader)]:
        raise _tampered(reader)
    _check_answers(database, protocol, reader)


def _check_answers(database: sqlite3.Connection, protocol: Protocol, reader: Reader) -> None:
    """Refuses answers that were changed, removed or put in, or that are not in the order of the presentations."""
    rows = database.execute(f"SELECT id, digest, {_ANSWER} FROM answer ORDER BY id").fetchall()
    grades = _grades(database)
    previous = _seal(protocol, reader)
    for number, digest, *row in rows:
        if digest != _digest(previous, row, grades[number]):
            raise _tampered(reader)
        previous = digest
    counted = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'answer'").fetchone() or (0,)
    submitted = [presentation for _, _, presentation, revision, *_ in rows if not revision]
    if counted[0] != len(rows) or submitted != list(range(1, len(submitted) + 1)):
        raise _tampered(reader)


def _tampered(reader: Reader) -> InputError:
    return InputError(
        f"The file of reader {reader.code}'s answers was changed by another program; restore it from a backup."
    )


def _grades(database: sqlite3.Connection) -> defaultdict[int, list[list[str]]]:
    """Muscle, side and grade of each answer, in the order in which they were written."""
    found = defaultdict(list)
    for number, *grade in database.execute("SELECT answer, muscle, side, grade FROM grade ORDER BY muscle, side"):
        found[number].append(grade)
    return found


def _seal(protocol: Protocol, reader: Reader) -> str:
    """What stands before the first answer's digest."""
    return hashlib.sha256(f"{protocol.digest} {reader.code}".encode()).hexdigest()


def _digest(previous: str, row: Sequence[object], grades: Sequence[Sequence[str]]) -> str:
    return hashlib.sha256(json.dumps([previous, *row, *grades]).encode()).hexdigest()


def _stamp(at: datetime) -> str:
    """UTC to the millisecond, which sorts as text."""
    return at.astimezone(timezone.utc).isoformat(timespec="milliseconds")
