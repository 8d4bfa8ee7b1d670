"""Classifies a volume of a scene and shows the answer in it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import slicer

from ..classify import Classification, Classifier
from ..model_package import ModelPackage
from ..resources import embedded_model
from .study_scene import StudyScene
from .volumes import series_from_volume


def classify_volume(
    volume: slicer.vtkMRMLScalarVolumeNode, model: Path | None = None, device: str = "auto"
) -> tuple[StudyScene, Classification]:
    """Adds heatmap and leg regions of `volume` to its scene and shows them in the slice views.

    Args:
        model: package folder or .zip; the embedded one when not given.

    Raises:
        InputError: as `Classifier.classify` and `series_from_volume`.
    """
    series = series_from_volume(volume)
    classification = _classifier(model or embedded_model(), device).classify(series)
    return StudyScene(volume, classification.regions.labels, classification.heatmap), classification


@lru_cache(maxsize=1)
def _classifier(model: Path, device: str) -> Classifier:
    return Classifier(ModelPackage.read(model), device)
