"""Small cohorts on disk, made for tests: tables of empty files, and tables of images that show two legs."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from leg_pairs import make_leg_pair

from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.series.series import Series

RECIPE = Recipe.named("yang2021")
Row = dict[str, object]


def write_table(folder: Path, rows: Sequence[Row]) -> Path:
    """cohort.csv with the columns of the first row."""
    path = folder / "cohort.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(diagnoses: Sequence[str], **columns: Sequence[object]) -> list[Row]:
    """A row a diagnosis, each of its own patient P000, P001, ... unless `columns` says otherwise.

    Args:
        columns: the values of further columns, one a row.
    """
    return [
        {"patient_id": f"P{n:03d}", "path": f"series{n}.nii.gz", "diagnosis": diagnosis}
        | {name: values[n] for name, values in columns.items()}
        for n, diagnosis in enumerate(diagnoses)
    ]


def table_of(folder: Path, rows: Sequence[Row]) -> Path:
    """A table whose series are empty files: there, but nothing to read."""
    for row in rows:
        (folder / str(row["path"])).touch()
    return write_table(folder, rows)


def cohort_of(folder: Path, diagnoses: Sequence[str], **columns: Sequence[object]) -> Cohort:
    """The cohort of `rows_of`, with series that are empty files."""
    return Cohort.read(table_of(folder, rows_of(diagnoses, **columns)), RECIPE)


def two_legs(seed: int, slices: int = 2) -> Series:
    """T1-weighted slices, each of another pair of legs with one round femur a leg."""
    pairs = [make_leg_pair(1000 * seed + k, -10, matrix=256, pixel_mm=1.6).series for k in range(slices)]
    return dataclasses.replace(pairs[0], voxels=np.concatenate([pair.voxels for pair in pairs]))


def write_series(series: Series, path: Path) -> None:
    """The voxels and geometry of a series as an image file."""
    image = sitk.GetImageFromArray(series.voxels)
    image.SetOrigin(series.geometry.origin)
    image.SetSpacing(series.geometry.spacing)
    image.SetDirection(np.ravel(series.geometry.direction))
    sitk.WriteImage(image, str(path))


def legs_cohort(folder: Path, diagnoses: Sequence[str], recipe: Recipe = RECIPE, **columns: Sequence[object]) -> Cohort:
    """The cohort of `rows_of`, with series of two slices that show `two_legs`, other ones in each."""
    rows = rows_of(diagnoses, **columns)
    for n, row in enumerate(rows):
        write_series(two_legs(n), folder / str(row["path"]))
    return Cohort.read(write_table(folder, rows), recipe)
