"""What a reader sees of a reading session, beside the questions and the images."""

import contextlib

import slicer
from slicer.i18n import tr as _

from DystrophyDxWidgets.helpers import say


class ReadingView:
    """Tells how far the reader is and what the model says, and leaves the module panel to the questions.

    tabBar: of the pages; there is no way to another page while somebody reads.
    """

    def __init__(self, ui, tabBar):
        self.ui = ui
        self._tabBar = tabBar
        self._reduced = False
        for widget in (ui.scrollContents, ui.scrollArea.viewport()):
            widget.autoFillBackground = False  # one colour with the bar

    def show(self, session, amending, places):
        """Shows how a session stands.

        amending: whether an earlier answer is being changed.
        places: of the cases in the session, from 1, by the number of their presentation.
        """
        ui, item = self.ui, session.item
        shown = item is not None and not session.paused
        progress = session.progress
        paused = session.paused and not amending
        say(ui.progressLabel, _("Paused; the case is hidden.") if paused else progress.sentence)
        ui.progressBar.setRange(0, progress.answers)
        ui.progressBar.setValue(progress.answered)
        ui.progressBar.setFormat(_("%v of %m answers"))
        self._showModel(item if shown else None, session.protocol)
        ui.questionsFrame.visible = ui.questionsFrame.enabled = shown or amending
        for widget in (ui.reasonLabel, ui.reasonEdit, ui.keepButton):
            widget.visible = amending
        ui.signOutButton.visible = not amending
        ui.submitButton.enabled = shown or amending
        ui.submitButton.text = _("Save the amendment (Ctrl+Enter)") if amending else _("Submit (Ctrl+Enter)")
        ui.pauseButton.enabled = item is not None and not amending
        ui.pauseButton.text = _("Go on (F9)") if session.paused else _("Pause (F9)")
        ui.amendSelector.clear()
        for stored in reversed(session.amendable):  # told by their place in the session alone
            place = places[stored.presentation]
            ui.amendSelector.addItem(_("Case {position}").format(position=place), stored.presentation)
        for widget in (ui.amendSelector, ui.amendButton):
            widget.visible = not amending
            widget.enabled = ui.amendSelector.count > 0

    def scrollUp(self):
        """Each case, and the way in and out, begins at the top."""
        self.ui.scrollArea.verticalScrollBar().value = 0

    def _showModel(self, item, protocol):
        from DystrophyDxLib.panel.rich_text import aided_html

        aided = item is not None and item.model is not None
        say(self.ui.modelLabel, aided_html(item.model, protocol.model, protocol.condition) if aided else "")
        locked = item.locked if item is not None else None
        words = _("Your answer without the model, which is locked: {decision}, {confidence}.")
        decision = _("yes") if locked and locked.decision else _("no")
        say(self.ui.lockedLabel, words.format(decision=decision, confidence=locked.confidence) if locked else "")

    def reduce(self, reading):
        """Takes away what is not for the reader while somebody reads, and puts it back afterwards."""
        if reading == self._reduced:
            return
        self._reduced = reading
        self._tabBar.setVisible(not reading)
        for setVisible in (
            slicer.util.setApplicationLogoVisible,
            slicer.util.setModuleHelpSectionVisible,
            slicer.util.setDataProbeVisible,
        ):
            with contextlib.suppress(RuntimeError):  # an application made of Slicer may not have the part
                setVisible(not reading)
