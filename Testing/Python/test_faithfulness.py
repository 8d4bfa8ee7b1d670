"""Deletion and insertion: of networks that are known to look at one place, and over a cohort."""

import numpy as np
import pandas as pd
import pytest
import torch
from cohort_cases import legs_cohort
from model_packages import RECIPE, make_package
from scipy.integrate import trapezoid
from scipy.stats import norm
from torch import nn

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.evaluation import tables
from DystrophyDxLib.evaluation.faithfulness import (
    STEPS,
    Faithfulness,
    choose_images,
    deletion_insertion,
    faithfulness,
    mean_curve,
    muscle_grey,
)
from DystrophyDxLib.evaluation.predictions import by_patient, predict
from DystrophyDxLib.models.cam_network import CamNetwork
from DystrophyDxLib.models.package import ModelPackage


def quiet(what, done, total):
    """Progress that nobody looks at."""


class BrightnessAt(nn.Module):
    """One map: how much brighter than 0.5 the 8 x 8 pixels at `place` are."""

    def __init__(self, row: int, column: int) -> None:
        super().__init__()
        self.box = (..., slice(row, row + 8), slice(column, column + 8))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return samples[self.box] - 0.5


def probability_at(row: int, column: int):
    """Of a network that looks at one place."""
    head = nn.Linear(1, 1)
    nn.init.constant_(head.weight, 40)
    nn.init.zeros_(head.bias)
    network = CamNetwork(BrightnessAt(row, column), head).eval()

    def probability(samples: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return network(samples).logits[:, 0].double().sigmoid().numpy()

    return probability


def round_leg() -> torch.Tensor:
    """A round fatty leg with muscle of 0.3 in its lower half."""
    y, x = np.indices((64, 64))
    leg = np.where(y < 32, 0.9, 0.3) * (np.hypot(y - 32, x - 32) < 28)
    return torch.tensor(leg[None], dtype=torch.float32)


def heat_at(row: int, column: int) -> np.ndarray:
    y, x = np.indices((64, 64))
    return np.exp(-np.hypot(y - row - 3.5, x - column - 3.5) / 10)


def test_healthy_muscle_is_what_is_left_when_all_is_deleted():
    pixels = round_leg()
    torch.testing.assert_close(muscle_grey(pixels[None]), torch.tensor([0.3]))
    found = deletion_insertion(probability_at(16, 28), pixels, np.stack([heat_at(16, 28), heat_at(44, 28)]))
    seen, healthy = 1 / (1 + np.exp(-40 * 0.4)), 1 / (1 + np.exp(40 * 0.2))
    for deletion, insertion in found:
        assert deletion[[0, -1]] == pytest.approx([seen, healthy], abs=1e-5)
        assert insertion[[0, -1]] == pytest.approx([healthy, seen], abs=1e-5)


def test_heat_where_the_network_looks_deletes_soon_and_inserts_soon():
    orders = np.stack([heat_at(16, 28), heat_at(44, 28)])
    curves = deletion_insertion(probability_at(16, 28), round_leg(), orders)
    (deletion, insertion), (wrong_deletion, wrong_insertion) = trapezoid(curves, dx=1 / STEPS, axis=2)
    assert deletion < 0.15
    assert insertion > 0.85
    assert wrong_deletion > 0.4
    assert wrong_insertion < 0.6


def test_each_step_shows_its_share_of_the_leg_and_nothing_outside():
    batches, pixels = [], round_leg()

    def share_of_fat(samples: torch.Tensor) -> np.ndarray:
        batches.append(samples)
        return (samples > 0.5).sum(dim=(1, 2, 3)).numpy() / int((pixels > 0.5).sum())

    orders = np.stack([heat_at(5, 28), heat_at(55, 28)])
    (deletion, insertion), (from_below, _) = deletion_insertion(share_of_fat, pixels, orders, steps=4)
    assert all(torch.equal(sample > 0, pixels > 0) for sample in batches[0])
    # The heat starts at the top: after half of the steps the fatty half is gone.
    assert deletion == pytest.approx([1, 0.5, 0, 0, 0], abs=0.1)
    np.testing.assert_allclose(insertion, 1 - deletion)
    assert from_below == pytest.approx([1, 1, 1, 0.5, 0], abs=0.1)


def test_all_alterations_of_a_leg_are_one_batch_without_one_twice():
    batches = []

    def nothing(samples: torch.Tensor) -> np.ndarray:
        batches.append(samples)
        return np.zeros(len(samples))

    pixels = round_leg() * torch.rand((1, 64, 64), generator=torch.Generator().manual_seed(0))
    deletion_insertion(nothing, pixels, np.stack([heat_at(16, 28), heat_at(44, 28)]))
    (batch,) = batches
    assert len(batch) == 2 + 2 * 2 * (STEPS - 1)
    assert len(torch.unique(batch.flatten(1), dim=0)) == len(batch)


# Which images


def image_table(**images: int) -> pd.DataFrame:
    """So many called images of each patient; the disease is what stands before the underscore."""
    names = [name for name, count in images.items() for _ in range(count)]
    return pd.DataFrame(
        {
            "row": [list(images).index(name) + 2 for name in names],
            "patient_id": names,
            "disease": [name.split("_")[0] for name in names],
            "truth": 1,
            "probability": 0.9,
            "counted": True,
        }
    )


def test_images_are_taken_evenly_over_diseases_and_their_patients():
    table = image_table(DMD_1=20, DMD_2=20, DMD_3=1, BMD_4=20, BMD_5=2, GNE_6=2)
    chosen = choose_images(table, 0.5, seed=0, most=12)
    assert chosen["disease"].value_counts().to_dict() == {"DMD": 5, "BMD": 5, "GNE": 2}
    assert chosen["patient_id"].value_counts().to_dict() == {
        "DMD_1": 2, "DMD_2": 2, "DMD_3": 1, "BMD_4": 3, "BMD_5": 2, "GNE_6": 2,
    }  # fmt: skip
    assert list(chosen.index) == sorted(chosen.index)
    assert (table.loc[chosen.index, "row"] == chosen["row"]).all()


def test_only_images_that_count_and_are_called_are_taken_and_keep_their_number_in_the_series():
    table = image_table(DMD_1=4, BMD_2=3)
    table.loc[[0, 5], "probability"] = 0.49
    table.loc[2, "counted"] = False
    chosen = choose_images(table, 0.5, seed=0)
    assert list(zip(chosen["patient_id"], chosen["window"], strict=True)) == [
        ("DMD_1", 1), ("DMD_1", 3), ("BMD_2", 0), ("BMD_2", 2),
    ]  # fmt: skip
    assert choose_images(table, 0.95, seed=0).empty


def test_equal_seeds_take_equal_images():
    table = image_table(DMD_1=50)
    first, again, other = (choose_images(table, 0.5, seed=seed, most=10).index for seed in (1, 1, 2))
    assert list(first) == list(again) != list(other)


# A cohort


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A classifier of small samples in full precision, that calls everything and whose probabilities are tempered."""
    recipe = RECIPE.replace("size = 224", "size = 112")
    folder = tmp_path_factory.mktemp("model") / "package"
    package = ModelPackage.read(make_package(folder, recipe=recipe, seed=5, bias=1.0, temperature=3.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("DystrophyDxLib.models.inference.has_bfloat16", lambda device: False)
        return Classifier(package, "cpu")


@pytest.fixture(scope="module")
def measured(model, tmp_path_factory):
    cohort = legs_cohort(tmp_path_factory.mktemp("cohort"), ["DMD", "FSHMD", "BMD"])
    images = predict(model, cohort, quiet).images
    chosen = choose_images(images, 0.5, seed=4, most=4)
    return cohort, images, chosen, faithfulness(model, cohort, chosen, seed=4, advance=quiet)


def test_the_curves_begin_and_end_at_the_probability_that_the_report_gives(measured):
    """So they are of the images that were chosen, and in the probabilities that a user sees."""
    _, _, chosen, found = measured
    assert len(chosen) == 4
    assert chosen["probability"].std() > 1e-4
    for curves in (found.by_heat, found.at_random):
        assert curves.shape == (2, 4, STEPS + 1)
        deletion, insertion = curves
        np.testing.assert_allclose(deletion[:, 0], chosen["probability"], atol=1e-4)
        np.testing.assert_allclose(insertion[:, -1], chosen["probability"], atol=1e-4)
        np.testing.assert_allclose(deletion[:, -1], insertion[:, 0], atol=1e-6)
    assert not np.allclose(found.by_heat[0, :, 1:-1], found.at_random[0, :, 1:-1], atol=1e-6)


def test_equal_seeds_give_equal_curves(model, measured):
    cohort, _, chosen, found = measured
    again = faithfulness(model, cohort, chosen, seed=4, advance=quiet)
    other = faithfulness(model, cohort, chosen, seed=5, advance=quiet)
    pd.testing.assert_frame_equal(again.areas, found.areas)
    pd.testing.assert_series_equal(other.areas["deletion"], found.areas["deletion"])
    assert not np.allclose(other.areas["deletion_at_random"], found.areas["deletion_at_random"])


def test_the_band_of_the_mean_is_that_of_independent_patients():
    """Ten alike images of each of 60 patients: the standard error is that of 60 images (normal approximation)."""
    each = np.random.default_rng(2).uniform(0, 1, (60, 1))
    images = pd.DataFrame({"patient_id": np.repeat(np.arange(60), 10), "truth": 1})
    mean, low, high = mean_curve(images, np.repeat(each, 10, axis=0), seed=0)
    error = each.std() / np.sqrt(60)
    assert mean == pytest.approx(each.mean())
    assert low == pytest.approx(each.mean() - norm.ppf(0.975) * error, abs=0.1 * error)
    assert high == pytest.approx(each.mean() + norm.ppf(0.975) * error, abs=0.1 * error)


def test_the_table_tells_how_much_better_than_random_the_heat_is():
    images = image_table(**{f"DMD_{n}": 1 for n in range(12)}, BMD_12=2)
    images["label"], images["counted"] = "dystrophinopathy", True
    for name in ("sex", "age", "centre", "field_strength_t", "severity"):
        images[name] = None
    size, steps = len(images), 4
    falling = np.repeat(np.linspace(0.8, 0, steps + 1)[None], size, axis=0)
    at_once = np.where(np.arange(steps + 1) == 0, 0.8, 0.0)[None].repeat(size, axis=0)
    areas = Faithfulness(images, np.stack([at_once, at_once[:, ::-1]]), np.stack([falling, falling[:, ::-1]])).areas
    table = tables.deletion_insertion(areas, by_patient(images), seed=0).frame.set_index("Disease")
    assert list(table.index) == ["all", "DMD", "BMD"]
    row = table.loc["DMD"]
    # Trapezoids: 0.8 falling within a quarter of the leg, and evenly over all of it.
    assert row["Deletion"].value == pytest.approx(0.1)
    assert row["Deletion, random"].value == pytest.approx(0.4)
    # Insertion is worse than random here by as much as deletion is better.
    assert row["Insertion"].value == pytest.approx(0.1)
    assert row["Gain"].value == pytest.approx(0)
    assert np.isnan(table.loc["BMD", "Deletion"].low)
