"""The chart of a classification on the panel."""

import slicer

from DystrophyDxWidgets.helpers import makeTimer


class Chart:
    """Slicer's plot view, made when there is first something to plot.

    Attributes:
        view: of Slicer; None before.
    """

    def __init__(self, frame, selected):
        """selected: called with the number of a point that was clicked: its row in the table that is plotted."""
        self._frame = frame
        self._selected = selected
        self.view = None
        # The view tells of a click before the point that was clicked is in the selection.
        self._timer = makeTimer(0, self.onSelected)

    def show(self, chart):
        """Plots a chart node; without one the chart takes no place."""
        self._frame.visible = chart is not None
        if chart is None:
            return
        if self.view is None:
            self.view = slicer.qMRMLPlotView()
            self.view.setMRMLScene(slicer.mrmlScene)
            self.view.chart().GetLegend().SetInline(False)  # else it covers the end of the curves
            self.view.connect("dataSelected(vtkStringArray*,vtkCollection*)", self.onDataSelected)
            self._frame.layout().addWidget(self.view)
        # Not in the scene: Slicer would make another view for it. So the view is told of each new chart.
        node = slicer.vtkMRMLPlotViewNode()
        node.SetPlotChartNodeID(chart.GetID())
        self._node = node
        self.view.setMRMLPlotViewNode(node)

    def close(self):
        """The scene is about to be closed."""
        self._timer.stop()
        if self.view is not None:
            self.view.setMRMLPlotViewNode(None)

    def cleanup(self):
        self._timer.stop()

    def onDataSelected(self, seriesIDs, selections):
        self._timer.start()

    def onSelected(self):
        """Tells which point was clicked."""
        plots = self.view.chart()
        selections = [plots.GetPlot(n).GetSelection() for n in range(plots.GetNumberOfPlots())]
        points = [chosen.GetValue(0) for chosen in selections if chosen is not None and chosen.GetNumberOfValues()]
        if points:
            self.view.RemovePlotSelections()  # which is told as a selection, too
            self._selected(points[0])
