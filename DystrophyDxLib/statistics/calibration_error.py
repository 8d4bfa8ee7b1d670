"""Whether a probability is one: of the cases called 0.7, do seven in ten have the disease?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy.optimize import brentq
from scipy.special import expit, logit

from .confusion import proportion
from .estimate import Estimate

BINS = 10
_NEAREST = 1e-6
LEAST_RANGE = 0.04
"""Of the logits of probabilities, below which no slope is told: near 0.5, probabilities that differ by 0.01 (our
choice)."""


@dataclass(frozen=True)
class Recalibration:
    """How the probabilities would have to change: logit p becomes intercept + logit p, or slope × logit p and a
    constant (Cox 1958, Biometrika 45:562; Van Calster et al. 2019, BMC Medicine 17:230).

    Attributes:
        intercept: calibration in the large, with the slope held at 1; 0 is perfect, below 0 the probabilities are too
            high.
        slope: 1 is perfect; below 1 the probabilities are too extreme.
    """

    intercept: Estimate
    slope: Estimate


def brier(truth: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared difference of probability and truth (Brier 1950, Monthly Weather Review 78:1)."""
    return float(np.mean((np.asarray(probability, float) - np.asarray(truth, float)) ** 2))


def reliability(truth: np.ndarray, probability: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Observed frequency in bins of equal width; empty ones are left out.

    Args:
        truth: (N,) 0 or 1.
        probability: (N,) 0 to 1.

    Returns:
        One row a bin: `bin_low`, `bin_high`, `cases`, mean `probability`, `observed` share of class 1 and its Wilson
        interval `low` and `high` (images of a patient taken as independent).
    """
    truth, probability = np.asarray(truth, int), np.asarray(probability, float)
    edges = np.linspace(0, 1, bins + 1)
    number = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, bins - 1)
    rows = []
    for n in np.unique(number):
        here = number == n
        observed = proportion(int(truth[here].sum()), int(here.sum()))
        rows.append((edges[n], edges[n + 1], int(here.sum()), probability[here].mean(),
                     observed.value, observed.low, observed.high))  # fmt: skip
    return pd.DataFrame(rows, columns=["bin_low", "bin_high", "cases", "probability", "observed", "low", "high"])


def expected_calibration_error(truth: np.ndarray, probability: np.ndarray, bins: int = BINS) -> float:
    """Mean distance of probability and observed frequency over the cases, in bins of equal width (Guo et al., ICML
    2017, equation 3); nan without cases."""
    table = reliability(truth, probability, bins)
    if table.empty:
        return float("nan")
    return float(np.average((table["probability"] - table["observed"]).abs(), weights=table["cases"]))


def recalibration(truth: np.ndarray, probability: np.ndarray, patient: np.ndarray | None = None) -> Recalibration:
    """Logistic recalibration, with intervals that are robust against images of one patient being alike.

    Args:
        truth: (N,) 0 or 1.
        probability: (N,) 0 to 1.
        patient: (N,) identifier of the patient of each case; each its own when not given.

    Returns:
        nan, with all numbers as interval, for what cannot be fitted: one class only, or probabilities that hardly
        differ (`LEAST_RANGE`) or tell the classes apart without an error (no finite slope is the best).
    """
    truth, evidence = np.asarray(truth, int), logit(np.clip(probability, _NEAREST, 1 - _NEAREST))
    patient = np.arange(len(truth)) if patient is None else np.unique(np.asarray(patient), return_inverse=True)[1]
    if len(np.unique(truth)) < 2 or patient.max() == 0:
        return Recalibration(_UNKNOWN, _UNKNOWN)
    # The one root of the score; Newton's steps from elsewhere diverge where probabilities are near 0 and 1.
    start = brentq(lambda shift: expit(evidence + shift).sum() - truth.sum(), -50, 50)
    intercept = _fitted(truth, np.ones((len(truth), 1)), patient, offset=evidence, start_params=[start])
    positive, negative = evidence[truth == 1], evidence[truth == 0]
    if np.ptp(evidence) < LEAST_RANGE or positive.min() >= negative.max() or negative.min() >= positive.max():
        return Recalibration(intercept, _UNKNOWN)
    return Recalibration(intercept, _fitted(truth, sm.add_constant(evidence), patient))


def _fitted(
    truth: np.ndarray,
    design: np.ndarray,
    patient: np.ndarray,
    offset: np.ndarray | None = None,
    start_params: list[float] | None = None,
) -> Estimate:
    """The last coefficient of a logistic regression."""
    model = sm.GLM(truth, design, family=sm.families.Binomial(), offset=offset)
    fit = model.fit(start_params=start_params, cov_type="cluster", cov_kwds={"groups": patient})
    low, high = fit.conf_int()[-1]
    return Estimate(float(fit.params[-1]), float(low), float(high))


_UNKNOWN = Estimate(float("nan"), float("-inf"), float("inf"))
