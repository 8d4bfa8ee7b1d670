"""Photographed steps: a reader study is created and read on the panel, and the classified study is as it was after."""

import qt
from desk import Desk, composite, settle, until

from DystrophyDxLib.mrml.scenes import new_scene
from DystrophyDxLib.mrml.volumes import add_series, write_volume
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.phantom.cohort_files import write_table


class Reading:
    """Each step goes on where the one before it ended."""

    def __init__(self, scratch):
        self._desk = Desk()
        self._desk.classify()
        self._desk.select(4)
        self._folder = scratch / "reading"
        self._folder.mkdir()
        self._write_tables()
        self._page, self._ui = self._desk.reader, self._desk.reader.ui

    def page(self):
        """The page Reader study begins at its top; what cannot be opened is told in sight."""
        self._desk.module.pages.currentIndex = 1
        self._ui.folderSelector.currentPath = str(self._folder)
        self._ui.openButton.click()
        settle()
        assert "holds no reader study" in self._ui.messageLabel.text
        assert in_sight(self._ui.messageLabel)

    def sequential(self):
        """Sequential reading proposes the design that fits it."""
        self._ui.newStudySection.collapsed = False
        self._ui.armsSelector.currentIndex = 1
        assert self._ui.designSelector.currentText == "Fully crossed"

    def created(self):
        """The study is created on the panel, with all questions, and opened."""
        for selector, name in (
            (self._ui.cohortSelector, "cohort.csv"),
            (self._ui.readersSelector, "readers.csv"),
            (self._ui.newFolderSelector, "study"),
        ):
            selector.currentPath = str(self._folder / name)
        for box in (self._ui.askSubtypeCheckBox, self._ui.askQualityCheckBox, self._ui.askGradesCheckBox):
            box.checked = True
        self._ui.createButton.click()
        settle()
        assert "The study is created" in self._ui.messageLabel.text, self._ui.messageLabel.text
        assert in_sight(self._ui.messageLabel)

    def signed_in(self):
        """Progress, questions, Submit and Pause are in sight with all Mercuri grades asked; no outline is seen."""
        self._ui.readerSelector.currentIndex = 0
        self._ui.signInButton.click()
        settle(1)
        for widget in (self._ui.progressLabel, self._ui.yesButton, self._ui.submitButton, self._ui.pauseButton):
            assert in_sight(widget), widget.name
        assert composite().GetForegroundVolumeID() is None

    def refused(self):
        """A refusal is in sight, beside Submit."""
        self._ui.submitButton.click()
        settle()
        assert "confidence" in self._ui.messageLabel.text
        assert in_sight(self._ui.messageLabel)

    def typed(self):
        """Grades are typed: a digit leads to the next box, a 2 waits for its a or b."""
        self._ui.yesButton.click()
        self._ui.confidenceSpinBox.value = 90
        self._ui.subtypeSelector.currentIndex = 1
        self._ui.qualitySelector.currentIndex = 4
        grades = self._page._form._grades
        first, second, *_others = grades.boxes.values()
        first.setFocus()
        until(lambda: first.focus)
        for key in ("2", "b", "3"):
            grades.onKey(key)
        assert (first.currentText, second.currentText) == ("2b", "3")

    def asked_once(self):
        """Grades that were left out are asked about once."""
        self._ui.submitButton.click()
        settle()
        assert "24 of 26 grades are not given" in self._ui.messageLabel.text
        assert in_sight(self._ui.messageLabel)

    def aided(self):
        """The second step: the model's answer in the words of the question, the locked one, the MRI with heatmap."""
        self._ui.submitButton.click()
        settle(1)
        assert "Model: " in self._ui.modelLabel.text
        assert "Model: other" not in self._ui.modelLabel.text
        assert "which is locked" in self._ui.lockedLabel.text
        assert in_sight(self._ui.submitButton)
        assert composite().GetForegroundVolumeID() is not None

    def paused(self):
        """A pause hides the case and the questions."""
        self._ui.pauseButton.click()
        settle()
        assert composite().GetBackgroundVolumeID() is None
        self._ui.pauseButton.click()
        settle()
        self._ui.pauseButton.click()

    def amended(self):
        """An earlier answer is amended with a reason, in sight, while the case is hidden."""
        self._ui.pauseButton.click()
        self._ui.submitButton.click()
        self._ui.submitButton.click()
        settle()
        self._ui.amendButton.click()
        settle()
        assert self._ui.submitButton.text.startswith("Save the amendment")
        assert in_sight(self._ui.submitButton)
        assert in_sight(self._ui.keepButton)

    def signed_out(self):
        """After signing out the classified study is as it was: heatmap, outlines, slice and layout."""
        self._ui.keepButton.click()
        self._ui.signOutButton.click()
        settle(1)
        assert composite().GetForegroundVolumeID() == self._desk.classification.heatmap.GetID()
        assert self._desk.classification.segmentation.GetDisplayNode().GetVisibility()
        assert self._desk.view.slice == 4

    def back(self):
        """The page Classification, as it was left."""
        self._desk.module.pages.currentIndex = 0
        settle()
        assert self._desk.context.result is not None
        assert self._desk.column(0)[self._desk.ui.imagesTable.currentRow()] == "4"

    def _write_tables(self):
        """Two cases and a reader, as a person has them."""
        cases, scene = [], new_scene()
        for n, disease in enumerate(("healthy", "DMD")):
            volume = add_series(scene, make_phantom(n, disease, slices=6, matrix=192).series, "case")
            write_volume(volume, self._folder / f"{n}.nrrd")
            cases.append({"patient_id": f"P{n}", "path": f"{n}.nrrd", "diagnosis": disease})
        write_table(self._folder / "cohort.csv", tuple(cases[0]), cases)
        reader = {"reader": "R1", "role": "resident", "years": 2}
        write_table(self._folder / "readers.csv", tuple(reader), [reader])


def in_sight(widget):
    """Whether a widget is seen whole."""
    seen = widget.visibleRegion().boundingRect()
    return seen.size() == qt.QSize(widget.width, widget.height)
