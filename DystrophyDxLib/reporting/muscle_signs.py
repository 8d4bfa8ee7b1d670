"""The published signs of the thigh as lines of text and as a table."""

from __future__ import annotations

from dataclasses import dataclass

from ..muscles.signs import SIGNS, PublishedSign
from ..results import Sign, StudyResult

STATES = {True: "present", False: "absent", None: "not decidable"}
WORDS = (
    "Publications describe signs for the eye; the limits of the fat fraction by which they are told here are this "
    "program's own. A sign that is absent excludes no disease, and one that is present proves none."
)


def signs_lines(result: StudyResult) -> list[str]:
    """Each sign that is present in a sentence, and the others by name; nothing without signs."""
    if not result.signs:
        return []
    reasons = {sign.why for sign in result.signs}
    if len(reasons) == 1 and all(sign.present is None for sign in result.signs):
        return [f"Signs: not decidable. {reasons.pop()}"]
    lines = [f"Sign: {sign.told}" for sign in result.signs if sign.present]
    others = []
    for state in (False, None):
        names = {sign.name for sign in result.signs if sign.present is state}
        told = [f"{name}{_sides(result, name, state)}" for name in (sign.name for sign in SIGNS) if name in names]
        if told:
            others.append(f"{STATES[state]}: {', '.join(told)}")
    return [*lines, *([f"Signs {'; '.join(others)}."] if others else [])]


def _sides(result: StudyResult, name: str, state: bool | None) -> str:
    """Which sides, where not all of them."""
    sides = [sign.side for sign in result.signs if sign.name == name and sign.present is state]
    everywhere = len(sides) == sum(sign.name == name for sign in result.signs)
    return "" if everywhere else f" ({', '.join(sides)})"


@dataclass(frozen=True)
class SignRow:
    """A sign in the table of the report.

    Attributes:
        published: what the sign is.
        cells: on each side, or the one of both.
    """

    published: PublishedSign
    cells: tuple[Sign, ...]

    @property
    def of_both(self) -> bool:
        """Whether the sign compares the sides."""
        return self.cells[0].side == "both"


def by_sign(result: StudyResult, sides: list[str]) -> list[SignRow]:
    """Each sign with what is found on each of `sides`, in that order."""
    rows = []
    for published in SIGNS:
        own = {sign.side: sign for sign in result.signs if sign.name == published.name}
        cells = tuple(own[side] for side in (*sides, "both") if side in own)  # type: ignore[index]
        if cells:
            rows.append(SignRow(published, cells))
    return rows
