"""The folder `dicom/` of a result: all of its DICOM objects."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import Dataset

from ..errors import InputError
from ..series.dicom_header import quiet_pydicom
from .capture import make_capture
from .heatmap import make_heatmap
from .making import Findings, Making
from .report import make_report
from .segmentation import make_segmentation
from .source import Source
from .writing import write_object

SEGMENTATION = "seg.dcm"


def write_objects(source: Source, findings: Findings, overview: Path, folder: Path) -> list[Path]:
    """Writes segmentation, parametric map, structured report and secondary capture into a new folder; of images
    without a place (`Source.without_place`) the last two alone.

    Args:
        overview: overview.png of the same result.

    Returns:
        Their paths.

    Raises:
        InputError: a file of the study has changed since it was read, or the folder cannot be written.
    """
    source.check_unchanged()
    making = Making(source, findings)
    with _quiet():
        objects: dict[str, Dataset] = {}
        if not source.without_place:
            objects |= {SEGMENTATION: make_segmentation(making), "heatmap.dcm": make_heatmap(making)}
        objects["report.dcm"] = make_report(making, objects.get(SEGMENTATION))
        objects["overview.dcm"] = make_capture(making, overview)
        try:
            folder.mkdir()
            for name, ds in objects.items():
                write_object(ds, folder / name)
        except OSError:
            raise InputError("The DICOM objects cannot be written; check the space on the disk.") from None
    return [folder / name for name in objects]


@contextmanager
def _quiet() -> Iterator[None]:
    """highdicom's log and warnings quote the patient's name, as pydicom's do."""
    log = logging.getLogger("highdicom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with quiet_pydicom():
            yield
    finally:
        log.setLevel(level)
