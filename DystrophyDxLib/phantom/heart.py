"""Synthetic cines of beating hearts: normal, hypertrophic and dilated, in the short axis or one of three long axes.

The left ventricle is half a spheroid whose cavity gives up its ejection fraction while the volume of its muscle stays
the same; the right ventricle lies around the septum, atria and aorta behind the base, and chest wall, lungs and liver
around the heart. What tells the diseases apart are their definitions: a wall of 15 mm or more in hypertrophic
cardiomyopathy (Elliott et al., Eur Heart J 2014;35:2733), a wide cavity that empties little in dilated cardiomyopathy
(Elliott et al., Eur Heart J 2008;29:270). All other measures, and the grey levels, are our estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from ..series.series import Geometry

Disease = Literal["normal", "HCM", "DCM"]
Plane = Literal["short axis", "2-chamber", "3-chamber", "4-chamber"]
DISEASES: tuple[Disease, ...] = ("normal", "HCM", "DCM")
PLANES: tuple[Plane, ...] = ("2-chamber", "3-chamber", "4-chamber", "short axis")
LEFT_CAVITY, MUSCLE, RIGHT_CAVITY = 1, 2, 3
"""Labels of the heart; `make_heart` gives their grey levels in this order."""
FIELD_MM = 320.0
SLICE_MM = 8.0
GAP_MM = 14.0
"""Between the middles of short-axis slices."""

_MEASURES = {
    # Radius of the cavity and thickness of the wall at end-diastole (mm), ejection fraction.
    "normal": ((22.0, 26.0), (7.0, 10.0), (0.56, 0.70)),
    "HCM": ((19.0, 24.0), (15.0, 22.0), (0.60, 0.76)),
    "DCM": ((30.0, 37.0), (6.0, 9.0), (0.15, 0.38)),
}
_LONG_AXIS = np.array([0.64, -0.50, -0.58]) / np.linalg.norm([0.64, -0.50, -0.58])
"""From base to apex, LPS."""
_ANGLE = {"2-chamber": 90.0, "3-chamber": 45.0, "4-chamber": 0.0}
"""Of a long-axis plane about the long axis, in degrees from the plane of both ventricles."""
_BLOOD, _MUSCLE, _FAT, _LUNG, _LIVER, _WALL = 1.0, 0.36, 0.95, 0.06, 0.5, 0.33


@dataclass(frozen=True)
class Heart:
    """One heart.

    Attributes:
        radius_mm: of the left cavity at the base, at end-diastole.
        wall_mm: thickness of its wall then.
        ejection: fraction of the left cavity's volume that leaves it.
        length_mm: of the left cavity then.
    """

    disease: Disease
    radius_mm: float
    wall_mm: float
    ejection: float
    length_mm: float

    @classmethod
    def drawn(cls, disease: Disease, rng: np.random.Generator) -> Heart:
        """A heart with measures drawn evenly within those of a disease."""
        if disease not in DISEASES:
            raise InputError(f"There is no phantom of a heart with {disease!r}; choose from {', '.join(DISEASES)}.")
        radius, wall, ejection = (rng.uniform(*bounds) for bounds in _MEASURES[disease])
        return cls(disease, radius, wall, ejection, 2.4 * radius + rng.uniform(18, 30))

    def at(self, contraction: float) -> tuple[float, float, float]:
        """Radius, length and wall of the left ventricle (mm) when that share of the stroke volume has left."""
        left = 1 - self.ejection * contraction
        # Radius and length shorten so that the volume, which goes with radius² x length, is what is left.
        radius, length = self.radius_mm * left**0.42, self.length_mm * left**0.16
        muscle = _shell(self.radius_mm, self.length_mm, self.wall_mm)
        # (radius + w)² (length + w) - radius² length = muscle, solved for w.
        roots = np.roots([1, 2 * radius + length, radius**2 + 2 * radius * length, -muscle])
        return radius, length, float(roots[np.isreal(roots) & (roots.real > 0)][0].real)

    def labels(self, points: np.ndarray, contraction: float) -> np.ndarray:
        """(n,) uint8 `LEFT_CAVITY`, `MUSCLE`, `RIGHT_CAVITY` or 0 at (n, 3) places of the heart's own coordinates (mm):
        x away from the right ventricle, z from the base to the apex."""
        x, y, z = points.T
        radius, length, wall = self.at(contraction)
        below = z >= 0
        cavity = below & (_spheroid(x, y, z, radius, length) < 1)
        outer = below & (_spheroid(x, y, z, radius + wall, length + wall) < 1)
        # The right ventricle, and its thin wall, around the septum.
        middle, width = -(self.radius_mm + self.wall_mm) * 0.85, (self.radius_mm + self.wall_mm) * 0.95
        width *= (1 - 0.5 * contraction * min(1, self.ejection / 0.5)) ** 0.42
        right = below & (_spheroid(x - middle, y, z, width, 0.85 * self.length_mm) < 1)
        right_wall = below & (_spheroid(x - middle, y, z, width + 3, 0.85 * self.length_mm + 3) < 1)
        labels = np.zeros(len(points), np.uint8)
        labels[right_wall] = MUSCLE
        labels[right] = RIGHT_CAVITY
        labels[outer] = MUSCLE
        labels[cavity] = LEFT_CAVITY
        return labels


@dataclass(frozen=True)
class HeartPhantom:
    """A cine of a heart with its truth.

    Attributes:
        voxels: (t, z, y, x) float32, blood about 1000; end-diastole is frame 0.
        labels: (z, y, x) uint8, the heart at end-diastole.
        geometry: of every frame, LPS.
        systole: number of the frame with the smallest cavity.
    """

    heart: Heart
    plane: Plane
    voxels: np.ndarray
    labels: np.ndarray
    geometry: Geometry
    systole: int


def make_heart(
    disease: Disease, *, seed: int, plane: Plane = "short axis", matrix: int = 192, frames: int = 20
) -> HeartPhantom:
    """A cine of one heart; equal arguments give equal voxels.

    Args:
        seed: of the random numbers.
        matrix: rows and columns over `FIELD_MM`.
        frames: over a heart beat.

    Raises:
        InputError: no such disease or plane.
    """
    if plane not in PLANES:
        raise InputError(f"There is no plane {plane!r}; choose from {', '.join(PLANES)}.")
    rng = np.random.default_rng([seed, 0])
    heart = Heart.drawn(disease, rng)
    geometry, slices = _geometry(heart, plane, matrix, rng)
    # Two points a pixel edge, so that borders are soft as in an image.
    points = _points(geometry, slices, matrix)
    chest = _chest(points)
    axes = _axes()
    inside = points @ axes
    near = np.flatnonzero(np.linalg.norm(inside - [0, 0, heart.length_mm / 2], axis=1) < 110)
    inside = inside[near]
    behind = np.where(_vessels(inside, heart), _BLOOD, chest[near])
    contractions = np.sin(np.pi * np.minimum(np.arange(frames) / frames / 0.7, 1)) ** 2
    greys = np.array([0.0, _BLOOD, _MUSCLE, _BLOOD * rng.uniform(0.92, 1.0)])
    shape = (slices, matrix, 2, matrix, 2)
    shading = 1 + rng.uniform(-0.25, 0.25, 2) @ (points[:, :2].T / FIELD_MM)
    noise = _BLOOD / rng.uniform(15, 35)
    truth = np.zeros(len(points), np.uint8)
    truth[near] = heart.labels(inside, contractions[0])
    voxels = []
    for contraction in contractions:
        signal, labels = chest.copy(), heart.labels(inside, contraction)
        signal[near] = np.where(labels > 0, greys[labels], behind)
        fine = (signal * shading).reshape(shape)
        image = (fine[:, :, 0, :, 0] + fine[:, :, 0, :, 1] + fine[:, :, 1, :, 0] + fine[:, :, 1, :, 1]) / 4
        parts = rng.normal(0, noise, (2, *image.shape))
        voxels.append(np.hypot(image + parts[0], parts[1]))
    stack = (1000 * np.stack(voxels)).astype(np.float32)
    return HeartPhantom(heart, plane, stack, truth.reshape(shape)[:, :, 0, :, 0], geometry, int(contractions.argmax()))


def _shell(radius: float, length: float, wall: float) -> float:
    return (radius + wall) ** 2 * (length + wall) - radius**2 * length


def _spheroid(x: np.ndarray, y: np.ndarray, z: np.ndarray, radius: float, length: float) -> np.ndarray:
    """Below 1 inside."""
    return (x**2 + y**2) / radius**2 + (z / length) ** 2


def _axes() -> np.ndarray:
    """(3, 3) columns: the heart's own x, y, z as LPS unit vectors; x lies in the plane of both ventricles."""
    across = np.cross([0.0, 0.0, 1.0], _LONG_AXIS)
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(_LONG_AXIS, across), _LONG_AXIS], axis=1)


