"""Networks of a cross-validation: what each says of the images that it has not seen, and what its neurons see.

Cai et al., Pattern Recognition 2019;86:368: every neuron of the pooled layer is a texture criterion of its own, held
against the mean fat fraction by how far apart the classes' histograms of responses lie (equations 3 and 4).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.manifold import TSNE

from ..classify import Classifier
from ..errors import InputError
from ..explain.texture_score import UNDER_HEAT
from ..models.cells import CellGrid
from ..models.package import ModelPackage
from ..models.packages import fold_packages
from ..models.recipe import Recipe
from ..training.fit import EVALUATION_BATCH
from ..training.sample_store import StoredImages, restored
from .texture_images import TextureImages

BINS = 20
"""Of the histograms of responses; as published."""
PATCH = 24
"""Edge in pixels of the patches under the heat; as published."""
_PATCHES_AN_IMAGE = 4
_MOST_PATCHES = 1200
_PERPLEXITY = 30
_OF_IMAGES = ("said", "features", "maps")


@dataclass(frozen=True)
class FoldModels:
    """The packages of one network, one a fold.

    Attributes:
        packages: that of fold 1 first.
    """

    name: str
    packages: tuple[ModelPackage, ...]

    @classmethod
    def read(cls, folder: Path, folds: int, recipe: Recipe) -> FoldModels:
        """The packages fold1, fold2 and so on in a folder.

        Raises:
            InputError: one is not there or damaged, or takes other samples or tells other classes apart than `recipe`.
        """
        packages = []
        for package in fold_packages(folder, folds):
            if not isinstance(package, ModelPackage):
                raise InputError(f"The models in {folder.name} tell patterns of fat; give those of a network.")
            if (package.recipe.classes, package.recipe.sample) != (recipe.classes, recipe.sample):
                raise InputError(
                    f"The models in {folder.name} have other classes or samples than the recipe {recipe.name}; give "
                    "the recipe they were trained by with --recipe."
                )
            packages.append(package)
        return cls(folder.absolute().name, tuple(packages))


@dataclass(frozen=True)
class Responses:
    """What the networks of a cross-validation say of N images, each image answered for by the network that has not
    seen its patient.

    Attributes:
        said: (N,) index of the class.
        features: (N, C) pooled responses of all neurons.
        maps: (N, K, h, w) class activation map of every class.
        cells: where the maps' cells look in a sample.
    """

    said: np.ndarray
    features: np.ndarray
    maps: np.ndarray
    cells: CellGrid

    @classmethod
    def of(cls, classifier: Classifier, pixels: StoredImages, rows: np.ndarray) -> Responses:
        """Of one network to some of the stored images."""
        card, found = classifier.package.card, []
        for chosen in np.split(rows, range(EVALUATION_BATCH, len(rows), EVALUATION_BATCH)):
            output = classifier.network.output(restored(torch.from_numpy(pixels[chosen])))
            logits, maps, features = (part.float().numpy() for part in output)
            of_outputs = maps.swapaxes(0, 1)
            maps = np.stack([card.decision.evidence(of_outputs, k) for k in range(len(card.classes))], axis=1)
            said = card.decision.said(card.decision.probabilities(logits, card.temperature))
            found.append((said, features, maps))
        said, features, maps = map(np.concatenate, zip(*found, strict=True))
        return cls(said, features, maps, classifier.network.cells)

    @classmethod
    def joined(cls, parts: Sequence[Responses], order: np.ndarray) -> Responses:
        """Those of all networks together.

        Args:
            order: (N,) number of each image among those of the parts one after the other.
        """
        said, features, maps = (np.concatenate([getattr(part, name) for part in parts])[order] for name in _OF_IMAGES)
        return cls(said, features, maps, parts[0].cells)


def class_histograms(values: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """(F, BINS) share of the images of each class that is there in each bin of each criterion, the bins even between
    the smallest and the largest value.

    Args:
        values: (N, F) of F criteria.
        labels: (N,).
    """
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    bins = np.minimum((values - low) / np.where(span > 0, span, 1) * BINS, BINS - 1).astype(int)
    flat = bins + BINS * np.arange(values.shape[1])
    histograms = {}
    for label in np.unique(labels).tolist():
        own = flat[labels == label]
        histograms[label] = np.bincount(own.ravel(), minlength=BINS * values.shape[1]).reshape(-1, BINS) / len(own)
    return histograms


def euclidean(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Equation (3): (F,) Euclidean distance of (F, BINS) histograms."""
    return np.sqrt(((p - q) ** 2).sum(axis=1))


