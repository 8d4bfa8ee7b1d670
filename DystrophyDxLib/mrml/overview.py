"""overview.png: slices of a classified volume on one sheet, each drawn by Slicer's own slice pipeline."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import slicer
from PIL import Image, ImageDraw, ImageFont
from vtkmodules.util.numpy_support import vtk_to_numpy

from ..errors import InputError
from ..regions.windows import LABEL_OF_SIDE
from ..reporting.case_report import caption, notices, reservations, title
from ..results import ImageResult, StudyResult, WarningCode
from .classification import SceneClassification
from .classification_view import ClassificationView
from .display import HeatmapDisplay
from .layouts import MAIN_VIEW
from .scenes import copy_into, new_scene
from .segmentation import SEGMENT_COLORS, labels_from_segmentation
from .slice_plane import Box, SlicePlane

TILES = 12

_SHEET_WIDTH = 1600
_GAP = 12
_TILE_PIXELS = 140_000
_CAPTION = 30
_HEADER = 120
_LINE = 20
_CHARACTERS = 190
"""That fit on a line."""
_MARGIN_MM = 12
_OUTLINE = 2
_BACKGROUND, _TEXT, _FAINT, _ALERT = (24, 24, 27), (240, 240, 240), (160, 160, 165), (255, 196, 90)


class SliceDrawing:
    """Draws what the main slice view shows of a classification, leg outlines included, without window and OpenGL.

    Slicer's own slice logic places, colours and blends the voxels, as for a view on the screen.

    Args:
        classification: shown in the views of its scene, whose label layer is taken for the outlines.

    Attributes:
        plane: the slice view.
    """

    def __init__(self, classification: SceneClassification) -> None:
        scene = classification.volume.GetScene()
        self._view = scene.GetNodeByID(f"vtkMRMLSliceNode{MAIN_VIEW}")
        self._view.SetUseLabelOutline(True)
        self.plane = SlicePlane(self._view, classification.volume)
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLScene(scene)
        self._logic.SetSliceNode(self._view)
        if classification.segmentation is not None:
            _show_outlines(classification)

    def picture(self, box: Box, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 RGB, top row first, of the slice through the middle of `box`, which fills it."""
        self._view.SetDimensions(width, height, 1)
        self.plane.frame(box)
        self._logic.UpdatePipeline()
        port = self._logic.GetImageDataConnection()
        port.GetProducer().Update(port.GetIndex())
        image = port.GetProducer().GetOutputDataObject(port.GetIndex())
        pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
        return pixels[::-1, :, :3].copy()


