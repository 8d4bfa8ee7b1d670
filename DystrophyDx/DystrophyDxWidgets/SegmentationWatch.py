"""Follows what is drawn in a segmentation."""

import slicer

from DystrophyDxWidgets.helpers import makeTimer

EDIT_MILLISECONDS = 500


class SegmentationWatch:
    """Calls `edited` half a second after the last of many edits in a row."""

    def __init__(self, edited):
        self._segmentation = None
        self._tags = []
        self._timer = makeTimer(EDIT_MILLISECONDS, edited)

    def watch(self, segmentation):
        """segmentation: node whose edits are told from now on, in place of another one's; None for none."""
        if segmentation is self._segmentation:
            return
        events = (
            slicer.vtkSegmentation.SourceRepresentationModified,
            slicer.vtkSegmentation.SegmentAdded,
            slicer.vtkSegmentation.SegmentRemoved,
            slicer.vtkSegmentation.SegmentModified,
        )
        for tag in self._tags:
            self._segmentation.RemoveObserver(tag)
        self._segmentation = segmentation
        new = segmentation is not None
        self._tags = [segmentation.AddObserver(event, self.onModified) for event in events] if new else []

    def onModified(self, caller, event):
        self.again()

    def again(self):
        """Calls `edited` once more, later."""
        self._timer.start()

    def cleanup(self):
        self._timer.stop()
        self.watch(None)
