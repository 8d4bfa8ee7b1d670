"""How near the fat of each muscle comes to the truth under the shipped network's map."""

from __future__ import annotations

import numpy as np
import pytest
from fat_figures import held, on_patient, table, truth_of

from DystrophyDxLib.files.resources import muscle_model
from DystrophyDxLib.models.map_package import MapPackage
from DystrophyDxLib.muscles.mapper import MuscleMapper
from DystrophyDxLib.muscles.structures import MUSCLES
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.results import MuscleFat


def row(fraction, low, high):
    told = {"fat_fraction": fraction, "fat_ci95": (low, high), "mercuri": None, "volume_ml": 1.0, "slices": ()}
    return MuscleFat(muscle="", side="left", voxels=9, under_heat=0, score=0.0, **told)


def test_found_fat_is_held_against_the_truth_of_the_muscles_that_both_know():
    truth = {("left", "gracilis"): 0.1, ("left", "sartorius"): 0.5, ("right", "sartorius"): 0.5}
    fat = {
        ("left", "gracilis"): row(0.2, 0.1, 0.3),
        ("left", "sartorius"): row(0.4, 0.35, 0.45),
        ("left", "vastus lateralis"): row(0.9, 0.8, 1.0),
    }
    rows = held(truth, fat)
    assert rows == [(0.1, 0.2, 0.1, 0.3), (0.5, 0.4, 0.35, 0.45)]
    assert table("phantoms", {("T1-weighted", "true"): rows}) == [
        "| phantoms | T1-weighted | true | 2 | 0.100 | +0.000 | 0.50 |"
    ]


def test_the_truth_of_a_phantom_is_the_mean_fat_of_its_muscles_in_view():
    phantom = make_phantom(3, "DMD", 2, 96, legs="left")
    truth = truth_of(phantom)
    own = phantom.structures == MUSCLES.index("vastus lateralis") + 1
    assert truth["left", "vastus lateralis"] == pytest.approx(phantom.fat_fraction[own].mean())
    assert {side for side, _ in truth} == {"left"}


def test_the_fat_of_a_real_patient_is_near_that_under_a_map_made_for_them(shared):
    mapper = MuscleMapper(MapPackage.read(muscle_model()), "cpu")
    rows = on_patient("lgmdr2", shared("dystrophy_dixon").parent, mapper, own_map=False)
    apart = {how: np.abs(np.subtract(*np.array(of_how).T[:2])).mean() for how, of_how in rows.items()}
    assert apart["T1-weighted", "network's"] <= 0.10
    assert apart["Dixon", "network's"] <= 0.05
    true, _, low, high = np.array(rows["fat image alone", "network's"]).T
    assert ((low <= true) & (true <= high)).mean() >= 0.8
