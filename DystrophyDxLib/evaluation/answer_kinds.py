"""The kinds of answers that can be measured: another kind is another class, and a line here."""

from __future__ import annotations

from ..models.package import ModelCard
from .answers import Answers
from .binary_answers import BinaryAnswers
from .ranked_answers import RankedAnswers


def answers_of(card: ModelCard) -> Answers:
    """How a model's answers are measured."""
    if card.threshold is None:
        return RankedAnswers(card.classes)
    return BinaryAnswers(card.classes, card.threshold)
