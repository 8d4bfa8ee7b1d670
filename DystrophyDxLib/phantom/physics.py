"""From tissue to a T1-weighted image: spin-echo signal, surface coil, resolution, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.interpolate import BSpline

from . import anatomy

# Tissue: proton density relative to fat, T1 and T2 in ms at 1.5 T and at 3 T. Muscle, fat and marrow: Gold et al. 2004,
# AJR 183:343. Blood: Stanisz et al. 2005, MRM 54:507. Proton
# densities, skin and nerve are our estimates. Cortical bone gives a conventional spin echo no signal (T2 below 1 ms).
_RELAXATION = {
    "muscle": (0.85, (1130, 1420), (35.3, 31.7)),
    "fat": (1.00, (288, 371), (165, 133)),
    "marrow": (0.98, (288, 365), (165, 133)),
    "blood": (0.90, (1441, 1932), (290, 275)),
    "skin": (0.70, (900, 1100), (25, 23)),
    "nerve": (0.85, (900, 1080), (80, 78)),
    "bone": (0.20, (250, 250), (0.5, 0.5)),
}


@dataclass(frozen=True)
class Protocol:
    """How the images are made: field strength in tesla, times in ms, what the coil, the noise and the patient add.

    Attributes:
        blood: signal of flowing blood relative to resting blood: near 0 a flow void, above 1 inflow.
        tissue_spread: SD of the signal of each tissue between persons.
        snr: signal of muscle over the noise's SD.
        blur: SD in pixels of the point spread function.
        coil: weights of the coil's smooth field, log scale; see `coil_field`.
        ghost: strength and shift (pixels) of a motion ghost along the rows, mostly zero.
        scale: what the scanner multiplies with; arbitrary.
    """

    tesla: float
    repetition_ms: float
    echo_ms: float
    blood: float
    tissue_spread: np.ndarray
    snr: float
    blur: float
    coil: np.ndarray
    ghost: tuple[float, int]
    scale: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, matrix: int) -> Protocol:
        """A clinical T1-weighted spin-echo or turbo-spin-echo protocol."""
        tesla = float(rng.choice([1.5, 3.0]))
        ghosting = rng.random() < 0.12
        return cls(
            tesla=tesla,
            repetition_ms=float(np.round(rng.uniform(400, 800))),
            echo_ms=float(np.round(rng.uniform(8, 20), 1)),
            blood=float(rng.choice([rng.uniform(0, 0.2), rng.uniform(0.3, 1.6)], p=[0.5, 0.5])),
            tissue_spread=rng.lognormal(0, 0.05, len(_RELAXATION)),
            snr=float(np.exp(rng.uniform(np.log(10), np.log(60)))),
            blur=float(rng.uniform(0.25, 0.85)),
            coil=rng.normal(0, 1, 6) * rng.uniform(0, 1) * np.array([0.35, 0.35, 0.15, 0.3, 0.3, 0.2]),
            ghost=(float(rng.uniform(0.02, 0.07)) if ghosting else 0.0, int(rng.integers(matrix // 8, matrix // 3))),
            scale=float(np.exp(rng.uniform(np.log(10), np.log(4000)))),
        )

    def signal(self, tissue: str) -> float:
        """Spin-echo signal PD·(1 − exp(−TR/T1))·exp(−TE/T2) (Bernstein et al. 2004, Handbook of MRI Pulse
        Sequences, sec. 14.3), relative to fat's proton density."""
        density, t1, t2 = _RELAXATION[tissue]
        column = 1 if self.tesla > 2 else 0
        spread = self.tissue_spread[list(_RELAXATION).index(tissue)]
        recovered = 1 - np.exp(-self.repetition_ms / t1[column])
        return float(spread * density * recovered * np.exp(-self.echo_ms / t2[column]))

    def signals(self) -> np.ndarray:
        """(256,) signal of each tissue code of `anatomy`; muscle codes have that of muscle without fat."""
        table = np.full(256, self.signal("muscle"), np.float32)
        table[anatomy.AIR] = 0
        table[anatomy.SKIN] = self.signal("skin")
        table[anatomy.FAT] = self.signal("fat")
        table[anatomy.SEPTUM] = self.signal("fat")
        table[anatomy.FASCIA] = 0.8 * self.signal("skin")
        table[anatomy.CORTEX] = self.signal("bone")
        table[anatomy.MARROW] = self.signal("marrow")
        table[anatomy.VESSEL] = self.blood * self.signal("blood")
        table[anatomy.NERVE] = self.signal("nerve")
        table[anatomy.PAD] = 0.5 * self.signal("fat")
        return table

    def acquired(self, signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(rows, columns) magnitude image of the true `signal` of each pixel, float32."""
        image = ndimage.gaussian_filter(signal, self.blur) * coil_field(self.coil, signal.shape)
        strength, shift = self.ghost
        if strength:
            image = image + strength * (np.roll(image, shift, axis=0) + np.roll(image, -shift, axis=0))
        noise = rng.standard_normal((2, *signal.shape), dtype=np.float32) * np.float32(self.signal("muscle") / self.snr)
        # Rician: magnitude of a complex image (Gudbjartsson and Patz 1995, MRM 34:910).
        return np.float32(self.scale) * np.hypot(image + noise[0], noise[1])


def coil_field(weights: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(rows, columns) smooth positive sensitivity of a surface coil: exp of a polynomial of second degree (x, y, xy,
    x², y²) and a wave; at most a factor of about 4 from brightest to darkest."""
    y, x = (np.linspace(-1, 1, size, dtype=np.float32) for size in shape)
    y = y[:, None]
    log = weights[0] * x + weights[1] * y + weights[2] * x * y + weights[3] * x**2 + weights[4] * y**2
    log = (log + weights[5] * np.sin(np.pi * (x + y))).astype(np.float32)
    log *= min(1.0, np.log(4) / max(float(np.ptp(log)), 1e-6))
    return np.exp(log)


def random_field(rng: np.random.Generator, shape: tuple[int, int], cell: tuple[float, float]) -> np.ndarray:
    """(rows, columns) smooth standard normal noise that varies over `cell` (rows, columns) pixels, float32.

    Cubic B-splines with random weights, as in free-form deformation (Rueckert et al. 1999, IEEE TMI 18:712).
    """
    rows, columns = (_spline_basis(size, max(width, 1.0)) for size, width in zip(shape, cell, strict=True))
    weights = rng.standard_normal((rows.shape[1], columns.shape[1]), dtype=np.float32)
    return rows @ weights @ columns.T


def streaks(rng: np.random.Generator, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Standard normal noise at the points (`across`, `along`), in units of the splines' cell."""
    weights = rng.standard_normal((128, 128), dtype=np.float32)
    noise = ndimage.map_coordinates(weights, [across, along], order=3, prefilter=False, mode="grid-wrap")
    # 151/315 is the mean square of a cubic B-spline over its cell, in each direction.
    return noise / np.float32(151 / 315)


def _spline_basis(size: int, cell: float) -> np.ndarray:
    """(size, weights) cubic B-splines at the pixels, rows of unit norm so that the field has unit variance."""
    count = int(np.ceil(size / cell)) + 1
    knots = np.arange(-3, count + 4, dtype=float)
    basis = BSpline.design_matrix(np.arange(size) / cell, knots, 3).toarray().astype(np.float32)
    return basis / np.linalg.norm(basis, axis=1, keepdims=True)
