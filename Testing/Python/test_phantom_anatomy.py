"""The phantom's legs are built like real ones, at any age, from above the knee to the lesser trochanter."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anatomy_report import compared, phantom_measures, report
from measure_anatomy import MEASURES, labelled_legs, mean_and_spread, measure

from DystrophyDxLib.phantom import anatomy
from DystrophyDxLib.phantom.anatomy import HIGHEST, LEFT, LOWEST, MUSCLES, RIGHT, draw, leg_stack, legs_at
from DystrophyDxLib.phantom.body import Body

HEALTHY = np.ones((2, len(MUSCLES)))
FIT = Path(__file__).parents[2] / "Resources" / "Figures" / "anatomy_fit.csv"
PIXEL_MM = 1.0


def person(seed: int, age_years: float = 30, sex: str = "F") -> Body:
    return Body.drawn(np.random.default_rng(seed), HEALTHY, age_years, sex)


def left_leg(body: Body, level: float) -> np.ndarray:
    """Tissue codes (320, 320) of the left leg, the femur's centre at (160, 160), 1 mm pixels."""
    leg = leg_stack(body, 0, np.array([level]), np.random.default_rng(0))[0]
    return draw([leg, None], np.full(2, -160.0), PIXEL_MM, 320)[0]


def areas(codes: np.ndarray) -> dict[str, int]:
    """mm² of each muscle of the left leg."""
    counts = np.bincount(codes[codes > LEFT] - LEFT - 1, minlength=len(MUSCLES))
    return dict(zip(MUSCLES, counts.tolist(), strict=True))


def centre(codes: np.ndarray, name: str) -> np.ndarray:
    """(x to lateral, y to posterior) of a muscle in mm from the femur's centre."""
    return np.argwhere(codes == LEFT + 1 + MUSCLES.index(name)).mean(axis=0)[::-1] - 160


@pytest.mark.parametrize("seed", range(10))
def test_muscles_lie_where_they_lie_in_a_thigh(seed):
    body = replace(person(seed), turn=np.zeros(2))
    middle, upper = left_leg(body, 0.45), left_leg(body, 0.7)
    at = {name: centre(middle, name) for name in MUSCLES[:11]}
    assert at["rectus femoris"][1] < at["vastus intermedius"][1] < at["semitendinosus"][1]
    assert at["gracilis"][0] < at["adductor magnus"][0] < at["vastus lateralis"][0]
    assert at["semimembranosus"][0] < at["biceps femoris long head"][0]
    assert at["sartorius"][0] < at["rectus femoris"][0]
    assert centre(upper, "sartorius")[1] < centre(upper, "adductor longus")[1] < centre(upper, "adductor magnus")[1]
    assert centre(upper, "gracilis")[0] < centre(upper, "adductor longus")[0] < 0


def test_hip_muscles_appear_where_they_belong():
    """Adductor longus in the upper half, gluteus maximus in the upper third behind and outside, under the fascia."""
    for seed in range(5):
        body = replace(person(seed), turn=np.zeros(2))
        low, middle, top = (left_leg(body, level) for level in (0.3, 0.55, HIGHEST))
        assert areas(low)["adductor longus"] == areas(low)["gluteus maximus"] == 0
        assert areas(middle)["adductor longus"] > 100
        assert areas(middle)["gluteus maximus"] == 0
        assert 0.1 < areas(top)["gluteus maximus"] / sum(areas(top).values()) < 0.35
        x, y = centre(top, "gluteus maximus")
        assert 40 < np.degrees(np.arctan2(y, x)) < 100
        assert y > centre(top, "vastus lateralis")[1]
        assert np.hypot(x, y) > np.hypot(*centre(top, "vastus intermedius"))


def test_near_the_hip_the_adductors_before_the_adductor_magnus_are_as_large_as_it_is():
    """Adductor longus, which stands for pectineus and adductor brevis too; in mid-thigh it is a fifth of it."""
    legs = [
        [areas(left_leg(replace(person(seed), turn=np.zeros(2)), level)) for level in (0.55, 0.82)] for seed in range(5)
    ]
    thigh, hip = np.mean([[leg["adductor longus"] / leg["adductor magnus"] for leg in both] for both in legs], axis=0)
    assert 0.1 < thigh < 0.3
    assert 0.8 < hip < 1.5


