"""What the answers of a network are held against in training: classes, or maps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional

from ..models.decision import Decision
from ..models.training_recipe import TrainingRecipe
from ..muscles.structures import STRUCTURES
from ..statistics.bootstrap import Statistic, draws, percentiles
from ..statistics.estimate import Estimate
from .distributed import Processes
from .fit import EVALUATION_BATCH, Examples, fast_precision, placed, predicted


def class_weights(labels: torch.Tensor, recipe: TrainingRecipe) -> tuple[float, ...]:
    """What an image of each class counts; over all images the mean is 1.

    Args:
        labels: (N,) index of the class, every class at least once.
    """
    counts = torch.bincount(labels.long()).double()
    if recipe.class_weights == "none":
        return (1.0,) * len(counts)
    return tuple((len(labels) / (len(counts) * counts)).tolist())


@dataclass(frozen=True)
class ClassObjective:
    """Weighted cross-entropy of classes, and their AUC.

    Attributes:
        decision: what the logits mean.
        weights: what an image of each class counts.
    """

    score: ClassVar[str] = "AUC"
    decision: Decision
    weights: tuple[float, ...] = ()

    def fitted_to(self, training: Examples, recipe: TrainingRecipe) -> ClassObjective:
        """The same with the weights of the training images."""
        return replace(self, weights=class_weights(training.labels, recipe))

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(N,) weighted cross-entropy of logits (N, outputs) and labels (N,)."""
        labels = labels.to(outputs.device)
        weights = torch.tensor(self.weights, device=outputs.device)
        return self.decision.losses(outputs, labels) * weights[labels.long()]

    def validated(self, model: nn.Module, examples: Examples, processes: Processes) -> tuple[float, float]:
        """Mean loss over the examples, and the mean AUC of each class that has a map against the rest."""
        logits = predicted(model, examples, processes)
        loss = self.losses(logits, examples.labels).mean().item()
        truth, of_classes = examples.labels.numpy(), self.decision.probabilities(logits.numpy(), 1.0).T
        shown = self.decision.has_map(np.arange(len(of_classes)))
        areas = [roc_auc_score(truth == k, of_class) for k, of_class in enumerate(of_classes) if shown[k]]
        return loss, float(np.mean(areas))


@dataclass(frozen=True)
class MapObjective:
    """Cross-entropy and Dice of maps (Isensee et al., Nat Methods 2021;18:203, give both equal weight), and the mean
    Dice of the labels that are there.

    Attributes:
        known: (labels,) bool, which labels somebody drew; the others may be anything, so that their probability counts
            as that of label 0 (Fang and Yan, IEEE TMI 2020;39:3619, marginal loss).
    """

    score: ClassVar[str] = "Dice"
    UNSURE: ClassVar[int] = 255
    """Label of the pixels of a mirrored leg, of which every label is to be alike likely: so the map tells the side."""
    known: torch.Tensor

    def fitted_to(self, training: Examples, recipe: TrainingRecipe) -> MapObjective:
        """The same: maps need no weights."""
        return self

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(N,) losses of logits (N, labels, size, size) and labels (N, size, size)."""
        unsure = labels.to(outputs.device) == self.UNSURE
        logits, truth = self._marginal(outputs), labels.to(outputs.device).long().masked_fill(unsure, 0)
        entropy = functional.cross_entropy(logits, truth, reduction="none").mean(dim=(1, 2))
        probabilities = logits.softmax(dim=1)
        counts = functional.one_hot(truth.flatten(1), outputs.shape[1]).sum(dim=1)
        right = probabilities.gather(1, truth[:, None])[:, 0]
        shared = torch.zeros_like(counts, dtype=right.dtype).scatter_add(1, truth.flatten(1), right.flatten(1))
        dice = (2 * shared + 1) / (probabilities.sum(dim=(2, 3)) + counts + 1)
        of_maps = entropy + 1 - dice[:, self.known][:, 1:].mean(dim=1)
        even = -outputs.log_softmax(dim=1).mean(dim=1) * unsure
        return torch.where(unsure.any(dim=(1, 2)), even.sum(dim=(1, 2)) / unsure.sum(dim=(1, 2)).clamp_min(1), of_maps)

    def validated(self, model: nn.Module, examples: Examples, processes: Processes) -> tuple[float, float]:
        """Mean loss over the examples, and the mean Dice over all of them of the labels that somebody drew."""
        model.eval()
        mine = processes.share(torch.arange(len(examples.labels)))
        found = []
        for chosen in mine.split(EVALUATION_BATCH):
            samples, truth = examples.plain_with_truth(chosen)
            with torch.inference_mode(), fast_precision(processes.device):
                outputs = model(placed(samples, processes.device)).float()
            losses = self.losses(outputs, truth)
            counts = overlap_counts(self._marginal(outputs).argmax(dim=1).cpu(), truth, outputs.shape[1])
            found.append(torch.cat([losses.cpu()[:, None].double(), counts.flatten(1).double()], dim=1))
        rows = processes.gathered(torch.cat(found).to(processes.device), len(examples.labels)).cpu()
        dice = dice_of(rows[:, 1:].sum(dim=0).reshape(3, -1))[self.known][1:]
        return float(rows[:, 0].mean()), float(dice.nanmean())

    def _marginal(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits in which labels that nobody drew are part of label 0."""
        if self.known.all():
            return logits
        others = torch.cat([logits[:, :1], logits[:, ~self.known]], dim=1).logsumexp(dim=1, keepdim=True)
        kept = torch.where(self.known.to(logits.device)[:, None, None], logits, logits.new_tensor(-30.0))
        return torch.cat([others, kept[:, 1:]], dim=1)


