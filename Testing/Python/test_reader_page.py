"""The page "Reader study", run by its own buttons and keys in a stand-in of Slicer's desktop over a real scene."""

import shutil
import sys

import pytest

pytest.importorskip("PySide6")

import slicer
from PySide6 import QtCore, QtGui
from reader_page_cases import (
    AIDED,
    ALL,
    UNAIDED,
    answers,
    give,
    hidden,
    lock,
    make,
    open_study,
    rows,
    shown,
    sign_in,
    submit,
    surroundings,
)
from reading_cases import SEQUENTIAL
from slicer_widgets import unwrap

from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.readerstudy import lease
from DystrophyDxLib.readerstudy.protocol import plan
from DystrophyDxLib.readerstudy.session import ReadingSession

pytest_plugins = ("panel_fixtures", "reader_page_fixtures")


# Study and reader


def test_a_study_is_opened_and_a_reader_signs_in(page, folder):
    study = make(folder)
    assert not page.ui.signInButton.enabled
    open_study(page, folder)
    assert page.ui.titleLabel.text == study.protocol.title
    assert not page.ui.signInButton.enabled, "nobody is signed in by mistake"
    page.ui.readerSelector.currentIndex = 1
    page.ui.signInButton.click()
    assert page._room.session.reader.code == "R2"
    assert page.ui.progressLabel.text == "Session 1 of 2, case 1 of 4."
    assert shown()


@pytest.mark.parametrize(
    ("path", "told"),
    [("", "Choose the folder of the study."), ("/nowhere", "This folder holds no reader study")],
)
def test_what_is_no_study_is_told(page, path, told):
    open_study(page, path)
    assert told in page.ui.messageLabel.text
    assert page.ui.messageLabel.visible
    assert not page.ui.readerSelector.enabled


def test_packages_that_slicer_lacks_are_told(page, folder, monkeypatch):
    make(folder)
    monkeypatch.setitem(sys.modules, "DystrophyDxLib.readerstudy.study", None)  # as if pydantic were not there
    open_study(page, folder)
    assert "the page Classification offers to install them" in page.ui.messageLabel.text


def test_a_reader_who_is_signed_in_elsewhere_is_told(page, folder, monkeypatch):
    study = make(folder, **UNAIDED)
    with ReadingSession(study, "R1") as other:
        monkeypatch.setattr(lease.time, "sleep", lambda _: other.beat())  # while this one waits
        sign_in(page, folder)
        assert "Reader R1 is signed in already" in page.ui.messageLabel.text
        assert not hidden(page.ui.signInFrame)
        assert not shown()
    page.ui.signInButton.click()
    assert page.ui.messageLabel.text == ""
    assert hidden(page.ui.signInFrame)


