"""Masks, all slices at once: grown, shrunk, filled, and taken apart into what hangs together."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

TOUCHING = np.array([[[0] * 3] * 3, [[1] * 3] * 3, [[0] * 3] * 3], bool)
"""Pixels of a slice that belong together also where only their corners touch, as a person's strokes do."""
IN_PLANE = np.array([[[0] * 3] * 3, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0] * 3] * 3], bool)


def holes_filled(masks: np.ndarray) -> np.ndarray:
    """Each slice with its background that does not reach the image border filled."""
    labels, count = ndimage.label(~masks, IN_PLANE)
    outside = np.zeros(count + 1, bool)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        outside[edge.ravel()] = True
    outside[0] = False
    return ~outside[labels]


def box_around(mask: np.ndarray) -> tuple[slice, slice] | None:
    """The smallest rows and columns that hold all of a mask (rows, columns); None of an empty one.

    >>> box_around(np.array([[False, False, False], [False, True, True]]))
    (slice(1, 2, None), slice(1, 3, None))
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def connected_parts(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of the connected parts of each slice, and slice and area in pixels of each label (0: the background)."""
    labels, count = ndimage.label(masks, IN_PLANE)
    slices = np.array([0, *(box[0].start for box in ndimage.find_objects(labels))])
    return labels, slices, np.bincount(labels.ravel(), minlength=count + 1)


def largest_parts(masks: np.ndarray) -> np.ndarray:
    """The largest connected part of each slice."""
    labels, slices, areas = connected_parts(masks)
    by_slice = 1 + np.lexsort((areas[1:], slices[1:]))
    keep = np.zeros(len(areas), bool)
    keep[by_slice[np.append(np.diff(slices[by_slice]) > 0, True)[: len(by_slice)]]] = True
    return keep[labels]


def eroded(masks: np.ndarray, pixels: int) -> np.ndarray:
    """In-plane erosion by an octagon; beyond the image there is no tissue."""
    masks = np.ascontiguousarray(masks)
    columns = masks.shape[-1]
    for step in range(pixels):
        shrunk = masks.copy()
        flat, source = shrunk.reshape(-1), masks.reshape(-1)
        # Whole volumes are shifted at once: what comes over an edge falls on the border, of which nothing stays.
        flat[columns:] &= source[:-columns]
        flat[:-columns] &= source[columns:]
        if step % 2:
            source = flat.copy()
        flat[1:] &= source[:-1]
        flat[:-1] &= source[1:]
        shrunk[..., [0, -1], :] = False
        shrunk[..., [0, -1]] = False
        masks = shrunk
    return masks


def dilated(masks: np.ndarray, pixels: int) -> np.ndarray:
    """In-plane dilation by an octagon: crosses and squares in turn."""
    for step in range(pixels):
        grown = masks.copy()
        grown[..., 1:, :] |= masks[..., :-1, :]
        grown[..., :-1, :] |= masks[..., 1:, :]
        source = grown.copy() if step % 2 else masks
        grown[..., :, 1:] |= source[..., :, :-1]
        grown[..., :, :-1] |= source[..., :, 1:]
        masks = grown
    return masks


def opened(masks: np.ndarray, pixels: int) -> np.ndarray:
    return dilated(eroded(masks, pixels), pixels)
