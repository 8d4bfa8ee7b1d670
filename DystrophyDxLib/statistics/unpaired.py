"""Decisions on different cases, or taken as such: how often two deciders err."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2_contingency

from ..errors import InputError


def equal_errors(errors: Sequence[int], totals: Sequence[int]) -> float:
    """Two-sided p of Pearson's chi-square test, without continuity correction, that groups err equally often, as in
    Table 3 of Germain et al., Diagnostics 2021;11:1554; nan of fewer than two groups. It takes no account of cases that
    two deciders share; see `paired`.

    Raises:
        InputError: no decision in a group, or more errors than decisions.
    """
    table = np.array([errors, np.subtract(totals, errors)])
    if (table < 0).any() or not all(totals):
        raise InputError("There are more errors than decisions, or none; give how many there were of each.")
    if len(errors) < 2:
        return float("nan")
    if not table.sum(axis=1).all():
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)
