"""What the pages of the panel share."""

import contextlib
import logging

import qt
import slicer
from slicer.i18n import tr as _

from DystrophyDxLib.errors import Cancelled, InputError


def say(label, text):
    """Shows a text; a label without one takes no place."""
    label.text = text
    label.visible = bool(text)


@contextlib.contextmanager
def reporting(label):
    """Says in one sentence what went wrong; details are in the log."""
    try:
        yield
    except Cancelled:
        say(label, _("Stopped; everything is as it was."))
    except InputError as error:
        say(label, str(error))
    except ImportError:
        logging.exception("DystrophyDx lacks packages")
        say(label, _("DystrophyDx lacks packages; the page Classification offers to install them."))
    except Exception:
        logging.exception("DystrophyDx failed")
        say(label, _("Something unexpected went wrong; the log (Help, Report a bug) has details."))


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
