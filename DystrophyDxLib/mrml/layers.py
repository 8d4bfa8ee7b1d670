"""What lies in the slice views of a scene: volumes, and over each the heatmap and the outlines that are its own."""

from __future__ import annotations

import slicer

from .classification import SceneClassification, is_heatmap
from .drawn_region import is_region
from .model_input import CHANNEL
from .muscle_nodes import muscles_node
from .nodes import nodes_of_class

_SEEN = "dystrophydx_legends"
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
    legends = nodes_of_class(scene, "vtkMRMLColorLegendDisplayNode")

    def state() -> tuple[Layers, list[int]]:
        return layers(scene), [legend.GetMTime() for legend in legends]

    if vars(scene).get(_SEEN) == state():
        return
    for legend in legends:
        legend.Modified()
    setattr(scene, _SEEN, state())


def keep_with_images(scene: slicer.vtkMRMLScene) -> None:
    """Takes heatmaps and outlines out of the slice views whose volume is not the one that was classified, as when
    Slicer has shown another one there, and lets outlines be seen where it is. Of a deleted volume, nothing is seen.
    """
    views = {view.GetLayoutName(): view.GetID() for view in nodes_of_class(scene, "vtkMRMLSliceNode")}
    in_space = [view.GetID() for view in nodes_of_class(scene, "vtkMRMLViewNode")]
    images = {
        node.GetID(): _own(classification)
        for classification in SceneClassification.of(scene)
        for node in (classification.heatmap, classification.segmentation, muscles_node(classification.volume))
        if node is not None
    }
    for composite in _composites(scene):
        over = scene.GetNodeByID(composite.GetForegroundVolumeID() or "")
        if over is None or (over.GetID() not in images and not is_heatmap(over)):
            continue
        if composite.GetBackgroundVolumeID() not in images.get(over.GetID(), {over.GetID()}):
            composite.SetForegroundVolumeID(None)
    for node in nodes_of_class(scene, "vtkMRMLSegmentationNode"):
        if node.GetDisplayNode() is None or (node.GetID() not in images and not is_region(node)):
            continue
        own = images.get(node.GetID(), set())
        names = {each.GetLayoutName() for each in _composites(scene) if each.GetBackgroundVolumeID() in own}
        _show_in(node.GetDisplayNode(), [*(views[name] for name in names if name in views), *in_space])
    update_legends(scene)


def own_segmentations(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLSegmentationNode]:
    """Segmentations that are the region of a classification, also where the volume that was classified is gone, or its
    muscle map."""
    found = [
        node
        for classification in SceneClassification.of(scene)
        for node in (classification.segmentation, muscles_node(classification.volume))
    ]
    return [node for node in nodes_of_class(scene, "vtkMRMLSegmentationNode") if node in found or is_region(node)]


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
