"""Photographed steps: the region is corrected, and nothing of a correction is lost."""

import slicer
import vtk
from desk import Desk, settle


class Correcting:
    """Each step goes on where the one before it ended."""

    def __init__(self, scratch):
        self._desk = Desk()
        self._desk.classify()
        self._excluded = None

    def editor(self):
        """Edit brings Slicer's segment editor into sight, with the regions of both legs."""
        self._desk.ui.editButton.click()
        settle()
        self._desk.editor.setActiveEffectByName("Erase")
        assert self._desk.editor.activeEffect().name == "Erase"
        assert self._desk.editor.segmentationNode() is self._desk.classification.segmentation

    def excluded(self):
        """A slice without region is told as edited and not yet classified."""
        self._excluded = self._desk.exclude()
        assert self._desk.classification.changed_slices == (self._excluded,)

    def classified(self):
        """Classify uses the correction, and says so."""
        self._desk.ui.classifyButton.click()
        assert self._excluded not in [image.slice for image in self._desk.context.result.images]
        assert "The corrected region was classified" in self._desk.ui.messageLabel.text

    def undone(self):
        """Undo reaches across the classification; what it brought back is not yet classified."""
        self._desk.editor.undo()
        self._desk.told_as_edited(self._excluded)

    def painted(self):
        """A new segment that is painted on one slice makes that slice edited, and no other."""
        self._desk.ui.classifyButton.click()
        segmentation = self._desk.classification.segmentation
        added, image = segmentation.GetSegmentation().AddEmptySegment("", "Segment_1"), slicer.vtkOrientedImageData()
        matrix = vtk.vtkMatrix4x4()
        self._desk.classification.volume.GetIJKToRASMatrix(matrix)
        image.SetGeometryFromImageToWorldMatrix(matrix)
        image.SetExtent(20, 40, 20, 40, 4, 4)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        image.GetPointData().GetScalars().Fill(1)
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        assert logic.SetBinaryLabelmapToSegment(image, segmentation, added, logic.MODE_REPLACE)
        self._desk.told_as_edited(4)

    def refused(self):
        """A segment that is no leg is refused in words, and nothing is thrown away."""
        self._desk.ui.classifyButton.click()
        assert "holds a segment that is no leg" in self._desk.ui.messageLabel.text
        assert self._desk.classification.changed_slices == (4,)

    def automatic(self):
        """Back to automatic, once the segment is removed."""
        segmentation = self._desk.classification.segmentation.GetSegmentation()
        segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName("Segment_1"))
        self._desk.ui.resetAllButton.click()
        self._desk.ui.classifyButton.click()
        assert not self._desk.classification.corrected

    def drawn_meanwhile(self):
        """What is drawn while a classification runs is kept, and told as not yet classified."""
        classification, k = self._desk.classification, self._desk.view.slice
        with self._desk.during(lambda: classification.pending or classification.exclude(k)):
            self._desk.ui.classifyButton.click()
        assert classification.changed_slices == (k,)
        self._desk.told_as_edited(k)

    def cancelled(self):
        """A classification that is stopped leaves everything as it was."""
        before = self._desk.context.result
        self._desk.ui.resetAllButton.click()
        with self._desk.during(self._desk.ui.cancelButton.click):
            self._desk.ui.classifyButton.click()
        assert self._desk.context.result == before
        assert "everything is as it was" in self._desk.ui.messageLabel.text

    def region_deleted(self):
        """A region that is deleted while it is edited ends the editing; the answer stays."""
        self._desk.ui.editButton.checked = True
        self._desk.editor.setActiveEffectByName("Scissors")
        settle()
        slicer.mrmlScene.RemoveNode(self._desk.classification.segmentation)
        settle()
        assert not self._desk.ui.editButton.checked
        assert self._desk.context.result is not None

    def closed_with_scissors(self):
        """A scene that is closed while Scissors are active leaves an empty panel."""
        self._desk.ui.classifyButton.click()
        self._desk.ui.editButton.checked = True
        self._desk.editor.setActiveEffectByName("Scissors")
        settle()
        slicer.mrmlScene.Clear()
        settle()
        assert "Not classified yet" in self._desk.ui.answerLabel.text

    def closed_amid_classification(self):
        """A scene that is closed amid a classification: nothing is said to be as it was."""
        self._desk.ui.sampleButton.click()
        with self._desk.during(slicer.mrmlScene.Clear):
            self._desk.ui.classifyButton.click()
        settle()
        assert "as it was" not in self._desk.ui.messageLabel.text
