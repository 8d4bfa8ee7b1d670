"""Tables as spreadsheets write them: CSV in UTF-8, with or without byte order mark, with commas or semicolons."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ..errors import InputError


def read_cells(path: Path, what: str, remedy: str = "check its path") -> list[list[str]]:
    """The cells of every line of a table, spaces around them included; an empty line has none.

    Args:
        what: the table, as messages begin.
        remedy: what helps where it cannot be opened, beside looking at its permissions.

    Raises:
        InputError: it cannot be opened, or is no such table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = ";" if first.count(";") > first.count(",") else ","
        return list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except OSError:
        raise InputError(f"{what} cannot be opened; {remedy} and permissions.") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{what} is not a CSV in UTF-8; save it as 'CSV UTF-8' again.") from None
