"""A classification in a scene: classified, corrected, saved and opened again, beside others."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from model_packages import CARD_OF_FOUR, FOUR_CLASSES, TWO_CHANNELS, make_package
from trame_slicer.core import SlicerApp
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import VTK_OBJECT, VTK_UNSIGNED_CHAR
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkTransform

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.errors import Cancelled, InputError
from DystrophyDxLib.models.decision import decision_of
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.mrml.classification import COLUMNS, SceneClassification
from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.display import HeatmapDisplay
from DystrophyDxLib.mrml.report_folder import write_report_folder
from DystrophyDxLib.mrml.scenes import copy_into, new_scene
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation
from DystrophyDxLib.mrml.volumes import add_series, ijk_to_world
from DystrophyDxLib.panel.rich_text import answer_html
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side
from DystrophyDxLib.series.channels import with_channels
from DystrophyDxLib.series.series import Acquisition

LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


@pytest.fixture(scope="module")
def series():
    return make_phantom(1, "DMD", slices=5, matrix=192).series


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return Classifier(ModelPackage.read(make_package(tmp_path_factory.mktemp("models") / "package", bias=0.3)), "cpu")


@pytest.fixture
def slicer_app():
    return SlicerApp()


@pytest.fixture
def scene(slicer_app):
    return slicer_app.scene


@pytest.fixture
def classification(scene, series, classifier):
    classification = SceneClassification(add_series(scene, series, "Thighs"))
    classification.classify(classifier)
    return classification


def segment_id(classification, side):
    return classification.segmentation.GetSegmentation().GetNthSegmentID((Side.LEFT, Side.RIGHT).index(side))


def erase(classification, side, k, columns=slice(None)):
    """Erases a leg in a slice, or part of it, as the segment editor's effects do."""
    segmentation = classification.segmentation.GetSegmentation()
    drawn = (
        labels_from_segmentation(classification.segmentation, classification.volume)
        == (Side.LEFT, Side.RIGHT).index(side) + 1
    )
    drawn[k, :, columns] = False
    labelmap = slicer.vtkOrientedImageData()
    labelmap.DeepCopy(segmentation.GetSegment(segment_id(classification, side)).GetRepresentation(LABELMAP))
    labelmap.SetExtent(0, drawn.shape[2] - 1, 0, drawn.shape[1] - 1, 0, drawn.shape[0] - 1)
    labelmap.AllocateScalars(VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = drawn.ravel()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(
        labelmap, classification.segmentation, segment_id(classification, side), logic.MODE_REPLACE
    )


def half_erased(classification, side=Side.LEFT, k=2):
    """Erases the outer half of a leg."""
    window = next(image for image in classification.result.images if (image.slice, image.side) == (k, side.value))
    (start, stop), _ = window.window_ijk
    erase(classification, side, k, slice((start + stop) // 2, stop))


def column(table, name):
    values = table.GetTable().GetColumnByName(name)
    return [values.GetValue(n) for n in range(values.GetNumberOfValues())]


def same_figures(result, other):
    return [image.model_dump(exclude={"probability"}) for image in result.images] == [
        image.model_dump(exclude={"probability"}) for image in other.images
    ] and np.allclose(
        [image.probability for image in result.images], [image.probability for image in other.images], atol=1e-5
    )


def test_classifying_fills_the_scene_with_what_the_classifier_finds(classification, series, classifier):
    direct = classifier.classify(series)
    assert classification.result.images == direct.result.images
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(classification.heatmap), direct.heat.voxels)
    np.testing.assert_array_equal(
        labels_from_segmentation(classification.segmentation, classification.volume), direct.regions.labels
    )
    assert not classification.pending
    assert classification.result_before is None
    names = {
        node.GetName()
        for node in (
            classification.heatmap,
            classification.segmentation,
            classification.images_table,
            classification.chart,
        )
    }
    assert all(name.startswith("Thighs ") for name in names)
    assert len(names) == 4


def test_the_table_has_a_row_an_image(classification):
    table, images = classification.images_table, classification.result.images
    assert [table.GetTable().GetColumnName(n) for n in range(len(COLUMNS))] == list(COLUMNS)
    assert column(table, "Slice") == [image.slice for image in images]
    assert column(table, "Side") == [image.side for image in images]
    assert column(table, "Probability") == pytest.approx([image.probability for image in images], abs=5e-4)
    assert set(column(table, "Source")) == {"automatic"}


def test_each_of_many_classes_is_seen_on_demand_and_told_of_in_words(series, tmp_path):
    scene = new_scene()
    package = ModelPackage.read(make_package(tmp_path / "package", recipe=FOUR_CLASSES, **CARD_OF_FOUR))
    classification = SceneClassification(add_series(scene, series, "Ranked"))
    result = classification.classify(Classifier(package, "cpu"))
    view = ClassificationView(scene)
    view.show(classification)
    told = result.model.classes.index(decision_of(result).told_class(result.case))
    assert view.shown_class == told
    first = slicer.util.arrayFromVolume(classification.heatmap).copy()
    other = (told + 1) % 4
    view.shown_class = other
    assert (view.shown_class, view.heatmap.shown_class) == (other, 1)
    seen = slicer.util.arrayFromVolume(classification.heatmap)
    np.testing.assert_array_equal(seen, classification.heat_of(other).voxels)
    assert not np.array_equal(seen, first)
    (tmp_path / "report").mkdir()
    write_report_folder(classification, {}, tmp_path / "report")
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "report" / "heatmap.nrrd")))
    np.testing.assert_array_equal(written, np.maximum(first, 0), err_msg="the file is of the class that is told")
    assert view.shown_class == other, "the reader's choice stays"
    html = answer_html(result)
    places = [html.index(f"<td>{ranked.name}&nbsp;</td>") for ranked in result.case.differential]
    assert places == sorted(places)
    vars(classification.volume).clear()  # as in a scene that was reopened
    with pytest.raises(InputError, match="classify again"):
        view.shown_class = told


