"""Segmentations as Slicer saves them (`.seg.nrrd`), and label maps: what was drawn, and its names.

Slicer's own reader ends the process at a damaged file; see `formats.stored`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dicom_contours import read_contours
from .dicom_segmentation import DicomSegments, is_structure_set, read_dicom_segments
from .formats.any_format import read_header
from .formats.stored import DamagedFile, ImageHeader, open_regular
from .label_names import names_beside, read_label_names
from .series import MIN_PIXELS, Geometry, check_size

_KEY = re.compile(r"Segment(\d{1,6})_(Name|LabelValue|Layer)")
_OFFSET = "Segmentation_ReferenceImageExtentOffset"
_MOST_SEGMENTS = 1000
"""Labels from which on an image without names is no label map."""
_MOST_OFFSET = 1 << 20
_GIVE = "give a segmentation saved by Slicer (.seg.nrrd)"


@dataclass(frozen=True)
class Segment:
    """A segment: the voxels of a layer that have its value."""

    name: str
    layer: int
    value: int


@dataclass(frozen=True)
class SegmentationFile:
    """What a file of segments holds.

    Attributes:
        geometry: of its voxels.
        layers: (layers, z, y, x) whole numbers; segments that overlap lie in several layers.
        segments: in the order of the file. Those of a label map are named by a table, or else "label 1" and so on.
        named: whether the file itself names them.
        mixed: whether it may hold regions and muscles together, as a DICOM object does.
    """

    geometry: Geometry
    layers: np.ndarray
    segments: tuple[Segment, ...]
    named: bool
    mixed: bool = False

    def picked(self, wanted: Callable[[str], bool]) -> SegmentationFile:
        """The same; of mixed segments those with wanted names, where there are any."""
        some = tuple(segment for segment in self.segments if wanted(segment.name)) if self.mixed else ()
        return replace(self, segments=some) if some else self

    def check_lies_in(self, images: Geometry, shape: tuple[int, ...]) -> None:
        """Refuses what is drawn beside images and nowhere else, as on those of another patient.

        Args:
            shape: (z, y, x) of the images.

        Raises:
            InputError: a box around all that is drawn does not touch them.
        """
        drawn = np.any(self.layers, axis=0)
        along = [np.flatnonzero(drawn.any(axis=others)) for others in ((0, 1), (0, 2), (1, 2))]  # x, y, z
        if not len(along[0]):
            return
        corners = np.array([(*corner, 1) for corner in product(*((own[0] - 0.5, own[-1] + 0.5) for own in along))])
        places = (np.linalg.inv(images.ijk_to_lps) @ self.geometry.ijk_to_lps @ corners.T)[:3]
        if (places.max(axis=1) < -0.5).any() or (places.min(axis=1) > np.array(shape[::-1]) - 0.5).any():
            raise InputError(
                "All that is drawn lies beside the images, as of another patient; give what was drawn on this series."
            )


def read_segmentation(
    path: Path, names: Path | None = None, images: tuple[Geometry, tuple[int, ...]] | None = None
) -> SegmentationFile:
    """Reads the segments of a `.seg.nrrd`, a DICOM segmentation or structure set, or a label map (NIfTI, NRRD,
    MetaImage).

    Args:
        names: of the labels, where the file itself names none; see `label_names.read_label_names`. Without it a table
            of the label map's own name beside it is taken.
        images: grid, and shape (z, y, x), on which a structure set is drawn.

    Raises:
        InputError: it is damaged, of another kind, no segmentation, or a structure set without images.
    """
    header = segmentation_header(path)
    if header is None:
        ours = _dicom(path, images)
        layers = _whole_numbers(ours.layers)
        return SegmentationFile(ours.geometry, layers, _named(ours), named=True, mixed=True)
    with _told_of_a_segmentation():
        voxels, _ = header.load()
    layers = _whole_numbers(voxels)
    segments = _segments(header.keys, len(layers))
    if segments is not None:
        return SegmentationFile(header.geometry, layers, segments, named=True)
    known = names_beside(path) if names is None else read_label_names(names)
    values = [np.unique(layer[layer > 0]).tolist() for layer in layers]
    if sum(map(len, values)) > _MOST_SEGMENTS:
        raise InputError(f"The segmentation file holds an image and no segments; {_GIVE}.")
    found = tuple(
        Segment(known.get(value, f"label {value}"), layer, value) for layer, own in enumerate(values) for value in own
    )
    return SegmentationFile(header.geometry, layers, found, named=False)


def segmentation_header(path: Path) -> ImageHeader | None:
    """The header of a file of segments; None of DICOM, which is read as a whole.

    Raises:
        InputError: as `read_segmentation`.
    """
    with _told_of_a_segmentation():
        with open_regular(path) as file:
            is_dicom = file.read(132)[128:] == b"DICM"
        if is_dicom:
            is_structure_set(path)
            return None
        header = read_header(path)
    i, j, k = header.size
    check_size((header.frames * k, max(j, MIN_PIXELS), max(i, MIN_PIXELS)))
    return header


def _dicom(path: Path, images: tuple[Geometry, tuple[int, ...]] | None) -> DicomSegments:
    with _told_of_a_segmentation():
        if not is_structure_set(path):
            return read_dicom_segments(path)
        if images is None:
            raise InputError("A DICOM structure set needs the images that it was drawn on; save it as .seg.nrrd.")
        return read_contours(path, *images)


def _named(found: DicomSegments) -> tuple[Segment, ...]:
    return tuple(Segment(name or f"label {value}", layer, value) for name, layer, value in found.segments)


@contextmanager
def _told_of_a_segmentation() -> Iterator[None]:
    try:
        yield
    except DamagedFile as error:
        raise InputError(f"The segmentation file cannot be read: {error.why}; {_GIVE}.") from None
    except InputError as error:
        raise InputError(f"The segmentation file cannot be read. {error}") from None
    except OSError:
        raise InputError("The segmentation file cannot be read; check its path and permissions.") from None


def _segments(keys: Mapping[str, str], layers: int) -> tuple[Segment, ...] | None:
    """The segments that a header names; None where it names none."""
    found: dict[int, dict[str, str]] = {}
    for key, value in keys.items():
        if match := _KEY.fullmatch(key):
            found.setdefault(int(match[1]), {})[match[2]] = value
    if not found:
        return None
    is_old = not any("Layer" in own for own in found.values())  # a layer a segment, each of value 1
    try:
        offset = [int(number) for number in keys.get(_OFFSET, "0 0 0").split()]
        segments = tuple(
            Segment(
                own.get("Name", f"Segment_{number + 1}"),
                int(own.get("Layer", place if is_old and layers > 1 else 0)),
                int(own.get("LabelValue", 1)),
            )
            for place, (number, own) in enumerate(sorted(found.items()))
        )
    except ValueError:
        offset, segments = [], ()
    if (
        len(offset) < 3
        or max(map(abs, offset)) > _MOST_OFFSET
        or not all(0 <= segment.layer < layers and 0 < segment.value < 1 << 31 for segment in segments)
        or len(segments) > _MOST_SEGMENTS
    ):
        raise InputError(f"The segmentation file cannot be read: its header names segments that are none; {_GIVE}.")
    return segments


def _whole_numbers(voxels: np.ndarray) -> np.ndarray:
    """The same as int16 or, where they are larger, int32; bytes as they are."""
    if voxels.dtype == np.uint8:
        return voxels
    low, high = voxels.min(), voxels.max()  # NaN where one voxel is
    if not (-(1 << 31) <= low <= high < 1 << 31) or (voxels.dtype.kind == "f" and (voxels % 1).any()):
        raise InputError("The labels of the segmentation are no whole numbers; export it as a label map.")
    return voxels.astype(np.int16 if low >= -(1 << 15) and high < 1 << 15 else np.int32)
