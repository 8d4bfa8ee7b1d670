"""Heatmaps held against the truth of phantoms."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation.binary_answers import BinaryAnswers
from DystrophyDxLib.evaluation.localisation import FIGURES, by_disease, localise_series, outside_threshold
from DystrophyDxLib.files.resources import embedded_model
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.regions.drawn_legs import legs_from_labels
from DystrophyDxLib.results import ImageResult
from DystrophyDxLib.series.series import Geometry, Series

SHAPE = (2, 90, 120)
SPACING = (1.0, 2.0, 5.0)
LEG = (slice(None), slice(10, 80), slice(5, 55))
OTHER_LEG = (slice(None), slice(10, 80), slice(65, 115))
DISEASED, SPARED = (slice(None), slice(20, 40), slice(15, 45)), (slice(None), slice(40, 60), slice(15, 45))


def two_legs() -> tuple[Series, np.ndarray, SimpleNamespace]:
    """Fatty legs as boxes; the left one has a diseased and a spared muscle, the right one only a spared one."""
    labels, muscles = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    labels[LEG], labels[OTHER_LEG] = 1, 2
    fat = np.zeros(SHAPE, np.float32)
    muscles[DISEASED], muscles[SPARED], fat[DISEASED] = 1, 2, 0.6
    muscles[:, 20:60, 75:105] = 2
    voxels = np.where(muscles == 2, 30.0, np.where(labels > 0, 100.0, 0.0)).astype(np.float32)
    return (
        Series(voxels, Geometry((0, 0, 0), SPACING, np.eye(3))),
        labels,
        SimpleNamespace(muscles=muscles, fat_fraction=fat),
    )


def looked_at(heat: np.ndarray, truth: SimpleNamespace | None = None, counted: bool = True) -> pd.DataFrame:
    """Rows of `localise_series` for a given heat; the right leg's probability is below the threshold."""
    series, labels, known = two_legs()
    regions = legs_from_labels(labels)
    images = tuple(
        ImageResult(
            slice=w.slice,
            side=w.side.value,
            window_ijk=(w.i, w.j),
            probability=0.8 if w.side == "left" else 0.2,
            roi="auto",
            anatomy="thigh",
            counted=counted,
        )
        for w in regions.windows
    )
    model = SimpleNamespace(classes=("other", "dystrophinopathy"))
    result = SimpleNamespace(images=images, case=SimpleNamespace(threshold=0.5), model=model)
    found = SimpleNamespace(result=result, regions=regions, seen=regions.windows, heatmap=heat.astype(np.float32))
    return localise_series(series, found, truth or known)


def left(table: pd.DataFrame) -> pd.Series:
    assert (table["side"] == "left").sum() == SHAPE[0]
    return table[table["side"] == "left"].iloc[0]


def test_heat_on_the_diseased_muscle_is_all_there():
    heat = np.zeros(SHAPE)
    heat[DISEASED] = 0.7
    row = left(looked_at(heat))
    assert (row["pointing"], row["heat_in_diseased_muscle"], row["heat_outside_muscle"]) == (1, pytest.approx(1), 0)
    assert row["area_of_diseased_muscle"] == pytest.approx(20 * 30 / (70 * 50))
    assert row["area_outside_muscle"] == pytest.approx(1 - 40 * 30 / (70 * 50))
    assert row["rank_correlation"] == pytest.approx(1)
    assert row["called"]


def test_heat_on_a_spared_muscle_is_neither_in_disease_nor_outside_muscle():
    heat = np.zeros(SHAPE)
    heat[:, 52, 30] = 1
    row = left(looked_at(heat))
    assert (row["pointing"], row["heat_in_diseased_muscle"], row["heat_outside_muscle"]) == (0, 0, 0)
    assert row["rank_correlation"] < 0


@pytest.mark.parametrize(("j", "i", "won"), [(42, 30, 0), (41, 30, 1), (30, 49, 1), (30, 50, 0)])
def test_the_tolerance_of_the_pointing_game_is_in_millimetres(j, i, won):
    """5 mm are two rows of 2 mm below the muscle's last row (39), and five columns of 1 mm beside its last one (44)."""
    heat = np.zeros(SHAPE)
    heat[:, j, i] = 1
    assert left(looked_at(heat))["pointing"] == won


def test_even_heat_does_as_well_as_chance():
    row = left(looked_at(np.full(SHAPE, 0.4)))
    assert row["pointing"] == pytest.approx(row["pointing_by_chance"])
    assert row["heat_in_diseased_muscle"] == pytest.approx(row["area_of_diseased_muscle"], rel=1e-5)
    assert row["heat_outside_muscle"] == pytest.approx(row["area_outside_muscle"], rel=1e-5)
    assert np.isnan(row["rank_correlation"])


