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
from .slicewise import differing, renewed
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
        fat: under the skin.
    """

    exponents: tuple[tuple[int, int, int], ...]
    weights: np.ndarray
    spread: float
    of_marrow: bool = False
    fat: FatUnderSkin | None = None

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


@dataclass(frozen=True)
class FatUnderSkin:
    """Where fat lies under the skin of legs.

    Attributes:
        index: (N,) of the voxels in the flat volume, ascending.
        named: whether the labels name it; else it is what they do not name of the legs.
        labels: (z, y, x) labels of `STRUCTURES`.
        legs: (z, y, x) bool.
    """

    index: np.ndarray
    named: bool
    labels: np.ndarray
    legs: np.ndarray

    @classmethod
    def of(
        cls, series: Series, labels: np.ndarray, legs: np.ndarray, before: FatUnderSkin | None = None
    ) -> FatUnderSkin:
        """Of a series.

        Args:
            before: of the same voxels; slices that are the same are taken over.
        """
        skin = _pixels(series, SKIN_MM)
        named = bool((labels == SUBCUTANEOUS_FAT).any())

        def lies(slices: np.ndarray | slice) -> np.ndarray:
            own, inside = labels[slices], eroded(legs[slices], skin)
            under_skin = eroded(own == SUBCUTANEOUS_FAT, 1) if named else ~dilated(own > 0, 1)
            return np.flatnonzero(under_skin & inside & (series.voxels[slices] > 0))

        if before is None or before.named != named or before.labels.shape != labels.shape:
            return cls(lies(slice(None)), named, labels, legs)
        anew = differing((labels, before.labels), (legs, before.legs))
        (index,) = renewed((before.index,), (lies(anew),), anew, labels.shape)
        return cls(index, named, labels, legs)


def fat_field(
    series: Series, labels: np.ndarray, legs: np.ndarray, before: FatUnderSkin | None = None
) -> FatField | None:
    """The field of the fat under the skin or, where none is in view, of the marrow of the femur; None without either.

    Args:
        labels: (z, y, x) labels of `STRUCTURES`. Where they name no subcutaneous fat, it is sought in what they do not
            name of the legs.
        legs: (z, y, x) bool.
        before: see `FatUnderSkin.of`.
    """
    i_mm, j_mm, _ = series.geometry.spacing
    slices = max(1, int(legs.reshape(len(legs), -1).any(axis=1).sum()))
    fat = FatUnderSkin.of(series, labels, legs, before)
    fat_cm2 = len(fat.index) * i_mm * j_mm / 100 / slices
    if fat_cm2 >= THIN_FAT_CM2:
        return _fitted(series.voxels, fat, fat.index, _exponents(len(labels)))
    marrow = eroded(labels == FEMUR, _pixels(series, CORTEX_MM)) & (series.voxels > 0)
    if fat_cm2 >= LEAST_FAT_CM2:
        return _fitted(series.voxels, fat, fat.index, _exponents(len(labels))).at_least(series.voxels, marrow)
    if np.count_nonzero(marrow) * i_mm * j_mm >= 100 * LEAST_MARROW_CM2 * slices:
        both = np.union1d(fat.index, np.flatnonzero(marrow))
        return replace(_fitted(series.voxels, fat, both, _PLANE), of_marrow=True)
    return None


def _pixels(series: Series, depth_mm: float) -> int:
    return max(1, round(depth_mm / min(series.geometry.spacing[:2])))


def _fitted(
    voxels: np.ndarray, fat: FatUnderSkin, index: np.ndarray, exponents: tuple[tuple[int, int, int], ...]
) -> FatField:
    """The field through the brighter of some voxels, by least squares on those that lie close to it.

    Args:
        index: (N,) of the voxels in the flat volume, ascending.
    """
    index = index[:: max(1, len(index) // _MOST_PIXELS)]
    logs = np.log(voxels.ravel()[index].astype(float))
    places = np.unravel_index(index, voxels.shape)
    z, y, x = (_powers(size)[place] for size, place in zip(voxels.shape, places, strict=True))
    terms = np.stack([z[:, c] * y[:, b] * x[:, a] for c, b, a in exponents], axis=1)
    kept = logs > np.percentile(logs, 90) + np.log(0.6)
    both = np.column_stack([terms, logs])
    products = (both * kept[:, None]).T @ both
    for _ in range(_ROUNDS):
        weights = _solved(products)
        close = np.abs(logs - terms @ weights) < _CLOSE
        turned = np.flatnonzero(close != kept)
        if np.count_nonzero(close) < 2 * len(exponents) or not len(turned):
            break
        rows = both[turned]
        products += (rows * np.where(close[turned], 1, -1)[:, None]).T @ rows  # hardly any, after some rounds
        kept = close
    return FatField(exponents, weights, float(np.std((logs - terms @ weights)[kept])), fat=fat)


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


def _solved(products: np.ndarray) -> np.ndarray:
    """Weights of least squares; those of all but the constant stay small where nothing tells them.

    Args:
        products: (terms + 1, terms + 1) sums, over what is kept, of the products of the terms, the first of which is 1,
            and last the logs.
    """
    count = products[0, 0]
    middle = products[0, -1] / count
    ridge = _RIDGE * count * np.eye(len(products) - 1)
    ridge[0, 0] = 0
    weights = np.linalg.solve(products[:-1, :-1] + ridge, products[:-1, -1] - middle * products[:-1, 0])
    weights[0] += middle
    return weights
