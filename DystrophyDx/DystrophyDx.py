"""The Slicer module: declares itself, and lays out its two pages."""

import sys
import tempfile
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

if not (Path(__file__).parent / "DystrophyDxLib").is_dir():
    # Straight from a checkout, the library lies beside the module's folder.
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from DystrophyDxWidgets.ClassificationPage import ClassificationPage
from DystrophyDxWidgets.Folds import DataProbe
from DystrophyDxWidgets.helpers import RESOURCES, loadSample, registerLayouts
from DystrophyDxWidgets.ParameterNode import ParameterNode
from DystrophyDxWidgets.ReaderStudyPage import ReaderStudyPage

from DystrophyDxLib.files.resources import sample_study


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
        slicer.app.connect("startupCompleted()", registerSampleData)
        slicer.app.connect("startupCompleted()", registerLayouts)


def registerSampleData():
    """Puts the sample study into the module Sample Data."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="DystrophyDx",
        sampleName="Thigh MRI (phantom)",
        uris=sample_study().as_uri(),
        fileNames=sample_study().name,
        nodeNames="Thigh MRI (phantom)",
        thumbnailFileName=str(RESOURCES / "Icons" / "DystrophyDx.png"),
        customDownloader=lambda source: [loadSample()],
    )


class DystrophyDxLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self):
        return ParameterNode(super().getParameterNode())


class DystrophyDxWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = DystrophyDxLogic()
        self._dataProbe = DataProbe()
        self.pages = qt.QTabWidget()
        self.layout.addWidget(self.pages)
        self.classification = ClassificationPage(self.logic)
        self.readerStudy = ReaderStudyPage(self.pages.tabBar(), self.classification.context.models)
        self.pages.addTab(self.classification.widget, _("Classification"))
        self.pages.addTab(self.readerStudy.widget, _("Reader study"))
        self.pages.connect("currentChanged(int)", self.onPageChanged)
        if slicer.util.selectedModule() == self.moduleName:  # reloaded while it is shown: Slicer does not enter it anew
            self.enter()

    def cleanup(self):
        self.readerStudy.cleanup()
        self.classification.cleanup()

    def enter(self):
        self._dataProbe.onEnter()
        self.onPageChanged(self.pages.currentIndex)

    def exit(self):
        self.onPageChanged(-1)
        self._dataProbe.onExit()

    def onPageChanged(self, index):
        """Keys and scene belong to the page that is shown, to none where the panel is left."""
        shown = (self.classification, self.readerStudy)[index] if index >= 0 else None
        for page in (self.classification, self.readerStudy):
            if page is not shown:
                page.exit()
        if shown is not None:
            shown.enter()


class DystrophyDxTest(ScriptedLoadableModuleTest):
    """Load the sample, classify, edit, classify again, save, reload: by the panel's own buttons, in the desktop."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("DystrophyDx")
        self.page = slicer.util.getModuleWidget("DystrophyDx").classification
        study = self.page.study.ui
        study.modelSelector.currentIndex = 0
        missing = self.page.bar.ui.packagesLabel.text
        if missing:
            self.skipTest(missing)

    def runTest(self):
        self.setUp()
        self.test_WholeWay()

    def test_WholeWay(self):
        study, table, region = self.page.study.ui, self.page.result.ui.imagesTable, self.page.region.ui
        bar = self.page.bar.ui
        self.delayDisplay("Load the sample study")
        study.sampleButton.click()
        volume = study.inputSelector.currentNode()
        assert volume is not None
        self.delayDisplay("Classify")
        bar.classifyButton.click()
        classification = self.page.context.classification
        first = classification.result
        assert first is not None, bar.messageLabel.text
        assert table.rowCount == len(first.images)
        assert classification.heatmap is not None
        self.delayDisplay("Correct the region: leave out the slice that is shown")
        table.selectRow(table.rowCount // 2)
        left_out = self.page.context.view.slice
        region.editButton.checked = True
        region.excludeButton.click()
        assert classification.changed_slices == (left_out,)
        self.delayDisplay("Classify again")
        bar.reclassifyButton.click()
        again = classification.result
        assert left_out not in [image.slice for image in again.images]
        assert "Before" in self.page.result.ui.differenceLabel.text
        self.delayDisplay("Save and reload the scene")
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            assert slicer.util.saveScene(path)
            slicer.mrmlScene.Clear()
            assert table.rowCount == 0
            slicer.util.loadScene(path)
        slicer.app.processEvents()
        assert self.page.context.result == again
        assert table.rowCount == len(again.images)
        self.delayDisplay("Test passed")
