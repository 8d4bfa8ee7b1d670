"""The DICOM images that a series was read from: what objects about them copy of them, and refer to.

A `Series` holds no identity, so the headers are read again. Which image lies where is what reading itself found, and
the voxels are compared, so that an object never refers to an image that it is not of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import MRImageStorage

from ..errors import InputError
from ..series.dicom_header import Attributes, quiet_pydicom, read_header
from ..series.dicom_pixels import Placed
from ..series.dicom_study import read_located
from ..series.series import Series
from ..series.standard_terms import standard_uid

UTF_8 = "ISO_IR 192"
_UIDS = {
    "StudyInstanceUID": "Study Instance UID",
    "SeriesInstanceUID": "Series Instance UID",
    "SOPInstanceUID": "SOP Instance UID",
}
"""Without these no object can refer to an image."""
_FRAME = "FrameOfReferenceUID"
_TEXTS = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize",
    "PatientWeight", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
"""Of the patient and the study (PS3.3, C.7.1.1, C.7.2.1 and C.7.2.2)."""
_REQUIRED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Those of them that may be empty but not absent (type 2)."""
_DATE, _TIME = r"\d{8}", r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_FORMS = {
    "PatientBirthDate": _DATE, "StudyDate": _DATE, "StudyTime": _TIME, "PatientSex": "[MFO]", "StudyID": ".{0,16}",
    "StudyDescription": ".{0,64}", "PatientAge": r"\d{3}[DWMY]", "PatientSize": _NUMBER, "PatientWeight": _NUMBER,
}  # fmt: skip
"""What a value must look like (PS3.5, 6.2); one of another form is left out, as an object with it would be invalid.
Name and ID of the patient, and the accession number, are copied as they are: they lead to the patient's record."""


class Unreferable(InputError):
    """The headers of the images lack what every DICOM object about them needs."""


@dataclass(frozen=True)
class SourceImage:
    """An image of the study, and the slice of the series that it shows.

    Attributes:
        k: slice.
        sop_class, sop_uid, series_uid: of the object that holds it.
        frame: its number from 1 on, of an object with several.
        position: LPS mm of its first pixel.
    """

    k: int
    sop_class: str
    sop_uid: str
    series_uid: str
    frame: int | None
    position: tuple[float, ...]

    @property
    def reference(self) -> Dataset:
        """The item of a sequence that refers to it (PS3.3, table 10-3)."""
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = self.sop_class, self.sop_uid
        if self.frame is not None:
            item.ReferencedFrameNumber = self.frame
        return item


@dataclass(frozen=True)
class Source:
    """The images of a series in the patient's study.

    Attributes:
        series: as classified.
        images: in the order of their slices; several of one slice where fields lie side by side.
        whole: whether each slice is one image, pixel by pixel.
        study: attributes of the patient and the study, as text.
        files: that were read, with their size and time of change.
    """

    series: Series
    images: tuple[SourceImage, ...]
    whole: bool
    study: Dataset
    files: dict[Path, tuple[int, int]] = field(repr=False)

    @classmethod
    def read(
        cls, path: Path | Sequence[Path], series: Series, series_uid: str | None = None, modality: str | None = None
    ) -> Source:
        """Finds the images of a series that was read from `path` with the same arguments.

        Raises:
            InputError: the input is no DICOM; it has changed since it was read.
            Unreferable: its images have no UIDs, or are of several studies or frames of reference.
        """
        if series.kind != "dicom":
            raise InputError(
                "Results become DICOM objects only in the patient's DICOM study, and the input is an image file, "
                "which names neither; give the DICOM study, or leave out --dicom."
            )
        return cls.of(series, *read_located(path, series_uid, modality))

    @classmethod
    def of(cls, series: Series, again: Series, placed: tuple[Placed, ...]) -> Source:
        """The images of a series, read again.

        Raises:
            InputError, Unreferable: as `read`.
        """
        if again.voxels.shape != series.voxels.shape or not np.array_equal(again.voxels, series.voxels):
            raise InputError(_CHANGED)
        headers = _Headers()
        with quiet_pydicom():
            images = sorted(map(headers.image, placed), key=lambda image: (image.k, image.position))
            study = headers.study()
        return cls(series, tuple(images), _is_whole(placed, series), study, headers.files)

    @property
    def without_place(self) -> str:
        """What the images lack without which no object can lie where they do; empty where nothing is lacking."""
        if _FRAME not in self.study:
            return "Frame of Reference UID"
        return "" if all(image.position for image in self.images) else "Image Position (Patient)"

    def check_unchanged(self) -> None:
        """
        Raises:
            InputError: a file is not what was read.
        """
        if any(_state(path) != state for path, state in self.files.items()):
            raise InputError(_CHANGED)

    @property
    def series_references(self) -> Items:
        """Its objects by series, once each, as Referenced Series Sequence holds them."""
        found: dict[str, dict[str, SourceImage]] = {}
        for image in self.images:
            found.setdefault(image.series_uid, {})[image.sop_uid] = image
        items = []
        for uid, images in found.items():
            item = Dataset()
            item.SeriesInstanceUID = uid
            item.ReferencedInstanceSequence = Items([_whole_object(image) for image in images.values()])
            items.append(item)
        return Items(items)

    @property
    def slices(self) -> tuple[int, ...]:
        """Slices that an image shows, in their order."""
        return tuple(dict.fromkeys(image.k for image in self.images))

    def of_slice(self, k: int) -> list[SourceImage]:
        return [image for image in self.images if image.k == k]

    def position(self, k: int) -> tuple[float, ...]:
        """LPS mm of the first voxel of a slice: by its image or, of several, on the grid."""
        if self.whole:
            return self.of_slice(k)[0].position
        return tuple((self.series.geometry.ijk_to_lps @ [0, 0, k, 1])[:3].tolist())

    def slice_dataset(self, k: int) -> Dataset:
        """The header of a single-frame MR image of a slice of the series, as highdicom takes it for its source."""
        geometry, first = self.series.geometry, self.of_slice(k)[0]
        ds = Dataset()
        ds.update(self.study)
        ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, first.sop_uid
        ds.SeriesInstanceUID, ds.Modality = first.series_uid, "MR"
        ds.Rows, ds.Columns = self.series.voxels.shape[1:]
        ds.ImagePositionPatient = [_decimal(x) for x in self.position(k)]
        ds.ImageOrientationPatient = [_decimal(x) for x in geometry.direction[:, :2].T.ravel()]
        ds.PixelSpacing = [_decimal(geometry.spacing[1]), _decimal(geometry.spacing[0])]
        ds.SliceThickness = ds.SpacingBetweenSlices = _decimal(geometry.spacing[2])
        return ds


