"""From tissue to MR images: relaxation, pulse sequences, coil, k-space, noise.

Water and fat are imaged apart, because fat is displaced along the readout and Dixon images tell them apart. Images
are (rows, columns), signals relative to the proton density of fat, times in ms, field strengths in tesla.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.interpolate import BSpline

from ..series.series import FAT_SHIFT_HZ_PER_T
from . import anatomy

FINE = 2
"""Side of a pixel over that of the pixels that tissue is drawn on; their mean gives partial volume in the plane."""


@dataclass(frozen=True)
class Tissue:
    """Proton density relative to fat; T1 and T2 in ms, each at 1.5 T and at 3 T."""

    density: float
    t1_ms: tuple[float, float]
    t2_ms: tuple[float, float]


# Muscle, fat and marrow: Gold et al. 2004, AJR 183:343. Blood: Stanisz et al. 2005, MRM 54:507. Proton densities, skin,
# nerve and oedematous muscle (its longer T2 as a mixture of normal muscle and free water) are our estimates. Cortical
# bone gives a conventional spin echo no signal (T2 below 1 ms).
TISSUES = {
    "muscle": Tissue(0.85, (1130, 1420), (35.3, 31.7)),
    "oedema": Tissue(0.95, (1500, 1800), (75, 68)),
    "fat": Tissue(1.00, (288, 371), (165, 133)),
    "marrow": Tissue(0.98, (288, 365), (165, 133)),
    "blood": Tissue(0.90, (1441, 1932), (290, 275)),
    "skin": Tissue(0.70, (900, 1100), (25, 23)),
    "nerve": Tissue(0.85, (900, 1080), (80, 78)),
    "bone": Tissue(0.20, (250, 250), (0.5, 0.5)),
}


@dataclass(frozen=True)
class SpinEcho:
    """Conventional spin echo (Bernstein et al. 2004, Handbook of MRI Pulse Sequences, sec. 14.3)."""

    repetition_ms: float
    echo_ms: float

    def signal(self, t1_ms: float, t2_ms: float) -> float:
        """(1 − exp(−TR/T1))·exp(−TE/T2)."""
        return float((1 - np.exp(-self.repetition_ms / t1_ms)) * np.exp(-self.echo_ms / t2_ms))


@dataclass(frozen=True)
class InversionRecovery:
    """Spin echo after an inversion (Bernstein et al. 2004, sec. 14.2)."""

    repetition_ms: float
    echo_ms: float
    inversion_ms: float

    def signal(self, t1_ms: float, t2_ms: float) -> float:
        """(1 − 2·exp(−TI/T1) + exp(−TR/T1))·exp(−TE/T2); negative before the null."""
        recovered = 1 - 2 * np.exp(-self.inversion_ms / t1_ms) + np.exp(-self.repetition_ms / t1_ms)
        return float(recovered * np.exp(-self.echo_ms / t2_ms))

    @staticmethod
    def null_ms(t1_ms: float, repetition_ms: float) -> float:
        """Inversion time at which a tissue gives no signal."""
        return float(t1_ms * (np.log(2) - np.log1p(np.exp(-repetition_ms / t1_ms))))


@dataclass(frozen=True)
class SpoiledGradientEcho:
    """Spoiled gradient echo (Bernstein et al. 2004, sec. 14.1), with T2 for T2*, as its echoes come early."""

    repetition_ms: float
    echo_ms: float
    flip_degrees: float

    def signal(self, t1_ms: float, t2_ms: float) -> float:
        """sin α·(1 − E1)/(1 − E1·cos α)·exp(−TE/T2) with E1 = exp(−TR/T1)."""
        flip, left = np.deg2rad(self.flip_degrees), np.exp(-self.repetition_ms / t1_ms)
        return float(np.sin(flip) * (1 - left) / (1 - left * np.cos(flip)) * np.exp(-self.echo_ms / t2_ms))


Sequence = SpinEcho | InversionRecovery | SpoiledGradientEcho


@dataclass(frozen=True)
class Site:
    """The ranges in which the protocols of one hospital lie.

    Attributes:
        share_3t: share of examinations at 3 T, the others at 1.5 T.
        repetition_ms, echo_ms: of the T1-weighted spin echo.
        thickness_mm: of the slices.
        acquired_mm: size of the acquired pixels along the readout, before interpolation.
        bandwidth_hz: of one acquired pixel at 1.5 T; protocols raise it with the field.
        snr: signal of muscle over the noise's SD.
    """

    share_3t: float = 0.5
    repetition_ms: tuple[float, float] = (400, 800)
    echo_ms: tuple[float, float] = (8, 20)
    thickness_mm: tuple[float, float] = (3, 10)
    acquired_mm: tuple[float, float] = (0.7, 1.8)
    bandwidth_hz: tuple[float, float] = (110, 450)
    snr: tuple[float, float] = (9, 70)


@dataclass(frozen=True)
class Scanner:
    """What the images of one examination have in common.

    Attributes:
        tesla: field strength.
        thickness_mm: of the slices.
        readout: axis of the image along which the signal is read out: 0 rows, 1 columns; the other one is phase.
        tissue_spread: signal of each of `TISSUES` in this person relative to the table.
        water_gain: what flip angles, echo trains and filters of the scanner give T1-weighted water over fat.
        blood: signal of flowing blood relative to resting blood: near 0 a flow void, above 1 inflow.
        coil: weights of the coil's smooth field, log scale; see `coil_field`.
        shim: weights of the field's smooth error, in the phase of one Dixon echo.
        site: ranges that the protocol is drawn from.
    """

    tesla: float
    thickness_mm: float
    readout: int
    tissue_spread: np.ndarray
    water_gain: float
    blood: float
    coil: np.ndarray
    shim: np.ndarray
    site: Site

    @classmethod
    def drawn(cls, rng: np.random.Generator, site: Site) -> Scanner:
        return cls(
            tesla=3.0 if rng.random() < site.share_3t else 1.5,
            thickness_mm=round(float(rng.uniform(*site.thickness_mm)), 1),
            readout=int(rng.random() < 0.5),
            tissue_spread=rng.lognormal(0, 0.06, len(TISSUES)),
            water_gain=float(np.clip(rng.lognormal(np.log(1.1), 0.25), 0.8, 2.1)),
            blood=float(rng.choice([rng.uniform(0, 0.2), rng.uniform(0.3, 1.6)], p=[0.5, 0.5])),
            coil=rng.normal(0, 1, 6) * rng.uniform(0, 1) * np.array([0.35, 0.35, 0.15, 0.3, 0.3, 0.2]),
            shim=rng.normal(0, 0.4, 6),
            site=site,
        )

    def signal(self, tissue: str, sequence: Sequence) -> float:
        """Signal of a `tissue` of `TISSUES`, relative to the proton density of fat."""
        field, kind = int(self.tesla > 2), TISSUES[tissue]
        signal = kind.density * sequence.signal(kind.t1_ms[field], kind.t2_ms[field])
        if isinstance(sequence, SpinEcho) and tissue not in ("fat", "marrow"):
            signal *= self.water_gain
        return float(signal * self.tissue_spread[list(TISSUES).index(tissue)])

    def signals(self, sequence: Sequence) -> tuple[np.ndarray, np.ndarray]:
        """(256,) float32 signal of the water and of the fat of each tissue code of `anatomy`; none for muscle codes,
        whose share of each pixel is known apart."""
        water, fat = np.zeros(256, np.float32), np.zeros(256, np.float32)
        water[anatomy.SKIN] = self.signal("skin", sequence)
        water[anatomy.FASCIA] = 0.8 * water[anatomy.SKIN]
        water[anatomy.CORTEX] = self.signal("bone", sequence)
        water[anatomy.VESSEL] = self.blood * self.signal("blood", sequence)
        water[anatomy.NERVE] = self.signal("nerve", sequence)
        water[anatomy.PAD] = 1.2 * self.signal("muscle", sequence)
        fat[anatomy.FAT] = fat[anatomy.SEPTUM] = self.signal("fat", sequence)
        fat[anatomy.MARROW] = self.signal("marrow", sequence)
        return water, fat

    def fat_hz(self) -> float:
        return FAT_SHIFT_HZ_PER_T * self.tesla


@dataclass(frozen=True)
class Plane:
    """What one slice is made of.

    Attributes:
        tissue: (parts, rows × FINE, columns × FINE) uint8 tissue codes of `anatomy` at depths within the slice.
        muscle: (rows, columns) float32 share of each pixel that is the water of muscle.
        oedema: (rows, columns) float32 share of that water that is oedematous.
        lipid: (rows, columns) float32 share of each pixel that is fat within and between muscles.
        lobules: (rows, columns) float32 what the septa of subcutaneous fat leave of the signal.
        margin: pixels on each side that are drawn but lie out of the image.
    """

    tissue: np.ndarray
    muscle: np.ndarray
    oedema: np.ndarray
    lipid: np.ndarray
    lobules: np.ndarray
    margin: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        rows, columns = self.muscle.shape
        return rows - 2 * self.margin, columns - 2 * self.margin

    def signal(self, scanner: Scanner, sequence: Sequence) -> tuple[np.ndarray, np.ndarray]:
        """float32 signal of water and of fat in each pixel of the image.

        What lies in the margin along the readout is filtered out; along the other axis it wraps around.
        """
        water, fat = (block_mean(table[self.tissue]) for table in scanner.signals(sequence))
        muscle, oedema = (scanner.signal(name, sequence) for name in ("muscle", "oedema"))
        water = water * self.lobules + self.muscle * np.float32(muscle)
        water += self.muscle * self.oedema * np.float32(oedema - muscle)
        fat = fat * self.lobules + self.lipid * np.float32(scanner.signal("fat", sequence))
        return self._folded(water, scanner.readout), self._folded(fat, scanner.readout)

    def _folded(self, signal: np.ndarray, readout: int) -> np.ndarray:
        if not self.margin:
            return signal
        m = self.margin
        phase_first = np.moveaxis(signal, 1 - readout, 0)[:, m:-m]
        image = phase_first[m:-m].copy()
        image[-m:] += phase_first[:m]
        image[:m] += phase_first[-m:]
        return np.moveaxis(image, 0, 1 - readout)


def block_mean(fine: np.ndarray) -> np.ndarray:
    """(rows, columns) float32 mean of (parts, rows × FINE, columns × FINE) over parts and blocks."""
    whole = fine.sum(axis=0, dtype=np.float32)
    rows = sum(whole[n::FINE] for n in range(FINE))
    return sum(rows[:, n::FINE] for n in range(FINE)) * np.float32(1 / (len(fine) * FINE**2))


def block_max(fine: np.ndarray) -> np.ndarray:
    """(rows, columns) maximum of (parts, rows × FINE, columns × FINE) over parts and blocks."""
    whole = fine.max(axis=0)
    rows = np.maximum.reduce([whole[n::FINE] for n in range(FINE)])
    return np.maximum.reduce([rows[:, n::FINE] for n in range(FINE)])


@dataclass(frozen=True)
class Readout:
    """How k-space is acquired.

    Attributes:
        axis: of the readout; the other one is phase.
        shift: displacement of fat along the readout in pixels.
        share: of k-space that is acquired along rows and columns; zeros fill the rest.
        filter: 0 no filter against ringing, 1 one that ends at zero.
        ghost: strength and shift (pixels) of a motion ghost along the phase axis; mostly no strength.
        noise: SD of the noise of the real and of the imaginary part of the image.
    """

    axis: int
    shift: float
    share: tuple[float, float]
    filter: float
    ghost: tuple[float, int]
    noise: float

    @classmethod
    def drawn(
        cls, rng: np.random.Generator, scanner: Scanner, shape: tuple[int, int], pixel_mm: float, muscle: float
    ) -> Readout:
        """A protocol of the scanner's site, where muscle has the signal `muscle`."""
        along = max(float(np.exp(rng.uniform(*np.log(scanner.site.acquired_mm)))), pixel_mm)
        across = along * float(rng.uniform(1, 1.5))
        rows, columns = (along, across) if scanner.readout == 0 else (across, along)
        bandwidth = float(np.exp(rng.uniform(*np.log(scanner.site.bandwidth_hz)))) * scanner.tesla / 1.5
        shift = float(rng.choice([-1, 1])) * scanner.fat_hz() / bandwidth * along / pixel_mm
        ghost = float(rng.uniform(0.02, 0.07)) if rng.random() < 0.12 else 0.0
        phase = shape[1 - scanner.readout]
        return cls(
            axis=scanner.readout,
            shift=shift,
            share=(float(np.clip(pixel_mm / rows, 0.3, 1)), float(np.clip(pixel_mm / columns, 0.3, 1))),
            filter=float(rng.uniform(0, 1)),
            ghost=(ghost, int(rng.integers(phase // 8, phase // 3))),
            noise=muscle / float(np.exp(rng.uniform(*np.log(scanner.site.snr)))),
        )

    def acquired(self, water: np.ndarray, fat: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(rows, columns) complex64 image of the signal of `water` and `fat` with noise."""
        return self.imaged(water, fat) + self.noise_image(water.shape, rng)

    def imaged(self, water: np.ndarray, fat: np.ndarray) -> np.ndarray:
        """(rows, columns) complex64 image without noise: fat displaced, ghosts added, k-space cut."""
        lines = [fft.fftfreq(size).astype(np.float32) for size in water.shape]
        along = np.exp(-2j * np.pi * self.shift * lines[self.axis]).astype(np.complex64)
        across = 1 - self.axis
        strength, step = self.ghost
        moved = (1 + 2 * strength * np.cos(2 * np.pi * step * lines[across])).astype(np.float32)
        k_space = fft.fft2(fat.astype(np.complex64))
        k_space *= np.expand_dims(along, across)
        k_space += fft.fft2(water.astype(np.complex64))
        k_space *= np.expand_dims(moved, self.axis) * self._window(water.shape)
        return fft.ifft2(k_space, overwrite_x=True)

    def noise_image(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """(rows, columns) complex64 noise of the acquired part of k-space."""
        window = self._window(shape)
        white = rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        white *= np.float32(self.noise / np.sqrt(np.mean(window**2)) * np.sqrt(white.size))
        white *= window
        return fft.ifft2(white, overwrite_x=True)

    def _window(self, shape: tuple[int, int]) -> np.ndarray:
        """(rows, columns) weight of each point of k-space: 0 where it is not acquired, else a raised cosine."""
        axes = []
        for size, share in zip(shape, self.share, strict=True):
            place = np.abs(fft.fftfreq(size)) / (0.5 * share)
            weight = 1 - 0.5 * self.filter * (1 - np.cos(np.pi * place))
            axes.append(np.where(place <= 1, weight, 0).astype(np.float32))
        return axes[0][:, None] * axes[1]


def dixon(
    water: np.ndarray, fat: np.ndarray, readout: Readout, shim: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fat, water and fat fraction (0 to 1) that a three-point Dixon reconstruction finds, each (rows, columns) float32.

    Three echoes with fat in phase, opposed and in phase again; the phase of the field's error is half the phase between
    the outer ones (Glover and Schneider 1991, MRM 18:371). `shim` (6,) keeps it below half a turn, so no unwrapping is
    needed. The fat fraction is 0 where there is too little signal to tell.
    """
    error = np.exp(1j * np.log(coil_field(shim, water.shape))).astype(np.complex64)
    nothing = np.zeros_like(water)
    water, fat = readout.imaged(water, nothing), readout.imaged(nothing, fat)
    echoes = [(water + (-1) ** n * fat) * error**n + readout.noise_image(water.shape, rng) for n in range(3)]
    found = np.exp(0.5j * np.angle(echoes[2] * echoes[0].conj()))
    opposed = echoes[1] * found.conj()
    water, fat = (np.abs(echoes[0] + sign * opposed).astype(np.float32) / 2 for sign in (1, -1))
    total = water + fat
    fraction = np.divide(fat, total, out=np.zeros_like(total), where=total > 6 * readout.noise)
    return fat, water, fraction


def coil_field(weights: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(rows, columns) smooth positive sensitivity of a surface coil: exp of a polynomial of second degree (x, y, xy,
    x², y²) and a wave; at most a factor of about 4 from brightest to darkest."""
    y, x = (np.linspace(-1, 1, size, dtype=np.float32) for size in shape)
    y = y[:, None]
    log = weights[0] * x + weights[1] * y + weights[2] * x * y + weights[3] * x**2 + weights[4] * y**2
    log = (log + weights[5] * np.sin(np.pi * (x + y))).astype(np.float32)
    log *= min(1.0, np.log(4) / max(float(np.ptp(log)), 1e-6))
    return np.exp(log)


def random_field(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> np.ndarray:
    """(rows, columns) smooth standard normal noise that varies over `cell` pixels, float32.

    Cubic B-splines with random weights, as in free-form deformation (Rueckert et al. 1999, IEEE TMI 18:712).
    """
    rows, columns = (_spline_basis(size, max(cell, 1.0)) for size in shape)
    weights = rng.standard_normal((rows.shape[1], columns.shape[1]), dtype=np.float32)
    return rows @ weights @ columns.T


def _spline_basis(size: int, cell: float) -> np.ndarray:
    """(size, weights) cubic B-splines at the pixels, rows of unit norm so that the field has unit variance."""
    count = int(np.ceil(size / cell)) + 1
    knots = np.arange(-3, count + 4, dtype=float)
    basis = BSpline.design_matrix(np.arange(size) / cell, knots, 3).toarray().astype(np.float32)
    return basis / np.linalg.norm(basis, axis=1, keepdims=True)
