"""Slicer's segment editor in the panel."""

import slicer

EFFECTS = ["Paint", "Draw", "Erase", "Scissors", "Islands"]


class RegionEditor:
    """Made when it is first opened, with settings of its own: those of the module Segment Editor stay as they are.

    frame: where it is shown.
    settings: singleton tag of the node that keeps them.

    Attributes:
        widget: the editor; None before it is opened.
    """

    def __init__(self, frame, settings="DystrophyDx"):
        self._frame = frame
        self._tag = settings
        self.widget = None

    def open(self, segmentation, volume):
        """Corrects a segmentation over the images of a volume."""
        if self.widget is None:
            self.widget = self._make()
        self.attach()
        self.widget.setSegmentationNode(segmentation)
        self.widget.setSourceVolumeNode(volume)
        self.widget.setupViewObservations()
        self.widget.installKeyboardShortcuts()

    def close(self):
        if self.widget is not None:
            self.widget.setActiveEffect(None)
            self.widget.uninstallKeyboardShortcuts()
            self.widget.removeViewObservations()
            self.widget.setSegmentationNode(None)

    def attach(self):
        """Gives the editor its settings, which lie in the scene."""
        if self.widget is not None:
            self.widget.setMRMLSegmentEditorNode(self._settings())

    def detach(self):
        """Without its node the editor ignores the views. An effect stays active while a scene is closed, and would be
        told of views whose parts are gone, which ends Slicer."""
        if self.widget is not None:
            self.widget.setMRMLSegmentEditorNode(None)

    def saveStateForUndo(self):
        if self.widget is not None:
            self.widget.saveStateForUndo()

    def _make(self):
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.setMRMLScene(slicer.mrmlScene)
        editor.setEffectNameOrder(EFFECTS)
        editor.unorderedEffectsVisible = False
        editor.maximumNumberOfUndoStates = 20
        editor.segmentationNodeSelectorVisible = False
        editor.sourceVolumeNodeSelectorVisible = False
        editor.switchToSegmentationsButtonVisible = False
        self._frame.layout().addWidget(editor)
        return editor

    def _settings(self):
        node = slicer.mrmlScene.GetSingletonNode(self._tag, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag(self._tag)
            node = slicer.mrmlScene.AddNode(node)
        return node
