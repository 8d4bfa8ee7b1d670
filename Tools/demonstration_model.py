"""Makes the demonstration model: draws phantoms, fits a network to samples of them, and writes the package.

PYTHONPATH=. .venv/bin/python Tools/demonstration_model.py OUT --start Resources/EmbeddedModel

Beside the diagnosis, the network is taught what only phantoms know: which disease it is, which muscle lies in each cell
of its finest map and how much fat is in it, and that the evidence for a dystrophinopathy should lie in muscle that is
diseased. These lessons shape the maps. The package holds the network alone, whose score stays the mean of its map.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from DystrophyDxLib import __version__
from DystrophyDxLib.models.cam_network import CamNetwork, build_network
from DystrophyDxLib.models.cells import CellGrid
from DystrophyDxLib.models.package import ModelCard, ModelPackage, write_package
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.models.training_recipe import StageRecipe
from DystrophyDxLib.muscles.structures import MUSCLES, STRUCTURES
from DystrophyDxLib.phantom.cohort import CENTRES, Patient, drawn_patients, like_yang2021
from DystrophyDxLib.phantom.disease import DIAGNOSES
from DystrophyDxLib.phantom.persons import person_keys, seed_of
from DystrophyDxLib.phantom.thigh import make_phantom
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.samples.label_samples import make_label_samples
from DystrophyDxLib.samples.placement import resampling_weights
from DystrophyDxLib.samples.slice_samples import GRID, LegBatch, make_samples
from DystrophyDxLib.series.plane_orientation import PlaneOrientation
from DystrophyDxLib.series.series import Geometry
from DystrophyDxLib.training.calibration import FeatureSpread, Scores, as_metrics, figures, temperature, typical_heat
from DystrophyDxLib.training.distributed import Processes
from DystrophyDxLib.training.fit import LARGEST_GRADIENT, SampleExamples, fast_precision, placed
from DystrophyDxLib.training.sample_store import restored, stored
from DystrophyDxLib.training.wide_augment import widely_augmented_with

RECIPE = "embedded"
SEED = 2021
COHORTS = {
    "train": (1801, "demonstration training"),
    "validation": (1802, "demonstration validation"),
    "test": (2021, ""),
}
"""Seed and purpose of the persons of each part, who are therefore different ones; those of the test are the documented
cohort's."""
PLANNED = 3200
"""Phantoms of which the first are trained on."""
DISEASED = 0.2
"""Fat fraction from which muscle counts as diseased, as in `evaluation.localisation`."""
LESSONS = {"disease": 0.2, "structures": 0.3, "fat": 0.3, "heat": 0.1}
"""What each lesson counts beside the diagnosis."""
AVERAGED = 0.998
"""Share of the earlier weights in the moving average that becomes the model."""
DECAY_FROM = 0.7
"""Share of the steps after which the learning rate falls, as a half cosine, to nothing."""


@dataclass(frozen=True)
class Legs:
    """N samples of phantoms, and what is known of them.

    Attributes:
        pixels: (N, 1, size, size) uint8, as `stored`.
        planes: (N, structures + 2, GRID, GRID) uint8, 255 is 1: the share of each pixel that is none of `STRUCTURES`,
            that is each of these, and the fat in it that lies in muscle.
        disease: (N,) index in `DIAGNOSES`.
        label: (N,) float32, 1 of a dystrophinopathy.
        patient: (N,) number of the phantom.
    """

    pixels: np.ndarray
    planes: np.ndarray
    disease: np.ndarray
    label: np.ndarray
    patient: np.ndarray

    @classmethod
    def drawn(cls, plans: Sequence[Patient], keys: Sequence[str], size: int) -> Legs:
        """Of phantoms as planned, each the person of its key."""
        pixels, planes, facts = [], [], []
        for number, (plan, key) in enumerate(zip(plans, keys, strict=True)):
            phantom = make_phantom(seed_of(key), plan.diagnosis, plan.slices, site=CENTRES[plan.centre], legs=plan.legs)
            geometry, windows = phantom.series.geometry, find_legs(phantom.series).windows
            if not windows:
                continue
            batch = make_samples(phantom.series, windows, size)
            labels = make_label_samples(geometry, phantom.structures, batch)
            shares = [_on_grid((labels == label).astype(np.float32)) for label in range(len(STRUCTURES) + 1)]
            shares.append(_on_grid(_means(geometry, phantom.fat_fraction, batch)))
            pixels.append(stored(batch.pixels).numpy())
            planes.append((np.stack(shares, axis=1) * 255).round().astype(np.uint8))
            known = DIAGNOSES.index(phantom.diagnosis), float(phantom.is_dystrophinopathy), number
            facts += [known] * len(windows)
        disease, label, patient = (np.array(column) for column in zip(*facts, strict=True))
        return cls(np.concatenate(pixels), np.concatenate(planes), disease, label.astype(np.float32), patient)

    def examples(self, size: int) -> SampleExamples:
        return SampleExamples(self.pixels, np.arange(len(self.label)), torch.from_numpy(self.label), size)


