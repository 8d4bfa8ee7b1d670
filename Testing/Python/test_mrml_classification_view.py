"""A classification in Slicer's own slice views: heatmap, layouts, linked views, images one after the other."""

import subprocess
import sys

import numpy as np
import pytest
import slicer
from mrml_cases import DIRECTIONS, SHAPE, image, planted, series_of
from offscreen import OffscreenSlicer
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkTransform

from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.layouts import MRI_VIEW, SIDE_BY_SIDE_LAYOUT, Layout
from DystrophyDxLib.mrml.scenes import new_scene

BLOCK = (slice(3, 5), slice(12, 20), slice(36, 50))  # k, j, i
PIXELS_PER_MM = 5.0
EXTENT = np.array([SHAPE[2] * 1.5, SHAPE[1] * 1.25])  # of a slice along i and j, mm


@pytest.fixture
def slicer_app():
    return OffscreenSlicer("Red", "Green", "Yellow", MRI_VIEW)


@pytest.fixture
def view(slicer_app):
    return ClassificationView(slicer_app.scene)


def hot():
    heat = np.zeros(SHAPE, np.float32)
    heat[BLOCK] = 1
    return heat


def shown(slicer_app, view, direction="head first", size=None, **answer):
    classification = planted(slicer_app.scene, series_of(DIRECTIONS[direction]), **({"heat": hot()} | answer))
    slicer_app.resize(*(size or (450, 300)))
    view.show(classification)
    if view.heatmap:
        view.heatmap.legend = False
    return classification


def transform(scene, degrees=17.0):
    matrix = vtkTransform()
    matrix.Translate(31, -17, 54)
    matrix.RotateWXYZ(degrees, 0.4, -0.3, 0.8)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(matrix.GetMatrix())
    return node


def colored(picture):
    return np.ptp(picture.astype(int), axis=2) > 60


def screen_axes(direction):
    """Index axis (0 i, 1 j) and sign of the screen's right (patient left) and down (posterior), for axial slices."""
    lps = direction[:, :2]
    across = np.abs(lps[0]).argmax()
    return (across, np.sign(lps[0, across])), (1 - across, np.sign(lps[1, 1 - across]))


