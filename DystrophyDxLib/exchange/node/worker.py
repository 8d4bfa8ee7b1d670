"""The process that classifies for a node, with a model that stays loaded: what kills it leaves the node alive."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal, NamedTuple

from ...errors import InputError

LONGEST_S = 1800.0
"""Time after which a classification hangs, and is ended."""
MOST_JOBS = 100
"""Studies after which another process takes over, whatever libraries have kept of them in memory."""


class Job(NamedTuple):
    """What is to be classified.

    Attributes:
        images: folder of a study.
        out: folder that is made for the results.
        answered: digests of images that are answered already.
    """

    images: Path
    out: Path
    answered: tuple[str, ...]


class Answer(NamedTuple):
    """What became of a job.

    Attributes:
        kind: "answered" with results in `Job.out`; "same" where these images are answered already; "kept" where the
            study cannot be classified.
        digest: of the images that were classified.
        reason: why the study is kept, or what is to be told of an answer.
    """

    kind: Literal["answered", "same", "kept"]
    digest: str = ""
    reason: str = ""


class WorkerDied(Exception):
    """The process has ended, or was ended as it hung."""


class Stopped(Exception):
    """The node ends; nothing is lost by it."""


Classify = Callable[[Job], Answer]
MakeClassify = Callable[[], Classify]
_READY = "ready"


class Worker:
    """One process at a time, started when it is needed.

    Args:
        make: called in the process; loads the model and returns what classifies. It raises `InputError` where that is
            not possible.
        method: how the process is started, one of `multiprocessing`'s.
        longest_s, most_jobs: see `LONGEST_S` and `MOST_JOBS`.
    """

    def __init__(
        self, make: MakeClassify, method: str = "spawn", longest_s: float = LONGEST_S, most_jobs: int = MOST_JOBS
    ) -> None:
        self._make, self._method, self._longest_s, self._most_jobs = make, method, longest_s, most_jobs
        self._jobs = 0
        self._process: BaseProcess | None = None
        self._connection: Connection

    def start(self, stop: threading.Event) -> None:
        """Starts the process and waits until its model is loaded; does nothing where it runs.

        Raises:
            InputError: the model cannot be loaded.
            WorkerDied, Stopped: meanwhile.
        """
        if self._process is not None and self._process.is_alive():
            return
        self.close()
        context = multiprocessing.get_context(self._method)
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._make), daemon=True)  # type: ignore[attr-defined]
        self._process.start()
        theirs.close()
        if (said := self._answer(stop)) != _READY:
            self.close()
            raise InputError(str(said))

    def classify(self, job: Job, stop: threading.Event) -> Answer:
        """Classifies a study.

        Raises:
            InputError, WorkerDied, Stopped: as `start`.
        """
        if self._jobs >= self._most_jobs:
            self.close()
        self.start(stop)
        self._jobs += 1
        with contextlib.suppress(OSError):  # it has died; `_answer` says so
            self._connection.send(job)
        return self._answer(stop)  # type: ignore[return-value]

    def close(self) -> None:
        """Ends the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process, self._jobs = None, 0

    def _answer(self, stop: threading.Event) -> Answer | str:
        began = time.monotonic()
        try:
            while not self._connection.poll(0.2):
                if stop.is_set():
                    self.close()
                    raise Stopped
                if time.monotonic() - began > self._longest_s:
                    raise EOFError
            return self._connection.recv()
        except (EOFError, OSError):
            self.close()
            raise WorkerDied from None


def _serve(connection: Connection, make: MakeClassify) -> None:
    """The process: one job after the other, until the node ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the node, which ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        classify = make()
    except InputError as error:
        connection.send(str(error))
        return
    connection.send(_READY)
    with contextlib.suppress(EOFError):
        while True:
            connection.send(_classified(classify, connection.recv()))


def _classified(classify: Classify, job: Job) -> Answer:
    try:
        return classify(job)
    except InputError as error:
        return Answer("kept", reason=str(error))
    except MemoryError:
        return Answer("kept", reason="The memory of this computer is not enough for this study.")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        at = f"{Path(where.filename).name} line {where.lineno}"
        return Answer("kept", reason=f"Unexpected {type(error).__name__} in {at}; please report this line.")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
