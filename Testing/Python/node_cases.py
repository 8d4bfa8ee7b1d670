"""A node whose answers need no network: all else of it is real. Its parts run here, or it runs as a process to kill."""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import os
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import BaseServer

import numpy as np
import SimpleITK as sitk
from dicom_files import thigh_like
from exchange_cases import findings_on, study_datasets, write_all
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.transport import ThreadedAssociationServer

from DystrophyDxLib.exchange.folder import write_objects
from DystrophyDxLib.exchange.node.destinations import Destination, Peer
from DystrophyDxLib.exchange.node.files import NodeFiles
from DystrophyDxLib.exchange.node.node import Node
from DystrophyDxLib.exchange.node.receiver import Caller, Receiver
from DystrophyDxLib.exchange.node.records import Records
from DystrophyDxLib.exchange.node.thighs import AlreadyAnswered, ThighExport
from DystrophyDxLib.exchange.node.worker import LONGEST_S, Answer, Job, MakeClassify, Worker
from DystrophyDxLib.results import CaseResult
from DystrophyDxLib.series.reading import read_study

# pynetdicom's servers look twice a second whether they are to end, for which each test would wait, and collect garbage
# at each 59th time.
ThreadedAssociationServer.serve_forever = functools.partialmethod(BaseServer.serve_forever, 0.02)
ThreadedAssociationServer.service_actions = BaseServer.service_actions
QUIET_S = 0.3
PAUSES_S = 0.1, 0.4
ANSWER_S = 1.0
"""How long a sender waits for an answer, where the node may be killed: it does not notice, and waits to the end."""
LOOPBACK = "127.0.0.1"


class Tiny:
    """Reads a study and writes the objects of an answer that is another one each time, so that objects of two
    answers are never the same."""

    def __call__(self, job: Job) -> Answer:
        series = read_study(job.images)
        export = ThighExport(job.images, job.answered)
        try:
            export.check(series)
        except AlreadyAnswered:
            return Answer("same", export.digest)
        job.out.mkdir()
        png = job.out / "overview.png"
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((8, 8, 3), np.uint8), isVector=True), str(png))
        drawn = random.SystemRandom().random()
        case = CaseResult(probability=drawn, ci95=(0, 1), label="indeterminate", threshold=0.5, reason="Drawn.")
        write_objects(export.source, findings_on(series, case=case), png, job.out / "dicom")
        return Answer("answered", export.digest)


def study(slices: int = 3, **attributes) -> list[Dataset]:
    """Images of one new study."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "BodyPartExamined": "LEG"}
    return study_datasets(thigh_like(slices), **(uids | attributes))


@functools.cache
def warm() -> None:
    """Has highdicom read its tables of the standard, so that not each process does that is forked from this one."""
    if multiprocessing.parent_process() is not None:
        return
    with tempfile.TemporaryDirectory() as place:
        write_all(Path(place), study(1))


@contextlib.contextmanager
def running(
    folder: Path,
    destination: Destination,
    make=Tiny,
    port: int = 0,
    callers: Sequence[Caller] = (),
    most_bytes: int = 10**9,
    longest_s: float = 60.0,
    quiet_s: float = QUIET_S,
    tls=None,
) -> Iterator[RunningNode]:
    """A node on loopback, until the block ends."""
    warm()
    files = NodeFiles(folder, most_bytes, free_bytes=0)
    records = Records(files.database)
    node = Node(files, records, Worker(make, "fork", longest_s), destination, quiet_s, 3600, PAUSES_S)
    receiver = Receiver(files, "NODE", callers)
    try:
        node.start()
        yield RunningNode(receiver.start(LOOPBACK, port, tls), node, receiver, records, folder)
    finally:
        receiver.stop()
        node.stop()
        records.close()
        files.close()


@dataclass(frozen=True)
class RunningNode:
    """What tests use of a node."""

    port: int
    node: Node
    receiver: Receiver
    records: Records
    folder: Path

    def wait(self, count: int = 1, state: str = "answered") -> None:
        """Until so many studies are in this state, with nothing left to send."""
        wait_until(lambda: sum(told.state == state for told in self.records.told()) >= count)
        wait_until(lambda: not self.records.to_send())


def free_port() -> int:
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return one.getsockname()[1]


def wait_until(true, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "It does not happen."
        time.sleep(0.02)


@dataclass
class Archive:
    """Stores objects in memory, as a PACS does.

    Attributes:
        answers: statuses that it gives before all others.
        got: number of times that it was given each object, by SOP Instance UID.
        study_of: of each object.
    """

    answers: list[int] = field(default_factory=list)
    got: Counter = field(default_factory=Counter)
    study_of: dict[str, str] = field(default_factory=dict)
    port: int = 0

    @contextlib.contextmanager
    def open(self, kinds=AllStoragePresentationContexts, tls=None) -> Iterator[Archive]:
        ae = AE("ARCHIVE")
        for context in kinds:
            ae.add_supported_context(context.abstract_syntax)
        ae.add_supported_context("1.2.840.10008.1.1")
        handlers = [(evt.EVT_C_STORE, self._store)]
        server = ae.start_server((LOOPBACK, self.port), block=False, evt_handlers=handlers, ssl_context=tls)
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            ae.shutdown()

    def _store(self, event: evt.Event) -> int:
        if self.answers:
            return self.answers.pop(0)
        uid = str(event.request.AffectedSOPInstanceUID)
        self.got[uid] += 1
        self.study_of[uid] = str(event.dataset.StudyInstanceUID)
        return 0

    @property
    def peer(self) -> Peer:
        return Peer("ARCHIVE", LOOPBACK, self.port, "NODE")


def store(
    port: int, images: Sequence[Dataset], title: str = "SENDER", tls_args=None, answer_s: float = 30.0
) -> list[int | None]:
    """Sends images in one association; gives the status of each, None where the connection ended."""
    ae = AE(title)
    ae.dimse_timeout = answer_s
    for kind in {(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID) for ds in images}:
        ae.add_requested_context(*kind)
    association = ae.associate(LOOPBACK, port, tls_args=tls_args)
    if not association.is_established:
        return [None] * len(images)
    statuses = []
    try:
        for ds in images:
            try:
                statuses.append(association.send_c_store(ds).get("Status") if association.is_established else None)
            except (RuntimeError, ValueError):
                statuses.append(None)
    finally:
        if association.is_established:
            association.release()
    return statuses


def forking_processes(*modules: str) -> multiprocessing.context.ForkServerContext:
    """Starts processes that have imported all of this, and further modules."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # the server looks nowhere else
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([Path(__file__).stem, *modules])
    return context


def run_for_ever(folder: Path, port: int, archive: int, quiet_s: float, make: MakeClassify = Tiny) -> None:
    """A node as a process of its own, which only a kill ends."""
    logging.getLogger("dystrophydx.node").setLevel(logging.CRITICAL)
    with running(folder, Peer("ARCHIVE", LOOPBACK, archive, "NODE"), make, port, longest_s=LONGEST_S, quiet_s=quiet_s):
        threading.Event().wait()
