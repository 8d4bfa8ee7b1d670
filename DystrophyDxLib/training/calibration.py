"""What a trained network still needs to be a model: temperature, threshold, reference of heat, what it has seen, and
figures of how good it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from torch import nn

from ..models.cam_network import CamNetwork
from ..models.decision import Binary, Decision, Ranked
from ..models.package import BALANCED_ACCURACY, Metric
from ..statistics.confusion import Confusion
from ..statistics.estimate import Estimate
from ..statistics.ranked import balanced_accuracy, mean_auc, probability_columns, published_figures
from ..statistics.roc import auc
from .distributed import Processes
from .fit import Examples, predicted

MARGIN = 1.25
"""Distance of what still counts as seen, relative to that of the farthest validation series."""


@dataclass(frozen=True)
class Scores:
    """What a network says of N images, and the truth.

    Attributes:
        decision: how its logits become probabilities.
        truth: (N,) index of the class.
        patient: (N,) identifier of the patient of each image.
        series: (N,) number of the series of each image.
        logits: (N, outputs).
        peaks: as `logits`, highest class activation.
        features: (N, C) pooled features.
    """

    decision: Decision
    truth: np.ndarray
    patient: np.ndarray
    series: np.ndarray
    logits: np.ndarray
    peaks: np.ndarray
    features: np.ndarray

    @classmethod
    def of(
        cls,
        network: CamNetwork,
        decision: Decision,
        examples: Examples,
        patient: np.ndarray,
        series: np.ndarray,
        processes: Processes,
    ) -> Scores:
        """Runs the network over all examples as they are."""
        columns = predicted(_ScoreColumns(network), examples, processes).numpy().astype(np.float64)
        truth = examples.labels.numpy().astype(np.int64)
        logits, peaks, features = np.split(columns, [network.outputs, 2 * network.outputs], axis=1)
        return cls(decision, truth, patient, series, logits, peaks, features)

    def by_patient(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """Truth (P,) and probabilities (P, K), the means over the images, of each patient."""
        _, first, patient = np.unique(self.patient, return_index=True, return_inverse=True)
        images = self.decision.probabilities(self.logits, temperature)
        sums = np.stack([np.bincount(patient, of_class) for of_class in images.T], axis=1)
        return self.truth[first], sums / np.bincount(patient)[:, None]


class _ScoreColumns(nn.Module):
    """Logits, highest class activations and pooled features side by side, (N, 2 * outputs + C)."""

    def __init__(self, network: CamNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        output = self.network(samples)
        return torch.cat([output.logits.float(), output.maps.float().flatten(2).amax(dim=2), output.features], dim=1)


@dataclass(frozen=True)
class FeatureSpread:
    """How the features of the images that a network was trained on are spread, and how far from that is too far.

    Distance is Mahalanobis' on pooled features (Lee et al., NeurIPS 2018, section 2.1, with one Gaussian for all
    classes, since what is asked is whether an image is like any that was seen), covariance shrunk as by Ledoit and Wolf
    (J Multivar Anal 2004;88:365). A series is as far as the median of its images.

    On ten kinds of corrupted phantom images against intact ones (the demonstration model's features, 376 images) its
    mean AUC was 0.96; that of the relative distance (Ren et al. 2021, arXiv:2106.09022) 0.95, of the same distance on
    features of unit length 0.84, of the distance to the tenth nearest neighbour (Sun et al., ICML 2022) 0.79.

    Attributes:
        mean: (C,).
        precision: (C, C) inverse covariance.
        largest: distance up to which a series is like those that were seen.
    """

    mean: np.ndarray
    precision: np.ndarray
    largest: float

    @classmethod
    def of(cls, training: Scores, validation: Scores) -> FeatureSpread:
        """Spread of the training images; `MARGIN` times the farthest of 99 % of the validation series is allowed."""
        fitted = LedoitWolf().fit(training.features)
        spread = cls(fitted.location_, fitted.precision_, 0.0)
        distances = spread.distances(validation.features)
        of_series = [np.median(distances[validation.series == n]) for n in np.unique(validation.series)]
        return cls(spread.mean, spread.precision, float(MARGIN * np.quantile(of_series, 0.99)))

    def distances(self, features: np.ndarray) -> np.ndarray:
        """(N,) of features (N, C)."""
        offset = features - self.mean
        return np.sqrt(np.einsum("nc,nc->n", offset @ self.precision, offset).clip(0))

    def tensors(self) -> dict[str, torch.Tensor]:
        """As a model package keeps them."""
        return {
            f"features.{name}": torch.tensor(value, dtype=torch.float32)
            for name, value in (("mean", self.mean), ("precision", self.precision))
        }


def temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """What logits are divided by for the least cross-entropy (Guo et al., ICML 2017, section 4.2); within a factor of
    10, since a validation set that is told apart without error would ask for 0.

    Args:
        logits: (N, K) of all classes, see `Decision.all_logits`.
        truth: (N,) index of the class.
    """
    own = np.take_along_axis(logits, truth[:, None], axis=1)[:, 0]

    def cross_entropy(log_temperature: float) -> float:
        scale = np.exp(log_temperature)
        return float(np.mean(logsumexp(logits / scale, axis=1) - own / scale))

    limit = np.log(10)
    return float(np.exp(minimize_scalar(cross_entropy, bounds=(-limit, limit), method="bounded").x))


def typical_heat(scores: Scores) -> float:
    """Highest class activation of a typical image for its own class, of the images whose class has a map."""
    shown = scores.decision.has_map(scores.truth)
    own = [
        scores.decision.evidence(peaks, label)
        for peaks, label in zip(scores.peaks[shown], scores.truth[shown].tolist(), strict=True)
    ]
    return max(float(np.median(own)), 1e-6)


def figures(decision: Decision, scores: Scores, temperature: float, seed: int) -> dict[str, Estimate]:
    """How good the answers to `scores` are, by name of the figure."""
    return _FIGURES[type(decision)](decision, scores, temperature, seed)


def _figures_of_two(decision: Binary, scores: Scores, temperature: float, _: int) -> dict[str, Estimate]:
    """AUC by patient, and by image where a patient has several, sensitivity and specificity by patient. The intervals
    know which images belong to one patient (`statistics.roc.auc`; Wilson's for the proportions of patients)."""
    truth, probabilities = scores.by_patient(temperature)
    probability = probabilities[:, 1]
    decisions = Confusion.from_decisions(truth == 1, decision.said(probabilities) == 1)
    several = len(scores.truth) > len(truth)
    return {
        "AUC, case": auc(truth, probability),
        **({"AUC, image": auc(scores.truth, scores.logits[:, 0], scores.patient)} if several else {}),
        "sensitivity, case": decisions.sensitivity,
        "specificity, case": decisions.specificity,
    }


def _figures_of_more(decision: Ranked, scores: Scores, temperature: float, seed: int) -> dict[str, Estimate]:
    """Accuracy at each of `ranked.depths`, balanced accuracy, and mean AUC of each class against the rest, by
    patient."""
    truth, probabilities = scores.by_patient(temperature)
    classes = decision.classes
    rows = pd.DataFrame(probabilities, columns=probability_columns(classes))
    rows = rows.assign(truth=truth, patient_id=np.arange(len(truth)))
    found = {f"{name}, case": figure for name, figure in published_figures(rows, classes).items()}
    balanced = balanced_accuracy(rows, classes, seed)
    return {**found, f"{BALANCED_ACCURACY}, case": balanced, "AUC, case": mean_auc(rows, classes, seed)}


_FIGURES: dict[type[Decision], Callable[[Any, Scores, float, int], dict[str, Estimate]]] = {
    Binary: _figures_of_two,
    Ranked: _figures_of_more,
}


def as_metrics(figures: dict[str, Estimate], measured_on: str) -> dict[str, Metric]:
    """Figures as a model card holds them; those that cannot be measured are left out."""
    return {
        name: Metric(
            value=round(figure.value, 3), ci95=(round(figure.low, 3), round(figure.high, 3)), measured_on=measured_on
        )
        for name, figure in figures.items()
        if np.isfinite(figure.value)
    }
