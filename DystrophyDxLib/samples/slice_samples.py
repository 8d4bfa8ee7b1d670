"""Windows become network input, each remembering where in its window every sample pixel lies.

A sample is the window alone (what is outside its mask is zero), in the canonical plane (rows to posterior, columns to
the patient's left), true to scale in both directions, centred in a square. In a leg fat is near 1 wherever the coil
sees it; the greys of other regions are those of `window_level`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch.nn import functional

from ..errors import InputError
from ..models.recipe import ChannelRecipe, SampleRecipe
from ..regions.windows import AnyWindow, Window
from ..series.plane_orientation import PlaneOrientation
from ..series.series import Series
from .placement import Placement, place, resampling_weights

GRID = 56
"""Edge of the grid on which shading is estimated and tissue is judged."""
MEDIAN = 0.3
"""Normalised median of a channel beside the first: as muscle in the first, so that five times as bright is seen."""
BRIGHTEST = 1.5
"""Ceiling of normalised intensity, so that inflowing blood does not dominate a sample."""
DIXON = ("DIXON_FAT", "DIXON_WATER", "DIXON_FF")
"""Names of channels that must agree where a recipe has all three, fat first."""
CONTRADICTION = 0.5
"""Median difference of a fat fraction from fat / (fat + water) that contradicts them; about 0.9 where these two are
exchanged (our choice)."""
LEAST_FRACTION = 0.1
"""What the largest value of a fraction reaches: fat under the skin, and grey matter, are near 1 (our choice)."""
WINDOW = (0.01, 0.99)
"""Shares of a window's pixels that are darker than its grey window begins and ends (our choice)."""


@dataclass(frozen=True)
class SampleBatch:
    """Network input of some windows.

    Attributes:
        windows: the N windows, in order.
        placements: where each lies in its sample.
        pixels: (N, planes, size, size) float32, 0 outside the window's mask.
    """

    windows: tuple[AnyWindow, ...]
    placements: tuple[Placement, ...]
    pixels: torch.Tensor


@dataclass(frozen=True)
class LegBatch(SampleBatch):
    """Network input of some legs, with what their quality is judged on; see `make_samples` for the greys.

    Attributes:
        windows: see `SampleBatch`; each of one slice.
        own: number of the plane that is the first channel in the window's own slice.
        grid: (N, GRID, GRID) float32, the pixels of that plane averaged.
        inside: (N, GRID, GRID) bool, grid pixels wholly inside the leg.
    """

    windows: tuple[Window, ...]
    own: int
    grid: torch.Tensor
    inside: torch.Tensor


def make_squares(series: Series, windows: Sequence[Window], recipe: SampleRecipe) -> SampleBatch:
    """Samples of squares or whole slices, all at once, in the greys of `window_level`."""
    volumes = [series.voxels, *(series.further[name] for name in recipe.further)]
    planes, placements = _cut(series, volumes, windows, recipe.size, recipe.slices, recipe.extent_mm)
    covered, *signals = torch.from_numpy(planes)
    pixels = [window_level(signal, covered > _WHOLE) for signal in signals]
    return SampleBatch(tuple(windows), placements, torch.stack(pixels, dim=1))


def check_fraction(name: str, voxels: np.ndarray) -> None:
    """Raises an `InputError` when a channel that is to be a fraction is in percent, or another map."""
    if voxels.max() > BRIGHTEST or voxels.min() < -LEAST_FRACTION:
        raise InputError(f"The channel {name} is no fraction from 0 to 1; divide it by 100 if it is in percent.")
    if voxels.max() < LEAST_FRACTION:
        raise InputError(
            f"The channel {name} is no fraction from 0 to 1, of which it reaches {voxels.max():.2g} alone; check which "
            "map is which."
        )


def check_dixon(series: Series, windows: Sequence[Window], recipe: SampleRecipe) -> None:
    """Raises an `InputError` when the channels `DIXON` contradict each other in the windows: most often fat and water
    are exchanged, which no other channel would show."""
    if not windows or recipe.channels[0].name != DIXON[0] or not set(DIXON[1:]) <= set(recipe.further):
        return
    volumes = (series.voxels, *(series.further[name] for name in DIXON[1:]))
    fat, water, fraction = (
        np.concatenate([volume[window.box][window.mask] for window in windows]).astype(np.float32) for volume in volumes
    )
    both = fat + water
    tissue = both > both.mean() / 2
    if tissue.any() and np.median(np.abs(fat[tissue] / both[tissue] - fraction[tissue])) > CONTRADICTION:
        raise InputError("DIXON_FAT, DIXON_WATER and DIXON_FF contradict each other; check which series is which.")


