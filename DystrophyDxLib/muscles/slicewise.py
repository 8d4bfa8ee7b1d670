"""What was found slice by slice: where little has changed, most of it is taken over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def differing(*pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(n,) numbers of the slices in which the arrays (z, y, x) of any pair differ.

    >>> differing((np.zeros((3, 1, 2)), np.array([[[0, 0]], [[0, 1]], [[0, 0]]])))
    array([1])
    """
    return np.flatnonzero(np.any([(one != other).any(axis=(1, 2)) for one, other in pairs], axis=0))


def renewed(
    before: Sequence[np.ndarray], own: Sequence[np.ndarray], anew: np.ndarray, shape: tuple[int, ...]
) -> list[np.ndarray]:
    """Facts of voxels of a volume, those in some slices replaced.

    Args:
        before: (N,) each; the first is the index of the voxels in the flat volume, ascending.
        own: the same of the slices `anew`, the index in these slices alone.
        shape: (z, y, x) of the volume.

    >>> renewed([np.array([1, 2, 5])], [np.array([0])], np.array([1]), (3, 1, 2))
    [array([1, 2, 5])]
    >>> renewed([np.array([1, 2, 5])], [np.array([0, 1])], np.array([1]), (3, 1, 2))
    [array([1, 2, 3, 5])]
    """
    size = shape[1] * shape[2]
    index = own[0] + (anew - np.arange(len(anew)))[own[0] // size] * size
    ends, own_ends = (np.searchsorted(part, np.arange(shape[0] + 1) * size) for part in (before[0], index))
    is_new = np.isin(np.arange(shape[0]), anew)
    return [
        np.concatenate(
            [new[own_ends[k] : own_ends[k + 1]] if is_new[k] else old[ends[k] : ends[k + 1]] for k in range(shape[0])]
        )
        for old, new in zip(before, (index, *own[1:]), strict=True)
    ]
