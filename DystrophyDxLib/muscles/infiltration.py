"""Fat in each muscle: how much of it is fat, in the case and along the thigh, and its grade.

Dixon images tell it of every voxel: fat / (fat + water). T1-weighted images tell it by grey between the leg's own
healthy muscle and its fat (`fat_reference`), as mean of a muscle, away from its rim, where partial volume lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..regions.windows import LABEL_OF_SIDE
from ..results import MuscleFat, SliceFat
from ..series.series import Series
from .fat_reference import FatField, FatUnderSkin, fat_field
from .muscle_voxels import MuscleVoxels
from .structures import MUSCLES

MERCURI = (0.10, 0.30, 0.60)
"""Fat fractions from which a muscle has the grades 2, 3 and 4 of Mercuri et al. 2002: less than 30 % of its volume
involved, 30 to 60 %, more (table of Wattjes, Kley and Fischer 2010, Eur Radiol 20:2447). They publish no limit of grade
1, normal; 10 % is where mild elevation over controls begins in Greve et al. 2021, Quant Imaging Med Surg 11:2610.
Radiologists grade higher than the fat fraction says (Wokke et al. 2013, J Magn Reson Imaging 38:619)."""
HEALTHY_FAT, PURE_FAT = 0.05, 0.937
"""Fat fraction of what looks like healthy muscle and like fat in T1-weighted images, so that grey and Dixon images say
the same: thigh muscles of young adults hold 4.8 to 8.6 % (Yoshiko et al. 2017, BMC Med Imaging 17:12), and
fat-referenced MRI takes adipose tissue for 93.7 %."""
_LEAST_VOXELS = 20
_SPARED_SHARE = 0.1
"""Share of all muscle whose darkest muscles are taken for healthy."""
_BELOW = 0.4
"""Share of their voxels below whose signal healthy muscle lies: a map that is a little too wide takes in fat around
these slender muscles. On 26 phantoms the mean error under a network's map was 0.069 with it and 0.062 with the mean of
the voxels; on two patients, 0.118 and 0.055 with it, 0.144 and 0.069 with the mean."""
_USUAL, _MOST, _SHRINK = 0.45, 0.52, 0.3
"""Signal of healthy muscle relative to fat: from `_USUAL` on, what is darkest may hold fat itself, and only the share
`_SHRINK` of the rest counts, up to `_MOST`. By relaxation times (Gold et al. 2004, AJR 183:343) spin echoes of TR 400
to 800 ms give 0.2 to 0.6; chosen on phantoms."""
_HEALTHY = 0.55
"""The same, from which on no muscle is called healthy."""
_FAT_IMAGE = 0.2
"""The same, below which images show fat alone, as those of Dixon scans do: T1-weighted spin echoes give no less."""
_FAT_IMAGE_MARGIN = 0.06
"""What the intervals of such images are wider by to either side: water that fat images hold, and what a map errs by.
Chosen on 20 phantoms under the network's map, of whose muscles 0.94 then lie within the interval, 0.55 without it."""
_NOT_FAT = 1.1
"""Signal of the darkest muscle relative to fat from which fat is not bright, so that grey does not tell it."""
_DIXON_MARGIN = 0.03
"""Half of an interval of Dixon images at least: twice their repeatability of 1.6 to 2.1 % (Grimm et al. 2018, J
Cachexia Sarcopenia Muscle 9:1093), rounded."""


@dataclass(frozen=True)
class FatScale:
    """From the mean signal of a muscle to its fat fraction, with the least and greatest.

    Attributes:
        source: what tells the fat.
        signal: (N,) float32, of each of `MuscleVoxels`, of which a muscle's mean is taken.
        fractions: from means of muscles without and with their rims, (...) each, to (3, ...) value, least, greatest.
        note: what must be known of it; empty where there is nothing.
        compared: False where no muscle looks healthy, so that grey is compared with what is usual.
        means: see `MuscleVoxels.means`, of `signal`; None where they are not known yet.
        fat: with whose signal grey is compared.
    """

    source: Literal["Dixon", "T1-weighted", "fat image"]
    signal: np.ndarray
    fractions: Callable[[np.ndarray, np.ndarray], np.ndarray]
    note: str = ""
    compared: bool = True
    means: tuple[np.ndarray, np.ndarray] | None = None
    fat: FatUnderSkin | None = None

    def trusted(self, *, by_network: bool, unlike: str | None) -> FatScale | Undecided:
        """The same, or why grey tells nothing here: in images that are no T1-weighted thighs, and where a network's
        map, which may lie on what is no muscle, shows no healthy muscle.

        Args:
            by_network: whether a network of this program made the map.
            unlike: why the images are none that grey is meant for; None where they are.
        """
        if self.source == "Dixon":
            return self
        if unlike is not None:
            return Undecided(f"Grey tells the fat only in axial T1-weighted images of whole thighs. {unlike}")
        if not self.compared and by_network:
            return Undecided(
                "No muscle looks healthy: the disease is far advanced, or the map is wrong. Correct the map."
            )
        return self


