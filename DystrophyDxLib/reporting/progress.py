"""How far long work is. Whoever works tells an `Advance`; a terminal or a window shows what it is told."""

from __future__ import annotations

from collections.abc import Callable

Advance = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

WRITING = "Writing the report"
"""What long commands do last: figures with their intervals take seconds."""


def silent(what: str, done: int, total: int) -> None:
    """An `Advance` that shows nothing."""


def part_of(advance: Advance, name: str) -> Advance:
    """An `Advance` for one part of the work, whose name then stands before what is being done.

    >>> part_of(print, "Fold 1")("Classifying", 2, 8)
    Fold 1: Classifying 2 8
    """
    return lambda what, done, total: advance(f"{name}: {what}", done, total)
