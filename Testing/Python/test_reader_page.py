"""The page "Reader study", run by its own buttons and keys in a stand-in of Slicer's desktop over a real scene."""

import csv
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

pytest.importorskip("PySide6")

import slicer
from PySide6 import QtCore, QtGui
from reader_studies import make_protocol, quick_folder
from reading_cases import SEQUENTIAL, make_reading_study, write_image
from slicer_desktop import Desktop
from slicer_widgets import unwrap
from vtkmodules.vtkCommonCore import vtkObject

from DystrophyDxLib.mrml import reading_room
from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.scenes import new_scene
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.readerstudy import lease
from DystrophyDxLib.readerstudy.protocol import plan
from DystrophyDxLib.readerstudy.session import ReadingSession
from DystrophyDxLib.readerstudy.study import ReaderStudy

MODULE = Path(__file__).resolve().parents[2] / "DystrophyDx" / "DystrophyDx.py"
UNAIDED = {"design": "fully-crossed", "arms": ["unaided"], "washout_days": 0}
AIDED = {"design": "fully-crossed", "arms": ["aided"], "washout_days": 0}
MUSCLES = ["rectus femoris", "gracilis"]
ALL = {"subtype": True, "quality": True, "mercuri": MUSCLES, "comment": True}


@pytest.fixture
def folder():
    with quick_folder() as folder:
        yield folder / "study"


@pytest.fixture
def desktop(tmp_path):
    vtkObject.GlobalWarningDisplayOff()
    desktop = Desktop(new_scene(), MODULE, tmp_path / "settings")
    yield desktop
    desktop.close()


@pytest.fixture
def page(desktop):
    panel = desktop.open()
    panel.pages.currentIndex = 1
    return panel.readerStudy


def make(folder, **changes):
    return make_reading_study(folder, make_protocol(cases=4, **changes))


def open_study(page, folder):
    page.ui.folderSelector.currentPath = str(folder)
    page.ui.openButton.click()


def sign_in(page, folder, reader="R1"):
    open_study(page, folder)
    page.ui.readerSelector.currentIndex = page.ui.readerSelector.findText(reader)
    page.ui.signInButton.click()


def give(page, decision, confidence):
    (page.ui.yesButton if decision else page.ui.noButton).click()
    page.ui.confidenceSpinBox.value = confidence


def submit(page, decision=False, confidence=20):
    give(page, decision, confidence)
    page.ui.submitButton.click()


def rows(folder, query, reader="R1"):
    with sqlite3.connect(folder / "answers" / f"{reader}.sqlite") as database:
        return database.execute(query).fetchall()


def answers(folder, reader="R1"):
    return rows(folder, "SELECT presentation, revision, decision, confidence FROM answer ORDER BY id", reader)


def shown():
    """Volumes that slice views show."""
    kind, scene = "vtkMRMLSliceCompositeNode", slicer.mrmlScene
    views = (scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind)))
    return {view.GetBackgroundVolumeID() for view in views} - {None}


def hidden(widget):
    return unwrap(widget).isHidden()


def surroundings():
    window = slicer.util.mainWindow()
    return {
        slicer.util.findChild(window, "ModulePanel").helpAndAcknowledgmentVisible,
        *(not hidden(slicer.util.findChild(window, name)) for name in ("LogoLabel", "DataProbeCollapsibleWidget")),
    }


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
    page._form._grades["gracilis", "left"].currentIndex = page._form._grades["gracilis", "left"].findText("2b")
    ui.commentEdit.plainText = "  atrophy  "
    ui.submitButton.click()
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
    boxes = (ui.subtypeSelector, ui.qualitySelector, *page._form._grades.values())
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
    assert f"Probability {study.model_answer(case).probability:.2f}, 95 % interval" in text
    assert "indeterminate" in text
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


def test_what_was_entered_is_there_again_after_a_crash(desktop, page, folder):
    make(folder, questions=ALL, **UNAIDED)
    sign_in(page, folder)
    submitted = page._room.session.item.image
    page.ui.qualitySelector.currentIndex = 3
    give(page, True, 66)
    page.ui.subtypeSelector.currentIndex = 1
    page._form._grades["gracilis", "right"].currentIndex = 2
    desktop.wait(lambda: rows(folder, "SELECT * FROM draft"), seconds=5)
    content = page._form.content()
    # What another process finds: nothing is told to this one.
    rows(folder, "DELETE FROM lease")
    with ReadingSession(ReaderStudy.open(folder), "R1") as session:
        assert session.show().image == submitted
        assert session.draft == content
    page._room = None


