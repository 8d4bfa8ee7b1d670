"""Makes the cohorts on which the shipped pattern models were trained: T1-weighted phantoms with coarse pixels and fine
ones. Of two classes: of every disease, half of them dystrophinopathies. Of the differential: of each of its classes as
many, a third of them with Dixon images, too.

PYTHONPATH=. .venv/bin/python Tools/pattern_cohort.py OUT --patients 720
.venv/bin/dystrophydx train pattern OUT/cohort.csv --out Resources/PatternModel

PYTHONPATH=. .venv/bin/python Tools/pattern_cohort.py OUT --patients 1188 --task differential
.venv/bin/dystrophydx train pattern OUT/cohort.csv --task differential --out Resources/DifferentialModel
"""

from __future__ import annotations

import argparse
from math import lcm
from pathlib import Path

import numpy as np
from muscle_cohort import MATRICES

from DystrophyDxLib.cohort.options import chosen_recipe
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
DIXON, WITH_DIXON = ("DIXON_FAT", "DIXON_WATER"), 1 / 3
"""Contrasts beside T1, and the share of the patients of a differential who have them."""


def drawn_diagnoses(task: str | None) -> tuple[str, ...]:
    """Each disease as often as it is drawn: half of them dystrophinopathies, or each class of a task alike."""
    if task:
        classes = chosen_recipe("pattern", task=task).diagnoses.values()
        each = lcm(*map(len, classes))
        return tuple(name for diseases in classes for name in diseases for _ in range(each // len(diseases)))
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
    parser.add_argument("--task", help="of the recipe, whose classes are told apart")
    given = parser.parse_args()
    patients = drawn_patients(given.patients, given.seed, drawn_diagnoses(given.task))
    keys = person_keys("thigh", given.seed, [patient.diagnosis for patient in patients], given.purpose)
    rows = []
    for patient, key in zip(patients, keys, strict=True):
        rows.append(written(patient, key, given.out, WITH_DIXON if given.task else 0.0))
        if patient.number % 20 == 0:
            print(patient.number, flush=True)
    write_table(given.out / TABLE, (*COHORT_COLUMNS, *DIXON), rows)
    print(given.out / TABLE)


def written(patient: Patient, key: str, out: Path, with_dixon: float) -> dict[str, object]:
    """Writes a patient's series; gives the row of the table.

    Args:
        with_dixon: probability that there are Dixon images.
    """
    rng = np.random.default_rng([patient.number, seed_of(key)])
    matrix = int(rng.choice(MATRICES))
    contrasts = ("T1", *DIXON) if rng.random() < with_dixon else ("T1",)
    phantom = make_phantom(
        seed_of(key),
        patient.diagnosis,
        patient.slices,
        matrix,
        contrasts,
        site=CENTRES[patient.centre],
        legs=patient.legs,
    )
    folder = out / patient.patient_id
    folder.mkdir(parents=True)
    paths = {name: f"{patient.patient_id}/{name}.nii.gz" for name in contrasts}
    for name, path in paths.items():
        series = phantom.images[name]
        write_image(as_image(stored_pixels(series.voxels, name), series.geometry), out / path)
    return {
        "patient_id": patient.patient_id, "path": paths.pop("T1"), **paths, "diagnosis": patient.diagnosis,
        "sex": phantom.sex, "age": f"{phantom.age_years:.1f}", "centre": patient.centre, "split": patient.split,
        "synthetic": "yes", "person": key, "severity": f"{phantom.severity:.4f}",
    }  # fmt: skip


if __name__ == "__main__":
    main()