def render_overview(classification: SceneClassification, path: Path) -> None:
    """Draws up to `TILES` slices, evenly along the leg and always with the most suspicious one, as a PNG file.

    Each tile has the slice's index, the probability of each leg (in brackets where it does not enter the case) and the
    letters of the patient's directions at its edges.

    Args:
        classification: not under a warping transform.

    Raises:
        InputError: nothing was classified.
    """
    scene = new_scene()  # where views can be turned at will
    classification = copy_into(scene, classification)
    view = ClassificationView(scene)
    view.show(classification)
    result, heatmap = classification.result, view.heatmap
    if result is None or heatmap is None:
        raise InputError("There is nothing to draw; classify the volume first.")
    drawing = SliceDrawing(classification)
    slices = _chosen_slices(result)
    box = _framed(classification.volume, result)
    aspect = np.divide(*drawing.plane.extent((*box, (0, 1))))
    columns = round(_SHEET_WIDTH / np.sqrt(_TILE_PIXELS * aspect))
    width = (_SHEET_WIDTH - _GAP) // columns - _GAP
    height = round(width / aspect)

    rows = -(-len(slices) // columns)
    heat = slicer.util.arrayFromVolume(classification.heatmap)[slices]
    told = _told(result, heatmap, slices, heat_is_seen=bool(heat.max() >= heatmap.threshold))
    header = _HEADER + _LINE * len(told)
    sheet = Image.new("RGB", (_SHEET_WIDTH, header + rows * (_CAPTION + height + _GAP)), _BACKGROUND)
    _draw_header(sheet, heatmap, result, told)
    for n, k in enumerate(slices):
        tile = Image.new("RGB", (width, _CAPTION + height), _BACKGROUND)
        tile.paste(Image.fromarray(drawing.picture((*box, (k, k + 1)), width, height)), (0, _CAPTION))
        _draw_tile_text(tile, k, [image for image in result.images if k in image.shown], drawing.plane.edges)
        row, column = divmod(n, columns)
        sheet.paste(tile, (_GAP + column * (width + _GAP), header + row * (tile.height + _GAP)))
    sheet.save(path, format="PNG")


def most_suspicious(result: StudyResult) -> ImageResult | None:
    """The image with the highest probability; counted images before others."""
    images = [image for image in result.images if image.counted] or result.images
    return max(images, key=lambda image: image.probability, default=None)


def _chosen_slices(result: StudyResult) -> list[int]:
    """Slices to draw, ascending."""
    images = [image for image in result.images if image.counted] or result.images
    highest = most_suspicious(result)
    if highest is None:
        return np.unique(np.linspace(0, result.input.slices - 1, TILES).round().astype(int)).tolist()
    candidates = np.unique([k for image in images for k in image.shown])
    places = np.unique(np.linspace(0, len(candidates) - 1, TILES).round().astype(int))
    chosen = candidates[places]
    # The highest one takes the place of its nearest neighbour.
    chosen[np.abs(chosen - highest.slice).argmin()] = highest.slice
    return chosen.tolist()


def _framed(volume: slicer.vtkMRMLScalarVolumeNode, result: StudyResult) -> tuple[tuple[int, int], tuple[int, int]]:
    """Index ranges along i and j of all windows with a margin; the whole slice where there is no window."""
    size, spacing = volume.GetImageData().GetDimensions(), volume.GetSpacing()
    windows = np.array([image.window_ijk for image in result.images])
    if not len(windows):
        return ((0, size[0]), (0, size[1]))
    start, stop = windows[:, :, 0].min(axis=0), windows[:, :, 1].max(axis=0)
    margin = np.round(_MARGIN_MM / np.array(spacing[:2])).astype(int)
    start, stop = np.maximum(start - margin, 0), np.minimum(stop + margin, size[:2])
    return ((int(start[0]), int(stop[0])), (int(start[1]), int(stop[1])))


def _told(result: StudyResult, heatmap: HeatmapDisplay, slices: Sequence[int], *, heat_is_seen: bool) -> list[str]:
    """Lines of all warnings but the one that stands in red, of reservations, of notes, of heat that is nowhere drawn,
    and of what brackets mean where one of the `slices` that are drawn has some."""
    warnings = [warning for warning in result.warnings if warning.code is not WarningCode.DEMONSTRATION_MODEL]
    unseen = () if heat_is_seen else (f"No heat is drawn: nowhere here does it reach {heatmap.threshold:.2f}.",)
    left_out = any(not image.counted and any(k in image.shown for k in slices) for image in result.images)
    brackets = ("In brackets: does not enter the case.",) if left_out else ()
    told = (
        *(f"{warning.code.value}: {warning.message}" for warning in warnings),
        *reservations(result),
        *filter(None, (result.numbering, *result.input.notes)),
        *unseen,
        *brackets,
    )
    return [line for text in told for line in textwrap.wrap(text, _CHARACTERS)]


def _draw_header(sheet: Image.Image, heatmap: HeatmapDisplay, result: StudyResult, told: Sequence[str]) -> None:
    draw = ImageDraw.Draw(sheet)
    room = _legend_left(heatmap) - 2 * _GAP
    text = caption(result)
    draw.text((_GAP, 14), title(result), _TEXT, _fitting(draw, title(result), 34, room))
    draw.text((_GAP, 58), text, _TEXT, _fitting(draw, text, 20, room))
    draw.text((_GAP, 88), "  ".join(notices(result)), _ALERT, _font(20))
    for n, line in enumerate(told):
        draw.text((_GAP, _HEADER + n * _LINE), line, _TEXT, _font(15))
    _draw_legend(draw, heatmap)


def _legend_left(heatmap: HeatmapDisplay) -> int:
    return _SHEET_WIDTH - heatmap.colors.GetNumberOfColors() - 3 * _GAP


def _draw_legend(draw: ImageDraw.ImageDraw, heatmap: HeatmapDisplay) -> None:
    """The heatmap's colours from 0 to 1; what is below the threshold, and so not drawn, is left empty."""
    colors = heatmap.colors
    width, top, bottom = colors.GetNumberOfColors(), 44, 66
    left = _legend_left(heatmap)
    shown = round(heatmap.threshold * (width - 1))
    rgba = [0.0] * 4
    for n in range(shown, width):
        colors.GetColor(n, rgba)
        draw.line((left + n, top, left + n, bottom), tuple(round(255 * value) for value in rgba[:3]))
    draw.rectangle((left - 1, top - 1, left + width, bottom + 1), outline=_FAINT)
    draw.text((left + width / 2, 38), "heatmap", _TEXT, _font(18), anchor="ms")
    for value, place in (("0", 0), (f"{heatmap.threshold:.2f}", shown), ("1", width - 1)):
        draw.text((left + place, bottom + 6), value, _TEXT, _font(18), anchor="mt")


def _draw_tile_text(tile: Image.Image, k: int, images: list[ImageResult], edges: tuple[str, str]) -> None:
    draw = ImageDraw.Draw(tile)
    draw.text((4, _CAPTION / 2), f"Slice {k}", _TEXT, _font(18), anchor="lm")
    place: float = tile.width - 4
    # From the right end on, so that the legs stand in the order in which the picture shows them.
    for image in sorted(images, key=lambda image: _LETTER[image.side] == edges[0]):
        text = f"{_LETTER[image.side]} {image.probability:.2f}"
        text, color = (text, _TEXT) if image.counted else (f"({text})", _FAINT)
        draw.text((place, _CAPTION / 2), text, color, _font(18), anchor="rm")
        place -= draw.textlength(text, _font(18)) + 2 * _GAP
    for letter, x, anchor in ((edges[0], 10, "lt"), (edges[1], tile.width - 10, "rt")):
        draw.text((x, _CAPTION + 10), letter, _TEXT, _font(24), anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))


