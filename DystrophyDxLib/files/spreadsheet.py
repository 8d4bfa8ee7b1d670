"""Tables as spreadsheets write and read them, and one name for what they spell in several ways.

Every table that a user gives is read by `Sheet.read`, and every CSV is written by `write_rows` or `csv_of`: a cell that
a spreadsheet would run as a formula gets an apostrophe before it, which `Sheet.read` takes away again.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

from ..errors import InputError
from .small_files import read_bytes

if TYPE_CHECKING:
    import pandas as pd

_Cell = TypeVar("_Cell")
LARGEST = 256 << 20
"""Bytes of a table; more is refused before it is read."""
_DELIMITERS = ",;\t"
_RUN = re.compile(r"'*[=+\-@\t\r\n＝＋－＠](?=.)", re.DOTALL)
"""Begin of a cell that a spreadsheet may run (OWASP, CSV injection), or of one that already has its apostrophe."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Characters that are copied along from web pages and documents, and that nobody sees beside a word."""
_DASHES = re.compile(r"[‐-―−﹘﹣－]")


@dataclass(frozen=True)
class Sheet:
    """A table with a header.

    Attributes:
        header: names of the columns as `column_name` gives them.
        rows: number and cells of each row that is not empty, without blanks around them; 1 is the header, as a
            spreadsheet counts. Empty cells beyond the header are left out.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    @classmethod
    def read(cls, path: Path, what: str, remedy: str = "check its path") -> Sheet:
        """Reads a CSV in UTF-8, or UTF-16 with its mark, with commas, semicolons or tabs, as the header or a line
        `sep=` before it says.

        Args:
            what: the table, as messages begin.
            remedy: what helps where it cannot be opened, beside looking at its permissions.

        Raises:
            InputError: it cannot be opened, or is no such table.
        """
        try:
            content = read_bytes(path, LARGEST)
        except OSError:
            raise InputError(f"{what} cannot be opened; {remedy} and permissions.") from None
        try:
            text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
            if "\0" in text:
                raise csv.Error
            told = re.match(r'"?sep=(.)"?\r?\n', text, re.IGNORECASE)
            text = text[told.end() :] if told else text
            header = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
            delimiter = told[1] if told else max(_DELIMITERS, key=header.count)
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            records = [tuple(map(_cell, record)) for record in lines]
        except (UnicodeDecodeError, csv.Error, TypeError, ValueError):
            raise InputError(f"{what} is not a CSV in UTF-8; save it as 'CSV UTF-8' again.") from None
        header_cells = records[0] if records else ()
        rows = ((n, _fitted(cells, len(header_cells))) for n, cells in enumerate(records[1:], 2) if any(cells))
        return cls(tuple(map(column_name, header_cells)), tuple(rows))

    def missing(self, columns: Iterable[str]) -> list[str]:
        """Those of some columns that the table lacks."""
        return [name for name in columns if name not in self.header]

    def repeated(self, columns: Iterable[str]) -> list[str]:
        """Those of some columns that the table has more than once, sorted."""
        return sorted(name for name in columns if self.header.count(name) > 1)

    @property
    def ragged(self) -> list[int]:
        """Numbers of the rows that have more or fewer cells than the header."""
        return [number for number, cells in self.rows if len(cells) != len(self.header)]

    def records(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Number and cells by column of each row; rows that are `ragged` are left out."""
        for number, cells in self.rows:
            if len(cells) == len(self.header):
                yield number, dict(zip(self.header, cells, strict=True))


def column_name(text: str) -> str:
    """The name by which a column is known, however a spreadsheet spells it.

    >>> column_name("\\ufeff Patient ID ")
    'patient_id'
    """
    return re.sub(r"[\s\-]+", "_", _plain(text))


@lru_cache(maxsize=1 << 16)
def spelling_key(text: str) -> str:
    """What all spellings of one patient, reader or case have in common: upper or lower case, composed and decomposed
    letters, blanks and dashes of every kind, and zeros before a number, which spreadsheets take away, count for
    nothing.

    >>> spelling_key("Pat 007") == spelling_key("pat\\u00a07") != spelling_key("Pat 070")
    True
    """
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"\s", "", _plain(text)))


def spellings_by_key(names: Iterable[str]) -> dict[str, list[str]]:
    """All spellings of each name, in the order in which they come."""
    found: dict[str, dict[str, None]] = {}
    for name in names:
        found.setdefault(spelling_key(name), {})[name] = None
    return {key: list(spellings) for key, spellings in found.items()}


def escaped(cell: _Cell) -> _Cell | str:
    """A cell so that no spreadsheet runs it: text that begins like a formula and is no number gets an apostrophe.

    >>> escaped("=HYPERLINK(A1)"), escaped("-0.5"), escaped(-0.5)
    ("'=HYPERLINK(A1)", '-0.5', -0.5)
    """
    runs = isinstance(cell, str) and _RUN.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if runs else cell


def write_rows(file: TextIO, rows: Iterable[Sequence[object]]) -> None:
    """Writes rows, the header first, as CSV into a file that was opened with `newline=""`."""
    csv.writer(file, lineterminator="\n").writerows([escaped(cell) for cell in row] for row in rows)


def csv_of(frame: pd.DataFrame) -> str:
    """The CSV of a data frame without its index, at full precision."""
    safe = frame.apply(lambda column: column.map(escaped) if column.dtype.kind == "O" else column)
    return safe.set_axis(list(map(escaped, frame.columns)), axis=1).to_csv(index=False, lineterminator="\n")


def existing(folder: Path, text: str) -> Path | None:
    """The file or folder that a cell names, seen from the table's folder; None where there is none.

    Where there is none of exactly that name, one whose name differs only in how letters are composed is meant, and a
    backslash parts folders.
    """
    for written in dict.fromkeys((text, text.replace("\\", "/"))):
        try:
            path = folder / written
            if path.is_file() or path.is_dir():  # no pipe, which would be waited for
                return path
            found: Path | None = Path(path.anchor)
            for part in path.parts[len(Path(path.anchor).parts) :]:
                found = found and _entry(found, part)
            if found and (found.is_file() or found.is_dir()):
                return found
        except (OSError, ValueError):  # the file system refuses the name
            continue
    return None


def _entry(folder: Path, name: str) -> Path | None:
    """What has that name in a folder, however its letters are composed."""
    if (folder / name).exists():
        return folder / name
    if name.isascii():
        return None
    form = unicodedata.normalize("NFC", name)
    return next((folder / other for other in os.listdir(folder) if unicodedata.normalize("NFC", other) == form), None)


def _plain(text: str) -> str:
    """Lower case and composed letters, plain dashes and no invisible characters or blanks around."""
    composed = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _DASHES.sub("-", "".join(c for c in composed if unicodedata.category(c) != "Cf")).strip()


def _cell(text: str) -> str:
    """A cell without characters that nobody sees, blanks around it, and the apostrophe of `escaped`."""
    text = _CONTROL.sub("", text).strip().strip(_INVISIBLE).strip()
    return text[1:] if text.startswith("'") and _RUN.match(text) else text


def _fitted(cells: tuple[str, ...], width: int) -> tuple[str, ...]:
    return cells[:width] if not any(cells[width:]) else cells
