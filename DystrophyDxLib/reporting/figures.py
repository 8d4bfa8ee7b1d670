"""Figures of an evaluation, from arrays: ROC curves, calibration, probabilities by disease, heat by disease, deletion
and insertion.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color, 2008), which people with colour-blindness tell apart; lines
differ in their dashes too. A figure is as wide as a page of text (170 mm), so that it is printed as it is drawn.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..statistics.estimate import Estimate
from .pages import Picture

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
_WIDTH = 6.7
_LINE, _FEW = 18, 5
"""Letters of a line of a class' name, and classes whose names have room side by side."""
_LEGEND = 58
"""Letters of a line of a legend below a square figure."""
_LETTER, _ROW = 0.09, 0.17
"""Inches of a letter and of a line."""
STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e9ed",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "DystrophyDx",
    "text.parse_math": False,  # a dollar in a code or a disease is a dollar
}


@dataclass(frozen=True)
class RocLine:
    """One ROC curve as it is drawn.

    Attributes:
        label: for the legend, with AUC, interval and n.
        false_positive, true_positive: (T,) rates of the curve, ascending.
        band: (3, G) false-positive rates with the lower and upper bound of the true-positive rate there, or None.
        point: (false-positive, true-positive) rate at the threshold in use, or None.
    """

    label: str
    false_positive: np.ndarray
    true_positive: np.ndarray
    band: np.ndarray | None = None
    point: tuple[float, float] | None = None


def roc_figure(lines: Sequence[RocLine]) -> Figure:
    """ROC curves with their interval bands and the points at which the models decide."""
    labels = [textwrap.fill(line.label, _LEGEND) for line in lines]
    rows = sum(label.count("\n") + 1 for label in labels)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 5.1 + 0.2 * rows), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#8b949e", linewidth=0.8, linestyle=(0, (2, 3)))
        for n, line in enumerate(lines):
            colour = _COLOURS[n % len(_COLOURS)]
            if line.band is not None:
                axes.fill_between(*line.band, color=colour, alpha=0.15, linewidth=0)
            style: dict[str, Any] = {"color": colour, "linestyle": _DASHES[n % len(_DASHES)], "linewidth": 1.6}
            axes.plot(line.false_positive, line.true_positive, label=labels[n], **style)
            if line.point is not None:
                axes.plot(*line.point, "o", color=colour, markeredgecolor="white", markersize=7)
        axes.set(xlabel="1 − specificity", ylabel="Sensitivity", xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
        figure.legend(loc="outside lower center", handlelength=3)
    return figure


def calibration_figure(curves: Mapping[str, pd.DataFrame], positive: str) -> Figure:
    """Observed against predicted probability with intervals, and below how many there are in each bin.

    Args:
        curves: rows of `calibration_error.reliability` of each kind of probability, by its label.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 6), layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        top.plot([0, 1], [0, 1], color="#8b949e", linewidth=0.8, linestyle=(0, (2, 3)), label="perfectly calibrated")
        for n, (label, bins) in enumerate(curves.items()):
            places = bins["probability"] + 0.006 * (2 * n - len(curves) + 1)
            bars = np.clip([bins["observed"] - bins["low"], bins["high"] - bins["observed"]], 0, None)
            marks = {"marker": "os^D"[n % 4], "markersize": 4.5, "linestyle": "none", "elinewidth": 1, "capsize": 2.5}
            colour = _COLOURS[n % len(_COLOURS)]
            top.errorbar(places, bins["observed"], yerr=bars, color=colour, label=label, **marks)
            bottom.bar(places, bins["cases"], width=0.012, color=colour, label=label, linewidth=0)
        top.set(ylabel=f"Observed share of {positive}", ylim=(-0.02, 1.02))
        bottom.set(xlabel=f"Predicted probability of {positive}", ylabel="Number", xlim=(-0.02, 1.02))
        bottom.set_yscale("symlog", linthresh=1)
        bottom.yaxis.set_major_formatter("{x:.0f}")
        figure.legend(*top.get_legend_handles_labels(), loc="outside lower center", ncols=len(curves) + 1)
    return figure


def probability_figure(groups: Sequence[tuple[str, bool, np.ndarray]], threshold: float, positive: str) -> Figure:
    """Probability of every patient (or image), disease by disease, and the threshold; the marks are spread by chance
    across their row.

    Args:
        groups: disease, whether it belongs to the positive class, and its (N,) probabilities; drawn from top.
        positive: name of the positive class.
    """
    rng = np.random.default_rng(0)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, 1.3 + 0.3 * len(groups)), layout="constrained")
        axes = figure.subplots()
        for row, (_, is_positive, probabilities) in enumerate(groups):
            mark, colour = ("o", VERMILION) if is_positive else ("s", BLUE)
            heights = row + rng.uniform(-0.25, 0.25, len(probabilities))
            axes.plot(probabilities, heights, mark, color=colour, alpha=0.55, markersize=4, markeredgewidth=0)
            axes.plot([np.median(probabilities)] * 2, [row - 0.36, row + 0.36], color=BLACK, linewidth=1.6, zorder=1)
        axes.axvline(threshold, color=BLACK, linestyle="--", linewidth=1, label=f"threshold {threshold:.2f}")
        axes.set_yticks(range(len(groups)), [f"{name} (n = {len(values)})" for name, _, values in groups])
        axes.set(xlim=(-0.02, 1.02), xlabel=f"Probability of {positive}")
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.plot([], [], "o", color=VERMILION, label=positive, markeredgewidth=0)
        axes.plot([], [], "s", color=BLUE, label="other", markeredgewidth=0)
        axes.plot([], [], color=BLACK, marker="|", linestyle="", markersize=9, markeredgewidth=1.6, label="median")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, borderaxespad=0.2)
    return figure


def confusion_figure(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """A (K, K) matrix of counts, rows the truth and columns what was said, shaded by the share of the row; long names
    are broken into lines."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [textwrap.fill(name, _LINE) for name in classes]
    upright = len(classes) > _FEW
    lines = max(name.count("\n") + 1 for name in names)
    below = _LETTER * max(len(line) for name in names for line in name.split("\n")) if upright else _ROW * lines
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        size = (_WIDTH, 0.6 + below + max(0.32, _ROW * lines) * len(classes))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for row, column in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if shares[row, column] > 0.5 else BLACK
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour)
        axes.set_xticks(range(len(classes)), names, rotation=90 if upright else 0)
        axes.set_yticks(range(len(classes)), names)
        axes.set(xlabel="Most likely class", ylabel="Truth")
    return figure


