"""What repeated cross-validation says of a recipe: the figures of the test parts of its folds, with their spread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..model_package import ModelPackage

TABLE = "cross-validation.csv"


def cross_validated(packages: Sequence[Path], folds: int) -> pd.DataFrame:
    """Figures of the packages of a cross-validation, fold by fold, repeat after repeat.

    A repeat deals the patients anew. Its figure is the mean over its folds; `sd` is the standard deviation (n - 1) of
    the repeats' figures, of one repeat that of its folds.

    Returns:
        One row a figure: `figure`, `mean`, `sd`, `lowest` and `highest` of all folds, and `folds` in which the figure
        can be told.
    """
    rows = []
    for number, package in enumerate(packages):
        metrics = ModelPackage.read(package).card.metrics
        tested = {name: metric.value for name, metric in metrics.items() if not name.endswith(", validation")}
        rows += [{"repeat": number // folds, "figure": name, "value": value} for name, value in tested.items()]
    found = pd.DataFrame(rows, columns=["repeat", "figure", "value"])
    of_repeats = found.groupby(["figure", "repeat"])["value"].mean().reset_index()
    spread = (of_repeats if len(packages) > folds else found).groupby("figure")["value"].std()
    of_folds = found.groupby("figure")["value"]
    return pd.DataFrame(
        {
            "mean": of_repeats.groupby("figure")["value"].mean(),
            "sd": spread,
            "lowest": of_folds.min(),
            "highest": of_folds.max(),
            "folds": of_folds.size(),
        }
    ).reset_index()
