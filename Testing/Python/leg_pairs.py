"""Synthetic pairs of legs with known outlines, for testing leg windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from DystrophyDxLib.series.series import Geometry, Series

FINE = 2
FAT, MUSCLE, SKIN, CORTEX, MARROW = 1.0, 0.32, 0.15, 0.03, 0.95


@dataclass(frozen=True)
class LegPair:
    """One axial slice: `legs` (rows, columns) 0, 1 left, 2 right; the border is the line through `point` along
    `along` (column, row), in mm from the middle of the image."""

    series: Series
    legs: np.ndarray
    point: np.ndarray
    along: np.ndarray


def make_leg_pair(
    seed: int, contact_mm: float, *, matrix: int = 512, pixel_mm: float = 0.8, shading: float = 2.0, noise: float = 0.02
) -> LegPair:
    """Two legs flattened against each other over `contact_mm`, or apart by -`contact_mm`.

    Args:
        shading: signal of the best seen place relative to the worst.
        noise: standard deviation of each channel, relative to fat.
    """
    rng = np.random.default_rng(seed)
    along_angle = rng.normal(0, np.deg2rad(6))
    along = np.array([np.sin(along_angle), np.cos(along_angle)])
    across = np.array([along[1], -along[0]])
    point = rng.normal(0, 12, 2)
    size = matrix * FINE
    position = (np.arange(size) - (size - 1) / 2) * pixel_mm / FINE
    x, y = np.meshgrid(position - point[0], position - point[1])
    u, v = across[0] * x + across[1] * y, along[0] * x + along[1] * y
    image, legs = np.zeros((size, size), np.float32), np.zeros((size, size), np.uint8)
    height = rng.uniform(60, 85)
    for label, sign in ((1, 1), (2, -1)):
        b = height * rng.uniform(0.94, 1.06)
        a = b * rng.uniform(0.85, 1.1)
        gap = a * np.sqrt(1 - min(1, contact_mm / 2 / b) ** 2) if contact_mm >= 0 else a - contact_mm / 2
        angle = np.arctan2(v / b, (sign * u - gap) / a)
        radius = np.hypot((sign * u - gap) / a, v / b)
        wave = sum(rng.uniform(-0.012, 0.012) * np.cos(n * angle + rng.uniform(0, 6.3)) for n in (2, 3, 4))
        leg = (radius < 1 + wave) & (sign * u > 0)
        depth = ndimage.distance_transform_edt(leg) * pixel_mm / FINE
        fat = rng.uniform(4, 14)
        femur = np.hypot(sign * u - gap, v + 0.1 * b)
        tissue = np.select([depth < 1.2, depth < fat, femur < 9, femur < 14], [SKIN, FAT, MARROW, CORTEX], MUSCLE)
        image[leg] = tissue[leg]
        legs[leg & (legs == 0)] = label
    distance = x * np.cos(coil_angle := rng.uniform(0, 6.3)) + y * np.sin(coil_angle)
    near, far = distance[legs > 0].min(), distance[legs > 0].max()
    image = _shrunk(image * shading ** ((near - distance) / (far - near)))
    image = np.hypot(image + rng.normal(0, noise, image.shape), rng.normal(0, noise, image.shape))
    truth = np.stack([_shrunk((legs == label).astype(np.float32)) for label in (1, 2)])
    labels = np.where(truth.sum(axis=0) > 0.5, truth.argmax(axis=0) + 1, 0)
    edge = -(matrix - 1) / 2 * pixel_mm
    geometry = Geometry((edge, edge, 0.0), (pixel_mm, pixel_mm, 6.0), np.eye(3))
    series = Series((image * 700).astype(np.float32)[None], geometry)
    return LegPair(series, labels.astype(np.uint8), point, along)


def _shrunk(image: np.ndarray) -> np.ndarray:
    rows, columns = image.shape
    return image.reshape(rows // FINE, FINE, columns // FINE, FINE).mean(axis=(1, 3))


def border_error_mm(pair: LegPair, labels: np.ndarray) -> np.ndarray:
    """Distance from the true border, in mm, of the places where found left and right leg meet."""
    meets = (labels[:, 1:] == 1) & (labels[:, :-1] == 2)
    rows, columns = np.nonzero(meets)
    spacing = pair.series.geometry.spacing[0]
    middle = (np.array(labels.shape) - 1) / 2
    x = (columns + 0.5 - middle[1]) * spacing - pair.point[0]
    y = (rows - middle[0]) * spacing - pair.point[1]
    return np.abs(pair.along[1] * x - pair.along[0] * y)