def test_signing_out_keeps_the_draft(page, folder):
    make(folder, questions=ALL, **UNAIDED)
    sign_in(page, folder)
    give(page, True, 66)
    page.ui.commentEdit.plainText = "half"
    content = page._form.content()
    page.ui.signOutButton.click()
    sign_in(page, folder)
    assert page._form.content() == content
    page.ui.signOutButton.click()
    sign_in(page, folder, "R2")
    assert page._form.content()["comment"] == ""


def test_the_reader_is_kept_signed_in_and_what_happened_is_kept(desktop, page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    page.onNextSlice()
    (beat,) = rows(folder, "SELECT beat FROM lease")
    page.onBeat()
    assert rows(folder, "SELECT beat FROM lease")[0] > beat
    assert rows(folder, "SELECT COUNT(*) FROM event WHERE kind = 'slice'") == [(2,)]
    assert page._beatTimer.isActive()


def test_reading_stops_where_somebody_else_signed_in(page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    rows(folder, "UPDATE lease SET token = 'another'")
    page.onBeat()
    assert "signed in elsewhere meanwhile" in page.ui.messageLabel.text
    assert page._room.session.paused
    assert not shown()
    page.ui.signOutButton.click()
    assert hidden(page.ui.readingFrame)
    assert answers(folder) == []


def test_the_next_case_is_read_ahead_when_the_reader_rests(desktop, page, folder, monkeypatch):
    monkeypatch.setattr(reading_room, "REST_SECONDS", 0.05)
    make(folder, **UNAIDED)
    sign_in(page, folder)
    desktop.wait(lambda: page._room._ahead, seconds=5)
    assert list(page._room._ahead) == [page._room.session.next_image]


def test_a_missing_case_is_told(page, folder):
    study = make(folder, **UNAIDED)
    first = plan(study.protocol, study.protocol.readers[0])[0].case
    study.image(first).rename(folder / "elsewhere")
    sign_in(page, folder)
    assert "is missing in the study folder" in page.ui.messageLabel.text
    assert not page.ui.submitButton.enabled
    assert not hidden(page.ui.signOutButton)


def test_a_scene_that_is_closed_pauses(page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    slicer.mrmlScene.Clear(0)
    assert "The scene was closed" in page.ui.messageLabel.text
    assert page._room.session.paused
    page.ui.pauseButton.click()
    assert shown()
    submit(page)
    assert len(answers(folder)) == 1


def test_a_key_pressed_while_the_next_case_comes_answers_nothing(page, folder, monkeypatch):
    make(folder, **SEQUENTIAL)
    sign_in(page, folder)
    process_events = slicer.app.processEvents

    def press():
        process_events()
        page.ui.submitButton.click()

    monkeypatch.setattr(slicer.app, "processEvents", press)
    submit(page)  # the layout changes for the next step, and events are processed
    monkeypatch.undo()
    assert len(answers(folder)) == 1


# Amending


def test_an_answer_is_amended_with_a_reason_beside_the_one_that_was_submitted(page, folder):
    make(folder, questions=ALL, **UNAIDED)
    sign_in(page, folder)
    ui = page.ui
    assert not ui.amendButton.enabled
    for confidence in (10, 20):
        ui.qualitySelector.currentIndex = 1
        submit(page, False, confidence)
    give(page, True, 77)
    assert [ui.amendSelector.itemText(n) for n in range(ui.amendSelector.count)] == ["Case 2", "Case 1"]
    ui.amendSelector.currentIndex = 1
    ui.amendButton.click()
    assert not shown(), "no other case is seen beside the answer"
    assert page._form.content()["confidence"] == 10
    assert not ui.pauseButton.enabled
    assert unwrap(ui.reasonEdit).window().focusWidget() is unwrap(ui.reasonEdit), "the reason can be typed at once"
    ui.confidenceSpinBox.value = 30
    ui.submitButton.click()
    assert "Give the reason" in ui.messageLabel.text
    ui.reasonEdit.text = "wrong slice"
    ui.submitButton.click()
    assert answers(folder) == [(1, 0, 0, 10), (2, 0, 0, 20), (1, 1, 0, 30)]
    assert rows(folder, "SELECT reason FROM answer WHERE revision = 1") == [("wrong slice",)]
    assert shown()
    assert hidden(ui.reasonEdit)
    assert (page._form.content()["decision"], page._form.content()["confidence"]) == (True, 77)


def test_an_amendment_that_is_given_up_changes_nothing(page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    submit(page, True, 80)
    give(page, False, 5)
    page.ui.amendButton.click()
    page.ui.confidenceSpinBox.value = 99
    page.ui.keepButton.click()
    assert answers(folder) == [(1, 0, 1, 80)]
    assert page._form.content()["confidence"] == 5
    assert not page._room.session.paused


def test_the_last_answers_can_be_amended_when_all_is_read(page, folder):
    make(folder, **UNAIDED)
    sign_in(page, folder)
    for _ in range(4):
        submit(page)
    page.ui.amendButton.click()
    page.ui.reasonEdit.text = "second thoughts"
    page.ui.submitButton.click()
    assert answers(folder)[-1][:2] == (4, 1)
    assert page.ui.progressLabel.text == "All cases are read. Thank you."


# A new study


def new_tables(folder, diagnoses):
    """The tables of a new study, as a person has them: a case a diagnosis, two readers."""
    cases = []
    for n, diagnosis in enumerate(diagnoses):
        write_image(folder / f"{n}.nrrd", make_phantom(n, "DMD", slices=4, matrix=128).series.voxels)
        cases.append((f"P{n}", f"{n}.nrrd", diagnosis))
    for name, table in (
        ("cohort.csv", [("patient_id", "path", "diagnosis"), *cases]),
        ("readers.csv", [("reader", "role", "years"), ("A", "radiologist", 5), ("B", "resident", 1)]),
    ):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows(table)


def choose_tables(ui, folder):
    ui.cohortSelector.currentPath = str(folder / "cohort.csv")
    ui.readersSelector.currentPath = str(folder / "readers.csv")
    ui.newFolderSelector.currentPath = str(folder / "new")


@pytest.mark.parametrize(("diagnoses", "warned"), [(("DMD", "BMD"), True), (("DMD", "healthy"), False)])
def test_a_new_study_of_one_class_is_warned_of(page, tmp_path, monkeypatch, diagnoses, warned):
    monkeypatch.setitem(sys.modules, "pandas", None)  # Slicer has none
    monkeypatch.setattr(sys.modules["DystrophyDxWidgets.NewStudyForm"], "load_pytorch", lambda: None)
    new_tables(tmp_path, diagnoses)
    choose_tables(page.ui, tmp_path)
    page.ui.createButton.click()
    assert "The study is created" in page.ui.messageLabel.text
    assert ("All cases are of one class" in page.ui.messageLabel.text) == warned


def test_a_study_is_created_from_the_page_and_opened(page, tmp_path, monkeypatch):
    loaded, form = [], sys.modules["DystrophyDxWidgets.NewStudyForm"]
    monkeypatch.setattr(form, "load_pytorch", lambda: loaded.append(True))
    new_tables(tmp_path, ("DMD", "healthy"))
    ui = page.ui
    ui.createButton.click()
    assert "Choose the table of the cases" in ui.messageLabel.text
    choose_tables(ui, tmp_path)
    ui.armsSelector.currentIndex = 1
    ui.createButton.click()
    assert "a crossover has the arms unaided and aided" in ui.messageLabel.text
    ui.designSelector.currentIndex = 1
    ui.askQualityCheckBox.checked = True
    ui.askGradesCheckBox.checked = True
    ui.createButton.click()
    assert "The study is created" in ui.messageLabel.text
    assert loaded
    protocol = ReaderStudy.open(tmp_path / "new").protocol
    assert [arm.value for arm in protocol.arms] == ["sequential"]
    assert (protocol.questions.quality, protocol.questions.comment) == (True, False)
    assert len(protocol.questions.mercuri) == 13
    assert [ui.readerSelector.itemText(n) for n in range(ui.readerSelector.count)] == ["A", "B"]
    assert not hidden(ui.signInFrame)
    assert ui.signInFrame.enabled
