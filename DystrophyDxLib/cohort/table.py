"""The cohort table: which series of which patient shows which disease, checked as a whole before it is used.

A cohort is a CSV with the columns `patient_id`, `path` and `diagnosis`, and where known `subtype`, `sex`, `age`,
`centre` and `split`; one row a series. Where the recipe has further channels, a column of each one's name has the
path of that series, and one of the first's name, where it is there, is read instead of `path`. Where the channels are
frames of a cine, a row without them has the cine in `path`. A recipe of patterns takes Dixon images and a person's map
of the muscles from the columns that it names, where a row has them. `Cohort.read` accepts what spreadsheets write, see
`spreadsheet.Sheet`. Two spellings of one patient are one patient.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import InputError
from ..files.spreadsheet import Sheet, column_name, existing, spelling_key, spellings_by_key
from ..models.map_package import MapRecipe
from ..models.pattern_package import PatternRecipe
from ..models.recipe import Recipe

AnyRecipe = Recipe | MapRecipe | PatternRecipe
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
OLDEST = 120.0
"""Years."""

_REQUIRED = ("patient_id", "path", "diagnosis")
_OPTIONAL = ("subtype", "sex", "age", "centre", "split")
_KNOWN = _REQUIRED + _OPTIONAL
_SPLIT_WORDS: dict[str, Split] = {
    "train": "train", "training": "train", "validation": "validation", "val": "validation", "test": "test",
}  # fmt: skip
_SEX_WORDS: dict[str, Literal["F", "M"]] = {"f": "F", "female": "F", "m": "M", "male": "M"}
_UNKNOWN = ("", "na", "n/a", "nan")
_SHOWN = 8
"""Rows or patients that a message names before it only counts."""


@dataclass(frozen=True)
class Case:
    """One row of a cohort: one series of a patient.

    Attributes:
        patient_id: the pseudonym under which the table knows the patient; in a cohort, as its first row spells it.
        path: what `series.read_study` reads.
        diagnosis: a disease or class, as the recipe spells it.
        label: index of the diagnosis' class in `Recipe.classes`; None in `Cohort.others`.
        row: number of the row in the table, 1 for the header.
        age: years.
        extra: cells of the columns that have no meaning here, by `spreadsheet.column_name`.
        further: what `series.read_study` reads as each channel of the recipe beside the first, by the channel's name.
        spelling: `patient_id` as the row itself spells it; None where that is the same.
        map: a person's map of the series, where the recipe is taught by maps or may take one.
    """

    patient_id: str
    path: Path
    diagnosis: str
    label: int | None
    row: int
    subtype: str | None = None
    sex: Literal["F", "M"] | None = None
    age: float | None = None
    centre: str | None = None
    split: Split | None = None
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)
    further: Mapping[str, Path] = field(default_factory=dict, hash=False)
    spelling: str | None = None
    map: Path | None = None

    @property
    def disease(self) -> str:
        """The disease that tables show: the subtype where it is given, else the diagnosis."""
        return self.subtype or self.diagnosis

    @property
    def known_label(self) -> int:
        """`label` of a case that is not left out."""
        assert self.label is not None
        return self.label

    @property
    def person(self) -> str | None:
        """Key of the person whose phantom this is, see `phantom.persons`; None of patients."""
        return self.extra.get("person") or None

    @property
    def synthetic(self) -> bool:
        """Whether the table's column `synthetic` says that the images are of a phantom."""
        return self.extra.get("synthetic", "").casefold() in ("yes", "true", "1")

    def with_full_paths(self) -> Case:
        """The same, for a process in another folder."""
        further = {name: path.absolute() for name, path in self.further.items()}
        return replace(
            self, path=self.path.absolute(), further=further, map=None if self.map is None else self.map.absolute()
        )


