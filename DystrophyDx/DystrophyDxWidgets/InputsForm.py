"""The further inputs of a model on the panel: volumes, or frames of a cine."""

import qt
import slicer
from slicer.i18n import tr as _

from DystrophyDxLib.panel.model_inputs import ModelInputs
from DystrophyDxWidgets.helpers import quiet


class InputsForm:
    """Makes a selector for each further volume that the chosen model needs, and for nothing else; of a cine, a box for
    the number of each frame.

    Attributes:
        inputs: of the chosen model.
        channels: selector of each further volume, by the name of the input.
        frames: box of each frame's number, by the name of the input.
    """

    def __init__(self, ui, context):
        self.ui = ui
        self._context = context
        self._cine = None
        self.inputs, self.channels, self.frames = ModelInputs(), {}, {}

    def modelChanged(self):
        """Another model was chosen."""
        self.inputs = ModelInputs.of(self._context.models.chosen) if self._context.load() else ModelInputs()
        self._lay()

    def volumeChanged(self):
        """Asks for volumes or for frames, as the chosen volume is."""
        if self.inputs.takes_frames:
            self._lay()

    def show(self):
        """The volumes that were chosen as further inputs."""
        classification = self._context.classification
        for name, selector in self.channels.items():
            with quiet(selector):
                selector.setCurrentNode(classification.channel(name) if classification is not None else None)
            selector.enabled = classification is not None and not self._context.busy

    def takeFrames(self):
        """Makes volumes of the frames that were chosen, and chooses these. Raises InputError as `Cine.take`."""
        if not self.frames:
            return
        volumes = self._cine.take({name: box.value for name, box in self.frames.items()})
        first, *further = volumes
        self._context.parameters.inputVolume = volumes[first]
        for name in further:
            self._context.classification.set_channel(name, volumes[name])
        self.show()

    def onChannelChanged(self, name, volume):
        if self._context.classification is not None:
            self._context.classification.set_channel(name, volume)

    def _lay(self):
        form = self.ui.channelsFrame.layout()
        for widget in (*self.channels.values(), *self.frames.values()):
            form.removeRow(widget)
        self._cine = self._cineOfVolume()
        self.ui.inputLabel.text = self.inputs.label(of_cine=self._cine is not None)
        self.frames = self._frameBoxes() if self._cine is not None else {}
        self.channels = {} if self.frames else {name: self._selector(name) for name in self.inputs.further}
        for name, box in self.frames.items():
            form.addRow(_("{name}, frame:").format(name=name), box)
        for name, selector in self.channels.items():
            form.addRow(f"{name}:", selector)
        further = bool(self.frames or self.channels)
        self.ui.channelsFrame.visible = further
        self.ui.furtherSection.collapsed = not further
        self.show()

    def _cineOfVolume(self):
        """The cine of which the chosen volume shows a frame, where the model takes frames."""
        if not self.inputs.takes_frames or self._context.volume is None:
            return None
        from DystrophyDxLib.mrml.cines import Cine

        return Cine.of(self._context.volume)

    def _frameBoxes(self):
        """Number of the frame that each input is, as proposed; the views follow when another one is chosen."""
        boxes = {name: qt.QSpinBox() for name in self.inputs.names}
        for box in boxes.values():
            box.setRange(0, len(self._cine) - 1)
        with self._context.reporting():
            for name, number in self._cine.proposed(self.inputs.sample).items():
                boxes[name].value = number
        for box in boxes.values():
            box.connect("valueChanged(int)", self._cine.show)
        return boxes

    def _selector(self, name):
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.showChildNodeTypes = False
        selector.noneEnabled = True
        selector.addEnabled = False
        selector.removeEnabled = False
        selector.setMRMLScene(slicer.mrmlScene)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self.onChannelChanged(name, node))
        return selector