def chi_square(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Equation (4): (F,) chi-square distance of (F, BINS) histograms, half the sum of (p - q)² / (p + q) over the bins
    that are not empty in both; 0 of equal histograms to 1 of those that have no bin in common."""
    total = p + q
    return 0.5 * np.divide((p - q) ** 2, total, out=np.zeros_like(total), where=total > 0).sum(axis=1)


DISTANCES_OF_HISTOGRAMS = {"Euclidean": euclidean, "Chi-square": chi_square}


def neurons_beside_fat(features: np.ndarray, fat: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> pd.DataFrame:
    """How many neurons tell two classes apart better than the mean fat fraction does, by each distance.

    Args:
        features: (N, C) of images that the network of their fold has not seen.
        fat: (N,) mean fat fraction.
        fold: (N,).

    Returns:
        One row a fold, pair of classes (`first`, `second`: indices) that it has, and `distance`: `neurons` in all,
        `better` ones, `best` distance among the neurons and that of `fat`.
    """
    rows = []
    for number in np.unique(fold):
        own = fold == number
        criteria = class_histograms(np.column_stack([fat[own], features[own]]), labels[own])
        for first, second in itertools.combinations(criteria, 2):
            for name, distance in DISTANCES_OF_HISTOGRAMS.items():
                of_fat, *of_neurons = distance(criteria[first], criteria[second])
                better = np.count_nonzero(np.array(of_neurons) > of_fat)
                rows.append((number, first, second, name, len(of_neurons), better, max(of_neurons), of_fat))
    return pd.DataFrame(rows, columns=["fold", "first", "second", "distance", "neurons", "better", "best", "fat"])


@dataclass(frozen=True)
class PatchMap:
    """Patches under the heat, laid out so that those alike lie together.

    Attributes:
        patches: (P, PATCH, PATCH) fat fraction.
        places: (P, 2) of t-SNE.
        labels: (P,) class of the patient.
    """

    patches: np.ndarray
    places: np.ndarray
    labels: np.ndarray


def patch_map(images: TextureImages, found: Responses, seed: int) -> PatchMap | None:
    """Patches around the strongest heat of the images that are called rightly, and their t-SNE (van der Maaten and
    Hinton, J Mach Learn Res 2008;9:2579) by their pixels; None where there are fewer than three.

    A patch lies where the class activation map of the image's class is highest, at least half as high as anywhere in
    the image, and no patch covers the middle of another one.
    """
    found_patches, found_labels = [], []
    for n in np.flatnonzero(found.said == images.labels):
        own = list(_under_heat(images.fractions[n], images.muscle[n], found.maps[n, images.labels[n]], found.cells))
        found_patches += own
        found_labels += [images.labels[n]] * len(own)
    if len(found_patches) < 3:
        return None
    chosen = np.random.default_rng(seed).permutation(len(found_patches))[:_MOST_PATCHES]
    patches, labels = np.array(found_patches)[chosen], np.array(found_labels)[chosen]
    perplexity = min(_PERPLEXITY, (len(patches) - 1) / 3)
    places = TSNE(perplexity=perplexity, random_state=seed).fit_transform(patches.reshape(len(patches), -1))
    return PatchMap(patches, places, labels)


def _under_heat(fraction: np.ndarray, muscle: np.ndarray, cells: np.ndarray, grid: CellGrid) -> Iterator[np.ndarray]:
    """(PATCH, PATCH) patches of one image, the hottest first; their middle lies in the muscle compartment."""
    half, size = PATCH // 2, fraction.shape[0]
    rows, columns = (np.rint(grid.centres(count)).astype(int) for count in cells.shape)
    centres = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    heat = cells.ravel()
    whole = ((centres >= half) & (centres <= size - half)).all(axis=1)
    centres, heat = centres[whole], heat[whole]
    inside = muscle[tuple(centres.T)]
    centres, heat = centres[inside], heat[inside]
    taken: list[np.ndarray] = []
    for n in np.argsort(-heat, kind="stable"):
        if heat[n] <= 0 or heat[n] < UNDER_HEAT * cells.max() or len(taken) == _PATCHES_AN_IMAGE:
            return
        if all(np.abs(centres[n] - other).max() >= half for other in taken):
            taken.append(centres[n])
            row, column = centres[n]
            yield fraction[row - half : row + half, column - half : column + half]