def _geometry(heart: Heart, plane: Plane, matrix: int, rng: np.random.Generator) -> tuple[Geometry, int]:
    """Where the slices lie, about where a technologist would put them, and how many there are."""
    axes, pixel = _axes(), FIELD_MM / matrix
    if plane == "short axis":
        direction, slices = axes, 3
        middle = np.array([0.0, 0.0, 0.5 * heart.length_mm])
        first = middle - [0, 0, GAP_MM]
    else:
        turn = np.deg2rad(_ANGLE[plane] + rng.uniform(-8, 8))
        in_plane = np.array([np.cos(turn), np.sin(turn), 0.0])
        direction = axes @ np.stack([in_plane, [0.0, 0.0, 1.0], np.cross(in_plane, [0.0, 0.0, 1.0])], axis=1)
        slices, first = 1, np.array([0.0, 0.0, 0.35 * heart.length_mm])
    centre = axes @ first + direction[:, :2] @ rng.uniform(-12, 12, 2)
    x, y, z = (float(at) for at in centre - direction[:, :2] @ np.full(2, pixel * (matrix - 1) / 2))
    thickness = GAP_MM if slices > 1 else SLICE_MM
    return Geometry((x, y, z), (pixel, pixel, thickness), direction), slices


def _points(geometry: Geometry, slices: int, matrix: int) -> np.ndarray:
    """(n, 3) LPS of two points a pixel edge."""
    half = (np.arange(2 * matrix) - 0.5) / 2
    k, j, i = np.meshgrid(np.arange(slices), half, half, indexing="ij")
    return np.stack([i, j, k, np.ones_like(i)], axis=-1).reshape(-1, 4) @ geometry.ijk_to_lps[:3].T


