"""What a new reader study offers, and which design fits what is read."""

from __future__ import annotations

from collections.abc import Collection

from ..readerstudy.protocol import Arm, Design

ARMS = ((Arm.UNAIDED, Arm.AIDED), (Arm.SEQUENTIAL,), (Arm.UNAIDED,), (Arm.AIDED,))
"""As they are offered."""
DESIGNS = (Design.CROSSOVER, Design.FULLY_CROSSED, Design.SPLIT_PLOT)
"""As they are offered; a crossover is of the first arms alone."""


class DesignChoice:
    """Proposes a design: the one that was chosen where the arms allow it, else a fully crossed one until they do.

    >>> choice = DesignChoice()
    >>> choice.proposed(ARMS[1], Design.CROSSOVER), choice.proposed(ARMS[0], Design.FULLY_CROSSED)
    (<Design.FULLY_CROSSED: 'fully-crossed'>, <Design.CROSSOVER: 'crossover'>)
    """

    def __init__(self) -> None:
        self._replaced = False

    def proposed(self, arms: Collection[Arm], chosen: Design) -> Design:
        """The design for other arms than those for which `chosen` was chosen or proposed."""
        if self._replaced and chosen is Design.FULLY_CROSSED:
            chosen = Design.CROSSOVER
        self._replaced = chosen is Design.CROSSOVER and not {Arm.UNAIDED, Arm.AIDED} <= set(arms)
        return Design.FULLY_CROSSED if self._replaced else chosen
