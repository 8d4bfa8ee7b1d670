"""Workers of an archive that classify nothing, and live in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
import time

from DystrophyDxLib.archive import engine
from DystrophyDxLib.archive.studies import Failure, Study
from DystrophyDxLib.archive.worker import Outcome, bound_memory


def by_value(worker: type) -> type:
    """A class of this file as other processes get it, which do not know the file."""
    engine.prepare(local=True)  # what Ray reads of the environment it reads once
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return worker


class Unruly:
    """A worker whose studies do what their names say."""

    def __init__(self) -> None:
        bound_memory(0.5)

    def run(self, study: Study, ahead: Study | None = None) -> Outcome:
        name = study.images.where
        if "hang" in name:
            time.sleep(600)
        if "die" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            if "eat" in name:
                bytearray(2 << 30)
        except MemoryError:
            return Outcome(None, Failure("memory", "Too much."))
        return Outcome(None, Failure("reading", name))


class Slow:
    """A worker that takes a moment, and answers with what it was given."""

    def run(self, study: Study, ahead: Study | None = None) -> Outcome:
        time.sleep(0.1)
        return Outcome(None, Failure("reading", f"{study.study} of {study.images.where}"))
