"""Samples as another patient, position or scanner could have given them."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from ..samples import BRIGHTEST

LARGEST_ROTATION = np.deg2rad(20)
LARGEST_ZOOM = 0.12
LARGEST_SHIFT = 0.06
LARGEST_GAMMA = 0.35
LARGEST_NOISE = 0.05


def augmented(samples: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """Samples mirrored, rotated, zoomed, shifted, with other contrast and more noise, at `size`.

    A mirrored leg is a leg of the other side. Outside the leg stays 0.
    """
    count = len(samples)
    samples = functional.avg_pool2d(samples, samples.shape[-1] // size)

    def drawn(largest: float) -> torch.Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * largest

    angle, zoom = drawn(LARGEST_ROTATION), 1 + drawn(LARGEST_ZOOM)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    rows = [
        torch.stack([mirror * zoom * angle.cos(), -zoom * angle.sin(), drawn(LARGEST_SHIFT)], dim=1),
        torch.stack([mirror * zoom * angle.sin(), zoom * angle.cos(), drawn(LARGEST_SHIFT)], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(samples.shape), align_corners=False)
    samples = functional.grid_sample(samples, grid, align_corners=False)
    leg = (samples > 0).float()
    gamma, scale = 1 + drawn(LARGEST_GAMMA), 1 + drawn(0.12)
    samples = scale[:, None, None, None] * samples.clamp_min(1e-4) ** gamma[:, None, None, None]
    noise = torch.randn(samples.shape, generator=generator) * drawn(LARGEST_NOISE).abs()[:, None, None, None]
    return ((samples + noise).clamp(0, BRIGHTEST)) * leg
