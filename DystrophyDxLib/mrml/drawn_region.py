"""The leg regions of a segmentation, turned into voxels once for each state in which it is asked for."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import slicer
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..regions.windows import LABEL_OF_SIDE, Side
from .segmentation import BINARY_LABELMAP, labels_from_segmentation

_MEMORY = "dystrophydx_drawn"


class DrawnRegion(NamedTuple):
    """Leg regions as somebody drew them.

    Attributes:
        labels: (z, y, x) uint8 with the values of `LABEL_OF_SIDE`; read only.
        digests: one a slice, equal for equal planes.
    """

    labels: np.ndarray
    digests: tuple[str, ...]


def drawn_region(node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode) -> DrawnRegion:
    """The leg regions of a segmentation on the grid of `volume`, as edited; see `labels_from_segmentation`.

    Raises:
        InputError: as `labels_from_segmentation`.
    """
    state, region = vars(node).get(_MEMORY, (None, None))
    if region is None or state != _state(node, volume):
        labels = labels_from_segmentation(node, volume)
        labels.flags.writeable = False
        region = DrawnRegion(labels, digests(labels))
        # A Python attribute of a VTK object lives as long as the object, whoever holds it.
        setattr(node, _MEMORY, (_state(node, volume), region))
    return region


def digests(labels: np.ndarray) -> tuple[str, ...]:
    """One for each slice of (z, y, x) labels, equal for equal planes."""
    return tuple(hashlib.blake2b(plane.tobytes(), digest_size=8).hexdigest() for plane in labels)


def with_automatic(labels: np.ndarray, automatic: np.ndarray, slice: int | None, side: Side | None) -> np.ndarray:
    """A copy of (z, y, x) labels with the automatic ones of a slice, of a side, or of both at once."""
    labels = labels.copy()
    planes = np.s_[:] if slice is None else np.s_[slice]
    values = list(LABEL_OF_SIDE.values()) if side is None else [LABEL_OF_SIDE[side]]
    present, found = labels[planes], automatic[planes]
    present[np.isin(present, values)] = 0
    np.copyto(present, found, where=np.isin(found, values))
    return labels


def _state(node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode) -> tuple:
    """All that the labels depend on. A time of modification is given to nothing but one state of one object."""
    segmentation, ijk_to_ras = node.GetSegmentation(), vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    segments = [segmentation.GetSegment(segment_id) for segment_id in segmentation.GetSegmentIDs()]
    drawn = [(segment, segment.GetRepresentation(BINARY_LABELMAP)) for segment in segments]
    return (
        [
            (segment.GetName(), segment.GetLabelValue(), labelmap.GetMTime() if labelmap is not None else None)
            for segment, labelmap in drawn
        ],
        volume.GetImageData().GetDimensions(),
        slicer.util.arrayFromVTKMatrix(ijk_to_ras).tolist(),
        [_transformed(placed) for placed in (node, volume)],
    )


def _transformed(node: slicer.vtkMRMLTransformableNode) -> tuple[str, int] | None:
    """The transform that a node is under, and when it last changed."""
    transform = node.GetParentTransformNode()
    return (transform.GetID(), transform.GetTransformToWorldMTime()) if transform is not None else None
