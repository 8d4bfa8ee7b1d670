"""The folder that a classification writes, from the command line and from the panel alike."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import slicer

from ..errors import InputError
from ..models.decision import decision_of
from ..reporting.case_report import write_report
from ..reporting.muscle_fat import write_muscles_csv
from ..results import StudyResult
from .classification import SceneClassification, result_now
from .classification_view import ClassificationView
from .display import HeatmapDisplay
from .leg_chart import leg_chart
from .muscle_nodes import MUSCLES
from .nodes import VolumeNodes
from .overview import most_suspicious, render_overview
from .scenes import copy_into, new_scene
from .segmentation import write_segmentation
from .volumes import write_volume


def write_report_folder(
    classification: SceneClassification, card: Mapping[str, Any], folder: Path, started: float | None = None
) -> StudyResult:
    """Writes the files of the result contract (`output_folder.FILES`) into an existing folder.

    Of the scene that holds the classification nothing else is written, and nothing in it changes. The heatmap is that
    of the class whose probability is told, at the threshold at which it is seen.

    Args:
        classification: classified.
        card: the model package's card.json; may be empty where the package is not there any more.
        started: `time.perf_counter()` when the work on this study began, where the times are to tell of writing.

    Returns:
        The result as written.

    Raises:
        InputError: nothing to report, or a region that was edited since; the heatmap of a reopened scene is of another
            class; a file cannot be written.
    """
    start = time.perf_counter()
    result, alone, scene = reportable(classification)
    write_volume(alone.heatmap, folder / "heatmap.nrrd")
    write_segmentation(alone.segmentation, folder / "roi.seg.nrrd")
    muscles = VolumeNodes(alone.volume).get(MUSCLES)
    if muscles is not None:
        write_segmentation(muscles, folder / "muscles.seg.nrrd")
    render_overview(alone, folder / "overview.png")
    view = ClassificationView(scene)
    view.show(alone)
    image = most_suspicious(result)
    if image is not None:
        view.go_to(image)
    _save(scene, folder / "scene.mrb")
    if started is not None:
        now = time.perf_counter()
        timing = {**result.timing_s, "write": now - start, "total": now - started}
        result = result.model_copy(update={"timing_s": {stage: round(took, 3) for stage, took in timing.items()}})
    write_report(folder / "report.html", result, card, folder / "overview.png", leg_chart(alone, result))
    if result.muscle_fat:
        write_muscles_csv(folder / "muscles.csv", result)
    (folder / "result.json").write_text(result.to_json(), encoding="utf-8")
    return result


def reportable(
    classification: SceneClassification,
) -> tuple[StudyResult, SceneClassification, slicer.vtkMRMLScene]:
    """The answer as it is now, a copy of the classification that shows the told class, and the scene of the copy, which
    is to be kept as long as the copy is used.

    Raises:
        InputError: as `write_report_folder`.
    """
    result = result_now(classification)
    if result is None or classification.heatmap is None or classification.segmentation is None:
        raise InputError("There is no complete result to report; classify the volume first.")
    if classification.pending:
        raise InputError("The region was edited since the last answer; classify again, or reset it, before reporting.")
    scene = new_scene()
    alone = copy_into(scene, classification)
    alone.tell(result)
    told = result.model.classes.index(decision_of(result).told_class(result.case))
    if alone.shown_class != told:
        alone.show_heat(classification.heat_of(told))
    display = HeatmapDisplay(alone.heatmap)
    display.shown_class, display.legend = 1, True
    return result, alone, scene


def _save(scene: slicer.vtkMRMLScene, path: Path) -> None:
    """Writes a scene as `.mrb`, which Slicer opens with the heatmap over the MRI."""
    if not scene.WriteToMRB(str(path.absolute())):
        raise InputError("The scene cannot be written; check that the output folder is writable and has space.")
