"""Mercuri grades as they are typed, and what is asked where some were left out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..readerstudy.questions import GRADES

KEYS = tuple(sorted(set("".join(GRADES))))
"""Of which grades are made."""
NAMED = 4
"""Grades that were left out are named one by one up to this many."""


class GradeTyping:
    """A grade key by key: 0, 1, 3 and 4 are whole at once, a 2 waits for its a or b.

    Attributes:
        begun: what was typed of a grade that is not whole yet.

    >>> typing = GradeTyping()
    >>> typing.key("3"), typing.key("2"), typing.begun, typing.key("b"), typing.key("a")
    ('3', None, '2', '2b', None)
    """

    def __init__(self) -> None:
        self.begun = ""

    def key(self, key: str) -> str | None:
        """The grade that this key makes whole; None where it makes none."""
        typed = self.begun + key
        if not any(grade.startswith(typed) for grade in GRADES):
            typed = key  # another one is begun
        whole = typed in GRADES
        self.begun = typed if not whole and any(grade.startswith(typed) for grade in GRADES) else ""
        return typed if whole else None


def left_out(places: Sequence[tuple[str, str]], graded: Collection[tuple[str, str]]) -> str:
    """What is asked once before an answer without all grades is locked; nothing where all are given.

    Args:
        places: muscle and side of each grade that is asked for.
        graded: those that are given.

    >>> left_out([("gracilis", "right"), ("gracilis", "left")], [("gracilis", "left")])
    'Not graded: gracilis right. Submit again to leave it out, as what cannot be graded.'
    """
    missing = [place for place in places if place not in graded]
    if not missing:
        return ""
    if len(missing) == len(places):
        told = "No muscle is graded"
    elif len(missing) > NAMED:
        told = f"{len(missing)} of {len(places)} grades are not given"
    else:
        told = f"Not graded: {', '.join(f'{muscle} {side}' for muscle, side in missing)}"
    return f"{told}. Submit again to leave {'it' if len(missing) == 1 else 'them'} out, as what cannot be graded."