@dataclass(frozen=True)
class Cohort:
    """The series that a model is trained or evaluated on.

    A patient is in one split, has one disease and one sex, and either every series has a split or none has.

    Attributes:
        others: series with a disease that the recipe leaves out; nothing is trained or evaluated on them.

    Raises:
        InputError: where that is not so, with the patients' pseudonyms.
    """

    cases: tuple[Case, ...]
    recipe: AnyRecipe
    others: tuple[Case, ...] = ()

    def __post_init__(self) -> None:
        first = {key: names[0] for key, names in spellings_by_key(c.patient_id for c in self._rows).items()}
        for name in ("cases", "others"):
            object.__setattr__(self, name, tuple(_known_as(first, case) for case in getattr(self, name)))
        problems = Problems()
        _check_patients(self.cases, problems)
        problems.raise_any()

    @classmethod
    def read(cls, path: str | Path, recipe: AnyRecipe) -> Cohort:
        """Reads the table and checks all of it; the series themselves are read later.

        Args:
            path: the CSV. The paths in it are relative to its folder.

        Raises:
            InputError: it is not a cohort table, with the rows and what is wrong in them.
        """
        path = Path(path)
        sheet = _table(path, recipe)
        problems = Problems()
        for number in sheet.ragged:
            problems.add("rows with more or fewer cells than the header", f"row {number}")
        rows = (_case(number, cells, path.parent, recipe, problems) for number, cells in sheet.records())
        cases = [case for case in rows if case is not None]
        _check_paths(cases, problems)
        _check_patients([case for case in cases if case.label is not None], problems)
        problems.raise_any()
        kept, others = (tuple(case for case in cases if (case.label is None) == is_other) for is_other in (False, True))
        if not kept:
            raise InputError("The cohort table has no rows that the recipe takes; add one for each series.")
        return cls(kept, recipe, others)

    @property
    def _rows(self) -> tuple[Case, ...]:
        return tuple(sorted((*self.cases, *self.others), key=lambda case: case.row))

    @cached_property
    def spellings(self) -> dict[str, list[str]]:
        """All spellings of each patient whom the table spells in more than one way, by `Case.patient_id`."""
        found = spellings_by_key(case.spelling or case.patient_id for case in self._rows).values()
        return {names[0]: names for names in found if len(names) > 1}

    @property
    def notices(self) -> tuple[str, ...]:
        """What must stand beside figures: who is taken for one patient in spite of several spellings."""
        if not self.spellings:
            return ()
        told = listed([" / ".join(names) for names in self.spellings.values()])
        return (
            f"Taken for one patient each: {told}. Spell one patient alike, and give others pseudonyms that differ in "
            "more than case, blanks and leading zeros.",
        )

    @cached_property
    def patients(self) -> tuple[Case, ...]:
        """The first case of each patient, in the order of the table."""
        return tuple({case.patient_id: case for case in reversed(self.cases)}.values())[::-1]

    @property
    def others_told(self) -> str:
        """How many patients are left out, and with which diseases."""
        counts = Counter({case.patient_id: case.diagnosis for case in self.others}.values())
        told = ", ".join(f"{count} {disease}" for disease, count in sorted(counts.items()))
        classes = ", ".join(self.recipe.classes)
        return (
            f"{counts.total()} patients are left out, who belong to none of the classes told apart ({classes}): {told}."
        )

    @cached_property
    def labels(self) -> np.ndarray:
        """(cases,) int64 index of each case's class."""
        return np.array([case.label for case in self.cases], np.int64)

    @property
    def has_splits(self) -> bool:
        """Whether the cases say which split they are in."""
        return any(case.split is not None for case in self.cases)

    def of_split(self, split: Split) -> Cohort:
        """The cases of one split, none where there is no such split."""
        return replace(self, cases=tuple(case for case in self.cases if case.split == split))

    def with_splits(self, splits: Mapping[str, Split]) -> Cohort:
        """The same cases in other splits, given by patient."""
        return replace(self, cases=tuple(replace(case, split=splits[case.patient_id]) for case in self.cases))


