"""DICOM objects of a classification from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..results import StudyResult
from ..series.series import Series
from .folder import write_objects
from .making import Findings
from .source import Source

if TYPE_CHECKING:
    from ..classify import Classification


class DicomExport:
    """Writes the folder `dicom/` of a result; see `mrml.pipeline.FurtherOutput`.

    Args:
        path, series_uid, modality: by which the series is read, see `read_study`.
    """

    def __init__(self, path: Path | Sequence[Path], series_uid: str | None = None, modality: str | None = None) -> None:
        self._asked = path, series_uid, modality
        self._source: Source | None = None

    def check(self, series: Series) -> None:
        """Raises `InputError` as `Source.read`."""
        path, *asked = self._asked
        self._source = Source.read(path, series, *asked)

    @property
    def source(self) -> Source:
        """The images, once they are checked."""
        assert self._source is not None, "check comes first"
        return self._source

    @property
    def note(self) -> str:
        """What is to be told of the objects; empty where nothing is."""
        lacking = self._source.without_place if self._source is not None else ""
        return lacking and (
            f"The images have no {lacking}, so that no DICOM object can lie where they do: only report.dcm and "
            "overview.dcm were written into dicom/."
        )

    def write(self, folder: Path, result: StudyResult, found: Classification, card: Mapping[str, Any]) -> None:
        """Raises `InputError` as `write_objects`."""
        findings = Findings(result, found.regions.labels, found.heatmap, found.muscles, card)
        write_objects(self.source, findings, folder / "overview.png", folder / "dicom")
