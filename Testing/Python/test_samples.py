"""Windows become samples true to scale, with fat near 1."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.recipe import ChannelRecipe, Recipe
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.samples.kinds import region_of
from DystrophyDxLib.samples.placement import place, resampling_weights
from DystrophyDxLib.samples.slice_samples import DIXON, MEDIAN, make_samples
from DystrophyDxLib.series.channels import with_channels


@pytest.mark.parametrize("shape", [(90, 130), (300, 250), (224, 224), (510, 333)])
def test_resampling_is_torchs_antialiased_interpolation(shape):
    placement = place(shape, (1.0, 1.0), 224)
    image = np.random.default_rng(1).random(shape).astype(np.float32)
    by_row, by_column = map(resampling_weights, placement.scale, placement.shape)
    ours = (by_column @ (by_row @ image).T).T
    theirs = functional.interpolate(torch.from_numpy(image)[None, None], ours.shape, mode="bilinear", antialias=True)[
        0, 0
    ]
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_fat_is_near_one_in_every_phantom():
    """The subcutaneous layer of phantoms of all scales, shadings and diagnoses."""
    levels = []
    for seed in range(12):
        series = make_phantom(seed, slices=1).series
        batch = make_samples(series, find_legs(series).windows, 224)
        for grid, inside in zip(batch.grid.numpy(), batch.inside.numpy(), strict=True):
            levels.append(np.percentile(grid[inside], 92))
    assert 0.85 < np.median(levels) < 1.15
    assert np.std(levels) < 0.12


def test_a_further_channel_has_muscle_at_its_level_whatever_the_scanners_scale():
    """STIR of phantoms: the leg's median, which is muscle, lies at `MEDIAN`, and oedema is seen above it."""
    phantom = make_phantom(5, "DMD", slices=1, contrasts=("T1", "STIR"))
    series = with_channels(phantom.series, {"STIR": phantom.images["STIR"]})
    windows = find_legs(series).windows
    stir = ChannelRecipe(name="STIR", scale="median")
    plain = make_samples(series, windows, 224, [stir])
    assert plain.pixels.shape == (len(windows), 2, 224, 224)
    torch.testing.assert_close(plain.pixels[:, :1], make_samples(series, windows, 224).pixels)
    scaled = replace(series, further={"STIR": 7.5 * series.further["STIR"]})
    torch.testing.assert_close(make_samples(scaled, windows, 224, [stir]).pixels, plain.pixels, rtol=1e-4, atol=1e-5)
    for sample in plain.pixels[:, 1]:
        assert sample[sample > 0].median() == pytest.approx(MEDIAN, rel=0.1)


def test_consecutive_slices_are_stacked_and_cut_by_the_windows_mask():
    series = make_phantom(5, "DMD", slices=3).series
    windows = find_legs(series).windows
    stacked = make_samples(series, windows, 224, slices=3)
    assert stacked.pixels.shape == (len(windows), 3, 224, 224)
    alone = make_samples(series, windows, 224)
    torch.testing.assert_close(stacked.pixels[:, stacked.own], alone.pixels[:, 0])
    for n, window in enumerate(windows):
        if window.slice == 0:
            torch.testing.assert_close(stacked.pixels[n, 0], stacked.pixels[n, 1])
        else:
            assert not torch.equal(stacked.pixels[n, 0], stacked.pixels[n, 1])
        assert (stacked.pixels[n][:, alone.pixels[n, 0] == 0] == 0).all()


def test_a_fat_fraction_is_seen_as_it_is_and_percent_are_refused():
    phantom = make_phantom(5, "DMD", slices=1, contrasts=("T1", "DIXON_FAT", "DIXON_FF"))
    fraction = np.full_like(phantom.series.voxels, 0.37)
    fat = with_channels(phantom.images["DIXON_FAT"], {"FF": replace(phantom.series, voxels=fraction)})
    windows, channel = find_legs(fat).windows, ChannelRecipe(name="FF", scale="fraction")
    sample = make_samples(fat, windows, 224, [channel])
    for plane in sample.pixels[:, 1]:
        assert plane[plane > 0].median() == pytest.approx(0.37, rel=1e-3)
    percent = replace(fat, further={"FF": 100 * fraction})
    with pytest.raises(InputError, match="FF is no fraction"):
        make_samples(percent, windows, 224, [channel])


def test_fat_and_water_that_contradict_the_fat_fraction_are_refused():
    """Exchanged, they look alike enough to be classified."""
    images = make_phantom(5, "DMD", slices=2, contrasts=("T1", *DIXON)).images
    fat, water, fraction = (images[name] for name in DIXON)
    region = region_of(Recipe.named("cai2019").sample)
    right = with_channels(fat, {"DIXON_WATER": water, "DIXON_FF": fraction})
    windows = find_legs(fat).windows
    assert len(region.samples(right, windows).pixels) == len(windows)
    exchanged = with_channels(water, {"DIXON_WATER": fat, "DIXON_FF": fraction})
    with pytest.raises(InputError, match="contradict each other; check which series is which"):
        region.samples(exchanged, windows)
    percent = with_channels(fat, {"DIXON_WATER": water, "DIXON_FF": replace(fraction, voxels=100 * fraction.voxels)})
    with pytest.raises(InputError, match="divide it by 100"):
        region.samples(percent, windows)


def test_channels_that_lie_apart_or_are_the_same_are_refused_by_name():
    phantom = make_phantom(5, "DMD", slices=2, contrasts=("T1", "STIR"))
    t1, stir = phantom.series, phantom.images["STIR"]
    moved = replace(stir.geometry, origin=(stir.geometry.origin[0] + 3, *stir.geometry.origin[1:]))
    for other, said in (
        (replace(stir, voxels=stir.voxels[:1]), "STIR has 256 × 256 × 1 voxels and the first channel 256 × 256 × 2"),
        (replace(stir, geometry=moved), "STIR lies up to 3 mm away"),
        (t1, "STIR is the first channel's series once more"),
    ):
        with pytest.raises(InputError, match=said):
            with_channels(t1, {"STIR": other})


def test_nothing_outside_the_leg_reaches_the_network():
    series = make_phantom(97, "DMD", slices=1).series
    bright = series.voxels.copy()
    regions = find_legs(series)
    bright[regions.labels == 0] = 10 * bright.max()
    reference = make_samples(series, regions.windows, 224).pixels
    changed = make_samples(type(series)(bright, series.geometry), regions.windows, 224).pixels
    torch.testing.assert_close(changed, reference)
