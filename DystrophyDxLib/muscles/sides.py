"""Which side each leg is, by its muscles: independent of any header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..regions.windows import Side, Window
from ..results import ResultWarning, WarningCode

MARGIN = 0.4
"""Mean log probability by which maps must be likelier than those of mirror images for the muscles to tell a side. The
least of 388 legs of phantoms had 0.7, and of eleven real series of thighs the least mean was 0.9."""


class ToldSides(NamedTuple):
    """What the muscles say of the sides.

    Attributes:
        as_left: of each window, whether it is mapped as a left leg.
        sides: of each window: its own or, where that is unknown, what the muscles say.
        warnings: where the muscles contradict the sides, or tell what nothing else does.
    """

    as_left: tuple[bool, ...]
    sides: tuple[Side, ...]
    warnings: tuple[ResultWarning, ...] = ()


def told_sides(
    windows: Sequence[Window], either: Sequence[tuple[float, float]], thighs: Sequence[bool] | None = None
) -> ToldSides:
    """The sides of legs.

    Args:
        either: of each window the likelihood of its map where the leg is taken for a left one, and for a right one.
        thighs: of each window whether it shows a thigh; others have no say. None where all do.
    """
    leftness = np.array([left - right for left, right in either])
    counted = np.ones(len(windows), bool) if thighs is None else np.array(thighs, bool)
    sides = [window.side for window in windows]
    warnings = []
    mirrored = False
    known = [n for n, side in enumerate(sides) if side in (Side.LEFT, Side.RIGHT)]
    if known:
        sign = np.array([1.0 if sides[n] is Side.LEFT else -1.0 for n in known])
        mirrored = _mean(sign * leftness[known], counted[known]) < -MARGIN
        if mirrored:
            warnings.append(
                ResultWarning(
                    code=WarningCode.SIDE_MIRRORED,
                    message="By their muscles, legs that are called left are right ones and the other way round; check "
                    "with which side the images were made, and how they were converted.",
                )
            )
    as_left = {n: (sides[n] is Side.LEFT) != mirrored for n in known}
    found = []
    for leg in _unknown_legs(windows):
        mean = _mean(leftness[leg], counted[leg])
        as_left |= dict.fromkeys(leg, mean > 0)
        if abs(mean) > MARGIN:
            side = Side.LEFT if mean > 0 else Side.RIGHT
            found.append(side)
            for n in leg:
                sides[n] = side
    if found:
        legs = "the leg is a " if len(found) == 1 else "the legs are a "
        message = f"By the muscles {legs}{' and a '.join(side.value for side in found)} one, which nothing else tells."
        warnings.append(ResultWarning(code=WarningCode.SIDE_BY_MUSCLES, message=message))
    return ToldSides(tuple(as_left[n] for n in range(len(windows))), tuple(sides), tuple(warnings))


def _mean(values: np.ndarray, counted: np.ndarray) -> float:
    """Of those that count; 0 where none does."""
    return float(values[counted].mean()) if counted.any() else 0.0


def _unknown_legs(windows: Sequence[Window]) -> list[list[int]]:
    """Numbers of the windows without a side, leg by leg: those of one leg lie on one side of the middle between two."""
    slices: dict[int, list[int]] = {}
    for n, window in enumerate(windows):
        if window.side not in (Side.LEFT, Side.RIGHT):
            slices.setdefault(window.slice, []).append(n)
    pairs = [own for own in slices.values() if len(own) > 1]
    everyone = [n for own in slices.values() for n in own]
    if not pairs:
        return [everyone] if everyone else []
    centre = {n: np.array([sum(windows[n].j), sum(windows[n].i)]) / 2 for n in everyone}
    apart = np.mean([centre[own[-1]] - centre[own[0]] for own in pairs], axis=0)
    between = np.mean([centre[n] for own in pairs for n in own], axis=0)
    beyond = [bool((centre[n] - between) @ apart > 0) for n in everyone]
    return [[n for n, far in zip(everyone, beyond, strict=True) if far is which] for which in (False, True)]
