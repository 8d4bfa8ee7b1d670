"""The primary endpoint of a reader study: the one result that is chosen in the protocol, before anybody reads."""

from __future__ import annotations

from ..models.strict import Strict
from ..statistics.merit import COMPARES, RANDOM, Compares, FigureOfMerit, Random


class PrimaryEndpoint(Strict):
    """The difference that a study is to tell; all other results are secondary.

    Attributes:
        figure: of merit.
        holds_for: what the result generalises to beyond those who read and what was read.

    >>> print(PrimaryEndpoint(figure="AUC", compares="aided minus unaided"))
    AUC, mean of the readers, aided minus unaided, for other readers and cases
    """

    figure: FigureOfMerit
    compares: Compares
    holds_for: Random = RANDOM[0]

    def __str__(self) -> str:
        return f"{self.figure}, mean of the readers, {self.compares}, for other {self.holds_for}"


def default_comparison(arms: frozenset[str]) -> Compares:
    """What a study of these arms of answers compares unless it says otherwise: the arms where both are read, else its
    readers with the model."""
    return next(compares for compares in COMPARES if possible(compares, arms))


def possible(compares: Compares, arms: frozenset[str]) -> bool:
    """Whether these arms of answers are enough for a comparison."""
    return {*compares.split(" minus ")} - {"model"} <= arms
