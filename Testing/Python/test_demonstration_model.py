"""How the demonstration model is made: samples of phantoms with what is known of them, and the lessons taught by it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from DystrophyDxLib.models.cam_network import build_network
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.muscles.structures import FEMUR, MUSCLES, STRUCTURES
from DystrophyDxLib.phantom.cohort import Patient
from DystrophyDxLib.phantom.disease import DIAGNOSES
from DystrophyDxLib.samples.slice_samples import GRID

sys.path.insert(0, str(Path(__file__).parents[2] / "Tools"))

from demonstration_model import Legs, fit, further, losses

VASTUS = MUSCLES.index("vastus lateralis") + 1


@pytest.fixture(scope="module")
def legs() -> Legs:
    plans = [Patient(n, name, "train", "A", 1, "both") for n, name in enumerate(("DMD", "healthy"), 1)]
    return Legs.drawn(plans, ["00000000000000a1", "00000000000000b2"], 112)


def test_samples_know_their_structures_fat_and_disease(legs):
    assert legs.pixels.shape == (4, 1, 112, 112)
    assert legs.planes.shape == (4, len(STRUCTURES) + 2, GRID, GRID)
    assert [DIAGNOSES[one] for one in legs.disease] == ["DMD", "DMD", "healthy", "healthy"]
    assert legs.label.tolist() == [1, 1, 0, 0]
    shares = legs.planes.astype(float) / 255
    assert shares[:, :-1].sum(axis=1) == pytest.approx(np.ones((4, GRID, GRID)), abs=0.03)
    assert (shares[:, FEMUR].sum(axis=(1, 2)) > 5).all()
    muscle = shares[:, 1 : len(MUSCLES) + 1].sum(axis=1)
    assert (shares[:, -1] <= muscle + 0.3).all(), "fat is that of muscle"


def test_heat_in_diseased_muscle_costs_less_than_heat_beside_it():
    planes = torch.zeros(2, len(STRUCTURES) + 2, GRID, GRID)
    planes[:, VASTUS, :28], planes[:, 0, 28:], planes[:, -1, :28] = 1, 1, 0.5
    maps = torch.full((2, 1, 14, 14), -1.0)
    maps[0, 0, :6], maps[1, 0, 9:] = 1, 1
    on_grid = torch.kron(torch.eye(14), torch.ones(4, 1))
    answers = torch.zeros(1, 1), maps[:1], torch.zeros(1, len(DIAGNOSES)), torch.zeros(1, len(STRUCTURES) + 2, 14, 14)
    beside = answers[0], maps[1:], *answers[2:]
    known, shown = torch.tensor([[1.0, 0.0]]), torch.ones(1, GRID, GRID)
    right = losses(answers, planes[:1], shown, known, on_grid)
    wrong = losses(beside, planes[1:], shown, known, on_grid)
    assert right["heat"] == pytest.approx(0, abs=1e-5)
    assert wrong["heat"] > 3
    assert {name: right[name] for name in right if name != "heat"} == {
        name: wrong[name] for name in wrong if name != "heat"
    }


def test_a_fitted_network_answers_and_is_not_what_it_was(legs, tmp_path):
    recipe = Recipe.named("embedded")
    small = recipe.model_copy(update={"training": recipe.training.model_copy(update={"batch": 2})})
    network = build_network(small)
    before = network.head.weight.detach().clone()
    fit(network, legs, small, 1, tmp_path / "checkpoint")
    assert not network.training
    assert not torch.equal(network.head.weight, before)
    assert network(torch.rand(1, 1, 112, 112)).maps.shape == (1, 1, 14, 14)


def test_the_model_is_trained_further_in_small_steps_that_keep_half_of_it():
    recipe = further(Recipe.named("embedded"))
    assert Recipe.parse(recipe.toml()) == recipe
    assert recipe.training.start_share == 0.5
    assert [(stage.size, stage.epochs) for stage in recipe.training.stages] == [(112, 1)]
