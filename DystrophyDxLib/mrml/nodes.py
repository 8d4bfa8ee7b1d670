"""Nodes of a scene by their class, and by what they are to a volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import slicer

_VOLUME = "DystrophyDx.volume"


def nodes_of_class(scene: slicer.vtkMRMLScene, kind: str) -> list[slicer.vtkMRMLNode]:
    """All nodes of a class, in the order of the scene. Slicer's own `getNodesByClass` knows one scene only."""
    return [scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind))]


def remove_node(node: slicer.vtkMRMLNode) -> None:
    """Takes a node out of its scene, with those that have no use without it."""
    scene = node.GetScene()
    for belonging in [*_belongings(node), node]:
        scene.RemoveNode(belonging)


def set_unseen(node: slicer.vtkMRMLNode, name: str, value: str | None) -> None:
    """Gives a node an attribute on which nothing depends that is seen: views would draw all of its segments anew."""
    node.DisableModifiedEventOn()
    node.SetAttribute(name, value)
    node.DisableModifiedEventOff()


def plot_series_of(chart: slicer.vtkMRMLPlotChartNode) -> list[slicer.vtkMRMLPlotSeriesNode]:
    """The plot series of a chart that are in the scene."""
    found = (chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes()))
    return [series for series in found if series is not None]


@dataclass(frozen=True)
class VolumeNodes:
    """Nodes that belong to a volume, each in a role.

    The volume refers to them and they to the volume. So they are found in a scene that was opened again, and whatever a
    user renames; and the clone of a volume, which refers to the same nodes, has none.
    """

    volume: slicer.vtkMRMLScalarVolumeNode

    def get(self, role: str) -> slicer.vtkMRMLNode | None:
        """The node in a role; None where there is none, or no longer."""
        node = self.volume.GetNodeReference(role)
        return node if node is not None and node.GetNodeReference(_VOLUME) is self.volume else None

    def put(self, role: str, node: slicer.vtkMRMLNode) -> None:
        """Gives a role to a node of the volume's scene."""
        self.volume.SetNodeReferenceID(role, node.GetID())
        node.SetNodeReferenceID(_VOLUME, self.volume.GetID())

    def named(self, what: str) -> str:
        """Name of a new node: that of the volume, and what the node is."""
        return f"{self.volume.GetName()} {what}"

    def get_or_add(self, role: str, kind: str, what: str) -> slicer.vtkMRMLNode:
        """The node in a role, which is made where there is none."""
        node = self.get(role)
        if node is None:
            node = self.volume.GetScene().AddNewNodeByClass(kind, self.named(what))
            self.put(role, node)
        return node

    def remove(self, role: str) -> None:
        """Takes the node in a role out of the scene."""
        node = self.get(role)
        if node is not None:
            remove_node(node)
        self.volume.RemoveNodeReferenceIDs(role)


def _belongings(node: slicer.vtkMRMLNode) -> Iterator[slicer.vtkMRMLNode]:
    """Nodes that have no use without `node`."""
    if node.IsA("vtkMRMLPlotChartNode"):
        for series in plot_series_of(node):
            yield from (*_belongings(series), series)
    if node.IsA("vtkMRMLPlotSeriesNode"):
        table = node.GetTableNode()
        if table is not None and table.GetNodeReference(_VOLUME) is None:  # earlier versions had one for each series
            yield table
    if node.IsA("vtkMRMLDisplayableNode"):
        # The first last: a colour legend looks for it.
        yield from (node.GetNthDisplayNode(n) for n in reversed(range(node.GetNumberOfDisplayNodes())))
    if node.IsA("vtkMRMLStorableNode") and node.GetStorageNode() is not None:
        yield node.GetStorageNode()
