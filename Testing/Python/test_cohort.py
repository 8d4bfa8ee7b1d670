"""A cohort table is read as spreadsheets write it, and refused as a whole, with all that is wrong in it."""

import os

import pytest
from cohort_cases import RECIPE, cohort_of, rows_of, table_of, write_table

from DystrophyDxLib.cohort.seen import evaluated_cases, seen_keys
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.package import ModelCard
from DystrophyDxLib.models.recipe import Recipe


def refusal(folder, rows) -> str:
    """The one line with which a table of existing series is refused."""
    table = table_of(folder, rows)
    with pytest.raises(InputError) as refused:
        Cohort.read(table, RECIPE)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_a_row_says_which_series_of_which_patient_shows_which_disease(tmp_path):
    rows = rows_of(
        ["DMD", "other"], subtype=["", "LGMD2A"], sex=["M", "F"], age=[8, "31.5"], centre=["Beijing", ""],
        split=["train", "test"], scanner=["A", "B"],
    )  # fmt: skip
    boy, woman = Cohort.read(table_of(tmp_path, rows), RECIPE).cases
    assert (boy.patient_id, boy.disease, boy.sex, boy.age, boy.centre, boy.split) == (
        "P000", "DMD", "M", 8.0, "Beijing", "train"
    )  # fmt: skip
    assert RECIPE.classes[boy.label] == "dystrophinopathy"
    assert (woman.diagnosis, woman.disease, woman.age, woman.centre) == ("other", "LGMD2A", 31.5, None)
    assert RECIPE.classes[woman.label] == "other"
    assert boy.path == tmp_path / "series0.nii.gz"
    assert woman.extra == {"scanner": "B"}
    assert (boy.row, woman.row) == (2, 3)


def test_diseases_are_spelled_as_the_recipe_does(tmp_path):
    cohort = cohort_of(tmp_path, ["dmd", "BETHLEM", "Other"], subtype=["", "", "fshmd"])
    assert [case.disease for case in cohort.cases] == ["DMD", "Bethlem", "FSHMD"]
    assert cohort.labels.tolist() == [1, 0, 0]


def test_the_table_of_a_german_excel_is_read(tmp_path):
    (tmp_path / "a.nii").touch()
    text = "\ufeffPatient_ID; Path ;DIAGNOSIS;Age;Split\r\n P1 ; a.nii ;BMD;7,5;Training\r\n;;;;\r\n"
    (tmp_path / "cohort.csv").write_text(text, encoding="utf-8", newline="")
    (case,) = Cohort.read(tmp_path / "cohort.csv", RECIPE).cases
    assert (case.patient_id, case.diagnosis, case.age, case.split) == ("P1", "BMD", 7.5, "train")


@pytest.mark.parametrize(("word", "split"), [("val", "validation"), ("Training", "train"), ("TEST", "test")])
def test_splits_may_be_called_by_their_usual_names(tmp_path, word, split):
    assert cohort_of(tmp_path, ["DMD"], split=[word]).cases[0].split == split


def test_a_cohort_without_splits_says_so(tmp_path):
    assert not cohort_of(tmp_path, ["DMD", "GNE"]).has_splits


def test_a_split_has_its_own_cases_only(tmp_path):
    cohort = cohort_of(tmp_path, ["DMD", "GNE", "BMD"], split=["train", "test", "train"])
    assert [case.patient_id for case in cohort.of_split("train").cases] == ["P000", "P002"]
    assert cohort.of_split("validation").cases == ()


