"""Figures of a ranked differential, held against scikit-learn's."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score, roc_auc_score, top_k_accuracy_score

from DystrophyDxLib.evaluation.ranked_answers import by_class, performance
from DystrophyDxLib.statistics.ranked import (
    among_first,
    bootstrap_figures,
    confusion,
    mean_auc,
    probability_columns,
    published_figures,
)

CLASSES = ("healthy", "DMD", "FSHMD", "CMD", "GNE")


def table(patients: int = 60, images: int = 1, seed: int = 0) -> pd.DataFrame:
    """Images whose probabilities mostly favour the truth, alike within a patient."""
    rng = np.random.default_rng(seed)
    truth = np.arange(patients) % len(CLASSES)
    favour = rng.gamma(1, size=(patients, len(CLASSES))) + 1.5 * np.eye(len(CLASSES))[truth]
    probabilities = (favour / favour.sum(axis=1, keepdims=True)).repeat(images, axis=0)
    rows = pd.DataFrame(probabilities, columns=probability_columns(CLASSES))
    return rows.assign(truth=truth.repeat(images), patient_id=np.arange(patients).repeat(images), counted=True)


def probabilities_of(rows: pd.DataFrame) -> np.ndarray:
    return rows[probability_columns(CLASSES)].to_numpy()


def test_accuracies_are_those_of_scikit_learn():
    rows = table()
    figures = published_figures(rows, CLASSES)
    for k in (1, 3):
        expected = top_k_accuracy_score(rows["truth"], probabilities_of(rows), k=k)
        assert figures[f"Top-{k} accuracy"].value == pytest.approx(expected)
    assert figures["Top-1 accuracy"].value < figures["Top-3 accuracy"].value < 1


def test_the_first_three_of_three_classes_are_no_figure():
    three = CLASSES[:3]
    rows = table()
    rows = rows[rows["truth"] < 3].reset_index(drop=True)
    assert list(published_figures(rows, three)) == ["Top-1 accuracy"]
    assert not any("Top-3" in title for title in by_class({"Images": rows, "Patients": rows}, three).headers)
    assert "Top-3" not in performance({"Images": rows, "Patients": rows}, three, seed=0).markdown()


def test_a_model_that_finds_all_classes_alike_is_never_right():
    assert not among_first(np.array([0, 3]), np.full((2, 5), 0.2), 3).any()
    assert among_first(np.array([0, 3]), np.full((2, 5), 0.2), 5).all()


def test_a_model_that_says_one_class_of_all_has_no_interval_of_no_width():
    rows = table()
    rows[probability_columns(CLASSES)] = [0.7] + [0.3 / (len(CLASSES) - 1)] * (len(CLASSES) - 1)
    accuracy = bootstrap_figures(rows, CLASSES, seed=0)["Top-1 accuracy"]
    assert accuracy.value == (rows["truth"] == 0).mean()
    assert np.isnan([accuracy.low, accuracy.high]).all()


def test_the_mean_auc_is_that_of_scikit_learn_and_lies_in_its_interval():
    rows = table()
    found = mean_auc(rows, CLASSES, seed=1)
    assert found.value == pytest.approx(roc_auc_score(rows["truth"], probabilities_of(rows), multi_class="ovr"))
    assert found.low < found.value < found.high


def test_the_bootstrap_knows_that_images_of_a_patient_are_not_independent():
    one, ten = (table(images=images) for images in (1, 10))
    width, width_of_ten = (
        figure.high - figure.low
        for figure in (bootstrap_figures(rows, CLASSES, seed=0)["Top-1 accuracy"] for rows in (one, ten))
    )
    assert width_of_ten == pytest.approx(width, rel=0.1)
    wilson = published_figures(ten, CLASSES)["Top-1 accuracy"]
    assert width_of_ten > 2 * (wilson.high - wilson.low)


def test_a_class_that_nobody_has_is_left_out_of_the_mean_and_told_as_such():
    rows = table()
    rows = rows[rows["truth"] != 4].reset_index(drop=True)
    expected = np.mean([roc_auc_score(rows["truth"] == k, probabilities_of(rows)[:, k]) for k in range(4)])
    assert mean_auc(rows, CLASSES, seed=0).value == pytest.approx(expected)
    classes = by_class({"Images": rows, "Patients": rows}, CLASSES).frame.set_index("Class")
    assert classes.loc["GNE", "Patients"] == 0
    assert np.isnan(classes.loc["GNE", "Sensitivity, patients"].value)


def test_sensitivities_of_the_classes_are_the_recalls_and_the_diagonal_of_the_confusion_matrix():
    rows = table()
    expected = recall_score(rows["truth"], probabilities_of(rows).argmax(axis=1), average=None)
    found = [
        figure.value for figure in by_class({"Images": rows, "Patients": rows}, CLASSES).frame["Sensitivity, patients"]
    ]
    assert found == pytest.approx(list(expected))
    matrix = confusion(rows, CLASSES)
    assert matrix.sum() == len(rows)
    np.testing.assert_allclose(matrix.diagonal() / matrix.sum(axis=1), expected)
