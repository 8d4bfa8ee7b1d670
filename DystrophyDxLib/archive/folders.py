"""What is written of each study beside the dataset: a folder as `classify` makes it, with DICOM objects if wanted."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..reporting.output_folder import output_folder
from ..results import StudyResult
from ..series.series import Series
from .studies import Input, Study, without_uids

if TYPE_CHECKING:
    from ..classify import Classification
    from ..exchange.export import DicomExport

_NO_OBJECTS = "There are no DICOM objects: "


@dataclass(frozen=True)
class Folders:
    """
    Attributes:
        out: folder that gets a folder a study, called by its pseudonym.
        dicom: whether DICOM objects are among it.
    """

    out: Path
    dicom: bool = False

    def write(
        self, study: Study, given: Input, series: Series, found: Classification, card: Mapping[str, Any]
    ) -> tuple[StudyResult, None, str]:
        """Writes the folder of a study, in the place of an earlier one: all of it or nothing, but for DICOM objects
        where they cannot be made.

        Args:
            given: that `series` was read from.
            card: the model package's card.json.

        Returns:
            The result as written, no failure, and why there are no DICOM objects.

        Raises:
            InputError: as `output_folder` and `write_report_folder`.
        """
        from ..mrml.classification import SceneClassification
        from ..mrml.report_folder import write_report_folder
        from ..mrml.scenes import new_scene, vtk_messages_to_log
        from ..mrml.volumes import add_series

        started = time.perf_counter() - sum(found.result.timing_s.values())
        export, lacking = self._export(given, series) if self.dicom else (None, "")
        vtk_messages_to_log()
        scene = new_scene()  # lives as long as what lies in it
        in_scene = SceneClassification(add_series(scene, series, study.study))
        in_scene.put(found)
        with output_folder(self.out / study.study, overwrite=True) as folder:
            result = write_report_folder(in_scene, card, folder, started)
            if export is not None:
                try:
                    export.write(folder, result, found, card)
                    lacking = export.note
                except InputError as error:
                    shutil.rmtree(folder / "dicom", ignore_errors=True)
                    lacking = _NO_OBJECTS + without_uids(error)
        return result, None, lacking

    @staticmethod
    def _export(given: Input, series: Series) -> tuple[DicomExport | None, str]:
        """What writes the DICOM objects, or why there can be none."""
        from ..exchange.export import DicomExport

        if series.kind != "dicom":
            return None, f"{_NO_OBJECTS}An image file has no DICOM study to which they could belong."
        export = DicomExport(given.path, given.series_uid)
        try:
            export.check(series)
        except InputError as error:
            return None, _NO_OBJECTS + without_uids(error)
        return export, ""

    def earlier(self) -> set[str]:
        """Pseudonyms of the studies that have a folder."""
        return set(os.listdir(self.out)) if self.out.is_dir() else set()

    def remove(self, study: Study) -> None:
        """Removes the folder of a study that has no answer any more."""
        shutil.rmtree(self.out / study.study, ignore_errors=True)
