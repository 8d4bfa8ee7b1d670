"""What pure fat and healthy muscle look like in a T1-weighted series, by the series itself.

The coil makes tissue brighter in one place than in another. What fat gives at each place is a smooth field through the
fat under the skin, and signals relative to it no longer depend on where they lie. Healthy muscle is the darkest of what
the muscle map holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..regions.masks import dilated, eroded
from ..series.series import Series
from .structures import FEMUR, SUBCUTANEOUS_FAT

SKIN_MM, CORTEX_MM = 3.0, 5.0
"""Depths to which a leg is skin and a femur cortical bone."""
LEAST_FAT_CM2, THIN_FAT_CM2 = 1.0, 4.0
"""Areas of fat a slice from which it tells what fat gives, and up to which marrow has a say (our choice)."""
LEAST_MARROW_CM2 = 0.3
"""The same of marrow."""
_MOST_PIXELS = 20_000
_CLOSE = 0.18
"""Log signal around the field within which a pixel is fat, and not a vessel, fascia or muscle."""
_ROUNDS = 12
_RIDGE = 1e-3
_PLANE = ((0, 0, 0), (0, 0, 1), (0, 1, 0))
"""Exponents of what few places tell."""
_LEAST_MARROW = 12


@dataclass(frozen=True)
class FatField:
    """What fat gives at each place: the exponential of a polynomial of the position.

    Attributes:
        exponents: of (z, y, x), each term's.
        weights: of the terms.
        spread: relative SD of the fat around the field.
        of_marrow: whether it is of the femur's marrow, as no fat under the skin is in view.
    """

    exponents: tuple[tuple[int, int, int], ...]
    weights: np.ndarray
    spread: float
    of_marrow: bool = False

    def relative(self, voxels: np.ndarray, index: np.ndarray) -> np.ndarray:
        """(N,) float32 signals relative to what fat gives at their places.

        Args:
            voxels: (z, y, x).
            index: (N,) of some of them in the flat volume, ascending.
        """
        z, y, x = (_powers(size) for size in voxels.shape)
        size = len(y) * len(x)
        ends = np.searchsorted(index, np.arange(len(z) + 1) * size)
        relative = voxels.ravel()[index].astype(np.float32)
        for k, of_slice in enumerate(z):
            plane = np.zeros((y.shape[1], x.shape[1]))
            for (c, b, a), weight in zip(self.exponents, self.weights, strict=True):
                plane[b, a] += weight * of_slice[c]
            own = slice(ends[k], ends[k + 1])
            relative[own] *= np.exp(-(y @ plane @ x.T).ravel()[index[own] - k * size])
        return relative

    def at_least(self, voxels: np.ndarray, marrow: np.ndarray) -> FatField:
        """The same or, where the marrow at `marrow` (z, y, x) bool gives more, brighter: thin fat is full of partial
        volume. A child's red marrow gives less, which tells nothing."""
        index = np.flatnonzero(marrow)
        if len(index) < _LEAST_MARROW:
            return self
        brighter = max(1.0, float(np.median(self.relative(voxels, index))))
        return replace(self, weights=self.weights + np.log(brighter) * np.eye(1, len(self.weights))[0])


def fat_field(series: Series, labels: np.ndarray, legs: np.ndarray) -> FatField | None:
    """The field of the fat under the skin or, where none is in view, of the marrow of the femur; None without either.

    Args:
        labels: (z, y, x) labels of `STRUCTURES`. Where they name no subcutaneous fat, it is sought in what they do not
            name of the legs.
        legs: (z, y, x) bool.
    """
    i_mm, j_mm, _ = series.geometry.spacing
    slices = max(1, int(legs.reshape(len(legs), -1).any(axis=1).sum()))
    skin, cortex = (max(1, round(depth / min(i_mm, j_mm))) for depth in (SKIN_MM, CORTEX_MM))
    named = labels == SUBCUTANEOUS_FAT
    under_skin = (eroded(named, 1) if named.any() else ~dilated(labels > 0, 1)) & eroded(legs, skin)
    fat = under_skin & (series.voxels > 0)
    fat_cm2 = np.count_nonzero(fat) * i_mm * j_mm / 100 / slices
    if fat_cm2 >= THIN_FAT_CM2:
        return _fitted(series.voxels, fat, _exponents(len(labels)))
    marrow = eroded(labels == FEMUR, cortex) & (series.voxels > 0)
    if fat_cm2 >= LEAST_FAT_CM2:
        return _fitted(series.voxels, fat, _exponents(len(labels))).at_least(series.voxels, marrow)
    if np.count_nonzero(marrow) * i_mm * j_mm >= 100 * LEAST_MARROW_CM2 * slices:
        return replace(_fitted(series.voxels, fat | marrow, _PLANE), of_marrow=True)
    return None


def _fitted(voxels: np.ndarray, fat: np.ndarray, exponents: tuple[tuple[int, int, int], ...]) -> FatField:
    """The field through the brighter voxels of `fat` (z, y, x) bool, by least squares on those that lie close to it."""
    index = np.flatnonzero(fat)
    index = index[:: max(1, len(index) // _MOST_PIXELS)]
    logs = np.log(voxels.ravel()[index].astype(float))
    places = np.unravel_index(index, voxels.shape)
    z, y, x = (_powers(size)[place] for size, place in zip(voxels.shape, places, strict=True))
    terms = np.stack([z[:, c] * y[:, b] * x[:, a] for c, b, a in exponents], axis=1)
    kept = logs > np.percentile(logs, 90) + np.log(0.6)
    for _ in range(_ROUNDS):
        weights = _solved(terms, logs, kept)
        close = np.abs(logs - terms @ weights) < _CLOSE
        if np.count_nonzero(close) < 2 * len(exponents) or (close == kept).all():
            break
        kept = close
    return FatField(exponents, weights, float(np.std((logs - terms @ weights)[kept])))


def _exponents(slices: int) -> tuple[tuple[int, int, int], ...]:
    """Of second degree, in the plane of third; along the slices no more than their number can tell."""
    return tuple(
        (c, b, a)
        for c in range(min(3, slices))
        for b in range(4)
        for a in range(4)
        if a + b + c <= (2 if c else 3) and (not c or slices > 2 or a + b == 0)
    )


def _powers(size: int) -> np.ndarray:
    """(size, 4) powers of the position along an axis, from −1 to 1."""
    return np.linspace(-1, 1, size)[:, None] ** np.arange(4) if size > 1 else np.eye(1, 4)


def _solved(terms: np.ndarray, logs: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Weights of least squares of what is kept; those of all but the constant stay small where nothing tells them."""
    count, middle = np.count_nonzero(kept), logs[kept].mean()
    ridge = _RIDGE * count * np.eye(terms.shape[1])
    ridge[0, 0] = 0
    own = terms * kept[:, None]
    weights = np.linalg.solve(own.T @ terms + ridge, own.T @ (logs - middle))
    weights[0] += middle
    return weights
