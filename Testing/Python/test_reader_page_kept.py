"""What the page "Reader study" keeps whatever happens, answers that are amended, and new studies."""

import csv
import sys

import pytest

pytest.importorskip("PySide6")

import slicer
from reader_page_cases import ALL, UNAIDED, answers, give, hidden, lock, make, rows, shown, sign_in, submit
from reading_cases import SEQUENTIAL, write_image
from slicer_widgets import unwrap

from DystrophyDxLib.mrml import reading_room
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.readerstudy.protocol import plan
from DystrophyDxLib.readerstudy.session import ReadingSession
from DystrophyDxLib.readerstudy.study import ReaderStudy

pytest_plugins = ("panel_fixtures", "reader_page_fixtures")


def test_what_was_entered_is_there_again_after_a_crash(desktop, page, folder):
    make(folder, questions=ALL, **UNAIDED)
    sign_in(page, folder)
    submitted = page._room.session.item.image
    page.ui.qualitySelector.currentIndex = 3
    give(page, True, 66)
    page.ui.subtypeSelector.currentIndex = 1
    page._form._grades.boxes["gracilis", "right"].currentIndex = 2
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
    lock(page)
    assert "Give the reason" in ui.messageLabel.text
    ui.reasonEdit.text = "wrong slice"
    lock(page)
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
    ui.designSelector.currentIndex = 2
    ui.createButton.click()
    assert "a split-plot design has at least two blocks" in ui.messageLabel.text
    ui.designSelector.currentIndex = 0
    ui.armsSelector.currentIndex = 1
    assert ui.designSelector.currentText == "Fully crossed", "a crossover does not fit sequential reading"
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
