"""What of a study a node answers: T1-weighted images of the thighs, each set of them once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...results import StudyResult
from ...series.series import Series
from ..export import DicomExport

if TYPE_CHECKING:
    from ...classify import Classification


class AlreadyAnswered(Exception):
    """The study has an answer from the same images."""


class ThighExport(DicomExport):
    """DICOM objects of T1-weighted images of the thighs; of others none.

    Args:
        path: of the study.
        answered: digests of images that need no other answer.

    Attributes:
        digest: of the images that are classified, once they are read.
    """

    def __init__(self, path: Path, answered: tuple[str, ...]) -> None:
        super().__init__(path)
        self._answered = answered
        self.digest = ""

    def check(self, series: Series) -> None:
        """
        Raises:
            InputError: the images are not T1-weighted axial ones, or as of `Source.read`.
            AlreadyAnswered: these images have an answer.
        """
        if not series.geometry.is_axial or series.acquisition.t1_weighted is False:
            raise InputError(f"The study has no axial T1-weighted series. {series.selection}")
        source = self.find_source(series)
        told = sorted(image.sop_uid for image in source.images), str(source.study)
        content = hashlib.sha256(repr(told).encode())
        content.update(series.voxels.tobytes())
        self.digest = content.hexdigest()
        if self.digest in self._answered:
            raise AlreadyAnswered

    def write(self, folder: Path, result: StudyResult, found: Classification, card: Mapping[str, Any]) -> None:
        """
        Raises:
            InputError: no image shows a thigh, or as of `DicomExport`.
        """
        if not any(image.anatomy == "thigh" for image in result.images):
            raise InputError("The T1-weighted series shows no thigh.")
        super().write(folder, result, found, card)
