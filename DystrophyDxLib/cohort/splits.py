"""Splits of a cohort into training, validation and test, always by patient: no patient is in two of them.

Every function here gives cohorts that can be trained on, or says why there is none.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.spreadsheet import Sheet, spelling_key, write_rows
from .table import SPLITS, Case, Cohort, Split, listed

PUBLISHED = (233 / 432, 97 / 432, 102 / 432)
"""Shares of the patients in training, validation and test of Yang et al., BMC Neurology 2021;21:13."""
FOLDS = "folds.csv"
"""File beside the models of a cross-validation that tells who was tested in which fold."""
REPEAT = "repeat"
"""Begin of the names of the folders that hold the repeats of a cross-validation, "repeat1" and so on."""
LEAST_PATIENTS = 2
"""Patients of each class that training and validation need: with one, nothing is known of how patients differ."""


def own(cohort: Cohort) -> Cohort:
    """The cohort with the splits of its own table.

    Raises:
        InputError: the table has none, or they cannot be trained on.
    """
    if not cohort.has_splits:
        raise InputError("The cohort table has no splits; add the column split, or choose another way with --split-by.")
    return _trainable(cohort)


def stratified(cohort: Cohort, seed: int, fractions: tuple[float, float, float] = PUBLISHED) -> Cohort:
    """Random splits in which each class has its share of patients to within one, and each disease to within two.

    Args:
        fractions: shares of the patients in training, validation and test; they add up to 1.

    Raises:
        InputError: fractions that are none, or too few patients.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(
            "The shares of training, validation and test must be positive and add up to 100, as in "
            "--split-by stratified:60/20/20."
        )
    dealt = _dealt(cohort.patients, fractions, np.random.default_rng(seed))
    return _trainable(cohort.with_splits({patient: SPLITS[part] for patient, part in dealt.items()}))


def k_folds(cohort: Cohort, k: int, seed: int) -> list[Cohort]:
    """`k` splits of the cohort; each patient is in the test part of one of them and in the validation part of the next.

    >>> from DystrophyDxLib.models.recipe import Recipe
    >>> cases = [Case(f"P{n}", Path(f"{n}.nii"), "DMD" if n % 2 else "normal", n % 2, n) for n in range(12)]
    >>> folds = k_folds(Cohort(tuple(cases), Recipe.named("yang2021")), 3, seed=1)
    >>> [len(fold.of_split("test").patients) for fold in folds]
    [4, 4, 4]

    Raises:
        InputError: fewer than three folds, or too few patients for so many.
    """
    if k < 3:
        raise InputError(
            "Cross-validation needs at least 3 folds: for training, validation and test; give "
            "--split-by kfold:3 or more."
        )
    dealt = _dealt(cohort.patients, (1 / k,) * k, np.random.default_rng(seed))

    def split_in(fold: int, part: int) -> Split:
        return "test" if part == fold else "validation" if part == (fold + 1) % k else "train"

    return [
        _trainable(
            cohort.with_splits({patient: split_in(fold, part) for patient, part in dealt.items()}),
            f"in fold {fold + 1} of {k}, ",
        )
        for fold in range(k)
    ]


