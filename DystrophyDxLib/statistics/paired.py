"""Paired decisions: two models, or a model and a reader, on the same cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar

from ..errors import InputError

EXACT_BELOW = 25
"""Discordant pairs below which McNemar's test is exact."""


@dataclass(frozen=True)
class PairedDecisions:
    """Where two deciders differ.

    Attributes:
        only_first, only_second: cases that only the one decided rightly.
        exact: p is from the binomial distribution, not from chi-square with continuity correction.
        p: two-sided, of the hypothesis that both are right equally often.
    """

    only_first: int
    only_second: int
    exact: bool
    p: float


def compare_decisions(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> PairedDecisions:
    """McNemar's test (McNemar 1947, Psychometrika 12:153) of who is right more often.

    Cases are taken as independent: give one decision a patient, not its images. On the cases of one class it compares
    sensitivity or specificity.

    Args:
        truth, first, second: (N,) 0 or 1.

    Raises:
        InputError: another number of decisions than of truths.
    """
    truth, first, second = (np.asarray(values).astype(bool) for values in (truth, first, second))
    if not truth.shape == first.shape == second.shape:
        raise InputError("There are not as many decisions as truths; give both decisions for each case.")
    right, other = first == truth, second == truth
    table = np.array([[np.sum(a & b) for b in (other, ~other)] for a in (right, ~right)])
    discordant = int(table[0, 1] + table[1, 0])
    exact = discordant < EXACT_BELOW
    # The test is symmetric; without a discordant pair statsmodels answers p = 1.
    test = mcnemar(table, exact=exact, correction=True)
    return PairedDecisions(int(table[0, 1]), int(table[1, 0]), exact, min(1.0, float(test.pvalue)))
