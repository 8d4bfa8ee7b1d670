"""From which probability on a class is a label, by what validation shows."""

from __future__ import annotations

import math

import numpy as np

NEAREST = 20
"""Cases of validation by which it is judged whether a class is a label at a probability, all who say the class where
they are fewer: as few as can show that 3 in 4 are more than a half."""


def least_earned(sure: np.ndarray, right: np.ndarray, by_chance: float) -> float | None:
    """Least probability of a class at which it is a label; None where it is never one. See `decision.Decision.tuned`.

    Args:
        sure: (N,) probability of the class of the cases that say it.
        right: (N,) bool, whether it is theirs.
        by_chance: share of the class among all cases.
    """
    from ..statistics.confusion import proportion  # needs statsmodels, which classification does not

    def shown(cases: np.ndarray) -> bool:
        return proportion(int(right[cases].sum()), int(cases.sum())).low > by_chance

    if not len(sure) or not shown(sure >= 0):
        return None
    enough = np.sort(sure)[-min(NEAREST, len(sure))]
    for least in np.unique(sure[sure <= enough]).tolist():
        nearest = np.sort(sure[sure >= least])[:NEAREST][-1]
        if shown((sure >= least) & (sure <= nearest)):
            return math.floor(least * 1000) / 1000  # so that the case itself still has it
    return None
