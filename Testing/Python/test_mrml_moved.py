"""Heatmap and legs of a volume that is moved by transforms."""

import numpy as np
import pytest
import slicer
from mrml_cases import LABELMAP, half_erased, segment_id
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkTransform

from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation
from DystrophyDxLib.mrml.volumes import add_series, ijk_to_world
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side

pytest_plugins = ("mrml_fixtures",)


def turned(scene):
    """A transform that turns by 15° about the body's axis and shifts."""
    matrix = vtkTransform()
    matrix.Translate(5, -20, 40)
    matrix.RotateZ(15)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(matrix.GetMatrix())
    return node


def lies_on_its_volume(classification):
    """Whether heatmap and legs are where the volume is in the world, and Slicer's editor would draw on its grid."""
    here = ijk_to_world(classification.volume)
    grid, origin = slicer.vtkOrientedImageData(), vtkMatrix4x4()
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    geometry = classification.segmentation.GetSegmentation().GetConversionParameter(name)
    assert slicer.vtkSegmentationConverter.DeserializeImageGeometry(geometry, grid, False)
    grid.GetImageToWorldMatrix(origin)
    parent = vtkMatrix4x4()
    if classification.segmentation.GetParentTransformNode() is not None:
        classification.segmentation.GetParentTransformNode().GetMatrixTransformToWorld(parent)
    editor = slicer.util.arrayFromVTKMatrix(parent) @ slicer.util.arrayFromVTKMatrix(origin)
    left = np.mean(ras_of_segment(classification, Side.LEFT), axis=0)
    labels = labels_from_segmentation(classification.segmentation, classification.volume)
    middle = np.mean(np.argwhere(labels == LABEL_OF_SIDE[Side.LEFT])[:, ::-1], axis=0)
    return (
        np.allclose(ijk_to_world(classification.heatmap), here, atol=1e-6)
        and np.allclose(editor, here, atol=1e-6)
        and np.allclose(left, (here @ [*middle, 1])[:3], atol=1e-3)
    )


def ras_of_segment(classification, side):
    """(N, 3) world coordinates of the voxels of a leg, by its own labelmap and the segmentation's transform."""
    segment = classification.segmentation.GetSegmentation().GetSegment(segment_id(classification, side))
    labelmap, matrix, parent = segment.GetRepresentation(LABELMAP), vtkMatrix4x4(), vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    if classification.segmentation.GetParentTransformNode() is not None:
        classification.segmentation.GetParentTransformNode().GetMatrixTransformToWorld(parent)
    voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
    start = np.array(labelmap.GetExtent()[::2])
    places = np.argwhere(voxels == segment.GetLabelValue())[:, ::-1] + start
    affine = slicer.util.arrayFromVTKMatrix(parent) @ slicer.util.arrayFromVTKMatrix(matrix)
    return places @ affine[:3, :3].T + affine[:3, 3]


def test_a_study_under_a_linear_transform_keeps_its_parts_together(scene, series, classifier):
    classification = SceneClassification(add_series(scene, series))
    first = classification.classify(classifier)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0.966, -0.259, 0], [0.259, 0.966, 0], [0, 0, 1]])
    matrix[:3, 3] = 5, -20, 40
    u, _, v = np.linalg.svd(matrix[:3, :3])
    matrix[:3, :3] = u @ v
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    classification.volume.SetAndObserveTransformNodeID(transform.GetID())
    result = classification.reclassify(classifier)
    assert not classification.pending
    for node in (classification.heatmap, classification.segmentation):
        assert node.GetParentTransformNode() is transform
    assert [image.side for image in result.images] == [image.side for image in first.images]
    assert result.case.probability == pytest.approx(first.case.probability, abs=0.05)


@pytest.mark.parametrize(
    ("followed", "hardened"),
    [
        (False, ("volume",)),
        (True, ("volume",)),
        (True, ("volume", "heatmap", "segmentation")),
        (True, ("segmentation", "volume")),
    ],
)
def test_legs_and_heatmap_stay_on_a_volume_that_a_transform_is_hardened_on(
    classification, scene, classifier, followed, hardened
):
    half_erased(classification)
    first = classification.reclassify(classifier)
    labels = labels_from_segmentation(classification.segmentation, classification.volume)
    transform = turned(scene)
    classification.volume.SetAndObserveTransformNodeID(transform.GetID())
    if followed:
        classification.follow_volume()
        assert lies_on_its_volume(classification)
    for name in hardened:
        assert getattr(classification, name).HardenTransform()
    classification.follow_volume()
    assert lies_on_its_volume(classification)
    np.testing.assert_array_equal(labels_from_segmentation(classification.segmentation, classification.volume), labels)
    assert not classification.pending
    again = classification.reclassify(classifier)
    assert [(image.slice, image.side, image.roi) for image in again.images] == [
        (image.slice, image.side, image.roi) for image in first.images
    ]


def test_excluding_and_resetting_are_of_the_legs_on_a_volume_that_was_moved(classification, scene):
    classification.volume.SetAndObserveTransformNodeID(turned(scene).GetID())
    classification.volume.HardenTransform()
    classification.exclude(3)
    assert classification.changed_slices == (3,)
    classification.reset(slice=3)
    assert not classification.pending
    assert lies_on_its_volume(classification)


def test_legs_drawn_on_a_grid_that_the_reader_chose_are_left_where_they_lie(classification, scene):
    finer = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "finer")
    finer.Copy(classification.volume)
    finer.SetSpacing(*(spacing / 2 for spacing in classification.volume.GetSpacing()))
    classification.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(finer)
    before = ras_of_segment(classification, Side.LEFT)
    classification.follow_volume()
    np.testing.assert_array_equal(ras_of_segment(classification, Side.LEFT), before)
    assert not classification.pending


def test_a_volume_that_was_under_a_transform_from_the_start_is_drawn_on_its_own_grid(scene, series, classifier):
    classification = SceneClassification(add_series(scene, series))
    classification.volume.SetAndObserveTransformNodeID(turned(scene).GetID())
    classification.classify(classifier)
    assert lies_on_its_volume(classification)
    classification.volume.HardenTransform()
    classification.follow_volume()
    assert lies_on_its_volume(classification)
