"""The panel in a stand-in of Slicer's desktop over a real scene, and what tests of it look at."""

from __future__ import annotations

from pathlib import Path

import slicer
from slicer_widgets import unwrap

from DystrophyDxLib.mrml.segmentation import labels_from_segmentation, set_labels
from DystrophyDxLib.mrml.slice_plane import SlicePlane
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side

MODULE = Path(__file__).resolve().parents[2] / "DystrophyDx" / "DystrophyDx.py"
SLICES = 6


class Panel:
    """The page "Classification" of a module widget.

    Attributes:
        ui: the widgets of all its sections and of the bar by their names.
    """

    def __init__(self, widget):
        self.widget, self.page, self.context = widget, widget.classification, widget.classification.context
        self.ui = type("", (), {})()
        for section in (*self.page.sections, self.page.bar):
            vars(self.ui).update(vars(section.ui))

    @property
    def inputs(self):
        return self.page.study.inputsForm

    @property
    def editor(self):
        return unwrap(self.page.region.editor.widget)

    @property
    def chart(self):
        return unwrap(self.page.result.chart.view)

    def add_model(self, path):
        self.page.study.addModel(path)

    def select(self, k):
        """Selects the first image of a slice."""
        self.page.result.select(next(image for image in self.context.result.images if image.slice == k))

    def rows(self):
        """Texts of the table of images."""
        table = self.ui.imagesTable
        return [tuple(table.item(row, column).text() for column in range(5)) for row in range(table.rowCount)]


def shown_slice():
    composite = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    volume = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID())
    return SlicePlane(slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed"), volume).slice


def foregrounds():
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return {view.GetForegroundVolumeID() for view in views if view.GetLayoutName() in ("Red", "Green", "Yellow")}


def erase_half_of_the_left_leg(classification, k):
    labels = labels_from_segmentation(classification.segmentation, classification.volume)
    plane = labels[k]
    rows = (plane == LABEL_OF_SIDE[Side.LEFT]).nonzero()[0]
    upper = plane[: (rows.min() + rows.max()) // 2]
    upper[upper == LABEL_OF_SIDE[Side.LEFT]] = 0
    set_labels(classification.segmentation, classification.volume, labels)
