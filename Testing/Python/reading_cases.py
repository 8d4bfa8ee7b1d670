"""Reader studies whose cases can be looked at: small images, each with a grey value of its own, and heatmaps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from reader_studies import make_study

from DystrophyDxLib.readerstudy.protocol import Protocol
from DystrophyDxLib.readerstudy.study import ReaderStudy

SHAPE = (7, 48, 60)
BLOCK = np.s_[2:5, 12:30, 36:50]
"""Where the model sees evidence in every case."""
SEQUENTIAL = {"design": "fully-crossed", "arms": ["sequential"], "washout_days": 0}


def grey_value(number: int) -> int:
    """Of the whole image of the case with that number, from 0."""
    return 200 + 60 * number


def write_image(path: Path, voxels: np.ndarray) -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.5, 1.25, 6.0))
    image.SetOrigin((-43.7, 12.25, 301.0))
    sitk.WriteImage(image, str(path), useCompression=True)


def write_case(image: Path, heatmap: Path, number: int) -> None:
    """Image and heatmap of the case with that number."""
    voxels = np.full(SHAPE, grey_value(number), np.int16)
    voxels[:, :, ::2] += 1  # as in an image, and unlike in a label map
    voxels[:, 0] = 0  # air, as a check of the image wants more than one value
    write_image(image, voxels)
    evidence = np.zeros(SHAPE, np.float32)
    if number:  # the model sees nothing at all in the first case
        evidence[BLOCK] = 0.9
    write_image(heatmap, evidence)


def make_reading_study(
    folder: Path, protocol: Protocol, write: Callable[[Path, Path, int], None] = write_case
) -> ReaderStudy:
    return make_study(folder, protocol, write)
