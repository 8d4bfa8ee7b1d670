"""Agreement of readers: against print, statsmodels and scikit-learn."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as fleiss_of_counts

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.readerstudy.analysis.agreement_tables import TOO_FEW, _agreed
from DystrophyDxLib.statistics.agreement import LEAST_CASES, band, cohen_kappa, fleiss_kappa, gwet_ac1, weighted_kappa
from DystrophyDxLib.statistics.unpaired import equal_errors

NONE = np.nan
FOUR_READERS = np.array(
    [
        [1, 1, NONE, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
        [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [NONE, 5, 5, 5], [NONE, NONE, 1, 1], [NONE, NONE, 3, NONE],
    ]
) - 1  # fmt: skip
"""Twelve units, four raters, five categories and missing ratings (Krippendorff's example)."""
ABSTRACTORS = np.array([[13, 0, 0], [0, 20, 7], [0, 4, 56]])
"""Pregnancies by two abstractors, of the R package irrCAC (Gwet 2014, Handbook of Inter-Rater Reliability)."""


def pairs_of(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two answers to each case that a table counts."""
    return tuple(np.repeat(index.ravel(), table.ravel()) for index in np.indices(table.shape))


def answered(rng, cases=60, readers=4, categories=3) -> np.ndarray:
    truth = rng.integers(categories, size=(cases, 1))
    return np.where(rng.random((cases, readers)) < 0.7, truth, rng.integers(categories, size=(cases, readers)))


def graded(rng, cases=20, muscles=6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cases, and grades of two readers, of muscles that are alike within a case."""
    case = np.repeat(np.arange(cases), muscles)
    mean = np.repeat(rng.uniform(0, 5, cases), muscles)
    first, second = np.clip(np.round(mean + rng.normal(scale=0.8, size=(2, len(case)))), 0, 5).astype(int)
    return case, first, second


# Many readers


@pytest.mark.parametrize(
    ("coefficient", "value", "error", "low"),
    [(fleiss_kappa, 0.76117, 0.15302, 0.424), (gwet_ac1, 0.77544, 0.14295, 0.461)],
)
def test_missing_answers_are_treated_as_irrcac_prints_it(coefficient, value, error, low):
    found = coefficient(FOUR_READERS, 5)
    assert round(found.coefficient.value, 5) == value
    assert round(found.coefficient.low, 3) == low
    assert found.coefficient.high == 1
    assert (found.coefficient.value - found.coefficient.low) / 2.200985 == pytest.approx(error, abs=5e-6)
    assert found.observed == pytest.approx(0.8181818, abs=1e-7)
    assert found.cases == 11


@pytest.mark.parametrize("seed", range(5))
def test_fleiss_kappa_is_that_of_statsmodels(seed):
    answers = answered(np.random.default_rng(seed))
    expected = fleiss_of_counts(aggregate_raters(answers)[0])
    assert fleiss_kappa(answers, 3).coefficient.value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("coefficient", [fleiss_kappa, gwet_ac1])
def test_an_interval_holds_the_true_agreement_19_times_in_20(coefficient):
    rng = np.random.default_rng(1)
    true = coefficient(answered(rng, cases=100_000), 3).coefficient.value
    found = [coefficient(answered(rng), 3).coefficient for _ in range(500)]
    assert np.mean([estimate.low < true < estimate.high for estimate in found]) == pytest.approx(0.95, abs=0.03)


def test_kappa_suffers_from_prevalence_and_ac1_does_not():
    """90 of 100 cases called negative by both, 10 called by one only: kappa near 0 where 90 % agree."""
    answers = np.array([[0, 0]] * 90 + [[0, 1]] * 5 + [[1, 0]] * 5)
    assert fleiss_kappa(answers, 2).coefficient.value < 0
    assert gwet_ac1(answers, 2).coefficient.value == pytest.approx((0.9 - 0.095) / (1 - 0.095))


def test_readers_like_those_of_yang_agree_substantially():
    """Kappa 0.628 of three readers, as Yang et al. print it, is that of 1000 cases of both classes alike of which 279
    are decided two to one: 1 − (2/3 · 0.279) / (2 · ½ · ½)."""
    split = np.array([[1, 1, 0], [0, 0, 1]] * 139 + [[1, 1, 0]])
    alike = np.repeat([[1, 1, 1], [0, 0, 0]], [360, 361], axis=0)
    found = fleiss_kappa(np.concatenate([split, alike]), 2)
    assert round(found.coefficient.value, 3) == 0.628
    assert band(found.coefficient.value) == "substantial"
    assert found.coefficient.low < 0.628 < found.coefficient.high


def test_bands_are_those_of_yang():
    shown = {-0.01: "none", 0.0: "slight", 0.2: "slight", 0.4: "fair", 0.41: "moderate", 0.61: "substantial",
             0.81: "nearly perfect", 1.0: "nearly perfect"}  # fmt: skip
    assert {kappa: band(kappa) for kappa in shown} == shown
    assert band(np.nan) == ""


def test_answers_that_are_all_alike_have_no_kappa():
    answers = np.zeros((10, 3))
    assert np.isnan(fleiss_kappa(answers, 2).coefficient.value)
    assert np.isnan(cohen_kappa(answers[:, 0], answers[:, 1], 2).coefficient.value)
    found = gwet_ac1(answers, 2)
    assert found.coefficient.value == 1
    assert np.isnan(found.coefficient.low)
    assert found.observed == 1


# Two readers


def test_cohens_kappa_is_as_printed_for_the_abstractors():
    found = cohen_kappa(*pairs_of(ABSTRACTORS), 3)
    assert round(found.coefficient.value, 7) == 0.7964094
    assert (found.coefficient.high - found.coefficient.value) / norm.ppf(0.975) == pytest.approx(0.05891072, abs=1e-8)
    assert found.observed == 0.89
    assert round(gwet_ac1(np.stack(pairs_of(ABSTRACTORS), axis=1), 3).coefficient.value, 7) == 0.8493305


@pytest.mark.parametrize("seed", range(3))
def test_cohens_kappa_is_that_of_scikit_learn(seed):
    first, second = answered(np.random.default_rng(seed), readers=2).T
    assert cohen_kappa(first, second, 3).coefficient.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


def test_cases_that_one_reader_left_out_do_not_count():
    first, second = answered(np.random.default_rng(3), readers=2).astype(float).T
    fewer = first.copy()
    fewer[:10] = np.nan
    assert cohen_kappa(fewer, second, 3) == cohen_kappa(first[10:], second[10:], 3)


def test_weighted_kappa_of_grades_is_that_of_scikit_learn():
    case, first, second = graded(np.random.default_rng(4))
    expected = cohen_kappa_score(first, second, weights="quadratic", labels=range(6))
    found = weighted_kappa(case, first, second, 6)
    assert found.coefficient.value == pytest.approx(expected, abs=1e-12)
    assert found.cases == 20


def test_the_interval_of_grades_is_by_leaving_out_one_case_after_the_other():
    case, first, second = graded(np.random.default_rng(5), cases=8)
    kappas = [
        cohen_kappa_score(first[case != left_out], second[case != left_out], weights="quadratic", labels=range(6))
        for left_out in range(8)
    ]
    half = t.ppf(0.975, 7) * np.sqrt(7 * np.var(kappas))
    found = weighted_kappa(case, first, second, 6).coefficient
    assert found.value - found.low == pytest.approx(half)


def test_more_muscles_of_the_same_cases_do_not_narrow_the_interval_of_grades():
    grades = graded(np.random.default_rng(6))
    once = weighted_kappa(*grades, 6).coefficient
    twice = weighted_kappa(*(np.tile(values, 2) for values in grades), 6).coefficient
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))


