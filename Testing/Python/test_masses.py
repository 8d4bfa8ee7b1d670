"""A mass that the network takes for muscle is told: a round piece without fat that is larger than muscles are."""

from __future__ import annotations

import numpy as np
import pytest

from DystrophyDxLib.muscles.masses import undivided_mm, warnings_on_masses
from DystrophyDxLib.muscles.muscle_map import LegMap
from DystrophyDxLib.muscles.structures import SUBCUTANEOUS_FAT
from DystrophyDxLib.regions.windows import Side, Window
from DystrophyDxLib.samples.image_quality import ImageQuality

SIZE, PIXEL_MM = 112, 1.5
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
LEG, MUSCLE = np.hypot(ROWS, COLUMNS) <= 54, np.hypot(ROWS, COLUMNS) <= 46
FASCIA = (np.abs(ROWS) % 20 < 1) | (np.abs(COLUMNS) % 20 < 1)
LABELS = np.where(MUSCLE, np.where(COLUMNS > 0, 4, 5), SUBCUTANEOUS_FAT * LEG).astype(np.uint8)


def image(mass_mm=0.0, fascia=0.6):
    """A leg of muscle with fat between its muscles, and a mass that has none."""
    pixels = np.where(MUSCLE, np.where(FASCIA, fascia, 0.3), 1.0 * LEG).astype(np.float32)
    pixels[np.hypot(ROWS - 8, COLUMNS) <= mass_mm / PIXEL_MM] = 0.28
    return pixels


@pytest.mark.parametrize("mass_mm", [30, 45])
def test_the_radius_of_what_holds_no_fat_is_that_of_the_mass_whatever_muscles_it_is_called(mass_mm):
    assert undivided_mm(image(mass_mm), LEG, LABELS, PIXEL_MM) == pytest.approx(mass_mm, abs=8)


def test_muscles_with_fat_between_them_are_no_mass_and_without_muscle_there_is_none():
    assert undivided_mm(image(), LEG, LABELS, PIXEL_MM) < 20
    assert undivided_mm(image(45), LEG, np.where(LEG, SUBCUTANEOUS_FAT, 0).astype(np.uint8), PIXEL_MM) == 0


def legs(radii_mm, side=Side.RIGHT, mapped=True):
    return [
        LegMap(Window(k, side, (0, SIZE), (0, SIZE), LEG), LABELS, mapped, True, (0, 0), ImageQuality(True, 2, 1), mm)
        for k, mm in enumerate(radii_mm)
    ]


def test_a_mass_in_several_slices_is_told_with_its_place_and_size():
    [warning] = warnings_on_masses([*legs([12, 30, 34, 31, 12]), *legs([12] * 5, Side.LEFT)], (1.5, 1.5, 6.0))
    assert warning.code.value == "MASS_POSSIBLE"
    assert warning.message.startswith("In slices 1-3 of the right leg a round piece of up to 7 cm is as dark as muscle")


@pytest.mark.parametrize(
    ("shown", "pixel_mm"),
    [(legs([12, 30, 34, 12]), 1.5), (legs([24] * 5), 1.0), (legs([30] * 5), 2.5), (legs([30] * 5, mapped=False), 1.5)],
    ids=["in two slices", "as thick as muscles", "of a large leg", "not mapped"],
)
def test_nothing_else_is_told(shown, pixel_mm):
    assert warnings_on_masses(shown, (pixel_mm, pixel_mm, 6.0)) == ()
