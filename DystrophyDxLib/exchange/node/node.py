"""The node: studies come in, become quiet, are classified in another process, and their objects go out.

What it is about to do is written down before, and what it has done after: wherever it is killed, the next start goes on
there. An object may be sent twice around a kill, and is the same object then.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ...errors import InputError
from .destinations import Destination, Unreachable
from .files import NodeFiles, NoRoom
from .records import Records
from .worker import Answer, Job, Stopped, Worker, WorkerDied

log = logging.getLogger("dystrophydx.node")
MOST_CRASHES = 3
"""Crashes of the classification of one study after which it is kept."""
PAUSES_S = 5.0, 600.0
"""First and longest pause before the destination is tried again; each is twice the one before."""
_STEP_S = 0.2
_AFTER_FAULT_S = 10.0
_UID = re.compile(r"\d+(\.\d+){3,}")
OBJECTS = "dicom"
"""Folder of the objects in that of a classification's results."""


class Node:
    """Everything of a node but its receiving end.

    Args:
        files, records: of the node's folder.
        worker: classifies.
        destination: takes the objects.
        quiet_s: seconds without a new image after which a study is whole.
        keep_s: seconds for which a study is kept when all is done.
        pauses_s: see `PAUSES_S`.
        stop: set by others when the work is to end.
    """

    def __init__(
        self,
        files: NodeFiles,
        records: Records,
        worker: Worker,
        destination: Destination,
        quiet_s: float,
        keep_s: float,
        pauses_s: tuple[float, float] = PAUSES_S,
        stop: threading.Event | None = None,
    ) -> None:
        self._files, self._records, self._worker, self._destination = files, records, worker, destination
        self._quiet_s, self._keep_s, self._pauses_s = quiet_s, keep_s, pauses_s
        self._stop = stop or threading.Event()
        self._to_send = threading.Event()
        self._threads: list[threading.Thread] = []
        files.forget_oldest = self._forget_oldest
        for study in set(records.contents()) - set(files.studies()):
            if not records.waits(study):
                records.forget(study)
        files.await_changed(records.contents())
        records.note_destination("")

    def start(self) -> None:
        """Loads the model, then works in threads of its own until `stop`.

        Raises:
            InputError: the model cannot be loaded.
            WorkerDied, Stopped: meanwhile.
        """
        self._worker.start(self._stop)
        self._to_send.set()
        for work in (self._classify_next, self._send_all):
            self._threads.append(threading.Thread(target=self._steadily, args=(work,), daemon=True))
            self._threads[-1].start()

    def stop(self) -> None:
        """Ends the work; what is not done is done after the next start."""
        self._stop.set()
        self._to_send.set()
        for thread in self._threads:
            thread.join()
        self._worker.close()

    def tidy(self) -> None:
        """What is to be done now and then: forgets what was kept long enough, and removes what was left."""
        self._files.tidy_incoming()
        for study in list(self._records.finished(time.time() - self._keep_s)):
            self._forget(study)

    def _steadily(self, work: Callable[[], None]) -> None:
        """Goes on with the work whatever happens in it, such as a full disk under the database."""
        while not self._stop.is_set():
            try:
                work()
            except Stopped:
                return
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                log.error("unexpected %s in %s line %s", type(error).__name__, Path(where.filename).name, where.lineno)
                self._stop.wait(_AFTER_FAULT_S)

    def _classify_next(self) -> None:
        study = self._files.quiet(self._quiet_s)
        if study is None:
            self._stop.wait(_STEP_S)
            return
        place = self._files.workplace()
        try:
            self._classify(study, place / "result")
        finally:
            self._files.clear_workplace(place)
        self._to_send.set()

    def _classify(self, study: str, out: Path) -> None:
        began, arrived = time.monotonic(), self._files.arrived(study)
        with self._files.lock:
            content = self._files.content(study)
        job = Job(self._files.images(study), out, tuple(self._records.answered(study)))
        try:
            answer = self._worker.classify(job, self._stop)
        except (WorkerDied, InputError):
            if (crashes := self._records.count_crash(study)) < MOST_CRASHES:
                log.warning("study %s: the classification crashed; it is tried again", study)
                self._files.defer(study)
                return
            answer = Answer("kept", reason=f"The classification crashed {crashes} times.")
        try:
            with self._files.lock:
                if self._files.arrived(study) == arrived:
                    self._keep(study, content, job, answer, time.monotonic() - began)
                    self._files.settled(study)
                else:
                    log.info("study %s: images came while it was classified; it waits again", study)
        except NoRoom:
            log.error("study %s: no room on the disk for its objects; it is tried again", study)
            self._files.defer(study)

    def _keep(self, study: str, content: str, job: Job, answer: Answer, took_s: float) -> None:
        if answer.kind == "kept":
            reason = _UID.sub("…", answer.reason)
            self._records.keep_reason(study, content, reason)
            log.warning("study %s: not classified: %s", study, reason)
            return
        paths = self._files.put_out(job.out / OBJECTS) if answer.kind == "answered" else []
        self._records.keep_answer(study, content, answer.digest, paths)
        said = f"classified in {took_s:.1f} s, {len(paths)} objects" if paths else "its answer stays as it is"
        log.info("study %s: %s.%s", study, said, f" {answer.reason}" if answer.reason else "")

    def _send_all(self) -> None:
        """Sends what waits; then waits for more, or after a failure for a pause, which grows."""
        pause = 0.0
        while not self._stop.is_set():
            self._to_send.clear()
            failed = self._send_once()
            with self._files.lock:
                self._files.clear_outbox([path for path, _ in self._records.to_send()])
            if failed:
                pause = min(max(self._pauses_s[0], 2 * pause), self._pauses_s[1])
                log.warning("the destination is tried again in %.0f s: %s", pause, failed)
                self._stop.wait(pause)
            else:
                pause = 0.0
                self._to_send.wait()

    def _send_once(self) -> str:
        """Tries all that waits once; gives why something still waits, where the destination takes nothing or says so of
        each object."""
        waiting = dict(self._records.to_send())
        for path in [path for path in waiting if not path.is_file()]:
            self._records.note(path, "refused", "Its file is gone.")
            log.error("study %s: the file of an object is gone", waiting.pop(path))
        if not waiting:
            return ""
        failed, sent = "", False
        try:
            for outcome in self._destination.send(list(waiting)):
                self._records.note(outcome.path, outcome.state, outcome.reason)
                if outcome.state == "waiting":
                    failed = outcome.reason
                    continue
                sent = True
                study = waiting[outcome.path]
                if outcome.state == "refused":
                    log.warning("study %s: an object was refused: %s", study, outcome.reason)
                if not self._records.waits(study):
                    log.info("study %s: sent", study)
                if self._stop.is_set():
                    return ""
        except Unreachable as error:
            failed = str(error)
        self._records.note_destination(failed)
        if failed and not sent:
            return failed
        if failed:
            self._to_send.set()
        return ""

    def _forget_oldest(self) -> bool:
        return any(self._forget(study) for study in self._records.finished())

    def _forget(self, study: str) -> bool:
        """Forgets a study, unless images of it wait."""
        with self._files.lock:
            if self._files.arrived(study) is not None:
                return False
            self._files.remove(study, lambda: self._records.forget(study))
        return True