def heat_figure(rows: Sequence[tuple[str, Estimate, float]], xlabel: str) -> Figure:
    """A figure of the heat disease by disease, from top: label (with n), estimate, and what chance would give."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, 1.3 + 0.28 * len(rows)), layout="constrained")
        axes = figure.subplots()
        places = range(len(rows))
        labels, found, chance = zip(*rows, strict=True)
        values, low, high = zip(*((heat.value, heat.low, heat.high) for heat in found), strict=True)
        axes.hlines(places, low, high, color=BLUE, linewidth=1.6)
        told = ", 95 % interval" if np.isfinite(low).any() else ""
        axes.plot(values, places, "o", color=BLUE, label=f"heat{told}")
        axes.plot(chance, places, "D", color=ORANGE, markersize=5, label="by chance")
        axes.set_yticks(places, labels)
        axes.set(xlabel=xlabel, xlim=(-0.02, 1.02))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
    return figure


def deletion_insertion_figure(
    deletion: Mapping[str, np.ndarray], insertion: Mapping[str, np.ndarray], positive: str
) -> Figure:
    """Mean probability while the leg disappears (left) and while it appears (right), with bands.

    Args:
        deletion, insertion: by the order of the pixels, the same in both, (3, S) mean of S steps from none to all of
            the leg, and the bounds of its band.
        positive: name of the positive class.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, 3.3), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for plot, curves, verb in zip(axes, (deletion, insertion), ("deleted", "shown"), strict=True):
            for n, (label, (mean, low, high)) in enumerate(curves.items()):
                share = np.linspace(0, 100, len(mean))
                plot.fill_between(share, low, high, color=_COLOURS[n], alpha=0.15, linewidth=0)
                plot.plot(share, mean, color=_COLOURS[n], linestyle=_DASHES[n], linewidth=1.6, label=label)
            plot.set(xlabel=f"Part of the leg {verb}, %", xlim=(0, 100), ylim=(-0.01, 1.01))
        axes[0].set(title="Deletion", ylabel=f"Probability of {positive}")
        axes[1].set(title="Insertion")
        lines = axes[0].get_legend_handles_labels()
        figure.legend(*lines, loc="outside lower center", ncols=len(deletion), handlelength=3)
    return figure


def save_figure(figure: Figure, folder: Path, name: str) -> None:
    """Writes `name`.svg and `name`.png (200 pixels an inch); the same figure gives the same bytes."""
    with matplotlib.rc_context(STYLE):
        figure.draw_without_rendering()
        figure.set_layout_engine(None)  # laid out once for both files, which takes as long as drawing
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{name}.png", dpi=200, metadata={"Software": None})


def saved_picture(figure: Figure, folder: Path, name: str, alt: str, caption: str) -> Picture:
    """The picture for a page of a figure that `save_figure` writes; arguments as there, and as of `Picture`."""
    save_figure(figure, folder, name)
    return Picture(folder / f"{name}.svg", alt, caption)
