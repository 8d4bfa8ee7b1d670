"""Splits never part a patient, keep the shares of classes and diseases, and can be trained on."""

from collections import Counter

import pytest
from cohort_cases import cohort_of
from sklearn.model_selection import StratifiedKFold

from DystrophyDxLib.cohort.splits import FOLDS, hold_out_centre, k_folds, own, read_folds, stratified, write_folds
from DystrophyDxLib.errors import InputError

DISEASES = ["DMD"] * 30 + ["BMD"] * 14 + ["LGMD2A"] * 25 + ["LGMD2B"] * 20 + ["GNE"] * 7 + ["healthy"] * 9 + ["LGMD2E"]
"""106 patients; one of them the only one with LGMD2E."""


@pytest.fixture
def cohort(tmp_path):
    return cohort_of(tmp_path, DISEASES)


@pytest.fixture
def repeated(tmp_path):
    """Forty patients of one to four examinations, not in the order of the patients."""
    patients = [f"P{n % 40:02d}" for n in range(100)]
    return cohort_of(tmp_path, [("DMD", "GNE")[n % 2] for n in range(100)], patient_id=patients)


def splits_of(cohort):
    return {case.patient_id: case.split for case in cohort.cases}


def counts(cohort, what):
    """Number of patients of each split and class or disease."""
    return Counter((patient.split, what(patient)) for patient in cohort.patients)


def test_the_cohorts_own_splits_are_taken(tmp_path):
    words = ["train", "train", "val", "validation", "test"] * 2
    cohort = cohort_of(tmp_path, ["DMD"] * 5 + ["GNE"] * 5, split=words)
    assert own(cohort) == cohort


def test_a_cohort_without_splits_has_none_of_its_own(cohort):
    with pytest.raises(InputError, match="add the column split"):
        own(cohort)


def test_random_splits_keep_the_share_of_each_class_to_within_one_patient(cohort):
    fractions = {"train": 0.5, "validation": 0.3, "test": 0.2}
    for seed in range(20):
        found = counts(stratified(cohort, seed, tuple(fractions.values())), lambda patient: patient.label)
        for label, patients in ((1, 44), (0, 62)):
            for split, fraction in fractions.items():
                assert abs(found[split, label] - fraction * patients) < 1


def test_random_splits_keep_the_share_of_each_disease_to_within_two_patients(cohort):
    fractions = {"train": 0.5, "validation": 0.3, "test": 0.2}
    for seed in range(20):
        found = counts(stratified(cohort, seed, tuple(fractions.values())), lambda patient: patient.disease)
        for disease, patients in Counter(DISEASES).items():
            for split, fraction in fractions.items():
                assert abs(found[split, disease] - fraction * patients) < 2


def test_without_other_word_the_published_shares_are_taken(tmp_path):
    cohort = cohort_of(tmp_path, ["DMD"] * 148 + ["GNE"] * 284)
    found = Counter(patient.split for patient in stratified(cohort, 1).patients)
    assert all(abs(found[split] - n) <= 1 for split, n in (("train", 233), ("validation", 97), ("test", 102)))


def test_the_seed_alone_draws_the_splits(cohort):
    assert stratified(cohort, 1) == stratified(cohort, 1)
    assert splits_of(stratified(cohort, 1)) != splits_of(stratified(cohort, 2))


def test_the_splits_do_not_depend_on_the_order_of_the_rows(tmp_path, cohort):
    (tmp_path / "other").mkdir()
    patients = [f"P{n:03d}" for n in range(len(DISEASES))]
    turned = cohort_of(tmp_path / "other", DISEASES[::-1], patient_id=patients[::-1])
    assert splits_of(stratified(turned, 5)) == splits_of(stratified(cohort, 5))


def test_a_patient_is_drawn_with_all_examinations(repeated):
    for split in (stratified(repeated, 3), *k_folds(repeated, 4, 3)):
        found = {(case.patient_id, case.split) for case in split.cases}
        assert len(found) == 40


def test_folds_test_every_patient_once_and_validate_every_patient_once(cohort):
    folds = k_folds(cohort, 5, seed=2)
    for split in ("test", "validation"):
        patients = [patient.patient_id for fold in folds for patient in fold.of_split(split).patients]
        assert sorted(patients) == sorted(patient.patient_id for patient in cohort.patients)


def test_folds_have_as_many_patients_of_each_class_as_those_of_scikit_learn(cohort):
    labels = [patient.label for patient in cohort.patients]
    theirs = [
        Counter(labels[n] for n in test)
        for _, test in StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels)
    ]
    ours = [Counter(patient.label for patient in fold.of_split("test").patients) for fold in k_folds(cohort, 5, 0)]
    for label in (0, 1):
        assert sorted(fold[label] for fold in ours) == sorted(fold[label] for fold in theirs)


