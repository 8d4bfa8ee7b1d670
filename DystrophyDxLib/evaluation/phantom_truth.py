"""The truth that lies beside the series of a phantom cohort, as `phantom.cohort.write_cohort` writes it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..cohort.table import Case, Cohort, Problems
from ..errors import InputError
from ..phantom.anatomy import MUSCLES
from ..series.image_files import as_image, read_voxels
from ..series.series import Series

TRUTH, TABLE = "truth", "truth.csv"


@dataclass(frozen=True)
class TruthFiles:
    """Muscle labels (0 none) and fat fraction of each muscle voxel, (z, y, x) on the grid of a series."""

    muscles: np.ndarray
    fat_fraction: np.ndarray


def has_truth(case: Case) -> bool:
    """Whether truth lies beside the series."""
    return (case.path.parent / TRUTH).is_dir()


def is_synthetic(cohort: Cohort) -> bool:
    """Whether a case is of a phantom: the table says so, or the truth lies beside it."""
    return any(has_truth(case) or case.synthetic for case in cohort.cases)


def read_truth(case: Case, series: Series) -> TruthFiles:
    """The truth of a case that has it, brought to the grid of `series`."""
    files = (case.path.parent / TRUTH / f"{name}.nii.gz" for name in ("muscles", "fat_fraction"))
    return TruthFiles(*(_on_grid(sitk.ReadImage(str(file)), series) for file in files))


def read_muscles(path: Path, series: Series) -> tuple[np.ndarray, dict[int, str]]:
    """Muscle labels of a file, brought to the grid of `series`, and their names: those of Slicer's segments where the
    file holds them, else "muscle 1" and so on.

    Args:
        path: NRRD (also .seg.nrrd) or NIfTI with a label a muscle, 0 elsewhere.

    Raises:
        InputError: it cannot be read, is no volume of one label a voxel, or its labels are no whole numbers above 0.
    """
    try:
        image = read_voxels(path, _header(path))
    except RuntimeError:
        raise InputError(_UNREADABLE) from None
    labels = _on_grid(image, series)
    if labels.min() < 0 or np.any(labels % 1):
        raise InputError("The labels of a segmentation are no whole numbers; export it as a label map.")
    labels = labels.astype(np.int64)
    segments = (key.removesuffix("_Name") for key in image.GetMetaDataKeys() if key.endswith("_Name"))
    named = {
        int(image.GetMetaData(f"{segment}_LabelValue")): image.GetMetaData(f"{segment}_Name")
        for segment in segments
        if image.HasMetaDataKey(f"{segment}_LabelValue")
    }
    return labels, {label: named.get(label, f"muscle {label}") for label in np.unique(labels[labels > 0]).tolist()}


def segmentation_files(cohort: Cohort, folder: Path, column: str) -> dict[int, Path]:
    """Path of the segmentation of each row of a cohort that names one, all of them seen to be there.

    Args:
        folder: of the cohort table.
        column: in lower case.

    Raises:
        InputError: files that are not there or are no segmentation, with their rows.
    """
    files = {case.row: folder / cell for case in cohort.cases if (cell := case.extra.get(column))}
    problems = Problems()
    for row, path in files.items():
        try:
            _header(path)
        except InputError as error:
            problems.add(f"in the column {column} {str(error).partition(';')[0].lower()}", f"row {row}")
    problems.raise_any()
    return files


def _header(path: Path) -> sitk.ImageFileReader:
    """A reader of one label map; see `read_muscles`."""
    if not path.is_file():
        raise InputError("A segmentation does not exist; correct its path.")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise InputError(_UNREADABLE) from None
    if reader.GetNumberOfComponents() > 1 or reader.GetDimension() != 3:
        raise InputError("Segments of a segmentation overlap, or it is no volume; export it as a label map.")
    return reader


def muscle_fat(case: Case) -> np.ndarray:
    """(13,) true fat fraction of each of `MUSCLES` of the case's patient; nan where a muscle is out of view."""
    row = _table(case.path.parent.parent / TABLE)[case.patient_id]
    return np.array([float(row[f"fat {name}"] or "nan") for name in MUSCLES])


@cache
def _table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["patient_id"]: row for row in csv.DictReader(file)}


def _on_grid(image: sitk.Image, series: Series) -> np.ndarray:
    """(z, y, x) voxels on the grid of `series`, each of the nearest voxel of `image`."""
    grid = as_image(series.voxels, series.geometry)
    return sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor))


_UNREADABLE = "A segmentation cannot be read; give NRRD or NIfTI files with a label a muscle or organ."