def _chest(points: np.ndarray) -> np.ndarray:
    """(n,) signal of all that is not heart: air, fat and muscle of the chest wall, lungs, liver, mediastinum, spine."""
    x, y, z = points.T
    y = y - 15
    body = np.hypot((x + 20) / 165, y / 110)
    signal = np.full(len(points), 0.02)
    signal[body < 1] = _FAT
    signal[body < 0.9] = _WALL
    signal[body < 0.78] = _LUNG
    signal[(body < 0.78) & (z < -65)] = _LIVER
    signal[(body < 0.9) & (np.hypot((x + 20) / 28, (y - 75) / 30) < 1)] = 0.45
    signal[(body < 0.78) & (np.hypot((x + 5) / 40, (y - 5) / 45) < 1) & (z > -20)] = _FAT
    return signal


def _vessels(points: np.ndarray, heart: Heart) -> np.ndarray:
    """(n,) bool, blood behind the base in the heart's own coordinates: both atria and the aorta's root."""
    x, y, z = points.T
    left = np.hypot(np.hypot((x - 2) / 22, (y - 4) / 20), (z + 24) / 22) < 1
    right = np.hypot(np.hypot((x + heart.radius_mm + heart.wall_mm + 14) / 20, y / 20), (z + 22) / 20) < 1
    aorta = (np.hypot(x + 12 + 0.4 * z, y + 14 + 0.4 * z) < 13) & (z < 0) & (z > -60)
    return (z < -3) & (left | right) | aorta
