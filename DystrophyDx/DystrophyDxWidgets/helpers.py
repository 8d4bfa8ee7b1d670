"""What the pages of the panel share."""

import contextlib
import logging
from pathlib import Path

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from DystrophyDxLib.errors import Cancelled, InputError

RESOURCES = Path(__file__).resolve().parents[1] / "Resources"


class Signal:
    """Calls what was connected to it, in that order; PythonQt makes no signals of Qt in Python."""

    def __init__(self):
        self._slots = []

    def connect(self, slot):
        self._slots.append(slot)

    def __call__(self, *arguments):
        for slot in self._slots:
            slot(*arguments)


SAMPLE_NAME = "Thigh MRI (phantom)"


def loadSample():
    """Adds the phantom study that ships with the extension to the scene and shows it; returns its volume node.

    Where packages are missing, Slicer's own reader reads it.
    """
    from DystrophyDxLib.files.resources import sample_study

    try:
        from DystrophyDxLib.mrml.volumes import add_series
        from DystrophyDxLib.series.reading import read_study
    except ImportError:
        first = min(sample_study().iterdir())
        volume = slicer.util.loadVolume(str(first), {"name": SAMPLE_NAME, "singleFile": False})
    else:
        volume = add_series(slicer.mrmlScene, read_study(sample_study()), SAMPLE_NAME)
    showVolume(volume)
    return volume


def showVolume(volume):
    """Shows a volume in all slice views, as Slicer shows one that it has loaded."""
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveVolumeID(volume.GetID())
    logic.PropagateVolumeSelection()


def registerLayouts():
    """Lets Slicer know the panel's own layout, so that a scene saved in it opens in it."""
    from DystrophyDxLib.mrml.layouts import register_layouts

    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if node is not None:  # Slicer without a window has none
        register_layouts(node)


def loadWidget(name):
    """A widget of Resources/UI, and its children by their names."""
    widget = slicer.util.loadUI(str(RESOURCES / "UI" / f"{name}.ui"))
    return widget, slicer.util.childWidgetVariables(widget)


def say(label, text):
    """Shows a text; a label without one takes no place. What is shown already is not laid out again."""
    if label.text != text:
        label.text = text
    if label.isHidden() == bool(text):
        label.visible = bool(text)


@contextlib.contextmanager
def reporting(say):
    """Tells `say` in one sentence what went wrong; details are in the log."""
    try:
        yield
    except (Cancelled, InputError) as error:
        say(str(error))
    except ImportError:
        logging.exception("DystrophyDx lacks packages")
        say(_("DystrophyDx lacks packages; the page Classification offers to install them."))
    except Exception:
        logging.exception("DystrophyDx failed")
        say(_("Something unexpected went wrong; the log (Help, Report a bug) has details."))


@contextlib.contextmanager
def quiet(*widgets):
    """Keeps widgets that are brought up to date from answering."""
    for widget in widgets:
        widget.blockSignals(True)
    try:
        yield
    finally:
        for widget in widgets:
            widget.blockSignals(False)


def makeTimer(milliseconds, slot):
    """A timer that runs once after each start."""
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", slot)
    return timer


def makeShortcut(keys, slot, parent):
    """A key of the main window, or of `parent` where there is none; it waits to be enabled."""
    shortcut = qt.QShortcut(qt.QKeySequence(keys), slicer.util.mainWindow() or parent)
    shortcut.connect("activated()", slot)
    shortcut.enabled = False
    return shortcut


def offer(box, nothing, texts, values):
    """Offers texts, each with its value, after one for no value. Nobody chooses by scrolling the panel."""
    box.scrollWheelEffect = ctk.ctkComboBox.NeverScroll
    with quiet(box):
        box.clear()
        box.addItem(nothing, "")
        for text, value in zip(texts, values, strict=True):
            box.addItem(text, value)
