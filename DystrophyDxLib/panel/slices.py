"""Slices in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..results import ResultWarning


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers in short.

    >>> ranges([3, 4, 5, 9])
    '3 to 5, 9'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)


def edited_since_result(slices: Sequence[int], doubts: Iterable[ResultWarning] = ()) -> str:
    """What is said of slices whose region is no longer that of the result; nothing where there are none.

    Args:
        doubts: on what was drawn, told before it is classified.

    >>> edited_since_result([4])
    'Edited since the result: slice 4.'
    """
    if not slices:
        return ""
    edited = f"Edited since the result: {'slice' if len(slices) == 1 else 'slices'} {ranges(slices)}."
    return " ".join((edited, *(doubt.message for doubt in doubts)))
