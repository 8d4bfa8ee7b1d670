"""The page "Classification" as a whole: keys, scenes, volumes, reload and report."""

import json
import unittest

import pytest

pytest.importorskip("PySide6")

import numpy as np
import slicer
from model_packages import make_package
from panel_cases import Panel, erase_half_of_the_left_leg, foregrounds
from PySide6 import QtCore, QtWidgets
from slicer_widgets import unwrap
from test_volumes import OF_MAPS

from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.volumes import add_series, ijk_to_world
from DystrophyDxLib.panel import actions
from DystrophyDxLib.phantom import make_phantom

pytest_plugins = "panel_fixtures"


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


def test_keys_work_while_the_panel_is_open_only(desktop, panel, volume):
    desktop.press("F5")
    assert SceneClassification(volume).result is not None
    desktop.press("F9")
    assert foregrounds() == {None}
    desktop.widget.exit()
    with pytest.raises(AssertionError, match="no shortcut"):
        desktop.press("F9")
    panel.widget.enter()
    desktop.press("F9")
    assert foregrounds() == {SceneClassification(volume).heatmap.GetID()}


def test_no_section_is_wider_than_that_of_the_study(panel):
    ui = panel.ui
    # Slicer widens its module panel to the widest of them, at the expense of the views.
    width = {
        section.name: unwrap(section).layout().minimumSize().width()
        for section in (ui.studySection, ui.resultSection, ui.heatmapSection, ui.regionSection, ui.reportSection)
    }
    assert max(width, key=width.get) == "studySection", width


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


def test_what_was_found_in_a_volume_goes_with_it(desktop, panel, classification):
    other = SceneClassification(add_series(slicer.mrmlScene, make_phantom(2, "healthy", slices=4).series, "Other"))
    other.put_heatmap(np.zeros(other.volume.GetImageData().GetDimensions()[::-1], np.float32))
    panel.ui.editButton.checked = True
    panel.ui.copyButton.click()
    slicer.mrmlScene.RemoveNode(classification.volume)
    desktop.settle(20)
    names = [node.GetName() or "" for node in slicer.util.getNodesByClass("vtkMRMLNode")]
    assert not [name for name in names if "Thighs" in name]
    assert other.heatmap is not None
    assert not panel.ui.editButton.checked
    assert panel.ui.imagesTable.rowCount == 0
    for label in (panel.ui.messageLabel, panel.ui.reportLabel, panel.ui.warningsLabel):
        assert label.text == ""
    assert not panel.ui.musclesFrame.visible


def test_a_saved_scene_shows_everything_again_without_classifying(
    desktop, panel, classification, tmp_path, monkeypatch
):
    erase_half_of_the_left_leg(classification, 2)
    panel.ui.reclassifyButton.enabled = True
    panel.ui.reclassifyButton.click()
    panel.ui.thresholdSlider.value = 0.35
    panel.ui.autoReclassifyCheckBox.checked = True
    texts = ("answerLabel", "barLabel", "figuresLabel", "differenceLabel", "warningsLabel")
    before = [getattr(panel.ui, name).text for name in texts], panel.rows()
    monkeypatch.setattr(actions, "_model", None)
    save_and_reload(desktop, tmp_path / "scene.mrb")
    assert panel.ui.messageLabel.text == ""
    assert panel.ui.inputSelector.currentNode().GetName() == "Thighs"
    assert ([getattr(panel.ui, name).text for name in texts], panel.rows()) == before
    assert panel.ui.thresholdSlider.value == pytest.approx(0.35)
    assert panel.ui.autoReclassifyCheckBox.checked
    again = SceneClassification(panel.ui.inputSelector.currentNode())
    assert foregrounds() == {again.heatmap.GetID()}
    assert not again.pending
    assert panel.chart.mrmlPlotViewNode().GetPlotChartNodeID() == again.chart.GetID()


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
    assert panel.editor.told["SegmentationNode"] is SceneClassification(node).segmentation


def test_the_module_can_be_reloaded(desktop, panel, classification):
    observed = panel.page.Observations
    assert observed
    again = Panel(desktop.reload())
    assert not panel.page.Observations
    assert again is not panel
    assert again.ui.inputSelector.currentNode() is classification.volume
    assert again.ui.imagesTable.rowCount == len(classification.result.images)
    again.ui.classifyButton.click()
    assert again.ui.messageLabel.text == ""


