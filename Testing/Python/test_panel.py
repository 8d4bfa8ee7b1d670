"""The panel, run by its own buttons in a stand-in of Slicer's desktop over a real scene."""

import dataclasses
import json
import logging
import subprocess
import sys
import unittest
from pathlib import Path

import pytest

pytest.importorskip("PySide6")

import numpy as np
import slicer
import slicer_desktop
import slicer_facts
from model_packages import CARD_OF_FOUR, FOUR_CLASSES, RECIPE, TWO_CHANNELS, make_package
from mrml_cases import add_cine
from PySide6 import QtCore
from slicer_desktop import Desktop, unwrap
from test_volumes import OF_LEGS, OF_MAPS
from vtkmodules.vtkCommonCore import vtkObject

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.decision import decision_of
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.layouts import SIDE_BY_SIDE_LAYOUT
from DystrophyDxLib.mrml.scenes import new_scene
from DystrophyDxLib.mrml.segmentation import add_segmentation, labels_from_segmentation, set_labels
from DystrophyDxLib.mrml.volumes import add_series, ijk_to_world
from DystrophyDxLib.panel import actions
from DystrophyDxLib.panel.rich_text import difference
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.phantom.brain_maps import make_maps
from DystrophyDxLib.phantom.heart import make_heart
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side
from DystrophyDxLib.series.series import Geometry, Series

MODULE = Path(__file__).resolve().parents[2] / "DystrophyDx" / "DystrophyDx.py"
SLICES = 6


@pytest.fixture(scope="session")
def application(tmp_path_factory):
    """Qt keeps one application; its settings are new in each test."""
    return tmp_path_factory.mktemp("settings")


@pytest.fixture(scope="module")
def series():
    return make_phantom(1, "DMD", slices=SLICES, matrix=192).series


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_package(tmp_path_factory.mktemp("models") / "other", bias=0.3, name="other", version="3")


@pytest.fixture
def desktop(tmp_path, monkeypatch):
    vtkObject.GlobalWarningDisplayOff()
    desktop = Desktop(new_scene(), MODULE, tmp_path / "settings")
    yield desktop
    desktop.close()


@pytest.fixture
def panel(desktop):
    return desktop.open()


@pytest.fixture
def volume(desktop, panel, series):
    """A thigh MRI in the scene, chosen in the panel."""
    node = add_series(slicer.mrmlScene, series, "Thighs")
    panel.ui.inputSelector.setCurrentNode(node)
    desktop.settle(20)
    return node


@pytest.fixture
def classification(desktop, panel, volume):
    """That volume, classified."""
    panel.ui.classifyButton.click()
    desktop.settle(20)
    assert SceneClassification(volume).result is not None, panel.ui.messageLabel.text
    return SceneClassification(volume)


def rows(panel):
    table = panel.ui.imagesTable
    return [tuple(table.item(row, column).text() for column in range(5)) for row in range(table.rowCount)]


def shown_slice():
    composite = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    volume = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID())
    from DystrophyDxLib.mrml.slice_plane import SlicePlane

    return SlicePlane(slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed"), volume).slice


def foregrounds():
    kind, scene = "vtkMRMLSliceCompositeNode", slicer.mrmlScene
    views = [scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind))]
    return {view.GetForegroundVolumeID() for view in views if view.GetLayoutName() in ("Red", "Green", "Yellow")}


