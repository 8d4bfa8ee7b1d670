"""What the panel decides about reading and new studies, without Qt."""

import pytest

from DystrophyDxLib.panel.grading import GradeTyping, left_out
from DystrophyDxLib.panel.new_study import ARMS, DesignChoice
from DystrophyDxLib.panel.rich_text import aided_html
from DystrophyDxLib.readerstudy.protocol import Design, StudyModel
from DystrophyDxLib.readerstudy.questions import MUSCLES, SIDES
from DystrophyDxLib.readerstudy.study import ModelAnswer

PLACES = [(muscle, side) for muscle in MUSCLES for side in SIDES]


@pytest.mark.parametrize(
    ("keys", "whole"),
    [("0", ["0"]), ("34", ["3", "4"]), ("2a2b", [None, "2a", None, "2b"]), ("23", [None, "3"]), ("ab", [None, None])],
)
def test_grades_are_typed_key_by_key(keys, whole):
    typing = GradeTyping()
    assert [typing.key(key) for key in keys] == whole


def test_a_two_alone_is_no_grade():
    typing = GradeTyping()
    typing.key("2")
    assert typing.begun == "2"


def test_grades_that_were_left_out_are_told_as_shortly_as_they_can_be():
    assert left_out(PLACES, PLACES) == ""
    assert left_out([], []) == ""
    assert left_out(PLACES, []).startswith("No muscle is graded. Submit again")
    assert left_out(PLACES, PLACES[5:]).startswith("5 of 26 grades are not given.")
    assert left_out(PLACES, PLACES[2:]).startswith("Not graded: rectus femoris left, rectus femoris right. Submit")


def test_sequential_reading_proposes_the_design_that_fits_and_gives_the_chosen_one_back():
    both, sequential, unaided, _ = ARMS
    choice = DesignChoice()
    design = Design.CROSSOVER
    for arms, proposed in (
        (sequential, Design.FULLY_CROSSED),
        (unaided, Design.FULLY_CROSSED),
        (both, Design.CROSSOVER),
    ):
        design = choice.proposed(arms, design)
        assert design is proposed
    assert choice.proposed(sequential, Design.SPLIT_PLOT) is Design.SPLIT_PLOT
    assert choice.proposed(both, Design.FULLY_CROSSED) is Design.FULLY_CROSSED, "as its user has chosen"


@pytest.mark.parametrize(
    ("label", "probability", "condition", "told"),
    [
        ("other", 0.1, "dystrophinopathy", "Model: images do not suggest dystrophinopathy"),
        ("DMD", 0.9, "dystrophinopathy", "Model: images suggest dystrophinopathy"),
        ("PD", 0.1, "MSA", "Model: images do not suggest MSA"),
        ("indeterminate", 0.6, "dystrophinopathy", "Model: indeterminate"),
    ],
)
def test_the_model_answers_the_question_of_the_study_whatever_it_calls_its_classes(label, probability, condition, told):
    model = StudyModel(
        name="test", version="1", sha256="0" * 64, trained_on="nothing", demonstration=False, threshold=0.5
    )
    text = aided_html(ModelAnswer(probability=probability, ci95=(0, 1), label=label, warnings=()), model, condition)
    assert told in text
