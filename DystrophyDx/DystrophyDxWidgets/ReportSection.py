"""The section "Report": writes what the command line writes."""

from pathlib import Path
from tempfile import TemporaryDirectory

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from DystrophyDxLib.errors import InputError
from DystrophyDxWidgets.FirstUse import dependencies
from DystrophyDxWidgets.helpers import loadWidget, say


class ReportSection:
    """Writes and opens the report, saves the answer as DICOM, and copies the summary."""

    def __init__(self, context):
        self._context = context
        self.widget, self.ui = loadWidget("ReportSection")
        self._report = None
        self.ui.folderSelector.filters = ctk.ctkPathLineEdit.Dirs
        self.ui.reportButton.connect("clicked()", self.onWrite)
        self.ui.openButton.connect("clicked()", self.onOpen)
        self.ui.dicomButton.connect("clicked()", self.onSaveDicom)
        self.ui.copyButton.connect("clicked()", self.onCopy)
        context.volumeChanged.connect(self.onVolumeChanged)
        context.classifying.connect(self.forget)
        context.enabling.connect(self.onEnabling)

    def onVolumeChanged(self):
        """One patient's folder is not offered for the report of another."""
        self.ui.folderSelector.currentPath = ""
        self.forget()

    def forget(self):
        """What was written or copied is no longer that of what is shown."""
        self._report = None
        say(self.ui.reportLabel, "")

    def onWrite(self):
        context, folder = self._context, self.ui.folderSelector.currentPath
        if not folder:
            say(self.ui.reportLabel, _("Choose a folder for the report."))
            return
        say(self.ui.reportLabel, "")
        context.said("")
        with context.reporting():
            from DystrophyDxLib.panel.actions import holds_report
            from DystrophyDxLib.panel.study_name import study_name

            overwrite = holds_report(Path(folder))
            question = _("The folder holds an earlier report. Replace it?")
            if overwrite and not slicer.util.confirmOkCancelDisplay(question, "DystrophyDx"):
                return
            models = [context.models.chosen, *context.models.added]
            self._report = context.actions.write_report(context.classification, models, Path(folder), overwrite)
            self.ui.folderSelector.addCurrentPathToHistory()
            told = _("Report of {study}: {path}").format(study=study_name(context.volume), path=self._report)
            say(self.ui.reportLabel, told)
        context.enable()

    def onOpen(self):
        if self._report is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._report)))

    def onSaveDicom(self):
        """Makes the objects in a folder of its own, which Slicer's DICOM database then takes over."""
        context = self._context
        say(self.ui.reportLabel, "")
        context.said("")
        with context.reporting(), TemporaryDirectory() as folder:
            if not self._canSaveDicom():
                return
            from DICOMLib import DICOMUtils

            from DystrophyDxLib.panel.study_name import study_name

            database, models = slicer.app.dicomDatabase(), [context.models.chosen, *context.models.added]
            objects = context.actions.write_dicom(context.classification, models, database, Path(folder) / "objects")
            if not DICOMUtils.importDicom(str(objects), database, True):
                raise InputError(
                    _("Slicer's DICOM database does not take the objects; look into it by the module DICOM.")
                )
            told = _("Saved in Slicer's DICOM database, in the study of {study}.")
            say(self.ui.reportLabel, told.format(study=study_name(context.volume)))

    def _canSaveDicom(self):
        """Whether highdicom is there, or the user has it installed now; Slicer can be built without DICOM."""
        if not hasattr(slicer.app, "dicomDatabase"):
            raise InputError(_("This Slicer has no DICOM database; write the report instead."))
        needed = dependencies("requirements-dicom.txt")
        missing = needed.missing()
        if missing is None:
            return True
        if not slicer.util.confirmOkCancelDisplay(missing.question, "DystrophyDx"):
            return False
        needed.install(missing)
        return True

    def onCopy(self):
        from DystrophyDxLib.panel.rich_text import summary_in_two_lines
        from DystrophyDxLib.panel.study_name import study_name

        study = study_name(self._context.volume)
        slicer.app.clipboard().setText(summary_in_two_lines(self._context.result, study))
        say(self.ui.reportLabel, _("The summary of {study} is on the clipboard.").format(study=study))

    def onEnabling(self, possible):
        for button in (self.ui.reportButton, self.ui.dicomButton, self.ui.copyButton):
            button.enabled = possible.use_result
        self.ui.openButton.enabled = possible.choose and self._report is not None
