"""A model of patterns is trained like every other: from a cohort to a package whose coefficients can be read."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
from crews import Elsewhere
from map_packages import make_map_package
from pattern_packages import alike, muscle_fat

from DystrophyDxLib.archive.crew import OWN_PROCESS
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.map_package import MapPackage
from DystrophyDxLib.models.package_files import CARD, SUMS
from DystrophyDxLib.models.pattern import PatternModel, log_odds, relative
from DystrophyDxLib.models.pattern_package import PatternPackage, PatternRecipe
from DystrophyDxLib.models.recipe import shipped_recipe
from DystrophyDxLib.muscles.structures import MUSCLES
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.reporting.progress import silent
from DystrophyDxLib.training import pattern_store
from DystrophyDxLib.training.pattern_store import PatternStore, StoredFat
from DystrophyDxLib.training.preparation import LEFT_OUT
from DystrophyDxLib.training.train_pattern import fitted_terms, normal_of, train_pattern

RECIPE = PatternRecipe.parse(shipped_recipe("pattern"))
SPARED = MUSCLES.index("adductor longus")


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    return make_map_package(tmp_path_factory.mktemp("maps") / "package")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    patients = [
        Patient(n, diagnosis, split, "A", 1, "left")
        for n, (diagnosis, split) in enumerate(
            [("BMD", "train"), ("healthy", "train"), ("BMD", "validation"), ("healthy", "validation")], 1
        )
    ]
    folder = tmp_path_factory.mktemp("pattern") / "cohort"
    return write_cohort(
        patients, folder, seed=4, matrix=96, contrasts=("T1", "DIXON_FAT", "DIXON_WATER", "DIXON_FF"), purpose="pattern"
    )


def test_the_fat_is_that_under_a_person_s_map_by_dixon_images_and_is_kept(table, tmp_path, maps, monkeypatch):
    cohort = Cohort.read(table, RECIPE)
    assert set(cohort.cases[0].further) == {"DIXON_FAT", "DIXON_WATER", "DIXON_FF"}
    asked = (cohort, RECIPE, MapPackage.read(maps), "cpu", tmp_path, OWN_PROCESS, silent)
    store = PatternStore.of(*asked)
    assert len(store.fat) == 4
    assert not any(fat.by_grey for fat in store.fat)
    with (table.parent / "truth.csv").open(newline="") as file:
        truth = {row["patient_id"]: row for row in csv.DictReader(file)}
    for case, fat in zip(store.cohort.cases, store.fat, strict=True):
        known = {row.muscle: row.fat_fraction for row in fat.muscles if row.voxels > 60}
        for name, fraction in known.items():
            assert fraction == pytest.approx(float(truth[case.patient_id][f"fat {name}"]), abs=0.12), name
    assert PatternStore.of(*asked[:4], tmp_path / "there", Elsewhere(tmp_path), silent) == store
    monkeypatch.setattr(pattern_store, "fat_of_series", None)  # whoever measures again fails
    assert PatternStore.of(*asked) == store


def test_an_image_of_the_fat_fraction_tells_it_where_there_is_no_other(table, tmp_path, maps):
    cohort = Cohort.read(table, RECIPE)
    alone = [dataclasses.replace(case, further={"DIXON_FF": case.further["DIXON_FF"]}) for case in cohort.cases]
    asked = (RECIPE, MapPackage.read(maps), "cpu", tmp_path, OWN_PROCESS, silent)
    by_fraction, by_both = (
        PatternStore.of(dataclasses.replace(cohort, cases=tuple(cases)), *asked) for cases in (alone, cohort.cases)
    )
    for one, other in zip(by_fraction.fat, by_both.fat, strict=True):
        assert not one.by_grey
        for own, same in zip(one.muscles, other.muscles, strict=True):
            if own.voxels > 60:
                assert own.fat_fraction == pytest.approx(same.fat_fraction, abs=0.1), own.muscle


def drawn(seed: int, sick: bool) -> tuple:
    """Fat of a patient whose adductor longus is spared where they are sick; now and then a muscle is out of view."""
    rng = np.random.default_rng([seed, sick])
    fractions = {name: float(rng.uniform(0.2, 0.5)) for name in MUSCLES}
    if sick:
        fractions["adductor longus"] = float(rng.uniform(0.05, 0.2))
    del fractions[MUSCLES[int(rng.integers(8))]]
    return muscle_fat(fractions)


@pytest.fixture
def trained(tmp_path, maps, monkeypatch):
    """Trains on patients whose fat is drawn, by name of the package."""
    rows = [
        {"patient_id": f"P{n:03d}", "path": f"P{n:03d}.nii", "diagnosis": "BMD" if n % 2 else "FSHMD", "split": split}
        for n, split in enumerate(["train"] * 60 + ["validation"] * 40 + ["test"] * 20)
    ]
    for row in rows:
        (tmp_path / row["path"]).write_bytes(row["patient_id"].encode())
    with (tmp_path / "cohort.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    monkeypatch.setattr(
        pattern_store,
        "_found",
        lambda case, *_: StoredFat(muscles=drawn(case.row, case.label == 1), by_grey=True, why=""),
    )
    cohort = Cohort.read(tmp_path / "cohort.csv", RECIPE)

    def train(name):
        return train_pattern(RECIPE, cohort, tmp_path / name, seed=1, cache=tmp_path / "cache", backbone_weights=maps)

    return train


def test_training_writes_a_package_whose_coefficients_can_be_read(trained):
    first = trained("first")
    package = PatternPackage.read(first)
    coefficients = package.card.coefficients["dystrophinopathy"]
    assert min(coefficients, key=coefficients.get) == "adductor longus"
    assert all(coefficients[name] * sign > 0 for name, sign in RECIPE.pattern.signs.items() if name in coefficients)
    assert package.card.metrics["AUC, case"].value > 0.95
    assert "20 patients that training did not see" in package.card.metrics["AUC, case"].measured_on
    assert not package.card.demonstration
    assert package.card.threshold == 0.5
    assert min(package.card.label_from) >= RECIPE.pattern.least_sure == 0.7
    assert len(package.card.seen) == 100
    assert (trained("second") / SUMS).read_bytes() == (first / SUMS).read_bytes(), "equal input, equal package"
    assert "adductor longus" in (first / CARD).read_text()


def test_a_muscle_never_speaks_against_what_is_published():
    rng = np.random.default_rng(0)
    features = relative(rng.normal(0, 1, (300, 13)))
    truth = (features[:, SPARED] - features[:, 1] + rng.normal(0, 0.3, 300) > 0).astype(int)
    found, _ = fitted_terms(RECIPE.pattern, 1.0, features, truth, np.ones(300), 0)
    assert found[0, SPARED] == 0, "more fat there speaks against the second class, by the recipe"
    assert found[0, 1] < 0, "no sign is published of the rectus femoris"
    free, _ = fitted_terms(RECIPE.unbound().pattern, 1.0, features, truth, np.ones(300), 0)
    assert free[0, SPARED] > 0


def test_muscles_out_of_view_are_expected_as_they_go_with_the_others():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 1, (400, 1)) + rng.normal(0, 0.3, (400, 13))
    odds[rng.random(odds.shape) < 0.2] = np.nan
    mean, covariance = normal_of(odds)
    model = PatternModel(np.zeros((1, 13)), np.zeros(1), mean, covariance)
    one = log_odds(np.full((1, 13), 0.8))
    one[0, SPARED] = np.nan
    assert model.expected(one)[0, SPARED] == pytest.approx(float(log_odds(np.array(0.8))), abs=0.25)
    odds[:, SPARED] = np.nan
    with pytest.raises(InputError, match="show the muscle adductor longus"):
        normal_of(odds)


def test_a_split_in_which_too_few_tell_fat_is_refused_before_the_rest_is_measured(trained, monkeypatch):
    asked = []

    def found(case, *_):
        asked.append(case.row)
        why = "Fat is suppressed in these images." if case.split == "validation" and case.label else ""
        return StoredFat(muscles=muscle_fat(alike(0.3)), by_grey=True, why=why)

    monkeypatch.setattr(pattern_store, "_found", found)
    told = r"Of 19 series no fat can be told; of row 63: Fat is suppressed.* The validation split has 1 of"
    with pytest.raises(InputError, match=told):
        trained("none")
    assert len(asked) <= 40, "of 120 series, only those of the scarcest classes were measured"


def test_series_with_few_muscles_in_view_are_named(trained, monkeypatch, tmp_path):
    monkeypatch.setattr(
        pattern_store,
        "_found",
        lambda case, *_: StoredFat(
            muscles=muscle_fat(dict.fromkeys(MUSCLES[:3], 0.3)) if case.row == 5 else drawn(case.row, case.label == 1),
            by_grey=True,
            why="",
        ),
    )
    trained("few")
    [told] = (tmp_path / "few-training" / LEFT_OUT).read_text().splitlines()
    assert told.startswith("Row 5, patient P003, tells no fat: The fat of 3 of 13 muscles can be told")
