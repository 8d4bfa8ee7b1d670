"""The section "Study": which volume is classified, and by which model."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from DystrophyDxWidgets.helpers import loadSample, loadWidget, quiet, reporting, say
from DystrophyDxWidgets.InputsForm import InputsForm


class StudySection:
    """Chooses volume, model and device, and says beside them what could not be read."""

    def __init__(self, context):
        self._context = context
        self.widget, self.ui = loadWidget("StudySection")
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.inputsForm = InputsForm(self.ui, context)
        self._among = []
        self._connect()
        self._listModels()

    def suggest(self):
        """Chooses the likely thigh MRI of the scene where no volume is chosen, and says why."""
        parameters, ui = self._context.parameters, self.ui
        told = bool(ui.suggestionLabel.text)
        if (parameters.inputVolume is not None and not told) or not self.inputsForm.inputs.takes_thighs:
            return
        if slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode") is None or not self._context.load():
            return
        from DystrophyDxLib.panel.suggestion import grey_volumes, suggest_volume

        among = [volume.GetID() for volume in grey_volumes(slicer.mrmlScene)]
        if parameters.inputVolume is not None:
            if among != self._among:
                say(ui.suggestionLabel, "")  # it was chosen among others
            return
        self._among = among
        volume, why = suggest_volume(slicer.mrmlScene)
        if volume is not None:
            parameters.inputVolume = volume
        say(ui.suggestionLabel, why)

    # Volume and model

    def onLoadSample(self):
        with self._refusing():
            self._context.said(_("Reading the sample study…"))
            slicer.app.processEvents()
            self._context.parameters.inputVolume = loadSample()
            self._context.said("")

    def onVolumeChanged(self):
        say(self.ui.suggestionLabel, "")
        say(self.ui.refusalLabel, "")
        self._context.said("")
        self.inputsForm.volumeChanged()

    def onAddModel(self):
        path = qt.QFileDialog.getOpenFileName(
            self.widget, _("Model package"), "", _("Model package (*.zip card.json);;All files (*)")
        )
        if path:
            self.addModel(Path(path))

    def addModel(self, path):
        """Adds a model package to the list and selects it."""
        with self._refusing():
            self._context.models.add(path)
            chosen = self._context.models.chosen
            self._listModels()
            self.ui.modelSelector.currentIndex = self.ui.modelSelector.findData(str(chosen))

    def onModelChanged(self, index):
        self._context.models.chosen = Path(self.ui.modelSelector.itemData(index))
        self.inputsForm.modelChanged()
        if not self.inputsForm.inputs.takes_thighs:
            say(self.ui.suggestionLabel, "")
        self._context.sceneChanged()
        if self.ui.cardButton.checked:
            self._showCard()

    def onCard(self, shown):
        self.ui.cardBrowser.visible = shown
        if shown:
            self._showCard()

    def _showCard(self):
        self.ui.cardBrowser.setHtml("")
        with self._refusing():
            from DystrophyDxLib.models.package import ModelPackage
            from DystrophyDxLib.panel.rich_text import card_html

            self.ui.cardBrowser.setHtml(card_html(ModelPackage.read(self._context.models.chosen).card))

    def onDeviceChanged(self, device):
        self._context.device = device

    def _refusing(self):
        """Says beside volume and model what could not be read."""
        say(self.ui.refusalLabel, "")
        return reporting(lambda text: say(self.ui.refusalLabel, text))

    def _listModels(self):
        selector = self.ui.modelSelector
        with quiet(selector):
            selector.clear()
            for name, path in self._context.models.entries():
                selector.addItem(name, str(path))

    # What is shown

    def onChanged(self):
        self.inputsForm.show()
        self._hideHeatmaps()

    def _hideHeatmaps(self):
        """Heatmaps are not offered as input."""
        if self._context.view is None:
            return
        from DystrophyDxLib.mrml.classification import is_heatmap

        volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        self.ui.inputSelector.sortFilterProxyModel().hiddenNodeIDs = [
            volume.GetID() for volume in volumes if is_heatmap(volume)
        ]

    def onEnabling(self, possible):
        ui = self.ui
        for widget in (ui.inputSelector, ui.sampleButton, ui.modelSelector, ui.addModelButton, ui.deviceSelector):
            widget.enabled = possible.choose

    def _connect(self):
        ui, context = self.ui, self._context
        for button, slot in (
            (ui.sampleButton, self.onLoadSample),
            (ui.addModelButton, self.onAddModel),
        ):
            button.connect("clicked()", slot)
        ui.cardButton.connect("toggled(bool)", self.onCard)
        ui.modelSelector.connect("currentIndexChanged(int)", self.onModelChanged)
        ui.deviceSelector.connect("currentTextChanged(QString)", self.onDeviceChanged)
        context.takingInputs.connect(self.inputsForm.takeFrames)
        context.volumeChanged.connect(self.onVolumeChanged)
        context.changed.connect(self.onChanged)
        context.enabling.connect(self.onEnabling)