def test_while_somebody_reads_the_panel_holds_the_questions_alone(desktop, page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    tabs = desktop.widget.pages.tabBar()
    assert hidden(tabs)
    assert surroundings() == {False}
    assert hidden(page.ui.signInFrame)
    page.ui.signOutButton.click()
    assert not hidden(tabs)
    assert surroundings() == {True}
    assert not shown()
    assert not slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")


def test_opening_the_page_touches_nothing_of_slicers_window(desktop, page):
    window = slicer.util.mainWindow()
    probe = slicer.util.findChild(window, "DataProbeCollapsibleWidget")
    probe.setVisible(False)
    desktop.widget.exit()
    desktop.widget.enter()
    assert hidden(probe), "as its user left it"


def test_the_data_probe_stays_folded_on_a_low_window_on_both_pages(desktop, page):
    window = slicer.util.mainWindow()
    probe = slicer.util.findChild(window, "DataProbeCollapsibleWidget")
    desktop.widget.exit()
    window.resize(1366, 768)
    probe.collapsed = False
    desktop.widget.enter()
    for number in (0, 1):
        desktop.widget.pages.currentIndex = number
        assert probe.collapsed
    desktop.widget.exit()
    assert not probe.collapsed, "as its user left it"


# Reading


def test_only_what_the_protocol_asks_for_is_asked(page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    for widget in (page.ui.subtypeSelector, page.ui.qualitySelector, page.ui.gradesFrame, page.ui.commentEdit):
        assert hidden(widget)
    assert not hidden(page.ui.yesButton)
    assert hidden(page.ui.reasonEdit)
    assert hidden(page.ui.modelLabel)


def test_an_answer_is_locked_and_the_next_case_comes_with_empty_questions(page, folder):
    make(folder, questions=ALL, **UNAIDED)
    sign_in(page, folder)
    ui = page.ui
    first = shown()
    give(page, True, 85)
    ui.subtypeSelector.currentIndex = ui.subtypeSelector.findText("BMD")
    ui.qualitySelector.currentIndex = 4
    grade = page._form._grades.boxes["gracilis", "left"]
    grade.currentIndex = grade.findText("2b")
    ui.commentEdit.plainText = "  atrophy  "
    lock(page)
    assert ui.messageLabel.text == ""
    assert answers(folder) == [(1, 0, 1, 85)]
    assert rows(folder, "SELECT subtype, quality, comment FROM answer") == [("BMD", 4, "atrophy")]
    assert rows(folder, "SELECT muscle, side, grade FROM grade") == [("gracilis", "left", "2b")]
    assert ui.progressLabel.text == "Session 1 of 1, case 2 of 4."
    assert shown() != first
    assert page._form.content() == {
        "decision": None, "confidence": None, "subtype": None, "quality": None, "comment": "", "grades": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fill", "told"),
    [
        (lambda page: None, "confidence"),
        (lambda page: page.ui.noButton.click(), "whole number from 0 to 100"),
        (lambda page: setattr(page.ui.confidenceSpinBox, "value", 70), "yes or no"),
        (lambda page: give(page, False, 80), "correct one of the two"),
        (lambda page: give(page, True, 80), "subtype is not answered"),
    ],
)
def test_an_answer_that_is_not_complete_is_not_taken(page, folder, fill, told):
    make(folder, questions={"subtype": True}, **UNAIDED)
    sign_in(page, folder)
    fill(page)
    page.ui.submitButton.click()
    assert told in page.ui.messageLabel.text
    assert answers(folder) == []
    assert page.ui.progressLabel.text == "Session 1 of 1, case 1 of 4."


def test_a_subtype_goes_with_a_yes_alone(page, folder):
    make(folder, questions={"subtype": True}, **UNAIDED)
    sign_in(page, folder)
    assert not page.ui.subtypeSelector.enabled
    page.ui.yesButton.click()
    page.ui.subtypeSelector.currentIndex = 1
    submit(page, False, 10)
    assert rows(folder, "SELECT decision, subtype FROM answer") == [(0, None)]


def test_slider_and_box_of_the_confidence_agree(page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    page.ui.confidenceSlider.value = 73
    assert page.ui.confidenceSpinBox.value == 73
    page.ui.confidenceSpinBox.value = 12
    assert page.ui.confidenceSlider.value == 12


def test_the_mouse_wheel_over_a_question_answers_nothing(page, folder):
    make(folder, questions=ALL, **UNAIDED)
    sign_in(page, folder)
    give(page, True, 60)
    ui, content = page.ui, page._form.content()
    boxes = (ui.subtypeSelector, ui.qualitySelector, *page._form._grades.boxes.values())
    for widget in map(unwrap, (ui.confidenceSpinBox, ui.confidenceSlider, *boxes)):
        middle = QtCore.QPointF(widget.rect().center())
        for turn in (-120, +120, -240):
            event = QtGui.QWheelEvent(
                middle, widget.mapToGlobal(middle), QtCore.QPoint(), QtCore.QPoint(0, turn), QtCore.Qt.NoButton,
                QtCore.Qt.NoModifier, QtCore.Qt.NoScrollPhase, False,
            )  # fmt: skip
            QtCore.QCoreApplication.sendEvent(widget, event)
            assert page._form.content() == content


def test_everything_can_be_read_by_keys_alone(desktop, page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    view = ClassificationView(slicer.mrmlScene)
    middle = view.slice
    for key, slices in (("F7", -1), ("F8", 0), ("F8", +1)):
        desktop.press(key)
        assert view.slice == middle + slices
    for key, confidence in (("F5", 90), ("F6", 10)):
        desktop.press(key)
        assert unwrap(page.ui.confidenceSpinBox).hasFocus() or not desktop.app._window.isActiveWindow()
        unwrap(page.ui.confidenceSpinBox).lineEdit().setText(str(confidence))
        desktop.press("Ctrl+Return")
    desktop.press("F9")
    assert page._room.session.paused
    desktop.press("Ctrl+Return")
    desktop.press("F9")
    assert not page._room.session.paused
    assert [row[2:] for row in answers(folder)] == [(1, 90), (0, 10)]


def test_each_key_belongs_to_one_page_at_a_time(desktop, page, folder):
    make(folder, **UNAIDED)

    def enabled():
        found = desktop.app._window.findChildren(QtGui.QShortcut)
        return sorted(shortcut.key().toString() for shortcut in found if shortcut.isEnabled())

    assert enabled() == []
    sign_in(page, folder)
    assert enabled() == ["Ctrl+Return", "F5", "F6", "F7", "F8", "F9"]
    page.ui.signOutButton.click()
    desktop.widget.pages.currentIndex = 0
    assert enabled() == ["F5", "F7", "F8", "F9"]
    desktop.widget.exit()
    assert enabled() == []


def test_a_pause_hides_case_and_questions(page, folder):
    make(folder, **AIDED)
    sign_in(page, folder)
    assert not hidden(page.ui.modelLabel)
    page.ui.yesButton.click()
    page.ui.pauseButton.click()
    assert not shown()
    assert hidden(page.ui.modelLabel)
    assert hidden(page.ui.questionsFrame)
    assert not page.ui.submitButton.enabled
    assert page.ui.progressLabel.text == "Paused; the case is hidden."
    page.ui.pauseButton.click()
    assert shown()
    assert page.ui.yesButton.checked
    assert not hidden(page.ui.modelLabel)


def test_leaving_the_module_pauses_and_no_case_can_be_seen_elsewhere(desktop, page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    desktop.widget.exit()
    assert page._room.session.paused
    assert not shown()
    assert surroundings() == {True}
    desktop.widget.enter()
    assert page._room.session.paused
    page.ui.pauseButton.click()
    submit(page)
    assert len(answers(folder)) == 1


def test_the_model_is_shown_in_the_aided_arm_with_what_must_stand_beside_it(page, folder):
    study = make(folder, **AIDED)
    sign_in(page, folder)
    case = plan(study.protocol, study.protocol.readers[0])[0].case
    text = page.ui.modelLabel.text
    assert f"Probability {study.model_answer(case).probability:.2f}, no 95 % interval" in text
    assert "Model: indeterminate" in text
    assert "Demonstration model" in text
    assert "not for diagnosis" in text


def test_sequential_reading_shows_the_locked_answer_beside_the_models(page, folder):
    make(folder, **SEQUENTIAL)
    sign_in(page, folder)
    assert hidden(page.ui.modelLabel)
    submit(page, True, 65)
    assert page.ui.progressLabel.text == "Session 1 of 1, case 1 of 4."
    assert "yes, 65" in page.ui.lockedLabel.text
    assert not hidden(page.ui.modelLabel)
    assert (page.ui.yesButton.checked, page.ui.confidenceSpinBox.value) == (True, 65)
    submit(page, False, 30)
    assert hidden(page.ui.lockedLabel)
    assert [row[2:] for row in answers(folder)] == [(1, 65), (0, 30)]


def test_a_reader_needs_neither_truth_nor_model_nor_the_answers_of_others(page, folder):
    make(folder, **UNAIDED)
    for part in ("truth", "model"):
        shutil.rmtree(folder / part)
    (folder / "answers" / "R2.sqlite").unlink()
    sign_in(page, folder)
    for _ in range(4):
        submit(page)
    assert page.ui.messageLabel.text == ""
    assert len(answers(folder)) == 4


def test_nothing_on_the_page_tells_the_case(page, folder):
    make(folder, questions=ALL, **AIDED)
    sign_in(page, folder)
    for _ in range(3):
        case = page._room.session.item.image.parent.name
        seen = [unwrap(widget).property(name) for widget in vars(page.ui).values() for name in ("text", "toolTip")]
        assert not any(case in text for text in seen if text)
        page.ui.qualitySelector.currentIndex = 2
        submit(page)


def test_the_end_is_told(page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    for _ in range(4):
        submit(page)
    assert page.ui.progressLabel.text == "All cases are read. Thank you."
    assert hidden(page.ui.questionsFrame)
    assert not page.ui.submitButton.enabled
    assert not page.ui.pauseButton.enabled
    assert not shown()


def test_a_wash_out_is_told_with_its_end(page, folder):
    make(folder, arms=["unaided", "re-read"], design="fully-crossed")
    sign_in(page, folder)
    for _ in range(4):
        submit(page)
    assert "after the wash-out: reading may go on from" in page.ui.progressLabel.text
    assert not shown()
