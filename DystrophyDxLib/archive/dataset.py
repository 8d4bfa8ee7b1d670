"""The dataset of an archive: four tables as Parquet files in parts, each of which is written as a whole or not at all.

    dataset.json                     schema, key and models of the rows
    studies/part-000001.parquet      and so on; windows, muscles, failures alike

A part of `studies` comes into being last, by one rename, and makes those of `windows` and `muscles` with its number
count. So whenever the program is killed, a study is in all tables or in none; what a killed run has left without its
part of `studies` is removed when the next one begins. One run works on a dataset at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from ..results import StudyResult
from .pseudonyms import Pseudonyms
from .studies import Failure, Study
from .tables import COLUMNS, SCHEMA, Row, failure_row, rows_of, schema
from .worker import Model, Outcome

if os.name == "posix":
    import fcntl

ABOUT = "dataset.json"
SUMMARY, PAGE = "summary.json", "summary.html"
RESULTS = "results"
"""Folder of the studies' own folders, where they are asked for."""
_LOCK = ".lock"
_KNOWN = {ABOUT, SUMMARY, PAGE, RESULTS, _LOCK, *COLUMNS}
_PART = re.compile(r"part-(\d{6,})\.parquet")
_OF_PART = b"dystrophydx.made"
_SCHEMA_OF_PART = b"dystrophydx.schema"
_DEPENDENT = ("windows", "muscles")
"""Tables whose parts count when there is that of `studies` with their number."""


class Changed(InputError):
    """The dataset was made by other models or another version; the message says by which."""


class OtherSource(InputError):
    """The dataset was made of another archive."""


@dataclass
class About:
    """What `dataset.json` holds.

    Attributes:
        key: fingerprint of the key of the pseudonyms.
        made: what each `Model.made` of the rows means, in words.
        sources: pseudonyms of the archives that it was made of.
    """

    key: str
    made: dict[str, str] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> About:
        """Raises `InputError`: it is no dataset of this schema."""
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            if held["schema"] != SCHEMA:
                raise InputError(f"The dataset has the schema {held['schema']}, and this program knows {SCHEMA}.")
            return cls(held["key"], dict(held["made"]), list(held.get("sources", ())))
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{path} cannot be read; give another folder with --out.") from None

    def write(self, path: Path) -> None:
        text = json.dumps({"schema": SCHEMA, **vars(self)}, indent=1) + "\n"
        write_atomically(path, text.encode())


@dataclass(frozen=True)
class Dataset:
    """A dataset that is there to be read."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Dataset:
        """Raises `InputError`: the folder holds no dataset."""
        if not (folder / ABOUT).is_file():
            raise InputError(f"The folder {folder} holds no dataset of an archive; give one with {ABOUT} in it.")
        About.read(folder / ABOUT)
        return cls(folder)

    @property
    def about(self) -> About:
        return About.read(self.folder / ABOUT)

    def parts(self, table: str) -> dict[int, Path]:
        """Files of a table that count, by their numbers."""
        found = self._all_parts(table)
        if table in _DEPENDENT:
            counting = self._all_parts("studies")
            return {number: path for number, path in found.items() if number in counting}
        return found

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a table.

        Raises:
            InputError: a file is damaged.
        """
        wanted = schema(name) if columns is None else pa.schema([schema(name).field(each) for each in columns])
        tables = [self._read(path, wanted) for path in self.parts(name).values()]
        return pa.concat_tables(tables) if tables else wanted.empty_table()

    def studies_in(self, name: str) -> set[str]:
        """Pseudonyms of the studies that a table holds."""
        return set(self.table(name, ["study"]).column("study").to_pylist())

    @staticmethod
    def _read(path: Path, wanted: pa.Schema) -> pa.Table:
        try:
            table = pq.ParquetFile(path).read(columns=wanted.names)
            for place, column in enumerate(wanted):
                if column.name not in table.column_names:  # it has come with a later version
                    table = table.add_column(place, column, pa.nulls(len(table), column.type))
            return table.cast(wanted).replace_schema_metadata(None)
        except (OSError, pa.ArrowException, ValueError):
            raise InputError(f"{path} is damaged; remove it and run the archive again.") from None

    def _all_parts(self, table: str) -> dict[int, Path]:
        folder = self.folder / table
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        return {int(match[1]): folder / name for name in names if (match := _PART.fullmatch(name))}


