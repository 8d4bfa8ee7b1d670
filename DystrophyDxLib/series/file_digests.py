"""Digests of files: what they hold, whatever their names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from .reading import read_frames

_DETACHED_HEADERS = (".mhd", ".nhdr")
_CHUNK = 1 << 20


def file_digest(path: Path) -> str:
    """SHA-256 of a file of any size.

    Raises:
        OSError: it cannot be opened.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def series_digest(path: Path) -> str:
    """Digest of all files of a series, which is equal for a copy of them.

    Raises:
        OSError: one cannot be opened.
        InputError: a header's file of voxels cannot be read.
    """
    if path.suffix.lower() in _DETACHED_HEADERS:
        frames = b"".join(frame.voxels.tobytes() for frame in read_frames(path))
        return hashlib.sha256(path.read_bytes() + frames).hexdigest()
    if not path.is_dir():
        return file_digest(path)
    return digest_of_files(file for file in path.rglob("*") if file.is_file())


def digest_of_files(files: Iterable[Path]) -> str:
    """`series_digest` of a folder that holds these files and no others.

    Raises:
        OSError: one cannot be opened.
    """
    return hashlib.sha256(" ".join(sorted(map(file_digest, files))).encode()).hexdigest()
