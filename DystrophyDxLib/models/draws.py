"""What a probability may as well be: draws of slices, and the interval that holds most of the draws."""

from __future__ import annotations

import numpy as np

RESAMPLES = 2000
SEED = 20210113
"""Of the bootstrap; fixed, so that the same input and package give the same result."""


def case_interval(probabilities: np.ndarray, slices: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of the mean probability by bootstrap over slices, both legs of a slice together.

    A single slice says nothing of how the others would have come out: its interval is 0 to 1.

    Args:
        probabilities: (N,) of the images.
        slices: (N,) slice of each.
    """
    return interval_of(drawn_means(probabilities[:, None], slices), 0)


def interval_of(draws: np.ndarray | None, column: int) -> tuple[float, float]:
    """95 % interval of a column of draws, 0 to 1 without any."""
    if draws is None:
        return 0.0, 1.0
    low, high = np.percentile(draws[:, column], [2.5, 97.5]).clip(0, 1)
    return float(low), float(high)


def drawn_means(values: np.ndarray, slices: np.ndarray) -> np.ndarray | None:
    """(RESAMPLES, columns) means of the values (N, columns) of slices drawn with replacement; None for a single
    slice."""
    _, group = np.unique(slices, return_inverse=True)
    counts = np.bincount(group)
    if len(counts) < 2:
        return None
    sums = np.stack([np.bincount(group, column) for column in values.T], axis=1)
    drawn = np.random.default_rng(SEED).integers(len(counts), size=(RESAMPLES, len(counts)))
    return sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)[:, None]
