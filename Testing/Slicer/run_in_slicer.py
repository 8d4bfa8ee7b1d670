"""Runs the module's own test and the most important tests of the panel in a real Slicer; exit code 0 or 1.

    Slicer --no-splash --testing --additional-module-paths DystrophyDx --python-script Testing/Slicer/run_in_slicer.py

Names of tests after the script, such as PanelTest.test_cancel, run these alone. The packages of
DystrophyDx/Resources/requirements.txt have to be there; without them every test fails.
"""

import sys
import tempfile
import time
import traceback
import unittest
from pathlib import Path

import qt
import slicer
import vtk
from DystrophyDxWidgets.helpers import loadSample

from DystrophyDx import DystrophyDxTest


def settle(seconds=0.3):
    """Lets events and timers run."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        slicer.app.processEvents()


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        slicer.app.processEvents()


class PanelTest(unittest.TestCase):
    """By the panel's own widgets, in the desktop."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("DystrophyDx")
        self.module = slicer.util.getModuleWidget("DystrophyDx")
        self.module.pages.currentIndex = 0
        self.page = self.module.classification
        self.study, self.result, self.heatmap = self.page.study.ui, self.page.result.ui, self.page.heatmap.ui
        self.region, self.report, self.bar = self.page.region.ui, self.page.report.ui, self.page.bar.ui
        self.study.modelSelector.currentIndex = 0
        assert not self.bar.packagesLabel.text, self.bar.packagesLabel.text
        settle()

    def classify(self):
        """The sample study, classified."""
        self.study.sampleButton.click()
        self.bar.classifyButton.click()
        settle()
        assert self.page.context.result is not None, self.bar.messageLabel.text
        return self.page.context.classification

    def column(self, number):
        table = self.result.imagesTable
        return [table.item(row, number).text() for row in range(table.rowCount)]

    def test_nothing_can_be_pressed_without_a_volume(self):
        pressed = (self.bar.classifyButton, self.region.editButton, self.bar.reclassifyButton)
        for button in (*pressed, self.result.nextButton, self.report.reportButton):
            assert not button.enabled, button.name
        assert self.study.sampleButton.enabled
        assert "not for diagnosis" in self.study.noticeLabel.text

    def test_the_thigh_mri_is_chosen_and_said_why(self):
        volume = loadSample()
        until(lambda: self.study.inputSelector.currentNode() is volume)
        assert "is the only volume" in self.study.suggestionLabel.text

    def test_classify_shows_answer_images_chart_and_heatmap(self):
        classification = self.classify()
        result = classification.result
        assert result.case.reason in self.result.answerLabel.text
        assert "<img" in self.result.barLabel.text
        assert sorted(self.column(2)) == sorted(f"{image.probability:.3f}" for image in result.images)
        red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
        assert red.GetForegroundVolumeID() == classification.heatmap.GetID()
        self.result.imagesSection.collapsed = False
        assert self.result.chartFrame.visible
        assert self.page.result.chart.view.chart().GetNumberOfPlots() == 2
        hidden = self.study.inputSelector.sortFilterProxyModel().hiddenNodeIDs
        assert classification.heatmap.GetID() in hidden

    def test_rows_sort_as_numbers_and_move_the_views(self):
        self.classify()
        table = self.result.imagesTable
        table.sortByColumn(0, qt.Qt.DescendingOrder)
        slices = [int(text) for text in self.column(0)]
        assert slices == sorted(slices, reverse=True)
        assert slices[0] > 9
        table.selectRow(0)
        assert self.page.context.view.slice == slices[0]
        self.result.previousButton.click()
        self.result.previousButton.click()
        assert self.page.context.view.slice == slices[2]
        assert table.currentRow() == 2

    def test_a_point_of_the_chart_moves_the_views(self):
        classification = self.classify()
        plot = self.page.result.chart.view.chart().GetPlot(0)
        selection = plot.GetSelection() or vtk.vtkIdTypeArray()
        selection.InsertNextValue(2)
        plot.SetSelection(selection)
        self.page.result.chart.view.chart().InvokeEvent("SelectionChangedEvent")
        settle()
        side = {"Left leg": "left", "Right leg": "right"}[plot.GetLabel()]
        image = [image for image in classification.result.images if image.side == side][2]
        assert self.page.context.view.slice == image.slice
        assert self.column(1)[self.result.imagesTable.currentRow()] == side

    def test_heatmap_and_layout_controls(self):
        classification = self.classify()
        display = classification.heatmap.GetDisplayNode()
        self.heatmap.thresholdSlider.value = 0.45
        assert abs(display.GetLowerThreshold() - 0.45) < 1e-6
        self.heatmap.layoutSelector.currentIndex = 2
        settle()
        red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
        beside = slicer.app.layoutManager().sliceWidget("DystrophyDxMRI").mrmlSliceCompositeNode()
        assert beside.GetBackgroundVolumeID() == classification.volume.GetID()
        assert beside.GetForegroundVolumeID() is None
        self.heatmap.opacitySlider.value = 0.8
        assert abs(red.GetForegroundOpacity() - 0.8) < 1e-6
        self.heatmap.heatmapCheckBox.click()
        assert red.GetForegroundVolumeID() is None
        self.heatmap.heatmapCheckBox.click()

    def test_no_change_of_layout_or_page_changes_the_slice(self):
        self.classify()
        table, layouts = self.result.imagesTable, slicer.app.layoutManager()
        table.selectRow(next(row for row in range(table.rowCount) if table.item(row, 0).text() == "10"))
        for change in (
            lambda: self.heatmap.layoutSelector.setCurrentIndex(2),
            lambda: self.heatmap.layoutSelector.setCurrentIndex(1),
            lambda: layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView),
            lambda: self.module.pages.setCurrentIndex(1),
            lambda: self.module.pages.setCurrentIndex(0),
        ):
            change()
            settle()
            assert self.page.context.view.slice == 10
            assert table.item(table.currentRow(), 0).text() == "10"
        slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").SetSliceOffset(0)
        settle()
        assert int(table.item(table.currentRow(), 0).text()) == self.page.context.view.slice != 10

    def test_another_patients_images_are_never_seen_with_this_answer(self):
        classification = self.classify()
        layouts, selection = slicer.app.layoutManager(), slicer.app.applicationLogic().GetSelectionNode()
        layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        other = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, classification.volume, "Patient B")
        selection.SetReferenceActiveVolumeID(other.GetID())
        slicer.app.applicationLogic().PropagateVolumeSelection()
        settle()
        display = classification.segmentation.GetDisplayNode()
        for name in ("Red", "Green", "Yellow"):
            assert layouts.sliceWidget(name).mrmlSliceCompositeNode().GetForegroundVolumeID() is None
            assert not display.IsDisplayableInView(f"vtkMRMLSliceNode{name}")
        assert "The views show “Patient B”" in self.result.elsewhereLabel.text
        self.result.showButton.click()
        settle()
        assert not self.result.elsewhereFrame.visible
        assert display.IsDisplayableInView("vtkMRMLSliceNodeRed")

    def test_correct_reclassify_and_reset(self):
        classification = self.classify()
        self.region.editButton.click()
        editor = self.page.region.editor.widget
        assert editor.segmentationNode() is classification.segmentation
        editor.setActiveEffectByName("Erase")
        assert editor.activeEffect().name == "Erase"
        excluded = self.page.context.view.slice
        self.region.excludeButton.click()
        until(lambda: self.bar.pendingLabel.text == f"Edited since the result: slice {excluded}.")
        self.bar.reclassifyButton.click()
        assert "2 images left out" in self.result.differenceLabel.text
        self.region.resetAllButton.click()
        assert classification.changed_slices == (excluded,)
        slicer.util.selectModule("Data")
        assert not self.region.editButton.checked
        assert editor.activeEffect() is None

    def test_classify_keeps_a_correction_and_undo_reaches_across_it(self):
        classification = self.classify()
        self.region.editButton.click()
        editor = self.page.region.editor.widget
        excluded = self.page.context.view.slice
        self.region.excludeButton.click()
        self.bar.classifyButton.click()
        assert excluded not in [image.slice for image in classification.result.images]
        assert "The corrected region was classified" in self.bar.messageLabel.text
        assert not classification.pending
        editor.undo()
        until(lambda: self.bar.pendingLabel.text == f"Edited since the result: slice {excluded}.")
        self.bar.classifyButton.click()
        assert excluded in [image.slice for image in classification.result.images]
        assert not classification.corrected

    def test_what_is_drawn_while_it_is_classified_is_kept(self):
        classification = self.classify()
        excluded, onProgress = self.page.context.view.slice, self.page.bar.onProgress

        def excluding(done, total):
            if done and not classification.pending:
                classification.exclude(excluded)
            onProgress(done, total)

        self.page.bar.onProgress = excluding
        try:
            self.bar.classifyButton.click()
        finally:
            del self.page.bar.onProgress
        assert classification.changed_slices == (excluded,)
        until(lambda: self.bar.pendingLabel.text == f"Edited since the result: slice {excluded}.")

    def test_cancel_leaves_everything_as_it_was(self):
        self.study.sampleButton.click()
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        onProgress = self.page.bar.onProgress

        def cancelling(done, total):
            if done:
                self.bar.cancelButton.click()
            onProgress(done, total)

        self.page.bar.onProgress = cancelling
        try:
            self.bar.classifyButton.click()
        finally:
            del self.page.bar.onProgress
        assert self.bar.messageLabel.text == "Stopped; everything is as it was."
        assert slicer.mrmlScene.GetNumberOfNodes() == nodes
        assert not self.bar.progressFrame.visible
        assert self.bar.classifyButton.enabled

    def test_a_scene_closed_while_its_region_is_corrected(self):
        self.classify()
        self.region.editButton.click()
        self.page.region.editor.widget.setActiveEffectByName("Paint")
        slicer.mrmlScene.Clear()
        settle()
        assert self.result.imagesTable.rowCount == 0
        assert "Not classified yet" in self.result.answerLabel.text
        assert not self.region.editButton.checked
        self.classify()

    def test_each_volume_keeps_its_result_and_the_module_can_be_reloaded(self):
        classification = self.classify()
        other = loadSample()
        self.study.inputSelector.setCurrentNode(other)
        assert self.result.imagesTable.rowCount == 0
        self.study.inputSelector.setCurrentNode(classification.volume)
        count = len(classification.result.images)
        assert self.result.imagesTable.rowCount == count
        slicer.util.reloadScriptedModule("DystrophyDx")
        settle()
        again = slicer.util.getModuleWidget("DystrophyDx").classification
        assert again is not self.page
        assert again.study.ui.inputSelector.currentNode() is classification.volume
        assert again.result.ui.imagesTable.rowCount == count

    def test_report_and_summary(self):
        self.classify()
        with tempfile.TemporaryDirectory() as folder:
            self.report.folderSelector.currentPath = str(Path(folder) / "report")
            self.report.reportButton.click()
            assert "report.html" in self.report.reportLabel.text, self.bar.messageLabel.text
            names = {path.name for path in (Path(folder) / "report").iterdir()}
        assert {"result.json", "report.html", "overview.png", "scene.mrb"} <= names
        assert self.report.openButton.enabled
        self.report.copyButton.click()
        assert "not for diagnosis" in slicer.app.clipboard().text()

    def test_reader_studies_have_their_page_and_keys(self):
        self.module.pages.currentIndex = 1
        page = self.module.readerStudy
        page.ui.folderSelector.currentPath = "/nowhere"
        page.ui.openButton.click()
        assert "This folder holds no reader study" in page.ui.messageLabel.text
        assert not page.ui.signInButton.enabled
        self.module.pages.currentIndex = 0
        assert self.page.context.parameters is not None


def main(names):
    loader = unittest.TestLoader()
    here = sys.modules[__name__]
    suite = unittest.TestSuite()
    if not names:
        suite.addTest(DystrophyDxTest("test_WholeWay"))
        suite.addTest(loader.loadTestsFromTestCase(PanelTest))
    for name in names:
        suite.addTest(loader.loadTestsFromName(name, here))
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    return 0 if outcome.wasSuccessful() and not outcome.skipped else 1


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except BaseException:
        traceback.print_exc()
        code = 1
    slicer.util.exit(code)
