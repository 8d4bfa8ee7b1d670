"""MetaImage, with its voxels behind the header or in files beside it: https://itk.org/Wiki/ITK/MetaIO/Documentation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...results import ResultWarning, WarningCode
from .numbered_files import numbered_files
from .stored import (
    LONGEST_AXIS,
    SEVERAL_NUMBERS,
    DamagedFile,
    ImageHeader,
    Loaded,
    StoredVoxels,
    geometry_of,
    open_regular,
)

_MOST_HEADER = 1 << 20
"""Bytes of the longest header in front of its last line, and of the list of data files behind it."""
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}

_CONTRADICTED = ResultWarning(
    code=WarningCode.SIDE_CONTRADICTED,
    message="The two orientations in the MetaImage header (TransformMatrix and AnatomicalOrientation) exchange left "
    "and right, so no side is named; convert the series from DICOM again.",
)


def is_metaimage(start: bytes) -> bool:
    """Whether a file that starts so is MetaImage."""
    return b"NDims" in start and b"=" in start


def metaimage_header(path: Path) -> ImageHeader:
    """What the header of a MetaImage file says.

    Raises:
        InputError: it is damaged, or of an image that cannot be read.
        OSError: it cannot be opened.
    """
    lines: dict[str, str] = {}
    listed: list[str] = []
    with open_regular(path) as file:
        while line := file.readline(_MOST_HEADER):
            name, equals, value = os.fsdecode(line).partition("=")
            name, value = name.strip(), value.strip()
            if not line.strip():
                continue
            is_other = lines.get(name, value) != value and name != "Comment"
            if not equals or is_other or file.tell() > _MOST_HEADER:
                raise DamagedFile("a line of its header is damaged")
            lines[name] = value
            if name == "ElementDataFile":
                break
        begin = file.tell()
        if lines.get("ElementDataFile", "").split()[:1] == ["LIST"]:
            listed = os.fsdecode(file.read(_MOST_HEADER)).splitlines()
    try:
        return _Lines(path, lines, listed, begin).header()
    except (ValueError, OverflowError):
        raise DamagedFile("a line of its header holds no numbers where they are needed") from None


@dataclass(frozen=True)
class _Lines:
    """The lines of one header, by name.

    Attributes:
        listed: names of data files behind it.
        begin: where the header ends in its file.
    """

    path: Path
    lines: dict[str, str]
    listed: list[str]
    begin: int

    def header(self) -> ImageHeader:
        """Raises as `metaimage_header`, and `ValueError`."""
        dimensions = int(self._line("NDims"))
        sizes = [int(size) for size in self._line("DimSize").split()]
        if not 2 <= dimensions <= 10 or len(sizes) != dimensions or not 0 < min(sizes) <= max(sizes) < LONGEST_AXIS:
            raise DamagedFile("its header does not say how many voxels the image has")
        if int(self.lines.get("ElementNumberOfChannels", 1)) != 1 or any(size > 1 for size in sizes[4:]):
            raise InputError(SEVERAL_NUMBERS)
        i, j, k, frames = [*sizes, 1, 1][:4]
        spacing = self._numbers(("ElementSpacing", "ElementSize"), np.ones(dimensions))
        matrix = self._numbers(("TransformMatrix", "Orientation", "Rotation"), np.eye(dimensions).ravel())
        origin = self._numbers(("Offset", "Position", "Origin"), np.zeros(dimensions))
        placed = dimensions > 2 and any(name in self.lines for name in ("TransformMatrix", "Orientation", "Rotation"))
        direction, place = np.eye(3), np.zeros(3)
        if dimensions > 2:  # a row an axis
            direction, place = matrix.reshape(dimensions, dimensions)[:3, :3].T, origin[:3]
        geometry, notes = geometry_of(direction, np.array([*spacing, 1.0])[:3], place)
        voxels = self._voxels(sizes)
        return ImageHeader(
            size=(i, j, k),
            frames=frames,
            geometry=geometry,
            load=lambda: Loaded(voxels.read().reshape(frames, k, j, i)),
            orientation_known=placed,
            notes=notes,
            warnings=(_CONTRADICTED,) if placed and self._contradicts(geometry.direction) else (),
        )

    def _line(self, name: str) -> str:
        if name not in self.lines:
            raise DamagedFile(f"its header has no line “{name}”")
        return self.lines[name]

    def _numbers(self, names: tuple[str, ...], otherwise: np.ndarray) -> np.ndarray:
        """Numbers of the first of these lines, as many as `otherwise`, which are those of a header without them."""
        text = next((self.lines[name] for name in names if name in self.lines), None)
        if text is None:
            return otherwise
        numbers = np.array([float(number) for number in text.split()])
        if len(numbers) != len(otherwise):
            raise DamagedFile("its header does not say where the image lies")
        return numbers

    def _is(self, name: str) -> bool:
        return self.lines.get(name, "False").lower() in ("true", "1")

    def _contradicts(self, direction: np.ndarray) -> bool:
        """Whether the letters of the axes, as "RAI" from the right, call another side left than the matrix does."""
        letters = self.lines.get("AnatomicalOrientation", "")[:3].upper()
        if len(letters) < 3 or not set(letters) <= set("RLAPIS"):
            return False
        to_left = np.array([{"R": 1, "L": -1}.get(letter, 0) for letter in letters])
        # An oblique axis goes by the nearest letter.
        return bool(np.abs(to_left).sum() == 1 and direction[0] @ to_left < 0)

    def _voxels(self, sizes: list[int]) -> StoredVoxels:
        kind, named = self._line("ElementType"), self._line("ElementDataFile")
        if kind not in _TYPES:
            raise DamagedFile("its voxels are of a type that is not known")
        is_local = named.upper() == "LOCAL"
        files = () if is_local else numbered_files(self.path, named, self.listed, sizes)
        packed, text = self._is("CompressedData"), not self._is("BinaryData") and "BinaryData" in self.lines
        stored = int(self.lines.get("CompressedDataSize", 0)) if packed else 0
        if packed and (
            len(files) > 1 or stored < 0 or (stored == 0 and (is_local or "CompressedDataSize" in self.lines))
        ):
            raise DamagedFile("its header does not say how long the packed voxels are")
        head = int(self.lines.get("HeaderSize", 0))
        if head < -1 or (head and packed) or (head == -1 and text):
            raise DamagedFile("a line of its header is damaged")
        msb = next((name for name in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB") if name in self.lines), "")
        begin = self.begin if is_local else 0
        return StoredVoxels(
            files=files or (self.path,),
            shape=tuple(reversed(sizes)),
            dtype=np.dtype(_TYPES[kind]).newbyteorder(">" if self._is(msb) else "<"),
            encoding="deflate" if packed else "text" if text else "raw",
            offset=None if head == -1 else head or begin,
            stored=stored or None,
            ends=head == 0 and (is_local or packed),
        )