def overlap_counts(found: torch.Tensor, truth: torch.Tensor, labels: int) -> torch.Tensor:
    """(N, 3, labels) pixels of each label in both, in what was found, and in the truth, of maps (N, size, size)."""
    counts = [
        torch.bincount(values.flatten().long(), minlength=labels)
        for own, true in zip(found, truth, strict=True)
        for values in (own[own == true], own, true)
    ]
    return torch.stack(counts).reshape(-1, 3, labels)


def dice_of(counts: torch.Tensor) -> torch.Tensor:
    """(labels,) Dice (2·|A∩B| / (|A|+|B|)) of (3, labels) sums of `overlap_counts`; NaN of a label that is nowhere."""
    both, found, truth = counts.double()
    return 2 * both / (found + truth)


def dice_estimates(counts: np.ndarray, patient: np.ndarray, known: np.ndarray, seed: int) -> dict[str, Estimate]:
    """Dice of structures over all images and the mean of these, with 95 % intervals over patients.

    Args:
        counts: (N, 3, labels) of `overlap_counts`.
        patient: (N,) of each image.
        known: (labels,) bool, labels that somebody drew.
        seed: of the bootstrap.

    Returns:
        By "Dice, mean" and "Dice, sartorius" and so on; only of structures that are there.
    """
    there = [label for label in range(1, len(known)) if known[label] and counts[:, 1:, label].any()]

    def dice(labels: list[int]) -> Statistic:
        def statistic(_table: pd.DataFrame, drawn: np.ndarray) -> np.ndarray:
            both, found, truth = (drawn @ counts[:, kind][:, labels] for kind in range(3))
            with np.errstate(invalid="ignore"):  # a draw without the muscle
                return np.nanmean(2 * both / (found + truth), axis=1)

        return statistic

    rows = pd.DataFrame({"patient_id": patient, "truth": 0})
    names = {"Dice, mean": there} | {f"Dice, {STRUCTURES[label - 1]}": [label] for label in there}
    statistics = [dice(labels) for labels in names.values()]
    values = [np.stack([one(rows, drawn) for one in statistics], axis=1) for drawn in draws(rows, seed=seed)]
    low, high = percentiles(np.concatenate(values))
    whole = [float(one(rows, np.ones((1, len(rows))))[0]) for one in statistics]
    return {name: Estimate(whole[n], float(low[n]), float(high[n])) for n, name in enumerate(names)}