def _show_outlines(classification: SceneClassification) -> None:
    """Puts the leg regions into the label layer of the slice views."""
    scene = classification.volume.GetScene()
    colors = slicer.vtkMRMLColorTableNode()
    colors.SetTypeToUser()
    colors.SetNumberOfColors(len(LABEL_OF_SIDE) + 1)
    for side, value in LABEL_OF_SIDE.items():
        colors.SetColor(value, side.value, *SEGMENT_COLORS[side], 1)
    scene.AddNode(colors)
    display = slicer.vtkMRMLLabelMapVolumeDisplayNode()
    display.SetAndObserveColorNodeID(colors.GetID())
    display.SetSliceIntersectionThickness(_OUTLINE)
    scene.AddNode(display)
    node = slicer.vtkMRMLLabelMapVolumeNode()
    scene.AddNode(node)
    slicer.util.updateVolumeFromArray(
        node, labels_from_segmentation(classification.segmentation, classification.volume)
    )
    node.CopyOrientation(classification.volume)
    node.SetAndObserveTransformNodeID(classification.volume.GetTransformNodeID())
    node.SetAndObserveDisplayNodeID(display.GetID())
    view = scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{MAIN_VIEW}")
    view.SetLabelVolumeID(node.GetID())
    view.SetLabelOpacity(1)


def _fitting(
    draw: ImageDraw.ImageDraw, text: str, size: int, room: float
) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest font up to a size in which a line fits into so many pixels, and no smaller than 12."""
    return _font(next((own for own in range(size, 12, -1) if draw.textlength(text, _font(own)) <= room), 12))


_LETTER = {"left": "L", "right": "R", "unknown": "leg", "none": ""}


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
