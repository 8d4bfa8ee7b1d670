"""Figures of the summary of an archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..reporting.figures import BLUE, ORANGE, STYLE, VERMILION
from ..reporting.pages import Picture
from ..results import INDETERMINATE

_BINS = np.linspace(0, 1, 41)
_WIDTH = 6.7


def as_picture(figure: Figure, folder: Path, name: str, alt: str, caption: str) -> Picture:
    """A figure as an SVG file for the page; arguments as of `Picture`."""
    path = folder / f"{name}.svg"
    with matplotlib.rc_context(STYLE):
        figure.savefig(path, metadata={"Date": None})
    return Picture(path, alt, caption)


def probability_figure(studies: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """How many studies have which probability, by their label; below by the pattern of fat where that has answers."""
    second = studies["pattern_probability"].notna().any()
    told = f"Probability of {classes[1]}" if len(classes) == 2 else "Probability of the most likely class"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, 2.4 * (1 + second) + 0.5), layout="constrained")
        axes: list[Any] = list(figure.subplots(1 + int(second), 1, sharex=True, squeeze=False)[:, 0])
        titles = ("Network, by the label of the study", "Pattern of fat, by its own label")
        for plot, before, title in zip(axes, ("", "pattern_"), titles, strict=False):
            column, label = f"{before}probability", f"{before}label"
            order = [name for name in (*classes, INDETERMINATE) if (studies[label] == name).any()]
            colours = dict(zip((*classes[:2], INDETERMINATE), (BLUE, VERMILION, "#b8bec6"), strict=False))
            groups = [studies.loc[studies[label] == name, column].dropna() for name in order]
            plot.hist(groups, _BINS, stacked=True, label=order, color=[colours.get(name, ORANGE) for name in order])
            plot.set(title=title, ylabel="Studies", xlim=(0, 1))
            plot.legend(title="Label", loc="upper left", bbox_to_anchor=(1, 1))
        axes[-1].set_xlabel(told)
    return figure


def bar_figure(counts: Mapping[str, int], xlabel: str) -> Figure:
    """Counts by name, from top."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, 0.8 + 0.27 * len(counts)), layout="constrained")
        axes = figure.subplots()
        bars = axes.barh(range(len(counts)), list(counts.values()), color=BLUE, height=0.65)
        axes.bar_label(bars, padding=3)
        axes.set_yticks(range(len(counts)), list(counts))
        axes.set(xlabel=xlabel, xlim=(0, 1.12 * max(counts.values())))
        axes.set_ylim(len(counts) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
    return figure
