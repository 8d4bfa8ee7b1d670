"""What the sections of the classification page share."""

import logging

import qt
import slicer

from DystrophyDxLib.panel.dependencies import load_pytorch
from DystrophyDxLib.panel.model_list import ModelList
from DystrophyDxLib.panel.possible import Possible
from DystrophyDxWidgets.helpers import Signal, reporting

MODELS_SETTING = "DystrophyDx/ModelPackages"


class Context:
    """The volume that is shown, its classification, and what happens; all that a section knows of the others.

    Attributes:
        volume: the MRI that is chosen; None where none is.
        parameters: what of the page is kept in the scene; None while the page is left.
        models: `ModelList`.
        device: where the network runs, one of `devices.DEVICES`.
        view: `ClassificationView`; None until `load`.
        actions: `Actions`; None until `load`.
        said: (text) something is to be told to the user; an empty text takes back what was told.
        volumeChanged: another volume was chosen, or none.
        changed: everything is to be shown anew.
        viewsChanged: the slice views may show another slice or volume, or the volume another name.
        enabling: (Possible) what can be pressed may have changed.
        sceneChanged: a volume may have come or gone; this is looked at soon, once for many changes.
        packagesMissing: packages were found missing.
        classifying: a classification begins.
        takingInputs: the inputs that were chosen are to be made ready; may raise `InputError`.
        classified: there is a new answer.
        edited: (text) what of the region is edited and not yet classified; an empty text where all is.
        reclassifying: the images whose region changed are to be classified.
        editing: (section) a section opens the segment editor.
        heatChanged: the heatmap shows the evidence for another class.
        bringIntoView: (widget) is to be seen, however far the page is scrolled.
    """

    def __init__(self):
        self.volume = self.parameters = self.view = self.actions = None
        self.device = "auto"
        self.models = ModelList(
            lambda: qt.QSettings().value(MODELS_SETTING), lambda text: qt.QSettings().setValue(MODELS_SETTING, text)
        )
        self.said, self.volumeChanged, self.changed, self.enabling = Signal(), Signal(), Signal(), Signal()
        self.viewsChanged, self.sceneChanged, self.packagesMissing = Signal(), Signal(), Signal()
        self.classifying, self.takingInputs, self.classified = Signal(), Signal(), Signal()
        self.edited, self.reclassifying, self.bringIntoView = Signal(), Signal(), Signal()
        self.editing, self.heatChanged = Signal(), Signal()

    @property
    def classification(self):
        """That of the chosen volume; None where there is no volume, or nothing of it can be shown here."""
        if self.volume is None or self.view is None or self.volume.GetScene() is None:
            return None
        from DystrophyDxLib.mrml.classification import SceneClassification

        return SceneClassification(self.volume)

    @property
    def result(self):
        """The answer of the chosen volume; None before it is classified."""
        classification = self.classification
        return classification.result if classification is not None else None

    @property
    def heatmap(self):
        """How the heatmap is seen; None while there is none."""
        return self.view.heatmap if self.view is not None else None

    @property
    def busy(self):
        """Whether a classification runs."""
        return self.actions is not None and self.actions.busy

    def enable(self):
        """Tells every section what can be pressed now."""
        classification = self.classification
        possible = Possible(
            busy=self.busy,
            volume=self.volume is not None,
            result=self.result,
            region=classification is not None and classification.segmentation is not None,
            heatmap=self.heatmap is not None,
            overlay=self.view is not None and self.view.overlay,
        )
        self.enabling(possible)

    def reporting(self):
        """Says in one sentence what went wrong within."""
        return reporting(self.said)

    def load(self):
        """Whether results can be shown. That needs no PyTorch, which is imported by the first classification."""
        if self.view is None:
            try:
                from DystrophyDxLib.mrml.classification_view import ClassificationView
                from DystrophyDxLib.panel.actions import Actions
            except ImportError:
                logging.exception("DystrophyDx lacks packages")
                self.packagesMissing()
                return False
            self.view = ClassificationView(slicer.mrmlScene)
            self.actions = Actions(self.view, load_pytorch)
        return True

    def unload(self):
        """The scene was closed: another one has other views."""
        self.view = self.actions = None

    def stop(self):
        """Ends a classification that runs."""
        if self.actions is not None:
            self.actions.stop()
