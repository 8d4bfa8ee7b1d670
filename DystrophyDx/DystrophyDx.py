"""The Slicer module: declares itself and connects its panel to `DystrophyDxLib.mrml`."""

import json
import logging
import sys
import tempfile
from pathlib import Path

import ctk
import qt
import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if not (Path(__file__).parent / "DystrophyDxLib").is_dir():
    # Straight from a checkout, the library lies beside the module's folder.
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from DystrophyDxWidgets.helpers import makeShortcut, makeTimer, quiet, reporting, say
from DystrophyDxWidgets.ReaderStudyPage import ReaderStudyPage

from DystrophyDxLib.errors import InputError

MODELS_SETTING = "DystrophyDx/ModelPackages"


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

    from DystrophyDxLib.resources import sample_study

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="DystrophyDx",
        sampleName="Thigh MRI (phantom)",
        uris=sample_study().as_uri(),
        fileNames=sample_study().name,
        nodeNames="Thigh MRI (phantom)",
        thumbnailFileName=str(Path(__file__).parent / "Resources" / "Icons" / "DystrophyDx.png"),
        customDownloader=lambda source: [DystrophyDxLogic().loadSample()],
    )


def registerLayouts():
    """Lets Slicer know the panel's own layout, so that a scene saved in it opens in it."""
    from DystrophyDxLib.mrml.layouts import register_layouts

    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if node is not None:  # Slicer without a window has none
        register_layouts(node)


