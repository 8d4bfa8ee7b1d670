"""Muscle maps that a person drew: the segments or numbers of a file become labels of `structures`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..series.image_files import as_image
from ..series.segmentation_file import read_segmentation
from ..series.series import Series
from .structures import STRUCTURES, label_of


def read_label_map(path: Path, series: Series) -> np.ndarray:
    """(z, y, x) uint8 labels of `structures.STRUCTURES` on the grid of `series`, each of the nearest voxel.

    Segments are known by their names (`structures.label_of`), and those of other names are nothing of the map. Numbers
    without names are the labels themselves: 1 sartorius and so on, in the order of `STRUCTURES`.

    Raises:
        InputError: it cannot be read; its segments overlap, or none is a structure; or a number is that of none.
    """
    file = read_segmentation(path)
    if len(file.layers) > 1:
        raise InputError("Segments of a muscle map overlap; export it as a label map.")
    labels = {segment.value: label_of(segment.name) if file.named else segment.value for segment in file.segments}
    if not file.named and max(labels, default=0) > len(STRUCTURES):
        raise InputError(
            f"A muscle map without names holds the number {max(labels)}; its numbers go from 1 ({STRUCTURES[0]}) to "
            f"{len(STRUCTURES)} ({STRUCTURES[-1]})."
        )
    known = {value: label for value, label in labels.items() if label}
    if labels and not known:
        raise InputError(
            f"No segment of a muscle map is a muscle; name them {STRUCTURES[0]}, {STRUCTURES[1]} and so on."
        )
    drawn = np.zeros(file.layers.shape[1:], np.uint8)
    for value, label in known.items():
        drawn[file.layers[0] == value] = label
    grid = as_image(series.voxels, series.geometry)
    image = as_image(drawn, file.geometry)
    return sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor))
