"""How far a command is, told while it works, and the end that a user's Ctrl-C makes."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ..reporting.progress import Advance

_interrupted = threading.Event()


@contextlib.contextmanager
def progress(hidden: bool = False) -> Iterator[Advance]:
    """A progress bar on stderr, or where that is no terminal lines on stdout now and then.

    A total of 0 is work of which nobody knows how much there is.
    """
    if not hidden and not sys.stderr.isatty():
        yield _heeding(_lines())
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=hidden,
    )
    with bar:
        task = bar.add_task("Starting", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None)

        yield _heeding(show)


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


def _lines() -> Advance:
    """Prints each step when it begins, and how far it is every half minute."""
    told: dict[str, float] = {}

    def tell(what: str, done: int, total: int) -> None:
        step, now = what.partition(":")[0], time.monotonic()
        if now - told.get(step, -math.inf) > 30:
            print(f"{what} ({done} of {total})" if done and total else what, flush=True)
            told[step] = now

    return tell