def window_level(signals: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Greys of a window set on each plane's own pixels: 0 and 1 are the signals that the shares `WINDOW` of them do not
    reach. What is darker is 0; what is brighter is over range and still seen as such, up to `BRIGHTEST`.

    Args:
        signals: (N, size, size).
        inside: the same shape, bool; what is outside becomes 0.
    """
    ends = [
        torch.quantile(plane[mask], torch.tensor(WINDOW)) if mask.any() else torch.tensor([0.0, 1.0])
        for plane, mask in zip(signals, inside, strict=True)
    ]
    low, high = torch.stack(ends)[:, :, None, None].unbind(dim=1)
    return ((signals - low) / (high - low).clamp_min(1e-6)).clamp(0, BRIGHTEST) * inside


def make_samples(
    series: Series,
    windows: Sequence[Window],
    size: int,
    further: Sequence[ChannelRecipe] = (),
    slices: int = 1,
) -> LegBatch:
    """Samples of legs, all at once.

    The first channel has fat near 1 at every place. A further one is divided by the same, and then as its scale says.

    Args:
        size: edge of the samples in pixels, `GRID` times a power of two.
        further: channels beside the first, which `series.further` holds.
        slices: consecutive ones that are stacked, see `recipe.SampleRecipe`. All are cut by the window's mask.

    Raises:
        InputError: a channel that is to be a fraction is none.
    """
    for channel in further:
        if channel.scale == "fraction":
            check_fraction(channel.name, series.further[channel.name])
    volumes = [series.voxels, *(series.further[channel.name] for channel in further)]
    legs, placements = _cut(series, volumes, windows, size, slices)
    share, *signals = torch.from_numpy(legs[:, :, None])
    scales = [scale for scale in ("fat", *(channel.scale for channel in further)) for _ in range(slices)]
    own = slices // 2
    pixels, grid, inside = _normalised(signals, share, scales, own)
    return LegBatch(tuple(windows), placements, pixels, own, grid, inside)


def _cut(
    series: Series,
    volumes: Sequence[np.ndarray],
    windows: Sequence[Window],
    size: int,
    slices: int,
    extent_mm: float | None = None,
) -> tuple[np.ndarray, tuple[Placement, ...]]:
    """(1 + planes, N, size, size) of `windows`: the share of each pixel that is inside, then the signal inside of the
    slices of each volume; and where the windows lie in them.
    """
    plane = PlaneOrientation.of(series.geometry)
    planes = np.zeros((len(volumes) * slices + 1, len(windows), size, size), np.float32)
    beside = range(-(slices // 2), slices // 2 + 1)
    placements = []
    for n, window in enumerate(windows):
        mask = plane.canonical(window.mask)
        stack = [min(max(window.slice + step, 0), len(series.voxels) - 1) for step in beside]
        images = [plane.canonical(voxels[k, slice(*window.j), slice(*window.i)]) for voxels in volumes for k in stack]
        placement = place(mask.shape, plane.pixel_mm(series.geometry), size, extent_mm)
        by_row, by_column = map(resampling_weights, placement.scale, placement.shape)
        (top, left), (rows, columns) = placement.origin, (by_row.shape[0], by_column.shape[0])
        shown = (mask.astype(np.float32), *(image * mask for image in images))
        for target, values in zip(planes, shown, strict=True):
            target[n, top : top + rows, left : left + columns] = (by_column @ (by_row @ values).T).T
        placements.append(placement)
    return planes, tuple(placements)


def _normalised(
    signals: Sequence[torch.Tensor], share: torch.Tensor, scales: Sequence[str], own: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Divides each leg by the signal that fat would have at each place in the first channel's window.

    Args:
        signals: of each plane (N, 1, size, size), zero outside the leg.
        share: the same shape, share of each pixel that is leg.
        scales: of each plane.
        own: see `SampleBatch`.
    """
    grid, covered = (_on_grid(planes[:, 0]) for planes in (signals[own], share))
    inside = covered > _WHOLE
    fat = _fat_signal(grid, inside)
    field = functional.interpolate(fat[:, None], share.shape[-2:], mode="bilinear")
    pixels = []
    for signal, scale in zip(signals, scales, strict=True):
        even = signal if scale == "fraction" else signal / field
        pixels.append(even / _medians(even, share > _WHOLE) if scale == "median" else even)
    return torch.cat([channel.clamp_(0, BRIGHTEST) for channel in pixels], 1), (grid / fat).clamp_(0, BRIGHTEST), inside


def _medians(planes: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(N, 1, 1, 1) what each plane is divided by so that the median over its pixels inside is `MEDIAN`."""
    pairs = zip(planes, inside, strict=True)
    levels = [plane[mask].median() if mask.any() else plane.new_ones(()) for plane, mask in pairs]
    return (torch.stack(levels).clamp_min(1e-6) / MEDIAN)[:, None, None, None]


def halved(planes: torch.Tensor) -> torch.Tensor:
    """(N, size / 2, size / 2) mean of each 2 x 2 pixels; several times faster than a pooling layer."""
    rows = planes[:, 0::2] + planes[:, 1::2]
    return (rows[:, :, 0::2] + rows[:, :, 1::2]) / 4


def _on_grid(planes: torch.Tensor) -> torch.Tensor:
    """(N, GRID, GRID) mean over the pixels of each grid pixel."""
    while planes.shape[-1] > GRID:
        planes = halved(planes)
    return planes


def _fat_signal(grid: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(N, GRID, GRID) signal that fat has, or would have, at each place: the coil's shading times the scanner's scale.

    Fat is the brightest tissue of a T1-weighted leg and lies all around it, so the shading is the upper envelope of the
    logarithm of the signal: a quadratic surface fitted by asymmetric least squares (Eilers and Boelens 2005), where
    pixels below the surface hardly count. Muscle that fat replaced stays bright: the surface cannot follow it.
    """
    # In double precision, in which the order of a sum does not show: a sample must not depend on those beside it.
    coarse, covered = (functional.avg_pool2d(planes[:, None].double(), 2).flatten(1) for planes in (grid, inside))
    counted = (covered == 1).double()
    basis = _quadratic_basis(GRID // 2)
    products = _products(GRID // 2)
    brightest = coarse.amax(dim=1, keepdim=True).clamp_min(1e-6)
    level = (coarse / brightest).clamp_min(1e-3).log()
    # A tissue that covers a leg only in part must not bend the surface: slope and curvature have a price.
    ridge = torch.diag(torch.tensor([1e-6, 0.02, 0.02, 0.1, 0.1, 0.1], dtype=torch.float64))
    weight = counted
    for _ in range(_FIT_STEPS):
        weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-6)
        factors = torch.linalg.solve((weight @ products).reshape(-1, 6, 6) + ridge, (weight * level) @ basis)
        weight = counted * torch.where(level > factors @ basis.T, 1.0, _BELOW)
    surface = factors @ _quadratic_basis(GRID).T
    middle = (weight * (factors @ basis.T)).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True).clamp_min(1e-6)
    # Where the leg is not, the surface is an extrapolation; half a decade is more shading than any coil shows.
    surface = surface.clamp(middle - 1.2, middle + 1.2)
    return (surface.exp() * brightest).reshape(grid.shape).float()


@cache
def _products(edge: int) -> torch.Tensor:
    """(edge * edge, 36) products of each two terms of `_quadratic_basis`."""
    basis = _quadratic_basis(edge)
    return (basis[:, :, None] * basis[:, None, :]).flatten(1)


@cache
def _quadratic_basis(edge: int) -> torch.Tensor:
    """(edge * edge, 6) of 1, x, y, x², xy, y² over a square from -1 to 1."""
    position = (torch.arange(edge, dtype=torch.float64) + 0.5) * (2 / edge) - 1
    y, x = torch.meshgrid(position, position, indexing="ij")
    return torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], dim=-1).reshape(-1, 6)


_WHOLE = 0.999
"""Share from which a pixel counts as wholly inside the leg."""
_FIT_STEPS = 8
_BELOW = 0.03
