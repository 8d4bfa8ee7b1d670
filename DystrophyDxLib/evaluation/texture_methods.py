"""The methods that Cai et al., Pattern Recognition 2019;86:368, hold their networks against: mean fat fraction,
statistical texture, a dictionary of patches, and features of networks that were trained on photographs.

Each is a table of features and a classifier of scikit-learn. All look at the fat fraction within the leg, without its
subcutaneous fat; the networks see the whole leg. The publication's grids of parameters are not known here: those below
are our choice, and cross-validation within the training patients chooses from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from skimage.feature import graycomatrix, graycoprops
from sklearn.cluster import KMeans
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from ..models.backbones import BACKBONES
from ..models.weights import published_model
from ..training.sample_store import restored
from .texture_images import TextureImages

CENTROIDS, PATCH = 900, 18
"""Words of the dictionary, and edge of the patches that they are, in pixels; as published."""
GREYS = 32
"""Levels of histogram and co-occurrence."""
DISTANCES = (1, 2, 4)
"""Of co-occurrence, in pixels."""
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "ASM")
"""Of co-occurrence (Haralick et al., IEEE Trans Syst Man Cybern 1973;3:610), the mean over the four directions."""
NEIGHBOURS = (1, 3, 5, 7, 9, 15)
COSTS = (1.0, 10.0, 100.0)
WIDTHS = (0.1, 0.3, 1.0)
"""Gamma of the SVM, times the number of features."""
INNER_FOLDS = 3
_STEP = 6
_LEARNT_PATCHES = 20_000
_BATCH = 16

FeaturesOf = Callable[[np.ndarray], np.ndarray]
"""From the images to learn from, (N,) bool, to (N, F) features of all."""
SearchOf = Callable[[tuple[int, int], int], GridSearchCV]
"""From the shape (images, features) of what it learns from and a seed to a classifier that chooses its parameters."""


@dataclass(frozen=True)
class Method:
    """A method that is no trained network.

    Attributes:
        prepare: computes what depends on no training patient.
    """

    name: str
    prepare: Callable[[TextureImages], FeaturesOf]
    classifier: SearchOf


def texture_methods(weights_of: Callable[[str], Path | None], seed: int) -> tuple[Method, ...]:
    """The methods of Table 1.

    Args:
        weights_of: gives torchvision's file for a backbone, None to fetch it.
        seed: of the dictionary.
    """

    def photographs(backbone: str, images: TextureImages) -> FeaturesOf:
        return _fixed(partial(published_features, backbone=backbone, weights=weights_of(backbone)))(images)

    return (
        Method("Mean fat fraction, kNN", _fixed(mean_fat_fraction), nearest_neighbours),
        Method("Statistical texture, kNN", _fixed(statistical_texture), nearest_neighbours),
        Method("Statistical texture, SVM", _fixed(statistical_texture), support_vectors),
        Method("Patch dictionary, SVM", lambda images: PatchDictionary(images, seed).histograms, support_vectors),
        Method("VGG16-FC7, SVM", partial(photographs, "vgg16"), support_vectors),
        Method("ResNet18-GAP, SVM", partial(photographs, "resnet18"), support_vectors),
    )


def held_out_answers(method: Method, images: TextureImages, fold: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Fold after fold, the classes that a method says of the images of that fold, having seen all others.

    Args:
        fold: (N,) of each image, all images of a patient in one.
        seed: of the cross-validation within the training patients.
    """
    features_of = method.prepare(images)
    for number in np.unique(fold):
        training = fold != number
        features = features_of(training)
        learnt = features[training]
        search = method.classifier(learnt.shape, seed)
        search.fit(learnt, images.labels[training], groups=images.patients[training])
        yield search.predict(features[~training])


def nearest_neighbours(shape: tuple[int, int], seed: int) -> GridSearchCV:
    """kNN on standardised features, k chosen by patients of the training folds."""
    few_enough = [k for k in NEIGHBOURS if k <= shape[0] / INNER_FOLDS]
    pipeline = make_pipeline(StandardScaler(), KNeighborsClassifier())
    return _search(pipeline, {"kneighborsclassifier__n_neighbors": few_enough}, seed)


def support_vectors(shape: tuple[int, int], seed: int) -> GridSearchCV:
    """SVM with radial basis functions on standardised features, C and gamma chosen likewise."""
    grid = {"svc__C": COSTS, "svc__gamma": [width / shape[1] for width in WIDTHS]}
    return _search(make_pipeline(StandardScaler(), SVC(kernel="rbf")), grid, seed)


def _search(pipeline: Pipeline, grid: dict[str, Sequence[float]], seed: int) -> GridSearchCV:
    by_patient = StratifiedGroupKFold(INNER_FOLDS, shuffle=True, random_state=seed)
    return GridSearchCV(pipeline, grid, cv=by_patient, scoring="accuracy")


