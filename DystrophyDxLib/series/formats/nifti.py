"""NIfTI-1 and NIfTI-2 in one file, packed or not."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ...errors import InputError
from ...results import ResultWarning, WarningCode
from ..series import VOXEL_MM
from .stored import (
    CUT_OFF,
    DEFLATE_RATIO,
    SEVERAL_NUMBERS,
    DamagedFile,
    ImageHeader,
    Inflated,
    Loaded,
    fill_up_to,
    geometry_of,
    is_perpendicular,
    open_regular,
)

_NAMES = [
    "dim",
    "type",
    "pixdim",
    "start",
    "slope",
    "intercept",
    "units",
    "qform",
    "sform",
    "quaternion",
    "offset",
    "affine",
    "magic",
]
_LAYOUTS = {
    348: np.dtype(
        {
            "names": _NAMES,
            "offsets": [40, 70, 76, 108, 112, 116, 123, 252, 254, 256, 268, 280, 344],
            "formats": ["8i2", "i2", "8f4", "f4", "f4", "f4", "u1", "i2", "i2", "3f4", "3f4", "(3,4)f4", "S3"],
            "itemsize": 348,
        }
    ),
    540: np.dtype(
        {
            "names": _NAMES,
            "offsets": [16, 12, 104, 168, 176, 184, 500, 344, 348, 352, 376, 400, 4],
            "formats": ["8i8", "i2", "8f8", "i8", "f8", "f8", "i4", "i4", "i4", "3f8", "3f8", "(3,4)f8", "S3"],
            "itemsize": 540,
        }
    ),
}
"""The headers of NIfTI-1 and NIfTI-2, by their length, with which they begin."""
HEADER_BYTES = max(_LAYOUTS)

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_SEVERAL = {32, 128, 1792, 2048, 2304}  # complex and colour
_UNITS_MM = {1: 1000.0, 2: 1.0, 3: 0.001}
_RAS_TO_LPS = np.array([[-1.0], [-1.0], [1.0]])
_SAME_LENGTH = 0.02
"""Relative difference up to which pixdim and the columns of the sform are the same voxel size, one of them rounded."""
_SAME_SIDES = 0.7
"""Cosine between what sform and qform call left from which on they name the same sides of the patient."""
_MOST_EXTENSIONS = 1 << 24
"""Bytes that may lie between header and voxels."""

_CONTRADICTED = ResultWarning(
    code=WarningCode.SIDE_CONTRADICTED,
    message="The two orientations in the NIfTI header (sform and qform) exchange left and right, so no side is named; "
    "convert the series from DICOM again.",
)


def is_nifti(start: bytes) -> bool:
    """Whether an unpacked file that starts so is NIfTI."""
    return len(start) >= 4 and _byte_order(start) is not None


def nifti_header(path: Path, start: bytes, *, packed: bool) -> ImageHeader:
    """What the header of a NIfTI file says.

    Args:
        start: its first `HEADER_BYTES`, unpacked.
        packed: whether the file is a gzip.

    Raises:
        InputError: it is damaged, or of an image that cannot be read.
    """
    order = _byte_order(start)
    if order is None:
        raise DamagedFile("it does not begin as NIfTI does")
    length = int(np.frombuffer(start, f"{order}i4", 1)[0])
    if len(start) < length:
        raise DamagedFile(CUT_OFF)
    header = np.frombuffer(start, _LAYOUTS[length].newbyteorder(order), 1)[0]
    if header["magic"] not in (b"n+1", b"n+2"):
        raise InputError("The NIfTI header is damaged, or its voxels are in a file of their own; give a single .nii.")
    dimensions = int(header["dim"][0])
    i, j, k, frames, *components = (int(size) for size in [*header["dim"][1 : max(dimensions, 0) + 1], *[1] * 4][:7])
    if not 2 <= dimensions <= 7 or min(i, j, k) < 1:
        raise DamagedFile("its header does not say how many voxels the image has")
    kind = int(header["type"])
    if kind in _SEVERAL or any(size > 1 for size in components):
        raise InputError(SEVERAL_NUMBERS)
    if kind not in _TYPES:
        raise DamagedFile("its voxels are of a type that is not known")
    placed = _placed(header, np.array([i, j, k]))
    geometry, notes = geometry_of(placed.direction, placed.spacing, placed.origin)
    voxels = _Voxels(
        path=path,
        packed=packed,
        header=length,
        start=float(header["start"]),
        shape=(max(1, frames), k, j, i),
        dtype=np.dtype(_TYPES[kind]).newbyteorder(order),
        slope=float(header["slope"]),
        intercept=float(header["intercept"]),
    )
    return ImageHeader(
        size=(i, j, k),
        frames=max(1, frames),
        geometry=geometry,
        load=voxels.load,
        orientation_known=placed.known and dimensions > 2,
        notes=placed.notes + notes,
        warnings=placed.warnings,
    )


def _byte_order(start: bytes) -> Literal["<", ">"] | None:
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    return next((order for order in orders if int(np.frombuffer(start, f"{order}i4", 1)[0]) in _LAYOUTS), None)


class _Placed(NamedTuple):
    """Where the voxels lie; see `geometry_of`."""

    direction: np.ndarray
    spacing: np.ndarray
    origin: np.ndarray
    known: bool
    notes: tuple[str, ...]
    warnings: tuple[ResultWarning, ...]


def _placed(header: np.void, size: np.ndarray) -> _Placed:
    """What the header says of the scanner's space: by its sform or, where that is of another space, by its qform."""
    affine = np.nan_to_num(header["affine"].astype(float), posinf=0, neginf=0)
    lengths = np.linalg.norm(affine[:, :3], axis=0)
    by_sform = affine[:, :3] / lengths if header["sform"] > 0 and lengths.all() else None
    unit_mm = _UNITS_MM.get(int(header["units"]) & 7, 1.0)
    by_qform = _rotation(header) if header["qform"] > 0 else None
    if by_sform is not None and (
        by_qform is None or (is_perpendicular(by_sform) and header["sform"] in (1, header["qform"]))
    ):
        direction, origin = by_sform, affine[:, 3]
    else:
        direction = np.diag([-1.0, -1.0, 1.0]) if by_qform is None else by_qform
        origin = header["offset"].astype(float) if by_qform is not None else np.zeros(3)
    spacing, notes = _spacing(header, lengths, size, unit_mm, takes_sform=direction is by_sform)
    agreement = [1.0] * 3 if by_sform is None or by_qform is None else (by_sform * by_qform).sum(axis=1)
    contradicted = agreement[0] < _SAME_SIDES
    if min(agreement) < _SAME_SIDES <= agreement[0]:
        notes += (
            "The two orientations in the header (sform and qform) differ; that of the "
            f"{'sform' if direction is by_sform else 'qform'} was taken.",
        )
    return _Placed(
        direction=direction * _RAS_TO_LPS + 0.0,  # no -0
        spacing=spacing * unit_mm,
        origin=origin * _RAS_TO_LPS[:, 0] * unit_mm + 0.0,
        known=by_sform is not None or by_qform is not None,
        notes=notes,
        warnings=(_CONTRADICTED,) if contradicted else (),
    )


