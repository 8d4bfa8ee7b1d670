"""The images of a result as a table of the scene, and as a chart that plots this table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import slicer
from vtkmodules.vtkCommonCore import VTK_DOUBLE, VTK_INT, VTK_STRING, vtkDoubleArray, vtkIntArray, vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkTable

from ..regions.windows import SEGMENT_NAMES, Side
from ..results import ImageResult
from .nodes import plot_series_of, remove_node
from .segmentation import SEGMENT_COLORS

COLUMNS = ("Slice", "Side", "Probability", "Region", "Anatomy")
"""Of the table, for a person to read: the slice (an int; of a model of volumes a text such as "3 to 7"), the side, the
probability in full, the region ("automatic" or "edited"), and the anatomy ("thigh", "other" or "not judged"; "thigh,
not counted" where the image does not enter the case). Those after them are for the chart alone: the probability of the
images of one side, NaN for those of the others."""

FONT_SIZE = 14
"""Of titles and legend of the chart; at 16, Slicer's own size, VTK draws the tops of the letters again below them."""

_ARRAYS: dict[type, tuple[Any, int]] = {
    int: (vtkIntArray, VTK_INT),
    float: (vtkDoubleArray, VTK_DOUBLE),
    str: (vtkStringArray, VTK_STRING),
}


def leg_by_leg(images: Sequence[ImageResult]) -> list[ImageResult]:
    """The images as the rows of the table: those of one side after the other, so that a line can join them."""
    sides = [side.value for side in Side]
    return sorted(images, key=lambda image: sides.index(image.side))


def tabulate(
    images: Sequence[ImageResult],
    table: slicer.vtkMRMLTableNode,
    chart: slicer.vtkMRMLPlotChartNode | None,
    ends: tuple[str, str] | None = None,
) -> None:
    """Gives a table a row for each image, with its figures in full, and makes a chart plot it, a plot series a side.

    Args:
        images: in the order of `leg_by_leg`.
        chart: of the probability along the thigh; None where the images are volumes, which have one for all slices.
        ends: where the first and the last slice lie; see `StudyResult.ends`.
    """
    if chart is None:
        _fill(table, images, ends)
        return
    missing = {_chart_column(side): side for side in _sides(images)}
    for series in plot_series_of(chart):
        if missing.pop(series.GetYColumnName(), None) is None:  # before its column goes
            chart.RemovePlotSeriesNodeID(series.GetID())
            remove_node(series)
    _fill(table, images, ends)
    if not chart.GetXAxisTitle():
        chart.SetXAxisTitle("Slice, from the {} to the {}".format(*ends) if ends else "Slice")
        chart.SetYAxisTitle("Probability")
        chart.SetAxisTitleFontSize(FONT_SIZE)
        chart.SetLegendFontSize(FONT_SIZE)
        chart.YAxisRangeAutoOff()
        # Room for points at 0 and 1.
        chart.SetYAxisRange(-0.05, 1.05)
        chart.XAxisRangeAutoOff()
    chart.SetXAxisRange(-0.5, max((image.slice for image in images), default=0) + 0.5)
    for column, side in missing.items():
        _add_series(chart, column, side)
    for series in plot_series_of(chart):
        series.SetAndObserveTableNodeID(table.GetID())


def _fill(node: slicer.vtkMRMLTableNode, images: Sequence[ImageResult], ends: tuple[str, str] | None) -> None:
    table, columns = vtkTable(), list(_columns(images))
    for name, kind, values in columns:
        array = _ARRAYS[kind][0]()
        array.SetName(name)
        for value in values:
            array.InsertNextValue(value)
        table.AddColumn(array)
    node.SetAndObserveTable(table)
    for name, kind, _ in columns:
        node.SetColumnType(name, _ARRAYS[kind][1])  # else a reopened scene has texts
    node.SetColumnTitle("Slice", f"Slice (0: {ends[0]})" if ends else "Slice")
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)


def _add_series(chart: slicer.vtkMRMLPlotChartNode, column: str, side: Side) -> None:
    series = chart.GetScene().AddNewNodeByClass("vtkMRMLPlotSeriesNode", SEGMENT_NAMES[side])
    series.SetPlotType(series.PlotTypeScatter)
    series.SetMarkerStyle(series.MarkerStyleCircle)
    series.SetColor(*SEGMENT_COLORS[side])
    series.SetXColumnName("Slice")
    series.SetYColumnName(column)
    chart.AddAndObservePlotSeriesNodeID(series.GetID())


def _columns(images: Sequence[ImageResult]) -> Iterator[tuple[str, type, list]]:
    """Name of each column, type of its values, and the values."""
    volumes = any(image.slices for image in images)
    yield "Slice", str if volumes else int, [_slices(image) if volumes else image.slice for image in images]
    yield "Side", str, [image.side for image in images]
    yield "Probability", float, [image.probability for image in images]
    yield "Region", str, ["edited" if image.roi == "edited" else "automatic" for image in images]
    yield "Anatomy", str, [image.anatomy if image.counted else f"{image.anatomy}, not counted" for image in images]
    for side in [] if volumes else _sides(images):
        values = [image.probability if image.side == side.value else math.nan for image in images]
        yield _chart_column(side), float, values


def _slices(image: ImageResult) -> str:
    first, last = image.shown[0], image.shown[-1]
    return str(first) if first == last else f"{first} to {last}"


def _chart_column(side: Side) -> str:
    return f"Probability, {SEGMENT_NAMES[side].lower()}"


def _sides(images: Sequence[ImageResult]) -> list[Side]:
    there = {image.side for image in images}
    return [side for side in Side if side.value in there]
