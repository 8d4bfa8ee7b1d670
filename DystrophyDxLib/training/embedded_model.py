"""Makes the model that ships with the extension, from phantoms alone.

Run as `python -m DystrophyDxLib.training.embedded_model --out FOLDER`.
The same seed gives the same phantoms, samples and order of training.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score, roc_curve

from .. import __version__
from ..model_package import Metric, ModelCard, write_package
from ..networks import CamNetwork, build_network
from ..phantom import make_phantom
from ..quality import judge_images, thigh_images
from ..recipe import Recipe
from ..roi import find_legs
from ..samples import make_samples
from .fit import Stage, fit, restored, stored

SIZE = 224
STAGES = (Stage(112, 10, 1.5e-3), Stage(224, 2, 4e-4))
BATCH = 64
PHANTOM = "synthetic T1-weighted thigh images (phantom) only, no patients"


class Samples:
    """Samples of many phantoms.

    Attributes:
        pixels: (N, 1, SIZE, SIZE) uint8.
        labels: (N,) float32, 1 for dystrophinopathy.
        case: (N,) number of the phantom each came from.
        diagnoses: of the phantoms.
    """

    def __init__(self, first_seed: int, count: int, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        with context.Pool(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            made = pool.map(_samples_of_phantom, range(first_seed, first_seed + count), chunksize=4)
        self.diagnoses = [diagnosis for _, _, diagnosis in made]
        self.pixels = torch.from_numpy(np.concatenate([pixels for pixels, _, _ in made]))
        self.case = np.repeat(np.arange(count), [len(pixels) for pixels, _, _ in made])
        self.labels = torch.tensor([label for _, label, _ in made], dtype=torch.float32)[self.case]


def _samples_of_phantom(seed: int) -> tuple[np.ndarray, bool, str]:
    phantom = make_phantom(seed)
    regions = find_legs(phantom.series)
    batch = make_samples(phantom.series, regions.windows, SIZE)
    shown = thigh_images(regions.windows, judge_images(phantom.series, batch))
    pixels = stored(batch.pixels[torch.tensor(shown, dtype=torch.bool)]).numpy()
    return pixels, phantom.is_dystrophinopathy, phantom.diagnosis


def scores(network: CamNetwork, pixels: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (N,), highest class activation of each map (N,) and pooled features (N, C)."""
    logits, peaks, features = [], [], []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for part in pixels.split(BATCH):
            output = network(restored(part).contiguous(memory_format=torch.channels_last))
            logits.append(output.logits[:, 0].float())
            peaks.append(output.maps[:, 0].float().flatten(1).amax(dim=1))
            features.append(output.features.float())
    return tuple(torch.cat(parts).numpy() for parts in (logits, peaks, features))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the package, must not exist")
    parser.add_argument("--seed", type=int, default=2021)
    parser.add_argument("--cases", type=int, default=1800, help="phantoms to train on")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    first = options.seed * 100_000
    held_out = max(40, options.cases // 8)
    parts = []
    for count in (options.cases, held_out, held_out):
        parts.append(Samples(first, count, options.processes))
        first += count
        print(f"{count} phantoms, {len(parts[-1].pixels)} images", flush=True)
    training, validation, test = parts

    recipe_toml = embedded_recipe()
    network = build_network(Recipe.parse(recipe_toml))
    fit(network, training.pixels, training.labels, STAGES, batch=BATCH, seed=options.seed, report=_print)
    card, statistics = calibrated(network, training, validation, test, options.seed)
    write_package(options.out, recipe_toml, card, dict(network.state_dict()) | statistics, half=True)
    print(card.model_dump_json(indent=1, include={"metrics", "threshold", "temperature", "largest_distance"}))


def embedded_recipe() -> str:
    """recipe.toml of the embedded model."""
    return (Path(__file__).parents[1] / "recipes" / "embedded.toml").read_text(encoding="utf-8")


def calibrated(
    network: CamNetwork, training: Samples, validation: Samples, test: Samples, seed: int
) -> tuple[ModelCard, dict[str, torch.Tensor]]:
    """The card, with constants from the validation phantoms and figures of the test phantoms; and the feature
    statistics of the training phantoms."""
    logits, peaks, features = scores(network, validation.pixels)
    truth = validation.labels.numpy()
    temperature = _temperature(logits, truth)
    case_truth, case_probability = _by_case(validation, logits / temperature)
    false_positive, true_positive, thresholds = roc_curve(case_truth, case_probability)
    threshold = float(np.clip(thresholds[np.argmax(true_positive - false_positive)], 0.05, 0.95))
    spread = LedoitWolf().fit(scores(network, training.pixels)[2].astype(np.float64))
    offset = features - spread.location_
    distance = np.sqrt(np.einsum("nc,cd,nd->n", offset, spread.precision_, offset))
    card = ModelCard(
        name="DystrophyDx demonstration",
        version=__version__,
        classes=("other", "dystrophinopathy"),
        demonstration=True,
        trained_on=PHANTOM,
        intended_use="Demonstration and testing of the software only, not for diagnosis.",
        licence="Apache-2.0",
        training_cohort={
            "phantoms": len(training.diagnoses),
            "images": len(training.pixels),
            "diagnoses": dict(sorted(Counter(training.diagnoses).items())),
            "seed": seed,
        },
        metrics=_metrics(test, scores(network, test.pixels)[0] / temperature, threshold, seed),
        threshold=round(threshold, 3),
        temperature=temperature,
        heat_reference=float(np.median(peaks[truth == 1])),
        largest_distance=float(1.25 * np.quantile(distance, 0.995)),
    )
    statistics = {
        "features.mean": torch.tensor(spread.location_, dtype=torch.float32),
        "features.precision": torch.tensor(spread.precision_, dtype=torch.float32),
    }
    return card, statistics


def _temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Temperature of least cross-entropy (Guo et al., ICML 2017)."""

    def cross_entropy(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, scaled) - truth * scaled))

    return float(np.exp(minimize_scalar(cross_entropy, bounds=(-2, 2), method="bounded").x))


def _by_case(samples: Samples, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and mean probability of each phantom that has images."""
    _, first, group = np.unique(samples.case, return_index=True, return_inverse=True)
    probability = np.bincount(group, 1 / (1 + np.exp(-logits))) / np.bincount(group)
    return samples.labels.numpy()[first], probability


def _metrics(test: Samples, logits: np.ndarray, threshold: float, seed: int) -> dict[str, Metric]:
    """Figures on the test phantoms, intervals by bootstrap over phantoms."""
    truth, probability = _by_case(test, logits)
    images_of = [np.flatnonzero(test.case == case) for case in np.unique(test.case)]
    image_truth = test.labels.numpy()

    def figures(cases: np.ndarray) -> dict[str, float]:
        images = np.concatenate([images_of[case] for case in cases])
        called = probability[cases] >= threshold
        return {
            "AUC, case": roc_auc_score(truth[cases], probability[cases]),
            "AUC, image": roc_auc_score(image_truth[images], logits[images]),
            "sensitivity, case": called[truth[cases] == 1].mean(),
            "specificity, case": 1 - called[truth[cases] == 0].mean(),
        }

    everyone = np.arange(len(truth))
    values = figures(everyone)
    generator = np.random.default_rng(seed)
    drawn = [figures(generator.choice(everyone, len(everyone))) for _ in range(500)]
    measured_on = f"{len(truth)} synthetic phantoms that training did not see"
    return {
        name: Metric(
            value=round(float(value), 3),
            ci95=tuple(np.percentile([figure[name] for figure in drawn], [2.5, 97.5]).round(3).tolist()),
            measured_on=measured_on,
        )
        for name, value in values.items()
    }


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
