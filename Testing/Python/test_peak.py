"""A peak that contradicts the case is said in words, in the terminal, the report and the panel."""

import pytest
from mrml_cases import image, result

from DystrophyDxLib.reporting.case_report import summary
from DystrophyDxLib.reporting.peak import peak
from DystrophyDxLib.results import CaseResult

BELOW = CaseResult(probability=0.05, ci95=(0.02, 0.1), label="other", threshold=0.5, reason="It lies below.")
LOW = [image(k, side, 0.02) for k in range(20) for side in ("left", "right") if k not in (7, 8, 9)]


def study(*images, case=BELOW):
    return result([*LOW, *images], case=case)


def test_where_how_many_and_on_which_side():
    peaked = study(image(7, "left", 0.6), image(8, "left", 0.9), image(9, "left", 0.55), image(9, "right", 0.1))
    assert peak(peaked) == (
        "Look at slices 7 to 9 of the left leg: 3 images there lie above the threshold of 0.50, the highest with 0.90 "
        "in slice 8, although the case lies below it."
    )
    assert peak(peaked) in summary(peaked)


def test_both_legs_of_one_slice_are_a_peak_and_another_one_is_counted():
    images = [image(8, side, 0.8) for side in ("left", "right")]
    others = [image(k, "right", 0.76) for k in (30, 31)]
    assert peak(study(*images, *others)).startswith("Look at slice 8 of both legs: 2 images")
    assert peak(study(*images, *others)).endswith("2 more images do so elsewhere.")


@pytest.mark.parametrize(
    "images",
    [
        [image(8, "left", 0.9)],
        [image(7, "left", 0.9), image(9, "left", 0.9)],
        [image(7, "left", 0.6), image(8, "left", 0.7)],
        [image(7, "left", 0.9, counted=False), image(8, "left", 0.9, counted=False)],
        [],
    ],
    ids=["one image", "slices apart", "little above", "not counted", "none"],
)
def test_what_is_no_peak_is_not_told(images):
    assert peak(study(*images)) == ""


@pytest.mark.parametrize("label", ["dystrophinopathy", "indeterminate"])
def test_a_case_that_does_not_lie_below_is_not_contradicted(label):
    case = BELOW.model_copy(update={"probability": 0.8, "ci95": (0.4, 0.9), "label": label})
    assert peak(study(image(7, "left", 0.9), image(8, "left", 0.9), case=case)) == ""
