"""Reader studies made for tests: folders with all files that a reading session needs, and a clock that tests set."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from DystrophyDxLib.readerstudy.protocol import Protocol
from DystrophyDxLib.readerstudy.session import Clock, Item, ReadingSession
from DystrophyDxLib.readerstudy.store import ReaderStore, StoredAnswer
from DystrophyDxLib.readerstudy.study import (
    CASES,
    HEATMAP,
    IMAGE,
    MODEL,
    MODEL_ANSWER,
    TRUTH,
    TRUTH_TABLE,
    ModelAnswer,
    ReaderStudy,
)

MODEL_FACTS = {
    "name": "test",
    "version": "1",
    "sha256": "0" * 64,
    "trained_on": "nothing",
    "demonstration": True,
    "threshold": 0.5,
}


def make_protocol(*, readers: int = 2, cases: int = 8, blocks: int = 1, **changes) -> Protocol:
    """A crossover of unaided and aided reading, but for `changes`."""
    codes = [f"C{n:03d}" for n in range(1, cases + 1)]
    facts = {
        "title": "Readers beside the model",
        "created": "2026-01-31",
        "readers": [{"code": f"R{n}", "role": "radiologist", "years": n} for n in range(1, readers + 1)],
        "blocks": [codes[block::blocks] for block in range(blocks)],
        "arms": ["unaided", "aided"],
        "design": "crossover",
        "questions": {},
        "duplicates": 0,
        "washout_days": 28,
        "grey_window": (0, 1000),
        "model": MODEL_FACTS,
        "seed": 1,
    }
    return Protocol.model_validate(facts | changes)


def _write_tokens(image: Path, heatmap: Path, number: int) -> None:
    for path in (image, heatmap):
        path.write_bytes(b"NRRD0004\n%d" % number)


def make_study(
    folder: Path, protocol: Protocol, write: Callable[[Path, Path, int], None] = _write_tokens
) -> ReaderStudy:
    """The folder of a study; every second case has a dystrophinopathy.

    Args:
        write: writes image and heatmap of the case with that number, from 0; a few bytes where none is given.
    """
    (folder / TRUTH).mkdir(parents=True)
    for n, case in enumerate(protocol.cases):
        for name in (CASES, MODEL):
            (folder / name / case).mkdir(parents=True)
        write(folder / CASES / case / IMAGE, folder / MODEL / case / HEATMAP, n)
        answer = ModelAnswer(probability=n / len(protocol.cases), ci95=(0, 1), label="indeterminate", warnings=())
        (folder / MODEL / case / MODEL_ANSWER).write_text(answer.model_dump_json())
    rows = [f"{case},{n % 2},{('healthy', 'DMD')[n % 2]},0" for n, case in enumerate(protocol.cases)]
    (folder / TRUTH / TRUTH_TABLE).write_text("\n".join(["case,label,diagnosis,synthetic", *rows]) + "\n")
    return ReaderStudy.seal(folder, protocol)


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: durable commits to a busy disk take a while."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class SetClock(Clock):
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = datetime(2026, 3, 1, 8, tzinfo=timezone.utc)) -> None:
        self._now = now
        self._ticks = 1000.0

    def now(self) -> datetime:
        return self._now

    def ticks(self) -> float:
        return self._ticks

    def set(self, now: datetime) -> None:
        """Sets the time of day; time that passes is another thing."""
        self._now = now

    def run(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._ticks += seconds


def items_until_the_end(session: ReadingSession, clock: SetClock) -> Iterator[Item]:
    """Every case that the reader is shown, wash-outs passed over; whoever takes them submits an answer to each."""
    while not session.progress.finished:
        item = session.show()
        if item is None:
            clock.set(session.progress.opens)
        else:
            yield item


@contextlib.contextmanager
def store_of(study: ReaderStudy, code: str = "R1") -> Iterator[ReaderStore]:
    """The file of a reader's answers, to look at."""
    reader = study.protocol.reader(code)
    with contextlib.closing(ReaderStore.open(study.answers(reader), study.protocol, reader)) as store:
        yield store


def stored_answers(study: ReaderStudy, code: str = "R1") -> tuple[StoredAnswer, ...]:
    with store_of(study, code) as store:
        return store.answers
