"""What all long commands do alike: they look at the output folder before any work, and in the end write a page with its
tables and figures, a summary for machines and further tables, all of them or none."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict

from .. import __version__
from ..errors import InputError
from ..files.spreadsheet import csv_of
from ..statistics.estimate import Estimate
from .case_report import DEMONSTRATION_MODEL, RESEARCH_ONLY, SYNTHETIC_COHORT
from .output_folder import Content, check_output_folder, output_folder
from .pages import Section
from .rendering import rendered
from .tables import Table

PROGRAM = f"DystrophyDx {__version__}"
PAGE, TABLES, FIGURES = "report.html", "tables", "figures"


def _known(value: object) -> object:
    """None for what JSON has no number for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_known)]
"""A figure of a summary; None where it is not finite."""


class Part(BaseModel):
    """A part of a summary."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Measure(Part):
    """A figure with its 95 % interval."""

    value: Number
    ci95: tuple[Number, Number]

    @classmethod
    def of(cls, estimate: Estimate) -> Measure:
        return cls(value=estimate.value, ci95=(estimate.low, estimate.high))

    def __str__(self) -> str:
        return in_words(self.value, self.ci95)


def in_words(value: float | None, ci95: Sequence[float | None] | None) -> str:
    """A figure of a summary as the terminal says it, with its interval where there is one.

    >>> in_words(0.9, (0.8, 1.0))
    '0.900 (0.800 to 1.000)'
    """
    if value is None:
        return "cannot be told"
    low, high = ci95 or (None, None)
    return f"{value:.3f}" + ("" if low is None or high is None else f" ({low:.3f} to {high:.3f})")


class Summary(Part):
    """What a long command found, for machines. Each command has its own, with its schema's name as the default of
    `schema_` and with `lines`."""

    schema_: str
    program: str = PROGRAM
    notices: tuple[str, ...]

    model_config = ConfigDict(alias_generator=lambda name: name.removesuffix("_"), populate_by_name=True)

    def to_json(self) -> str:
        """The text of the file of the summary."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1)

    def lines(self) -> Iterator[str]:
        """What the terminal says of it: what must stand beside every figure, then the main ones."""
        yield from self.notices


def report_notices(*, demonstration: bool, synthetic: bool, further: Sequence[str] = ()) -> tuple[str, ...]:
    """What must stand beside every figure.

    Args:
        demonstration: whether a model is the demonstration model.
        synthetic: whether images are of phantoms.
        further: what else must stand there.

    >>> report_notices(demonstration=False, synthetic=False, further=["Reading is unfinished."])
    ('Reading is unfinished.', 'Research only, not for diagnosis.')
    """
    facts = ((DEMONSTRATION_MODEL, demonstration), (SYNTHETIC_COHORT, synthetic))
    return (*(notice for notice, applies in facts if applies), *further, RESEARCH_ONLY)


@dataclass(frozen=True)
class Report:
    """The files of a long command.

    Attributes:
        kind: what stands above the title of the page.
        summary: name of the summary's file.
        tables: names of further CSV files; a result may lack one.
        folders: that the files lie in.
    """

    kind: str
    summary: str
    tables: tuple[str, ...] = ()
    folders: tuple[str, ...] = (TABLES, FIGURES)

    @property
    def files(self) -> tuple[str, ...]:
        """All that may lie in the folder of the results."""
        return (PAGE, self.summary, *self.tables, *self.folders)

    def check(self, out: Path, *, overwrite: bool) -> Content:
        """Raises the `InputError` of an output folder that cannot be used, before any work; gives what lies in it."""
        return check_output_folder(out, self.files, overwrite=overwrite)

    def write(
        self,
        out: Path,
        summary: Summary,
        title: str,
        sections: Callable[[Path], Iterable[Section]],
        tables: Mapping[str, pd.DataFrame] | None = None,
        *,
        overwrite: bool,
        before: Content | None = None,
    ) -> None:
        """Writes all files into `out`.

        Args:
            sections: makes those of the page; what they need besides it writes into the folder that it is given, such
                as pictures into `FIGURES`.
            tables: by their paths in the folder, such as "patients.csv".
            overwrite: whether an earlier report in `out` is replaced.
            before: what `check` gave, where that was earlier; what came since then stays, and nothing is written.

        Raises:
            InputError: `out` cannot be used or written.
        """
        with output_folder(out, self.files, overwrite=overwrite, before=before) as folder:
            for name in self.folders:
                (folder / name).mkdir()
            made = tuple(sections(folder))
            page = rendered("evaluation.html", kind=self.kind, title=title, notices=summary.notices, sections=made)
            (folder / PAGE).write_text(page, encoding="utf-8")
            for table in (table for section in made for table in section.tables):
                (folder / TABLES / f"{table.name}.csv").write_text(table.csv(), encoding="utf-8")
                (folder / TABLES / f"{table.name}.md").write_text(table.markdown(), encoding="utf-8")
            for name, frame in (tables or {}).items():
                (folder / name).write_text(csv_of(frame), encoding="utf-8")
            (folder / self.summary).write_text(summary.to_json() + "\n", encoding="utf-8")


def provenance(rows: Sequence[tuple[str, str]]) -> Section:
    """The section that tells how a report was made: what was used, and its value."""
    table = Table("provenance", "Enough to make the figures again", pd.DataFrame(rows, columns=["What", "Value"]))
    return Section("How this was made", (), (), (table,))


def table_sha256(path: Path) -> str:
    """SHA-256 of a cohort table.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise InputError("The cohort table cannot be opened; check its path and permissions.") from None
