"""A crew that stands in for the workers of a cluster, and lives in the process of the test."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from DystrophyDxLib.archive.crew import PartWorker, by_workers
from DystrophyDxLib.archive.schedule import Event


class InProcess:
    """Workers in this process, of which the last that was given something is always the first to be done."""

    def __init__(self, make, deadly) -> None:
        self.make, self.deadly, self.workers, self.told = make, deadly, {}, []

    def start(self):
        worker = len(self.workers)
        self.workers[worker] = self.make()
        self.told.append(Event(worker))
        return worker

    def give(self, worker, study, ahead):
        if study.study == self.deadly:
            self.told.append(Event(worker, ended="The process ended."))
        else:
            self.told.append(Event(worker, self.workers[worker].run(study, ahead)))

    def events(self, wait_s):
        return [self.told.pop()]

    def end(self, worker):
        raise AssertionError("nothing takes long")


@dataclass(frozen=True)
class Elsewhere:
    """A crew that is no cluster: what it is given has gone through a pipe, and its own folder is another one.

    Attributes:
        deadly: number of the part that ends its process.
    """

    folder: Path
    deadly: str = ""
    elsewhere = True

    def each(self, maker, parts, device="cpu"):
        maker, parts = pickle.loads(pickle.dumps((maker, list(parts))))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            made = list(by_workers(InProcess(partial(PartWorker, maker), self.deadly), 2, parts))
        return iter(made)