def test_a_second_volume_is_a_channel_of_the_input(scene, tmp_path):
    classifier = Classifier(ModelPackage.read(make_package(tmp_path / "package", recipe=TWO_CHANNELS)), "cpu")
    phantom = make_phantom(1, "DMD", slices=2, matrix=192, contrasts=("T1", "STIR"))
    classification = SceneClassification(add_series(scene, phantom.series, "Doe Jane T1"))
    stir = add_series(scene, phantom.images["STIR"], "Doe Jane STIR")
    with pytest.raises(InputError, match="needs STIR beside T1"):
        classification.classify(classifier)
    classification.set_channel("STIR", stir)
    assert SceneClassification(classification.volume).channel("STIR") is stir
    direct = classifier.classify(with_channels(phantom.series, {"STIR": phantom.images["STIR"]}))
    assert classification.classify(classifier).images == direct.result.images
    slicer.util.arrayFromVolume(stir)[:] **= 0.5
    stir.GetImageData().Modified()
    assert classification.reclassify(classifier).case.probability != direct.result.case.probability
    other_scene = new_scene()
    assert copy_into(other_scene, classification).channel("STIR").GetName() == "STIR"


def test_a_point_of_the_chart_stands_for_its_image(classification):
    chart = classification.chart
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    for n, side in enumerate(("left", "right")):
        series = chart.GetNthPlotSeriesNode(n)
        heights = column(series.GetTableNode(), "Probability")
        images = [classification.image_of_point(series, point) for point in range(len(heights))]
        assert [image.side for image in images] == [side] * len(images)
        assert [image.probability for image in images] == heights
        assert [image.slice for image in images] == column(series.GetTableNode(), "Slice")


def test_a_correction_is_pending_until_it_is_classified(classification, series, classifier):
    first = classification.result
    half_erased(classification)
    assert classification.changed_slices == (2,)
    assert classification.pending
    run = []
    result = classification.reclassify(classifier, lambda done, total: run.append(total))
    assert run == [1]
    assert not classification.pending
    assert classification.result == result
    assert classification.result_before == first
    assert [(image.slice, image.side) for image in result.images if image.roi == "edited"] == [(2, "left")]
    rows = zip(*(column(classification.images_table, name) for name in ("Slice", "Side", "Source")), strict=True)
    assert [row for row in rows if row[2] == "edited"] == [(2, "left", "edited")]
    regions = labels_from_segmentation(classification.segmentation, classification.volume)
    assert not slicer.util.arrayFromVolume(classification.heatmap)[regions == 0].any()


