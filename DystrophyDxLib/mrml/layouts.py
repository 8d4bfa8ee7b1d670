"""Arrangements of slice views. Light to import, so that Slicer can know them from its start.

A scene that was saved side by side is opened so only where the layout is known by then.
"""

from __future__ import annotations

from enum import Enum

import slicer

MAIN_VIEW = "Red"
"""Slice view with the heatmap; it shows the plane in which the images were acquired."""
MRI_VIEW = "DystrophyDxMRI"
"""Slice view without heatmap, beside the main one."""
SIDE_BY_SIDE_LAYOUT = 1554
"""Number of the own layout among those of the layout node; Slicer's end below 100."""

_SIDE_BY_SIDE = f"""
<layout type="horizontal">
 <item><view class="vtkMRMLSliceNode" singletontag="{MRI_VIEW}">
  <property name="orientation" action="default">Axial</property>
  <property name="viewlabel" action="default">MRI</property>
  <property name="viewcolor" action="default">#8C8C8C</property>
 </view></item>
 <item><view class="vtkMRMLSliceNode" singletontag="{MAIN_VIEW}">
  <property name="orientation" action="default">Axial</property>
  <property name="viewlabel" action="default">R</property>
  <property name="viewcolor" action="default">#F34A33</property>
 </view></item>
</layout>
"""


class Layout(str, Enum):
    """How the slice views are arranged."""

    OVERLAY = "overlay"
    SIDE_BY_SIDE = "side by side"

    @property
    def number(self) -> int:
        """Of the layout among those of the layout node."""
        if self is Layout.SIDE_BY_SIDE:
            return SIDE_BY_SIDE_LAYOUT
        return slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def register_layouts(node: slicer.vtkMRMLLayoutNode) -> None:
    """Makes the own layout known; does nothing where it is."""
    node.AddLayoutDescription(SIDE_BY_SIDE_LAYOUT, _SIDE_BY_SIDE)
