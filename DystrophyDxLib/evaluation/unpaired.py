"""Decisions on different cases, or taken as such: how often two deciders err."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2_contingency

from ..errors import InputError


def compare_errors(first: int, first_total: int, second: int, second_total: int) -> float:
    """Two-sided p of Pearson's chi-square test, without continuity correction, that both err equally often, as in Table
    3 of Germain et al., Diagnostics 2021;11:1554. It takes no account of cases that both decided; see `paired`.

    Raises:
        InputError: no decision, or more errors than decisions.
    """
    table = np.array([[first, first_total - first], [second, second_total - second]])
    if (table < 0).any() or not (first_total and second_total):
        raise InputError("There are more errors than decisions, or none; give how many there were of each.")
    if not table.sum(axis=0).all():
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)