def test_the_heatmap_is_updated_where_it_lies(classification, classifier):
    node, image = classification.heatmap, classification.heatmap.GetImageData()
    scalars = image.GetPointData().GetScalars()
    modified = image.GetMTime()
    half_erased(classification)
    classification.reclassify(classifier)
    assert classification.heatmap is node
    assert node.GetImageData() is image
    assert image.GetPointData().GetScalars() is scalars
    assert image.GetMTime() > modified


def test_undo_in_the_segment_editor_leads_back_to_nothing_pending(classification):
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(classification.segmentation.GetSegmentation())
    history.SaveState()
    half_erased(classification)
    assert classification.pending
    assert history.RestorePreviousState()
    assert not classification.pending


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ({}, ()),
        ({"slice": 2}, (4,)),
        ({"side": Side.LEFT}, (2,)),
        ({"slice": 2, "side": Side.LEFT}, (2, 4)),
        ({"slice": 4, "side": Side.RIGHT}, (2, 4)),
    ],
)
def test_reset_puts_the_automatic_region_back(classification, what, left):
    half_erased(classification, Side.LEFT, 2)
    erase(classification, Side.RIGHT, 2)
    erase(classification, Side.LEFT, 4)
    classification.reset(**what)
    assert classification.changed_slices == left


def test_an_excluded_slice_leaves_the_answer(classification, classifier):
    classification.exclude(3)
    assert classification.changed_slices == (3,)
    result = classification.reclassify(classifier)
    assert {image.slice for image in result.images} == {0, 1, 2, 4}
    assert [(item.slice, item.reason) for item in result.skipped] == [(3, "left out by the reader")]
    assert not slicer.util.arrayFromVolume(classification.heatmap)[3].any()
    classification.reset(slice=3)
    assert {image.slice for image in classification.reclassify(classifier).images} == {0, 1, 2, 3, 4}


def test_cancelling_leaves_the_scene_as_it_was(classification, classifier):
    half_erased(classification)
    result, heatmap = classification.result, slicer.util.arrayFromVolume(classification.heatmap).copy()

    def stop(done, total):
        raise Cancelled

    for work in (classification.reclassify, classification.classify):
        with pytest.raises(Cancelled):
            work(classifier, stop)
        assert classification.result is result
        assert classification.changed_slices == (2,)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(classification.heatmap), heatmap)


def test_studies_of_one_scene_do_not_mix(scene, classification, series, classifier):
    brighter = dataclasses.replace(series, voxels=np.ascontiguousarray(series.voxels[1:4]))
    other = SceneClassification(add_series(scene, brighter, "Other"))
    assert other.result is None
    assert not other.pending
    other.classify(classifier)
    assert len(classification.result.images) == 10
    assert len(other.result.images) == 6
    half_erased(classification)
    assert (classification.pending, other.pending) == (True, False)
    assert SceneClassification.of(scene) == [classification, other]
    other.remove()
    assert SceneClassification.of(scene) == [classification]
    assert classification.result is not None


def test_removing_a_study_leaves_the_volume_alone(scene, series, classifier):
    volume = add_series(scene, series)
    before = {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}
    classification = SceneClassification(volume)
    classification.classify(classifier)
    classification.remove()
    left = {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())} - before
    assert not left
    assert classification.result is None


def test_the_colour_legend_goes_before_the_display_that_it_looks_for(series):
    scene, removed = new_scene(), []
    classification = SceneClassification(add_series(scene, series))
    classification.put_heatmap(np.zeros_like(series.voxels))
    HeatmapDisplay(classification.heatmap)  # adds the legend

    def remove(_scene, _event, node):
        removed.append(node.GetClassName())

    remove.CallDataType = VTK_OBJECT
    scene.AddObserver(scene.NodeRemovedEvent, remove)
    classification.remove()
    legend, display = map(removed.index, ("vtkMRMLColorLegendDisplayNode", "vtkMRMLScalarVolumeDisplayNode"))
    assert legend < display


