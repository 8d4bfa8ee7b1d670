"""DICOM objects of a classification in a scene, for the DICOM database that its volume was loaded from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import slicer

from ..errors import InputError
from ..regions.windows import Regions
from ..series.dicom_study import read_located
from .classification import SceneClassification
from .muscle_nodes import muscles_of, muscles_source
from .overview import render_overview
from .report_folder import reportable
from .segmentation import labels_from_segmentation
from .volumes import series_from_volume

INSTANCES = "DICOM.instanceUIDs"
"""Attribute in which Slicer's DICOM module keeps the SOP Instance UIDs of a volume."""


OFF_MM = 0.01
"""By how much a volume in the scene may lie off its images, as it is written with fewer digits."""


class Database(Protocol):
    """What is used of `slicer.dicomDatabase`."""

    def fileForInstance(self, uid: str) -> str: ...


def source_files(volume: slicer.vtkMRMLScalarVolumeNode, database: Database) -> list[Path]:
    """The files that a volume was loaded from.

    Raises:
        InputError: it was not loaded from the database, or its files are not there any more.
    """
    uids = (volume.GetAttribute(INSTANCES) or "").split()
    if not uids:
        raise InputError("The volume was not loaded from Slicer's DICOM database; load the study by the module DICOM.")
    paths = [Path(database.fileForInstance(uid) or "") for uid in uids]
    if not all(path.is_file() for path in paths):
        raise InputError("The volume's images are not in Slicer's DICOM database any more; import the study again.")
    return list(dict.fromkeys(paths))


def write_dicom(
    classification: SceneClassification, card: Mapping[str, Any], database: Database, folder: Path
) -> list[Path]:
    """Writes the DICOM objects of a classification into a new folder; see `exchange.folder.write_objects`.

    Args:
        classification: classified; its volume was loaded from the database.
        card: the model package's card.json; may be empty.

    Returns:
        Paths of the objects.

    Raises:
        InputError: as `reportable`, `source_files`, `Source.of` and `write_objects`; the volume lies elsewhere than its
            images.
    """
    from ..exchange.folder import write_objects
    from ..exchange.making import Findings
    from ..exchange.source import Source

    volume = classification.volume
    again, placed = read_located(source_files(volume, database))
    series = series_from_volume(volume)
    if series.voxels.shape == again.voxels.shape:
        corners = np.array([[0, 0, 0, 1], [*np.array(series.voxels.shape[::-1]) - 1, 1]]).T
        off = (series.geometry.ijk_to_lps - again.geometry.ijk_to_lps) @ corners
        if np.abs(off).max() > OFF_MM:
            raise InputError("The volume was moved since it was loaded, so its objects would not lie on its images.")
    source = Source.of(series, again, placed)
    result, alone, _scene = reportable(classification)
    legs = labels_from_segmentation(alone.segmentation, alone.volume)
    muscles = muscles_of(alone.volume, Regions(legs, ()))
    if muscles is not None:
        muscles = muscles.of_source(muscles_source(volume))
    heat = np.maximum(slicer.util.arrayFromVolume(alone.heatmap), 0)
    folder.mkdir()
    overview = folder / "overview.png"
    render_overview(alone, overview)
    try:
        return write_objects(source, Findings(result, legs, heat, muscles, card), overview, folder / "dicom")
    finally:
        overview.unlink()
