"""Samples and their muscle maps as other persons, diseases and scanners would have given them.

Beside what `augment` draws anew, shape changes far more, and every muscle gets a fat fraction and a texture of its own:
a map must not lean on which disease replaces which muscle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from ..muscles.structures import MUSCLES, STRUCTURES
from ..samples.slice_samples import BRIGHTEST
from .augment import Draw, at_size, beyond_border, noise, with_other_sharpness

LARGEST_ROTATION = np.deg2rad(35)
LARGEST_ZOOM = 0.22
LARGEST_STRETCH = 0.12
LARGEST_SHIFT = 0.08
LARGEST_BEND = 0.10
LARGEST_GAMMA = 0.6
LARGEST_SHADING = 0.3
REFILLED = 0.5
"""Share of samples whose muscles get another fat fraction."""
INVERTED = 0.12
"""Share of samples with dark fat."""
MASSES = 0.1
"""Share of samples with a mass."""
TEXTURES = (7, 14, 28, 56)
"""Cells of the textures along an edge."""
LARGEST_TEXTURE = 0.22


def augmented_maps(
    samples: torch.Tensor, labels: torch.Tensor, size: int, seeds: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples and maps as drawn anew, at `size`. Outside the leg both stay 0.

    Args:
        samples: (N, 1, S, S) float32, see `samples.SampleBatch.pixels`; S is a multiple of `size`.
        labels: (N, S, S) uint8, labels of `muscles.structures`.
        seeds: one a sample, so that what is drawn for a sample does not depend on those beside it.
    """
    draw = Draw(seeds)
    samples, labels = _moved(
        at_size(samples, size), labels[:, :: labels.shape[-1] // size, :: labels.shape[-1] // size], draw
    )
    leg = (samples > 0.02) | (labels > 0)[:, None]
    samples = _refilled(samples, labels, draw)
    samples = _with_masses(samples, draw)
    samples = _with_other_contrast(samples, draw) * leg
    samples = _with_other_sharpness(samples, draw)
    samples = samples + noise(size, 1, draw)
    leg &= ~beyond_border(size, draw)
    return samples.clamp(0, BRIGHTEST) * leg, labels * leg[:, 0]


def _moved(samples: torch.Tensor, labels: torch.Tensor, draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    size = samples.shape[-1]
    angle = draw.within(LARGEST_ROTATION).flatten()
    zoom, stretch = 1 + draw.within(LARGEST_ZOOM).flatten(), 1 + draw.within(LARGEST_STRETCH).flatten()
    shift = draw.within(LARGEST_SHIFT).flatten(), draw.within(LARGEST_SHIFT).flatten()
    slant = draw.within(LARGEST_STRETCH).flatten()
    across, along = zoom * stretch, zoom / stretch
    rows = [
        torch.stack([across * angle.cos() + slant, -along * angle.sin(), shift[0]], dim=1),
        torch.stack([across * angle.sin(), along * angle.cos(), shift[1]], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(samples.shape), align_corners=False)
    strength = draw.share() * (LARGEST_BEND / 2)
    grid = grid + (draw.field(5, size, channels=2) * strength).permute(0, 2, 3, 1)
    moved = functional.grid_sample(samples, grid, align_corners=False)
    drawn = functional.grid_sample(labels[:, None].float(), grid, mode="nearest", align_corners=False)
    return moved, drawn[:, 0].to(torch.uint8)


def _refilled(samples: torch.Tensor, labels: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Muscles of some samples with another share of fat in each, from what muscle gives to what fat does."""
    level = samples.new_zeros(len(samples), len(STRUCTURES) + 1)
    amount = samples.new_zeros(len(samples), len(STRUCTURES) + 1)
    refilled = draw.share().flatten() < REFILLED
    spread = draw.share().flatten()
    drawn = draw.uniform(2, len(MUSCLES))
    level[:, 1 : len(MUSCLES) + 1] = 0.25 + 0.75 * (drawn[:, 0] ** (0.5 + 2 * spread[:, None]))
    amount[:, 1 : len(MUSCLES) + 1] = drawn[:, 1] * refilled[:, None]
    index = labels.long().flatten(1)
    level, amount = (values.gather(1, index).reshape(samples.shape) for values in (level, amount))
    return samples + amount * (level - samples)


def _with_masses(samples: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Some samples with something in them that has one grey."""
    there = draw.share() < MASSES
    field, grey = draw.field(4, samples.shape[-1]), 0.15 + draw.share()
    return torch.where(there & (field > 1.6), grey, samples)


def _with_other_contrast(samples: torch.Tensor, draw: Draw) -> torch.Tensor:
    size = samples.shape[-1]
    inverted = draw.share() < INVERTED
    samples = torch.where(inverted, (1.15 - samples).clamp_min(0.05), samples)
    gamma, scale = 1 + draw.within(LARGEST_GAMMA), 1 + draw.within(0.2)
    shading = draw.field(3, size) * (LARGEST_SHADING / 2 * draw.share())
    texture = sum(draw.field(cells, size) * (LARGEST_TEXTURE * draw.share() ** 2) for cells in TEXTURES)
    return scale * (shading + texture).exp() * samples.clamp_min(1e-4) ** gamma


def _with_other_sharpness(samples: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Half of the samples as coarser pixels give them."""
    coarse = functional.interpolate(samples, 40, mode="area")
    coarse = functional.interpolate(coarse, samples.shape[-1], mode="bilinear")
    strength = (draw.share() * 2 - 1).clamp_min(0) * 0.8
    return with_other_sharpness(torch.lerp(samples, coarse, strength), draw)