def test_what_is_renamed_stays_found(classification, classifier):
    for node in (
        classification.volume,
        classification.heatmap,
        classification.segmentation,
        classification.images_table,
        classification.chart,
    ):
        node.SetName("something else")
    half_erased(classification)
    classification.reclassify(classifier)
    assert classification.images_table.GetName() == "something else"
    assert column(classification.images_table, "Source").count("edited") == 1


@pytest.mark.parametrize("name", ["heatmap", "images_table", "chart"])
def test_what_is_deleted_is_made_again(scene, classification, classifier, name):
    scene.RemoveNode(getattr(classification, name))
    assert getattr(classification, name) is None
    assert classification.result is not None
    half_erased(classification)
    classification.reclassify(classifier)
    assert getattr(classification, name) is not None
    outside = labels_from_segmentation(classification.segmentation, classification.volume) == 0
    assert slicer.util.arrayFromVolume(classification.heatmap).any()
    assert not slicer.util.arrayFromVolume(classification.heatmap)[outside].any()


def test_a_deleted_region_is_made_again_by_classifying_and_missed_by_reclassifying(scene, classification, classifier):
    scene.RemoveNode(classification.segmentation)
    assert not classification.pending
    with pytest.raises(InputError, match="classify the volume from the start"):
        classification.reclassify(classifier)
    classification.classify(classifier)
    assert classification.segmentation is not None


def test_a_segment_that_is_no_leg_is_pending_and_refused(classification, classifier):
    classification.segmentation.GetSegmentation().GetNthSegment(0).SetName("Segment_1")
    assert classification.pending
    with pytest.raises(InputError, match="name it"):
        classification.reclassify(classifier)


def test_a_clone_of_the_volume_is_not_yet_classified(scene, classification):
    clone = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Clone")
    clone.Copy(classification.volume)
    assert SceneClassification(clone).result is None
    SceneClassification(clone).remove()
    assert classification.result is not None


def test_changed_voxels_are_classified_anew(classification, classifier):
    half_erased(classification)
    slicer.util.arrayFromVolume(classification.volume)[:] *= 1.5
    slicer.util.arrayFromVolumeModified(classification.volume)
    run = []
    classification.reclassify(classifier, lambda done, total: run.append(total))
    assert run[-1] == 10


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


@pytest.fixture
def reopened(classification, tmp_path):
    apps = []  # each keeps its scene

    def reopen():
        path = tmp_path / "scene.mrb"
        assert classification.volume.GetScene().WriteToMRB(str(path))
        app = SlicerApp()
        apps.append(app)
        assert app.scene.ReadFromMRB(str(path))
        (found,) = SceneClassification.of(app.scene)
        return found

    return reopen


def test_everything_is_there_after_the_scene_is_opened_again(classification, reopened, classifier):
    half_erased(classification)
    classification.reclassify(classifier)
    found = reopened()
    assert found.result == classification.result
    assert found.result_before == classification.result_before
    assert not found.pending
    np.testing.assert_allclose(
        slicer.util.arrayFromVolume(found.heatmap), slicer.util.arrayFromVolume(classification.heatmap), atol=1e-6
    )
    for name in COLUMNS:
        assert column(found.images_table, name) == column(classification.images_table, name)
    assert found.chart.GetNumberOfPlotSeriesNodes() == 2
    series = found.chart.GetNthPlotSeriesNode(0)
    assert found.image_of_point(series, 2).slice == column(series.GetTableNode(), "Slice")[2] == 2


def test_an_edit_that_was_not_classified_is_still_pending_after_opening(classification, reopened, classifier):
    half_erased(classification)
    found = reopened()
    assert found.changed_slices == (2,)
    result = found.reclassify(classifier)
    assert same_figures(result, classification.reclassify(classifier))


def test_a_correction_after_opening_gives_the_same_answer_as_before(classification, reopened, classifier):
    half_erased(classification)
    classification.reclassify(classifier)
    found = reopened()
    for edited in (classification, found):
        erase(edited, Side.RIGHT, 4)
    assert found.changed_slices == classification.changed_slices == (4,)
    assert same_figures(found.reclassify(classifier), classification.reclassify(classifier))
    found.reset()
    assert {image.roi for image in found.reclassify(classifier).images} == {"auto"}


