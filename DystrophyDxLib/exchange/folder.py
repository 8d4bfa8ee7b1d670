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

FILES = ("seg.dcm", "heatmap.dcm", "report.dcm", "overview.dcm")


def write_objects(source: Source, findings: Findings, overview: Path, folder: Path) -> list[Path]:
    """Writes segmentation, parametric map, structured report and secondary capture into a new folder.

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
        segmentation = make_segmentation(making)
        objects: tuple[Dataset, ...] = (
            segmentation,
            make_heatmap(making),
            make_report(making, segmentation),
            make_capture(making, overview),
        )
        try:
            folder.mkdir()
            paths = [folder / name for name in FILES]
            for path, ds in zip(paths, objects, strict=True):
                ds.save_as(path, enforce_file_format=True)
        except OSError:
            raise InputError("The DICOM objects cannot be written; check the space on the disk.") from None
    return paths


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
