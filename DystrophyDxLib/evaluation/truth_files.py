"""The truth that lies beside the series of a phantom cohort, as `phantom.cohort.write_cohort` writes it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..phantom.anatomy import MUSCLES
from ..series import Geometry, Series
from ..training.cohort import Case

TRUTH, TABLE = "truth", "truth.csv"


@dataclass(frozen=True)
class TruthFiles:
    """Muscle labels (0 none) and fat fraction of each muscle voxel, (z, y, x) on the grid of a series."""

    muscles: np.ndarray
    fat_fraction: np.ndarray


def has_truth(case: Case) -> bool:
    """Whether truth lies beside the series."""
    return (case.path.parent / TRUTH).is_dir()


def read_truth(case: Case, series: Series) -> TruthFiles:
    """The truth of a case that has it, brought to the grid of `series`."""
    folder = case.path.parent / TRUTH
    grid = _grid(series.geometry, series.voxels.shape)
    return TruthFiles(
        *(
            sitk.GetArrayFromImage(sitk.Resample(sitk.ReadImage(str(folder / f"{name}.nii.gz")), grid, _SAME, _NEAREST))
            for name in ("muscles", "fat_fraction")
        )
    )


def muscle_fat(case: Case) -> np.ndarray:
    """(13,) true fat fraction of each of `MUSCLES` of the case's patient; nan where a muscle is out of view."""
    row = _table(case.path.parent.parent / TABLE)[case.patient_id]
    return np.array([float(row[f"fat {name}"] or "nan") for name in MUSCLES])


@cache
def _table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["patient_id"]: row for row in csv.DictReader(file)}


def _grid(geometry: Geometry, shape: tuple[int, ...]) -> sitk.Image:
    image = sitk.Image(shape[::-1], sitk.sitkUInt8)
    image.SetOrigin(geometry.origin)
    image.SetSpacing(geometry.spacing)
    image.SetDirection(geometry.direction.ravel())
    return image


_SAME, _NEAREST = sitk.Transform(), sitk.sitkNearestNeighbor
