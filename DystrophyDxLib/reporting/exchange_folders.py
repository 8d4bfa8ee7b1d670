"""Two folders exchange their names: at once where the operating system can, so that a kill leaves either as it was."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_AT_FDCWD, _EXCHANGE = -100, 2
"""Of Linux's renameat2(2)."""
_RENAME_SWAP = 2
"""Of macOS's renamex_np(2)."""


def exchange(one: Path, other: Path, between: Path) -> None:
    """Gives each of two folders, which lie beside one another, the name of the other.

    Args:
        between: what `other` is called in between where the system cannot do it at once (Windows, some network shares).

    Raises:
        OSError: it is not possible; both are as they were.
    """
    if _at_once(os.fsencode(one), os.fsencode(other)):
        return
    other.rename(between)
    try:
        one.rename(other)
    except OSError:
        between.rename(other)
        raise
    between.rename(one)


def _at_once(one: bytes, other: bytes) -> bool:
    if sys.platform not in ("linux", "darwin"):
        return False
    library = ctypes.CDLL(None)
    try:
        if sys.platform == "darwin":
            return library.renamex_np(one, other, _RENAME_SWAP) == 0
        return library.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _EXCHANGE) == 0
    except AttributeError:  # an older C library
        return False
