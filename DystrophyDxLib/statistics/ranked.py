"""More than two classes: is the truth the first, or among the first three, of the differential?

Tables have one row an image or one a patient (see `predictions`), with `truth`, the index of the class, and a column of
`probability_columns` for each class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from .bootstrap import bootstrap, mean_of, ratio
from .confusion import proportion
from .estimate import Estimate
from .roc import auc_of_draws

FIRST_FEW = 3
"""Classes of a differential that are read: the figure is the top-3 accuracy, where there are more classes."""


def probability_columns(classes: Sequence[str]) -> list[str]:
    """Names of the columns with the probability of each class."""
    return [f"probability {name}" for name in classes]


def among_first(truth: np.ndarray, probabilities: np.ndarray, k: int) -> np.ndarray:
    """(N,) bool, whether the truth is one of the `k` most likely classes; equal ones count against it.

    Args:
        truth: (N,) index of the class.
        probabilities: (N, K).
    """
    own = np.take_along_axis(probabilities, truth[:, None], axis=1)
    return np.count_nonzero(probabilities >= own, axis=1) <= k


def depths(classes: Sequence[str]) -> tuple[int, ...]:
    """How many of the most likely classes are looked at: one and, where there are more, `FIRST_FEW`."""
    return (1, FIRST_FEW) if len(classes) > FIRST_FEW else (1,)


def mean_auc(rows: pd.DataFrame, classes: Sequence[str], seed: int) -> Estimate:
    """Mean over the classes of the AUC of each against the rest (Fawcett, Pattern Recognit Lett 2006;27:861, section
    9.2, every class the same weight), with an interval by patient bootstrap; classes without a row are left out."""
    present = [k for k in range(len(classes)) if 0 < (rows["truth"] == k).sum() < len(rows)]
    against_rest = [_against_rest(rows, classes, k) for k in present]

    def statistic(_: pd.DataFrame, counts: np.ndarray) -> np.ndarray:
        if not against_rest:
            return np.full(len(counts), np.nan)
        return np.mean([auc_of_draws(table, counts) for table in against_rest], axis=0)

    return bootstrap(rows, statistic, seed=seed)


def accuracies(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Accuracy at each of `depths`, by name: (N,) bool, whether each row is right."""
    truth, probabilities = rows["truth"].to_numpy(), rows[probability_columns(classes)].to_numpy()
    return {f"Top-{k} accuracy": among_first(truth, probabilities, k) for k in depths(classes)}


def balanced_accuracy(rows: pd.DataFrame, classes: Sequence[str], seed: int) -> Estimate:
    """Mean over the classes of the share of their rows for which they are the most likely one (Brodersen et al., ICPR
    2010:3121), with an interval by patient bootstrap; classes without a row are left out."""
    truth, right = rows["truth"].to_numpy(), accuracies(rows, classes)["Top-1 accuracy"]

    def statistic(_: pd.DataFrame, counts: np.ndarray) -> np.ndarray:
        shares = [ratio(counts, right & (truth == k), truth == k) for k in np.unique(truth)]
        return np.nanmean(shares, axis=0)

    return bootstrap(rows, statistic, seed=seed)


def published_figures(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, Estimate]:
    """Accuracy of `rows` at each of `depths` with Wilson's intervals, which take rows as independent."""
    return {name: proportion(int(right.sum()), len(right)) for name, right in accuracies(rows, classes).items()}


def bootstrap_figures(rows: pd.DataFrame, classes: Sequence[str], seed: int) -> dict[str, Estimate]:
    """Accuracy of `rows` at each of `depths` and mean AUC with intervals by patient bootstrap, which have no bounds
    (nan) where all draws are alike, as those of a model that says one class of all."""
    found = {name: bootstrap(rows, mean_of(right), seed=seed) for name, right in accuracies(rows, classes).items()}
    found["AUC"] = mean_auc(rows, classes, seed)
    return {
        name: figure if figure.low < figure.high else Estimate(figure.value, np.nan, np.nan)
        for name, figure in found.items()
    }


def confusion(patients: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """(K, K) patients: rows the truth, columns the most likely class."""
    said = patients[probability_columns(classes)].to_numpy().argmax(axis=1)
    return confusion_matrix(patients["truth"], said, labels=range(len(classes)))


def _against_rest(rows: pd.DataFrame, classes: Sequence[str], k: int) -> pd.DataFrame:
    """Truth and probability of one class against all others."""
    column = probability_columns(classes)[k]
    return pd.DataFrame({"truth": (rows["truth"] == k).astype(int), "probability": rows[column]})
