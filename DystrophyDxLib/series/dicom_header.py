"""Headers of DICOM files, read in bounded time and memory whatever a file says of itself."""

from __future__ import annotations

import io
import logging
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

LARGEST_HEADER = 64 << 20
"""Bytes of a deflated file that are unpacked for its header: enough for 20 000 frames."""
_META_LENGTH = slice(140, 144)
"""Where a file says how long its first group is, that which is never deflated (PS3.10, 7.1)."""
_MOST_DEFLATED = 1032
"""Times by which deflated bytes grow at most."""


class Damaged(Exception):
    """A file that is DICOM but cannot be what its header says."""


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


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file that starts so has the DICOM prefix or, as in older exports, begins with group 0002 or 0008.

    Args:
        start: its first 132 bytes.
    """
    return start[128:] == b"DICM" or (start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00")


class Header(NamedTuple):
    """What stands before the pixels of a file.

    Attributes:
        dataset: attributes.
        room: bytes that the pixels can have at most.
        storage, syntax: SOP class and transfer syntax of the file's first group, empty where it has none.
        is_as_said: whether the pixels begin as the transfer syntax says, so that they can be read by it alone.
    """

    dataset: pydicom.Dataset
    room: int
    storage: str
    syntax: str
    is_as_said: bool


def read_header(stream: BinaryIO, keywords: list[str]) -> Header:
    """The attributes named, without pixels.

    Raises:
        Damaged: the header cannot be read to its end.
    """
    try:
        plain = unpacked(stream, LARGEST_HEADER)
        header = pydicom.dcmread(plain, force=True, stop_before_pixels=True, specific_tags=keywords)
    except Exception:  # pydicom raises nearly anything for bytes that are not what they claim
        raise Damaged from None
    meta = Attributes(getattr(header, "file_meta", None) or pydicom.Dataset())
    storage, syntax = meta.text("MediaStorageSOPClassUID"), meta.text("TransferSyntaxUID")
    if plain is not stream:
        return Header(header, stream.seek(0, io.SEEK_END) * _MOST_DEFLATED, storage, syntax, False)
    start = stream.tell()
    is_explicit = stream.read(8)[4:6] in (b"OB", b"OW", b"OF", b"OD")
    is_as_said = bool(syntax) and is_explicit == (syntax != ImplicitVRLittleEndian)
    return Header(header, stream.seek(0, io.SEEK_END) - start, storage, syntax, is_as_said)


def unpacked(stream: BinaryIO, most: int) -> BinaryIO:
    """A DICOM file as if it had not been deflated: the stream itself where it was not, from its start on.

    Args:
        most: bytes after which unpacking ends, with what there is by then.

    Raises:
        Damaged: the file is no deflated one although it says so.
    """
    stream.seek(0)
    start = stream.read(1024)
    stream.seek(0)
    deflated, plain = (uid.encode() for uid in (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian))
    if start[128:132] != b"DICM" or deflated not in start:
        return stream
    end = _META_LENGTH.stop + int.from_bytes(start[_META_LENGTH], "little")
    meta = stream.read(min(end, 1 << 16)).replace(deflated, plain.ljust(len(deflated), b"\0"))
    inflater, parts, room = zlib.decompressobj(-zlib.MAX_WBITS), [meta], most
    try:
        while room > 0 and not inflater.eof and (part := inflater.unconsumed_tail or stream.read(1 << 18)):
            parts.append(inflater.decompress(part, room))
            room -= len(parts[-1])
    except zlib.error:
        raise Damaged from None
    return io.BytesIO(b"".join(parts))


_tag = cache(pydicom.tag.Tag)


class Attributes:
    """Attributes of one frame, looked up in its functional groups, then the shared ones, then the object itself."""

    def __init__(self, *datasets: pydicom.Dataset) -> None:
        self._holder = {tag: dataset for dataset in reversed(datasets) for tag in dataset.keys()}  # noqa: SIM118

    def value(self, keyword: str) -> Any:
        """The value; None where the attribute is absent, empty or not of its type."""
        tag = _tag(keyword)
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


def functional_groups(items: Iterable[pydicom.Dataset] | None) -> list[pydicom.Dataset]:
    """The macros in a functional group, private ones left out."""
    return [
        group[tag].value[0]
        for group in items or []
        for tag in group.keys()  # noqa: SIM118 -- iterating a Dataset gives elements
        if not tag.is_private and group[tag].VR == "SQ" and group[tag].value
    ]