@pytest.mark.parametrize("moved", [False, True], ids=["", "under a transform"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_heatmap_is_drawn_where_it_lies_in_the_patient_and_nowhere_else(slicer_app, view, direction, moved):
    axes = screen_axes(DIRECTIONS[direction])
    classification = planted(slicer_app.scene, series_of(DIRECTIONS[direction]), hot(), images=[image(3, "left", 0.5)])
    if moved:
        classification.volume.SetAndObserveTransformNodeID(transform(slicer_app.scene).GetID())
        classification.follow_volume()
    slicer_app.resize(*(int(EXTENT[axis] * PIXELS_PER_MM) for axis, _ in axes))
    view.show(classification)
    view.heatmap.legend = False

    view.go_to(image(3, "left", 0.5))
    found = colored(slicer_app.picture())
    ranges = [(BLOCK[2].start, BLOCK[2].stop), (BLOCK[1].start, BLOCK[1].stop)]
    edges = []
    for axis, sign in axes:
        size = (SHAPE[2], SHAPE[1])[axis]
        start, stop = ranges[axis] if sign > 0 else (size - ranges[axis][1], size - ranges[axis][0])
        pixel = PIXELS_PER_MM * (1.5, 1.25)[axis]
        edges.append((start * pixel, stop * pixel))
    (left, right), (top, bottom) = edges
    expected = np.zeros_like(found)
    expected[round(top) : round(bottom), round(left) : round(right)] = True
    rows, columns = np.nonzero(found)
    # A voxel is 6 to 8 pixels wide and drawn with linear interpolation: its edge fades over less than one voxel.
    np.testing.assert_allclose([columns.min(), columns.max() + 1], [left, right], atol=7.5)
    np.testing.assert_allclose([rows.min(), rows.max() + 1], [top, bottom], atol=7.5)
    assert found[expected].mean() > 0.97
    center = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
    np.testing.assert_allclose(center, [(left + right) / 2, (top + bottom) / 2], atol=1.5)

    for k in (0, 2, 5, 6):
        view.go_to(image(k, "left", 0.5))
        assert view.slice == k
        assert not colored(slicer_app.picture()).any()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_patients_left_leg_is_on_the_right_of_the_picture(slicer_app, view, direction):
    series = series_of(DIRECTIONS[direction])
    k, j, i = np.indices(SHAPE)
    lps_x = (series.geometry.ijk_to_lps @ np.stack([i, j, k, np.ones_like(i)]).reshape(4, -1))[0].reshape(SHAPE)
    heat = (lps_x > np.median(lps_x[3]) + 5).astype(np.float32)  # LPS: larger x is more to the patient's left
    shown(slicer_app, view, direction, size=(300, 300), heat=heat)
    assert view.slice == 3, "the middle of the series is shown first"
    assert np.mean(np.nonzero(colored(slicer_app.picture()))[1] > 150) > 0.97


def test_moving_threshold_or_opacity_draws_again_without_touching_voxels(slicer_app, view):
    ramp = np.broadcast_to(np.linspace(0, 1, SHAPE[2], dtype=np.float32), SHAPE).copy()
    classification = shown(slicer_app, view, size=(600, 400), heat=ramp)
    voxels = classification.heatmap.GetImageData()
    untouched = (voxels.GetMTime(), voxels.GetPointData().GetScalars().GetMTime())
    for threshold in (0.25, 0.6, 0.8):
        view.heatmap.threshold = threshold
        assert ClassificationView(slicer_app.scene).heatmap.threshold == threshold
        columns = np.nonzero(colored(slicer_app.picture()).any(axis=0))[0]
        assert columns.min() == pytest.approx(600 * threshold, abs=8)
        assert columns.max() == 599
    view.opacity = 0.0
    assert not colored(slicer_app.picture()).any()
    view.opacity = 1.0
    red, green, blue = slicer_app.picture()[200, 595].astype(int)
    assert red > 240
    assert green < 40
    assert blue < 40, "the highest value is red"
    assert (voxels.GetMTime(), voxels.GetPointData().GetScalars().GetMTime()) == untouched
    assert classification.heatmap.GetImageData() is voxels


def test_the_overlay_is_switched_off_and_on_with_its_legend(slicer_app, view):
    classification = shown(slicer_app, view)
    view.heatmap.legend = True
    with_legend = colored(slicer_app.picture())
    view.overlay = False
    assert not view.overlay
    assert not colored(slicer_app.picture()).any()
    view.show(classification)
    assert not view.overlay, "showing a classification again does not bring the heatmap back against the reader's wish"
    view.overlay = True
    assert view.opacity == 0.5
    np.testing.assert_array_equal(colored(slicer_app.picture()), with_legend)
    view.heatmap.legend = False
    without = colored(slicer_app.picture())
    assert with_legend.sum() > without.sum() > 0


def test_the_evidence_for_either_class_is_shown(slicer_app, view):
    heat = np.zeros(SHAPE, np.float32)
    heat[:, :, :20], heat[:, :, 40:] = -0.9, 0.9
    shown(slicer_app, view, size=(600, 400), heat=heat, images=[image(3, "left", 0.5)])
    assert view.classes == ("other", "dystrophinopathy")
    view.heatmap.threshold = 0.4
    view.opacity = 1.0

    def red_columns():
        picture = slicer_app.picture().astype(int)
        return np.flatnonzero(((picture[..., 0] > 200) & (picture[..., 2] < 60)).mean(axis=0) > 0.9)

    assert red_columns().min() == pytest.approx(400, abs=12)
    view.heatmap.shown_class = 0
    assert view.heatmap.threshold == 0.4
    assert red_columns().max() == pytest.approx(200, abs=12)
    view.heatmap.shown_class = 1
    assert red_columns().min() == pytest.approx(400, abs=12)


def test_leg_outlines_are_drawn_around_the_legs(slicer_app, view):
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 10:38, 34:54] = 1
    shown(slicer_app, view, size=(600, 400), heat=np.zeros(SHAPE, np.float32), labels=labels)
    outline = colored(slicer_app.picture())
    rows, columns = np.nonzero(outline)
    np.testing.assert_allclose([columns.min(), columns.max()], [340, 540], atol=8)
    np.testing.assert_allclose([rows.min(), rows.max()], [10 / 48 * 400, 38 / 48 * 400], atol=8)
    assert not outline[120:280, 370:510].any(), "the leg itself is not covered"


def test_side_by_side_the_mri_lies_left_and_the_heatmap_right(slicer_app, view):
    shown(slicer_app, view, "20° oblique", size=(300, 300))
    view.go_to(image(3, "left", 0.5))
    assert view.layout is Layout.OVERLAY
    view.layout = Layout.SIDE_BY_SIDE
    assert view.layout is Layout.SIDE_BY_SIDE
    layout = slicer_app.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == SIDE_BY_SIDE_LAYOUT
    views = [layout.GetLayoutRootElement().GetNestedElement(n).GetNestedElement(0) for n in range(2)]
    assert [element.GetAttribute("singletontag") for element in views] == [MRI_VIEW, "Red"]
    slicer_app.resize(300, 300, MRI_VIEW)
    view.fit()
    mri, both = slicer_app.picture(MRI_VIEW), slicer_app.picture()
    assert colored(both).any()
    assert not colored(mri).any()
    bare = ~colored(both)
    assert np.abs(mri.astype(int) - both)[bare].mean() < 2, "the same voxels in the same places"
    view.layout = Layout.OVERLAY
    assert view.layout is Layout.OVERLAY


def test_side_by_side_views_have_one_zoom_once_they_have_their_sizes(slicer_app, view):
    shown(slicer_app, view, "20° oblique", size=(200, 300))
    view.slice = 1

    def settle():
        slicer_app.resize(260, 240, "Red")
        slicer_app.resize(260, 240, MRI_VIEW)
        view.slice = 0  # as a linked view that is new does

    view.arrange(Layout.SIDE_BY_SIDE, settle)
    red, mri = (slicer.util.arrayFromVTKMatrix(slicer_app.node(name).GetXYToRAS()) for name in ("Red", MRI_VIEW))
    np.testing.assert_allclose(red, mri, atol=1e-6)
    assert view.slice == 1


@pytest.mark.parametrize("moved", ["Red", MRI_VIEW])
@pytest.mark.parametrize(
    "interaction", ["SliceToRASFlag", "FieldOfViewFlag", "XYZOriginFlag"], ids=["slice", "zoom", "position"]
)
def test_side_by_side_views_move_together(slicer_app, view, moved, interaction):
    shown(slicer_app, view, "20° oblique", size=(300, 300))
    slicer_app.resize(300, 300, MRI_VIEW)
    view.layout = Layout.SIDE_BY_SIDE
    logic = slicer_app.logic(moved)
    node = logic.GetSliceNode()

    def interact(width):
        logic.StartSliceNodeInteraction(getattr(node, interaction))
        if interaction == "SliceToRASFlag":
            logic.SetSliceOffset(logic.GetSliceOffset() + 6)
        elif interaction == "FieldOfViewFlag":
            node.SetFieldOfView(width, width, node.GetFieldOfView()[2])
        else:
            node.SetXYZOrigin(width, -4, 0)
        node.UpdateMatrices()
        logic.EndSliceNodeInteraction()

    nodes = [slicer_app.node(name) for name in ("Red", MRI_VIEW)]
    before = slicer.util.arrayFromVTKMatrix(nodes[0].GetXYToRAS())
    interact(width=40)
    red, mri = (slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()) for node in nodes)
    assert np.abs(red - before).max() > 0.1
    np.testing.assert_allclose(red, mri, atol=1e-6)
    view.layout = Layout.OVERLAY
    interact(width=60)
    red, mri = (slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()) for node in nodes)
    assert np.abs(red - mri).max() > 0.1, "in other layouts views move on their own"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_going_to_an_image_moves_every_view_through_its_window(slicer_app, view, direction):
    classification = planted(slicer_app.scene, series_of(DIRECTIONS[direction]), images=[image(5, "left", 0.5)])
    classification.volume.SetAndObserveTransformNodeID(transform(slicer_app.scene).GetID())
    for name in ("Red", "Green", "Yellow"):
        slicer_app.resize(200, 200, name)
    view.show(classification)
    view.go_to(classification.result.images[0])
    to_world = vtkTransform()
    classification.volume.GetParentTransformNode().GetMatrixTransformToWorld(to_world.GetMatrix())
    to_ras = vtkMatrix4x4()
    classification.volume.GetIJKToRASMatrix(to_ras)
    place = to_world.TransformPoint(to_ras.MultiplyPoint((19.5, 23.5, 5, 1))[:3])  # middle of the window
    for name in ("Red", "Green", "Yellow"):
        to_ras.DeepCopy(slicer_app.node(name).GetXYToRAS())
        to_ras.Invert()
        x, y, z, _ = to_ras.MultiplyPoint((*place, 1))
        assert z == pytest.approx(0, abs=1e-3), f"{name} lies off the image"
        assert 0 <= x <= 200
        assert 0 <= y <= 200


