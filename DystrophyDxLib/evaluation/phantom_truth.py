"""The truth that lies beside the series of a phantom cohort, as `phantom.cohort.write_cohort` writes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..cohort.table import Case, Cohort, Problems
from ..errors import InputError
from ..files.spreadsheet import Sheet, column_name, existing
from ..muscles.structures import MUSCLES
from ..series.formats.any_format import read_header
from ..series.image_files import as_image
from ..series.segmentation_file import read_segmentation, segmentation_header
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
    files = (read_header(case.path.parent / TRUTH / f"{name}.nii.gz") for name in ("muscles", "fat_fraction"))
    return TruthFiles(*(_on_grid(as_image(file.load().voxels[0], file.geometry), series) for file in files))


def read_muscles(path: Path, series: Series) -> tuple[np.ndarray, dict[int, str]]:
    """Muscle labels of a file, brought to the grid of `series`, and their names: those of Slicer's segments or of a
    table beside the file, else "label 1" and so on.

    Args:
        path: NRRD (also .seg.nrrd) or NIfTI with a label a muscle, 0 elsewhere.

    Raises:
        InputError: it cannot be read, is no volume of one label a voxel, or its labels are no whole numbers above 0.
    """
    file = read_segmentation(path)
    if len(file.layers) > 1:
        raise InputError(_OVERLAP)
    labels = _on_grid(as_image(file.layers[0], file.geometry), series).astype(np.int64)
    if labels.min() < 0:
        raise InputError("The labels of a segmentation are no whole numbers; export it as a label map.")
    named = {segment.value: segment.name for segment in file.segments}
    return labels, {label: named.get(label, f"label {label}") for label in np.unique(labels[labels > 0]).tolist()}


def segmentation_files(cohort: Cohort, folder: Path, column: str) -> dict[int, Path]:
    """Path of the segmentation of each row of a cohort that names one, all of them seen to be there.

    Args:
        folder: of the cohort table.
        column: its name, as `spreadsheet.column_name` gives it.

    Raises:
        InputError: files that are not there or are no segmentation, with their rows.
    """
    cells = {case.row: cell for case in cohort.cases if (cell := case.extra.get(column))}
    files = {row: existing(folder, cell) or folder / cell for row, cell in cells.items()}
    problems = Problems()
    for row, path in files.items():
        try:
            if not path.is_file():
                raise InputError("A segmentation does not exist; correct its path.")
            header = segmentation_header(path)
            if header is not None and header.frames > 1:
                raise InputError(_OVERLAP)
        except InputError as error:
            problems.add(f"in the column {column} {str(error).partition(';')[0].lower()}", f"row {row}")
    problems.raise_any()
    return files


def muscle_fat(case: Case) -> np.ndarray:
    """(13,) true fat fraction of each of `MUSCLES` of the case's patient; nan where a muscle is out of view."""
    row = _table(case.path.parent.parent / TABLE).get(case.path.parent.name, {})
    return np.array([float(row.get(column_name(f"fat {name}")) or "nan") for name in MUSCLES])


@cache
def _table(path: Path) -> dict[str, dict[str, str]]:
    return {row["patient_id"]: row for _, row in Sheet.read(path, "The truth of the phantoms").records()}


def _on_grid(image: sitk.Image, series: Series) -> np.ndarray:
    """(z, y, x) voxels on the grid of `series`, each of the nearest voxel of `image`."""
    grid = as_image(series.voxels, series.geometry)
    return sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor))


_OVERLAP = "Segments of a segmentation overlap; export it as a label map."
