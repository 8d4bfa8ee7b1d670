"""`PatternModel`: from the fat of each muscle to an answer, with numpy alone.

Each muscle is seen by the log-odds of its fat fraction, relative to the mean of the patient's muscles: how much fat
there is in all tells nothing, which muscles hold more and which less tells the disease. That also makes it robust to
the scale of grey, which moves all muscles together. A linear model adds up what they say, so each muscle's share of
the answer can be read.

Muscles out of view are drawn as those of the training patients vary given the muscles in view (a normal distribution),
so the answer is the mean over what they may be, and its interval knows that they were not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..muscles.in_view import in_view
from ..muscles.structures import MUSCLES
from ..results import MuscleFat

LEAST_FAT, MOST_FAT = 0.05, 0.937
"""Fractions from which on muscles are all fat or all muscle, as grey tells no less and no more (`infiltration`)."""
COMMON = 0.8
"""Share of the variance of fat that grey tells that all muscles have in common, since what fat and healthy muscle give
is judged for all of them at once (our choice). What Dixon images tell errs in each muscle on its own."""
DRAWS, SEED = 1000, 20210113
_TWO_SIDED = 1.96


def log_odds(fractions: np.ndarray) -> np.ndarray:
    """Of fat fractions, within what can be told.

    >>> log_odds(np.array([0.01, 0.5])).round(2).tolist()
    [-2.94, 0.0]
    """
    within = np.clip(fractions, LEAST_FAT, MOST_FAT)
    return np.log(within / (1 - within))


@dataclass(frozen=True)
class PatientFat:
    """Fat of each of `MUSCLES` in a patient, the mean by volume of the legs that show it; nan where none does.

    Attributes:
        fractions: (13,).
        draws: (draws, 13) of what they may be by their intervals.
    """

    fractions: np.ndarray
    draws: np.ndarray

    @classmethod
    def of(cls, muscles: Sequence[MuscleFat], *, by_grey: bool) -> PatientFat:
        """From the rows of a result.

        Args:
            by_grey: whether grey told the fat, and not Dixon images.
        """
        known = in_view([row for row in muscles if row.fat_fraction is not None and row.fat_ci95 is not None])
        rng = np.random.default_rng(SEED)
        together, own = rng.standard_normal((DRAWS, 1)), rng.standard_normal((DRAWS, len(MUSCLES), 2))
        shared = COMMON if by_grey else 0.0
        fractions, draws = np.full(len(MUSCLES), np.nan), np.full((DRAWS, len(MUSCLES)), np.nan)
        for n, name in enumerate(MUSCLES):
            sides = [muscle for muscle in known if muscle.muscle == name]
            if not sides:
                continue
            ml = np.array([muscle.volume_ml for muscle in sides])
            value = np.array([muscle.fat_fraction for muscle in sides], float)
            low, high = np.array([muscle.fat_ci95 for muscle in sides], float).T
            off = (np.sqrt(shared) * together + np.sqrt(1 - shared) * own[:, n, : len(sides)]) / _TWO_SIDED
            drawn = value + np.where(off > 0, off * (high - value), off * (value - low))
            fractions[n], draws[:, n] = np.average(value, weights=ml), np.average(drawn, weights=ml, axis=1)
        return cls(fractions, draws)

    @property
    def in_view(self) -> np.ndarray:
        """(13,) bool."""
        return ~np.isnan(self.fractions)


@dataclass(frozen=True)
class PatternModel:
    """Coefficients of a linear model of the fat of muscles.

    Attributes:
        coefficients: (outputs, 13) evidence for a step of log-odds that a muscle has more than the patient's mean.
        intercept: (outputs,).
        mean: (13,) of the training patients' log-odds.
        covariance: (13, 13) of the same.

    Raises:
        InputError: arrays of other shapes, or not finite.
    """

    coefficients: np.ndarray
    intercept: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    def __post_init__(self) -> None:
        outputs, muscles = len(self.intercept), len(MUSCLES)
        shapes = ((outputs, muscles), (outputs,), (muscles,), (muscles, muscles))
        arrays = (self.coefficients, self.intercept, self.mean, self.covariance)
        if any(
            array.shape != shape or not np.isfinite(array).all() for array, shape in zip(arrays, shapes, strict=True)
        ):
            raise InputError("The pattern model's weights are not those of its recipe; get an intact copy of it.")

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], outputs: int) -> PatternModel:
        """From the arrays of a package.

        Raises:
            InputError: they are not those of a model with so many outputs.
        """
        names = ("coefficients", "intercept", "mean", "covariance")
        if set(arrays) != set(names) or arrays["intercept"].shape != (outputs,):
            raise InputError("The pattern model's weights are not those of its recipe; get an intact copy of it.")
        return cls(*(arrays[name] for name in names))

    def arrays(self) -> dict[str, np.ndarray]:
        """As a package keeps them."""
        return {
            "coefficients": self.coefficients, "intercept": self.intercept, "mean": self.mean,
            "covariance": self.covariance,
        }  # fmt: skip

    def expected(self, odds: np.ndarray) -> np.ndarray:
        """(N, 13) log-odds with what is nan replaced by what is to be expected given the rest."""
        filled = odds.copy()
        for pattern in np.unique(np.isnan(odds), axis=0):
            rows = (np.isnan(odds) == pattern).all(axis=1)
            slopes, _ = self.given(pattern)
            filled[np.ix_(rows, pattern)] = (
                self.mean[pattern] + (odds[rows][:, ~pattern] - self.mean[~pattern]) @ slopes
            )
        return filled

    def logits(self, odds: np.ndarray) -> np.ndarray:
        """(N, outputs) of log-odds (N, 13) of all muscles."""
        return relative(odds) @ self.coefficients.T + self.intercept

    def drawn_logits(self, fat: PatientFat) -> np.ndarray:
        """(draws, outputs): fat within its intervals, muscles out of view as they may be."""
        odds = log_odds(fat.draws)
        out = ~fat.in_view
        filled = self.expected(odds)
        _, rest = self.given(out)
        if out.any():
            values, vectors = np.linalg.eigh(rest)
            normal = np.random.default_rng(SEED + 1).standard_normal((len(odds), int(out.sum())))
            filled[:, out] += normal @ (vectors * np.sqrt(np.maximum(values, 0))).T
        return self.logits(filled)

    def shares(self, fat: PatientFat) -> np.ndarray:
        """(outputs, 13) what each muscle adds to the logits; of a muscle out of view what is expected of it."""
        return relative(self.expected(log_odds(fat.fractions[None])))[0] * self.coefficients

    def given(self, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slopes (in view, out) and covariance (out, out) of muscles `out` of view, (13,) bool, given the others."""
        slopes = np.linalg.solve(self.covariance[np.ix_(~out, ~out)], self.covariance[np.ix_(~out, out)])
        return slopes, self.covariance[np.ix_(out, out)] - self.covariance[np.ix_(out, ~out)] @ slopes


def few_muscles(seen: int, least: int) -> str:
    """That too few muscles are in view, in a sentence."""
    return f"The fat of {seen} of {len(MUSCLES)} muscles can be told; the pattern needs {least}."


def relative(odds: np.ndarray) -> np.ndarray:
    """(N, 13) log-odds relative to the mean of each patient's muscles."""
    return odds - odds.mean(axis=-1, keepdims=True)
