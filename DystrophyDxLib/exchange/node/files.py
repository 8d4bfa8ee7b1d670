"""The files of a node: what a sender was told is stored is on the disk, whatever is killed when, and never more than
the disk may hold.

Names tell nobody anything: they are hashes of UIDs with a key that never leaves the folder.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import hmac
import os
import secrets
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

from ...errors import InputError

FREE_BYTES = 1 << 30
"""Room on the disk that a node leaves to others."""
FORGOTTEN_S = 600.0
"""Age from which a file that nobody writes any more is one of a broken association."""
DATABASE, STUDIES = "node.sqlite3", "studies"
_INCOMING, _OUTBOX, _WORK, _BIN = "incoming", "outbox", "work", "bin"
_LOCK = "lock.sqlite3"
_LOOK_S, _START_S = 0.05, 1.0
"""How long who only looks whether a node works here waits for the lock, and a node that starts: for who looks."""
_LISTENS = "listens"
Condition = Literal["listens", "loads", "stopped"]
"""Of a node: senders reach it; its model is loaded, and they do not reach it yet; nobody works on the folder."""


class NoRoom(Exception):
    """The disk, or the node's share of it, is full."""


class NodeFiles:
    """The folder of one node, which only its user can read:

    - `incoming`: what is received just now.
    - `studies/NAME`: images of a study, a file each.
    - `outbox/TOKEN`: objects of an answer.
    - `work`, `bin`: what is being written, and removed.
    - `listens`: is there as long as senders reach the node.

    Args:
        folder: is made.
        most_bytes: of images and objects together.
        free_bytes: that are left on the disk.

    Raises:
        InputError: the folder cannot be used, or another node uses it.
    """

    def __init__(self, folder: Path, most_bytes: int, free_bytes: int = FREE_BYTES) -> None:
        self._folder, self._most, self._free = folder.resolve(), most_bytes, free_bytes
        self.lock = threading.RLock()
        self.forget_oldest: Callable[[], bool] = bool
        """Removes what is needed least, where there is no room; tells whether there was something."""
        self._arrived: dict[str, float] = {}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._only_here = _only_process(self._folder / _LOCK, _START_S)
            self.listens(False)
            for name in (_INCOMING, _WORK, _BIN):
                shutil.rmtree(self._folder / name, ignore_errors=True)
            for name in (_INCOMING, STUDIES, _OUTBOX, _WORK, _BIN):
                (self._folder / name).mkdir(mode=0o700, exist_ok=True)
            self._key = node_key(self._folder)
        except OSError:
            raise InputError(
                f"The node's folder {folder} cannot be used; check the place and its permissions."
            ) from None
        self.used = sum(_size(self._folder / name) for name in (STUDIES, _OUTBOX))

    @property
    def database(self) -> Path:
        """Of `Records`."""
        return self._folder / DATABASE

    @property
    def incoming(self) -> Path:
        """The folder for what is received just now, on the disk of all others."""
        return self._folder / _INCOMING

    def name_of(self, uid: str) -> str:
        """The name of a study or an image."""
        return name_of(self._key, uid)

    def listens(self, is_so: bool) -> None:
        """Notes, for the status, whether senders reach the node."""
        note = self._folder / _LISTENS
        note.touch() if is_so else note.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets another node use the folder."""
        self._only_here.close()

    def take(self, file: Path, study_uid: str, image_uid: str) -> None:
        """Keeps a received file of `incoming`, so that it survives a power cut; one that is there already is kept once.

        Raises:
            NoRoom: also where the disk says so.
        """
        study = self.name_of(study_uid)
        folder = self._folder / STUDIES / study
        target = folder / f"{self.name_of(image_uid)}.dcm"
        try:
            with self.lock:
                if not (target.exists() and filecmp.cmp(file, target, shallow=False)):
                    size = file.stat().st_size
                    self.reserve(size)
                    sync(file)
                    folder.mkdir(mode=0o700, exist_ok=True)
                    size -= target.stat().st_size if target.exists() else 0
                    os.replace(file, target)
                    self.used += size
                    self._arrived[study] = time.monotonic()
                sync(folder)
                sync(folder.parent)
        except OSError:
            raise NoRoom from None

    def reserve(self, size: int) -> None:
        """Makes room for so many bytes.

        Raises:
            NoRoom: there is none.
        """
        with self.lock:
            while self.used + size > self._most or shutil.disk_usage(self._folder).free < size + self._free:
                if not self.forget_oldest():
                    raise NoRoom

    @property
    def overflows(self) -> bool:
        """Whether what is received just now is more than there is room for."""
        return self.used + _size(self.incoming) > self._most

    def tidy_incoming(self) -> None:
        """Removes what broken associations left."""
        for path in self.incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > FORGOTTEN_S:
                    path.unlink()

    def await_changed(self, contents: Mapping[str, str]) -> None:
        """Lets studies whose images are others than those of `contents` wait for their quiet; for the start of a node.

        Args:
            contents: by study, what `content` said when it was worked on.
        """
        now = time.monotonic()
        self._arrived |= {name: now for name in self.studies() if self.content(name) != contents.get(name)}

    def quiet(self, seconds: float) -> str | None:
        """The study that has been waiting longest of those to which nothing has been added for so long."""
        with self.lock:
            first = min(self._arrived, key=self._arrived.__getitem__, default=None)
        return first if first and time.monotonic() - self._arrived[first] >= seconds else None

    def arrived(self, study: str) -> float | None:
        """When the last image of a study came that is not worked on yet, by a clock of its own."""
        return self._arrived.get(study)

    def defer(self, study: str) -> None:
        """Lets a study wait for its quiet again, behind the others."""
        self._arrived[study] = time.monotonic()

    def settled(self, study: str) -> None:
        """Takes a study from those that wait."""
        self._arrived.pop(study, None)

    def studies(self) -> list[str]:
        """Names of all studies that have images here."""
        return sorted(path.name for path in (self._folder / STUDIES).iterdir())

    def images(self, study: str) -> Path:
        """The folder of a study's images."""
        return self._folder / STUDIES / study

    def content(self, study: str) -> str:
        """Digest of which images a study has."""
        return content_of(self.images(study))

    def workplace(self) -> Path:
        """A new folder in `work`."""
        place = self._folder / _WORK / secrets.token_hex(8)
        place.mkdir()
        return place

    @staticmethod
    def clear_workplace(place: Path) -> None:
        """Removes it with all that a classification, also one that was killed, left there."""
        shutil.rmtree(place, ignore_errors=True)

    def put_out(self, objects: Path) -> list[Path]:
        """Makes a folder of objects durable in the outbox.

        Returns:
            Their paths there.

        Raises:
            NoRoom: there is no room for them.
        """
        size = _size(objects)
        with self.lock:
            self.reserve(size)
            for path in objects.iterdir():
                sync(path)
            sync(objects)
            target = self._folder / _OUTBOX / secrets.token_hex(8)
            objects.rename(target)
            sync(target.parent)
            self.used += size
        return sorted(target.iterdir())

    def clear_outbox(self, waiting: Iterable[Path]) -> None:
        """Removes answers of which no object waits; with the lock held since it was found out which do."""
        for folder in set((self._folder / _OUTBOX).iterdir()) - {path.parent for path in waiting}:
            self.used -= _size(folder)
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, study: str, meanwhile: Callable[[], None]) -> None:
        """Removes the images of a study: at once for all who look, then, after `meanwhile`, from the disk."""
        binned = self._folder / _BIN / secrets.token_hex(8)
        with self.lock:
            if self.images(study).exists():
                self.used -= _size(self.images(study))
                self.images(study).rename(binned)
                sync(binned.parent)
                sync(self._folder / STUDIES)
            meanwhile()
            shutil.rmtree(binned, ignore_errors=True)


