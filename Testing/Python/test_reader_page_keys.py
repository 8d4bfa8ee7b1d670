"""The page "Reader study" by keys alone and on a small screen: what is in sight, and where the cursor goes."""

import pytest

pytest.importorskip("PySide6")

from PySide6 import QtCore, QtGui, QtWidgets
from reader_page_cases import ALL, UNAIDED, answers, give, make, rows, sign_in, submit
from slicer_widgets import unwrap

pytest_plugins = ("panel_fixtures", "reader_page_fixtures")


@pytest.fixture
def reading(desktop, page, folder):
    """A case with all questions on the screen, in the height that 1366 x 768 leave."""
    make(folder, questions=ALL | {"mercuri": MUSCLES}, **UNAIDED)
    sign_in(page, folder)
    desktop.app._window.resize(500, 640)
    desktop.settle(20)
    return page


MUSCLES = [
    "rectus femoris", "vastus lateralis", "vastus intermedius", "vastus medialis", "sartorius", "gracilis",
    "adductor longus", "adductor magnus", "semimembranosus", "semitendinosus", "biceps femoris long head",
    "biceps femoris short head", "gluteus maximus",
]  # fmt: skip


def in_sight(widget):
    widget = unwrap(widget)
    return not widget.visibleRegion().isEmpty() and widget.visibleRegion().boundingRect().size() == widget.size()


def boxes(page):
    return list(page._form._grades.boxes.values())


def cursor(page):
    return unwrap(page.widget).window().focusWidget()


def key(page, desktop, text):
    """Presses a key that is at work where the cursor is."""
    frame = unwrap(page.ui.gradesFrame)
    shortcut = next(s for s in frame.findChildren(QtGui.QShortcut) if s.key().toString() == text)
    assert shortcut.context() is QtCore.Qt.WidgetWithChildrenShortcut
    shortcut.activated.emit()


def test_submit_pause_and_refusals_are_in_sight_with_all_grades_asked(desktop, reading):
    ui = reading.ui
    assert unwrap(reading.widget).height() < 640
    for widget in (ui.progressLabel, ui.submitButton, ui.pauseButton, ui.signOutButton, ui.amendButton):
        assert in_sight(widget), widget.name
    ui.submitButton.click()
    desktop.settle(20)
    assert "confidence" in ui.messageLabel.text
    assert in_sight(ui.messageLabel)


def test_each_case_begins_at_the_top(desktop, reading):
    bar = unwrap(reading.ui.scrollArea).verticalScrollBar()
    bar.setValue(bar.maximum())
    assert bar.value() > 0
    reading.ui.qualitySelector.currentIndex = 3
    submit(reading)
    assert bar.value() == 0


def test_tab_leads_through_the_grades_and_then_to_submit(reading):
    order, widget = [], unwrap(reading.ui.yesButton)
    while widget is not unwrap(reading.ui.submitButton):
        widget = widget.nextInFocusChain()
        if widget.isVisible() and widget.focusPolicy() & QtCore.Qt.TabFocus:
            order.append(widget)
        assert len(order) < 60
    expected = [reading.ui.confidenceSpinBox, reading.ui.subtypeSelector, reading.ui.qualitySelector, *boxes(reading)]
    expected = [unwrap(widget) for widget in (*expected, reading.ui.commentEdit, reading.ui.submitButton)]
    parts = (QtWidgets.QRadioButton, QtWidgets.QLineEdit)  # the line edit is that of a spin box
    assert [widget for widget in order if not isinstance(widget, parts)] == expected


def test_a_grade_is_typed_and_the_cursor_goes_on(desktop, reading):
    give(reading, False, 20)
    first, second, *_, last = boxes(reading)
    first.setFocus()
    key(reading, desktop, "2")
    assert (first.currentText, first.currentData, cursor(reading)) == ("2?", "", unwrap(first))
    key(reading, desktop, "B")
    assert (first.currentText, cursor(reading)) == ("2b", unwrap(second))
    key(reading, desktop, "4")
    assert second.currentText == "4"
    second.setFocus()
    key(reading, desktop, "Del")
    assert (second.currentText, cursor(reading)) == ("–", unwrap(second))
    last.setFocus()
    key(reading, desktop, "0")
    assert cursor(reading) is unwrap(reading.ui.commentEdit)
    assert in_sight(last) or in_sight(reading.ui.commentEdit)


def test_grades_that_were_left_out_are_asked_about_once_a_case(reading, folder):
    for _ in range(2):
        give(reading, False, 20)
        reading.ui.qualitySelector.currentIndex = 3
        for box in boxes(reading)[1:-1]:
            box.currentIndex = box.findText("1")
        before = len(answers(folder))
        reading.ui.submitButton.click()
        assert reading.ui.messageLabel.text.startswith("Not graded: rectus femoris right, gluteus maximus left.")
        assert cursor(reading) is unwrap(boxes(reading)[0])
        assert len(answers(folder)) == before
        reading.ui.submitButton.click()
        assert len(answers(folder)) == before + 1
    assert rows(folder, "SELECT COUNT(*) FROM grade") == [(48,)]


def test_an_answer_that_is_refused_is_not_asked_about_grades(reading, folder):
    reading.ui.noButton.click()
    for _ in range(2):
        reading.ui.submitButton.click()
        assert "whole number from 0 to 100" in reading.ui.messageLabel.text
    assert answers(folder) == []
