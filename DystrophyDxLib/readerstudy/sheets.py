"""Tables to fill in, for readers without Slicer, and back into the study.

`write_sheets` makes a folder for each reader and session that is not read yet, such as R1/session-1: `answers.csv` with
an empty row an answer, and a page for each (`case_page`). Cases go by their places in the session, as in a reading
session: their codes would tell hidden duplicates, and the same case in another arm.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from pathlib import Path

from ..cohort.table import Problems, columns_told
from ..errors import InputError
from ..files.spreadsheet import Sheet, column_name, write_rows
from ..reporting.output_folder import output_folder
from ..reporting.progress import Advance
from .case_page import write_case_page
from .protocol import Presentation, Protocol, Reader, plan
from .questions import QUALITIES, SIDES, Answer, Questions
from .store import ReaderStore, StoredAnswer
from .study import ReaderStudy

TABLE = "answers.csv"
_KEYS = ("study", "reader", "session", "case", "arm")
_ALWAYS = ("read_on", "answer", "confidence")
_DECISIONS = {"yes": True, "y": True, "1": True, "no": False, "n": False, "0": False}
_DAYS = ("%Y-%m-%d", "%d.%m.%Y")


def columns(questions: Questions) -> tuple[str, ...]:
    """Of a table to fill in: those that tell the answer's place, and those for what the protocol asks.

    >>> columns(Questions(quality=True, mercuri=("gracilis",)))[5:]
    ('read_on', 'answer', 'confidence', 'quality', 'gracilis left', 'gracilis right')
    """
    asked = [name for name in ("subtype", "quality", "comment") if getattr(questions, name)]
    return (*_KEYS, *_ALWAYS, *asked, *(f"{muscle} {side}" for muscle in questions.mercuri for side in SIDES))


def write_sheets(study: ReaderStudy, out: Path, advance: Advance) -> int:
    """Writes tables and pages of all that is not read yet into a new or empty folder.

    Returns:
        How many answers are to be filled in.

    Raises:
        InputError: nothing is left to be read, a reader's file or a case cannot be used, or `out` cannot be written.
    """
    protocol = study.protocol
    unread = {reader: _unread(study, reader) for reader in protocol.readers}
    total, done = sum(map(len, unread.values())), 0
    if not total:
        raise InputError("All cases are read; there is nothing to fill in.")
    header = columns(protocol.questions)
    with output_folder(out, (), overwrite=False) as folder:
        for reader, presentations in unread.items():
            for session in sorted({shown.session for shown in presentations}):
                own = [shown for shown in presentations if shown.session == session]
                place = folder / reader.code / f"session-{session}"
                place.mkdir(parents=True)
                with (place / TABLE).open("w", encoding="utf-8", newline="") as file:
                    empty = ("",) * (len(header) - len(_KEYS))
                    keys = ((_code(protocol), reader.code, session, s.position, s.arm.value) for s in own)
                    write_rows(file, (header, *((*key, *empty) for key in keys)))
                positions = max(shown.position for shown in plan(protocol, reader) if shown.session == session)
                for shown in own:
                    advance("Writing pages", done, total)
                    name = f"case-{shown.position:0{len(str(positions))}d}-{shown.arm.value}.html"
                    write_case_page(study, shown, positions, place / name)
                    done += 1
    return total


@dataclass(frozen=True)
class Imported:
    """What `import_sheets` took over from one reader.

    Attributes:
        answers: that were new.
        known: that were in the study already, alike.
        deviations: from the protocol, each in words.
    """

    reader: Reader
    answers: int
    known: int
    deviations: tuple[str, ...]


@dataclass(frozen=True)
class _Filled:
    """A row that was filled in."""

    where: str
    answer: Answer
    day: date


def import_sheets(
    study: ReaderStudy, paths: Sequence[Path], now: datetime, *, accept_deviations: bool
) -> tuple[Imported, ...]:
    """Takes over the answers of filled-in tables, all of them or none; rows that are empty are still to be read.

    An answer is taken where those before it, by the protocol's order, are there too.

    Args:
        paths: of tables, or of folders in which all .csv files are.
        now: no answer is of a later day.
        accept_deviations: take answers whose days depart from the protocol (wash-out, order), with a note of it.

    Raises:
        InputError: with all that is wrong and where; or a reader is signed in elsewhere.
    """
    problems = Problems("The answers", "correct the tables")
    given: dict[str, dict[int, _Filled]] = {reader.code: {} for reader in study.protocol.readers}
    files = _files(paths)
    for path in files:
        for code, number, filled in _rows(path, study.protocol, now, problems):
            if number in given[code]:
                problems.add("the same answer twice", f"{given[code][number].where} and {filled.where}")
            given[code][number] = filled
    with contextlib.ExitStack() as signed_in:
        found = []
        for reader in study.protocol.readers:
            if own := given[reader.code]:
                store = ReaderStore.sign_in(study.answers(reader), study.protocol, reader)
                signed_in.callback(store.close)
                new = _new(store, own, problems)
                noted = _with_deviations(store, new, own, study.protocol.washout_days)
                if not accept_deviations:
                    for number, deviation in noted.items():
                        if deviation:
                            problems.add(f"{deviation} (--accept-deviations takes it, with a note)", own[number].where)
                found.append((reader, store, own, noted))
        problems.raise_any()
        if not found:
            raise InputError(f"No row is filled in of {', '.join(map(str, files))}; nothing was taken over.")
        for _, store, own, noted in found:
            store.take_over([(n, own[n].answer, _at(own[n].day, now), told) for n, told in noted.items()])
    return tuple(
        Imported(reader, len(noted), len(own) - len(noted), tuple(filter(None, noted.values())))
        for reader, _, own, noted in found
    )


def _unread(study: ReaderStudy, reader: Reader) -> tuple[Presentation, ...]:
    with contextlib.closing(ReaderStore.open(study.answers(reader), study.protocol, reader)) as store:
        return store.presentations[len(_submitted(store)) :]


def _submitted(store: ReaderStore) -> list[StoredAnswer]:
    return [stored for stored in store.answers if not stored.revision]


def _code(protocol: Protocol) -> str:
    """By which a row is known to be of this study; no number, which a spreadsheet would change."""
    return f"S-{protocol.digest[:8]}"


def _at(day: date, now: datetime) -> datetime:
    """The middle of a day, or now where that is earlier."""
    return min(datetime.combine(day, time(12), timezone.utc), now)


def _files(paths: Sequence[Path]) -> list[Path]:
    files = []
    for path in paths:
        within = sorted(path.rglob("*.csv")) if path.is_dir() else [path]
        if not within:
            raise InputError(f"The folder {path} holds no .csv file; give the filled-in tables.")
        files += within
    return files


def _rows(path: Path, protocol: Protocol, now: datetime, problems: Problems) -> Iterator[tuple[str, int, _Filled]]:
    """Reader, number of the presentation and content of each row that is filled in and right."""
    sheet = Sheet.read(path, str(path))
    names = {column_name(name): name for name in columns(protocol.questions)}
    if missing := sheet.missing(names):
        problems.add(f"tables without {columns_told([names[name] for name in missing])}", str(path))
        return
    for number in sheet.ragged:
        problems.add("rows with more or fewer cells than the header", f"{path} row {number}")
    for number, cells in sheet.records():
        if any(cells[name] for name in names if name not in _KEYS):
            where = f"{path} row {number}"
            try:
                shown = _place(cells, protocol)
                if faults := _faults(cells, protocol, now.date()):
                    for fault in faults:
                        problems.add(fault, where)
                else:
                    yield (*shown, _Filled(where, _answer(cells, protocol.questions), _known_day(cells["read_on"])))
            except InputError as error:
                problems.add(str(error).rstrip("."), where)


def _place(cells: dict[str, str], protocol: Protocol) -> tuple[str, int]:
    """Reader and number of the presentation that a row is of."""
    if cells["study"] != _code(protocol):
        raise InputError(f"rows of another study (this one has {_code(protocol)} in the column study)")
    reader = protocol.reader(cells["reader"])
    key = (cells["session"], cells["case"], cells["arm"].lower())
    shown = {(str(s.session), str(s.position), s.arm.value): s.number for s in plan(protocol, reader)}
    if key not in shown:
        raise InputError("a session, case and arm that are not this reader's by the protocol")
    return reader.code, shown[key]


def _faults(cells: dict[str, str], protocol: Protocol, today: date) -> list[str]:
    """All that is wrong with single cells of a row."""
    told = []
    if cells["answer"].lower() not in _DECISIONS:
        told.append("answer is neither yes nor no")
    for name, asked, (least, most) in (
        ("confidence", True, (0, 100)),
        ("quality", protocol.questions.quality, (QUALITIES[0], QUALITIES[-1])),
    ):
        if asked and not (re.fullmatch(r"\d{1,3}", cells[name]) and least <= int(cells[name]) <= most):
            told.append(f"{name} is no whole number from {least} to {most}")
    day = _day(cells["read_on"])
    if day is None:
        told.append(f"read_on is no day, such as {today}")
    elif day.isoformat() < protocol.created:
        told.append(f"read_on lies before the day on which the study was created, {protocol.created}")
    elif day > today:
        told.append(f"read_on lies in the future, after today, {today}")
    return told


def _answer(cells: dict[str, str], questions: Questions) -> Answer:
    """What a row without `_faults` says."""
    grades = {
        (muscle, side): cell.lower()
        for muscle in questions.mercuri
        for side in SIDES
        if (cell := cells[column_name(f"{muscle} {side}")])
    }
    answer = Answer(
        _DECISIONS[cells["answer"].lower()],
        int(cells["confidence"]),
        (cells["subtype"].upper() or None) if questions.subtype else None,
        int(cells["quality"]) if questions.quality else None,
        cells["comment"] if questions.comment else "",
        grades,
    )
    answer.check(questions)
    return answer


def _known_day(text: str) -> date:
    day = _day(text)
    assert day is not None
    return day


def _day(text: str) -> date | None:
    for form in _DAYS:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form).date()
    return None


def _new(store: ReaderStore, own: dict[int, _Filled], problems: Problems) -> list[int]:
    """Numbers of the answers that the study has not yet, in their order."""
    submitted = {stored.presentation: stored.answer for stored in _submitted(store)}
    new: list[int] = []
    for number in sorted(own):
        if number in submitted:
            if submitted[number] != own[number].answer:
                problems.add("another answer than the one that was submitted, which cannot change", own[number].where)
        elif number != len(submitted) + len(new) + 1:
            before = store.presentations[len(submitted) + len(new)]
            due = f"session {before.session}, case {before.position}, {before.arm.value}"
            problems.add(f"answers before the one that is due ({due})", own[number].where)
            return new
        else:
            new.append(number)
    return new


def _with_deviations(
    store: ReaderStore, new: Sequence[int], own: dict[int, _Filled], washout_days: int
) -> dict[int, str]:
    """How each new answer departs from the protocol, as far as days tell; empty where it does not."""
    days = {stored.presentation: stored.at.date() for stored in _submitted(store)}
    days |= {number: own[number].day for number in new}
    found = {}
    for number in new:
        shown = store.presentations[number - 1]
        before = [days[s.number] for s in store.presentations[: number - 1] if s.session == shown.session - 1]
        begins = number > 1 and store.presentations[number - 2].session < shown.session
        passed = (days[number] - max(before)).days if begins and before else washout_days
        found[number] = ""
        if passed < washout_days:
            found[number] = f"a wash-out of {passed} instead of {washout_days} days before session {shown.session}"
        elif not begins and number > 1 and days[number] < days[number - 1]:
            found[number] = f"a case of session {shown.session} read on an earlier day than the one before it"
    return found
