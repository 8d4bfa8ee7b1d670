"""A classification in a scene: what it puts there, beside others, and what becomes of it there."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from model_packages import CARD_OF_FOUR, FOUR_CLASSES, TWO_CHANNELS, make_package
from mrml_cases import column, half_erased, image, planted, series_of
from vtkmodules.vtkCommonCore import VTK_OBJECT

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.errors import Cancelled, InputError
from DystrophyDxLib.models.decision import decision_of
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.display import HeatmapDisplay
from DystrophyDxLib.mrml.images_table import COLUMNS
from DystrophyDxLib.mrml.layers import own_segmentations
from DystrophyDxLib.mrml.muscle_nodes import muscles_node
from DystrophyDxLib.mrml.nodes import plot_series_of
from DystrophyDxLib.mrml.report_folder import write_report_folder
from DystrophyDxLib.mrml.scenes import copy_into, new_scene
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.panel.rich_text import answer_html
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.results import StudyResult
from DystrophyDxLib.series.channels import with_channels
from DystrophyDxLib.series.series import Acquisition

pytest_plugins = ("mrml_fixtures",)


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


def test_what_is_told_is_what_a_saved_scene_tells(classification, classifier):
    node = classification.volume.GetNodeReference("DystrophyDx.result")
    for classify in (classification.classify, classification.reclassify):
        told = classify(classifier)
        assert StudyResult.model_validate_json(node.GetText()) == told == classification.result
        assert StudyResult.model_validate_json(node.GetText()).to_json() == told.to_json()
    assert classification.result_before is not None
    node.SetText("of another program")
    assert classification.result is None


def test_the_table_has_the_figures_of_each_image_leg_by_leg(classification):
    table, images = classification.images_table, classification.images
    assert [table.GetTable().GetColumnName(n) for n in range(len(COLUMNS))] == list(COLUMNS)
    assert sorted(images, key=lambda image: (image.slice, image.side)) == list(classification.result.images)
    assert [image.side for image in images] == ["left"] * 5 + ["right"] * 5
    assert column(table, "Slice") == [image.slice for image in images]
    assert column(table, "Side") == [image.side for image in images]
    assert column(table, "Probability") == [image.probability for image in images]
    assert set(column(table, "Region")) == {"automatic"}
    anatomy = [image.anatomy if image.counted else f"{image.anatomy}, not counted" for image in images]
    assert column(table, "Anatomy") == anatomy


def test_table_and_chart_tell_which_end_is_the_knee(classification):
    assert classification.chart.GetXAxisTitle() == "Slice, from the knee to the hip"
    assert classification.chart.GetAxisTitleFontSize() < 16, "VTK draws tops of letters of that size twice"
    assert classification.images_table.GetColumnTitle("Slice") == "Slice (0: knee)"


def test_the_chart_plots_the_table(classification):
    images = classification.images
    assert [series.GetName() for series in plot_series_of(classification.chart)] == ["Left leg", "Right leg"]
    for series, side in zip(plot_series_of(classification.chart), ("left", "right"), strict=True):
        assert series.GetTableNode() is classification.images_table
        assert series.GetXColumnName() == "Slice"
        heights = column(classification.images_table, series.GetYColumnName())
        expected = [image.probability if image.side == side else np.nan for image in images]
        np.testing.assert_array_equal(heights, expected)


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


def test_classifications_of_one_scene_do_not_mix(scene, classification, series, classifier):
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


def test_removing_a_classification_leaves_the_volume_alone(scene, series, classifier):
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
    assert column(classification.images_table, "Region").count("edited") == 1


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


def test_a_volume_that_is_deleted_meanwhile_ends_the_work(scene, classification, classifier):
    with pytest.raises(Cancelled):
        classification.classify(classifier, lambda done, total: scene.RemoveNode(classification.volume))


def test_a_volume_without_an_image_is_refused(scene, classifier):
    empty = SceneClassification(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    assert (empty.result, empty.pending, empty.changed_slices) == (None, False, ())
    with pytest.raises(InputError, match="choose a volume with voxels"):
        empty.classify(classifier)


def test_importing_a_classification_does_not_import_torch():
    code = "import sys, DystrophyDxLib.mrml.classification; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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


def test_one_image_has_no_chart_as_a_line_of_one_point_cannot_be_drawn(scene):
    of_two, of_one = ([image(1, side, 0.4) for side in sides] for sides in (("left", "right"), ("left",)))
    found = planted(scene, series_of(np.eye(3)), images=of_two)
    assert found.chart is not None
    found = planted(scene, series_of(np.eye(3)), images=of_one)
    assert found.chart is None
    assert found.images_table.GetTable().GetNumberOfRows() == 1


def test_the_region_of_a_volume_that_is_gone_is_still_known_as_one(scene, classification):
    region, muscles = classification.segmentation, scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Muscles")
    found = muscles_node(classification.volume)
    assert own_segmentations(scene) == [node for node in (region, found) if node is not None]
    scene.RemoveNode(classification.volume)
    assert own_segmentations(scene) == [region]
    assert muscles not in own_segmentations(scene)
