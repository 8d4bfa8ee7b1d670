"""The offer to install what Slicer's Python lacks."""

import logging

import slicer
from slicer.i18n import tr as _

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.panel.dependencies import Dependencies
from DystrophyDxWidgets.helpers import RESOURCES, say


def dependencies(requirements="requirements.txt"):
    """What the extension needs, or a part of it by its own file, with the installers of the running Slicer."""
    from slicer import packaging

    try:
        from PyTorchUtils import PyTorchUtilsLogic
    except ModuleNotFoundError:
        return Dependencies(RESOURCES / requirements, packaging, None)
    return Dependencies(RESOURCES / requirements, packaging, PyTorchUtilsLogic())


class FirstUse:
    """Names the missing packages with their size and installs them on the user's word."""

    def __init__(self, ui, context):
        self.ui = ui
        self._context = context
        self._installation = None
        self._complete = False
        ui.installButton.connect("clicked()", self.onInstall)
        context.packagesMissing.connect(self.check)

    def check(self):
        """Says what is missing; nothing heavy is imported for it. Returns whether all is there, which stays so."""
        ui = self.ui
        if self._complete:
            return True
        self._installation = None
        say(ui.packagesLabel, "")
        try:
            self._installation = dependencies().missing()
            if self._installation is not None:
                say(ui.packagesLabel, self._installation.question)
        except InputError as error:
            say(ui.packagesLabel, str(error))
        except Exception:
            logging.exception("DystrophyDx could not look for the packages it needs")
            say(ui.packagesLabel, _("DystrophyDx needs Slicer 5.12 or later."))
        ui.packagesFrame.visible = bool(ui.packagesLabel.text)
        ui.installButton.visible = self._installation is not None
        self._complete = not ui.packagesLabel.text
        return self._complete

    def onInstall(self):
        with self._context.reporting():
            self._context.said(_("Installing; this can take minutes…"))
            slicer.app.processEvents()
            dependencies().install(self._installation)
            self._context.said(_("Everything is installed."))
        self.check()
        self._context.sceneChanged()
