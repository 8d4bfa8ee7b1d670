"""The Slicer module: declares itself and connects its panel to `DystrophyDxLib.mrml`."""

import logging
import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)

if not (Path(__file__).parent / "DystrophyDxLib").is_dir():
    # Straight from a checkout, the library lies beside the module's folder.
    sys.path.append(str(Path(__file__).resolve().parents[1]))


class DystrophyDx(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "DystrophyDx"
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Classification")]
        self.parent.dependencies = []
        self.parent.contributors = ["DystrophyDx founders"]
        self.parent.helpText = _(
            "How likely a dystrophinopathy (Duchenne or Becker) is in a thigh MRI, and where in the image that answer "
            "comes from. For research only, not for diagnosis."
        )
        self.parent.acknowledgementText = _("Method: Yang, Zheng et al., BMC Neurology 2021;21:13.")


class DystrophyDxWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/DystrophyDx.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = DystrophyDxLogic(self.resourcePath("requirements.txt"))
        self.ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onInputChanged)
        self.ui.classifyButton.connect("clicked(bool)", self.onClassify)
        self.onInputChanged(self.ui.inputSelector.currentNode())

    def onInputChanged(self, node):
        self.ui.classifyButton.enabled = node is not None

    def onClassify(self):
        self.ui.resultLabel.text = _("Classifying…")
        slicer.app.processEvents()
        self.ui.resultLabel.text = self.logic.classify(self.ui.inputSelector.currentNode())


class DystrophyDxLogic(ScriptedLoadableModuleLogic):
    """Answers in one text, whatever happens; details of a failure are in the log.

    Args:
        requirements: path of requirements.txt.
    """

    def __init__(self, requirements=None):
        ScriptedLoadableModuleLogic.__init__(self)
        self._requirements = requirements

    def classify(self, volume):
        """Classifies a scalar volume node and shows the heatmap over it; returns what the panel says."""
        if not self._hasPyTorch():
            return _("PyTorch is missing: install the PyTorch extension, then PyTorch with its module, and try again.")
        try:
            import slicer.packaging

            slicer.packaging.pip_ensure(slicer.packaging.load_requirements(self._requirements), requester="DystrophyDx")
            from DystrophyDxLib.errors import InputError
            from DystrophyDxLib.mrml.classify_volume import classify_volume
            from DystrophyDxLib.report import summary
        except Exception as error:
            logging.exception("DystrophyDx could not load its library")
            return _("The packages that DystrophyDx needs are not there: {error}").format(error=error)
        try:
            _study, classification = classify_volume(volume)
        except InputError as error:
            return str(error)
        except Exception:
            logging.exception("DystrophyDx could not classify the volume")
            return _("Something unexpected went wrong; the log (Help, Report a bug) has the details.")
        return summary(classification.result)

    def _hasPyTorch(self):
        try:
            import torch  # noqa: F401
            import torchvision  # noqa: F401
        except ImportError:
            return False
        return True
