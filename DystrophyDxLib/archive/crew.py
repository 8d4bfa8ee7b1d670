"""Who does a work that falls into parts: processes of this computer, or the workers of a cluster. The result is one.

What training makes of each series of a cohort is such a work, and so is the look at the headers of an archive.
"""

from __future__ import annotations

import io
import math
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from ..errors import InputError
from .schedule import Schedule, Workers
from .studies import Failure
from .worker import Outcome

P = TypeVar("P")
M = TypeVar("M")
Maker = Callable[[], Callable[[P], M]]
"""Gives, once in each process, what makes something of a part."""


class Crew(Protocol):
    """Whoever does the parts.

    Attributes:
        elsewhere: whether that may be other computers, which share no more than files with this one.
    """

    elsewhere: ClassVar[bool]

    def each(self, maker: Maker[P, M], parts: Sequence[P], device: str = "cpu") -> Iterator[M | Failure]:
        """What is made of each part, in their order, or why its process has ended.

        Args:
            device: that `maker` computes on, one of `devices.DEVICES`.

        Raises:
            InputError: as `maker` and what it gives; processes cannot be begun.
        """


@dataclass(frozen=True)
class OwnProcesses:
    """So many processes of this computer; one is that which asks."""

    count: int = 1
    elsewhere: ClassVar[bool] = False

    def each(self, maker: Maker[P, M], parts: Sequence[P], device: str = "cpu") -> Iterator[M | Failure]:
        """See `Crew.each`."""
        if self.count == 1 or not parts:
            yield from map(maker(), parts)
            return
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(min(self.count, len(parts)), context, _begin, (maker,)) as pool:
                yield from pool.map(_made, parts)
        except BrokenProcessPool:
            raise InputError("A process was ended, perhaps for want of memory; use fewer processes.") from None


OWN_PROCESS = OwnProcesses()
_of_process: list[Any] = []
"""In a process of a pool: the maker, and then what it gave."""


def _begin(maker: Maker[Any, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is the first process' to answer
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    _of_process.append(maker)


def _made(part: Any) -> Any:
    if len(_of_process) == 1:
        _of_process.append(_of_process[0]())
    return _of_process[1](part)


@dataclass(frozen=True)
class Cluster:
    """The workers of a Ray cluster.

    Attributes:
        address: of its head, host:port.
    """

    address: str
    elsewhere: ClassVar[bool] = True

    def each(self, maker: Maker[P, M], parts: Sequence[P], device: str = "cpu") -> Iterator[M | Failure]:
        """See `Crew.each`."""
        from .engine import RayWorkers, Resources, connected

        # Ray tells on stdout of processes that have ended.
        with redirect_stdout(io.StringIO()), connected(self.address, 1) as (cores, gpus):
            resources = Resources.of(cores, gpus, None, device)
            with closing(RayWorkers(partial(PartWorker, maker), resources)) as workers:
                yield from by_workers(workers, resources.workers, parts)


@dataclass(frozen=True)
class Part(Generic[P]):
    """A part as a `Schedule` hands it out.

    Attributes:
        study: its number.
    """

    study: str
    given: P


class PartWorker(Generic[P, M]):
    """Makes something of one part after the other, in whichever process it lives."""

    def __init__(self, maker: Maker[P, M]) -> None:
        self._make = maker()

    def run(self, study: Part[P], ahead: Part[P] | None = None) -> Outcome[M]:
        """See `schedule.Worker`; nothing is done ahead."""
        return Outcome(self._make(study.given))


def by_workers(workers: Workers, count: int, parts: Sequence[P]) -> Iterator[Any]:
    """What so many workers, each a `PartWorker`, make of each part, in their order, or why that cannot be made."""
    numbered = [Part(str(n), part) for n, part in enumerate(parts)]
    done: dict[str, Outcome[Any]] = {}
    told = 0
    for part, outcome in Schedule[Part[P]](workers, count, math.inf).outcomes(numbered):
        done[part.study] = outcome
        while (next_ := done.pop(str(told), None)) is not None:
            yield next_.result if next_.failure is None else next_.failure
            told += 1
