"""Fat of each muscle is held against the truth, for the table of its figures."""

from __future__ import annotations

import pytest
from fat_figures import held, table, truth_of

from DystrophyDxLib.muscles.structures import MUSCLES
from DystrophyDxLib.phantom import make_phantom


def test_found_fat_is_held_against_the_truth_of_the_muscles_that_both_know():
    truth = {("left", "gracilis"): 0.1, ("left", "sartorius"): 0.5, ("right", "sartorius"): 0.5}
    fat = {
        ("left", "gracilis"): (0.2, 0.1, 0.3),
        ("left", "sartorius"): (0.4, 0.35, 0.45),
        ("left", "vastus lateralis"): (0.9, 0.8, 1.0),
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
