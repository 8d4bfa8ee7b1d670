"""Does the heatmap look where the disease is? Measured on phantoms, whose muscles and fat are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.stats import spearmanr

from ..classify import Classification
from ..errors import InputError
from ..models.decision import decision_of
from ..regions.windows import Window
from ..samples.placement import place, resampling_weights
from ..samples.quality import share_outside_muscle
from ..samples.slice_samples import GRID, make_samples
from ..series.plane_orientation import PlaneOrientation
from ..series.series import Series
from ..statistics.bootstrap import bootstrap, mean_of
from ..statistics.estimate import Estimate
from .phantom_truth import TruthFiles

DISEASED = 0.2
"""Fat fraction from which a muscle voxel counts as diseased; muscle of healthy adults has less (our estimate)."""
TOLERANCE_MM = 5.0
"""Distance from diseased muscle at which the pointing game is still won: about a thirtieth of a leg (our estimate)."""
QUANTILE = 0.975
"""Share of rightly called cases that `outside_threshold` does not warn of."""
LEAST_CALLED = 20
"""Rightly called cases below which a report does not tell that limit (our choice)."""
FIGURES = (
    "pointing",
    "pointing_by_chance",
    "heat_in_diseased_muscle",
    "area_of_diseased_muscle",
    "rank_correlation",
    "heat_outside_muscle",
    "area_outside_muscle",
)
"""Columns of `localise_series` of which `by_disease` gives the mean."""
COMPARED = ("right", "pointing", "heat_in_diseased_muscle", "rank_correlation", "heat_outside_muscle")
"""Columns that depend on the model, of which `differences` gives the mean difference of two."""


def localise_series(series: Series, found: Classification, truth: TruthFiles) -> pd.DataFrame:
    """Holds the heatmap of one series against the truth, image by image, inside the outline of the leg.

    Returns:
        One row a counted image:

        - `slice`, `side`, `probability`, `called` (whether the image says the class whose probability is told)
        - `pointing`: the pointing game (Zhang et al. 2018, IJCV 126:1084), 1 where the heat is highest in diseased
          muscle or at most `TOLERANCE_MM` beside it; the mean over equal maxima. `pointing_by_chance`: the same for a
          place drawn at random
        - `heat_in_diseased_muscle`: share of the heat; `area_of_diseased_muscle`: share of the leg, which is what heat
          without knowledge would give
        - `rank_correlation`: Spearman's, of heat with fat fraction over the muscle pixels
        - `heat_outside_muscle`, `area_outside_muscle`: shares that lie in no muscle, by the truth
        - `heat_in_subcutaneous_fat`: what `quality.share_outside_muscle` sees of that without the truth

        Shares of heat are nan without heat, and what is about diseased muscle where there is none.
    """
    spacing = series.geometry.spacing
    images = [(image, window) for image, window in zip(found.result.images, found.seen, strict=True) if image.counted]
    slices = found.regions.windows
    seen = {
        (window.slice, window.side): share
        for window, share in zip(slices, _heat_in_subcutaneous_fat(series, found.heatmap, slices), strict=True)
    }
    rows = []
    decision, case = decision_of(found.result), found.result.case
    said = decision.said(np.array([decision.of_image(image) for image, _ in images]).reshape(-1, len(decision.classes)))
    called = said == decision.classes.index(decision.told_class(case))
    for (image, window), is_called in zip(images, called.tolist(), strict=True):
        box, heat = window.box, found.heatmap[window.box]
        muscle, fat = truth.muscles[box] > 0, truth.fat_fraction[box]
        figures = _image_figures(heat, window.mask, muscle, fat, spacing[::-1][-heat.ndim :])
        shares = [seen.get((k, window.side), np.nan) for k in image.shown]
        outside = float(np.nanmedian(shares)) if np.isfinite(shares).any() else np.nan
        rows.append(
            {
                "slice": image.slice,
                "side": image.side,
                "probability": image.probability,
                "called": is_called,
                **figures,
                "heat_in_subcutaneous_fat": outside,
            }
        )
    return pd.DataFrame(rows)


def by_disease(table: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Means of `FIGURES` for each disease, with 95 % intervals by patient bootstrap.

    Args:
        table: rows of `localise_series`, with `patient_id` and `disease`.

    Returns:
        `disease`, `patients`, `images` (in which the figure is defined), `figure`, `value`, `low`, `high`, one row a
        disease and figure.
    """
    return _means(table.groupby("disease"), FIGURES, seed)


