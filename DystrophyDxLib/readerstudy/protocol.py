"""The protocol of a reader study: who reads which cases in which arm and order, and what is asked.

It is declared when the study is created and never changes afterwards: `Protocol.digest` stands in every reader's file.
All orders follow from it (`plan`), so that it also declares them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError, model_validator

from ..errors import InputError
from ..files.small_files import read_bytes
from ..models.strict import Strict, parsed
from .endpoint import PrimaryEndpoint, possible
from .questions import Questions

LARGEST = 64 << 20
"""Bytes of a protocol; more is refused before it is read."""
SCHEMA = "dystrophydx.readers/2"
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,15}$")]
"""Of a reader or case: it names files, so it holds nothing that a file system could refuse."""
_Item = TypeVar("_Item")


class Arm(str, Enum):
    """What a reader sees, and for `SEQUENTIAL` one after the other.

    An answer is of `UNAIDED` (the MRI alone), `AIDED` (the MRI beside itself with heatmap, and the model's probability)
    or `RE_READ` (unaided once more, after a wash-out).
    """

    UNAIDED = "unaided"
    AIDED = "aided"
    SEQUENTIAL = "sequential"
    RE_READ = "re-read"


class Design(str, Enum):
    """Who reads what, in which order of the arms.

    In the first two everyone reads all cases in all arms: in the declared order, or half of the readers with the first
    two arms exchanged. In the third the cases are divided into blocks and each reader reads one of them in all arms
    (Obuchowski 2009, Acad Radiol 16:1508).
    """

    FULLY_CROSSED = "fully-crossed"
    CROSSOVER = "crossover"
    SPLIT_PLOT = "split-plot"


class Reader(Strict):
    """A reader by code, never by name. `years` are those of experience, None where they are not told."""

    code: Code
    role: Annotated[str, Field(min_length=1, max_length=60)]
    years: Annotated[float, Field(ge=0, le=80)] | None = None


class StudyModel(Strict):
    """The model whose answers are shown in the aided arm and set beside the readers."""

    name: str
    version: str
    sha256: str
    trained_on: str
    demonstration: bool
    threshold: Annotated[float, Field(ge=0, le=1)]


class Protocol(Strict):
    """A reader study.

    Attributes:
        blocks: codes of the cases; one block but in the split-plot design.
        arms: in the order in which they are read, each in a session of its own.
        duplicates: cases of each session that are shown a second time in it, without the reader being told.
        washout_days: least days from a reader's last answer of a session to the first case of the next.
        asked: what every case is asked for, a class of the model; see `condition`.
        primary: the primary endpoint.
        grey_window: lowest and highest grey value of the window in which every case is shown first.
        seed: of all orders.
        files: SHA-256 of the truth, the images and the model's answers by their paths in the study folder, once they
            are written (`ReaderStudy.seal`).
    """

    title: Annotated[str, Field(min_length=1, max_length=120)]
    created: str
    readers: Annotated[tuple[Reader, ...], Field(min_length=1)]
    blocks: Annotated[tuple[Annotated[tuple[Code, ...], Field(min_length=1)], ...], Field(min_length=1)]
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    design: Design
    questions: Questions
    duplicates: Annotated[int, Field(ge=0)]
    washout_days: Annotated[int, Field(ge=0, le=3650)]
    grey_window: tuple[float, float]
    model: StudyModel
    seed: Annotated[int, Field(ge=0)]
    files: dict[str, str] = Field(default_factory=dict)
    asked: Annotated[str, Field(min_length=1)] | None = None
    primary: PrimaryEndpoint | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Protocol:
        for wrong, what in (
            (_twice(reader.code for reader in self.readers), "each reader has a code of his or her own"),
            (_twice(self.cases), "each case has a code of its own"),
            (_twice(self.arms), "each arm is named once"),
            (
                Arm.SEQUENTIAL in self.arms and {Arm.UNAIDED, Arm.AIDED} & set(self.arms),
                "sequential reading holds the unaided and the aided arm; leave these out",
            ),
            (
                Arm.RE_READ in self.arms
                and (self.arms[-1] is not Arm.RE_READ or not {Arm.UNAIDED, Arm.SEQUENTIAL} & set(self.arms)),
                "the re-read is the last arm and repeats the unaided reading; add unaided or sequential before it",
            ),
            (
                len(self.arms) > 1 and not self.washout_days,
                "between two sessions lies a wash-out of at least one day; state it, or read sequentially",
            ),
            (
                self.design is Design.CROSSOVER
                and ({*self.arms[:2]} != {Arm.UNAIDED, Arm.AIDED} or len(self.readers) < 2),
                "a crossover has the arms unaided and aided, and at least two readers",
            ),
            (
                self.design is Design.SPLIT_PLOT and not 2 <= len(self.blocks) <= len(self.readers),
                "a split-plot design has at least two blocks of cases, and a reader for each",
            ),
            (
                self.design is not Design.SPLIT_PLOT and len(self.blocks) > 1,
                "blocks of cases belong to the split-plot design",
            ),
            (
                self.duplicates and Arm.SEQUENTIAL in self.arms,
                "sequential reading shows the model's answer between a case and its hidden duplicate; leave one out",
            ),
            (
                self.duplicates > min(map(len, self.blocks)) // 4,
                "at most a quarter of the cases that a reader reads can be hidden duplicates",
            ),
            (
                self.primary and not possible(self.primary.compares, self.arms_of_answers),
                "the primary endpoint compares an arm that is not read; choose another one",
            ),
        ):
            if wrong:
                raise ValueError(what)
        return self

    @property
    def cases(self) -> tuple[str, ...]:
        """Codes of all cases."""
        return tuple(case for block in self.blocks for case in block)

    @property
    def aided(self) -> bool:
        """Whether a reader ever sees an answer of the model."""
        return bool({Arm.AIDED, Arm.SEQUENTIAL} & set(self.arms))

    @property
    def arms_of_answers(self) -> frozenset[str]:
        """Arms in which readers answer; sequential reading gives answers in two."""
        both = {Arm.UNAIDED, Arm.AIDED}
        return frozenset(one.value for arm in self.arms for one in (both if arm is Arm.SEQUENTIAL else {arm}))

    @property
    def condition(self) -> str:
        """What every case is asked for; protocols that do not tell are of thighs."""
        return self.asked or "dystrophinopathy"

    @property
    def digest(self) -> str:
        """SHA-256 of all that the protocol says."""
        return hashlib.sha256(self.model_dump_json(exclude=self._untold).encode()).hexdigest()

    @property
    def _untold(self) -> set[str]:
        """What earlier protocols did not have, so that theirs and their digests stay as they are."""
        return {name for name in ("asked", "primary") if getattr(self, name) is None}

    def reader(self, code: str) -> Reader:
        """The reader of that code, in upper or lower case.

        Raises:
            InputError: when the protocol has none.
        """
        for reader in self.readers:
            if reader.code.casefold() == code.strip().casefold():
                return reader
        known = ", ".join(reader.code for reader in self.readers)
        raise InputError(f"The protocol has no reader {code.strip()!r}; sign in as one of {known}.")

    def write(self, path: Path) -> None:
        """Writes the protocol with its digest as JSON."""
        content = {
            "schema": SCHEMA,
            "sha256": self.digest,
            "protocol": self.model_dump(mode="json", exclude=self._untold),
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Protocol:
        """Reads what `write` wrote.

        Raises:
            InputError: it is not there, not a protocol, or was changed since it was written.
        """
        try:
            content = parsed(json.loads, read_bytes(path, LARGEST).decode("utf-8"))
        except OSError:
            raise InputError("This folder holds no reader study; choose the folder that has protocol.json.") from None
        except ValueError:
            raise InputError(f"The study's protocol is damaged; {_RESTORE}") from None
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise InputError("The study's protocol is of another version of DystrophyDx; open it with that version.")
        try:
            protocol = cls.model_validate(content.get("protocol"))
        except ValidationError as error:
            raise InputError(f"The study's protocol is not valid ({first_problem(error)}); {_RESTORE}") from None
        if content.get("sha256") != protocol.digest:
            raise InputError(f"The study's protocol was changed after the study was created; {_RESTORE}")
        return protocol


_RESTORE = "restore protocol.json as it was, or create a new study."


def first_problem(error: ValidationError) -> str:
    """Where a protocol contradicts itself, and how, in a few words."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")


