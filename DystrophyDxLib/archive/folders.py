"""What is written of each study beside the dataset: a folder as `classify` makes it, with DICOM objects if wanted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..reporting.output_folder import output_folder
from ..results import StudyResult
from ..series.series import Series
from .studies import Input, Study

if TYPE_CHECKING:
    from ..classify import Classification


@dataclass(frozen=True)
class Folders:
    """
    Attributes:
        out: folder that gets a folder a study, called by its pseudonym.
        dicom: whether DICOM objects are among it, of studies that are DICOM.
    """

    out: Path
    dicom: bool = False

    def write(
        self, study: Study, given: Input, series: Series, found: Classification, card: Mapping[str, Any]
    ) -> StudyResult:
        """Writes the folder of a study, all of it or nothing, in the place of an earlier one.

        Args:
            given: that `series` was read from.
            card: the model package's card.json.

        Returns:
            The result as written.

        Raises:
            InputError: as `output_folder`, `write_report_folder` and `DicomExport`.
        """
        from ..mrml.classification import SceneClassification
        from ..mrml.report_folder import write_report_folder
        from ..mrml.scenes import new_scene, vtk_messages_to_log
        from ..mrml.volumes import add_series

        started = time.perf_counter() - sum(found.result.timing_s.values())
        export = None
        if self.dicom and series.kind == "dicom":
            from ..exchange.export import DicomExport

            export = DicomExport(given.path, given.series_uid)
            export.check(series)
        vtk_messages_to_log()
        scene = new_scene()  # lives as long as what lies in it
        in_scene = SceneClassification(add_series(scene, series, study.study))
        in_scene.put(found)
        with output_folder(self.out / study.study, overwrite=True) as folder:
            result = write_report_folder(in_scene, card, folder, started)
            if export is not None:
                export.write(folder, result, found, card)
        return result
