"""DICOM Segmentation objects (PS3.3, A.51): their segments on the grid that their frames lie on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom.pixels import pixel_array

from ..errors import InputError
from .dicom_header import Attributes, functional_groups, quiet_pydicom
from .series import Geometry, check_size

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
_MOST_BYTES = 1 << 30
SAME_COSINE = 1e-4
_TOO_LARGE = "The DICOM segmentation is too large; crop it to the thighs."
_DAMAGED = "The DICOM segmentation is damaged; export it again."


class DicomSegments(NamedTuple):
    """What an object holds.

    Attributes:
        layers: (layers, z, y, x) uint16; segments that overlap lie in several.
        segments: name, layer and value of each.
    """

    geometry: Geometry
    layers: np.ndarray
    segments: tuple[tuple[str, int, int], ...]


def read_dicom_segments(path: Path) -> DicomSegments:
    """Reads a binary, fractional (from half of its most on) or label map segmentation.

    Raises:
        InputError: it is another object, damaged, or its frames lie on no grid.
    """
    try:
        with quiet_pydicom():
            ds = pydicom.dcmread(path)
            _check_kind(ds)
            if int(ds.NumberOfFrames) * int(ds.Rows) * int(ds.Columns) > _MOST_BYTES:
                raise InputError(_TOO_LARGE)
            names = {int(item.SegmentNumber): str(item.get("SegmentLabel", "")) for item in ds.SegmentSequence}
            return _placed(ds, names, pixel_array(ds).reshape(-1, int(ds.Rows), int(ds.Columns)))
    except InputError:
        raise
    except Exception:  # pydicom raises nearly anything for bytes that are not what they claim
        raise InputError(_DAMAGED) from None


def is_structure_set(path: Path) -> bool:
    """Whether a DICOM file is a structure set (RTSTRUCT).

    Raises:
        InputError: it is neither that nor a segmentation, or is damaged.
    """
    with quiet_pydicom():
        try:
            ds = pydicom.dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True)
        except Exception:  # as in `read_dicom_segments`
            raise InputError(_DAMAGED) from None
    if Attributes(ds).text("SOPClassUID") == STRUCTURES:
        return True
    _check_kind(ds)
    return False


def _check_kind(ds: pydicom.Dataset) -> None:
    if Attributes(ds).text("SOPClassUID") not in (SEGMENTATION, LABEL_MAP):
        raise InputError(
            "It is DICOM, but no segmentation (SEG or RTSTRUCT); open it in Slicer and save the segmentation there as "
            ".seg.nrrd."
        )


def _placed(ds: pydicom.Dataset, names: dict[int, str], pixels: np.ndarray) -> DicomSegments:
    frames = _Frames.of(ds)
    geometry, index = frames.grid()
    shape = (int(index.max()) + 1, *pixels.shape[1:])
    check_size(shape)
    if np.prod(shape, dtype=float) * len(names) > _MOST_BYTES * 4:
        raise InputError(_TOO_LARGE)
    masks: dict[int, np.ndarray] = {}
    least = float(ds.get("MaximumFractionalValue", 1)) / 2 if ds.get("SegmentationType") == "FRACTIONAL" else 0
    for plane, k, number in zip(pixels, index, frames.numbers, strict=True):
        own = {number: plane > least} if number else {int(n): plane == n for n in np.unique(plane[plane > 0])}
        for n, drawn in own.items():
            if n in names:
                masks.setdefault(n, np.zeros(shape, bool))[k] |= drawn
    if not masks:
        raise InputError("The DICOM segmentation holds no segment; export it again.")
    return layered(geometry, masks, names)


def layered(geometry: Geometry, masks: Mapping[int, np.ndarray], names: Mapping[int, str]) -> DicomSegments:
    """Segments in as few layers as their overlaps allow.

    Args:
        masks: (z, y, x) bool of each segment, by its number; at least one.
        names: by the same numbers.
    """
    layers: list[np.ndarray] = []
    segments = []
    for n, mask in sorted(masks.items()):
        layer = next((at for at, held in enumerate(layers) if not held[mask].any()), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(mask.shape, np.uint16))
        layers[layer][mask] = n
        segments.append((names[n], layer, n))
    return DicomSegments(geometry, np.stack(layers), tuple(segments))


class _Frames(NamedTuple):
    """Where the frames of an object lie.

    Attributes:
        positions: (n, 3) LPS mm.
        axes: (3, 3) columns: unit vectors of i, j and the normal.
        spacing: row, column and slice spacing, the last None where the header does not tell.
        numbers: segment of each, 0 of label maps.
    """

    positions: np.ndarray
    axes: np.ndarray
    spacing: tuple[float, float, float | None]
    numbers: list[int]

    @classmethod
    def of(cls, ds: pydicom.Dataset) -> _Frames:
        shared = functional_groups(ds.get("SharedFunctionalGroupsSequence"))
        each = [Attributes(*functional_groups([item]), *shared, ds) for item in ds.PerFrameFunctionalGroupsSequence]
        positions = np.array([own.numbers("ImagePositionPatient", 3) for own in each], float)
        cosines = np.array([own.numbers("ImageOrientationPatient", 6) for own in each], float)
        if np.ptp(cosines, axis=0).max() > SAME_COSINE:
            raise InputError("The frames of the DICOM segmentation are not parallel; export it on the images' grid.")
        i, j = cosines[0].reshape(2, 3)
        rows, columns = each[0].numbers("PixelSpacing", 2) or (0.0, 0.0)
        slices = each[0].positive("SpacingBetweenSlices", "SliceThickness")
        numbers = [int(own.number("ReferencedSegmentNumber") or 0) for own in each]
        return cls(positions, np.stack([i, j, np.cross(i, j)], axis=1), (rows, columns, slices), numbers)

    def grid(self) -> tuple[Geometry, np.ndarray]:
        """The grid, and the slice of each frame on it."""
        places = self.positions @ self.axes[:, 2]
        steps = np.diff(np.unique(places.round(3)))
        if len(steps) == 0:
            step = self.spacing[2] or 1.0
        else:
            least = float(steps.min())
            guess = self.spacing[2] if self.spacing[2] and self.spacing[2] < 1.5 * least else least
            step = float(np.ptp(places)) / float(np.rint(steps / guess).sum())
        index = np.rint((places - places.min()) / step).astype(int)
        row_mm, column_mm, _ = self.spacing
        x, y, z = self.positions[places.argmin()].tolist()
        return Geometry((x, y, z), (column_mm, row_mm, step), self.axes), index
