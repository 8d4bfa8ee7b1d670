"""Agreement of readers beyond chance: kappa of two (Cohen) and of many (Fleiss), and Gwet's AC1, each with its 95 %
interval.

Kappa falls when nearly all cases are of one class, however well readers agree; AC1 does not, and so stands beside it
(Gwet 2008, Br J Math Stat Psychol 61:29).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import t
from statsmodels.stats.inter_rater import cohens_kappa

from ..errors import InputError
from .estimate import Estimate

BANDS = ((0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"), (1.0, "nearly perfect"))
"""Upper ends of the bands of kappa in Yang et al., BMC Neurology 2021;21:13, after Landis and Koch 1977 (Biometrics
33:159); below 0 there is no agreement."""
LEAST_CASES = 5
"""Cases with two answers below which agreement is not told (our choice)."""
Chance = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Agreement:
    """Agreement beyond chance: 1 is perfect, 0 what chance gives.

    Attributes:
        coefficient: nan where chance alone agrees always (all answers alike), and where chance is of so many cases with
            one answer that it falls below -1; without bounds (nan) where nothing varies
            between cases, as where all answers to each case agree.
        observed: share of pairs of answers to a case that agree, chance included.
        cases: with at least two answers, which is what it rests on.
    """

    coefficient: Estimate
    observed: float
    cases: int


def band(coefficient: float) -> str:
    """The band of kappa in words, empty for nan."""
    if np.isnan(coefficient):
        return ""
    return "none" if coefficient < 0 else next(name for upper, name in BANDS if coefficient <= upper)


def fleiss_kappa(answers: np.ndarray, categories: int) -> Agreement:
    """Fleiss' kappa of any number of readers (Fleiss 1971, Psychol Bull 76:378), who need not all answer every case.

    The interval is by Student's t from the linearised variance of Gwet 2021 (Educ Psychol Meas 81:781).

    Args:
        answers: (cases, readers) category of each answer, 0 to `categories` - 1; NaN where there is none.

    Raises:
        InputError: no case with two answers, or another category.
    """

    def chance(shares: np.ndarray, prevalence: np.ndarray) -> tuple[float, np.ndarray]:
        return float(prevalence @ prevalence), shares @ prevalence

    return _beyond_chance(answers, categories, chance)


def gwet_ac1(answers: np.ndarray, categories: int) -> Agreement:
    """Gwet's AC1 with its variance (Gwet 2008, equations 4 and 37). Arguments and errors as `fleiss_kappa`."""

    def chance(shares: np.ndarray, prevalence: np.ndarray) -> tuple[float, np.ndarray]:
        rest = (1 - prevalence) / (categories - 1)
        return float(prevalence @ rest), shares @ rest

    return _beyond_chance(answers, categories, chance)


def cohen_kappa(first: np.ndarray, second: np.ndarray, categories: int) -> Agreement:
    """Cohen's kappa of two readers (Cohen 1960, Educ Psychol Meas 20:37), with the variance of Fleiss, Cohen and
    Everitt 1969 (Psychol Bull 72:323). Cases that one of them did not answer are left out.

    >>> agreed = cohen_kappa([1, 1, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0], categories=2)
    >>> f"{agreed.coefficient.value:.2f}", round(agreed.observed, 2), agreed.cases
    ('0.67', 0.83, 6)

    Args:
        first, second: (N,) as a column of the answers of `fleiss_kappa`.

    Raises:
        InputError: as `fleiss_kappa`.
    """
    answers = _answers(np.stack([first, second], axis=1), categories)
    pairs = answers[~np.isnan(answers).any(axis=1)].astype(int)
    if not len(pairs):
        raise InputError("The two readers have no case in common; compare readers of the same cases.")
    table = np.zeros((categories, categories))
    np.add.at(table, tuple(pairs.T), 1)
    observed = float(np.trace(table) / table.sum())
    if np.count_nonzero(table.sum(axis=0) + table.sum(axis=1)) == 1:
        return Agreement(Estimate(np.nan, -1.0, 1.0), observed, len(pairs))
    with np.errstate(invalid="ignore"):  # where one of them says always the same, nothing varies
        found = cohens_kappa(table)
    spread = found.std_kappa > 0
    low, high = (max(-1.0, found.kappa_low), min(1.0, found.kappa_upp)) if spread else (np.nan, np.nan)
    return Agreement(Estimate(float(found.kappa), float(low), float(high)), observed, len(pairs))


