"""The folder of files that a classification writes: all of them, or none."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ..classify import Classification
from ..errors import InputError
from ..model_package import ModelCard
from ..report import write_report
from ..results import StudyResult
from .offscreen import OffscreenSlicer
from .overview import render_overview
from .study_scene import StudyScene

FILES = ("result.json", "heatmap.nrrd", "roi.seg.nrrd", "overview.png", "report.html", "scene.mrb")


def write_study_files(
    viewer: OffscreenSlicer, volume, classification: Classification, card: ModelCard, folder: Path, started: float
) -> StudyResult:
    """Writes `FILES` into an existing folder.

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


@contextlib.contextmanager
def output_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A hidden folder beside `folder` to write into, which takes its name only when all has been written.

    Raises:
        InputError: when `folder` holds anything but an earlier result, or a result without `overwrite`, or when it
            cannot be written.
    """
    folder = folder.absolute()
    check_output_folder(folder, overwrite=overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError:
        raise InputError("The output folder cannot be made there; check --out and its permissions.") from None
    try:
        yield partial
        os.chmod(partial, 0o755)
        if folder.exists():
            old = partial.with_name(partial.name + ".old")
            folder.rename(old)
            partial.rename(folder)
            shutil.rmtree(old)
        else:
            partial.rename(folder)
    except OSError:
        raise InputError("The results cannot be written; check the output folder's free space and permissions.") from None
    finally:
        if partial.exists():
            shutil.rmtree(partial)


def check_output_folder(folder: Path, *, overwrite: bool) -> None:
    """Raises the `InputError` of `output_folder`, before any work is done."""
    try:
        present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except NotADirectoryError:
        raise InputError("The place given with --out is a file; give a folder.") from None
    except OSError:
        raise InputError("The output folder cannot be read; check --out and its permissions.") from None
    if present - set(FILES):
        raise InputError("The output folder holds other files; give a new or empty folder with --out.")
    if present and not overwrite:
        raise InputError("The output folder holds results already; give another folder or add --overwrite.")