def test_femur_has_a_wide_lower_end_and_the_lesser_trochanter_behind_on_the_inner_side():
    body = replace(person(1), turn=np.zeros(2))
    bone = [np.isin(left_leg(body, level), (anatomy.CORTEX, anatomy.MARROW)) for level in (LOWEST, 0.5, HIGHEST)]
    knee, shaft, trochanter = (mask.sum() for mask in bone)
    assert knee > 1.5 * shaft
    assert trochanter > 1.3 * shaft
    x, y = np.argwhere(bone[2]).mean(axis=0)[::-1] - 160
    assert x < 0 < y
    # Midshaft diameter of adults: about 27 mm (our estimate).
    assert 20 < 2 * np.sqrt(shaft / np.pi) < 33


@pytest.mark.parametrize("level", [LOWEST, 0.3, 0.6, HIGHEST])
def test_nothing_lies_outside_the_skin_and_no_muscle_outside_the_fascia(level):
    rng = np.random.default_rng(4)
    for age, sex in [(5, "M"), (14, "F"), (40, "M"), (80, "F")]:
        body = Body.drawn(rng, HEALTHY, age, sex)
        leg = leg_stack(body, 1, np.array([level]), rng)[0]
        codes, _ = draw([leg, None], np.full(2, -200.0), 1.0, 400)
        skin, fascia = (
            draw([replace(leg, skin=curve), None], np.full(2, -200.0), 1.0, 400)[1] > 0
            for curve in (leg.skin, leg.fascia)
        )
        assert not codes[~skin].any()
        assert not (codes[~fascia] > LEFT).any()
        # The fascia lies under the skin all round.
        assert np.hypot(*(leg.skin - leg.fascia).T).min() > body.skin
        assert np.isin(codes[fascia], (anatomy.AIR, anatomy.SKIN)).mean() < 0.001


def test_legs_that_press_on_each_other_flatten_along_one_border():
    """The patient's left leg stays at larger x in every row, skin lies between the legs and no muscle is lost."""
    body = replace(person(2, sex="M"), gap=-14.0)
    pair = legs_at(body, np.array([0.5]), np.random.default_rng(0))[0]
    codes, sides = draw(pair, np.array([-256.0, -150.0]), 1.0, 512)
    rows = np.flatnonzero(((sides[:, :-1] == 2) & (sides[:, 1:] == 1)).any(axis=1))
    assert len(rows) > 10
    assert not ((sides[:, :-1] == 1) & (sides[:, 1:] == 2)).any()
    touching = (sides[:, :-1] == 2) & (sides[:, 1:] == 1)
    assert (codes[:, 1:][touching] == anatomy.SKIN).all()
    for side, first in ((0, LEFT), (1, RIGHT)):
        alone, _ = draw(
            [leg if n == side else None for n, leg in enumerate(pair)], np.array([-256.0, -150.0]), 1.0, 512
        )
        assert ((codes > first) & (codes <= first + 15)).sum() > 0.99 * (alone > LEFT).sum()


def test_legs_apart_keep_their_distance():
    body = replace(person(2), gap=30.0)
    left, right = legs_at(body, np.array([0.4]), np.random.default_rng(0))[0]
    assert left.skin[:, 0].min() - right.skin[:, 0].max() == pytest.approx(30)


def test_drawn_leg_has_the_area_of_its_outline():
    left, _ = legs_at(person(2), np.array([0.5]), np.random.default_rng(2))[0]
    x, y = left.skin.T
    area = np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2
    rim = np.hypot(*(left.skin - np.roll(left.skin, 1, axis=0)).T).sum()
    _, sides = draw([left, None], left.skin.min(axis=0) - 5, 0.5, 640)
    assert abs((sides == 1).sum() * 0.25 - area) < 0.3 * rim