def weighted_kappa(cases: np.ndarray, first: np.ndarray, second: np.ndarray, categories: int) -> Agreement:
    """Kappa of two readers' ordered grades with quadratic weights (Cohen 1968, Psychol Bull 70:213).

    A case has many grades, of its muscles, which are alike; the interval is by the jackknife that leaves out one case
    with all of its grades (Miller 1974, Biometrika 61:1).

    Args:
        cases: (N,) identifier of the case of each grade that both gave.
        first, second: (N,) grades, 0 to `categories` - 1.

    Raises:
        InputError: no grade, or an unknown one.
    """
    grades = _answers(np.stack([first, second], axis=1), categories)
    if not len(grades) or np.isnan(grades).any():
        raise InputError("The two readers have no grade in common; compare readers who graded the same muscles.")
    names, case = np.unique(np.asarray(cases), return_inverse=True)
    tables = np.zeros((len(names), categories, categories))
    np.add.at(tables, (case, *grades.astype(int).T), 1)
    total = tables.sum(axis=0)
    value = float(_quadratic_kappa(total))
    observed = float(np.trace(total) / total.sum())
    if np.isnan(value):
        return Agreement(Estimate(np.nan, -1.0, 1.0), observed, len(names))
    left_out = _quadratic_kappa(total - tables)
    variance = (len(names) - 1) / len(names) * np.sum((left_out - left_out.mean()) ** 2)
    return Agreement(_interval(value, variance, len(names)), observed, len(names))


def _quadratic_kappa(tables: np.ndarray) -> np.ndarray:
    """(...,) weighted kappa of tables (..., K, K); nan where chance alone agrees always."""
    steps = np.arange(tables.shape[-1])
    weights = (steps[:, None] - steps) ** 2
    apart = np.sum(weights * tables, axis=(-2, -1)) * tables.sum(axis=(-2, -1))
    chance = np.einsum("...i,...j,ij->...", tables.sum(axis=-1), tables.sum(axis=-2), weights)
    return 1 - np.divide(apart, chance, out=np.full(np.shape(chance), np.nan), where=chance > 0)


def _interval(value: float, variance: float, cases: int) -> Estimate:
    """By Student's t; without bounds (nan) where nothing varies or it cannot be told."""
    if not variance > 1e-24:
        return Estimate(value, np.nan, np.nan)
    half = float(t.ppf(0.975, cases - 1) * np.sqrt(variance))
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half))


def _answers(answers: np.ndarray, categories: int) -> np.ndarray:
    answers = np.asarray(answers, float)
    if not np.isin(answers[~np.isnan(answers)], np.arange(categories)).all():
        raise InputError("An answer is of no known category; correct the table.")
    return answers


def _beyond_chance(answers: np.ndarray, categories: int, chance: Chance) -> Agreement:
    """A coefficient (observed − chance) / (1 − chance), with the variance of its linear part in each case.

    Args:
        chance: of the shares of the categories in each case (N, K) and of their mean (K,), agreement by chance, and
            each case's part of it (N,), of which chance is the mean.
    """
    answers = _answers(answers, categories)
    counts = np.stack([np.count_nonzero(answers == category, axis=1) for category in range(categories)], axis=1)
    counts = counts[counts.sum(axis=1) > 0]
    readers = counts.sum(axis=1)
    several = readers >= 2
    if not several.any():
        raise InputError("No case has the answers of two readers; agreement needs some.")
    cases, shared = len(counts), int(several.sum())
    pairs = np.where(several, readers * (readers - 1), 1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / pairs
    observed = float(agreeing.sum() / shared)
    shares = counts / readers[:, None]
    expected, parts = chance(shares, shares.mean(axis=0))
    if expected == 1:
        return Agreement(Estimate(np.nan, -1.0, 1.0), observed, shared)
    value = float((observed - expected) / (1 - expected))
    if value < -1:
        return Agreement(Estimate(np.nan, -1.0, 1.0), observed, shared)
    own = np.where(several, cases / shared * (agreeing - expected) / (1 - expected), 0.0)
    own = own - 2 * (1 - value) * (parts - expected) / (1 - expected)
    # Where all pairs agree, cases with one answer alone would make a variance of what cannot vary.
    varies = cases > 1 and observed < 1
    variance = np.sum((own - value) ** 2) / (cases * (cases - 1)) if varies else 0.0
    return Agreement(_interval(value, float(variance), cases), observed, shared)
