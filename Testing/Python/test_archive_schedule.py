"""Which worker gets which study of an archive, with workers that obey a script instead of working."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from DystrophyDxLib.archive import schedule
from DystrophyDxLib.archive.schedule import TRIES, Event, Schedule
from DystrophyDxLib.archive.studies import Failure, Place, Study
from DystrophyDxLib.archive.worker import Outcome
from DystrophyDxLib.errors import InputError

LIMIT_S = 10


def named(*names: str) -> list[Study]:
    return [Study(name, None, Place(Path(name))) for name in names]


class Scripted:
    """Workers whose studies end as their names say; time goes by only where nothing else happens."""

    def __init__(self, starts: bool = True) -> None:
        self.now, self.started, self.starts = 0.0, 0, starts
        self.told: list[Event] = []
        self.holding: dict[int, str] = {}
        self.given: list[tuple[str, str | None]] = []

    def start(self) -> int:
        self.started += 1
        self.told.append(Event(self.started, ended="" if self.starts else "No memory is left."))
        return self.started

    def give(self, worker: int, study: Study, ahead: Study | None) -> None:
        self.given.append((study.study, ahead.study if ahead else None))
        held = f"{study.study} {ahead.study if ahead else ''}"
        if "death" in held:
            self.told.append(Event(worker, ended="The process ended."))
        elif "memory" in held:  # whichever of the two asks for it first fails
            self.told.append(Event(worker, Outcome(None, Failure("memory", "Too much."))))
        elif "hang" in held:
            self.holding[worker] = study.study
        else:
            self.told.append(Event(worker, Outcome(None, Failure("reading", study.study))))

    def events(self, wait_s: float) -> list[Event]:
        told, self.told = self.told, []
        self.now += 0 if told else wait_s
        return told

    def end(self, worker: int) -> None:
        del self.holding[worker]


def run(names: list[str], workers: Scripted, count: int = 2) -> dict[str, str]:
    found = list(Schedule(workers, count, LIMIT_S, lambda: workers.now).outcomes(named(*names)))
    assert [count for count in Counter(study.study for study, _ in found).values() if count > 1] == []
    return {study.study: outcome.failure.kind for study, outcome in found}


def test_every_study_is_done_once_with_the_next_one_read_ahead():
    workers = Scripted()
    assert run(["a", "b", "c", "d", "e"], workers) == dict.fromkeys("abcde", "reading")
    assert sorted(study for study, _ in workers.given) == [*"abcde"]
    assert ("a", "c") in workers.given or ("a", "b") in workers.given


@pytest.mark.parametrize(("what", "kind"), [("death", "worker"), ("hang", "time"), ("memory", "memory")])
def test_the_study_that_is_to_blame_is_listed_and_no_other(what, kind):
    workers = Scripted()
    names = ["a", "b", f"{what} 1", "c", "d", f"{what} 2", "e"]
    assert run(names, workers) == {name: kind if what in name else "reading" for name in names}
    assert workers.given.count((f"{what} 1", None)) == (TRIES - 1 if what == "death" else 1)


def test_one_worker_alone_goes_on_after_what_ends_it():
    names = ["death", "hang", "a", "memory", "b"]
    kinds = {"death": "worker", "hang": "time", "memory": "memory", "a": "reading", "b": "reading"}
    assert run(names, Scripted(), count=1) == kinds


def test_where_no_worker_starts_that_is_told_and_nothing_waits_for_ever():
    with pytest.raises(InputError, match=r"can be started: No memory is left\."):
        run(["a"], Scripted(starts=False))


def test_where_no_worker_becomes_ready_that_is_told():
    workers = Scripted()
    workers.start = lambda: 1
    with pytest.raises(InputError, match="becomes ready"):
        run(["a"], workers)


def test_ray_is_imported_in_one_file_alone():
    library = Path(schedule.__file__).parents[1]
    using = {
        path.name for path in library.rglob("*.py") if re.search(r"^\s*(import|from) ray\b", path.read_text(), re.M)
    }
    assert using == {"engine.py"}