@dataclass(frozen=True)
class Undecided:
    """Why the fat of muscles cannot be told."""

    why: str


def mercuri_grade(fraction: float) -> int:
    """Grade of Mercuri et al. 2002 by the fat fraction; see `MERCURI`.

    >>> [mercuri_grade(fraction) for fraction in (0.05, 0.2, 0.3, 0.9)]
    [1, 2, 3, 4]
    """
    return 1 + int(np.searchsorted(MERCURI, fraction, side="right"))


def fat_of_muscles(
    voxels: MuscleVoxels, heated: np.ndarray, spacing: tuple[float, float, float], scale: FatScale | Undecided
) -> tuple[MuscleFat, ...]:
    """Fat, volume and grade of each muscle and side in view, left before right and in the order of `MUSCLES`.

    Args:
        voxels: of the muscle map.
        heated: (N,) bool, which of `voxels` texture scores count; see `explain.texture_score`.
        spacing: mm along i, j, k.
        scale: see `scale_of`.
    """
    counts, hot = voxels.counts, voxels.counts_where(heated).sum(axis=2)
    fractions, by_slice = _fractions(voxels, scale)
    ml = float(np.prod(spacing)) / 1000
    found = []
    for side, value in LABEL_OF_SIDE.items():
        for muscle in np.flatnonzero(counts[value - 1].any(axis=1)):
            own = counts[value - 1, muscle]
            total, under = int(own.sum()), int(hot[value - 1, muscle])
            few = total < _LEAST_VOXELS
            told = None if few or isinstance(scale, Undecided) else _rounded(fractions[:, value - 1, muscle])
            along = (by_slice[value - 1, muscle] if told else np.full(len(own), np.nan)).tolist()
            found.append(
                MuscleFat(
                    muscle=MUSCLES[muscle],
                    voxels=total,
                    under_heat=under,
                    score=under / total,
                    side=side.value,
                    volume_ml=round(total * ml, 2),
                    fat_fraction=told[0] if told else None,
                    fat_ci95=told[1:] if told else None,
                    **_graded(told, scale.why if isinstance(scale, Undecided) else "Too few voxels are in view."),
                    slices=tuple(
                        SliceFat(
                            slice=k,
                            volume_ml=round(own_voxels * ml, 3),
                            fat_fraction=None if math.isnan(along[k]) else round(along[k], 4),
                        )
                        for k, own_voxels in enumerate(own.tolist())
                        if own_voxels
                    ),
                )
            )
    return tuple(found)


def _fractions(voxels: MuscleVoxels, scale: FatScale | Undecided) -> tuple[np.ndarray, np.ndarray]:
    """(3, sides, muscles) fraction of each muscle, its least and greatest, and (sides, muscles, slices) fractions."""
    counts = voxels.counts
    if isinstance(scale, Undecided):
        return np.full((3, *counts.shape[:2]), np.nan), np.full(counts.shape, np.nan)
    parts = scale.means or voxels.means(scale.signal)
    whole = np.maximum(counts.sum(axis=2), 1)
    means = [np.nansum(part * counts, axis=2) / whole for part in parts]
    return scale.fractions(*means), scale.fractions(*parts)[0]


def _rounded(parts: np.ndarray) -> tuple[float, float, float]:
    value, low, high = (round(float(part), 4) for part in parts)
    return value, low, high


def _graded(told: tuple[float, float, float] | None, why_not: str) -> dict[str, Any]:
    """The grade of a fraction, None where its interval reaches into three grades or more; and why it is None."""
    if told is None:
        return {"mercuri": None, "why": why_not}
    grade, least, most = map(mercuri_grade, told)
    if most - least > 1:
        return {"mercuri": None, "why": f"The interval reaches from grade {least} to grade {most}."}
    return {"mercuri": grade}


