"""From a cohort and a recipe to a model package.

Beside the package, in a folder of its name and "-training", lie the log (JSON lines), its figure, and, until the
package is written, the checkpoint from which an interrupted training goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from .. import __version__
from ..archive.crew import OWN_PROCESS, Crew
from ..cohort.options import checked_place, chosen_splits
from ..cohort.seen import seen_keys, seen_patients
from ..cohort.splits import FOLDS, REPEAT, own, write_folds
from ..cohort.table import SPLITS, AnyRecipe, Cohort, Split
from ..devices import channels_last, compute_device
from ..errors import InputError
from ..models.cam_network import CamNetwork, build_network, trainable_parameters
from ..models.map_package import MapPackage, MapRecipe
from ..models.package import ModelCard, ModelPackage, write_package
from ..models.pattern_package import PatternPackage, PatternRecipe
from ..models.recipe import Recipe
from ..models.training_recipe import AugmentationRecipe, StageRecipe
from ..models.weights import load_backbone
from ..reporting.progress import Advance, part_of, silent
from .calibration import FeatureSpread, Scores, as_metrics, figures, temperature, typical_heat
from .checkpoint import CHECKPOINT
from .distributed import Processes, processes_of_torchrun
from .features import FeatureExamples, FeatureStore
from .fit import Examples, ExamplesOfStage, Logits, SampleExamples, fit
from .objectives import ClassObjective, class_weights
from .preparation import (
    check_room,
    identity_of,
    made_samples,
    make_folder,
    put_package,
    round_weights,
)
from .sample_store import SampleStore
from .train_maps import train_maps
from .train_pattern import train_pattern
from .training_log import Epoch, draw_log


def train(
    recipe: Recipe,
    cohort: Cohort,
    out: Path,
    *,
    seed: int,
    cache: Path,
    backbone_weights: Path | None = None,
    device: str = "cpu",
    crew: Crew = OWN_PROCESS,
    resume: bool = False,
    trained_on: str | None = None,
    advance: Advance = silent,
) -> Path:
    """Trains a model and writes its package. Equal input and seed give equal weights.

    Run by `torchrun`, all its processes train together and the first one writes.

    Args:
        cohort: with splits.
        out: folder of the package, must not exist.
        cache: folder for samples and features, which the next training takes from it.
        backbone_weights: see `networks.load_backbone`.
        device: one of `devices.DEVICES`.
        crew: makes samples and, where it is elsewhere, features; it reaches cohort and cache by the same paths.
        resume: refuse to begin anew where an interrupted training is there that cannot be gone on with; see
            `Checkpoint.read`. One of the same arguments is gone on with in any case.
        trained_on: what the model card says of the cohort.
        advance: called with what is being done, how much of it is done, and how much there is.

    Raises:
        InputError: recipe, cohort, weights (also those of a package that has seen test patients), device or the
            package's place cannot be used, the loss is not a number, the disk is full, or the user interrupted.
    """
    cohort = own(cohort)
    folder = checked_place(out)
    with processes_of_torchrun(compute_device(device)) as together, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(recipe)
        started_from = load_backbone(network, recipe, backbone_weights)
        seen_before = () if started_from is None else started_from.seen
        _check_unseen(cohort, started_from)
        check_room(network, out)
        advance = advance if together.writes else silent
        store = made_samples(cohort, recipe, cache / "samples", crew, together, advance)
        own(store.cohort)
        images = _Images.of(store)
        make_folder(folder, store.warnings if together.writes else ())
        identity = identity_of(network, recipe, store, seed)
        start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        trainable_parameters(network, recipe)
        network.to(together.device).to(memory_format=channels_last(1 + len(recipe.sample.shape)))
        kept = _Kept(cache / "features", crew, device)
        model, examples = _model_and_examples(network, recipe, images, seed, kept, together, advance)
        epochs = fit(
            model,
            examples,
            recipe.training,
            objective=ClassObjective(recipe.decision),
            seed=seed,
            folder=folder,
            identity=identity,
            resume=resume,
            processes=together,
            advance=advance,
        )
        advance("Measuring the model", 0, 1)
        _average(network, start, recipe.training.start_share)
        round_weights(network)
        scores = {split: images.scores(split, network, recipe, together) for split in images.rows}
        if together.writes:
            card, spread = _card(out.name, recipe, images, scores, epochs, seed, trained_on, seen_before)
            _write(out, recipe, card, network, spread)
            draw_log(epochs, folder)
            (folder / CHECKPOINT).unlink()
        together.wait()
    return out


def train_folds(
    recipe: AnyRecipe,
    cohorts: Sequence[Cohort],
    out: Path,
    *,
    resume: bool,
    advance: Advance = silent,
    **options: Any,
) -> list[Path]:
    """Trains one package for each split of a cohort, `out`/fold1 and so on, with the options of `train`; packages by
    this recipe that are there already are kept. `splits.FOLDS` in `out` tells who is tested in which.

    Raises:
        InputError: as `train`, or `out` holds other folds.
    """
    write_folds(out / FOLDS, cohorts)
    packages = [out / f"fold{n}" for n in range(1, len(cohorts) + 1)]
    for number, (cohort, package) in enumerate(zip(cohorts, packages, strict=True), 1):
        if not _is_by(package, recipe):
            told = part_of(advance, f"Fold {number} of {len(cohorts)}")
            train_any(recipe, cohort, package, resume=resume, advance=told, **options)
    return packages


def train_any(recipe: AnyRecipe, cohort: Cohort, out: Path, **options: Any) -> Path:
    """`train`, `train_maps` or `train_pattern`, as the recipe says."""
    if isinstance(recipe, MapRecipe):
        return train_maps(recipe, cohort, out, **options)
    if isinstance(recipe, PatternRecipe):
        return train_pattern(recipe, cohort, out, **options)
    return train(recipe, cohort, out, **options)


def train_repeats(
    recipe: AnyRecipe,
    cohort: Cohort,
    split: str,
    out: Path,
    *,
    repeats: int,
    seed: int,
    advance: Advance = silent,
    **options: Any,
) -> list[Path]:
    """Trains the models of a cross-validation so many times, `out`/repeat1 and so on, each time with patients dealt and
    weights drawn from another seed; the options are those of `train_folds`.

    Args:
        split: "kfold:K".

    Raises:
        InputError: as `chosen_splits` and `train_folds`.
    """
    return [
        package
        for n in range(repeats)
        for package in train_folds(
            recipe,
            chosen_splits(cohort, split, seed + n),
            out / f"{REPEAT}{n + 1}",
            seed=seed + n,
            advance=part_of(advance, f"Repeat {n + 1} of {repeats}"),
            **options,
        )
    ]


def _is_by(package: Path, recipe: AnyRecipe) -> bool:
    """Whether a package of that recipe is there."""
    kinds: dict[type, Any] = {MapRecipe: MapPackage, PatternRecipe: PatternPackage, Recipe: ModelPackage}
    try:
        return bool(package.exists() and kinds[type(recipe)].read(package).recipe == recipe)
    except InputError:
        return False


@dataclass(frozen=True)
class _Images:
    """The images of a store by split.

    Attributes:
        rows: of each split, rows of `store.pixels`; only splits with images.
        labels: (N,) float32 index of the class of all images.
    """

    store: SampleStore
    rows: dict[Split, np.ndarray]
    labels: torch.Tensor

    @classmethod
    def of(cls, store: SampleStore) -> _Images:
        split = np.array([case.split for case in store.cohort.cases])[store.case]
        rows = {name: np.flatnonzero(split == name) for name in SPLITS}
        labels = torch.from_numpy(store.cohort.labels[store.case]).float()
        return cls(store, {name: found for name, found in rows.items() if len(found)}, labels)

    @property
    def synthetic(self) -> bool:
        """Whether every series is of a phantom."""
        return all(case.synthetic for case in self.store.cohort.cases)

    def labels_of(self, split: Split) -> torch.Tensor:
        return self.labels[torch.from_numpy(self.rows[split])]

    def samples(
        self, split: Split, size: int, augmentation: AugmentationRecipe | Literal["wide"] | None = None
    ) -> SampleExamples:
        return SampleExamples(self.store.pixels, self.rows[split], self.labels_of(split), size, augmentation)

    def patients(self, split: Split) -> int:
        return len(self.store.cohort.of_split(split).patients)

    def scores(self, split: Split, network: CamNetwork, recipe: Recipe, processes: Processes) -> Scores:
        series = self.store.case[self.rows[split]]
        patient = np.array([case.patient_id for case in self.store.cohort.cases])[series]
        samples = self.samples(split, recipe.sample.size)
        return Scores.of(network, recipe.decision, samples, patient, series, processes)


@dataclass(frozen=True)
class _Kept:
    """Where features are kept, and who computes them on what; see `FeatureStore`."""

    folder: Path
    crew: Crew
    device: str


def _model_and_examples(
    network: CamNetwork,
    recipe: Recipe,
    images: _Images,
    seed: int,
    kept: _Kept,
    processes: Processes,
    advance: Advance,
) -> tuple[nn.Module, ExamplesOfStage]:
    """What is fitted and to what: the whole network to samples, or the head alone to features."""

    def samples(stage: StageRecipe) -> tuple[Examples, Examples]:
        training = images.samples("train", stage.size, recipe.training.augmentation)
        return training, images.samples("validation", stage.size)

    def features(stage: StageRecipe) -> tuple[Examples, Examples]:
        store = FeatureStore(
            network.eval(),
            images.store.pixels,
            images.store.digests,
            size=stage.size,
            copies=recipe.training.copies,
            seed=seed,
            processes=processes,
            **vars(kept),
        )
        wanted = np.zeros(store.known.shape, bool)
        wanted[:, images.rows["train"]] = True
        wanted[0, images.rows["validation"]] = True
        store.compute(wanted, advance)

        def examples(split: Split) -> FeatureExamples:
            return FeatureExamples(store.features, images.rows[split], images.labels_of(split))

        return examples("train"), examples("validation")

    return (network.head, features) if recipe.training.trainable == "head" else (Logits(network), samples)


def _check_unseen(cohort: Cohort, started_from: ModelCard | None) -> None:
    """Raises an `InputError` when the model that is fitted further has seen patients on whom it is to be tested."""
    seen = seen_patients(cohort.of_split("test"), started_from) if started_from is not None else ()
    if seen:
        raise InputError(
            f"The model package of --backbone-weights has seen {len(seen)} of the test patients in training; split as "
            "it was, or start from another one."
        )


def _average(network: CamNetwork, start: dict[str, torch.Tensor], share: float) -> None:
    """Puts that share of the starting weights into the fitted ones; integers, which count, stay."""
    state = network.state_dict()
    for name, fitted in state.items():
        if fitted.is_floating_point():
            fitted.lerp_(start[name].to(fitted.device), share)


def _card(
    name: str,
    recipe: Recipe,
    images: _Images,
    scores: dict[Split, Scores],
    epochs: list[Epoch],
    seed: int,
    trained_on: str | None,
    seen_before: Sequence[str],
) -> tuple[ModelCard, FeatureSpread]:
    """The card, with constants from the validation images, and the features' spread.

    Args:
        name: of the package.
    """
    validation, cases = scores["validation"], images.store.cohort.cases
    scale = temperature(recipe.decision.all_logits(validation.logits), validation.truth)
    decision = recipe.decision.tuned(*validation.by_patient(scale))
    spread = FeatureSpread.of(scores["train"], validation)
    people = "synthetic phantoms" if images.synthetic else "patients"

    def described(split: Split) -> str:
        return f"{images.patients(split)} {people} ({len(images.rows[split])} images)"

    metrics = as_metrics(
        {f"{figure}, validation": value for figure, value in figures(decision, validation, scale, seed).items()},
        f"{described('validation')} by whom {decision.CHOSEN_BY_VALIDATION} were chosen, so optimistic on average",
    )
    if "test" in scores:
        tested = figures(decision, scores["test"], scale, seed)
        metrics = as_metrics(tested, f"{described('test')} that training did not see") | metrics
    weights = class_weights(images.labels_of("train"), recipe.training)
    card = ModelCard(
        name=f"{name} ({recipe.name}, {recipe.network.backbone}{', demonstration' if images.synthetic else ''})",
        version=__version__,
        classes=recipe.classes,
        demonstration=images.synthetic,
        trained_on=trained_on or _trained_on(recipe, images),
        intended_use="Research only, not for diagnosis."
        if not images.synthetic
        else "Demonstration and testing of the software only, not for diagnosis.",
        licence="Apache-2.0" if images.synthetic else "To be stated by the owner of the cohort.",
        training_cohort={
            "patients": images.patients("train"),
            "images": len(images.rows["train"]),
            "diagnoses": dict(
                sorted(Counter(case.disease for case in images.store.cohort.of_split("train").patients).items())
            ),
            "class_weights": dict(zip(recipe.classes, (round(weight, 4) for weight in weights), strict=True)),
            "epochs": len(epochs),
            "seed": seed,
            "series_without_image": len(images.store.warnings),
        },
        metrics=metrics,
        threshold=decision.threshold,
        label_from=decision.label_from,
        temperature=scale,
        heat_reference=typical_heat(validation),
        largest_distance=spread.largest,
        seen=tuple(sorted({*seen_before, *seen_keys(case for case in cases if case.split != "test")})),
    )
    return card, spread


def _trained_on(recipe: Recipe, images: _Images) -> str:
    count = images.patients("train")
    if images.synthetic:
        *others, last = (channel.name for channel in recipe.sample.channels)
        shown = f"{', '.join(others)} and {last}" if others else last
        shown = "T1-weighted thigh" if shown == "T1" else shown
        return f"synthetic {shown} images of {count} phantoms only, no patients"
    cohort = images.store.cohort.of_split("train")
    classes = Counter(cohort.recipe.classes[case.known_label] for case in cohort.patients)
    told = ", ".join(f"{classes[name]} {name}" for name in cohort.recipe.classes)
    return f"{count} patients of the user's cohort ({told})"


def _write(out: Path, recipe: Recipe, card: ModelCard, network: CamNetwork, spread: FeatureSpread) -> None:
    tensors = {name: tensor.cpu() for name, tensor in network.state_dict().items()} | spread.tensors()
    put_package(out, lambda folder: write_package(folder, recipe.toml(), card, tensors, half=True))
