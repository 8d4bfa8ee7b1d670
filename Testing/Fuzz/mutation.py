"""One random change of a file, of a kind that damaged, cut, edited and hostile files have."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import sqlite3
import zipfile
import zlib
from contextlib import closing
from pathlib import Path

NUMBERS = ["0", "-1", "1", "2", "3", "255", "65535", "2147483647", "-2147483648", "4294967296", "9223372036854775807"]
NUMBERS += ["1e30", "1e-30", "1e400", "-1e38", "nan", "inf", "-inf", "0x10", "1e6", "100000", "0.5"]
"""Where numbers are needed, those that programs trip over."""
WORDS = [
    "",
    " ",
    "\t",
    "\0",
    "%s%n",
    "../../x",
    "/dev/zero",
    "=1+1",
    "$\\frac$",
    '"',
    "'",
    ";",
    "\ufeff",
    "é",
    "\ud7ff",
]
WORDS += ["x" * 1_000, "x" * 70_000, "9" * 5_000, "[" * 2_000, "{", "\\", "None", "true", "NaN", "A\u0301", "\u00a0"]
_VALUES = [0, -1, 1, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "x" * 5_000, "é", "\0", None, True]
_VALUES += [[], {}, [[]], [None], {"": None}]
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\xc0-\xff][\t\n\r\x20-\x7e\x80-\xff]*")
_LARGEST = 1 << 22


def mutated(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    """`data` with one to four changes.

    Args:
        others: files of the same kind, of which parts are taken over.
    """
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        data = _changed(data, draw, others)[:_LARGEST]
    return data


def _changed(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    if draw.random() < 0.7:
        for starts, change in _PACKED.items():
            if data.startswith(starts) and (found := change(data, draw, others)) is not None:
                return found
    text = _TEXT.match(data)
    if text and len(text[0]) > 16 and draw.random() < 0.7:
        return draw.choice(_TEXTUAL)(text[0], draw) + data[len(text[0]) :]
    return draw.choice(_BINARY)(bytearray(data), draw, others)


def _place(size: int, draw: random.Random) -> int:
    """Where in a file: as often in its first bytes, where headers are."""
    return draw.randrange(min(size, draw.choice((64, 512, 4096, size))) or 1)


def _bits(data: bytearray, draw: random.Random, others: list[bytes]) -> bytes:
    for _ in range(draw.choice((1, 1, 2, 8))):
        if data:
            data[_place(len(data), draw)] ^= 1 << draw.randrange(8)
    return bytes(data)


def _number(data: bytearray, draw: random.Random, others: list[bytes]) -> bytes:
    width = draw.choice((1, 2, 4, 8))
    value = draw.choice((0, 1, -1, 2, 1 << (8 * width - 1), (1 << (8 * width - 1)) - 1, draw.getrandbits(8 * width)))
    stored = (value % (1 << (8 * width))).to_bytes(width, draw.choice(("little", "big")))
    place = _place(len(data), draw)
    data[place : place + width] = stored
    return bytes(data)


def _cut(data: bytearray, draw: random.Random, others: list[bytes]) -> bytes:
    return bytes(data[: _place(len(data), draw)])


def _without(data: bytearray, draw: random.Random, others: list[bytes]) -> bytes:
    place = _place(len(data), draw)
    del data[place : place + draw.choice((1, 4, 16, 1000))]
    return bytes(data)


def _more(data: bytearray, draw: random.Random, others: list[bytes]) -> bytes:
    place = _place(len(data), draw)
    data[place:place] = draw.choice((bytes(1), bytes(1000), b"\xff" * 16, b"x" * 2000, bytes(data[-512:])))
    return bytes(data)


def _spliced(data: bytearray, draw: random.Random, others: list[bytes]) -> bytes:
    other = draw.choice(others)
    place = _place(min(len(data), len(other)), draw)
    return bytes(data[:place]) + other[place:]


_BINARY = (_bits, _number, _cut, _without, _more, _spliced)


def _other_number(text: bytes, draw: random.Random) -> bytes:
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?(e-?\d+)?", text))
    if not numbers:
        return _other_word(text, draw)
    found = draw.choice(numbers[:60] if draw.random() < 0.5 else numbers)
    return text[: found.start()] + draw.choice(NUMBERS).encode() + text[found.end() :]


def _other_word(text: bytes, draw: random.Random) -> bytes:
    words = list(re.finditer(rb"[^\s,;:=()\"]+", text))
    if not words:
        return text
    found = draw.choice(words[:60] if draw.random() < 0.5 else words)
    word = draw.choice(words)[0] if draw.random() < 0.5 else draw.choice(WORDS).encode("utf-8", "surrogatepass")
    return text[: found.start()] + word + text[found.end() :]


def _other_lines(text: bytes, draw: random.Random) -> bytes:
    lines = text.split(b"\n")
    n, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    how = draw.randrange(5)
    if how == 0:
        del lines[n]
    elif how == 1:
        lines.insert(other, lines[n])
    elif how == 2:
        lines[n], lines[other] = lines[other], lines[n]
    elif how == 3:
        lines[n] += draw.choice((b" ", b"x", b",", b"0")) * draw.choice((1, 300, 1_100, 100_000))
    else:
        lines[n : n + 1] = [lines[n]] * draw.choice((2, 100, 2_000))
    return b"\n".join(lines)


_TEXTUAL = [_other_number, _other_number, _other_word, _other_lines]


def _gzip(data: bytes, draw: random.Random, others: list[bytes]) -> bytes | None:
    try:
        return gzip.compress(mutated(gzip.decompress(data), draw, [data]), 1)
    except (OSError, EOFError, zlib.error):
        return None


def _zip(data: bytes, draw: random.Random, others: list[bytes]) -> bytes | None:
    stored = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as new:
            names = old.namelist()
            chosen = draw.choice(names)
            for name in names:
                content = old.read(name)
                where = draw.choice(WORDS)[:200] + name if name == chosen and draw.random() < 0.2 else name
                new.writestr(where, mutated(content, draw, [content]) if name == chosen else content)
    except Exception:  # of a file that was changed before
        return None
    return stored.getvalue()


def _json(data: bytes, draw: random.Random, others: list[bytes]) -> bytes | None:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    node, places = content, []
    while isinstance(node, (dict, list)) and node:
        key = draw.choice(list(node)) if isinstance(node, dict) else draw.randrange(len(node))
        places.append((node, key))
        node = node[key]
    parent, key = draw.choice(places) if places else ([content], 0)
    how = draw.random()
    if how < 0.2:
        del parent[key]
    elif how < 0.3 and isinstance(parent, dict):
        parent[draw.choice(WORDS)] = parent.pop(key)
    else:
        parent[key] = draw.choice(_VALUES)
    return json.dumps(content).encode()


def _sqlite(data: bytes, draw: random.Random, others: list[bytes]) -> bytes | None:
    """Another value in a cell, a row or table more or less, another number in the file's own header."""
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(data)
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            table = draw.choice(sorted(tables))
            columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
            how = draw.random()
            if how < 0.7:
                value = draw.choice([value for value in _VALUES if not isinstance(value, (list, dict))])
                value = str(value) if isinstance(value, int) and abs(value) >= 2**63 else value
                value = value if draw.random() < 0.8 else b"\xff\xfe"
                where = f'rowid IN (SELECT rowid FROM "{table}" ORDER BY rowid LIMIT 1 OFFSET {draw.randrange(4)})'
                database.execute(f'UPDATE "{table}" SET "{draw.choice(columns)}" = ? WHERE {where}', (value,))
            elif how < 0.8:
                database.execute(f'DELETE FROM "{table}" WHERE rowid % 2 = {draw.randrange(2)}')
            elif how < 0.9:
                database.execute(f'DROP TABLE "{table}"')
            else:
                database.execute(f"PRAGMA user_version = {draw.choice((0, 2, 2147483647, -1))}")
            database.commit()
            return database.serialize()
    except (sqlite3.Error, IndexError, UnicodeError, OverflowError):
        return None


_PACKED = {b"\x1f\x8b": _gzip, b"PK": _zip, b"{": _json, b"SQLite format 3": _sqlite}


def change_file(path: Path, draw: random.Random, others: list[Path]) -> None:
    """Changes a file in its place; see `mutated`."""
    path.write_bytes(mutated(path.read_bytes(), draw, [other.read_bytes() for other in (others or [path])]))
