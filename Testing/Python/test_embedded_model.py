"""What ships with the extension: the demonstration model and the sample study."""

import dataclasses

import numpy as np
import pytest

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.files.resources import embedded_model, sample_study
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.series.reading import read_study


@pytest.fixture(scope="module")
def classifier():
    return Classifier(ModelPackage.read(embedded_model()), "cpu")


def test_its_card_says_what_it_was_trained_on(classifier):
    card = classifier.package.card
    assert card.demonstration
    assert "synthetic" in card.trained_on
    assert "no patients" in card.trained_on
    assert all("synthetic phantoms" in metric.measured_on for metric in card.metrics.values())


def test_the_shipped_files_are_small():
    assert sum(path.stat().st_size for path in embedded_model().iterdir()) <= 8e6
    assert sum(path.stat().st_size for path in sample_study().iterdir()) <= 3e6


def test_the_sample_study_shows_the_pattern(classifier):
    result = classifier.classify(read_study(sample_study())).result
    assert result.case.label == "dystrophinopathy"
    assert {warning.code for warning in result.warnings} == {WarningCode.DEMONSTRATION_MODEL}


def test_phantoms_it_has_not_seen_are_told_apart(classifier):
    """AUC over new phantoms, two slices each."""
    positive, negative = [], []
    for seed in range(40):
        phantom = make_phantom(seed, slices=2)
        scores = positive if phantom.is_dystrophinopathy else negative
        scores.append(classifier.classify(phantom.series).result.case.probability)
    ranks = np.subtract.outer(positive, negative)
    assert np.mean(ranks > 0) > 0.75


@pytest.mark.parametrize("name", ["STS_009", "STS_013", "STS_014", "STS_022", "STS_045", "STS_050"])
def test_real_thighs_without_a_dystrophinopathy_are_not_called_one(shared, classifier, name):
    result = classifier.classify(read_study(shared(f"t1_thigh_dicom/{name}"))).result
    assert result.case.label != "dystrophinopathy"
    assert WarningCode.OUT_OF_DISTRIBUTION not in {warning.code for warning in result.warnings}


def test_a_leg_that_is_no_leg_is_unlike_the_cohort(classifier):
    series = make_phantom(97, "DMD").series
    regions = find_legs(series)
    i = np.indices(series.voxels.shape)[2]
    fat = np.percentile(series.voxels[regions.labels > 0], 90)
    striped = np.where(regions.labels > 0, fat * (0.3 + 0.7 * ((i // 3) % 2)), series.voxels)
    codes = {
        warning.code
        for warning in classifier.classify(dataclasses.replace(series, voxels=striped), regions).result.warnings
    }
    assert WarningCode.OUT_OF_DISTRIBUTION in codes
