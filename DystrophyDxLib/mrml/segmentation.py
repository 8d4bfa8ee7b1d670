"""Leg regions ↔ a segmentation node that the radiologist can correct."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkIntArray, vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..errors import InputError
from ..regions.windows import LABEL_OF_SIDE, SEGMENT_NAMES, Side
from ..series.segmentation_file import SegmentationFile
from ..series.words import listed
from .volumes import ijk_to_ras_of

# None of them is a colour of the heatmap or a grey.
SEGMENT_COLORS = {
    Side.LEFT: (1.0, 0.35, 0.9),
    Side.RIGHT: (0.65, 0.5, 1.0),
    Side.UNKNOWN: (1.0, 0.75, 0.6),
    Side.NONE: (1.0, 0.35, 0.9),
}


LARGEST_OVERLAP = 0.05
"""Share of the smaller leg that may be drawn as the other leg too: what is common where legs touch."""


class SegmentLabels(NamedTuple):
    """Segments as voxels of a volume.

    Attributes:
        labels: (z, y, x) uint8.
        overlapping: slices in which segments overlap.
        overlap: of two segments the voxels that they share, relative to the smaller of them; of all pairs the most.
    """

    labels: np.ndarray
    overlapping: tuple[int, ...] = ()
    overlap: float = 0.0


class NamedSegments(NamedTuple):
    """Segments of any names as voxels of a volume.

    Attributes:
        labels: (z, y, x) uint8, from 1.
        names: of the labels.
        overlapping: slices in which segments overlap.
    """

    labels: np.ndarray
    names: dict[int, str]
    overlapping: tuple[int, ...]


def add_segmentation(
    volume: slicer.vtkMRMLScalarVolumeNode, labels: np.ndarray, name: str = "Legs"
) -> slicer.vtkMRMLSegmentationNode:
    """Adds leg regions to the scene of `volume`, on its grid, shown in slice views as outlines.

    Segments `Left leg` and `Right leg` are always there, so that a missing leg can be drawn; `Leg, side unknown` only
    where it occurs. A region that is no leg is the one segment `Region`.

    Args:
        labels: (z, y, x) uint8 on the grid of `volume`, with the values of `LABEL_OF_SIDE`.
    """
    node = volume.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().SetSourceRepresentationName(BINARY_LABELMAP)
    set_labels(node, volume, labels)

    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(2)
    return node


def set_labels(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode, labels: np.ndarray
) -> None:
    """Makes leg regions what `labels` says; other segments are left as they are.

    Args:
        labels: (z, y, x) uint8 on the grid of `volume`, with the values of `LABEL_OF_SIDE`.
    """
    segmentation = node.GetSegmentation()
    ijk_to_ras = vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    labelmap = labelmap_of(labels.astype(np.uint8, copy=False), ijk_to_ras)  # one for all segments
    of_legs = not (labels == LABEL_OF_SIDE[Side.NONE]).any()
    for side, value in LABEL_OF_SIDE.items():
        segments = [segment for segment in segments_of(segmentation) if _side_named(segment) is side]
        if not segments and ((of_legs and side in (Side.LEFT, Side.RIGHT)) or (labels == value).any()):
            segments = [_new_segment(side)]
        for segment in segments:
            segment.SetLabelValue(value)
            segment.AddRepresentation(BINARY_LABELMAP, labelmap)
            if not segmentation.GetSegmentIdBySegment(segment):
                segmentation.AddSegment(segment)
    labelmap.Modified()  # tells the views


def move_regions(node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Puts leg regions under the transform of `volume`, and moves them where its own grid was moved, as by a transform
    that was hardened on the volume alone.

    The segmentation keeps the grid of `volume` as it was, and Slicer moves that grid with the segments. Where a reader
    has given it another grid, the segments stay where they are.
    """
    if node.GetTransformNodeID() != volume.GetTransformNodeID():
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    drawn_on = _reference_grid(node, volume)
    if drawn_on is None or _is_near(_voxels_to_voxels(drawn_on, volume), np.eye(4), drawn_on.GetExtent()):
        return
    there, here = vtkMatrix4x4(), vtkMatrix4x4()
    drawn_on.GetImageToWorldMatrix(there)
    volume.GetIJKToRASMatrix(here)
    there, here = map(slicer.util.arrayFromVTKMatrix, (there, here))
    node.ApplyTransformMatrix(slicer.util.vtkMatrixFromArray(here @ np.linalg.inv(there)))
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)


def labels_from_segmentation(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode
) -> np.ndarray:
    """Leg regions of a segmentation, as edited, on the grid of `volume`; Slicer resamples where the grids differ.

    Returns:
        (z, y, x) uint8 with the values of `LABEL_OF_SIDE`.

    Raises:
        InputError: as `legs_drawn`.
    """
    return legs_drawn(node, volume).labels


