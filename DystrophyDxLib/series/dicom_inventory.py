"""Reading DICOM: the headers of all files first, then the pixels of the one stack of slices that fits best.

Names in here: a *frame* is one image (a single-frame object, or one frame of a multi-frame object); a *stack* is a set
of frames of one series that share size, orientation and contrast and so form a volume. Attributes and their places in
single-frame and enhanced multi-frame objects follow DICOM PS3.3 sections C.7.6.2 (Image Plane), C.7.6.16 (Multi-frame
Functional Groups), C.8.3 (MR Image) and C.8.13 (Enhanced MR).
"""

from __future__ import annotations

import logging
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    RLELossless,
)

from ..errors import InputError
from .series import Acquisition, Geometry, Series, check_size, plane_of

SAME_COSINE = 5e-3
"""Orientations whose direction cosines differ by no more are one (0.3 degrees: rounding in the header)."""
SAME_PLACE_MM = 0.05
"""Slices closer than this along the normal show the same place."""
SAME_FIELD_MM = 5.0
"""Slices of one place whose corners lie further apart in the plane show different fields (one leg each)."""
IRREGULAR = 0.1
"""Share of the slice spacing by which a slice may lie off the regular grid before it is reported."""

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
# fmt: on
_FRAME_KEYWORDS = [
    "EffectiveEchoTime",
    "InversionTimes",
    "FrameType",
    "FrameLaterality",
    "NominalCardiacTriggerDelayTime",
]  # fmt: skip
_TAG = {keyword: tag_for_keyword(keyword) for keyword in _KEYWORDS + _FRAME_KEYWORDS}

# Points for what a technologist wrote about a series; only ever used to choose, never shown.
_WORDS = tuple(
    (re.compile(rf"(?<![a-z])(?:{words})"), points)
    for words, points in (
        (r"t1", 10),
        (r"t2|stir|tirm|flair|pdw?(?![a-z])|dwi|diff|adc", -20),
        (r"fs(?![a-z])|fat.?s(at|up)|spair|spir", -10),
        (r"loc(?![a-z])|locali[sz]er|scout|survey|smartbrain|calib", -40),
        (r"water|wasser|opp|out.?(of.?)?phase|fat.?frac|ff(?![a-z])|mip|sub(?![a-z])|subtr", -15),
        (r"gd(?![a-z])|gado|post(?![a-z])|km(?![a-z])|contrast", -4),
        (r"thigh|femur|upper.?leg|oberschenkel|cuisse|coscia|muslo", 12),
        (r"legs?(?![a-z])|lower.?ext|extremity", 4),
        (r"calf|calves|lower.?leg|unterschenkel|tibia|knee|ankle|foot|hip(?![a-z])|pelvis|spine|brain|head|arm", -10),
        (r"ax(?![a-z])|axial|tra(?![a-z])|transv", 4),
    )
)


def read_dicom(path: Path, series_uid: str | None = None) -> Series:
    """Reads the best suited series below the folder `path`, or of the one file `path`.

    Args:
        path: folder of any nesting, or one file. Files that are not DICOM are passed over.
        series_uid: Series Instance UID to take instead of the best suited one.

    Raises:
        InputError: no MR image, several patients, an unknown UID, slices without position, damaged files.
    """
    with _quiet_pydicom():
        inventory = _take_inventory(path)
        stack = _chosen(inventory, series_uid)
        series = stack.read()
    notes = list(series.notes)
    if inventory.empty_files:
        notes.append(
            f"{_count(inventory.empty_files, 'file')} of the input {_is(inventory.empty_files)} empty; if slices are"
            " missing, copy the study again."
        )
    return replace(series, selection=inventory.why(stack, series_uid), notes=tuple(notes))


def read_dicom_frames(path: Path, series_uid: str | None = None) -> tuple[Series, ...]:
    """Reads the volumes of a cine below the folder `path`, or of the one file `path`, in the order of their times: of
    several stacks of slices that with the most frames a slice.

    Args:
        path, series_uid: as of `read_dicom`.

    Raises:
        InputError: as `read_dicom`, or slices with more frames than others.
    """
    with _quiet_pydicom():
        stack = _chosen(_take_inventory(path), series_uid, _Stack.rank_as_cine)
        times = stack.split_by_time()
        told = f"{described(stack.plane, len(times[0].frames), stack.acquisition)} with {_count(len(times), 'frame')}."
        return tuple(replace(time.read(), selection=told) for time in times)


