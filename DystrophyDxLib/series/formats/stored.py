"""What the header of an image file says, and the voxels that lie behind it.

ITK's and Slicer's readers trust a header: a damaged one ends their process, hangs it, or gives memory that nobody wrote
as voxels. A check in front of them would have to parse a file exactly as they do. A child process that may die takes
twenty times as long as the reading itself (measured: 4.9 s to start one with SimpleITK, 0.2 s to read both thighs) and
hands on what it was given. So the formats, each a page of text, are read here, and the voxels once instead of twice.
"""

from __future__ import annotations

import bz2
import os
import stat
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np

from ...errors import InputError
from ...results import ResultWarning
from ..series import Geometry

MAX_DATA_FILES = 20_000
"""Most files that the voxels of one header may lie in: more slices than any study has."""
LONGEST_AXIS = 1 << 40
"""Voxels along an axis from which on a header does not mean what it says."""
_MAX_TEXT = 1 << 25
"""Bytes of the longest file whose voxels are read as text; read, they take twenty times as many."""
_ROUNDED = 0.02
"""Cosine between two axes up to which they are perpendicular ones whose direction cosines were rounded to two decimals;
it is an angle of 1.1°."""
_EXACT = 1e-3
"""Cosine between two axes up to which `Geometry` takes them as they are."""
DEFLATE_RATIO = 1032
"""Bytes that one byte of a deflated stream becomes at most."""

Encoding = Literal["raw", "deflate", "bzip2", "text", "hex"]


class Loaded(NamedTuple):
    """Voxels of a file.

    Attributes:
        voxels: (frames, k, j, i), of the type that is stored, or float32 where they were rescaled.
        notes: sentences on what was found while reading them.
    """

    voxels: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageHeader:
    """What a file says about its image.

    Attributes:
        size: voxels along i, j and k.
        frames: volumes along a further axis.
        geometry: of each frame.
        load: reads the voxels. Raises `InputError` where the file does not hold what its header says, `OSError` where
            it cannot be opened.
        orientation_known: see `Series`.
        notes: see `Series`.
        warnings: see `Series`.
        keys: further entries of the header, by name.
    """

    size: tuple[int, int, int]
    frames: int
    geometry: Geometry
    load: Callable[[], Loaded]
    orientation_known: bool = True
    notes: tuple[str, ...] = ()
    warnings: tuple[ResultWarning, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)


class DamagedFile(InputError):
    """A file that cannot be read.

    Attributes:
        why: as in "its header is cut off".
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"The image file cannot be read: {why}; export it again.")
        self.why = why


CUT_OFF = "it is cut off, damaged or lacks its data file"
NO_SPACING = "The voxel spacing is not positive; check the image header."
SEVERAL_NUMBERS = "The voxels hold several numbers (colour, vector or complex); give a grey-scale image."


def open_regular(path: Path) -> BufferedReader:
    """Opens a file for reading, and nothing else: to open a pipe would wait for ever, a device might not end.

    Raises:
        InputError: it is no file.
        OSError: it cannot be opened.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise InputError("The input is a pipe, a device or a folder where a file is needed; give a file.")
    return path.open("rb")


def geometry_of(direction: np.ndarray, spacing: np.ndarray, origin: np.ndarray) -> tuple[Geometry, tuple[str, ...]]:
    """Geometry as a header tells it, and a note where its axes had to be made perpendicular.

    Args:
        direction: (3, 3), column n the direction of index axis n in LPS, of any length but 0.
        spacing: (3,) mm.
        origin: (3,) mm, LPS.

    Raises:
        InputError: numbers that are none or too large, axes that are not perpendicular, or as `Geometry`.
    """
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(direction, axis=0)
    if not (np.isfinite([*lengths, *spacing, *origin]).all() and np.abs(origin).max() < 1e5):
        raise DamagedFile("its header does not say where the image lies")
    if not ((lengths > 0).all() and (spacing > 0).all()):
        raise InputError(NO_SPACING)
    direction, notes = direction / lengths, tuple[str, ...]()
    if not is_perpendicular(direction):
        raise InputError("The image axes are not perpendicular; resample the image to a regular grid.")
    if not is_perpendicular(direction, _EXACT):
        left, _, right = np.linalg.svd(direction)
        direction, notes = left @ right, ("The directions of the axes are rounded in the header and were made exact.",)
    x, y, z = origin.tolist()
    i, j, k = spacing.tolist()
    return Geometry((x, y, z), (i, j, k), direction), notes


def is_perpendicular(direction: np.ndarray, cosine: float = _ROUNDED) -> bool:
    """Whether the columns of `direction` (3, 3), of length 1, are perpendicular up to a cosine between two of them."""
    return bool(np.abs(direction.T @ direction - np.eye(3)).max() <= cosine)


def beside(header: Path, name: str) -> Path:
    """Path of a data file that a header names: in the header's folder or below it.

    Raises:
        InputError: it would lie elsewhere.
    """
    folder = os.path.abspath(header.parent)
    path = os.path.normpath(os.path.join(folder, name))
    if "\0" in name or not path.startswith(os.path.join(folder, "")):
        raise InputError("The image header names a data file in another folder; put both into one folder.")
    return Path(path)


