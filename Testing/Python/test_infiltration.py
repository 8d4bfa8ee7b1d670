"""Fat of each muscle, from Dixon and T1-weighted images, with an interval and a grade; or why it cannot be told."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk

from DystrophyDxLib.muscles.fat_reference import fat_field
from DystrophyDxLib.muscles.infiltration import (
    HEALTHY_FAT,
    MERCURI,
    FatScale,
    Undecided,
    fat_of_muscles,
    mercuri_grade,
    scale_of,
)
from DystrophyDxLib.muscles.muscle_voxels import MuscleVoxels
from DystrophyDxLib.muscles.structures import FEMUR, MUSCLES, SUBCUTANEOUS_FAT
from DystrophyDxLib.phantom.thigh import make_phantom
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.series.series import Acquisition, Geometry, Series

GEOMETRY = Geometry((0.0, 0.0, 0.0), (1.0, 1.0, 10.0), np.eye(3))
GRACILIS, SARTORIUS, VASTUS = (MUSCLES.index(name) + 1 for name in ("gracilis", "sartorius", "vastus lateralis"))


def thigh(fat_of, shading=0.0, muscle=0.3):
    """A left leg of 3 slices: three muscles in fat, with so much fat each, seen by a coil that is brighter on one side.

    Returns:
        The series, the labels and the leg.
    """
    labels, leg = np.zeros((3, 80, 80), np.uint8), np.zeros((3, 80, 80), bool)
    leg[:, 5:75, 5:75] = True
    labels[:, 8:72, 8:72] = SUBCUTANEOUS_FAT
    for row, label in ((16, GRACILIS), (32, SARTORIUS), (48, VASTUS)):
        labels[:, row : row + 12, 20:60] = label
    signal = np.where(leg, 1.0, 0.0)
    for label, fat in fat_of.items():
        signal[labels == label] = muscle + (1 - muscle) * fat
    signal *= np.exp(shading * np.linspace(-1, 1, 80))
    return Series((500 * signal).astype(np.float32), GEOMETRY), labels, leg


def found(series, labels, leg, channels=None, heat=None):
    sides = np.where(labels > 0, leg, 0).astype(np.uint8)
    voxels = MuscleVoxels.of(labels, sides, min(series.geometry.spacing[:2]))
    scale = scale_of(series, channels or {"T1": series.voxels}, labels, voxels, leg > 0)
    heated = np.zeros(labels.shape, bool) if heat is None else heat
    rows = fat_of_muscles(voxels, heated.ravel()[voxels.index], series.geometry.spacing, scale)
    return {(row.side, row.muscle): row for row in rows}, scale


def test_grey_between_healthy_muscle_and_fat_is_the_fat_whatever_the_coil_does():
    for shading in (0.0, 0.6):
        rows, scale = found(*thigh({GRACILIS: 0.0, SARTORIUS: 0.3, VASTUS: 0.7}, shading))
        assert scale.source == "T1-weighted"
        assert not scale.note
        fat = [rows["left", name].fat_fraction for name in ("gracilis", "sartorius", "vastus lateralis")]
        assert fat == pytest.approx([HEALTHY_FAT, 0.3, 0.7], abs=0.04)
        assert [rows["left", name].mercuri for name in ("gracilis", "vastus lateralis")] == [1, 4]
        assert all(row.fat_ci95[0] <= row.fat_fraction <= row.fat_ci95[1] for row in rows.values())


def test_a_fat_image_alone_is_not_called_t1_weighted():
    rows, scale = found(*thigh({GRACILIS: 0.0, SARTORIUS: 0.3, VASTUS: 0.7}, muscle=0.05))
    assert scale.source == "fat image"
    assert rows["left", "vastus lateralis"].fat_fraction == pytest.approx(0.7, abs=0.06)
    series, labels, leg = thigh({GRACILIS: 0.0, SARTORIUS: 0.3, VASTUS: 0.7}, muscle=0.25)
    assert found(series, labels, leg)[1].source == "T1-weighted"
    by_header = Acquisition(image_type=("DERIVED", "PRIMARY", "DIXON", "FAT"))
    named = found(dataclasses.replace(series, acquisition=by_header), labels, leg)[1]
    assert named.source == "fat image", "where the header says so, whatever it looks like"


def test_volume_and_slices_are_those_of_the_map():
    series, labels, leg = thigh({GRACILIS: 0.0, SARTORIUS: 0.3, VASTUS: 0.7})
    labels[2][labels[2] == SARTORIUS] = 0
    heat = np.zeros(labels.shape, bool)
    heat[0] = True
    rows, _ = found(series, labels, leg, heat=heat)
    sartorius = rows["left", "sartorius"]
    assert sartorius.volume_ml == pytest.approx(2 * 12 * 40 * 10 / 1000)
    assert [part.slice for part in sartorius.slices] == [0, 1]
    assert sartorius.slices[0].fat_fraction == pytest.approx(0.3, abs=0.05)
    assert (sartorius.under_heat, sartorius.voxels, sartorius.score) == (480, 960, 0.5)
    assert rows["left", "gracilis"].score == pytest.approx(1 / 3)


def test_fat_between_muscles_does_not_count_as_fat_in_them():
    """Partial volume: the outermost pixel of every muscle is half fat."""
    series, labels, leg = thigh({GRACILIS: 0.0, SARTORIUS: 0.0, VASTUS: 0.0})
    grown = labels.copy()
    for label in (GRACILIS, SARTORIUS, VASTUS):
        rows, columns = np.nonzero(labels[0] == label)
        grown[:, rows.min() - 1 : rows.max() + 2, columns.min() - 1 : columns.max() + 2] = label
    rows, _ = found(series, grown, leg)
    assert all(row.fat_fraction < 0.08 for row in rows.values())


def test_dixon_images_tell_the_fat_directly():
    series, labels, leg = thigh({GRACILIS: 0.0, SARTORIUS: 0.3, VASTUS: 0.7})
    fraction = np.where(leg, 0.9, 0).astype(np.float32)
    fraction[labels == VASTUS] = 0.42
    both = {"DIXON_FAT": 300 * fraction, "DIXON_WATER": 300 * (1 - fraction)}
    for channels in (both, {"DIXON_FF": fraction}, {"DIXON_FF": 100 * fraction}):
        rows, scale = found(series, labels, leg, channels)
        assert scale.source == "Dixon"
        vastus = rows["left", "vastus lateralis"]
        assert vastus.fat_fraction == pytest.approx(0.42, abs=1e-4)
        assert vastus.mercuri == 3
        assert vastus.fat_ci95 == pytest.approx((0.39, 0.45), abs=1e-3)


def test_at_the_end_stage_no_muscle_is_taken_for_healthy():
    rows, scale = found(*thigh({GRACILIS: 0.75, SARTORIUS: 0.8, VASTUS: 0.95}))
    assert "No muscle looks healthy" in scale.note
    assert all(row.fat_fraction > 0.5 for row in rows.values())
    assert all(row.fat_ci95[1] - row.fat_ci95[0] > 0.2 for row in rows.values())
    assert rows["left", "vastus lateralis"].mercuri == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"acquisition": Acquisition(scan_options=("FS",))}, "suppressed"),
        ({"acquisition": Acquisition(image_type=("OUT_OF_PHASE",))}, "opposed to water"),
    ],
)
def test_images_whose_fat_is_not_bright_tell_nothing(change, said):
    series, labels, leg = thigh({GRACILIS: 0.0, SARTORIUS: 0.3, VASTUS: 0.7})
    rows, scale = found(dataclasses.replace(series, **change), labels, leg)
    assert isinstance(scale, Undecided)
    assert said in scale.why
    assert all(
        row.fat_fraction is None and row.mercuri is None and said in row.why and row.volume_ml > 0
        for row in rows.values()
    )
    dark = dataclasses.replace(series, voxels=np.where(labels == SUBCUTANEOUS_FAT, 0.2, 1) * series.voxels)
    assert "not brighter than muscle" in found(dark, labels, leg)[1].why


def test_without_fat_in_view_the_marrow_stands_for_it_and_without_either_nothing_is_told():
    series, labels, _leg = thigh({GRACILIS: 0.0, SARTORIUS: 0.3, VASTUS: 0.7})
    muscles = (labels > 0) & (labels < FEMUR)
    bare = np.where(muscles, labels, 0).astype(np.uint8)
    only = dataclasses.replace(series, voxels=np.where(muscles, series.voxels, 0))
    assert "Neither fat under the skin nor marrow" in found(only, bare, muscles)[1].why
    bare[:, 44:72, 62:78], only.voxels[:, 44:72, 62:78] = FEMUR, 500
    rows, scale = found(only, bare, bare > 0)
    assert "marrow" in scale.note
    assert rows["left", "vastus lateralis"].fat_fraction == pytest.approx(0.7, abs=0.05)


def test_fat_is_found_where_the_map_names_muscles_alone():
    series, labels, leg = thigh({GRACILIS: 0.0, SARTORIUS: 0.3, VASTUS: 0.7}, shading=0.5)
    muscles = np.where(labels == SUBCUTANEOUS_FAT, 0, labels)
    muscles[labels == GRACILIS] = 0  # a muscle that nobody has drawn is no fat
    field = fat_field(series, muscles, leg)
    for label, signal in ((SUBCUTANEOUS_FAT, 1), (SARTORIUS, 0.51)):
        relative = field.relative(series.voxels, np.flatnonzero(labels == label))
        assert relative.mean() == pytest.approx(signal, abs=0.03)


def test_an_interval_over_a_whole_grade_has_no_grade():
    labels = np.zeros((1, 20, 20), np.uint8)
    labels[:, 5:15, 5:15] = GRACILIS

    def row_of(labels):
        voxels = MuscleVoxels.of(labels, labels // np.uint8(GRACILIS), 1.0)
        signal = np.full(len(voxels.index), 0.35, np.float32)
        scale = FatScale("Dixon", signal, lambda own, _: np.stack([own, own - 0.3, own]))
        (row,) = fat_of_muscles(voxels, signal > 1, (1.0, 1.0, 5.0), scale)
        return row

    row = row_of(labels)
    assert (row.fat_fraction, row.mercuri) == (0.35, None)
    assert "from grade 1 to grade 3" in row.why
    labels[:] = 0
    labels[:, 0, :5] = GRACILIS
    row = row_of(labels)
    assert row.fat_fraction is None
    assert "Too few voxels" in row.why


def test_grades_begin_at_their_published_limits():
    assert [mercuri_grade(limit) for limit in MERCURI] == [2, 3, 4]
    assert [mercuri_grade(limit - 1e-6) for limit in MERCURI] == [1, 2, 3]


@pytest.fixture(scope="module")
def errors():
    """True and found fat of each muscle of some phantoms, with the interval, by contrast."""
    rows = {"T1": [], "DIXON_FAT": []}
    for seed, diagnosis in enumerate(("healthy", "BMD", "DMD", "LGMD2I", "FSHMD", "GNE")):
        phantom = make_phantom(700 + seed, diagnosis, 3, 128, tuple(rows), legs="left")
        labels, legs = phantom.structures, phantom.legs
        for contrast, of_contrast in rows.items():
            for (_, name), row in found(phantom.images[contrast], labels, legs)[0].items():
                own = (labels == MUSCLES.index(name) + 1) & (legs > 0)
                if row.fat_fraction is not None and own.sum() > 60:
                    of_contrast.append((phantom.fat_fraction[own].mean(), row.fat_fraction, *row.fat_ci95))
    return {contrast: np.array(of_contrast) for contrast, of_contrast in rows.items()}


def test_intervals_of_fat_images_hold_the_true_fat_of_phantoms(errors):
    true, said, low, high = errors["DIXON_FAT"].T
    assert np.abs(true - said).mean() < 0.08
    assert ((low <= true) & (true <= high)).mean() > 0.8


def test_fat_by_grey_is_near_the_true_fat_of_phantoms_in_every_grade(errors):
    true, said, low, high = errors["T1"].T
    grades = np.array([mercuri_grade(fat) for fat in true])
    assert set(grades) == {1, 2, 3, 4}
    assert [np.abs(true - said)[grades == grade].mean() < 0.12 for grade in (1, 2, 3, 4)] == [True] * 4
    assert ((low <= true) & (true <= high)).mean() > 0.8


def test_thin_fat_full_of_partial_volume_is_no_darker_than_marrow():
    series, labels, leg = thigh({GRACILIS: 0.0, SARTORIUS: 0.3, VASTUS: 0.7})
    labels[:, 61:75, 22:58] = FEMUR
    rim = leg & ((labels == SUBCUTANEOUS_FAT) | (labels == 0))
    thin = rim.copy()
    thin[:, 14:66, 14:66] = False
    bare = np.where(labels == SUBCUTANEOUS_FAT, 0, labels).astype(np.uint8)
    bare[:, 8:13, 8:72] = SUBCUTANEOUS_FAT
    voxels = np.where(labels == FEMUR, 500, np.where(thin, 0.75, 1) * series.voxels).astype(np.float32)
    rows, _ = found(dataclasses.replace(series, voxels=voxels), bare, leg)
    assert rows["left", "vastus lateralis"].fat_fraction == pytest.approx(0.7, abs=0.06)


@pytest.mark.parametrize("patient", ["lgmdr2", "dystrophy_unnamed"])
def test_grey_of_real_patients_tells_about_what_their_dixon_images_tell(shared, patient):
    """T1-like images of two patients with a muscular dystrophy, under the map of their muscles."""
    fat, water, muscles = (
        sitk.ReadImage(str(shared(f"dystrophy_dixon/{patient}_{name}.nii.gz"))) for name in ("fat", "water", "muscles")
    )
    geometry = Geometry(fat.GetOrigin(), fat.GetSpacing(), np.reshape(fat.GetDirection(), (3, 3)))
    fat, water, labels = map(sitk.GetArrayFromImage, (fat, water, muscles))
    fat, water, labels = fat.astype(np.float32), water.astype(np.float32), labels.astype(np.uint8)
    series = Series(500 * (fat / np.percentile(fat, 99) + 0.3 * water / np.percentile(water, 99)), geometry)
    legs = find_legs(series).labels
    grey, _ = found(series, labels, legs)
    dixon, _ = found(series, labels, legs, {"DIXON_FAT": fat, "DIXON_WATER": water})
    assert len(grey) == len(dixon) == 22
    apart = np.array([grey[key].fat_fraction - dixon[key].fat_fraction for key in dixon])
    assert np.abs(apart).mean() <= 0.10
    assert np.mean([grey[k].fat_ci95[0] <= dixon[k].fat_fraction <= grey[k].fat_ci95[1] for k in dixon]) >= 0.8
