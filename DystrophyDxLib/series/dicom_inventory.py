"""The headers of DICOM files: which MR images a study holds, where they lie, and how they were made.

A *frame* is one image: a single-frame object, or one frame of a multi-frame object. Attributes and their places in
single-frame and enhanced multi-frame objects follow DICOM PS3.3 sections C.7.6.2 (Image Plane), C.7.6.16 (Multi-frame
Functional Groups), C.8.3 (MR Image) and C.8.13 (Enhanced MR).
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pydicom
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage

from ..errors import InputError
from .series import Acquisition
from .words import are

_MR_STORAGE = {MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage}
# fmt: off
_KEYWORDS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "Modality", "SeriesNumber",
    "InstanceNumber", "ImageType", "BodyPartExamined", "Laterality", "ImageLaterality", "StudyDescription",
    "SeriesDescription", "ProtocolName", "SequenceName", "ScanningSequence", "ScanOptions", "RepetitionTime",
    "EchoTime", "InversionTime", "MagneticFieldStrength", "EchoPulseSequence", "InversionRecovery",
    "SpectrallySelectedSuppression", "AcquisitionContrast", "PulseSequenceName", "ContrastBolusAgent",
    "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "SpacingBetweenSlices", "PixelSpacing",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelRepresentation",
    "PixelPaddingValue", "RescaleSlope", "RescaleIntercept", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "TriggerTime",
]
_WORDS = (
    "StudyDescription", "SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName", "AcquisitionContrast",
    "BodyPartExamined", "ContrastBolusAgent",
)
# fmt: on
_SIDES: dict[str, Literal["left", "right"]] = {"L": "left", "R": "right"}


def read_facts(path: Path) -> tuple[Acquisition, str] | None:
    """What the header of a DICOM file says of how its first image was made, and in a technologist's words.

    Returns:
        None for a file that is not DICOM, is damaged, or is no image.
    """
    try:
        with quiet_pydicom(), path.open("rb") as stream:
            if not _looks_like_dicom(stream.read(132)):
                return None
            header = _read_header(stream)
            frame = next(_frames(path, header, _Attributes(header).text("SOPClassUID") in _MR_STORAGE), None)
    except Exception:  # as in `_read_header`
        return None
    if frame is None:
        return None
    return replace(frame.acquisition, modality=_Attributes(header).text("Modality") or None), frame.text


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """pydicom's warnings and log quote header values, which may be a patient's."""
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


class _Attributes:
    """Attributes of one frame, looked up in its functional groups, then the shared ones, then the object itself."""

    def __init__(self, *datasets: pydicom.Dataset) -> None:
        self._holder = {tag: dataset for dataset in reversed(datasets) for tag in dataset.keys()}  # noqa: SIM118

    def value(self, keyword: str) -> Any:
        """The value; None where the attribute is absent, empty or not of its type."""
        tag = pydicom.tag.Tag(keyword)
        if tag not in self._holder:
            return None
        try:
            value = self._holder[tag][tag].value
        except Exception:  # pydicom raises nearly anything for bytes that are not what they claim
            return None
        return None if value is None or value == "" else value

    def text(self, keyword: str) -> str:
        value = self.value(keyword)
        return "" if value is None else str(value).strip()

    def codes(self, keyword: str) -> tuple[str, ...]:
        """Values of a code string; what is not one (free text) is left out."""
        value = self.value(keyword)
        values = [value] if isinstance(value, str) else value or []
        return tuple(text for text in map(str, values) if re.fullmatch(r"[A-Z0-9 _/*-]{1,16}", text))

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Exactly `count` finite numbers, or None."""
        value = self.value(keyword)
        try:
            numbers = tuple(float(item) for item in (value if np.iterable(value) else [value]))
        except (TypeError, ValueError):
            return None
        return numbers if len(numbers) == count and np.isfinite(numbers).all() else None

    def number(self, keyword: str) -> float | None:
        numbers = self.numbers(keyword, 1)
        return None if numbers is None else numbers[0]

    def positive(self, *keywords: str) -> float | None:
        """The first of the attributes that holds a positive number; scanners write 0 for "not applicable"."""
        return next((number for keyword in keywords if (number := self.number(keyword)) and number > 0), None)


@dataclass(frozen=True)
class Frame:
    """One MR image and where it lies; lengths in mm, LPS.

    `text` is what the technologist wrote: it may hold identity and must not leave the reader.
    """

    path: Path
    number: int
    series_uid: str
    sop_uid: str
    series_number: float
    instance_number: float
    trigger_ms: float
    shape: tuple[int, int]
    spacing: tuple[float, ...] | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    thickness: float | None
    slope: float
    intercept: float
    padding: float | None
    inverted: bool
    is_mr_storage: bool
    acquisition: Acquisition
    text: str

    @property
    def is_placed(self) -> bool:
        return self.position is not None and self.orientation is not None


@dataclass
class Inventory:
    """What the headers say that the input holds."""

    frames: list[Frame] = field(default_factory=list)
    other_modalities: set[str] = field(default_factory=set)
    patients: set[str] = field(default_factory=set)
    studies: set[str] = field(default_factory=set)
    empty_files: int = 0

    @cached_property
    def series(self) -> list[str]:
        """Series Instance UIDs of the MR series, by Series Number."""
        numbers = {frame.series_uid: frame.series_number for frame in reversed(self.frames)}
        return sorted(numbers, key=lambda uid: (numbers[uid], uid))


