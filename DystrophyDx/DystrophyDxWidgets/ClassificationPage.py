"""The page "Classification" of the panel."""

import qt
import slicer
from slicer.util import VTKObservationMixin
from vtkmodules.util.misc import calldata_type
from vtkmodules.vtkCommonCore import VTK_OBJECT

from DystrophyDxWidgets.ActionBar import ActionBar
from DystrophyDxWidgets.Context import Context
from DystrophyDxWidgets.Folds import Folds
from DystrophyDxWidgets.HeatmapSection import HeatmapSection
from DystrophyDxWidgets.helpers import makeShortcut, makeTimer, showVolume
from DystrophyDxWidgets.MusclesSection import MusclesSection
from DystrophyDxWidgets.RegionSection import RegionSection
from DystrophyDxWidgets.ReportSection import ReportSection
from DystrophyDxWidgets.ResultSection import ResultSection
from DystrophyDxWidgets.ScrolledPage import ScrolledPage
from DystrophyDxWidgets.StudySection import StudySection


class ClassificationPage(VTKObservationMixin):
    """Lays out the sections above the bar, and follows the scene while the page is shown.

    logic: gives the parameter node of the scene.
    """

    def __init__(self, logic):
        VTKObservationMixin.__init__(self)
        self._logic = logic
        self._guiTags = []
        self._entered = False
        self.context = context = Context()
        self.study, self.result, self.heatmap = StudySection(context), ResultSection(context), HeatmapSection(context)
        self.muscles, self.region, self.report = MusclesSection(context), RegionSection(context), ReportSection(context)
        self.bar = ActionBar(context)
        content = qt.QWidget()
        layout = qt.QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for section in self.sections:
            layout.addWidget(section.widget)
        layout.addStretch(1)
        self._page = ScrolledPage(content, self.bar.widget)
        self.widget = self._page.widget
        context.bringIntoView.connect(self._page.bringIntoView)
        self._folds = Folds(
            {
                "study": self.study.ui.studySection,
                "answer": self.result.ui.resultSection,
                "heatmap": self.heatmap.ui.heatmapSection,
                "muscles": self.muscles.ui.musclesSection,
                "region": self.region.ui.regionSection,
                "report": self.report.ui.reportSection,
            }
        )
        context.changed.connect(self.onChanged)
        self._sceneTimer = makeTimer(0, self.onSceneChanged)  # many changes of the scene in a row are answered once
        self._viewsTimer = makeTimer(0, self.onViewsChanged)
        context.sceneChanged.connect(self._sceneTimer.start)
        self._shortcuts = [
            makeShortcut("F5", self.bar.ui.classifyButton.click, self.widget),
            makeShortcut("F7", self.result.onPreviousImage, self.widget),
            makeShortcut("F8", self.result.onNextImage, self.widget),
            makeShortcut("F9", self.heatmap.ui.heatmapCheckBox.toggle, self.widget),
        ]
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEnd)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEnd)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAddedOrRemoved)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeAddedOrRemoved)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved)
        layoutNode = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        self.addObserver(layoutNode, "ModifiedEvent", self.onLayoutNodeModified)
        self._observeViews()
        context.changed()

    @property
    def sections(self):
        """From top to bottom."""
        return self.study, self.result, self.heatmap, self.muscles, self.region, self.report

    def enter(self):
        """The page is shown."""
        self._entered = True
        self._enableShortcuts(True)
        self._setParameters(self._logic.getParameterNode())
        self.onSceneChanged()
        self.heatmap.onEnter()

    def exit(self):
        """The page is left."""
        if self._entered:
            self.heatmap.onExit()
        self._entered = False
        self._enableShortcuts(False)
        self.region.endEditing()
        self.muscles.endEditing()
        self._setParameters(None)

    def cleanup(self):
        """The panel goes away."""
        self.context.stop()
        self._setParameters(None)
        self.result.cleanup()
        self.region.cleanup()
        self.muscles.cleanup()
        self._sceneTimer.stop()
        self._viewsTimer.stop()
        self._page.cleanup()
        for shortcut in self._shortcuts:
            shortcut.enabled = False
            shortcut.deleteLater()
        self._shortcuts = []
        self.removeObservers()

    def onSceneStartClose(self, caller, event):
        self.context.stop()
        self.region.onSceneClosing()
        self.muscles.onSceneClosing()
        self._setParameters(None)
        self._choose(None)
        self.result.onSceneClosing()

    def onSceneEnd(self, caller, event):
        self.context.unload()
        self._observeViews()
        self.region.onSceneClosed()
        self.muscles.onSceneClosed()
        if self._entered:
            self._setParameters(self._logic.getParameterNode())
            self._sceneTimer.start()
        self.context.changed()

    def onNodeAddedOrRemoved(self, caller, event):
        if slicer.mrmlScene.IsBatchProcessing():
            return
        self._observeViews()
        if self._entered:
            self._sceneTimer.start()

    @calldata_type(VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node):
        """What was found in a volume goes with it; while the volume is there, it is known what that is."""
        if node.IsA("vtkMRMLScalarVolumeNode") and not slicer.mrmlScene.IsBatchProcessing() and self.context.load():
            from DystrophyDxLib.mrml.classification import SceneClassification

            if node is self.context.volume:
                self.context.stop()
                self.region.endEditing()
                self.muscles.endEditing()
            SceneClassification(node).remove()

    def onSceneChanged(self):
        """Chooses a volume where none is chosen, and shows what is there now."""
        if self.context.parameters is None:
            return
        if self.context.busy:  # it is looked at afterwards
            self._sceneTimer.start()
            return
        self.onParametersChanged()
        self.study.suggest()
        self.context.changed()

    def onParametersChanged(self, caller=None, event=None):
        volume = self.context.parameters.inputVolume if self.context.parameters else None
        if volume is self.context.volume:
            self.muscles.showShares()
            return
        self.context.stop()
        self._choose(volume)
        if volume is not None and self.context.load():
            with self.context.reporting():
                self.context.view.show(self.context.classification)
        elif volume is not None:
            showVolume(volume)  # the images can be looked at without packages
        self.context.changed()

    def onVolumeMoved(self, caller, event):
        """Heatmap and legs go with the volume, when it is put under a transform or that is hardened."""
        if self.context.classification is not None and not slicer.mrmlScene.IsBatchProcessing():
            self.context.classification.follow_volume()

    def onChanged(self):
        self._folds.show(self.context.result is not None)
        self._page.fit()

    def onLayoutNodeModified(self, caller, event):
        if self._entered and not slicer.mrmlScene.IsBatchProcessing():
            self.heatmap.onLayoutChangedElsewhere()
        self.heatmap.showLayout()
        self._viewsTimer.start()

    def onViewModified(self, caller, event):
        self._viewsTimer.start()

    def onViewsChanged(self):
        """Also while the page is left: another patient's outlines are nowhere to be seen."""
        if self.context.view is not None and not slicer.mrmlScene.IsBatchProcessing():
            self.context.view.follow()
            self.heatmap.placeLegend()
            self.context.viewsChanged()

    def _observeViews(self):
        for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"):
            for node in slicer.util.getNodesByClass(kind):
                if not self.hasObserver(node, "ModifiedEvent", self.onViewModified):
                    self.addObserver(node, "ModifiedEvent", self.onViewModified)

    def _choose(self, volume):
        """Makes another volume, or none, the one that all sections show."""
        moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        for event, slot in ((moved, self.onVolumeMoved), ("ModifiedEvent", self.onViewModified)):
            if self.context.volume is not None:
                self.removeObserver(self.context.volume, event, slot)
            if volume is not None:
                self.addObserver(volume, event, slot)
        self.context.volume = volume
        self.context.volumeChanged()

    def _setParameters(self, parameters):
        if self.context.parameters is not None:
            for tag in self._guiTags:
                self.context.parameters.disconnectGui(tag)
            self.removeObserver(self.context.parameters.parameterNode, "ModifiedEvent", self.onParametersChanged)
        self.context.parameters = parameters
        if parameters is not None:
            self._guiTags = [parameters.connectGui(section.ui) for section in self.sections]
            self.addObserver(parameters.parameterNode, "ModifiedEvent", self.onParametersChanged)
            self.onParametersChanged()

    def _enableShortcuts(self, enabled):
        for shortcut in self._shortcuts:
            shortcut.enabled = enabled
