"""From a cohort with muscle maps to a package that names muscles; see `train` for what lies beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..archive.crew import OWN_PROCESS, Crew
from ..cohort.options import checked_place
from ..cohort.seen import seen_keys, seen_patients
from ..cohort.splits import own
from ..cohort.table import SPLITS, Cohort, Split
from ..devices import channels_last, compute_device
from ..errors import InputError
from ..models.map_network import MapNetwork
from ..models.map_package import MapCard, MapPackage, MapRecipe
from ..models.package_files import write_files
from ..models.training_recipe import StageRecipe
from ..muscles.structures import STRUCTURES
from ..reporting.progress import Advance, silent
from ..statistics.estimate import Estimate
from .calibration import as_metrics
from .checkpoint import CHECKPOINT
from .distributed import processes_of_torchrun
from .fit import EVALUATION_BATCH, fast_precision, fit, placed
from .map_augment import augmented_maps
from .objectives import MapObjective, dice_estimates, overlap_counts
from .preparation import (
    check_room,
    identity_of,
    made_samples,
    make_folder,
    put_package,
    round_weights,
)
from .sample_store import SampleStore, restored
from .training_log import draw_log

UNLIKELY = 0.002
"""Share of the validation legs, all of them thighs, whose map is less likely than `MapCard.least_likelihood`."""
MIRRORED = 4
"""One of so many samples is mirrored in training."""
_LABELS = len(STRUCTURES) + 1


def train_maps(
    recipe: MapRecipe,
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
    """Trains a model of muscle maps and writes its package. Equal input and seed give equal weights.

    Args:
        cohort: with splits, and with a map of each series.
        backbone_weights: package of a model of muscle maps that is fitted further; None for random weights.
        out, seed, cache, device, crew, resume, trained_on, advance: as of `train.train`.

    Raises:
        InputError: as `train.train`.
    """
    cohort = own(cohort)
    folder = checked_place(out)
    with processes_of_torchrun(compute_device(device)) as together, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MapNetwork(recipe.sample.planes, _LABELS, recipe.features)
        before = _loaded(network, backbone_weights, cohort)
        check_room(network, out)
        advance = advance if together.writes else silent
        store = made_samples(cohort, recipe, cache / "samples", crew, together, advance)
        own(store.cohort)
        maps = _Maps.of(store)
        make_folder(folder, store.warnings if together.writes else ())
        identity = identity_of(network, recipe, store, seed)
        network.to(together.device).to(memory_format=channels_last(4))
        epochs = fit(
            network,
            lambda stage: (maps.examples("train", stage), maps.examples("validation", stage)),
            recipe.training,
            objective=MapObjective(maps.known),
            seed=seed,
            folder=folder,
            identity=identity,
            resume=resume,
            processes=together,
            advance=advance,
        )
        advance("Measuring the model", 0, 1)
        round_weights(network)
        if together.writes:
            measured = {split: _Measured.of(network, maps, split, together.device) for split in maps.rows}
            card = _card(recipe, maps, measured, len(epochs), seed, trained_on, before)
            tensors = {name: tensor.cpu().half() for name, tensor in network.state_dict().items()}
            put_package(out, lambda package: write_files(package, recipe.toml(), card, tensors))
            draw_log(epochs, folder)
            (folder / CHECKPOINT).unlink()
        together.wait()
    return out


class MapExamples:
    """Legs and their maps.

    Args:
        pixels: (M, 2, size, size) uint8, or what is indexed like that: a sample as `sample_store.stored` makes it, and
            its labels.
        images: (N,) rows of `pixels`.
        size: edge at which the network sees them, a divisor of that of the samples.
    """

    def __init__(self, pixels: Any, images: np.ndarray, size: int) -> None:
        self._pixels, self._images, self._size = pixels, images, size
        self.labels = torch.zeros(len(images))

    def plain(self, chosen: torch.Tensor) -> torch.Tensor:
        """See `fit.Examples`."""
        return self.plain_with_truth(chosen)[0]

    def plain_with_truth(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Samples (n, 1, size, size) as they are, and their labels (n, size, size)."""
        return self._read(chosen)

    def varied(self, chosen: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
        """See `fit.Examples`."""
        return self.varied_with_truth(chosen, seeds)[0]

    def varied_with_truth(self, chosen: torch.Tensor, seeds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `plain_with_truth`, drawn anew together; some mirrored, of which the network is to be unsure."""
        samples, labels = self._read(chosen)
        samples, labels = augmented_maps(samples, labels, self._size, seeds.tolist())
        mirrored = (seeds % MIRRORED == 0)[:, None, None]
        samples = torch.where(mirrored[:, None], samples.flip(-1), samples)
        unsure = torch.where(samples[:, 0] > 0, MapObjective.UNSURE, 0).to(torch.uint8)
        return samples, torch.where(mirrored, unsure, labels)

    def _read(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = torch.as_tensor(self._pixels[self._images[chosen.numpy()]])
        return restored(both[:, :1]), both[:, 1]


@dataclass(frozen=True)
class _Maps:
    """The legs of a store by split.

    Attributes:
        rows: of each split, rows of `store.pixels`; only splits with legs.
        known: (labels,) bool, the labels that some map of the training and validation legs has, and 0.
    """

    store: SampleStore
    rows: Mapping[Split, np.ndarray]
    known: torch.Tensor

    @classmethod
    def of(cls, store: SampleStore) -> _Maps:
        split = np.array([case.split for case in store.cohort.cases])[store.case]
        rows = {name: np.flatnonzero(split == name) for name in SPLITS}
        known = torch.zeros(_LABELS, dtype=torch.bool)
        known[0] = True
        for part in np.array_split(np.flatnonzero(split != "test"), 1 + len(split) // 256):
            known[torch.from_numpy(np.unique(store.pixels[part][:, -1])).long()] = True
        return cls(store, {name: found for name, found in rows.items() if len(found)}, known)

    def examples(self, split: Split, stage: StageRecipe) -> MapExamples:
        return MapExamples(self.store.pixels, self.rows[split], stage.size)

    def patients(self, split: Split) -> int:
        return len(self.store.cohort.of_split(split).patients)

    @property
    def synthetic(self) -> bool:
        return all(case.synthetic for case in self.store.cohort.cases)


@dataclass(frozen=True)
class _Measured:
    """What the network finds in the legs of a split.

    Attributes:
        counts: (N, 3, labels) see `objectives.overlap_counts`.
        likelihoods: (N,) mean log probability of each leg's map.
        patient: (N,) str.
    """

    counts: torch.Tensor
    likelihoods: np.ndarray
    patient: np.ndarray

    @classmethod
    def of(cls, network: MapNetwork, maps: _Maps, split: Split, device: torch.device) -> _Measured:
        rows = maps.rows[split]
        examples = MapExamples(maps.store.pixels, rows, maps.store.pixels.shape[-1])
        network.eval()
        counts, likelihoods = [], []
        for chosen in torch.arange(len(rows)).split(EVALUATION_BATCH):
            samples, truth = examples.plain_with_truth(chosen)
            with torch.inference_mode(), fast_precision(device):
                most, found = network(placed(samples, device)).float().softmax(dim=1).cpu().max(dim=1)
            counts.append(overlap_counts(found, truth, _LABELS))
            inside = samples[:, 0] > 0
            likelihoods += [float(own[leg].log().mean()) for own, leg in zip(most, inside, strict=True)]
        patient = np.array([case.patient_id for case in maps.store.cohort.cases])[maps.store.case[rows]]
        return cls(torch.cat(counts), np.array(likelihoods), patient)

    def dice(self, known: torch.Tensor, seed: int) -> dict[str, Estimate]:
        """Dice of each structure that somebody drew and their mean, with 95 % intervals over patients."""
        return dice_estimates(self.counts.numpy(), self.patient, known.numpy(), seed)


def _loaded(network: MapNetwork, start: Path | None, cohort: Cohort) -> tuple[str, ...]:
    """Puts the weights of a package into the network; gives what that model has seen."""
    if start is None:
        return ()
    package = MapPackage.read(start)
    seen = seen_patients(cohort.of_split("test"), package.card)
    if seen:
        raise InputError(
            f"The model package of --backbone-weights has seen {len(seen)} of the test patients in training; split as "
            "it was, or start from another one."
        )
    try:
        network.load_state_dict(package.tensors())
    except RuntimeError:
        raise InputError("The model package of --backbone-weights has another network than the recipe.") from None
    return package.card.seen


def _card(
    recipe: MapRecipe,
    maps: _Maps,
    measured: Mapping[Split, _Measured],
    epochs: int,
    seed: int,
    trained_on: str | None,
    before: tuple[str, ...],
) -> MapCard:
    people = "synthetic phantoms" if maps.synthetic else "patients"
    split: Split = "test" if "test" in measured else "validation"
    what = "that training did not see" if split == "test" else "by whom training was ended"
    on = f"{maps.patients(split)} {people} ({len(maps.rows[split])} legs in single slices) {what}"
    cases = maps.store.cohort.cases
    return MapCard(
        name=f"{recipe.name}, U-Net",
        version=__version__,
        structures=STRUCTURES,
        demonstration=maps.synthetic,
        trained_on=trained_on or f"label maps of {maps.patients('train')} {people}",
        intended_use="Research only, not for diagnosis.",
        licence="Apache-2.0" if maps.synthetic else "To be stated by the owner of the cohort.",
        training_cohort={
            "patients": maps.patients("train"),
            "images": len(maps.rows["train"]),
            "epochs": epochs,
            "seed": seed,
            "series_without_image": len(maps.store.warnings),
        },
        metrics=as_metrics(measured[split].dice(maps.known, seed), on),
        least_likelihood=float(np.quantile(measured["validation"].likelihoods, UNLIKELY)),
        seen=tuple(sorted({*before, *seen_keys(case for case in cases if case.split != "test")})),
    )
