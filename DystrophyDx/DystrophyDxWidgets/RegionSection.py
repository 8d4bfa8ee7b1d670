"""The section "Correct": corrects what the model looked at."""

from DystrophyDxLib.panel.slices import edited_since_result
from DystrophyDxWidgets.EditedSection import EditedSection
from DystrophyDxWidgets.helpers import loadWidget
from DystrophyDxWidgets.RegionEditor import RegionEditor


class RegionSection(EditedSection):
    """Opens Slicer's segment editor on the region, puts automatic outlines back, and tells what was edited."""

    def __init__(self, context):
        self.widget, self.ui = loadWidget("RegionSection")
        ui = self.ui
        super().__init__(context, ui.editButton, RegionEditor(ui.editorFrame))
        for button, slot in (
            (ui.excludeButton, self.onExclude),
            (ui.resetSliceButton, self.onResetSlice),
            (ui.resetLeftButton, self.onResetLeft),
            (ui.resetRightButton, self.onResetRight),
            (ui.resetAllButton, self.onResetAll),
        ):
            button.connect("clicked()", slot)
        ui.editButton.connect("toggled(bool)", self.onEdit)
        context.changed.connect(self.onChanged)
        context.enabling.connect(self.onEnabling)

    def onEdit(self, edited):
        classification = self._context.classification
        if edited and classification is not None and classification.segmentation is not None:
            self._context.editing(self)
            self.editor.open(classification.segmentation, classification.volume)
        else:
            self.editor.close()
        self.ui.editorFrame.visible = edited
        if edited:
            self._context.bringIntoView(self.ui.editButton)

    def onExclude(self):
        self._edit(lambda classification: classification.exclude(self._context.view.slice))

    def onResetSlice(self):
        self._edit(lambda classification: classification.reset(slice=self._context.view.slice))

    def onResetLeft(self):
        self._resetSide("LEFT")

    def onResetRight(self):
        self._resetSide("RIGHT")

    def onResetAll(self):
        self._edit(lambda classification: classification.reset())

    def _resetSide(self, name):
        from DystrophyDxLib.regions.windows import Side

        self._edit(lambda classification: classification.reset(side=Side[name]))

    def _edit(self, edit):
        with self._context.reporting():
            if self.ui.editButton.checked:
                self.editor.saveStateForUndo()
            edit(self._context.classification)
        self._context.changed()

    def onViewsChanged(self):
        """Nobody draws the region of one study over the images of another."""
        shown = self._context.view.classification
        if shown is not None and shown != self._context.classification:
            self.endEditing()

    def onEdited(self):
        """Half a second after the last edit."""
        classification, parameters = self._context.classification, self._context.parameters
        if classification is None:
            return
        if self._context.busy:  # what is drawn meanwhile is told, and classified, afterwards
            self._watch.again()
            return
        self._showPending()
        if parameters is not None and parameters.autoReclassify and classification.pending:
            self._context.reclassifying()

    def onChanged(self):
        classification = self._context.classification
        segmentation = classification.segmentation if classification is not None else None
        if segmentation is None and self.ui.editButton.checked:
            # It was deleted: the editor turns to another one and shows the volume of that.
            self.endEditing()
            if classification is not None:
                self._context.view.show(classification)
                self._context.changed()
                return
        self._watch.watch(segmentation)
        self._showPending()

    def _showPending(self):
        classification = self._context.classification
        changed = classification.changed_slices if classification is not None else ()
        self._context.edited(edited_since_result(changed, classification.doubts if changed else ()))
        self._context.enable()

    def onEnabling(self, possible):
        ui = self.ui
        for widget in (ui.editButton, ui.excludeButton, ui.autoReclassifyCheckBox):
            widget.enabled = possible.edit
        for widget in (ui.resetSliceButton, ui.resetAllButton):
            widget.enabled = possible.use_result
        for widget in (ui.resetLeftButton, ui.resetRightButton):
            widget.enabled = possible.reset_side
