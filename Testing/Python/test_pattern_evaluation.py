"""A model of patterns is measured per patient: no image has an answer of its own."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from map_packages import make_map_package
from model_packages import make_package
from pattern_packages import alike, make_pattern_package, muscle_fat
from typer.testing import CliRunner

from DystrophyDxLib.cohort.splits import FOLDS
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation import pattern_classifier, tables
from DystrophyDxLib.muscles.fat_of_series import SeriesFat
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.regions.windows import Side, Window


def test_groups_are_of_patients_alone_where_no_image_is_answered_for():
    patients = pd.DataFrame({
        "patient_id": [f"P{n}" for n in range(24)], "truth": [0, 1] * 12, "probability": [0.2, 0.8] * 12,
        "sex": ["F", "M"] * 12, "age": 30.0, "centre": "A", "field_strength_t": 3.0, "disease": ["healthy", "BMD"] * 12,
        "images": 1,
    })  # fmt: skip
    found = tables.by_group({"Patients": patients}, 0.5, ("other", "dystrophinopathy"), 0).frame
    assert set(found["Per"]) == {"patients"}
    assert set(found["By"]) == {"Sex", "Age", "Centre", "Field strength"}


@pytest.fixture
def cross_validation(tmp_path, monkeypatch):
    """Table and models of three folds of two patients each. The fat is drawn: spared adductor longus in the sick, of
    whom the second model says the opposite."""
    patients = [
        Patient(n, diagnosis, "train", "A", 1, "left") for n, diagnosis in enumerate(["BMD", "healthy"] * 3, start=1)
    ]
    table = write_cohort(patients, tmp_path / "cohort", seed=6, matrix=64, truth=False, purpose="pattern folds")
    rows = pd.read_csv(table).drop(columns="split")
    rows.to_csv(table, index=False)
    models = tmp_path / "models"
    models.mkdir()
    folds_of = {patient: n // 2 + 1 for n, patient in enumerate(rows["patient_id"])}
    pd.DataFrame({"patient_id": folds_of.keys(), "fold": folds_of.values()}).to_csv(models / FOLDS, index=False)
    for number, coefficient in enumerate((-2.0, 2.0, -2.0), 1):
        make_pattern_package(models / f"fold{number}", coefficient)
    maps = make_map_package(tmp_path / "maps")
    monkeypatch.setattr(pattern_classifier, "muscle_model", lambda: maps)
    sick = iter([True, False] * 3)
    fat = {True: muscle_fat(alike(0.5, adductor_longus=0.1)), False: muscle_fat(alike(0.3, adductor_longus=0.7))}
    windows = (Window(0, Side.LEFT, (0, 9), (0, 9), np.ones((9, 9), bool)),)
    monkeypatch.setattr(
        pattern_classifier, "fat_of_series", lambda *_: SeriesFat(fat[next(sick)], False, "", (), windows)
    )
    return table, models


def test_each_patient_of_a_cross_validation_is_answered_for_by_the_pattern_that_has_not_seen_them(
    cross_validation, tmp_path
):
    table, models = cross_validation
    asked = ["evaluate", str(models), str(table), "--out", str(tmp_path / "out"), "--device", "cpu"]
    told = CliRunner().invoke(app, asked, catch_exceptions=False).stdout
    summary = json.loads((tmp_path / "out" / "folds.json").read_text())
    assert summary["images"] is None, "no image has an answer of its own"
    assert summary["patients"]["confusion"] == [[2, 1], [1, 2]]
    patients = pd.read_csv(tmp_path / "out" / "patients.csv")
    assert set(patients.loc[patients["said"] != patients["truth"], "fold"]) == {2}
    assert not (tmp_path / "out" / "audit.csv").exists()
    assert "6 patients: accuracy 0.667" in told
    assert "(pattern), 3 folds" in (tmp_path / "out" / "report.html").read_text()


def test_folds_of_a_network_and_of_a_pattern_are_not_mixed(cross_validation, tmp_path):
    table, models = cross_validation
    shutil.rmtree(models / "fold3")
    make_package(models / "fold3", classes=("other", "dystrophinopathy"))
    asked = ["evaluate", str(models), str(table), "--out", str(tmp_path / "out")]
    with pytest.raises(InputError, match="of other kinds"):
        CliRunner().invoke(app, asked, catch_exceptions=False)
