"""DICOM objects as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element
from pydicom.tag import BaseTag, ItemTag, Tag

_FRAMES = Tag("PerFrameFunctionalGroupsSequence")
_IMPLICIT_VR, _LITTLE_ENDIAN = False, True


def write_object(ds: Dataset, path: Path) -> None:
    """Writes an object in explicit VR and little endian; the groups of its frames are bytes then, as in an object that
    was read.

    Raises:
        OSError: the file cannot be written.
    """
    encodings = convert_encodings(ds.SpecificCharacterSet)
    frames = ds.get("PerFrameFunctionalGroupsSequence")
    ds.pop(_FRAMES, None)
    correct_ambiguous_vr(ds, _LITTLE_ENDIAN)
    if frames is not None:
        content = _encoded(frames, encodings)
        ds[_FRAMES] = RawDataElement(_FRAMES, "SQ", len(content), content, 0, _IMPLICIT_VR, _LITTLE_ENDIAN)
    ds.set_original_encoding(_IMPLICIT_VR, _LITTLE_ENDIAN, encodings)
    ds.save_as(path, enforce_file_format=True)


def _encoded(frames: Iterable[Dataset], encodings: list[str]) -> bytes:
    """The groups of frames as the items of a sequence (PS3.5, 7.5). What is one group of several frames, such as the
    images that all segments of a slice refer to, is encoded once, where pydicom does so for each frame."""
    known: dict[tuple[BaseTag, int], tuple[DataElement, bytes]] = {}
    items = _stream()
    for groups in frames:
        content = b""
        for group in groups:
            key = group.tag, id(group.value)
            if key not in known:
                stream = _stream()
                write_data_element(stream, group, encodings)
                known[key] = group, stream.getvalue()
            content += known[key][1]
        items.write_tag(ItemTag)
        items.write_UL(len(content))
        items.write(content)
    return items.getvalue()


def _stream() -> DicomBytesIO:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = _IMPLICIT_VR, _LITTLE_ENDIAN
    return stream
