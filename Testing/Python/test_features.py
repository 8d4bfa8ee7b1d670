"""Features of a frozen trunk, computed once and kept."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.cam_network import CamNetwork
from DystrophyDxLib.training import features as features_module
from DystrophyDxLib.training.distributed import Processes
from DystrophyDxLib.training.features import FeatureExamples, FeatureStore

PIXELS = torch.randint(0, 255, (7, 1, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).numpy()


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    monkeypatch.setattr(features_module, "has_bfloat16", lambda device: False)


def small_network(seed: int = 0) -> CamNetwork:
    torch.manual_seed(seed)
    trunk = nn.Sequential(nn.Conv2d(1, 4, 8, stride=8), nn.BatchNorm2d(4), nn.ReLU())
    return CamNetwork(trunk, nn.Linear(4, 1)).eval()


class Counting(nn.Module):
    """A trunk that counts the images that it has seen."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk, self.seen = trunk, 0

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        self.seen += len(samples)
        return self.trunk(samples)


def counting_network(seed: int = 0) -> CamNetwork:
    network = small_network(seed)
    return CamNetwork(Counting(network.trunk), network.head).eval()


def store(folder, network=None, **changes) -> FeatureStore:
    facts = {
        "digests": ("a", "b"), "size": 112, "copies": 2, "seed": 1, "folder": folder,
        "processes": Processes(),
    }  # fmt: skip
    return FeatureStore(network or small_network(), PIXELS, **(facts | changes))


def computed(folder, network=None, **changes) -> np.ndarray:
    kept = store(folder, network, **changes)
    kept.compute(np.ones_like(kept.known), lambda what, done, total: None)
    return np.array(kept.features)


def test_plain_features_are_those_of_the_network(tmp_path):
    network = small_network()
    with torch.inference_mode():
        expected = network(torch.from_numpy(PIXELS) * (1.5 / 255)).features
    np.testing.assert_allclose(computed(tmp_path, network)[0], expected, rtol=1e-5)


def test_copies_differ_from_the_image_and_from_each_other(tmp_path):
    found = computed(tmp_path)
    assert not np.allclose(found[1], found[0], rtol=1e-3)
    assert not np.allclose(found[1], found[2], rtol=1e-3)


def test_what_is_kept_is_not_computed_again(tmp_path):
    first = counting_network()
    expected = computed(tmp_path, first)
    assert first.trunk.seen == 3 * len(PIXELS)
    second = counting_network()
    np.testing.assert_array_equal(computed(tmp_path, second), expected)
    assert second.trunk.seen == 0


@pytest.mark.parametrize("changes", [{"seed": 2}, {"digests": ("a", "c")}, {"copies": 1}])
def test_other_samples_or_settings_have_features_of_their_own(tmp_path, changes):
    computed(tmp_path)
    network = counting_network()
    computed(tmp_path, network, **changes)
    assert network.trunk.seen > 0


def test_another_trunk_has_features_of_its_own(tmp_path):
    assert not np.allclose(computed(tmp_path), computed(tmp_path, small_network(seed=5)))


def test_an_interrupted_computation_goes_on_to_the_same_features(tmp_path, monkeypatch):
    monkeypatch.setattr(features_module, "_PART", 4)
    expected = computed(tmp_path / "whole")

    def interrupt(what, done, total):
        if done >= 8:
            raise KeyboardInterrupt

    cut = store(tmp_path / "cut", counting_network())
    with pytest.raises(KeyboardInterrupt):
        cut.compute(np.ones_like(cut.known), interrupt)
    network = counting_network()
    np.testing.assert_array_equal(computed(tmp_path / "cut", network), expected)
    assert network.trunk.seen == 3 * len(PIXELS) - 8


def test_only_what_is_wanted_is_computed(tmp_path):
    network = counting_network()
    kept = store(tmp_path, network)
    wanted = np.zeros_like(kept.known)
    wanted[0, 3:] = wanted[2, 1] = True
    kept.compute(wanted, lambda what, done, total: None)
    assert network.trunk.seen == wanted.sum()
    np.testing.assert_array_equal(kept.known, wanted)


def test_features_cut_short_are_computed_again(tmp_path):
    expected = computed(tmp_path)
    (file,) = tmp_path.glob("*.features")
    os.truncate(file, file.stat().st_size // 2)
    np.testing.assert_array_equal(computed(tmp_path), expected)


def test_a_full_disk_is_told_before_hours_are_spent(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(features_module, "_allocate", full)
    with pytest.raises(InputError, match="no room"):
        store(tmp_path)
    assert not list(tmp_path.glob("*.features"))


def test_weights_that_give_no_numbers_are_told(tmp_path):
    network = small_network()
    network.trunk[0].weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="no numbers"):
        computed(tmp_path, network)


def test_each_copy_comes_up_as_often(tmp_path):
    values = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((1, 1000, 2), np.float32)
    examples = FeatureExamples(values, np.arange(1000), torch.zeros(1000))
    seeds = torch.randint(1 << 62, (1000,), generator=torch.Generator().manual_seed(0))
    drawn = examples.varied(torch.arange(1000), seeds)[:, 0].int()
    assert (torch.bincount(drawn) > 280).all()
    assert (examples.plain(torch.arange(1000)) == 0).all()
