"""Figures of decisions and scores against print, against independent libraries and against what they must be."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, norm
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score, roc_curve

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.statistics.bootstrap import bootstrap, draws, ratio
from DystrophyDxLib.statistics.calibration_error import brier, expected_calibration_error, recalibration, reliability
from DystrophyDxLib.statistics.confusion import Confusion, proportion
from DystrophyDxLib.statistics.estimate import Estimate
from DystrophyDxLib.statistics.paired import compare_decisions
from DystrophyDxLib.statistics.roc import auc, auc_of_draws, compare_auc, roc_band

PUBLISHED = Confusion(tp=123 + 81, fp=420 - 385, fn=130 - 123 + 98 - 81, tn=385)
"""Table 3 of Yang et al., BMC Neurology 2021;21:13: ResNet50 on the test set."""


def scored(rng: np.random.Generator, cases: int, shift: float = 1.2, decimals: int = 1) -> pd.DataFrame:
    """Images with scores of few distinct values, so that many are equal."""
    truth = (np.arange(cases) % 3 == 0).astype(int)
    score = np.round(rng.normal(shift * truth), decimals)
    return pd.DataFrame({"patient_id": np.arange(cases), "truth": truth, "probability": score})


def of_patients(rng: np.random.Generator, patients: int, images: int, shift: float = 1.0) -> pd.DataFrame:
    """Images that differ between patients more than within one."""
    truth = np.repeat(np.arange(patients) % 2, images)
    patient = np.repeat(np.arange(patients), images)
    score = shift * truth + np.repeat(rng.normal(size=patients), images) + 0.3 * rng.normal(size=len(truth))
    return pd.DataFrame({"patient_id": patient, "truth": truth, "probability": score})


# Decisions


def test_the_published_table_comes_out_as_printed():
    assert f"{PUBLISHED.accuracy:.2f}" == "0.91 (0.88, 0.93)"
    assert f"{PUBLISHED.sensitivity:.2f}" == "0.89 (0.85, 0.93)"
    assert f"{PUBLISHED.specificity:.2f}" == "0.92 (0.89, 0.94)"
    assert round(PUBLISHED.f1, 3) == 0.874
    assert round(PUBLISHED.positive_likelihood_ratio.value, 1) == 10.7
    assert round(PUBLISHED.negative_likelihood_ratio.value, 3) == 0.115
    assert round(proportion(123, 130).value, 3) == 0.946
    assert round(proportion(81, 98).value, 3) == 0.827


def test_decisions_are_counted():
    truth = np.array([1, 1, 1, 0, 0, 0, 0])
    called = np.array([1, 1, 0, 1, 0, 0, 0])
    confusion = Confusion.from_decisions(truth, called)
    assert confusion == Confusion(tp=2, fp=1, fn=1, tn=3)
    assert confusion.f1 == pytest.approx(f1_score(truth, called))


def test_wilson_intervals_are_those_of_scipy():
    for count, total in [(0, 7), (3, 7), (7, 7), (385, 420)]:
        expected = binomtest(count, total).proportion_ci(method="wilson")
        found = proportion(count, total)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_of_a_likelihood_ratio_is_that_of_its_logarithm():
    ratio = PUBLISHED.positive_likelihood_ratio
    error = np.sqrt(1 / 204 - 1 / 228 + 1 / 35 - 1 / 420)
    assert np.log([ratio.low, ratio.high]) == pytest.approx(np.log(ratio.value) + norm.ppf([0.025, 0.975]) * error)


def test_a_likelihood_ratio_without_false_positives_is_infinite_above_a_finite_bound():
    ratio = Confusion(tp=10, fp=0, fn=2, tn=20).positive_likelihood_ratio
    assert ratio.value == ratio.high == np.inf
    assert 1 < ratio.low < 12
    ratio = Confusion(tp=12, fp=5, fn=0, tn=15).negative_likelihood_ratio
    assert ratio.value == ratio.low == 0
    assert 0 < ratio.high < 1


def test_every_interval_holds_its_figure_whatever_the_counts():
    for counts in itertools.product([0, 1, 2, 5, 30], repeat=4):
        confusion = Confusion(*counts)
        for estimate in (
            confusion.accuracy,
            confusion.sensitivity,
            confusion.positive_likelihood_ratio,
            confusion.negative_likelihood_ratio,
        ):
            assert 0 <= estimate.low <= estimate.high
            assert np.isnan(estimate.value) or estimate.low <= estimate.value <= estimate.high


def test_without_cases_of_a_class_nothing_is_known_of_it():
    confusion = Confusion(tp=0, fp=3, fn=0, tn=7)
    assert np.isnan(confusion.sensitivity.value)
    assert (confusion.sensitivity.low, confusion.sensitivity.high) == (0, 1)
    assert np.isnan(confusion.positive_likelihood_ratio.value)
    assert np.isnan(Confusion(0, 0, 0, 5).f1)


def test_impossible_decisions_are_refused():
    with pytest.raises(InputError, match="below zero"):
        Confusion(tp=-1, fp=0, fn=0, tn=0)
    with pytest.raises(InputError, match="0 or 1"):
        Confusion.from_decisions(np.array([0, 1]), np.array([0.2, 0.9]))
    with pytest.raises(InputError, match="not as many"):
        Confusion.from_decisions(np.array([0, 1]), np.array([1]))


# Area under the curve


def placements(truth: np.ndarray, score: np.ndarray) -> np.ndarray:
    """(positives, negatives) 1, ½ or 0 of each pair: Mann and Whitney's count, pair by pair."""
    positive, negative = score[truth == 1], score[truth == 0]
    return np.array([[(p > n) + 0.5 * (p == n) for n in negative] for p in positive])