def test_going_to_an_image_keeps_the_zoom_and_moves_aside_only_where_the_image_would_not_be_seen(slicer_app, view):
    shown(slicer_app, view)
    node = slicer_app.node()
    node.SetFieldOfView(30, 20, 1)
    node.SetXYZOrigin(0, 5, 0)
    right = image(2, "left", 0.5).model_copy(update={"window_ijk": ((50, 58), (20, 28))})
    near = image(4, "left", 0.5).model_copy(update={"window_ijk": ((28, 32), (20, 24))})
    view.go_to(near)
    assert node.GetXYZOrigin() == (0, 5, 0)
    view.go_to(right)
    assert node.GetFieldOfView()[:2] == (30, 20)
    i_middle = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[0, 3]
    assert i_middle == pytest.approx(43.7 - 1.5 * 53.5, abs=1e-3)
    assert view.slice == 2


def test_images_are_gone_through_one_after_the_other(slicer_app, view):
    images = [image(k, side, 0.5) for k in (1, 2, 5) for side in ("left", "right")]
    shown(slicer_app, view, images=images)
    assert view.slice == 3
    assert view.image is None
    gone = [view.next_image() for _ in range(3)]
    assert gone == [images[4], images[5], images[5]], "at the last it stays"
    assert view.image == images[5]
    gone = [view.previous_image() for _ in range(6)]
    assert gone == [images[4], images[3], images[2], images[1], images[0], images[0]]
    assert (view.slice, view.image) == (1, images[0])
    view.go_to(image(3, "left", 0.5))
    assert view.previous_image() == images[3]


