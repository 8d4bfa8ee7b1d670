"""overview.png: slices of a classified study on one sheet, each drawn by Slicer's own slice view."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..report import finding, notices
from ..results import ImageResult, StudyResult
from .offscreen import Box, OffscreenSlicer
from .study_scene import StudyScene

TILES = 12

_SHEET_WIDTH = 1600
_GAP = 12
_TILE_PIXELS = 140_000
_CAPTION = 30
_HEADER = 128
_MARGIN_MM = 12
_BACKGROUND, _TEXT, _FAINT, _ALERT = (24, 24, 27), (240, 240, 240), (160, 160, 165), (255, 196, 90)


def render_overview(viewer: OffscreenSlicer, study: StudyScene, result: StudyResult, path: Path) -> None:
    """Draws up to `TILES` slices, evenly along the leg and always with the most suspicious one, as a PNG file.

    Each tile has the slice's index, the probability of each leg (in brackets where it does not enter the case) and the
    letters of the patient's directions at its edges. The view is left at the most suspicious slice.

    Args:
        viewer: where `study` was added.
    """
    slices, most_suspicious = _chosen_slices(result)
    aspect = viewer.look_at(study.volume, _framed(study, result))
    columns = round(_SHEET_WIDTH / np.sqrt(_TILE_PIXELS * aspect))
    width = (_SHEET_WIDTH - _GAP) // columns - _GAP
    height = round(width / aspect)
    viewer.set_size(width, height)

    rows = -(-len(slices) // columns)
    sheet = Image.new("RGB", (_SHEET_WIDTH, _HEADER + rows * (_CAPTION + height + _GAP)), _BACKGROUND)
    _draw_header(sheet, study, result)
    study.display.legend.SetVisibility(False)  # one for the sheet instead of one a tile
    for n, k in enumerate(slices):
        viewer.show_slice(k)
        tile = Image.new("RGB", (width, _CAPTION + height), _BACKGROUND)
        tile.paste(Image.fromarray(viewer.picture()), (0, _CAPTION))
        _draw_tile_text(tile, k, [image for image in result.images if image.slice == k], viewer.edges)
        row, column = divmod(n, columns)
        sheet.paste(tile, (_GAP + column * (width + _GAP), _HEADER + row * (tile.height + _GAP)))
    study.display.legend.SetVisibility(True)
    viewer.show_slice(most_suspicious)
    sheet.save(path, format="PNG")


def _chosen_slices(result: StudyResult) -> tuple[list[int], int]:
    """Slices to draw, ascending, and the one with the highest probability; counted images before others."""
    images = [image for image in result.images if image.counted] or list(result.images)
    if not images:
        return np.unique(np.linspace(0, result.input.slices - 1, TILES).round().astype(int)).tolist(), 0
    highest = max(images, key=lambda image: image.probability).slice
    candidates = np.unique([image.slice for image in images])
    places = np.unique(np.linspace(0, len(candidates) - 1, TILES).round().astype(int))
    chosen = candidates[places]
    # The highest one takes the place of its nearest neighbour.
    chosen[np.abs(chosen - highest).argmin()] = highest
    return chosen.tolist(), highest


def _framed(study: StudyScene, result: StudyResult) -> Box:
    """Index ranges of all windows with a margin; the whole slice where there is no window."""
    size, spacing = study.volume.GetImageData().GetDimensions(), study.volume.GetSpacing()
    windows = np.array([image.window_ijk for image in result.images])
    if not len(windows):
        return ((0, size[0]), (0, size[1]))
    start, stop = windows[:, :, 0].min(axis=0), windows[:, :, 1].max(axis=0)
    margin = np.round(_MARGIN_MM / np.array(spacing[:2])).astype(int)
    start, stop = np.maximum(start - margin, 0), np.minimum(stop + margin, size[:2])
    return ((int(start[0]), int(stop[0])), (int(start[1]), int(stop[1])))


def _draw_header(sheet: Image.Image, study: StudyScene, result: StudyResult) -> None:
    draw = ImageDraw.Draw(sheet)
    case = result.case
    draw.text((_GAP, 14), finding(result), _TEXT, _font(34))
    figures = f"probability {case.probability:.2f}, 95 % interval {case.ci95[0]:.2f} to {case.ci95[1]:.2f}"
    draw.text((_GAP, 58), f"{figures}, threshold {case.threshold:.2f}", _TEXT, _font(20))
    draw.text((_GAP, 88), "  ".join(notices(result)), _ALERT, _font(20))
    _draw_legend(draw, study)


def _draw_legend(draw: ImageDraw.ImageDraw, study: StudyScene) -> None:
    """The heatmap's colours from 0 to 1; what is below the threshold, and so not drawn, is left empty."""
    colors = study.display.colors
    width, top, bottom = colors.GetNumberOfColors(), 44, 66
    left = _SHEET_WIDTH - width - 3 * _GAP
    shown = round(study.display.threshold * (width - 1))
    rgba = [0.0] * 4
    for n in range(shown, width):
        colors.GetColor(n, rgba)
        draw.line((left + n, top, left + n, bottom), tuple(round(255 * value) for value in rgba[:3]))
    draw.rectangle((left - 1, top - 1, left + width, bottom + 1), outline=_FAINT)
    draw.text((left + width / 2, 38), "heatmap", _TEXT, _font(18), anchor="ms")
    for value, place in (("0", 0), (f"{study.display.threshold:.2f}", shown), ("1", width - 1)):
        draw.text((left + place, bottom + 6), value, _TEXT, _font(18), anchor="mt")


def _draw_tile_text(tile: Image.Image, k: int, images: list[ImageResult], edges: tuple[str, str]) -> None:
    draw = ImageDraw.Draw(tile)
    draw.text((4, _CAPTION / 2), f"Slice {k}", _TEXT, _font(18), anchor="lm")
    place = tile.width - 4
    # From the right end on, so that the legs stand in the order in which the picture shows them.
    for image in sorted(images, key=lambda image: _LETTER[image.side] == edges[0]):
        text = f"{_LETTER[image.side]} {image.probability:.2f}"
        text, color = (text, _TEXT) if image.counted else (f"({text})", _FAINT)
        draw.text((place, _CAPTION / 2), text, color, _font(18), anchor="rm")
        place -= draw.textlength(text, _font(18)) + 2 * _GAP
    for letter, x, anchor in ((edges[0], 10, "lt"), (edges[1], tile.width - 10, "rt")):
        draw.text((x, _CAPTION + 10), letter, _TEXT, _font(24), anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))


_LETTER = {"left": "L", "right": "R", "unknown": "leg"}


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
