"""Names that tell no identity: a keyed hash, whose key stays with the user."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from ..errors import InputError
from ..files.small_files import read_bytes
from ..files.spreadsheet import spelling_key

LEAST_KEY = 16
"""Characters of a key at least."""
_DIGITS = 16
_LARGEST = 4096


class Pseudonyms:
    """Pseudonyms of patients, studies and series by HMAC-SHA-256 (RFC 2104).

    Who has the key can make the pseudonym of a patient and find the rows; without it nobody can try out identities.

    >>> one, other = Pseudonyms(b"a key of sixteen"), Pseudonyms(b"another key of 16")
    >>> one.patient("Pat 007") == one.patient("pat 7"), one.patient("Pat 007") == other.patient("Pat 007")
    (True, False)

    Args:
        key: secret.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def with_key(cls, path: Path, *, make: bool) -> Pseudonyms:
        """Those of the key in a file.

        Args:
            make: whether it is made, for the user alone to read, where it is not there; a dataset that has pseudonyms
                has its key already.

        Raises:
            InputError: the file is not there, cannot be read or made, or holds too short a key.
        """
        if not make and not path.is_file():
            raise InputError(f"The key of the dataset's pseudonyms is not at {path}; give it with --key.")
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(secrets.token_hex(32) + "\n")
            key = read_bytes(path, _LARGEST).strip()
        except OSError:
            raise InputError(f"The key {path} can be neither read nor made; check its place and permissions.") from None
        if len(key) < LEAST_KEY:
            raise InputError(f"The key in {path} is shorter than {LEAST_KEY} characters; give a longer one.")
        return cls(key)

    @property
    def fingerprint(self) -> str:
        """What tells this key from another one, and nothing else."""
        return self._hash("key", "")

    def patient(self, patient_id: str) -> str | None:
        """Of a patient, however the ID is spelled; None where there is no ID."""
        return self._hash("patient", spelling_key(patient_id)) if patient_id.strip() else None

    def study(self, *identity: str) -> str:
        """Of a study, by what tells it from all others."""
        return self._hash("study", "\0".join(identity))

    def series(self, uid: str | None) -> str | None:
        """Of a series, by its UID."""
        return self._hash("series", uid) if uid else None

    def _hash(self, kind: str, text: str) -> str:
        return hmac.new(self._key, f"{kind}\0{text}".encode(errors="surrogateescape"), hashlib.sha256).hexdigest()[
            :_DIGITS
        ]
