"""Multi-reader multi-case analysis by the method of Obuchowski and Rockette: do arms differ, beyond these readers and
these cases?

Each reader's figure of merit in each arm is a number with an error from the sampling of cases; the errors of readers
and arms that share cases are correlated. The arms are compared by an analysis of variance of the figures, with its F
test corrected for these correlations (Obuchowski and Rockette 1995, Commun Stat Simul Comput 24:285) and the degrees of
freedom of Hillis 2007 (Stat Med 26:596). Where readers did not all read the same cases (missing answers, split-plot
designs, cases nested in readers or arms) the covariances rest on the cases that two of them share, and their averages
are over all pairs of readers, as in the marginal-mean analysis of variance of Hillis 2014 (Stat Med 33:330).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.stats import chi2, f, t

from ..errors import InputError
from .estimate import Estimate
from .merit import FigureOfMerit, Random
from .roc import placements

Covariance = Literal["jackknife", "DeLong"]
COVARIANCES: tuple[Covariance, ...] = ("jackknife", "DeLong")
_ROUNDING = 1e-15
"""Variance of figures between 0 and 1 below which there is none, but rounding."""
LEAST_CASES = 2
"""Of each reader in each arm (and of each class where the figure is of one), for a variance."""


@dataclass(frozen=True)
class Performance:
    """One figure of merit of R readers in T arms.

    Attributes:
        arms, readers: their names.
        values: (T, R) figures of merit.
        covariance: (T, R, T, R) covariance of their errors from the sampling of cases.
        cases: that were read, by anyone.

    Raises:
        InputError: fewer than two readers, whose variation could not be told.
    """

    arms: tuple[str, ...]
    readers: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    cases: int

    def __post_init__(self) -> None:
        if len(self.readers) < 2:
            raise InputError("A multi-reader analysis needs at least two readers; add one.")

    @classmethod
    def of(
        cls,
        truth: np.ndarray,
        ratings: np.ndarray,
        arms: Sequence[str],
        readers: Sequence[str],
        *,
        figure: FigureOfMerit,
        covariance: Covariance,
    ) -> Performance:
        """From ratings.

        The AUC is the empirical one (equal ratings count half). Its covariance is DeLong's (DeLong et al. 1988,
        Biometrics 44:837), or the jackknife's, which follows from the same components: leaving out a case changes the
        area by the distance of its component from their mean, over the other cases of its class. Accuracy, sensitivity
        and specificity are treated likewise, over the cases that they count and with right decisions as components.

        Args:
            truth: (N,) 0 or 1.
            ratings: (T, R, N) higher for class 1, NaN where a reader did not rate a case; for other figures than the
                AUC decisions, 0 or 1.

        Raises:
            InputError: a reader rated fewer than `LEAST_CASES` of the cases (of a class) that the figure rests on, or
                ratings that are no decisions.
        """
        truth, ratings = np.asarray(truth) == 1, np.asarray(ratings, float)
        values, influence = _influence(truth, ratings, figure, covariance)
        flat = influence.reshape(-1, len(truth))
        read = int(np.count_nonzero((~np.isnan(ratings)).any(axis=(0, 1))))
        return cls(tuple(arms), tuple(readers), values, (flat @ flat.T).reshape(values.shape * 2), read)

    @cached_property
    def components(self) -> Components:
        """Mean squares, and covariances averaged over arms and readers.

        Raises:
            InputError: fewer than two arms.
        """
        arms, readers = self.values.shape
        if arms < 2:
            raise InputError("A comparison of arms needs two of them; add one.")
        same = np.einsum("trtr->", self.covariance)
        of_reader = np.einsum("trsr->", self.covariance) - same
        of_arm = np.einsum("trts->", self.covariance) - same
        of_neither = self.covariance.sum() - same - of_reader - of_arm
        mean, of_arms, of_readers = self.values.mean(), self.values.mean(axis=1), self.values.mean(axis=0)
        rest = self.values - of_arms[:, None] - of_readers + mean
        return Components(
            arms=arms,
            readers=readers,
            cases=self.cases,
            ms_arm=_variance(readers * np.sum((of_arms - mean) ** 2) / (arms - 1)),
            ms_reader=_variance(arms * np.sum((of_readers - mean) ** 2) / (readers - 1)),
            ms_arm_by_reader=_variance(np.sum(rest**2) / ((arms - 1) * (readers - 1))),
            error=float(same / (arms * readers)),
            cov1=float(of_reader / (arms * (arms - 1) * readers)),
            cov2=float(of_arm / (arms * readers * (readers - 1))),
            cov3=float(of_neither / (arms * (arms - 1) * readers * (readers - 1))),
        )


@dataclass(frozen=True)
class Components:
    """What the analysis of variance rests on.

    Attributes:
        arms, readers, cases: how many.
        ms_arm, ms_reader, ms_arm_by_reader: mean squares.
        error: variance of a figure of merit from the sampling of cases.
        cov1: covariance of errors of one reader in two arms.
        cov2: of two readers in one arm.
        cov3: of two readers in two arms.
    """

    arms: int
    readers: int
    cases: int
    ms_arm: float
    ms_reader: float
    ms_arm_by_reader: float
    error: float
    cov1: float
    cov2: float
    cov3: float

    @property
    def reader(self) -> float:
        """Variance component of readers; an estimate, which can be below 0."""
        return (self.ms_reader - self.ms_arm_by_reader) / self.arms - self.cov1 + self.cov3

    @property
    def arm_by_reader(self) -> float:
        """Variance component of arms by readers; an estimate, which can be below 0."""
        return self.ms_arm_by_reader - self.error + self.cov1 + self.cov2 - self.cov3

    @property
    def shared(self) -> float:
        """cov2 less cov3: what readers of the same cases have in common within an arm; not below 0."""
        return _variance(self.cov2 - self.cov3)


@dataclass(frozen=True)
class Difference:
    """Of the mean over readers: first arm minus second, with a two-sided p."""

    first: str
    second: str
    difference: Estimate
    p: float


@dataclass(frozen=True)
class ArmsComparison:
    """Test that all arms are equal, means of the arms, and their differences pair by pair.

    Attributes:
        random: what the result generalises to.
        f: statistic, with `df1` and `df2` degrees of freedom; `df2` is infinite for fixed readers (a chi-square test).
        p: of the test; nan where nothing varies.
        means: of each arm over its readers, from its own data only.
    """

    random: Random
    f: float
    df1: int
    df2: float
    p: float
    means: tuple[Estimate, ...]
    differences: tuple[Difference, ...]


def compare_arms(performance: Performance, random: Random) -> ArmsComparison:
    """Obuchowski and Rockette's test with Hillis' degrees of freedom, and its intervals (Hillis 2007, section 3; for
    fixed readers or cases Hillis, Obuchowski, Schartz and Berbaum 2005, Stat Med 24:1579). Differences of more than two
    arms share the test's error term; their p values are not corrected for their number.

    Raises:
        InputError: fewer than two arms.
    """
    found = performance.components
    arms, readers = found.arms, found.readers
    df1 = arms - 1
    error, df2 = _error_term(found, random)
    statistic = _over(found.ms_arm, error)
    p = np.nan
    if error > 0:
        p = float(chi2.sf(df1 * statistic, df1) if np.isinf(df2) else f.sf(statistic, df1, df2))
    differences = []
    for first, second in itertools.combinations(range(arms), 2):
        value = float(performance.values[first].mean() - performance.values[second].mean())
        interval, p_value = _tested(value, 2 * error / readers, df2)
        differences.append(Difference(performance.arms[first], performance.arms[second], interval, p_value))
    means = tuple(mean_of_readers(performance, arm, random) for arm in range(arms))
    return ArmsComparison(random, statistic, df1, df2, p, means, tuple(differences))


def mean_of_readers(performance: Performance, arm: int, random: Random) -> Estimate:
    """Mean of the readers' figures in one arm, by its index, from the data of that arm only."""
    values, covariance = performance.values[arm], performance.covariance[arm, :, arm]
    return _tested(float(values.mean()), *_of_mean(values, covariance, random), low=0.0)[0]