def _spacing(
    header: np.void, lengths: np.ndarray, size: np.ndarray, unit_mm: float, *, takes_sform: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxel size along i, j and k, and a note where the header says it twice or not at all.

    Args:
        lengths: of the columns of the sform.
        unit_mm: of the numbers in the header.
    """
    spacing = np.abs(header["pixdim"][1:4].astype(float))
    if not np.isfinite(spacing).all():
        raise DamagedFile("its header does not say how large a voxel is")
    lacking = spacing == 0
    if lacking.any():
        spacing[lacking] = np.where(lengths > 0, lengths, size == 1)[lacking]
        return spacing, ("A voxel size of 0 in the header was taken from its sform.",) if lengths[lacking].all() else ()
    is_damaged = (spacing * unit_mm < VOXEL_MM[0]).any() or (spacing * unit_mm > VOXEL_MM[1]).any()
    if is_damaged or not takes_sform or np.abs(lengths / spacing - 1).max() <= _SAME_LENGTH:
        return spacing, ()
    if np.abs(lengths - 1).max() <= _SAME_LENGTH:
        return spacing, ("The sform of the header has no voxel sizes; those beside it were taken.",)
    return lengths, ("The header has two voxel sizes; those of its sform were taken.",)


def _rotation(header: np.void) -> np.ndarray | None:
    """(3, 3) direction cosines of the qform; None where it is none."""
    b, c, d = (float(part) for part in header["quaternion"])
    squares = b * b + c * c + d * d
    if not squares < 1.01:
        return None
    if squares > 1:
        b, c, d = np.array([b, c, d]) / np.sqrt(squares)
    a = np.sqrt(max(0.0, 1 - squares))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    return rotation * [1, 1, -1 if header["pixdim"][0] < 0 else 1]


@dataclass(frozen=True)
class _Voxels:
    """Where the voxels of a NIfTI file lie, and how.

    Attributes:
        header: its length.
        start: where in the unpacked file they begin, as the header says.
        shape: (frames, k, j, i).
        dtype: with its byte order.
        slope, intercept: of the values; none where the slope is 0.
    """

    path: Path
    packed: bool
    header: int
    start: float
    shape: tuple[int, int, int, int]
    dtype: np.dtype
    slope: float
    intercept: float

    def load(self) -> Loaded:
        """Raises as `ImageHeader.load`."""
        count = int(np.prod(self.shape, dtype=object))
        length, plane = count * self.dtype.itemsize, self.shape[2] * self.shape[3] * self.dtype.itemsize
        packed = DEFLATE_RATIO if self.packed else 1
        if self.path.stat().st_size * packed < length:
            raise DamagedFile(CUT_OFF)
        buffer = np.empty(self.header + _MOST_EXTENSIONS + length + plane, np.uint8)  # memory as far as it is filled
        try:
            with open_regular(self.path) as file:
                total = fill_up_to(Inflated(file) if self.packed else file, buffer.data)
        except (EOFError, zlib.error):
            raise DamagedFile(CUT_OFF) from None
        begin = self._begin(buffer, total, length, plane)
        notes = ("The header puts the voxels at a wrong place in the file; they were read from where they lie.",)
        voxels = np.require(np.frombuffer(buffer, self.dtype, count, begin), requirements="A").reshape(self.shape)
        return Loaded(self._rescaled(voxels), notes if begin != self.start else ())

    def _begin(self, buffer: np.ndarray, total: int, length: int, plane: int) -> int:
        """Where the voxels begin in a file of `total` bytes: as stated, or else where they then end with the file."""
        after_extensions = self._after_extensions(buffer)
        likely = [after_extensions, self.header + 4, self.header]
        if self.header + 4 <= self.start <= self.header + _MOST_EXTENSIONS:
            likely.insert(0, int(self.start))
        exact = next((begin for begin in likely if begin + length == total), None)
        if exact is not None:
            return exact
        if likely[0] + length > total:
            raise DamagedFile(CUT_OFF)
        if likely[0] + length + plane <= total:
            raise DamagedFile("it holds more slices than its header says")
        return likely[0]

    def _after_extensions(self, buffer: np.ndarray) -> int:
        """Where the extensions end that lie behind the header: each says how long it is."""
        end = self.header + 4
        if buffer[self.header]:
            endless = self.header + _MOST_EXTENSIONS
            while end < endless:
                size = int(np.frombuffer(buffer, np.dtype("i4").newbyteorder(self.dtype.byteorder), 1, end)[0])
                if size < 8 or size % 16:
                    break
                end += size
        return end

    def _rescaled(self, voxels: np.ndarray) -> np.ndarray:
        intercept = self.intercept if np.isfinite(self.intercept) else 0.0
        if not np.isfinite(self.slope) or self.slope == 0 or (self.slope, intercept) == (1, 0):
            return voxels
        rescaled = np.empty(self.shape, np.float32)
        with np.errstate(over="ignore"):
            for stored, plane in zip(voxels, rescaled, strict=True):
                plane[...] = stored * np.float64(self.slope) + intercept
        return rescaled
