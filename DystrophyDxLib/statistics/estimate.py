"""A figure with its 95 % interval."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import norm

Z95 = float(norm.ppf(0.975))
"""Standard normal deviate of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    >>> f"{Estimate(0.91, 0.88, 0.93):.2f}"
    '0.91 (0.88, 0.93)'

    Without the data for it, the value is nan and the interval holds all that the figure could be.
    """

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} ({self.low:{spec}}, {self.high:{spec}})"