@parameterNodeWrapper
class DystrophyDxParameterNode:
    """What the panel shows of a scene; all else lies in the nodes of the classification.

    inputVolume: the thigh MRI whose classification is shown.
    muscles: segments of muscles, for the share of each under the heat.
    autoReclassify: whether an edit of the region is classified by itself.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    muscles: vtkMRMLSegmentationNode
    autoReclassify: bool = False


class DystrophyDxLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self):
        return DystrophyDxParameterNode(super().getParameterNode())

    def loadSample(self):
        """Adds the phantom study that ships with the extension to the scene; returns its volume node."""
        from DystrophyDxLib.mrml.volumes import add_series
        from DystrophyDxLib.resources import sample_study
        from DystrophyDxLib.series.reading import read_study

        return add_series(slicer.mrmlScene, read_study(sample_study()), "Thigh MRI (phantom)")


class DystrophyDxWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/DystrophyDx.ui"))
        self._pages = qt.QTabWidget()
        self._pages.addTab(panel, _("Classification"))
        self.layout.addWidget(self._pages)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = DystrophyDxLogic()
        self._parameters = None
        self._guiTag = None
        self._view = None
        self._bench = None
        self._volume = None
        self._segmentation = None
        self._editor = None
        self._plot = None
        self._report = None
        self._installation = None
        self._sample = None
        self._channels = {}
        self._cine = None
        self._frames = {}
        self._entered = False
        # Many changes of scene or region in a row are answered once.
        self._sceneTimer = makeTimer(0, self.onSceneChanged)
        self._editTimer = makeTimer(500, self.onRegionChanged)
        self._chartTimer = makeTimer(0, self.onPointSelected)
        self._shortcuts = [
            makeShortcut("F5", self.ui.classifyButton.click, self.parent),
            makeShortcut("F7", self.onPreviousImage, self.parent),
            makeShortcut("F8", self.onNextImage, self.parent),
            makeShortcut("F9", self.ui.heatmapCheckBox.toggle, self.parent),
        ]
        self._readerStudy = ReaderStudyPage(
            self.resourcePath("UI/ReaderStudy.ui"), self._pages.tabBar(), self._model, lambda: self._packages().load()
        )
        self._pages.addTab(self._readerStudy.widget, _("Reader study"))
        self._pages.connect("currentChanged(int)", self.onPageChanged)
        self._listModels()
        self._connect()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEnd)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEnd)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAddedOrRemoved)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeAddedOrRemoved)
        layoutNode = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        self.addObserver(layoutNode, "ModifiedEvent", self.onLayoutNodeModified)
        self._checkPackages()
        self._showState()
        if slicer.util.selectedModule() == self.moduleName:  # reloaded while it is shown: Slicer does not enter it anew
            self.enter()

    def cleanup(self):
        self._readerStudy.cleanup()
        self._stop()
        self._setParameters(None)
        self._closeEditor()
        self._detachEditor()
        for timer in (self._sceneTimer, self._editTimer, self._chartTimer):
            timer.stop()
        for shortcut in self._shortcuts:
            shortcut.enabled = False
            shortcut.deleteLater()
        self._shortcuts = []
        self.removeObservers()

    def enter(self):
        self.onPageChanged(self._pages.currentIndex)

    def exit(self):
        self.onPageChanged(-1)

    def onPageChanged(self, index):
        """Keys and scene belong to the page that is shown, to none where the panel is left."""
        if index == 0:
            self._readerStudy.exit()
            self._enterClassification()
        else:
            self._leaveClassification()
            if index == 1:
                self._readerStudy.enter()
            else:
                self._readerStudy.exit()

    def _enterClassification(self):
        self._entered = True
        for shortcut in self._shortcuts:
            shortcut.enabled = True
        self._setParameters(self.logic.getParameterNode())
        self.onSceneChanged()

    def _leaveClassification(self):
        self._entered = False
        for shortcut in self._shortcuts:
            shortcut.enabled = False
        self.ui.editButton.checked = False
        self._setParameters(None)

    # Scene

    def onSceneStartClose(self, caller, event):
        self._stop()
        self.ui.editButton.checked = False
        self._detachEditor()
        self._setParameters(None)
        self._observeRegion(None)
        self._observeVolume(None)
        self._listFrames()
        self._report = None
        for label in (self.ui.suggestionLabel, self.ui.messageLabel):
            say(label, "")
        if self._plot is not None:
            self._plot.setMRMLPlotViewNode(None)

    def onSceneEnd(self, caller, event):
        self._view = None
        self._bench = None
        if self._editor is not None:
            self._editor.setMRMLSegmentEditorNode(self._editorNode())
        if self._entered:
            self._setParameters(self.logic.getParameterNode())
            self._sceneTimer.start()
        self._showState()

    def onNodeAddedOrRemoved(self, caller, event):
        if self._entered and not slicer.mrmlScene.IsBatchProcessing():
            self._sceneTimer.start()

    def onSceneChanged(self):
        """Chooses a volume where none is chosen, and shows what is there now."""
        if self._parameters is None or self._busy:
            return
        self.onParametersChanged()
        if self._parameters.inputVolume is None and self._readsThighs and self._hasVolume() and self._loadLibrary():
            from DystrophyDxLib.panel.suggestion import suggest_volume

            volume, why = suggest_volume(slicer.mrmlScene)
            if volume is not None:
                self._parameters.inputVolume = volume
            say(self.ui.suggestionLabel, why)
        self._showState()

    def onParametersChanged(self, caller=None, event=None):
        volume = self._parameters.inputVolume if self._parameters else None
        if volume is self._volume:
            self._showMuscles()
            return
        self._observeVolume(volume)
        self._stop()
        self._report = None
        self.ui.editButton.checked = False
        say(self.ui.suggestionLabel, "")
        say(self.ui.messageLabel, "")
        self._listFrames()
        if volume is not None and self._loadLibrary():
            with self._reporting():
                self._view.show(self._classification)
        self._showState()

    def _observeVolume(self, volume):
        event = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        if self._volume is not None:
            self.removeObserver(self._volume, event, self.onVolumeMoved)
        if volume is not None:
            self.addObserver(volume, event, self.onVolumeMoved)
        self._volume = volume

    def onVolumeMoved(self, caller, event):
        """Heatmap and legs go with the volume, when it is put under a transform or that is hardened."""
        if self._classification is not None and not slicer.mrmlScene.IsBatchProcessing():
            self._classification.follow_volume()

    # Study

    def onLoadSample(self):
        with self._reporting():
            say(self.ui.messageLabel, _("Reading the sample study…"))
            slicer.app.processEvents()
            self._parameters.inputVolume = self.logic.loadSample()
            say(self.ui.messageLabel, "")

    def onAddModel(self):
        path = qt.QFileDialog.getOpenFileName(
            self.parent, _("Model package"), "", _("Model package (*.zip card.json);;All files (*)")
        )
        if path:
            self.addModel(Path(path).parent if Path(path).name == "card.json" else Path(path))

    def addModel(self, path):
        """Adds a model package to the list, after a look into it, and selects it."""
        with self._reporting():
            from DystrophyDxLib.models.package import ModelPackage

            ModelPackage.read(path)
            known = self._knownModels()
            if str(path) not in known:
                qt.QSettings().setValue(MODELS_SETTING, json.dumps([*known, str(path)]))
            self._listModels()
            self.ui.modelSelector.currentIndex = self.ui.modelSelector.findData(str(path))
            say(self.ui.messageLabel, "")

    def onModelChanged(self, index):
        self._sample = self._sampleOfModel()
        self._listChannels()
        if not self._readsThighs:
            say(self.ui.suggestionLabel, "")
        self._sceneTimer.start()
        if self.ui.cardButton.checked:
            self._showCard()

    def onCard(self, shown):
        self.ui.cardBrowser.visible = shown
        if shown:
            self._showCard()

    def _showCard(self):
        self.ui.cardBrowser.setHtml("")
        with self._reporting():
            from DystrophyDxLib.models.package import ModelPackage
            from DystrophyDxLib.panel.rich_text import card_html

            self.ui.cardBrowser.setHtml(card_html(ModelPackage.read(self._model()).card))

    def _listChannels(self):
        """Makes a selector for each further volume that the chosen model needs, and for nothing else; of a cine, a box
        for the number of each frame."""
        form = self.ui.channelsFrame.layout()
        for widget in (*self._channels.values(), *self._frames.values()):
            form.removeRow(widget)
        first, *further = self._inputs()
        self._cine = self._cineOfVolume()
        self.ui.inputLabel.text = _("Cine:") if self._cine is not None else f"{first}:"
        self._frames = self._frameBoxes() if self._cine is not None else {}
        self._channels = {} if self._frames else {name: self._channelSelector(name) for name in further}
        for name, box in self._frames.items():
            form.addRow(_("{name}, frame:").format(name=name), box)
        for name, selector in self._channels.items():
            form.addRow(f"{name}:", selector)
        self.ui.channelsFrame.visible = bool(self._frames or self._channels)
        self._showChannels()

    def _sampleOfModel(self):
        """What the chosen model takes; None where its package cannot be read, which is said when it is used."""
        if not self._loadLibrary():
            return None
        from DystrophyDxLib.models.package import ModelPackage

        try:
            return ModelPackage.read(self._model()).recipe.sample
        except InputError:
            return None

    def _inputs(self):
        """Names of the chosen model's inputs."""
        names = [channel.name for channel in self._sample.channels] if self._sample is not None else []
        return [_("Thigh MRI")] if self._readsThighs and len(names) < 2 else names

    @property
    def _readsThighs(self):
        """Whether the chosen model's first input is a T1-weighted thigh MRI, as that of the demonstration model."""
        return self._sample is None or self._sample.expects == "t1_thigh"

    def _listFrames(self):
        """Asks for volumes or for frames, as the chosen volume is."""
        if self._sample is not None and self._sample.of_cine:
            self._listChannels()

    def _cineOfVolume(self):
        """The cine of which the chosen volume shows a frame, where the model takes frames."""
        if self._sample is None or not self._sample.of_cine or self._volume is None:
            return None
        from DystrophyDxLib.mrml.cines import Cine

        return Cine.of(self._volume)

    def _frameBoxes(self):
        """Number of the frame that each input is, as proposed; the views follow when another one is chosen."""
        boxes = {channel.name: qt.QSpinBox() for channel in self._sample.channels}
        for box in boxes.values():
            box.setRange(0, len(self._cine) - 1)
        with self._reporting():
            for name, number in self._cine.proposed(self._sample).items():
                boxes[name].value = number
        for box in boxes.values():
            box.connect("valueChanged(int)", self._cine.show)
        return boxes

    def _takeFrames(self):
        """Makes volumes of the chosen frames, and chooses these."""
        volumes = self._cine.take({name: box.value for name, box in self._frames.items()})
        first, *further = volumes
        self._parameters.inputVolume = volumes[first]
        for name in further:
            self._classification.set_channel(name, volumes[name])
        self._showChannels()

    def _channelSelector(self, name):
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.showChildNodeTypes = False
        selector.noneEnabled = True
        selector.addEnabled = False
        selector.removeEnabled = False
        selector.setMRMLScene(slicer.mrmlScene)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self.onChannelChanged(name, node))
        return selector

    def onChannelChanged(self, name, volume):
        if self._classification is not None:
            self._classification.set_channel(name, volume)

    def _listModels(self):
        selector = self.ui.modelSelector
        selector.blockSignals(True)
        selector.clear()
        selector.addItem(_("Demonstration model"), "")
        for path in self._knownModels():
            selector.addItem(Path(path).name, path)
        selector.blockSignals(False)

    def _knownModels(self):
        return json.loads(qt.QSettings().value(MODELS_SETTING) or "[]")

    def _model(self):
        from DystrophyDxLib.resources import embedded_model

        path = self.ui.modelSelector.currentData
        return Path(path) if path else embedded_model()

    # Packages

    def _checkPackages(self):
        """Says what is missing in Slicer's Python; nothing heavy is imported for it."""
        self._installation = None
        say(self.ui.packagesLabel, "")
        try:
            self._installation = self._packages().missing()
            if self._installation is not None:
                say(self.ui.packagesLabel, self._installation.question)
        except InputError as error:
            say(self.ui.packagesLabel, str(error))
        except Exception:
            logging.exception("DystrophyDx could not look for the packages it needs")
            say(self.ui.packagesLabel, _("DystrophyDx needs Slicer 5.12 or later."))
        self.ui.packagesFrame.visible = bool(self.ui.packagesLabel.text)
        self.ui.installButton.visible = self._installation is not None
        return not self.ui.packagesLabel.text

    def _packages(self):
        from DystrophyDxLib.panel.dependencies import Dependencies

        return Dependencies.of_slicer(Path(self.resourcePath("requirements.txt")))

    def onInstall(self):
        with self._reporting():
            say(self.ui.messageLabel, _("Installing; this can take minutes…"))
            slicer.app.processEvents()
            self._packages().install(self._installation)
            say(self.ui.messageLabel, _("Everything is installed."))
        self._checkPackages()
        self.onSceneChanged()

    def _loadLibrary(self):
        """Whether results can be shown. That needs no PyTorch, which is imported by the first classification."""
        if self._bench is None:
            try:
                from DystrophyDxLib.mrml.classification_view import ClassificationView
                from DystrophyDxLib.panel.actions import Workbench
            except ImportError:
                logging.exception("DystrophyDx lacks packages")
                self._checkPackages()
                return False
            self._view = ClassificationView(slicer.mrmlScene)
            self._bench = Workbench(self._view, lambda: self._packages().load())
        return True

    @property
    def _busy(self):
        return self._bench is not None and self._bench.busy

    # Classification

    def onClassify(self):
        self._classify("classify")

    def onReclassify(self):
        self._classify("reclassify")

    def _classify(self, what):
        if self._volume is None or self._busy:
            return
        if not self._checkPackages() or not self._loadLibrary():
            say(self.ui.messageLabel, self.ui.packagesLabel.text)
            return
        self._report = None
        with self._reporting():
            try:
                if self._frames:
                    self._takeFrames()
                run = getattr(self._bench, what)
                run(self._volume, self._model(), self.ui.deviceSelector.currentText, self._onProgress)
            finally:
                self.ui.progressFrame.visible = False
        self._sceneTimer.start()
        self._showState()

    def _onProgress(self, done, total):
        if not self.ui.progressFrame.visible:
            say(self.ui.messageLabel, "")
            self.ui.progressFrame.visible = True
            self._enable()
        self.ui.progressBar.setRange(0, total)
        self.ui.progressBar.setValue(done)
        self.ui.progressBar.setFormat(_("{done} of {total} images").format(done=done, total=total))
        slicer.app.processEvents()

    def onCancel(self):
        self._stop()

    def _stop(self):
        if self._bench is not None:
            self._bench.stop()

    def _reporting(self):
        return reporting(self.ui.messageLabel)

    # Images

    def onRowSelected(self):
        items = self.ui.imagesTable.selectedItems()
        if items and self._classification is not None and self._classification.result is not None:
            self._view.go_to(self._classification.result.images[self._imageOfRow(items[0].row())])

    def onNextImage(self):
        self._step("next_image")

    def onPreviousImage(self):
        self._step("previous_image")

    def _step(self, step):
        if self._classification is not None and self._classification.result is not None:
            self._select(getattr(self._view, step)())

    def _select(self, image):
        """Selects the row of an image."""
        if image is None:
            return
        number = self._classification.result.images.index(image)
        table = self.ui.imagesTable
        for row in range(table.rowCount):
            if self._imageOfRow(row) == number:
                table.selectRow(row)

    def _imageOfRow(self, row):
        return self.ui.imagesTable.item(row, 0).data(qt.Qt.UserRole)

    def onChartSelected(self, seriesIDs, selections):
        # The view tells of a click before the point that was clicked is in the selection.
        self._chartTimer.start()

    def onPointSelected(self):
        """Shows the image of the point that was clicked."""
        chart = self._plot.chart()
        for n in range(chart.GetNumberOfPlots()):
            selection = chart.GetPlot(n).GetSelection()
            if selection is not None and selection.GetNumberOfValues() and self._classification is not None:
                self._select(self._imageOfPoint(chart.GetPlot(n).GetLabel(), selection.GetValue(0)))
                break
        self._plot.RemovePlotSelections()

    def _imageOfPoint(self, name, point):
        chart = self._classification.chart
        for n in range(chart.GetNumberOfPlotSeriesNodes() if chart is not None else 0):
            series = chart.GetNthPlotSeriesNode(n)
            if series.GetName() == name:
                return self._classification.image_of_point(series, point)
        return None

    # Heatmap

    def onHeatmapToggled(self, shown):
        if self._view is not None:
            self._view.overlay = shown
        self._enable()

    def onOpacityChanged(self, value):
        if self._view is not None:
            self._view.opacity = value

    def onThresholdChanged(self, value):
        if self._heatmap is not None:
            self._heatmap.threshold = value

    def onLegendToggled(self, shown):
        if self._heatmap is not None:
            self._heatmap.legend = shown

    def onClassChanged(self, index):
        if self._heatmap is not None and index >= 0:
            with self._reporting():
                self._view.shown_class = index
            self._showHeatmap()
            self._showMuscles()

    def onLayoutChanged(self, index):
        if index > 0 and self._loadLibrary():
            self._view.layout = self._layouts()[index]
            slicer.app.processEvents()  # the views take their sizes, each with a zoom of its own
            self._view.fit_again()

    def onLayoutNodeModified(self, caller, event):
        """The views may also be arranged by Slicer's own means."""
        self._showLayout()

    # Region

    def onEdit(self, edited):
        if edited and self._classification is not None and self._classification.segmentation is not None:
            self._openEditor()
        else:
            self._closeEditor()
        self.ui.editorFrame.visible = edited

    def _openEditor(self):
        if self._editor is None:
            editor = slicer.qMRMLSegmentEditorWidget()
            editor.setMRMLScene(slicer.mrmlScene)
            editor.setEffectNameOrder(["Paint", "Draw", "Erase", "Scissors", "Islands"])
            editor.unorderedEffectsVisible = False
            editor.maximumNumberOfUndoStates = 20
            editor.segmentationNodeSelectorVisible = False
            editor.sourceVolumeNodeSelectorVisible = False
            editor.switchToSegmentationsButtonVisible = False
            self.ui.editorFrame.layout().addWidget(editor)
            self._editor = editor
        self._editor.setMRMLSegmentEditorNode(self._editorNode())
        self._editor.setSegmentationNode(self._classification.segmentation)
        self._editor.setSourceVolumeNode(self._volume)
        self._editor.setupViewObservations()
        self._editor.installKeyboardShortcuts()

    def _closeEditor(self):
        if self._editor is not None:
            self._editor.setActiveEffect(None)
            self._editor.uninstallKeyboardShortcuts()
            self._editor.removeViewObservations()
            self._editor.setSegmentationNode(None)

    def _detachEditor(self):
        """Without its node the editor ignores the views. An effect stays active while a scene is closed, and would be
        told of views whose parts are gone, which ends Slicer."""
        if self._editor is not None:
            self._editor.setMRMLSegmentEditorNode(None)

    def _checkEdited(self, classification):
        """Ends the correction of a region that was deleted; the editor turns to another one and shows its volume."""
        if self.ui.editButton.checked and (classification is None or classification.segmentation is None):
            self.ui.editButton.checked = False
            if classification is not None:
                self._view.show(classification)

    def _editorNode(self):
        """Own settings of the editor, so that those of the module Segment Editor stay as they are."""
        node = slicer.mrmlScene.GetSingletonNode("DystrophyDx", "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag("DystrophyDx")
            node = slicer.mrmlScene.AddNode(node)
        return node

    def onExclude(self):
        self._editRegion(lambda classification: classification.exclude(self._view.slice))

    def onResetSlice(self):
        self._editRegion(lambda classification: classification.reset(slice=self._view.slice))

    def onResetLeft(self):
        self._resetSide("LEFT")

    def onResetRight(self):
        self._resetSide("RIGHT")

    def _resetSide(self, name):
        from DystrophyDxLib.regions.windows import Side

        self._editRegion(lambda classification: classification.reset(side=Side[name]))

    def onResetAll(self):
        self._editRegion(lambda classification: classification.reset())

    def _editRegion(self, edit):
        with self._reporting():
            if self._editor is not None and self.ui.editButton.checked:
                self._editor.saveStateForUndo()
            edit(self._classification)
        self._showState()

    def _observeRegion(self, segmentation):
        if segmentation is self._segmentation:
            return
        events = (
            slicer.vtkSegmentation.SourceRepresentationModified,
            slicer.vtkSegmentation.SegmentAdded,
            slicer.vtkSegmentation.SegmentRemoved,
            slicer.vtkSegmentation.SegmentModified,
        )
        for event in events:
            if self._segmentation is not None:
                self.removeObserver(self._segmentation, event, self.onRegionModified)
            if segmentation is not None:
                self.addObserver(segmentation, event, self.onRegionModified)
        self._segmentation = segmentation

    def onRegionModified(self, caller, event):
        self._editTimer.start()

    def onRegionChanged(self):
        """Half a second after the last edit."""
        if self._classification is None or self._busy:
            return
        self._showPending()
        if self._parameters is not None and self._parameters.autoReclassify and self._classification.pending:
            self.onReclassify()

    # Report

    def onReport(self):
        folder = self.ui.folderSelector.currentPath
        if not folder:
            say(self.ui.reportLabel, _("Choose a folder for the report."))
            return
        say(self.ui.reportLabel, "")
        say(self.ui.messageLabel, "")
        with self._reporting():
            from DystrophyDxLib.panel.actions import holds_report

            overwrite = holds_report(Path(folder))
            question = _("The folder holds an earlier report. Replace it?")
            if overwrite and not slicer.util.confirmOkCancelDisplay(question, "DystrophyDx"):
                return
            models = [self._model(), *map(Path, self._knownModels())]
            self._report = self._bench.write_report(self._volume, models, Path(folder), overwrite)
            self.ui.folderSelector.addCurrentPathToHistory()
            say(self.ui.reportLabel, _("Report: {path}").format(path=self._report))
        self._enable()

    def onOpenReport(self):
        if self._report is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._report)))

    def onCopy(self):
        from DystrophyDxLib.panel.rich_text import summary_in_two_lines

        slicer.app.clipboard().setText(summary_in_two_lines(self._classification.result))
        say(self.ui.reportLabel, _("The summary is on the clipboard."))

    # What is shown

    @property
    def _classification(self):
        """What the chosen volume carries; None where there is none, or results cannot be shown here."""
        if self._volume is None or self._view is None or self._volume.GetScene() is None:
            return None
        from DystrophyDxLib.mrml.classification import SceneClassification

        return SceneClassification(self._volume)

    @property
    def _heatmap(self):
        return self._view.heatmap if self._view is not None else None

    def _showState(self):
        classification = self._classification
        self._checkEdited(classification)
        result = classification.result if classification is not None else None
        self._showChannels()
        self._showAnswer(classification, result)
        self._showImages(result)
        self._showChart(classification)
        self._showHeatmap()
        self._hideOwnNodes()
        self._showMuscles()
        self._observeRegion(classification.segmentation if classification is not None else None)
        self._showPending()

    def _showChannels(self):
        """The volumes that were chosen as further inputs of the classification."""
        classification = self._classification
        for name, selector in self._channels.items():
            with quiet(selector):
                selector.setCurrentNode(classification.channel(name) if classification is not None else None)
            selector.enabled = classification is not None and not self._busy

    def _showAnswer(self, classification, result):
        ui = self.ui
        for label in (ui.answerLabel, ui.barLabel, ui.figuresLabel, ui.differenceLabel, ui.warningsLabel):
            say(label, "")
        if result is None:
            say(ui.answerLabel, _("Not classified yet."))
            return
        from DystrophyDxLib.panel import rich_text

        say(self.ui.answerLabel, rich_text.answer_html(result))
        say(self.ui.barLabel, rich_text.bar_html(result))
        say(self.ui.figuresLabel, rich_text.figures(result))
        say(self.ui.warningsLabel, rich_text.warnings_html(result))
        if classification.result_before is not None:
            say(self.ui.differenceLabel, rich_text.difference(result, classification.result_before))

    def _showImages(self, result):
        table = self.ui.imagesTable
        table.blockSignals(True)
        table.setSortingEnabled(False)
        images = result.images if result is not None else ()
        table.setRowCount(len(images))
        for row, image in enumerate(images):
            anatomy = image.anatomy if image.counted else _("{anatomy}, not counted").format(anatomy=image.anatomy)
            region = _("edited") if image.roi == "edited" else _("automatic")
            slices = _ranges(image.shown) if image.slices else image.slice
            cells = (slices, image.side, f"{image.probability:.3f}", region, anatomy)
            for column, value in enumerate(cells):
                item = qt.QTableWidgetItem()
                item.setData(qt.Qt.DisplayRole, value)
                item.setData(qt.Qt.UserRole, row)
                table.setItem(row, column, item)
        table.setSortingEnabled(True)
        table.resizeColumnsToContents()
        table.blockSignals(False)

    def _showChart(self, classification):
        chart = classification.chart if classification is not None else None
        self.ui.chartFrame.visible = chart is not None
        if chart is None:
            return
        if self._plot is None:
            self._plot = slicer.qMRMLPlotView()
            self._plot.setMRMLScene(slicer.mrmlScene)
            self._plot.chart().GetLegend().SetInline(False)  # else it covers the end of the curves
            self._plot.connect("dataSelected(vtkStringArray*,vtkCollection*)", self.onChartSelected)
            self.ui.chartFrame.layout().addWidget(self._plot)
        # Not in the scene: Slicer would make another view for it. So the view is told of each new chart.
        node = slicer.vtkMRMLPlotViewNode()
        node.SetPlotChartNodeID(chart.GetID())
        self._plotNode = node
        self._plot.setMRMLPlotViewNode(node)

    def _showHeatmap(self):
        heatmap, view, ui = self._heatmap, self._view, self.ui
        if heatmap is not None:
            with quiet(ui.heatmapCheckBox, ui.legendCheckBox, ui.classSelector):
                with quiet(ui.opacitySlider, ui.thresholdSlider):
                    ui.opacitySlider.value = view.opacity
                    ui.thresholdSlider.value = heatmap.threshold
                ui.heatmapCheckBox.checked = view.overlay
                ui.legendCheckBox.checked = heatmap.legend
                ui.classSelector.clear()
                ui.classSelector.addItems(list(view.classes))
                ui.classSelector.currentIndex = view.shown_class
        self._showLayout()
        self._enable()

    def _showLayout(self):
        if self._view is not None:
            with quiet(self.ui.layoutSelector):
                self.ui.layoutSelector.currentIndex = self._layouts().index(self._view.layout)

    def _layouts(self):
        from DystrophyDxLib.mrml.classification_view import Layout

        return [None, Layout.OVERLAY, Layout.SIDE_BY_SIDE]

    def _hideOwnNodes(self):
        """Heatmaps are not offered as input, nor legs as muscles; without other segmentations none is asked for."""
        if self._view is None:
            return
        from DystrophyDxLib.mrml.classification import SceneClassification, is_heatmap

        maps = filter(is_heatmap, slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
        legs = [classification.segmentation for classification in SceneClassification.of(slicer.mrmlScene)]
        for selector, nodes in ((self.ui.inputSelector, maps), (self.ui.musclesSelector, legs)):
            selector.sortFilterProxyModel().hiddenNodeIDs = [node.GetID() for node in nodes if node is not None]
        others = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") - sum(map(bool, legs))
        self.ui.musclesFrame.visible = others > 0

    def _showMuscles(self):
        """The share of each muscle under the heat that is seen."""
        classification, muscles = self._classification, self._parameters.muscles if self._parameters else None
        self.ui.musclesLabel.text = ""
        if (
            muscles is None
            or classification is None
            or classification.result is None
            or classification.segmentation is None
        ):
            return
        from DystrophyDxLib.panel.rich_text import muscles_html

        try:
            self.ui.musclesLabel.text = muscles_html(classification.texture_scores(muscles))
        except InputError as error:
            self.ui.musclesLabel.text = str(error)

    def _showPending(self):
        classification = self._classification
        changed = classification.changed_slices if classification is not None else ()
        one, more = _("Edited since the result: slice {slices}."), _("Edited since the result: slices {slices}.")
        text = (one if len(changed) == 1 else more).format(slices=_ranges(changed)) if changed else ""
        say(self.ui.pendingLabel, text)
        self._enable()

    def _enable(self):
        """Enables what can be done now."""
        ui, classification = self.ui, self._classification
        idle = not self._busy
        result = idle and classification is not None and classification.result is not None
        region = result and classification.segmentation is not None
        for widget in (ui.inputSelector, ui.sampleButton, ui.modelSelector, ui.addModelButton, ui.deviceSelector):
            widget.enabled = idle
        ui.classifyButton.enabled = idle and self._volume is not None
        ui.imagesTable.enabled = bool(result)
        for widget in (ui.previousButton, ui.nextButton, ui.reportButton, ui.copyButton):
            widget.enabled = bool(result)
        for widget in (ui.editButton, ui.excludeButton, ui.autoReclassifyCheckBox):
            widget.enabled = bool(region)
        for widget in (ui.resetSliceButton, ui.resetAllButton):
            widget.enabled = bool(result)
        for widget in (ui.resetLeftButton, ui.resetRightButton):
            widget.enabled = bool(result) and any(image.side != "none" for image in classification.result.images)
        ui.reclassifyButton.enabled = bool(region and ui.pendingLabel.text)
        ui.openButton.enabled = idle and self._report is not None
        shown = self._heatmap is not None
        ui.heatmapCheckBox.enabled = shown
        for widget in (ui.legendCheckBox, ui.opacitySlider, ui.thresholdSlider, ui.classSelector):
            widget.enabled = shown and self._view.overlay
        ui.layoutSelector.enabled = self._volume is not None

    # Helpers

    def _connect(self):
        ui = self.ui
        for button, slot in (
            (ui.sampleButton, self.onLoadSample),
            (ui.addModelButton, self.onAddModel),
            (ui.installButton, self.onInstall),
            (ui.classifyButton, self.onClassify),
            (ui.cancelButton, self.onCancel),
            (ui.previousButton, self.onPreviousImage),
            (ui.nextButton, self.onNextImage),
            (ui.excludeButton, self.onExclude),
            (ui.resetSliceButton, self.onResetSlice),
            (ui.resetLeftButton, self.onResetLeft),
            (ui.resetRightButton, self.onResetRight),
            (ui.resetAllButton, self.onResetAll),
            (ui.reclassifyButton, self.onReclassify),
            (ui.reportButton, self.onReport),
            (ui.openButton, self.onOpenReport),
            (ui.copyButton, self.onCopy),
        ):
            button.connect("clicked()", slot)
        ui.cardButton.connect("toggled(bool)", self.onCard)
        ui.editButton.connect("toggled(bool)", self.onEdit)
        ui.heatmapCheckBox.connect("toggled(bool)", self.onHeatmapToggled)
        ui.legendCheckBox.connect("toggled(bool)", self.onLegendToggled)
        ui.opacitySlider.connect("valueChanged(double)", self.onOpacityChanged)
        ui.thresholdSlider.connect("valueChanged(double)", self.onThresholdChanged)
        ui.modelSelector.connect("currentIndexChanged(int)", self.onModelChanged)
        ui.classSelector.connect("currentIndexChanged(int)", self.onClassChanged)
        ui.layoutSelector.connect("currentIndexChanged(int)", self.onLayoutChanged)
        ui.imagesTable.connect("itemSelectionChanged()", self.onRowSelected)
        ui.folderSelector.filters = ctk.ctkPathLineEdit.Dirs
        ui.layoutSelector.addItems([_("As they are"), _("Heatmap over the MRI"), _("MRI beside the heatmap")])

    def _setParameters(self, parameters):
        if self._parameters is not None:
            self._parameters.disconnectGui(self._guiTag)
            self.removeObserver(self._parameters.parameterNode, "ModifiedEvent", self.onParametersChanged)
        self._parameters = parameters
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            self.addObserver(parameters.parameterNode, "ModifiedEvent", self.onParametersChanged)
            self.onParametersChanged()

    def _hasVolume(self):
        return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode") is not None


def _ranges(numbers):
    """Ascending numbers in short: 3 to 5, 9."""
    runs = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)


