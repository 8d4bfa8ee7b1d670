"""One process at a time for a reader, without locks of the operating system, which network shares do not always have.

Who holds the reader's file has the one row of its table `lease` and counts `beat` on with everything that is written,
and at least every `BEAT_SECONDS`. After a crash the row stays; whoever comes next on the same computer, where it can be
told from others of its name, sees that the process is gone, on another one that the beat stands still for
`PATIENCE_SECONDS` of his or her own clock: clocks are never compared. Every writing transaction first looks whether the
row is still its own, so even a process that was thought dead, such as on a computer that slept, cannot write beside its
successor.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import time
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import InputError
from .database import plain_errors, transaction

BEAT_SECONDS = 5.0
PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class _Holder:
    """The row of the table `lease`; `host` is what `_host` gives."""

    token: str
    host: str
    process: int
    beat: int

    @property
    def gone(self) -> bool:
        """Whether its process surely does not live any more."""
        if self.host != _host() or " " not in self.host:
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


class Lease:
    """The right to write into a reader's file."""

    def __init__(self, database: sqlite3.Connection, token: str) -> None:
        self._database = database
        self._token = token

    @classmethod
    def take(cls, database: sqlite3.Connection, reader: str) -> Lease:
        """Takes the lease: at once where it is free, and within `PATIENCE_SECONDS` where its holder died.

        Raises:
            InputError: the reader is signed in elsewhere.
        """
        seen = _holder(database)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while seen and not seen.gone and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            now = _holder(database)
            if now not in (seen, None):
                raise _elsewhere(reader, now.host)
            seen = now
        token = uuid.uuid4().hex
        with transaction(database, write=True):
            now = _holder(database)
            if now not in (seen, None):
                raise _elsewhere(reader, now.host)
            database.execute(
                "REPLACE INTO lease (one, token, host, process, beat) VALUES (1, ?, ?, ?, 0)",
                (token, _host(), os.getpid()),
            )
        return cls(database, token)

    def renew(self) -> None:
        """Counts the beat on, within a writing transaction.

        Raises:
            InputError: somebody else has taken the lease.
        """
        if self._database.execute("UPDATE lease SET beat = beat + 1 WHERE token = ?", (self._token,)).rowcount != 1:
            raise InputError(
                "The reader has signed in elsewhere meanwhile and nothing was saved; sign out there and in again here."
            )

    def release(self) -> None:
        """Gives the lease back, where it was not taken by somebody else."""
        with transaction(self._database, write=True):
            self._database.execute("DELETE FROM lease WHERE token = ?", (self._token,))


def _holder(database: sqlite3.Connection) -> _Holder | None:
    with plain_errors():
        row = database.execute("SELECT token, host, process, beat FROM lease").fetchone()
    return row and _Holder(*row)


@cache
def _host() -> str:
    """Name of this computer, and behind a blank what tells it, as it runs now, from all others, and its container from
    others on it.

    Only Linux tells that; elsewhere the name stands alone, and the beat decides: clones of a computer have one name.
    """
    name = socket.gethostname().replace(" ", "-")
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{name} {boot} {os.readlink('/proc/self/ns/pid')}"
    except (OSError, ValueError):
        return name


def _elsewhere(reader: str, host: str) -> InputError:
    computer = host.partition(" ")[0]
    return InputError(f"Reader {reader} is signed in already, on the computer {computer}; sign out there first.")
