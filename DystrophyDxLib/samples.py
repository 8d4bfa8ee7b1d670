"""Leg windows become network input, each remembering where in its window every sample pixel lies.

A sample is the leg alone (what is outside its mask is zero), in the canonical plane (rows to posterior, columns to the
patient's left), true to scale in both directions, centred in a square, with fat near 1 wherever the coil sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from .roi import PlaneOrientation, Window
from .series import Series

GRID = 56
"""Edge of the grid on which shading is estimated and tissue is judged."""
BRIGHTEST = 1.5
"""Ceiling of normalised intensity, so that inflowing blood does not dominate a sample."""


@dataclass(frozen=True)
class Placement:
    """Where a window lies in its sample, in the canonical plane.

    A window pixel centre (row, column) lies at sample coordinate `origin + scale * (row + 0.5, column + 0.5) - 0.5`.

    Attributes:
        shape: (rows, columns) of the window in the canonical plane.
        scale: sample pixels a window pixel, for rows and columns.
        origin: sample coordinate of the window's upper left corner, for rows and columns.
    """

    shape: tuple[int, int]
    scale: tuple[float, float]
    origin: tuple[int, int]

    def sample_coordinates(self, axis: int) -> np.ndarray:
        """Sample coordinates of the window's pixel centres along rows (axis 0) or columns (axis 1)."""
        return self.origin[axis] + self.scale[axis] * (np.arange(self.shape[axis]) + 0.5) - 0.5


@dataclass(frozen=True)
class SampleBatch:
    """Network input of some windows.

    Attributes:
        windows: the N windows, in order.
        placements: where each lies in its sample.
        pixels: (N, 1, size, size) float32, 0 outside the leg, fat about 1.
        grid: (N, GRID, GRID) float32, the same pixels averaged.
        inside: (N, GRID, GRID) bool, grid pixels wholly inside the leg.
    """

    windows: tuple[Window, ...]
    placements: tuple[Placement, ...]
    pixels: torch.Tensor
    grid: torch.Tensor
    inside: torch.Tensor


def make_samples(series: Series, windows: Sequence[Window], size: int) -> SampleBatch:
    """Samples of `windows`, all at once.

    Args:
        size: edge of the samples in pixels, a multiple of `GRID`.
    """
    plane = PlaneOrientation.of(series.geometry)
    spacing = series.geometry.spacing[:2] if plane.transposed else series.geometry.spacing[1::-1]
    legs = torch.zeros(len(windows), 2, size, size)
    placements = []
    for leg, window in zip(legs, windows, strict=True):
        image = plane.canonical(series.voxels[window.slice, slice(*window.j), slice(*window.i)])
        mask = plane.canonical(window.mask)
        placement = place(image.shape, spacing, size)
        shape = [round(pixels * scale) for pixels, scale in zip(image.shape, placement.scale, strict=True)]
        top, left = placement.origin
        masked = torch.from_numpy(np.stack([np.where(mask, image, 0), mask]).astype(np.float32))[None]
        leg[:, top : top + shape[0], left : left + shape[1]] = functional.interpolate(
            masked, shape, mode="bilinear", antialias=True
        )[0]
        placements.append(placement)
    signal, share = legs[:, :1], legs[:, 1:]
    pixels, grid, inside = _normalised(signal, share)
    return SampleBatch(tuple(windows), tuple(placements), pixels, grid, inside)


def place(shape: tuple[int, int], spacing: tuple[float, float], size: int) -> Placement:
    """The largest placement in a sample that is true to scale and centred.

    Args:
        shape: (rows, columns) of the window in the canonical plane.
        spacing: mm a pixel along rows and columns.
        size: edge of the sample in pixels.
    """
    extent = [pixels * mm for pixels, mm in zip(shape, spacing, strict=True)]
    filled = [max(1, round(size * length / max(extent))) for length in extent]
    return Placement(
        tuple(shape),
        tuple(pixels / n for pixels, n in zip(filled, shape, strict=True)),
        tuple((size - pixels) // 2 for pixels in filled),
    )


def _normalised(signal: torch.Tensor, share: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Divides each leg by the signal that fat would have at each place.

    Args:
        signal: (N, 1, size, size), zero outside the leg.
        share: the same shape, share of each pixel that is leg.
    """
    bins = signal.shape[-1] // GRID
    grid, covered = (functional.avg_pool2d(planes, bins)[:, 0] for planes in (signal, share))
    inside = covered > 0.999
    fat = _fat_signal(grid, inside)
    field = functional.interpolate(fat[:, None], signal.shape[-2:], mode="bilinear")
    pixels = (signal / field).clamp_(0, BRIGHTEST)
    return pixels, (grid / fat).clamp_(0, BRIGHTEST), inside


def _fat_signal(grid: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(N, GRID, GRID) signal that fat has, or would have, at each place: the coil's shading times the scanner's scale.

    Fat is the brightest tissue of a T1-weighted leg and lies all around it, so the shading is the upper envelope of the
    logarithm of the signal: a quadratic surface fitted by asymmetric least squares (Eilers and Boelens 2005), where
    pixels below the surface hardly count. Muscle that fat replaced stays bright: the surface cannot follow it.
    """
    position = torch.linspace(-1, 1, GRID)
    y, x = torch.meshgrid(position, position, indexing="ij")
    basis = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], dim=-1).reshape(-1, 6)
    brightest = grid.flatten(1).amax(dim=1).clamp_min(1e-6)[:, None]
    level = (grid.flatten(1) / brightest).clamp_min(1e-3).log()
    counted = inside.flatten(1).float()
    # A tissue that covers a leg only in part must not bend the surface: curvature has a price.
    ridge = torch.diag(torch.tensor([1e-6, 0.02, 0.02, 0.1, 0.1, 0.1]))
    weight = counted
    for _ in range(_FIT_STEPS):
        scaled = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-6)
        normal = torch.einsum("np,pa,pb->nab", scaled, basis, basis) + ridge
        right = torch.einsum("np,pa->na", scaled * level, basis)
        surface = torch.linalg.solve(normal, right) @ basis.T
        weight = counted * torch.where(level > surface, 1.0, _BELOW)
    # Where the leg is not, the surface is an extrapolation; half a decade is more shading than any coil shows.
    middle = torch.einsum("np,np->n", scaled, surface)[:, None]
    surface = surface.clamp(middle - 1.2, middle + 1.2)
    return (surface.exp() * brightest).reshape(grid.shape)


_FIT_STEPS = 8
_BELOW = 0.03
