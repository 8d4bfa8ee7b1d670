"""NRRD, with its voxels behind the header or in files beside it: https://teem.sourceforge.net/nrrd/format.html."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...errors import InputError
from .numbered_files import numbered_files
from .stored import (
    LONGEST_AXIS,
    NO_SPACING,
    SEVERAL_NUMBERS,
    DamagedFile,
    Encoding,
    ImageHeader,
    Loaded,
    StoredVoxels,
    geometry_of,
    open_regular,
)

_MOST_HEADER = 1 << 24
"""Bytes of the longest header; the many segments of a large segmentation take a hundred kilobytes."""
_TYPES = {
    name: kind
    for kind, names in {
        "i1": "signed char,int8,int8_t",
        "u1": "uchar,unsigned char,uint8,uint8_t",
        "i2": "short,short int,signed short,signed short int,int16,int16_t",
        "u2": "ushort,unsigned short,unsigned short int,uint16,uint16_t",
        "i4": "int,signed int,int32,int32_t",
        "u4": "uint,unsigned int,uint32,uint32_t",
        "i8": "longlong,long long,long long int,signed long long,signed long long int,int64,int64_t",
        "u8": "ulonglong,unsigned long long,unsigned long long int,uint64,uint64_t",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split(",")
}
_ENCODINGS: dict[str, Encoding] = {
    "raw": "raw",
    "gz": "deflate",
    "gzip": "deflate",
    "bz2": "bzip2",
    "bzip2": "bzip2",
    "txt": "text",
    "text": "text",
    "ascii": "text",
    "hex": "hex",
}
_TO_LPS = {
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
}
_OTHER_SPACES = {"scanner-xyz", "3d-right-handed", "3d-left-handed"}
_UNITS_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001}
_OTHER_NAMES = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}
_SPACE_KINDS = {"domain", "space", "none", "???", ""}
"""Kinds of an axis of space, as far as they say so."""
_FRAME_KINDS = {"list", "time"}
"""Kinds of an axis along which lie whole images."""


def nrrd_header(path: Path) -> ImageHeader:
    """What the header of a NRRD file says. Its key/value pairs are in `ImageHeader.keys`.

    Raises:
        InputError: it is damaged, or of an image that cannot be read.
        OSError: it cannot be opened.
    """
    with open_regular(path) as file:
        fields, keys, data_files = _parsed(file)
        begin = file.tell()
    try:
        return _Fields(path, fields, data_files, begin).header(keys)
    except (ValueError, OverflowError):
        raise DamagedFile("a line of its header holds no numbers where they are needed") from None


def _parsed(file: BinaryIO) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Fields, key/value pairs, and the lines after "data file: LIST", of the header, at whose end the file then is."""
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    data_files: list[str] = []
    file.readline(64)  # the magic
    while line := file.readline(_MOST_HEADER):
        text = os.fsdecode(line).strip("\r\n")
        if file.tell() > _MOST_HEADER:
            raise DamagedFile("its header has no end")
        if fields.get("data file", "").split()[:1] == ["LIST"]:
            data_files.append(text)
            continue
        if not text:
            break
        if text.startswith("#"):
            continue
        name, colon, value = text.partition(":")
        if ":=" in text and ": " not in text[: text.index(":=") + 1]:
            name, _, value = text.partition(":=")
            keys[_text(name)] = _text(value)
            continue
        name = _OTHER_NAMES.get(name.lower(), name.lower())
        if not colon or name in fields or len(name) > 32:
            raise DamagedFile("a line of its header is damaged")
        fields[name] = value.strip()
    return fields, keys, data_files


def _text(escaped: str) -> str:
    """A part of a key/value pair as a user wrote it."""
    text = os.fsencode(escaped).decode("utf-8", "replace")
    return "\\".join(part.replace("\\n", "\n") for part in text.split("\\\\"))


