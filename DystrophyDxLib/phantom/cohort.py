"""A cohort of phantoms on disk: series, truth and the cohort table that training and evaluation read."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, cast

import numpy as np
from threadpoolctl import threadpool_limits

from ..cohort.table import SPLITS, Split
from ..errors import InputError
from ..files.phantom_cohort import BESIDE, TABLE, TRUTH, earlier_cohort
from ..muscles.structures import MUSCLES
from ..reporting.output_folder import output_folder
from ..reporting.progress import Advance, silent
from ..series.image_files import as_image
from ..series.reading import read_study
from .cohort_files import refused, write_image, write_table
from .contrasts import CONTRASTS
from .dicom_series import stored_pixels, write_dicom
from .disease import DIAGNOSES, DYSTROPHINOPATHY, drawn_diagnosis
from .persons import person_keys, seed_of
from .physics import Site
from .published_cohort import PATIENTS, cells, shared
from .thigh import Phantom, make_phantom

CENTRES = {
    "A": Site(
        share_3t=0.9, repetition_ms=(500, 800), echo_ms=(8, 14), thickness_mm=(3, 7), acquired_mm=(0.7, 1.2),
        bandwidth_hz=(180, 450), snr=(18, 70),
    ),
    "B": Site(
        share_3t=0.1, repetition_ms=(400, 650), echo_ms=(10, 20), thickness_mm=(5, 10), acquired_mm=(0.9, 1.8),
        bandwidth_hz=(110, 300), snr=(9, 40),
    ),
    "C": Site(),
}  # fmt: skip
"""Invented hospitals; a patient's does not depend on the diagnosis."""
COHORT_COLUMNS = (
    "patient_id", "path", "diagnosis", "subtype", "sex", "age", "centre", "split", "field_strength_t", "severity",
    "synthetic", "person",
)  # fmt: skip
TRUTH_COLUMNS = (
    "patient_id", "diagnosis", "dystrophinopathy", "severity", "age", "sex", "duration_years", "slices", "legs",
    *(f"fat {name}" for name in MUSCLES),
)  # fmt: skip
MAPS = "muscles"
"""Column of the cohort table for the structures of each series."""
_MOST_SLICES = 10
Legs = Literal["both", "left", "right"]


@dataclass(frozen=True)
class Patient:
    """One synthetic patient of a cohort before any image is made.

    Attributes:
        number: from 1.
        legs: "both", "left" or "right" are in view. An image is one leg in one slice, as Yang et al. count.
    """

    number: int
    diagnosis: str
    split: Split
    centre: str
    slices: int
    legs: Legs

    @property
    def patient_id(self) -> str:
        return f"P{self.number:04d}"

    @property
    def images(self) -> int:
        return self.slices * (2 if self.legs == "both" else 1)


def like_yang2021(seed: int) -> list[Patient]:
    """432 patients with 2536 images as `published_cohort` says, in an order that tells nothing."""
    rng = np.random.default_rng([seed, 0])
    found = []
    for cell in cells():
        diagnoses = [name for name, count in cell.diagnoses.items() for _ in range(count)]
        examinations = _examinations(rng, len(diagnoses), cell.images)
        found += [(name, cell.split, *examination) for name, examination in zip(diagnoses, examinations, strict=True)]
    return [
        Patient(number, name, split, str(rng.choice(list(CENTRES))), slices, legs)
        for number, (name, split, slices, legs) in enumerate((found[n] for n in rng.permutation(len(found))), start=1)
    ]