def node_key(folder: Path) -> bytes:
    """The key of a node's names, which is made where there is none.

    Raises:
        OSError: it cannot be read or written.
    """
    path = folder / "key"
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(secrets.token_bytes(32))
        sync(Path(file.name))
        os.replace(file.name, path)
        sync(folder)
    return path.read_bytes()


def condition(folder: Path) -> Condition:
    """What the node of a folder does."""
    try:
        _only_process(folder / _LOCK, _LOOK_S).close()
    except InputError:
        return "listens" if (folder / _LISTENS).exists() else "loads"
    return "stopped"


def name_of(key: bytes, uid: str) -> str:
    """A name that tells nobody without the key which UID it stands for."""
    return hmac.new(key, uid.encode(), "sha256").hexdigest()[:24]


def content_of(folder: Path) -> str:
    """Digest of which files a folder holds, by name, size and time of change."""
    files = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir())
    return hashlib.sha256(repr(files).encode()).hexdigest()


def sync(path: Path) -> None:
    """Waits until a file or folder is on the disk; systems without that for folders keep them by themselves."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _only_process(path: Path, wait_s: float) -> sqlite3.Connection:
    """A lock that every system has and that ends with the process.

    Raises:
        InputError: another process holds it.
    """
    lock = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        lock.close()
        raise InputError("Another node uses this folder; give each its own, or end the other.") from None
    return lock