def delong_covariance(truth: np.ndarray, *scores: np.ndarray) -> np.ndarray:
    """DeLong et al. 1988, equations 4 and 5, pair by pair."""
    pairs = [placements(truth, score) for score in scores]
    v10 = np.cov([p.mean(axis=1) for p in pairs])
    v01 = np.cov([p.mean(axis=0) for p in pairs])
    return np.atleast_2d(v10) / pairs[0].shape[0] + np.atleast_2d(v01) / pairs[0].shape[1]


def test_the_area_is_that_of_scikit_learn_and_its_error_delongs():
    table = scored(np.random.default_rng(1), 90)
    truth, score = table["truth"].to_numpy(), table["probability"].to_numpy()
    found = auc(truth, score)
    assert found.value == pytest.approx(roc_auc_score(truth, score))
    error = np.sqrt(delong_covariance(truth, score)[0, 0]) / (found.value * (1 - found.value))
    logit = np.log(found.value / (1 - found.value))
    expected = 1 / (1 + np.exp(-(logit + norm.ppf([0.025, 0.975]) * error)))
    assert [found.low, found.high] == pytest.approx(expected)


def test_two_scores_are_compared_as_delong_does():
    rng = np.random.default_rng(2)
    table = scored(rng, 120)
    truth, first = table["truth"].to_numpy(), table["probability"].to_numpy()
    second = np.round(0.6 * first + rng.normal(0.8 * truth), 1)
    found = compare_auc(truth, first, second)
    covariance = delong_covariance(truth, first, second)
    difference = roc_auc_score(truth, second) - roc_auc_score(truth, first)
    z = difference / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.difference.value == pytest.approx(difference)
    assert found.z == pytest.approx(z)
    assert found.p == pytest.approx(2 * norm.sf(abs(z)))
    assert found.difference.low < difference < found.difference.high


def test_a_score_is_as_good_as_itself():
    table = scored(np.random.default_rng(3), 60)
    found = compare_auc(table["truth"], table["probability"], table["probability"])
    assert (found.difference.value, found.z, found.p) == (0, 0, 1)


def test_scores_at_chance_are_rarely_called_different():
    """The test keeps its 5 % when patients have several images each, and only if it knows of the patients."""
    rng = np.random.default_rng(4)
    called = {"patients known": 0, "images alone": 0}
    for _ in range(300):
        table = of_patients(rng, 30, 6, shift=0)
        truth, patient = table["truth"].to_numpy(), table["patient_id"].to_numpy()
        second = of_patients(rng, 30, 6, shift=0)["probability"].to_numpy()
        called["patients known"] += compare_auc(truth, table["probability"], second, patient).p < 0.05
        called["images alone"] += compare_auc(truth, table["probability"], second).p < 0.05
    assert called["patients known"] / 300 < 0.10
    assert called["images alone"] / 300 > 0.30


