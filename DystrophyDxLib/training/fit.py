"""Fitting a network, or only its head, to labelled images, so that an interrupted training goes on as if it had not
been."""

from __future__ import annotations

import contextlib
import datetime
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..devices import channels_last, has_bfloat16
from ..errors import InputError
from ..models.cam_network import CamNetwork
from ..models.training_recipe import AugmentationRecipe, StageRecipe, TrainingRecipe
from ..reporting.progress import Advance
from .augment import augmented, slightly_changed
from .checkpoint import CHECKPOINT, Checkpoint, Progress, Saved
from .distributed import Processes
from .sample_store import restored
from .training_log import Epoch, write_log
from .wide_augment import widely_augmented

LARGEST_GRADIENT = 2.0
"""Norm to which a gradient is clipped."""
EVALUATION_BATCH = 64
TOLD_EVERY_S = 0.2


class Examples(Protocol):
    """Labelled images in the form in which a model takes them.

    Attributes:
        labels: (N,) float32, index of the class.
    """

    @property
    def labels(self) -> torch.Tensor: ...

    def plain(self, chosen: torch.Tensor) -> torch.Tensor:
        """Model input of the chosen images as they are."""

    def varied(self, chosen: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
        """Model input of the chosen images, each augmented as its seed (int64) says."""

    def plain_with_truth(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`plain`, and what the model should answer."""

    def varied_with_truth(self, chosen: torch.Tensor, seeds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`varied`, and what the model should answer."""


class Objective(Protocol):
    """What a model's answers are held against.

    Attributes:
        score: name of the figure, the higher the better, that `validated` gives beside the loss.
    """

    score: ClassVar[str]

    def fitted_to(self, training: Examples, recipe: TrainingRecipe) -> Objective:
        """The objective for these training images."""

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(N,) losses of the model's outputs for N images, and what it should have answered."""

    def validated(self, model: nn.Module, examples: Examples, processes: Processes) -> tuple[float, float]:
        """Mean loss and score over examples as they are."""


class Labelled:
    """Examples whose truth no augmentation changes."""

    labels: torch.Tensor

    def plain_with_truth(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Examples`."""
        return self.plain(chosen), self.labels[chosen]  # type: ignore[attr-defined]

    def varied_with_truth(self, chosen: torch.Tensor, seeds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Examples`."""
        return self.varied(chosen, seeds), self.labels[chosen]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class SampleExamples(Labelled):
    """Samples at one size, for a network.

    Attributes:
        pixels: (M, C, S, S), of volumes (M, C, D, S, S), uint8 as `stored` makes them, or what is
            indexed like that.
        images: (N,) rows of `pixels`.
        labels: (N,) float32.
        size: edge at which the network sees them, a divisor of S.
        augmentation: of the recipe; None for that of `augmented`, "wide" for that of `widely_augmented`.
    """

    pixels: Any
    images: np.ndarray
    labels: torch.Tensor
    size: int
    augmentation: AugmentationRecipe | Literal["wide"] | None = None

    def plain(self, chosen: torch.Tensor) -> torch.Tensor:
        samples = self._samples(chosen)
        planes = functional.avg_pool2d(samples.flatten(1, -3), samples.shape[-1] // self.size)
        return planes.unflatten(1, samples.shape[1:-2])

    def varied(self, chosen: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
        samples = self._samples(chosen)
        if self.augmentation is None:
            return augmented(samples, self.size, seeds.tolist())
        if self.augmentation == "wide":
            return widely_augmented(samples, self.size, seeds.tolist())
        # All slices of a volume change alike, as planes of one sample.
        planes = slightly_changed(samples.flatten(1, -3), self.size, self.augmentation, seeds.tolist())
        return planes.unflatten(1, samples.shape[1:-2])

    def _samples(self, chosen: torch.Tensor) -> torch.Tensor:
        return restored(torch.as_tensor(self.pixels[self.images[chosen.numpy()]]))


class Logits(nn.Module):
    """A network that gives its logits and nothing else."""

    def __init__(self, network: CamNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return self.network.logits(samples)


_T = TypeVar("_T")
_U = TypeVar("_U")
ExamplesOfStage = Callable[[StageRecipe], tuple[Examples, Examples]]
"""Training and validation images as a stage of the recipe takes them."""


def fit(
    model: nn.Module,
    examples: ExamplesOfStage,
    recipe: TrainingRecipe,
    *,
    objective: Objective,
    seed: int,
    folder: Path,
    identity: str,
    resume: bool,
    processes: Processes,
    advance: Advance,
) -> list[Epoch]:
    """Fits the parameters of `model` that require a gradient, in place.

    The random numbers of an epoch follow from the seed and its number: the same examples give the same model, also
    after an interruption and, but for rounding, in several processes.

    Args:
        model: on the device of `processes`.
        objective: what its answers are held against.
        folder: for the log and, until the model is safe elsewhere, the checkpoint.
        identity: of model, images and settings; a checkpoint of another identity is refused.
        resume: refuse a checkpoint in `folder` that is of another training; see `Checkpoint.read`.

    Returns:
        All epochs; the model is that of the last stage's lowest validation loss.

    Raises:
        InputError: the loss is not a number, the user interrupted, the checkpoint is another training's or damaged, or
            the disk is full.
    """
    training = _Training(
        model, recipe, objective, seed, folder, Checkpoint(folder / CHECKPOINT, identity), processes, advance
    )
    with torch.backends.cudnn.flags(benchmark=False, deterministic=True):
        return training.run(examples, resume)


def predicted(model: nn.Module, examples: Examples, processes: Processes) -> torch.Tensor:
    """(N, K) float32 output of the model in evaluation mode for all examples as they are, on the CPU."""
    model.eval()
    everyone = torch.arange(len(examples.labels))
    with torch.inference_mode(), fast_precision(processes.device):
        mine = [
            model(placed(examples.plain(chosen), processes.device)).float()
            for chosen in processes.share(everyone).split(EVALUATION_BATCH)
        ]
    return processes.gathered(torch.cat(mine), len(everyone)).cpu()


def fast_precision(device: torch.device) -> torch.autocast:
    """Mixed precision in bfloat16 where the device computes in it natively; it needs no scaling of the loss."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def placed(inputs: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Model input on its device, images and volumes with channels last."""
    if inputs.ndim > 3:
        inputs = inputs.contiguous(memory_format=channels_last(inputs.ndim))
    return inputs.to(device, non_blocking=True)


class _Stage:
    """What one stage of the recipe works with."""

    def __init__(
        self, number: int, recipe: TrainingRecipe, objective: Objective, examples: ExamplesOfStage, model: nn.Module
    ) -> None:
        self.number, self.recipe = number, recipe.stages[number]
        self.training, self.validation = examples(self.recipe)
        self.objective = objective.fitted_to(self.training, recipe)
        self.images = len(self.training.labels)
        self.batches = math.ceil(self.images / recipe.batch)
        self.epochs = self.recipe.epochs_of(self.batches)
        self.optimiser = _optimiser(model, recipe, self.recipe.learning_rate)
        self.schedule = _schedule(self.optimiser, self.recipe, self.batches)


@dataclass
class _Training:
    """A training on its way through the stages of its recipe; the arguments are those of `fit`."""

    model: nn.Module
    recipe: TrainingRecipe
    objective: Objective
    seed: int
    folder: Path
    checkpoint: Checkpoint
    processes: Processes
    advance: Advance
    state: Progress = field(default_factory=Progress)
    told: float = 0.0

    def run(self, examples: ExamplesOfStage, resume: bool) -> list[Epoch]:
        saved = self.checkpoint.read(self.processes.device, needed=resume)
        if saved:
            self.state = saved.state
            self.model.load_state_dict(saved.model)
        self.processes.wait()
        self._write_log()
        self.together = self.processes.together(self.model)
        with _interruption() as self.interrupted:
            for number in range(self.state.stage, len(self.recipe.stages)):
                stage = _Stage(number, self.recipe, self.objective, examples, self.model)
                if stage.images // stage.batches < self.processes.count:
                    raise InputError(f"A batch has {stage.images // stage.batches} images; start fewer processes.")
                if saved and saved.optimiser and saved.schedule:
                    stage.optimiser.load_state_dict(saved.optimiser)
                    stage.schedule.load_state_dict(saved.schedule)
                saved = None
                self._fit_stage(stage)
        if self.processes.writes:
            self.checkpoint.write(Saved(self.state, self.model.state_dict(), None, None))
        self.model.eval()
        return self.state.history

    def _fit_stage(self, stage: _Stage) -> None:
        state = self.state
        while state.epoch < stage.epochs and not self._converged(stage):
            self._fit_epoch(stage)
            self._end_epoch(stage)
        self.model.load_state_dict(state.best)
        state.stage, state.epoch, state.best = state.stage + 1, 0, {}

    def _fit_epoch(self, stage: _Stage) -> None:
        state, started = self.state, time.perf_counter() - self.state.seconds
        self.model.train()
        generator = np.random.default_rng([self.seed, state.stage, state.epoch])
        order = torch.from_numpy(generator.permutation(stage.images)).tensor_split(stage.batches)
        seeds = torch.from_numpy(generator.integers(1 << 62, size=stage.images)).tensor_split(stage.batches)
        todo = zip(order[state.step :], seeds[state.step :], strict=True)
        for samples, truth, count in _prepared_ahead(partial(self._batch, stage), todo):
            loss = self._step(stage, samples, truth, count)
            state.step += 1
            state.loss += loss
            state.seconds = time.perf_counter() - started
            self._save_when_due(stage)
            self._tell(stage)

    def _batch(
        self, stage: _Stage, chosen_and_seeds: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Model input and truth of this process's share of a batch, and the size of the batch."""
        chosen, seeds = chosen_and_seeds
        return *stage.training.varied_with_truth(*map(self.processes.share, (chosen, seeds))), len(chosen)

    def _step(self, stage: _Stage, samples: torch.Tensor, labels: torch.Tensor, count: int) -> float:
        """Takes one step down the gradient of the mean loss of `count` images, this process's share of them given;
        gives the sum of the share's losses."""
        with fast_precision(self.processes.device):
            logits = self.together(placed(samples, self.processes.device))
        loss = stage.objective.losses(logits.float(), labels).sum()
        stage.optimiser.zero_grad()
        # The processes' gradients are averaged; their losses add up.
        (loss * self.processes.count / count).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        stage.optimiser.step()
        stage.schedule.step()
        return self._finite(loss.item())

    def _end_epoch(self, stage: _Stage) -> None:
        state = self.state
        started = time.perf_counter()
        self.processes.share_buffers(self.model)
        loss, score = stage.objective.validated(self.model, stage.validation, self.processes)
        loss = self._finite(loss)
        losses = self.processes.gathered(torch.tensor([state.loss], device=self.processes.device), self.processes.count)
        earlier = self._epochs_of(stage)
        epoch = Epoch(
            stage=stage.number + 1,
            size=stage.recipe.size,
            epoch=state.epoch + 1,
            learning_rate=float(stage.schedule.get_last_lr()[0]),
            training_loss=float(losses.sum()) / stage.images,
            validation_loss=loss,
            validation_score=score,
            score=stage.objective.score,
            best=all(loss < before.validation_loss for before in earlier),
            seconds=round(state.seconds + time.perf_counter() - started, 3),
        )
        if epoch.best:
            state.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        state.history.append(epoch)
        state.epoch, state.step, state.loss, state.seconds = state.epoch + 1, 0, 0.0, 0.0
        self._write_log()
        self._tell(stage)

    def _write_log(self) -> None:
        if self.processes.writes:
            write_log(self.state.history, self.folder)

    def _converged(self, stage: _Stage) -> bool:
        epochs, patience = self._epochs_of(stage), stage.recipe.patience
        return patience is not None and len(epochs) > patience and not any(epoch.best for epoch in epochs[-patience:])

    def _epochs_of(self, stage: _Stage) -> list[Epoch]:
        return self.state.history[len(self.state.history) - self.state.epoch :] if self.state.epoch else []

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise InputError(
                f"The loss is no longer a number (stage {self.state.stage + 1}, epoch {self.state.epoch + 1}, step "
                f"{self.state.step + 1}); lower the recipe's learning_rate, or check the series for corrupt voxels."
            )
        return loss

    def _save_when_due(self, stage: _Stage) -> None:
        interrupted = self.interrupted()
        if self.processes.writes and (interrupted or self.checkpoint.is_due()):
            self.checkpoint.write(
                Saved(self.state, self.model.state_dict(), stage.optimiser.state_dict(), stage.schedule.state_dict())
            )
        if interrupted:
            raise InputError("Training was interrupted; run the same command again to go on from here.")

    def _tell(self, stage: _Stage) -> None:
        """Shows losses, metrics and the longest that this stage can still take."""
        if time.monotonic() - self.told < TOLD_EVERY_S:
            return
        self.told = time.monotonic()
        done = self.state.epoch * stage.batches + self.state.step
        total = stage.epochs * stage.batches
        epochs = self._epochs_of(stage)
        seconds = sum(epoch.seconds for epoch in epochs) + self.state.seconds
        left = datetime.timedelta(seconds=round(seconds / done * (total - done)))
        epoch, epochs_in_all = min(self.state.epoch + 1, stage.epochs), stage.epochs
        where = f"stage {stage.number + 1} of {len(self.recipe.stages)}, epoch {epoch} of {epochs_in_all}"
        figures = ""
        if epochs:
            last = epochs[-1]
            figures = (
                f", loss {last.training_loss:.3f}, validation {last.validation_loss:.3f}, {last.score} "
                f"{last.validation_score:.3f}"
            )
        self.advance(f"Training: {where}{figures}, at most {left} left", done, total)


def _prepared_ahead(prepare: Callable[[_T], _U], items: Iterator[_T]) -> Iterator[_U]:
    """`prepare` of each item, in order, the next one being prepared while this one is used."""
    with ThreadPoolExecutor(1) as worker:
        waiting = [worker.submit(prepare, item) for item in islice(items, 1)]
        while waiting:
            ready = waiting.pop().result()
            waiting = [worker.submit(prepare, item) for item in islice(items, 1)]
            yield ready


@contextlib.contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM wait for the end of a step; gives whether one of them came."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda number, _: came.append(number)) for number in signals]
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in zip(signals, handlers, strict=True):
            signal.signal(number, handler)


def _optimiser(model: nn.Module, recipe: TrainingRecipe, learning_rate: float) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(parameters, learning_rate, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(parameters, learning_rate, recipe.momentum, weight_decay=recipe.weight_decay)


def _schedule(
    optimiser: torch.optim.Optimizer, stage: StageRecipe, batches: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if stage.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)
    # The first, with zero momentum, has nothing to cycle.
    steps = stage.epochs_of(batches) * batches
    return torch.optim.lr_scheduler.OneCycleLR(
        optimiser, stage.learning_rate, total_steps=steps, pct_start=0.15, cycle_momentum=False
    )