def compare_with_standalone(performance: Performance, random: Random) -> Difference:
    """Mean of readers minus a standalone model's figure: the one-treatment analysis of the differences of each reader
    from the model (Chakraborty 2017, Observer Performance Methods for Diagnostic Imaging, chapter 22, after Hupse et
    al. 2013, Radiology 266:123).

    Args:
        performance: of two arms, the readers' and, repeated for each reader, the model's on the same cases.
    """
    readers, model = performance.values
    covariance = performance.covariance
    crossed = covariance[0, :, 1]
    paired = covariance[0, :, 0] + covariance[1, :, 1] - crossed - crossed.T
    interval, p = _tested(float((readers - model).mean()), *_of_mean(readers - model, paired, random))
    first, second = performance.arms
    return Difference(first, second, interval, p)


def counted_cases(truth: np.ndarray, figure: FigureOfMerit) -> tuple[np.ndarray, ...]:
    """(N,) which cases a figure counts, for each class that it tells apart; `truth` (N,) is whether a case has it."""
    return {
        "AUC": (truth, ~truth),
        "accuracy": (np.ones(len(truth), bool),),
        "sensitivity": (truth,),
        "specificity": (~truth,),
    }[figure]


def _influence(
    truth: np.ndarray, ratings: np.ndarray, figure: FigureOfMerit, covariance: Covariance
) -> tuple[np.ndarray, np.ndarray]:
    """Figures of merit (T, R), and what each case adds to their errors (T, R, N): products of these, summed over cases,
    are covariances."""
    rated = ~np.isnan(ratings)
    counted = counted_cases(truth, figure)
    counts = [np.count_nonzero(rated & of_class, axis=-1, keepdims=True) for of_class in counted]
    if min(count.min() for count in counts) < LEAST_CASES:
        raise InputError(
            f"The {figure} of a reader in an arm rests on fewer than {LEAST_CASES} cases; leave the reader out or add "
            "answers."
        )
    if figure == "AUC":
        # What is not rated ranks above all that is, and so changes no rank.
        components = placements(truth, np.where(rated, ratings, np.inf), *counts)
    elif np.isin(ratings[rated], (0, 1)).all():
        components = np.where(truth, ratings, 1 - ratings)
    else:
        raise InputError(f"The {figure} needs decisions of 0 or 1; decide at a threshold first.")
    total, influence = sum(counts), np.zeros(ratings.shape)
    for of_class, count in zip(counted, counts, strict=True):
        chosen = rated & of_class
        mean = np.sum(components, axis=-1, keepdims=True, where=chosen) / count
        delong, jackknife = 1 / np.sqrt(count * (count - 1)), np.sqrt((total - 1) / total) / (count - 1)
        scale = delong if covariance == "DeLong" else jackknife
        influence = np.where(chosen, (components - mean) * scale, influence)
    # Both classes' components of an area have the area as their mean.
    return mean[..., 0], influence