_CHANGED = (
    "The DICOM files have changed since they were read, so no object can refer to them; wait until the study is whole, "
    "and classify it again."
)


class _Headers:
    """What the files of the placed frames say of themselves, each read once."""

    def __init__(self) -> None:
        self.files: dict[Path, tuple[int, int]] = {}
        self._read: dict[Path, Attributes] = {}

    def image(self, item: Placed) -> SourceImage:
        own, frame = self._of(item.frame.path), item.frame
        uids = {keyword: standard_uid(own.text(keyword)) for keyword in _UIDS}
        lacking = [name for keyword, name in _UIDS.items() if not uids[keyword]]
        if lacking:
            raise Unreferable(
                f"The images have no {' and no '.join(lacking)}, without which a DICOM object cannot refer to them; "
                "export the study again with its full headers."
            )
        return SourceImage(
            k=item.k,
            sop_class=own.text("SOPClassUID") or MRImageStorage,
            sop_uid=str(uids["SOPInstanceUID"]),
            series_uid=str(uids["SeriesInstanceUID"]),
            frame=frame.number + 1 if frame.of_frames > 1 else None,
            position=frame.position or (),
        )

    def study(self) -> Dataset:
        """Attributes of patient and study, which all images share.

        Raises:
            Unreferable: the images are of several studies or frames of reference.
        """
        for keyword, what in (("StudyInstanceUID", "study"), (_FRAME, "frame of reference")):
            if len({own.text(keyword) for own in self._read.values()}) > 1:
                raise Unreferable(
                    f"The images are of more than one {what}, so no DICOM object can be of all of them; export the "
                    "study again."
                )
        ds, own = Dataset(), next(iter(self._read.values()))
        ds.SpecificCharacterSet = UTF_8
        for keyword in _TEXTS:
            text = own.text(keyword)
            if not re.fullmatch(_FORMS.get(keyword, ".*"), text):
                text = ""
            if text or keyword in _REQUIRED:
                setattr(ds, keyword, text)
        for keyword in ("StudyInstanceUID", _FRAME):
            if uid := standard_uid(own.text(keyword)):
                setattr(ds, keyword, uid)
        ds.PositionReferenceIndicator = ""
        return ds

    def _of(self, path: Path) -> Attributes:
        if path not in self._read:
            self.files[path] = _state(path)
            with path.open("rb") as stream:
                keywords = [*_TEXTS, *_UIDS, _FRAME, "SOPClassUID", "SpecificCharacterSet"]
                self._read[path] = Attributes(read_header(stream, keywords).dataset)
        return self._read[path]


def _state(path: Path) -> tuple[int, int]:
    """
    Raises:
        InputError: the file is gone.
    """
    try:
        found = path.stat()
    except OSError:
        raise InputError(_CHANGED) from None
    return found.st_size, found.st_mtime_ns


def _is_whole(placed: tuple[Placed, ...], series: Series) -> bool:
    shape = series.voxels.shape[1:]
    slices = [item.k for item in placed]
    return len(set(slices)) == len(slices) and all(
        (item.i, item.j) == (0, 0) and item.frame.shape == shape for item in placed
    )


def _whole_object(image: SourceImage) -> Dataset:
    item = image.reference
    if "ReferencedFrameNumber" in item:
        del item.ReferencedFrameNumber
    return item


def _decimal(number: float) -> str:
    """A number as a decimal string (PS3.5, 6.2): at most 16 characters.

    >>> _decimal(-0.12345678901234567), _decimal(1 / 3e5)
    ('-0.1234567890123', '3.3333333333e-06')
    """
    return next(text for digits in range(16, 0, -1) if len(text := f"{number:.{digits}g}") <= 16)
