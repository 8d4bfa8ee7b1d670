"""How much faster deletion and insertion are than one alteration after the other by the network in full precision.

Run as `python Testing/Benchmarks/benchmark_faithfulness.py [PACKAGE]`; the default is the embedded model. Both ways
take the same images in turn, so that a drifting machine does not matter.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from DystrophyDxLib.evaluation.faithfulness import deletion_insertion
from DystrophyDxLib.files.resources import embedded_model, sample_study
from DystrophyDxLib.models.cam_network import CamNetwork, build_network
from DystrophyDxLib.models.inference import InferenceNetwork
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.samples.slice_samples import make_samples
from DystrophyDxLib.series.reading import read_study

IMAGES = 4


def main() -> None:
    package = ModelPackage.read(Path(sys.argv[1]) if len(sys.argv) > 1 else embedded_model())
    used, exact = InferenceNetwork(package, "cpu"), full_precision(package)
    size = package.recipe.sample.size
    series = read_study(sample_study())
    pixels = make_samples(series, find_legs(series).windows[:IMAGES], size).pixels
    heat = used.cells.at(np.random.default_rng(0).random((2, 7, 7), np.float32), np.arange(size), np.arange(size))

    def batched(samples: torch.Tensor) -> NDArray[np.float64]:
        return sigmoid(used.output(samples).logits)

    def one_by_one(samples: torch.Tensor) -> NDArray[np.float64]:
        with torch.inference_mode():
            return np.concatenate([sigmoid(exact(sample[None]).logits) for sample in samples])

    ratios, shift = [], 0.0
    for sample in (pixels[0], *pixels):  # the first warms up
        curves, seconds = [], []
        for probability in (one_by_one, batched):
            began = time.perf_counter()
            curves.append(deletion_insertion(probability, sample, heat))
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
        shift = max(shift, float(np.abs(curves[0].mean(axis=2) - curves[1].mean(axis=2)).max()))
    print(f"{package.recipe.network.backbone}, {used.precision}, {IMAGES} images of {size} x {size}")
    print(f"one by one in full precision / as evaluate does: {statistics.median(ratios[1:]):.1f}")
    print(f"largest difference of a mean over a curve: {shift:.4f}")


def full_precision(package: ModelPackage) -> CamNetwork:
    """The network as it was trained."""
    network = build_network(package.recipe).eval()
    network.load_state_dict({name: t for name, t in package.tensors().items() if not name.startswith("features.")})
    return network


def sigmoid(logits: torch.Tensor) -> NDArray[np.float64]:
    """(N,) probabilities of (N, 1) logits."""
    return logits[:, 0].double().sigmoid().numpy()


if __name__ == "__main__":
    main()
