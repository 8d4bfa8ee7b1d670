"""A cohort of beating hearts on disk: cines, the hearts' labels and the cohort table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..files.phantom_cohort import TABLE, earlier_cohort
from ..reporting.output_folder import output_folder
from ..reporting.progress import Advance, silent
from ..series.image_files import as_image
from .cohort_files import write_image, write_table
from .heart import DISEASES, PLANES, Disease, HeartPhantom, Plane, make_heart
from .persons import person_keys, seed_of

COLUMNS = (
    "patient_id", "path", "diagnosis", "sex", "age", "organ", "plane", "disease", "wall_mm", "ejection_fraction",
    "systole_frame", "synthetic", "person",
)  # fmt: skip
FRAME_MS = 45.0


def write_hearts(
    patients: int,
    out: Path,
    *,
    seed: int,
    diagnoses: Sequence[str] = DISEASES,
    matrix: int = 192,
    frames: int = 20,
    purpose: str = "",
    overwrite: bool = False,
    advance: Advance = silent,
) -> Path:
    """Writes for each patient a cine (4-D NIfTI) and the heart's labels at end-diastole, and the table of all.

    Args:
        out: new or empty folder; with `overwrite` also one of an earlier cohort.
        diagnoses: taken in turn: diseases, shown in the short axis, or planes, each of a heart of any disease.

    Returns:
        Path of the table, `cohort.csv`: `organ` is the path of the labels, `systole_frame` the true one.

    Raises:
        InputError: a diagnosis that is neither, or `out` holds files or cannot be written.
    """
    unknown = [name for name in diagnoses if name not in (*DISEASES, *PLANES)]
    if unknown:
        known = ", ".join((*DISEASES, *PLANES))
        raise InputError(f"There is no phantom of a heart with {unknown[0]!r}; choose from {known}.")
    with output_folder(out, earlier_cohort(out), overwrite=overwrite) as folder:
        rows = []
        shown = [diagnoses[number % len(diagnoses)] for number in range(patients)]
        for number, person in enumerate(person_keys("heart", seed, shown, purpose)):
            advance("Making hearts", number, patients)
            rows.append(_write_patient(folder, f"H{number + 1:04d}", person, shown[number], matrix, frames))
        write_table(folder / TABLE, COLUMNS, rows)
    return out / TABLE


def _write_patient(out: Path, name: str, person: str, diagnosis: str, matrix: int, frames: int) -> dict[str, object]:
    """Files and row of a patient."""
    rng = np.random.default_rng([seed_of(person), 1])
    disease = cast(Disease, diagnosis if diagnosis in DISEASES else str(rng.choice(DISEASES)))
    plane = cast(Plane, diagnosis if diagnosis in PLANES else "short axis")
    phantom = make_heart(disease, seed=seed_of(person), plane=plane, matrix=matrix, frames=frames)
    (out / name).mkdir()
    write_cine(phantom, out / name / "cine.nii.gz")
    write_image(as_image(phantom.labels, phantom.geometry), out / name / "heart.nii.gz")
    return {
        "patient_id": name,
        "path": f"{name}/cine.nii.gz",
        "diagnosis": diagnosis,
        "sex": str(rng.choice(["F", "M"])),
        "age": int(rng.integers(18, 85)),
        "organ": f"{name}/heart.nii.gz",
        "plane": plane,
        "disease": disease,
        "wall_mm": round(phantom.heart.wall_mm, 1),
        "ejection_fraction": round(phantom.heart.ejection, 3),
        "systole_frame": phantom.systole,
        "synthetic": "yes",
        "person": person,
    }


def write_cine(phantom: HeartPhantom, path: Path) -> None:
    """Writes the frames along a fourth axis into a NIfTI (.nii.gz)."""
    frames = [as_image(frame.round().astype(np.int16), phantom.geometry) for frame in phantom.voxels]
    write_image(sitk.JoinSeries(frames, 0.0, FRAME_MS), path)
