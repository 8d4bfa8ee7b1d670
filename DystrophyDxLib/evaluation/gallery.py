"""Correct and wrong cases with their heatmaps, as Figure 5 of Yang et al., BMC Neurology 2021;21:13."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ..series.plane_orientation import PlaneOrientation
from .predictions import ClassifiedSeries

A_KIND = 3
"""Cases of each kind that are shown."""
LEAST_HEAT, OPACITY = 0.2, 0.5
"""Heat below which the image stays bare, and how the rest lies over it: as in the slice views and overview.png."""
_COLOURS = LinearSegmentedColormap.from_list("heat", [(0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 1, 0), (1, 0, 0)])
_MARGIN_MM = 8.0
_WIDTH, _GAP = 6.7, 0.006


@dataclass(frozen=True)
class Chosen:
    """A case of the gallery.

    Attributes:
        kind: "true positive", "true negative", "false positive" or "false negative"; of more than two classes "right"
            or "wrong".
        row: of the series in the cohort table.
        slice: index k of the slice that is shown.
        probability: of the patient.
    """

    kind: str
    row: int
    slice: int
    patient_id: str
    disease: str
    probability: float


def choose(images: pd.DataFrame, patients: pd.DataFrame, threshold: float) -> list[Chosen]:
    """Up to `A_KIND` patients of each kind: the most typical correct ones (nearest to their kind's median), each of
    another disease as far as there are that many; and the wrong ones that are furthest from the threshold.

    The slice is the one whose probability is nearest to the patient's.
    """
    called = patients["probability"] >= threshold
    chosen = []
    for kind, truth, call in (
        ("true positive", 1, True),
        ("true negative", 0, False),
        ("false positive", 0, True),
        ("false negative", 1, False),
    ):
        group = patients[(patients["truth"] == truth) & (called == call)]
        if kind.startswith("true"):
            group = _typical(group)
        else:
            group = group.assign(rank=-(group["probability"] - threshold).abs()).sort_values(["rank", "patient_id"])
        chosen += [_shown(kind, patient, images) for patient in group.head(A_KIND).itertuples()]
    return chosen


def choose_ranked(images: pd.DataFrame, patients: pd.DataFrame) -> list[Chosen]:
    """Up to twice `A_KIND` patients whose most likely class is theirs (nearest to the median, each of another disease
    as far as there are that many) and as many of those for whom it is another (the surest); see `choose`.
    """
    columns = [name for name in patients.columns if name.startswith("probability ")]
    said = patients[columns].to_numpy()
    patients = patients.assign(probability=said.max(axis=1), right=said.argmax(axis=1) == patients["truth"].to_numpy())
    wrong = patients[~patients["right"]].sort_values(["probability", "patient_id"], ascending=[False, True])
    return [
        _shown(kind, patient, images)
        for kind, group in (("right", _typical(patients[patients["right"]])), ("wrong", wrong))
        for patient in group.head(2 * A_KIND).itertuples()
    ]


def _typical(patients: pd.DataFrame) -> pd.DataFrame:
    """Those nearest to the median first, each of another disease as far as there are that many."""
    ranked = patients.assign(rank=(patients["probability"] - patients["probability"].median()).abs())
    ranked = ranked.sort_values(["rank", "patient_id"])
    return pd.concat([ranked.drop_duplicates("disease"), ranked[ranked.duplicated("disease")]])


def _shown(kind: str, patient: Any, images: pd.DataFrame) -> Chosen:
    """The case of a patient, a row of `DataFrame.itertuples`."""
    own = images[(images["patient_id"] == patient.patient_id) & images["counted"]]
    slices = own.groupby(["row", "slice"])["probability"].mean()
    row, k = (slices - patient.probability).abs().idxmin()
    return Chosen(kind, int(row), int(k), patient.patient_id, patient.disease, float(patient.probability))


def gallery_figure(chosen: Chosen, classified: ClassifiedSeries) -> Figure:
    """The slice alone, and with the heat over it, seen from the feet: the patient's right is on the left.

    The grey levels span the legs' 1st to 99th percentile; the probability of each leg stands on its side.
    """
    series = classified.series
    plane = PlaneOrientation.of(series.geometry)
    windows = [window for window in classified.classification.regions.windows if window.slice == chosen.slice]
    images = [image for image in classified.classification.result.images if chosen.slice in image.shown]
    legs = np.zeros(series.voxels.shape[1:], bool)
    for window in windows:
        legs[slice(*window.j), slice(*window.i)] |= window.mask
    spacing = plane.pixel_mm(series.geometry)
    box = _framed(plane.canonical(legs), spacing)
    grey, heat, inside = (
        plane.canonical(values)[box]
        for values in (series.voxels[chosen.slice], classified.classification.heatmap[chosen.slice], legs)
    )
    low, high = np.percentile(grey[inside], [1, 99])
    extent = (0, grey.shape[1] * spacing[1], grey.shape[0] * spacing[0], 0)
    half = (1 - _GAP) / 2
    figure = Figure(figsize=(_WIDTH, half * _WIDTH * extent[2] / extent[1]), facecolor="white")
    for n in range(2):
        axes = figure.add_axes((n * (half + _GAP), 0, half, 1))
        axes.set_axis_off()
        axes.imshow(grey, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bilinear")
        if n == 1:
            shown = np.ma.masked_less(heat, LEAST_HEAT)
            axes.imshow(shown, cmap=_COLOURS, vmin=0, vmax=1, alpha=OPACITY, extent=extent, interpolation="nearest")
            for image in images:
                place = {"right": 0.02, "left": 0.98}.get(image.side, 0.5)
                told = f"{image.probability:.2f}"
                _text(axes, place, 0.03, told if image.counted else f"({told})")
        if series.orientation_known:
            _text(axes, 0.02, 0.97, "R")
            _text(axes, 0.98, 0.97, "L")
    return figure


def _framed(legs: np.ndarray, spacing: Sequence[float]) -> tuple[slice, slice]:
    """The box around `legs` (rows, columns) with a margin."""

    def used(along: np.ndarray, mm: float) -> slice:
        there, margin = np.flatnonzero(along), round(_MARGIN_MM / mm)
        return slice(max(0, there[0] - margin), there[-1] + 1 + margin)

    return used(np.any(legs, axis=1), spacing[0]), used(np.any(legs, axis=0), spacing[1])


def _text(axes: Axes, x: float, y: float, text: str) -> None:
    across = "left" if x < 0.5 else "right" if x > 0.5 else "center"
    axes.text(
        x, y, text, transform=axes.transAxes, color="white", fontsize=11, ha=across, va="bottom" if y < 0.5 else "top",
        bbox={"facecolor": "black", "alpha": 0.55, "linewidth": 0, "pad": 1.5},
    )  # fmt: skip
