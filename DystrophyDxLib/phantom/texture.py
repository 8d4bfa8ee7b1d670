"""Where in a muscle its fat and its oedema lie: patches, streaks along the fascicles, nets, rims and shadows."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import ndimage
from scipy.special import ndtr, ndtri

from . import anatomy
from .disease import Infiltration, fat_fraction

# A tile holds so many cells of the noise, each drawn so finely; it repeats without a seam.
_CELLS, _STEPS = 128, 4
_TILES = 4
# Fat grows inwards from a rim this wide, in mm (our estimate).
_RIM_MM = 3.0
# Whether a muscle of the left and of the right leg is wound about the femur; an angle about it is measured as length at
# this radius in mm.
_WOUND = np.isin(np.arange(26) % 13, (anatomy.VASTUS_LATERALIS, anatomy.VASTUS_INTERMEDIUS, anatomy.VASTUS_MEDIALIS))
_RADIUS_MM = 35.0


def lesions(
    codes: np.ndarray,
    muscle: np.ndarray,
    level: float,
    pixel_mm: float,
    infiltration: Infiltration,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Fat and oedema in the muscle pixels of one axial plane.

    Args:
        codes: (rows, columns) tissue codes of `anatomy`.
        muscle: (rows, columns) bool, where to look; `codes` holds a muscle there.
        level: of the plane along the thigh, 0 at the knee to 1.
        pixel_mm: side of a pixel.
        infiltration: the person's disease.
        rng: random generator.

    Returns:
        Fat fraction and share of the remaining muscle that is oedematous, both float32 (n,) from 0 to 1, for the n
        pixels of `muscle` in row-major order.
    """
    pixels = codes[muscle]
    which = (pixels // anatomy.RIGHT) * 13 + (pixels & 15) - 1
    y, x = (axis.astype(np.float32) * np.float32(pixel_mm) for axis in np.nonzero(muscle))
    fine, coarse = infiltration.grain_mm.reshape(26, 2).T.astype(np.float32)[:, which]
    across, along = _along_fascicles(which, y, x, infiltration.bearings.ravel())
    clouds = _noise(rng, which, y / coarse, x / coarse)
    fields = [
        _noise(rng, which, y / fine, x / fine),
        clouds,
        # Long and wavy.
        _noise(rng, which, across / (np.float32(0.7) * fine) + clouds, along / (np.float32(8) * fine)),
        _net(_noise(rng, which, y / (np.float32(1.6) * fine), x / (np.float32(1.6) * fine))),
    ]
    weights = infiltration.textures.reshape(26, -1).astype(np.float32)
    field = sum(weights[which, n] * values for n, values in enumerate(fields))
    if weights[:, 4].any():
        field += weights[which, 4] * _rim(codes, muscle, which, pixel_mm)
    latent = infiltration.latent + infiltration.slope * (level - 0.4)
    fat = fat_fraction(
        latent.ravel().astype(np.float32)[which], infiltration.sharpness.ravel().astype(np.float32)[which], field
    )
    oedema = infiltration.oedema.ravel().astype(np.float32)[which]
    return fat, np.clip(oedema * (1 + np.float32(0.6) * clouds), 0, 1)


@cache
def _tiles() -> np.ndarray:
    """(tiles, rows, columns) smooth standard normal noise that varies over one cell and repeats without a seam.

    Cubic B-splines with random weights, as in free-form deformation (Rueckert et al. 1999, IEEE TMI 18:712).
    """
    t = np.arange(_STEPS) / _STEPS
    basis = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    parts = [np.kron(np.roll(np.eye(_CELLS), n, axis=1), basis[n][:, None]) for n in range(4)]
    spline = (parts[0] + parts[1] + parts[2] + parts[3]).astype(np.float32)
    weights = np.random.default_rng(0).standard_normal((_TILES, _CELLS, _CELLS), dtype=np.float32)
    noise = spline @ weights @ spline.T
    return (noise - noise.mean(axis=(1, 2), keepdims=True)) / noise.std(axis=(1, 2), keepdims=True)


def _along_fascicles(
    which: np.ndarray, y: np.ndarray, x: np.ndarray, bearing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in mm across and along the fascicles of the own muscle, `bearing` (26,) in radians.

    The bearing is measured in the image from left-right; in the vasti, which are wound about the femur, from the line
    to the middle of the leg, so that their fascicles are curved.
    """
    wound = _WOUND[which]
    down, right = y.copy(), x.copy()
    for leg in range(2):
        own = which // 13 == leg
        if (part := own & wound).any():
            below, beside = y[part] - y[own].mean(), x[part] - x[own].mean()
            right[part] = np.hypot(below, beside)
            down[part] = np.arctan2(below, beside) * np.float32(_RADIUS_MM)
    cos, sin = (f(bearing).astype(np.float32)[which] for f in (np.cos, np.sin))
    return down * cos - right * sin, down * sin + right * cos


def _noise(rng: np.random.Generator, which: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Standard normal noise at points whose coordinates are in cells: of each muscle another piece of a random tile,
    turned, so that no texture goes on in the next muscle."""
    size = _CELLS * _STEPS
    tile = _tiles()[rng.integers(_TILES)].ravel()
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.float32(_STEPS * np.cos(angle)), np.float32(_STEPS * np.sin(angle))
    first, second = rng.uniform(2 * size, 3 * size, (2, 26)).astype(np.float32)[:, which]
    row = (down * cos - right * sin + first).astype(np.int32) & (size - 1)
    column = (down * sin + right * cos + second).astype(np.int32) & (size - 1)
    return tile[row * size + column]


def _net(noise: np.ndarray) -> np.ndarray:
    """Standard normal values that are high on the thin lines where standard normal `noise` crosses zero."""
    return -ndtri(np.clip(2 * ndtr(np.abs(noise)) - 1, 1e-4, 1 - 1e-4))


def _rim(codes: np.ndarray, muscle: np.ndarray, which: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Closeness to the border of the own muscle, of mean 0 and SD 1 in each muscle of the plane."""
    border = ~muscle
    border[1:] |= codes[1:] != codes[:-1]
    border[:, 1:] |= codes[:, 1:] != codes[:, :-1]
    close = ndimage.gaussian_filter(border.astype(np.float32), _RIM_MM / pixel_mm, truncate=2.5)[muscle]
    count = np.maximum(np.bincount(which, minlength=26), 1)
    close -= (np.bincount(which, close, 26) / count).astype(np.float32)[which]
    spread = np.sqrt(np.bincount(which, close**2, 26) / count).astype(np.float32)
    return close / np.maximum(spread, np.float32(1e-6))[which]
