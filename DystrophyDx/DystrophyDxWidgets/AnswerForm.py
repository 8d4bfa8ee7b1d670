"""The questions of a reader study on the panel."""

import ctk
import qt
from slicer.i18n import tr as _

from DystrophyDxWidgets.helpers import quiet

NOT_GIVEN = -1
"""Of the box of the confidence, which says so in words."""


class AnswerForm:
    """Reads and fills the widgets of the questions.

    What they hold is a dictionary that JSON can hold: decision, confidence, subtype, quality, comment, and grades as
    [muscle, side, grade]; None is what was not given.

    changed: called without arguments after each change by the reader.
    """

    def __init__(self, ui, changed):
        self.ui = ui
        self._changed = changed
        self._grades = {}
        self._laid = []
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
        from DystrophyDxLib.readerstudy.questions import GRADES, QUALITIES, SUBTYPES

        ui = self.ui
        ui.decisionLabel.text = f"{condition[:1].upper()}{condition[1:]}:"
        words = {QUALITIES[0]: _("{quality}, not diagnostic"), QUALITIES[-1]: _("{quality}, excellent")}
        qualities = [words.get(quality, "{quality}").format(quality=quality) for quality in QUALITIES]
        self._offer(ui.subtypeSelector, SUBTYPES, SUBTYPES)
        self._offer(ui.qualitySelector, qualities, QUALITIES)
        for widgets, asked in (
            ((ui.subtypeLabel, ui.subtypeSelector), questions.subtype),
            ((ui.qualityLabel, ui.qualitySelector), questions.quality),
            ((ui.gradesFrame,), bool(questions.mercuri)),
            ((ui.commentLabel, ui.commentEdit), questions.comment),
        ):
            for widget in widgets:
                widget.visible = asked
        self._layGrades(questions.mercuri, GRADES)
        self.fill({})

    def fill(self, content):
        """Shows what `content` or an earlier one holds; without it nothing is answered."""
        ui = self.ui
        boxes = (ui.subtypeSelector, ui.qualitySelector, *self._grades.values())
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
            grades = {(muscle, side): grade for muscle, side, grade in content.get("grades") or ()}
            for place, box in self._grades.items():
                box.currentIndex = max(box.findData(grades.get(place, "")), 0)
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
            "grades": [[*place, box.currentData] for place, box in self._grades.items() if box.currentData],
        }

    def answer(self):
        """The same as `readerstudy.questions.Answer`. Raises InputError where it is not complete."""
        from DystrophyDxLib.readerstudy.questions import Answer

        content = self.content()
        grades = {(muscle, side): grade for muscle, side, grade in content.pop("grades")}
        return Answer(**content, grades=grades)

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

    def _offer(self, box, texts, values):
        box.scrollWheelEffect = ctk.ctkComboBox.NeverScroll  # nobody answers by scrolling the panel
        with quiet(box):
            box.clear()
            box.addItem(_("not given"), "")
            for text, value in zip(texts, values, strict=True):
                box.addItem(text, value)

    def _layGrades(self, muscles, grades):
        """A row a muscle; the patient's right stands on the left, as in the picture."""
        for widget in self._laid:
            widget.deleteLater()
        self._laid = []
        self._grades = {}
        if not muscles:
            return
        for column, text in enumerate((_("Mercuri grade"), _("Right"), _("Left"))):
            self._lay(qt.QLabel(text), 0, column)
        for row, muscle in enumerate(muscles, 1):
            self._lay(qt.QLabel(muscle), row, 0)
            for column, side in enumerate(("right", "left"), 1):
                box = ctk.ctkComboBox()
                box.toolTip = _("{muscle}, {side}: type the grade.").format(muscle=muscle, side=side)
                self._offer(box, grades, grades)
                box.setItemText(0, "–")
                box.connect("currentIndexChanged(int)", self.onChanged)
                self._lay(box, row, column)
                self._grades[muscle, side] = box

    def _lay(self, widget, row, column):
        self.ui.gradesFrame.layout().addWidget(widget, row, column)
        self._laid.append(widget)