def test_a_saved_study_can_be_added_to_a_scene_that_holds_it(classification, classifier, tmp_path):
    half_erased(classification)
    path = tmp_path / "scene.mrb"
    scene = classification.volume.GetScene()
    assert scene.WriteToMRB(str(path))
    classification.reclassify(classifier)
    assert scene.ReadFromMRB(str(path), False)
    first, second = SceneClassification.of(scene)
    assert first == classification
    assert (first.pending, second.pending) == (False, True)
    assert not {first.heatmap, first.segmentation, first.chart} & {second.heatmap, second.segmentation, second.chart}


def test_a_volume_that_is_deleted_meanwhile_ends_the_work(scene, classification, classifier):
    with pytest.raises(Cancelled):
        classification.classify(classifier, lambda done, total: scene.RemoveNode(classification.volume))


def test_a_volume_without_an_image_is_refused(scene, classifier):
    empty = SceneClassification(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    assert (empty.result, empty.pending, empty.changed_slices) == (None, False, ())
    with pytest.raises(InputError, match="choose a volume with voxels"):
        empty.classify(classifier)


def test_an_edit_made_while_the_legs_are_classified_is_pending(classification, classifier):
    half_erased(classification)
    classification.reclassify(classifier, lambda done, total: erase(classification, Side.RIGHT, 4))
    assert classification.changed_slices == (4,)


def test_importing_a_study_does_not_import_torch():
    code = "import sys, DystrophyDxLib.mrml.classification; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_leg_that_is_erased_everywhere_leaves_table_and_chart(classification, classifier):
    classification.reset()
    erase(classification, Side.LEFT, slice(None))
    result = classification.reclassify(classifier)
    assert {image.side for image in result.images} == {"right"}
    assert set(column(classification.images_table, "Side")) == {"right"}
    points = [
        len(column(classification.chart.GetNthPlotSeriesNode(n).GetTableNode(), "Slice"))
        for n in range(classification.chart.GetNumberOfPlotSeriesNodes())
    ]
    assert points == [0, 5]


def test_a_region_without_any_leg_is_refused_and_the_answer_stays(classification, classifier):
    result = classification.result
    for k in range(5):
        classification.exclude(k)
    with pytest.raises(InputError, match="holds nothing of this series"):
        classification.reclassify(classifier)
    assert classification.result == result
    classification.reset()
    assert not classification.pending


def test_legs_of_unknown_side_are_corrected_like_others(scene, series, classifier):
    window = next(window for window in find_legs(series).windows if window.side is Side.LEFT)
    # One leg across the scanner's midline tells no side.
    columns = slice(max(0, window.i[0] - 4), window.i[1] + 4)
    geometry = dataclasses.replace(series.geometry, origin=(-60.0, *series.geometry.origin[1:]))
    single = dataclasses.replace(
        series, voxels=np.ascontiguousarray(series.voxels[:, :, columns]), geometry=geometry, orientation_known=False
    )
    classification = SceneClassification(add_series(scene, single))
    regions = find_legs(single)
    assert {window.side for window in regions.windows} == {Side.UNKNOWN}
    classification.put(classifier.classify(single, regions))
    assert not classification.pending
    classification.exclude(2)
    result = classification.reclassify(classifier)
    assert {(image.side, image.roi) for image in result.images} == {("unknown", "auto")}
    assert 2 not in {image.slice for image in result.images}


def test_what_the_files_header_said_holds_for_corrections_too(scene, series, classifier):
    t2 = Acquisition(modality="MR", repetition_time_ms=4000.0, echo_time_ms=80.0, scanning_sequence=("SE",))
    read = dataclasses.replace(series, acquisition=t2, kind="dicom", series_uid="1.2.3")
    classification = SceneClassification(add_series(scene, read))
    classification.put(classifier.classify(read))
    half_erased(classification)
    result = classification.reclassify(classifier)
    assert (result.input.kind, result.input.series_uid) == ("dicom", "1.2.3")
    assert "NOT_T1_WEIGHTED" in [warning.code for warning in result.warnings]
    assert result.case.label == "indeterminate"
