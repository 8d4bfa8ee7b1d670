"""Label maps become samples that lie on those of the images."""

from __future__ import annotations

import numpy as np

from ..series.plane_orientation import PlaneOrientation
from ..series.series import Geometry
from .placement import resampling_weights
from .slice_samples import SampleBatch


def make_label_samples(geometry: Geometry, labels: np.ndarray, batch: SampleBatch) -> np.ndarray:
    """(N, size, size) uint8: of each pixel of a sample the label that most of its window's pixels have.

    Args:
        geometry: of the series.
        labels: (z, y, x) uint8 on its grid.
        batch: samples of windows of one slice each.
    """
    plane, size = PlaneOrientation.of(geometry), batch.pixels.shape[-1]
    samples = np.zeros((len(batch.windows), size, size), np.uint8)
    for sample, window, placement in zip(samples, batch.windows, batch.placements, strict=True):
        drawn = plane.canonical(labels[window.box] * window.mask)
        there = np.unique(drawn)
        by_row, by_column = map(resampling_weights, placement.scale, placement.shape)
        votes = [(by_column @ (by_row @ (drawn == label).astype(np.float32)).T).T for label in there]
        (top, left), (rows, columns) = placement.origin, votes[0].shape
        sample[top : top + rows, left : left + columns] = there[np.argmax(votes, axis=0)]
    return samples
