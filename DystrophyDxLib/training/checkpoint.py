"""The file from which an interrupted training goes on."""

from __future__ import annotations

import contextlib
import os
import pickle
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..errors import InputError
from .training_log import Epoch

CHECKPOINT, EARLIER = "checkpoint.pt", "checkpoint-earlier.pt"
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
            raise InputError(
                "The checkpoint cannot be written; free space beside --out and run the same command again to go on."
            ) from None
        self._written = time.monotonic()

    def read(self, device: torch.device, *, needed: bool) -> Saved | None:
        """The checkpoint, None where there is none.

        Args:
            needed: whether a checkpoint that is damaged or of another training is refused; else it is put aside as
                `EARLIER`, and training begins anew.

        Raises:
            InputError: as `needed` says.
        """
        try:
            return self._read(device) if self._path.exists() else None
        except InputError:
            if needed:
                raise
        with contextlib.suppress(FileNotFoundError):  # another process of this training was faster
            self._path.replace(self._path.with_name(EARLIER))
        return None

    def _read(self, device: torch.device) -> Saved:
        try:
            content = torch.load(self._path, map_location=device, weights_only=True)
            identity = content.pop("identity")
            state = content.pop("state")
            state = Progress(**(state | {"history": [Epoch(**epoch) for epoch in state["history"]]}))
            saved = Saved(state, **content)
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError):
            raise InputError("The checkpoint is damaged; leave --resume out to train anew.") from None
        if identity != self._identity:
            raise InputError(
                "The interrupted training had another recipe, cohort, seed or starting weights; give the same as then, "
                "or leave --resume out to train anew."
            )
        return saved
