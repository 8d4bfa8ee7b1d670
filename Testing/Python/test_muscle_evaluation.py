"""A model of muscle maps is held against the maps of persons, muscle by muscle."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from map_packages import ByPlace, make_map_package

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation.evaluated import EvaluationOptions
from DystrophyDxLib.evaluation.muscle_maps import evaluate_maps
from DystrophyDxLib.muscles import mapper
from DystrophyDxLib.muscles.label_maps import read_label_map
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.series.reading import read_study

OPTIONS = EvaluationOptions("cpu", overwrite=False, advance=lambda what, done, total: None)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    patients = [Patient(n, "healthy", split, "A", 2, "both") for n, split in enumerate(("train", "test"), 1)]
    return write_cohort(patients, tmp_path_factory.mktemp("maps") / "cohort", seed=9, matrix=96)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A model that sees the outer half of a leg as vastus lateralis and the inner one as adductor magnus."""
    made = mapper.MuscleMapper.__init__

    def by_place(self, *given):
        made(self, *given)
        self.network = ByPlace(even=True)

    monkeypatch.setattr(mapper.MuscleMapper, "__init__", by_place)
    return make_map_package(tmp_path / "package")


def test_dice_is_that_of_the_voxels_of_all_legs_of_the_test_patients(package, table, tmp_path):
    summary = evaluate_maps(package, table, tmp_path / "out", OPTIONS, split=None, seed=1)
    series = read_study(table.parent / "P0002" / "T1.nii.gz")
    truth = read_label_map(table.parent / "P0002" / "truth" / "structures.nii.gz", series)
    regions = find_legs(series)
    found = mapper.MuscleMapper(mapper.MapPackage.read(package), "cpu").map(series, regions).labels
    inside = regions.labels > 0
    both = 2 * np.count_nonzero((found == 3) & (truth == 3) & inside)
    expected = both / (np.count_nonzero(found == 3) + np.count_nonzero((truth == 3) & inside))
    assert summary.dice["Dice, vastus lateralis"].value == pytest.approx(expected)
    assert expected > 0.05
    assert summary.dice["Dice, sartorius"].value == 0
    assert (summary.patients, summary.legs, summary.sides_told) == (1, 4, 4)
    legs = pd.read_csv(tmp_path / "out" / "legs.csv")
    assert set(legs["patient_id"]) == {"P0002"}
    assert sorted(legs["side"]) == ["left", "left", "right", "right"]
    told = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert told["schema"] == "dystrophydx.map-evaluation/1"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "vastus lateralis" in page
    assert "synthetic" in page


def test_a_cohort_without_a_leg_that_can_be_held_against_a_map_is_told(package, table, tmp_path):
    other = table.with_name("other.csv")
    text = table.read_text(encoding="utf-8")
    other.write_text(text.replace("P0002/truth/structures", "P0002/truth/nothing"), encoding="utf-8")
    empty = table.parent / "P0002" / "truth" / "nothing.nii.gz"

    image = sitk.ReadImage(str(table.parent / "P0002" / "truth" / "structures.nii.gz"))
    sitk.WriteImage(image * 0, str(empty))
    with pytest.raises(InputError, match="No series of the cohort has a leg with a map"):
        evaluate_maps(package, other, tmp_path / "out", OPTIONS, split=None, seed=1)