class Problems:
    """What is wrong in a table and where, so that a user sees all of it at once, in one line.

    Args:
        subject: what cannot be used, as the message begins.
        remedy: what to do, as it ends.
    """

    def __init__(self, subject: str = "The cohort", remedy: str = "correct the table or the files") -> None:
        self._subject, self._remedy = subject, remedy
        self._where: dict[str, list[str]] = {}

    def add(self, what: str, where: str) -> None:
        self._where.setdefault(what, []).append(where)

    def raise_any(self) -> None:
        if self._where:
            told = "; ".join(f"{what} ({listed(where)})" for what, where in self._where.items())
            raise InputError(f"{self._subject} cannot be used: {told}; {self._remedy}.")


def columns_told(names: Sequence[str]) -> str:
    """Columns of a table in words.

    >>> columns_told(["path"]), columns_told(["patient_id", "path"])
    ('the column path', 'the columns patient_id, path')
    """
    return f"the column{'s' * (len(names) > 1)} {', '.join(names)}"


def listed(names: Sequence[str]) -> str:
    """The first few names and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _known_as(first: Mapping[str, str], case: Case) -> Case:
    """The case under the first spelling of its patient."""
    name = first[spelling_key(case.patient_id)]
    return case if name == case.patient_id else replace(case, patient_id=name, spelling=case.patient_id)


def _table(path: Path, recipe: AnyRecipe) -> Sheet:
    sheet = Sheet.read(path, f"The cohort table {path}")
    told = []
    if missing := sheet.missing(_REQUIRED):
        told.append(f"The cohort table lacks {columns_told(missing)} in its first row; add what is missing.")
    channels = [name for name in recipe.sample.further if column_name(name) not in sheet.header]
    if channels and not (recipe.sample.of_cine and channels == list(recipe.sample.further)):
        told.append(
            f"The recipe needs {' and '.join(channels)} beside {recipe.sample.channels[0].name}; add a column of that "
            "name with the path of each row's series."
        )
    if isinstance(recipe, MapRecipe) and column_name(recipe.maps) not in sheet.header:
        told.append(
            f"The recipe is taught by muscle maps; add the column {recipe.maps} with the path of each series' map."
        )
    if twice := sheet.repeated(_KNOWN):
        told.append(f"The cohort table has the columns {', '.join(twice)} more than once; keep one of each.")
    if told:
        raise InputError(" ".join(told))
    return sheet


def _case(number: int, cells: dict[str, str], folder: Path, recipe: AnyRecipe, problems: Problems) -> Case | None:
    """The case of a row, or None where the row is told to `problems`."""
    optional = {name: cells.get(name, "") for name in _OPTIONAL}
    known = {name: None if cell.lower() in _UNKNOWN else cell for name, cell in optional.items()}
    path = cells.get(column_name(recipe.sample.channels[0].name)) or cells["path"]
    series = existing(folder, path)
    label, diagnosis = _class_and_name(cells["diagnosis"], recipe)
    class_of_subtype, subtype = _class_and_name(known["subtype"], recipe)
    split = _SPLIT_WORDS.get((known["split"] or "").lower())
    sex = _SEX_WORDS.get((known["sex"] or "").lower())
    age = _years(known["age"])
    texts = {name: cells.get(column_name(name), "") for name in recipe.sample.further}
    if recipe.sample.of_cine and not any(texts.values()):
        texts = {}
    if isinstance(recipe, PatternRecipe):
        texts = {name: cell for name in (*recipe.dixon, recipe.fraction) if (cell := cells.get(column_name(name), ""))}
    further = {name: found for name, cell in texts.items() if cell and (found := existing(folder, cell))}
    drawn = cells.get(column_name(recipe.maps), "") if isinstance(recipe, MapRecipe) else None
    if isinstance(recipe, PatternRecipe):
        drawn = cells.get(column_name(recipe.drawn)) or None
    map_path = existing(folder, drawn) if drawn else None
    checks = (
        *((not cells[name], f"an empty {name}") for name in _REQUIRED),
        (
            cells["diagnosis"] and label is None and not recipe.leaves_out(cells["diagnosis"]),
            f"a diagnosis that the recipe does not know, which knows {', '.join(_names(recipe))}",
        ),
        (
            None not in (label, class_of_subtype) and label != class_of_subtype,
            "a subtype of another class than the diagnosis",
        ),
        (known["split"] and split is None, f"a split that is none of {', '.join(SPLITS)}"),
        (known["sex"] and sex is None, "a sex that is neither F nor M, nor empty for not known"),
        (known["age"] and age is None, f"an age not in years from 0 to {OLDEST:.0f}, nor empty for not known"),
        (path and series is None, "a path that does not exist, seen from the table's folder"),
        *((not cell, f"an empty {name}") for name, cell in texts.items()),
        (drawn == "", "no muscle map"),
        (drawn and map_path is None, "a path of a muscle map that does not exist, seen from the table's folder"),
        *(
            (cell and name not in further, f"a path of {name} that does not exist, seen from the table's folder")
            for name, cell in texts.items()
        ),
    )
    wrong = [what for is_wrong, what in checks if is_wrong]
    for what in wrong:
        problems.add(f"rows with {what}", f"row {number}")
    if wrong or diagnosis is None or series is None:
        return None
    meant = (*_KNOWN, *(column_name(channel.name) for channel in recipe.sample.channels), *map(column_name, texts))
    return Case(
        cells["patient_id"],
        series,
        diagnosis,
        label,
        number,
        subtype,
        sex,
        age,
        known["centre"],
        split,
        extra={name: cell for name, cell in cells.items() if name and name not in meant},
        further=further,
        map=map_path,
    )


def _class_and_name(diagnosis: str | None, recipe: AnyRecipe) -> tuple[int | None, str | None]:
    """Class of a disease or class, None where the recipe does not know it, and its name as the recipe spells it."""
    if not diagnosis:
        return None, None
    try:
        label = recipe.class_of(diagnosis)
    except InputError:
        return None, diagnosis
    return label, next((name for name in _names(recipe) if name.casefold() == diagnosis.casefold()), diagnosis)


def _names(recipe: AnyRecipe) -> tuple[str, ...]:
    """Diseases and classes that a recipe knows."""
    return (*(disease for diseases in recipe.diagnoses.values() for disease in diseases), *recipe.classes)


def _years(text: str | None) -> float | None:
    try:
        age = float((text or "").replace(",", "."))
    except ValueError:
        return None
    return age if 0 <= age <= OLDEST else None


def _check_patients(cases: Iterable[Case], problems: Problems) -> None:
    """A patient is in one split, has one disease and one sex; all series have a split, or none."""
    rows_of = defaultdict(list)
    for case in cases:
        rows_of[spelling_key(case.patient_id)].append(case)
    for own in rows_of.values():
        for what, found in (
            ("in more than one split", {case.split for case in own}),
            ("with more than one diagnosis", {(case.disease, case.label) for case in own}),
            ("with both sexes", {case.sex for case in own} - {None}),
        ):
            if len(found) > 1:
                problems.add(f"patients {what}", " / ".join(dict.fromkeys(c.spelling or c.patient_id for c in own)))
    without = [f"row {case.row}" for own in rows_of.values() for case in own if case.split is None]
    if len(without) < sum(map(len, rows_of.values())):
        for row in without:
            problems.add("rows without a split while others have one", row)


def _check_paths(cases: Iterable[Case], problems: Problems) -> None:
    """A series in two rows would count twice, or be trained on and tested on."""
    row_of: dict[Path, int] = {}
    resolved = [(case.row, case.path.resolve()) for case in cases]
    for row, path in resolved:
        if path in row_of:
            problems.add("rows with the same path", f"rows {row_of[path]} and {row}")
        row_of.setdefault(path, row)
    for row, path in resolved:
        around = next((row_of[parent] for parent in path.parents if parent in row_of), None)
        if around is not None:
            problems.add("rows whose path lies in the folder of another row", f"row {row} in row {around}")