def test_the_held_out_centre_is_the_test_and_nothing_else(tmp_path):
    centres = ["Beijing", "Lyon", "Lyon", "Ulm"] * 10
    cohort = cohort_of(tmp_path, ["DMD"] * 20 + ["GNE"] * 20, centre=centres)
    split = hold_out_centre(cohort, "Lyon", seed=1)
    assert {case.centre for case in split.of_split("test").cases} == {"Lyon"}
    assert {case.centre for case in split.cases if case.split != "test"} == {"Beijing", "Ulm"}
    assert split.of_split("validation").cases


def test_a_patient_seen_at_the_held_out_centre_is_held_out(tmp_path):
    cohort = cohort_of(
        tmp_path, ["DMD"] * 14 + ["GNE"] * 14,
        patient_id=["A", "A", *(f"P{n}" for n in range(26))], centre=["Lyon", "Ulm", *["Ulm"] * 26],
    )  # fmt: skip
    split = hold_out_centre(cohort, "Lyon", seed=1)
    assert {case.patient_id for case in split.of_split("test").cases} == {"A"}
    assert len(split.of_split("test").cases) == 2


def test_an_unknown_centre_is_answered_with_the_known_ones(tmp_path):
    cohort = cohort_of(tmp_path, ["DMD", "GNE"], centre=["Ulm", "Lyon"])
    with pytest.raises(InputError, match="choose one of Lyon, Ulm"):
        hold_out_centre(cohort, "Paris", seed=1)


def test_a_row_without_centre_could_be_of_the_held_out_one(tmp_path):
    cohort = cohort_of(tmp_path, ["DMD", "GNE"], centre=["Ulm", ""])
    with pytest.raises(InputError, match="no centre"):
        hold_out_centre(cohort, "Ulm", seed=1)


def test_three_patients_are_too_few_and_the_reason_is_told(tmp_path):
    with pytest.raises(InputError, match=r"1 of the cohort's 2 patients of class 'other'.*at least 2 of each class"):
        stratified(cohort_of(tmp_path, ["DMD", "GNE", "healthy"]), 1)


def test_a_split_of_one_class_is_refused(tmp_path):
    split = ["train"] * 4 + ["validation"] * 2
    with pytest.raises(InputError, match=r"validation split has 0 .* class 'dystrophinopathy'"):
        own(cohort_of(tmp_path, ["DMD", "BMD", "GNE", "GNE", "MADD", "CMD"], split=split))


def test_more_folds_than_patients_are_refused(tmp_path):
    cohort = cohort_of(tmp_path, ["DMD", "GNE"] * 4)
    with pytest.raises(InputError, match="validation split"):
        k_folds(cohort, 5, seed=1)


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_shares_that_are_none_are_refused(cohort, fractions):
    with pytest.raises(InputError, match="add up to 1"):
        stratified(cohort, 1, fractions)


def test_two_folds_leave_nothing_to_validate_on(cohort):
    with pytest.raises(InputError, match="at least 3"):
        k_folds(cohort, 2, seed=1)


def test_folds_are_found_again_however_a_spreadsheet_saved_them(tmp_path):
    cohort = cohort_of(tmp_path, ["DMD", "GNE"] * 6, patient_id=[f"P{n:02d}" for n in range(12)])
    folds = k_folds(cohort, 3, seed=1)
    write_folds(tmp_path / FOLDS, folds)
    write_folds(tmp_path / FOLDS, folds)
    expected = read_folds(tmp_path / FOLDS, cohort)
    text = (tmp_path / FOLDS).read_text().replace("P0", "p").replace(",", ";")
    (tmp_path / FOLDS).write_text("\ufeffsep=;\n" + text, encoding="utf-8")
    assert read_folds(tmp_path / FOLDS, cohort) == expected
    (tmp_path / FOLDS).write_bytes("Mü".encode("latin-1"))
    with pytest.raises(InputError, match="folds of another cohort"):
        write_folds(tmp_path / FOLDS, folds)


def test_what_a_fold_lacks_is_told_with_its_number(tmp_path):
    cases = cohort_of(tmp_path, ["DMD"] * 4 + ["healthy"] * 4)
    with pytest.raises(InputError, match=r"^In fold 1 of 4, the validation split has 1 of the cohort's 4 .*, 1 of"):
        k_folds(cases, 4, seed=1)