def test_a_patient_of_several_series_counts_once(tmp_path):
    cohort = cohort_of(tmp_path, ["DMD", "DMD", "GNE"], patient_id=["A", "A", "B"], age=[5, 6, 30])
    assert [(patient.patient_id, patient.age) for patient in cohort.patients] == [("A", 5), ("B", 30)]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"patient_id": ["A", "A"], "split": ["train", "test"]}, "patients in more than one split (A)"),
        ({"patient_id": ["A", "A"], "diagnosis": ["DMD", "healthy"]}, "patients with more than one diagnosis (A)"),
        ({"patient_id": ["A", "A"], "diagnosis": ["DMD", "BMD"]}, "patients with more than one diagnosis (A)"),
        ({"patient_id": ["A", "A"], "sex": ["M", "F"]}, "patients with both sexes (A)"),
        ({"split": ["train", ""]}, "rows without a split while others have one (row 3)"),
        ({"split": ["train", "holdout"]}, "rows with a split that is none of train, validation, test (row 3)"),
        ({"patient_id": ["A", ""]}, "rows with an empty patient_id (row 3)"),
        ({"diagnosis": ["DMD", ""]}, "rows with an empty diagnosis (row 3)"),
        ({"age": [7, 170]}, "age not in years from 0 to 120, nor empty for not known (row 3)"),
        ({"age": [7, -1]}, "age not in years"),
        ({"age": [7, "adult"]}, "age not in years"),
        ({"sex": ["M", "1"]}, "rows with a sex that is neither F nor M, nor empty for not known (row 3)"),
        ({"path": ["a.nii", "a.nii"]}, "rows with the same path (rows 2 and 3)"),
        ({"path": ["a.nii", "./a.nii"]}, "rows with the same path (rows 2 and 3)"),
        ({"subtype": ["BMD", "DMD"]}, "rows with a subtype of another class than the diagnosis (row 3)"),
    ],
)
def test_a_contradiction_is_told_with_its_place(tmp_path, columns, told):
    diagnoses = ["DMD", "DMD"] if "patient_id" in columns else ["DMD", "other"]
    assert told in refusal(tmp_path, rows_of(diagnoses, **columns))


@pytest.mark.parametrize("other", ["pat-01", "Pat-1", "Pat\u2010 01", "PAT-001"])
def test_two_spellings_of_one_patient_are_one_patient(tmp_path, other):
    rows = rows_of(["DMD", "DMD"], patient_id=["Pat-01", other])
    cohort = Cohort.read(table_of(tmp_path, rows), RECIPE)
    assert [patient.patient_id for patient in cohort.patients] == ["Pat-01"]
    (notice,) = cohort.notices
    assert f"Pat-01 / {other}" in notice
    told = refusal(tmp_path, rows_of(["DMD", "DMD"], patient_id=["Pat-01", other], split=["train", "test"]))
    assert f"patients in more than one split (Pat-01 / {other})" in told


def test_one_spelling_needs_no_notice(tmp_path):
    assert cohort_of(tmp_path, ["DMD", "DMD"], patient_id=["P10", "P1"]).notices == ()


def test_a_patient_whom_a_model_saw_under_another_spelling_is_seen(tmp_path):
    rows = rows_of(["DMD", "DMD", "GNE"], patient_id=["Pat-01", "pat-1", "P2"])
    table = table_of(tmp_path, rows)
    for n in range(3):
        (tmp_path / f"series{n}.nii.gz").write_bytes(bytes([n]))
    cohort = Cohort.read(table, RECIPE)
    card = ModelCard.model_construct(seen=seen_keys(cohort.cases[:1]))
    unseen, split = evaluated_cases(cohort, None, [card])
    assert [case.patient_id for case in unseen.cases] == ["P2"]
    assert split is None


def test_an_unknown_diagnosis_is_answered_with_the_known_ones(tmp_path):
    message = refusal(tmp_path, rows_of(["DMD", "Duchenne"]))
    assert "(row 3)" in message
    assert "DMD, BMD" in message
    assert "neurogenic" in message


@pytest.mark.parametrize("is_pipe", [False, True])
def test_a_series_that_is_not_there_or_is_a_pipe_is_told_by_its_row(tmp_path, is_pipe):
    table = write_table(tmp_path, rows_of(["DMD"]))
    if is_pipe:
        os.mkfifo(tmp_path / "series0.nii.gz")
    with pytest.raises(InputError, match=r"path that does not exist.*\(row 2\)"):
        Cohort.read(table, RECIPE)