class Pupil(nn.Module):
    """A network with what its lessons ask of it: for N samples the logits, the activation maps, logits of diseases, and
    of each cell of the finest maps those of structures and of the fat fraction.
    """

    def __init__(self, network: CamNetwork, finest: int) -> None:
        super().__init__()
        self.network = network
        self.disease = nn.Linear(network.feature_count, len(DIAGNOSES))
        self.cells = nn.Conv2d(finest, len(STRUCTURES) + 2, 1)

    def forward(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        taken: list[torch.Tensor] = []
        last = list(self.network.parts()[0].children())[-1]
        hook = last.register_forward_hook(lambda *made: taken.append(made[-1]))
        output = self.network(samples)
        hook.remove()
        return output.logits, output.maps, self.disease(output.features), self.cells(taken[0])


def losses(
    answers: tuple[torch.Tensor, ...],
    planes: torch.Tensor,
    shown: torch.Tensor,
    known: torch.Tensor,
    on_grid: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """The loss of the diagnosis and of each of `LESSONS`, of N samples.

    Args:
        answers: of a `Pupil`.
        planes, shown: see `Legs` and `widely_augmented_with`, from 0 to 1.
        known: (N, 2) label and disease.
        on_grid: (GRID, cells) weights that draw the finest cells on the grid along one axis.
    """
    logits, maps, diseases, cells = (answer.float() for answer in answers)
    label, disease = known[:, 0], known[:, 1].long()
    pooling = (on_grid / on_grid.sum(dim=0)).T
    seen = planes * shown[:, None]
    shares = pooling @ seen @ pooling.T
    structures, fat = shares[:, :-1], shares[:, -1]
    muscle = structures[:, 1 : len(MUSCLES) + 1].sum(dim=1)
    fraction = (fat / muscle.clamp_min(1e-3)).clamp(0, 1)
    of_fat = functional.binary_cross_entropy_with_logits(cells[:, -1], fraction, reduction="none")
    muscles = planes[:, 1 : len(MUSCLES) + 1].sum(dim=1)
    diseased = ((muscles > 0.5) & (planes[:, -1] > DISEASED * muscles)) * shown
    heat = functional.relu(on_grid @ maps[:, 0] @ on_grid.T) * (shown > 0.5)
    total = heat.sum(dim=(1, 2))
    judged = (label > 0.5) & (diseased.sum(dim=(1, 2)) > 30) & (total > 1e-3)
    outside = -((heat * diseased).sum(dim=(1, 2))[judged] / total[judged]).clamp_min(1e-3).log()
    return {
        "diagnosis": functional.binary_cross_entropy_with_logits(logits[:, 0], label * 0.98 + 0.01),
        "disease": functional.cross_entropy(diseases, disease),
        "structures": -(structures * cells[:, :-1].log_softmax(dim=1)).sum(dim=1).mean(),
        "fat": (of_fat * muscle).sum() / muscle.sum().clamp_min(1e-3),
        "heat": outside.mean() if judged.any() else logits.new_zeros(()),
    }


def fit(network: CamNetwork, legs: Legs, recipe: Recipe, steps: int, checkpoint: Path) -> None:
    """Fits the network in place; it becomes the moving average of its weights. A checkpoint is gone on with."""
    size, rate, batch = recipe.sample.size, recipe.training.stages[0].learning_rate, recipe.training.batch
    cells = network.eval()(torch.zeros(1, 1, size, size)).maps.shape[-1]
    centres = (np.arange(GRID) + 0.5) * (size / GRID) - 0.5
    on_grid = torch.from_numpy(CellGrid.of(network.finest()).weights(centres, cells))
    finest = network.parts()[0](torch.zeros(1, 1, size, size)).shape[1]
    pupil = Pupil(network, finest).to(memory_format=torch.channels_last)
    average = copy.deepcopy(pupil)
    optimiser = torch.optim.AdamW(pupil.parameters(), rate, weight_decay=recipe.training.weight_decay)
    first = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        first = saved["step"]
        for part, state in ((pupil, "pupil"), (average, "average"), (optimiser, "optimiser")):
            part.load_state_dict(saved[state])
    known = torch.from_numpy(np.stack([legs.label, legs.disease], axis=1)).float()
    for step in range(first, steps):
        rng = np.random.default_rng([SEED, step])
        chosen = np.sort(rng.integers(len(legs.label), size=batch))
        seeds = rng.integers(1 << 62, size=batch).tolist()
        planes = torch.from_numpy(legs.planes[chosen]).float() / 255
        samples, planes, shown = widely_augmented_with(
            restored(torch.from_numpy(legs.pixels[chosen])), planes, size, seeds
        )
        late = max(0.0, (step / steps - DECAY_FROM) / (1 - DECAY_FROM))
        optimiser.param_groups[0]["lr"] = rate * min(1, (step + 1) / 100) * (1 + math.cos(math.pi * late)) / 2
        pupil.train()
        with fast_precision(torch.device("cpu")):
            answers = pupil(placed(samples, torch.device("cpu")))
        each = losses(answers, planes, shown, known[torch.from_numpy(chosen)], on_grid)
        loss = each["diagnosis"] + sum(share * each[name] for name, share in LESSONS.items())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(pupil.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        _average(average, pupil, min(AVERAGED, (step + 1) / (step + 20)))
        if step % 100 == 99:
            print(step + 1, {name: round(value.item(), 3) for name, value in each.items()}, flush=True)
            states = {"pupil": pupil.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save({"step": step + 1, **states}, checkpoint)
    network.load_state_dict(average.network.state_dict())
    network.eval()


def write(
    out: Path, network: CamNetwork, recipe: Recipe, parts: dict[str, Legs], seen: Sequence[str], fitted: dict[str, int]
) -> None:
    """Writes the package: temperature, threshold and heat's reference by the validation phantoms, figures of them and
    of the test phantoms.

    Args:
        parts: "train", "validation" and "test".
        seen: keys of the persons of the first two.
        fitted: what the card says of the training beside phantoms, images and diseases.
    """
    alone = Processes(torch.device("cpu"), 0, 1)
    scores = {
        name: Scores.of(network, recipe.decision, legs.examples(recipe.sample.size), legs.patient, legs.patient, alone)
        for name, legs in parts.items()
    }
    train, validation = parts["train"], scores["validation"]
    scale = temperature(recipe.decision.all_logits(validation.logits), validation.truth)
    decision = recipe.decision.tuned(*validation.by_patient(scale))
    spread = FeatureSpread.of(scores["train"], validation)
    counts = {name: (len(np.unique(legs.patient)), len(legs.label)) for name, legs in parts.items()}
    described = {name: f"{people} synthetic phantoms ({images} images)" for name, (people, images) in counts.items()}
    of_validation = figures(decision, validation, scale, SEED)
    _, first = np.unique(train.patient, return_index=True)
    card = ModelCard(
        name=f"{recipe.name}, {recipe.network.backbone} (demonstration)",
        version=__version__,
        classes=recipe.classes,
        demonstration=True,
        trained_on=f"synthetic T1-weighted thigh images of {counts['train'][0]} phantoms only, no patients",
        intended_use="Demonstration and testing of the software only, not for diagnosis.",
        licence="Apache-2.0",
        training_cohort={
            "patients": counts["train"][0],
            "images": counts["train"][1],
            "diagnoses": dict(sorted(Counter(DIAGNOSES[one] for one in train.disease[first]).items())),
            **fitted,
            "seed": SEED,
        },
        metrics=as_metrics(
            figures(decision, scores["test"], scale, SEED), f"{described['test']} that training did not see"
        )
        | as_metrics(
            {f"{name}, validation": value for name, value in of_validation.items()},
            f"{described['validation']} by whom {decision.CHOSEN_BY_VALIDATION} were chosen, so optimistic on average",
        ),
        threshold=decision.threshold,
        label_from=decision.label_from,
        temperature=scale,
        heat_reference=typical_heat(validation),
        largest_distance=spread.largest,
        seen=tuple(sorted(set(seen))),
    )
    write_package(out, further(recipe).toml(), card, dict(network.state_dict()) | spread.tensors(), half=True)


def further(recipe: Recipe) -> Recipe:
    """The recipe by which the model is trained further: small steps, and half of the weights are those before."""
    stage = StageRecipe(size=recipe.sample.size, epochs=1, learning_rate=2e-4, schedule="one_cycle")
    training = recipe.training.model_copy(update={"start_share": 0.5, "stages": (stage,)})
    return recipe.model_copy(update={"training": training})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", type=Path, help="model package whose trunk is fitted further, where layers fit")
    parser.add_argument("--patients", type=int, default=1000, help=f"of {PLANNED}")
    parser.add_argument("--validation", type=int, default=300)
    parser.add_argument("--steps", type=int, default=5000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    recipe = Recipe.named(RECIPE)
    plans, keys = {}, {}
    for name, (seed, purpose) in COHORTS.items():
        count = {"train": PLANNED, "validation": given.validation}.get(name)
        patients = drawn_patients(count, seed) if count else like_yang2021(seed)
        taken = given.patients if name == "train" else len(patients)
        persons = person_keys("thigh", seed, [patient.diagnosis for patient in patients], purpose)
        plans[name], keys[name] = patients[:taken], persons[:taken]
    legs = {name: Legs.drawn(plans[name], keys[name], recipe.sample.size) for name in plans}
    network = build_network(recipe)
    if given.start:
        own, given_weights = network.state_dict(), ModelPackage.read(given.start).tensors()
        network.load_state_dict(
            {name: given_weights[name] for name in own if name in given_weights and name.startswith("trunk.")},
            strict=False,
        )
    checkpoint = given.out.with_name(f"{given.out.name}.pt")
    fit(network, legs["train"], recipe, given.steps, checkpoint)
    batch = recipe.training.batch
    write(
        given.out, network, recipe, legs, [*keys["train"], *keys["validation"]],
        {"steps": given.steps, "images seen, each drawn anew": given.steps * batch},
    )  # fmt: skip
    checkpoint.unlink()


def _means(geometry: Geometry, voxels: np.ndarray, batch: LegBatch) -> np.ndarray:
    """(N, size, size) float32 means of a volume over the pixels of samples."""
    plane, size = PlaneOrientation.of(geometry), batch.pixels.shape[-1]
    samples = np.zeros((len(batch.windows), size, size), np.float32)
    for sample, window, placement in zip(samples, batch.windows, batch.placements, strict=True):
        by_row, by_column = map(resampling_weights, placement.scale, placement.shape)
        drawn = plane.canonical(voxels[window.box] * window.mask).astype(np.float32)
        (top, left), (rows, columns) = placement.origin, (by_row.shape[0], by_column.shape[0])
        sample[top : top + rows, left : left + columns] = (by_column @ (by_row @ drawn).T).T
    return samples


def _on_grid(samples: np.ndarray) -> np.ndarray:
    """(N, GRID, GRID) means over the pixels of each grid pixel."""
    step = samples.shape[-1] // GRID
    return samples.reshape(len(samples), GRID, step, GRID, step).mean(axis=(2, 4))


def _average(average: nn.Module, model: nn.Module, share: float) -> None:
    """Moves an average towards a model; integers, which count, are the model's."""
    with torch.no_grad():
        for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - share)
            else:
                mean.copy_(value)


if __name__ == "__main__":
    main()
