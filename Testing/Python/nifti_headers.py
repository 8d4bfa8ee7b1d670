"""NIfTI files whose header says something odd."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from series_cases import sitk_image

_FIELDS = {
    "dim": (40, "8h"),
    "type": (70, "h"),
    "pixdim": (76, "8f"),
    "start": (108, "f"),
    "units": (123, "B"),
    "codes": (252, "2h"),
    "quaternion": (256, "3f"),
    "offset": (268, "3f"),
    "sform": (280, "12f"),
}


def nifti(path: Path, voxels: np.ndarray, direction: np.ndarray | None = None, **fields: tuple[float, ...]) -> Path:
    """Writes `voxels` (z, y, x) as NIfTI with these fields of its header changed."""
    sitk.WriteImage(sitk_image(voxels, np.eye(3) if direction is None else direction), str(path))
    data = bytearray(path.read_bytes())
    for name, values in fields.items():
        offset, kind = _FIELDS[name]
        struct.pack_into(f"<{kind}", data, offset, *values)
    path.write_bytes(data)
    return path


def sform(columns: np.ndarray, origin: tuple[float, float, float] = (0, 0, 0)) -> tuple[float, ...]:
    """The sform of an affine in LPS."""
    return tuple((np.diag([-1, -1, 1]) @ np.column_stack([columns, origin])).ravel().tolist())


def nifti_2(path: Path, voxels: np.ndarray, columns: np.ndarray, order: str = "<") -> Path:
    """Writes `voxels` (z, y, x) int16 as NIfTI-2 with an sform."""
    header = bytearray(544)
    struct.pack_into(f"{order}i8s2h8q", header, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16, 3, *voxels.shape[::-1], 1, 1, 1, 1)
    struct.pack_into(f"{order}8d", header, 104, 1, *np.linalg.norm(columns, axis=0), 1, 1, 1, 1)
    struct.pack_into(f"{order}q", header, 168, 544)
    struct.pack_into(f"{order}2i", header, 344, 0, 1)
    struct.pack_into(f"{order}12d", header, 400, *sform(columns))
    path.write_bytes(header + voxels.astype(f"{order}i2").tobytes())
    return path