@dataclass(frozen=True)
class _Fields:
    """The fields of one header, by name.

    Attributes:
        data_files: names in a list at its end.
        begin: where the header ends in its file.
    """

    path: Path
    fields: dict[str, str]
    data_files: list[str]
    begin: int

    def header(self, keys: dict[str, str]) -> ImageHeader:
        """Raises as `nrrd_header`, and `ValueError`."""
        dimension = int(self._field("dimension"))
        sizes = [int(size) for size in self._field("sizes").split()]
        if not 2 <= dimension <= 16 or len(sizes) != dimension or not 0 < min(sizes) <= max(sizes) < LONGEST_AXIS:
            raise DamagedFile("its header does not say how many voxels the image has")
        to_lps = self._to_lps()
        space, others = self._axes(sizes, self._steps(dimension))
        frame = others[0] if others else None
        size = [sizes[axis] for axis, _ in space] + [1] * (3 - len(space))
        spacing, direction = np.ones(3), np.eye(3)
        for n, (_, step) in enumerate(space):
            spacing[n] = np.linalg.norm(step)
            if len(space) == 3:
                direction[:, n] = step
        unit_mm = self._units()
        origin = self._origin() * unit_mm
        if to_lps is not None:
            direction, origin = direction * np.array(to_lps)[:, None], origin * to_lps
        geometry, notes = geometry_of(direction, spacing * unit_mm, origin)
        voxels = self._voxels(sizes)
        stored = [*([] if frame is None else [frame]), *(axis for axis, _ in reversed(space))]

        def load() -> Loaded:
            # The axes are stored slowest first; those that are not taken have one voxel.
            order = [dimension - 1 - axis for axis in stored]
            rest = [n for n in range(dimension) if n not in order]
            moved = voxels.read().transpose(order + rest)
            return Loaded(moved.reshape(frames, *size[::-1]))

        frames = sizes[frame] if frame is not None else 1
        i, j, k = size
        return ImageHeader(
            size=(i, j, k),
            frames=frames,
            geometry=geometry,
            load=load,
            orientation_known=to_lps is not None and len(space) == 3,
            notes=notes,
            keys=keys,
        )

    def _field(self, name: str) -> str:
        if name not in self.fields:
            raise DamagedFile(f"its header has no line “{name}”")
        return self.fields[name]

    def _to_lps(self) -> tuple[int, int, int] | None:
        """Signs by which the coordinates become LPS; None where the header does not say which they are."""
        space = self.fields.get("space", "").lower().removesuffix("-time").removesuffix("t")
        if space and space not in _TO_LPS and space not in _OTHER_SPACES:
            raise DamagedFile("its header names a space that is not known")
        return _TO_LPS.get(space)

    def _steps(self, dimension: int) -> list[np.ndarray | None]:
        """The step along each axis, None along one that is none of space."""
        kinds = self._kinds(dimension)
        if "space directions" in self.fields:
            vectors = self.fields["space directions"].replace("none", "(none)").split("(")[1:]
            steps = [None if "none" in vector else _vector(vector) for vector in vectors]
            steps = [None if step is None or np.isnan(step).all() else step for step in steps]  # as pynrrd writes none
            is_space = [kind in _SPACE_KINDS for kind in kinds]
        else:
            spacings = [float(number) for number in self.fields.get("spacings", "").split()] or [1.0] * dimension
            if any(mm <= 0 for mm in spacings):
                raise InputError(NO_SPACING)
            is_space = [kind in _SPACE_KINDS and not np.isnan(mm) for kind, mm in zip(kinds, spacings, strict=False)]
            is_space = [of_space and sum(is_space[:n]) < 3 for n, of_space in enumerate(is_space)]
            steps = [mm * np.eye(3)[sum(is_space[:n]) % 3] for n, mm in enumerate(spacings)]
        if len(steps) != dimension:
            raise DamagedFile("its header does not say how long its axes are")
        return [step if of_space else None for step, of_space in zip(steps, is_space, strict=True)]

    def _kinds(self, dimension: int) -> list[str]:
        kinds = [kind.strip('"').lower() for kind in self.fields.get("kinds", "").split()]
        return (kinds + [""] * dimension)[:dimension]

    def _axes(self, sizes: list[int], steps: list[np.ndarray | None]) -> tuple[list[tuple[int, np.ndarray]], list[int]]:
        """Axes of space with their steps, and of others the one that has several voxels, if there is one."""
        space = [(n, step) for n, step in enumerate(steps) if step is not None][:3]
        taken = {n for n, _ in space}
        others = [n for n, size in enumerate(sizes) if n not in taken and size > 1]
        kinds = self._kinds(len(sizes))
        if any(kinds[n] not in _FRAME_KINDS | _SPACE_KINDS for n in others) or len(others) > 1:
            raise InputError(SEVERAL_NUMBERS)
        if len(space) < 2:
            raise DamagedFile("its header does not say which of its axes are of space")
        return space, others

    def _units(self) -> float:
        units = {unit.lower() for unit in self.fields.get("space units", "").replace('"', " ").split()}
        return _UNITS_MM.get(units.pop(), 1.0) if len(units) == 1 else 1.0

    def _origin(self) -> np.ndarray:
        text = self.fields.get("space origin", "none")
        return np.zeros(3) if "none" in text else _vector(text.partition("(")[2])

    def _voxels(self, sizes: list[int]) -> StoredVoxels:
        kind, encoding = self._field("type").lower(), self._field("encoding").lower()
        if kind not in _TYPES:
            raise DamagedFile("its voxels are of a type that is not known")
        if encoding not in _ENCODINGS:
            raise DamagedFile("its voxels are packed in a way that is not known")
        endian = self.fields.get("endian", "").lower()
        if endian not in ("little", "big") and _TYPES[kind][1] != "1" and _ENCODINGS[encoding] != "text":
            raise DamagedFile("its header does not say in which order its bytes are")
        skip = int(self.fields.get("byte skip", 0))
        lines = int(self.fields.get("line skip", 0))
        at_end = skip == -1 and _ENCODINGS[encoding] == "raw"
        if lines < 0 or (skip < 0 and not at_end):
            raise DamagedFile("a line of its header is damaged")
        files = self._files(sizes)
        return StoredVoxels(
            files=files or (self.path,),
            shape=tuple(reversed(sizes)),
            dtype=np.dtype(_TYPES[kind]).newbyteorder(">" if endian == "big" else "<"),
            encoding=_ENCODINGS[encoding],
            offset=None if at_end else 0 if files else self.begin,
            lines=lines,
            skip=max(0, skip),
            ends=not files and not at_end,
        )

    def _files(self, sizes: list[int]) -> tuple[Path, ...]:
        """The files that the voxels lie in; none where they are behind the header."""
        named = self.fields.get("data file")
        if named is None:
            return ()
        return numbered_files(self.path, named, self.data_files, sizes)


def _vector(text: str) -> np.ndarray:
    """(3,) numbers of "x,y,z)"; the time of a fourth is left out."""
    numbers = [float(number) for number in text.partition(")")[0].split(",")]
    if not 2 <= len(numbers) <= 4:
        raise DamagedFile("its header does not say where the image lies")
    return np.array([*numbers, 0.0][:3])
