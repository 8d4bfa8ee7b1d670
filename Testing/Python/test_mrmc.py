"""Readers and arms compared beyond these readers and cases: against printed results, leave-one-out by hand, and studies
without a difference."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel
from sklearn.metrics import roc_auc_score

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.statistics.merit import FIGURES_OF_MERIT, RANDOM
from DystrophyDxLib.statistics.mrmc import (
    COVARIANCES,
    Components,
    Performance,
    compare_arms,
    compare_with_standalone,
)
from DystrophyDxLib.statistics.sample_size import cases_needed, power

BOTH, CASES, READERS = RANDOM
VAN_DYKE = Components(
    arms=2,
    readers=5,
    cases=114,
    ms_arm=0.00479617,
    ms_reader=0.00383620,
    ms_arm_by_reader=0.00055103,
    error=0.00080229,
    cov1=0.00034661,
    cov2=0.00034407,
    cov3=0.00023903,
)
"""Of the data of Van Dyke et al. 1993, empirical AUC and jackknife, as the program OR-DBM MRMC 2.51 (University of
Iowa) prints them."""


def van_dyke(shared, figure="AUC", covariance="jackknife") -> Performance:
    table = pd.read_csv(shared("reader_studies/vandyke.csv"))
    ratings = table.pivot(index=["treatment", "reader"], columns="case", values="rating").to_numpy(float)
    ratings = ratings.reshape(2, 5, -1)
    truth = table.groupby("case")["truth"].first().to_numpy()
    ratings = ratings if figure == "AUC" else 1.0 * (ratings >= 3)
    return Performance.of(truth, ratings, ("1", "2"), tuple("12345"), figure=figure, covariance=covariance)


def franken() -> Performance:
    """Data of Franken et al. 1992, from the AUCs and variances that OR-DBM MRMC 2.51 prints; the covariances within a
    pair of arms or readers are only known as their averages, which is all that the analysis uses."""
    values = np.array(
        [[0.85345997, 0.86499322, 0.85730439, 0.81524197], [0.84961556, 0.84350972, 0.84011759, 0.81433740]]
    )
    covariance = np.full((2, 4, 2, 4), 0.00051251)
    for arm, (error, cov2) in enumerate([(0.00152278, 0.00047230), (0.00152877, 0.00049498)]):
        covariance[arm, :, arm] = cov2
        for reader in range(4):
            covariance[arm, reader, 1 - arm, reader] = 0.00079168
            covariance[arm, reader, arm, reader] = error
    return Performance(("1", "2"), tuple("1234"), values, covariance, 100)


def drawn(rng, *, readers=4, positives=12, negatives=15, decimals=0) -> tuple[np.ndarray, np.ndarray]:
    """Truth, and ratings with ties of readers who share cases, in two arms."""
    truth = np.repeat([1, 0], [positives, negatives])
    cases = rng.normal(truth * 1.2)
    return truth, np.round(cases + rng.normal(size=(2, readers, len(truth))), decimals)


def roe_metz(rng, *, reader, arm_by_reader, case, arm_by_case, reader_by_case, error, separation=1.5, size=50):
    """Ratings of 5 readers in two arms that do not differ (Roe and Metz 1997, Acad Radiol 4:298), from the variance of
    each effect."""
    truth = np.repeat([1, 0], size)
    shapes = {
        (1, 5, 1, 2): reader, (2, 5, 1, 2): arm_by_reader, (1, 1, size, 2): case, (2, 1, size, 2): arm_by_case,
        (1, 5, size, 2): reader_by_case, (2, 5, size, 2): error,
    }  # fmt: skip
    ratings = sum(np.sqrt(variance) * rng.normal(size=shape) for shape, variance in shapes.items())
    ratings[..., 0] += separation
    return truth, np.concatenate([ratings[..., 0], ratings[..., 1]], axis=-1)


def performance(truth, ratings, figure="AUC", covariance="jackknife") -> Performance:
    arms, readers = ratings.shape[:2]
    return Performance.of(truth, ratings, range(arms), range(readers), figure=figure, covariance=covariance)


# Against print


@pytest.mark.parametrize(
    ("figure", "covariance", "means", "components", "test", "interval"),
    [
        ("AUC", "jackknife", (0.897037, 0.940837), (0.000802, 0.000347, 0.000344, 0.000239),
         (4.4563, 15.2597, 0.05167), (-0.087959, 0.000359)),
        ("AUC", "DeLong", (0.897037, 0.940837), (0.000792, 0.000342, 0.000340, 0.000236),
         (4.4849, 15.0661, 0.05123), (-0.087867, 0.000267)),
        ("sensitivity", "jackknife", (0.822222, 0.920000), (0.0023681, 0.0009944, 0.0010146, 0.0006605),
         (6.6895, 15.7173, 0.02009), (-0.178037, -0.017519)),
    ],
)  # fmt: skip
def test_van_dykes_study_comes_out_as_known(shared, figure, covariance, means, components, test, interval):
    studied = van_dyke(shared, figure, covariance)
    found, compared = studied.components, compare_arms(studied, BOTH)
    digits = 6 if figure == "AUC" else 7
    assert [round(v, digits) for v in (found.error, found.cov1, found.cov2, found.cov3)] == list(components)
    assert [round(mean.value, 6) for mean in compared.means] == list(means)
    assert (round(compared.f, 4), round(compared.df2, 4), round(compared.p, 5)) == test
    difference = compared.differences[0].difference
    assert (round(difference.low, 6), round(difference.high, 6)) == interval
    assert compared.differences[0].p == pytest.approx(compared.p)


def test_van_dykes_components_are_those_of_the_program_of_iowa(shared):
    found = van_dyke(shared).components
    for name in ("ms_arm", "ms_reader", "ms_arm_by_reader", "error", "cov1", "cov2", "cov3"):
        assert round(getattr(found, name), 8) == getattr(VAN_DYKE, name)
    assert round(found.reader, 8) == 0.00153500
    assert round(found.arm_by_reader, 8) == 0.00020040


@pytest.mark.parametrize(
    ("random", "statistic", "df2", "p", "difference", "means"),
    [
        (BOTH, 4.46, 15.26, 0.0517, (-0.08796, 0.00036), ((0.82522360, 0.96885048), (0.89413783, 0.98753689))),
        (CASES, 5.47595, np.inf, 0.0193, (-0.08049, -0.00711), ((0.84943008, 0.94464399), (0.90795637, 0.97371835))),
        (READERS, 8.70, 4.00, 0.0420, (-0.08502, -0.00258), ((0.82809808, 0.96597599), (0.89598936, 0.98568536))),
    ],
)
def test_van_dykes_study_with_readers_or_cases_fixed(shared, random, statistic, df2, p, difference, means):
    """As OR-DBM MRMC 2.51 prints it."""
    found = compare_arms(van_dyke(shared), random)
    assert round(found.f, 5 if random == CASES else 2) == statistic
    assert (round(found.df2, 2), round(found.p, 4)) == (df2, p)
    interval = found.differences[0].difference
    assert (round(interval.low, 5), round(interval.high, 5)) == difference
    assert [(round(mean.low, 8), round(mean.high, 8)) for mean in found.means] == list(means)


@pytest.mark.parametrize(
    ("random", "statistic", "df2", "p", "difference", "means"),
    [
        (BOTH, 4.69, 3.00, 0.1188, (-0.00509, 0.02680), ((0.79908282, 0.89641696), (0.79048429, 0.88330585))),
        (CASES, 0.32101, np.inf, 0.5710, (-0.02670, 0.04840), ((0.79461647, 0.90088331), (0.78309680, 0.89069334))),
        (READERS, 4.69, 3.00, 0.1188, (-0.00509, 0.02680), ((0.81243106, 0.88306871), (0.81216196, 0.86162818))),
    ],
)
def test_frankens_study_where_shared_covariance_is_below_0(random, statistic, df2, p, difference, means):
    """As OR-DBM MRMC 2.51 prints it; cov2 is below cov3 there and counts as equal."""
    found = compare_arms(franken(), random)
    assert found.f == pytest.approx(statistic, abs=0.005)
    assert (round(found.df2, 2), round(found.p, 4)) == (df2, p)
    interval = found.differences[0].difference
    assert (interval.low, interval.high) == pytest.approx(difference, abs=6e-6)
    for mean, printed in zip(found.means, means, strict=True):
        assert (mean.low, mean.high) == pytest.approx(printed, abs=2e-6)


def test_two_arms_with_cases_fixed_are_a_paired_t_test_of_the_readers_figures():
    truth, ratings = drawn(np.random.default_rng(1))
    studied = performance(truth, ratings)
    assert compare_arms(studied, READERS).p == pytest.approx(ttest_rel(*studied.values).pvalue)


# Figures of merit and their covariances


def leave_one_out(truth, ratings, figure) -> np.ndarray:
    """(curves, curves) jackknife covariance, one case after the other."""
    everyone = np.ones(len(truth), bool)
    counted = {"AUC": everyone, "accuracy": everyone, "sensitivity": truth == 1, "specificity": truth == 0}[figure]
    truth, ratings = truth[counted], ratings[:, counted]
    figures = {
        "AUC": roc_auc_score,
        "accuracy": lambda truth, called: (truth == called).mean(),
        "sensitivity": lambda truth, called: called.mean(),
        "specificity": lambda truth, called: 1 - called.mean(),
    }
    kept = [np.arange(len(truth)) != left_out for left_out in range(len(truth))]
    values = np.array([[figures[figure](truth[keep], row[keep]) for keep in kept] for row in ratings])
    off = values - values.mean(axis=1, keepdims=True)
    return (len(truth) - 1) / len(truth) * off @ off.T


@pytest.mark.parametrize("figure", FIGURES_OF_MERIT)
def test_the_jackknife_is_that_of_leaving_out_one_case_after_the_other(figure):
    truth, ratings = drawn(np.random.default_rng(2), readers=3)
    ratings = ratings if figure == "AUC" else 1.0 * (ratings > 0.5)
    found = performance(truth, ratings, figure).covariance.reshape(6, 6)
    np.testing.assert_allclose(found, leave_one_out(truth, ratings.reshape(6, -1), figure), atol=1e-12)


def test_delongs_covariance_is_that_of_all_pairs():
    truth, ratings = drawn(np.random.default_rng(3), readers=2)
    rows = ratings.reshape(4, -1)
    pairs = [np.sign(row[truth == 1][:, None] - row[truth == 0]) / 2 + 0.5 for row in rows]
    expected = np.cov([p.mean(axis=1) for p in pairs]) / 12 + np.cov([p.mean(axis=0) for p in pairs]) / 15
    found = performance(truth, ratings, covariance="DeLong")
    np.testing.assert_allclose(found.covariance.reshape(4, 4), expected, atol=1e-12)
    np.testing.assert_allclose(found.values.ravel(), [roc_auc_score(truth, row) for row in rows])


# Answers that are missing, and other designs than all readers on all cases


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_reader_is_judged_on_the_cases_that_the_reader_answered(covariance):
    truth, ratings = drawn(np.random.default_rng(4))
    answered = np.ones(len(truth), bool)
    answered[[0, 3, 20]] = False
    whole = performance(truth[answered], ratings[..., answered], covariance=covariance)
    ratings[1, 2, ~answered] = np.nan
    found = performance(truth, ratings, covariance=covariance)
    assert found.values[1, 2] == roc_auc_score(truth[answered], ratings[1, 2, answered])
    assert found.covariance[1, 2, 1, 2] == pytest.approx(whole.covariance[1, 2, 1, 2])
    assert found.cases == len(truth)


def test_readers_of_different_cases_have_independent_errors():
    truth, ratings = drawn(np.random.default_rng(5), readers=2, positives=20, negatives=20)
    ratings[:, 0, ::2] = np.nan
    ratings[:, 1, 1::2] = np.nan
    found = performance(truth, ratings).components
    assert (found.cov2, found.cov3) == pytest.approx((0, 0), abs=1e-12)
    assert found.cov1 > 1e-3


@pytest.mark.parametrize("design", ["crossed", "split-plot", "gaps"])
def test_the_variance_of_a_difference_is_that_of_the_whole_covariance(design):
    """With fixed readers the test's error term must be the variance of the difference of the means, which follows from
    the whole matrix, however the cases were spread over the readers."""
    rng = np.random.default_rng(6)
    truth, ratings = roe_metz(
        rng, reader=0, arm_by_reader=0, case=0.1, arm_by_case=0.5, reader_by_case=0.2, error=0.2, size=30
    )
    if design == "split-plot":
        ratings[:, :2, ::2] = np.nan
        ratings[:, 2:, 1::2] = np.nan
    if design == "gaps":
        ratings[rng.random(ratings.shape) < 0.2] = np.nan
    studied = performance(truth, ratings, covariance="DeLong")
    found = compare_arms(studied, CASES)
    contrast = np.repeat([1.0, -1.0], 5) / 5
    variance = contrast @ studied.covariance.reshape(10, 10) @ contrast
    assert studied.components.shared > 0
    difference = found.differences[0]
    assert found.f == pytest.approx(difference.difference.value**2 / variance)


def test_three_arms_are_tested_together_and_pair_by_pair():
    truth, ratings = drawn(np.random.default_rng(7))
    third = np.concatenate([ratings, ratings[:1] + truth])
    found = compare_arms(performance(truth, third), BOTH)
    assert found.df1 == 2
    assert [(d.first, d.second) for d in found.differences] == [(0, 1), (0, 2), (1, 2)]
    assert found.p < 0.05
    assert found.differences[0].p > 0.05 > found.differences[1].p


# A model beside the readers


def test_the_mean_of_fixed_readers_is_compared_with_a_model_as_one_score_would_be():
    """Its variance is that of the mean of the readers' areas less the model's."""
    truth, ratings = drawn(np.random.default_rng(8), readers=3)
    model = np.random.default_rng(9).normal(truth * 2.0)
    studied = performance(truth, np.stack([ratings[0], np.tile(model, (3, 1))]), covariance="DeLong")
    found = compare_with_standalone(studied, CASES)
    contrast = np.array([1 / 3, 1 / 3, 1 / 3, -1])
    variance = contrast @ studied.covariance.reshape(6, 6)[:4, :4] @ contrast
    mean = np.mean([roc_auc_score(truth, row) for row in ratings[0]]) - roc_auc_score(truth, model)
    assert found.difference.value == pytest.approx(mean)
    assert found.difference.high - mean == pytest.approx(1.959964 * np.sqrt(variance))


def test_a_model_as_good_as_the_readers_is_rarely_called_different():
    rng = np.random.default_rng(10)
    called = 0
    for _ in range(400):
        truth, ratings = roe_metz(
            rng, reader=0.03, arm_by_reader=0, case=0.3, arm_by_case=0, reader_by_case=0.3, error=0.4
        )
        model = rng.normal(1.5 * truth)
        studied = performance(truth, np.stack([ratings[0], np.tile(model, (5, 1))]))
        called += compare_with_standalone(studied, BOTH).p < 0.05
    assert 0.02 < called / 400 < 0.09


# Studies without a difference

STRUCTURES = [
    {
        "reader": reader,
        "arm_by_reader": reader,
        "case": case,
        "arm_by_case": case,
        "reader_by_case": 0.2,
        "error": error,
    }
    for reader in (0.0055, 0.03)
    for case, error in ((0.3, 0.2), (0.1, 0.6))
]
"""Roe and Metz 1997: little and much variation of readers, much and little correlation between readings of a case."""


def test_arms_that_do_not_differ_are_called_different_in_5_percent_of_2000_studies():
    rng = np.random.default_rng(1)
    called = [
        compare_arms(performance(*roe_metz(rng, **structure), covariance="DeLong"), BOTH).p < 0.05
        for structure in STRUCTURES
        for _ in range(500)
    ]
    assert np.mean(called) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 2000))


def test_fixed_readers_who_do_not_differ_between_arms_keep_the_level_and_random_ones_would_not():
    rng = np.random.default_rng(12)
    fixed = [
        compare_arms(performance(*roe_metz(rng, **STRUCTURES[0] | {"arm_by_reader": 0})), CASES).p < 0.05
        for _ in range(400)
    ]
    assert np.mean(fixed) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 400))
    varying = [compare_arms(performance(*roe_metz(rng, **STRUCTURES[3])), CASES).p < 0.05 for _ in range(400)]
    assert np.mean(varying) > 0.10


# What cannot be analysed


def test_readers_who_do_not_vary_give_no_test():
    truth = np.repeat([1, 0], 10)
    ratings = np.tile(truth, (2, 3, 1))
    found = compare_arms(performance(truth, ratings), BOTH)
    assert np.isnan(found.p)
    assert found.differences[0].difference.value == 0
    assert np.isnan(found.differences[0].p)


@pytest.mark.parametrize("random", RANDOM)
@pytest.mark.parametrize("figure", FIGURES_OF_MERIT)
def test_arms_with_the_same_answers_give_no_test_of_rounding_errors(random, figure):
    truth, ratings = drawn(np.random.default_rng(14), readers=5, decimals=1)
    ratings = ratings if figure == "AUC" else 1.0 * (ratings > 0.5)
    found = compare_arms(performance(truth, ratings[[0, 0]], figure), random)
    assert np.isnan(found.p)
    assert found.differences[0].difference.value == pytest.approx(0)
    assert np.isnan(found.differences[0].p)
    assert found.means[0].low < found.means[0].value < found.means[0].high


def test_readers_who_gain_all_alike_give_no_test_of_their_variation():
    truth, ratings = drawn(np.random.default_rng(15), readers=3, decimals=1)
    same = np.stack([np.tile(ratings[0, 0], (3, 1)), np.tile(ratings[1, 0], (3, 1))])
    assert np.isnan(compare_arms(performance(truth, same), READERS).p)
    assert 0 < compare_arms(performance(truth, same), CASES).p < 1


def test_what_is_missing_for_an_analysis_is_told():
    truth, ratings = drawn(np.random.default_rng(13))
    with pytest.raises(InputError, match="at least two readers"):
        performance(truth, ratings[:, :1])
    with pytest.raises(InputError, match="two of them"):
        compare_arms(performance(truth, ratings[:1]), BOTH)
    with pytest.raises(InputError, match="decide at a threshold"):
        performance(truth, ratings, "sensitivity")
    ratings[0, 0, truth == 1] = np.nan
    with pytest.raises(InputError, match="fewer than 2 cases"):
        performance(truth, ratings)


# The next study


def test_power_is_as_printed_for_van_dykes_and_frankens_studies():
    """Tests of the R package RJafroc 2.1, which follows the same paper."""
    effect = 0.043800322
    assert power(VAN_DYKE, effect, readers=10, cases=165, random=BOTH) == pytest.approx(0.80541995, abs=5e-5)
    assert power(VAN_DYKE, effect, readers=10, cases=131, random=CASES) == pytest.approx(0.80091813, abs=5e-5)
    assert power(VAN_DYKE, effect, readers=10, cases=53, random=READERS) == pytest.approx(0.80496663, abs=5e-5)
    assert power(franken().components, 0.05, readers=6, cases=121, random=BOTH) == pytest.approx(0.8004469, abs=5e-5)
    assert cases_needed(franken().components, 0.05, readers=6, random=BOTH) == 121


def test_more_readers_need_fewer_cases_and_too_few_readers_never_suffice():
    needed = [cases_needed(VAN_DYKE, 0.05, readers=readers, random=BOTH) for readers in (4, 6, 8, 12)]
    assert needed == sorted(needed, reverse=True)
    assert cases_needed(VAN_DYKE, 0.02, readers=3, random=BOTH) is None
    assert power(VAN_DYKE, 0.0, readers=5, cases=100, random=BOTH) == pytest.approx(0.05)


def test_nothing_can_be_planned_from_readers_who_do_not_vary():
    truth = np.repeat([1, 0], 10)
    pilot = performance(truth, np.tile(truth, (2, 3, 1))).components
    with pytest.raises(InputError, match="do not vary"):
        power(pilot, 0.05, readers=5, cases=100, random=BOTH)