def read_facts(path: Path) -> tuple[Acquisition, str] | None:
    """What the header of a DICOM file says of how its first image was made, and in a technologist's words.

    Returns:
        None for a file that is not DICOM, is damaged, or is no image.
    """
    try:
        with _quiet_pydicom(), path.open("rb") as stream:
            if not _looks_like_dicom(stream.read(132)):
                return None
            header = _read_header(stream)
            frame = next(_frames(path, header, _Attributes(header).text("SOPClassUID") in _MR_STORAGE), None)
    except Exception:  # as in `_read_header`
        return None
    if frame is None:
        return None
    return replace(frame.acquisition, modality=_Attributes(header).text("Modality") or None), frame.text


def suitability(axial: bool, slices: int, acquisition: Acquisition, words: str) -> float:
    """Points for how well a series suits the models: axial T1-weighted slices of the thighs.

    Args:
        words: what a technologist wrote about it, in lower case, with blanks for underscores.
    """
    points = 40.0 * axial
    points += {True: 20, False: -20, None: 0}[acquisition.t1_weighted]
    points += 5 * ("SE" in acquisition.scanning_sequence)
    points -= 10 * acquisition.fat_suppressed
    points -= 40 * ("LOCALIZER" in acquisition.image_type)
    points -= 4 * ("SECONDARY" in acquisition.image_type)
    points += 10 * min(slices, 20) / 20
    return points + sum(weight for pattern, weight in _WORDS if pattern.search(words))


def described(plane: str, slices: int, acquisition: Acquisition) -> str:
    """Plane, slices and timing in words."""
    parts = [plane, _count(slices, "slice")]
    if acquisition.repetition_time_ms:
        parts.append(f"TR {acquisition.repetition_time_ms:.4g} ms")
    if acquisition.echo_time_ms:
        parts.append(f"TE {acquisition.echo_time_ms:.3g} ms")
    names = {"SE": "spin echo", "GR": "gradient echo", "IR": "inversion recovery", "EP": "echo planar"}
    parts += [name for code, name in names.items() if code in acquisition.scanning_sequence]
    if acquisition.fat_suppressed:
        parts.append("fat-suppressed")
    return ", ".join(parts)


@contextmanager
def _quiet_pydicom() -> Iterator[None]:
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

    def value(self, keyword: str):
        """The value; None where the attribute is absent, empty or not of its type."""
        tag = _TAG[keyword]
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
class _Frame:
    """One MR image and where it lies; lengths in mm, LPS.

    `text` is what the technologist wrote: it may hold identity and must not leave this module.
    """

    path: Path
    number: int
    series_uid: str
    sop_uid: str
    series_number: float
    instance_number: float
    trigger_ms: float
    shape: tuple[int, int]
    spacing: tuple[float, float] | None
    position: tuple[float, float, float] | None
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
class _Inventory:
    """What the headers say that the input holds."""

    frames: list[_Frame] = field(default_factory=list)
    other_modalities: set[str] = field(default_factory=set)
    patients: set[str] = field(default_factory=set)
    studies: set[str] = field(default_factory=set)
    empty_files: int = 0

    @cached_property
    def series(self) -> list[str]:
        """Series Instance UIDs of the MR series, by Series Number."""
        numbers = {frame.series_uid: frame.series_number for frame in reversed(self.frames)}
        return sorted(numbers, key=lambda uid: (numbers[uid], uid))

    def why(self, stack: _Stack, series_uid: str | None) -> str:
        """The sentence that says why `stack` was taken."""
        place = f"Series {self.series.index(stack.series_uid) + 1} of {len(self.series)}"
        if series_uid is not None:
            reason = "asked for by its UID"
        elif len(self.series) == 1:
            reason = "the only MR series"
        else:
            reason = "the one that fits axial T1-weighted images of the legs best"
        if stack.siblings:
            reason += f"; the best of the {stack.siblings + 1} stacks of images in this series"
        doubts = [] if stack.plane == "axial" else ["it is not axial"]
        if stack.acquisition.t1_weighted is False:
            doubts.append("its header does not describe T1 weighting")
        if len(self.studies) > 1:
            doubts.append(f"the input holds {len(self.studies)} examinations of the patient")
        return f"{place}: {stack.description} ({reason}){''.join('; ' + doubt for doubt in doubts)}."


