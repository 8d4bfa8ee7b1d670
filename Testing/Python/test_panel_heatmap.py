"""The section "Heatmap" of the panel: how the evidence is seen."""

import pytest

pytest.importorskip("PySide6")

import numpy as np
import slicer
from panel_cases import foregrounds
from slicer_widgets import unwrap

from DystrophyDxLib.mrml.layouts import SIDE_BY_SIDE_LAYOUT
from DystrophyDxLib.mrml.segmentation import add_segmentation, labels_from_segmentation

pytest_plugins = "panel_fixtures"


def test_the_heatmap_is_not_offered_as_input(panel, classification):
    offered = unwrap(panel.ui.inputSelector).offered()
    assert classification.volume.GetID() in offered
    assert classification.heatmap.GetID() not in offered


def test_heatmap_controls(panel, classification):
    ui, heat = panel.ui, classification.heatmap.GetDisplayNode()
    voxels = classification.heatmap.GetImageData().GetMTime()
    ui.thresholdSlider.value = 0.45
    assert heat.GetLowerThreshold() == pytest.approx(0.45)
    ui.opacitySlider.value = 0.8
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert red.GetForegroundOpacity() == pytest.approx(0.8)
    ui.heatmapCheckBox.checked = False
    assert foregrounds() == {None}
    assert not ui.thresholdSlider.enabled
    ui.heatmapCheckBox.checked = True
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(heat)
    ui.legendCheckBox.checked = False
    assert not legend.GetVisibility()
    assert [ui.classSelector.itemText(n) for n in range(ui.classSelector.count)] == list(
        classification.result.model.classes
    )
    assert ui.classSelector.currentIndex == 1
    ui.classSelector.currentIndex = 0
    assert heat.GetUpperThreshold() < 0, "evidence for the first class is negative"
    ui.classSelector.currentIndex = 1
    assert heat.GetLowerThreshold() == pytest.approx(0.45)
    assert classification.heatmap.GetImageData().GetMTime() == voxels, "no voxel was touched"


def test_the_own_layout_is_known_before_the_panel_is_opened(desktop):
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.IsLayoutDescription(SIDE_BY_SIDE_LAYOUT)


def test_layouts(panel, classification):
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    panel.ui.layoutSelector.currentIndex = 2
    beside = layout.GetViewArrangement()
    assert "DystrophyDxMRI" in layout.GetCurrentLayoutDescription()
    panel.ui.layoutSelector.currentIndex = 1
    assert layout.GetViewArrangement() == layout.SlicerLayoutOneUpRedSliceView != beside


def test_the_selector_of_views_follows_slicers_own_layouts(panel, classification):
    panel.ui.layoutSelector.currentIndex = 1
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    node.SetViewArrangement(node.SlicerLayoutFourUpView)
    assert panel.ui.layoutSelector.currentText == "Your own layout"
    panel.ui.layoutSelector.currentIndex = 1
    assert node.GetViewArrangement() == node.SlicerLayoutOneUpRedSliceView


def test_muscles_are_asked_for_where_the_scene_holds_some_and_told_with_their_share_under_the_heat(
    desktop, panel, classification
):
    assert not panel.ui.musclesFrame.visible, "legs are no muscles, and the map that was found is told anyway"
    drawn = labels_from_segmentation(classification.segmentation, classification.volume)
    muscles = add_segmentation(classification.volume, drawn, "Muscles")
    desktop.settle(20)
    assert panel.ui.musclesFrame.visible
    panel.ui.musclesSelector.setCurrentNode(muscles)
    heat = np.maximum(slicer.util.arrayFromVolume(classification.heatmap), 0)
    for name, value in (("Left leg", 1), ("Right leg", 2)):
        share = np.mean(heat[drawn == value] >= 0.5)
        assert f"<td>{name}&nbsp;</td><td>{share:.2f}&nbsp;</td>" in panel.ui.musclesLabel.text
    slicer.mrmlScene.RemoveNode(muscles)
    desktop.settle(20)
    assert not panel.ui.musclesFrame.visible
    assert panel.ui.musclesLabel.text == ""
