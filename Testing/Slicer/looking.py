"""Photographed steps: a study is loaded, classified and looked at, and another one comes beside it."""

import slicer
from desk import Desk, composite, names, settle, until
from DystrophyDxWidgets.helpers import loadSample


class Looking:
    """Each step goes on where the one before it ended."""

    def __init__(self, scratch):
        self._scratch, self._desk = scratch, Desk()

    def empty_panel(self):
        """Before anything is loaded the whole panel is seen, and nothing can be classified."""
        assert not self._desk.ui.classifyButton.enabled
        assert self._desk.ui.sampleButton.enabled

    def study_chosen(self):
        """The thigh MRI is chosen, and it is said why."""
        volume = loadSample()
        until(lambda: self._desk.ui.inputSelector.currentNode() is volume)
        assert "is the only volume" in self._desk.ui.suggestionLabel.text

    def classified(self):
        """The answer, what speaks for it and the heatmap over the MRI, after one click."""
        self._desk.ui.classifyButton.click()
        settle()
        classification = self._desk.classification
        assert classification.result.case.reason in self._desk.ui.answerLabel.text
        assert composite().GetForegroundVolumeID() == classification.heatmap.GetID()

    def row_selected(self):
        """A row of the table of images leads the views to its slice."""
        self._desk.ui.imagesSection.collapsed = False
        self._desk.context.bringIntoView(self._desk.ui.imagesSection)
        self._desk.select(10)
        assert self._desk.view.slice == 10

    def point_clicked(self):
        """A point of the chart leads the views to its slice, and the table to its row."""
        side = self._desk.click_point(12)
        assert self._desk.view.slice == 12
        assert self._desk.column(1)[self._desk.ui.imagesTable.currentRow()] == side

    def beside(self):
        """The MRI beside the heatmap, on the slice that was shown before."""
        self._desk.ui.imagesSection.collapsed = True
        self._desk.ui.layoutSelector.currentIndex = 2
        settle()
        assert self._desk.view.slice == 12
        assert composite("DystrophyDxMRI").GetForegroundVolumeID() is None

    def four_up(self):
        """Slicer's own arrangement of views, on the same slice."""
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        settle()
        assert self._desk.view.slice == 12
        self._desk.ui.layoutSelector.currentIndex = 1
        settle()
        assert self._desk.view.slice == 12

    def threshold(self):
        """A higher threshold leaves the strongest evidence alone."""
        self._desk.ui.thresholdSlider.value = 0.6
        assert abs(self._desk.classification.heatmap.GetDisplayNode().GetLowerThreshold() - 0.6) < 1e-6

    def against(self):
        """The evidence against the disease."""
        self._desk.ui.classSelector.currentIndex = 0
        assert self._desk.view.shown_class == 0
        self._desk.ui.classSelector.currentIndex = 1

    def without_heatmap(self):
        """The MRI alone."""
        self._desk.ui.heatmapCheckBox.click()
        assert composite().GetForegroundVolumeID() is None
        self._desk.ui.heatmapCheckBox.click()

    def muscles(self):
        """Both legs with their muscles shaded by grade, the patient's right on the left, and the map over the MRI."""
        self._desk.ui.musclesSection.collapsed = False
        self._desk.ui.showMapCheckBox.checked = True
        settle()
        self._desk.context.bringIntoView(self._desk.ui.musclesSection)
        chart = self._desk.page.muscles.legs.chart
        assert [leg.letter for leg in sorted(chart.legs, key=lambda leg: leg.x)] == ["R", "L"]
        assert self._desk.ui.legsLabel.visible

    def muscles_folded(self):
        """The map is taken out of the views, and the section folded."""
        self._desk.ui.showMapCheckBox.checked = False
        self._desk.ui.musclesSection.collapsed = True

    def another_patient(self):
        """The views show another patient: neither heatmap nor outlines are seen, and the answer says so."""
        other = slicer.modules.volumes.logic().CloneVolume(
            slicer.mrmlScene, self._desk.classification.volume, "Patient B"
        )
        slicer.app.applicationLogic().GetSelectionNode().SetReferenceActiveVolumeID(other.GetID())
        slicer.app.applicationLogic().PropagateVolumeSelection()
        settle()
        assert composite().GetForegroundVolumeID() is None
        assert not self._outline().IsDisplayableInView("vtkMRMLSliceNodeRed")
        assert "The views show “Patient B”" in self._desk.ui.elsewhereLabel.text

    def brought_back(self):
        """One click brings the study of the answer back."""
        self._desk.ui.showButton.click()
        settle()
        assert not self._desk.ui.elsewhereFrame.visible
        assert self._outline().IsDisplayableInView("vtkMRMLSliceNodeRed")

    def two_of_one_name(self):
        """Two studies that were given one name in the module Data are told apart at the answer."""
        volume = self._desk.classification.volume
        slicer.util.selectModule("Data")
        slicer.util.getNode("Patient B").SetName(volume.GetName())
        slicer.util.selectModule("DystrophyDx")
        settle()
        assert self._desk.ui.studyLabel.text != f"“{volume.GetName()}”"

    def report(self):
        """The report is written, and named with its study."""
        self._desk.ui.folderSelector.currentPath = str(self._scratch / "report")
        self._desk.ui.reportButton.click()
        self._desk.context.bringIntoView(self._desk.ui.reportButton)
        assert "report.html" in self._desk.ui.reportLabel.text
        assert (self._scratch / "report" / "report.html").is_file()

    def reopened(self):
        """A scene that was saved shows everything again when it is opened, without classifying."""
        result, path = self._desk.context.result, str(self._scratch / "scene.mrb")
        assert slicer.util.saveScene(path)
        slicer.mrmlScene.Clear()
        settle()
        slicer.util.loadScene(path)
        settle(1)
        assert self._desk.context.result == result
        assert self._desk.ui.imagesTable.rowCount == len(result.images)

    def table_deleted(self):
        """A table of images that was deleted stays so; the answer is still there."""
        volume = self._desk.classification.volume
        slicer.mrmlScene.RemoveNode(self._desk.classification.images_table)
        self._desk.ui.inputSelector.setCurrentNode(None)
        self._desk.ui.inputSelector.setCurrentNode(volume)
        settle()
        assert self._desk.classification.images_table is None
        assert self._desk.context.result is not None

    def volume_deleted(self):
        """A volume that is deleted takes its heatmap, its outlines and its answer along."""
        slicer.mrmlScene.Clear()
        self._desk.classify()
        self._desk.ui.editButton.click()
        settle()
        slicer.mrmlScene.RemoveNode(self._desk.classification.volume)
        settle(1)
        assert not [name for name in names() if "Thigh MRI" in name]
        assert "Not classified yet" in self._desk.ui.answerLabel.text
        assert not self._desk.ui.musclesFrame.visible

    def _outline(self):
        return self._desk.classification.segmentation.GetDisplayNode()
