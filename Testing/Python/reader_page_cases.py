"""Studies that are read on the page "Reader study", and what tests of it do and look at."""

from __future__ import annotations

import sqlite3

import slicer
from reader_studies import make_protocol
from reading_cases import make_reading_study
from slicer_widgets import unwrap

UNAIDED = {"design": "fully-crossed", "arms": ["unaided"], "washout_days": 0}
AIDED = {"design": "fully-crossed", "arms": ["aided"], "washout_days": 0}
MUSCLES = ["rectus femoris", "gracilis"]
ALL = {"subtype": True, "quality": True, "mercuri": MUSCLES, "comment": True}


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
    lock(page)


def lock(page):
    """Submits, again where it is asked whether grades were left out on purpose."""
    page.ui.submitButton.click()
    if "Submit again" in page.ui.messageLabel.text:
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