@dataclass(frozen=True)
class StoredVoxels:
    """Where voxels lie, and how.

    Attributes:
        files: each with an equal share of the voxels.
        shape: of the voxels as stored, slowest axis first.
        dtype: with its byte order.
        encoding: of each file.
        offset: bytes in front of the voxels, as stored; None where the voxels are at the end of the file.
        lines: lines to skip after that.
        skip: bytes to skip after that, unpacked.
        stored: bytes of the packed stream, where that is known.
        ends: whether the file ends with the voxels; of a header beside it, it may hold more.
    """

    files: tuple[Path, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    encoding: Encoding
    offset: int | None = 0
    lines: int = 0
    skip: int = 0
    stored: int | None = None
    ends: bool = True

    def read(self) -> np.ndarray:
        """The voxels, of `shape`.

        Raises:
            InputError: the files do not hold these voxels, neither more nor less.
            OSError: one of them cannot be opened.
        """
        count = int(np.prod(self.shape, dtype=object))
        share, rest = divmod(count, len(self.files))
        if rest:
            raise DamagedFile("its data files do not hold equal shares of the image")
        for path in self.files:  # all, before memory is taken
            self._check_length(path, share)
        voxels = np.empty(count, self.dtype)
        for n, path in enumerate(self.files):
            try:
                self._read_one(path, voxels[n * share : (n + 1) * share])
            except (EOFError, ValueError, zlib.error):
                raise DamagedFile(CUT_OFF) from None
            except OSError as error:  # of bz2, without a number
                if error.errno is not None:
                    raise
                raise DamagedFile(CUT_OFF) from None
        return voxels.reshape(self.shape)

    def _check_length(self, path: Path, count: int) -> None:
        try:
            length = path.stat().st_size - (self.offset or 0)
        except OSError:
            raise DamagedFile(CUT_OFF) from None
        item = self.dtype.itemsize
        least = {"raw": count * item, "deflate": count * item // DEFLATE_RATIO, "text": 2 * count - 1}
        if length < least.get(self.encoding, 1) or (self.encoding == "text" and length > _MAX_TEXT):
            raise DamagedFile(CUT_OFF)

    def _read_one(self, path: Path, voxels: np.ndarray) -> None:
        with open_regular(path) as file:
            if self.offset is None:
                file.seek(-voxels.nbytes, os.SEEK_END)
            else:
                file.seek(self.offset)
            for _ in range(self.lines):
                if not file.readline():
                    raise EOFError
            if self.encoding in ("text", "hex"):
                _read_text(file, voxels, is_hex=self.encoding == "hex")
                return
            stream: ReadsInto = file
            if self.encoding == "deflate":
                stream = Inflated(file)
            elif self.encoding == "bzip2":
                stream = bz2.BZ2File(file)
            skipped = bytearray(min(self.skip, 1 << 20))
            for start in range(0, self.skip, 1 << 20):
                fill(stream, memoryview(skipped)[: self.skip - start])
            fill(stream, voxels.view(np.uint8).data)
            if self.ends:
                plane = voxels.nbytes // max(1, int(np.prod(self.shape[:-2])) // len(self.files))
                self._check_end(stream, plane)

    def _check_end(self, stream: ReadsInto, plane: int) -> None:
        """Raises where voxels follow that the header does not know of."""
        if isinstance(stream, Inflated):
            if stream.readinto(memoryview(bytearray(1))) or (self.stored is not None and stream.used != self.stored):
                raise EOFError
        elif fill_up_to(stream, memoryview(bytearray(plane))) == plane:
            raise DamagedFile("it holds more slices than its header says")


class ReadsInto(Protocol):
    """A stream of bytes: a file, or what is packed in one."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fills `buffer`, or a part of it; 0 at the end."""
        ...


def fill(stream: ReadsInto, buffer: memoryview) -> None:
    """Fills `buffer` with bytes of `stream`.

    Raises:
        EOFError: there are not as many.
    """
    if fill_up_to(stream, buffer) < len(buffer):
        raise EOFError


def fill_up_to(stream: ReadsInto, buffer: memoryview) -> int:
    """Fills `buffer` as far as `stream` goes; returns how far that is."""
    filled = 0
    while filled < len(buffer) and (more := stream.readinto(buffer[filled : filled + (1 << 24)])):
        filled += more
    return filled


class Inflated:
    """The bytes of a gzip or zlib stream, unpacked as they are asked for, never more.

    Reading raises `zlib.error` where the stream is damaged or fails its checksum, `EOFError` where it is cut off.

    Attributes:
        used: packed bytes read so far.
    """

    def __init__(self, file: BufferedReader) -> None:
        self.used = 0
        self._file = file
        self._unpacker = zlib.decompressobj(47)  # gzip or zlib, as the stream says
        self._packed = b""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fills `buffer`, or a part of it; 0 at the end."""
        while buffer:
            if self._unpacker.eof and not self._next_member():
                break
            if not self._packed:
                self._packed = self._file.read(1 << 18)
                if not self._packed:
                    raise EOFError
            unpacked = self._unpacker.decompress(self._packed, len(buffer))
            rest = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
            self.used += len(self._packed) - len(rest)
            self._packed = rest
            if unpacked:
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)
        return 0

    def _next_member(self) -> bool:
        """Whether a further gzip stream follows, as programs write that pack in parallel."""
        while len(self._packed) < 2 and (more := self._file.read(1 << 18)):
            self._packed += more
        if self._packed[:2] != b"\x1f\x8b":
            return False
        self._unpacker = zlib.decompressobj(47)
        return True


def _read_text(file: BufferedReader, voxels: np.ndarray, *, is_hex: bool) -> None:
    text = file.read(_MAX_TEXT)
    if is_hex:
        packed = bytes.fromhex(text.decode("ascii"))
        if len(packed) != voxels.nbytes:
            raise EOFError
        voxels[:] = np.frombuffer(packed, voxels.dtype)
        return
    numbers = text.split()
    if len(numbers) != len(voxels):
        raise EOFError
    values = np.array(numbers, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        voxels[:] = values
    if voxels.dtype.kind != "f" and not np.array_equal(voxels, values):
        raise ValueError