def test_the_correlation_is_spearmans_over_the_muscles():
    rng = np.random.default_rng(1)
    heat, fat = rng.random(SHAPE), rng.random(SHAPE).astype(np.float32)
    _, _, truth = two_legs()
    muscle = truth.muscles[0, :, :60] > 0
    row = left(looked_at(heat, SimpleNamespace(muscles=truth.muscles, fat_fraction=fat)))
    expected = spearmanr(heat[0, :, :60][muscle].astype(np.float32), fat[0, :, :60][muscle]).statistic
    assert row["rank_correlation"] == pytest.approx(expected)


def test_without_disease_or_heat_nothing_is_said_of_them():
    heat = np.zeros(SHAPE)
    heat[LEG] = 0.5
    right = looked_at(heat)
    right = right[right["side"] == "right"]
    assert right[[figure for figure in FIGURES if figure != "area_outside_muscle"]].isna().all(axis=None)
    assert not right["called"].any()


def test_heat_of_one_leg_does_not_count_for_the_other():
    heat = np.zeros(SHAPE)
    heat[DISEASED] = 0.1
    heat[OTHER_LEG] = 1
    assert left(looked_at(heat))["heat_in_diseased_muscle"] == pytest.approx(1)


def test_images_that_do_not_count_for_the_case_are_left_out():
    assert looked_at(np.ones(SHAPE), counted=False).empty


def test_heat_in_subcutaneous_fat_is_seen_without_the_truth():
    """In the right leg, whose one muscle is dark."""
    rim, muscle = np.zeros(SHAPE), np.zeros(SHAPE)
    rim[OTHER_LEG] = 1
    rim[:, 15:65, 70:110] = 0
    muscle[:, 25:55, 80:100] = 1
    shares = [
        table[table["side"] == "right"].iloc[0]["heat_in_subcutaneous_fat"] for table in map(looked_at, (rim, muscle))
    ]
    assert shares[0] > 0.9
    assert shares[1] < 0.05


def rows(**columns) -> pd.DataFrame:
    defaults = dict.fromkeys(FIGURES, 0.5) | {"disease": "DMD", "truth": 1, "probability": 0.9, "called": True}
    return pd.DataFrame(defaults | columns)


def test_each_disease_has_the_mean_of_the_images_that_have_the_figure():
    table = rows(
        patient_id=["1", "1", "2", "3"],
        disease=["DMD", "DMD", "DMD", "healthy"],
        pointing=[1.0, 0.0, np.nan, np.nan],
        heat_outside_muscle=[0.1, 0.2, 0.6, 0.7],
    )
    found = by_disease(table, seed=1).set_index(["disease", "figure"])
    assert found.loc[("DMD", "pointing"), ["patients", "images", "value"]].tolist() == [1, 2, 0.5]
    outside = found.loc[("DMD", "heat_outside_muscle")]
    assert outside["value"] == pytest.approx(0.3)
    assert (outside["low"], outside["high"]) == (pytest.approx(0.15), pytest.approx(0.6))
    assert found.loc[("healthy", "pointing"), "images"] == 0
    assert np.isnan(found.loc[("healthy", "pointing"), "value"])


def test_one_rightly_called_case_in_forty_lies_above_the_threshold():
    share = np.linspace(0, 1, 81)
    found = rows(patient_id=[str(n) for n in range(81)], heat_in_subcutaneous_fat=share)
    assert outside_threshold(found, 0.5) == (pytest.approx(0.975), found["patient_id"].nunique())
    missed = rows(patient_id=["missed"] * 9, probability=0.1, called=False, heat_in_subcutaneous_fat=1.0)
    other = rows(patient_id=["other"] * 9, truth=0, heat_in_subcutaneous_fat=1.0)
    assert outside_threshold(pd.concat([found, missed, other]), 0.5)[0] == pytest.approx(0.975)
    with pytest.raises(InputError, match="No case"):
        outside_threshold(pd.concat([missed, other]), 0.5)


# The shipped model


@pytest.fixture(scope="module")
def classifier():
    return Classifier(ModelPackage.read(embedded_model()), "cpu")


def test_the_shipped_model_looks_at_muscle_in_the_dystrophinopathies_that_it_finds(classifier):
    phantoms = [make_phantom(seed, "DMD", slices=2) for seed in range(300, 310)]
    table = pd.concat(localise_series(made.series, classifier.classify(made.series), made) for made in phantoms)
    found = table[table["called"]]
    assert len(found) >= 10
    assert found["heat_outside_muscle"].mean() < found["area_outside_muscle"].mean()
    assert found["pointing"].mean() > found["pointing_by_chance"].mean()
    assert found["heat_in_diseased_muscle"].mean() > 1.4 * found["area_of_diseased_muscle"].mean()


@pytest.mark.parametrize(("cases", "told"), [(19, False), (20, True)])
def test_the_usual_heat_outside_the_muscles_is_told_of_enough_cases_alone(cases, told):
    heat = rows(patient_id=[str(n) for n in range(cases)], heat_in_subcutaneous_fat=0.5)
    words = "".join(BinaryAnswers(("other", "DMD"), 0.5).heat_limit(heat))
    assert ("of the 20 rightly called DMD cases have at most 50 %" in words) is told
