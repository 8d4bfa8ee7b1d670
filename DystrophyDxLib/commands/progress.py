"""How far a command is, told while it works, and the end that a user's Ctrl-C makes."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from ..reporting.progress import Advance

TOLD_AGAIN_S = 30.0
"""Time after which a line says again how far a step is."""
LONG_S = 2.0
"""Time after which a step is long, so that a line says how long it will take."""
READING = "Reading the cohort table"
LOADING = "Loading PyTorch"
"""What takes seconds before a long command begins."""
_interrupted = threading.Event()


@contextlib.contextmanager
def progress(hidden: bool = False) -> Iterator[Advance]:
    """A progress bar on stderr, or where that is no terminal lines now and then.

    A total of 0 is work of which nobody knows how much there is. The bar is there at once, and moves while Python
    imports what is slow. How long a step still takes is estimated from what of it is done.
    """
    if not hidden and not sys.stderr.isatty():
        yield _heeding(_Lines())
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        _TimeLeft(),
        console=Console(stderr=True),
        transient=True,
        disable=hidden,
        speed_estimate_period=3600,
    )
    with bar:
        yield _heeding(_Bar(bar))


def heed_interrupts() -> None:
    """Makes Ctrl-C end the work at the latest when the next step is told."""
    signal.signal(signal.SIGINT, _interrupt)


def _heeding(tell: Advance) -> Advance:
    """`tell`, which ends the work where the user's wish to end it was lost: Python drops an exception that is raised
    while it collects garbage or runs a library's callback."""

    def heeding(what: str, done: int, total: int) -> None:
        if _interrupted.is_set():
            raise KeyboardInterrupt
        tell(what, done, total)

    return heeding


def _interrupt(number: int, frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _step(what: str) -> str:
    """The name of a step, whatever figures it tells.

    >>> _step("Training: epoch 2 of 9, loss 0.61")
    'Training: epoch'
    """
    return re.split(r" [\d.]+(?=[ ,]|$)", what)[0]


def _left(what: str, seconds: float | None) -> str:
    """How long a step still takes; nothing where that is not known or the step says it itself."""
    if seconds is None or what.endswith(" left"):
        return ""
    return f"about {timedelta(seconds=round(seconds))} left"


class _TimeLeft(ProgressColumn):
    """How long a step still takes, once that can be estimated."""

    def render(self, task: Task) -> Text:
        return Text(_left(task.description, task.time_remaining))


class _Bar:
    """Shows each step as a bar of its own."""

    def __init__(self, bar: Progress) -> None:
        self._bar, self._step = bar, ""
        self._task = bar.add_task("Starting", total=None)

    def __call__(self, what: str, done: int, total: int) -> None:
        if (step := _step(what)) != self._step:
            self._step = step
            self._bar.reset(self._task, total=total or None)
        self._bar.update(self._task, description=what, completed=done, total=total or None)


@dataclass
class _Told:
    """What was told of a step: when it began, how much of it was done then and last, and when a line last said so."""

    began: float
    first: int
    done: int
    last: float
    estimated: bool = False


class _Lines:
    """Prints each step when it begins, how long it will take as soon as that is known of a long one, and how far it is
    every half minute."""

    def __init__(self) -> None:
        self._steps: dict[str, _Told] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        name, now = _step(what), time.monotonic()
        told = self._steps.get(name)
        if told is None or (done < told.done and now - told.last > LONG_S):
            self._steps[name] = _Told(now, done, done, now)
            self._print(what)
            return
        told.done = done
        left = ""
        if total and done > told.first:
            left = _left(what, (now - told.began) / (done - told.first) * (total - done))
        if now - told.last > (LONG_S if left and not told.estimated else TOLD_AGAIN_S):
            told.last, told.estimated = now, bool(left)
            figures = ", ".join(filter(None, (f"{done} of {total}" if done and total else "", left)))
            self._print(f"{what} ({figures})" if figures else what)

    @staticmethod
    def _print(line: str) -> None:
        print(line, file=sys.stderr, flush=True)
