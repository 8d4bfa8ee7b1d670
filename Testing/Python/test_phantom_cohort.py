"""A cohort of phantoms has the published numbers, is the same in any number of processes, and is whole or not there."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.stats import chi2_contingency
from typer.testing import CliRunner

from DystrophyDxLib.cohort.table import Case
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation.phantom_truth import muscle_fat
from DystrophyDxLib.files.phantom_cohort import BESIDE
from DystrophyDxLib.muscles.structures import FEMUR, SUBCUTANEOUS_FAT
from DystrophyDxLib.phantom import DYSTROPHINOPATHY, MUSCLES, cohort
from DystrophyDxLib.phantom.cohort import Patient, drawn_patients, like_yang2021, write_cohort
from DystrophyDxLib.phantom.cohort_files import refused
from DystrophyDxLib.phantom.published_cohort import OTHERS, shared
from DystrophyDxLib.phantom.thigh import make_phantom
from DystrophyDxLib.results import UNSUITABLE, WarningCode
from DystrophyDxLib.samples.left_out import why_left_out
from DystrophyDxLib.series.reading import read_study

PATIENTS = [
    Patient(1, "DMD", "train", "A", 2, "both"),
    Patient(2, "myositis", "validation", "B", 1, "left"),
    Patient(3, "healthy", "test", "C", 1, "right"),
]


def test_the_truth_of_a_renamed_patient_is_that_of_its_folder(tmp_path):
    (tmp_path / "truth.csv").write_text("patient_id,fat gracilis\nP001,0.25\n")
    case = Case("Pat-7", tmp_path / "P001" / "T1", "DMD", 1, 2)
    assert muscle_fat(case)[MUSCLES.index("gracilis")] == 0.25
    assert np.isnan(muscle_fat(dataclasses.replace(case, path=tmp_path / "P2" / "T1"))).all()


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("cohorts") / "cohort"
    return write_cohort(PATIENTS, out, seed=7, matrix=96, contrasts=("T1", "STIR", "DIXON_FF"))


def test_published_cohort_has_the_printed_numbers():
    """Yang et al. 2021, abstract and Table 3."""
    patients = like_yang2021(2021)
    assert len(patients) == 432
    assert sum(patient.images for patient in patients) == 2536
    assert Counter(patient.split for patient in patients) == {"train": 233, "validation": 97, "test": 102}
    assert sum(patient.diagnosis in DYSTROPHINOPATHY for patient in patients) == 148
    assert {patient.diagnosis for patient in patients} == DYSTROPHINOPATHY | set(OTHERS)
    test_images = Counter()
    for patient in patients:
        if patient.split == "test":
            group = patient.diagnosis if patient.diagnosis in DYSTROPHINOPATHY else "other"
            test_images[group] += patient.images
    assert test_images == {"DMD": 130, "BMD": 98, "other": 420}


def test_each_disease_is_in_each_set_and_the_sets_are_alike():
    patients = like_yang2021(1)
    for split in ("train", "validation", "test"):
        own = [patient for patient in patients if patient.split == split]
        assert {patient.diagnosis for patient in own} == DYSTROPHINOPATHY | set(OTHERS)
        share = np.mean([patient.diagnosis in DYSTROPHINOPATHY for patient in own])
        assert share == pytest.approx(148 / 432, abs=0.005)


@pytest.mark.parametrize("of", ["centre", "legs"])
def test_centre_and_view_tell_nothing_of_the_group(of):
    counts = Counter((patient.diagnosis in DYSTROPHINOPATHY, getattr(patient, of)) for patient in like_yang2021(2021))
    values = sorted({value for _, value in counts})
    table = [[counts[group, value] for value in values] for group in (True, False)]
    assert len(values) == 3
    assert chi2_contingency(table).pvalue > 0.01


def test_images_vary_between_patients_and_order_tells_nothing():
    patients = like_yang2021(2021)
    assert len({patient.images for patient in patients}) > 5
    numbers = [patient.number for patient in patients if patient.diagnosis in DYSTROPHINOPATHY]
    assert np.mean(numbers) == pytest.approx(216.5, abs=30)
    assert like_yang2021(2021) == patients != like_yang2021(2022)


@pytest.mark.parametrize(("total", "weights"), [(148, [233, 97, 102]), (7, [1, 1, 1]), (0, [1, 2])])
def test_shares_are_whole_and_add_up(total, weights):
    parts = shared(total, weights)
    assert sum(parts) == total
    np.testing.assert_allclose(parts, total * np.array(weights) / sum(weights), atol=1)


def test_drawn_cohort_is_half_dystrophinopathy_and_split_as_published():
    patients = drawn_patients(200, seed=5)
    assert 0.35 < np.mean([patient.diagnosis in DYSTROPHINOPATHY for patient in patients]) < 0.65
    splits = Counter(patient.split for patient in patients)
    assert splits["train"] == pytest.approx(200 * 233 / 432, abs=2)
    assert splits["test"] == pytest.approx(200 * 102 / 432, abs=2)


def test_the_table_names_the_t1_weighted_series_and_what_is_known(made):
    rows = rows_of(made)
    assert list(rows[0]) == [*cohort.COHORT_COLUMNS, "STIR", "DIXON_FF", "muscles"]
    assert [row["patient_id"] for row in rows] == ["P0001", "P0002", "P0003"]
    for row, patient in zip(rows, PATIENTS, strict=True):
        assert (row["diagnosis"], row["split"], row["centre"]) == (patient.diagnosis, patient.split, patient.centre)
        series = read_study(made.parent / row["path"])
        assert series.voxels.shape == (patient.slices, 96, 96)
        assert series.orientation_known
        assert row["field_strength_t"] in ("1.5", "3.0")
        assert 0 <= float(row["severity"]) <= 1


def test_truth_lies_on_the_voxels_of_the_series(made):
    truth = rows_of(made.parent / "truth.csv")
    for row, patient in zip(truth, PATIENTS, strict=True):
        folder = made.parent / row["patient_id"]
        t1, muscles, fat, stir, fraction = (
            sitk.ReadImage(str(folder / f"{name}.nii.gz"))
            for name in ("T1", "truth/muscles", "truth/fat_fraction", "STIR", "DIXON_FF")
        )
        for image in (muscles, fat, stir, fraction):
            assert image.GetSize() == t1.GetSize()
            np.testing.assert_allclose(image.GetOrigin(), t1.GetOrigin(), atol=1e-4)
        labels, values = (sitk.GetArrayFromImage(image) for image in (muscles, fat))
        assert values[labels > 0].mean() == pytest.approx(float(row["severity"]), abs=1e-3)
        vastus = values[labels == MUSCLES.index("vastus lateralis") + 1]
        assert vastus.mean() == pytest.approx(float(row["fat vastus lateralis"]), abs=1e-3)
        assert sitk.GetArrayFromImage(fraction).max() <= 1
        assert row["dystrophinopathy"] == str(int(patient.diagnosis in DYSTROPHINOPATHY))
        structures = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "truth" / "structures.nii.gz")))
        np.testing.assert_array_equal(structures[labels > 0], labels[labels > 0])
        assert set(np.unique(structures[labels == 0])) == {0, FEMUR, SUBCUTANEOUS_FAT}
        assert sitk.GetArrayFromImage(fraction)[structures == SUBCUTANEOUS_FAT].mean() > 0.8


def test_several_processes_write_the_same_files(made, tmp_path):
    seen = []
    again = write_cohort(
        PATIENTS, tmp_path / "again", seed=7, matrix=96, contrasts=("T1", "STIR", "DIXON_FF"), processes=2,
        advance=lambda what, done, total: seen.append((done, total)),
    )  # fmt: skip
    assert files_of(again.parent) == files_of(made.parent)
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("otherwise", [{"seed": 8}, {"purpose": "test"}, {"patients": PATIENTS[:1]}])
def test_cohorts_of_another_seed_purpose_or_size_hold_other_persons(made, tmp_path, otherwise):
    asked = {"patients": PATIENTS, "seed": 7, "matrix": 96, "truth": False} | otherwise
    other = write_cohort(out=tmp_path / "other", **asked)
    keys = [{row["person"] for row in rows_of(table)} for table in (made, other)]
    assert [len(persons) for persons in keys] == [3, len(asked["patients"])]
    assert not keys[0] & keys[1]
    images = [{path.read_bytes() for path in table.parent.glob("*/T1.nii.gz")} for table in (made, other)]
    assert not images[0] & images[1]


def test_a_cohort_of_one_patient_holds_nothing_else(tmp_path):
    other = write_cohort(PATIENTS[:1], tmp_path / "other", seed=8, matrix=96, truth=False)
    assert sorted(path.name for path in other.parent.iterdir()) == ["P0001", BESIDE, "cohort.csv"]


def test_beside_a_cohort_stands_which_phantoms_classification_refuses(made):
    named = set(re.findall(r"\bNOT_[A-Z0-9_]+", (made.parent / BESIDE).read_text(encoding="utf-8")))
    assert named == {WarningCode.NOT_T1_WEIGHTED.value, WarningCode.NOT_THIGH.value}
    assert {WarningCode(name) for name in named} <= set(UNSUITABLE)


def test_the_phantoms_that_training_leaves_out_are_named_with_the_reason(tmp_path):
    dark = "DIXON_WATER"
    table = write_cohort(PATIENTS[:2], tmp_path / "named", seed=8, matrix=96, truth=False, judge=True)
    told = {path.parent.name: why_left_out(read_study(path)) for path in sorted(table.parent.glob("*/T1.nii.gz"))}
    lines = (table.parent / BESIDE).read_text(encoding="utf-8").partition("they leave out:\n")[2].splitlines()
    assert lines == ([f"  {patient}: {why}." for patient, why in told.items() if why] or ["  none of them."])
    water = make_phantom(3, "healthy", 1, 96, ("T1", dark)).images[dark]
    told = refused(
        [{"patient_id": "P0001", "left_out": why_left_out(water)}, {"patient_id": "P0002", "left_out": None}]
    )
    assert re.search(r"leave out:\n  P0001: (By its header|Fat is only) .+\.\n$", told)


def test_a_folder_with_files_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        write_cohort(PATIENTS, tmp_path, seed=1)
    assert files_of(tmp_path) == {"notes.txt": b"mine"}


def test_a_full_disk_leaves_nothing_that_could_be_trusted(tmp_path, monkeypatch):
    """The file that is cut short is found although SimpleITK says nothing."""

    def cut(image, path, useCompression):
        written(image, path, useCompression)
        whole = Path(path).read_bytes()
        Path(path).write_bytes(whole[: len(whole) // 2])

    written = sitk.WriteImage
    monkeypatch.setattr(sitk, "WriteImage", cut)
    with pytest.raises(InputError, match="free space") as refusal:
        write_cohort(PATIENTS, tmp_path / "cohort", seed=1, matrix=64)
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_user_puts_there_meanwhile_stays(tmp_path):
    def meanwhile(*progress):
        (tmp_path / "cohort").mkdir(exist_ok=True)
        (tmp_path / "cohort" / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match="other files"):
        write_cohort(PATIENTS[:1], tmp_path / "cohort", seed=1, matrix=64, truth=False, advance=meanwhile)
    assert files_of(tmp_path) == {"cohort/notes.txt": b"mine"}


def test_command_line_writes_dicom_and_says_how_much(tmp_path):
    out = tmp_path / "cohort"
    options = ["--patients", "2", "--format", "dicom", "--matrix", "64", "--no-truth"]
    result = CliRunner().invoke(app, ["phantom", "thighs", "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    assert "2 patients" in result.output
    for row in rows_of(out / "cohort.csv"):
        assert read_study(out / row["path"]).acquisition.t1_weighted
    assert not (out / "truth.csv").exists()


@pytest.mark.parametrize(
    "options", [["--like", "yang2021", "--patients", "3"], ["--contrasts", "T2"], ["--contrasts", "STIR"]]
)
def test_command_line_refuses_what_cannot_be(tmp_path, options):
    result = CliRunner().invoke(app, ["phantom", "thighs", "--out", str(tmp_path / "cohort"), *options])
    assert isinstance(result.exception, InputError)
    assert not (tmp_path / "cohort").exists()


def test_diseases_that_are_asked_for_have_as_many_patients_and_are_in_every_split():
    patients = cohort.drawn_patients(36, 5, ["healthy", "CMD", "DMD"])
    counts = Counter(patient.diagnosis for patient in patients)
    assert counts == {"healthy": 12, "CMD": 12, "DMD": 12}
    for name in counts:
        shares = Counter(patient.split for patient in patients if patient.diagnosis == name)
        assert shares["train"] > shares["validation"] >= 2
        assert shares["test"] >= 2
    with pytest.raises(InputError, match="no phantom of 'flu'; choose from"):
        cohort.drawn_patients(3, 5, ["DMD", "flu"])


def test_every_contrast_has_a_column_in_the_table(tmp_path):
    patients = cohort.drawn_patients(1, 5, ["CMD"])
    table = cohort.write_cohort(patients, tmp_path / "cohort", seed=1, matrix=64, contrasts=("T1", "STIR"), truth=False)
    (row,) = rows_of(table)
    assert (row["path"], row["STIR"]) == ("P0001/T1.nii.gz", "P0001/STIR.nii.gz")
    assert (table.parent / row["STIR"]).exists()


def test_an_own_earlier_cohort_is_named_with_overwrite_and_patients_are_never_replaced(tmp_path):
    out = tmp_path / "cohort"
    write_cohort(PATIENTS[:2], out, seed=1, matrix=64, truth=False)
    with pytest.raises(InputError, match="holds earlier results; give another folder, or add --overwrite"):
        write_cohort(PATIENTS[:1], out, seed=1, matrix=64, truth=False)
    write_cohort(PATIENTS[:1], out, seed=1, matrix=64, truth=False, overwrite=True)
    assert len(rows_of(out / "cohort.csv")) == 1
    assert len([path for path in out.iterdir() if path.is_dir()]) == 1
    for spoilt in ("synthetic", "person"):
        table = (out / "cohort.csv").read_text()
        (out / "cohort.csv").write_text(table.replace(spoilt, "centre2"))
        with pytest.raises(InputError, match="other files"):
            write_cohort(PATIENTS[:1], out, seed=1, matrix=64, overwrite=True)
        (out / "cohort.csv").write_text(table)
