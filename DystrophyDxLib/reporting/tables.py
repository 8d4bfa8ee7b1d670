"""`Table`: what a report shows and writes as CSV and Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ..files.spreadsheet import csv_of
from ..statistics.estimate import Estimate

_DASH = "–"
_NEGATIVE_ZERO = re.compile(r"-(0\.?0*)(?![\d.e])")
_NOTHING = 1e-12
"""What rounding errors leave of 0."""
_FORMATS = {
    "AUC": ".3f", "F1": ".3f", "LR+": ".3g", "LR−": ".3g", "p": ".3f", "Value": ".3f", "Kappa": ".3f", "AC1": ".3f",
    "Difference": ".3f",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table of text, numbers and `Estimate`s; what cannot be computed is nan, and shown as a dash.

    >>> table = Table("areas", "Areas", pd.DataFrame({"Model": ["ours"], "AUC": [Estimate(2 / 3, 0.1, 0.9)]}))
    >>> table.rows
    [[('Model', 'ours'), ('AUC', '0.667 (0.100, 0.900)')]]

    Attributes:
        name: of its files.
        title: caption.
        frame: the first column names the row.
        note: what a reader must know of the figures.
    """

    name: str
    title: str
    frame: pd.DataFrame
    note: str = ""

    @property
    def headers(self) -> list[str]:
        return list(self.frame.columns)

    @property
    def rows(self) -> list[list[tuple[str, str]]]:
        """Header and text of each cell, row by row."""
        return [[(name, cell_text(name, row[name])) for name in self.frame] for row in self.frame.to_dict("records")]

    def is_number(self, header: str) -> bool:
        """Whether a column holds figures."""
        return not any(isinstance(cell, str) for cell in self.frame[header])

    def csv(self) -> str:
        """Full precision; an estimate takes three columns."""
        columns = {}
        for name in self.frame:
            cells = self.frame[name]
            if any(isinstance(cell, Estimate) for cell in cells):
                for part, suffix in (("value", ""), ("low", " low"), ("high", " high")):
                    columns[name + suffix] = [getattr(cell, part, cell if not suffix else None) for cell in cells]
            else:
                columns[name] = cells
        return csv_of(pd.DataFrame(columns))

    def markdown(self) -> str:
        """Caption, table and note in GitHub's Markdown."""
        lines = [f"**{self.title}**", "", _row(self.headers)]
        lines.append(_row("---:" if self.is_number(name) else "---" for name in self.headers))
        lines += [_row(text.replace("|", "\\|") for _, text in row) for row in self.rows]
        return "\n".join([*lines, *(["", self.note] if self.note else [])]) + "\n"


def cell_text(header: str, cell: object) -> str:
    """A cell as it is shown: two decimals, or as many as the figure is usually given with. An interval that
    reaches below 0 keeps its sign.

    >>> cell_text("AUC, difference", Estimate(0.044, -0.0004, 0.088)), cell_text("p", 0.0523)
    ('0.044 (−0.000, 0.088)', '0.052')
    """
    form = _FORMATS.get(header.split(",")[0], ".2f")
    if isinstance(cell, Estimate):
        if math.isnan(cell.value):
            return _DASH
        cell = Estimate(*(0.0 if abs(part) < _NOTHING else part for part in (cell.value, cell.low, cell.high)))
        text = f"{cell.value:{form}} ({_DASH})" if math.isnan(cell.low) else f"{cell:{form}}"
    elif header.startswith("p") and isinstance(cell, float) and cell < 0.001:
        text = "< 0.001"
    elif isinstance(cell, float):
        text = _DASH if math.isnan(cell) else _NEGATIVE_ZERO.sub(r"\1", f"{cell:{form}}")
    else:
        return str(cell)
    return text.replace("inf", "∞").replace("-", "−")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
