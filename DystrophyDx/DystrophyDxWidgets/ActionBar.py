"""The bar below the sections: the run of a classification, and what was said last; always in sight."""

import time

import slicer
from slicer.i18n import tr as _

from DystrophyDxWidgets.FirstUse import FirstUse
from DystrophyDxWidgets.helpers import loadWidget, say

PAINT_SECONDS = 0.7
"""From one step of the progress bar to the next: Slicer paints its whole window for each."""


class ActionBar:
    """Classifies, tells how far it is, and says what was done or what went wrong."""

    def __init__(self, context):
        self._context = context
        self.widget, self.ui = loadWidget("ActionBar")
        self.firstUse = FirstUse(self.ui, context)
        self._pending = self._running = self._viewsPaused = False
        self._paintAgain = 0.0
        ui = self.ui
        for button, slot in (
            (ui.classifyButton, self.onClassify),
            (ui.reclassifyButton, self.onReclassify),
            (ui.cancelButton, context.stop),
        ):
            button.connect("clicked()", slot)
        context.said.connect(lambda text: say(ui.messageLabel, text))
        context.edited.connect(self.onEdited)
        context.reclassifying.connect(self.onReclassify)
        context.enabling.connect(self.onEnabling)
        self.firstUse.check()

    def onClassify(self):
        classification = self._context.classification
        corrected = classification is not None and classification.corrected
        if self._classify("classify") and corrected:
            self._context.said(_("The corrected region was classified. “Back to automatic” takes the correction back."))

    def onReclassify(self):
        """The answer may be scrolled out of sight, so that what has changed is said here, too."""
        if self._classify("reclassify"):
            from DystrophyDxLib.panel.rich_text import difference

            classification = self._context.classification
            if classification.result_before is not None:
                self._context.said(difference(classification.result, classification.result_before))

    def _classify(self, what):
        """Returns whether there is a new answer."""
        context, done = self._context, False
        if context.volume is None or context.busy or self._running:
            return done
        if not self.firstUse.check() or not context.load():
            return done
        self._running = True  # events are processed while the views are arranged, too
        context.said("")
        context.classifying()
        with context.reporting():
            try:
                context.takingInputs()
                run = getattr(context.actions, what)
                run(context.classification, context.models.chosen, context.device, self.onProgress)
                done = True
            finally:
                self._pauseViews(False)
                self._showProgress(False)
        with context.reporting():
            if done:
                context.classified()
        self._running = False
        context.changed()
        return done

    def onProgress(self, done, total):
        self._paint(done, total)
        if total and done == total:
            self._pauseViews(True)

    def _pauseViews(self, paused):
        """From the last batch until the answer is in the scene: views would draw at many a change of its nodes."""
        if paused != self._viewsPaused:
            self._viewsPaused = paused
            slicer.app.setRenderPaused(paused)

    def _paint(self, done, total):
        ui = self.ui
        if not ui.progressFrame.visible:
            if total and done == total:  # a single batch, which takes no longer than to show how far it is
                return
            self._showProgress(True)
            self._context.enable()
        if ui.progressBar.maximum != total or time.monotonic() >= self._paintAgain:
            ui.progressBar.setRange(0, total)
            ui.progressBar.setValue(done)
            ui.progressBar.setFormat(_("{done} of {total} images").format(done=done, total=total))
            self._paintAgain = time.monotonic() + PAINT_SECONDS
        slicer.app.processEvents()

    def _showProgress(self, running):
        """In the place of the buttons, so that nothing moves."""
        ui = self.ui
        ui.progressFrame.visible = running
        for button in (ui.classifyButton, ui.reclassifyButton):
            button.visible = not running

    def onEdited(self, text):
        """What is edited and not yet classified, in words; nothing where all is."""
        say(self.ui.pendingLabel, text)
        self._pending = bool(text)

    def onEnabling(self, possible):
        self.ui.classifyButton.enabled = possible.classify
        self.ui.reclassifyButton.enabled = possible.edit and self._pending
        say(self.ui.hintLabel, possible.first)
