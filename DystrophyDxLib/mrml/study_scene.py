"""`StudyScene`: a classified study as nodes of a Slicer scene, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer

from ..errors import InputError
from .display import HeatmapDisplay
from .segmentation import add_segmentation, write_segmentation
from .volumes import add_map, write_volume


class StudyScene:
    """MRI, heatmap over it and leg regions, shown in the slice views of the scene that holds the MRI.

    Args:
        volume: the classified MRI, already in a scene; see `add_series`.
        labels: (z, y, x) uint8 leg regions on its grid, with the values of `LABEL_OF_SIDE`.
        heatmap: (z, y, x) float32, 0 to 1, on its grid.

    Attributes:
        volume, heatmap, segmentation: the nodes.
        display: threshold and opacity of the heatmap.
    """

    def __init__(self, volume: slicer.vtkMRMLScalarVolumeNode, labels: np.ndarray, heatmap: np.ndarray) -> None:
        self.volume = volume
        self.segmentation = add_segmentation(volume, labels)
        self.heatmap = add_map(volume, heatmap, "Heatmap")
        self.display = HeatmapDisplay(volume, self.heatmap)

    def write_heatmap(self, path: Path) -> None:
        """Writes the heatmap as NRRD in the geometry of the MRI. Raises `InputError` where that fails."""
        write_volume(self.heatmap, path)

    def write_roi(self, path: Path) -> None:
        """Writes the leg regions as `.seg.nrrd`. Raises `InputError` where that fails."""
        write_segmentation(self.segmentation, path)

    def save(self, path: Path) -> None:
        """Writes the whole scene as `.mrb`, which Slicer opens with the heatmap over the MRI.

        Raises:
            InputError: the file cannot be written.
        """
        if not self.volume.GetScene().WriteToMRB(str(Path(path).absolute())):
            raise InputError("The scene cannot be written; check that the output folder is writable and has space.")