def _fixed(features: Callable[[TextureImages], np.ndarray]) -> Callable[[TextureImages], FeaturesOf]:
    """Features for which nothing is learnt from the cohort."""

    def prepare(images: TextureImages) -> FeaturesOf:
        found = features(images)
        return lambda _: found

    return prepare


def mean_fat_fraction(images: TextureImages) -> np.ndarray:
    """(N, 1) mean fat fraction within the muscle compartment."""
    pairs = zip(images.fractions, images.muscle, strict=True)
    return np.array([[fraction[muscle].mean()] for fraction, muscle in pairs])


def statistical_texture(images: TextureImages) -> np.ndarray:
    """(N, F) histogram of the fat fraction and properties of its co-occurrence, within the muscle compartment."""
    return np.stack([_statistics(*pair) for pair in zip(images.fractions, images.muscle, strict=True)])


def _statistics(fraction: np.ndarray, muscle: np.ndarray) -> np.ndarray:
    histogram = np.histogram(fraction[muscle], GREYS, (0, 1))[0] / np.count_nonzero(muscle)
    # Level 0 is what is not muscle; pairs with it are taken out.
    levels = np.where(muscle, np.minimum(fraction * GREYS, GREYS - 1) + 1, 0).astype(np.uint8)
    directions = np.arange(4) * np.pi / 4
    pairs = graycomatrix(levels, DISTANCES, directions, GREYS + 1, symmetric=True)[1:, 1:]
    properties = [graycoprops(pairs, name).mean(axis=1) for name in PROPERTIES]
    return np.concatenate([histogram, *properties])


class PatchDictionary:
    """Histograms of words: every patch of an image counts for the nearest of the centroids that k-means finds.

    Args:
        seed: of the patches that are learnt from, and of k-means.
    """

    def __init__(self, images: TextureImages, seed: int) -> None:
        self._seed = seed
        self._patches = [_patches(*pair) for pair in zip(images.fractions, images.muscle, strict=True)]

    def histograms(self, training: np.ndarray) -> np.ndarray:
        """(N, words) share of each word among the patches of each image.

        Args:
            training: (N,) bool, images whose patches the words are found in.
        """
        seen = np.concatenate([patches for patches, is_seen in zip(self._patches, training, strict=True) if is_seen])
        rng = np.random.default_rng(self._seed)
        seen = seen[rng.permutation(len(seen))[:_LEARNT_PATCHES]]
        # Starting from drawn patches is as good with so many words, and far sooner done than k-means++.
        words = KMeans(min(CENTROIDS, len(seen)), init="random", n_init=1, random_state=self._seed).fit(seen)
        counts = [np.bincount(words.predict(patches), minlength=words.n_clusters) for patches in self._patches]
        return np.array([count / count.sum() for count in counts])


def _patches(fraction: np.ndarray, muscle: np.ndarray) -> np.ndarray:
    """(P, PATCH²) patches on a grid whose middle lies in the muscle compartment."""
    half = PATCH // 2
    windows = np.lib.stride_tricks.sliding_window_view(fraction, (PATCH, PATCH))[::_STEP, ::_STEP]
    middle = muscle[half : half + windows.shape[0] * _STEP : _STEP, half : half + windows.shape[1] * _STEP : _STEP]
    return windows[middle].reshape(-1, PATCH * PATCH)


def published_features(images: TextureImages, backbone: str, weights: Path | None) -> np.ndarray:
    """(N, F) features of a network trained on ImageNet: of VGG16 the second layer of 4096 (FC7), of ResNet the pooled
    last maps. Red, green and blue are the slice below, the middle one and the slice above.

    Raises:
        InputError: see `networks.weights.published_model`.
    """
    network = without_answer(published_model(backbone, weights))
    mean, deviation = (torch.tensor(colours)[:, None, None] for colours in BACKBONES[backbone].normalisation)
    middle = images.stacked.shape[1] // 2
    below, above = max(middle - 1, 0), min(middle + 1, images.stacked.shape[1] - 1)
    found = []
    for first in range(0, len(images), _BATCH):
        colours = torch.from_numpy(images.stacked[first : first + _BATCH, [below, middle, above]])
        with torch.inference_mode():
            found.append(network((restored(colours).clamp_max(1) - mean) / deviation))
    return torch.cat(found).numpy()


def without_answer(network: nn.Module) -> nn.Module:
    """torchvision's VGG or ResNet without its last layer."""
    if hasattr(network, "fc"):
        network.fc = nn.Identity()
    else:
        assert isinstance(network.classifier, nn.Sequential)
        network.classifier = network.classifier[:-2]  # and without the dropout before it
    return network
