"""The muscle map of a volume as a segmentation node, its segments named and coded."""

from __future__ import annotations

import hashlib

import numpy as np
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..errors import InputError
from ..muscles.muscle_map import MapSource, MuscleMap, colour, segment_name
from ..muscles.structures import CODES, LEFT_CODE, RIGHT_CODE, STRUCTURES, label_of
from ..regions.windows import LABEL_OF_SIDE, Regions, Side
from .drawn_region import made_once, remember
from .nodes import VolumeNodes, set_unseen
from .segmentation import (
    BINARY_LABELMAP,
    NamedSegments,
    is_on_grid,
    labelmap_of,
    muscles_from_segmentation,
    segments_of,
)

MUSCLES = "DystrophyDx.muscles"
"""Role of the node."""
_SOURCES: dict[str, MapSource] = {"DystrophyDx.found": "auto", "DystrophyDx.given": "given"}
"""Attributes of the node that hold the digest of a map of a source, as long as nobody corrects it."""
_DIGEST = "dystrophydx_digest"
_LATERALITY = {Side.LEFT: LEFT_CODE, Side.RIGHT: RIGHT_CODE}
_PER_SIDE = len(STRUCTURES) + 1


def put_muscles(
    volume: slicer.vtkMRMLScalarVolumeNode, muscles: MuscleMap | None, over_corrections: bool = False
) -> None:
    """Makes the muscle map of a volume that of its scene; without one, takes away what was there.

    Each structure of each side is a segment such as “Left sartorius”, coded in SNOMED CT as Slicer's terminologies are.
    The node is not shown until somebody asks for it, so that the heatmap stays in view. A map that somebody has
    corrected or given stays, unless `over_corrections`.
    """
    if muscles_corrected(volume) and not over_corrections:
        return
    nodes = VolumeNodes(volume)
    if muscles is None or not muscles.shown:
        nodes.remove(MUSCLES)
        return
    node = nodes.get(MUSCLES)
    if node is None:
        node = _added(volume, nodes.named("muscles"))
        nodes.put(MUSCLES, node)
    segmentation, ijk_to_ras = node.GetSegmentation(), vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    sided = (muscles.labels > 0).view(np.uint8) * np.uint8(_PER_SIDE)
    values = muscles.labels + muscles.sides * np.uint8(_PER_SIDE) - sided
    drawn = _labelmap_of_all(segmentation, muscles)
    if drawn is not None and is_on_grid(drawn, values.shape, ijk_to_ras):  # the views are told once
        scalars = drawn.GetPointData().GetScalars()
        vtk_to_numpy(scalars)[:] = values.ravel()
        scalars.Modified()
        drawn.Modified()
    else:
        _put_segments(segmentation, muscles, labelmap_of(values, ijk_to_ras))  # one for all segments
    digest = _digest_of_map(segmentation, values)
    remember(node, volume, _DIGEST, digest)
    for attribute, source in _SOURCES.items():
        set_unseen(node, attribute, digest if source == muscles.source else None)


def _put_segments(
    segmentation: slicer.vtkSegmentation, muscles: MuscleMap, labelmap: slicer.vtkOrientedImageData
) -> None:
    """Makes the segments those of a map; what is there keeps its look."""
    there = {segment.GetName(): segment for segment in segments_of(segmentation)}
    for side, label in muscles.shown:
        segment = there.pop(segment_name(side, label), None)
        new = segment is None
        if new:
            segment = _new_segment(side, label)
        segment.SetLabelValue(_value(side, label))
        segment.AddRepresentation(BINARY_LABELMAP, labelmap)
        if new:
            segmentation.AddSegment(segment)
    for gone in there.values():
        segmentation.RemoveSegment(gone)


def _value(side: Side, label: int) -> int:
    """Of a structure of a side in the labelmap of all segments."""
    return (LABEL_OF_SIDE[side] - 1) * _PER_SIDE + label