def test_each_study_is_shown_with_its_own_heatmap_and_outlines(slicer_app, view):
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 30:40, 5:15] = 1
    first = shown(slicer_app, view, name="first", labels=labels)
    view.go_to(image(3, "left", 0.5))
    of_first = slicer_app.picture()
    elsewhere = np.zeros(SHAPE, np.float32)
    elsewhere[:, 30:40, 30:50] = 1
    second = shown(slicer_app, view, name="second", heat=elsewhere)
    assert view.classification == second
    view.heatmap.threshold = 0.7
    view.go_to(image(3, "left", 0.5))
    rows, columns = np.nonzero(colored(slicer_app.picture()))
    assert rows.min() > 170, "nothing of the first volume"
    assert columns.min() > 200
    view.show(first)
    assert view.heatmap.threshold == 0.2
    view.go_to(image(3, "left", 0.5))
    assert np.abs(slicer_app.picture().astype(int) - of_first).mean() < 0.5


def test_showing_the_same_study_again_leaves_the_views_where_they_are(slicer_app, view):
    classification = shown(slicer_app, view)
    node = slicer_app.node()
    node.SetFieldOfView(30, 20, 1)
    view.go_to(image(5, "left", 0.5))
    classification.segmentation.GetDisplayNode().SetVisibility(False)
    view.show(classification)
    assert view.slice == 5
    assert node.GetFieldOfView()[0] == 30
    assert not classification.segmentation.GetDisplayNode().GetVisibility()


