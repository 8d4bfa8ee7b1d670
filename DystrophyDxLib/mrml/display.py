"""How a heatmap looks in slice views: colours, threshold, class, legend. Voxels are never touched."""

from __future__ import annotations

import slicer
from vtkmodules.vtkRenderingCore import vtkColorTransferFunction

from ..explain.colours import STOPS, THRESHOLD
from .nodes import nodes_of_class

LEGEND_SIZE = (0.09, 0.35)
"""Width and height of the legend as shares of those of a view."""
_COLORS = 256
_COLORS_OF = "DystrophyDx.colors"
_NO_ROOM = "DystrophyDx.noRoom"


class HeatmapDisplay:
    """Red high, blue low, transparent below a threshold, with a colour legend.

    The state lies in the display nodes alone: a second object over the same heatmap, Slicer's own panels and a
    reopened scene agree with this one.

    Args:
        heatmap: evidence for a class where positive, up to 1; against it, and so of two classes for the first, where
            negative, down to -1.
    """

    def __init__(self, heatmap: slicer.vtkMRMLScalarVolumeNode) -> None:
        self._heatmap = heatmap
        if heatmap.GetDisplayNode() is None:
            heatmap.CreateDefaultDisplayNodes()
        self._display = heatmap.GetDisplayNode()
        if self._display.GetAttribute(_COLORS_OF) is None:
            self._display.SetAttribute(_COLORS_OF, "heatmap")
            self._display.AutoWindowLevelOff()
            self._display.AutoThresholdOff()
            self._display.ApplyThresholdOn()
            self._show(1, THRESHOLD)
        elif self._display.GetColorNode() is None:
            self._show(self.shown_class, self.threshold)
        self._legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(self._display) or _add_legend(self._display)

    @property
    def threshold(self) -> float:
        """Evidence, 0 to 1, below which the MRI is seen alone."""
        return self._display.GetLowerThreshold() if self.shown_class else -self._display.GetUpperThreshold()

    @threshold.setter
    def threshold(self, value: float) -> None:
        if value != self.threshold:
            self._show(self.shown_class, value)

    @property
    def shown_class(self) -> int:
        """1 where evidence for the heatmap's class is seen, 0 where that against it is: of two classes, the index."""
        return int(self._display.GetUpperThreshold() > 0)

    @shown_class.setter
    def shown_class(self, index: int) -> None:
        if index != self.shown_class:
            self._show(index, self.threshold)

    @property
    def legend(self) -> bool:
        """Whether the colour legend is wanted; it is seen with the heatmap, where it has a place."""
        return bool(self._legend.GetVisibility()) or self._legend.GetAttribute(_NO_ROOM) is not None

    @legend.setter
    def legend(self, visible: bool) -> None:
        self._legend.SetAttribute(_NO_ROOM, None)
        self._legend.SetVisibility(visible)

    @property
    def legend_position(self) -> tuple[float, float]:
        """Of the legend in a view, as shares of the room that its size leaves."""
        return self._legend.GetPosition()

    def place_legend(self, view: str, position: tuple[float, float] | None) -> None:
        """Shows the legend in one view alone, where it is wanted.

        Args:
            view: ID of its node.
            position: see `legend_position`; without one it is not seen, and comes back when it is given one.
        """
        legend = self._legend
        if not self.legend:
            return
        modifying = legend.StartModify()
        if [legend.GetNthViewNodeID(n) for n in range(legend.GetNumberOfViewNodeIDs())] != [view]:
            legend.RemoveAllViewNodeIDs()
            legend.AddViewNodeID(view)
        if position is not None:
            legend.SetPosition(*position)
        legend.SetVisibility(position is not None)
        legend.SetAttribute(_NO_ROOM, None if position is not None else "1")
        legend.EndModify(modifying)

    @property
    def colors(self) -> slicer.vtkMRMLColorTableNode:
        """Colour table over the evidence that is seen; see `shown_class`."""
        return self._display.GetColorNode()

    def _show(self, index: int, threshold: float) -> None:
        unchanged = self._display.StartModify()
        self._display.SetAndObserveColorNodeID(_colors(self._heatmap.GetScene(), index).GetID())
        if index:
            self._display.SetWindowLevelMinMax(0.0, 1.0)
            self._display.SetThreshold(threshold, 1.0)
        else:
            self._display.SetWindowLevelMinMax(-1.0, 0.0)
            self._display.SetThreshold(-1.0, -threshold)
        self._display.EndModify(unchanged)


def _add_legend(display: slicer.vtkMRMLScalarVolumeDisplayNode) -> slicer.vtkMRMLColorLegendDisplayNode:
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(display)
    legend.SetTitleText("")  # it would take more room than the colours
    legend.SetLabelFormat("%.2f")
    legend.SetSize(*LEGEND_SIZE)
    legend.SetPosition(0.98, 0.5)
    legend.SetVisibility(True)
    return legend


def _colors(scene: slicer.vtkMRMLScene, index: int) -> slicer.vtkMRMLColorTableNode:
    """The scene's colour table for a class, red where its evidence is strongest."""
    name = ("HeatmapColorsFirstClass", "HeatmapColors")[index]
    kind = "vtkMRMLColorTableNode"
    for node in nodes_of_class(scene, kind):
        if node.GetAttribute(_COLORS_OF) == name:
            return node
    ramp = vtkColorTransferFunction()
    for position, color in STOPS:
        ramp.AddRGBPoint(position if index else 1 - position, *color)
    node = scene.AddNewNodeByClass(kind, name)
    node.SetAttribute(_COLORS_OF, name)
    node.SetDescription("Heatmap: blue low, red high")
    node.SetTypeToUser()
    node.SetNumberOfColors(_COLORS)
    for n in range(_COLORS):
        position = n / (_COLORS - 1)
        node.SetColor(n, f"{position if index else position - 1:.3f}", *ramp.GetColor(position), 1.0)
    return node
