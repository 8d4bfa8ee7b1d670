"""Tables and figures of an evaluation as files, and as one self-contained HTML page."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

from .rendering import rendered
from .tables import Table

_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class Picture:
    """A figure of the page: an SVG or PNG file that is taken into it, what it shows in words, and its caption."""

    path: Path
    alt: str
    caption: str

    @property
    def data_uri(self) -> str:
        return f"data:{_TYPES[self.path.suffix]};base64,{base64.b64encode(self.path.read_bytes()).decode()}"


@dataclass(frozen=True)
class Section:
    """A headed part of the page: paragraphs, then pictures, then tables."""

    title: str
    paragraphs: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Page:
    """An HTML report. `kind` stands above the title, `notices` beside every figure."""

    kind: str
    title: str
    notices: tuple[str, ...]
    sections: tuple[Section, ...] = field(default_factory=tuple)

    def write(self, path: Path) -> None:
        """Writes the page; nothing in it points outside."""
        path.write_text(rendered("evaluation.html", page=self, notices=self.notices), encoding="utf-8")

    def write_tables(self, folder: Path) -> None:
        """Writes every table of the page as CSV, in full precision, and Markdown."""
        for section in self.sections:
            for table in section.tables:
                (folder / f"{table.name}.csv").write_text(table.csv(), encoding="utf-8")
                (folder / f"{table.name}.md").write_text(table.markdown(), encoding="utf-8")
