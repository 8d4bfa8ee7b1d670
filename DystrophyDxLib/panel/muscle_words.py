"""What the panel says of the muscles: a line that is seen while the section is folded, and a table."""

from __future__ import annotations

from html import escape

from ..reporting.leg_chart import SHORT
from ..reporting.muscle_fat import INKS, SHADES, by_muscle, fat_by_leg, grade_cell, sides_of, source_words
from ..reporting.muscle_heat import heat_line
from ..reporting.muscle_signs import signs_lines
from ..reporting.pattern_words import pattern_line
from ..results import MuscleFat, StudyResult

_HEADINGS = {"unknown": "Leg, side unknown", "none": "Leg"}


def muscles_title(result: StudyResult) -> str:
    """Title of the section: how much fat there is in each leg's muscles, where that is known and not in doubt."""
    if result.fat is not None and result.fat.doubt:
        return "Muscles: in doubt, do not use"
    legs = fat_by_leg(result)
    return f"Muscles: fat {legs}" if legs else "Muscles"


def fat_table_html(result: StudyResult) -> str:
    """Each muscle with its name in the chart, the fat in it, its interval and its grade on each side, shaded as in the
    report; nothing without a muscle map."""
    rows = by_muscle(result)
    if not rows:
        return ""
    sides = "".join(
        f'<th align="right">&nbsp;{_HEADINGS.get(side, side.capitalize())}: % fat&nbsp;</th><th>Grade</th>'
        for side in sides_of(result)
    )
    lines = "".join(
        f"<tr><td>{escape(name.capitalize())}&nbsp;</td><td>{SHORT[name]}&nbsp;</td>"
        f"{''.join(map(_cells, muscles))}</tr>"
        for name, muscles in rows
    )
    return f'<table cellspacing="1"><tr><th align="left" colspan="2">Muscle</th>{sides}</tr>{lines}</table>'


def muscles_notes(result: StudyResult) -> str:
    """By what the fat is told, and whose map it is; which muscles the heat lies in; the published signs; the
    answer by the pattern of the fat, and which muscles moved it."""
    lines = source_words(result), heat_line(result), *signs_lines(result), pattern_line(result)
    return "<br>".join(map(escape, filter(None, lines)))


def _cells(muscle: MuscleFat | None) -> str:
    if muscle is None:
        return '<td align="right">&nbsp;–&nbsp;</td><td></td>'
    grade = muscle.mercuri or 0
    words = grade_cell(muscle).replace(" ", "&nbsp;")
    shade = f'<td align="center" bgcolor="{SHADES[grade]}"><font color="{INKS[grade]}">{words}</font></td>'
    if muscle.fat_fraction is None or muscle.fat_ci95 is None:
        return f'<td align="right">&nbsp;not decidable&nbsp;</td>{shade}'
    low, high = (f"{100 * part:.0f}" for part in muscle.fat_ci95)
    return f'<td align="right">&nbsp;{100 * muscle.fat_fraction:.0f} ({low} to {high})&nbsp;</td>{shade}'
