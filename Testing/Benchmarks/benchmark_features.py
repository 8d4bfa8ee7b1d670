"""How much faster an epoch is with kept features than with the backbone run again.

Run as `python Testing/Benchmarks/benchmark_features.py [BACKBONE]`; the default is the backbone of yang2021.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from DystrophyDxLib.models.cam_network import CamNetwork, build_network, trainable_parameters
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.training.distributed import Processes
from DystrophyDxLib.training.features import FeatureExamples, FeatureStore
from DystrophyDxLib.training.fit import ExamplesOfStage, Logits, SampleExamples, fit
from DystrophyDxLib.training.objectives import ClassObjective

IMAGES = 128
VALIDATION = 32


def main() -> None:
    recipe = Recipe.named("yang2021")
    if len(sys.argv) > 1:
        recipe = recipe.model_copy(update={"network": recipe.network.model_copy(update={"backbone": sys.argv[1]})})
    rng = np.random.default_rng(0)
    size = recipe.sample.size
    pixels = rng.integers(0, 255, (IMAGES + VALIDATION, 1, size, size), dtype=np.uint8)
    rows = np.arange(IMAGES), np.arange(IMAGES, IMAGES + VALIDATION)
    labels = torch.arange(IMAGES + VALIDATION) % 2.0
    network = build_network(recipe).eval()
    trainable_parameters(network, recipe)
    again = tuple(SampleExamples(pixels, part, labels[torch.from_numpy(part)], size) for part in rows)
    backbone = seconds_an_epoch(Logits(network), lambda stage: again, recipe, epochs=1)
    kept, once = kept_features(network, recipe, pixels)
    examples = tuple(FeatureExamples(kept, part, labels[torch.from_numpy(part)]) for part in rows)
    head = seconds_an_epoch(network.head, lambda stage: examples, recipe, epochs=30)
    print(f"{recipe.network.backbone}, {IMAGES} training and {VALIDATION} validation images of {size} x {size}")
    print(f"epoch that runs the backbone: {backbone:.2f} s")
    print(f"features of all images, once: {once:.2f} s (each augmented copy as long again)")
    print(f"epoch with kept features:     {head * 1000:.1f} ms, {backbone / head:.0f} times faster")


def seconds_an_epoch(model: nn.Module, examples: ExamplesOfStage, recipe: Recipe, *, epochs: int) -> float:
    """Median time of an epoch, validation with it."""
    stage = recipe.training.stages[0].model_copy(update={"epochs": epochs})
    with tempfile.TemporaryDirectory() as folder:
        history = fit(
            model,
            examples,
            recipe.training.model_copy(update={"stages": (stage,)}),
            objective=ClassObjective(recipe.decision),
            seed=0,
            folder=Path(folder),
            identity="benchmark",
            resume=False,
            processes=Processes(),
            advance=lambda what, done, total: None,
        )
    return float(np.median([epoch.seconds for epoch in history]))


def kept_features(network: CamNetwork, recipe: Recipe, pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Features of all images as they are, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        store = FeatureStore(
            network,
            pixels,
            ("benchmark",),
            size=recipe.sample.size,
            copies=0,
            seed=0,
            folder=Path(folder),
            processes=Processes(),
        )
        store.compute(np.ones_like(store.known), lambda what, done, total: None)
        return np.array(store.features), time.perf_counter() - started


if __name__ == "__main__":
    main()
