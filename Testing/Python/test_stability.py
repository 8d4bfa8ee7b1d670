"""A series under simulated scanner changes: what they do to the images, and that the answer survives them."""

from __future__ import annotations

import numpy as np
import pytest
from model_packages import make_package

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.evaluation.stability import SCANNER_CHANGES, stability
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.regions.legs import Side, find_legs


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(3, "healthy", slices=2, legs="both")


def changed(phantom, name: str):
    return SCANNER_CHANGES[name](phantom.series, 0)


def area(series, side: Side) -> int:
    return sum(int(window.mask.sum()) for window in find_legs(series).windows if window.side == side)


def test_the_mirrored_person_has_left_and_right_exchanged(phantom):
    mirrored = changed(phantom, "mirrored")
    assert area(phantom.series, Side.LEFT) != pytest.approx(area(phantom.series, Side.RIGHT), rel=0.005)
    assert area(mirrored, Side.LEFT) == pytest.approx(area(phantom.series, Side.RIGHT), rel=0.005)
    assert area(mirrored, Side.RIGHT) == pytest.approx(area(phantom.series, Side.LEFT), rel=0.005)


def test_the_turned_leg_lies_on_its_side(phantom):
    before = find_legs(phantom.series).windows[0]
    after = find_legs(changed(phantom, "one leg turned 90°")).windows[0]
    width, height = np.ptp(before.i), np.ptp(before.j)
    assert np.ptp(after.i) == pytest.approx(height, abs=3)
    assert np.ptp(after.j) == pytest.approx(width, abs=3)


@pytest.mark.parametrize(("name", "brighter"), [("flatter contrast", True), ("steeper contrast", False)])
def test_contrast_moves_muscle_and_keeps_fat(phantom, name, brighter):
    muscle = phantom.muscles > 0
    bright = phantom.series.voxels > np.percentile(phantom.series.voxels, 98.5)
    series = changed(phantom, name)
    before, after = (voxels[muscle].mean() / voxels[bright].mean() for voxels in (phantom.series.voxels, series.voxels))
    assert (after > 1.08 * before) if brighter else (after < 0.95 * before)


def test_noise_and_shading_follow_the_seed(phantom):
    for name in ("noise", "surface coil"):
        change = SCANNER_CHANGES[name]
        assert np.array_equal(change(phantom.series, 1).voxels, change(phantom.series, 1).voxels)
        assert not np.array_equal(change(phantom.series, 1).voxels, change(phantom.series, 2).voxels)


def test_every_change_is_classified_beside_the_series_as_acquired(phantom, tmp_path):
    classifier = Classifier(ModelPackage.read(make_package(tmp_path / "package")), "cpu")
    table = stability(classifier, phantom.series)
    assert list(table["change"]) == ["as acquired", *SCANNER_CHANGES]
    assert table["probability"].between(0, 1).all()
    assert (table["images"] > 0).all()
