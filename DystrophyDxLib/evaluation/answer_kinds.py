"""The kinds of answers that can be measured: another kind is another class, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..models.decision import Binary, Decision, Ranked
from .answers import Answers
from .binary_answers import BinaryAnswers
from .ranked_answers import RankedAnswers

_KINDS: dict[type[Decision], Callable[[Any], Answers]] = {
    Binary: lambda decision: BinaryAnswers(decision.classes, decision.threshold),
    Ranked: lambda decision: RankedAnswers(decision.classes),
}


def answers_of(decision: Decision) -> Answers:
    """How a model's answers are measured."""
    return _KINDS[type(decision)](decision)
