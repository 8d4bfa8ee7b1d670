"""What a model answers, from the probabilities of its classes."""

import numpy as np
import pytest
from scipy import stats

from DystrophyDxLib.models.decision import Binary, Ranked, decision_before_training, decision_for
from DystrophyDxLib.models.draws import case_interval
from DystrophyDxLib.results import ImageResult

TWO = Binary(("other", "DMD"), 0.4)
FOUR = Ranked(("healthy", "DMD", "FSHMD", "CMD"))


def test_the_interval_is_the_bootstrap_of_scipy():
    rng = np.random.default_rng(4)
    probabilities = rng.beta(2, 3, 40)
    low, high = case_interval(probabilities, np.arange(40))
    reference = stats.bootstrap(
        (probabilities,), np.mean, method="percentile", n_resamples=20000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.01)


def test_both_legs_of_a_slice_are_resampled_together():
    rng = np.random.default_rng(4)
    of_slice = rng.beta(2, 3, 30)
    one = case_interval(of_slice, np.arange(30))
    two = case_interval(np.repeat(of_slice, 2), np.repeat(np.arange(30), 2))
    assert two == pytest.approx(one, abs=1e-9)


def test_a_class_is_said_only_where_its_lead_is_sure():
    rng = np.random.default_rng(0)
    slices = np.arange(40)
    around_0 = rng.normal(0, 0.2, 40)
    around_0 -= around_0.mean()
    low = stats.bootstrap((around_0,), np.mean, method="percentile", rng=rng).confidence_interval.low
    for mean, label in ((-low + 0.02, "a"), (-low - 0.02, "indeterminate")):
        lead = around_0 + mean
        case = Ranked(("a", "b", "c")).case(np.stack([(1 + lead) / 2, (1 - lead) / 2, 0 * lead], axis=1), slices, None)
        assert case.label == label
    probabilities = np.tile([0.7, 0.2, 0.1], (40, 1))
    assert Ranked(("a", "b", "c")).case(probabilities, slices, None).label == "a"
    assert Ranked(("a", "b", "c")).case(probabilities, slices, "Not a thigh.").label == "indeterminate"


@pytest.mark.parametrize(("classes", "threshold"), [(("a", "b"), None), (("a", "b", "c"), 0.5)])
def test_two_classes_have_a_threshold_and_more_have_none(classes, threshold):
    with pytest.raises(ValueError, match="two classes have a threshold"):
        decision_for(classes, threshold)
    assert decision_before_training(classes).classes == classes


@pytest.mark.parametrize("decision", [TWO, FOUR])
def test_an_image_of_a_result_holds_the_probabilities_of_all_classes(decision):
    probabilities = tuple(np.full(len(decision.classes), 1 / len(decision.classes)))
    image = ImageResult(
        slice=3, side="left", window_ijk=((0, 9), (0, 9)), probability=probabilities[1], roi="auto", anatomy="thigh",
        counted=True, probabilities=decision.listed(probabilities),
    )  # fmt: skip
    assert decision.of_image(image) == probabilities


@pytest.mark.parametrize("decision", [TWO, FOUR])
def test_the_logits_of_all_classes_have_the_probabilities_as_their_softmax(decision):
    logits = np.random.default_rng(2).normal(0, 3, (20, decision.outputs))
    of_all = np.exp(decision.all_logits(logits) / 1.7)
    expected = of_all / of_all.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(decision.probabilities(logits, 1.7), expected, rtol=1e-12)


def test_evidence_for_the_first_of_two_classes_is_what_speaks_against_the_second():
    maps = np.arange(6.0).reshape(1, 2, 3)
    np.testing.assert_array_equal(TWO.evidence(maps, 0), -TWO.evidence(maps, 1))
    assert TWO.has_map(np.array([0, 1])).tolist() == [False, True]
    assert FOUR.has_map(np.arange(4)).all()


def test_the_label_is_that_of_the_side_of_the_threshold_on_which_the_interval_lies():
    for second, label in ((0.9, "DMD"), (0.41, "DMD"), (0.39, "other")):
        case = TWO.case(np.tile([1 - second, second], (30, 1)), np.arange(30), None)
        assert (case.label, case.threshold) == (label, 0.4)
    around = 0.4 + np.random.default_rng(0).normal(0, 0.1, 30)
    assert TWO.case(np.stack([1 - around, around], axis=1), np.arange(30), None).label == "indeterminate"
    assert TWO.case(np.tile([0.1, 0.9], (30, 1)), np.arange(30), "Not a thigh.").reason == "Not a thigh."