def _twice(codes: Iterable[str]) -> bool:
    """Whether a code is there more than once, in upper or lower case: it names a file."""
    folded = [code.casefold() for code in codes]
    return len(set(folded)) < len(folded)


@dataclass(frozen=True)
class Presentation:
    """A case shown to a reader for one answer.

    Attributes:
        number: from 1, over all sessions of the reader; answers are given in this order.
        session: from 1.
        position: from 1 in the session; both steps of sequential reading have the same.
        arm: of the answer, never `Arm.SEQUENTIAL`.
        repeat: 1 for a hidden duplicate, else 0.
    """

    number: int
    session: int
    position: int
    case: str
    arm: Arm
    repeat: int


def plan(protocol: Protocol, reader: Reader) -> tuple[Presentation, ...]:
    """All that a reader is shown, in order.

    >>> protocol = Protocol.model_validate({
    ...     "title": "Two cases", "created": "2026-01-31", "readers": [{"code": "R1", "role": "radiologist"}],
    ...     "blocks": [["C001", "C002"]], "arms": ["sequential"], "design": "fully-crossed", "questions": {},
    ...     "duplicates": 0, "washout_days": 0, "grey_window": (0, 1000), "seed": 1,
    ...     "model": {"name": "embedded", "version": "1", "sha256": "", "trained_on": "phantoms",
    ...               "demonstration": True, "threshold": 0.5},
    ... })
    >>> [(shown.position, shown.arm.value) for shown in plan(protocol, protocol.reader("R1"))]
    [(1, 'unaided'), (1, 'aided'), (2, 'unaided'), (2, 'aided')]
    """
    steps = [
        (session, position, case, step, repeat)
        for session, arm in enumerate(arms_of(protocol, reader), 1)
        for position, (case, repeat) in enumerate(session_order(protocol, reader, session), 1)
        for step in ((Arm.UNAIDED, Arm.AIDED) if arm is Arm.SEQUENTIAL else (arm,))
    ]
    return tuple(Presentation(number, *step) for number, step in enumerate(steps, 1))


