"""Which worker gets which study: nothing is lost, nothing is done twice, and no study holds up the others.

A study that ends its worker, takes too long or needs too much memory is tried again alone, with nothing read ahead
beside it, so that the blame falls on the right one of the two studies that a worker holds. Only a study that fails
alone is listed as a failure. This file knows nothing of Ray.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from ..errors import InputError
from .studies import Failure
from .worker import Outcome

TRIES = 3
"""Times that a study may end its worker: a computer that fails ends workers, too."""
_PATIENCE = 3
"""Workers that end before they are ready, one after the other, until nothing can work."""
_WAIT_S = 1.0
START_S = 900.0
"""Seconds in which no worker has become ready, until nobody can work."""


class Unit(Protocol):
    """What is handed out: a study, or another part of a work."""

    @property
    def study(self) -> str:
        """Its name, which no other has."""


U = TypeVar("U", bound=Unit)


class Worker(Protocol):
    """What lives in a process and works."""

    def run(self, study: Any, ahead: Any = None) -> Outcome[Any]:
        """Works on a study, and reads the one that comes next meanwhile."""


class Event(NamedTuple):
    """What a worker tells: an outcome; that it is ready, with neither; or that it has ended, and why."""

    worker: Hashable
    outcome: Outcome[Any] | None = None
    ended: str = ""


class Workers(Protocol):
    """Processes that work on studies, somewhere."""

    def start(self) -> Hashable:
        """Begins to start a worker, which tells when it is ready."""

    def give(self, worker: Hashable, study: Unit, ahead: Unit | None) -> None:
        """Gives a ready worker a study, and the one to read ahead."""

    def events(self, wait_s: float) -> list[Event]:
        """What has happened; waits so long where nothing has."""

    def end(self, worker: Hashable) -> None:
        """Ends a worker at once, of which nothing more is told."""


@dataclass(frozen=True)
class _Held(Generic[U]):
    """What a worker holds: the study that it works on, the next one, and when it got them."""

    study: U
    ahead: U | None
    since: float


class Schedule(Generic[U]):
    """Hands out studies, or other parts of a work.

    Args:
        workers: that do the work.
        count: of workers.
        limit_s: seconds that one study may take.
        clock: gives seconds.
    """

    def __init__(
        self, workers: Workers, count: int, limit_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workers, self._count, self._limit_s, self._clock = workers, count, limit_s, clock
        self._waiting: deque[U] = deque()
        self._alone: deque[U] = deque()
        self._tries: dict[str, int] = {}
        self._held: dict[Hashable, _Held[U]] = {}
        self._next: dict[Hashable, U] = {}
        self._idle: list[Hashable] = []
        self._starting: set[Hashable] = set()
        self._died_starting = 0
        self._last_ready = clock()

    def outcomes(self, studies: Iterable[U]) -> Iterator[tuple[U, Outcome[Any]]]:
        """Each study once, with what became of it, in the order in which they are done.

        Raises:
            InputError: no worker can be started.
        """
        self._waiting.extend(studies)
        for _ in range(min(self._count, len(self._waiting))):
            self._starting.add(self._workers.start())
        while self._waiting or self._alone or self._held or self._next:
            self._hand_out()
            for event in self._workers.events(_WAIT_S):
                yield from self._heed(event)
            yield from self._end_late()
            if not (self._held or self._idle) and self._clock() - self._last_ready > START_S:
                raise InputError("No process for the work becomes ready; check the cores and memory that Ray has.")

    def _hand_out(self) -> None:
        """Gives idle workers studies; what was read ahead first, and then those that are tried alone."""
        for worker in self._idle[:]:
            study = self._next.pop(worker, None)
            alone = study is None and bool(self._alone)
            if study is None and not (self._alone or self._waiting):
                continue
            study = study or (self._alone if self._alone else self._waiting).popleft()
            ahead = self._waiting.popleft() if self._waiting and not alone and not self._alone else None
            self._idle.remove(worker)
            self._held[worker] = _Held(study, ahead, self._clock())
            self._workers.give(worker, study, ahead)

    def _heed(self, event: Event) -> Iterator[tuple[U, Outcome[Any]]]:
        worker = event.worker
        if event.ended:
            yield from self._ended(worker, "worker", event.ended)
            return
        if event.outcome is None:
            self._starting.discard(worker)
            self._idle.append(worker)
            self._died_starting, self._last_ready = 0, self._clock()
            return
        held = self._held.pop(worker)
        self._idle.append(worker)
        if held.ahead is not None:
            self._next[worker] = held.ahead
        failure = event.outcome.failure
        if failure is not None and failure.kind == "memory" and held.study.study not in self._tries:
            self._suspect(held.study)
            return
        yield held.study, event.outcome

    def _end_late(self) -> Iterator[tuple[U, Outcome[Any]]]:
        now = self._clock()
        for worker in [worker for worker, held in self._held.items() if now - held.since > self._limit_s]:
            self._workers.end(worker)
            yield from self._ended(worker, "time", f"The study took longer than {self._limit_s:.0f} s.")

    def _ended(self, worker: Hashable, kind: str, why: str) -> Iterator[tuple[U, Outcome[Any]]]:
        """A worker is gone; what it held is tried alone, or listed where that was so already."""
        held, ahead = self._held.pop(worker, None), self._next.pop(worker, None)
        self._last_ready = self._clock()
        if worker in self._starting:
            self._starting.discard(worker)
            self._died_starting += 1
            if self._died_starting >= _PATIENCE:
                raise InputError(f"No process for the work can be started: {why}")
        if worker in self._idle:
            self._idle.remove(worker)
        if held is not None:
            tries = self._tries.get(held.study.study, 0)
            if tries and (kind == "time" or tries + 1 >= TRIES):
                yield held.study, Outcome(None, Failure(kind, why))
            else:
                self._suspect(held.study)
            ahead = held.ahead
        if ahead is not None:
            self._suspect(ahead)
        self._starting.add(self._workers.start())

    def _suspect(self, study: U) -> None:
        self._tries[study.study] = self._tries.get(study.study, 0) + 1
        self._alone.append(study)