def drawn_patients(count: int, seed: int, diagnoses: Sequence[str] = (), slices: int | None = None) -> list[Patient]:
    """`count` patients, a dystrophinopathy in about half of them, split like the published cohort within each half.

    Args:
        diagnoses: instead, as many patients of each of these, split like the published cohort within each.
        slices: of each series; drawn, about as many as in the published cohort, when not given.

    Raises:
        InputError: no patient, or a diagnosis that phantoms cannot have.
    """
    if count < 1:
        raise InputError("A cohort needs at least one patient; raise --patients.")
    unknown = [name for name in diagnoses if name not in DIAGNOSES]
    if unknown:
        raise InputError(f"There is no phantom of {unknown[0]!r}; choose from {', '.join(DIAGNOSES)}.")
    rng = np.random.default_rng([seed, 0])
    groups: list[list[int]] = []
    if diagnoses:
        groups = [list(range(first, count, len(diagnoses))) for first in range(len(diagnoses))]
        diagnoses = [diagnoses[n % len(diagnoses)] for n in range(count)]
    else:
        diagnoses = [drawn_diagnosis(rng) for _ in range(count)]
        for wanted in (True, False):
            groups.append([n for n, name in enumerate(diagnoses) if (name in DYSTROPHINOPATHY) == wanted])
    split: list[Split] = [SPLITS[0]] * count  # each group sets its own
    for group in groups:
        parts = shared(len(group), list(PATIENTS.values()))
        for n, name in zip(rng.permutation(group), chain(*map(repeat, SPLITS, parts)), strict=True):
            split[int(n)] = name
    drawn = [
        Patient(n + 1, diagnoses[n], split[n], str(rng.choice(list(CENTRES))), *_examination(rng)) for n in range(count)
    ]
    return [replace(patient, slices=slices or patient.slices) for patient in drawn]


def write_cohort(
    patients: Sequence[Patient],
    out: Path,
    *,
    seed: int,
    matrix: int = 256,
    file_format: Literal["nifti", "dicom"] = "nifti",
    contrasts: Sequence[str] = ("T1",),
    truth: bool = True,
    purpose: str = "",
    judge: bool = False,
    processes: int = 1,
    overwrite: bool = False,
    advance: Advance = silent,
) -> Path:
    """Writes one folder a patient, a text on which are refused and, last of all, `cohort.csv`; returns its path.

    A patient's folder holds each contrast (`T1.nii.gz`, or the folder `T1` of DICOM files) and with `truth` labels of
    the structures and of the muscles alone, legs, fat fraction and oedema in `truth/`; `truth.csv` tells what no image
    does. With `judge` the text names those that training leaves out. The rows of `cohort.csv` are the T1-weighted
    series, with a column for each other contrast, with `truth` the column `muscles` for the structures, and the key of
    each person, see `persons`. Equal `patients`, `seed`, `purpose` and options give equal files with any number of
    `processes`.

    Raises:
        InputError: `out` holds files already (with `overwrite` other ones than those of an earlier cohort of phantoms)
            or cannot be written, an unknown contrast, or a matrix too small. After any failure or interruption `out` is
            as it was.
    """
    if "T1" not in contrasts or not set(contrasts) <= set(CONTRASTS):
        raise InputError(f"The contrasts are T1 and, as wished, others of: {', '.join(CONTRASTS[1:])}.")
    persons = person_keys("thigh", seed, [patient.diagnosis for patient in patients], purpose)
    with output_folder(out, earlier_cohort(out), overwrite=overwrite) as folder:
        write = partial(
            _write_patient,
            out=folder,
            matrix=matrix,
            file_format=file_format,
            contrasts=contrasts,
            truth=truth,
            judge=judge,
        )
        rows = []
        for row in _mapped(write, list(zip(patients, persons, strict=True)), processes):
            rows.append(row)
            advance("Making phantoms", len(rows), len(patients))
        if truth:
            write_table(folder / TRUTH, TRUTH_COLUMNS, rows)
        others = [contrast for contrast in contrasts if contrast != "T1"] + [MAPS] * truth
        (folder / BESIDE).write_text(refused(rows), encoding="utf-8")
        write_table(folder / TABLE, (*COHORT_COLUMNS, *others), rows)
    return out / TABLE


def _examination(rng: np.random.Generator) -> tuple[int, Legs]:
    """Slices and legs in view."""
    return int(rng.integers(2, 6)), cast(Legs, str(rng.choice(["both", "left", "right"], p=[0.75, 0.125, 0.125])))


def _examinations(rng: np.random.Generator, patients: int, images: int) -> list[tuple[int, Legs]]:
    """Slices and legs in view of each patient, together with exactly so many `images`."""
    slices, legs = map(list, zip(*(_examination(rng) for _ in range(patients)), strict=True))
    if "both" in legs and len(set(legs)) == 1:
        legs[0] = "left"
    step = [2 if view == "both" else 1 for view in legs]
    missing = images - int(np.dot(slices, step))
    while missing:
        n, sign = int(rng.integers(patients)), int(np.sign(missing))
        if step[n] <= abs(missing) and 1 <= slices[n] + sign <= _MOST_SLICES:
            slices[n] += sign
            missing -= sign * step[n]
    return list(zip(slices, legs, strict=True))


