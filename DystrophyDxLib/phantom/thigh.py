"""`make_phantom`: a synthetic T1-weighted axial series of the thighs with known anatomy, fat and diagnosis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..series import Acquisition, Geometry, Series
from . import anatomy
from .anatomy import Body, Leg, ShapeModel
from .disease import DIAGNOSES, DYSTROPHINOPATHY, Infiltration, drawn_diagnosis, fat_fraction
from .physics import Protocol, random_field, streaks

# Side of a pixel over that of the pixels that tissue is drawn on; their mean gives partial volume.
_FINE = 2


@dataclass(frozen=True)
class Phantom:
    """Synthetic images of both thighs, or of one, and the truth behind them. Arrays are (z, y, x) as the series.

    Attributes:
        series: T1-weighted axial series in LPS; slices from distal to proximal.
        muscles: uint8, 0 or 1 + index of the muscle in `MUSCLES`, the same for both legs.
        legs: uint8, 0 none, 1 the patient's left leg, 2 the right, skin included.
        fat_fraction: float32, 0 to 1, of each muscle voxel; 0 elsewhere.
        diagnosis: one of `DIAGNOSES`.
        severity: mean fat fraction of the muscle voxels.
    """

    series: Series
    muscles: np.ndarray
    legs: np.ndarray
    fat_fraction: np.ndarray
    diagnosis: str
    severity: float

    @property
    def is_dystrophinopathy(self) -> bool:
        return self.diagnosis in DYSTROPHINOPATHY


@dataclass(frozen=True)
class _View:
    """Which legs are in view and how: LPS position of pixel (0, 0) and pixel size in mm, noise of fat and septa."""

    origin: np.ndarray
    pixel_mm: float
    matrix: int
    pad_row: int | None
    septa: float
    lobules: float


def make_phantom(seed: int, diagnosis: str | None = None, slices: int = 4, matrix: int = 256) -> Phantom:
    """Draws a person, a protocol and the images; the same arguments give the same bytes.

    Args:
        seed: of the only random generator.
        diagnosis: one of `DIAGNOSES`; None draws a dystrophinopathy in half of the cases.
        slices: number of axial slices between the knee and the upper thigh.
        matrix: rows and columns.

    Raises:
        InputError: unknown diagnosis, no slice, or a matrix too small to show muscles.
    """
    if diagnosis is not None and diagnosis not in DIAGNOSES:
        raise InputError(f"Unknown diagnosis; choose one of: {', '.join(DIAGNOSES)}.")
    if slices < 1 or matrix < 64:
        raise InputError("A phantom needs at least 1 slice and 64 rows; raise the number of slices or the matrix.")
    rng = np.random.default_rng(seed)
    diagnosis = diagnosis or drawn_diagnosis(rng)
    infiltration = Infiltration.drawn(rng, diagnosis, _muscle_shares())
    body = Body.drawn(rng, infiltration.bulk)
    protocol = Protocol.drawn(rng, matrix)
    levels, distance_mm = _levels(rng, body, slices)
    pairs = anatomy.legs_at(body, levels, rng)
    shown = _legs_shown(rng)
    view = _view(rng, pairs, shown, matrix)
    planes = [
        _plane([leg if seen else None for leg, seen in zip(pair, shown, strict=True)], level, view, infiltration,
               protocol, rng)
        for pair, level in zip(pairs, levels, strict=True)
    ]  # fmt: skip
    images, muscles, legs, fat = (np.stack(part) for part in zip(*planes, strict=True))
    geometry = Geometry(
        (float(view.origin[0]), float(view.origin[1]), round(float(levels[0] * body.thigh_mm), 2)),
        (view.pixel_mm, view.pixel_mm, distance_mm),
        np.eye(3),
    )
    acquisition = Acquisition(
        modality="MR",
        field_strength_t=protocol.tesla,
        repetition_time_ms=protocol.repetition_ms,
        echo_time_ms=protocol.echo_ms,
        scanning_sequence=("SE",),
        image_type=("DERIVED", "PRIMARY"),
        body_part="THIGH",
        laterality=None if all(shown) else ("left" if shown[0] else "right"),
    )
    series = Series(images, geometry, acquisition, selection="The synthetic series.")
    severity = float(fat[muscles > 0].mean()) if muscles.any() else 0.0
    return Phantom(series, muscles, legs, fat, diagnosis, severity)


def _muscle_shares() -> np.ndarray:
    """(12,) share of each muscle in the thigh's muscle at mid-thigh in the shape model; a twentieth adductor longus."""
    x, y = np.moveaxis(ShapeModel.measured().mean[2:6, :-1], -1, 0)
    area = np.abs(np.sum(x * np.roll(y, -1, -1) - y * np.roll(x, -1, -1), axis=-1)).mean(axis=0)
    return np.append(0.95 * area / area.sum(), 0.05)


