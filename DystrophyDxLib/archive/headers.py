"""What each file of a tree says of where it belongs, by its first attributes: done alike in one process or in many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pydicom
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ParametricMapStorage

from ..errors import InputError
from ..series.dicom_header import LARGEST_HEADER, Attributes, Damaged, looks_like_dicom, quiet_pydicom, unpacked
from ..series.dicom_inventory import MR_STORAGE
from ..series.file_digests import series_digest
from ..series.image_files import IMAGE_FILES
from .studies import Failure

_TAGS: list[BaseTag | int] = [
    Tag(each) for each in ("SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "StudyInstanceUID")
]
_AFTER_STUDY = 0x0020000E
"""Tag from which on nothing is read: that after the Study Instance UID."""
_DIRECTORY = "1.2.840.10008.1.3."
UNREADABLE = Failure("file", "The file or folder cannot be opened; check its permissions.")


class Facts(NamedTuple):
    """What a DICOM file says; empty where it says nothing."""

    patient: str
    study_uid: str
    sop_uid: str
    modality: str


class ImageFile(NamedTuple):
    """An image file, and the digest of what it holds."""

    digest: str


class Other(Enum):
    """What a file is that says nothing of a study."""

    HIDDEN = auto()
    """Names with a dot hold the file system's own notes ("._IM0001" of macOS); a pipe would be waited for."""
    NO_IMAGE = auto()
    EMPTY = auto()
    """Or zeros, where a copy has failed."""
    DAMAGED = auto()


Said = Facts | ImageFile | Failure | Other
Files = Sequence[tuple[str, Sequence[str]]]
"""Names of files, by folder."""


def header_reader() -> Callable[[Files], list[Said]]:
    """What reads the headers of files in their order; see `crew.Maker`."""
    return _read_headers


def _read_headers(files: Files) -> list[Said]:
    with quiet_pydicom():
        return [look_at(Path(folder, name)) for folder, names in files for name in names]


def look_at(path: Path) -> Said:
    """What one file says."""
    if path.name.startswith(".") or not path.is_file():
        return Other.HIDDEN
    try:
        if path.name.lower().endswith(IMAGE_FILES):
            return ImageFile(series_digest(path))
        with path.open("rb") as stream:
            start = stream.read(132)
            if not any(start):
                return Other.EMPTY
            return (looks_like_dicom(start) and read_facts(stream)) or Other.NO_IMAGE
    except InputError as error:
        return Failure.of("file", error)
    except OSError:
        return UNREADABLE
    except Damaged:
        return Other.DAMAGED


def read_facts(stream: BinaryIO) -> Facts | None:
    """The first attributes of a DICOM file; None of what is no image, whatever its study.

    Raises:
        Damaged: the file ends before them.
    """
    ended = True

    def after_study(tag: int, vr: str | None, length: int) -> bool:
        nonlocal ended
        ended = tag < _AFTER_STUDY
        return not ended

    try:
        plain = unpacked(stream, LARGEST_HEADER)
        header = pydicom.filereader.read_partial(plain, after_study, force=True, specific_tags=_TAGS)
        own, meta = Attributes(header), Attributes(getattr(header, "file_meta", None) or pydicom.Dataset())
        kind = own.text("SOPClassUID") or meta.text("MediaStorageSOPClassUID")
    except Exception:  # as in `dicom_header.read_header`
        raise Damaged from None
    if kind.startswith(_DIRECTORY) or kind == ParametricMapStorage:
        return None
    if ended:
        raise Damaged
    modality = own.text("Modality") or ("MR" if kind in MR_STORAGE else "")
    return Facts(own.text("PatientID"), own.text("StudyInstanceUID"), own.text("SOPInstanceUID"), modality)
