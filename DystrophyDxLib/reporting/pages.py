"""What a report's page is made of: sections of paragraphs, pictures and tables."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

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