def legs_drawn(node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode) -> SegmentLabels:
    """As `labels_from_segmentation`, with the slices in which segments overlap.

    A segment is known by its name, which is what the radiologist sees and changes. Where segments overlap, the later
    one counts.

    Raises:
        InputError: no segment is a leg, or one of them is not; or one leg is largely drawn over by another.
    """
    segmentation = node.GetSegmentation()
    values = {i: LABEL_OF_SIDE[_side(segmentation.GetSegment(i))] for i in segmentation.GetSegmentIDs()}
    if not values:
        raise InputError(f"The segmentation is empty; add a segment named {_NAMES_IN_WORDS}.")
    legs = _labels(node, volume, values)
    if legs.overlap > LARGEST_OVERLAP:
        where = listed(legs.overlapping)
        raise InputError(f"The segments overlap in {where}; draw each leg without the other, or remove one of them.")
    return legs


def legs_alone(node: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether all segments are legs, or the region of another kind, by their names."""
    return all(_side_named(segment) is not None for segment in segments_of(node.GetSegmentation()))


def all_drawn(node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """All segments on the grid of `volume`, to tell where something changed: equal to the labels of `legs_drawn` where
    there are legs alone, and with a value of its own for each segment that is no leg.

    Returns:
        (z, y, x) uint8.

    Raises:
        InputError: there are more than about 250 segments, or they cannot be turned into voxels.
    """
    segmentation = node.GetSegmentation()
    values, others = {}, count(max(LABEL_OF_SIDE.values()) + 1)
    for segment_id in segmentation.GetSegmentIDs():
        side = _side_named(segmentation.GetSegment(segment_id))
        values[segment_id] = next(others) if side is None else LABEL_OF_SIDE[side]
    if not values:
        return np.zeros(volume.GetImageData().GetDimensions()[::-1], np.uint8)
    return _labels(node, volume, values).labels


def muscles_from_segmentation(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode
) -> NamedSegments:
    """Segments of any names, such as muscles, on the grid of `volume`. Where they overlap, the later one counts.

    Raises:
        InputError: there is no segment, or there are more than 255.
    """
    segmentation = node.GetSegmentation()
    ids = segmentation.GetSegmentIDs()
    if not ids:
        raise InputError("The muscle segmentation has no segments; give one segment a muscle.")
    values = {segment_id: value for value, segment_id in enumerate(ids, 1)}
    names = {value: segmentation.GetSegment(segment_id).GetName() for segment_id, value in values.items()}
    drawn = _labels(node, volume, values)
    return NamedSegments(drawn.labels, names, drawn.overlapping)


def _labels(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode, values: dict[str, int]
) -> SegmentLabels:
    """The segments on the grid of `volume`, each with its value."""
    segmentation = node.GetSegmentation()
    if max(values.values()) > 255:
        raise InputError("The segmentation has more than 255 segments; give one segment a leg or muscle.")
    if not segmentation.CreateRepresentation(BINARY_LABELMAP):
        raise InputError("The segmentation cannot be turned into voxels; draw it in the Segment Editor.")
    layers: dict[int, dict[str, int]] = {}
    for rank, segment_id in enumerate(values, 1):  # segments of one layer do not overlap
        layers.setdefault(segmentation.GetLayerIndex(segment_id), {})[segment_id] = rank
    if len(layers) == 1:
        return SegmentLabels(_on_grid(node, volume, values))
    merged, *others = (_on_grid(node, volume, ranks) for ranks in layers.values())
    value_of = np.array([0, *values.values()], np.uint8)
    sizes = _sizes(value_of[merged])
    shared, overlap = np.zeros(len(merged), bool), 0.0
    for layer in others:
        sizes += _sizes(value_of[layer])
        one, other = value_of[merged], value_of[layer]
        both = (one > 0) & (other > 0) & (one != other)
        if both.any():
            shared |= both.any(axis=(1, 2))
            pairs, voxels = np.unique(np.stack([one[both], other[both]]), axis=1, return_counts=True)
            overlap = max(overlap, float((voxels / sizes[pairs].min(axis=0)).max()))
        merged = np.maximum(merged, layer)
    return SegmentLabels(value_of[merged], tuple(np.flatnonzero(shared).tolist()), overlap)


def _sizes(labels: np.ndarray) -> np.ndarray:
    """(256,) voxels of each label, slice by slice: numpy counts in a copy that is eight times as large."""
    return np.sum([np.bincount(plane.ravel(), minlength=256) for plane in labels], axis=0)


def _on_grid(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode, values: dict[str, int]
) -> np.ndarray:
    """(z, y, x) uint8 on the grid of `volume`, with the value of each segment of one layer."""
    segments = {node.GetSegmentation().GetSegment(segment_id): value for segment_id, value in values.items()}
    labels = np.zeros(volume.GetImageData().GetDimensions()[::-1], np.uint8)
    if node.GetTransformNodeID() == volume.GetTransformNodeID() and _drawn_on_grid(labels, volume, segments):
        return labels
    return _resampled(node, volume, values)


def labels_of_file(
    file: SegmentationFile, volume: slicer.vtkMRMLScalarVolumeNode, of_map: Callable[[np.ndarray], np.ndarray]
) -> SegmentLabels:
    """The region of a segmentation file or label map on the grid of `volume`; see `legs_drawn`.

    Args:
        of_map: the region that labels without names (z, y, x) are, see `Region.labels_of_map`.

    Raises:
        InputError: as `of_map` and `legs_drawn`.
    """
    file = file.picked(_is_leg)
    node = _node(file)
    if file.named or any(_SIDE_OF_NAME.get(segment.name.strip().lower()) for segment in file.segments):
        return legs_drawn(node, volume)
    return SegmentLabels(of_map(muscles_from_segmentation(node, volume).labels))


def muscles_of_file(file: SegmentationFile, volume: slicer.vtkMRMLScalarVolumeNode) -> NamedSegments:
    """Muscles of a segmentation file or label map on the grid of `volume`; see `muscles_from_segmentation`.

    Raises:
        InputError: it has no segments.
    """
    file = file.picked(lambda name: not _is_leg(name))
    return muscles_from_segmentation(_node(file), volume)


def _node(file: SegmentationFile) -> slicer.vtkMRMLSegmentationNode:
    """A segmentation file's node, in a scene of its own, so that nothing is left behind in the volume's."""
    node = slicer.vtkMRMLScene().AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName(BINARY_LABELMAP)
    ijk_to_ras = slicer.util.vtkMatrixFromArray(ijk_to_ras_of(file.geometry))
    labelmaps = [labelmap_of(layer, ijk_to_ras) for layer in file.layers]
    for own in file.segments:
        segment = slicer.vtkSegment()
        segment.SetName(own.name)
        segment.SetLabelValue(own.value)
        segment.AddRepresentation(BINARY_LABELMAP, labelmaps[own.layer])
        segmentation.AddSegment(segment)
    return node


def write_segmentation(node: slicer.vtkMRMLSegmentationNode, path: Path) -> None:
    """Writes a segmentation as `.seg.nrrd`.

    Raises:
        InputError: the file cannot be written.
    """
    if not _storage(path).WriteData(node):
        raise InputError("The regions cannot be written; check that the output folder is writable and has space.")


BINARY_LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
_GRID_TOLERANCE = 0.05  # voxels
_NAMES_IN_WORDS = "“" + "” or “".join(SEGMENT_NAMES[side] for side in (Side.LEFT, Side.RIGHT)) + "”"
_SIDE_OF_NAME = {name.lower(): side for side, name in SEGMENT_NAMES.items()}


def segments_of(segmentation: slicer.vtkSegmentation) -> list[slicer.vtkSegment]:
    """In their order."""
    return [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]


def _new_segment(side: Side) -> slicer.vtkSegment:
    segment = slicer.vtkSegment()
    segment.SetName(SEGMENT_NAMES[side])
    segment.NameAutoGeneratedOff()
    segment.SetColor(*SEGMENT_COLORS[side])
    segment.ColorAutoGeneratedOff()
    return segment


def _side_named(segment: slicer.vtkSegment) -> Side | None:
    return _SIDE_OF_NAME.get(segment.GetName().strip().lower())


def _is_leg(name: str) -> bool:
    """Whether a segment of this name is a region, and no muscle."""
    return name.strip().lower() in _SIDE_OF_NAME


def _side(segment: slicer.vtkSegment) -> Side:
    side = _side_named(segment)
    if side is None:
        # A region that was drawn but not used would go unnoticed.
        raise InputError(
            f"The segmentation holds a segment that is no leg; name it {_NAMES_IN_WORDS} (“{SEGMENT_NAMES[Side.NONE]}” "
            "where the model looks at no leg), or remove it."
        )
    return side


def _drawn_on_grid(
    labels: np.ndarray, volume: slicer.vtkMRMLScalarVolumeNode, values: dict[slicer.vtkSegment, int]
) -> bool:
    """Draws the segments of one layer into (z, y, x) labels on the grid of `volume`; False where its own grid is
    another."""
    labelmap = next(iter(values)).GetRepresentation(BINARY_LABELMAP)  # one for all
    if labelmap is None or labelmap.GetPointData().GetScalars() is None:
        return True
    to_grid = _voxels_to_voxels(labelmap, volume)
    shift = np.eye(4)
    shift[:3, 3] = offset = np.round(to_grid[:3, 3])
    extent = np.reshape(labelmap.GetExtent(), (3, 2))  # an edited labelmap is cropped to what is drawn
    if not _is_near(to_grid, shift, extent):
        return False
    drawn = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
    start = (extent[:, 0] + offset.astype(int))[::-1]
    target = [slice(max(0, first), max(0, first + size)) for first, size in zip(start, drawn.shape, strict=True)]
    inside = labels[tuple(target)]
    source = [slice(max(0, -first), max(0, -first) + size) for first, size in zip(start, inside.shape, strict=True)]
    value_of = np.zeros(max(segment.GetLabelValue() for segment in values) + 2, np.uint8)
    for segment, value in values.items():
        value_of[segment.GetLabelValue()] = value
    inside[:] = value_of.take(drawn[tuple(source)], mode="clip")
    return True


def _voxels_to_voxels(image: slicer.vtkOrientedImageData, volume: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """(4, 4) affine from voxels of an image in a segmentation to those of `volume`, both under one transform."""
    image_to_world, ijk_to_ras = vtkMatrix4x4(), vtkMatrix4x4()
    image.GetImageToWorldMatrix(image_to_world)
    volume.GetIJKToRASMatrix(ijk_to_ras)
    return np.linalg.solve(*map(slicer.util.arrayFromVTKMatrix, (ijk_to_ras, image_to_world)))


def _is_near(affine: np.ndarray, other: np.ndarray, extent: Sequence[int] | np.ndarray) -> bool:
    """Whether two affines to voxels put the voxels of an extent in the same place."""
    return np.abs(affine - other).max() * max(1, np.abs(extent).max()) <= _GRID_TOLERANCE


def _reference_grid(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkOrientedImageData | None:
    """The grid of `volume` as the segmentation knows it; None where its reference grid is another one."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    grid, image = slicer.vtkOrientedImageData(), volume.GetImageData()
    is_known = slicer.vtkSegmentationConverter.DeserializeImageGeometry(
        node.GetSegmentation().GetConversionParameter(name), grid, False
    )
    is_own = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
    return grid if is_known and is_own and image and image.GetExtent() == grid.GetExtent() else None


def _resampled(
    node: slicer.vtkMRMLSegmentationNode, volume: slicer.vtkMRMLScalarVolumeNode, values_of_segments: dict[str, int]
) -> np.ndarray:
    """(z, y, x) uint8 labels on the grid of `volume`, where the segmentation lies in the world."""
    ids, values = vtkStringArray(), vtkIntArray()
    for segment_id, value in values_of_segments.items():
        ids.InsertNextValue(segment_id)
        values.InsertNextValue(value)
    merged = slicer.vtkOrientedImageData()
    slicer.vtkSlicerSegmentationsModuleLogic.GenerateMergedLabelmapInReferenceGeometry(
        node, volume, ids, slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY, merged, values
    )
    shape = volume.GetImageData().GetDimensions()[::-1]
    return vtk_to_numpy(merged.GetPointData().GetScalars()).reshape(shape).astype(np.uint8)


def labelmap_of(labels: np.ndarray, ijk_to_ras: vtkMatrix4x4) -> slicer.vtkOrientedImageData:
    """(z, y, x) labels as the voxels of segments."""
    image = vtkImageData()
    image.SetDimensions(*labels.shape[::-1])
    # A copy, as the segment editor writes into it.
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(labels).ravel(), deep=True))
    labelmap = slicer.vtkOrientedImageData()
    labelmap.ShallowCopy(image)
    labelmap.SetGeometryFromImageToWorldMatrix(ijk_to_ras)
    return labelmap


def is_on_grid(labelmap: slicer.vtkOrientedImageData, shape: tuple[int, ...], ijk_to_ras: vtkMatrix4x4) -> bool:
    """Whether a labelmap holds the same voxels of space as `labelmap_of` of labels of a shape (z, y, x) would."""
    own, extent = vtkMatrix4x4(), tuple(end for size in shape[::-1] for end in (0, size - 1))
    labelmap.GetImageToWorldMatrix(own)
    same = _is_near(np.linalg.solve(*map(slicer.util.arrayFromVTKMatrix, (own, ijk_to_ras))), np.eye(4), extent)
    return same and labelmap.GetExtent() == extent


def _storage(path: Path) -> slicer.vtkMRMLSegmentationStorageNode:
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    return storage
