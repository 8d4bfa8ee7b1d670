"""Which volume of a scene is likely the thigh series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
from scipy import ndimage

from ..errors import InputError
from ..mrml.classification import SceneClassification, is_heatmap
from ..mrml.nodes import nodes_of_class
from ..mrml.volumes import series_from_volume
from ..regions.legs import find_legs
from ..regions.windows import Regions
from ..series.dicom_inventory import read_facts
from ..series.series import Acquisition, Series, plane_of
from ..series.words import described, suitability

LOOKED_AT = 5
"""Slices of a volume, evenly along it, in which legs are looked for."""
RIM_MM = 6.0
"""Depth of a leg that is mostly subcutaneous fat."""
FAT_IS_BRIGHT = 1.2
"""Signal of the rim relative to what lies within, from which fat is taken to be bright, as in T1-weighted images."""


def suggest_volume(scene: slicer.vtkMRMLScene) -> tuple[slicer.vtkMRMLScalarVolumeNode | None, str]:
    """The volume to classify, as likely as can be told, and why in one sentence.

    A volume that has been classified comes first; else the same facts decide as on the command line (plane, timing
    and the words of the series' description, as far as files or names tell them), and whether the images show legs.

    Returns:
        None, and what to do, where no volume shows legs.
    """
    for classification in SceneClassification.of(scene):
        if classification.result is not None:
            return classification.volume, f"“{classification.volume.GetName()}” has been classified already."
    volumes = grey_volumes(scene)
    if not volumes:
        return None, "The scene holds no volume; load a thigh MRI or the sample study."
    candidates = [candidate for candidate in map(_candidate, volumes) if candidate is not None]
    if not candidates:
        return None, "No volume of the scene shows legs; choose one, or load a thigh MRI."
    best = max(candidates, key=lambda candidate: candidate.points)
    others = "the only volume" if len(volumes) == 1 else f"the most likely of {len(volumes)} volumes"
    return best.volume, f"“{best.volume.GetName()}” is {others}: {best.why}."


@dataclass(frozen=True)
class _Candidate:
    """A volume, how likely it is the one, and what speaks for it."""

    volume: slicer.vtkMRMLScalarVolumeNode
    points: float
    why: str


def grey_volumes(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Volumes with one value a voxel that are neither labels nor a heatmap."""
    return [
        volume
        for volume in nodes_of_class(scene, "vtkMRMLScalarVolumeNode")
        if not is_heatmap(volume)
        and not volume.IsA("vtkMRMLLabelMapVolumeNode")
        and volume.GetImageData() is not None
        and volume.GetImageData().GetNumberOfPoints()
        and volume.GetImageData().GetNumberOfScalarComponents() == 1
    ]


def _candidate(volume: slicer.vtkMRMLScalarVolumeNode) -> _Candidate | None:
    """None of a volume that shows no leg, or is no MRI."""
    acquisition, words = _facts(volume)
    if acquisition.modality not in (None, "MR"):
        return None
    try:
        series = series_from_volume(volume, LOOKED_AT)
        regions = find_legs(series)
    except InputError:
        return None
    slices = {window.slice for window in regions.windows}
    if not slices:
        return None
    axial = series.geometry.is_axial
    count = volume.GetImageData().GetDimensions()[2]
    points = suitability(axial, count, acquisition, words) + 20 * len(slices) / len(series.voxels)
    reasons = [described(plane_of(series.geometry.direction), count, acquisition)]
    bright = _fat_is_bright(series, regions)
    if acquisition.t1_weighted is None:
        points += 15 if bright else -15
        reasons.append("fat is bright" if bright else "fat is not bright")
    reasons.append("legs seen" if len(slices) == len(series.voxels) else "legs seen in some slices")
    return _Candidate(volume, points, ", ".join(reasons))


def _facts(volume: slicer.vtkMRMLScalarVolumeNode) -> tuple[Acquisition, str]:
    """What the volume's file, where it is DICOM and still there, and its name tell."""
    words = (volume.GetName() or "").lower().replace("_", " ")
    storage = volume.GetStorageNode()
    name = storage.GetFullNameFromFileName() if storage is not None else ""
    told = read_facts(Path(name)) if name and Path(name).is_file() else None
    return (told[0], f"{told[1]} {words}") if told else (Acquisition(), words)


def _fat_is_bright(series: Series, regions: Regions) -> bool:
    """Whether the rim of the legs, which is fat, is brighter than what lies within, which is mostly muscle."""
    i_mm, j_mm, _ = series.geometry.spacing
    ratios = []
    for window in regions.windows:
        image = series.voxels[window.slice, slice(*window.j), slice(*window.i)]
        depth = ndimage.distance_transform_edt(np.pad(window.mask, 1), sampling=(j_mm, i_mm))[1:-1, 1:-1]
        rim, within = window.mask & (depth < RIM_MM), depth > 3 * RIM_MM
        if within.any():
            ratios.append(np.percentile(image[rim], 75) / max(float(np.median(image[within])), 1e-6))
    return bool(ratios) and float(np.median(ratios)) > FAT_IS_BRIGHT
