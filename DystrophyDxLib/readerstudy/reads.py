"""What readers answered, as tables: the one form in which a reader study is analysed, wherever it was read.

`Reads.read` and `Reads.write` keep it as plain CSV in a folder:

- `reads.csv`: `reader, case, arm, session, repeat, amended, decision, confidence, subtype, quality, comment, seconds,
  slices_seen, imported, deviation`; one row an answer.
- `readers.csv`: `reader, role, years` (of experience).
- `truth.csv`: `case, label, diagnosis, synthetic`; the label is 1 for a case that has what is asked for, else 0;
  synthetic is 1 for a phantom.
- `model.csv`, where a model answered too: `case, model, probability, label, trained_on`; one model.
- `unread.csv`, while reading is unfinished: `reader, case, arm, session, repeat` of each answer still to be given.
- `study.csv`, where a protocol declared it: `asked` (what the cases are asked for), `figure, compares, holds_for` (the
  primary endpoint, see `endpoint`) and `declared` (the protocol's date); one row.
- `mercuri.csv`, where muscles were graded: `reader, case, arm, session, repeat, muscle, side, grade`.

Columns without a default in `COLUMNS` must be there and filled; others may be empty or absent, and columns that are not
listed are left alone. Readers and cases go by codes, never by names, each with one spelling. Files are as spreadsheets
write them, see `spreadsheet.Sheet`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..cohort.table import columns_told, listed
from ..errors import InputError
from ..files.spreadsheet import Sheet, column_name, csv_of, spellings_by_key
from ..statistics.merit import COMPARES, FIGURES_OF_MERIT, RANDOM
from .endpoint import PrimaryEndpoint
from .questions import GRADES, SIDES

UNAIDED, AIDED, RE_READ = ARMS = ("unaided", "aided", "re-read")
"""Of an answer. Sequential reading gives an unaided and an aided answer in one session. A re-read repeats the unaided
reading after a wash-out; each has a session of its own."""
_NEEDED = object()


@dataclass(frozen=True)
class Column:
    """What the cells of a column may hold.

    Attributes:
        allowed: in words, for messages.
        parse: values of the cells' texts, NaN where a text is not allowed.
        default: value of an empty cell; none for a column that must be filled.
    """

    allowed: str
    parse: Callable[[pd.Series], pd.Series]
    default: object = _NEEDED

    @property
    def needed(self) -> bool:
        return self.default is _NEEDED


def _number(low: float, high: float, *, step: float = 0) -> Callable[[pd.Series], pd.Series]:
    def parse(texts: pd.Series) -> pd.Series:
        values = pd.to_numeric(texts.str.replace(",", "."), errors="coerce").astype(float)
        valid = values.between(low, high) & np.isfinite(values)
        return values.where(valid & (values % step == 0) if step else valid)

    return parse


def _text(texts: pd.Series) -> pd.Series:
    return texts


def _one_of(words: tuple[str, ...]) -> Callable[[pd.Series], pd.Series]:
    return lambda texts: texts.str.lower().where(texts.str.lower().isin(words))


def _choice(words: tuple[str, ...]) -> Column:
    return Column(f"one of {', '.join(words)}, or empty", lambda texts: texts.where(texts.isin(words)), "")


_CODE = Column("a code", _text)
_NOTE = Column("text", _text, "")
_LABEL = Column("0 or 1", _number(0, 1, step=1))
_WHICH = {
    "reader": _CODE,
    "case": _CODE,
    "arm": Column(f"one of {', '.join(ARMS)}", _one_of(ARMS)),
    "session": Column("1 or more, or 0 where it is not known", _number(0, np.inf, step=1), 0),
    "repeat": Column("0, or 1 for a hidden duplicate", _number(0, 1, step=1), 0),
}
COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "reads": {
        **_WHICH,
        "amended": Column("0, or 1 for an amendment", _number(0, 1, step=1), 0),
        "decision": Column("0 or 1, or empty for none", _number(0, 1, step=1), np.nan),
        "confidence": Column("0 to 100, or empty for none", _number(0, 100), np.nan),
        "subtype": _NOTE,
        "quality": _NOTE,
        "comment": _NOTE,
        "seconds": Column("0 or more", _number(0, np.inf), np.nan),
        "slices_seen": Column("0 or more", _number(0, np.inf, step=1), np.nan),
        "imported": Column("0, or 1 for an answer on paper or in a spreadsheet", _number(0, 1, step=1), 0),
        "deviation": _NOTE,
    },
    "readers": {"reader": _CODE, "role": _NOTE, "years": Column("0 to 80", _number(0, 80), np.nan)},
    "truth": {
        "case": _CODE,
        "label": _LABEL,
        "diagnosis": _NOTE,
        "synthetic": Column("0, or 1 for a phantom", _number(0, 1, step=1), 0),
    },
    "model": {
        "case": _CODE,
        "model": Column("the model's name", _text),
        "probability": Column("0 to 1", _number(0, 1)),
        "label": _LABEL,
        "trained_on": _NOTE,
    },
    "unread": _WHICH,
    "study": {
        "asked": Column("text", _text),
        "figure": _choice(FIGURES_OF_MERIT),
        "compares": _choice(COMPARES),
        "holds_for": _choice(RANDOM),
        "declared": _NOTE,
    },
    "mercuri": {
        **_WHICH,
        "muscle": Column("a muscle", _text),
        "side": Column(f"one of {', '.join(SIDES)}, of the patient", _one_of(SIDES)),
        "grade": Column(f"one of {', '.join(GRADES)}", _one_of(GRADES)),
    },
}
"""The columns of each table by its name, which is that of its file without .csv."""
_WHOLE = ("session", "repeat", "amended", "imported", "label", "synthetic")
_KEYS = {
    "reads": ["reader", "case", "arm", "session", "repeat", "amended"],
    "readers": ["reader"],
    "truth": ["case"],
    "model": ["case"],
    "unread": list(_WHICH),
    "study": ["asked"],
    "mercuri": [*_WHICH, "muscle", "side"],
}
_OPTIONAL = ("model", "unread", "mercuri", "study")


@dataclass(frozen=True)
class Reads:
    """Answers of readers, and of a model, with the truth. The tables are as `COLUMNS` says, with the columns in that
    order and what is not known as NaN or empty text; give copies, for they are not to be changed.

    Attributes:
        reads: `repeat` is 0 for the first showing of the case to the reader in the arm (and session, for a re-read), 1
            for a hidden duplicate. `decision` is 1 for a yes, `confidence` 0 to 100 that it is one; one
            without the other, or neither, is a missing answer to what is left out. `amended` is 0 for the answer as
            submitted, 1 for its amendment, which stands beside it. `imported` is 1 for an answer that was given without
            the program, and `deviation` tells how it departs from the protocol.
        readers: everyone who reads.
        truth: of every case that is read; there may be more.
        model: the model's probability, and its label at its own threshold; None without a model.
        mercuri: grades of muscles; None where none were given.
        unread: answers that readers are still to give; None where reading is finished.
        study: what the protocol declared; None where there was none.

    Raises:
        InputError: a table does not keep to this, with file, rows and what to do. Row 1 is the header.
    """

    reads: pd.DataFrame
    readers: pd.DataFrame
    truth: pd.DataFrame
    model: pd.DataFrame | None = None
    mercuri: pd.DataFrame | None = None
    unread: pd.DataFrame | None = None
    study: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        wrong: list[str] = []
        for name in COLUMNS:
            table = getattr(self, name)
            if table is not None:
                checked = _checked(name, table, wrong)
                object.__setattr__(self, name, None if checked.empty and name in _OPTIONAL else checked)
        _raise_any(wrong)  # what is held against each other has to be right in itself
        self._check_spellings("reader", ("readers", "reads", "unread", "mercuri"), wrong)
        self._check_spellings("case", ("truth", "reads", "model", "unread", "mercuri"), wrong)
        for name in ("reads", "unread", "mercuri") if not wrong else ():
            if getattr(self, name) is not None:
                self._check_known(name, "reader", self.readers["reader"], wrong)
                self._check_known(name, "case", self.truth["case"], wrong)
        self._check_confidences(wrong)
        self._check_once(wrong)
        self._check_amendments(wrong)
        if self.study is not None and len(self.study) > 1:
            wrong.append("study.csv has more than one row; keep one.")
        if self.model is not None and self.model["model"].nunique() > 1:
            wrong.append("model.csv holds more than one model; keep the rows of one.")
        _raise_any(wrong)

    @classmethod
    def read(cls, folder: str | Path) -> Reads:
        """Reads the CSV files of a folder.

        Raises:
            InputError: the folder or a file is missing, or is not as it must be.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}; give that of a study or of its tables.")
        wrong: list[str] = []
        tables = {name: _file(folder / f"{name}.csv", name in _OPTIONAL, wrong) for name in COLUMNS}
        _raise_any(wrong)
        return cls(**{name: table for name, table in tables.items() if table is not None})

    @property
    def asked(self) -> str:
        """What the cases are asked for, in the words of figures and tables."""
        return "positive" if self.study is None else str(self.study["asked"].iloc[0])

    @property
    def declared(self) -> str:
        """Date of the protocol; empty where it is not known."""
        return "" if self.study is None else str(self.study["declared"].iloc[0])

    @property
    def primary(self) -> PrimaryEndpoint | None:
        """The primary endpoint that was declared, if any."""
        told = {} if self.study is None else self.study.iloc[0][[*PrimaryEndpoint.model_fields]].to_dict()
        return PrimaryEndpoint.model_validate(told) if told and all(told.values()) else None

    def write(self, folder: str | Path) -> None:
        """Writes the CSV files into a folder, which is made where it is not there; `read` gives the same back.

        Raises:
            InputError: it cannot be written.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in COLUMNS:
                table = getattr(self, name)
                if table is not None:
                    (folder / f"{name}.csv").write_text(csv_of(table.convert_dtypes()), encoding="utf-8")
        except OSError:
            raise InputError(
                "The tables cannot be written; check the folder, its permissions and free space."
            ) from None

    def _check_spellings(self, column: str, names: Sequence[str], problems: list[str]) -> None:
        """Refuses two spellings of one code: they would count as two, or as one that another table does not hold."""
        tables = [(name, table) for name in names if (table := getattr(self, name)) is not None]
        found = spellings_by_key(code for _, table in tables for code in table[column])
        other = {code: f"{code} for {first}" for first, *others in found.values() for code in others}
        for name, table in tables:
            wrong = table[column].isin(other)
            told = listed(sorted(set(table.loc[wrong, column].map(other))))
            remedy = "spell it alike, with the zeros that spreadsheets take away, or give another code"
            _tell(problems, name, wrong, f"a {column} in another spelling ({told})", remedy)

    def _check_known(self, name: str, column: str, known: pd.Series, problems: list[str]) -> None:
        table = getattr(self, name)
        told = "readers.csv" if column == "reader" else "truth.csv"
        unknown = ~table[column].isin(known)
        _tell(problems, name, unknown, f"a {column} that {told} does not hold", f"add it to {told}")

    def _check_confidences(self, problems: list[str]) -> None:
        """A table that holds the confidence in the decision, whichever it is, would turn the ROC curve round.

        Ratings that rise with the likelihood of a 1 pass, wherever the reader's threshold lies.
        """
        table = self.reads
        highest_no = table["confidence"].where(table["decision"] == 0).groupby([table["reader"], table["arm"]])
        contrary = (table["decision"] == 1) & (table["confidence"] < highest_no.transform("max"))
        what = "a 1 with less confidence than a 0 of the same reader and arm"
        _tell(problems, "reads", contrary, what, "give the confidence that it is a 1")

    def _check_once(self, problems: list[str]) -> None:
        """A case has one first answer of a reader in an arm, whatever the session, but for re-reads."""
        table = self.reads[self.reads["arm"] != RE_READ]
        again = table.duplicated([key for key in _KEYS["reads"] if key != "session"])
        what = "a case that the reader answered in this arm already"
        _tell(problems, "reads", again, what, f"call later readings {RE_READ}")

    def _check_amendments(self, problems: list[str]) -> None:
        keys = _KEYS["reads"][:-1]
        submitted = pd.MultiIndex.from_frame(self.reads.loc[self.reads["amended"] == 0, keys])
        alone = ~pd.MultiIndex.from_frame(self.reads[keys]).isin(submitted)
        _tell(
            problems,
            "reads",
            pd.Series(alone, self.reads.index),
            "an amendment without the answer that it amends",
            "add the answer as submitted",
        )


def _file(path: Path, optional: bool, problems: list[str]) -> pd.DataFrame | None:
    """All cells as text; None where the file is not there, which is told of one that has to be."""
    if optional and not path.exists():
        return None
    try:
        sheet = Sheet.read(path, path.name, "put it into the folder and check its")
    except InputError as error:
        problems.append(str(error))
        return None
    ragged = pd.Series(True, [number - 2 for number in sheet.ragged], dtype=bool)
    if _tell(problems, path.stem, ragged, "more or fewer cells than the header", "correct it"):
        return None
    cells = pd.DataFrame([row for _, row in sheet.rows], [n - 2 for n, _ in sheet.rows], sheet.header, dtype=object)
    return cells.reindex(range(max(cells.index, default=-1) + 1))


def _checked(name: str, table: pd.DataFrame, problems: list[str]) -> pd.DataFrame:
    """The table with its columns in order and their values parsed; empty rows are left out. What is wrong goes to
    `problems`, and then what is returned is of no use."""
    columns = COLUMNS[name]
    table = table.rename(columns=lambda header: column_name(str(header))).reset_index(drop=True)
    missing = [column for column, kind in columns.items() if kind.needed and column not in table]
    if missing:
        problems.append(f"{name}.csv lacks {columns_told(missing)}; add what is missing.")
    twice = sorted(set(table.columns[table.columns.duplicated()]) & set(columns))
    if twice:
        problems.append(f"{name}.csv has the columns {', '.join(twice)} more than once; keep one of each.")
    if missing or twice:
        return table
    texts = table.loc[:, table.columns.isin(columns)].reindex(columns=list(columns)).astype(object)
    texts = texts.where(texts.notna(), "").astype(str).apply(lambda cells: cells.str.strip())
    texts = texts[(texts != "").any(axis=1)]
    if texts.empty and name not in _OPTIONAL:
        problems.append(f"{name}.csv has no rows; add at least one.")
        return table
    values, told = {}, len(problems)
    for column, kind in columns.items():
        empty, parsed = texts[column] == "", kind.parse(texts[column])
        wrong = empty | parsed.isna() if kind.needed else ~empty & parsed.isna()
        if _tell(problems, name, wrong, f"{column} not {kind.allowed}", "correct it"):
            continue
        values[column] = parsed if kind.needed else parsed.where(~empty, kind.default)
        if column in _WHOLE:
            values[column] = values[column].astype("int64")
    if len(problems) > told:
        return table
    checked = pd.DataFrame(values)
    _tell(
        problems, name, checked.duplicated(_KEYS[name]), f"the same {', '.join(_KEYS[name])} as a row above", "keep one"
    )
    return checked


def _tell(problems: list[str], name: str, wrong: pd.Series, what: str, remedy: str) -> bool:
    """Adds a sentence to `problems` where a row of the table is `wrong`; gives whether there is one."""
    rows = [str(index + 2) for index in wrong.index[wrong]]
    if rows:
        problems.append(f"{name}.csv, {'row' if len(rows) == 1 else 'rows'} {listed(rows)}: {what}; {remedy}.")
    return bool(rows)


def _raise_any(problems: Sequence[str]) -> None:
    if problems:
        raise InputError(" ".join(problems))