class DystrophyDxTest(ScriptedLoadableModuleTest):
    """Load the sample, classify, edit, classify again, save, reload: by the panel's own buttons, in the desktop."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("DystrophyDx")
        self.widget = slicer.util.getModuleWidget("DystrophyDx")
        self.widget.ui.modelSelector.currentIndex = 0
        if self.widget.ui.packagesLabel.text:
            self.skipTest(self.widget.ui.packagesLabel.text)

    def runTest(self):
        self.setUp()
        self.test_WholeWay()

    def test_WholeWay(self):
        ui = self.widget.ui
        self.delayDisplay("Load the sample study")
        ui.sampleButton.click()
        volume = ui.inputSelector.currentNode()
        assert volume is not None

        self.delayDisplay("Classify")
        ui.classifyButton.click()
        classification = self.widget._classification
        first = classification.result
        assert first is not None, ui.messageLabel.text
        assert ui.imagesTable.rowCount == len(first.images)
        assert classification.heatmap is not None

        self.delayDisplay("Correct the region: leave out the slice that is shown")
        ui.imagesTable.selectRow(ui.imagesTable.rowCount // 2)
        left_out = self.widget._view.slice
        ui.editButton.checked = True
        ui.excludeButton.click()
        assert classification.changed_slices == (left_out,)

        self.delayDisplay("Classify again")
        ui.reclassifyButton.click()
        again = classification.result
        assert left_out not in [image.slice for image in again.images]
        assert "Before" in ui.differenceLabel.text

        self.delayDisplay("Save and reload the scene")
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            assert slicer.util.saveScene(path)
            slicer.mrmlScene.Clear()
            assert ui.imagesTable.rowCount == 0
            slicer.util.loadScene(path)
        slicer.app.processEvents()
        assert self.widget._classification.result == again
        assert ui.imagesTable.rowCount == len(again.images)
        self.delayDisplay("Test passed")
