"""Samples drawn anew for training: another pose, scanner and field of view, the same muscles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from DystrophyDxLib.models.training_recipe import AugmentationRecipe
from DystrophyDxLib.samples.slice_samples import BRIGHTEST
from DystrophyDxLib.training.augment import augmented, slightly_changed
from DystrophyDxLib.training.wide_augment import widely_augmented, widely_augmented_with


@pytest.fixture(scope="module")
def legs() -> torch.Tensor:
    """64 round legs of muscle (0.4) under a layer of fat (1), one muscle replaced by fat."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 224), torch.linspace(-1, 1, 224), indexing="ij")
    radius = torch.hypot(y, x)
    leg = torch.where(radius < 0.6, 0.4, 1.0) * (radius < 0.75)
    leg[torch.hypot(y - 0.3, x - 0.2) < 0.2] = 0.95
    return leg.expand(64, 1, 224, 224).contiguous()


def drawn(legs: torch.Tensor, seed: int, size: int = 112) -> torch.Tensor:
    return augmented(legs, size, range(1000 * seed, 1000 * seed + len(legs)))


@pytest.mark.parametrize("size", [112, 224])
def test_samples_have_the_size_asked_for_and_the_range_of_samples(legs, size):
    samples = drawn(legs, 0, size)
    assert samples.shape == (64, 1, size, size)
    assert samples.isfinite().all()
    assert samples.min() >= 0
    assert samples.max() <= BRIGHTEST


def test_same_seed_same_samples_another_seed_others(legs):
    assert torch.equal(drawn(legs, 1), drawn(legs, 1))
    assert not torch.allclose(drawn(legs, 1), drawn(legs, 2))


def test_what_is_drawn_for_a_sample_does_not_depend_on_those_beside_it(legs):
    together = augmented(legs[:4], 112, [5, 6, 7, 8])
    torch.testing.assert_close(augmented(legs[2:3], 112, [7]), together[2:3])


def test_outside_the_leg_stays_empty(legs):
    corners = drawn(legs, 3)[:, 0, :6, :6]
    assert corners.abs().max() == 0


def test_fat_stays_brighter_than_muscle(legs):
    """The order of tissues is what makes an image T1-weighted."""
    for sample in drawn(legs, 4)[:, 0]:
        leg = sample[sample > 0]
        assert torch.quantile(leg, 0.9) > 1.15 * torch.quantile(leg, 0.3)


def test_the_share_of_fat_in_the_muscle_survives(legs):
    """A replaced muscle stays replaced: about 11 % of the compartment here, whatever the pose and the contrast."""
    whole = []
    for sample in drawn(legs, 5, 224)[:, 0]:
        inside = sample > 0
        if inside.float().mean() < 0.40:  # cut by the border
            continue
        levels = sample[inside]
        middle = (torch.quantile(levels, 0.97) + torch.quantile(levels, 0.1)) / 2
        whole.append(float((levels > middle).float().mean()))
    assert len(whole) > 30
    assert np.median(whole) == pytest.approx(0.36 + 0.64 * 0.11, abs=0.06)


def test_some_legs_lie_any_way_round_and_some_end_at_a_border(legs):
    samples = drawn(legs, 6, 224)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 224), torch.linspace(-1, 1, 224), indexing="ij")
    middle = torch.hypot(y, x) < 0.4
    fat = ((samples[:, 0] > 0.75) & middle).float()
    place = torch.stack([(fat * x).sum(dim=(1, 2)), (fat * y).sum(dim=(1, 2))], dim=1)
    anterior = place[:, 1] < 0
    assert 0.03 < anterior.float().mean() < 0.35
    area = (samples > 0).float().mean(dim=(1, 2, 3))
    assert 0.02 < (area < 0.85 * area.median()).float().mean() < 0.4


PUBLISHED = AugmentationRecipe(zoom=(1.0, 1.2), rotation_degrees=5, intensity=(0.8, 1.2))


def test_published_changes_stay_within_their_bounds_and_reach_them():
    """A bar of brightness 1: its length gives the zoom, its axis the turn."""
    bar = torch.zeros(1, 1, 112, 112)
    bar[:, :, 50:62, 16:96] = 1
    drawn = slightly_changed(bar.expand(200, -1, -1, -1), 112, PUBLISHED, range(200))[:, 0].numpy()
    brightness = np.array([np.median(one[one > 0.5]) for one in drawn])
    rows, columns = np.mgrid[:112, :112] - 55.5
    turns, lengths = [], []
    for one in drawn:
        mass = one / one.sum()
        xx, yy, xy = ((mass * moment).sum() for moment in (columns**2, rows**2, rows * columns))
        turns.append(np.rad2deg(np.arctan2(2 * xy, xx - yy) / 2))
        lengths.append(np.sqrt(xx + yy))
    zoom = np.array(lengths) / np.sqrt((80**2 + 12**2) / 12)
    for values, low, high in ((brightness, 0.8, 1.2), (np.array(turns), -5, 5), (zoom, 1, 1.2)):
        slack = 0.05 * (high - low)
        assert low - slack < values.min() < low + 2 * slack
        assert high - 2 * slack < values.max() < high + slack


def test_published_changes_treat_the_planes_of_a_sample_alike_and_other_samples_apart(legs):
    planes = legs[:1].expand(2, 3, -1, -1)
    drawn = slightly_changed(planes, 112, PUBLISHED, [1, 2])
    torch.testing.assert_close(drawn[:, 0], drawn[:, 2])
    assert not torch.equal(drawn[0], drawn[1])
    torch.testing.assert_close(slightly_changed(planes[:1], 112, PUBLISHED, [1]), drawn[:1])


def test_widely_augmented_samples_stay_samples_and_differ_further(legs):
    """In the range of samples, empty outside the leg, drawn for each alone; greys are spread further than usual."""
    wide, usual = widely_augmented(legs, 112, range(64)), augmented(legs, 112, range(64))
    assert wide.shape == (64, 1, 112, 112)
    assert wide.min() >= 0
    assert wide.max() <= BRIGHTEST
    assert wide[:, 0, :4, :4].abs().max() == 0
    torch.testing.assert_close(widely_augmented(legs[5:6], 112, [5]), wide[5:6])
    greys = [torch.stack([sample[sample > 0].quantile(0.3) for sample in kind]) for kind in (wide, usual)]
    assert greys[0].std() > 1.2 * greys[1].std()


def test_planes_move_along_with_widely_augmented_samples(legs):
    """The replaced muscle lies under its plane wherever the leg is put, but where it is hidden or cut away."""
    plane = (legs[:, :, 2::4, 2::4] == 0.95).float()
    samples, (moved,), shown = _with_one_plane(legs, plane)
    inside = (moved > 0.9) & (shown > 0.9)
    muscle = (moved < 0.1) & (shown > 0.9)
    grey = torch.nn.functional.avg_pool2d(samples, 2)[:, 0]
    assert inside.any(dim=(1, 2)).float().mean() > 0.9
    brighter = [
        one[a].median() > one[b].quantile(0.3) for one, a, b in zip(grey, inside, muscle, strict=True) if a.any()
    ]
    assert np.mean(brighter) > 0.9


def _with_one_plane(legs, plane):
    samples, planes, shown = widely_augmented_with(legs, plane, 112, range(64))
    return samples, planes.unbind(dim=1), shown
