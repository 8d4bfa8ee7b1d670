"""The legs in the slice views: the colour legend lies beside them, never over one, and no view looks between them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import slicer

from ..errors import InputError
from ..results import ImageResult
from .classification import SceneClassification
from .display import LEGEND_SIZE, HeatmapDisplay
from .layouts import MAIN_VIEW, MRI_VIEW
from .nodes import nodes_of_class
from .slice_plane import SlicePlane


class Rectangle(NamedTuple):
    """Part of a view, in shares of its width and height from the lower left corner."""

    left: float
    right: float
    bottom: float
    top: float

    def meets(self, other: Rectangle) -> bool:
        """Whether the two have a part in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top


Position = tuple[float, float]
"""Of a legend, as its display node has it: shares of the room that its size leaves."""

_MARGIN = 0.03
"""Figures beside the colours, and what the view rounds."""
PLACES: tuple[Position, ...] = ((0.98, 0.5), (0.98, 0.98), (0.98, 0.02), (0.02, 0.5), (0.02, 0.98))
"""Right and left, the first that is free; the lower left corner is that of the names of the volumes."""


def taken(position: Position) -> Rectangle:
    """What a legend takes of the view."""
    (x, y), (width, height) = position, LEGEND_SIZE
    left, bottom = x * (1 - width), y * (1 - height)
    return Rectangle(left - _MARGIN, left + width + _MARGIN, bottom - _MARGIN, bottom + height + _MARGIN)


def free_place(legs: Sequence[Rectangle], now: Position) -> Position | None:
    """Where a legend covers no leg: where it is, or the first of `PLACES`; None where the legs leave no room.

    >>> free_place([Rectangle(0.2, 0.8, 0.3, 0.7)], (0.98, 0.5))
    (0.98, 0.5)
    >>> free_place([Rectangle(0.5, 1.0, 0.3, 0.7)], (0.98, 0.5))
    (0.02, 0.5)
    """
    for place in (now, *PLACES):
        if not any(taken(place).meets(leg) for leg in legs):
            return place
    return None


def legs_in_view(classification: SceneClassification, view: slicer.vtkMRMLSliceNode) -> list[Rectangle]:
    """Where the windows of each side lie in a view, whatever slice it shows; nothing without an answer.

    Raises:
        InputError: the volume lies under a transform that is not linear.
    """
    images = classification.result.images if classification.result is not None else ()
    to_xy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(view.GetXYToRAS()))
    columns, rows, _ = view.GetDimensions()
    found = []
    for side in {image.side for image in images}:
        windows = np.array([image.window_ijk for image in images if image.side == side])  # (n, i and j, ends)
        (i0, j0), (i1, j1) = windows[:, :, 0].min(axis=0), windows[:, :, 1].max(axis=0) - 1
        plane = SlicePlane(view, classification.volume)
        corners = [to_xy @ [*plane.world((i, j, plane.slice)), 1] for i in (i0, i1) for j in (j0, j1)]
        x, y = (np.array([corner[axis] for corner in corners]) / size for axis, size in ((0, columns), (1, rows)))
        found.append(Rectangle(x.min(), x.max(), y.min(), y.max()))
    return found


def place_legend(classification: SceneClassification, make_room: bool = False) -> None:
    """Shows the legend of a classification in the main view alone, beside the legs; where these leave no room, it is
    not seen. Under a transform that is not linear nothing is changed.

    Args:
        make_room: move and narrow the picture where the legs leave no room.
    """
    views = _views(classification)
    if classification.heatmap is None or MAIN_VIEW not in views:
        return
    display, view = HeatmapDisplay(classification.heatmap), views[MAIN_VIEW]
    with suppress(InputError):
        place = free_place(legs_in_view(classification, view), display.legend_position)
        if place is None and make_room and display.legend:
            for name in {MAIN_VIEW, MRI_VIEW} & views.keys():
                _make_room(views[name])
            place = free_place(legs_in_view(classification, view), PLACES[0])
        display.place_legend(view.GetID(), place)


def look_through_a_leg(classification: SceneClassification) -> None:
    """Moves each view along the slices that misses most windows of both legs, as a sagittal one between the legs does,
    to the middle of a window; nothing without an answer, or under a transform that is not linear."""
    images = classification.result.images if classification.result is not None else ()
    for name, view in _views(classification).items():
        with suppress(InputError):
            if name in (MAIN_VIEW, MRI_VIEW) or not images:
                continue
            plane = SlicePlane(view, classification.volume)
            axis, place = plane.across
            if axis < 2 and not _through_most_windows(images, axis, place):
                image = min(images, key=lambda image: abs(image.slice - plane.slice))
                (i0, i1), (j0, j1) = image.window_ijk
                plane.go_to(((i0 + i1 - 1) / 2, (j0 + j1 - 1) / 2, image.slice))


def _through_most_windows(images: Sequence[ImageResult], axis: int, place: float) -> bool:
    """Whether a plane lies in the middle half of at least half of the windows of one side; near the hip, and where
    they touch, both legs reach the plane between them."""
    hits: dict[str, list[bool]] = {}
    for image in images:
        start, stop = image.window_ijk[axis]
        quarter = (stop - start) / 4
        hits.setdefault(image.side, []).append(start + quarter <= place < stop - quarter)
    return any(2 * sum(of_side) >= len(of_side) for of_side in hits.values())


def _views(classification: SceneClassification) -> dict[str, slicer.vtkMRMLSliceNode]:
    return {view.GetLayoutName(): view for view in nodes_of_class(classification.volume.GetScene(), "vtkMRMLSliceNode")}


def _make_room(view: slicer.vtkMRMLSliceNode) -> None:
    """Gives a strip at the right edge of a view to the legend."""
    strip = 1 - taken(PLACES[0]).left
    (width, height, depth), (x, y, z) = view.GetFieldOfView(), view.GetXYZOrigin()
    wider = width / (1 - strip)
    view.SetFieldOfView(wider, height * wider / width, depth)
    view.SetXYZOrigin(x + wider * strip / 2, y, z)
    view.UpdateMatrices()
