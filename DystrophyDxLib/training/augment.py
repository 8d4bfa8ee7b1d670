"""Samples as other patients, positions and scanners would have given them.

A network taught on one kind of image, synthetic or one hospital's, must not lean on what only those images share. So
every sample is drawn anew in pose, shape, contrast, shading, sharpness, noise and field of view (domain randomisation,
Tobin et al., IROS 2017; for MRI Billot et al., Med Image Anal 2023;86:102789). What the diagnosis rests on, which
muscle holds how much fat and in what texture, survives all of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from ..models.training_recipe import AugmentationRecipe
from ..samples.slice_samples import BRIGHTEST, GRID, halved

UPRIGHT = 0.75
"""Share of samples turned by no more than `LARGEST_ROTATION`; the others lie any way round."""
LARGEST_ROTATION = np.deg2rad(25)
LARGEST_ZOOM = 0.12
LARGEST_STRETCH = 0.08
LARGEST_SHIFT = 0.06
LARGEST_BEND = 0.025
LARGEST_GAMMA = 0.45
LARGEST_SHADING = 0.22
SHARPEST = 0.4
"""How far edges are raised beyond the image, in parts of what blurring takes from them."""
LARGEST_NOISE = 0.07
CUT = 0.15
"""Share of samples that end at a straight border, as legs do that run out of the field of view."""


def augmented(samples: torch.Tensor, size: int, seeds: Sequence[int]) -> torch.Tensor:
    """Samples as drawn anew, at `size`. A mirrored leg is a leg of the other side. Outside the leg stays 0.

    Args:
        samples: (N, C, S, S) float32, see `samples.SampleBatch.pixels`; S is a multiple of `size`.
        seeds: one a sample, so that what is drawn for a sample does not depend on those beside it.
    """
    draw = Draw(seeds)
    samples = at_size(samples, size)
    samples = _moved(samples, draw)
    leg = (samples > 0.02).any(dim=1, keepdim=True)
    samples = _with_other_contrast(samples, draw)
    samples = with_other_sharpness(samples, draw)
    samples = samples + noise(size, samples.shape[1], draw)
    leg &= ~beyond_border(size, draw)
    return samples.clamp(0, BRIGHTEST) * leg


def slightly_changed(samples: torch.Tensor, size: int, how: AugmentationRecipe, seeds: Sequence[int]) -> torch.Tensor:
    """Samples enlarged, turned, shifted, mirrored and brightened within the bounds of a recipe, at `size`.

    Args:
        samples, seeds: as in `augmented`.
    """
    draw = Draw(seeds)
    samples = at_size(samples, size)
    zoom, factor = (low + draw.share() * (high - low) for low, high in (how.zoom, how.intensity))
    angle, zoom = draw.within(np.deg2rad(how.rotation_degrees)).flatten(), zoom.flatten()
    # The edge is 2 long in the coordinates of the grid.
    across, along = (draw.within(2 * how.shift).flatten() for _ in range(2))
    mirror = torch.where(draw.share().flatten() < 0.5, -1.0, 1.0) if how.mirror else torch.ones_like(angle)
    rows = [
        torch.stack([mirror * angle.cos() / zoom, -mirror * angle.sin() / zoom, across], dim=1),
        torch.stack([angle.sin() / zoom, angle.cos() / zoom, along], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(samples.shape), align_corners=False)
    return (factor * functional.grid_sample(samples, grid, align_corners=False)).clamp(0, BRIGHTEST)


class Draw:
    """Random numbers, each sample's own, shaped to multiply (N, C, size, size)."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def within(self, largest: float) -> torch.Tensor:
        """Uniform from -largest to largest."""
        return (self.share() * 2 - 1) * largest

    def share(self) -> torch.Tensor:
        """Uniform from 0 to 1."""
        return torch.cat([torch.rand(1, 1, 1, 1, generator=one) for one in self._generators])

    def uniform(self, *shape: int) -> torch.Tensor:
        """(N, *shape) uniform from 0 to 1."""
        return torch.stack([torch.rand(shape, generator=one) for one in self._generators])

    def normal(self, size: int, channels: int = 1) -> torch.Tensor:
        """(N, channels, size, size) standard normal noise."""
        return torch.cat([torch.randn(1, channels, size, size, generator=one) for one in self._generators])

    def field(self, cells: int, size: int, channels: int = 1) -> torch.Tensor:
        """(N, channels, size, size) smooth standard normal noise of cells x cells knots."""
        smooth = functional.interpolate(self.normal(cells, channels), 4 * cells, mode="bicubic", align_corners=True)
        return functional.interpolate(smooth, size, mode="bilinear", align_corners=True)


def at_size(samples: torch.Tensor, size: int) -> torch.Tensor:
    """(N, C, size, size) samples averaged over the pixels of each new pixel."""
    while samples.shape[-1] > size:
        samples = halved(samples.flatten(0, 1)).unflatten(0, samples.shape[:2])
    return samples


def _moved(samples: torch.Tensor, draw: Draw) -> torch.Tensor:
    size = samples.shape[-1]
    angle = torch.where(draw.share() < UPRIGHT, draw.within(LARGEST_ROTATION), draw.within(np.pi)).flatten()
    zoom, stretch = 1 + draw.within(LARGEST_ZOOM).flatten(), 1 + draw.within(LARGEST_STRETCH).flatten()
    mirror = torch.where(draw.share().flatten() < 0.5, -1.0, 1.0)
    shift = draw.within(LARGEST_SHIFT).flatten(), draw.within(LARGEST_SHIFT).flatten()
    across, along = zoom * stretch, zoom / stretch
    rows = [
        torch.stack([mirror * across * angle.cos(), -along * angle.sin(), shift[0]], dim=1),
        torch.stack([mirror * across * angle.sin(), along * angle.cos(), shift[1]], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(samples.shape), align_corners=False)
    bend = draw.field(5, size, channels=2) * (LARGEST_BEND / 2 * draw.share())
    return functional.grid_sample(samples, grid + bend.permute(0, 2, 3, 1), align_corners=False)


def _with_other_contrast(samples: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Another repetition and echo time bend the scale of greys; what shading was left over is other shading."""
    gamma, scale = 1 + draw.within(LARGEST_GAMMA), 1 + draw.within(0.15)
    shading = draw.field(3, samples.shape[-1]) * (LARGEST_SHADING / 2 * draw.share())
    return scale * shading.exp() * samples.clamp_min(1e-4) ** gamma


def with_other_sharpness(samples: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Between the sample blurred and the sample with edges raised."""
    blurred = functional.interpolate(at_size(samples, GRID), samples.shape[-1], mode="bilinear")
    return torch.lerp(samples, blurred, draw.share() * (1 + SHARPEST) - SHARPEST)


def noise(size: int, channels: int, draw: Draw) -> torch.Tensor:
    """White noise in some samples, noise of interpolated images in others."""
    white = draw.normal(size, channels)
    coarse = functional.interpolate(draw.normal(size // 2, channels), size, mode="bilinear") * 1.5
    share = draw.share()
    return torch.where(share < 0.5, white, coarse) * (LARGEST_NOISE * draw.share() ** 2)


def beyond_border(size: int, draw: Draw) -> torch.Tensor:
    """(N, 1, size, size) bool, what lies beyond a straight border, in `CUT` of the samples."""
    place = torch.linspace(-1, 1, size)
    angle = draw.share() * (2 * np.pi)
    depth = place[:, None] * angle.sin() + place * angle.cos()
    border = torch.where(draw.share() < CUT, 0.35 + 0.5 * draw.share(), torch.tensor(2.0))
    return depth > border