def _take_inventory(path: Path) -> _Inventory:
    inventory = _Inventory()
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
            f"{_count(damaged, 'DICOM file')} {_is(damaged)} damaged or cut off in the header;"
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


def _enter(inventory: _Inventory, file: Path, header: pydicom.Dataset) -> None:
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


def _frames(file: Path, header: pydicom.Dataset, is_mr_storage: bool) -> Iterator[_Frame]:
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


def _frame(file: Path, number: int, is_mr_storage: bool, attributes: _Attributes) -> _Frame:
    get = attributes
    slope = get.number("RescaleSlope")
    return _Frame(
        path=file,
        number=number,
        series_uid=get.text("SeriesInstanceUID"),
        sop_uid=get.text("SOPInstanceUID"),
        series_number=get.number("SeriesNumber") or 0,
        instance_number=get.number("InstanceNumber") or 0,
        trigger_ms=get.number("NominalCardiacTriggerDelayTime") or get.number("TriggerTime") or 0,
        shape=(int(get.number("Rows")), int(get.number("Columns"))),
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
        text=" ".join(
            get.text(keyword)
            for keyword in (
                "StudyDescription",
                "SeriesDescription",
                "ProtocolName",
                "SequenceName",
                "PulseSequenceName",
                "AcquisitionContrast",
                "BodyPartExamined",
                "ContrastBolusAgent",
            )
        )
        .lower()
        .replace("_", " "),
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
        laterality={"L": "left", "R": "right"}.get(side),
    )


def _chosen(inventory: _Inventory, series_uid: str | None, rank: Callable[[_Stack], tuple] | None = None) -> _Stack:
    """The stack to read, by `series_uid` or by how well it suits, the models of thighs unless `rank` says otherwise."""
    if not inventory.frames:
        if inventory.other_modalities:
            kinds = ", ".join(sorted(inventory.other_modalities))
            raise InputError(f"The input holds no MR images, only {kinds}; give the MR examination of the legs.")
        raise InputError(
            "No DICOM image was found; give a folder with a DICOM MR series, or a DICOM, NIfTI, NRRD or MetaImage file."
        )
    if series_uid is None and len(inventory.patients - {""}) > 1:
        raise InputError(
            f"The input holds studies of {len(inventory.patients - {''})} patients; give the folder of one,"
            " or name the series by its UID."
        )
    if series_uid is not None and series_uid not in inventory.series:
        raise InputError(f"There is no MR series with this UID; the input holds {', '.join(inventory.series)}.")
    pool = [frame for frame in inventory.frames if series_uid in (None, frame.series_uid)]
    stacks = _stacks([frame for frame in pool if frame.is_placed])
    if len(pool) == 1:
        return _Stack(pool)
    # Beside placed slices a picture that was never a slice (a saved screen) may lack a place; a slice may not.
    best = max(stacks, key=rank or _Stack.rank, default=None)
    lost = [f for f in pool if not f.is_placed and (not best or (f.is_mr_storage and f.series_uid == best.series_uid))]
    if lost:
        raise InputError(
            f"{_count(len(lost), 'slice')} of the input {_is(len(lost))} without position or orientation in the header;"
            " export the series again with its full headers."
        )
    return best


