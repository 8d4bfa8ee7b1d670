"""Each muscle has its own texture and visible borders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.special import ndtri

from DystrophyDxLib.muscles.structures import MUSCLES
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.phantom.anatomy import LEFT
from DystrophyDxLib.phantom.body import Body
from DystrophyDxLib.phantom.disease import TEXTURES, Infiltration
from DystrophyDxLib.phantom.texture import lesions
from DystrophyDxLib.phantom.thigh import muscle_shares

drawn = Infiltration.drawn


def only(texture: str, bearing: float = 0.0) -> Infiltration:
    """A person with half of each muscle gone to fat, in one texture of the same grain everywhere."""
    person = drawn(np.random.default_rng(0), "BMD", muscle_shares())
    textures = np.zeros((2, 13, len(TEXTURES)))
    textures[..., TEXTURES.index(texture)] = 1
    flat = np.zeros((2, 13))
    return replace(
        person,
        textures=textures,
        grain_mm=np.broadcast_to([3.0, 6.5], (2, 13, 2)),
        bearings=flat + bearing,
        latent=flat,
        slope=flat[0],
        sharpness=flat + 2,
    )


def field(person: Infiltration, codes: np.ndarray, seed: int) -> np.ndarray:
    """(rows, columns) texture that underlies the fat of muscle `codes` that fill the plane."""
    fat, _ = lesions(codes, codes > 0, 0.4, 0.8, person, np.random.default_rng(seed))
    return ndtri(np.clip(fat, 1e-6, 1 - 1e-6)).reshape(codes.shape)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_no_texture_goes_on_in_the_next_muscle():
    codes = np.full((120, 120), LEFT + 1 + MUSCLES.index("semimembranosus"), np.uint8)
    codes[:, 60:] = LEFT + 1 + MUSCLES.index("semitendinosus")
    fields = np.stack([field(only("fine"), codes, seed) for seed in range(8)])
    assert likeness(fields[:, :, 58], fields[:, :, 59]) > 0.8
    assert abs(likeness(fields[:, :, 59], fields[:, :, 60])) < 0.2


def test_fascicles_of_the_vasti_are_wound_about_the_femur():
    codes = np.full((121, 121), LEFT + 1 + MUSCLES.index("vastus lateralis"), np.uint8)
    fields = np.stack([field(only("fascicles", np.pi / 2), codes, seed) for seed in range(8)])
    beside, above = fields[:, 45:76, 95:], fields[:, :26, 45:76]
    assert likeness(beside[:, 3:], beside[:, :-3]) > likeness(beside[:, :, 3:], beside[:, :, :-3]) + 0.2
    assert likeness(above[:, :, 3:], above[:, :, :-3]) > likeness(above[:, 3:], above[:, :-3]) + 0.2


def test_a_muscle_has_its_own_tone_on_each_side(monkeypatch):
    plain = make_phantom(0, "healthy", slices=1, matrix=128, legs="both")
    body_drawn = Body.drawn

    def bright(*arguments) -> Body:
        body = body_drawn(*arguments)
        tone = body.tone.copy()
        tone[0, MUSCLES.index("vastus lateralis")] *= 1.5
        return replace(body, tone=tone)

    monkeypatch.setattr(Body, "drawn", bright)
    other = make_phantom(0, "healthy", slices=1, matrix=128, legs="both")
    muscle = plain.muscles == MUSCLES.index("vastus lateralis") + 1
    ratio = other.series.voxels / np.maximum(plain.series.voxels, 1e-6)
    assert np.median(ratio[muscle & (plain.legs == 1)]) > 1.3
    assert np.median(ratio[muscle & (plain.legs == 2)]) < 1.05
    assert 0.02 < np.std(body_drawn(np.random.default_rng(0), np.ones((2, 13)), 30, "F").tone) < 0.1


def test_borders_between_muscles_that_went_to_fat_are_visible(monkeypatch):
    def replaced(rng: np.random.Generator, diagnosis: str, shares: np.ndarray) -> Infiltration:
        flat = np.zeros((2, 13))
        return replace(drawn(rng, diagnosis, shares), latent=flat + 3, slope=flat[0], bulk=flat + 1)

    monkeypatch.setattr(Infiltration, "drawn", replaced)
    ratios = []
    for seed in range(5):
        phantom = make_phantom(seed, "LGMD2B", slices=1, matrix=256)
        image, labels = phantom.series.voxels[0], phantom.muscles[0]
        largest, least = ndimage.maximum_filter(labels, 3), ndimage.minimum_filter(labels, 3)
        inside = ndimage.binary_erosion(labels > 0, iterations=2)
        between, deep = inside & (largest != least) & (least > 0), inside & (largest == least)
        ratios.append(np.median(image[between]) / np.median(image[deep]))
    assert np.mean(ratios) < 0.97
