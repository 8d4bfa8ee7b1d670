"""Leg windows: each leg of each slice gets the right window, or a reason."""

import dataclasses

import numpy as np
import pytest
from leg_pairs import border_error_mm, make_leg_pair

from DystrophyDxLib.regions import legs
from DystrophyDxLib.regions.drawn_legs import legs_from_labels
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side
from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.series.plane_orientation import PlaneOrientation
from DystrophyDxLib.series.series import Acquisition, Geometry, Series

LEFT, RIGHT = LABEL_OF_SIDE[Side.LEFT], LABEL_OF_SIDE[Side.RIGHT]


def with_voxels(series: Series, voxels: np.ndarray) -> Series:
    return dataclasses.replace(series, voxels=voxels.astype(np.float32))


def only_leg(pair, label: int) -> Series:
    """The slice with one leg replaced by noise."""
    voxels = pair.series.voxels.copy()
    rng = np.random.default_rng(0)
    other = pair.legs == 3 - label
    voxels[0][other] = np.hypot(*rng.normal(0, 10, (2, np.count_nonzero(other))))
    return with_voxels(pair.series, voxels)


def shares(window, leg: np.ndarray) -> tuple[float, float]:
    """Share of the leg inside the window, and the window's area relative to the leg's bounding box."""
    rows, columns = np.nonzero(leg)
    box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    area = (window.i[1] - window.i[0]) * (window.j[1] - window.j[0])
    return leg[slice(*window.j), slice(*window.i)].sum() / leg.sum(), area / box


@pytest.mark.parametrize("contact_mm", [-30, -6, 20, 40, 60])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_legs_get_tight_windows_apart_or_in_contact(contact_mm, seed):
    pair = make_leg_pair(seed, contact_mm)
    regions = find_legs(pair.series)
    assert [window.side for window in regions.windows] == [Side.LEFT, Side.RIGHT]
    for window, label in zip(regions.windows, (LEFT, RIGHT), strict=True):
        inside, area = shares(window, pair.legs == label)
        assert inside >= 0.995
        assert area <= 1.04
        assert window.mask.shape == (window.j[1] - window.j[0], window.i[1] - window.i[0])


def test_touching_legs_are_cut_at_their_border_and_named():
    errors = []
    for seed in range(6):
        pair = make_leg_pair(40 + seed, 10.0 * (seed + 1))
        regions = find_legs(pair.series)
        assert regions.touching == (0,)
        errors.append(border_error_mm(pair, regions.labels[0]))
    assert np.percentile(np.concatenate(errors), 95) <= 4


