"""SQLite as a reader's file needs it: durable commits, on a network share too, and errors that say what to do.

A rollback journal, since write-ahead logging needs memory that two computers cannot share (sqlite.org/wal.html), and
`synchronous=EXTRA`, so that an answer that was taken is there after a power cut.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError

BUSY_SECONDS = 10.0
"""How long one process waits until another has written."""
_PRAGMAS = (
    "journal_mode = DELETE",
    "synchronous = EXTRA",
    "fullfsync = ON",
    "foreign_keys = ON",
    "trusted_schema = OFF",
)
_DAMAGED = "The file of the reader's answers is damaged; restore it from a backup."
_TOLD = {
    "full": "The disk of the study folder is full and nothing was saved; free space on it and try again.",
    "disk I/O error": "The study folder cannot be written and nothing was saved; check its disk, free space and network"
    " connection, then try again.",
    "readonly": "The file of the reader's answers is write-protected; allow this user to change it and its folder.",
    "unable to open": "The file of the reader's answers cannot be opened; check the study folder and its permissions.",
    "locked": "Another program keeps the file of the reader's answers busy and nothing was saved; close it, then try"
    " again.",
    "UNIQUE constraint failed: answer": "This answer is saved already; sign out and in again to go on.",
    "malformed": _DAMAGED,
    "not a database": _DAMAGED,
}
"""What to do, by what SQLite says."""


def connect(path: Path) -> sqlite3.Connection:
    """Opens the database at `path`, which is made where it is not there; statements commit one by one outside
    `transaction`.

    Raises:
        InputError: it cannot be opened or is no database.
    """
    with plain_errors():
        database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            for pragma in _PRAGMAS:
                database.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            database.close()
            raise
    return database


@contextlib.contextmanager
def transaction(database: sqlite3.Connection, *, write: bool) -> Iterator[None]:
    """All that is done within takes place as a whole, or not at all where something is raised. Without `write`, all
    that is read is of one moment.

    Raises:
        InputError: the database cannot be read or written.
    """
    with plain_errors():
        database.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Turns SQLite's errors of disk, share and file into an `InputError`; others are errors of this program."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        for said, told in _TOLD.items():
            if said in str(error):
                raise InputError(told) from None
        raise
