"""Whether a leg is a thigh, and how bright its fat is, by its muscle map."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from map_packages import make_map_package

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.files.resources import embedded_model, muscle_model
from DystrophyDxLib.models.map_package import MapPackage
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.muscles.mapper import MuscleMapper
from DystrophyDxLib.muscles.structures import FEMUR, SUBCUTANEOUS_FAT
from DystrophyDxLib.muscles.thigh import quality_by_map
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.samples.image_quality import ImageQuality
from DystrophyDxLib.samples.quality import judge_images, thigh_images
from DystrophyDxLib.samples.slice_samples import make_samples
from DystrophyDxLib.series.reading import read_study

SIZE, PIXEL_MM = 112, 1.5
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2


def disc(radius, centre=(0.0, 0.0), longer=1.0):
    return np.hypot((ROWS - centre[0]) / longer, COLUMNS - centre[1]) <= radius


LEG = disc(54)


def leg(*bones, sure=0.9, either=(-0.3, -2.0), at_border=False, fat=1.0, muscle=0.3):
    """Quality of a leg of muscle in a layer of fat, with bones."""
    labels = np.where(disc(44), 3, SUBCUTANEOUS_FAT).astype(np.uint8)
    image = np.where(disc(44), np.float32(muscle), np.float32(fat)) * LEG
    bone = np.any(bones, axis=0) if bones else np.zeros_like(LEG)
    labels[bone] = FEMUR
    femur = np.where(bone, np.float32(sure), np.float32(0))
    return quality_by_map(image, LEG, labels * LEG, femur, either, PIXEL_MM, at_border)


SHAFT = disc(9, (4, 5))


def test_one_round_bone_deep_in_the_leg_is_a_femur():
    assert leg(SHAFT).femur
    assert leg(SHAFT, either=(-2.0, -0.3)).femur, "of a right leg as of a left one"


@pytest.mark.parametrize(
    "found",
    [
        leg(),
        leg(SHAFT, disc(5, (20, -20))),
        leg(disc(9, (0, 40))),
        leg(disc(3)),
        leg(disc(16)),
        leg(disc(7, longer=1.8)),
        leg(SHAFT & ~disc(8, (4, 5))),
        leg(SHAFT, sure=0.6),
        leg(SHAFT, either=(-0.9, -2.5)),
        leg(SHAFT, either=(-0.3, -0.6)),
    ],
    ids=["none", "two", "under the skin", "thin", "wide", "long", "ring", "unsure", "unlikely leg", "no side"],
)
def test_anything_else_is_none(found):
    assert not found.femur


def test_where_the_image_border_cuts_the_leg_its_depth_does_not_count():
    beside_border = disc(9, (0, 40))
    assert leg(beside_border, at_border=True).femur
    assert not leg(beside_border, disc(5), at_border=True).femur


def test_fat_is_compared_with_the_muscles_and_with_what_is_brightest():
    t1 = leg(SHAFT, fat=1.0, muscle=0.25)
    assert t1.fat_to_muscle == pytest.approx(4)
    assert t1.fat_to_brightest == pytest.approx(1)
    water = leg(SHAFT, fat=0.2, muscle=0.8)
    assert water.fat_to_muscle == pytest.approx(0.25)
    assert water.fat_to_brightest == pytest.approx(0.25)


def test_a_leg_without_fat_in_view_tells_no_contrast():
    labels = np.where(LEG, 3, 0).astype(np.uint8)
    told = quality_by_map(LEG.astype(np.float32), LEG, labels, np.zeros(LEG.shape), (-0.3, -2.0), PIXEL_MM, False)
    assert told == ImageQuality(False, 0.0, 0.0)


def test_an_image_is_what_either_way_of_looking_shows():
    one, other = ImageQuality(False, 2.0, 0.5), ImageQuality(True, 1.0, 0.9)
    assert one.or_by(other) == other.or_by(one) == ImageQuality(True, 2.0, 0.9)


class ByTruth(MuscleMapper):
    """Finds what it is told of each leg."""

    quality = ImageQuality(True, 2.0, 1.0)

    def legs(self, series, windows, previous=()):
        return tuple(dataclasses.replace(leg, quality=self.quality) for leg in super().legs(series, windows, previous))


@pytest.fixture(scope="module")
def mapper(tmp_path_factory):
    return ByTruth(MapPackage.read(make_map_package(tmp_path_factory.mktemp("map") / "package")), "cpu")


@pytest.fixture(scope="module")
def without_marrow():
    """Thighs with femurs as dark as their cortex, in which no search for marrow finds one."""
    phantom = make_phantom(2, "DMD")
    voxels = phantom.series.voxels.copy()
    voxels[phantom.structures == FEMUR] *= 0.02
    return dataclasses.replace(phantom.series, voxels=voxels)


def test_a_thigh_whose_femur_the_map_alone_finds_counts(mapper, without_marrow):
    series, embedded = without_marrow, ModelPackage.read(embedded_model())
    regions = find_legs(series)
    marrow_alone = Classifier(embedded, "cpu").classify(series, regions).result
    with_map = Classifier(embedded, "cpu", mapper).classify(series, regions).result
    assert {image.anatomy for image in marrow_alone.images} == {"other"}
    assert "NOT_THIGH" in {warning.code for warning in marrow_alone.warnings}
    assert {image.anatomy for image in with_map.images} == {"thigh"}
    assert all(image.counted for image in with_map.images)
    assert "NOT_THIGH" not in {warning.code for warning in with_map.warnings}


@pytest.mark.parametrize(
    ("name", "thighs"),
    [
        ("disease_slices/bmd_fat.nrrd", 2),
        ("disease_slices/healthy_fat.nrrd", 2),
        ("bilateral_dixon/lower_legs.nii.gz", 0),
        ("bilateral_dixon/pelvis_water.nii.gz", 0),
        ("calf/fat.nii.gz", 0),
    ],
)
def test_real_thighs_are_told_from_other_parts_of_the_body(shared, name, thighs):
    series = read_study(shared(name))
    windows = find_legs(series).windows[:24]
    legs = MuscleMapper(MapPackage.read(muscle_model()), "cpu").legs(series, windows)
    by_marrow = judge_images(series, make_samples(series, windows, 224))
    shown = [own.or_by(leg.quality) for own, leg in zip(by_marrow, legs, strict=True)]
    assert sum(thigh_images(windows, shown)) == thighs
