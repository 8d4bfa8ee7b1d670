"""Calibration: constants of the model card from images that training did not see."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from scipy.stats import chi2
from sklearn.metrics import log_loss, roc_auc_score, top_k_accuracy_score
from torch import nn

from DystrophyDxLib.models.cam_network import CamNetwork
from DystrophyDxLib.models.decision import Binary, Ranked
from DystrophyDxLib.statistics.roc import youden_threshold
from DystrophyDxLib.training.calibration import (
    FeatureSpread,
    Scores,
    as_metrics,
    figures,
    temperature,
    typical_heat,
)
from DystrophyDxLib.training.distributed import Processes
from DystrophyDxLib.training.fit import SampleExamples

TWO = Binary(("other", "dystrophinopathy"), 0.5)
FOUR = Ranked(("a", "b", "c", "d"))


def scores(*, patients: int = 40, images: int = 4, channels: int = 6, seed: int = 0, **changes) -> Scores:
    """Images of patients of whom every second one is positive, with evidence that mostly says so."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), images)
    truth = patient % 2
    logits = rng.normal(2 * truth - 1, 1) + rng.normal(0, 1, patients)[patient]
    features = rng.normal(size=(len(patient), channels))
    found = Scores(TWO, truth, patient.astype(str), patient, logits[:, None], logits[:, None] + 3, features)
    return dataclasses.replace(found, **changes)


def test_temperature_finds_how_much_too_sure_the_logits_are():
    rng = np.random.default_rng(1)
    honest = rng.normal(0, 2, 20_000)
    truth = rng.random(20_000) < expit(honest)
    honest, truth = TWO.all_logits(honest[:, None]), truth.astype(int)
    assert temperature(3 * honest, truth) == pytest.approx(3, rel=0.05)
    assert temperature(0.5 * honest, truth) == pytest.approx(0.5, rel=0.05)


def test_temperature_finds_how_much_too_sure_the_logits_of_many_classes_are():
    rng = np.random.default_rng(1)
    honest = rng.normal(0, 1.5, (20_000, 5))
    truth = (honest + rng.gumbel(size=honest.shape)).argmax(axis=1)  # drawn with the softmax' probabilities
    assert temperature(3 * honest, truth) == pytest.approx(3, rel=0.05)
    assert temperature(0.5 * honest, truth) == pytest.approx(0.5, rel=0.05)


def test_no_other_temperature_has_less_cross_entropy():
    found = scores()
    best = temperature(TWO.all_logits(found.logits), found.truth)

    def loss(divisor):
        return log_loss(found.truth, expit(found.logits[:, 0] / divisor))

    assert all(loss(best) <= loss(best * factor) + 1e-9 for factor in (0.5, 0.9, 1.1, 2))


def test_temperature_stays_finite_when_nothing_is_wrong():
    assert temperature(TWO.all_logits(np.array([[-5.0], [-4], [4], [5]])), np.array([0, 0, 1, 1])) >= 0.1


def test_the_threshold_lies_between_the_patients_that_it_tells_apart():
    truth = np.array([0, 0, 0, 1, 1, 1])
    assert youden_threshold(truth, np.array([0.1, 0.2, 0.4, 0.6, 0.7, 0.9])) == pytest.approx(0.5)


def test_the_threshold_has_the_highest_sensitivity_plus_specificity():
    rng = np.random.default_rng(2)
    truth = np.arange(200) % 2
    probability = expit(rng.normal(truth * 1.5 - 1.5, 1))

    def youden(threshold):
        called = probability >= threshold
        return called[truth == 1].mean() - called[truth == 0].mean()

    best = youden_threshold(truth, probability)
    assert youden(best) == pytest.approx(max(youden(value) for value in probability))


def test_the_threshold_stays_away_from_certainty():
    truth = np.array([0, 1, 1])
    assert youden_threshold(truth, np.array([0.001, 0.002, 0.003])) == 0.05
    assert youden_threshold(truth, np.array([0.997, 0.998, 0.999])) == 0.95


def test_a_patients_probability_is_the_mean_of_the_images():
    found = Scores(
        decision=TWO,
        truth=np.array([1, 0, 1]),
        patient=np.array(["b", "a", "b"]),
        series=np.array([0, 1, 2]),
        logits=np.array([[0.0], [2.0], [4.0]]),
        peaks=np.zeros((3, 1)),
        features=np.zeros((3, 2)),
    )
    truth, probabilities = found.by_patient(2.0)
    assert truth.tolist() == [0, 1]
    np.testing.assert_allclose(probabilities[:, 1], [expit(1), (0.5 + expit(2)) / 2])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_distance_is_that_of_mahalanobis():
    """Squared distances of normal features follow a chi-square distribution of as many degrees as channels."""
    rng = np.random.default_rng(3)
    mixing = np.eye(6) + 0.2 * rng.normal(size=(6, 6))
    training, validation = (
        scores(patients=500, features=rng.normal(size=(2000, 6)) @ mixing + 5, seed=seed) for seed in (0, 1)
    )
    spread = FeatureSpread.of(training, validation)
    squares = spread.distances(validation.features) ** 2
    np.testing.assert_allclose(np.quantile(squares, [0.5, 0.9]), chi2.ppf([0.5, 0.9], 6), rtol=0.08)


