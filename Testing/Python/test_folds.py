"""Cross-validation: confusion matrices of all folds summed, strata, and the printed matrices of Germain et al. 2021."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from model_packages import CARD_OF_FOUR, FOUR_CLASSES, make_package
from scipy.stats import chi2_contingency
from sklearn.metrics import confusion_matrix
from typer.testing import CliRunner

from DystrophyDxLib.cohort.splits import FOLDS, read_folds
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation.folds import REPORT
from DystrophyDxLib.evaluation.strata import by_stratum
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.phantom.cohort import drawn_patients, write_cohort
from DystrophyDxLib.statistics.confusion import errors_of, proportion
from DystrophyDxLib.statistics.unpaired import equal_errors

DIASTOLE = np.array([[369, 4, 21], [9, 396, 6], [6, 1, 388]])
SYSTOLE = np.array([[359, 26, 10], [14, 394, 3], [1, 0, 393]])
PAIR = np.array([[390, 3, 2], [9, 400, 2], [4, 0, 388]])
"""Table 3 of Germain et al., Diagnostics 2021;11:1554, as printed: rows normal, HCM, DCM."""


def test_printed_matrices_have_the_printed_errors_and_accuracies():
    for matrix, errors, accuracy in ((DIASTOLE, 47, 0.961), (SYSTOLE, 54, 0.955)):
        assert errors_of(matrix) == (errors, 1200)
        assert round(proportion(1200 - errors, 1200).value, 3) == accuracy


def test_the_printed_matrix_of_the_pair_lacks_two_of_the_errors_that_the_text_tells():
    assert errors_of(PAIR) == (20, 1198)
    assert round(proportion(1200 - 22, 1200).value, 3) == 0.982


def test_several_groups_are_held_against_each_other_as_scipy_does():
    table = np.array([[5, 9, 20], [45, 41, 30]])
    assert equal_errors(table[0], table.sum(axis=0)) == pytest.approx(chi2_contingency(table, correction=False).pvalue)
    assert np.isnan(equal_errors([3], [9]))


def test_strata_are_sexes_and_thirds_of_the_ages():
    patients = pd.DataFrame(
        {
            "truth": [0, 1] * 6,
            "said": [0, 1] * 3 + [1, 1] * 3,
            "sex": ["F"] * 5 + ["M"] * 6 + [None],
            "age": [5.0, 7, 9, 9.5, 40, 45, 50, 55, 60, 65, 70, np.nan],
            "centre": None,
            "field_strength_t": np.nan,
        }
    )
    table = by_stratum(patients).frame
    by_sex = table[table["By"] == "Sex"].set_index("Group")
    assert by_sex.loc["female", "Accuracy"].value == 1
    assert by_sex.loc["male", "Patients"] == 6
    assert by_sex["p, chi-square"].iloc[0] == pytest.approx(equal_errors([0, 3], [5, 6]))
    ages = table[table["By"] == "Age"]
    assert ages["Patients"].tolist() == [4, 3, 4, 1]
    assert ages["Group"].tolist() == ["5.0 to 19.7 years", "19.7 to 53.3 years", "53.3 to 70.0 years", "not given"]


@pytest.fixture(scope="module")
def cross_validation(tmp_path_factory):
    """Three folds of two patients each of four diseases, their models untrained, each with another favourite class."""
    folder = tmp_path_factory.mktemp("folds")
    patients = drawn_patients(12, 5, ["healthy", "DMD", "FSHMD", "CMD"])
    table = write_cohort(patients, folder / "cohort", seed=5, matrix=96)
    rows = pd.read_csv(table)
    rows.drop(columns="split").to_csv(table, index=False)
    models = folder / "models"
    models.mkdir()
    fold = {patient: n // 4 + 1 for n, patient in enumerate(rows["patient_id"])}
    pd.DataFrame({"patient_id": fold.keys(), "fold": fold.values()}).to_csv(models / FOLDS, index=False)
    for number in (1, 2, 3):
        make_package(models / f"fold{number}", recipe=FOUR_CLASSES, seed=number, **CARD_OF_FOUR)
    told = CliRunner().invoke(
        app,
        ["evaluate", str(models), str(table), "--out", str(folder / "out"), "--device", "cpu"],
        catch_exceptions=False,
    )
    return folder, table, models, told


def test_each_patient_is_answered_for_once_by_their_folds_model(cross_validation):
    folder, table, models, told = cross_validation
    images = pd.read_csv(folder / "out" / "predictions.csv")
    expected = read_folds(models / FOLDS, Cohort.read(table, Recipe.parse(FOUR_CLASSES)))
    left_out = pd.read_csv(folder / "out" / "failures.csv")  # at this size some legs show no femur or no contrast
    assert images.groupby("patient_id")["fold"].unique().map(list).to_dict() == {
        patient: [fold] for patient, fold in expected.items() if patient not in set(left_out["patient_id"])
    }
    assert left_out["reason"].str.startswith(("The shaft of the femur", "Fat is only")).all()
    assert "Evaluated on synthetic images" in told.stdout


def test_summed_matrices_are_those_of_scikit_learn(cross_validation):
    folder, *_ = cross_validation
    summary = json.loads((folder / "out" / "folds.json").read_text())
    for unit, name in (("patients", "patients.csv"), ("images", "predictions.csv")):
        rows = pd.read_csv(folder / "out" / name)
        rows = rows[rows["counted"]] if unit == "images" else rows
        expected = confusion_matrix(rows["truth"], rows["said"], labels=range(4))
        assert summary[unit]["confusion"] == expected.tolist()
        assert (summary[unit]["errors"], summary[unit]["total"]) == errors_of(expected)
    assert {path.name for path in (folder / "out").iterdir()} == set(REPORT.files)


def test_phantoms_are_audited_against_their_true_muscles(cross_validation):
    folder, *_ = cross_validation
    audit = pd.read_csv(folder / "out" / "audit.csv")
    assert audit["area_outside"].between(0, 1).all()
    assert ((audit["truth"] != audit["said"]) == (audit["finding"] == "misclassified")).all()


def test_models_of_other_patients_a_lacking_one_and_a_split_are_refused(cross_validation, tmp_path):
    _, table, models, _ = cross_validation
    ask = ["evaluate", str(models), str(table), "--out", str(tmp_path / "out")]
    with pytest.raises(InputError, match="leave out --split"):
        CliRunner().invoke(app, [*ask, "--split", "test"], catch_exceptions=False)
    shutil.copytree(models, tmp_path / "models")
    shutil.move(tmp_path / "models" / "fold2", tmp_path / "fold2")
    asked = ["evaluate", str(tmp_path / "models"), str(table), "--out", str(tmp_path / "out")]
    with pytest.raises(InputError, match=r"fold2 in models: There is no model package.*to finish it"):
        CliRunner().invoke(app, asked, catch_exceptions=False)
    folds = (tmp_path / "models" / FOLDS).read_text().splitlines()
    (tmp_path / "models" / FOLDS).write_text("\n".join(folds[:-1]) + "\n")
    with pytest.raises(InputError, match="trained on other patients"):
        CliRunner().invoke(app, asked, catch_exceptions=False)
