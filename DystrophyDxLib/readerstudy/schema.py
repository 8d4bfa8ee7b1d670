"""The tables of a reader's file, the locks on what was submitted, and how older files are brought up to date."""

from __future__ import annotations

import sqlite3

from ..errors import InputError
from .database import transaction

APPLICATION_ID = 0x44445852
"""Of the file's header ("DDXR"), which tells it from other SQLite files."""


def _locks(*tables: str) -> tuple[str, ...]:
    return tuple(
        f"""CREATE TRIGGER {table}_keeps_{change} BEFORE {change} ON {table}
            BEGIN SELECT RAISE(ABORT, 'what was submitted is not changed'); END"""
        for table in tables
        for change in ("UPDATE", "DELETE")
    )


MIGRATIONS = (
    (
        """CREATE TABLE study (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            protocol_sha256 TEXT NOT NULL,
            reader TEXT NOT NULL)""",
        """CREATE TABLE presentation (
            number INTEGER PRIMARY KEY,
            session INTEGER NOT NULL,
            position INTEGER NOT NULL,
            case_code TEXT NOT NULL,
            arm TEXT NOT NULL CHECK (arm IN ('unaided', 'aided', 're-read')),
            repeat INTEGER NOT NULL CHECK (repeat IN (0, 1)),
            UNIQUE (session, case_code, arm, repeat))""",
        """CREATE TABLE answer (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            presentation INTEGER NOT NULL REFERENCES presentation,
            revision INTEGER NOT NULL CHECK (revision >= 0),
            reason TEXT CHECK ((reason IS NULL) = (revision = 0)),
            decision INTEGER NOT NULL CHECK (decision IN (0, 1)),
            confidence INTEGER NOT NULL CHECK (confidence BETWEEN 0 AND 100),
            subtype TEXT,
            quality INTEGER CHECK (quality BETWEEN 1 AND 5),
            comment TEXT NOT NULL,
            seconds REAL CHECK ((seconds IS NULL) = (revision > 0)),
            slices_seen INTEGER CHECK ((slices_seen IS NULL) = (revision > 0)),
            at TEXT NOT NULL,
            digest TEXT NOT NULL,
            UNIQUE (presentation, revision))""",
        """CREATE TABLE grade (
            answer INTEGER NOT NULL REFERENCES answer,
            muscle TEXT NOT NULL,
            side TEXT NOT NULL CHECK (side IN ('left', 'right')),
            grade TEXT NOT NULL CHECK (grade IN ('0', '1', '2a', '2b', '3', '4')),
            PRIMARY KEY (answer, muscle, side))""",
        """CREATE TABLE event (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            presentation INTEGER NOT NULL REFERENCES presentation,
            kind TEXT NOT NULL CHECK (kind IN ('shown', 'slice', 'window', 'pause', 'resume')),
            slice INTEGER CHECK ((slice IS NULL) = (kind <> 'slice')),
            low REAL CHECK ((low IS NULL) = (kind <> 'window')),
            high REAL CHECK ((high IS NULL) = (kind <> 'window')),
            seconds REAL NOT NULL,
            at TEXT NOT NULL)""",
        "CREATE TABLE draft (presentation INTEGER PRIMARY KEY REFERENCES presentation, content TEXT NOT NULL)",
        """CREATE TABLE lease (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            token TEXT NOT NULL,
            host TEXT NOT NULL,
            process INTEGER NOT NULL,
            beat INTEGER NOT NULL)""",
        *_locks("study", "presentation", "answer", "grade", "event"),
    ),
    (
        """CREATE TABLE imported (
            presentation INTEGER PRIMARY KEY REFERENCES presentation,
            deviation TEXT NOT NULL)""",
        *_locks("imported"),
    ),
)
"""Statements that lead from each version of the schema to the next. The version is the file's `user_version`."""


def make_tables(database: sqlite3.Connection) -> None:
    """Makes all tables and locks in an empty file, within a writing transaction."""
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    _migrate(database, 0)


def bring_up_to_date(database: sqlite3.Connection) -> None:
    """Applies the migrations that the file lacks."""
    with transaction(database, write=False):
        ((kind,), (version,)) = (
            database.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
    if kind != APPLICATION_ID:
        raise InputError("The file of the reader's answers is of another program; restore it from a backup.")
    if version > len(MIGRATIONS):
        raise InputError("The reader's answers were written by a newer version of DystrophyDx; update this one.")
    if version < len(MIGRATIONS):
        with transaction(database, write=True):
            (version,) = database.execute("PRAGMA user_version").fetchone()
            _migrate(database, version)


def _migrate(database: sqlite3.Connection, version: int) -> None:
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            database.execute(statement)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def is_intact(database: sqlite3.Connection) -> bool:
    """Whether tables and locks are those that this program makes, and their rows belong together."""
    unchanged = _schema(database) == _expected_schema()
    return unchanged and database.execute("PRAGMA foreign_key_check").fetchone() is None


def _schema(database: sqlite3.Connection) -> list[tuple[str, str]]:
    return database.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_stat%' ORDER BY name"
    ).fetchall()


def _expected_schema() -> list[tuple[str, str]]:
    database = sqlite3.connect(":memory:")
    try:
        _migrate(database, 0)
        return _schema(database)
    finally:
        database.close()
