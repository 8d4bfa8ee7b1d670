"""Share of each muscle under the heat, as equation (5) of Cai et al. 2019 counts it."""

import numpy as np
import pytest

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.explain.texture_score import UNDER_HEAT, texture_scores

SHAPE = (3, 20, 30)
NAMES = {1: "vastus lateralis", 2: "gracilis", 3: "sartorius"}


def legs_and_muscles():
    """A leg in three slices; the vastus has 100 pixels a slice, the gracilis 20, the sartorius lies outside."""
    legs, muscles = np.zeros(SHAPE, bool), np.zeros(SHAPE, np.uint8)
    legs[:, :, :20] = True
    muscles[:, 2:12, 2:12] = 1
    muscles[:, 14:18, 5:10] = 2
    muscles[:, 5:9, 22:28] = 3
    return legs, muscles


def test_the_score_is_the_share_of_the_muscles_voxels_under_the_heat():
    legs, muscles = legs_and_muscles()
    heat = np.zeros(SHAPE, np.float32)
    heat[0, 2:12, 2:7] = 0.9  # half of the vastus in one of three slices
    heat[1, 14:18, 5:10] = UNDER_HEAT
    heat[2, 14:18, 5:10] = UNDER_HEAT - 0.01
    heat[:, 5:9, 22:28] = 1
    scores = {score.muscle: score for score in texture_scores(heat, muscles, NAMES, legs)}
    assert list(scores) == ["gracilis", "vastus lateralis"], "what was not classified has no score"
    assert (scores["vastus lateralis"].under_heat, scores["vastus lateralis"].voxels) == (50, 300)
    assert scores["vastus lateralis"].score == pytest.approx(1 / 6)
    assert scores["gracilis"].score == pytest.approx(1 / 3)


def test_muscles_come_in_the_order_of_their_names_and_numbers():
    muscles = np.arange(1, 13).reshape(1, 3, 4)
    names = {value: f"Segment_{value}" for value in range(1, 13)}
    scores = texture_scores(np.ones(muscles.shape, np.float32), muscles, names, muscles > 0)
    assert [score.muscle for score in scores] == [f"Segment_{value}" for value in range(1, 13)]


def test_muscles_of_another_grid_or_outside_the_legs_are_refused():
    legs, muscles = legs_and_muscles()
    heat = np.zeros(SHAPE, np.float32)
    with pytest.raises(InputError, match="another grid"):
        texture_scores(heat, muscles[:2], NAMES, legs)
    with pytest.raises(InputError, match="no muscle within the legs"):
        texture_scores(heat, np.where(muscles == 3, 3, 0), NAMES, legs)