def _mapped(
    write: Callable[[tuple[Patient, str]], dict], patients: Sequence[tuple[Patient, str]], processes: int
) -> Iterator[dict]:
    """Rows in the order of the patients, each given with the key of the person."""
    if processes == 1:
        with threadpool_limits(1):
            yield from map(write, patients)
        return
    with get_context("spawn").Pool(processes, _prepare_worker) as pool:
        yield from pool.imap(write, patients)


def _judged(path: Path) -> dict[str, object]:
    """Why training leaves a series out."""
    from ..samples.left_out import why_left_out  # PyTorch is slow to import

    return {"left_out": why_left_out(read_study(path))}


def _prepare_worker() -> None:
    threadpool_limits(1)
    # The parent answers an interruption for all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _write_patient(
    patient_and_person: tuple[Patient, str],
    out: Path,
    matrix: int,
    file_format: str,
    contrasts: Sequence[str],
    truth: bool,
    judge: bool,
) -> dict[str, object]:
    """Writes a patient's folder; returns the cells of both tables, and whether it is left out, where that is judged."""
    patient, person = patient_and_person
    phantom = make_phantom(
        seed_of(person),
        patient.diagnosis,
        patient.slices,
        matrix,
        contrasts,
        site=CENTRES[patient.centre],
        legs=patient.legs,
    )
    folder = out / patient.patient_id
    folder.mkdir()
    for contrast, series in phantom.images.items():
        if file_format == "dicom":
            write_dicom(phantom, folder / contrast, contrast, patient.patient_id)
        else:
            stored = series.voxels.round(3) if contrast == "DIXON_FF" else stored_pixels(series.voxels, contrast)
            write_image(as_image(stored, series.geometry), folder / f"{contrast}.nii.gz")
    if truth:
        _write_truth(phantom, folder / "truth")
    ending = "" if file_format == "dicom" else ".nii.gz"
    paths = {contrast: f"{patient.patient_id}/{contrast}{ending}" for contrast in contrasts}
    return {
        "patient_id": patient.patient_id,
        **(_judged(folder / f"T1{ending}") if judge else {}),
        "path": paths["T1"],
        **paths,
        MAPS: f"{patient.patient_id}/truth/structures.nii.gz",
        "diagnosis": phantom.diagnosis,
        "subtype": "",
        "sex": phantom.sex,
        "age": f"{phantom.age_years:.1f}",
        "centre": patient.centre,
        "split": patient.split,
        "field_strength_t": phantom.series.acquisition.field_strength_t,
        "severity": f"{phantom.severity:.4f}",
        "synthetic": "yes",
        "person": person,
        "dystrophinopathy": int(phantom.is_dystrophinopathy),
        "duration_years": f"{phantom.duration_years:.1f}",
        "slices": patient.slices,
        "legs": patient.legs,
        **_muscle_fat(phantom),
    }


def _muscle_fat(phantom: Phantom) -> dict[str, str]:
    """Mean fat fraction of each muscle over all of its voxels; nothing where it is out of view."""
    counts = np.bincount(phantom.muscles.ravel(), minlength=len(MUSCLES) + 1)[1:]
    sums = np.bincount(phantom.muscles.ravel(), phantom.fat_fraction.ravel(), len(MUSCLES) + 1)[1:]
    return {
        f"fat {name}": f"{total / count:.4f}" if count else ""
        for name, total, count in zip(MUSCLES, sums, counts, strict=True)
    }


def _write_truth(phantom: Phantom, folder: Path) -> None:
    folder.mkdir()
    for name in ("structures", "muscles", "legs", "fat_fraction", "oedema"):
        voxels = getattr(phantom, name)
        # Three decimals are more than enough, and pack well.
        stored = voxels if voxels.dtype == np.uint8 else voxels.round(3)
        write_image(as_image(stored, phantom.series.geometry), folder / f"{name}.nii.gz")
