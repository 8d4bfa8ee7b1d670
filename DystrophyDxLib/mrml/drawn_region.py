"""The region of a volume in its scene, turned into voxels once for each state in which it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import slicer
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..errors import InputError
from ..regions.drawn import LEG, drawn_legs, tidied
from ..regions.windows import LABEL_OF_SIDE, Regions, Side
from ..results import InputFacts, ResultWarning
from ..series.series import NO_SIDE
from .nodes import VolumeNodes, set_unseen
from .segmentation import BINARY_LABELMAP, add_segmentation, all_drawn, legs_alone, legs_drawn, set_labels
from .volumes import geometry_in_world

SEGMENTATION = "DystrophyDx.segmentation"
"""Role of the region's node."""

_AUTOMATIC = "DystrophyDx.automatic"
_MEMORY, _ALL = "dystrophydx_drawn", "dystrophydx_all_drawn"

_Made = TypeVar("_Made")
Digests = tuple[str, ...]
"""One a slice, equal for equal planes."""


class DrawnRegion(NamedTuple):
    """Leg regions as somebody drew them.

    Attributes:
        labels: (z, y, x) uint8 with the values of `LABEL_OF_SIDE`; read only.
        digests: of the labels.
        overlapping: slices in which segments overlap.
    """

    labels: np.ndarray
    digests: Digests
    overlapping: tuple[int, ...]


@dataclass(frozen=True)
class SceneRegion:
    """The region of a volume, as a reader may have corrected it.

    Attributes:
        volume: in a scene.
    """

    volume: slicer.vtkMRMLScalarVolumeNode

    @property
    def segmentation(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The node that holds it."""
        return VolumeNodes(self.volume).get(SEGMENTATION)

    @property
    def drawn(self) -> DrawnRegion:
        """The region as it is now.

        Raises:
            InputError: as `legs_drawn`, or it was deleted.
        """
        if self.segmentation is None:
            raise InputError("The region was deleted; classify the volume from the start.")
        return drawn_region(self.segmentation, self.volume)

    @property
    def digests(self) -> Digests | None:
        """Of the region as it is now; None where there is none, or it cannot be read."""
        try:
            return self.drawn.digests if self.volume.GetImageData() is not None else None
        except InputError:
            return None

    @property
    def corrected(self) -> bool:
        """Whether it is another one than was found, classified or not; also where that cannot be told."""
        node = self.segmentation
        return node is not None and self.digests != tuple((node.GetAttribute(_AUTOMATIC) or "").split())

    def doubts(self, found: Regions, read: InputFacts) -> tuple[ResultWarning, ...]:
        """What is told of drawn legs before they are classified: specks, holes, exchanged names; none where the region
        cannot be read.

        Args:
            found: the automatic region that was corrected.
            read: of its series.
        """
        if any(window.side is Side.NONE for window in found.windows):
            return ()
        geometry, labels = geometry_in_world(self.volume), found.labels
        sides_known = not NO_SIDE & {warning.code for warning in read.warnings}
        try:
            drawn = self.drawn.labels
            if sides_known:
                return drawn_legs(geometry, drawn, lambda: labels, labels).warnings
            return tidied(geometry, drawn, LEG, labels).warnings
        except InputError:
            return ()

    def edited_since(self, then: Sequence[str]) -> tuple[int, ...]:
        """Slices k that are not what they were, also where a segment that is no leg was drawn; all of them where
        nothing can be read.

        Args:
            then: digests of the region.
        """
        if self.segmentation is None or self.volume.GetImageData() is None:
            return ()
        now = self.digests or self._digests_of_all
        if now is None or len(now) != len(then):
            return tuple(range(self.volume.GetImageData().GetDimensions()[2]))
        return tuple(k for k, digest in enumerate(now) if digest != then[k])

    @property
    def _digests_of_all(self) -> Digests | None:
        """Of all segments, whatever they are; None where they cannot be read."""
        try:
            return made_once(
                self.segmentation, self.volume, _ALL, lambda: digests(all_drawn(self.segmentation, self.volume))
            )
        except InputError:
            return None

    def put(self, labels: np.ndarray, now: Digests | None = None) -> None:
        """Makes the region what (z, y, x) labels, of these digests, say; it is added to the scene where there is
        none."""
        if self.segmentation is None:
            nodes = VolumeNodes(self.volume)
            node = add_segmentation(self.volume, labels, nodes.named("legs"))
            node.SetAttribute(_AUTOMATIC, "none")
            nodes.put(SEGMENTATION, node)
        else:
            node = self.segmentation
            set_labels(node, self.volume, labels)
        if node.GetTransformNodeID() == self.volume.GetTransformNodeID() and legs_alone(node):
            put = labels.astype(np.uint8)  # a copy; nobody needs to make these voxels of the segments again
            put.flags.writeable = False
            remember(node, self.volume, _MEMORY, DrawnRegion(put, now or digests(put), ()))

    def put_unless_edited(self, labels: np.ndarray, now: Digests, since: Digests | None) -> None:
        """As `put`; but where the region is no longer what it was, somebody draws, and it is left alone."""
        if self.segmentation is None or self.digests == since:
            self.put(labels, now)

    def keep_automatic(self, found: Regions, its: Digests) -> None:
        """Keeps, for `corrected`, which region was found; nothing where somebody has drawn in it."""
        if self.segmentation is not None and all(window.source == "auto" for window in found.windows):
            set_unseen(self.segmentation, _AUTOMATIC, " ".join(its))


def is_region(node: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether a segmentation is the region of a classification, also where the volume that was classified is gone."""
    return node.GetAttribute(_AUTOMATIC) is not None


def drawn_region(node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode) -> DrawnRegion:
    """The leg regions of a segmentation on the grid of `volume`, as edited; see `legs_drawn`.

    Raises:
        InputError: as `legs_drawn`.
    """

    def make() -> DrawnRegion:
        legs = legs_drawn(node, volume)
        legs.labels.flags.writeable = False
        return DrawnRegion(legs.labels, digests(legs.labels), legs.overlapping)

    return made_once(node, volume, _MEMORY, make)


def made_once(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode, name: str, make: Callable[[], _Made]
) -> _Made:
    """What is made of a segmentation, remembered by that name until one of the two changes."""
    state, made = vars(node).get(name, (None, None))
    if made is None or state != _state(node, volume):
        made = make()
        remember(node, volume, name, made)
    return made


def remember(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode, name: str, made: object
) -> None:
    """Keeps, for `made_once`, what would be made of a segmentation as it is now."""
    # A Python attribute of a VTK object lives as long as the object, whoever holds it.
    setattr(node, name, (_state(node, volume), made))


def digests(labels: np.ndarray, like: DrawnRegion | None = None) -> Digests:
    """Of (z, y, x) labels, most of which may be those of a region whose digests are known."""
    return tuple(
        like.digests[k]
        if like is not None and np.array_equal(plane, like.labels[k])
        else hashlib.blake2b(plane.tobytes(), digest_size=8).hexdigest()
        for k, plane in enumerate(labels)
    )


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
