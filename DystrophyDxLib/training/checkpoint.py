"""The file from which an interrupted training goes on."""

from __future__ import annotations

import os
import pickle
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..errors import InputError
from .training_log import Epoch

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_SECONDS = 120.0
"""Work that a killed training loses at most; an interrupted one loses none."""


@dataclass
class Progress:
    """How far training has come, beside the model and its optimiser.

    Attributes:
        stage, epoch, step: what comes next, from 0.
        loss: sum over the images of this epoch so far.
        seconds: that this epoch took so far.
        best: the model of this stage's lowest validation loss so far.
        history: all epochs so far.
    """

    stage: int = 0
    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)


class Saved(NamedTuple):
    """A checkpoint; the optimiser's part is None when training is done."""

    state: Progress
    model: dict[str, torch.Tensor]
    optimiser: dict[str, Any] | None
    schedule: dict[str, Any] | None


class Checkpoint:
    """The file from which training can go on: whole or not there, and of this training only."""

    def __init__(self, path: Path, identity: str) -> None:
        self._path, self._identity = path, identity
        self._written = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._written >= CHECKPOINT_SECONDS

    def write(self, saved: Saved) -> None:
        state = vars(saved.state) | {"history": [asdict(epoch) for epoch in saved.state.history]}
        unfinished = self._path.with_name(self._path.name + ".partial")
        try:
            with unfinished.open("wb") as file:
                torch.save({**saved._asdict(), "state": state, "identity": self._identity}, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        except (OSError, RuntimeError):  # torch wraps what the disk says
            unfinished.unlink(missing_ok=True)
            raise InputError("The checkpoint cannot be written; free space beside --out and use --resume.") from None
        self._written = time.monotonic()

    def read(self, device: torch.device) -> Saved | None:
        """The checkpoint, None where there is none."""
        if not self._path.exists():
            return None
        try:
            content = torch.load(self._path, map_location=device, weights_only=True)
            identity = content.pop("identity")
            state = content.pop("state")
            state = Progress(**(state | {"history": [Epoch(**epoch) for epoch in state["history"]]}))
            saved = Saved(state, **content)
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError):
            raise InputError("The checkpoint is damaged; remove its folder and train anew without --resume.") from None
        if identity != self._identity:
            raise InputError(
                "The interrupted training had another recipe, cohort, seed or starting weights; give the same as then, "
                "or remove the checkpoint's folder and train anew without --resume."
            )
        return saved
