"""A map of the muscles that was given, and the one that is found in the images."""

from __future__ import annotations

import numpy as np
import pytest

from DystrophyDxLib.muscles.given_map import warnings_on_given, warnings_on_unnamed
from DystrophyDxLib.muscles.muscle_map import MuscleMap
from DystrophyDxLib.muscles.structures import FEMUR
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side

LEFT, RIGHT = LABEL_OF_SIDE[Side.LEFT], LABEL_OF_SIDE[Side.RIGHT]


def of_labels(labels, side=LEFT):
    labels = np.array(labels, np.uint8)[None, None]
    return MuscleMap(labels, np.where(labels > 0, side, 0).astype(np.uint8))


FOUND = of_labels([0, 1, 1, 2, 2, 3, 3, 4, 4, FEMUR])


@pytest.mark.parametrize(
    "given",
    [
        of_labels([0, 1, 1, 2, 2, 3, 3, 4, 4, FEMUR]),
        of_labels([1, 1, 1, 1, 2, 2, 3, 3, 4, 0]),
        of_labels([0, 1, 1, 0, 0, 0, 0, 0, 0, 0]),
    ],
    ids=["the same", "edges apart", "one muscle of it"],
)
def test_a_map_of_these_images_is_taken_without_a_word(given):
    assert warnings_on_given(given, FOUND) == ()


@pytest.mark.parametrize(
    ("given", "share"),
    [
        (of_labels([0, 3, 3, 1, 1, 2, 2, 4, 4, FEMUR]), "25%"),
        (of_labels([0, 1, 1, 2, 2, 3, 3, 4, 4, FEMUR], RIGHT), "0%"),
        (of_labels([5, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "0%"),
    ],
    ids=["other muscles", "other side", "beside them"],
)
def test_a_map_of_other_images_or_of_the_other_side_is_told(given, share):
    [warning] = warnings_on_given(given, FOUND)
    assert warning.code.value == "MUSCLES_UNLIKE"
    assert f", {share} are of the same muscle" in warning.message


def test_where_no_muscle_is_found_nothing_can_be_said():
    for found in (None, of_labels([0] * 9 + [FEMUR])):
        assert warnings_on_given(of_labels([1] * 10), found) == ()


def labels_of(labels):
    return np.array(labels, np.uint8)[None, None]


@pytest.mark.parametrize(
    "given",
    [[0, 1, 1, 2, 2, 3, 3, 4, 4, 0], [0, 7, 7, 7, 7, 7, 7, 7, 7, 9], [0, 0, 5, 0, 0, 0, 0, 0, 0, 0]],
    ids=["its own", "all muscles together, and the femur", "one muscle"],
)
def test_labels_without_names_that_lie_in_the_muscles_are_taken_without_a_word(given):
    assert warnings_on_unnamed(labels_of(given), FOUND) == ()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([1, 1, 1, 1, 2, 2, 2, 0, 0, 2], "Of the given map 25% lies where no muscle is found"),
        ([3, 0, 0, 0, 0, 0, 0, 0, 0, 0], "Of the given map 100% lies"),
        ([0] * 10, "The given map shows nothing in the slices"),
    ],
    ids=["shifted", "beside the leg", "none"],
)
def test_labels_without_names_of_another_patient_are_told(given, told):
    [warning] = warnings_on_unnamed(labels_of(given), FOUND)
    assert warning.code.value == "MUSCLES_UNLIKE"
    assert warning.message.startswith(told)
    assert warnings_on_unnamed(labels_of(given), None) == ()