def test_one_image_a_patient_is_delong():
    table = scored(np.random.default_rng(5), 50)
    assert auc(table["truth"], table["probability"], table["patient_id"]) == auc(table["truth"], table["probability"])


def test_doubled_images_do_not_make_more_patients():
    table = scored(np.random.default_rng(6), 60)
    doubled = pd.concat([table, table])
    once = auc(table["truth"], table["probability"])
    twice = auc(doubled["truth"], doubled["probability"], doubled["patient_id"])
    assert [twice.value, twice.low, twice.high] == pytest.approx([once.value, once.low, once.high])


def test_the_interval_of_a_perfect_score_has_a_width():
    truth = np.repeat([0, 1], [50, 20])
    found = auc(truth, truth.astype(float))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(proportion(20, 20).low)


def test_one_class_has_no_area():
    found = auc(np.ones(4), np.arange(4.0))
    assert np.isnan(found.value)
    assert (found.low, found.high) == (0, 1)
    with pytest.raises(InputError, match="both classes"):
        roc_band(pd.DataFrame({"patient_id": [1, 2], "truth": [1, 1], "probability": [0.1, 0.2]}), seed=0)


def test_scores_must_be_numbers():
    with pytest.raises(InputError, match="must be numbers"):
        auc(np.array([0, 1]), np.array([0.5, np.nan]))


# Bootstrap by patient


def test_counted_rows_give_the_area_of_repeated_rows():
    table = scored(np.random.default_rng(7), 40)
    counts = np.random.default_rng(8).integers(0, 4, size=(5, 40)).astype(float)
    for found, count in zip(auc_of_draws(table, counts), counts.astype(int), strict=True):
        assert found == pytest.approx(roc_auc_score(table["truth"].repeat(count), table["probability"].repeat(count)))


def test_patients_are_drawn_with_all_their_images_and_classes_keep_their_size():
    table = of_patients(np.random.default_rng(9), 11, 4)
    for counts in draws(table, seed=1, resamples=50):
        by_patient = counts.reshape(len(counts), 11, 4)
        assert (by_patient == by_patient[:, :, :1]).all()
        assert (counts[:, table["truth"] == 1].sum(axis=1) == 20).all()


def test_equal_seeds_give_equal_intervals_and_other_seeds_others():
    table = of_patients(np.random.default_rng(10), 20, 3)
    assert bootstrap(table, auc_of_draws, seed=3, resamples=200) == bootstrap(
        table, auc_of_draws, seed=3, resamples=200
    )
    assert bootstrap(table, auc_of_draws, seed=3, resamples=200) != bootstrap(
        table, auc_of_draws, seed=4, resamples=200
    )


def test_draws_do_not_depend_on_how_many_are_made_at_once(monkeypatch):
    table = of_patients(np.random.default_rng(11), 20, 3)
    whole = np.concatenate(list(draws(table, seed=5, resamples=30)))
    monkeypatch.setattr("DystrophyDxLib.statistics.bootstrap._LARGEST", 7 * len(table))
    np.testing.assert_array_equal(np.concatenate(list(draws(table, seed=5, resamples=30))), whole)


def test_intervals_by_patient_and_by_obuchowski_agree_and_are_wider_than_by_image():
    table = of_patients(np.random.default_rng(12), 80, 6)
    drawn = bootstrap(table, auc_of_draws, seed=1)
    clustered = auc(table["truth"], table["probability"], table["patient_id"])
    alone = auc(table["truth"], table["probability"])
    assert drawn.value == pytest.approx(clustered.value)
    assert drawn.high - drawn.low == pytest.approx(clustered.high - clustered.low, rel=0.15)
    assert clustered.high - clustered.low > 1.7 * (alone.high - alone.low)


