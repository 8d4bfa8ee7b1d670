"""What a node has done, in SQLite: a commit is on the disk before anything is done that rests on it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

StudyState = Literal["answered", "kept"]
"""Of a study: its objects are sent or wait for it; or it could not be classified."""
ObjectState = Literal["waiting", "sent", "refused"]
"""Of an object; the destination takes one that is refused neither now nor later."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS study (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    content TEXT NOT NULL DEFAULT '',
    answered TEXT NOT NULL DEFAULT '[]',
    crashes INTEGER NOT NULL DEFAULT 0,
    changed REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS object (
    path TEXT PRIMARY KEY,
    study TEXT NOT NULL REFERENCES study ON DELETE CASCADE,
    state TEXT NOT NULL DEFAULT 'waiting',
    reason TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS objects_of_study ON object (study, state);
CREATE TABLE IF NOT EXISTS destination (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    reason TEXT NOT NULL
);
"""
_UNSENT = "EXISTS (SELECT * FROM object WHERE object.study = study.name AND object.state = 'waiting')"


class Told(NamedTuple):
    """A study, as the status tells it.

    Attributes:
        reason: why it was not classified, or what the destination says of objects that it refuses.
        content: digest of the images that the state is about.
        objects: number of its objects by state.
    """

    name: str
    state: str
    reason: str
    content: str
    objects: dict[str, int]


class Records:
    """The database of a node; from several threads.

    Args:
        path: of the database, which is made.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON", "foreign_keys = ON"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        self._database.close()

    def contents(self) -> dict[str, str]:
        """By study, the digest of the images that its state is about."""
        return dict(self._rows("SELECT name, content FROM study"))

    def answered(self, study: str) -> list[str]:
        """Digests of the images of all answers that a study has."""
        rows = self._rows("SELECT answered FROM study WHERE name = ?", study)
        return json.loads(rows[0][0]) if rows else []

    def keep_answer(self, study: str, content: str, digest: str, objects: Collection[Path]) -> None:
        """Notes that a study is classified, and which objects are to be sent.

        Args:
            content: digest of the images that the study had.
            digest: of those that were classified.
            objects: their paths; none where the same images had been answered before.
        """
        digests = sorted({*self.answered(study), digest})
        with self._transaction():
            self._put(study, "answered", "", content, json.dumps(digests))
            self._database.executemany(
                "INSERT INTO object (path, study) VALUES (?, ?)", [(str(path), study) for path in objects]
            )

    def keep_reason(self, study: str, content: str, reason: str) -> None:
        """Notes why a study was not classified."""
        digests = json.dumps(self.answered(study))
        with self._transaction():
            self._put(study, "kept", reason, content, digests)

    def count_crash(self, study: str) -> int:
        """Notes that a classification of a study has crashed; gives how often since the last answer or reason."""
        with self._transaction():
            self._database.execute(
                "INSERT INTO study (name, crashes, changed) VALUES (?, 1, ?) "
                "ON CONFLICT (name) DO UPDATE SET crashes = crashes + 1",
                (study, time.time()),
            )
            return int(self._database.execute("SELECT crashes FROM study WHERE name = ?", (study,)).fetchone()[0])

    def to_send(self) -> list[tuple[Path, str]]:
        """Paths of objects that wait, with their studies; those that failed most come last."""
        rows = self._rows("SELECT path, study FROM object WHERE state = 'waiting' ORDER BY tries, rowid")
        return [(Path(path), study) for path, study in rows]

    def note(self, path: Path, state: ObjectState, reason: str = "") -> None:
        """Notes what became of the sending of an object; 'waiting' counts a try that failed."""
        with self._transaction():
            self._database.execute(
                "UPDATE object SET state = ?, reason = ?, tries = tries + 1 WHERE path = ?", (state, reason, str(path))
            )

    def waits(self, study: str) -> bool:
        """Whether objects of a study are to be sent."""
        return bool(self._rows("SELECT * FROM object WHERE study = ? AND state = 'waiting' LIMIT 1", study))

    def note_destination(self, reason: str) -> None:
        """Notes why the destination takes nothing at present; nothing where it does."""
        with self._transaction():
            self._database.execute("DELETE FROM destination")
            if reason:
                self._database.execute("INSERT INTO destination VALUES (1, ?)", (reason,))

    def destination(self) -> str:
        """What `note_destination` noted."""
        rows = self._rows("SELECT reason FROM destination")
        return rows[0][0] if rows else ""

    def finished(self, before: float | None = None) -> Iterator[str]:
        """Studies of which nothing is to be done any more, the oldest first.

        Args:
            before: that were done before this time, in seconds since 1970.
        """
        done = f"SELECT name FROM study WHERE state <> '' AND NOT {_UNSENT} AND changed < ? ORDER BY changed"
        yield from (name for (name,) in self._rows(done, time.time() + 1 if before is None else before))

    def forget(self, study: str) -> None:
        """Removes a study and its objects."""
        with self._transaction():
            self._database.execute("DELETE FROM study WHERE name = ?", (study,))

    def told(self) -> list[Told]:
        """All studies, the newest first."""
        objects: dict[str, dict[str, int]] = {}
        for study, state, number in self._rows("SELECT study, state, COUNT(*) FROM object GROUP BY study, state"):
            objects.setdefault(study, {})[state] = number
        refused: dict[str, str] = {}
        for study, reason in self._rows("SELECT DISTINCT study, reason FROM object WHERE state = 'refused'"):
            refused[study] = f"{refused.get(study, '')} {reason}".strip()
        rows = self._rows("SELECT name, state, reason, content FROM study ORDER BY changed DESC")
        return [
            Told(name, state, reason or refused.get(name, ""), content, objects.get(name, {}))
            for name, state, reason, content in rows
        ]

    def _put(self, study: str, state: StudyState, reason: str, content: str, answered: str) -> None:
        self._database.execute(
            "INSERT INTO study (name, state, reason, content, answered, changed) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET state = excluded.state, reason = excluded.reason, "
            "content = excluded.content, answered = excluded.answered, changed = excluded.changed, crashes = 0",
            (study, state, reason, content, answered, time.time()),
        )

    def _rows(self, query: str, *values: object) -> list[tuple]:
        with self._lock:
            return self._database.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