def write_folds(path: Path, cohorts: Sequence[Cohort]) -> None:
    """Writes which patient is tested in which of the `cohorts`, from 1, as a CSV.

    Raises:
        InputError: the file is there with other folds, or cannot be written.
    """
    table = io.StringIO(newline="")
    rows = [
        (patient.patient_id, n) for n, cohort in enumerate(cohorts, 1) for patient in cohort.of_split("test").patients
    ]
    write_rows(table, [("patient_id", "fold"), *sorted(rows)])
    try:
        if path.exists() and path.read_bytes() != table.getvalue().encode():
            raise InputError(
                f"{path.parent}, the folder of --out, holds the folds of another cohort, number of folds or seed; "
                "give a new one."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(table.getvalue().encode())
    except OSError:
        raise InputError(f"{path.parent} cannot be written; check the place of --out and its permissions.") from None


def read_folds(path: Path, cohort: Cohort) -> dict[str, int]:
    """The fold in which each patient of `cohort` is tested, from 1, as `write_folds` wrote it.

    Raises:
        InputError: there is no such file, or it is of other patients.
    """
    try:
        rows = Sheet.read(path, path.name).records()
        folds = {spelling_key(row["patient_id"]): int(row["fold"]) for _, row in rows}
    except (InputError, ValueError, KeyError):
        raise InputError(
            f"{path.parent.name} holds no {path.name}; give a folder in which 'dystrophydx train --split-by kfold:K' "
            "trained a model a fold."
        ) from None
    keys = {patient.patient_id: spelling_key(patient.patient_id) for patient in cohort.patients}
    if folds.keys() != set(keys.values()):
        raise InputError(f"The models in {path.parent.name} were trained on other patients; give their own cohort.")
    return {patient: folds[key] for patient, key in keys.items()}


def repeats_in(folder: Path) -> list[Path]:
    """The folders of the repeats of a cross-validation, the first one first; none where `folder` holds no repeats."""
    numbered = {path.name.removeprefix(REPEAT): path for path in folder.glob(f"{REPEAT}*") if (path / FOLDS).exists()}
    return [numbered[number] for number in sorted(filter(str.isdecimal, numbered), key=int)]


def hold_out_centre(cohort: Cohort, centre: str, seed: int) -> Cohort:
    """Tests on the patients of one centre; those of the others are split at random into training and validation.

    A patient who was examined at the centre is tested with all series.

    Raises:
        InputError: a centre that no row names, rows without a centre, or too few patients.
    """
    centres = {case.centre for case in cohort.cases if case.centre is not None}
    without = [f"row {case.row}" for case in cohort.cases if case.centre is None]
    if without:
        raise InputError(f"{listed(without)} of the cohort: no centre; fill in the column centre to hold one out.")
    if centre not in centres:
        raise InputError(f"The cohort has no centre {centre!r}; choose one of {', '.join(sorted(centres))}.")
    held_out = {case.patient_id for case in cohort.cases if case.centre == centre}
    others = [patient for patient in cohort.patients if patient.patient_id not in held_out]
    train, validation, _ = PUBLISHED
    shares = (train / (train + validation), validation / (train + validation))
    dealt = _dealt(others, shares, np.random.default_rng(seed))
    splits: dict[str, Split] = dict.fromkeys(held_out, "test")
    return _trainable(cohort.with_splits(splits | {patient: SPLITS[part] for patient, part in dealt.items()}))


def _dealt(patients: Sequence[Case], shares: Sequence[float], rng: np.random.Generator) -> dict[str, int]:
    """The part that each patient goes to.

    Systematic sampling (Cochran, Sampling Techniques, 3rd ed., chapter 8): the patients of a class are put in random
    order, disease after disease, and dealt one by one to the part that is furthest behind its share. Parts thus have
    their share of each class and nearly of each disease, however rare it is.
    """
    of_class: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for patient in sorted(patients, key=lambda case: case.patient_id):
        of_class[patient.known_label][patient.disease].append(patient.patient_id)
    parts = {}
    for label in sorted(of_class):
        diseases = sorted(of_class[label])
        order = [
            patient for disease in rng.permutation(diseases) for patient in rng.permutation(of_class[label][disease])
        ]
        behind = np.zeros(len(shares))
        for patient in order:
            behind += shares
            part = int(np.argmax(behind.round(9)))
            behind[part] -= 1
            parts[str(patient)] = part
    return parts


def _trainable(cohort: Cohort, where: str = "") -> Cohort:
    """The cohort, when its training and validation parts have patients enough of every class.

    Args:
        where: begin of the message where they have not.
    """
    lacking = []
    in_all = Counter(patient.label for patient in cohort.patients)
    for split in ("train", "validation"):
        there = Counter(patient.label for patient in cohort.of_split(split).patients)
        few = [
            f"{there[label]} of the cohort's {in_all[label]} patients of class '{name}'"
            for label, name in enumerate(cohort.recipe.classes)
            if there[label] < LEAST_PATIENTS
        ]
        lacking += [f"the {split} split has {', '.join(few)}"] if few else []
    if lacking:
        told = f"{where}{'; '.join(lacking)}"
        raise InputError(
            f"{told[:1].upper()}{told[1:]}. Training and validation need at least {LEAST_PATIENTS} of each class: add "
            "patients, or split in another way with --split-by."
        )
    return cohort