def test_a_share_of_single_images_has_about_wilsons_interval():
    table = pd.DataFrame({"patient_id": range(400), "truth": 1, "called": np.arange(400) < 340})

    def sensitivity(table, counts):
        return ratio(counts, table["called"], table["truth"])

    found, wilson = bootstrap(table, sensitivity, seed=2), proportion(340, 400)
    assert found.value == wilson.value
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=0.006)


def test_draws_without_the_disease_in_question_are_left_out():
    table = pd.DataFrame({"patient_id": range(10), "truth": 1, "rare": np.arange(10) < 1, "called": np.arange(10) < 5})

    def sensitivity(table, counts):
        return ratio(counts, table["rare"] & table["called"], table["rare"])

    found = bootstrap(table, sensitivity, seed=2, resamples=2000)
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_an_empty_table_is_refused():
    with pytest.raises(InputError, match="no row"):
        bootstrap(pd.DataFrame({"patient_id": [], "truth": []}), auc_of_draws, seed=0)


def test_the_roc_band_lies_around_the_curve_of_scikit_learn():
    table = of_patients(np.random.default_rng(13), 60, 3)
    band = roc_band(table, seed=1, resamples=300)
    false, true, _ = roc_curve(table["truth"], table["probability"])
    np.testing.assert_allclose(band["sensitivity"], np.interp(band["false_positive_rate"], false, true), atol=1e-12)
    assert (band["low"] <= band["sensitivity"] + 1e-9).mean() > 0.98
    assert (band["sensitivity"] <= band["high"] + 1e-9).mean() > 0.98
    assert (band["high"] - band["low"]).max() > 0.15
    assert band.iloc[-1].tolist() == [1, 1, 1, 1]


# Paired decisions


@pytest.mark.parametrize(("only_first", "only_second"), [(3, 9), (0, 6), (5, 5), (0, 0)])
def test_few_discordant_decisions_are_tested_exactly(only_first, only_second):
    right_first = np.repeat([1, 0, 1, 0], [only_first, only_second, 20, 5])
    right_second = np.repeat([0, 1, 1, 0], [only_first, only_second, 20, 5])
    truth = np.arange(len(right_first)) % 2
    found = compare_decisions(truth, np.where(right_first, truth, 1 - truth), np.where(right_second, truth, 1 - truth))
    assert (found.only_first, found.only_second, found.exact) == (only_first, only_second, True)
    expected = binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1
    assert found.p == pytest.approx(expected)


def test_many_discordant_decisions_are_tested_by_chi_square():
    """With continuity correction: 121 and 59 discordant pairs give (|121 − 59| − 1)² / 180."""
    truth = np.ones(200, int)
    first, second = np.repeat([1, 0, 1], [121, 59, 20]), np.repeat([0, 1, 1], [121, 59, 20])
    found = compare_decisions(truth, first, second)
    assert not found.exact
    assert found.p == pytest.approx(2 * norm.sf(np.sqrt((121 - 59 - 1) ** 2 / 180)))


# Calibration


