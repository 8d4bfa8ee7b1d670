"""What counts of a region that a person drew: no specks, no holes, and no leg under the other leg's name."""

import dataclasses
import re

import numpy as np
import pytest
from leg_pairs import make_leg_pair

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.recipe import Recipe, SampleRecipe
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, LEFT_OUT, NOT_DRAWN, Regions, Side, Skipped, Window
from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.samples.kinds import region_of
from DystrophyDxLib.samples.quality import incomplete
from DystrophyDxLib.series.series import Geometry, Series

LEGS = region_of(SampleRecipe(size=224))
SQUARES = region_of(Recipe.named("germain2021_single").sample)
LEFT, RIGHT, UNKNOWN, REGION = (LABEL_OF_SIDE[side] for side in (Side.LEFT, Side.RIGHT, Side.UNKNOWN, Side.NONE))


def series_of(slices: int = 4, direction: np.ndarray | None = None) -> Series:
    voxels = np.random.default_rng(0).uniform(0, 1000, (slices, 60, 120)).astype(np.float32)
    direction = np.eye(3) if direction is None else direction
    middle = direction @ [59.5 * 3, 29.5 * 3, 0]
    return Series(voxels, Geometry(tuple(-middle), (3.0, 3.0, 10.0), direction))


def legs() -> np.ndarray:
    """Both legs as drawn, each of 30 × 40 pixels of 3 mm, the right one in the columns before the left one."""
    labels = np.zeros((4, 60, 120), np.uint8)
    labels[:, 10:50, 15:45], labels[:, 10:50, 75:105] = RIGHT, LEFT
    return labels


def codes(regions: Regions) -> list[WarningCode]:
    return [warning.code for warning in regions.warnings]


def test_a_region_as_a_person_draws_it_is_taken_as_it_is():
    found = LEGS.from_labels(series_of(), legs())
    np.testing.assert_array_equal(found.labels, legs())
    assert codes(found) == []


@pytest.mark.parametrize(("rows", "columns"), [(slice(0, 1), slice(0, 1)), (slice(0, 5), slice(55, 62))])
def test_islands_beside_a_leg_move_nothing_and_are_told(rows, columns):
    drawn = legs()
    drawn[1:3, rows, columns] = LEFT
    found, clean = LEGS.from_labels(series_of(), drawn), LEGS.from_labels(series_of(), legs())
    assert [window.box for window in found.windows] == [window.box for window in clean.windows]
    np.testing.assert_array_equal(found.labels, legs())
    (warning,) = found.warnings
    assert warning.code is WarningCode.REGION_CLEANED
    assert all(words in warning.message for words in ("“Left leg”", "slices 1-2", "15 %"))


@pytest.mark.parametrize("edge", [1, 4, 12])
def test_a_slice_with_specks_is_a_slice_without_a_region(edge):
    drawn = legs()
    drawn[2] = 0
    drawn[2, 20 : 20 + edge, 20 : 20 + edge], drawn[2, 20 : 20 + edge, 80 : 80 + edge] = RIGHT, LEFT
    found = LEGS.from_labels(series_of(), drawn)
    assert {window.slice for window in found.windows} == {0, 1, 3}
    assert [item.slice for item in found.skipped] == [2]
    assert codes(found) == [WarningCode.REGION_CLEANED]
    assert all(words in found.warnings[0].message for words in ("slice 2", "8 cm²"))


def test_holes_such_as_bone_are_filled_and_told():
    drawn = legs()
    drawn[:, 25:30, 85:90] = 0
    drawn[0, 27, 87] = RIGHT
    found = LEGS.from_labels(series_of(), drawn)
    np.testing.assert_array_equal(found.labels, legs())
    assert "Holes of “Left leg” in slices 0-3 were filled." in found.warnings[0].message


def test_nothing_but_specks_is_refused():
    drawn = np.zeros_like(legs())
    drawn[1, 4, 4] = LEFT
    with pytest.raises(InputError, match=r"too small .* 8 cm²"):
        LEGS.from_labels(series_of(), drawn)


def test_a_pixel_that_touches_by_its_corner_is_no_island():
    drawn = legs()
    drawn[1, 9, 14], drawn[2, 50, 105] = RIGHT, UNKNOWN
    drawn[2][drawn[2] == LEFT] = UNKNOWN
    found = LEGS.from_labels(series_of(), drawn)
    assert codes(found) == []
    assert len([window for window in found.windows if window.side is Side.UNKNOWN]) == 1


