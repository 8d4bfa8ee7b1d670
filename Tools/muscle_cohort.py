"""Makes the cohort on which the shipped model of muscle maps was trained: phantoms in four contrasts each.

PYTHONPATH=. .venv/bin/python Tools/muscle_cohort.py OUT --patients 1300
.venv/bin/dystrophydx train muscles OUT/cohort.csv --out Resources/MuscleModel
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from DystrophyDxLib.files.phantom_cohort import TABLE
from DystrophyDxLib.phantom.cohort import CENTRES, COHORT_COLUMNS, MAPS, Patient, drawn_patients
from DystrophyDxLib.phantom.cohort_files import write_image, write_table
from DystrophyDxLib.phantom.persons import person_keys, seed_of
from DystrophyDxLib.phantom.thigh import make_phantom
from DystrophyDxLib.series.image_files import as_image
from DystrophyDxLib.series.series import Series

MATRICES = (128, 160, 192, 224, 256)
"""Rows and columns, of which each patient has one: coarse pixels and fine ones."""
LIKE_T1, IN_PHASE = (0.15, 0.5), (0.6, 1.6)
"""Share of the water image that is added to the fat image, each divided by its own bright level."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=1300)
    parser.add_argument("--seed", type=int, default=2021)
    parser.add_argument("--purpose", default="muscles training")
    given = parser.parse_args()
    patients = drawn_patients(given.patients, given.seed)
    keys = person_keys("thigh", given.seed, [patient.diagnosis for patient in patients], given.purpose)
    rows = [row for patient, key in zip(patients, keys, strict=True) for row in written(patient, key, given.out)]
    write_table(given.out / TABLE, (*COHORT_COLUMNS, MAPS), rows)
    print(given.out / TABLE)


def written(patient: Patient, key: str, out: Path) -> list[dict[str, object]]:
    """Writes a patient's series and the map of them; gives the rows of the table."""
    rng = np.random.default_rng([patient.number, seed_of(key)])
    phantom = make_phantom(
        seed_of(key),
        patient.diagnosis,
        patient.slices,
        int(rng.choice(MATRICES)),
        ("T1", "DIXON_FAT", "DIXON_WATER"),
        site=CENTRES[patient.centre],
        legs=patient.legs,
    )
    folder = out / patient.patient_id
    folder.mkdir(parents=True)
    fat, water = (_relative(phantom.images[name]) for name in ("DIXON_FAT", "DIXON_WATER"))
    contrasts = {
        "T1": phantom.series.voxels,
        "FAT": fat,
        "LIKE_T1": fat + rng.uniform(*LIKE_T1) * water,
        "IN_PHASE": fat + rng.uniform(*IN_PHASE) * water,
    }
    write_image(as_image(phantom.structures, phantom.series.geometry), folder / "structures.nii.gz")
    rows = []
    for name, voxels in contrasts.items():
        series = replace(phantom.series, voxels=(voxels * (1000 / voxels.max())).astype(np.float32))
        write_image(as_image(series.voxels.round(1), series.geometry), folder / f"{name}.nii.gz")
        rows.append({
            "patient_id": patient.patient_id, "path": f"{patient.patient_id}/{name}.nii.gz",
            "diagnosis": patient.diagnosis, "sex": phantom.sex, "age": f"{phantom.age_years:.1f}",
            "centre": patient.centre, "split": patient.split, "synthetic": "yes", "person": key,
            "severity": f"{phantom.severity:.4f}", MAPS: f"{patient.patient_id}/structures.nii.gz",
        })  # fmt: skip
    return rows


def _relative(series: Series) -> np.ndarray:
    """Voxels relative to the bright level of the series."""
    return series.voxels / np.quantile(series.voxels, 0.99)


if __name__ == "__main__":
    main()
