"""A contact sheet of phantoms, one for each diagnosis, with real series beside them where some are given.

Run as `python Tools/contact_sheet.py [--seed N] OUT.png [STUDY...]`. All images have the same window:
black to the 99.5th percentile of the slice.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.phantom.disease import DIAGNOSES
from DystrophyDxLib.phantom.thigh import make_phantom
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.series import Series

_EDGE, _COLUMNS = 240, 8


def contact_sheet(named: list[tuple[str, Series]]) -> Image.Image:
    """The middle slice of each series under its name, in rows of eight.

    Pixels are drawn square at the series' own in-plane spacing, in the stored order of rows and columns.
    """
    rows = -(-len(named) // _COLUMNS)
    sheet = Image.new("L", (_COLUMNS * _EDGE, rows * _EDGE))
    pen = ImageDraw.Draw(sheet)
    for n, (name, series) in enumerate(named):
        tile = _tile(series)
        corner = (n % _COLUMNS * _EDGE, n // _COLUMNS * _EDGE)
        sheet.paste(tile, (corner[0] + (_EDGE - tile.width) // 2, corner[1] + (_EDGE - tile.height) // 2))
        pen.text((corner[0] + 4, corner[1] + 2), name, fill=255)
    return sheet


def _tile(series: Series) -> Image.Image:
    plane = series.voxels[len(series.voxels) // 2]
    greys = np.clip(plane * (255 / max(float(np.percentile(plane, 99.5)), 1e-6)), 0, 255).astype(np.uint8)
    extent = np.array(plane.shape[::-1]) * series.geometry.spacing[:2]
    width, height = np.maximum(np.rint(extent * (_EDGE / extent.max())).astype(int), 1)
    return Image.fromarray(greys).resize((int(width), int(height)), Image.Resampling.BILINEAR)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="PNG to write")
    parser.add_argument("studies", type=Path, nargs="*", help="real series to set beside the phantoms")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    named = []
    for n, diagnosis in enumerate(DIAGNOSES):
        phantom = make_phantom(options.seed + n, diagnosis, slices=3)
        named.append((f"{diagnosis}, {phantom.age_years:.0f} y, fat {phantom.severity:.0%}", phantom.series))
    try:
        named += [(f"real {n}", read_study(study)) for n, study in enumerate(options.studies, 1)]
    except InputError as error:
        parser.exit(2, f"{error}\n")
    contact_sheet(named).save(options.out)


if __name__ == "__main__":
    main()