def test_legs_apart_do_not_touch():
    assert find_legs(make_leg_pair(5, -25).series).touching == ()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("flips", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_sides_are_the_patients_whatever_the_stored_order(flips, transposed):
    pair = make_leg_pair(7, 30)
    geometry = pair.series.geometry
    voxels, legs = pair.series.voxels[0], pair.legs
    affine = geometry.ijk_to_lps
    last = voxels.shape[0] - 1
    origin, direction = np.array(geometry.origin), np.eye(3)
    for axis, flip in enumerate(flips):
        if flip < 0:
            voxels, legs = np.flip(voxels, 1 - axis), np.flip(legs, 1 - axis)
            origin = origin + affine[:3, axis] * last
            direction[:, axis] *= -1
    if transposed:
        voxels, legs, direction = voxels.T, legs.T, direction[:, [1, 0, 2]]
    series = Series(voxels[None], Geometry(tuple(origin), geometry.spacing, direction))
    regions = find_legs(series)
    assert [window.side for window in regions.windows] == [Side.LEFT, Side.RIGHT]
    for label in (LEFT, RIGHT):
        found = regions.labels[0] == label
        assert np.count_nonzero(found & (legs == label)) > 0.98 * np.count_nonzero(legs == label)


@pytest.mark.parametrize("label", [LEFT, RIGHT])
def test_single_leg_is_sided_by_where_it_lies(label):
    pair = make_leg_pair(3, -40)
    regions = find_legs(only_leg(pair, label))
    assert [LABEL_OF_SIDE[window.side] for window in regions.windows] == [label]


def test_single_leg_at_the_midline_has_no_side_unless_the_header_names_it():
    series = only_leg(make_leg_pair(3, -40), LEFT)
    window = find_legs(series).windows[0]
    middle = (window.i[0] + window.i[1]) / 2 * series.geometry.spacing[0]
    _, y, z = series.geometry.origin
    centred = dataclasses.replace(
        series, geometry=Geometry((-middle, y, z), series.geometry.spacing, series.geometry.direction)
    )
    assert find_legs(centred).windows[0].side is Side.UNKNOWN
    named = dataclasses.replace(centred, acquisition=Acquisition(laterality="right"))
    assert find_legs(named).windows[0].side is Side.RIGHT


@pytest.mark.parametrize(("laterality", "side"), [("left", Side.LEFT), ("right", Side.UNKNOWN), (None, Side.LEFT)])
def test_a_laterality_that_contradicts_the_position_makes_the_side_unknown(laterality, side):
    series = only_leg(make_leg_pair(3, -40), LEFT)
    regions = find_legs(dataclasses.replace(series, acquisition=Acquisition(laterality=laterality)))
    assert {window.side for window in regions.windows} == {side}
    assert [warning.code for warning in regions.warnings] == [WarningCode.SIDE_CONTRADICTED] * (side is Side.UNKNOWN)
    assert all("right leg" in warning.message and "left of" in warning.message for warning in regions.warnings)


def test_no_side_is_claimed_without_an_orientation():
    series = dataclasses.replace(make_leg_pair(3, 0).series, orientation_known=False)
    assert {window.side for window in find_legs(series).windows} == {Side.UNKNOWN}


def test_a_slice_in_which_one_leg_is_missing_says_so():
    pair = make_leg_pair(2, -20)
    both, one = pair.series.voxels, only_leg(pair, LEFT).voxels
    regions = find_legs(with_voxels(pair.series, np.concatenate([both, both, both, one])))
    assert [(item.slice, item.side, item.reason) for item in regions.skipped] == [
        (3, Side.RIGHT, "this leg is not in view")
    ]
    assert len(regions.windows) == 7


def test_empty_and_missing_slices_get_their_reason():
    pair = make_leg_pair(2, -20)
    noise = np.hypot(*np.random.default_rng(0).normal(0, 3, (2, *pair.series.voxels.shape)))
    blank = np.zeros_like(noise)
    series = with_voxels(pair.series, np.concatenate([pair.series.voxels, noise, blank, blank]))
    regions = find_legs(dataclasses.replace(series, missing_slices=(3,)))
    assert [(item.slice, item.reason) for item in regions.skipped] == [
        (1, "no leg found"),
        (2, "no signal in this slice"),
        (3, "slice missing from the series"),
    ]


def test_a_leg_without_an_outline_is_skipped_with_its_reason(monkeypatch):
    pair = make_leg_pair(2, -20)
    drawn = legs._LegFinder._outline

    def empty_on_the_right(self, k, coarse, certain, threshold, seam, leg):
        box, outline = drawn(self, k, coarse, certain, threshold, seam, leg)
        return box, outline & (leg == 1)

    monkeypatch.setattr(legs._LegFinder, "_outline", empty_on_the_right)
    regions = find_legs(pair.series)
    assert [window.side for window in regions.windows] == [Side.LEFT]
    assert [(item.slice, item.side) for item in regions.skipped] == [(0, Side.RIGHT)]


def test_hands_and_a_table_are_not_legs():
    pair = make_leg_pair(4, -10, matrix=640)
    voxels = pair.series.voxels.copy()
    rows = np.flatnonzero(pair.legs.any(axis=1))
    middle_row = int(rows.mean())
    voxels[0, middle_row - 25 : middle_row + 25, 4:34] = 500
    voxels[0, middle_row - 20 : middle_row + 30, -36:-2] = 500
    voxels[0, rows.max() - 1 : rows.max() + 5, 40:600] = 300
    regions = find_legs(with_voxels(pair.series, voxels))
    assert len(regions.windows) == 2
    for window, label in zip(regions.windows, (LEFT, RIGHT), strict=True):
        inside, area = shares(window, pair.legs == label)
        assert inside >= 0.995
        assert area <= 1.1


def test_an_air_bubble_belongs_to_the_leg():
    pair = make_leg_pair(4, -10)
    voxels = pair.series.voxels.copy()
    rows, columns = np.nonzero(pair.legs == LEFT)
    row, column = int(rows.mean()) - 30, int(columns.mean())
    y, x = np.ogrid[: voxels.shape[1], : voxels.shape[2]]
    bubble = np.hypot(y - row, x - column) < 15
    voxels[0][bubble] = 0
    regions = find_legs(with_voxels(pair.series, voxels))
    assert (regions.labels[0][bubble] == LEFT).all()


@pytest.mark.parametrize(("shading", "noise"), [(4.0, 0.01), (1.0, 0.06)])
def test_shading_and_noise_do_not_move_the_windows(shading, noise):
    pair = make_leg_pair(11, 25, shading=shading, noise=noise)
    regions = find_legs(pair.series)
    assert len(regions.windows) == 2
    for window, label in zip(regions.windows, (LEFT, RIGHT), strict=True):
        inside, area = shares(window, pair.legs == label)
        assert inside >= 0.99
        assert area <= 1.06


def test_a_leg_cut_by_the_image_border_is_windowed_and_named():
    pair = make_leg_pair(6, -20)
    columns = np.flatnonzero((pair.legs == RIGHT).any(axis=0))
    start = int(columns[0] + 0.35 * (columns[-1] - columns[0]))
    geometry = pair.series.geometry
    x, y, z = geometry.origin
    moved = Geometry((x + start * geometry.spacing[0], y, z), geometry.spacing, geometry.direction)
    regions = find_legs(Series(pair.series.voxels[:, :, start:], moved))
    assert [window.side for window in regions.windows] == [Side.LEFT, Side.RIGHT]
    assert regions.windows[1].i[0] == 0
    assert regions.cut_by_border == (0,)


def test_canonical_and_stored_undo_each_other():
    plane = np.arange(12).reshape(3, 4)
    for transposed in (False, True):
        for rows in (False, True):
            for columns in (False, True):
                orientation = PlaneOrientation(transposed, rows, columns)
                assert (orientation.stored(orientation.canonical(plane)) == plane).all()


def test_a_drawn_region_gives_edited_windows_of_exactly_that_region():
    labels = np.zeros((3, 20, 30), np.uint8)
    labels[1, 4:9, 6:12] = LEFT
    labels[1, 5:7, 20:22] = RIGHT
    regions = legs_from_labels(labels)
    assert [(w.slice, w.side, w.i, w.j, w.source) for w in regions.windows] == [
        (1, Side.LEFT, (6, 12), (4, 9), "edited"),
        (1, Side.RIGHT, (20, 22), (5, 7), "edited"),
    ]
    assert [item.slice for item in regions.skipped] == [0, 2]


@pytest.mark.parametrize("name", ["STS_009", "STS_013", "STS_014", "STS_022", "STS_045", "STS_050"])
def test_one_leg_or_a_reason_in_every_slice_of_real_one_leg_series(shared_dicom, name):
    series = shared_dicom(name)
    regions = find_legs(series)
    per_slice = [window.slice for window in regions.windows] + [item.slice for item in regions.skipped]
    assert sorted(per_slice) == list(range(len(series.voxels)))
    assert len({window.side for window in regions.windows}) == 1
    x = {"STS_009": -1, "STS_014": -1}.get(name, 1)
    assert regions.windows[0].side is (Side.LEFT if x > 0 else Side.RIGHT)


@pytest.mark.parametrize("name", ["thighs", "lower_legs"])
def test_both_legs_in_every_slice_of_a_real_pair(shared_nifti, name):
    series = shared_nifti(name)
    regions = find_legs(series)
    assert len(regions.windows) == 2 * len(series.voxels)
    assert regions.skipped == ()
    for left, right in zip(regions.windows[::2], regions.windows[1::2], strict=True):
        assert (left.side, right.side) == (Side.LEFT, Side.RIGHT)
        centre = [series.geometry.ijk_to_lps @ [sum(w.i) / 2, sum(w.j) / 2, w.slice, 1] for w in (left, right)]
        assert centre[0][0] > centre[1][0]