def test_grades_that_are_all_alike_have_no_weighted_kappa():
    found = weighted_kappa(np.arange(5), np.full(5, 3), np.full(5, 3), 6)
    assert np.isnan(found.coefficient.value)
    assert found.observed == 1


def test_what_cannot_be_compared_is_told():
    with pytest.raises(InputError, match="no case in common"):
        cohen_kappa(np.array([1, np.nan]), np.array([np.nan, 1]), 2)
    with pytest.raises(InputError, match="answers of two readers"):
        fleiss_kappa(np.array([[1, np.nan]]), 2)
    with pytest.raises(InputError, match="no grade in common"):
        weighted_kappa(np.array([]), np.array([]), np.array([]), 6)
    with pytest.raises(InputError, match="no known category"):
        gwet_ac1(np.array([[1, 2]]), 2)


# Errors on different cases


def test_germains_errors_differ_as_chi_square_says():
    """Table 3 of Germain et al. 2021: 22 errors of the model, 47 and 54 of the readers, of 1200 each; printed as
    p < 0.0008."""
    assert round(equal_errors([22, 47], [1200, 1200]), 4) == 0.0023
    assert round(equal_errors([22, 54], [1200, 1200]), 4) == 0.0002


def test_errors_that_cannot_be_compared():
    assert equal_errors([0, 0], [50, 60]) == 1
    with pytest.raises(InputError, match="more errors than decisions"):
        equal_errors([5, 1], [4, 10])


def test_perfect_agreement_has_no_interval_whatever_cases_one_reader_left_out():
    whole = np.array([[1, 1], [0, 0], [1, 1], [0, 0]], float)
    one_left = np.vstack([whole, [1, np.nan]])
    for answers in (whole, one_left):
        found = fleiss_kappa(answers, 2).coefficient
        assert found.value == 1
        assert np.isnan([found.low, found.high]).all()


@pytest.mark.filterwarnings("error")
def test_a_reader_who_always_says_the_same_agrees_by_chance_alone_and_without_a_warning():
    for yes, no in itertools.product(range(1, 9), repeat=2):
        first = np.repeat([1.0, 0.0], [yes, no])
        found = cohen_kappa(first, np.ones(yes + no), 2).coefficient
        assert found.value == pytest.approx(0, abs=1e-12)


def test_kappa_is_never_below_minus_1_where_most_cases_have_one_answer():
    answers = np.vstack([np.tile([1.0, 0.0], (5, 1)), np.tile([1.0, np.nan], (50, 1))])
    found = fleiss_kappa(answers, 2)
    assert np.isnan(found.coefficient.value)
    assert (found.observed, found.cases) == (0, 5)


def test_few_cases_in_common_tell_no_kappa():
    answers = np.array([[1, 0], [0, np.nan]], float)
    row = _agreed(fleiss_kappa(answers, 2), "Kappa, Fleiss", gwet_ac1(answers, 2))
    assert row["Band"] == TOO_FEW
    assert np.isnan([row["Kappa, Fleiss"].value, row["AC1, Gwet"].value]).all()
    enough = np.array([[1, 0]] * LEAST_CASES, float)
    assert _agreed(fleiss_kappa(enough, 2), "Kappa, Fleiss", gwet_ac1(enough, 2))["Band"] == "none"
