"""`ViewsState`: how the slice views of a scene looked, to let them look so again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import slicer
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from .layers import update_legends
from .nodes import nodes_of_class


class _Composite(NamedTuple):
    """Volumes of a view, how the upper one is seen, attributes of the panel, and whether views are linked."""

    background: slicer.vtkMRMLNode | None
    foreground: slicer.vtkMRMLNode | None
    opacity: float
    attributes: dict[str, str]
    links: tuple[bool, bool]


class _Plane(NamedTuple):
    """Where a view looks, and how much of it is seen."""

    to_ras: vtkMatrix4x4
    origin: tuple[float, float, float]
    field_of_view: tuple[float, float, float]


class ViewsState:
    """Layout, volumes, heatmap, planes, zoom and outlines of the slice views, as they are when this is made.

    Nodes are kept, not their IDs: what was deleted meanwhile is not taken for another node that has its ID now.

    Args:
        scene: with a layout node.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self._layout = self._layout_node().GetViewArrangement()
        self._composites = {node: self._of_composite(node) for node in nodes_of_class(scene, _COMPOSITE)}
        self._planes = {node: _of_plane(node) for node in nodes_of_class(scene, "vtkMRMLSliceNode")}
        displays = (node.GetDisplayNode() for node in nodes_of_class(scene, "vtkMRMLSegmentationNode"))
        self._outlines = {display: display.GetVisibility() for display in displays if display is not None}

    def restore(self, settle: Callable[[], None]) -> None:
        """Lets the views look so again, as far as their volumes are still there.

        Args:
            settle: lets the views take their sizes after the layout has changed.
        """
        self._layout_node().SetViewArrangement(self._layout)
        for node, was in self._composites.items():
            node.SetLinkedControl(False)  # linked views would move each other
            node.SetHotLinkedControl(False)
            node.SetBackgroundVolumeID(self._id(was.background))
            node.SetForegroundVolumeID(self._id(was.foreground))
            node.SetForegroundOpacity(was.opacity)
            for name in {*node.GetAttributeNames(), *was.attributes}:
                node.SetAttribute(name, was.attributes.get(name))
        for display, visible in self._outlines.items():
            display.SetVisibility(visible)
        settle()
        gone = {node.GetLayoutName() for node, was in self._composites.items() if self._is_gone(was.background)}
        for node, plane in self._planes.items():
            if node.GetLayoutName() not in gone:
                _put(node, plane)
        for node, was in self._composites.items():
            node.SetLinkedControl(was.links[0])
            node.SetHotLinkedControl(was.links[1])
        update_legends(self._scene)

    def _of_composite(self, node: slicer.vtkMRMLSliceCompositeNode) -> _Composite:
        return _Composite(
            self._scene.GetNodeByID(node.GetBackgroundVolumeID() or ""),
            self._scene.GetNodeByID(node.GetForegroundVolumeID() or ""),
            node.GetForegroundOpacity(),
            {name: node.GetAttribute(name) for name in node.GetAttributeNames()},
            (node.GetLinkedControl(), node.GetHotLinkedControl()),
        )

    def _is_gone(self, node: slicer.vtkMRMLNode | None) -> bool:
        return node is not None and node.GetScene() is not self._scene

    def _id(self, node: slicer.vtkMRMLNode | None) -> str | None:
        return node.GetID() if node is not None and not self._is_gone(node) else None

    def _layout_node(self) -> slicer.vtkMRMLLayoutNode:
        return self._scene.GetFirstNodeByClass("vtkMRMLLayoutNode")


_COMPOSITE = "vtkMRMLSliceCompositeNode"


def _of_plane(node: slicer.vtkMRMLSliceNode) -> _Plane:
    to_ras = vtkMatrix4x4()
    to_ras.DeepCopy(node.GetSliceToRAS())
    return _Plane(to_ras, tuple(node.GetXYZOrigin()), tuple(node.GetFieldOfView()))


def _put(node: slicer.vtkMRMLSliceNode, plane: _Plane) -> None:
    """As much of the plane is seen across as before; down, what the size that the view has now allows."""
    node.GetSliceToRAS().DeepCopy(plane.to_ras)
    node.SetXYZOrigin(*plane.origin)
    width, _, depth = plane.field_of_view
    columns, rows, _ = node.GetDimensions()
    node.SetFieldOfView(width, width * rows / max(columns, 1), depth)
    node.UpdateMatrices()
