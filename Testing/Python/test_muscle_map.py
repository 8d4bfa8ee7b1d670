"""The map of a thigh's muscles lies on the volume's voxels and knows left from right."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from leg_pairs import make_leg_pair
from map_packages import ADDUCTOR, VASTUS, ByPlace, make_map_package

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.map_package import MapPackage
from DystrophyDxLib.models.package import Metric
from DystrophyDxLib.models.recipe import ChannelRecipe
from DystrophyDxLib.muscles.mapper import MuscleMapper
from DystrophyDxLib.muscles.muscle_map import MuscleMap
from DystrophyDxLib.muscles.sides import told_sides
from DystrophyDxLib.muscles.structures import FEMUR
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side, Window
from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.samples.slice_samples import make_samples


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return MapPackage.read(make_map_package(tmp_path_factory.mktemp("map") / "package"))


def mapper(package, **how):
    found = MuscleMapper(package, "cpu")
    found.network = ByPlace(**how)
    return found


def pair(lateral_bright=True):
    """A slice of both legs whose outer halves are brighter, or whose inner ones are."""
    made = make_leg_pair(3, -30, matrix=160, pixel_mm=2.4)
    series, legs = made.series, made.legs
    columns = np.arange(legs.shape[1])
    voxels = series.voxels.copy()
    for value, sign in ((1, 1), (2, -1)):
        leg = legs == value
        middle = columns[leg.any(axis=0)].mean()
        outer = (sign * (columns - middle) > 0) == lateral_bright
        voxels[0][leg & ~outer] *= 0.6
    return dataclasses.replace(series, voxels=voxels)


def test_each_leg_is_mapped_on_its_own_voxels_and_the_right_one_mirrored(package):
    series = pair()
    regions = find_legs(series)
    found = mapper(package).map(series, regions)
    assert [side for side, _ in found.shown] == [Side.LEFT] * 3 + [Side.RIGHT] * 3
    assert not found.warnings
    np.testing.assert_array_equal(found.labels > 0, regions.labels > 0)
    column = {
        side: [np.argwhere(found.mask(side, label))[:, 2].mean() for label in (ADDUCTOR, FEMUR, VASTUS)]
        for side in (Side.LEFT, Side.RIGHT)
    }
    assert column[Side.LEFT] == sorted(column[Side.LEFT]), "in LPS the left leg's outer side has the larger columns"
    assert column[Side.RIGHT] == sorted(column[Side.RIGHT], reverse=True)
    outer = found.mask(Side.LEFT, VASTUS).sum() / (regions.labels == LABEL_OF_SIDE[Side.LEFT]).sum()
    assert outer == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("flips", [(1, -1, 1), (-1, 1, -1)])
def test_the_map_follows_an_image_stored_the_other_way_round(package, flips):
    series = pair()
    plain = mapper(package).map(series, find_legs(series))
    way = tuple(slice(None, None, flip) for flip in flips[::-1])
    direction = series.geometry.direction * np.array(flips)
    geometry = dataclasses.replace(series.geometry, direction=direction)
    turned = dataclasses.replace(series, voxels=series.voxels[way].copy(), geometry=geometry)
    found = mapper(package).map(turned, find_legs(turned))
    np.testing.assert_array_equal(found.labels[way], plain.labels)
    np.testing.assert_array_equal(found.sides[way], plain.sides)


def test_images_that_are_mirrored_are_told_and_mapped_as_what_they_show(package):
    series = pair(lateral_bright=False)
    found = mapper(package).map(series, find_legs(series))
    assert [warning.code for warning in found.warnings] == [WarningCode.SIDE_MIRRORED]
    assert not any(leg.as_left for leg in found.legs if leg.window.side is Side.LEFT)


def test_muscles_tell_sides_that_the_header_does_not(package):
    series = dataclasses.replace(pair(), orientation_known=False)
    regions = find_legs(series)
    assert {window.side for window in regions.windows} == {Side.UNKNOWN}
    found = mapper(package).map(series, regions)
    assert [warning.code for warning in found.warnings] == [WarningCode.SIDE_BY_MUSCLES]
    assert {side for side, _ in found.shown} == {Side.LEFT, Side.RIGHT}
    known = mapper(package).map(pair(), find_legs(pair()))
    np.testing.assert_array_equal(found.sides, known.sides)


def test_the_map_says_whose_it_is(package):
    series, card = pair(), package.card
    told = mapper(package).map(series, find_legs(series)).told
    assert f"“{card.name}” {card.version}, trained on {card.trained_on};" in told
    assert "its Dice is not known" in told
    measured = Metric(value=0.734, ci95=(0.7, 0.8), measured_on="60 phantoms")
    assert "mean Dice 0.73 on 60 phantoms." in card.model_copy(update={"metrics": {"Dice, mean": measured}}).told


def test_no_thigh_no_map(package):
    unlikely = dataclasses.replace(package, card=package.card.model_copy(update={"least_likelihood": -0.001}))
    series = pair()
    for how in (mapper(package, dark=9.0), mapper(unlikely)):
        found = how.map(series, find_legs(series))
        assert not found.labels.any()
        assert not found.shown
        assert not any(leg.mapped for leg in found.legs)


def test_a_leg_that_was_judged_to_be_no_thigh_has_no_map(package):
    series = pair()
    regions = find_legs(series)
    thighs = [window.side is Side.LEFT for window in regions.windows]
    found = mapper(package).map(series, regions, None, thighs)
    assert {side for side, _ in found.shown} == {Side.LEFT}


def test_only_legs_that_changed_are_mapped_again(package, monkeypatch):
    series = pair()
    regions = find_legs(series)
    whole = mapper(package)
    first = whole.map(series, regions)
    left = next(window for window in regions.windows if window.side is Side.LEFT)
    smaller = dataclasses.replace(left, mask=left.mask & (np.arange(left.mask.shape[0]) > 8)[:, None])
    changed = dataclasses.replace(
        regions, windows=tuple(smaller if window is left else window for window in regions.windows)
    )
    seen = []
    forward = whole.network.forward
    monkeypatch.setattr(whole.network, "forward", lambda samples: seen.append(len(samples)) or forward(samples))
    again = whole.map(series, changed, whole.legs(series, changed.windows, first.legs))
    assert seen == [2], "the left leg alone, both ways round"
    np.testing.assert_array_equal(again.labels, mapper(package).map(series, changed).labels)


def test_a_person_s_map_counts_within_the_legs():
    series = pair()
    regions = find_legs(series)
    found = MuscleMap.drawn(np.full(series.voxels.shape, 5, np.uint8), regions)
    assert found.source == "edited"
    assert found.shown == ((Side.LEFT, 5), (Side.RIGHT, 5))
    np.testing.assert_array_equal(found.sides, regions.labels)
    with pytest.raises(InputError, match="another grid"):
        MuscleMap.drawn(np.ones((1, 5, 5), np.uint8), regions)
    with pytest.raises(InputError, match="no muscle within the legs"):
        MuscleMap.drawn(np.where(regions.labels > 0, 0, 5).astype(np.uint8), regions)


def window(k, side, column):
    return Window(k, side, (column, column + 10), (0, 10), np.ones((10, 10), bool))


def test_a_leg_keeps_one_side_along_the_thigh_however_single_slices_look():
    windows = [window(k, Side.UNKNOWN, column) for k in range(4) for column in (5, 60)]
    either = [(-0.3, -1.6) if n % 2 else (-1.6, -0.3) for n in range(8)]
    either[0], either[3] = (-0.3, -0.31), (-0.31, -0.3)
    told = told_sides(windows, either)
    assert told.sides == (Side.RIGHT, Side.LEFT) * 4
    assert told.as_left == (False, True) * 4


def test_a_side_that_the_muscles_hardly_tell_stays_unknown():
    told = told_sides([window(0, Side.UNKNOWN, 5)], [(-0.30, -0.31)])
    assert told.sides == (Side.UNKNOWN,)
    assert not told.warnings


def test_a_single_odd_slice_contradicts_nothing():
    windows = [window(k, Side.LEFT, 5) for k in range(6)]
    either = [(-0.3, -1.6)] * 5 + [(-1.6, -0.3)]
    assert told_sides(windows, either) == ((True,) * 6, (Side.LEFT,) * 6, ())
    assert told_sides([], []) == ((), (), ())


def test_slices_without_a_thigh_have_no_say_in_the_side():
    windows = [window(k, Side.LEFT, 5) for k in range(4)]
    either = [(-1.6, -0.3)] * 3 + [(-0.3, -0.4)]
    assert told_sides(windows, either).warnings
    assert not told_sides(windows, either, [False, False, False, True]).warnings
    assert not told_sides(windows, either, [False] * 4).warnings


@pytest.mark.parametrize("side", [Side.LEFT, Side.RIGHT, Side.UNKNOWN])
def test_legs_are_mapped_alike_from_samples_that_another_network_had_made(package, side):
    series = pair()
    windows = [dataclasses.replace(window, side=side) for window in find_legs(series).windows]
    for channels, slices in (((), 1), ((ChannelRecipe(name="again", scale="fat"),), 3)):
        further = dataclasses.replace(series, further={channel.name: series.voxels for channel in channels})
        batch = make_samples(further, windows, 112, channels, slices)
        found, wanted = mapper(package).of_samples(series, batch), mapper(package).legs(series, windows)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one.labels, other.labels)
            assert one.labels.any()
            assert (one.as_left, one.either, one.quality) == (other.as_left, other.either, other.quality)
    assert not mapper(package).of_samples(series, make_samples(series, windows, 56)), "of another size"