def test_muscles_drawn_apart_are_one_leg():
    drawn = legs()
    drawn[:, 28:31, 75:105] = 0
    found = LEGS.from_labels(series_of(), drawn)
    np.testing.assert_array_equal(found.labels, drawn)
    assert codes(found) == []


def test_a_stray_click_does_not_move_a_square():
    series = series_of()
    drawn = np.zeros(series.voxels.shape, np.uint8)
    drawn[:, 20:30, 50:60] = REGION
    clean = SQUARES.from_labels(series, drawn)
    drawn[1, 59, 119] = REGION
    found = SQUARES.from_labels(series, drawn)
    assert [window.box for window in found.windows] == [window.box for window in clean.windows]
    assert codes(found) == [WarningCode.REGION_CLEANED]
    drawn[2] = 0
    drawn[2, 5, 5] = REGION
    assert [item.slice for item in SQUARES.from_labels(series, drawn).skipped] == [2]


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, -1.0, 1.0])], ids=["supine", "turned"])
def test_names_that_lie_on_the_other_side_make_the_side_unknown(direction):
    series = series_of(direction=direction)
    drawn = legs() if direction[0, 0] < 0 else np.array([0, RIGHT, LEFT], np.uint8)[legs()]
    found = LEGS.from_labels(series, drawn)
    assert {window.side for window in found.windows} == {Side.UNKNOWN}
    assert len(found.windows) == 8, "each leg keeps its own image"
    assert codes(found) == [WarningCode.SIDE_CONTRADICTED]
    assert "“Left leg” lies on the patient's right in slices 0-3" in found.warnings[0].message
    np.testing.assert_array_equal(found.labels > 0, drawn > 0)


def test_names_exchanged_in_one_slice_are_found_there():
    drawn = legs()
    drawn[2] = np.array([0, RIGHT, LEFT], np.uint8)[drawn[2]]
    found = LEGS.from_labels(series_of(), drawn)
    assert {window.slice for window in found.windows if window.side is Side.UNKNOWN} == {2}
    assert "in slice 2 and" in found.warnings[0].message


def test_a_leg_drawn_as_the_other_one_where_that_is_not_drawn_is_found():
    drawn = legs()
    drawn[1] = np.where(drawn[1] == LEFT, RIGHT, 0)
    found = LEGS.from_labels(series_of(), drawn)
    assert [(window.slice, window.side) for window in found.windows if window.side is Side.UNKNOWN] == [
        (1, Side.UNKNOWN)
    ]
    everywhere = LEGS.from_labels(series_of(), np.where(legs() > 0, RIGHT, 0).astype(np.uint8))
    assert codes(everywhere) == [WarningCode.SIDE_CONTRADICTED], "the left leg is drawn, under another name"


def test_no_side_is_contradicted_where_the_header_tells_none():
    series = dataclasses.replace(series_of(), orientation_known=False)
    assert codes(LEGS.from_labels(series, np.array([0, RIGHT, LEFT], np.uint8)[legs()])) == []


def test_a_single_drawn_leg_is_held_against_both_legs_of_the_images():
    """Of a patient who lies off the scanner's middle, so that both legs are on one side of it."""
    pair = make_leg_pair(3, -20)
    labels = pair.legs[None]
    columns = np.nonzero(labels == LEFT)[2]
    _, y, z = pair.series.geometry.origin
    off = Geometry((-columns.mean() * 0.8 - 60, y, z), pair.series.geometry.spacing, np.eye(3))
    series = dataclasses.replace(pair.series, geometry=off)
    for name, contradicted in ((LEFT, False), (RIGHT, True)):
        found = LEGS.from_labels(series, np.where(labels == LEFT, name, 0).astype(np.uint8))
        assert (WarningCode.SIDE_CONTRADICTED in codes(found)) is contradicted


def test_one_leg_of_two_is_told():
    pair = make_leg_pair(3, -20)
    found = LEGS.from_labels(pair.series, np.where(pair.legs == LEFT, LEFT, 0).astype(np.uint8)[None])
    assert codes(found) == [WarningCode.CASE_INCOMPLETE]
    assert "only the left one is drawn" in found.warnings[0].message
    assert codes(LEGS.from_labels(pair.series, pair.legs[None])) == []


