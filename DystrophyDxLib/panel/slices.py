"""Slices in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


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


def edited_since_result(slices: Sequence[int]) -> str:
    """What is said of slices whose region is no longer that of the result; nothing where there are none.

    >>> edited_since_result([4])
    'Edited since the result: slice 4.'
    """
    if not slices:
        return ""
    return f"Edited since the result: {'slice' if len(slices) == 1 else 'slices'} {ranges(slices)}."
