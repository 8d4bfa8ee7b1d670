"""Windows become samples true to scale, with fat near 1."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.roi import find_legs
from DystrophyDxLib.samples import make_samples, place, resampling_weights


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


def test_nothing_outside_the_leg_reaches_the_network():
    series = make_phantom(97, "DMD", slices=1).series
    bright = series.voxels.copy()
    regions = find_legs(series)
    bright[regions.labels == 0] = 10 * bright.max()
    reference = make_samples(series, regions.windows, 224).pixels
    changed = make_samples(type(series)(bright, series.geometry), regions.windows, 224).pixels
    torch.testing.assert_close(changed, reference)
