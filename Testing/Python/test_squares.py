"""Square windows: as much as a sample shows, inside the image, where a user puts them."""

import dataclasses

import numpy as np
import pytest
import torch

from DystrophyDxLib.models.recipe import Recipe, SampleRecipe
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side
from DystrophyDxLib.samples.kinds import region_of
from DystrophyDxLib.samples.slice_samples import BRIGHTEST, window_level
from DystrophyDxLib.series.series import Geometry, Series

SAMPLE = Recipe.named("germain2021_single").sample
WHOLE = SampleRecipe.model_validate(SAMPLE.model_dump() | {"region": {"kind": "slice"}})


def series_of(rows: int, columns: int, row_mm: float = 1.5, column_mm: float = 1.5, slices: int = 2) -> Series:
    voxels = np.random.default_rng(0).uniform(0, 1000, (slices, rows, columns)).astype(np.float32)
    return Series(voxels, Geometry((0, 0, 0), (column_mm, row_mm, 8), np.eye(3)))


@pytest.mark.parametrize("size", [128, 160, 256])
def test_a_square_is_as_many_pixels_of_1_5_mm_as_the_sample_around_the_middle(size):
    sample = SampleRecipe.model_validate(SAMPLE.model_dump() | {"size": size})
    window = region_of(sample).find(series_of(400, 300, 1.0, 1.2)).windows[1]
    assert window.slice == 1
    assert window.side is Side.NONE
    assert [end - start for start, end in (window.j, window.i)] == [
        round(1.5 * size),
        min(300, round(1.5 * size / 1.2)),
    ]
    assert sum(window.j) / 2 == pytest.approx(200, abs=0.5)
    assert sum(window.i) / 2 == pytest.approx(150, abs=0.5)


def test_a_sample_pixel_is_1_5_mm_also_where_the_image_is_smaller_than_the_square():
    series = series_of(100, 90)
    batch = region_of(SAMPLE).samples(series, region_of(SAMPLE).find(series).windows)
    assert batch.pixels.shape == (2, 1, 160, 160)
    assert batch.placements[0].scale == (1, 1)
    shown = batch.pixels[0, 0] != 0
    assert np.ptp(np.flatnonzero(shown.any(dim=1))) == 99
    assert np.ptp(np.flatnonzero(shown.any(dim=0))) == 89


def test_a_whole_slice_fills_the_sample():
    series = series_of(100, 90)
    batch = region_of(WHOLE).samples(series, region_of(WHOLE).find(series).windows)
    assert batch.windows[0].i == (0, 90)
    assert np.ptp(np.flatnonzero((batch.pixels[0, 0] != 0).any(dim=1))) == 159


def test_a_square_lies_around_what_a_user_drew_and_stays_in_the_image():
    series = series_of(300, 300)
    labels = np.zeros(series.voxels.shape, np.uint8)
    labels[0, 120:131, 200:221] = LABEL_OF_SIDE[Side.NONE]
    (window,) = region_of(SAMPLE).from_labels(series, labels).windows
    assert window.source == "edited"
    assert [end - start for start, end in (window.j, window.i)] == [160, 160]
    assert sum(window.j) / 2 == pytest.approx(125.5, abs=0.5)
    assert sum(window.i) / 2 == pytest.approx(210.5, abs=0.5)
    labels[0] = 0
    labels[1, 2, 2] = LABEL_OF_SIDE[Side.NONE]
    moved = region_of(SAMPLE).from_labels(series, labels)
    assert moved.windows[0].j == moved.windows[0].i == (0, 160)
    assert [item.slice for item in moved.skipped] == [0]
    assert np.count_nonzero(moved.labels[1]) == 160 * 160


def test_only_squares_that_were_moved_are_edited():
    series = series_of(300, 300, slices=3)
    automatic = region_of(SAMPLE).find(series)
    labels = automatic.labels.copy()
    labels[1] = 0
    labels[1, 100, 100] = LABEL_OF_SIDE[Side.NONE]
    labels[2] = 0
    found = region_of(SAMPLE).corrected(series, automatic, labels)
    assert [window.source for window in found.windows] == ["auto", "edited"]
    assert found.windows[0] is automatic.windows[0]
    assert sum(found.windows[1].j) / 2 == pytest.approx(100.5, abs=0.5)
    assert [(item.slice, item.reason) for item in found.skipped] == [(2, "left out by the reader")]


@pytest.mark.parametrize("sample", [SAMPLE, Recipe.named("yang2021").sample])
def test_what_is_drawn_on_a_slice_that_the_series_lacks_is_no_window(sample):
    series = dataclasses.replace(series_of(300, 300, slices=3), missing_slices=(1,))
    series.voxels[1] = 0
    labels = np.zeros(series.voxels.shape, np.uint8)
    labels[:, 100:140, 100:140] = LABEL_OF_SIDE[Side.LEFT]
    automatic = region_of(sample).find(series)
    for found in (
        region_of(sample).from_labels(series, labels),
        region_of(sample).corrected(series, automatic, labels),
    ):
        assert [window.slice for window in found.windows] == [0, 2]
        assert [item.slice for item in found.skipped] == [1]


def test_the_grey_window_is_the_regions_own_and_shows_what_is_over_range():
    plane = torch.linspace(200, 700, 10_000).reshape(1, 100, 100).clone()
    plane[0, 0, 0] = 1e5
    greys = window_level(plane, torch.ones_like(plane, dtype=torch.bool))
    assert np.quantile(greys, [0.01, 0.99]) == pytest.approx([0, 1], abs=0.01)
    assert greys[0, 0, 0] == BRIGHTEST
    assert greys[0, -1, -1] > 1
    scaled = window_level(3 * plane + 50, torch.ones_like(plane, dtype=torch.bool))
    np.testing.assert_allclose(scaled, greys, atol=1e-3)
