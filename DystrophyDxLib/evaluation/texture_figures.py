"""Figures of a texture analysis: responses of neurons, and patches under the heat."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from ..reporting.figures import BLUE, GREEN, ORANGE, PURPLE, SKY, STYLE, VERMILION
from .texture_networks import PatchMap, chi_square, class_histograms

_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_REGIONS = 11
"""Rows and columns of regions of the map of patches, of each of which one is drawn."""


def neuron_figure(features: np.ndarray, fat: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Figure:
    """Responses of all neurons to all images, and beside them the classes by fat fraction and by the best neuron.

    Args:
        features: (N, C).
        fat: (N,) mean fat fraction.
        labels: (N,) index in `classes`.
    """
    histograms = class_histograms(features, labels)
    apart = [chi_square(histograms[a], histograms[b]) for a, b in itertools.combinations(histograms, 2)]
    neurons = np.argsort(-np.mean(apart, axis=0), kind="stable") if apart else np.arange(features.shape[1])
    images = np.argsort(labels, kind="stable")
    low, span = features.min(axis=0), np.ptp(features, axis=0)
    scaled = ((features - low) / np.where(span > 0, span, 1))[np.ix_(images, neurons)]
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(6.7, 4.2), layout="constrained")
        left, top, bottom = figure.subplot_mosaic([["map", "fat"], ["map", "neuron"]], width_ratios=(3, 2)).values()
        left.imshow(scaled, aspect="auto", cmap="magma", vmin=0, vmax=1, interpolation="nearest")
        ends = np.cumsum(np.bincount(labels, minlength=len(classes)))
        left.hlines(ends[:-1] - 0.5, -0.5, features.shape[1] - 0.5, color="white", linewidth=1)
        middles = (ends + np.concatenate([[0], ends[:-1]]) - 1) / 2
        left.set_yticks(middles, classes)
        left.set(xlabel="Neuron", title="Responses")
        for axes, values, title in ((top, fat, "Mean fat fraction"), (bottom, features[:, neurons[0]], "Best neuron")):
            axes.boxplot([values[labels == label] for label in range(len(classes))], widths=0.6)
            axes.set_xticks(range(1, len(classes) + 1), classes)
            axes.set(title=title)
    return figure


def patch_figure(laid_out: PatchMap, classes: Sequence[str]) -> Figure:
    """All patches as dots in the colour of their class, and one of each region as it looks."""
    places = laid_out.places
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(6.7, 6.4), layout="constrained")
        axes = figure.subplots()
        for label, name in enumerate(classes):
            own = laid_out.labels == label
            axes.plot(*places[own].T, "o", color=_COLOURS[label % len(_COLOURS)], markersize=3, alpha=0.6, label=name)
        for n in _one_of_each_region(places):
            image = OffsetImage(laid_out.patches[n], zoom=0.9, cmap="gray", clim=(0, 1))
            frame = {"edgecolor": _COLOURS[laid_out.labels[n] % len(_COLOURS)], "linewidth": 1.6}
            axes.add_artist(AnnotationBbox(image, places[n], pad=0.1, bboxprops=frame))
        axes.set(xticks=[], yticks=[])
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(classes))
    return figure


def _one_of_each_region(places: np.ndarray) -> np.ndarray:
    """Number of the first patch in each square of the plane that has one."""
    low, span = places.min(axis=0), np.ptp(places, axis=0)
    squares = np.minimum((places - low) / np.where(span > 0, span, 1) * _REGIONS, _REGIONS - 1).astype(int)
    return np.unique(squares @ [_REGIONS, 1], return_index=True)[1]
