"""The files of a cohort of phantoms, each whole."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import SimpleITK as sitk

from ..files.spreadsheet import write_rows

_REFUSED = """Synthetic patients (phantoms): for trying and training, not for figures on patients.

They are as hard to read as real ones, so classify refuses a few of the T1-weighted series, as it would a patient's (the
label is then indeterminate). Of the 432 phantoms with the published numbers of Yang et al. 2021 (seed 2021):

  NOT_THIGH        10, whose marrow chemical shift or a fold-over lays upon the cortex of the femur, which is then open.
  NOT_T1_WEIGHTED   1 of these; elsewhere also where hardly any muscle is left that would be darker than fat.

The other contrasts are inputs of models that ask for them. A model of T1-weighted thighs refuses STIR and DIXON_WATER
by their look (either warning), and all but DIXON_FAT by their DICOM header. NIfTI has none: DIXON_FF passes, too.
Which series of this cohort are refused, train and evaluate list as left out.
"""
_NAMED = "Of this cohort they leave out:"


def refused(rows: Sequence[Mapping[str, object]]) -> str:
    """What `files.phantom_cohort.BESIDE` says.

    Args:
        rows: of a cohort; where all were judged they have `left_out`, why nothing is taken of them, or None.

    >>> refused([{"patient_id": "P0001", "left_out": None}]).splitlines()[-1]
    '  none of them.'
    """
    if any("left_out" not in row for row in rows):
        return _REFUSED
    lines = [f"  {row['patient_id']}: {row['left_out']}." for row in rows if row["left_out"]]
    return "\n".join([_REFUSED + _NAMED, *(lines or ["  none of them."]), ""])


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
