"""The page "Reader study" of the panel."""

import contextlib

import ctk
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.readerstudy.lease import BEAT_SECONDS
from DystrophyDxWidgets.AnswerForm import AnswerForm
from DystrophyDxWidgets.helpers import loadWidget, makeShortcut, makeTimer, reporting, say
from DystrophyDxWidgets.NewStudyForm import NewStudyForm
from DystrophyDxWidgets.ReadingView import ReadingView

DRAFT_MILLISECONDS = 1000
IDLE_MILLISECONDS = 300


class ReaderStudyPage(VTKObservationMixin):
    """Opens or creates a study, signs a reader in, and reads with the module panel reduced to the questions.

    Nothing of a study is kept in the scene: which case is read must not be told by it.

    tabBar: see ReadingView.
    models: see NewStudyForm.
    """

    def __init__(self, tabBar, models):
        VTKObservationMixin.__init__(self)
        self.widget, self.ui = loadWidget("ReaderStudy")
        self._view = ReadingView(self.ui, tabBar)
        self._study = None
        self._room = None
        self._amended = None
        self._entered = False
        self._busy = False
        self._places = {}
        self._form = AnswerForm(self.ui, self.onAnswerChanged)
        self._newStudy = NewStudyForm(self.ui, models, self.onCreated)
        self._beatTimer = makeTimer(round(1000 * BEAT_SECONDS), self.onBeat)
        self._draftTimer = makeTimer(DRAFT_MILLISECONDS, self.onDraft)
        self._idleTimer = makeTimer(IDLE_MILLISECONDS, self.onIdle)
        self._shortcuts = [
            makeShortcut(keys, slot, self.widget)
            for keys, slot in (
                ("F5", self.ui.yesButton.click),
                ("F6", self.ui.noButton.click),
                ("F7", self.onPreviousSlice),
                ("F8", self.onNextSlice),
                ("F9", self.ui.pauseButton.click),
                ("Ctrl+Return", self.ui.submitButton.click),
            )
        ]
        self._shortcuts[-1].autoRepeat = False  # a key that is held down does not answer a question that comes up
        self._connect()
        self._showState()

    def enter(self):
        """The page is shown."""
        self._entered = True
        self._showState()

    def exit(self):
        """The page is left: a case that is read is hidden."""
        self._entered = False
        self._acting(lambda: None)

    def cleanup(self):
        """The panel goes away."""
        if self._room is not None:
            self.onSignOut()
        self.removeObservers()
        for shortcut in self._shortcuts:
            shortcut.enabled = False
            shortcut.deleteLater()
        self._shortcuts = []

    # Study

    def onOpen(self):
        self._acting(self._open)

    def _open(self):
        from DystrophyDxLib.readerstudy.study import ReaderStudy

        self._study = None
        if not self.ui.folderSelector.currentPath:
            raise InputError(_("Choose the folder of the study."))
        self._study = ReaderStudy.open(self.ui.folderSelector.currentPath)
        self.ui.folderSelector.addCurrentPathToHistory()
        self.ui.readerSelector.clear()
        self.ui.readerSelector.addItems([reader.code for reader in self._study.protocol.readers])
        self.ui.readerSelector.currentIndex = -1

    def onCreated(self, folder, warning):
        self.ui.folderSelector.currentPath = folder
        self.onOpen()
        created = _("The study is created; its folder holds the protocol to print, protocol.html.")
        say(self.ui.messageLabel, f"{created} {warning}".strip())

    def onReaderChosen(self, index):
        self._showState()

    def onSignIn(self):
        say(self.ui.messageLabel, _("Signing in; after a crash on another computer this takes half a minute…"))
        slicer.app.processEvents()
        self._acting(self._signIn)

    def _signIn(self):
        from DystrophyDxLib.mrml.reading_room import ReadingRoom
        from DystrophyDxLib.readerstudy.protocol import plan
        from DystrophyDxLib.readerstudy.session import ReadingSession

        session = ReadingSession(self._study, self.ui.readerSelector.currentText)
        self._room = ReadingRoom(slicer.mrmlScene, session, slicer.app.processEvents)
        self._places = {shown.number: shown.position for shown in plan(session.protocol, session.reader)}
        self._beatTimer.start()
        self._form.ask(session.protocol.condition, session.protocol.questions)
        say(self.ui.messageLabel, session.clock_notice or "")
        self._showState()
        self._next()

    def onSignOut(self):
        self._acting(self._signOut)

    def _signOut(self):
        for timer in (self._beatTimer, self._draftTimer, self._idleTimer):
            timer.stop()
        room, self._room = self._room, None
        try:
            self._saveDraft(room.session)
        finally:
            self._amended = None
            self._view.scrollUp()
            room.close()

    # Reading

    def _next(self):
        self._form.fill({})  # what was said of one case is never there with another one
        self._view.scrollUp()
        try:
            self._room.show()
        finally:
            self._showDraft()
        self._idleTimer.start()

    def onSubmit(self):
        self._acting(self._amend if self._amended is not None else self._submit)

    def _submit(self):
        self._room.session.submit(self._form.wholeAnswer(self._room.session.protocol.questions))
        self._draftTimer.stop()
        self._next()

    def onPause(self):
        self._acting(self._resume if self._room.session.paused else self._pause)

    def _pause(self):
        try:
            if self._amended is None:
                self._saveDraft(self._room.session)
        finally:
            self._room.pause()

    def _resume(self):
        self._room.resume()
        self._idleTimer.start()

    def onPreviousSlice(self):
        self._room.scroll(-1)

    def onNextSlice(self):
        self._room.scroll(+1)

    def onAnswerChanged(self):
        if self._amended is None:
            self._draftTimer.start()

    def onDraft(self):
        if not self._busy:
            with self._reporting():
                self._saveDraft(self._room.session)

    def onBeat(self):
        """Keeps the reader signed in; where nothing can be saved, reading stops."""
        self._beatTimer.start()
        with self._reporting():
            try:
                self._room.session.beat()
            except InputError:
                with contextlib.suppress(InputError):  # the same again
                    self._room.pause()
                self._showState()
                raise

    def onIdle(self):
        """Reads the next case while nothing else is to do."""
        with self._reporting():
            if self._room.read_ahead():
                self._idleTimer.start()

    def onSceneStartClose(self, caller, event):
        if self._room is not None and self._room.session.item and not self._room.session.paused:
            self._acting(self._pause)
            say(self.ui.messageLabel, _("The scene was closed. Go on to show the case again."))

    # Amending

    def onAmend(self):
        self._acting(self._beginAmending)
        if self._amended is not None:
            self.ui.reasonEdit.setFocus()

    def _beginAmending(self):
        number = self.ui.amendSelector.currentData
        stored = next(stored for stored in self._room.session.amendable if stored.presentation == number)
        self._pause()
        self._amended = number
        self._form.fill(_content(stored.answer))
        self.ui.reasonEdit.text = ""

    def _amend(self):
        answer = self._form.wholeAnswer(self._room.session.protocol.questions)
        self._room.session.amend(self._amended, answer, self.ui.reasonEdit.text)
        self._endAmending()

    def onKeep(self):
        self._acting(self._endAmending)

    def _endAmending(self):
        self._amended = None
        self._showDraft()
        self._room.resume()

    # What is shown

    def _showDraft(self):
        """Fills the questions with what was entered of the case that is shown, or else with its locked answer."""
        item = self._room.session.item
        content = self._room.session.draft if item else {}
        if item and item.locked and not content:
            content = _content(item.locked)
        self._form.fill(content)

    def _saveDraft(self, session):
        if session.item and self._amended is None:
            session.save_draft(self._form.content())

    def _showState(self):
        ui, reading = self.ui, self._room is not None
        ui.signInFrame.visible = not reading
        for frame in (ui.progressFrame, ui.readingFrame, ui.barFrame):
            frame.visible = reading
        say(ui.titleLabel, self._study.protocol.title if self._study is not None else "")
        ui.readerSelector.enabled = self._study is not None
        ui.signInButton.enabled = self._study is not None and ui.readerSelector.currentIndex >= 0
        self._view.reduce(reading and self._entered)
        for shortcut in self._shortcuts:
            shortcut.enabled = reading and self._entered
        if reading:
            self._view.show(self._room.session, self._amended is not None, self._places)

    # Helpers

    def _reporting(self):
        return reporting(lambda text: say(self.ui.messageLabel, text))

    def _acting(self, act):
        """Does what the user asked for, and shows how things are then."""
        if self._busy:
            return  # events are processed while the views take their size
        self._busy = True
        say(self.ui.messageLabel, "")
        with self._reporting():
            act()
        with self._reporting():
            if not self._entered and self._room is not None and not self._room.session.paused:
                self._pause()
        self._busy = False
        self._showState()

    def _connect(self):
        ui = self.ui
        for button, slot in (
            (ui.openButton, self.onOpen),
            (ui.signInButton, self.onSignIn),
            (ui.submitButton, self.onSubmit),
            (ui.pauseButton, self.onPause),
            (ui.signOutButton, self.onSignOut),
            (ui.amendButton, self.onAmend),
            (ui.keepButton, self.onKeep),
        ):
            button.connect("clicked()", slot)
        ui.readerSelector.connect("currentIndexChanged(int)", self.onReaderChosen)
        ui.folderSelector.filters = ctk.ctkPathLineEdit.Dirs
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)


def _content(answer):
    """An answer as AnswerForm holds it."""
    return {
        "decision": answer.decision,
        "confidence": answer.confidence,
        "subtype": answer.subtype,
        "quality": answer.quality,
        "comment": answer.comment,
        "grades": [[*place, grade] for place, grade in answer.grades.items()],
    }
