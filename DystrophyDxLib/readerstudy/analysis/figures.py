"""Figures of a reader study, from arrays: readers beside the model as bars and in the ROC plane, each reader's ROC
curve, and confusion matrices. In the style of `reporting.figures`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...reporting.figures import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, STYLE, VERMILION, RocLine
from ...statistics.confusion import Confusion
from ...statistics.estimate import Estimate

_ARM_COLOURS = {"unaided": BLUE, "aided": ORANGE, "model": VERMILION}
_READER_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_READER_DASHES = ("-", "--", ":", "-.")
_MARKERS = {"unaided": "o", "aided": "s"}
_BESIDE = {"unaided": (6, 3), "aided": (6, -10)}
"""Points from a marker to how many readers it stands for."""
_WIDTH = 6.7
_PER_ROW = 7
_FAINT = "#8b949e"


@dataclass(frozen=True)
class Points:
    """Readers of an arm in the ROC plane: false-positive and true-positive rates (R,) of their decisions, and those of
    their mean, None where it is not told."""

    arm: str
    false_positive: np.ndarray
    true_positive: np.ndarray
    mean: tuple[float, float] | None = None


def bars_figure(figures: Mapping[str, Mapping[tuple[str, str], Estimate]], readers: Sequence[str]) -> Figure:
    """Readers beside the model, as Figure 3 of Yang et al., BMC Neurology 2021;21:13.

    Args:
        figures: by their names, then by arm (or "model") and reader.
        readers: from left to right.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, 0.6 + 2.0 * len(figures)), layout="constrained")
        panels = figure.subplots(len(figures), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, estimates) in zip(panels, figures.items(), strict=True):
            arms = list(dict.fromkeys(arm for arm, _ in estimates))
            side_by_side = [arm for arm in arms if arm != "model"]
            width = 0.8 / max(len(side_by_side), 1)
            for (arm, reader), estimate in estimates.items():
                place = float(readers.index(reader))
                if arm != "model":
                    place += (side_by_side.index(arm) - (len(side_by_side) - 1) / 2) * width
                axes.bar(place, estimate.value, width, color=_ARM_COLOURS[arm], label=arm, alpha=0.85, linewidth=0)
                if not math.isnan(estimate.low):
                    axes.vlines(place, estimate.low, estimate.high, color=BLACK, linewidth=0.9)
            axes.set(ylabel=name, ylim=(0, 1.02))
            axes.set_xticks(range(len(readers)), readers, rotation=45 if len(readers) > 8 else 0)
            axes.grid(axis="x", visible=False)
        shown = [axes.get_legend_handles_labels() for axes in panels]
        unique = {label: handle for found in shown for handle, label in zip(*found, strict=True)}
        figure.legend(unique.values(), unique.keys(), loc="outside upper right", ncols=len(unique))
    return figure


def readers_figure(points: Sequence[Points], model: RocLine | None, model_point: tuple[float, float] | None) -> Figure:
    """The model's ROC curve with the readers as points and their mean as a triangle, as Figure 4 of Yang et al., BMC
    Neurology 2021;21:13.

    Args:
        points: of each arm.
        model: None without a model.
        model_point: false-positive and true-positive rate of its label, None without one.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 5.6), layout="constrained")
        axes = figure.subplots()
        _roc_plane(axes)
        if model is not None:
            axes.plot(model.false_positive, model.true_positive, color=_ARM_COLOURS["model"], label=model.label)
        if model_point is not None:
            axes.plot(
                *model_point, "*", color=_ARM_COLOURS["model"], markersize=12, label="model's label", clip_on=False
            )
        for arm in points:
            colour = _ARM_COLOURS[arm.arm]
            places, counts = np.unique([arm.false_positive, arm.true_positive], axis=1, return_counts=True)
            axes.plot(
                *places,
                _MARKERS[arm.arm],
                color=colour,
                alpha=0.65,
                markersize=8,
                markeredgecolor="white",
                label=f"readers, {arm.arm} (n = {len(arm.false_positive)})",
                clip_on=False,
            )
            for place, count in zip(places.T, counts, strict=True):
                if count > 1:
                    axes.annotate(
                        f"{count}", place, xytext=_BESIDE[arm.arm], textcoords="offset points", color=colour, fontsize=8
                    )
            if arm.mean is not None:
                axes.plot(
                    *arm.mean,
                    "^",
                    color=colour,
                    markeredgecolor=BLACK,
                    markersize=11,
                    label=f"mean of the readers, {arm.arm}",
                    clip_on=False,
                )
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def curves_figure(arms: Mapping[str, Mapping[int, RocLine]]) -> Figure:
    """The empirical ROC curve of each reader, a panel an arm.

    Args:
        arms: by their names, curves by the number of the reader, whose colour and dashes it gives in every arm.
    """
    with matplotlib.rc_context(STYLE):
        rows = max(len(curves) for curves in arms.values())
        heights = (_WIDTH / 2, 0.1 + 0.16 * rows)
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        planes, legends = figure.subplots(2, 2, height_ratios=heights)
        for axes in legends:
            axes.set_axis_off()
        for axes, below, (arm, curves) in zip(planes, legends, arms.items(), strict=False):
            _roc_plane(axes)
            axes.set_title(arm, fontsize=10)
            for n, curve in curves.items():
                axes.plot(
                    curve.false_positive,
                    curve.true_positive,
                    color=_READER_COLOURS[n % len(_READER_COLOURS)],
                    linestyle=_READER_DASHES[n // len(_READER_COLOURS) % len(_READER_DASHES)],
                    linewidth=1.2,
                    label=curve.label,
                )
            below.legend(*axes.get_legend_handles_labels(), loc="upper center", fontsize=7.5, handlelength=3)
        for axes in planes[len(arms) :]:
            axes.set_axis_off()
    return figure


def confusion_figure(matrices: Sequence[tuple[str, Confusion]], positive: str) -> Figure:
    """Confusion matrices side by side; shades are shares of the true class.

    Args:
        matrices: title and counts.
        positive: name of the positive class.
    """
    columns = min(_PER_ROW, len(matrices))
    rows = math.ceil(len(matrices) / columns)
    with matplotlib.rc_context(STYLE | {"axes.grid": False, "axes.spines.left": False, "axes.spines.bottom": False}):
        size = _WIDTH / _PER_ROW
        figure = Figure(figsize=(_WIDTH, 0.5 + rows * (size + 0.45)), layout="constrained")
        for n, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
            if n >= len(matrices):
                axes.set_axis_off()
                continue
            title, found = matrices[n]
            counts = np.array([[found.tp, found.fn], [found.fp, found.tn]])
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for (row, column), count in np.ndenumerate(counts):
                colour = "white" if shares[row, column] > 0.6 else "black"
                axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
            axes.set_title(title, fontsize=7)
            first_column, last_row = n % columns == 0, n + columns >= len(matrices)
            axes.set_xticks((0, 1), ("yes", "no") if last_row else ("", ""), fontsize=7)
            axes.set_yticks((0, 1), ("yes", "no") if first_column else ("", ""), fontsize=7)
            axes.tick_params(length=0)
        figure.supxlabel(f"said to be {positive}", fontsize=8.5)
        figure.supylabel("truly so", fontsize=8.5)
    return figure


def _roc_plane(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=0.8, linestyle=(0, (2, 3)))
    axes.set(xlabel="1 − specificity", ylabel="Sensitivity", xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