def _stacks(frames: list[_Frame]) -> list[_Stack]:
    """All stacks of all series. A series is split by contrast only where it shows a place more than once, so that a
    header field that varies from slice to slice tears no volume apart.
    """
    by_image = {(f.series_uid, f.sop_uid or f.path, f.number, f.position): f for f in reversed(frames)}
    copies = Counter(f.series_uid for f in frames)
    copies.subtract(f.series_uid for f in by_image.values())
    by_format = _grouped(by_image.values(), lambda f: (f.series_uid, f.shape, f.spacing, f.inverted))
    stacks = []
    for group in by_format:
        directions = _clusters(np.array([f.orientation for f in group]), SAME_COSINE)
        for cluster in np.unique(directions):
            stack = _Stack([group[n] for n in np.flatnonzero(directions == cluster)])
            stacks += stack.split_by_contrast() if stack.repeats_a_place else [stack]
    per_series = Counter(stack.series_uid for stack in stacks)
    return [replace(s, siblings=per_series[s.series_uid] - 1, copies=copies[s.series_uid]) for s in stacks]


def _grouped(frames: Iterable[_Frame], key) -> list[list[_Frame]]:
    groups: dict[object, list[_Frame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    return list(groups.values())


def _clusters(vectors: np.ndarray, tolerance: float) -> np.ndarray:
    """(n,) label of each of the (n, m) vectors; those within `tolerance` of a label's first one share it."""
    labels = np.full(len(vectors), -1)
    for n in range(len(vectors)):
        if labels[n] < 0:
            near = (np.abs(vectors - vectors[n]) <= tolerance).all(axis=1)
            labels[near & (labels < 0)] = n
    return labels


@dataclass(frozen=True)
class _Stack:
    """Frames of one series that share size, orientation and contrast.

    Attributes:
        siblings: number of other stacks in its series.
        copies: number of files of its series that repeat another file's image.
    """

    frames: list[_Frame]
    siblings: int = 0
    copies: int = 0

    @property
    def series_uid(self) -> str:
        return self.frames[0].series_uid

    @property
    def is_placed(self) -> bool:
        return self.frames[0].is_placed

    @cached_property
    def direction(self) -> np.ndarray:
        """(3, 3) columns: LPS unit vectors of i, j and the slice normal."""
        if not self.is_placed:
            return np.eye(3)
        i_axis, j_axis = np.reshape(self.frames[0].orientation, (2, 3))
        lengths = np.linalg.norm(i_axis), np.linalg.norm(j_axis)
        if not np.allclose(lengths, 1, atol=0.01):
            raise InputError("The orientation in the DICOM header is not one; export the series again.")
        i_axis, j_axis = i_axis / lengths[0], j_axis / lengths[1]
        return np.stack([i_axis, j_axis, np.cross(i_axis, j_axis)], axis=1)

    @cached_property
    def places(self) -> np.ndarray:
        """(n, 3) position of each frame along i, j and the normal, mm."""
        if not self.is_placed:
            return np.zeros((1, 3))
        return np.array([frame.position for frame in self.frames]) @ self.direction

    @property
    def repeats_a_place(self) -> bool:
        return bool((np.diff(np.sort(self.places[:, 2])) < SAME_PLACE_MM).any())

    def split_by_contrast(self) -> list[_Stack]:
        fields = _clusters(self.places[:, :2], SAME_FIELD_MM)
        field_of = dict(zip(map(id, self.frames), fields.tolist(), strict=True))

        def contrast(frame: _Frame) -> tuple:
            a = frame.acquisition
            times = (a.echo_time_ms, a.inversion_time_ms, a.repetition_time_ms)
            return field_of[id(frame)], times, a.image_type, a.scan_options

        return [_Stack(frames) for frames in _grouped(self.frames, contrast)]

    @property
    def plane(self) -> str:
        return plane_of(self.direction)

    @cached_property
    def acquisition(self) -> Acquisition:
        """Facts of the first frame, with the median of its numbers and a laterality only if all frames agree."""
        facts = [frame.acquisition for frame in self.frames]

        def median(name: str) -> float | None:
            known = [value for fact in facts if (value := getattr(fact, name)) is not None]
            return float(np.median(known)) if known else None

        names = "field_strength_t", "repetition_time_ms", "echo_time_ms", "inversion_time_ms"
        sides = {fact.laterality for fact in facts}
        return replace(
            facts[0], **{name: median(name) for name in names}, laterality=sides.pop() if len(sides) == 1 else None
        )

    @property
    def description(self) -> str:
        """The stack in words, for the sentence about the selection."""
        return described(self.plane if self.is_placed else "without orientation", len(self.frames), self.acquisition)

    def rank(self) -> tuple:
        """Sorts stacks by how well they suit; the last parts only make ties come out the same every time."""
        points = suitability(self.plane == "axial", len(self.frames), self.acquisition, self.frames[0].text)
        number = min(frame.instance_number for frame in self.frames)
        return points, len(self.frames), -self.frames[0].series_number, -number, self.series_uid

    def rank_as_cine(self) -> tuple:
        """Sorts stacks by how many frames they have at a place, then as `rank`."""
        return max(map(len, self._at_places)), *self.rank()

    def split_by_time(self) -> list[_Stack]:
        """A stack a time, each with one frame a place."""
        at_place = [sorted(frames, key=lambda f: (f.trigger_ms, f.instance_number)) for frames in self._at_places]
        if len(counts := {len(frames) for frames in at_place}) > 1:
            raise InputError(
                f"Slices of the cine have from {min(counts)} to {max(counts)} frames; export the series again, whole."
            )
        return [_Stack(list(frames), self.siblings, self.copies) for frames in zip(*at_place, strict=True)]

    @cached_property
    def _at_places(self) -> list[list[_Frame]]:
        """The frames of each place, in the order of the places along the normal."""
        places = self.places[:, 2]
        ordered = sorted(range(len(places)), key=lambda n: places[n])
        distinct = np.diff(places[ordered], prepend=-np.inf) >= SAME_PLACE_MM
        return [[self.frames[n] for n in same] for same in np.split(ordered, np.flatnonzero(distinct)[1:])]

    def read(self) -> Series:
        """Decodes the pixels into a volume on a regular grid."""
        if self.frames[0].spacing is None or min(self.frames[0].spacing) <= 0:
            raise InputError("The DICOM header gives no pixel spacing; export the series again with its full headers.")
        frames, notes = self._one_frame_a_place()
        index, spacing, grid_notes = _regular_grid(frames.places[:, 2], frames.frames[0].thickness)
        notes += grid_notes + frames._shift_notes()
        slices = int(index[-1]) + 1
        check_size((slices, *self.frames[0].shape))
        missing = tuple(sorted(set(range(slices)) - set(index.tolist())))
        if missing:
            notes.append(f"{_count(len(missing), 'slice')} {_is(len(missing))} missing from the series.")
        if not self.is_placed:
            notes.append("No orientation in the header: which side of the patient is which cannot be trusted.")
        row_mm, column_mm = self.frames[0].spacing
        origin = frames.frames[0].position or (0.0, 0.0, 0.0)
        return Series(
            voxels=_decoded(frames.frames, index),
            geometry=Geometry(origin, (column_mm, row_mm, spacing), self.direction),
            acquisition=self.acquisition,
            kind="dicom",
            series_uid=self.series_uid,
            notes=tuple(notes),
            missing_slices=missing,
            orientation_known=self.is_placed,
        )

    def _one_frame_a_place(self) -> tuple[_Stack, list[str]]:
        """The stack ordered along the normal, with one frame a place: that of the lowest Instance Number."""
        kept = [min(same, key=lambda frame: (frame.instance_number, frame.sop_uid)) for same in self._at_places]
        notes = []
        if self.copies:
            notes.append(f"{_count(self.copies, 'image')} of the series {_is(self.copies)} there twice; read once.")
        if doubles := len(self.frames) - len(kept):
            notes.append(
                f"{_count(doubles, 'slice')} {_is(doubles)} at the place of another one; the one with the lowest"
                " instance number was kept."
            )
        return _Stack(kept), notes

    def _shift_notes(self) -> list[str]:
        shift = float(np.linalg.norm(self.places[:, :2] - self.places[0, :2], axis=1).max())
        if shift <= max(self.frames[0].spacing) / 2:
            return []
        return [f"Slices are shifted against the first one by up to {shift:.1f} mm in their plane; read as unshifted."]


def _regular_grid(places: np.ndarray, thickness: float | None) -> tuple[np.ndarray, float, list[str]]:
    """Puts slices at increasing `places` (mm) on a regular grid.

    Returns:
        (n,) slice index k of each, the spacing in mm, and notes about what does not fit.
    """
    if len(places) == 1:
        notes = [] if thickness else ["A single slice without thickness in the header; 1 mm is written for it."]
        return np.zeros(1, int), thickness or 1.0, notes
    steps = np.diff(places)
    index, spacing, error = _grid(places, float(np.median(steps)))
    if error > IRREGULAR * spacing and steps.min() >= (thickness or spacing) / 2:
        # Where every other slice is missing, not the usual step but the smallest is the spacing, if all fit its grid.
        fine = _grid(places, float(steps.min()))
        if fine[2] <= IRREGULAR * fine[1]:
            return *fine[:2], []
    if error <= IRREGULAR * spacing:
        return index, spacing, []
    return index, spacing, [f"The slices are not evenly spaced; some are shown up to {error:.1f} mm off their place."]


def _grid(places: np.ndarray, base: float) -> tuple[np.ndarray, float, float]:
    """Slice index of each place for steps of about `base` mm, the exact step, and the largest distance off the grid."""
    index = np.append(0, np.cumsum(np.maximum(1, np.rint(np.diff(places) / base)))).astype(int)
    spacing = float((places[-1] - places[0]) / index[-1])
    return index, spacing, float(np.abs(places - places[0] - index * spacing).max())


def _decoded(frames: list[_Frame], index: np.ndarray) -> np.ndarray:
    """(z, y, x) float32: frame n at slice index[n], rescaled, bright is strong signal, zero in missing slices."""
    voxels = np.zeros((int(index[-1]) + 1, *frames[0].shape), np.float32)
    padded: list[tuple[int, np.ndarray]] = []
    by_file: dict[Path, list[tuple[int, _Frame]]] = {}
    for k, frame in zip(index.tolist(), frames, strict=True):
        by_file.setdefault(frame.path, []).append((k, frame))
    for path, wanted in by_file.items():
        for (k, frame), image in zip(wanted, _images(path, wanted), strict=True):
            np.multiply(image, frame.slope, out=voxels[k], casting="unsafe")
            voxels[k] += np.float32(frame.intercept)
            if frame.padding is not None and (mask := image == frame.padding).any():
                padded.append((k, mask))
    if frames[0].inverted:
        strongest = voxels[index].max()
        for k in index:
            np.subtract(strongest, voxels[k], out=voxels[k])
    for k, mask in padded:
        voxels[k][mask] = 0
    return voxels


def _images(path: Path, wanted: list[tuple[int, _Frame]]) -> Iterator[np.ndarray]:
    """Stored values (y, x) of the frames that are wanted of one file, in that order."""
    try:
        dataset = pydicom.dcmread(path, force=True)
        if not dataset.file_meta.get("TransferSyntaxUID"):
            implicit, little = dataset.original_encoding
            explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
        syntax = dataset.file_meta.TransferSyntaxUID
        _require_decoder(syntax)
        # The plugin for run-length coding aborts with a stack trace on damaged data; pydicom's own decoder does not.
        plugin = "pydicom" if syntax == RLELossless else ""
        yield from iter_pixels(dataset, indices=[frame.number for _, frame in wanted], raw=True, decoding_plugin=plugin)
    except InputError:
        raise
    except Exception:  # pydicom and its plugins raise nearly anything for pixels that are damaged or not there
        raise InputError(
            f"Slice {wanted[0][0]} of the series has no pixels that can be read: its file is cut off, damaged or only a"
            " header; copy the study again."
        ) from None


def _require_decoder(syntax: pydicom.uid.UID) -> None:
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise InputError("The pixels are encoded in an unusual way; export the series again, uncompressed.") from None
    if not available:
        raise InputError(
            f"The pixels are compressed ({syntax.name}); install the decoders with: pip install 'dystrophydx[cli]'"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
