"""The Mercuri grades that a reader study asks for."""

import ctk
import qt
from slicer.i18n import tr as _

from DystrophyDxWidgets.helpers import offer, quiet

NONE = "–"


class GradesTable:
    """A box for the grade of each muscle and side; the patient's right stands on the left, as in the picture.

    A grade can be typed: when it is whole, the cursor goes to the next box.

    frame: with a grid layout.
    changed: called without arguments after each change by the reader.
    goOn: called with the box that comes next, without one after the last.

    Attributes:
        boxes: by muscle and side, as Tab leads through them.
    """

    def __init__(self, frame, changed, goOn):
        self._frame, self._changed, self._goOn = frame, changed, goOn
        self._laid, self._typing, self._shortcuts = [], [], []
        self.boxes = {}

    @property
    def last(self):
        """The box after which other questions come."""
        return list(self.boxes.values())[-1]

    def lay(self, muscles):
        """Makes a row for each muscle, in place of those that were there."""
        for widget in self._laid:
            widget.deleteLater()
        self._laid, self.boxes = [], {}
        if not muscles:
            return
        from DystrophyDxLib.readerstudy.questions import GRADES

        self._makeKeys()
        for column, text in enumerate((_("Mercuri grade"), _("Right"), _("Left"))):
            self._lay(qt.QLabel(text), 0, column)
        for row, muscle in enumerate(muscles, 1):
            self._lay(qt.QLabel(muscle), row, 0)
            for column, side in enumerate(("right", "left"), 1):
                box = ctk.ctkComboBox()
                box.toolTip = _("{muscle}, {side}: type the grade.").format(muscle=muscle, side=side)
                offer(box, NONE, GRADES, GRADES)
                box.connect("currentIndexChanged(int)", self._changed)
                self._lay(box, row, column)
                self.boxes[muscle, side] = box

    def fill(self, grades):
        """Shows grades as [muscle, side, grade]; what is not among them is not given, nor half typed."""
        from DystrophyDxLib.panel.grading import GradeTyping

        self._typing = [GradeTyping() for _box in self.boxes]
        grades = {(muscle, side): grade for muscle, side, grade in grades}
        for place, box in self.boxes.items():
            with quiet(box):
                box.setItemText(0, NONE)
                box.currentIndex = max(box.findData(grades.get(place, "")), 0)

    def content(self):
        """The grades that are given, as [muscle, side, grade]."""
        return [[*place, box.currentData] for place, box in self.boxes.items() if box.currentData]

    def onKey(self, key):
        boxes = list(self.boxes.values())
        at = next((n for n, box in enumerate(boxes) if box.focus), None)
        if at is None:
            return
        box, typing = boxes[at], self._typing[at]
        if not key or box.currentIndex > 0:
            typing.begun = ""
        grade = typing.key(key) if key else None
        box.setItemText(0, f"{typing.begun}?" if typing.begun else NONE)
        box.currentIndex = box.findData(grade or "")
        if grade is not None:
            self._goOn(*boxes[at + 1 : at + 2])

    def onClear(self):
        self.onKey("")

    def _makeKeys(self):
        """Digits and letters of the grades; they are at work while one of the boxes has the cursor."""
        from DystrophyDxLib.panel.grading import KEYS

        if self._shortcuts:
            return
        slots = {key: lambda key=key: self.onKey(key) for key in KEYS}
        for key, slot in {**slots, "Backspace": self.onClear, "Del": self.onClear}.items():
            shortcut = qt.QShortcut(qt.QKeySequence(key), self._frame)
            shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
            shortcut.connect("activated()", slot)
            self._shortcuts.append(shortcut)

    def _lay(self, widget, row, column):
        self._frame.layout().addWidget(widget, row, column)
        self._laid.append(widget)