def test_a_series_in_the_folder_of_another_row_is_refused(tmp_path):
    (tmp_path / "study" / "t1").mkdir(parents=True)
    table = write_table(tmp_path, rows_of(["DMD", "GNE"], path=["study", "study/t1"]))
    with pytest.raises(InputError, match="row 3 in row 2"):
        Cohort.read(table, RECIPE)


def test_a_series_may_lie_outside_the_tables_folder(tmp_path):
    (tmp_path / "table").mkdir()
    cohort = cohort_of(tmp_path / "table", ["DMD", "GNE"], path=["../a.nii", str(tmp_path / "b.nii")])
    assert all(case.path.exists() for case in cohort.cases)


def test_everything_wrong_is_told_at_once_and_counted(tmp_path):
    rows = rows_of(["Duchenne"] * 300 + ["DMD"] * 2, age=[30] * 300 + [200, 7])
    message = refusal(tmp_path, rows)
    assert "row 2, row 3" in message
    assert "and 292 more" in message
    assert "(row 302)" in message
    assert len(message) < 1000


def test_the_message_repeats_no_cell_but_the_pseudonym(tmp_path):
    rows = rows_of(["Mustermann"], sex=["Mustermann"], age=["Mustermann"], split=["Mustermann"])
    assert "Mustermann" not in refusal(tmp_path, rows)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "lacks the columns patient_id, path, diagnosis"),
        (b"patient_id,diagnosis\nA,DMD\n", "lacks the column path"),
        (b"patient_id,path,diagnosis,Path\nA,a,DMD,b\n", "has the columns path more than once"),
        (b"patient_id,path,diagnosis\n", "no rows"),
        (b"patient_id,path,diagnosis\nA,a.nii,DMD,7\n", "more or fewer cells than the header (row 2)"),
        ("patient_id,path,diagnosis\nMüller,a.nii,DMD\n".encode("latin-1"), "UTF-8"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xff\xfe", "UTF-8"),
    ],
)
def test_what_is_no_cohort_table_is_refused(tmp_path, content, told):
    table = tmp_path / "cohort.csv"
    table.write_bytes(content)
    with pytest.raises(InputError) as refused:
        Cohort.read(table, RECIPE)
    assert told in str(refused.value)


def test_a_table_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        Cohort.read(tmp_path / "none.csv", RECIPE)


def test_each_row_has_the_series_of_every_channel_of_the_recipe(tmp_path):
    stir = Recipe.named("yang2021_stir")
    (tmp_path / "stir0.nii.gz").touch()
    table = table_of(tmp_path, rows_of(["DMD"], Stir=["stir0.nii.gz"], severity=["0.3"]))
    case = Cohort.read(table, stir).cases[0]
    assert case.further == {"STIR": tmp_path / "stir0.nii.gz"}
    assert case.extra == {"severity": "0.3"}
    assert Cohort.read(table, RECIPE).cases[0].extra == {"stir": "stir0.nii.gz", "severity": "0.3"}


def test_a_channel_that_is_missing_is_told_with_its_column_or_row(tmp_path):
    stir = Recipe.named("yang2021_stir")
    with pytest.raises(InputError, match="needs STIR beside T1; add a column"):
        Cohort.read(table_of(tmp_path, rows_of(["DMD"])), stir)
    table = table_of(tmp_path, rows_of(["DMD", "healthy"], STIR=["", "absent.nii.gz"]))
    with pytest.raises(InputError, match=r"empty STIR \(row 2\).*path of STIR that does not exist.*\(row 3\)"):
        Cohort.read(table, stir)


def test_what_is_wrong_in_rows_and_between_them_is_told_at_once(tmp_path):
    patients, sexes, splits = ["P0", "P1", "P1", "P3"], ["", "F", "M", ""], ["train", "test", "test", ""]
    rows = rows_of(["DMD"] * 4, patient_id=patients, age=["old", "", "", ""], sex=sexes, split=splits)
    message = refusal(tmp_path, rows)
    for told in ("an age not in years", "patients with both sexes (P1)", "others have one (row 5)"):
        assert told in message
