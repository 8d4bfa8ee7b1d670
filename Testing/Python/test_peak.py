"""A peak that contradicts the case is a warning, and so said wherever warnings are."""

import pytest
from mrml_cases import image, result

from DystrophyDxLib.classify import Classification, with_muscle_fat
from DystrophyDxLib.peak import peak, with_peak
from DystrophyDxLib.reporting.case_report import summary
from DystrophyDxLib.results import CaseResult

BELOW = CaseResult(probability=0.05, ci95=(0.02, 0.1), label="other", threshold=0.5, reason="It lies below.")
LOW = [image(k, side, 0.02) for k in range(20) for side in ("left", "right") if k not in (7, 8, 9)]


def study(*images, case=BELOW):
    return result([*LOW, *images], case=case)


def test_where_how_many_and_on_which_side():
    peaked = study(image(7, "left", 0.6), image(8, "left", 0.9), image(9, "left", 0.55), image(9, "right", 0.1))
    assert peak(peaked) == (
        "In slices 7-9 of the left leg 3 images lie above the threshold of 0.50, the highest with 0.90 "
        "in slice 8, although the case lies below it."
    )


def test_it_is_a_warning_as_long_as_it_is_there():
    peaked = with_peak(study(image(7, "left", 0.6), image(8, "left", 0.9), image(9, "left", 0.55)))
    assert [(w.code.value, w.message) for w in peaked.warnings[1:]] == [("PART_ABOVE_THRESHOLD", peak(peaked))]
    assert peaked.case.label == "other", "the label stays"
    assert summary(peaked).count(peak(peaked)) == 1
    assert with_peak(peaked) == peaked, "once, however often it is asked"
    corrected = peaked.model_copy(update={"images": tuple(LOW)})
    assert with_peak(corrected).warnings == peaked.warnings[:1]
    without_label = peaked.case.model_copy(update={"label": "indeterminate"})
    assert with_peak(peaked.model_copy(update={"case": without_label})).warnings == peaked.warnings[:1]


def test_a_classification_warns_of_it_with_muscles_or_without():
    peaked = study(image(7, "left", 0.6), image(8, "left", 0.9))
    found = Classification(peaked, None, (), (), None, None)
    assert with_muscle_fat(found, None).result == with_peak(peaked)


def test_all_peaks_are_named_leg_by_leg():
    both = [image(k, side, 0.8) for k in (8, 9) for side in ("left", "right")]
    assert peak(study(*both)).startswith("In slices 8-9 of both legs 4 images")
    others = [image(k, "right", 0.76) for k in (30, 31)]
    assert peak(study(*both, *others)).startswith(
        "In slices 8-9 of the left leg and slices 8-9, 30-31 of the right leg 6 images"
    )
    lower = [image(k, "right", 0.6) for k in (40, 41)]
    assert "slices 8-9, 40-41 of the right leg" in peak(study(*both, *lower)), "lower ones beside a peak are named, too"
    one_of_the_left = [image(k, "right", 0.8) for k in (7, 8, 9)] + [image(9, "left", 0.6)]
    assert peak(study(*one_of_the_left)).startswith("In slice 9 of the left leg and slices 7-9 of the right leg 4")


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
