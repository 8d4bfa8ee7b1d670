"""Heat in the muscles in words and as rows of a table."""

from __future__ import annotations

from ..results import MuscleHeat, StudyResult

NAMED = 3
"""Muscles that a sentence names at most."""
LEAST = 0.005
"""Share of the heat from which a muscle is named or has a row of its own: it is then at least 1 % when rounded."""
HARDLY = 0.05
"""Mean heat below which a muscle has hardly any: where no muscle has more, their shares of it tell nothing."""


def heat_line(result: StudyResult) -> str:
    """How much of the heat lies in muscles, and in which of them most, in one line; nothing without a muscle map."""
    muscles = result.muscle_heat
    if not muscles:
        return ""
    if not any(muscle.mean_heat for muscle in muscles):
        return "Heat in the muscles: none."
    if not _ranked(result):
        return "Heat in the muscles: hardly any, so the muscles are not ranked by it."
    most = ", ".join(f"{_named(muscle)} {_percent(muscle.share)}" for muscle in _shown(result)[:NAMED])
    return f"Heat in the muscles: {_percent(share_in_muscles(result))} of all{f'; most in {most}' if most else ''}."


def heat_rows(result: StudyResult) -> list[tuple[str, float, float | None]]:
    """What the heat lies in: name, share of the heat, and mean heat; muscles from the one with the largest share on,
    then what the other muscles hold together and what lies outside them.

    Nothing without a muscle map or with hardly any heat.
    """
    muscles, shown = result.muscle_heat, _shown(result)
    if not _ranked(result):
        return []
    rest = sum(muscle.share for muscle in muscles[len(shown) :])
    return [
        *((_named(muscle), muscle.share, muscle.mean_heat) for muscle in shown),
        *([("other muscles", rest, None)] if len(shown) < len(muscles) else []),
        ("outside the muscles", max(0.0, 1 - share_in_muscles(result)), None),
    ]


def share_in_muscles(result: StudyResult) -> float:
    """Share of the heat that lies in the muscles of the map."""
    return sum(muscle.share for muscle in result.muscle_heat)


def _ranked(result: StudyResult) -> bool:
    return any(muscle.mean_heat >= HARDLY for muscle in result.muscle_heat)


def _shown(result: StudyResult) -> tuple[MuscleHeat, ...]:
    return tuple(muscle for muscle in result.muscle_heat if muscle.share >= LEAST)


def _named(muscle: MuscleHeat) -> str:
    return f"{muscle.side} {muscle.muscle}" if muscle.side in ("left", "right") else muscle.muscle


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
