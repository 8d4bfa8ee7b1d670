"""Does the answer hang on what the heatmap marks? Deletion and insertion (Petsiuk et al., BMVC 2018, section 4.3).

They need the network and no truth, so that any cohort can be asked. Images that are called are: the others have no
probability to lose, for what is deleted looks like healthy muscle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.integrate import trapezoid

from ..classify import Classifier
from ..cohort.table import Cohort
from ..regions.legs import find_legs
from ..reporting.progress import Advance
from ..samples.slice_samples import make_samples
from ..series.reading import read_study
from ..statistics.bootstrap import draws, enough_patients, percentiles

STEPS = 10
"""Of deletion and insertion, each a tenth of the leg."""
MOST_IMAGES = 64
"""Images that are taken: each is altered 4 * (STEPS - 1) times, and a large cohort shall not take longer for it.

No curve ends early, though many come close to their end: of 244 curves of phantoms, leaving out what follows two values
within 0.02 of the end would have saved 8 % of the work and changed an area by up to 0.04, since probabilities that have
fallen rise again."""


@dataclass(frozen=True)
class Faithfulness:
    """Images deleted and inserted, hottest pixels first, and the same in a random order.

    Attributes:
        images: rows of the chosen images, as `choose_images` gives them.
        by_heat: of `deletion_insertion`, in the order of the class activation map.
        at_random: in the order of a map with a random number in each cell, as coarse and as smooth as the other.
    """

    images: pd.DataFrame
    by_heat: np.ndarray
    at_random: np.ndarray

    @property
    def areas(self) -> pd.DataFrame:
        """`images` with the areas under the curves, 0 to 1: `deletion`, `insertion`, `deletion_at_random` and
        `insertion_at_random`."""
        curves = np.concatenate([self.by_heat, self.at_random])
        areas = trapezoid(curves, dx=1 / (curves.shape[2] - 1), axis=2)
        names = ("deletion", "insertion", "deletion_at_random", "insertion_at_random")
        return self.images.assign(**dict(zip(names, areas, strict=True)))


def choose_images(images: pd.DataFrame, threshold: float, *, seed: int, most: int = MOST_IMAGES) -> pd.DataFrame:
    """Images that count and are called, drawn evenly over the diseases, and within each over its patients.

    Args:
        images: an image table, see `predictions`.
        threshold: probability from which an image is called.
        most: how many are taken at most.

    Returns:
        Their rows, in the order of `images`, with `window`, the number of the image in its series.
    """
    numbered = images.assign(window=images.groupby("row").cumcount())
    drawn = numbered[numbered["counted"] & (numbered["probability"] >= threshold)].sample(frac=1, random_state=seed)
    drawn = drawn.iloc[np.argsort(drawn.groupby("patient_id").cumcount(), kind="stable")]
    drawn = drawn.iloc[np.argsort(drawn.groupby("disease").cumcount(), kind="stable")]
    return drawn.head(most).sort_index()


def faithfulness(
    classifier: Classifier, cohort: Cohort, chosen: pd.DataFrame, *, seed: int, advance: Advance
) -> Faithfulness:
    """Deletes and inserts images of a cohort; reads their series once more, so that none had to be kept.

    The network is the one that answers, in its precision, so that the curves begin at the probabilities that it told.

    Args:
        cohort: as it was classified.
        chosen: at least one row of `choose_images`.
        seed: of the random order.
    """
    network, card = classifier.network, classifier.package.card
    size = classifier.package.recipe.sample.size
    along = np.arange(size)
    rng = np.random.default_rng(seed)
    cases = {case.row: case for case in cohort.cases}

    def probability(pixels: torch.Tensor) -> np.ndarray:
        return card.decision.probabilities(network.output(pixels).logits.numpy(), card.temperature)[:, 1]

    curves, done = [], 0
    for row, images in chosen.groupby("row"):
        series = read_study(cases[row].path)
        windows = find_legs(series).windows
        pixels = make_samples(series, [windows[n] for n in images["window"]], size).pixels
        for sample in pixels.split(1):
            advance("Deleting and inserting", done, len(chosen))
            cells = network.output(sample).maps[0, :1].numpy()
            orders = np.concatenate([cells, rng.random(cells.shape, np.float32)])
            curves.append(deletion_insertion(probability, sample[0], network.cells.at(orders, along, along)))
            done += 1
    by_heat, at_random = np.stack(curves, axis=2)
    return Faithfulness(chosen, by_heat, at_random)


def mean_curve(images: pd.DataFrame, curves: np.ndarray, *, seed: int) -> np.ndarray:
    """(3, steps + 1) mean of curves (N, steps + 1), and the bounds of its pointwise 95 % band by patient bootstrap;
    nan where there are too few patients for one.

    Args:
        images: whose curves they are, with `patient_id` and `truth`.
    """
    mean = curves.mean(axis=0)
    if not enough_patients(images):
        return np.stack([mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)])
    drawn = [counts @ curves / counts.sum(axis=1, keepdims=True) for counts in draws(images, seed=seed)]
    return np.stack([mean, *percentiles(np.concatenate(drawn))])


def deletion_insertion(
    probability: Callable[[torch.Tensor], np.ndarray], pixels: torch.Tensor, heat: np.ndarray, steps: int = STEPS
) -> np.ndarray:
    """Deletes and inserts the pixels of a leg in the order of each of several maps of heat.

    A pixel that is not shown has the grey of healthy muscle in its sample (`muscle_grey`), for a leg that is all muscle
    shows no disease; a blurred leg, which the publication starts insertion from, keeps its fat and with it evidence
    (up to 0.9 here). Outside the leg nothing changes.

    All alterations of the leg go through the network as one batch. The whole leg and the leg of one grey, at which the
    curves of all orders begin and end, go through it once.

    Args:
        probability: (M,) of the second class for samples (M, 1, size, size); called once.
        pixels: (1, size, size) float32, a sample of `SampleBatch.pixels`.
        heat: (K, size, size), a map an order.
        steps: number of equal parts of the leg.

    Returns:
        (K, 2, steps + 1) probabilities: of deletion, with the hottest pixels taken away first, low when the heat marks
        what the network needs; of insertion, with the hottest shown first, high when it does.
    """
    rank = _ranks(heat, (pixels[0] > 0).numpy())
    filled = torch.where(pixels > 0, muscle_grey(pixels[None]), pixels)
    hot = torch.from_numpy(np.stack([rank < step / steps for step in range(1, steps)], axis=1))
    shown = torch.stack([~hot, hot], dim=1)[..., None, :, :]
    between = torch.where(shown, pixels, filled).flatten(0, 2)
    whole, grey, *altered = probability(torch.cat([pixels[None], filled[None], between]))
    curves = np.empty((len(heat), 2, steps + 1))
    curves[:, 0, [0, -1]], curves[:, 1, [0, -1]] = (whole, grey), (grey, whole)
    curves[:, :, 1:-1] = np.reshape(altered, (len(heat), 2, steps - 1))
    return curves


def muscle_grey(pixels: torch.Tensor) -> torch.Tensor:
    """(N,) signal of the least fatty muscle: the darkest tenth of each leg above cortex, fascia and vessels, which are
    darker than half of that.

    Args:
        pixels: (N, 1, size, size), as `SampleBatch.pixels`.
    """
    greys = []
    for sample in pixels[:, 0]:
        signal = sample[sample > 0]
        dark = torch.quantile(signal, 0.2)
        greys.append(torch.quantile(signal[signal > dark / 2], 0.1))
    return torch.stack(greys)


def _ranks(heat: np.ndarray, leg: np.ndarray) -> np.ndarray:
    """(K, size, size) share of the leg's pixels that are hotter, 0 to below 1; 2 outside the leg (size, size)."""
    ranks = np.full(heat.shape, 2.0, np.float32)
    for rank, values in zip(ranks, heat, strict=True):
        order = np.argsort(-values[leg], kind="stable")
        places = np.empty(len(order), np.float32)
        places[order] = np.arange(len(order)) / max(len(order), 1)
        rank[leg] = places
    return ranks