def test_series_like_those_seen_are_near_and_others_far():
    training, validation, new = (scores(seed=seed) for seed in range(3))
    spread = FeatureSpread.of(training, validation)
    of_new = [np.median(spread.distances(new.features)[new.series == n]) for n in range(40)]
    assert np.mean(np.array(of_new) <= spread.largest) >= 0.95
    assert np.median(spread.distances(new.features + 5)) > spread.largest


def test_statistics_are_kept_as_the_classifier_reads_them():
    spread = FeatureSpread.of(scores(), scores(seed=1))
    tensors = spread.tensors()
    assert tensors["features.mean"].shape == (6,)
    assert tensors["features.precision"].shape == (6, 6)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_figures_are_those_of_the_decisions():
    found = scores()
    got = figures(TWO, found, 1.0, 0)
    truth, probabilities = found.by_patient(1.0)
    called = probabilities[:, 1] >= 0.5
    assert got["sensitivity, case"].value == pytest.approx(called[truth == 1].mean())
    assert got["specificity, case"].value == pytest.approx(1 - called[truth == 0].mean())
    assert all(figure.low <= figure.value <= figure.high for figure in got.values())


def test_figures_of_many_classes_are_those_of_scikit_learn():
    rng = np.random.default_rng(5)
    truth = np.repeat(np.arange(4), 15)
    logits = rng.normal(size=(60, 4)) + 1.5 * np.eye(4)[truth]
    found = Scores(FOUR, truth, np.arange(60).astype(str), np.arange(60), logits, logits, np.zeros((60, 2)))
    got = figures(FOUR, found, 1.0, seed=0)
    probabilities = softmax(logits, axis=1)
    assert got["Top-1 accuracy, case"].value == pytest.approx(top_k_accuracy_score(truth, probabilities, k=1))
    assert got["Top-3 accuracy, case"].value == pytest.approx(top_k_accuracy_score(truth, probabilities, k=3))
    assert got["AUC, case"].value == pytest.approx(roc_auc_score(truth, probabilities, multi_class="ovr"))
    assert all(figure.low < figure.value < figure.high for figure in got.values())


def test_the_interval_of_an_image_auc_knows_that_images_of_a_patient_are_alike():
    found = scores()
    alone = dataclasses.replace(found, patient=np.arange(len(found.truth)).astype(str))
    of_images, of_patients = figures(TWO, found, 1.0, 0)["AUC, image"], figures(TWO, alone, 1.0, 0)["AUC, case"]
    assert of_images.value == pytest.approx(of_patients.value)
    assert of_images.high - of_images.low > 1.2 * (of_patients.high - of_patients.low)
    assert "AUC, image" not in figures(TWO, alone, 1.0, 0)  # it would be the same twice


def test_what_cannot_be_measured_is_not_on_the_card():
    negative = scores()
    negative = dataclasses.replace(negative, truth=np.zeros_like(negative.truth))
    metrics = as_metrics(figures(TWO, negative, 1.0, 0), "40 patients")
    assert set(metrics) == {"specificity, case"}
    assert metrics["specificity, case"].measured_on == "40 patients"


def test_typical_heat_of_many_classes_is_that_of_each_image_for_its_own():
    peaks = np.array([[1.0, 90, 90], [90, 2, 90], [90, 90, 6]])
    found = dataclasses.replace(scores(), decision=FOUR, truth=np.array([0, 1, 2]), logits=peaks, peaks=peaks)
    assert typical_heat(found) == 2


def test_typical_heat_is_that_of_positive_images():
    found = scores()
    assert typical_heat(found) == pytest.approx(np.median(found.peaks[found.truth == 1]))
    assert typical_heat(dataclasses.replace(found, peaks=-np.abs(found.peaks))) > 0


@pytest.mark.parametrize("decision", [TWO, FOUR])
def test_scores_are_those_of_the_network(decision):
    torch.manual_seed(0)
    network = CamNetwork(nn.Conv2d(1, 3, 16, stride=16), nn.Linear(3, decision.outputs)).eval()
    pixels = torch.randint(0, 255, (5, 1, 112, 112), dtype=torch.uint8)
    examples = SampleExamples(pixels.numpy(), np.arange(5), torch.tensor([0.0, 1, 0, 1, 0]), 112)
    found = Scores.of(network, decision, examples, np.arange(5).astype(str), np.arange(5), Processes())
    with torch.inference_mode():
        output = network(pixels * (1.5 / 255))
    np.testing.assert_allclose(found.logits, output.logits, atol=0.03)
    np.testing.assert_allclose(found.peaks, output.maps.flatten(2).amax(dim=2), atol=0.03)
    np.testing.assert_allclose(found.features, output.features, atol=0.03)