def erase_half_of_the_left_leg(classification, k):
    labels = labels_from_segmentation(classification.segmentation, classification.volume)
    plane = labels[k]
    rows = (plane == LABEL_OF_SIDE[Side.LEFT]).nonzero()[0]
    plane[: (rows.min() + rows.max()) // 2][plane[: (rows.min() + rows.max()) // 2] == LABEL_OF_SIDE[Side.LEFT]] = 0
    set_labels(classification.segmentation, classification.volume, labels)


def translated():
    """A transform that shifts by some centimetres."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = 12, -30, 45
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def save_and_reload(desktop, path):
    assert slicer.mrmlScene.WriteToMRB(str(path))
    slicer.mrmlScene.Clear(0)
    desktop.settle(20)
    assert slicer.mrmlScene.ReadFromMRB(str(path), False)
    desktop.settle(50)


OPENING = """
import sys, time
import slicer
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from slicer_desktop import Desktop
scene = slicer.vtkMRMLScene()
layouts = slicer.vtkMRMLLayoutLogic()
layouts.SetMRMLScene(scene)
desktop = Desktop(scene, Path(sys.argv[2]), Path(sys.argv[3]))
before = set(sys.modules)
start = time.perf_counter()
desktop.open()
print(round(time.perf_counter() - start, 3), *({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_opening_the_panel_imports_no_heavy_package(tmp_path):
    code = [sys.executable, "-c", OPENING, str(Path(__file__).parent), str(MODULE), str(tmp_path)]
    done = subprocess.run(code, capture_output=True, text=True, check=True, timeout=120)
    seconds, *imported = done.stdout.split()
    assert not {"torch", "torchvision", "monai", "scipy", "SimpleITK", "pydantic"} & set(imported), imported
    assert float(seconds) < 5, "a machine that does something else, too, opens it in half a second"
    print(f"opening the panel took {seconds} s")


def test_nothing_can_be_pressed_without_a_volume(panel):
    ui = panel.ui
    for button in (ui.classifyButton, ui.reclassifyButton, ui.editButton, ui.excludeButton, ui.reportButton):
        assert not button.enabled
    assert ui.sampleButton.enabled
    assert "not for diagnosis" in ui.noticeLabel.text
    assert not ui.packagesFrame.visible


def test_the_sample_study_loads_from_the_panel_and_from_sample_data(desktop, panel):
    panel.ui.sampleButton.click()
    desktop.settle(20)
    volume = panel.ui.inputSelector.currentNode()
    assert "phantom" in volume.GetName()
    assert foregrounds() == {None}
    composite = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert composite.GetBackgroundVolumeID() == volume.GetID()
    (source,) = desktop.samples.sources
    assert source["category"] == "DystrophyDx"
    (loaded,) = source["load"](source)
    assert loaded.GetImageData().GetDimensions() == volume.GetImageData().GetDimensions()
    assert loaded is not volume


def test_the_likely_thigh_series_is_chosen_and_said_why(desktop, panel, series):
    noise = dataclasses.replace(series, voxels=np.random.default_rng(0).uniform(0, 1, series.voxels.shape).astype("f4"))
    add_series(slicer.mrmlScene, noise, "Noise")
    desktop.settle(50)
    assert "No volume of the scene shows legs" in panel.ui.suggestionLabel.text
    thighs = add_series(slicer.mrmlScene, series, "Thighs")
    desktop.settle(50)
    assert panel.ui.inputSelector.currentNode() is thighs
    assert "“Thighs” is the most likely of 2 volumes" in panel.ui.suggestionLabel.text
    panel.ui.inputSelector.setCurrentNode(slicer.mrmlScene.GetFirstNodeByName("Noise"))
    desktop.settle(50)
    assert panel.ui.inputSelector.currentNode().GetName() == "Noise", "what the user chose stays chosen"
    assert panel.ui.suggestionLabel.text == ""


def test_classify_shows_answer_images_chart_and_heatmap(panel, classification):
    ui, result = panel.ui, classification.result
    assert "Pattern suggests dystrophinopathy" in ui.answerLabel.text
    assert result.case.reason in ui.answerLabel.text
    assert "Demonstration model" in ui.answerLabel.text
    assert f"Probability {result.case.probability:.2f}, 95 % interval" in ui.figuresLabel.text
    assert f"threshold {result.case.threshold:.2f}" in ui.figuresLabel.text
    assert "<img" in ui.barLabel.text
    for warning in result.warnings:
        assert warning.message in ui.warningsLabel.text
    assert sorted(rows(panel)) == sorted(
        (str(image.slice), image.side, f"{image.probability:.3f}", "automatic", image.anatomy)
        for image in result.images
    )
    assert foregrounds() == {classification.heatmap.GetID()}
    assert ui.messageLabel.text == ""
    assert not ui.progressFrame.visible
    assert unwrap(panel._plot).mrmlPlotViewNode().GetPlotChartNodeID() == classification.chart.GetID()
    assert not ui.reclassifyButton.enabled, "nothing was edited"


def test_the_heatmap_is_not_offered_as_input(panel, classification):
    offered = unwrap(panel.ui.inputSelector)._ids
    assert classification.volume.GetID() in offered
    assert classification.heatmap.GetID() not in offered


def test_cancel_takes_effect_within_one_batch_and_leaves_everything_as_it_was(desktop, panel, volume, monkeypatch):
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    told = []
    progress = panel._onProgress

    def cancelling(done, total):
        told.append((done, total))
        if done:
            QtCore.QTimer.singleShot(0, panel.ui.cancelButton.click)
        progress(done, total)

    monkeypatch.setattr(panel, "_onProgress", cancelling)
    panel.ui.classifyButton.click()
    batches = [done for done, total in told if total]
    assert len(batches) == 1
    assert batches[0] < told[-1][1], "there was more to do"
    assert panel.ui.messageLabel.text == "Stopped; everything is as it was."
    assert not panel.ui.progressFrame.visible
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert panel.ui.classifyButton.enabled
    monkeypatch.undo()
    panel.ui.classifyButton.click()
    assert SceneClassification(volume).result is not None


def test_while_it_classifies_only_cancel_can_be_pressed(panel, volume, monkeypatch):
    ui, seen = panel.ui, []
    process_events = slicer.app.processEvents

    def look():
        process_events()
        enabled = tuple(widget.enabled for widget in (ui.cancelButton, ui.classifyButton, ui.inputSelector))
        seen.append((*enabled, ui.progressBar.maximum))
        panel.onClassify()  # a second one, by whatever way, is not begun

    monkeypatch.setattr(slicer.app, "processEvents", look)
    ui.classifyButton.click()
    assert len(seen) >= 2, "events were processed while the model was loaded and after each batch"
    assert all(state[:3] == (True, False, False) for state in seen)
    assert seen[-1][3] == len(SceneClassification(volume).result.images)


def test_a_scene_closed_amid_a_classification_ends_it(desktop, panel, volume, monkeypatch):
    process_events, done = slicer.app.processEvents, []

    def close():
        process_events()
        if not done:
            done.append(True)
            slicer.mrmlScene.Clear(0)

    monkeypatch.setattr(slicer.app, "processEvents", close)
    panel.ui.classifyButton.click()
    monkeypatch.undo()
    desktop.settle(20)
    assert slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode") is None
    assert panel.ui.imagesTable.rowCount == 0
    assert not panel.ui.classifyButton.enabled


def test_what_cannot_be_classified_is_one_sentence_in_the_panel(desktop, panel):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    panel.ui.inputSelector.setCurrentNode(empty)
    panel.ui.classifyButton.click()
    assert panel.ui.messageLabel.text == "The volume holds no image; choose a volume with voxels."
    assert panel.ui.messageLabel.visible


def test_a_surprise_is_one_sentence_in_the_panel_and_a_traceback_in_the_log(panel, volume, monkeypatch, caplog):
    def fail(*_):
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(SceneClassification, "classify", fail)
    with caplog.at_level(logging.ERROR):
        panel.ui.classifyButton.click()
    assert "Something unexpected went wrong" in panel.ui.messageLabel.text
    assert "Traceback" not in panel.ui.messageLabel.text
    assert "ZeroDivisionError: inside" in caplog.text


def test_the_table_sorts_and_a_row_moves_the_views(panel, classification):
    table = panel.ui.imagesTable
    table.sortByColumn(0, slicer_desktop.QtCore.Qt.DescendingOrder)
    assert [int(row[0]) for row in rows(panel)] == sorted((i.slice for i in classification.result.images), reverse=True)
    table.selectRow(0)
    assert shown_slice() == SLICES - 1
    table.sortByColumn(2, slicer_desktop.QtCore.Qt.AscendingOrder)
    probabilities = [float(row[2]) for row in rows(panel)]
    assert probabilities == sorted(probabilities)
    table.selectRow(0)
    assert shown_slice() == int(rows(panel)[0][0])


def test_slices_sort_as_numbers(desktop, panel, series):
    panel.ui.sampleButton.click()
    panel.ui.classifyButton.click()
    panel.ui.imagesTable.sortByColumn(0, slicer_desktop.QtCore.Qt.AscendingOrder)
    slices = [int(row[0]) for row in rows(panel)]
    assert slices == sorted(slices)
    assert max(slices) > 9


def test_a_point_of_the_chart_moves_the_views_each_time(desktop, panel, classification):
    chart = unwrap(panel._plot)
    images = {
        side: [image for image in classification.result.images if image.side == side] for side in ("left", "right")
    }
    apart = [abs(images["left"][point].probability - images["right"][point].probability) > 0.03 for point in (2, 3)]
    assert any(apart)
    for side, name in (("left", "Left leg"), ("right", "Right leg"), ("left", "Left leg")):
        for point, is_apart in zip((2, 3), apart, strict=True):
            chart.click(name, point)
            desktop.settle(20)
            assert shown_slice() == images[side][point].slice
            shown = rows(panel)[panel.ui.imagesTable.currentRow()]
            assert shown[0] == str(images[side][point].slice)
            # Of points that lie on each other, only the upper one can be clicked.
            assert shown[1] == side or not is_apart


def test_next_and_previous_image_by_button_and_key(desktop, panel, classification):
    order = sorted(classification.result.images, key=lambda image: image.slice)
    panel.ui.imagesTable.sortByColumn(0, slicer_desktop.QtCore.Qt.AscendingOrder)
    panel._select(order[0])
    panel.ui.nextButton.click()
    desktop.press("F8")
    assert shown_slice() == order[2].slice
    assert rows(panel)[panel.ui.imagesTable.currentRow()][:2] == (str(order[2].slice), order[2].side)
    desktop.press("F7")
    panel.ui.previousButton.click()
    assert shown_slice() == order[0].slice


def test_keys_work_while_the_panel_is_open_only(desktop, panel, volume):
    desktop.press("F5")
    assert SceneClassification(volume).result is not None
    desktop.press("F9")
    assert foregrounds() == {None}
    desktop.leave()
    with pytest.raises(AssertionError, match="no shortcut"):
        desktop.press("F9")
    panel.enter()
    desktop.press("F9")
    assert foregrounds() == {SceneClassification(volume).heatmap.GetID()}


def test_heatmap_controls(panel, classification):
    ui, heat = panel.ui, classification.heatmap.GetDisplayNode()
    voxels = classification.heatmap.GetImageData().GetMTime()
    ui.thresholdSlider.value = 0.45
    assert heat.GetLowerThreshold() == pytest.approx(0.45)
    ui.opacitySlider.value = 0.8
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert red.GetForegroundOpacity() == pytest.approx(0.8)
    ui.heatmapCheckBox.checked = False
    assert foregrounds() == {None}
    assert not ui.thresholdSlider.enabled
    ui.heatmapCheckBox.checked = True
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(heat)
    ui.legendCheckBox.checked = False
    assert not legend.GetVisibility()
    assert [ui.classSelector.itemText(n) for n in range(ui.classSelector.count)] == list(
        classification.result.model.classes
    )
    assert ui.classSelector.currentIndex == 1
    ui.classSelector.currentIndex = 0
    assert heat.GetUpperThreshold() < 0, "evidence for the first class is negative"
    ui.classSelector.currentIndex = 1
    assert heat.GetLowerThreshold() == pytest.approx(0.45)
    assert classification.heatmap.GetImageData().GetMTime() == voxels, "no voxel was touched"


def test_the_own_layout_is_known_before_the_panel_is_opened(desktop):
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.IsLayoutDescription(SIDE_BY_SIDE_LAYOUT)


def test_no_section_is_wider_than_that_of_the_study(panel):
    ui = panel.ui
    # Slicer widens its module panel to the widest of them, at the expense of the views.
    width = {
        section.name: unwrap(section).layout().minimumSize().width()
        for section in (ui.studySection, ui.resultSection, ui.heatmapSection, ui.regionSection, ui.reportSection)
    }
    assert max(width, key=width.get) == "studySection", width


def test_layouts(panel, classification):
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    panel.ui.layoutSelector.currentIndex = 2
    beside = layout.GetViewArrangement()
    assert "DystrophyDxMRI" in layout.GetCurrentLayoutDescription()
    panel.ui.layoutSelector.currentIndex = 1
    assert layout.GetViewArrangement() == layout.SlicerLayoutOneUpRedSliceView != beside


def test_edit_opens_slicers_segment_editor_on_the_region(panel, classification):
    panel.ui.editButton.checked = True
    editor = unwrap(panel._editor)
    assert panel.ui.editorFrame.visible
    assert editor.effectNameOrder() == ["Paint", "Draw", "Erase", "Scissors", "Islands"]
    assert not editor.unorderedEffectsVisible
    assert editor.undoEnabled
    assert editor.segmentationNode() is classification.segmentation
    assert editor.sourceVolumeNode() is classification.volume
    assert editor.mrmlSegmentEditorNode().GetSingletonTag() == "DystrophyDx"
    assert editor.shortcuts
    panel.ui.editButton.checked = False
    assert not panel.ui.editorFrame.visible
    assert not editor.shortcuts
    panel.ui.editButton.checked = True
    panel.exit()
    assert not editor.shortcuts, "no key of the editor works in another module"


def test_correct_and_reclassify_runs_what_changed_and_shows_the_difference(desktop, panel, classification, monkeypatch):
    before, told = classification.result, []
    erase_half_of_the_left_leg(classification, 2)
    desktop.wait(lambda: panel.ui.reclassifyButton.enabled)
    assert panel.ui.pendingLabel.text == "Edited since the result: slice 2."
    progress = panel._onProgress
    monkeypatch.setattr(panel, "_onProgress", lambda *counts: (told.append(counts), progress(*counts)))
    panel.ui.reclassifyButton.click()
    assert told[-1] == (1, 1), "one image was run"
    assert "Before: Pattern suggests dystrophinopathy" in panel.ui.differenceLabel.text
    edited = [row for row in rows(panel) if row[3] == "edited"]
    assert [row[:2] for row in edited] == [("2", "left")]
    assert classification.result_before == before
    assert panel.ui.pendingLabel.text == ""
    assert not panel.ui.reclassifyButton.enabled


def test_a_change_that_the_figures_do_not_show_has_no_sign(classification):
    before, after = (
        classification.result.model_copy(
            update={"case": classification.result.case.model_copy(update={"probability": probability})}
        )
        for probability in (0.9938, 0.9902)
    )
    assert "now the same with 0.99 (+0.00)" in difference(after, before)


def test_reset_to_automatic_leads_back_to_nothing_to_do(desktop, panel, classification):
    ui = panel.ui
    for k in (1, 4):
        erase_half_of_the_left_leg(classification, k)
    desktop.wait(lambda: ui.pendingLabel.text == "Edited since the result: slices 1, 4.")
    panel._select(next(image for image in classification.result.images if image.slice == 4))
    ui.resetSliceButton.click()
    assert ui.pendingLabel.text == "Edited since the result: slice 1."
    ui.resetRightButton.click()
    assert ui.pendingLabel.text == "Edited since the result: slice 1."
    ui.resetLeftButton.click()
    assert ui.pendingLabel.text == ""
    ui.excludeButton.click()
    assert ui.pendingLabel.text == "Edited since the result: slice 4."
    ui.resetAllButton.click()
    assert ui.pendingLabel.text == ""


def test_exclude_this_slice_can_be_undone_in_the_editor(panel, classification):
    panel.ui.editButton.checked = True
    panel._select(next(image for image in classification.result.images if image.slice == 3))
    panel.ui.excludeButton.click()
    assert unwrap(panel._editor).saved == 1
    assert classification.changed_slices == (3,)
    panel.ui.reclassifyButton.click()
    assert "3" not in {row[0] for row in rows(panel)}
    assert "2 images left out" in panel.ui.differenceLabel.text


def test_heatmap_and_legs_go_with_a_volume_that_is_transformed_and_hardened(desktop, panel, classification):
    transform, before = translated(), ijk_to_world(classification.volume)
    classification.volume.SetAndObserveTransformNodeID(transform.GetID())
    assert {node.GetParentTransformNode() for node in (classification.heatmap, classification.segmentation)} == {
        transform
    }
    assert classification.volume.HardenTransform()
    assert {node.GetParentTransformNode() for node in (classification.heatmap, classification.segmentation)} == {None}
    np.testing.assert_allclose((ijk_to_world(classification.heatmap) - before)[:3, 3], (12, -30, 45), atol=1e-6)
    desktop.settle(600)
    assert panel.ui.pendingLabel.text == "", "the legs are on the voxels that they were drawn on"


def test_automatic_reclassification_follows_an_edit(desktop, panel, classification):
    first = classification.result
    panel.ui.autoReclassifyCheckBox.checked = True
    erase_half_of_the_left_leg(classification, 2)
    desktop.wait(lambda: classification.result != first, 10)
    assert not classification.pending
    assert "edited" in {row[3] for row in rows(panel)}


def test_each_volume_keeps_its_own_result_and_switching_shows_it(desktop, panel, classification):
    other = add_series(slicer.mrmlScene, make_phantom(2, "healthy", slices=4, matrix=192).series, "Other")
    panel.ui.inputSelector.setCurrentNode(other)
    assert "Not classified yet" in panel.ui.answerLabel.text
    assert panel.ui.imagesTable.rowCount == 0
    assert foregrounds() == {None}
    panel.ui.classifyButton.click()
    second = SceneClassification(other).result
    assert panel.ui.imagesTable.rowCount == len(second.images)
    panel.ui.inputSelector.setCurrentNode(classification.volume)
    assert panel.ui.imagesTable.rowCount == len(classification.result.images)
    assert foregrounds() == {classification.heatmap.GetID()}
    assert classification.segmentation.GetDisplayNode().GetVisibility()
    assert not SceneClassification(other).segmentation.GetDisplayNode().GetVisibility()


def test_renamed_and_deleted_nodes_break_nothing(desktop, panel, classification):
    classification.volume.SetName("renamed")
    classification.heatmap.SetName("also renamed")
    panel.ui.thresholdSlider.value = 0.3
    assert classification.heatmap.GetDisplayNode().GetLowerThreshold() == pytest.approx(0.3)
    slicer.mrmlScene.RemoveNode(classification.heatmap)
    desktop.settle(20)
    assert not panel.ui.thresholdSlider.enabled
    slicer.mrmlScene.RemoveNode(classification.chart)
    slicer.mrmlScene.RemoveNode(classification.segmentation)
    desktop.settle(20)
    assert not panel.ui.editButton.enabled
    assert panel.ui.imagesTable.rowCount == len(classification.result.images), "the answer is still there"
    panel.ui.classifyButton.click()
    assert classification.heatmap is not None
    assert classification.segmentation is not None
    assert panel.ui.editButton.enabled
    heatmap = classification.heatmap
    slicer.mrmlScene.RemoveNode(classification.volume)
    desktop.settle(20)
    assert panel.ui.imagesTable.rowCount == 0
    assert panel.ui.messageLabel.text == ""
    hidden = panel.ui.inputSelector.sortFilterProxyModel().hiddenNodeIDs
    assert heatmap.GetID() in hidden, "what is left of a deleted volume is not offered as input"


def test_a_region_deleted_while_it_is_corrected_ends_the_correction(desktop, panel, classification):
    panel.ui.editButton.checked = True
    slicer.mrmlScene.RemoveNode(classification.segmentation)
    # Slicer's editor turns to another region and shows the volume that belongs to it.
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(None)
    desktop.settle(20)
    assert not panel.ui.editButton.checked
    assert not panel.ui.editorFrame.visible
    assert panel._view.classification == classification, "the volume of the answer that the panel shows"


def test_the_selector_of_views_follows_slicers_own_layouts(panel, classification):
    panel.ui.layoutSelector.currentIndex = 1
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    node.SetViewArrangement(node.SlicerLayoutFourUpView)
    assert panel.ui.layoutSelector.currentText == "As they are"
    panel.ui.layoutSelector.currentIndex = 1
    assert node.GetViewArrangement() == node.SlicerLayoutOneUpRedSliceView


def test_the_editor_ignores_the_views_while_the_scene_is_closed(panel, classification):
    panel.ui.editButton.checked = True
    editor, attached = unwrap(panel._editor), []
    # Slicer builds the views anew at the end of closing, and an effect that is told of it ends the program.
    first = 10.0
    slicer.mrmlScene.AddObserver(
        slicer.mrmlScene.EndCloseEvent, lambda *_: attached.append(editor.mrmlSegmentEditorNode()), first
    )
    slicer.mrmlScene.Clear()
    assert attached == [None]
    assert editor.mrmlSegmentEditorNode() is not None, "ready for the next scene"


def test_a_saved_scene_shows_everything_again_without_classifying(
    desktop, panel, classification, tmp_path, monkeypatch
):
    erase_half_of_the_left_leg(classification, 2)
    panel.ui.reclassifyButton.enabled = True
    panel.ui.reclassifyButton.click()
    panel.ui.thresholdSlider.value = 0.35
    panel.ui.autoReclassifyCheckBox.checked = True
    texts = ("answerLabel", "barLabel", "figuresLabel", "differenceLabel", "warningsLabel")
    before = [getattr(panel.ui, name).text for name in texts], rows(panel)
    monkeypatch.setattr(actions, "_classifier", None)
    save_and_reload(desktop, tmp_path / "scene.mrb")
    assert panel.ui.messageLabel.text == ""
    assert panel.ui.inputSelector.currentNode().GetName() == "Thighs"
    assert ([getattr(panel.ui, name).text for name in texts], rows(panel)) == before
    assert panel.ui.thresholdSlider.value == pytest.approx(0.35)
    assert panel.ui.autoReclassifyCheckBox.checked
    again = SceneClassification(panel.ui.inputSelector.currentNode())
    assert foregrounds() == {again.heatmap.GetID()}
    assert not again.pending
    assert unwrap(panel._plot).mrmlPlotViewNode().GetPlotChartNodeID() == again.chart.GetID()


def test_closing_the_scene_empties_the_panel_and_it_goes_on_working(desktop, panel, classification, series):
    panel.ui.editButton.checked = True
    panel.ui.suggestionLabel.text = "“Thighs” is the only volume."
    slicer.mrmlScene.Clear(0)
    desktop.settle(20)
    assert panel.ui.suggestionLabel.text == "", "nothing is said of a volume that is gone"
    assert panel.ui.imagesTable.rowCount == 0
    assert "Not classified yet" in panel.ui.answerLabel.text
    assert not panel.ui.editButton.checked
    node = add_series(slicer.mrmlScene, series, "Next")
    panel.ui.inputSelector.setCurrentNode(node)
    panel.ui.classifyButton.click()
    assert SceneClassification(node).result is not None
    panel.ui.editButton.checked = True
    assert unwrap(panel._editor).segmentationNode() is SceneClassification(node).segmentation


def test_the_module_can_be_reloaded(desktop, panel, classification):
    observed = panel.Observations
    assert observed
    again = desktop.reload()
    assert not panel.Observations
    assert again is not panel
    assert again.ui.inputSelector.currentNode() is classification.volume
    assert again.ui.imagesTable.rowCount == len(classification.result.images)
    again.ui.classifyButton.click()
    assert again.ui.messageLabel.text == ""


def test_model_packages_are_added_once_and_remembered(desktop, panel, volume, package):
    panel.addModel(package)
    panel.addModel(package)
    selector = panel.ui.modelSelector
    assert [selector.itemText(n) for n in range(selector.count)] == ["Demonstration model", package.name]
    panel.ui.cardButton.checked = True
    assert "tests" in panel.ui.cardBrowser.plainText
    panel.ui.classifyButton.click()
    assert SceneClassification(volume).result.model.version == "3"
    again = desktop.reload()
    assert again.ui.modelSelector.count == 2


def test_the_panel_asks_for_the_further_volumes_that_the_model_needs_and_for_nothing_else(
    desktop, panel, volume, tmp_path
):
    assert not panel.ui.channelsFrame.visible
    panel.addModel(make_package(tmp_path / "stir", recipe=TWO_CHANNELS))
    assert panel.ui.channelsFrame.visible
    (name,) = panel._channels
    assert name == "STIR"
    assert panel.ui.inputLabel.text == "T1:", "which of the two the first is"
    panel.ui.classifyButton.click()
    assert "needs STIR beside T1" in panel.ui.messageLabel.text
    phantom = make_phantom(1, "DMD", slices=SLICES, matrix=192, contrasts=("T1", "STIR"))
    stir = add_series(slicer.mrmlScene, phantom.images["STIR"], "STIR of the thighs")
    panel._channels[name].setCurrentNode(stir)
    assert SceneClassification(volume).channel("STIR") is stir
    panel.ui.classifyButton.click()
    assert panel.ui.messageLabel.text == ""
    assert SceneClassification(volume).result is not None
    panel.ui.modelSelector.currentIndex = 0
    assert not panel.ui.channelsFrame.visible
    assert not panel._channels
    assert panel.ui.inputLabel.text == "Thigh MRI:"


def test_a_model_of_many_classes_shows_its_differential_and_the_heatmap_of_each_class(panel, volume, tmp_path):
    panel.addModel(make_package(tmp_path / "four", recipe=FOUR_CLASSES, **CARD_OF_FOUR))
    panel.ui.classifyButton.click()
    result = SceneClassification(volume).result
    text = panel.ui.answerLabel.text
    places = [text.index(f"<td>{ranked.name}&nbsp;</td>") for ranked in result.case.differential]
    assert places == sorted(places)
    selector = panel.ui.classSelector
    assert [selector.itemText(n) for n in range(selector.count)] == list(result.model.classes)
    told = result.model.classes.index(decision_of(result).told_class(result.case))
    assert selector.currentIndex == told
    before = slicer.util.arrayFromVolume(SceneClassification(volume).heatmap).copy()
    selector.currentIndex = (told + 1) % 4
    assert not np.array_equal(slicer.util.arrayFromVolume(SceneClassification(volume).heatmap), before)


@pytest.fixture
def maps(panel):
    """Grey-matter density and mean diffusivity of a brain in the scene, none chosen."""
    made = make_maps(1, "MSA-C", 1.0)
    geometry = Geometry((0, 0, 0), (4, 4, 4), np.eye(3))
    named = {"GM": made.density, "MD": made.diffusivity}
    return {name: add_series(slicer.mrmlScene, Series(voxels, geometry), name) for name, voxels in named.items()}


def test_maps_are_chosen_by_the_reader_and_not_taken_for_thighs(desktop, panel, tmp_path):
    panel.addModel(make_package(tmp_path / "maps", recipe=OF_MAPS))
    desktop.settle(20)
    thighs = make_phantom(1, "DMD", slices=SLICES, matrix=192).series
    add_series(slicer.mrmlScene, thighs, "Thighs")
    desktop.settle(20)
    assert (panel.ui.inputSelector.currentNode(), panel.ui.suggestionLabel.text) == (None, "")
    panel.ui.modelSelector.currentIndex = 0
    desktop.settle(20)
    assert panel.ui.inputSelector.currentNode().GetName() == "Thighs"
    assert panel.ui.suggestionLabel.text
    panel.addModel(make_package(tmp_path / "leg", recipe=RECIPE.replace("size = 224", 'size = 224\nexpects = "leg"')))
    assert panel.ui.suggestionLabel.text == "", "it is no T1-weighted thigh that this model takes"


def test_a_missing_map_is_named_before_pytorch_is_loaded(panel, maps, tmp_path, monkeypatch):
    panel.addModel(make_package(tmp_path / "maps", recipe=OF_MAPS))
    panel.ui.inputSelector.setCurrentNode(maps["GM"])
    loaded = []
    monkeypatch.setattr(panel._bench, "_load_packages", lambda: loaded.append(True))
    panel.ui.classifyButton.click()
    assert "needs MD beside GM" in panel.ui.messageLabel.text
    assert not loaded


def test_a_whole_brain_is_one_image_without_interval_chart_or_sides(panel, maps, tmp_path):
    panel.addModel(make_package(tmp_path / "maps", recipe=OF_MAPS))
    ui = panel.ui
    ui.inputSelector.setCurrentNode(maps["GM"])
    panel._channels["MD"].setCurrentNode(maps["MD"])
    ui.classifyButton.click()
    classification = SceneClassification(maps["GM"])
    assert classification.result is not None, ui.messageLabel.text
    (cells,) = rows(panel)
    seen = slicer.util.arrayFromVolume(maps["GM"]).any(axis=(1, 2)).nonzero()[0]
    assert cells[:2] == (f"{seen[0]} to {seen[-1]}", "none")
    assert "95 % interval none" in ui.figuresLabel.text
    assert classification.chart is None
    assert not ui.chartFrame.visible
    assert ui.resetAllButton.enabled
    assert not ui.resetLeftButton.enabled
    assert not ui.resetRightButton.enabled
    ui.excludeButton.click()
    panel.onRegionChanged()
    ui.reclassifyButton.click()
    assert "1 image changed, most the volume: " in ui.differenceLabel.text


def test_slices_of_another_model_leave_no_chart_when_volumes_follow(panel, classification, tmp_path):
    assert classification.chart is not None
    panel.addModel(make_package(tmp_path / "legs", recipe=OF_LEGS))
    panel.ui.classifyButton.click()
    assert {image.side for image in classification.result.images} == {"left", "right"}
    assert len(rows(panel)) == 2
    assert classification.chart is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 0
    assert panel.ui.resetLeftButton.enabled
    erase_half_of_the_left_leg(classification, SLICES // 2)
    panel.onRegionChanged()
    panel.ui.reclassifyButton.click()
    assert "1 image changed, most the left leg: " in panel.ui.differenceLabel.text


@pytest.fixture(scope="module")
def frame_pairs(tmp_path_factory):
    """A model of end-diastole and end-systole on small squares."""
    facts = Recipe.named("germain2021").model_dump(mode="json", exclude_none=True)
    facts["sample"] |= {"size": 64, "region": {"kind": "square", "pixel_mm": 2.5}}
    facts["network"] |= {"weights": "none"}
    facts["training"]["stages"] = [stage | {"size": 64} for stage in facts["training"]["stages"]]
    recipe = Recipe.model_validate(facts)
    folder = tmp_path_factory.mktemp("models") / "hearts"
    return make_package(folder, recipe=recipe.toml(), classes=recipe.classes, threshold=None)


def test_of_a_cine_the_panel_asks_for_frames_and_classifies_those_chosen(desktop, panel, frame_pairs):
    heart = make_heart("HCM", seed=4, number=1, matrix=96, frames=14)
    cine = add_cine(slicer.mrmlScene, heart)
    panel.addModel(frame_pairs)
    panel.ui.inputSelector.setCurrentNode(cine)
    assert panel.ui.inputLabel.text == "Cine:"
    assert not panel._channels
    boxes = panel._frames
    assert boxes["SYSTOLE"].value == heart.systole
    assert boxes["DIASTOLE"].maximum == 13
    boxes["SYSTOLE"].value = 3
    assert np.array_equal(slicer.util.arrayFromVolume(cine), heart.voxels[3]), "the frame is seen when it is chosen"
    boxes["DIASTOLE"].value = 3
    panel.ui.classifyButton.click()
    assert "Frame 3 cannot be two inputs" in panel.ui.messageLabel.text
    boxes["DIASTOLE"].value = 1
    panel.ui.classifyButton.click()
    assert panel.ui.messageLabel.text == ""
    chosen = panel.ui.inputSelector.currentNode()
    assert (chosen.GetName(), panel._channels["SYSTOLE"].currentNode().GetName()) == ("cine frame 1", "cine frame 3")
    assert not panel._frames
    assert panel.ui.inputLabel.text == "DIASTOLE:"
    told = "DIASTOLE is frame 1 of 14 (from 0). SYSTOLE is frame {} of 14 (from 0)."
    assert told.format(3) in SceneClassification(chosen).result.input.selection
    assert SceneClassification(cine).result is None
    panel.ui.inputSelector.setCurrentNode(cine)
    panel._frames["DIASTOLE"].value, panel._frames["SYSTOLE"].value = 1, 6
    panel.ui.classifyButton.click()
    assert panel.ui.inputSelector.currentNode() is chosen
    assert told.format(6) in SceneClassification(chosen).result.input.selection
    panel.ui.inputSelector.setCurrentNode(cine)
    assert set(panel._frames) == {"DIASTOLE", "SYSTOLE"}
    slicer.mrmlScene.Clear(0)
    desktop.settle(20)
    assert not panel._frames


def test_muscles_are_asked_for_where_the_scene_holds_some_and_told_with_their_share_under_the_heat(
    desktop, panel, classification
):
    assert not panel.ui.musclesFrame.visible, "legs are no muscles"
    drawn = labels_from_segmentation(classification.segmentation, classification.volume)
    muscles = add_segmentation(classification.volume, drawn, "Muscles")
    desktop.settle(20)
    assert panel.ui.musclesFrame.visible
    panel.ui.musclesSelector.setCurrentNode(muscles)
    heat = np.maximum(slicer.util.arrayFromVolume(classification.heatmap), 0)
    for name, value in (("Left leg", 1), ("Right leg", 2)):
        share = np.mean(heat[drawn == value] >= 0.5)
        assert f"<td>{name}&nbsp;</td><td>{share:.2f}&nbsp;</td>" in panel.ui.musclesLabel.text
    slicer.mrmlScene.RemoveNode(muscles)
    desktop.settle(20)
    assert not panel.ui.musclesFrame.visible
    assert panel.ui.musclesLabel.text == ""


def test_a_model_package_that_is_none_is_refused_in_one_sentence(panel, tmp_path):
    (tmp_path / "model.zip").write_bytes(b"no zip")
    panel.addModel(tmp_path / "model.zip")
    assert "get another copy" in panel.ui.messageLabel.text
    assert panel.ui.modelSelector.count == 1


def test_the_model_card_is_shown_in_the_panel(panel):
    panel.ui.cardButton.checked = True
    assert panel.ui.cardBrowser.visible
    card = json.loads((MODULE.parents[1] / "Resources" / "EmbeddedModel" / "card.json").read_text())
    text = panel.ui.cardBrowser.plainText
    assert card["name"] in text
    assert card["intended_use"].split(";")[0] in text
    panel.ui.cardButton.checked = False
    assert not panel.ui.cardBrowser.visible


def test_report_and_summary(panel, classification, tmp_path, monkeypatch):
    ui = panel.ui
    ui.reportButton.click()
    assert ui.reportLabel.text == "Choose a folder for the report."
    ui.folderSelector.currentPath = str(tmp_path / "report")
    ui.reportButton.click()
    assert ui.messageLabel.text == ""
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"result.json", "heatmap.nrrd", "roi.seg.nrrd", "overview.png", "report.html", "scene.mrb"}
    assert json.loads((tmp_path / "report" / "result.json").read_text())["schema"] == "dystrophydx.result/1"
    assert ui.openButton.enabled
    asked = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *args: asked.append(args))
    ui.reportButton.click()
    assert len(asked) == 1, "replacing a report cannot be undone"
    ui.copyButton.click()
    lines = slicer.app.clipboard().text().splitlines()
    assert len(lines) == 2
    assert "Pattern suggests dystrophinopathy" in lines[0]
    assert classification.result.model.name in lines[1]
    assert lines[1].count("Demonstration model") == 1
    told = panel.ui.answerLabel.text + panel.ui.warningsLabel.text
    assert told.count("Demonstration model") == 1
    assert "not for diagnosis" in lines[1]


def test_missing_packages_are_named_with_their_size_and_installed_on_the_users_word(desktop, monkeypatch):
    from DystrophyDxLib.panel import dependencies

    installed = dependencies.Dependencies._installed
    lacking = {"safetensors"}
    monkeypatch.setattr(
        dependencies.Dependencies,
        "_installed",
        lambda self, *names: {n: version for n, version in installed(self, *names).items() if n not in lacking},
    )
    panel = desktop.open()
    assert panel.ui.packagesFrame.visible
    assert "safetensors" in panel.ui.packagesLabel.text
    assert "MB" in panel.ui.packagesLabel.text
    panel.ui.sampleButton.click()
    panel.ui.classifyButton.click()
    assert "safetensors" in panel.ui.messageLabel.text
    assert desktop.installed == []
    monkeypatch.setattr(
        slicer.packaging, "pip_install", lambda what, **_: (desktop.installed.append(what), lacking.clear())
    )
    panel.ui.installButton.click()
    assert [["safetensors" in requirement for requirement in call] for call in desktop.installed] == [[True]]
    assert not panel.ui.packagesFrame.visible
    panel.ui.classifyButton.click()
    assert panel._classification.result is not None


def test_a_broken_pytorch_gives_instructions(panel, volume, monkeypatch):
    from DystrophyDxLib.panel import dependencies

    def broken(self):
        raise InputError("PyTorch is there but does not start: reinstall it.")

    monkeypatch.setattr(dependencies.Dependencies, "load", broken)
    panel.ui.classifyButton.click()
    assert panel.ui.messageLabel.text == "PyTorch is there but does not start: reinstall it."


def test_the_device_list_is_that_of_the_library(panel):
    from DystrophyDxLib.devices import DEVICES

    selector = panel.ui.deviceSelector
    assert tuple(selector.itemText(n) for n in range(selector.count)) == DEVICES


def test_the_picture_of_the_panel_shows_the_bar_and_the_chart(desktop, panel, classification, tmp_path):
    picture = desktop.picture(tmp_path / "panel.png")
    assert picture.width() > 300
    blue = (66, 133, 212)
    label = unwrap(panel.ui.barLabel)
    place = label.mapTo(unwrap(panel.parent), QtCore.QPoint(20, label.height() // 2))
    assert picture.pixelColor(place).getRgb()[:3] == blue


def test_the_modules_own_test_for_the_desktop_passes_whatever_model_was_chosen(desktop, panel, tmp_path, monkeypatch):
    panel.addModel(make_package(tmp_path / "maps", recipe=OF_MAPS))
    monkeypatch.setattr(slicer.util, "selectModule", lambda name: None)
    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda name: panel)
    monkeypatch.setattr(slicer.util, "saveScene", lambda path: slicer.mrmlScene.WriteToMRB(path))
    monkeypatch.setattr(slicer.util, "loadScene", lambda path: slicer.mrmlScene.ReadFromMRB(path, False))
    result = unittest.TestResult()
    desktop.module.DystrophyDxTest("test_WholeWay").run(result)
    assert result.testsRun == 1
    assert not result.errors + result.failures + result.skipped


@pytest.mark.skipif(not slicer_facts.AVAILABLE, reason="the facts about Slicer are not beside this checkout")
def test_the_stand_in_refuses_what_slicer_does_not_have(desktop, panel):
    import ctk
    import qt

    with pytest.raises(AttributeError):
        panel.ui.inputSelector.selectedNode()
    with pytest.raises(AttributeError):
        panel.ui.classifyButton.caption = "x"
    with pytest.raises(ValueError, match="no signal"):
        panel.ui.inputSelector.connect("nodeChanged(vtkMRMLNode*)", print)
    with pytest.raises(ValueError, match="no signal"):
        panel.ui.classifyButton.connect("pushed()", print)
    for module, name in ((qt, "QFlexibleButton"), (ctk, "QPushButton"), (qt, "ctkSliderWidget")):
        with pytest.raises(AttributeError):
            getattr(module, name)
    with pytest.raises(AttributeError):
        slicer.app.processAllEvents()