def test_bodies_follow_age_and_sex():
    """Children are small; muscle and cortex wane with age; women have more fat; yet the sexes overlap."""
    drawn = {
        key: [Body.drawn(np.random.default_rng(seed), HEALTHY, *key) for seed in range(150)]
        for key in [(5, "M"), (12, "M"), (30, "M"), (30, "F"), (80, "F"), (80, "M")]
    }
    size, fat, cortex, thigh = (
        {key: np.array([getattr(body, name) for body in bodies]) for key, bodies in drawn.items()}
        for name in ("size", "fat", "cortex", "thigh_mm")
    )
    assert size[5, "M"].mean() < 0.7 * size[30, "M"].mean()
    assert size[5, "M"].mean() < size[12, "M"].mean() < size[30, "M"].mean()
    assert size[80, "M"].mean() < 0.92 * size[30, "M"].mean()
    assert thigh[5, "M"].mean() == pytest.approx(thigh[30, "M"].mean() * 1.09 / 1.77, rel=0.02)
    assert cortex[80, "F"].mean() < cortex[80, "M"].mean() < cortex[30, "M"].mean()
    assert (fat[30, "F"] / size[30, "F"]).mean() > 1.2 * (fat[30, "M"] / size[30, "M"]).mean()
    women, men = fat[30, "F"] / size[30, "F"], fat[30, "M"] / size[30, "M"]
    assert 0.55 < (women[:, None] > men).mean() < 0.85


def test_adults_are_as_large_as_the_measured_ones():
    figures = json.loads((files("DystrophyDxLib.phantom") / "anatomy_figures.json").read_text())
    rng = np.random.default_rng(5)
    sizes = [Body.drawn(rng, HEALTHY, rng.uniform(18, 75), str(rng.choice(["F", "M"]))).size for _ in range(300)]
    assert abs(np.mean(sizes) - figures["size_mm"]) < 0.3 * figures["size_sd_mm"]
    assert 0.7 < np.std(sizes) / figures["size_sd_mm"] < 1.4


def test_wasted_muscle_is_smaller_by_its_bulk():
    """Half the bulk of the semitendinosus, which no other muscle covers much, gives half its area."""
    body = person(3)
    wasted = body.bulk.copy()
    wasted[:, MUSCLES.index("semitendinosus")] *= 0.5
    whole, half = (areas(left_leg(each, 0.5)) for each in (body, replace(body, bulk=wasted)))
    assert half["semitendinosus"] / whole["semitendinosus"] == pytest.approx(0.5, abs=0.12)
    assert half["vastus lateralis"] == whole["vastus lateralis"]


def test_same_seed_same_legs():
    first, again = (
        draw(legs_at(person(6), np.array([0.4]), np.random.default_rng(1))[0], np.array([-250.0, -150.0]), 1.0, 512)[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_every_muscle_lies_within_one_sd_of_the_measured_legs():
    """Area share, distance and bearing from the femur, lowest and highest level: 50 real legs against 50 drawn ones."""
    figures = json.loads((files("DystrophyDxLib.phantom") / "anatomy_figures.json").read_text())["measures"]
    real = tuple(np.array([figures[name][figure] for name in MEASURES]) for figure in ("mean", "sd"))
    # The levels of the slices of most of the real legs.
    levels = 50 * [np.linspace(0.106, 0.815, 10)]
    table = compared(real, mean_and_spread(phantom_measures(levels, np.random.default_rng(7))))
    assert len(table) == 55
    beyond = table[table.difference_in_sd.abs() > 1]
    assert beyond.empty, beyond.to_string()


@pytest.fixture(scope="module")
def real_legs(shared):
    return labelled_legs(shared("thigh_muscle_labels"))


def test_report_on_the_label_maps_is_the_shipped_one(real_legs):
    table = report(*real_legs)
    assert (table.difference_in_sd.abs() <= 1).all(), table.to_string()
    shipped = pd.read_csv(FIT)
    pd.testing.assert_frame_equal(table, shipped, atol=0.02, check_exact=False)


def test_figures_measured_again_on_the_label_maps_are_the_shipped_ones(real_legs):
    shipped = json.loads((files("DystrophyDxLib.phantom") / "anatomy_figures.json").read_text())
    measured = measure(*real_legs)
    assert measured["legs"] == shipped["legs"] == 50
    assert measured["present"] == shipped["present"]
    np.testing.assert_allclose(measured["mean"], shipped["mean"], atol=1)
    for name in MEASURES:
        np.testing.assert_allclose(measured["measures"][name]["mean"], shipped["measures"][name]["mean"], atol=1e-3)
