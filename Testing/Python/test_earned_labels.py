"""A label of a model of several classes is one that its validation patients have shown to mean something."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from DystrophyDxLib.models.decision import Binary, Decision, Ranked
from DystrophyDxLib.models.package import Metric, ModelCard
from DystrophyDxLib.results import INDETERMINATE
from DystrophyDxLib.statistics.ranked import balanced_accuracy, probability_columns

CLASSES = ("normal", "DMD", "CMD")
SLICES = np.array([3, 4, 5])


def calling_everything(name: str, patients: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probabilities of a model that says the same of every patient, by a hair."""
    probabilities = np.full((patients, 3), 0.33)
    probabilities[:, CLASSES.index(name)] = 0.34
    return np.arange(patients) % 3, probabilities


def knowing(patients: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Of a model that is right where it is sure (0.8) and by chance where it is not (0.4)."""
    truth, sure = np.arange(patients) % 3, np.arange(patients) < patients // 2
    said = np.where(sure, truth, (truth + np.arange(patients) // 3) % 3)
    probabilities = np.where(sure, 0.1, 0.3)[:, None].repeat(3, axis=1)
    probabilities[np.arange(patients), said] = np.where(sure, 0.8, 0.4)
    return truth, probabilities


def case_of(decision: Decision, *probabilities: float):
    """Of a patient whose slices hardly differ."""
    moved = np.zeros((3, len(probabilities)))
    moved[0, 0], moved[0, 1], moved[2, 0], moved[2, -1] = 0.001, -0.001, 0.001, -0.001
    images = np.array(probabilities) + moved
    return decision.case(images, SLICES, None)


def test_a_model_that_calls_everything_normal_gives_no_label():
    decision = Ranked(CLASSES).tuned(*calling_everything("normal"))
    assert decision.label_from == (None, None, None)
    case = case_of(decision, 0.34, 0.33, 0.33)
    assert case.label == INDETERMINATE
    assert case.reason == "Validation does not show that normal at 0.34 is more than chance."
    assert case_of(Ranked(CLASSES), 0.34, 0.33, 0.33).label == "normal"  # slices alone hardly differ


def test_a_class_is_a_label_from_the_probability_at_which_validation_shows_it():
    decision = Ranked(CLASSES).tuned(*knowing())
    assert case_of(decision, 0.1, 0.8, 0.1).label == "DMD"
    assert case_of(decision, 0.3, 0.35, 0.35).label == INDETERMINATE


def test_those_who_are_surer_do_not_vouch_for_those_who_are_not():
    """All that say a class with at least 0.4 are right more often than by chance, but not those at 0.4 alone."""
    decision = Ranked(CLASSES).tuned(*knowing(600))
    assert decision.label_from == (0.8, 0.8, 0.8)
    assert case_of(decision, 0.3, 0.4, 0.3).label == INDETERMINATE


TWO = ("other", "DMD")


def of_two(patients: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Of a model that is right where it is sure (0.05 and 0.95) and by chance where it is not (0.4 and 0.6)."""
    truth, sure = np.arange(patients) % 2, np.arange(patients) < patients // 2
    says = np.where(sure, truth, (truth + np.arange(patients) // 2) % 2)
    second = np.where(sure, 0.95, 0.6)
    second = np.where(says == 1, second, 1 - second)
    return truth, np.stack([1 - second, second], axis=1)


def test_of_two_classes_a_label_is_earned_on_each_side_of_the_threshold():
    decision = Binary(TWO, 0.5).tuned(*of_two())
    assert decision.label_from == pytest.approx((0.95, 0.95), abs=0.002)
    for second, label in ((0.97, "DMD"), (0.03, "other"), (0.7, INDETERMINATE), (0.3, INDETERMINATE)):
        case = case_of(decision, 1 - second, second)
        assert case.label == label
        assert case.no_label == pytest.approx((0.05, 0.95), abs=0.002)
        assert "no label from 0.05 to 0.95" in decision.figures(case)
    assert case.reason == "From 0.05 to 0.95 validation shows neither class to be more than chance."


def test_a_model_of_two_classes_that_knows_nothing_never_gives_a_label():
    truth = np.arange(300) % 2
    second = np.linspace(0.2, 0.8, 150).repeat(2)  # of each probability one patient of each class
    decision = Binary(TWO, 0.5).tuned(truth, np.stack([1 - second, second], axis=1))
    assert decision.label_from == (None, None)
    assert decision.no_label == (0, 1)
    assert case_of(decision, 0.1, 0.9).label == INDETERMINATE
    assert "DMD never" in decision.labels_in_words()


def test_a_package_without_least_probabilities_labels_from_its_threshold_and_says_so():
    decision = Binary(TWO, 0.5)
    assert case_of(decision, 0.4, 0.6).label == "DMD"
    assert "no label" not in decision.figures(case_of(decision, 0.4, 0.6))
    assert decision.labels_in_words().startswith("not known")


def test_least_probabilities_of_another_number_of_classes_are_refused():
    with pytest.raises(ValueError, match="each class has one"):
        Ranked(CLASSES, label_from=(0.5,))


def test_balanced_accuracy_is_that_of_scikit_learn():
    rng = np.random.default_rng(4)
    truth, probabilities = rng.choice(3, 80, p=[0.7, 0.2, 0.1]), rng.dirichlet(np.ones(3), 80)
    rows = pd.DataFrame(probabilities, columns=probability_columns(CLASSES)).assign(truth=truth, patient_id=range(80))
    found = balanced_accuracy(rows, CLASSES, seed=1)
    assert found.value == pytest.approx(balanced_accuracy_score(truth, probabilities.argmax(axis=1)))
    assert found.low < found.value < found.high


@pytest.mark.parametrize(("low", "shown"), [(0.33, False), (0.34, True)])
def test_a_ranking_model_is_shown_to_tell_by_its_balanced_accuracy_too(low, shown):
    metrics = {
        "AUC, case": Metric(value=0.7, ci95=(0.6, 0.8), measured_on="60 patients"),
        "Balanced accuracy, case": Metric(value=0.4, ci95=(low, 0.5), measured_on="60 patients"),
    }
    assert ModelCard.model_construct(classes=CLASSES, metrics=metrics).shown_to_tell is shown
