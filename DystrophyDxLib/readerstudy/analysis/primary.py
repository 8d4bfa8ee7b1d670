"""The primary result of a reader study: what its protocol chose before anybody read, told before all other results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...reporting.pages import Section
from ...reporting.tables import cell_text
from ...statistics.estimate import Estimate
from ...statistics.merit import ARMS_COMPARED, RANDOM
from ...statistics.mrmc import COVARIANCES, Difference
from ..endpoint import PrimaryEndpoint
from ..reads import Reads
from .comparison_tables import ArmsAnalysis, ModelAnalysis

TITLE = "Primary result"
SECONDARY = (
    "All other results of this report are secondary and exploratory: they suggest, and their p values are not "
    "corrected for their number."
)
UNDECLARED = (
    "No primary endpoint was declared in a protocol before reading, so that all results of this report are "
    "exploratory: they suggest, and their p values are not corrected for their number."
)


@dataclass(frozen=True)
class PrimaryResult:
    """What was found of a primary endpoint.

    Attributes:
        declared: date of the protocol; empty where it is not known.
        difference, p: nan where it cannot be told.
    """

    endpoint: PrimaryEndpoint
    declared: str
    difference: Estimate
    p: float

    @property
    def told(self) -> str:
        """The result in one sentence."""
        if np.isnan(self.difference.value):
            return "It cannot be told: fewer than two readers answered enough cases for it."
        value, low, high = self.difference.value, self.difference.low, self.difference.high
        higher, lower = self.endpoint.compares.split(" minus ")
        found = f"{self.endpoint.compares} {cell_text('Difference', self.difference)}, p {cell_text('p', self.p)}"
        if not (low > 0 or high < 0):
            return f"{found}. The interval does not leave out 0, so that a difference is not shown."
        better, worse = (higher, lower) if value > 0 else (lower, higher)
        return (
            f"{found}. The interval leaves out 0: the {self.endpoint.figure} {_of(better)} is above that {_of(worse)}."
        )

    @classmethod
    def of(cls, reads: Reads, arms: Sequence[ArmsAnalysis], model: Sequence[ModelAnalysis]) -> PrimaryResult | None:
        """The result of the endpoint that the tables declare; None where they declare none."""
        endpoint = reads.primary
        if endpoint is None:
            return None
        found = _test(endpoint, arms, model)
        unknown = Estimate(np.nan, np.nan, np.nan)
        difference, p = (unknown, np.nan) if found is None else (found.difference, found.p)
        return cls(endpoint, reads.declared, difference, p)


def section(primary: PrimaryResult | None) -> Section:
    """The first section of the report."""
    if primary is None:
        return Section(TITLE, (UNDECLARED,))
    when = f" on {primary.declared}" if primary.declared else ""
    return Section(
        TITLE,
        (
            f"Declared in the protocol{when}, before anybody read: {primary.endpoint}.",
            f"Found, with its 95 % interval: {primary.told}",
            SECONDARY,
        ),
    )


def _test(endpoint: PrimaryEndpoint, arms: Sequence[ArmsAnalysis], model: Sequence[ModelAnalysis]) -> Difference | None:
    number = RANDOM.index(endpoint.holds_for)
    if endpoint.compares == ARMS_COMPARED:
        own = (each for each in arms if (each.figure, each.covariance) == (endpoint.figure, COVARIANCES[0]))
        return next((each.tests[number].differences[0] for each in own), None)
    beside = (
        each for each in model if (f"{each.arm} minus model", each.figure) == (endpoint.compares, endpoint.figure)
    )
    return next((each.tests[number] for each in beside), None)


def _of(arm: str) -> str:
    return "of the model" if arm == "model" else f"of {arm} readers"