def take_inventory(path: Path) -> Inventory:
    inventory = Inventory()
    found = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    damaged = 0
    for file in found:
        # Names with a dot hold the file system's own notes ("._IM0001" of macOS).
        if file.name.startswith(".") and path.is_dir():
            continue
        try:
            with file.open("rb") as stream:
                start = stream.read(132)
                if not any(start):  # empty, or zeros where a copy has failed
                    inventory.empty_files += 1
                elif _looks_like_dicom(start):
                    _enter(inventory, file, _read_header(stream))
        except OSError:
            raise InputError("A file of the study cannot be opened; check its permissions.") from None
        except _Damaged:
            damaged += 1
    if damaged:
        raise InputError(
            f"{are(damaged, 'DICOM file')} damaged or cut off in the header;"
            " copy the study again, or remove what does not belong to it."
        )
    return inventory


class _Damaged(Exception):
    """A file that is DICOM but whose header cannot be read to its end."""


def _looks_like_dicom(start: bytes) -> bool:
    """Whether a file that starts so has the DICOM prefix or, as in older exports, begins with group 0002 or 0008."""
    return start[128:] == b"DICM" or (start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00")


def _read_header(stream: BinaryIO) -> pydicom.Dataset:
    """Header without pixels."""
    stream.seek(0)
    try:
        return pydicom.dcmread(stream, force=True, stop_before_pixels=True, specific_tags=_KEYWORDS)
    except Exception:  # as above
        raise _Damaged from None


def _enter(inventory: Inventory, file: Path, header: pydicom.Dataset) -> None:
    """Adds the frames of one object; objects that are no grey-scale MR images are only remembered by modality."""
    own = _Attributes(header)
    if own.text("SOPClassUID").startswith("1.2.840.10008.1.3."):  # DICOMDIR
        return
    is_mr_storage = own.text("SOPClassUID") in _MR_STORAGE
    rows, columns = own.number("Rows"), own.number("Columns")
    if not own.text("SOPClassUID") or not own.text("SeriesInstanceUID") or (is_mr_storage and not (rows and columns)):
        if getattr(header, "preamble", None):
            raise _Damaged
        return
    modality = own.text("Modality") or ("MR" if is_mr_storage else "")
    if modality != "MR":
        if rows and re.fullmatch("[A-Z]{2,4}", modality):
            inventory.other_modalities.add(modality)
        return
    if not (rows and columns) or own.number("SamplesPerPixel") not in (1, None):
        return
    inventory.patients.add(own.text("PatientID"))
    inventory.studies.add(own.text("StudyInstanceUID"))
    try:
        inventory.frames += _frames(file, header, is_mr_storage)
    except Exception:  # as above, from damaged functional groups
        raise _Damaged from None


def _frames(file: Path, header: pydicom.Dataset, is_mr_storage: bool) -> Iterator[Frame]:
    shared = _functional_groups(header.get("SharedFunctionalGroupsSequence"))
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    count = int(header.get("NumberOfFrames") or 1)
    for number in range(count):
        own = _functional_groups(per_frame[number : number + 1])
        yield _frame(file, number, is_mr_storage, _Attributes(*own, *shared, header))


def _functional_groups(items: Iterable[pydicom.Dataset] | None) -> list[pydicom.Dataset]:
    """The macros in a functional group, private ones left out."""
    return [
        group[tag].value[0]
        for group in items or []
        for tag in group.keys()  # noqa: SIM118 -- iterating a Dataset gives elements
        if not tag.is_private and group[tag].VR == "SQ" and group[tag].value
    ]


def _frame(file: Path, number: int, is_mr_storage: bool, attributes: _Attributes) -> Frame:
    get = attributes
    slope = get.number("RescaleSlope")
    return Frame(
        path=file,
        number=number,
        series_uid=get.text("SeriesInstanceUID"),
        sop_uid=get.text("SOPInstanceUID"),
        series_number=get.number("SeriesNumber") or 0,
        instance_number=get.number("InstanceNumber") or 0,
        trigger_ms=get.number("NominalCardiacTriggerDelayTime") or get.number("TriggerTime") or 0,
        shape=(int(get.value("Rows")), int(get.value("Columns"))),
        spacing=get.numbers("PixelSpacing", 2),
        position=get.numbers("ImagePositionPatient", 3),
        orientation=get.numbers("ImageOrientationPatient", 6),
        thickness=get.positive("SpacingBetweenSlices", "SliceThickness"),
        slope=1.0 if slope is None else slope,
        intercept=get.number("RescaleIntercept") or 0.0,
        padding=get.number("PixelPaddingValue"),
        inverted=get.text("PhotometricInterpretation") == "MONOCHROME1",
        is_mr_storage=is_mr_storage,
        acquisition=_acquisition(get),
        text=" ".join(map(get.text, _WORDS)).lower().replace("_", " "),
    )


def _acquisition(get: _Attributes) -> Acquisition:
    pulse = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}.get(get.text("EchoPulseSequence"), ())
    inversion = ("IR",) if get.text("InversionRecovery") == "YES" else ()
    suppressed = ("FS",) if "FAT" in get.text("SpectrallySelectedSuppression") else ()
    side = get.text("FrameLaterality") or get.text("ImageLaterality") or get.text("Laterality")
    inversion_times = get.numbers("InversionTimes", 1)
    return Acquisition(
        modality="MR",
        field_strength_t=get.positive("MagneticFieldStrength"),
        repetition_time_ms=get.positive("RepetitionTime"),
        echo_time_ms=get.positive("EffectiveEchoTime", "EchoTime"),
        inversion_time_ms=inversion_times[0] if inversion_times else get.positive("InversionTime"),
        scanning_sequence=get.codes("ScanningSequence") or pulse + inversion,
        scan_options=get.codes("ScanOptions") + suppressed,
        image_type=get.codes("FrameType") or get.codes("ImageType"),
        body_part=next(iter(get.codes("BodyPartExamined")), None),
        laterality=_SIDES.get(side),
    )