def _levels(rng: np.random.Generator, body: Body, slices: int) -> tuple[np.ndarray, float]:
    """Levels of the slices along the thigh and their distance in mm."""
    room = (anatomy.HIGHEST - anatomy.LOWEST) * body.thigh_mm
    distance = round(float(rng.uniform(6, 40)), 3)
    if slices > 1:
        distance = min(distance, round(room / (slices - 1), 3))
    span = distance * (slices - 1) / body.thigh_mm
    # Examinations are centred on mid-thigh, more often above than below.
    first = anatomy.LOWEST + max(anatomy.HIGHEST - anatomy.LOWEST - span, 0) * rng.beta(2, 1.2)
    return first + distance / body.thigh_mm * np.arange(slices), distance


def _legs_shown(rng: np.random.Generator) -> tuple[bool, bool]:
    if rng.random() < 0.75:
        return True, True
    left = bool(rng.random() < 0.5)
    return left, not left


def _view(rng: np.random.Generator, pairs: list[list[Leg]], shown: tuple[bool, bool], matrix: int) -> _View:
    """A field of view around the legs in view; one in five cuts into them."""
    skins = np.concatenate([leg.skin for pair in pairs for leg, seen in zip(pair, shown, strict=True) if seen])
    low, high = skins.min(axis=0), skins.max(axis=0)
    width = float(np.max(high - low))
    cut = rng.random() < 0.22
    field_mm = width * (rng.uniform(0.75, 0.98) if cut else rng.uniform(1.03, 1.4))
    pixel_mm = round(float(np.clip(field_mm, 140, max(width, 440))) / matrix, 4)
    slack = 0.5 * np.abs(pixel_mm * matrix - (high - low)) * rng.uniform(-0.8, 0.8, 2)
    origin = (low + high) / 2 + slack - pixel_mm * (matrix - 1) / 2
    pad = rng.random() < 0.12
    pad_row = int((high[1] + rng.uniform(2, 15) - origin[1]) / (pixel_mm / _FINE)) if pad else None
    return _View(np.round(origin, 2), pixel_mm, matrix, pad_row, rng.uniform(0.15, 0.95), rng.uniform(0.03, 0.3))


