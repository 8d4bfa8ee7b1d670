"""DICOM objects of a classification from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..results import StudyResult
from ..series.series import Series
from .folder import write_objects
from .making import Findings
from .source import Source, Unreferable

if TYPE_CHECKING:
    from ..classify import Classification


class DicomExport:
    """Writes the folder `dicom/` of a result; none where no DICOM object can be of the images, which `note` tells. See
    `mrml.pipeline.FurtherOutput`.

    Args:
        path, series_uid, modality: by which the series is read, see `read_study`.

    Attributes:
        source: the images, once they are checked; None where no object can be of them.
    """

    def __init__(self, path: Path | Sequence[Path], series_uid: str | None = None, modality: str | None = None) -> None:
        self._asked = path, series_uid, modality
        self.source: Source | None = None
        self._why_none = ""

    def check(self, series: Series) -> None:
        """Raises `InputError` as `Source.read`, but for images that are `Unreferable`."""
        try:
            self.find_source(series)
        except Unreferable as error:
            self._why_none = str(error)

    def find_source(self, series: Series) -> Source:
        """The images. Raises as `Source.read`."""
        path, *asked = self._asked
        self.source = Source.read(path, series, *asked)
        return self.source

    @property
    def note(self) -> str:
        """What is to be told of the objects; empty where nothing is."""
        if self._why_none:
            return f"There are no DICOM objects: {self._why_none}"
        lacking = self.source.without_place if self.source is not None else ""
        return lacking and (
            f"The images have no {lacking}, so that no DICOM object can lie where they do: only report.dcm and "
            "overview.dcm were written into dicom/."
        )

    def write(self, folder: Path, result: StudyResult, found: Classification, card: Mapping[str, Any]) -> None:
        """Raises `InputError` as `write_objects`."""
        if self.source is not None:
            findings = Findings(result, found.regions.labels, found.heatmap, found.muscles, card)
            write_objects(self.source, findings, folder / "overview.png", folder / "dicom")
