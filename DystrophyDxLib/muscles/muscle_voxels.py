"""`MuscleVoxels`: the voxels of a muscle map, sorted by muscle, side and slice, once for all that is told of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..regions.masks import eroded
from ..regions.windows import LABEL_OF_SIDE
from .slicewise import differing, renewed
from .structures import MUSCLES

RIM_MM = 1.0
"""Rim of a muscle that does not count where enough is left of it."""
_LEAST_CORE, _LEAST_PIXELS = 0.25, 10
"""Share and pixels of a muscle in a slice that must be left without its rim, else all of it counts."""
_PAIRS = ((None, -1), (1, None))
_SIDE_STEP = 1 << len(MUSCLES).bit_length()


@dataclass(frozen=True)
class MuscleVoxels:
    """The voxels of all muscles of a series, taken together by muscle, side and slice.

    Attributes:
        index: (N,) of the voxels in the flat volume, ascending.
        group: (N,) of each voxel, which muscle of which side in which slice it is of, times two; one more where it lies
            within its muscle and not on the rim.
        shape: sides, muscles and slices; the groups in this order.
        plane: rows and columns of a slice.
        labels, sides: (z, y, x) the map.
    """

    index: np.ndarray
    group: np.ndarray
    shape: tuple[int, int, int]
    plane: tuple[int, int]
    labels: np.ndarray
    sides: np.ndarray

    @classmethod
    def of(
        cls, labels: np.ndarray, sides: np.ndarray, pixel_mm: float, before: MuscleVoxels | None = None
    ) -> MuscleVoxels:
        """Of a map (z, y, x) with `LABEL_OF_SIDE` of each of its voxels.

        Args:
            before: of another map of the same pixels; slices that are the same are taken over.
        """
        if before is None or before.labels.shape != labels.shape:
            return cls._of_all(labels, sides, pixel_mm)
        anew = differing((labels, before.labels), (sides, before.sides))
        if not len(anew):
            return replace(before, labels=labels, sides=sides)
        own = cls._of_all(labels[anew], sides[anew], pixel_mm)
        muscle, n = np.divmod(own.group // 2, len(anew))
        group = 2 * (muscle * len(labels) + anew[n]) + own.group % 2
        index, group = renewed((before.index, before.group), (own.index, group.astype(np.int32)), anew, labels.shape)
        return cls(index, group, before.shape, before.plane, labels, sides)

    @classmethod
    def _of_all(cls, labels: np.ndarray, sides: np.ndarray, pixel_mm: float) -> MuscleVoxels:
        muscle = (labels > 0) & (labels <= len(MUSCLES)) & (sides > 0)
        key = (labels + np.uint8(_SIDE_STEP) * sides) * muscle
        inner = muscle.copy()
        for axis in (1, 2):
            one, other = (tuple(slice(*part) if n == axis else slice(None) for n in range(3)) for part in _PAIRS)
            same = key[one] == key[other]
            inner[one] &= same
            inner[other] &= same
        further = round(RIM_MM / pixel_mm) - 1
        if further > 0:
            inner = eroded(inner, further)
        shape = (len(LABEL_OF_SIDE), len(MUSCLES), len(labels))
        number = np.zeros(256, np.int32)
        for side, muscles in enumerate(np.arange(shape[0] * shape[1]).reshape(shape[:2]), 1):
            number[side * _SIDE_STEP + 1 :][: len(MUSCLES)] = muscles
        index = np.flatnonzero(muscle)
        of_slices = np.diff(np.searchsorted(index, np.arange(len(labels) + 1) * (labels.size // len(labels))))
        group = number[key.ravel()[index]] * len(labels) + np.repeat(np.arange(len(labels), dtype=np.int32), of_slices)
        return cls(index, 2 * group + inner.ravel()[index], shape, labels.shape[1:], labels, sides)

    @cached_property
    def counts(self) -> np.ndarray:
        """(sides, muscles, slices) number of voxels."""
        return self._counts.sum(axis=-1)

    @cached_property
    def counts_within(self) -> np.ndarray:
        """(sides, muscles, slices) number of the voxels away from the rim or, in slices where hardly any is, of all."""
        return self._within(self._counts)

    def counts_where(self, chosen: np.ndarray) -> np.ndarray:
        """(sides, muscles, slices) number of the voxels where `chosen` (N,) bool is true."""
        return self._sums(self.group[chosen]).sum(axis=-1)

    def means(self, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(sides, muscles, slices) each: means of a signal (N,) over the voxels that `counts_within` counts, and over
        all; nan where there is none."""
        sums = self._sums(self.group, signal)
        with np.errstate(invalid="ignore"):
            return self._within(sums) / self.counts_within, sums.sum(axis=-1) / self.counts

    def in_slice(self, side: int, muscle: int, k: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Numbers (n,) of the voxels of a muscle in a slice, and their rows and columns.

        Args:
            side, muscle: as in `shape`.
        """
        size = self.plane[0] * self.plane[1]
        first, last = np.searchsorted(self.index, [k * size, (k + 1) * size])
        wanted = np.ravel_multi_index((side, muscle, k), self.shape)
        numbers = first + np.flatnonzero(self.group[first:last] // 2 == wanted)
        rows, columns = np.unravel_index(self.index[numbers] - k * size, self.plane)
        return numbers, (rows, columns)

    def within_muscles(self, muscles: np.ndarray) -> np.ndarray:
        """(n,) numbers of the voxels of some muscles away from the rim; of all of them where hardly any is.

        Args:
            muscles: numbers, each side's muscles after those of the side before.
        """
        chosen = np.zeros((self.shape[0] * self.shape[1], self.shape[2], 2), bool)
        chosen[muscles, :, 1] = True
        core = np.flatnonzero(chosen.ravel()[self.group])
        if len(core) >= _LEAST_PIXELS:
            return core
        chosen[muscles] = True
        return np.flatnonzero(chosen.ravel()[self.group])

    def totals(self, signal: np.ndarray) -> np.ndarray:
        """(sides, muscles) sum of a signal (N,) of each muscle."""
        return self._sums(self.group, signal).sum(axis=(2, 3))

    @cached_property
    def _counts(self) -> np.ndarray:
        return self._sums(self.group)

    def _within(self, sums: np.ndarray) -> np.ndarray:
        """(sides, muscles, slices) of (…, rim and core): that of the core or, where hardly any voxel is, both."""
        cores = self._counts[..., 1]
        enough = cores >= np.maximum(_LEAST_PIXELS, _LEAST_CORE * self.counts)
        return np.where(enough, sums[..., 1], sums.sum(axis=-1))

    def _sums(self, group: np.ndarray, signal: np.ndarray | None = None) -> np.ndarray:
        """(sides, muscles, slices, rim and core) number of voxels, or sum of a signal."""
        shape = (*self.shape, 2)
        return np.bincount(group, signal, int(np.prod(shape))).reshape(shape)
