"""What lies in the slice views of a scene: volumes, and over each the heatmap and the outlines that are its own."""

from __future__ import annotations

import slicer

from .classification import SceneClassification
from .model_input import CHANNEL
from .nodes import nodes_of_class

Layers = dict[str, tuple[str | None, str | None]]
"""IDs of the background and foreground volume by that of the composite node of the view."""


def layers(scene: slicer.vtkMRMLScene) -> Layers:
    """What the slice views show."""
    return {
        composite.GetID(): (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID())
        for composite in _composites(scene)
    }


def set_layers(scene: slicer.vtkMRMLScene, layers: Layers) -> None:
    """Lets the slice views show what they showed; planes and zoom stay."""
    for name, (background, foreground) in layers.items():
        composite = scene.GetNodeByID(name)
        if composite is not None:
            composite.SetBackgroundVolumeID(background)
            composite.SetForegroundVolumeID(foreground)
    update_legends(scene)


def update_legends(scene: slicer.vtkMRMLScene) -> None:
    """A legend shows itself only where its heatmap is, but does not notice that this changed."""
    for legend in nodes_of_class(scene, "vtkMRMLColorLegendDisplayNode"):
        legend.Modified()


def keep_with_images(scene: slicer.vtkMRMLScene) -> None:
    """Takes heatmaps and outlines out of the slice views whose volume is not the one that was classified, as when
    Slicer has shown another one there, and lets outlines be seen where it is."""
    views = {view.GetLayoutName(): view.GetID() for view in nodes_of_class(scene, "vtkMRMLSliceNode")}
    in_space = [view.GetID() for view in nodes_of_class(scene, "vtkMRMLViewNode")]
    for classification in SceneClassification.of(scene):
        own, heatmap = _own(classification), classification.heatmap
        shown_in = []
        for composite in _composites(scene):
            if composite.GetBackgroundVolumeID() in own:
                shown_in += [view for name, view in views.items() if name == composite.GetLayoutName()]
            elif heatmap is not None and composite.GetForegroundVolumeID() == heatmap.GetID():
                composite.SetForegroundVolumeID(None)
        if classification.segmentation is not None and classification.segmentation.GetDisplayNode() is not None:
            _show_in(classification.segmentation.GetDisplayNode(), [*shown_in, *in_space])
    update_legends(scene)


def shown_instead(classification: SceneClassification) -> slicer.vtkMRMLVolumeNode | None:
    """A volume that a slice view of the layout shows and that is no part of a classification; None where all do."""
    scene, own = classification.volume.GetScene(), _own(classification)
    seen = {view.GetLayoutName() for view in nodes_of_class(scene, "vtkMRMLSliceNode") if view.IsMappedInLayout()}
    shown = [each.GetBackgroundVolumeID() for each in _composites(scene) if each.GetLayoutName() in seen]
    others = (scene.GetNodeByID(volume) for volume in shown if volume is not None and volume not in own)
    return next((other for other in others if other is not None), None)


def _own(classification: SceneClassification) -> set[str]:
    """IDs of the volumes that show what was classified, also as a heatmap or in another channel."""
    volume = classification.volume
    roles = [volume.GetNthNodeReferenceRole(n) for n in range(volume.GetNumberOfNodeReferenceRoles())]
    channels = [volume.GetNodeReferenceID(role) for role in roles if role.startswith(CHANNEL)]
    heatmap = classification.heatmap
    return {volume.GetID(), *filter(None, channels), *([heatmap.GetID()] if heatmap is not None else [])}


def _show_in(display: slicer.vtkMRMLDisplayNode, views: list[str]) -> None:
    """Of no view, Slicer would make all."""
    if {display.GetNthViewNodeID(n) for n in range(display.GetNumberOfViewNodeIDs())} == set(views) or not views:
        return
    modifying = display.StartModify()
    display.RemoveAllViewNodeIDs()
    for view in views:
        display.AddViewNodeID(view)
    display.EndModify(modifying)


def _composites(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLSliceCompositeNode]:
    return nodes_of_class(scene, "vtkMRMLSliceCompositeNode")