def test_report_and_summary(panel, classification, tmp_path, monkeypatch):
    ui = panel.ui
    ui.reportButton.click()
    assert ui.reportLabel.text == "Choose a folder for the report."
    ui.folderSelector.currentPath = str(tmp_path / "report")
    ui.reportButton.click()
    assert ui.messageLabel.text == ""
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {
        "result.json", "heatmap.nrrd", "roi.seg.nrrd", "muscles.seg.nrrd", "muscles.csv", "overview.png", "report.html",
        "scene.mrb",
    }  # fmt: skip
    assert json.loads((tmp_path / "report" / "result.json").read_text())["schema"] == "dystrophydx.result/1"
    assert ui.openButton.enabled
    asked = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *args: asked.append(args))
    ui.reportButton.click()
    assert len(asked) == 1, "replacing a report cannot be undone"
    ui.copyButton.click()
    lines = slicer.app.clipboard().text().splitlines()
    assert len(lines) == 2
    assert "Images suggest dystrophinopathy" in lines[0]
    assert classification.result.model.name in lines[1]
    assert lines[1].count("Demonstration model") == 1
    told = panel.ui.answerLabel.text + panel.ui.warningsLabel.text
    assert told.count("Demonstration model") == 1
    assert "not for diagnosis" in lines[1]


def test_the_modules_own_test_for_the_desktop_passes_whatever_model_was_chosen(desktop, panel, tmp_path, monkeypatch):
    panel.add_model(make_package(tmp_path / "maps", recipe=OF_MAPS))
    monkeypatch.setattr(slicer.util, "selectModule", lambda name: None)
    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda name: panel.widget)
    monkeypatch.setattr(slicer.util, "saveScene", lambda path: slicer.mrmlScene.WriteToMRB(path))
    monkeypatch.setattr(slicer.util, "loadScene", lambda path: slicer.mrmlScene.ReadFromMRB(path, False))
    result = unittest.TestResult()
    desktop.module.DystrophyDxTest("test_WholeWay").run(result)
    assert result.testsRun == 1
    assert not result.errors + result.failures + result.skipped


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


def test_the_bar_stays_in_sight_whatever_is_scrolled(desktop, panel, classification):
    desktop.app._window.resize(500, 500)
    desktop.settle(20)
    page, bar = unwrap(panel.page.widget), unwrap(panel.page.bar.widget)
    (area,) = page.findChildren(QtWidgets.QScrollArea)
    assert not area.isAncestorOf(bar)
    seen = bar.mapTo(page, QtCore.QPoint(0, bar.height())).y()
    assert area.verticalScrollBar().maximum() > 0, "there is more than can be seen"
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    assert bar.mapTo(page, QtCore.QPoint(0, bar.height())).y() == seen <= page.height()
    assert area.horizontalScrollBar().maximum() == 0, "nothing is cut off at the right"


def test_edit_brings_the_editor_into_view(desktop, panel, classification):
    desktop.app._window.resize(500, 420)
    desktop.settle(20)
    (area,) = unwrap(panel.page.widget).findChildren(QtWidgets.QScrollArea)
    area.verticalScrollBar().setValue(0)
    panel.ui.editButton.click()
    desktop.settle(20)
    top = unwrap(panel.ui.editButton).mapTo(area, QtCore.QPoint(0, 0)).y()
    assert 0 <= top < area.height() / 3


def test_the_page_widens_with_the_options_of_an_effect(desktop, panel, classification):
    panel.ui.editButton.click()
    desktop.settle(20)
    (area,) = unwrap(panel.page.widget).findChildren(QtWidgets.QScrollArea)
    panel.editor.setMinimumWidth(900)
    desktop.wait(lambda: area.minimumWidth() > 900)
    desktop.settle(50)
    assert area.horizontalScrollBar().maximum() == 0


def test_the_study_is_folded_after_classify_and_what_the_user_opens_stays_open(desktop, panel, classification, series):
    ui = panel.ui
    assert ui.studySection.collapsed
    assert not any(section.collapsed for section in (ui.resultSection, ui.heatmapSection, ui.regionSection))
    assert ui.imagesSection.collapsed, "table and chart are folded under the answer"
    panel.context.volume, chosen = None, panel.context.volume
    panel.context.changed()
    assert not ui.studySection.collapsed
    assert ui.heatmapSection.collapsed
    panel.context.volume = chosen
    panel.context.changed()
    ui.studySection.collapsed = False  # the user
    panel.context.changed()
    assert not ui.studySection.collapsed


def test_what_has_to_be_done_first_is_said_beside_classify(panel):
    assert panel.ui.hintLabel.text == "Choose a thigh MRI, or load the sample study."
    panel.ui.sampleButton.click()
    assert panel.ui.hintLabel.text == ""


def test_the_reader_gets_the_own_layout_back_when_the_module_is_left(desktop, panel, volume):
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    node.SetViewArrangement(node.SlicerLayoutFourUpView)
    panel.ui.classifyButton.click()
    assert panel.ui.layoutSelector.currentText == "Heatmap over the MRI"
    panel.widget.exit()
    assert node.GetViewArrangement() == node.SlicerLayoutFourUpView
    panel.widget.enter()
    assert node.GetViewArrangement() == node.SlicerLayoutOneUpRedSliceView