def scale_of(
    series: Series,
    channels: Mapping[str, np.ndarray],
    labels: np.ndarray,
    voxels: MuscleVoxels,
    legs: np.ndarray,
    before: FatUnderSkin | None = None,
) -> FatScale | Undecided:
    """How the fat of muscles is told from a series: by Dixon images where they are among its channels, else by grey.

    Args:
        channels: all of the series by name, (z, y, x) each; DIXON_FAT and DIXON_WATER, or DIXON_FF, are Dixon images.
        labels: the muscle map.
        voxels: its muscles.
        legs: (z, y, x) bool.
        before: see `FatUnderSkin.of`.
    """
    dixon = _dixon(channels, voxels.index)
    if dixon is not None:
        return FatScale("Dixon", dixon, _by_dixon)
    facts = series.acquisition
    if facts.fat_suppressed or facts.opposed_phase:
        why = "suppressed" if facts.fat_suppressed else "opposed to water"
        return Undecided(f"Fat is {why} in these images, so that grey does not tell it.")
    field = fat_field(series, labels, legs, before)
    if field is None:
        return Undecided("Neither fat under the skin nor marrow is in view to compare muscles with.")
    scale = _by_grey(field, field.relative(series.voxels, voxels.index), voxels)
    if isinstance(scale, FatScale) and facts.fat_image:
        return replace(scale, source="fat image")
    return scale


def _dixon(channels: Mapping[str, np.ndarray], index: np.ndarray) -> np.ndarray | None:
    """(N,) fat fraction of the voxels of an index; None where no Dixon image tells it."""
    if {"DIXON_FAT", "DIXON_WATER"} <= set(channels):
        fat, water = (channels[name].ravel()[index] for name in ("DIXON_FAT", "DIXON_WATER"))
        total = fat + water
        return np.divide(fat, total, out=np.zeros(fat.shape, np.float32), where=total > 0)
    if "DIXON_FF" in channels:
        fraction = channels["DIXON_FF"]
        return fraction.ravel()[index] / np.float32(100 if fraction.max() > 2 else 1)
    return None


def _by_dixon(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    low, high = np.fmin(inner, outer) - _DIXON_MARGIN, np.fmax(inner, outer) + _DIXON_MARGIN
    return np.clip([inner, low, high], 0, 1)


def _by_grey(field: FatField, relative: np.ndarray, voxels: MuscleVoxels) -> FatScale | Undecided:
    """The scale between healthy muscle and fat.

    Args:
        relative: (N,) signal of the voxels relative to fat.
    """
    if not len(voxels.index):
        return Undecided("The map holds no muscle.")
    shown = voxels.counts.sum(axis=2).ravel() >= _LEAST_VOXELS
    if not shown.any():
        return Undecided("Too few voxels of muscle are in view.")
    parts = voxels.means(relative)
    inner = np.nan_to_num(parts[0]) * voxels.counts_within
    sizes = voxels.counts_within.sum(axis=2).ravel()
    means, sizes = (inner.sum(axis=2).ravel() / np.maximum(sizes, 1))[shown], sizes[shown]
    order = means.argsort()
    last = int(np.searchsorted(np.cumsum(sizes[order]), _SPARED_SHARE * sizes.sum())) + 1
    spared = voxels.within_muscles(np.flatnonzero(shown)[order[:last]])
    darkest = float(np.quantile(relative[spared], _BELOW))
    if darkest > _NOT_FAT:
        return Undecided("Fat is not brighter than muscle in these images, so that grey does not tell it.")
    healthy = min(darkest, _USUAL + _SHRINK * max(0.0, darkest - _USUAL), _MOST)
    seen = darkest <= _USUAL
    low = 0.8 * healthy if seen else 0.3
    high = 1.15 * healthy + 0.01 if seen else min(max(darkest, healthy + 0.05), 0.75)
    margin = 0.07 + field.spread / 4 + (0.1 if field.of_marrow else 0)
    source: Literal["T1-weighted", "fat image"] = "fat image" if darkest < _FAT_IMAGE else "T1-weighted"

    def fractions(own: np.ndarray, _: np.ndarray) -> np.ndarray:
        parts = [(own - healthy) / (1 - healthy)]
        for fat, muscle in ((1 + margin, high), (1 - margin, low)):
            parts.append((own / fat - muscle) / (1 - muscle))
        told = HEALTHY_FAT + (PURE_FAT - HEALTHY_FAT) * np.clip(parts, 0, 1)
        if source == "fat image":
            told[1], told[2] = np.maximum(told[1] - _FAT_IMAGE_MARGIN, 0), np.minimum(told[2] + _FAT_IMAGE_MARGIN, 1)
        told[1] = np.where(told[1] <= HEALTHY_FAT, 0, told[1])
        told[2] = np.where(told[2] >= PURE_FAT, 1, told[2])
        return told

    notes = []
    if darkest > _HEALTHY:
        notes.append("No muscle looks healthy, so that what is usual stands for it and the intervals are wide.")
    if field.of_marrow:
        notes.append("No fat under the skin is in view, so that the marrow of the femur stands for it.")
    return FatScale(source, relative, fractions, " ".join(notes), darkest <= _HEALTHY, parts, field.fat)
