"""Receiver operating characteristic: area under the curve with interval, comparison of two, curve with band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_curve

from ..errors import InputError
from .bootstrap import LEAST_PATIENTS, RESAMPLES, draws, percentiles
from .estimate import Z95, Estimate

SURE = 0.05
"""A threshold closer than this to 0 or 1 would rest on how few validation patients there are."""
_NO_VARIANCE = 1e-15
"""What rounding errors leave of a variance of 0."""


@dataclass(frozen=True)
class AucComparison:
    """Two scores of the same cases.

    Attributes:
        difference: AUC of the second minus that of the first.
        z: difference over its standard error; 0 when both are 0, nan where p is.
        p: two-sided; nan where it says nothing, see `compare_auc`.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    z: float
    p: float


def auc(truth: np.ndarray, score: np.ndarray, patient: np.ndarray | None = None) -> Estimate:
    """Area under the ROC curve; equal scores count half.

    The variance is that of DeLong et al. 1988 (Biometrics 44:837) by the midranks of Sun and Xu 2014 (IEEE Signal
    Processing Letters 21:1389), and that of Obuchowski 1997 (Biometrics 53:567) where cases belong to patients; with
    one case a patient they are the same. The interval is that of the logit, which stays within 0 and 1 (Qin and
    Hotilovac 2008, Stat Methods Med Res 17:207). A variance of 0 (all told apart) says nothing: the interval is then
    Wilson's for as many independent cases as the smaller class has patients, which is wider than need be (our choice).

    >>> f"{auc([0, 0, 1, 1, 1], [0.1, 0.4, 0.3, 0.8, 0.9]):.2f}"
    '0.83 (0.15, 0.99)'

    Args:
        truth: (N,) 0 or 1.
        score: (N,) higher for class 1.
        patient: (N,) identifier of the patient of each case; each its own when not given.

    Returns:
        nan with the interval 0 to 1 when one class is absent; the interval 0 to 1 also when a class has one patient.

    Raises:
        InputError: truths other than 0 and 1, or scores that are not numbers.
    """
    return _Aucs.of(truth, [score], patient).estimate(0)


def compare_auc(
    truth: np.ndarray, first: np.ndarray, second: np.ndarray, patient: np.ndarray | None = None
) -> AucComparison:
    """Whether two scores of the same cases tell the classes apart equally well (DeLong et al. 1988, equation 6).

    The test needs many patients. With fewer than `LEAST_PATIENTS` of a class, or a variance of 0, a difference has
    no p, and the interval is at least that of Zou and Donner 2008 (Stat Med 27:1693) from the intervals of both
    areas, which takes them as independent.

    Args:
        truth: (N,) 0 or 1.
        first, second: (N,) scores.
        patient: as in `auc`.

    Raises:
        InputError: as `auc`.
    """
    aucs = _Aucs.of(truth, [first, second], patient)
    difference = float(aucs.areas[1] - aucs.areas[0])
    variance = float(aucs.covariance[0, 0] + aucs.covariance[1, 1] - 2 * aucs.covariance[0, 1])
    first_area, second_area = aucs.estimate(0), aucs.estimate(1)
    if np.isnan(variance):
        return AucComparison(first_area, second_area, Estimate(difference, -1.0, 1.0), np.nan, np.nan)
    error = np.sqrt(max(variance, 0.0))
    equal = abs(difference) < 1e-12
    z = 0.0 if equal else float(np.divide(difference, error)) if error else float(np.copysign(np.inf, difference))
    below = above = Z95 * error
    if not np.array_equal(first, second) and (aucs.patients < LEAST_PATIENTS or variance <= _NO_VARIANCE):
        z = z if equal else np.nan
        below = max(below, np.hypot(second_area.value - second_area.low, first_area.high - first_area.value))
        above = max(above, np.hypot(second_area.high - second_area.value, first_area.value - first_area.low))
    interval = Estimate(difference, float(max(-1.0, difference - below)), float(min(1.0, difference + above)))
    return AucComparison(first_area, second_area, interval, z, float(2 * norm.sf(abs(z))))


def roc_band(table: pd.DataFrame, *, seed: int, resamples: int = RESAMPLES, points: int = 201) -> pd.DataFrame:
    """ROC curve with a pointwise 95 % band by patient bootstrap.

    Args:
        table: one row an image, with `patient_id`, `truth` (0 or 1) and `probability`.
        points: of the curve, at equal steps of the false positive rate.

    Returns:
        `false_positive_rate`, `sensitivity`, `low` and `high`, one row a point.

    Raises:
        InputError: no row, or only one class.
    """
    if table["truth"].nunique() < 2:
        raise InputError("A ROC curve needs images of both classes; add cases of the other class.")
    grid = np.linspace(0, 1, points)
    curves = [_sensitivities(table, counts, grid) for counts in draws(table, seed=seed, resamples=resamples)]
    low, high = percentiles(np.concatenate(curves))
    sensitivity = _sensitivities(table, np.ones((1, len(table))), grid)[0]
    return pd.DataFrame({"false_positive_rate": grid, "sensitivity": sensitivity, "low": low, "high": high})


