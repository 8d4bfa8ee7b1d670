"""Samples of legs as far other persons and scanners would have given them, for networks that shall carry over.

Shape and contrast change more than in `augment`, every leg gets a texture at several scales, some legs lose what water
gives to their greys, as fat images have none of it, and some have a part that looks like healthy muscle, so that no
single place can decide.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from ..samples.slice_samples import BRIGHTEST, GRID
from .augment import Draw, at_size, beyond_border, noise, with_other_sharpness

LARGEST_ROTATION = np.deg2rad(30)
LARGEST_ZOOM = 0.18
LARGEST_STRETCH = 0.1
LARGEST_SHIFT = 0.07
LARGEST_BEND = 0.04
LARGEST_GAMMA = 0.5
LARGEST_SHADING = 0.13
OFFSET = (-0.08, 0.25)
"""Grey that becomes black, in half of the legs; muscle in a T1-weighted leg has about 0.3."""
TEXTURES = (7, 14, 28, 56)
"""Cells of the textures along an edge."""
LARGEST_TEXTURE = 0.2
COARSE = 48
"""Edge of the coarsest pixels."""
HIDDEN = 0.3
"""Share of legs with a part that looks like healthy muscle."""


def widely_augmented(samples: torch.Tensor, size: int, seeds: Sequence[int]) -> torch.Tensor:
    """Samples as drawn anew, at `size`. A mirrored leg is a leg of the other side. Outside the leg stays 0.

    Args:
        samples: (N, C, S, S) float32, see `samples.SampleBatch.pixels`; S is a multiple of `size`.
        seeds: one a sample, so that what is drawn for a sample does not depend on those beside it.
    """
    return widely_augmented_with(samples, samples.new_zeros(len(samples), 0, GRID, GRID), size, seeds)[0]


def widely_augmented_with(
    samples: torch.Tensor, planes: torch.Tensor, size: int, seeds: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`widely_augmented`, with planes that are moved along.

    Args:
        planes: (N, P, GRID, GRID) float32.

    Returns:
        Samples (N, C, size, size), planes (N, P, GRID, GRID), and the share of each pixel of these (N, GRID, GRID) that
        is leg and neither hidden nor beyond a border.
    """
    draw = Draw(seeds)
    samples, planes = _moved(at_size(samples, size), planes, draw)
    leg = (samples > 0.02).any(dim=1, keepdim=True)
    samples = _as_coarse(_with_other_contrast(samples, draw), draw)
    samples = samples + noise(size, samples.shape[1], draw)
    hidden = (draw.field(6, size) > 0.9) & (draw.share() < HIDDEN)
    samples = torch.where(hidden, 0.15 + 0.25 * draw.share(), samples)
    leg &= ~beyond_border(size, draw)
    shown = functional.interpolate((leg & ~hidden).float(), GRID, mode="area")[:, 0]
    return samples.clamp(0, BRIGHTEST) * leg, planes, shown


def _moved(samples: torch.Tensor, planes: torch.Tensor, draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    angle, slant = draw.within(LARGEST_ROTATION).flatten(), draw.within(LARGEST_STRETCH).flatten()
    zoom, stretch = 1 + draw.within(LARGEST_ZOOM).flatten(), 1 + draw.within(LARGEST_STRETCH).flatten()
    mirror = torch.where(draw.share().flatten() < 0.5, -1.0, 1.0)
    shift = draw.within(LARGEST_SHIFT).flatten(), draw.within(LARGEST_SHIFT).flatten()
    across, along = zoom * stretch, zoom / stretch
    rows = [
        torch.stack([mirror * (across * angle.cos() + slant), -along * angle.sin(), shift[0]], dim=1),
        torch.stack([mirror * across * angle.sin(), along * angle.cos(), shift[1]], dim=1),
    ]
    matrices, bend = torch.stack(rows, dim=1), draw.field(5, GRID, channels=2)
    strength = draw.share() * LARGEST_BEND

    def moved(images: torch.Tensor) -> torch.Tensor:
        size = images.shape[-1]
        grid = functional.affine_grid(matrices, [len(images), 1, size, size], align_corners=False)
        bent = functional.interpolate(bend, size, mode="bilinear", align_corners=True) * strength
        return functional.grid_sample(images, grid + bent.permute(0, 2, 3, 1), align_corners=False)

    return moved(samples), moved(planes) if planes.shape[1] else planes


def _with_other_contrast(samples: torch.Tensor, draw: Draw) -> torch.Tensor:
    size, (low, high) = samples.shape[-1], OFFSET
    black = torch.where(draw.share() < 0.5, low + draw.share() * (high - low), torch.zeros(()))
    samples = ((samples - black) / (1 - black)).clamp_min(0.02)
    gamma, scale = 1 + draw.within(LARGEST_GAMMA), 1 + draw.within(0.2)
    texture = draw.field(3, size) * (LARGEST_SHADING * draw.share())
    for cells in TEXTURES:
        texture = texture + draw.field(cells, size) * (LARGEST_TEXTURE * draw.share() ** 2)
    return scale * texture.exp() * samples**gamma


def _as_coarse(samples: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Half of the samples as coarser pixels give them."""
    coarse = functional.interpolate(samples, COARSE, mode="area")
    coarse = functional.interpolate(coarse, samples.shape[-1], mode="bilinear")
    strength = (draw.share() * 2 - 1).clamp_min(0) * 0.8
    return with_other_sharpness(torch.lerp(samples, coarse, strength), draw)
