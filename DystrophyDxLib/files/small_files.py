"""Files that are read as a whole: never more of them than they can rightly hold, and never a pipe or device."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_bytes(path: Path, largest: int) -> bytes:
    """The content of a file.

    Args:
        largest: bytes that it may hold.

    Raises:
        OSError: it cannot be opened, is no regular file, or holds more.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path.name} is no file")
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        if length > largest:
            raise OSError(f"{path.name} is too large")
        return file.read(length)  # memory for so many bytes, and not for the most