def auc_of_draws(table: pd.DataFrame, counts: np.ndarray) -> np.ndarray:
    """AUC of `probability` as a statistic for `bootstrap.bootstrap`: (R,), nan for draws with one class only."""
    positive, negative = _cumulated(table, counts)
    steps = np.diff(positive, axis=1) * (negative[:, 1:] + negative[:, :-1]) / 2
    pairs = positive[:, -1] * negative[:, -1]
    # From the highest score down, negatives so far lie above: they are what the area lacks.
    return 1 - np.divide(steps.sum(axis=1), pairs, out=np.full(len(counts), np.nan), where=pairs > 0)


def youden_threshold(truth: np.ndarray, probability: np.ndarray) -> float:
    """The probability from which the second class is said for the most sensitivity + specificity (Youden, Cancer
    1950;3:32): midway between the patients it lies between, and at least `SURE` from 0 and 1.

    Args:
        truth, probability: (P,) of patients.
    """
    false_positive, true_positive, thresholds = roc_curve(truth, probability, drop_intermediate=False)
    best = thresholds[np.argmax(true_positive - false_positive)]
    below = probability[probability < best]
    return float(np.clip((best + below.max(initial=0)) / 2 if np.isfinite(best) else 1.0, SURE, 1 - SURE))


def placements(
    positive: np.ndarray, scores: np.ndarray, positives: int | np.ndarray, negatives: int | np.ndarray
) -> np.ndarray:
    """(..., N) share of the other class that each case is on the right side of, by midranks: DeLong's structural
    components.

    Args:
        positive: (N,) bool.
        scores: (..., N).
        positives, negatives: how many there are, one number or (..., 1).
    """
    ranks, right = rankdata(scores, axis=-1), np.empty(scores.shape)
    right[..., positive] = (ranks[..., positive] - rankdata(scores[..., positive], axis=-1)) / negatives
    right[..., ~positive] = 1 - (ranks[..., ~positive] - rankdata(scores[..., ~positive], axis=-1)) / positives
    return right


def _sensitivities(table: pd.DataFrame, counts: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """(R, len(grid)) sensitivity of each draw at the false positive rates of `grid`."""
    positive, negative = _cumulated(table, counts)
    return np.stack([np.interp(grid, f / f[-1], t / t[-1]) for t, f in zip(positive, negative, strict=True)])


def _cumulated(table: pd.DataFrame, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R, 1 + distinct scores) positives and negatives among the highest scores, from none to all."""
    score, truth = table["probability"].to_numpy(float), table["truth"].to_numpy() == 1
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)

    def cumulated(chosen: np.ndarray) -> np.ndarray:
        return np.pad(np.cumsum(counts[:, order] * chosen[order], axis=1)[:, last], ((0, 0), (1, 0)))

    return cumulated(truth), cumulated(~truth)


@dataclass(frozen=True)
class _Aucs:
    """Areas (K,) of K scores of the same cases, their covariance (K, K), nan if undefined, and patients of the
    smaller class."""

    areas: np.ndarray
    covariance: np.ndarray
    patients: int

    @classmethod
    def of(cls, truth: np.ndarray, of_cases: list[np.ndarray], patient: np.ndarray | None) -> _Aucs:
        truth, scores = np.asarray(truth), np.asarray(of_cases, float)
        if not np.isin(truth, (0, 1)).all() or not np.isfinite(scores).all():
            raise InputError("Truth must be 0 or 1 and scores must be numbers; correct the table.")
        positive = truth == 1
        m, n = int(np.count_nonzero(positive)), int(np.count_nonzero(~positive))
        unknown = np.full((len(scores), len(scores)), np.nan)
        if not m or not n:
            return cls(np.full(len(scores), np.nan), unknown, 0)
        right = placements(positive, scores, m, n)
        areas = right[:, positive].mean(axis=1)
        group = np.arange(len(truth)) if patient is None else np.unique(np.asarray(patient), return_inverse=True)[1]
        off = right - areas[:, None]
        sums = [
            np.stack([np.bincount(group, np.where(chosen, row, 0)) for row in off]) / size
            for chosen, size in ((positive, m), (~positive, n))
        ]
        held = [len(np.unique(group[chosen])) for chosen in (positive, ~positive)]
        if min(held) < 2:
            return cls(areas, unknown, min(held))
        both, everyone = sums[0] @ sums[1].T, group.max() + 1
        covariance = sum(part @ part.T * (count / (count - 1)) for part, count in zip(sums, held, strict=True))
        covariance = covariance + (both + both.T) * (everyone / (everyone - 1))
        return cls(areas, covariance, min(held))

    def estimate(self, k: int) -> Estimate:
        area, variance = float(self.areas[k]), float(self.covariance[k, k])
        if np.isnan(variance):
            return Estimate(area, 0.0, 1.0)
        if variance <= _NO_VARIANCE:
            z2 = Z95**2 / self.patients
            centre, half = (area + z2 / 2) / (1 + z2), np.sqrt(z2 * area * (1 - area) + z2**2 / 4) / (1 + z2)
            return Estimate(area, max(0.0, float(centre - half)), min(1.0, float(centre + half)))
        half = Z95 * np.sqrt(variance) / (area * (1 - area))
        return Estimate(area, float(expit(logit(area) - half)), float(expit(logit(area) + half)))