@dataclass
class DatasetWriter:
    """A dataset that grows; made by `open_dataset`.

    Attributes:
        done: pseudonyms of the studies that have a row, in `studies` or `failures`.
        failed: of them, those in `failures` when it was opened.
    """

    dataset: Dataset
    model: Model
    pseudonyms: Pseudonyms
    part_rows: int
    part_s: float
    done: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    _rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in COLUMNS})
    _since: float = field(default_factory=time.monotonic)

    def add(self, study: Study, outcome: Outcome[StudyResult]) -> None:
        """Takes what became of a study, and writes a part now and then.

        Raises:
            InputError: the part cannot be written.
        """
        if not any(self._rows.values()):
            self._since = time.monotonic()
        if outcome.result is not None:
            for table, rows in rows_of(study, outcome.result, self.pseudonyms, outcome.lacking).items():
                self._rows[table] += rows
        else:
            assert outcome.failure is not None
            self.fail(study.study, study.patient, outcome.failure, study.row)
        self.done.add(study.study)
        waiting = len(self._rows["studies"]) + len(self._rows["failures"])
        if waiting >= self.part_rows or time.monotonic() - self._since > self.part_s:
            self.flush()

    def fail(self, study: str, patient: str | None, failure: Failure, row: int | None = None) -> None:
        """Takes a failure."""
        self._rows["failures"].append(failure_row(study, patient, row, failure, self.model))
        self.done.add(study)

    def flush(self) -> None:
        """Writes what was taken since the last part.

        Raises:
            InputError: it cannot be written.
        """
        self._since = time.monotonic()
        number = 1 + max((n for table in COLUMNS for n in self.dataset._all_parts(table)), default=0)
        try:
            for table in (*_DEPENDENT, "studies", "failures"):
                if self._rows[table]:
                    self._write(table, number, self._rows[table])
                    self._rows[table] = []
        except (OSError, pa.ArrowException):
            raise InputError(
                f"The dataset in {self.dataset.folder} cannot be written; check the space there, and go on by the same "
                "command."
            ) from None

    def drop_failures(self) -> None:
        """Takes all failures out of the dataset, so that they are tried again."""
        for path in self.dataset.parts("failures").values():
            path.unlink()
        self.done -= self.failed
        self.failed = set()

    def _write(self, table: str, number: int, rows: list[Row]) -> None:
        about = {_SCHEMA_OF_PART: SCHEMA.encode(), _OF_PART: self.model.made.encode()}
        whole = pa.Table.from_pylist(rows, schema=schema(table).with_metadata(about))
        sink = pa.BufferOutputStream()
        pq.write_table(whole, sink, compression="zstd")
        folder = self.dataset.folder / table
        folder.mkdir(exist_ok=True)
        write_atomically(folder / f"part-{number:06d}.parquet", sink.getvalue().to_pybytes())


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file as a whole or not at all, also where the computer loses its power.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.tmp")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def open_dataset(
    folder: Path,
    model: Model,
    pseudonyms: Pseudonyms,
    changed: str | None = None,
    *,
    source: str = "",
    add_source: bool = False,
    part_rows: int = 500,
    part_s: float = 60.0,
) -> Iterator[DatasetWriter]:
    """A new dataset, or an earlier one to go on with, locked for this run; what was taken is written at the end.

    Args:
        changed: what to do where earlier rows are of another model or version: "keep" them, or classify all "again";
            None is for asking.
        source: pseudonym of the archive.
        add_source: whether earlier rows may be of another archive.
        part_rows, part_s: rows and seconds after which a part is written.

    Raises:
        Changed: earlier rows are of another model or version, and nothing says what to do.
        OtherSource: earlier rows are of another archive, and nothing says that these are to be added.
        InputError: the folder holds something else, is used by another run, or has pseudonyms of another key.
    """
    _check(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder / _LOCK)
    except BlockingIOError:
        raise InputError(f"Another run works on {folder}; wait for its end.") from None
    except OSError:
        raise InputError(f"The folder {folder} cannot be written; check --out and its permissions.") from None
    try:
        about = About(pseudonyms.fingerprint)
        if (folder / ABOUT).exists():
            about = About.read(folder / ABOUT)
            if about.key != pseudonyms.fingerprint:
                raise InputError(
                    "The dataset has pseudonyms of another key; give that key with --key, or another folder."
                )
        others = {made: told for made, told in about.made.items() if made != model.made}
        if others and changed is None and model.made not in about.made:
            raise Changed(
                f"The dataset was made by {'; and by '.join(others.values())}; now it is {model.told}. Add --changed "
                "keep to classify only what is new, or --changed again to classify all of it again."
            )
        about.made = {**(others if changed != "again" else {}), model.made: model.told}
        about.write(folder / ABOUT)
        dataset = Dataset(folder)
        _tidy(dataset, about.made)
        writer = DatasetWriter(dataset, model, pseudonyms, part_rows, part_s)
        writer.failed = dataset.studies_in("failures")
        writer.done = dataset.studies_in("studies") | writer.failed
        if source not in about.sources:
            if writer.done and about.sources and not add_source:
                raise OtherSource(
                    "The dataset was made of another archive, or of this one at another place. Add --add-source to add "
                    "what it lacks of this one, or give another folder with --out."
                )
            about.sources.append(source)
            about.write(folder / ABOUT)
        try:
            yield writer
        finally:
            writer.flush()
    finally:
        if lock is not None:
            os.close(lock)


def _check(folder: Path) -> None:
    """Raises the `InputError` of a folder that holds something else than a dataset."""
    try:
        present = set(os.listdir(folder)) if folder.exists() else set()
    except OSError:
        raise InputError(f"{folder} is no folder that can be read; give another with --out.") from None
    if present - _KNOWN - {f".{name}.tmp" for name in _KNOWN}:
        raise InputError(f"The folder {folder} holds other files; give a new or empty folder with --out.")


def _locked(path: Path) -> int | None:
    """The lock of a dataset, which ends with the process; None where the system has none.

    Raises:
        BlockingIOError: another process has it.
    """
    if os.name != "posix":
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _tidy(dataset: Dataset, made: Mapping[str, str]) -> None:
    """Removes what killed runs left, and the rows of models that do not count any more: `studies` first, by which the
    parts of the others count."""
    for table in ("studies", "failures"):
        for path in dataset.parts(table).values():
            if _made_by(path) not in made:
                path.unlink()
    for table in COLUMNS:
        folder = dataset.folder / table
        counting = {path.name for path in dataset.parts(table).values()}
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name.endswith(".tmp") or (_PART.fullmatch(path.name) and path.name not in counting):
                path.unlink()


def _made_by(path: Path) -> str:
    try:
        metadata: dict[bytes, Any] = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        raise InputError(f"{path} is damaged; remove it and run the archive again.") from None
    return metadata.get(_OF_PART, b"").decode()