def _plane(
    legs: list[Leg | None],
    level: float,
    view: _View,
    infiltration: Infiltration,
    protocol: Protocol,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Image, muscle labels, legs and fat fraction of one slice, each (matrix, matrix)."""
    fine_mm = view.pixel_mm / _FINE
    corner = view.origin - (view.pixel_mm - fine_mm) / 2
    tissue, sides = anatomy.draw(legs, corner, fine_mm, view.matrix * _FINE)
    blocks = _blocks(tissue)
    codes = blocks.max(axis=(1, 3))
    muscle = codes > anatomy.LEFT
    fat = np.zeros(codes.shape, np.float32)
    fat[muscle] = _fat_in_muscle(codes, muscle, level, view, infiltration, rng)
    table = protocol.signals()
    if view.pad_row is not None:
        tissue[view.pad_row : view.pad_row + 3][sides[view.pad_row : view.pad_row + 3] == 0] = anatomy.PAD
    signal = table[tissue]
    is_muscle = tissue > anatomy.LEFT
    amount = np.repeat(np.repeat(fat, _FINE, axis=0), _FINE, axis=1)
    septa = _borders(tissue) & is_muscle
    amount[septa] = np.maximum(amount[septa], view.septa * _fat_in_septa(septa, fine_mm, rng))
    amount[~is_muscle] = 0
    signal += amount * (table[anatomy.FAT] - signal)
    signal = _blocks(signal).mean(axis=(1, 3))
    signal *= 1 - view.lobules * _fat_septa(codes == anatomy.FAT, view, rng)
    truth = np.where(_blocks(is_muscle).mean(axis=(1, 3)) >= 0.5, codes & 15, 0).astype(np.uint8)
    whole = np.where(_blocks(sides > 0).mean(axis=(1, 3)) >= 0.5, _blocks(sides).max(axis=(1, 3)), 0).astype(np.uint8)
    return protocol.acquired(signal, rng), truth, whole, np.where(truth > 0, fat, 0).astype(np.float32)


def _blocks(fine: np.ndarray) -> np.ndarray:
    """(rows, fine, columns, fine) view of a finely drawn plane."""
    rows, columns = fine.shape
    return fine.reshape(rows // _FINE, _FINE, columns // _FINE, _FINE)


def _borders(tissue: np.ndarray) -> np.ndarray:
    """Where muscle borders on another muscle, on its upper and left side; thin septa lie there."""
    border = np.zeros(tissue.shape, bool)
    border[1:] = (tissue[1:] != tissue[:-1]) & (tissue[:-1] > anatomy.LEFT)
    border[:, 1:] |= (tissue[:, 1:] != tissue[:, :-1]) & (tissue[:, :-1] > anatomy.LEFT)
    return border


def _fat_in_septa(septa: np.ndarray, fine_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Fat in the pixels of `septa`, from 1 down to −0.4, where a dark aponeurosis takes its place."""
    cell = 14 / fine_mm
    return np.clip(0.4 + 0.6 * random_field(rng, septa.shape, (cell, cell))[septa], -0.4, 1)


def _fat_in_muscle(
    codes: np.ndarray,
    muscle: np.ndarray,
    level: float,
    view: _View,
    infiltration: Infiltration,
    rng: np.random.Generator,
) -> np.ndarray:
    """Fat fraction of the pixels where `muscle`."""
    pixels = codes[muscle]
    side, number = pixels // anatomy.RIGHT, (pixels & 15) - 1
    mm = view.pixel_mm
    fine, coarse = rng.uniform(1.2, 2.6), rng.uniform(4, 9)
    fields = [random_field(rng, codes.shape, (cell / mm, cell / mm))[muscle] for cell in (fine, coarse)]
    y, x = np.nonzero(muscle)
    angle = infiltration.fascicles[side, number]
    across, along = y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)
    fields.append(streaks(rng, across * (mm / (0.7 * fine)), along * (mm / (3.5 * fine))))
    rim = ndimage.gaussian_filter((~muscle | _borders(codes)).astype(np.float32), 3.0 / mm)[muscle]
    fields.append((rim - rim.mean()) / max(float(rim.std()), 1e-6) if rim.size else rim)
    field = np.einsum("ft,tf->t", np.stack(fields), infiltration.textures[side, number].astype(np.float32))
    latent = infiltration.latent[side, number] + infiltration.slope * (level - 0.4)
    return fat_fraction(latent, infiltration.sharpness[side, number], field)


def _fat_septa(fat: np.ndarray, view: _View, rng: np.random.Generator) -> np.ndarray:
    """Thin dark septa between the lobules of subcutaneous fat: 1 on them, 0 between and elsewhere."""
    width = rng.uniform(2.5, 6) / view.pixel_mm
    field = random_field(rng, fat.shape, (width, width))
    return np.where(fat, np.exp(-((field / 0.1) ** 2)), 0)
