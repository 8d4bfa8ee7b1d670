"""Two classes and a threshold: how often is the answer right, and how well do the probabilities tell the classes apart?

Tables have one row an image or one a patient, with `patient_id`, `truth` (0 or 1) and `probability` of the second
class. Wilson's intervals of proportions, as published, take rows as independent, which patients are and images of one
patient are not; DeLong's of the AUC know which images belong to one patient, and intervals by bootstrap draw patients
with all of their images.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from .bootstrap import Statistic, bootstrap_each, ratio
from .confusion import Confusion
from .estimate import Estimate
from .roc import auc, auc_of_draws


def published_figures(rows: pd.DataFrame, threshold: float) -> dict[str, Estimate | float]:
    """Accuracy, specificity, sensitivity, AUC, F1 and likelihood ratios of `rows` with intervals by formula, as
    published but for the AUC of images (see `roc.auc`); F1 has none."""
    truth, probability = rows["truth"].to_numpy(), rows["probability"].to_numpy()
    confusion = Confusion.from_decisions(truth, probability >= threshold)
    return {
        "Accuracy": confusion.accuracy,
        "Specificity": confusion.specificity,
        "Sensitivity": confusion.sensitivity,
        "AUC": auc(truth, probability, rows["patient_id"].to_numpy()),
        "F1": float(confusion.f1),
        "LR+": confusion.positive_likelihood_ratio,
        "LR−": confusion.negative_likelihood_ratio,
    }


def bootstrap_figures(rows: pd.DataFrame, threshold: float, seed: int) -> dict[str, Estimate]:
    """The same figures with intervals by patient bootstrap.

    The interval has no bounds (nan) where fewer than `LEAST_PATIENTS` patients of a class stand behind the figure or
    all draws are alike.
    """
    truth, called = rows["truth"].to_numpy() == 1, rows["probability"].to_numpy() >= threshold
    drawn = bootstrap_each(rows, _statistics(truth, called), seed)
    # The inverse is finite where a draw has no false positive.
    inverse = drawn["LR+"]
    drawn["LR+"] = Estimate(*(1 / x if x else math.inf for x in (inverse.value, inverse.high, inverse.low)))
    return drawn


def _statistics(truth: np.ndarray, called: np.ndarray) -> dict[str, tuple[Statistic, np.ndarray]]:
    """Each figure as a statistic, and the rows that it needs enough patients of, in every class that it rests on."""
    everyone = np.ones(len(truth), bool)

    def share(numerator: np.ndarray, denominator: np.ndarray) -> Statistic:
        return lambda _, counts: ratio(counts, numerator, denominator)

    def quotient(over: Statistic, under: Statistic) -> Statistic:
        def statistic(rows: pd.DataFrame, counts: np.ndarray) -> np.ndarray:
            above, below = over(rows, counts), under(rows, counts)
            return np.divide(above, below, out=np.full(len(counts), np.nan), where=below > 0)

        return statistic

    sensitivity, missed = share(truth & called, truth), share(truth & ~called, truth)
    specificity, false_alarm = share(~truth & ~called, ~truth), share(~truth & called, ~truth)
    return {
        "Accuracy": (share(truth == called, everyone), everyone),
        "Specificity": (specificity, ~truth),
        "Sensitivity": (sensitivity, truth),
        "AUC": (auc_of_draws, everyone),
        "F1": (share(2 * (truth & called), 1.0 * truth + called), everyone),
        "LR+": (quotient(false_alarm, sensitivity), everyone),
        "LR−": (quotient(missed, specificity), everyone),
    }
