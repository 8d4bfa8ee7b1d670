"""What training wrote down: a line of JSON an epoch, and a figure of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import InputError

LOG = "training_log.jsonl"
FIGURES = ("training.png", "training.svg")


@dataclass(frozen=True)
class Epoch:
    """One epoch of training.

    Attributes:
        stage: number of the recipe's stage, from 1.
        size: edge of the samples in pixels.
        epoch: number in its stage, from 1.
        learning_rate: at the end of the epoch.
        training_loss: mean over the epoch's augmented samples.
        validation_loss: the same over the validation images as they are.
        validation_score: over the validation images, the area under the ROC curve (of more than two classes, the mean
            of each against the rest), or of maps the mean Dice of the labels.
        score: name of that figure.
        best: whether no epoch of its stage before had a lower validation loss.
        seconds: that the epoch took.
    """

    stage: int
    size: int
    epoch: int
    learning_rate: float
    training_loss: float
    validation_loss: float
    validation_score: float
    best: bool
    seconds: float
    score: str = "AUC"


def write_log(epochs: Sequence[Epoch], folder: Path) -> None:
    """Writes the file `LOG` in a folder: one JSON object an epoch.

    Raises:
        InputError: it cannot be written.
    """
    try:
        (folder / LOG).write_text("".join(json.dumps(asdict(epoch)) + "\n" for epoch in epochs), encoding="utf-8")
    except OSError:
        raise InputError(
            "The training log cannot be written; free space beside --out and run the same command again to go on."
        ) from None


def draw_log(epochs: Sequence[Epoch], folder: Path) -> None:
    """Draws losses and validation scores over the epochs into `FIGURES`, with the epoch of each stage that is kept and
    the stages marked."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(2, 1))
    number = range(1, len(epochs) + 1)
    above.plot(number, [epoch.training_loss for epoch in epochs], ".-", color="#0072b2", label="training (augmented)")
    above.plot(number, [epoch.validation_loss for epoch in epochs], ".-", color="#d55e00", label="validation")
    below.plot(number, [epoch.validation_score for epoch in epochs], ".-", color="#d55e00")
    last = {epoch.stage: n for n, epoch in enumerate(epochs) if epoch.best}
    kept = list(last.values())
    named = "kept: the lowest of each stage" if len(kept) > 1 else "kept: the lowest"
    for panel, values in (
        (above, [epochs[n].validation_loss for n in kept]),
        (below, [epochs[n].validation_score for n in kept]),
    ):
        panel.plot([n + 1 for n in kept], values, "o", color="black", markersize=5, label=named)
        for n, epoch in enumerate(epochs):
            if n and epoch.epoch == 1:
                panel.axvline(n + 0.5, color="0.6", linewidth=0.8, linestyle="--")
        panel.spines[["top", "right"]].set_visible(False)
    above.set_ylabel("cross-entropy")
    above.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    below.set_ylabel(f"validation {epochs[0].score}")
    below.set_xlabel("epoch")
    below.set_xlim(0.5, len(epochs) + 0.5)
    below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for name in FIGURES:
        figure.savefig(folder / name, dpi=150, metadata={"Date": None} if name.endswith("svg") else None)
