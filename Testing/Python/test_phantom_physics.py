"""Signals, k-space and noise follow the published equations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import sici

from DystrophyDxLib.phantom import anatomy
from DystrophyDxLib.phantom.physics import (
    TISSUES,
    InversionRecovery,
    Plane,
    Readout,
    Scanner,
    Site,
    SpinEcho,
    SpoiledGradientEcho,
    block_max,
    block_mean,
    coil_field,
    dixon,
    random_field,
)


def scanner(**changed) -> Scanner:
    """A scanner that adds nothing of its own to the table of tissues."""
    neutral = dict(
        tesla=1.5, thickness_mm=5.0, readout=1, tissue_spread=np.ones(len(TISSUES)), water_gain=1.0, blood=1.0,
        coil=np.zeros(6), shim=np.zeros(6), site=Site(),
    )  # fmt: skip
    return Scanner(**{**neutral, **changed})


def readout(**changed) -> Readout:
    """A readout of the whole of k-space without noise."""
    return Readout(**{**dict(axis=1, shift=0, share=(1, 1), filter=0, ghost=(0.0, 10), noise=0.0), **changed})


def half_bright(size: int = 128) -> np.ndarray:
    """Dark in the left half, 1 in the right."""
    image = np.zeros((size, size), np.float32)
    image[:, size // 2 :] = 1
    return image


def test_spin_echo_signal_of_muscle_and_fat():
    """By hand for TR 600 ms, TE 12 ms at 1.5 T (T1/T2 of Gold et al. 2004: muscle 1130/35.3, fat 288/165 ms)."""
    machine, sequence = scanner(), SpinEcho(600, 12)
    assert machine.signal("muscle", sequence) == pytest.approx(0.85 * 0.41194 * 0.71182, rel=1e-4)
    assert machine.signal("fat", sequence) == pytest.approx(0.87550 * 0.92986, rel=1e-4)
    assert machine.signal("bone", sequence) < 1e-6


def test_inversion_recovery_nulls_fat_and_inverts_muscle_before_its_own_null():
    """For TR ≫ T1 the null is at T1·ln 2: 200 ms for fat at 1.5 T."""
    assert InversionRecovery.null_ms(288, 1e6) == pytest.approx(288 * np.log(2))
    sequence = InversionRecovery(4000, 40, InversionRecovery.null_ms(288, 4000))
    machine = scanner()
    assert machine.signal("fat", sequence) == pytest.approx(0, abs=1e-9)
    assert machine.signal("muscle", sequence) < 0
    assert abs(machine.signal("oedema", sequence)) > 1.5 * abs(machine.signal("muscle", sequence))


def test_spoiled_gradient_echo_is_brightest_at_the_ernst_angle():
    """cos α = exp(−TR/T1)."""
    ernst = np.rad2deg(np.arccos(np.exp(-10 / 1130)))
    at_ernst, *others = (SpoiledGradientEcho(10, 2, ernst + d).signal(1130, 35.3) for d in (0, -1, 1))
    assert at_ernst > max(others)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_noise_in_air_is_rayleigh(share):
    """Mean of the magnitude in air is σ√(π/2) (Gudbjartsson and Patz 1995), with all or a part of k-space acquired."""
    air = np.zeros((256, 256), np.float32)
    image = np.abs(readout(noise=0.3, share=(share, 1), filter=0.5).acquired(air, air, np.random.default_rng(0)))
    assert image.mean() == pytest.approx(0.3 * np.sqrt(np.pi / 2), rel=0.01)


def test_fat_is_displaced_along_the_readout_and_water_is_not():
    """At 1.5 T fat precesses 217.5 Hz slower than water: 2 pixels at 108.75 Hz a pixel."""
    assert scanner().fat_hz() == pytest.approx(217.5)
    square = np.zeros((64, 64), np.float32)
    square[20:30, 20:30] = 1
    nothing = np.zeros_like(square)
    for axis in (0, 1):
        machine = readout(axis=axis, shift=2)
        np.testing.assert_allclose(np.abs(machine.imaged(nothing, square)), np.roll(square, 2, axis), atol=1e-5)
        np.testing.assert_allclose(np.abs(machine.imaged(square, nothing)), square, atol=1e-5)


def test_a_drawn_protocol_shifts_fat_by_its_bandwidth():
    site = Site(bandwidth_hz=(145, 145), acquired_mm=(1.0, 1.0))
    for tesla in (1.5, 3.0):
        drawn = Readout.drawn(np.random.default_rng(0), scanner(tesla=tesla, site=site), (64, 64), 0.5, 1.0)
        # 1.5 acquired pixels of 1 mm, in image pixels of 0.5 mm; at 3 T the bandwidth is doubled with the field.
        assert abs(drawn.shift) == pytest.approx(3.0)
        assert drawn.share[drawn.axis] == pytest.approx(0.5)


def test_a_cut_k_space_rings_by_nine_per_cent():
    """Gibbs: the overshoot beside an edge of height 1 is Si(π)/π − 1/2 = 0.0895."""
    row = readout(share=(1, 0.25)).imaged(half_bright(512), np.zeros((512, 512), np.float32)).real[0]
    assert row.max() - 1 == pytest.approx(sici(np.pi)[0] / np.pi - 0.5, abs=0.01)
    filtered = readout(share=(1, 0.25), filter=1).imaged(half_bright(512), np.zeros((512, 512), np.float32)).real[0]
    assert filtered.max() - 1 < 0.01


def test_motion_ghosts_lie_along_the_phase_axis():
    point = np.zeros((64, 64), np.float32)
    point[32, 32] = 1
    image = np.abs(readout(axis=1, ghost=(0.05, 10)).imaged(point, np.zeros_like(point)))
    assert image[32, 32] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(image[[22, 42], 32], 0.05, atol=1e-5)
    assert image[32, [22, 42]].max() < 1e-5


def plane_of(tissue: np.ndarray, margin: int = 0) -> Plane:
    """A slice of drawn tissue codes without muscle."""
    shape = tuple(size // 2 for size in tissue.shape[1:])
    nothing = np.zeros(shape, np.float32)
    return Plane(tissue, nothing, nothing, nothing, np.ones(shape, np.float32), margin)


@pytest.mark.parametrize("axis", [0, 1])
def test_what_lies_beyond_the_image_wraps_around_along_the_phase_axis_only(axis):
    tissue = np.zeros((1, 48, 48), np.uint8)
    tissue[0, 0:4, 20:28] = anatomy.FAT  # in the margin above
    tissue[0, 20:28, 44:48] = anatomy.FAT  # in the margin on the right
    machine = scanner(readout=axis)
    _, fat = plane_of(tissue, margin=4).signal(machine, SpinEcho(600, 12))
    assert fat.shape == (16, 16)
    above_wraps = fat[12:14, 6:10].min() > 0
    right_wraps = fat[6:10, 2:4].min() > 0
    assert (above_wraps, right_wraps) == (axis == 1, axis == 0)
    assert (fat > 0).sum() == 8


def test_partial_volume_is_the_mean_over_the_thickness_of_the_slice():
    tissue = np.zeros((2, 8, 8), np.uint8)
    tissue[0] = anatomy.FAT
    tissue[1, :, :4] = anatomy.FAT
    _, fat = plane_of(tissue).signal(scanner(), SpinEcho(600, 12))
    whole = scanner().signal("fat", SpinEcho(600, 12))
    np.testing.assert_allclose(fat[:, :2], whole, rtol=1e-6)
    np.testing.assert_allclose(fat[:, 2:], whole / 2, rtol=1e-6)


def test_blocks_are_those_of_the_pixels():
    fine = np.random.default_rng(0).integers(0, 9, (2, 6, 8)).astype(np.uint8)
    blocks = fine.reshape(2, 3, 2, 4, 2)
    np.testing.assert_allclose(block_mean(fine), blocks.mean(axis=(0, 2, 4)), rtol=1e-6)
    np.testing.assert_array_equal(block_max(fine), blocks.max(axis=(0, 2, 4)))


def test_three_point_dixon_finds_water_and_fat_in_an_uneven_field():
    rng = np.random.default_rng(1)
    water, fat = (np.abs(random_field(rng, (96, 96), 8)) + 0.2 for _ in range(2))
    shim = rng.normal(0, 0.6, 6)
    found_fat, found_water, fraction = dixon(water, fat, readout(noise=1e-6), shim, rng)
    np.testing.assert_allclose(found_fat, fat, atol=1e-3)
    np.testing.assert_allclose(found_water, water, atol=1e-3)
    np.testing.assert_allclose(fraction, fat / (water + fat), atol=1e-3)


def test_dixon_gives_no_fat_fraction_to_air():
    air = np.zeros((64, 64), np.float32)
    fraction = dixon(air, air, readout(noise=0.01), np.zeros(6), np.random.default_rng(0))[2]
    assert np.mean(fraction > 0) < 0.01


def test_coil_shading_stays_within_a_factor_of_four():
    for seed in range(20):
        field = coil_field(np.random.default_rng(seed).normal(0, 2, 6), (64, 80))
        assert field.min() > 0
        assert field.max() / field.min() <= 4.001


def test_smooth_noise_is_standard_normal():
    rng = np.random.default_rng(0)
    noise = np.concatenate([random_field(rng, (256, 256), 4.1).ravel() for _ in range(4)])
    assert noise.mean() == pytest.approx(0, abs=0.06)
    assert noise.std() == pytest.approx(1, abs=0.06)


def test_half_of_the_scanners_have_three_tesla_and_a_site_keeps_its_ranges():
    drawn = [Scanner.drawn(np.random.default_rng(seed), Site(thickness_mm=(3, 4))) for seed in range(300)]
    assert 0.4 < np.mean([machine.tesla == 3.0 for machine in drawn]) < 0.6
    assert all(3 <= machine.thickness_mm <= 4 for machine in drawn)
    only = [Scanner.drawn(np.random.default_rng(seed), Site(share_3t=0.0)).tesla for seed in range(20)]
    assert set(only) == {1.5}