def calibrated_cases(seed: int, cases: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = rng.uniform(0.02, 0.98, cases)
    return (rng.random(cases) < probability).astype(int), probability


def test_true_probabilities_are_calibrated():
    """Nineteen intervals of twenty hold the perfect intercept and slope."""
    found = [recalibration(*calibrated_cases(seed, 300)) for seed in range(100)]
    assert np.mean([each.intercept.low < 0 < each.intercept.high for each in found]) >= 0.9
    assert np.mean([each.slope.low < 1 < each.slope.high for each in found]) >= 0.9
    truth, probability = calibrated_cases(1, 4000)
    assert expected_calibration_error(truth, probability) < 0.03
    assert brier(truth, probability) == pytest.approx(brier_score_loss(truth, probability))


def test_exaggerated_and_shifted_evidence_is_measured():
    truth, probability = calibrated_cases(2, 4000)
    evidence = np.log(probability / (1 - probability))
    extreme, shifted = (1 / (1 + np.exp(-e)) for e in (2 * evidence, evidence + 1))
    assert recalibration(truth, extreme).slope.value == pytest.approx(0.5, abs=0.05)
    assert recalibration(truth, shifted).intercept.value == pytest.approx(-1, abs=0.15)
    assert expected_calibration_error(truth, extreme) > 3 * expected_calibration_error(truth, probability)


def test_the_intercept_gives_the_share_of_cases_that_there_are_even_where_certainty_was_wrong():
    truth, probability = np.array([1, 0, 0, 1, 0, 1]), np.array([0.2, 0.6, 0.6, 0.9, 1.0, 0.0])
    found = recalibration(truth, probability).intercept
    odds = np.clip(probability, 1e-6, 1 - 1e-6) / (1 - np.clip(probability, 1e-6, 1 - 1e-6)) * np.exp(found.value)
    assert (odds / (1 + odds)).mean() == pytest.approx(0.5)
    assert found.low < found.value < found.high


def test_the_reliability_table_is_that_of_scikit_learn():
    truth, probability = calibrated_cases(3, 500)
    table = reliability(truth, probability)
    observed, mean = calibration_curve(truth, probability, n_bins=10)
    np.testing.assert_allclose(table["observed"], observed)
    np.testing.assert_allclose(table["probability"], mean)
    assert table["cases"].sum() == 500
    assert ((table["low"] < table["observed"]) & (table["observed"] < table["high"])).all()


def test_a_bin_has_its_lower_edge_and_certainty_belongs_to_the_last():
    table = reliability(np.array([0, 0, 1]), np.array([0.0, 0.5, 1.0]), bins=2)
    assert table["cases"].tolist() == [1, 2]


def test_images_of_a_patient_that_are_alike_widen_the_interval():
    truth, probability = calibrated_cases(4, 300)
    patient = np.tile(np.arange(300), 5)
    known = recalibration(np.tile(truth, 5), np.tile(probability, 5), patient).slope
    alone = recalibration(np.tile(truth, 5), np.tile(probability, 5)).slope
    assert (known.high - known.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(5), rel=0.05)


@pytest.mark.parametrize(
    ("truth", "probability"),
    [([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]), ([0, 1, 0, 1], [0.5] * 4), ([1, 1, 1, 1], [0.2, 0.3, 0.5, 0.9])],
    ids=["told apart without an error", "all equal", "one class"],
)
def test_what_cannot_be_fitted_is_unknown(truth, probability):
    slope = recalibration(np.array(truth), np.array(probability)).slope
    assert np.isnan(slope.value)
    assert (slope.low, slope.high) == (-np.inf, np.inf)


def test_estimates_print_as_in_a_paper():
    assert f"{Estimate(0.9087, 0.884, 0.9289):.3f}" == "0.909 (0.884, 0.929)"


@pytest.mark.parametrize("patients", [2, 3, 9])
def test_few_patients_who_are_all_told_wrongly_by_one_model_do_not_make_a_difference_certain(patients):
    truth = np.repeat([0, 1], patients)
    found = compare_auc(truth, truth, 1 - truth)
    assert found.difference.value == -1
    assert found.difference.high > -1 + (found.first.high - found.first.low)
    assert np.isnan(found.p)


def test_images_of_few_patients_do_not_make_a_difference_certain():
    rng = np.random.default_rng(5)
    table = of_patients(rng, 4, 12, shift=0)
    table["truth"] = np.repeat([0, 1], len(table) // 2)
    good, bad = table["truth"] + rng.normal(0, 0.3, len(table)), rng.normal(0, 1, len(table)) - table["truth"]
    found = compare_auc(table["truth"], good, bad, table["patient_id"])
    assert np.isnan(found.p)
    assert found.difference.low <= found.difference.value <= found.difference.high
    assert compare_auc(table["truth"], good, bad).p < 0.001  # of as many patients it is certain


def test_two_perfect_scores_may_differ_in_other_patients():
    truth = np.repeat([0, 1], 12)
    found = compare_auc(truth, truth, truth * 2 + np.arange(24) / 100)
    assert (found.difference.value, found.p) == (0, 1)
    assert found.difference.low < -0.1 < 0.1 < found.difference.high


def test_probabilities_that_hardly_vary_have_no_slope():
    rng = np.random.default_rng(6)
    found = recalibration(np.arange(40) % 2, 0.5 + rng.uniform(-0.004, 0.004, 40))
    assert np.isnan(found.slope.value)
    assert found.intercept.value == pytest.approx(0, abs=0.05)
