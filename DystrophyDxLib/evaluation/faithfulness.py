"""Does the answer hang on what the heatmap marks? Deletion and insertion (Petsiuk et al., BMVC 2018, section 4.3).

They need the network and no truth, so that any cohort can be asked. Images that are called are: the others have no
probability to lose, for what is deleted looks like healthy muscle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.integrate import trapezoid

from ..classify import Classifier
from ..cohort.table import Cohort
from ..models.cam_network import CamNetwork, build_network
from ..models.cells import CellGrid
from ..models.package import ModelPackage
from ..regions.legs import find_legs
from ..reporting.progress import Advance
from ..samples.slice_samples import make_samples
from ..series.reading import read_study
from ..statistics.bootstrap import draws, enough_patients, percentiles

STEPS = 10
"""Of deletion and insertion, each a tenth of the leg."""
MOST_IMAGES = 64
"""Images that are taken: each costs 4 * (STEPS + 1) passes through the network, and a large cohort shall not take
longer for it."""
_BATCH = 32


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

    Args:
        cohort: as it was classified.
        chosen: at least one row of `choose_images`.
        seed: of the random order.
    """
    device = classifier.network.device
    network = _calibrated_network(classifier.package).to(device).to(memory_format=torch.channels_last)
    cells = CellGrid.of(network.finest())
    size = classifier.package.recipe.sample.size
    along = np.arange(size)
    rng = np.random.default_rng(seed)
    cases = {case.row: case for case in cohort.cases}
    by_heat: list[np.ndarray] = []
    at_random: list[np.ndarray] = []
    for number, (row, images) in enumerate(chosen.groupby("row")):
        advance("Deleting and inserting", number, chosen["row"].nunique())
        series = read_study(cases[row].path)
        windows = find_legs(series).windows
        pixels = make_samples(series, [windows[n] for n in images["window"]], size).pixels
        with torch.inference_mode():
            maps = network(pixels.to(device)).maps[:, 0].cpu().numpy()
        for values, curves in ((maps, by_heat), (rng.random(maps.shape, np.float32), at_random)):
            curves.append(deletion_insertion(network, pixels, cells.at(values, along, along)))
    return Faithfulness(chosen, np.concatenate(by_heat, axis=1), np.concatenate(at_random, axis=1))


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


def deletion_insertion(network: CamNetwork, pixels: torch.Tensor, heat: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """Deletes and inserts the pixels of each leg in the order of its heat.

    A pixel that is not shown has the grey of healthy muscle in its sample (`muscle_grey`), for a leg that is all muscle
    shows no disease; a blurred leg, which the publication starts insertion from, keeps its fat and with it evidence
    (up to 0.9 here). Outside the leg nothing changes.

    Args:
        network: in evaluation mode; one logit a sample.
        pixels: (N, 1, size, size) float32, as `SampleBatch.pixels`.
        heat: (N, size, size).
        steps: number of equal parts of the leg.

    Returns:
        (2, N, steps + 1) probabilities of the second class: of deletion, with the hottest pixels taken away first, low
        when the heat marks what the network needs; of insertion, with the hottest shown first, high when it does.
    """
    rank = _ranks(heat, (pixels[:, 0] > 0).numpy())
    filled = torch.where(pixels > 0, muscle_grey(pixels)[:, None, None, None], pixels)
    curves = np.empty((2, len(pixels), steps + 1))
    for step in range(steps + 1):
        hot = torch.from_numpy(rank < step / steps)[:, None]
        for curve, shown in zip(curves, (~hot, hot), strict=True):
            curve[:, step] = _probability(network, torch.where(shown, pixels, filled))
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


def _calibrated_network(package: ModelPackage) -> CamNetwork:
    """The package's network in full precision, whose logits already have the temperature of the package."""
    network = build_network(package.recipe).eval()
    network.load_state_dict({name: t for name, t in package.tensors().items() if not name.startswith("features.")})
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.div_(package.card.temperature)
    return network


def _ranks(heat: np.ndarray, leg: np.ndarray) -> np.ndarray:
    """(N, size, size) share of the leg's pixels that are hotter, 0 to below 1; 2 outside the leg."""
    ranks = np.full(heat.shape, 2.0, np.float32)
    for rank, values, inside in zip(ranks, heat, leg, strict=True):
        order = np.argsort(-values[inside], kind="stable")
        places = np.empty(len(order), np.float32)
        places[order] = np.arange(len(order)) / max(len(order), 1)
        rank[inside] = places
    return ranks


def _probability(network: CamNetwork, pixels: torch.Tensor) -> np.ndarray:
    """(N,) probability of the second class."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        logits = [network(part.to(device)).logits[:, 0].cpu() for part in pixels.split(_BATCH)]
    return torch.cat(logits).double().sigmoid().numpy()
