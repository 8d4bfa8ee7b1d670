"""Decisions against the truth: the four counts and the proportions they give, each with its 95 % interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from ..errors import InputError
from .estimate import Estimate


@dataclass(frozen=True)
class Confusion:
    """Counts of true and false, positive and negative decisions.

    Raises:
        InputError: a negative count.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __post_init__(self) -> None:
        if min(self.tp, self.fp, self.fn, self.tn) < 0:
            raise InputError("A count of decisions is below zero; give how many there were of each kind.")

    @classmethod
    def from_decisions(cls, truth: np.ndarray, called: np.ndarray) -> Confusion:
        """Counts the decisions.

        Args:
            truth: (N,) 1 or True where the class is present.
            called: (N,) 1 or True where it was said to be.

        Raises:
            InputError: values other than 0 and 1, or another number of decisions than of truths.
        """
        truth, called = (_binary(values) for values in (truth, called))
        if truth.shape != called.shape:
            raise InputError("There are not as many decisions as truths; give one decision for each.")
        pairs = ((truth, called), (~truth, called), (truth, ~called), (~truth, ~called))
        return cls(*(int(np.count_nonzero(present & said)) for present, said in pairs))

    @property
    def positives(self) -> int:
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        return self.fp + self.tn

    @property
    def accuracy(self) -> Estimate:
        return proportion(self.tp + self.tn, self.positives + self.negatives)

    @property
    def sensitivity(self) -> Estimate:
        return proportion(self.tp, self.positives)

    @property
    def specificity(self) -> Estimate:
        return proportion(self.tn, self.negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and PPV; nan where nothing is or was called positive.

        Not a proportion, so without an interval here; see `bootstrap`.
        """
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else float("nan")

    @property
    def positive_likelihood_ratio(self) -> Estimate:
        """Sensitivity over 1 − specificity; infinite when the specificity is 1."""
        return _ratio(self.tp, self.positives, self.fp, self.negatives)

    @property
    def negative_likelihood_ratio(self) -> Estimate:
        """1 − sensitivity over specificity; infinite when the specificity is 0."""
        return _ratio(self.fn, self.positives, self.tn, self.negatives)


def errors_of(matrix: np.ndarray) -> tuple[int, int]:
    """Wrong decisions and all decisions of a (K, K) confusion matrix."""
    total = int(np.sum(matrix))
    return total - int(np.trace(matrix)), total


def proportion(count: int, total: int) -> Estimate:
    """`count` of `total` with Wilson's interval (Wilson 1927, JASA 22:209), which is 0 to 1 for none of none.

    >>> f"{proportion(123, 130):.3f}"  # Yang et al. 2021: DMD
    '0.946 (0.893, 0.974)'
    """
    if total == 0:
        return Estimate(float("nan"), 0.0, 1.0)
    low, high = proportion_confint(count, total, method="wilson")
    return Estimate(count / total, float(low) if count else 0.0, float(high) if count < total else 1.0)


def _ratio(count: int, total: int, other_count: int, other_total: int) -> Estimate:
    """Ratio of two independent proportions by the log method (Simel et al. 1991, J Clin Epidemiol 44:763), with a half
    added to each count where one of them is zero and has no logarithm."""
    if not total or not other_total or count == other_count == 0:
        return Estimate(float("nan"), 0.0, float("inf"))
    value = count / total / (other_count / other_total) if other_count else float("inf")
    method = "log" if count and other_count else "log-adjusted"
    low, high = confint_proportions_2indep(count, total, other_count, other_total, method=method, compare="ratio")
    return Estimate(value, float(low) if count else 0.0, float(high) if other_count else float("inf"))


def _binary(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if not np.isin(values, (0, 1)).all():
        raise InputError("Truth and decisions must be 0 or 1; correct the table.")
    return values.astype(bool)
