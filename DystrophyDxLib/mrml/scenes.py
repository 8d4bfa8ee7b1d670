"""Scenes without an application: a new one, and one that holds a single classification of another."""

from __future__ import annotations

import logging

import slicer
from vtkmodules.util.misc import calldata_type
from vtkmodules.vtkCommonCore import VTK_STRING, vtkCommand, vtkLogger, vtkOutputWindow

from .classification import SceneClassification
from .model_input import CHANNEL

_logger = logging.getLogger(__name__)


def new_scene() -> slicer.vtkMRMLScene:
    """An empty scene with what Slicer's application puts into one: grey colours, slice orientations, layouts, views.

    The views look from the feet, patient right on the left. Slicer opens a file of the scene with one view.
    """
    scene = slicer.vtkMRMLScene()
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
    grey = slicer.vtkMRMLColorTableNode()
    grey.SetTypeToGrey()
    grey.SetSingletonTag("Grey")
    grey.SetSaveWithScene(False)  # every Slicer has it
    scene.AddNode(grey)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    layouts = slicer.vtkMRMLLayoutLogic()
    layouts.SetMRMLScene(scene)
    layouts.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    return scene


def copy_into(scene: slicer.vtkMRMLScene, classification: SceneClassification) -> SceneClassification:
    """Adds a classification to another scene, with all that belongs to it and nothing else; its voxels are shared.

    Left behind are other classifications, file names, the patient tree and DICOM identifiers. The volume gets the name
    that its result tells, which is no identity.
    """
    copies: dict[str, slicer.vtkMRMLNode] = {}
    volume = _copied(classification.volume, scene, copies)
    result = classification.result
    name = result.input.label if result is not None and result.input.label else "MRI"
    for copy in copies.values():
        copy.SetName(copy.GetName().replace(classification.volume.GetName(), name))
    for role in map(volume.GetNthNodeReferenceRole, range(volume.GetNumberOfNodeReferenceRoles())):
        if role.startswith(CHANNEL) and volume.GetNodeReference(role) is not None:
            volume.GetNodeReference(role).SetName(role.removeprefix(CHANNEL))
    return SceneClassification(volume)


def _copied(
    node: slicer.vtkMRMLNode, scene: slicer.vtkMRMLScene, copies: dict[str, slicer.vtkMRMLNode]
) -> slicer.vtkMRMLNode:
    """The copy of `node` in `scene`, with all that it refers to."""
    if node.GetID() in copies:
        return copies[node.GetID()]
    built_in = scene.GetNodeByID(node.GetID()) if node.IsA("vtkMRMLColorNode") else None
    if built_in is not None and built_in.GetName() == node.GetName():
        return built_in
    copy = node.NewInstance()
    copy.CopyContent(node, False)
    copy.SetName(node.GetName() or "")
    copy.SetSaveWithScene(True)
    for name in list(copy.GetAttributeNames()):
        if not name.startswith("DystrophyDx."):
            copy.RemoveAttribute(name)
    copies[node.GetID()] = scene.AddNode(copy)
    for r in range(node.GetNumberOfNodeReferenceRoles()):
        role = node.GetNthNodeReferenceRole(r)
        for n in range(node.GetNumberOfNodeReferences(role)):
            referred = node.GetNthNodeReference(role, n)
            if referred is not None and not referred.IsA("vtkMRMLStorageNode"):
                copy.AddNodeReferenceID(role, _copied(referred, scene, copies).GetID())
    if copy.IsA("vtkMRMLVolumeNode"):
        copy.AddDefaultStorageNode()
        # Else a reopened scene would count the slices of a left-handed volume from the other end.
        copy.GetStorageNode().SetForceRightHandedIJKCoordinateSystem(False)
    return copy


def vtk_messages_to_log() -> None:
    """Sends what VTK has to say to the log of this module at level INFO; not for Slicer, which has a log of its own."""

    @calldata_type(VTK_STRING)
    def log(_window: vtkOutputWindow, _event: str, text: str) -> None:
        _logger.info("%s", text.strip())

    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
    window = vtkOutputWindow.GetInstance()
    window.SetDisplayModeToNever()
    for event in (vtkCommand.ErrorEvent, vtkCommand.WarningEvent):
        window.AddObserver(event, log)
