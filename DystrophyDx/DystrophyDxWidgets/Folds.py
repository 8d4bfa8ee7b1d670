"""Opening and folding of the sections, and of Slicer's data probe below them."""

import contextlib

import slicer

from DystrophyDxLib.panel.folding import Folding, ProbeFolding


class Folds:
    """Keeps the sections of the page open or folded as `Folding` says.

    sections: collapsible button of each section, by its name in `Folding`.
    """

    def __init__(self, sections):
        self._sections = sections
        self._folding = Folding()
        self._acting = False
        for name, button in sections.items():
            button.connect("contentsCollapsed(bool)", self._chosen(name))

    def show(self, classified):
        """classified: whether there is an answer."""
        self._acting = True
        for name, button in self._sections.items():
            button.collapsed = not self._folding.open(name, classified)
        self._acting = False

    def _chosen(self, name):
        def onCollapsed(collapsed):
            if not self._acting:
                self._folding.choose(name, not collapsed)

        return onCollapsed


class DataProbe:
    """Slicer's data probe: on a low window it is folded while the panel is shown, so that a page can be seen whole."""

    def __init__(self):
        self._folding = ProbeFolding()

    def onEnter(self):
        probe = self._widget()
        if probe is not None and self._folding.enter(slicer.util.mainWindow().height, not probe.collapsed):
            probe.collapsed = True

    def onExit(self):
        probe = self._widget()
        if probe is not None and self._folding.leave(not probe.collapsed):
            probe.collapsed = False

    def _widget(self):
        with contextlib.suppress(RuntimeError):  # an application made of Slicer may not have it
            return slicer.util.findChild(slicer.util.mainWindow(), "DataProbeCollapsibleWidget")
        return None