def differences(first: pd.DataFrame, second: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Mean differences of `COMPARED`, first minus second, over the images of both, with 95 % intervals by patient
    bootstrap.

    Args:
        first, second: rows of `localise_series`, with `patient_id`, `disease`, `row` (which series) and `right` (1
            where an image is called rightly).

    Returns:
        `disease` ("all" for all of them), `patients`, `images` (in which both have the figure), `figure`, `value`,
        `low`, `high`, one row a disease and figure.
    """
    both = first.merge(second, on=["row", "slice", "side"], suffixes=("", "_second"))
    both = both.assign(**{figure: both[figure] - both[f"{figure}_second"] for figure in COMPARED})
    return _means((*both.groupby("disease"), ("all", both)), COMPARED, seed)


def outside_threshold(table: pd.DataFrame, case_threshold: float) -> tuple[float, int]:
    """Share of heat in subcutaneous fat that only 1 in 40 rightly called cases exceed: from there, a case is unusual
    and `HEATMAP_OUTSIDE_MUSCLE` is due.

    A case is judged as `Classifier` does: by the median over its images that are called positive.

    Args:
        table: rows of `localise_series`, with `patient_id` and `truth`.
        case_threshold: mean probability from which a case is called.

    Returns:
        The share, and the number of cases.

    Raises:
        InputError: no case of the positive class was called.
    """
    positive = table[table["truth"] == 1]
    probability = positive.groupby("patient_id")["probability"].mean()
    called = positive[
        positive["called"] & positive["patient_id"].isin(probability.index[probability >= case_threshold])
    ]
    if called.empty:
        raise InputError("No case of the positive class was called one; take a model that finds some, or more cases.")
    of_cases = called.groupby("patient_id")["heat_in_subcutaneous_fat"].median()
    return float(of_cases.quantile(QUANTILE)), len(of_cases)


def _image_figures(
    heat: np.ndarray, leg: np.ndarray, muscle: np.ndarray, fat: np.ndarray, pixel_mm: tuple[float, ...]
) -> dict[str, float]:
    """Figures of one image; all arrays ([slices,] rows, columns), `pixel_mm` for each."""
    muscle = muscle & leg
    diseased = muscle & (fat >= DISEASED)
    total = float(heat[leg].sum())

    def share(part: np.ndarray) -> float:
        return float(heat[part].sum()) / total if total > 0 else np.nan

    area = np.count_nonzero(leg)
    figures = dict.fromkeys(FIGURES, np.nan)
    figures["heat_outside_muscle"] = share(leg & ~muscle)
    figures["area_outside_muscle"] = np.count_nonzero(leg & ~muscle) / area
    if diseased.any():
        near = ndimage.distance_transform_edt(~diseased, sampling=pixel_mm) <= TOLERANCE_MM
        figures["heat_in_diseased_muscle"] = share(diseased)
        figures["area_of_diseased_muscle"] = np.count_nonzero(diseased) / area
        figures["pointing"] = float(near[leg & (heat == heat[leg].max())].mean()) if total > 0 else np.nan
        figures["pointing_by_chance"] = float(near[leg].mean())
    if np.count_nonzero(muscle) > 2 and np.ptp(heat[muscle]) > 0 and np.ptp(fat[muscle]) > 0:
        figures["rank_correlation"] = float(spearmanr(heat[muscle], fat[muscle]).statistic)
    return figures


def _heat_in_subcutaneous_fat(series: Series, heatmap: np.ndarray, windows: Sequence[Window]) -> list[float]:
    batch = make_samples(series, windows, GRID)
    plane = PlaneOrientation.of(series.geometry)
    shares = []
    for window, grid, inside in zip(windows, batch.grid.numpy(), batch.inside.numpy(), strict=True):
        heat = plane.canonical(heatmap[window.box])
        on_grid = np.zeros((GRID, GRID), np.float32)
        placement = place(heat.shape, plane.pixel_mm(series.geometry), GRID)
        by_row, by_column = map(resampling_weights, placement.scale, placement.shape)
        (top, left), (rows, columns) = placement.origin, (by_row.shape[0], by_column.shape[0])
        on_grid[top : top + rows, left : left + columns] = (by_column @ (by_row @ heat).T).T
        shares.append(share_outside_muscle(on_grid, grid, inside) if on_grid[inside].sum() > 0 else np.nan)
    return shares


def _means(groups: Iterable[tuple[str, pd.DataFrame]], figures: Sequence[str], seed: int) -> pd.DataFrame:
    """Mean of each figure over the images of each group in which it is defined; nan where it is in none."""
    rows = []
    for name, group in groups:
        for figure in figures:
            defined = group[group[figure].notna()]
            mean = Estimate(np.nan, np.nan, np.nan)
            if len(defined):
                mean = bootstrap(defined, mean_of(defined[figure].to_numpy()), seed=seed)
            patients = defined["patient_id"].nunique()
            rows.append((name, patients, len(defined), figure, mean.value, mean.low, mean.high))
    return pd.DataFrame(rows, columns=["disease", "patients", "images", "figure", "value", "low", "high"])
