"""Runs the module's own test and the most important tests of the panel in a real Slicer; exit code 0 or 1.

    Slicer --no-splash --testing --additional-module-paths DystrophyDx --python-script Testing/Slicer/run_in_slicer.py

Names of tests after the script, such as PanelTest.test_cancel, run these alone. The packages of
DystrophyDx/Resources/requirements.txt have to be there; without them every test fails.
"""

import sys
import tempfile
import traceback
import unittest
from pathlib import Path

import qt
import slicer

sys.path.append(str(Path(__file__).resolve().parent))
from desk import Desk, composite, settle, until
from DystrophyDxWidgets.helpers import loadSample

from DystrophyDx import DystrophyDxTest
from DystrophyDxLib.files.resources import sample_study
from DystrophyDxLib.mrml.legs_in_view import legs_in_view, taken


class PanelTest(unittest.TestCase):
    """By the panel's own widgets, in the desktop."""

    def setUp(self):
        self.desk = Desk()
        self.ui, self.page, self.module = self.desk.ui, self.desk.page, self.desk.module

    def test_nothing_can_be_pressed_without_a_volume(self):
        pressed = (self.ui.classifyButton, self.ui.editButton, self.ui.reclassifyButton)
        for button in (*pressed, self.ui.nextButton, self.ui.reportButton):
            assert not button.enabled, button.name
        assert self.ui.sampleButton.enabled
        assert "not for diagnosis" in self.ui.noticeLabel.text

    def test_the_thigh_mri_is_chosen_and_said_why(self):
        volume = loadSample()
        until(lambda: self.ui.inputSelector.currentNode() is volume)
        assert "is the only volume" in self.ui.suggestionLabel.text

    def test_classify_shows_answer_images_chart_and_heatmap(self):
        classification = self.desk.classify()
        result = classification.result
        assert result.case.reason in self.ui.answerLabel.text
        assert "<img" in self.ui.barLabel.text
        assert sorted(self.desk.column(2)) == sorted(f"{image.probability:.3f}" for image in result.images)
        assert composite().GetForegroundVolumeID() == classification.heatmap.GetID()
        self.ui.imagesSection.collapsed = False
        assert self.ui.chartFrame.visible
        assert self.page.result.chart.view.chart().GetNumberOfPlots() == 2
        hidden = self.ui.inputSelector.sortFilterProxyModel().hiddenNodeIDs
        assert classification.heatmap.GetID() in hidden

    def test_what_is_needed_is_in_sight_on_a_low_screen(self):
        window, area = slicer.util.mainWindow(), slicer.util.findChildren(self.page.widget, className="QScrollArea")[0]
        before = window.size
        self.module.exit()  # on a low window the data probe makes room
        window.showNormal()
        window.resize(1366, 740)
        self.module.enter()
        settle()
        assert area.verticalScrollBar().maximum == 0, "before a classification nothing has to be scrolled"
        self.desk.classify()
        for widget in (self.ui.answerLabel, self.ui.figuresLabel, self.ui.opacitySlider, self.ui.layoutSelector):
            lower = widget.mapTo(area.viewport(), qt.QPoint(0, widget.height)).y()
            assert 0 < lower <= area.viewport().height, widget.name
        assert not area.isAncestorOf(self.ui.classifyButton)
        self.ui.editButton.click()
        settle()
        editor = self.page.region.editor.widget
        assert editor.mapTo(area.viewport(), qt.QPoint(0, editor.height)).y() <= area.viewport().height
        self.ui.editButton.click()
        window.resize(before)

    def test_the_views_suit_axial_reading_and_the_own_layout_comes_back(self):
        layouts, four_up = slicer.app.layoutManager(), slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        layouts.setLayout(four_up)
        settle()
        qt.QSettings().remove("DystrophyDx/Views")  # of the tests before
        classification = self.desk.classify()
        assert self.ui.layoutSelector.currentText == "Heatmap over the MRI"
        red = layouts.sliceWidget("Red").mrmlSliceNode()
        legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(classification.heatmap.GetDisplayNode())
        place = taken(legend.GetPosition())
        assert legend.GetVisibility()
        assert not any(place.meets(leg) for leg in legs_in_view(classification, red))
        slicer.util.selectModule("Data")
        assert layouts.layout == four_up
        slicer.util.selectModule("DystrophyDx")
        assert layouts.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
        layouts.setLayout(four_up)  # the reader's choice
        settle()
        self.ui.classifyButton.click()
        assert layouts.layout == four_up

    def test_rows_sort_as_numbers_and_move_the_views(self):
        self.desk.classify()
        table = self.ui.imagesTable
        table.sortByColumn(0, qt.Qt.DescendingOrder)
        slices = [int(text) for text in self.desk.column(0)]
        assert slices == sorted(slices, reverse=True)
        assert slices[0] > 9
        table.selectRow(0)
        assert self.page.context.view.slice == slices[0]
        self.ui.previousButton.click()
        self.ui.previousButton.click()
        assert self.page.context.view.slice == slices[2]
        assert table.currentRow() == 2

    def test_a_point_of_the_chart_moves_the_views(self):
        classification = self.desk.classify()
        side = self.desk.click_point(2)
        image = [image for image in classification.result.images if image.side == side][2]
        assert self.page.context.view.slice == image.slice
        assert self.desk.column(1)[self.ui.imagesTable.currentRow()] == side

    def test_heatmap_and_layout_controls(self):
        classification = self.desk.classify()
        display = classification.heatmap.GetDisplayNode()
        self.ui.thresholdSlider.value = 0.45
        assert abs(display.GetLowerThreshold() - 0.45) < 1e-6
        self.ui.layoutSelector.currentIndex = 2
        settle()
        red, beside = composite(), composite("DystrophyDxMRI")
        assert beside.GetBackgroundVolumeID() == classification.volume.GetID()
        assert beside.GetForegroundVolumeID() is None
        self.ui.opacitySlider.value = 0.8
        assert abs(red.GetForegroundOpacity() - 0.8) < 1e-6
        self.ui.heatmapCheckBox.click()
        assert red.GetForegroundVolumeID() is None
        self.ui.heatmapCheckBox.click()

    def test_no_change_of_layout_or_page_changes_the_slice(self):
        self.desk.classify()
        table, layouts = self.ui.imagesTable, slicer.app.layoutManager()
        table.selectRow(next(row for row in range(table.rowCount) if table.item(row, 0).text() == "10"))
        for change in (
            lambda: self.ui.layoutSelector.setCurrentIndex(2),
            lambda: self.ui.layoutSelector.setCurrentIndex(1),
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
        classification = self.desk.classify()
        layouts, selection = slicer.app.layoutManager(), slicer.app.applicationLogic().GetSelectionNode()
        layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        other = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, classification.volume, "Patient B")
        selection.SetReferenceActiveVolumeID(other.GetID())
        slicer.app.applicationLogic().PropagateVolumeSelection()
        settle()
        display = classification.segmentation.GetDisplayNode()
        for name in ("Red", "Green", "Yellow"):
            assert composite(name).GetForegroundVolumeID() is None
            assert not display.IsDisplayableInView(f"vtkMRMLSliceNode{name}")
        assert "The views show “Patient B”" in self.ui.elsewhereLabel.text
        self.ui.showButton.click()
        settle()
        assert not self.ui.elsewhereFrame.visible
        assert display.IsDisplayableInView("vtkMRMLSliceNodeRed")

    def test_correct_reclassify_and_reset(self):
        classification = self.desk.classify()
        self.ui.editButton.click()
        editor = self.page.region.editor.widget
        assert editor.segmentationNode() is classification.segmentation
        editor.setActiveEffectByName("Erase")
        assert editor.activeEffect().name == "Erase"
        excluded = self.desk.exclude()
        self.ui.reclassifyButton.click()
        assert "2 images left out" in self.ui.differenceLabel.text
        self.ui.resetAllButton.click()
        assert classification.changed_slices == (excluded,)
        slicer.util.selectModule("Data")
        assert not self.ui.editButton.checked
        assert editor.activeEffect() is None

    def test_classify_keeps_a_correction_and_undo_reaches_across_it(self):
        classification = self.desk.classify()
        self.ui.editButton.click()
        editor = self.page.region.editor.widget
        excluded = self.desk.exclude()
        self.ui.classifyButton.click()
        assert excluded not in [image.slice for image in classification.result.images]
        assert "The corrected region was classified" in self.ui.messageLabel.text
        assert not classification.pending
        editor.undo()
        self.desk.told_as_edited(excluded)
        self.ui.classifyButton.click()
        assert excluded in [image.slice for image in classification.result.images]
        assert not classification.corrected

    def test_what_is_drawn_while_it_is_classified_is_kept(self):
        classification = self.desk.classify()
        excluded = self.desk.view.slice
        with self.desk.during(lambda: classification.pending or classification.exclude(excluded)):
            self.ui.classifyButton.click()
        assert classification.changed_slices == (excluded,)
        self.desk.told_as_edited(excluded)

    def test_cancel_leaves_everything_as_it_was(self):
        self.ui.sampleButton.click()
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        with self.desk.during(self.ui.cancelButton.click):
            self.ui.classifyButton.click()
        assert self.ui.messageLabel.text == "Stopped; everything is as it was."
        assert slicer.mrmlScene.GetNumberOfNodes() == nodes
        assert not self.ui.progressFrame.visible
        assert self.ui.classifyButton.enabled

    def test_a_scene_closed_while_its_region_is_corrected(self):
        self.desk.classify()
        self.ui.editButton.click()
        self.page.region.editor.widget.setActiveEffectByName("Paint")
        slicer.mrmlScene.Clear()
        settle()
        assert self.ui.imagesTable.rowCount == 0
        assert "Not classified yet" in self.ui.answerLabel.text
        assert not self.ui.editButton.checked
        self.desk.classify()

    def test_each_volume_keeps_its_result_and_the_module_can_be_reloaded(self):
        classification = self.desk.classify()
        other = loadSample()
        self.ui.inputSelector.setCurrentNode(other)
        assert self.ui.imagesTable.rowCount == 0
        self.ui.inputSelector.setCurrentNode(classification.volume)
        count = len(classification.result.images)
        assert self.ui.imagesTable.rowCount == count
        slicer.util.reloadScriptedModule("DystrophyDx")
        settle()
        again = slicer.util.getModuleWidget("DystrophyDx").classification
        assert again is not self.page
        assert again.study.ui.inputSelector.currentNode() is classification.volume
        assert again.result.ui.imagesTable.rowCount == count

    def test_report_and_summary(self):
        self.desk.classify()
        with tempfile.TemporaryDirectory() as folder:
            self.ui.folderSelector.currentPath = str(Path(folder) / "report")
            self.ui.reportButton.click()
            assert "report.html" in self.ui.reportLabel.text, self.ui.messageLabel.text
            names = {path.name for path in (Path(folder) / "report").iterdir()}
        assert {"result.json", "report.html", "overview.png", "scene.mrb"} <= names
        assert self.ui.openButton.enabled
        self.ui.copyButton.click()
        assert "not for diagnosis" in slicer.app.clipboard().text()

    def test_dicom_objects_arrive_in_slicers_own_database(self):
        if not hasattr(slicer.app, "dicomDatabase"):  # Slicer can be built without it
            self.desk.classify()
            self.ui.dicomButton.click()
            assert "This Slicer has no DICOM database" in self.ui.messageLabel.text
            return
        from DICOMLib import DICOMUtils

        with tempfile.TemporaryDirectory() as folder, DICOMUtils.TemporaryDICOMDatabase(folder) as database:
            DICOMUtils.importDicom(str(sample_study()), database)
            (patient,) = database.patients()
            DICOMUtils.loadPatientByUID(patient)
            settle()
            self.ui.classifyButton.click()
            self.ui.dicomButton.click()
            assert "Saved in Slicer's DICOM database" in self.ui.reportLabel.text, self.ui.messageLabel.text
            (study,) = database.studiesForPatient(patient)
            found = [database.instancesForSeries(series)[0] for series in database.seriesForStudy(study)]
            assert {"MR", "SEG", "SR"} <= {database.instanceValue(one, "0008,0060") for one in found}
            slicer.mrmlScene.Clear()

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
