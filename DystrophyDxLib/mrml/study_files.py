"""The files that a classification writes."""

from __future__ import annotations

import time
from pathlib import Path

import slicer

from ..classify import Classification
from ..model_package import ModelCard
from ..report import write_report
from ..results import StudyResult
from .offscreen import OffscreenSlicer
from .overview import render_overview
from .study_scene import StudyScene


def write_study_files(
    viewer: OffscreenSlicer,
    volume: slicer.vtkMRMLScalarVolumeNode,
    classification: Classification,
    card: ModelCard,
    folder: Path,
    started: float,
) -> StudyResult:
    """Writes the files of the result contract (`output_folder.FILES`) into an existing folder.

    Args:
        viewer: holds the scene that `volume` is in.
        volume: the classified volume node.
        started: `time.perf_counter()` when the work on this study began, for the total.

    Returns:
        The result as written, with the times of writing and of the whole.

    Raises:
        InputError: when a file cannot be written.
    """
    start = time.perf_counter()
    study = StudyScene(volume, classification.regions.labels, classification.heatmap)
    study.write_heatmap(folder / "heatmap.nrrd")
    study.write_roi(folder / "roi.seg.nrrd")
    render_overview(viewer, study, classification.result, folder / "overview.png")
    study.save(folder / "scene.mrb")
    now = time.perf_counter()
    timing = {**classification.result.timing_s, "write": now - start, "total": now - started}
    result = classification.result.model_copy(
        update={"timing_s": {stage: round(seconds, 3) for stage, seconds in timing.items()}}
    )
    write_report(folder / "report.html", result, card.model_dump(), folder / "overview.png")
    (folder / "result.json").write_text(result.to_json(), encoding="utf-8")
    return result