def arms_of(protocol: Protocol, reader: Reader) -> tuple[Arm, ...]:
    """The arm of each session of a reader: in a crossover half of the readers, drawn by the seed, begin with the second
    of the declared arms."""
    if protocol.design is Design.CROSSOVER and _place(protocol, reader) % 2:
        first, second, *others = protocol.arms
        return (second, first, *others)
    return protocol.arms


def block_of(protocol: Protocol, reader: Reader) -> int:
    """Index of the block of cases that a reader reads; blocks have equally many readers, or one more."""
    return _place(protocol, reader) % len(protocol.blocks)


def session_order(protocol: Protocol, reader: Reader, session: int) -> tuple[tuple[str, int], ...]:
    """The cases of a reader's session in order, each with 0, or 1 where it is a hidden duplicate.

    The cases of a block are divided into as many parts as there are sessions of its readers (at most as many as there
    are cases), and the parts are arranged by a Williams design (Williams 1949, Aust J Sci Res A 2:149): over the
    sessions each part, and so each case, comes equally often at each place of a session, and parts do not follow one
    another more often than they must. Within a part the order is drawn anew. A hidden duplicate is of a case of the
    first quarter and comes in the second half, so that at least a quarter of the cases lies between.
    """
    block = block_of(protocol, reader)
    draw = (protocol.seed, reader.code, session)
    places = sorted(_place(protocol, other) for other in protocol.readers if block_of(protocol, other) == block)
    sequences = len(places) * len(protocol.arms)
    cases = shuffled(protocol.blocks[block], protocol.seed, "parts", block)
    parts = [cases[part::sequences] for part in range(min(sequences, len(cases)))]
    sequence = places.index(_place(protocol, reader)) * len(protocol.arms) + session - 1
    row = shuffled(range(len(parts)), protocol.seed, "rows", block)[sequence % len(parts)]
    order = [case for part in _williams_row(len(parts), row) for case in shuffled(parts[part], *draw, "order")]
    repeated = shuffled(order[: len(order) // 4], *draw, "duplicates")[: protocol.duplicates]
    slots = shuffled(range(len(order) // 2, len(order) + 1), *draw, "slots")[: protocol.duplicates]
    shown = [(case, 0) for case in order]
    for slot, case in sorted(zip(slots, repeated, strict=True), reverse=True):
        shown.insert(slot, (case, 1))
    return tuple(shown)


def shuffled(items: Sequence[_Item], *key: object) -> list[_Item]:
    """The items in an order that depends on them and `key` alone, the same on every machine and in every version."""
    return sorted(items, key=lambda item: hashlib.sha256("\0".join(map(str, (*key, item))).encode()).digest())


def _place(protocol: Protocol, reader: Reader) -> int:
    """Place of a reader among all, drawn by the seed."""
    return shuffled([other.code for other in protocol.readers], protocol.seed, "readers").index(reader.code)


def _williams_row(size: int, row: int) -> list[int]:
    """A row of a Williams design: 0, n - 1, 1, n - 2, ... moved on by `row`."""
    zigzag = [n // 2 if n % 2 == 0 else size - 1 - n // 2 for n in range(size)]
    return [(step + row) % size for step in zigzag]
