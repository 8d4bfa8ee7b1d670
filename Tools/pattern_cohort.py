"""Makes the cohort on which the shipped pattern model was trained: T1-weighted phantoms of every disease, half of them
dystrophinopathies, with coarse pixels and fine ones.

PYTHONPATH=. .venv/bin/python Tools/pattern_cohort.py OUT --patients 720
.venv/bin/dystrophydx train pattern OUT/cohort.csv --out Resources/PatternModel
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from muscle_cohort import MATRICES

from DystrophyDxLib.files.phantom_cohort import TABLE
from DystrophyDxLib.phantom.cohort import CENTRES, COHORT_COLUMNS, Patient, drawn_patients
from DystrophyDxLib.phantom.cohort_files import write_image, write_table
from DystrophyDxLib.phantom.dicom_series import stored_pixels
from DystrophyDxLib.phantom.disease import DIAGNOSES, DYSTROPHINOPATHY
from DystrophyDxLib.phantom.persons import person_keys, seed_of
from DystrophyDxLib.phantom.thigh import make_phantom
from DystrophyDxLib.series.image_files import as_image

HEALTHY = 4
"""Healthy persons for each patient of another disease that is no dystrophinopathy."""


def drawn_diagnoses() -> tuple[str, ...]:
    """Each disease as often as it is drawn: half of them dystrophinopathies."""
    others = [
        name for name in DIAGNOSES if name not in DYSTROPHINOPATHY for _ in range(HEALTHY if name == "healthy" else 1)
    ]
    own = sorted(DYSTROPHINOPATHY)
    return (*others, *(own[n % len(own)] for n in range(len(others))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=720)
    parser.add_argument("--seed", type=int, default=2021)
    parser.add_argument("--purpose", default="pattern training")
    given = parser.parse_args()
    patients = drawn_patients(given.patients, given.seed, drawn_diagnoses())
    keys = person_keys("thigh", given.seed, [patient.diagnosis for patient in patients], given.purpose)
    rows = []
    for patient, key in zip(patients, keys, strict=True):
        rows.append(written(patient, key, given.out))
        if patient.number % 20 == 0:
            print(patient.number, flush=True)
    write_table(given.out / TABLE, COHORT_COLUMNS, rows)
    print(given.out / TABLE)


def written(patient: Patient, key: str, out: Path) -> dict[str, object]:
    """Writes a patient's series; gives the row of the table."""
    rng = np.random.default_rng([patient.number, seed_of(key)])
    phantom = make_phantom(
        seed_of(key),
        patient.diagnosis,
        patient.slices,
        int(rng.choice(MATRICES)),
        ("T1",),
        site=CENTRES[patient.centre],
        legs=patient.legs,
    )
    folder = out / patient.patient_id
    folder.mkdir(parents=True)
    stored = stored_pixels(phantom.series.voxels, "T1")
    write_image(as_image(stored, phantom.series.geometry), folder / "T1.nii.gz")
    return {
        "patient_id": patient.patient_id, "path": f"{patient.patient_id}/T1.nii.gz", "diagnosis": patient.diagnosis,
        "sex": phantom.sex, "age": f"{phantom.age_years:.1f}", "centre": patient.centre, "split": patient.split,
        "synthetic": "yes", "person": key, "severity": f"{phantom.severity:.4f}",
    }  # fmt: skip


if __name__ == "__main__":
    main()
