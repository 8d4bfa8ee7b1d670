"""Percentile bootstrap by patient: images of one patient are not independent, so patients are drawn with all of theirs.

A table has one row an image (or decision) and the columns `patient_id` and `truth` (index of the class). A draw is how
often each row counts, so a statistic is computed on all draws at once, as a function of these counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from ..errors import InputError
from .estimate import Estimate

Statistic = Callable[[pd.DataFrame, np.ndarray], np.ndarray]
"""Of a table of N rows and (R, N) counts, how often each of R draws holds each row: (R,) values, nan if undefined."""
RESAMPLES = 2000
LEAST_PATIENTS = 10
"""Patients of a class below which the bootstrap is too narrow to be shown (our choice)."""
_LARGEST = 1 << 22


def bootstrap(table: pd.DataFrame, statistic: Statistic, *, seed: int, resamples: int = RESAMPLES) -> Estimate:
    """95 % percentile interval by drawing patients with replacement, separately in each class.

    Draws in which the statistic is not defined, such as those without a case of the class that it is about, are left
    out.

    Equal seeds give equal draws, so figures of two models on one table are compared by a statistic of their difference.

    >>> rows = pd.DataFrame({"patient_id": ["A", "A", "B", "C"], "truth": [1, 1, 1, 0], "right": [1, 0, 1, 1]})
    >>> f"{bootstrap(rows, mean_of(rows['right'].to_numpy()), seed=1):.2f}"
    '0.75 (0.60, 1.00)'

    Raises:
        InputError: no row.
    """
    values = np.concatenate([statistic(table, counts) for counts in draws(table, seed=seed, resamples=resamples)])
    value = statistic(table, np.ones((1, len(table))))[0]
    return Estimate(float(value), *map(float, percentiles(values)))


def bootstrap_each(
    rows: pd.DataFrame, statistics: Mapping[str, tuple[Statistic, np.ndarray]], seed: int
) -> dict[str, Estimate]:
    """Several statistics from one set of draws.

    The interval has no bounds (nan) where fewer than `LEAST_PATIENTS` patients of a class stand behind the figure or
    all draws are alike.

    Args:
        statistics: by name, each with the rows (N,) bool that it needs enough patients of, in every class that it
            rests on.
    """
    functions = [statistic for statistic, _ in statistics.values()]

    def values(counts: np.ndarray) -> np.ndarray:
        return np.stack([function(rows, counts) for function in functions], axis=1)

    low, high = percentiles(np.concatenate([values(counts) for counts in draws(rows, seed=seed)]))
    estimates = {}
    for n, (name, (_, needed)) in enumerate(statistics.items()):
        told = enough_patients(rows[needed]) and low[n] < high[n]
        bounds = (low[n], high[n]) if told else (math.nan, math.nan)
        estimates[name] = Estimate(float(values(np.ones((1, len(rows))))[0, n]), *map(float, bounds))
    return estimates


def enough_patients(rows: pd.DataFrame) -> bool:
    """Whether every class among the rows has the `LEAST_PATIENTS` without which no interval is shown."""
    patients = rows.groupby("truth")["patient_id"].nunique()
    return bool(len(patients)) and int(patients.min()) >= LEAST_PATIENTS


def draws(table: pd.DataFrame, *, seed: int, resamples: int = RESAMPLES) -> Iterator[np.ndarray]:
    """Draws of patients, stratified by class: (r, N) float64 counts of the rows, in parts of bounded size.

    A patient with images of several classes counts as of the last of them.

    Raises:
        InputError: no row.
    """
    if table.empty:
        raise InputError("The table has no row to draw from; evaluate at least one image.")
    patients, patient = np.unique(table["patient_id"].to_numpy(), return_inverse=True)
    label = np.zeros(len(patients), np.int64)
    np.maximum.at(label, patient, table["truth"].to_numpy(np.int64))
    classes = [np.flatnonzero(label == one) for one in np.unique(label)[::-1]]
    rng = np.random.default_rng(seed)
    part = max(1, _LARGEST // len(table))
    for first in range(0, resamples, part):
        drawn = np.zeros((min(part, resamples - first), len(patients)))
        for row in drawn:
            for members in classes:
                row[members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)))
        yield drawn[:, patient]


def percentiles(values: np.ndarray) -> np.ndarray:
    """(2, ...) 2.5 and 97.5 percentile over the draws (R, ...) in which the value is defined; nan if in none."""
    defined = ~np.isnan(values).all(axis=0)
    limits = np.full((2, *values.shape[1:]), np.nan)
    limits[:, defined] = np.nanpercentile(values[:, defined], [2.5, 97.5], axis=0)
    return limits


def ratio(counts: np.ndarray, numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """(R,) sum of `numerator` over sum of `denominator` of the rows that each draw holds; nan where that is 0 of 0.

    Accuracy, sensitivity, specificity, predictive values, F1, Brier score and any mean are of this form.

    Args:
        counts: (R, N).
        numerator, denominator: (N,).
    """
    over, under = counts @ np.asarray(numerator, float), counts @ np.asarray(denominator, float)
    return np.divide(over, under, out=np.full(len(counts), np.nan), where=under != 0)


def mean_of(values: np.ndarray) -> Statistic:
    """The mean of (N,) values over the rows that a draw holds."""
    return lambda _, counts: ratio(counts, values, np.ones(len(values)))
