"""The contrasts of one examination: T1-weighted spin echo, STIR, and three-point Dixon of the same slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..series.series import Acquisition
from .physics import (
    TISSUES,
    InversionRecovery,
    Plane,
    Readout,
    Scanner,
    SpinEcho,
    SpoiledGradientEcho,
    coil_field,
    dixon,
)

CONTRASTS = ("T1", "STIR", "DIXON_FAT", "DIXON_WATER", "DIXON_FF")
DIXON = CONTRASTS[2:]


def t1_weighted(
    planes: Sequence[Plane], scanner: Scanner, pixel_mm: float, rng: np.random.Generator
) -> tuple[np.ndarray, Acquisition]:
    """(slices, rows, columns) float32 T1-weighted spin-echo images and how they were made."""
    sequence = SpinEcho(
        float(np.round(rng.uniform(*scanner.site.repetition_ms))),
        float(np.round(rng.uniform(*scanner.site.echo_ms), 1)),
    )
    images = _magnitude(planes, scanner, sequence, pixel_mm, rng)
    return images, _facts(scanner, sequence, ("SE",), ("DERIVED", "PRIMARY", "OTHER"))


def stir(
    planes: Sequence[Plane], scanner: Scanner, pixel_mm: float, rng: np.random.Generator
) -> tuple[np.ndarray, Acquisition]:
    """(slices, rows, columns) float32 images with the inversion time at which fat gives nearly no signal."""
    repetition, echo = float(np.round(rng.uniform(3000, 5000))), float(np.round(rng.uniform(30, 70), 1))
    null = InversionRecovery.null_ms(TISSUES["fat"].t1_ms[int(scanner.tesla > 2)], repetition)
    sequence = InversionRecovery(repetition, echo, round(null * float(rng.uniform(0.96, 1.04)), 1))
    images = _magnitude(planes, scanner, sequence, pixel_mm, rng)
    return images, _facts(scanner, sequence, ("SE", "IR"), ("DERIVED", "PRIMARY", "OTHER"))


def three_point_dixon(
    planes: Sequence[Plane], scanner: Scanner, pixel_mm: float, rng: np.random.Generator
) -> dict[str, tuple[np.ndarray, Acquisition]]:
    """Fat, water and fat fraction of each of `DIXON`: (slices, rows, columns) float32 images and how they were made."""
    in_phase_ms = 1000 / scanner.fat_hz()
    sequence = SpoiledGradientEcho(float(np.round(rng.uniform(8, 15), 1)), round(in_phase_ms, 2), 3.0)
    readout = Readout.drawn(rng, scanner, planes[0].shape, pixel_mm, scanner.signal("muscle", sequence))
    coil, scale = coil_field(scanner.coil, planes[0].shape), _scale(rng)
    found = []
    for plane in planes:
        water, fat = plane.signal(scanner, sequence)
        fat, water, fraction = dixon(coil * water, coil * fat, readout, scanner.shim, rng)
        found.append((scale * fat, scale * water, fraction))
    kinds = ("FAT", "WATER", "FF")
    return {
        name: (
            np.stack(images).astype(np.float32),
            _facts(scanner, sequence, ("GR",), ("DERIVED", "PRIMARY", "DIXON", kind)),
        )
        for name, kind, images in zip(DIXON, kinds, zip(*found, strict=True), strict=True)
    }


def _magnitude(
    planes: Sequence[Plane],
    scanner: Scanner,
    sequence: SpinEcho | InversionRecovery,
    pixel_mm: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """(slices, rows, columns) float32 magnitude; its noise is Rician (Gudbjartsson and Patz 1995, MRM 34:910)."""
    readout = Readout.drawn(rng, scanner, planes[0].shape, pixel_mm, scanner.signal("muscle", sequence))
    coil, scale = coil_field(scanner.coil, planes[0].shape), _scale(rng)
    images = []
    for plane in planes:
        water, fat = plane.signal(scanner, sequence)
        images.append(scale * np.abs(readout.acquired(coil * water, coil * fat, rng)))
    return np.stack(images).astype(np.float32)


def _scale(rng: np.random.Generator) -> np.float32:
    """What the scanner multiplies with; arbitrary."""
    return np.float32(np.exp(rng.uniform(np.log(10), np.log(4000))))


def _facts(
    scanner: Scanner,
    sequence: SpinEcho | InversionRecovery | SpoiledGradientEcho,
    kinds: tuple[str, ...],
    image_type: tuple[str, ...],
) -> Acquisition:
    return Acquisition(
        modality="MR",
        field_strength_t=scanner.tesla,
        repetition_time_ms=sequence.repetition_ms,
        echo_time_ms=sequence.echo_ms,
        inversion_time_ms=sequence.inversion_ms if isinstance(sequence, InversionRecovery) else None,
        scanning_sequence=kinds,
        image_type=image_type,
        body_part="THIGH",
    )
