"""The headers of DICOM files: which MR images a study holds, where they lie, and how they were made.

A *frame* is one image: a single-frame object, or one frame of a multi-frame object. Attributes and their places in
single-frame and enhanced multi-frame objects follow DICOM PS3.3 sections C.7.6.2 (Image Plane), C.7.6.16 (Multi-frame
Functional Groups), C.8.3 (MR Image) and C.8.13 (Enhanced MR).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pydicom
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    ParametricMapStorage,
)

from ..errors import InputError
from .dicom_header import Attributes, Damaged, Header, functional_groups, looks_like_dicom, quiet_pydicom, read_header
from .series import Acquisition
from .words import are

_NATIVE = ("", ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
MR_STORAGE = {MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage}
# fmt: off
_KEYWORDS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "Modality", "SeriesNumber",
    "InstanceNumber", "AcquisitionNumber", "TemporalPositionIdentifier", "StackID", "ImageType", "BodyPartExamined",
    "Laterality", "ImageLaterality", "PatientOrientation", "StudyDescription", "SeriesDescription", "ProtocolName",
    "SequenceName", "ScanningSequence", "ScanOptions", "RepetitionTime", "EchoTime", "InversionTime",
    "MagneticFieldStrength",
    "EchoPulseSequence", "InversionRecovery", "SpectrallySelectedSuppression", "AcquisitionContrast",
    "PulseSequenceName", "ContrastBolusAgent", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness",
    "SpacingBetweenSlices", "PixelSpacing", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "PixelPaddingValue", "RescaleSlope",
    "RescaleIntercept", "FlipAngle", "DiffusionBValue", "TriggerTime", "KVP", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
_WORDS = (
    "StudyDescription", "SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName", "AcquisitionContrast",
    "BodyPartExamined", "ContrastBolusAgent",
)
# fmt: on
_NO_IMAGES = ("SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "PR", "KO", "SR", "REG", "FID", "DOC", "ECG")
"""Modalities of objects that are no images of a scanner, whatever a user calls them."""
_SIDES: dict[str, Literal["left", "right"]] = {"L": "left", "R": "right"}
_NO_UID = "?"
"""Beginning of what stands for the UID of a series without one; no UID has it."""
Progress = Callable[[int, int], None]
"""Told the number of what is done, and of all."""


def read_facts(path: Path) -> tuple[Acquisition, str] | None:
    """What the header of a DICOM file says of how its first image was made, and in a technologist's words.

    Returns:
        None for a file that is not DICOM, is damaged, or is no image.
    """
    try:
        with quiet_pydicom(), path.open("rb") as stream:
            if not looks_like_dicom(stream.read(132)):
                return None
            header = read_header(stream, _KEYWORDS)
            frame = next(_frames(path, header, is_mr_storage=False), None)
    except Exception:  # as in `read_header`
        return None
    if frame is None:
        return None
    return replace(frame.acquisition, modality=Attributes(header.dataset).text("Modality") or None), frame.text


def first_frame(dataset: pydicom.Dataset) -> Frame | None:
    """The first image of an object, by its header alone; None where it is no image, or damaged."""
    header = Header(dataset, 1 << 62, "", "", is_as_said=False)
    try:
        with quiet_pydicom():
            return next(_frames(Path(), header, is_mr_storage=True), None)
    except Exception:  # as in `read_header`
        return None


@dataclass(frozen=True)
class Frame:
    """One MR image and where it lies; lengths in mm, LPS.

    `syntax` is the transfer syntax of a file that keeps to it, empty of others. `sides` are those that the header's
    lateralities name. `is_mirrored` says that Patient Orientation and Image Orientation (Patient) exchange left and
    right. `text` is what the technologist wrote: it and `patient` may hold identity and must not leave the reader.
    """

    path: Path
    number: int
    of_frames: int
    syntax: str
    patient: str
    study_uid: str
    series_uid: str
    sop_uid: str
    series_number: float
    instance_number: float
    acquisition_number: float
    temporal_position: float
    trigger_ms: float
    stack_id: str
    flip_angle: float | None
    b_value: float | None
    shape: tuple[int, int]
    spacing: tuple[float, ...] | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    thickness: float | None
    unused_bits: int
    slope: float
    intercept: float
    padding: float | None
    inverted: bool
    is_mr_storage: bool
    sides: frozenset[str]
    is_mirrored: bool
    acquisition: Acquisition
    text: str

    @property
    def is_placed(self) -> bool:
        return self.position is not None and self.orientation is not None

    @property
    def order(self) -> tuple[float, ...]:
        """Sorts images of one place by when they were taken, as far as the header says it."""
        return self.temporal_position, self.acquisition_number, self.trigger_ms, self.instance_number


@dataclass
class Inventory:
    """What the headers say that the input holds.

    Attributes:
        other_modalities: of images that are not MR.
        other_objects: what there is beside images of scanners, such as segmentations and reports.
        without_voltage: whether there is CT that names no tube voltage, as no CT scanner writes it.
        gathered: number of images of the series that `gather` has put together.
    """

    frames: list[Frame] = field(default_factory=list)
    other_modalities: set[str] = field(default_factory=set)
    other_objects: set[str] = field(default_factory=set)
    without_voltage: bool = False
    patients: set[str] = field(default_factory=set)
    studies: set[str] = field(default_factory=set)
    empty_files: int = 0
    gathered: dict[str, int] = field(default_factory=dict)

    @cached_property
    def series(self) -> list[str]:
        """Series Instance UIDs of the MR series, or what stands for them, by Series Number."""
        numbers = {frame.series_uid: frame.series_number for frame in reversed(self.frames)}
        return sorted(numbers, key=lambda uid: (numbers[uid], uid))

    @property
    def uids(self) -> list[str]:
        """Those of `series` that are in the headers."""
        return [uid for uid in map(uid_of, self.series) if uid]

    def gather(self) -> None:
        """Puts images together that some anonymisers tear apart: those of series without a UID, and series of one image
        each that are of one number or numbered through."""
        sizes: dict[str, int] = {}
        for frame in self.frames:
            sizes[frame.series_uid] = sizes.get(frame.series_uid, 0) + 1
        kin: dict[tuple, list[Frame]] = {}
        strangers: dict[tuple, list[Frame]] = {}
        for frame in self.frames:
            if not frame.series_uid or sizes[frame.series_uid] == 1:
                kin.setdefault((not frame.series_uid, frame.patient, frame.shape, frame.text), []).append(frame)
        for group in kin.values():
            if len(group) == 1 and group[0].series_uid:
                strangers.setdefault((group[0].patient, group[0].shape), []).extend(group)
        renamed: dict[tuple[Path, int], str] = {}
        for group in (*kin.values(), *filter(_are_evenly_placed, strangers.values())):
            for torn in _of_one_series(group):
                uid = torn[0].series_uid or f"{_NO_UID}{len(self.gathered)}"
                self.gathered[uid] = len(torn)
                renamed |= {(frame.path, frame.number): uid for frame in torn}
        if renamed:
            self.frames = [replace(f, series_uid=renamed.get((f.path, f.number), f.series_uid)) for f in self.frames]


def uid_of(series: str) -> str | None:
    """The UID of a series of an `Inventory`; None where its headers have none."""
    return None if series.startswith(_NO_UID) else series


def _of_one_series(group: list[Frame]) -> list[list[Frame]]:
    """Images of one patient, size and description that have no series, or each its own, as the series they are of."""
    studies = {frame.study_uid for frame in group}
    numbers = {frame.series_number for frame in group}
    parts: dict[tuple, list[Frame]] = {}
    for frame in group:
        study = frame.study_uid if len(studies) < len(group) else ""
        number = frame.series_number if len(numbers) < len(group) else 0
        parts.setdefault((study, number), []).append(frame)
    if not group[0].series_uid:
        return list(parts.values())
    # Images that nothing but their series tells apart are of different series.
    return [part for part in parts.values() if len(part) > 1 and _are_told_apart(part)]


def _are_evenly_placed(frames: list[Frame]) -> bool:
    """Whether images lie on a line with even steps, as slices of a volume do."""
    places = [frame.position for frame in frames if frame.position is not None]
    if len(places) < max(3, len(frames)) or len({frame.orientation for frame in frames}) > 1:
        return False
    corners = np.array(places)
    order = (corners @ (corners[1] - corners[0])).argsort()
    steps = np.diff(corners[order], axis=0)
    return bool(np.abs(steps - steps.mean(axis=0)).max() <= 0.1 * np.linalg.norm(steps.mean(axis=0)))


def _are_told_apart(frames: list[Frame]) -> bool:
    return len({(f.position, f.orientation, f.acquisition, f.order[:3]) for f in frames}) == len(frames)


def take_inventory(
    path: Path | Sequence[Path], modality: str | None = None, advance: Progress | None = None
) -> Inventory:
    """Reads the headers of all files below a folder, of one file, or of several.

    Args:
        modality: "MR" where the user says that images of any modality are MR.
        advance: told how many of the files are done.

    Raises:
        InputError: files that are damaged or cannot be opened.
    """
    inventory = Inventory()
    is_folder = isinstance(path, Path) and path.is_dir()
    if isinstance(path, Path):
        found = sorted(item for item in path.rglob("*") if item.is_file()) if is_folder else [path]
    else:
        found = list(path)
    damaged: list[str] = []
    for n, file in enumerate(found):
        if advance and n % 50 == 0:
            advance(n, len(found))
        # Names with a dot hold the file system's own notes ("._IM0001" of macOS).
        if file.name.startswith(".") and is_folder:
            continue
        try:
            with file.open("rb") as stream:
                start = stream.read(132)
                if not any(start):  # empty, or zeros where a copy has failed
                    inventory.empty_files += 1
                elif looks_like_dicom(start):
                    _enter(inventory, file, read_header(stream, _KEYWORDS), modality)
        except OSError:
            raise InputError("A file of the study cannot be opened; check its permissions.", [file.name]) from None
        except Damaged:
            damaged.append(file.name)
    if damaged:
        raise InputError(
            f"{are(len(damaged), 'DICOM file')} damaged: cut off in the header, or shorter than it says;"
            " copy the study again, or remove what does not belong to it.",
            damaged,
        )
    inventory.gather()
    return inventory


def _enter(inventory: Inventory, file: Path, header: Header, modality: str | None) -> None:
    """Adds the frames of one object; what is no grey-scale MR image is only remembered by its kind."""
    own = Attributes(header.dataset)
    # A header without a class may have lost it to an anonymiser; the file's first group then still has it.
    kind = own.text("SOPClassUID") or header.storage
    if kind.startswith("1.2.840.10008.1.3."):  # DICOMDIR
        return
    if kind == ParametricMapStorage:  # such as a heatmap
        inventory.other_objects.add(_kind_in_words(kind))
        return
    rows, columns = own.number("Rows"), own.number("Columns")
    is_mr_storage = kind in MR_STORAGE
    if not (rows and columns):
        # The class itself may be cut off, and then is none.
        if is_mr_storage or header.storage in MR_STORAGE or (not kind and getattr(header.dataset, "preamble", None)):
            raise Damaged
        inventory.other_objects |= {_kind_in_words(kind)} - {""}
        return
    said = own.text("Modality") or ("MR" if is_mr_storage or own.positive("EchoTime") else "")
    if said != "MR":
        is_passed_over = modality != "MR" or said in _NO_IMAGES
        words = "" if is_mr_storage else _kind_in_words(kind)
        if is_passed_over and words and said in (*_NO_IMAGES, "OT"):
            inventory.other_objects.add(words)
        elif re.fullmatch("[A-Z]{2,4}", said):
            inventory.other_modalities.add(said)
        inventory.without_voltage |= said == "CT" and own.positive("KVP") is None
        if is_passed_over:
            return
    if own.number("SamplesPerPixel") not in (1, None):
        return
    inventory.patients.add(own.text("PatientID"))
    inventory.studies.add(own.text("StudyInstanceUID"))
    try:
        inventory.frames += _frames(file, header, is_mr_storage or not kind or said == "CT")
    except Exception:  # as in `read_header`, from damaged functional groups
        raise Damaged from None


def _kind_in_words(kind: str) -> str:
    """What the standard calls objects of a SOP class; empty for a class that it does not have.

    >>> _kind_in_words("1.2.840.10008.5.1.4.1.1.66.4"), _kind_in_words("1.2.3")
    ('Segmentation', '')
    """
    name = UID(kind).name
    return name.removesuffix(" Storage") if name != kind else ""


def _frames(file: Path, header: Header, is_mr_storage: bool) -> Iterator[Frame]:
    """The frames of a file.

    Raises:
        Damaged: there cannot be as many frames as the header says.
    """
    own = Attributes(header.dataset)
    count = int(own.number("NumberOfFrames") or 1)
    stored_bits = int(own.value("Rows")) * int(own.value("Columns")) * (own.number("BitsAllocated") or 8)
    if header.syntax not in _NATIVE:
        stored_bits = 64  # the least that a compressed frame is wrapped in
    if count > 1 and count * stored_bits > 8 * header.room:
        raise Damaged
    shared = functional_groups(header.dataset.get("SharedFunctionalGroupsSequence"))
    per_frame = header.dataset.get("PerFrameFunctionalGroupsSequence") or []
    for number in range(max(count, 1)):
        groups = functional_groups(per_frame[number : number + 1])
        get = Attributes(*groups, *shared, header.dataset)
        yield _frame(file, number, count, header.syntax if header.is_as_said else "", is_mr_storage, get)


def _frame(file: Path, number: int, of_frames: int, syntax: str, is_mr_storage: bool, get: Attributes) -> Frame:
    slope = get.number("RescaleSlope")
    return Frame(
        path=file,
        number=number,
        of_frames=of_frames,
        syntax=syntax,
        patient=get.text("PatientID"),
        study_uid=get.text("StudyInstanceUID"),
        series_uid=get.text("SeriesInstanceUID"),
        sop_uid=get.text("SOPInstanceUID"),
        series_number=get.number("SeriesNumber") or 0,
        instance_number=get.number("InstanceNumber") or 0,
        acquisition_number=get.number("AcquisitionNumber") or 0,
        temporal_position=get.number("TemporalPositionIndex") or get.number("TemporalPositionIdentifier") or 0,
        trigger_ms=get.number("NominalCardiacTriggerDelayTime") or get.number("TriggerTime") or 0,
        stack_id=get.text("StackID"),
        flip_angle=get.number("FlipAngle"),
        b_value=get.number("DiffusionBValue"),
        shape=(int(get.value("Rows")), int(get.value("Columns"))),
        spacing=get.numbers("PixelSpacing", 2),
        position=get.numbers("ImagePositionPatient", 3),
        orientation=get.numbers("ImageOrientationPatient", 6),
        thickness=get.positive("SpacingBetweenSlices", "SliceThickness"),
        unused_bits=max(0, int((get.number("BitsAllocated") or 0) - (get.positive("BitsStored") or 1e3))),
        slope=1.0 if slope is None else slope,
        intercept=get.number("RescaleIntercept") or 0.0,
        padding=get.number("PixelPaddingValue"),
        inverted=get.text("PhotometricInterpretation") == "MONOCHROME1",
        is_mr_storage=is_mr_storage,
        sides=_sides(get),
        is_mirrored=_is_mirrored(get),
        acquisition=_acquisition(get),
        text=" ".join(map(get.text, _WORDS)).lower().replace("_", " "),
    )


def _sides(get: Attributes) -> frozenset[Literal["left", "right"]]:
    """The sides that the lateralities of an image, its frame and its series name."""
    told = map(get.text, ("FrameLaterality", "ImageLaterality", "Laterality"))
    return frozenset(_SIDES[side] for side in told if side in _SIDES)


def _is_mirrored(get: Attributes) -> bool:
    axes, cosines = get.codes("PatientOrientation"), get.numbers("ImageOrientationPatient", 6)
    if len(axes) != 2 or cosines is None:
        return False
    return any(
        letters[0] in _SIDES and abs(x) > 0.5 and (letters[0] == "L") != (x > 0)
        for letters, x in zip(axes, (cosines[0], cosines[3]), strict=True)
    )


def _acquisition(get: Attributes) -> Acquisition:
    pulse = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}.get(get.text("EchoPulseSequence"), ())
    inversion = ("IR",) if get.text("InversionRecovery") == "YES" else ()
    suppressed = ("FS",) if "FAT" in get.text("SpectrallySelectedSuppression") else ()
    sides = _sides(get)
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
        laterality=next(iter(sides)) if len(sides) == 1 else None,
    )
