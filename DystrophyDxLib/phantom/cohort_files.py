"""The files of a cohort of phantoms, each whole."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import SimpleITK as sitk

from ..files.spreadsheet import write_rows

TABLE = "cohort.csv"
"""Name of the table of a cohort."""


def write_image(image: sitk.Image, path: Path) -> None:
    """Writes a NIfTI (.nii.gz), and reads it to the end, as a full disk goes without a word.

    Raises:
        OSError: the file is not whole.
    """
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
        with gzip.open(path) as file:
            whole = len(file.read()) >= image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    except (RuntimeError, EOFError):
        whole = False
    if not whole:
        raise OSError


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Writes a CSV; cells of other columns are left out."""
    with path.open("w", newline="", encoding="utf-8") as file:
        write_rows(file, [columns, *([row.get(name, "") for name in columns] for row in rows)])
        file.flush()
        os.fsync(file.fileno())
