"""The shape of one person's thighs: the measured shape model, and how stature, sex and age vary it.

The point distribution model in `anatomy_figures.json` (see `Tools/measure_anatomy.py`) was measured on the label maps
of Multimodal-Multiethnic-Thigh-Muscle-MRI-analysis (HuashanMyo), Apache-2.0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np


@dataclass(frozen=True)
class ShapeModel:
    """Point distribution model of one leg: levels along the thigh × 11 muscles and the whole compartment × points.

    Attributes:
        mean: (levels, 12, points, 2) mean outlines in mm; where a muscle is absent, its outline is a point.
        modes: (modes, levels, 12, points, 2) displacement in mm of one standard deviation of each mode.
        size_mm: square root of the mean compartment area that `mean` has.
    """

    mean: np.ndarray
    modes: np.ndarray
    size_mm: float

    @classmethod
    @cache
    def measured(cls) -> ShapeModel:
        """The model that the label maps gave."""
        figures = json.loads((files(__package__) / "anatomy_figures.json").read_text(encoding="utf-8"))
        mean, modes = (np.asarray(figures[name], dtype=float) / 10 for name in ("mean", "modes"))
        present = np.asarray(figures["present"], dtype=bool)
        levels = np.arange(len(present))
        for muscle in range(present.shape[1]):
            seen = np.flatnonzero(present[:, muscle])
            nearest = seen[np.abs(levels[:, None] - seen).argmin(axis=1)]
            for level in np.flatnonzero(~present[:, muscle]):
                mean[level, muscle] = mean[nearest[level], muscle].mean(axis=0)
                modes[:, level, muscle] = modes[:, nearest[level], muscle].mean(axis=1, keepdims=True)
        return cls(mean, modes, figures["size_mm"])

    def outlines(self, weights: np.ndarray, levels: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """(len(levels), 12, points, 2) outlines at `levels` (0 above the knee to 1) for `weights` in SD per mode.

        `shifts` (12,) are the levels by which each outline lies higher than in the mean.
        """
        leg = self.mean + np.tensordot(weights, self.modes, axes=1)
        place = np.clip(np.asarray(levels)[:, None] - shifts, 0, 1) * (len(leg) - 1)
        below = np.minimum(place.astype(int), len(leg) - 2)
        share = (place - below)[..., None, None]
        each = np.arange(leg.shape[1])
        return (1 - share) * leg[below, each] + share * leg[below + 1, each]


# Median stature in m by age, about that of the CDC growth charts (Kuczmarski et al. 2000, Adv Data 314).
_STATURE = {
    "F": ([5, 8, 10, 12, 14, 16, 20], [1.08, 1.28, 1.38, 1.51, 1.60, 1.62, 1.63]),
    "M": ([5, 8, 10, 12, 14, 16, 20], [1.09, 1.28, 1.39, 1.49, 1.64, 1.74, 1.77]),
}
# Width in mm inside the fascia at 1.70 m of stature by age: in adults the label maps' 99; that boys gain in puberty and
# that an eighth is lost from 45 to 80 is our estimate.
_MUSCLE_GROWTH = {
    "F": ([5, 12, 18, 45, 80], [96, 97, 100, 100, 88]),
    "M": ([5, 12, 18, 45, 80], [96, 97, 104, 104, 91]),
}
# Thickness of the femur's cortex as a share of the radius by age: it thins from within, more in women (our estimate).
_CORTEX_SHARE = {
    "F": ([5, 20, 45, 80], [0.36, 0.43, 0.42, 0.29]),
    "M": ([5, 20, 45, 80], [0.36, 0.43, 0.43, 0.37]),
}


@dataclass(frozen=True)
class Body:
    """What one person's thighs have in common. Lengths in mm.

    Attributes:
        size: square root of the thigh's mean cross section inside the fascia; about 60 in a child of five, 110 in a
            muscular adult.
        thigh_mm: length along the thigh from level 0 to level 1.
        femur_mm: radius of the femur's shaft.
        cortex: thickness of the shaft's cortex as a share of its radius.
        fat: mean thickness of the subcutaneous fat.
        skin: thickness of the skin.
        gap: distance of the legs' skin at level 0.4; below zero they press on each other.
        turn: outward rotation of each leg (left, right) in radians.
        modes: (2, modes) weights of the shape model for the left and right leg in SD.
        shifts: (2, 12) levels by which each outline of the shape model lies higher.
        bulk: (2, 13) area of each muscle relative to the shape model's.
        waves: (8, 5) elastic deformation: wave vector, phase, and displacement amplitude (x, y) of each wave.
        tone: (2, 13) signal of each muscle's water relative to the average one.
    """

    size: float
    thigh_mm: float
    femur_mm: float
    cortex: float
    fat: float
    skin: float
    gap: float
    turn: np.ndarray
    modes: np.ndarray
    shifts: np.ndarray
    bulk: np.ndarray
    waves: np.ndarray
    tone: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, bulk: np.ndarray, age_years: float, sex: str) -> Body:
        """A person of an age (5 to 80 years) and sex ("F" or "M"), from thin to obese.

        `bulk` (2, 13) is the area of the muscles that the disease left, relative to healthy ones. The more muscular,
        the less fat lies between the muscles.
        """
        height = np.interp(age_years, *_STATURE[sex]) * rng.normal(1, 0.04)
        build = np.interp(age_years, *_MUSCLE_GROWTH[sex]) * rng.lognormal(0, 0.11)
        size = float(np.clip(build * height / 1.70, 46, 135))
        # Thickness relative to the thigh's width; our estimate.
        fat_share = {"F": 0.115, "M": 0.075}[sex] * rng.lognormal(0, 0.5)
        modes = len(ShapeModel.measured().modes)
        symmetric, asymmetric = rng.normal(0, 0.85, modes), rng.normal(0, 0.3, (2, modes))
        wavelength = rng.uniform(45, 160, 8)
        angle = rng.uniform(0, 2 * np.pi, 8)
        vector = 2 * np.pi / wavelength[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        amplitude = rng.normal(0, 0.011, (8, 2)) * wavelength[:, None] * size / 99
        return cls(
            size=size,
            # The label maps' 281, taken as that of a stature of 1.68 m.
            thigh_mm=float(281 * height / 1.68),
            femur_mm=float(13.2 * (height / 1.70) * rng.uniform(0.92, 1.08)),
            cortex=float(np.clip(np.interp(age_years, *_CORTEX_SHARE[sex]) * rng.normal(1, 0.1), 0.2, 0.55)),
            fat=float(np.clip(fat_share, 0.025, 0.32) * size),
            skin=float(rng.uniform(1.2, 2.4)),
            gap=float(rng.choice([rng.uniform(-14, 4), rng.uniform(4, 45)], p=[0.3, 0.7])),
            turn=np.deg2rad(rng.normal(0, 9) + rng.normal(0, 4, 2)),
            modes=np.clip(symmetric + asymmetric, -2.2, 2.2),
            shifts=np.column_stack([rng.normal(0, 0.03, 11) + rng.normal(0, 0.01, (2, 11)), np.zeros(2)]),
            bulk=bulk * rng.uniform(1.0, 1.3),
            waves=np.column_stack([vector, rng.uniform(0, 2 * np.pi, 8), amplitude]),
            tone=np.exp(rng.normal(0, 0.05, 13) + rng.normal(0, 0.02, (2, 13))),
        )
