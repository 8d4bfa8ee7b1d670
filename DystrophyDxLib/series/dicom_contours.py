"""DICOM structure sets (RTSTRUCT, PS3.3, A.19 and C.8.8.6): their contours as voxels of the images.

A voxel belongs to a structure where its centre lies within an odd number of the contours of the structure in its slice:
so a contour within another one is a hole, as CLOSEDPLANAR_XOR says and programs do with CLOSED_PLANAR, and the keyhole
by which the standard draws holes in CLOSED_PLANAR gives the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom

from ..errors import InputError
from .dicom_header import quiet_pydicom
from .dicom_segmentation import DicomSegments, layered
from .series import Geometry

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_MOST_POINTS = 10_000_000
_OBLIQUE = 0.5
"""Slices that a contour may cross from its first point to its last, and lie off the middle of one."""


def read_contours(path: Path, geometry: Geometry, shape: tuple[int, ...]) -> DicomSegments:
    """Draws the structures on the grid of images. Contours beside the images draw nothing.

    Args:
        shape: (z, y, x) of the images.

    Raises:
        InputError: it is damaged, holds no closed contour, or contours do not lie in the slices.
    """
    try:
        with quiet_pydicom():
            ds = pydicom.dcmread(path)
            names = {int(item.ROINumber): str(item.get("ROIName", "")) for item in ds.StructureSetROISequence}
            contours = {number: own for number, own in _contours(ds).items() if own and number in names}
            points = sum(map(len, (contour for own in contours.values() for contour in own)))
    except Exception:  # pydicom raises nearly anything for bytes that are not what they claim
        raise InputError("The DICOM structure set is damaged; export it again.") from None
    if not contours:
        raise InputError(
            "The DICOM structure set holds no closed contour; save it in Slicer as .seg.nrrd, or export it again."
        )
    if points > _MOST_POINTS:
        raise InputError("The DICOM structure set is too large; export fewer structures.")
    to_ijk = np.linalg.inv(geometry.ijk_to_lps)
    masks = {number: _drawn(own, to_ijk, shape) for number, own in contours.items()}
    return layered(geometry, masks, names)


def _contours(ds: pydicom.Dataset) -> dict[int, list[np.ndarray]]:
    """(n, 3) LPS mm of the corners of each closed contour, by the number of the structure."""
    found: dict[int, list[np.ndarray]] = {}
    for structure in ds.get("ROIContourSequence", ()):
        own = found.setdefault(int(structure.ReferencedROINumber), [])
        for contour in structure.get("ContourSequence", ()):
            if contour.ContourGeometricType in _CLOSED:
                corners = np.array(contour.ContourData, float).reshape(-1, 3)
                if not np.isfinite(corners).all():
                    raise ValueError
                own.append(corners)
    return found


def _drawn(contours: list[np.ndarray], to_ijk: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(z, y, x) bool."""
    crossed = np.zeros((shape[0], shape[1], shape[2] + 1), bool)
    for corners in contours:
        i, j, along = to_ijk[:3, :3] @ corners.T + to_ijk[:3, 3:]
        if np.ptp(along) > _OBLIQUE:
            raise InputError("Contours of the DICOM structure set do not lie in the slices; draw them on this series.")
        k = int(np.rint(along.mean()))
        if 0 <= k < shape[0]:
            _cross(crossed[k], i, j)
    return np.logical_xor.accumulate(crossed, axis=2)[..., :-1]


def _cross(crossed: np.ndarray, i: np.ndarray, j: np.ndarray) -> None:
    """Marks, in each row, the first voxel behind each edge of a closed contour; twice is not at all.

    Args:
        crossed: (rows, columns + 1) bool.
        i, j: corners, in voxels.
    """
    rows, last = len(crossed), crossed.shape[1] - 1
    ends = np.stack([j, i], axis=1)
    for edge in zip(ends, np.roll(ends, -1, axis=0), strict=True):
        (j0, i0), (j1, i1) = sorted(map(tuple, edge))  # the same whichever way it is drawn
        own = np.arange(max(int(np.ceil(j0)), 0), min(int(np.ceil(j1)), rows))
        if len(own):
            behind = np.ceil(i0 + (own - j0) * (i1 - i0) / (j1 - j0))
            crossed[own, np.clip(behind, 0, last).astype(int)] ^= True
