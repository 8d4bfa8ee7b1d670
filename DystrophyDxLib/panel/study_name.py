"""How the panel names the study that an answer is of."""

from __future__ import annotations

import slicer

from ..mrml.classification import is_heatmap
from ..mrml.nodes import nodes_of_class


def study_name(volume: slicer.vtkMRMLVolumeNode) -> str:
    """The volume's name as it is shown to the user; several of one name are told apart by their order in the scene."""
    name = volume.GetName() or ""
    volumes = nodes_of_class(volume.GetScene(), "vtkMRMLVolumeNode")
    same = [other for other in volumes if other.GetName() == volume.GetName() and not is_heatmap(other)]
    alone = len(same) < 2 or volume not in same
    return f"“{name}”" if alone else f"“{name}” ({same.index(volume) + 1} of {len(same)} of this name)"
