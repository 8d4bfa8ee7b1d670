"""The questions of a reader study on the panel."""

import itertools

import qt
from slicer.i18n import tr as _

from DystrophyDxLib.errors import InputError
from DystrophyDxWidgets.GradesTable import GradesTable
from DystrophyDxWidgets.helpers import offer, quiet

NOT_CHOSEN = _("not given")
NOT_GIVEN = -1
"""Of the box of the confidence, which says so in words."""


class AnswerForm:
    """Reads and fills the widgets of the questions.

    Tab leads from one question to the next, through the grades, and then to Submit.

    What they hold is a dictionary that JSON can hold: decision, confidence, subtype, quality, comment, and grades as
    [muscle, side, grade]; None is what was not given.

    changed: called without arguments after each change by the reader.
    """

    def __init__(self, ui, changed):
        self.ui = ui
        self._changed = changed
        self._asked = False
        self._grades = GradesTable(ui.gradesFrame, self.onChanged, self.goOn)
        for button in (ui.yesButton, ui.noButton):
            button.connect("clicked()", self.onDecided)
        ui.confidenceSlider.connect("valueChanged(int)", self.onSlider)
        ui.confidenceSpinBox.connect("valueChanged(int)", self.onConfidence)
        ui.subtypeSelector.connect("currentIndexChanged(int)", self.onChanged)
        ui.qualitySelector.connect("currentIndexChanged(int)", self.onChanged)
        ui.commentEdit.connect("textChanged()", self.onChanged)

    def ask(self, condition, questions):
        """Shows the questions of a protocol (`readerstudy.questions.Questions`), unanswered; `condition` is what every
        case is asked for."""
        from DystrophyDxLib.readerstudy.questions import QUALITIES, SUBTYPES

        ui = self.ui
        ui.decisionLabel.text = f"{condition[:1].upper()}{condition[1:]}:"
        words = {QUALITIES[0]: _("{quality}, not diagnostic"), QUALITIES[-1]: _("{quality}, excellent")}
        qualities = [words.get(quality, "{quality}").format(quality=quality) for quality in QUALITIES]
        offer(ui.subtypeSelector, NOT_CHOSEN, SUBTYPES, SUBTYPES)
        offer(ui.qualitySelector, NOT_CHOSEN, qualities, QUALITIES)
        for widgets, asked in (
            ((ui.subtypeLabel, ui.subtypeSelector), questions.subtype),
            ((ui.qualityLabel, ui.qualitySelector), questions.quality),
            ((ui.gradesFrame,), bool(questions.mercuri)),
            ((ui.commentLabel, ui.commentEdit), questions.comment),
        ):
            for widget in widgets:
                widget.visible = asked
        self._grades.lay(questions.mercuri)
        order = self._order()
        for before, after in itertools.pairwise(order):
            qt.QWidget.setTabOrder(before, after)
        self.fill({})

    def fill(self, content):
        """Shows what `content` or an earlier one holds; without it nothing is answered."""
        ui, self._asked = self.ui, False
        boxes = (ui.subtypeSelector, ui.qualitySelector, *self._grades.boxes.values())
        with quiet(ui.confidenceSlider, ui.confidenceSpinBox, ui.commentEdit, *boxes):
            decision = content.get("decision")
            for button, means in ((ui.yesButton, True), (ui.noButton, False)):
                # Of two buttons that exclude each other none can be switched off.
                button.autoExclusive = False
                button.checked = decision is means
                button.autoExclusive = True
            confidence = content.get("confidence")
            ui.confidenceSpinBox.value = NOT_GIVEN if confidence is None else confidence
            ui.confidenceSlider.value = 50 if confidence is None else confidence
            ui.subtypeSelector.currentIndex = max(ui.subtypeSelector.findData(content.get("subtype") or ""), 0)
            ui.qualitySelector.currentIndex = max(ui.qualitySelector.findData(content.get("quality") or ""), 0)
            ui.commentEdit.plainText = content.get("comment") or ""
            self._grades.fill(content.get("grades") or ())
        self._enable()

    def content(self):
        """What the widgets hold."""
        ui = self.ui
        decision = True if ui.yesButton.checked else False if ui.noButton.checked else None
        confidence = ui.confidenceSpinBox.value
        return {
            "decision": decision,
            "confidence": None if confidence == NOT_GIVEN else confidence,
            "subtype": (ui.subtypeSelector.currentData or None) if decision else None,
            "quality": ui.qualitySelector.currentData or None,
            "comment": ui.commentEdit.plainText.strip(),
            "grades": self._grades.content(),
        }

    def answer(self):
        """The same as `readerstudy.questions.Answer`. Raises InputError where it is not complete."""
        from DystrophyDxLib.readerstudy.questions import Answer

        content = self.content()
        grades = {(muscle, side): grade for muscle, side, grade in content.pop("grades")}
        return Answer(**content, grades=grades)

    def wholeAnswer(self, questions):
        """As `answer`; once for each case it is asked whether grades were left out on purpose.

        questions: of the protocol.
        """
        from DystrophyDxLib.panel.grading import left_out

        answer = self.answer()
        answer.check(questions)
        told = left_out(list(self._grades.boxes), answer.grades)
        if told and not self._asked:
            self._asked = True
            self.goOn(next(box for place, box in self._grades.boxes.items() if place not in answer.grades))
            raise InputError(told)
        return answer

    def goOn(self, box=None):
        """The cursor goes to a box, without one to what comes after the grades."""
        order = self._order()
        box = box or next(widget for widget in order[order.index(self._grades.last) + 1 :] if not widget.isHidden())
        box.setFocus()
        self.ui.scrollArea.ensureWidgetVisible(box)

    def _order(self):
        """All that Tab leads through."""
        ui = self.ui
        questions = (ui.yesButton, ui.noButton, ui.confidenceSpinBox, ui.subtypeSelector, ui.qualitySelector)
        bar = (ui.submitButton, ui.pauseButton, ui.signOutButton, ui.amendSelector, ui.amendButton, ui.keepButton)
        return [*questions, *self._grades.boxes.values(), ui.commentEdit, ui.reasonEdit, *bar]

    def onDecided(self):
        """The confidence is asked for next."""
        self.ui.confidenceSpinBox.setFocus()
        self.ui.confidenceSpinBox.selectAll()
        self.onChanged()

    def onSlider(self, value):
        self.ui.confidenceSpinBox.value = value

    def onConfidence(self, value):
        with quiet(self.ui.confidenceSlider):
            self.ui.confidenceSlider.value = 50 if value == NOT_GIVEN else value
        self.onChanged()

    def onChanged(self):
        self._enable()
        self._changed()

    def _enable(self):
        self.ui.subtypeSelector.enabled = self.ui.yesButton.checked