def test_a_volume_that_was_not_classified_is_shown_alone(slicer_app, view):
    from DystrophyDxLib.mrml.volumes import add_series

    shown(slicer_app, view)
    bare = SceneClassification(add_series(slicer_app.scene, series_of(np.eye(3), seed=1), "bare"))
    view.show(bare)
    assert view.classification == bare
    assert (view.heatmap, view.classes, view.image, view.next_image()) == (None, (), None, None)
    assert not colored(slicer_app.picture()).any()


def test_a_saved_view_is_there_again(slicer_app, view, tmp_path):
    images = [image(k, side, 0.5) for k in range(1, 6) for side in ("left", "right")]
    classification = shown(slicer_app, view, "20° oblique", size=(300, 300), images=images)
    view.heatmap.threshold, view.opacity = 0.35, 0.65
    view.go_to(images[6])
    picture = slicer_app.picture()
    assert slicer_app.scene.WriteToMRB(str(tmp_path / "scene.mrb"))

    again = OffscreenSlicer()
    view = ClassificationView(again.scene)
    assert again.scene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    again.resize(300, 300)
    assert view.classification == SceneClassification.of(again.scene)[0]
    assert view.classification.volume.GetName() == classification.volume.GetName()
    assert (view.heatmap.threshold, view.opacity, view.slice, view.overlay) == (0.35, 0.65, 4, True)
    assert not view.heatmap.legend
    assert np.abs(again.picture().astype(int) - picture).mean() < 0.5
    view.show(view.classification)
    assert view.slice == 4
    assert view.next_image() == images[7]
    again.scene.Clear(0)
    assert (view.classification, view.slice, view.heatmap) == (None, None, None)


def test_nodes_that_the_user_deletes_break_nothing(slicer_app, view):
    classification = shown(slicer_app, view, images=[image(3, "left", 0.5)])
    slicer_app.scene.RemoveNode(classification.heatmap.GetDisplayNode().GetColorNode())
    view.show(classification)
    assert colored(slicer_app.picture()).any()
    slicer_app.scene.RemoveNode(classification.heatmap)
    assert view.heatmap is None
    view.show(classification)
    assert not colored(slicer_app.picture()).any()
    slicer_app.scene.RemoveNode(classification.segmentation)
    view.show(classification)
    slicer_app.scene.RemoveNode(classification.volume)
    assert (view.classification, view.slice, view.image, view.next_image()) == (None, None, None, None)
    view.go_to(image(3, "left", 0.5))
    view.overlay, view.opacity, view.layout = False, 0.3, Layout.SIDE_BY_SIDE


def test_a_volume_under_a_warping_transform_is_shown_as_slicer_shows_it(slicer_app, view):
    classification = shown(slicer_app, view, images=[image(3, "left", 0.5)])
    warp = slicer_app.scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    classification.volume.SetAndObserveTransformNodeID(warp.GetID())
    view.show(classification)
    view.fit()
    view.go_to(classification.result.images[0])
    assert view.slice is None


def test_slicer_can_know_the_layout_before_anything_is_installed():
    code = "import sys, slicer, DystrophyDxLib.mrml.layouts as layouts\n"
    code += "layouts.register_layouts(slicer.vtkMRMLLayoutNode())\n"
    code += "print(sorted({'torch', 'pydantic', 'scipy', 'SimpleITK'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_the_layout_makes_its_views():
    scene = new_scene()
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(scene)
    view = ClassificationView(scene)
    view.layout = Layout.SIDE_BY_SIDE
    shown = logic.GetViewNodes()
    assert [shown.GetItemAsObject(n).GetLayoutName() for n in range(shown.GetNumberOfItems())] == [MRI_VIEW, "Red"]
