"""The creation of a reader study on the panel."""

from pathlib import Path

import ctk
import slicer
from slicer.i18n import tr as _

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.panel.dependencies import load_pytorch
from DystrophyDxWidgets.helpers import reporting, say


class NewStudyForm:
    """Creates a study from what the widgets hold.

    models: `ModelList`, whose chosen one is set beside the readers.
    created: called with the folder of the new study, and what its cases cannot show, if anything.
    """

    def __init__(self, ui, models, created):
        self.ui = ui
        self._models = models
        self._created = created
        for texts, selector in (
            ((_("Unaided and aided"), _("Sequential"), _("Unaided alone"), _("Aided alone")), ui.armsSelector),
            ((_("Crossover"), _("Fully crossed"), _("Split-plot")), ui.designSelector),
        ):
            selector.addItems(list(texts))
        for selector, filters in (
            (ui.cohortSelector, ctk.ctkPathLineEdit.Files),
            (ui.readersSelector, ctk.ctkPathLineEdit.Files),
            (ui.newFolderSelector, ctk.ctkPathLineEdit.Dirs),
        ):
            selector.filters = filters
        self._design = None
        ui.armsSelector.connect("currentIndexChanged(int)", self.onArms)
        ui.createButton.connect("clicked()", self.onCreate)

    def onArms(self, index):
        """Proposes a design that fits the arms."""
        with reporting(lambda text: say(self.ui.messageLabel, text)):
            from DystrophyDxLib.panel.new_study import ARMS, DESIGNS, DesignChoice

            self._design = self._design or DesignChoice()
            proposed = self._design.proposed(ARMS[index], DESIGNS[self.ui.designSelector.currentIndex])
            self.ui.designSelector.currentIndex = DESIGNS.index(proposed)

    def onCreate(self):
        say(self.ui.messageLabel, "")
        with reporting(lambda text: say(self.ui.messageLabel, text)):
            try:
                self.ui.signInFrame.enabled = False
                folder, warning = self._create()
            finally:
                self.ui.signInFrame.enabled = True
                self.ui.createProgressBar.visible = False
            self._created(folder, warning)

    def _create(self):
        ui = self.ui
        cohort, readers, folder = (
            selector.currentPath for selector in (ui.cohortSelector, ui.readersSelector, ui.newFolderSelector)
        )
        if not (cohort and readers and folder):
            raise InputError(_("Choose the table of the cases, the table of the readers and a folder."))
        load_pytorch()
        from DystrophyDxLib.models.package import ModelPackage
        from DystrophyDxLib.readerstudy.creation import create_study, one_class, read_readers

        plan, package = self._plan(read_readers(Path(readers))), ModelPackage.read(self._models.chosen)
        study = create_study(Path(cohort), plan, package, "auto", Path(folder), self._onProgress)
        warning = _(
            "All cases are of one class: sensitivity or specificity, and the AUC, cannot be told from this study."
        )
        return folder, warning if one_class(study) else ""

    def _plan(self, readers):
        from DystrophyDxLib.panel.new_study import ARMS, DESIGNS
        from DystrophyDxLib.readerstudy.creation import StudyPlan
        from DystrophyDxLib.readerstudy.protocol import Arm
        from DystrophyDxLib.readerstudy.questions import MUSCLES, Questions

        ui = self.ui
        arms = ARMS[ui.armsSelector.currentIndex]
        return StudyPlan(
            title=ui.newTitleEdit.text.strip(),
            readers=readers,
            arms=(*arms, Arm.RE_READ) if ui.reReadCheckBox.checked else arms,
            design=DESIGNS[ui.designSelector.currentIndex],
            questions=Questions(
                subtype=ui.askSubtypeCheckBox.checked,
                quality=ui.askQualityCheckBox.checked,
                mercuri=MUSCLES if ui.askGradesCheckBox.checked else (),
                comment=ui.askCommentCheckBox.checked,
            ),
            duplicates=ui.duplicatesSpinBox.value,
            washout_days=ui.washoutSpinBox.value,
            blocks=ui.blocksSpinBox.value,
            seed=ui.seedSpinBox.value,
        )

    def _onProgress(self, what, done, total):
        self.ui.createProgressBar.visible = True
        self.ui.createProgressBar.setRange(0, total)
        self.ui.createProgressBar.setValue(done)
        slicer.app.processEvents()
