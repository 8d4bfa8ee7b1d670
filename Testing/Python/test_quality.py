"""Each warning on an input that deserves it, and not on one that does not."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice

import leg_pairs
import numpy as np
import pytest
from leg_pairs import make_leg_pair

from DystrophyDxLib.models.recipe import SampleRecipe
from DystrophyDxLib.phantom import Phantom, make_phantom
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.windows import Side, Window
from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.samples.cut_legs import HALF, share_lost
from DystrophyDxLib.samples.legs import LegSlices
from DystrophyDxLib.samples.quality import (
    ImageQuality,
    input_warnings,
    judge_images,
    share_outside_muscle,
    thigh_images,
)
from DystrophyDxLib.samples.slice_samples import make_samples
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.series import Acquisition, Geometry, Series

SIZE = 224


def judged(series: Series):
    regions = find_legs(series)
    qualities = judge_images(series, make_samples(series, regions.windows, SIZE))
    thigh = thigh_images(regions.windows, qualities)
    warnings = input_warnings(series, regions, qualities, thigh, made_for_thighs=True)
    codes = {warning.code for warning in warnings}
    return regions, thigh, codes


def fat_darkened(series: Series) -> Series:
    """The series as fat suppression would show it: what is brighter than muscle becomes darker than it."""
    voxels = series.voxels
    tissue = voxels[voxels > 0.1 * np.percentile(voxels, 99.5)]
    muscle = np.percentile(tissue, 20)
    return dataclasses.replace(series, voxels=np.where(voxels > 1.6 * muscle, 0.25 * muscle, voxels))


@pytest.fixture(scope="module")
def healthy():
    return make_phantom(7, "healthy").series


def test_a_t1_weighted_thigh_deserves_no_warning():
    series = make_phantom(97, "DMD").series
    _, thigh, codes = judged(series)
    assert all(thigh)
    assert codes == set()


def phantoms_where(wanted: Callable[[Phantom], bool], seeds: range, diagnosis: str | None = None) -> Iterator[Phantom]:
    """Phantoms of whom something holds; a coarse one tells whether it does, in a fifth of the time."""
    for seed in seeds:
        if wanted(make_phantom(seed, diagnosis, slices=1, matrix=64)):
            yield make_phantom(seed, diagnosis, slices=2)


@pytest.fixture(scope="module")
def severe() -> list[Series]:
    """Thighs in which three quarters of the muscle are fat."""
    found = (
        islice(phantoms_where(lambda phantom: phantom.severity > 0.7, range(199), diagnosis), 4)
        for diagnosis in ("DMD", "GNE")
    )
    return [phantom.series for phantom in chain(*found)]


def test_severe_disease_is_still_a_t1_weighted_thigh(severe):
    codes = [judged(series)[2] for series in severe]
    assert len(codes) == 8
    assert sum(bool(one & {WarningCode.NOT_T1_WEIGHTED, WarningCode.NOT_THIGH}) for one in codes) <= 1


def test_a_childs_thin_femur_is_found():
    found, images = 0, 0
    for phantom in phantoms_where(lambda phantom: 5 <= phantom.age_years < 12, range(400, 480)):
        if not phantom.series.acquisition.laterality:
            _, thigh, _ = judged(phantom.series)
            found, images = found + sum(thigh), images + len(thigh)
    assert images >= 20
    assert found >= 0.75 * images


@pytest.mark.parametrize(
    "acquisition",
    [
        Acquisition(modality="MR", repetition_time_ms=4000, echo_time_ms=80, scanning_sequence=("SE",)),
        Acquisition(modality="MR", repetition_time_ms=600, echo_time_ms=90),
        Acquisition(modality="MR", repetition_time_ms=600, echo_time_ms=12, scan_options=("FS",)),
        Acquisition(
            modality="MR", repetition_time_ms=1000, echo_time_ms=12, scanning_sequence=("IR",), inversion_time_ms=150
        ),
    ],
)
def test_the_header_can_say_that_it_is_not_t1_weighted(healthy, acquisition):
    assert WarningCode.NOT_T1_WEIGHTED in judged(dataclasses.replace(healthy, acquisition=acquisition))[2]


@pytest.mark.parametrize("size", [112, 448])
def test_what_an_image_shows_does_not_depend_on_the_size_of_a_models_samples(healthy, size):
    windows = find_legs(healthy).windows
    as_shipped, other = (judge_images(healthy, make_samples(healthy, windows, edge)) for edge in (SIZE, size))
    assert other == as_shipped


def with_shin_bones(pair: leg_pairs.LegPair) -> Series:
    """The pair of legs with a second, larger bone in each, close to the skin, as a shin has it."""
    rows, columns = np.indices(pair.legs.shape)
    image, (pixel_mm, _, _) = pair.series.voxels[0].copy(), pair.series.geometry.spacing
    for label in (1, 2):
        leg_rows, leg_columns = np.nonzero(pair.legs == label)
        front = leg_rows.min() + 27 / pixel_mm
        distance = np.hypot(rows - front, columns - leg_columns.mean()) * pixel_mm
        image[distance < 16], image[distance < 12] = 700 * leg_pairs.CORTEX, 700 * leg_pairs.MARROW
    return Series(image[None], pair.series.geometry)


def test_where_muscle_is_as_dark_as_bone_the_femur_is_told_by_its_marrow(monkeypatch):
    """As in images of fat alone (Dixon)."""
    monkeypatch.setattr(leg_pairs, "MUSCLE", 0.06)
    pair = make_leg_pair(1, -30, shading=1.2)
    assert WarningCode.NOT_THIGH not in judged(pair.series)[2]
    _, thigh, codes = judged(with_shin_bones(pair))
    assert not any(thigh)
    assert WarningCode.NOT_THIGH in codes


@pytest.mark.parametrize("name", ["lgmdr2_fat", "dystrophy_unnamed_fat"])
def test_real_thighs_in_images_of_fat_alone_are_recognised(shared, name):
    regions, thigh, codes = judged(read_study(shared(f"dystrophy_dixon/{name}.nii.gz")))
    assert WarningCode.NOT_THIGH not in codes
    between_knee_and_hip = [n for n, window in enumerate(regions.windows) if 3 <= window.slice <= 10]
    assert np.mean([thigh[n] for n in between_knee_and_hip]) >= 0.9
    assert not any(thigh[n] for n, window in enumerate(regions.windows) if window.slice >= 13)


def test_real_lower_legs_in_images_of_fat_alone_are_not_thighs(shared):
    _, thigh, _ = judged(read_study(shared("calf/fat.nii.gz")))
    assert not any(thigh)


def test_without_a_header_the_fat_says_it(healthy):
    silent = dataclasses.replace(healthy, acquisition=Acquisition())
    assert WarningCode.NOT_T1_WEIGHTED not in judged(silent)[2]
    assert WarningCode.NOT_T1_WEIGHTED in judged(fat_darkened(silent))[2]


def test_out_of_phase_images_are_not_t1_weighted(shared_nifti):
    assert WarningCode.NOT_T1_WEIGHTED in judged(shared_nifti("thighs"))[2]


@pytest.mark.parametrize("name", ["STS_009", "STS_013", "STS_014", "STS_022", "STS_045", "STS_050"])
def test_real_t1_weighted_thighs_are_recognised(shared_dicom, name):
    codes = judged(shared_dicom(name))[2]
    assert len(codes) == 1
    assert codes < {WarningCode.PARTIAL_FIELD_OF_VIEW, WarningCode.MOSTLY_OUT_OF_VIEW}


def test_lower_legs_are_not_thighs(shared_nifti):
    _, thigh, codes = judged(shared_nifti("lower_legs"))
    assert WarningCode.NOT_THIGH in codes
    assert not any(thigh)


def test_knee_slices_of_a_thigh_series_are_recognised(shared_dicom):
    regions, thigh, codes = judged(shared_dicom("STS_013"))
    shown = {window.slice: is_thigh for window, is_thigh in zip(regions.windows, thigh, strict=True)}
    assert not any(shown[k] for k in range(10, 33))
    assert all(shown[k] for k in range(45, 107))
    assert WarningCode.NOT_THIGH not in codes


def test_a_sagittal_series_is_not_axial(healthy):
    direction = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float)
    sagittal = dataclasses.replace(
        healthy, geometry=Geometry(healthy.geometry.origin, healthy.geometry.spacing, direction)
    )
    regions, _, codes = judged(sagittal)
    assert WarningCode.NOT_AXIAL in codes
    assert {window.side for window in regions.windows} == {Side.UNKNOWN}


def test_touching_legs_and_cut_legs_are_named():
    touching = make_leg_pair(1, 40).series
    assert WarningCode.LEGS_TOUCHING in judged(touching)[2]
    assert WarningCode.LEGS_TOUCHING not in judged(make_leg_pair(1, -30).series)[2]
    for first_column, code in ((150, WarningCode.PARTIAL_FIELD_OF_VIEW), (340, WarningCode.MOSTLY_OUT_OF_VIEW)):
        cut = judged(Series(touching.voxels[:, :, first_column:], touching.geometry))
        assert cut[2] - {WarningCode.LEGS_TOUCHING} == {code}, cut[0].windows


def round_leg(cut_columns: int) -> tuple[Window, Series]:
    """A round leg of radius 50 pixels of 2 mm, of which the border of the image takes so many columns."""
    rows, columns = np.mgrid[:100, :100] + 0.5
    mask = (np.hypot(rows - 50, columns - 50) < 50)[:, cut_columns:]
    series = Series(np.ones((1, 120, 130), np.float32), Geometry((0.0, 0.0, 0.0), (2.0, 2.0, 6.0), np.eye(3)))
    return Window(0, Side.LEFT, (0, mask.shape[1]), (10, 110), mask), series


@pytest.mark.parametrize("cut_columns", [2, 6, 15, 30])
def test_how_much_of_a_leg_is_cut_off_is_told_by_its_outline(cut_columns):
    whole, part = (np.count_nonzero(round_leg(columns)[0].mask) for columns in (0, cut_columns))
    assert share_lost(*round_leg(cut_columns)) == pytest.approx(1 - part / whole, abs=0.012)


def test_more_than_half_a_leg_is_told_as_half():
    assert share_lost(*round_leg(60)) == HALF
    window, series = round_leg(0)
    assert share_lost(dataclasses.replace(window, i=(3, 103)), series) == 0


def test_the_warning_says_how_much_is_cut_off():
    touching = make_leg_pair(1, 40).series
    cut = Series(touching.voxels[:, :, 150:], touching.geometry)
    regions = find_legs(cut)
    batch = make_samples(cut, regions.windows, SIZE)
    qualities = judge_images(cut, batch)
    told = input_warnings(cut, regions, qualities, [True] * len(qualities), made_for_thighs=True)
    [message] = [warning.message for warning in told if warning.code is WarningCode.PARTIAL_FIELD_OF_VIEW]
    assert re.search(r"in slice 0, where by its outline about \d+ % of the leg is cut off; the answer", message)


def test_a_fat_image_by_its_header_is_judged_by_its_look_as_one_without_a_header(healthy):
    fat, water = (
        dataclasses.replace(healthy, acquisition=Acquisition(modality="MR", image_type=("DERIVED", "PRIMARY", kind)))
        for kind in ("FAT", "WATER")
    )
    assert WarningCode.NOT_T1_WEIGHTED not in judged(fat)[2]
    assert WarningCode.NOT_T1_WEIGHTED in judged(water)[2]
    assert WarningCode.NOT_T1_WEIGHTED in judged(fat_darkened(fat))[2]


@pytest.mark.parametrize(
    ("femur", "thigh"),
    [
        ("10110", "11110"),
        ("1001100", "0001100"),
        ("0010101", "0001011"),
        ("0110001", "0110000"),
        ("1000", "1000"),
        ("1", "1"),
        ("10", "10"),
    ],
)
def test_a_slice_between_two_thigh_slices_is_a_thigh_and_one_that_stands_apart_is_none(femur, thigh):
    windows = [Window(k, Side.LEFT, (0, 9), (0, 9), np.ones((9, 9), bool)) for k in range(len(femur))]
    qualities = [ImageQuality(seen == "1", 2.0, 1.0) for seen in femur]
    assert thigh_images(windows, qualities) == [shown == "1" for shown in thigh]


def test_heat_in_subcutaneous_fat_is_told_from_heat_in_muscle():
    y, x = np.mgrid[:56, :56] - 27.5
    radius = np.hypot(y, x)
    inside, grid = radius < 26, np.where(radius < 16, 0.35, 1.0).astype(np.float32)
    in_muscle, in_fat = (radius < 10).astype(np.float32), ((radius > 19) & inside).astype(np.float32)
    assert share_outside_muscle(in_muscle, grid, inside) < 0.05
    assert share_outside_muscle(in_fat, grid, inside) > 0.95
    assert share_outside_muscle(np.zeros_like(grid), grid, inside) == 0


def test_dark_fat_is_noticed_in_noise_and_whatever_the_header_says(healthy):
    """Water images: fat is the darkest tissue itself, so that nothing is left to compare it with but the muscle."""
    dark = fat_darkened(healthy)
    noise = np.random.default_rng(0).normal(0, 0.04 * np.percentile(dark.voxels, 99), dark.voxels.shape)
    noisy = dataclasses.replace(dark, voxels=np.abs(dark.voxels + noise).astype(np.float32))
    assert noisy.acquisition.t1_weighted
    assert WarningCode.NOT_T1_WEIGHTED in judged(noisy)[2]


def test_a_region_given_as_it_was_found_keeps_what_was_said_of_it():
    pair = make_leg_pair(1, 40)
    found, legs = find_legs(pair.series), LegSlices(SampleRecipe(size=SIZE))
    assert legs.from_labels(pair.series, found.labels).touching == found.touching == (0,)
    assert legs.from_labels(pair.series, pair.legs[None]).touching == (), "a person drew that border"
