"""Fitting a network to labelled samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ..networks import CamNetwork
from ..samples import BRIGHTEST
from .augment import augmented


@dataclass(frozen=True)
class Stage:
    """A run over the samples at one size: small first is many times faster and gets most of the way.

    Attributes:
        size: edge of the samples in this stage, a divisor of their own.
        epochs: times every sample is seen.
        learning_rate: highest of a one-cycle schedule.
    """

    size: int
    epochs: int
    learning_rate: float


def stored(pixels: torch.Tensor) -> torch.Tensor:
    """Samples as uint8, a quarter of the memory: 255 is `BRIGHTEST`."""
    return (pixels * (255 / BRIGHTEST)).round().to(torch.uint8)


def restored(pixels: torch.Tensor) -> torch.Tensor:
    """The inverse of `stored`."""
    return pixels.float() * (BRIGHTEST / 255)


def fit(
    network: CamNetwork,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    stages: Sequence[Stage],
    *,
    batch: int,
    seed: int,
    report: Callable[[str], None],
) -> None:
    """Fits `network` in place by binary cross-entropy with AdamW, on augmented samples.

    Args:
        pixels: (N, 1, size, size) uint8, see `stored`.
        labels: (N,) float32, 1 for the second class.
        report: called with a line of progress.
    """
    generator = torch.Generator().manual_seed(seed)
    network.train().to(memory_format=torch.channels_last)
    for number, stage in enumerate(stages, 1):
        steps = stage.epochs * (len(pixels) // batch)
        optimiser = torch.optim.AdamW(network.parameters(), stage.learning_rate, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, stage.learning_rate, total_steps=steps, pct_start=0.15
        )
        losses = []
        for step, chosen in enumerate(_batches(len(pixels), batch, stage.epochs, generator), 1):
            samples = augmented(restored(pixels[chosen]), stage.size, generator)
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(samples.contiguous(memory_format=torch.channels_last)).logits[:, 0]
            loss = functional.binary_cross_entropy_with_logits(logits.float(), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            if step % 50 == 0 or step == steps:
                mean = float(np.mean(losses[-50:]))
                report(f"stage {number}/{len(stages)} ({stage.size} px) step {step}/{steps} loss {mean:.4f}")
    network.eval()


def _batches(count: int, batch: int, epochs: int, generator: torch.Generator):
    for _ in range(epochs):
        order = torch.randperm(count, generator=generator)
        for first in range(0, count - batch + 1, batch):
            yield order[first : first + batch]