def _labelmap_of_all(segmentation: slicer.vtkSegmentation, muscles: MuscleMap) -> slicer.vtkOrientedImageData | None:
    """The labelmap that all segments share; None where they do not, or are others than those of a map."""
    segments = segments_of(segmentation)
    drawn = {segment.GetRepresentation(BINARY_LABELMAP) for segment in segments}
    named = {segment.GetName(): segment.GetLabelValue() for segment in segments}
    wanted = {segment_name(*shown): _value(*shown) for shown in muscles.shown}
    return drawn.pop() if len(drawn) == 1 and named == wanted and len(segments) == len(wanted) else None


def _added(volume: slicer.vtkMRMLScalarVolumeNode, name: str) -> slicer.vtkMRMLSegmentationNode:
    """A node without segments on the grid of a volume, hidden."""
    node = volume.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().SetSourceRepresentationName(BINARY_LABELMAP)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetVisibility(False)
    display.SetOpacity2DFill(0.35)
    return node


def _new_segment(side: Side, label: int) -> slicer.vtkSegment:
    segment = slicer.vtkSegment()
    segment.SetName(segment_name(side, label))
    segment.SetColor(*colour(label))
    segment.SetTag(segment.GetTerminologyEntryTagName(), terminology(side, label))
    return segment


def muscles_node(volume: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLSegmentationNode | None:
    """The muscle map of a volume; None where there is none, or somebody deleted it."""
    return VolumeNodes(volume).get(MUSCLES)


def muscles_corrected(volume: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether a volume has a muscle map that is not the one that was found: a person's, or a given one."""
    return muscles_source(volume) != "auto"


def muscles_source(volume: slicer.vtkMRMLScalarVolumeNode) -> MapSource:
    """The source of the muscle map of a volume as it is now; "auto" where there is none."""
    node = muscles_node(volume)
    if node is None:
        return "auto"
    digest = _digest(node, volume)
    return next((source for name, source in _SOURCES.items() if node.GetAttribute(name) == digest), "edited")


def muscles_of(volume: slicer.vtkMRMLScalarVolumeNode, regions: Regions) -> MuscleMap | None:
    """The muscle map of a volume as it is now, with its source; None where there is none.

    Raises:
        InputError: as `MuscleMap.drawn`, or its segments cannot be read.
    """
    node = muscles_node(volume)
    found = map_given(muscles_from_segmentation(node, volume), regions) if node is not None else None
    return found and found.of_source(muscles_source(volume))


def map_given(segments: NamedSegments, regions: Regions) -> MuscleMap | None:
    """The muscle map that segments are by their names, see `structures.label_of`; None where none names a structure.

    Raises:
        InputError: as `MuscleMap.drawn`.
    """
    labels = np.zeros(256, np.uint8)
    for value, name in segments.names.items():
        labels[value] = label_of(name) or 0
    return MuscleMap.drawn(labels[segments.labels], regions, "given") if labels.any() else None


def _digest(node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Equal for equal segments."""

    def make() -> str:
        try:
            drawn = muscles_from_segmentation(node, volume)
        except InputError:  # all segments were deleted
            return ""
        return _digest_of(drawn.names, drawn.labels.tobytes())

    return made_once(node, volume, _DIGEST, make)


def _digest_of_map(segmentation: slicer.vtkSegmentation, values: np.ndarray) -> str:
    """As `_digest`, of segments whose voxels have their label values, which need not be read back."""
    segments = dict(enumerate(segments_of(segmentation), 1))
    number = bytearray(256)
    for n, segment in segments.items():
        number[segment.GetLabelValue()] = n
    return _digest_of({n: segment.GetName() for n, segment in segments.items()}, values.tobytes().translate(number))


def _digest_of(names: dict[int, str], labels: bytes) -> str:
    return hashlib.blake2b(repr(names).encode() + labels, digest_size=8).hexdigest()


def terminology(side: Side, label: int) -> str:
    """A structure of a side as Slicer's terminologies write it: context, category, type and its laterality.

    >>> terminology(Side.RIGHT, 14).split("~")[2:4]
    ['SCT^71341001^Femur', 'SCT^24028007^Right']
    """
    category, kind = CODES[label - 1]
    context = "Segmentation category and type - DICOM master list"
    anatomy = "Anatomic codes - DICOM master list~^^~^^"
    return "~".join((context, category, kind, _LATERALITY.get(side, "^^"), anatomy))
