"""The answers of a dataset to the series of a cohort, for what would otherwise classify them again."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ..cohort.table import Case
from ..errors import InputError
from ..models.package import ModelPackage
from ..results import (
    CaseResult,
    ImageResult,
    InputFacts,
    ModelFacts,
    Provenance,
    RankedClass,
    ResultWarning,
    SkippedImage,
    StudyResult,
)
from ..series.dicom_header import quiet_pydicom
from ..series.dicom_inventory import take_inventory
from ..series.file_digests import series_digest
from ..series.image_files import IMAGE_FILES
from .dataset import RESULTS, Dataset
from .pseudonyms import Pseudonyms
from .sources import row_identity

Row = dict[str, Any]


class ArchiveAnswers:
    """Answers of one model, found by the pseudonyms of studies.

    Args:
        folder: of the dataset.
        key: file of the key of its pseudonyms; None for the one beside the dataset.
        package: the model that is asked for.
        table: of the cohort.

    Raises:
        InputError: there is no dataset, it has another key, or no answer of this model.
    """

    def __init__(self, folder: Path, key: Path | None, package: ModelPackage, table: Path) -> None:
        self._dataset, self._package, self._table = Dataset.at(folder), package, table
        self._pseudonyms = Pseudonyms.with_key(key or folder.with_name(f"{folder.name}.key"), make=False)
        if self._pseudonyms.fingerprint != self._dataset.about.key:
            raise InputError("The key is not that of the dataset's pseudonyms; give that one with --key.")
        own = (row for row in self._dataset.table("studies").to_pylist() if row["model_sha256"] == package.sha256)
        self._studies: dict[str, Row] = {row["study"]: row for row in own}
        if not self._studies:
            raise InputError("The dataset has no answer of this model; give the model that made it, or see failures.")

    def of(self, case: Case) -> StudyResult:
        """The answer to a row of the cohort: its images, case, warnings, and facts of its header.

        Raises:
            InputError: the dataset has none, or one to another series of the study.
        """
        row = self._row(case)
        return _result(row, self._windows.get(row["study"], []), self._package)

    def heatmap(self, case: Case) -> Path:
        """The heatmap of a row's study.

        Raises:
            InputError: as `of`; the dataset has no folders.
        """
        path = self._dataset.folder / RESULTS / self._row(case)["study"] / "heatmap.nrrd"
        if not path.is_file():
            raise InputError("the dataset has no heatmap of it, which archive --folders writes")
        return path

    @cached_property
    def _windows(self) -> dict[str, list[Row]]:
        frame = self._dataset.table("windows").to_pandas()
        frame = frame[frame["study"].isin(self._studies)].astype(object)
        frame = frame.where(pd.notna(frame), None) if len(frame) else frame
        return {str(study): rows.to_dict("records") for study, rows in frame.groupby("study", sort=False)}

    @cached_property
    def _failures(self) -> dict[str, str]:
        return {row["study"]: row["reason"] for row in self._dataset.table("failures").to_pylist()}

    def _row(self, case: Case) -> Row:
        named = self._pseudonyms.study(*row_identity(case, self._table))
        if (row := self._known(named)) is not None:
            return row
        study, series = self._by_images(case.path)
        row = self._known(study) if study else None
        if row is None:
            raise InputError("The dataset has no answer to it.")
        if series and row["series"] not in series:
            raise InputError("The dataset has the answer to another series of its study.")
        return row

    def _known(self, study: str) -> Row | None:
        if study in self._failures:
            raise InputError(self._failures[study])
        return self._studies.get(study)

    def _by_images(self, path: Path) -> tuple[str | None, set[str | None]]:
        """Pseudonyms of the study and of the series that lie at a path, as `tree` gives them."""
        if path.is_file() and path.name.lower().endswith(IMAGE_FILES):
            return self._pseudonyms.study("image file", series_digest(path)), set()
        with quiet_pydicom():
            frames = take_inventory(path).frames
        names = {(frame.patient, frame.study_uid) for frame in frames}
        if len(names) != 1 or not frames[0].study_uid:
            return None, set()
        return self._pseudonyms.study(*names.pop()), {self._pseudonyms.series(frame.series_uid) for frame in frames}


def _result(row: Row, windows: list[Row], package: ModelPackage) -> StudyResult:
    """An answer as far as the tables hold it."""
    acquisition = {name: row[name] for name in ("field_strength_t", "repetition_time_ms", "echo_time_ms")}
    ranked = tuple(
        RankedClass(name=each["name"], probability=each["probability"], ci95=(0.0, 1.0)) for each in row["ranked"] or ()
    )
    return StudyResult(
        input=InputFacts(
            kind=row["input"],
            series_uid=None,
            slices=row["slices"],
            spacing_mm=(row["spacing_i_mm"], row["spacing_j_mm"], row["spacing_k_mm"]),
            selection=row["selection"],
            notes=tuple(row["notes"] or ()),
            acquisition=acquisition,
        ),
        model=ModelFacts(
            name=package.card.name,
            version=package.card.version,
            sha256=row["model_sha256"],
            trained_on=package.card.trained_on,
            classes=tuple(row["classes"]),
        ),
        case=CaseResult(
            probability=row["probability"],
            ci95=(0.0, 1.0) if row["ci_low"] is None else (row["ci_low"], row["ci_high"]),
            label=row["label"],
            threshold=row["threshold"],
            reason=row["reason"],
            differential=ranked,
        ),
        images=tuple(_image(window) for window in windows if window["skipped"] is None),
        skipped=tuple(
            SkippedImage(slice=window["slice"], side=window["side"], reason=window["skipped"])
            for window in windows
            if window["skipped"] is not None
        ),
        warnings=tuple(ResultWarning.model_validate(warning) for warning in row["warnings"]),
        provenance=Provenance(
            program=row["program"], created=row["created"], device=row["device"], precision=row["precision"]
        ),
        timing_s={},
    )


def _image(window: Row) -> ImageResult:
    slices = None if window["first_slice"] is None else (int(window["first_slice"]), int(window["end_slice"]))
    probabilities = window["probabilities"]
    return ImageResult(
        slice=int(window["slice"]),
        side=window["side"],
        slices=slices,
        window_ijk=((int(window["i0"]), int(window["i1"])), (int(window["j0"]), int(window["j1"]))),
        probability=window["probability"],
        roi="auto",
        anatomy=window["anatomy"],
        counted=bool(window["counted"]),
        probabilities=() if probabilities is None else tuple(probabilities),
    )
