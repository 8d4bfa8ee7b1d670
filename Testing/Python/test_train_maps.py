"""A model of muscle maps is trained like every other: from a cohort to a package that is measured by muscle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from map_packages import MAP_RECIPE

from DystrophyDxLib.archive.crew import OWN_PROCESS
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.files.resources import muscle_model
from DystrophyDxLib.models.map_package import MapPackage, MapRecipe
from DystrophyDxLib.models.recipe import shipped_recipe
from DystrophyDxLib.muscles.structures import MUSCLES, STRUCTURES
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.reporting.progress import silent
from DystrophyDxLib.training import fit
from DystrophyDxLib.training.checkpoint import CHECKPOINT
from DystrophyDxLib.training.map_augment import augmented_maps
from DystrophyDxLib.training.objectives import MapObjective, dice_estimates, dice_of, overlap_counts
from DystrophyDxLib.training.sample_store import SampleStore
from DystrophyDxLib.training.train_maps import MapExamples, train_maps

RECIPE = MapRecipe.parse(MAP_RECIPE)
LABELS = len(STRUCTURES) + 1
SPLITS = ["train", "train", "validation", "validation", "test"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    patients = [Patient(n, "healthy", split, "A", 1, "left" if n % 2 else "right") for n, split in enumerate(SPLITS, 1)]
    return write_cohort(patients, tmp_path_factory.mktemp("maps") / "cohort", seed=4, matrix=96)


def test_legs_of_both_sides_become_left_ones_with_their_labels(table, tmp_path):
    cohort = Cohort.read(table, RECIPE)
    store = SampleStore.of(cohort, RECIPE.sample, tmp_path, OWN_PROCESS, silent)
    pixels = store.pixels[:]
    assert pixels.shape[1:] == (2, 112, 112)
    columns = np.arange(112)
    lateral, medial = (MUSCLES.index(name) + 1 for name in ("vastus lateralis", "gracilis"))
    seen = set()
    for side, (image, labels) in zip(store.side, pixels, strict=True):
        assert (image[labels > 0] > 0).mean() > 0.99, "what has a label lies in the leg"
        where = {label: columns[(labels == label).any(axis=0)] for label in (lateral, medial)}
        if all(map(len, where.values())):
            seen.add(side)
            assert where[lateral].mean() > where[medial].mean()
    assert seen == {"left", "right"}


def test_training_writes_a_package_with_the_dice_of_each_muscle_and_goes_on_where_it_was_stopped(
    table, tmp_path, monkeypatch
):
    monkeypatch.setattr(fit, "TOLD_EVERY_S", 0)  # each epoch is told, however fast it is
    cohort = Cohort.read(table, RECIPE)
    options = {"seed": 3, "cache": tmp_path / "cache"}
    whole = MapPackage.read(train_maps(RECIPE, cohort, tmp_path / "whole", **options))
    assert {"Dice, mean", "Dice, femur", "Dice, vastus lateralis"} <= set(whole.card.metrics)
    assert whole.card.demonstration
    assert "1 synthetic phantoms" in whole.card.metrics["Dice, mean"].measured_on
    assert len(whole.card.seen) == 8, "a digest and a person of each patient who is not tested"

    def stop(what, done, total):
        if "epoch 2" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_maps(RECIPE, cohort, tmp_path / "cut", advance=stop, **options)
    train_maps(RECIPE, cohort, tmp_path / "cut", resume=True, **options)
    again = MapPackage.read(tmp_path / "cut")
    assert not (tmp_path / "cut-training" / CHECKPOINT).exists()
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, again.tensors()[name]), name


def test_a_cohort_without_maps_is_told_what_it_lacks(table, tmp_path):
    text = table.read_text(encoding="utf-8")
    missing = table.with_name("no-maps.csv")
    missing.write_text(text.replace("muscles", "drawn", 1), encoding="utf-8")
    with pytest.raises(InputError, match="add the column muscles"):
        Cohort.read(missing, RECIPE)
    wrong = table.with_name("wrong.csv")
    wrong.write_text(text.replace("P0002/truth/structures", "P0002/truth/nothing"), encoding="utf-8")
    with pytest.raises(InputError, match=r"muscle map that does not exist.*row 3"):
        Cohort.read(wrong, RECIPE)


def test_labels_follow_their_samples_through_augmentation():
    labels = torch.zeros(6, 112, 112, dtype=torch.uint8)
    labels[:, 20:90, 20:90], labels[:, 40:60, 40:60] = 1, 14
    samples = torch.where(labels == 14, 1.0, torch.where(labels == 1, 0.4, 0.0))[:, None]
    images, maps = augmented_maps(samples, labels, 112, range(6))
    assert images.shape == samples.shape
    for image, before, after in zip(images[:, 0], labels, maps, strict=True):
        assert not torch.equal(before, after)
        assert set(after.unique().tolist()) <= {0, 1, 14}
        assert (image[after > 0] > 0).float().mean() > 0.9
    again, _ = augmented_maps(samples[2:4], labels[2:4], 112, range(2, 4))
    torch.testing.assert_close(again, images[2:4])


def test_the_loss_is_least_where_the_map_is_right_and_labels_that_nobody_drew_cost_nothing():
    truth = torch.zeros(1, 32, 32, dtype=torch.uint8)
    truth[:, 8:24, 8:24] = 3
    right = 12 * torch.nn.functional.one_hot(truth.long(), LABELS).permute(0, 3, 1, 2).float()
    other = right.clone()
    other[:, 0, :8], other[:, 7, :8] = 0.0, 12.0
    every, few = torch.ones(LABELS, dtype=torch.bool), torch.zeros(LABELS, dtype=torch.bool)
    few[[0, 3]] = True
    assert MapObjective(every).losses(right, truth).item() < 0.01
    assert MapObjective(every).losses(other, truth).item() > 1
    assert MapObjective(few).losses(other, truth).item() < 0.01


def test_of_a_mirrored_leg_the_network_is_to_be_unsure():
    labels = np.zeros((8, 112, 112), np.uint8)
    labels[:, 20:90, 20:60] = 3
    pixels = np.stack([np.where(labels > 0, 150, 0).astype(np.uint8), labels], axis=1)
    examples = MapExamples(pixels, np.arange(8), 112)
    samples, truth = examples.varied_with_truth(torch.arange(8), torch.arange(8))
    unsure = (truth == MapObjective.UNSURE).flatten(1).any(dim=1)
    assert unsure.tolist() == [True, False, False, False] * 2
    columns = torch.arange(112.0)
    middles = [float((own[0] > 0).float().sum(dim=0) @ columns / (own[0] > 0).sum()) for own in samples]
    assert min(m for m, one in zip(middles, unsure, strict=True) if one) > 56
    assert max(m for m, one in zip(middles, unsure, strict=True) if not one) < 56
    even, sure = torch.zeros(1, LABELS, 112, 112), torch.zeros(1, LABELS, 112, 112)
    sure[:, 3] = 9
    objective = MapObjective(torch.ones(LABELS, dtype=torch.bool))
    assert objective.losses(even, truth[:1]).item() == pytest.approx(np.log(LABELS), abs=1e-4)
    assert objective.losses(sure, truth[:1]).item() > 2 * np.log(LABELS)


def test_dice_is_counted_over_all_images():
    truth = torch.zeros(2, 4, 4, dtype=torch.long)
    truth[:, :2] = 1
    found = torch.zeros_like(truth)
    found[0, :2], found[1, :1] = 1, 1
    counts = overlap_counts(found, truth, 3)
    assert counts.shape == (2, 3, 3)
    dice = dice_of(counts.sum(dim=0))
    assert dice[1].item() == pytest.approx(2 * 12 / (12 + 16))
    assert dice[2].isnan()
    told = dice_estimates(counts.numpy(), np.array(["a", "b"]), np.ones(3, bool), seed=1)
    assert told["Dice, sartorius"].value == pytest.approx(dice[1].item())
    assert told["Dice, sartorius"].low == pytest.approx(2 * 4 / (4 + 8))
    assert set(told) == {"Dice, mean", "Dice, sartorius"}


def test_the_shipped_recipe_is_one():
    recipe = MapRecipe.parse(shipped_recipe("muscles"))
    assert MapRecipe.parse(recipe.toml()) == recipe


@pytest.mark.skipif(muscle_model() is None, reason="the muscle model was left out")
def test_the_shipped_muscle_model_is_small_and_says_what_it_was_trained_on():
    package = MapPackage.read(muscle_model())
    assert len(package.weights) < 12 << 20
    assert package.card.demonstration
    assert "phantoms" in package.card.trained_on
    assert len(package.card.tried_on) == 2, "two patients, one by one"