def test_a_correction_by_the_panel_counts_as_a_region_from_a_file():
    series, drawn = series_of(), legs()
    automatic = dataclasses.replace(
        LEGS.from_labels(series, drawn),
        windows=tuple(dataclasses.replace(w, source="auto") for w in LEGS.from_labels(series, drawn).windows),
    )
    drawn[1, 0, 0] = LEFT
    drawn[2, 25:30, 85:90] = 0
    found = LEGS.corrected(series, automatic, drawn)
    np.testing.assert_array_equal(found.labels, automatic.labels)
    assert {window.source for window in found.windows} == {"auto"}
    assert codes(found) == [WarningCode.REGION_CLEANED]
    drawn[3] = np.array([0, RIGHT, LEFT], np.uint8)[drawn[3]]
    found = LEGS.corrected(series, automatic, drawn)
    assert {window.slice for window in found.windows if window.side is Side.UNKNOWN} == {3}
    assert [item for item in found.skipped if item.slice == 3] == []
    assert codes(found) == [WarningCode.REGION_CLEANED, WarningCode.SIDE_CONTRADICTED]


def test_what_was_found_stays_where_nothing_was_drawn():
    """An automatic outline may have islands; they are left alone where the reader left it alone."""
    series, found = series_of(), legs()
    found[1, 0, 0] = LEFT
    automatic = Regions(found, ())
    drawn = found.copy()
    drawn[3, 10:12] = 0
    assert LEGS.corrected(series, automatic, drawn).labels[1, 0, 0] == LEFT


def test_a_region_for_another_kind_of_model_is_refused():
    drawn = np.where(legs() > 0, REGION, 0).astype(np.uint8)
    with pytest.raises(InputError, match="The model looks at legs"):
        LEGS.from_labels(series_of(), drawn)


@pytest.mark.parametrize("values", [(1, 2), (2, 1), (40, 7)])
def test_two_labels_without_names_are_the_legs_by_their_place(values):
    one_map = np.array([0, *values], np.int32)[legs()]
    np.testing.assert_array_equal(LEGS.labels_of_map(series_of(), one_map), legs())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (legs() > 0, "1 label on these images;"),
        (legs() + (legs() > 0) * np.arange(4)[:, None, None], "5 labels on these images;"),
    ],
    ids=["one", "many"],
)
def test_a_label_map_that_is_no_two_legs_is_told_what_to_give(labels, message):
    with pytest.raises(InputError, match=message):
        LEGS.labels_of_map(series_of(), labels)


def test_two_labels_of_one_side_are_no_legs():
    front = np.where(np.arange(60)[:, None] < 30, 1, 2) * (legs() == LEFT)
    with pytest.raises(InputError, match="do not lie on two sides"):
        LEGS.labels_of_map(series_of(), front)


def windows(*sides: tuple[int, Side]) -> list[Window]:
    return [Window(k, side, (0, 1), (0, 1), np.ones((1, 1), bool)) for k, side in sides]


BOTH = [(k, side) for k in range(6) for side in (Side.LEFT, Side.RIGHT)]


@pytest.mark.parametrize(
    ("fits", "skipped", "told"),
    [
        ([True] * 12, (), None),
        ([side is Side.RIGHT for _, side in BOTH], (), "6 of 12 .* the left leg"),
        ([k > 1 for k, _ in BOTH], (), "4 of 12"),
        ([k > 0 for k, _ in BOTH], (), None),
        ([True] * 12, [Skipped(k, None, LEFT_OUT) for k in (6, 7, 8)], "6 of 18"),
        ([True] * 12, [Skipped(k, None, NOT_DRAWN) for k in (6, 7, 8)], "6 of 18"),
        ([True] * 12, [Skipped(k, None, "no leg found") for k in (6, 7, 8)], None),
        ([False] * 12, (), None),  # then all of them are counted, under another warning
    ],
)
def test_a_leg_or_a_third_of_the_images_that_leave_the_case_is_told(fits, skipped, told):
    found = list(incomplete(windows(*BOTH), fits, skipped))
    assert [warning.code for warning in found] == [WarningCode.CASE_INCOMPLETE] * (told is not None)
    assert told is None or re.search(told, found[0].message)