def _error_term(found: Components, random: Random) -> tuple[float, float]:
    """Denominator of the F statistic and its degrees of freedom."""
    df = (found.arms - 1) * (found.readers - 1)
    if random == "readers":
        return found.ms_arm_by_reader, df
    if random == "cases":
        return _variance(found.error - found.cov1) + (found.readers - 1) * found.shared, np.inf
    error = found.ms_arm_by_reader + found.readers * found.shared
    return error, df * _over(error**2, found.ms_arm_by_reader**2)


def _of_mean(values: np.ndarray, covariance: np.ndarray, random: Random) -> tuple[float, float]:
    """Variance of the mean of readers' figures (R,) with covariance (R, R), and its degrees of freedom."""
    readers = len(values)
    between, error = _variance(np.var(values, ddof=1)), _variance(np.trace(covariance) / readers)
    shared = _variance((covariance.sum() - np.trace(covariance)) / (readers * (readers - 1)))
    if random == "readers":
        return between / readers, readers - 1
    if random == "cases":
        return (error + (readers - 1) * shared) / readers, np.inf
    total = between + readers * shared
    return total / readers, (readers - 1) * _over(total**2, between**2)


def _tested(value: float, variance: float, df: float, low: float = -1.0) -> tuple[Estimate, float]:
    """A figure with its interval, which stays within what the figure can be, and the p of its being 0."""
    if not variance > 0:
        return Estimate(value, np.nan, np.nan), np.nan
    error = float(np.sqrt(variance))
    half = float(t.ppf(0.975, df)) * error
    return Estimate(value, max(value - half, low), min(value + half, 1.0)), float(2 * t.sf(abs(value) / error, df))


def _variance(value: float) -> float:
    """An estimate of a variance, which is 0 where it is negative or only rounding."""
    return float(value) if value > _ROUNDING else 0.0


def _over(above: float, below: float) -> float:
    if below > 0:
        return above / below
    return np.inf if above > 0 else np.nan
