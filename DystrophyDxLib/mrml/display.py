"""How the heatmap lies over the MRI in slice views: colours, threshold, opacity. Voxels are never touched."""

from __future__ import annotations

import slicer
from vtkmodules.vtkRenderingCore import vtkColorTransferFunction

DEFAULT_THRESHOLD = 0.2
DEFAULT_OPACITY = 0.5

_STOPS = ((0.0, (0, 0, 1)), (0.25, (0, 1, 1)), (0.5, (0, 1, 0)), (0.75, (1, 1, 0)), (1.0, (1, 0, 0)))
_COLORS = 256


class HeatmapDisplay:
    """The heatmap as foreground of every slice view of its scene: red high, blue low, transparent below a threshold.

    The state lies in the nodes alone, so a second object over the same nodes, or Slicer's own panels, agree with this.

    Args:
        volume: MRI, the background.
        heatmap: values from 0 to 1.
    """

    def __init__(self, volume: slicer.vtkMRMLScalarVolumeNode, heatmap: slicer.vtkMRMLScalarVolumeNode) -> None:
        self._scene = heatmap.GetScene()
        self._display = heatmap.GetDisplayNode()
        self._display.SetAndObserveColorNodeID(_add_colors(self._scene).GetID())
        self._display.AutoWindowLevelOff()
        self._display.SetWindowLevelMinMax(0.0, 1.0)
        self._display.AutoThresholdOff()
        self._display.ApplyThresholdOn()
        self.threshold = DEFAULT_THRESHOLD

        self.legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(self._display)
        self.legend.SetLabelFormat("%.2f")
        self.legend.SetSize(0.09, 0.35)
        self.legend.SetPosition(0.98, 0.5)
        self.legend.SetVisibility(True)

        for view in self._views():
            view.SetBackgroundVolumeID(volume.GetID())
            view.SetForegroundVolumeID(heatmap.GetID())
        self.opacity = DEFAULT_OPACITY

    @property
    def threshold(self) -> float:
        """Heatmap value, 0 to 1, below which the MRI is seen alone."""
        return self._display.GetLowerThreshold()

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._display.SetThreshold(value, 1.0)

    @property
    def opacity(self) -> float:
        """Opacity of the heatmap over the MRI, 0 to 1; the same in all slice views."""
        return self._views()[0].GetForegroundOpacity()

    @opacity.setter
    def opacity(self, value: float) -> None:
        for view in self._views():
            view.SetForegroundOpacity(value)

    @property
    def colors(self) -> slicer.vtkMRMLColorTableNode:
        """Colour table from heatmap value 0 (first) to 1 (last)."""
        return self._display.GetColorNode()

    def _views(self) -> list[slicer.vtkMRMLSliceCompositeNode]:
        kind = "vtkMRMLSliceCompositeNode"
        return [self._scene.GetNthNodeByClass(n, kind) for n in range(self._scene.GetNumberOfNodesByClass(kind))]


def _add_colors(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorTableNode:
    ramp = vtkColorTransferFunction()
    for position, color in _STOPS:
        ramp.AddRGBPoint(position, *color)
    node = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "HeatmapColors")
    node.SetDescription("Heatmap: blue low, red high")
    node.SetTypeToUser()
    node.SetNumberOfColors(_COLORS)
    for n in range(_COLORS):
        node.SetColor(n, f"{n / (_COLORS - 1):.3f}", *ramp.GetColor(n / (_COLORS - 1)), 1.0)
    return node
