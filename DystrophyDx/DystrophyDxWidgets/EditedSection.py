"""What the sections have in common in which a segmentation is corrected."""

from DystrophyDxWidgets.RegionEditor import RegionEditor
from DystrophyDxWidgets.SegmentationWatch import SegmentationWatch


class EditedSection:
    """Holds a segment editor, and follows what is drawn in its segmentation.

    `onEdited` and `onViewsChanged` are the section's own.
    """

    def __init__(self, context, button, editor):
        """context: of the page; button: that opens the editor while it is checked; editor: a RegionEditor."""
        self._context = context
        self._editorButton = button
        self.editor: RegionEditor = editor
        self._watch = SegmentationWatch(self.onEdited)
        context.volumeChanged.connect(self.endEditing)
        context.viewsChanged.connect(self.onViewsChanged)
        context.editing.connect(self.onEditing)

    def endEditing(self):
        self._editorButton.checked = False

    def onEditing(self, section):
        """One segment editor is open at a time."""
        if section is not self:
            self.endEditing()

    def onSceneClosing(self):
        self.endEditing()
        self.editor.detach()
        self._watch.watch(None)

    def onSceneClosed(self):
        self.editor.attach()

    def cleanup(self):
        self._watch.cleanup()
        self.editor.close()
        self.editor.detach()
