"""The chart of a classification on the panel."""

import qt
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
        slicer.app.connect("paletteChanged(QPalette)", self.onPaletteChanged)

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
            self.onPaletteChanged()
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
        slicer.app.disconnect("paletteChanged(QPalette)", self.onPaletteChanged)

    def onPaletteChanged(self, palette=None):
        """The chart has the colours of the panel, in Slicer's dark style as in the light one."""
        if self.view is None:
            return
        chart, palette = self.view.chart(), slicer.app.palette()
        paper, ink = (_rgb(palette.color(role)) for role in (qt.QPalette.Base, qt.QPalette.Text))
        between = [(2 * p + i) // 3 for p, i in zip(paper, ink, strict=True)]
        chart.GetBackgroundBrush().SetColor(*paper, 255)
        self.view.scene().GetRenderer().SetBackground(*_shares(paper))
        axes = [chart.GetAxis(n) for n in range(chart.GetNumberOfAxes())]
        for axis in axes:
            axis.GetPen().SetColor(*ink, 255)
            axis.GetGridPen().SetColor(*between, 255)
        texts = [text for axis in axes for text in (axis.GetLabelProperties(), axis.GetTitleProperties())]
        for text in (*texts, chart.GetTitleProperties(), chart.GetLegend().GetLabelProperties()):
            text.SetColor(*_shares(ink))
        chart.GetLegend().GetBrush().SetColor(*paper, 255)
        chart.GetLegend().GetPen().SetColor(*between, 255)
        self.view.scene().SetDirty(True)

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


def _rgb(color):
    return color.red(), color.green(), color.blue()


def _shares(rgb):
    return [value / 255 for value in rgb]
