"""Muscle texture score: which share of a muscle shows the texture that the model's answer rests on.

Cai et al., "Texture analysis for muscular dystrophy classification in MRI with improved class activation mapping",
Pattern Recognition 2019;86:368, equation (5): s = n / m, with m the pixels of a muscle and n those under the heat.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ..errors import InputError
from ..results import MuscleTexture

UNDER_HEAT = 0.5
"""Heat from which a voxel counts (our choice): half of the strongest in the case, or of a typical positive one where
the case has less (`HeatDrawing.reference`)."""


def texture_scores(
    heatmap: np.ndarray, muscles: np.ndarray, names: Mapping[int, str], legs: np.ndarray
) -> tuple[MuscleTexture, ...]:
    """Scores of all muscles that are in view, in the order of their names (2 before 10).

    Args:
        heatmap: (z, y, x) float32, 0 to 1, see `Classification.relative_heatmap`.
        muscles: (z, y, x) integers, 0 or a key of `names`.
        names: of the muscles.
        legs: (z, y, x) bool, what was classified; nothing else of a muscle counts.

    Raises:
        InputError: the muscles lie on another grid, or none of them within the legs.
    """
    if muscles.shape != heatmap.shape:
        raise InputError("The muscle segmentation lies on another grid than the MRI; draw it on this series.")
    counts = max(names, default=0) + 1
    voxels, heated = (np.bincount(muscles[part], minlength=counts) for part in (legs, legs & (heatmap >= UNDER_HEAT)))
    scores = tuple(
        MuscleTexture(
            muscle=names[value],
            voxels=int(voxels[value]),
            under_heat=int(heated[value]),
            score=float(heated[value] / voxels[value]),
        )
        for value in sorted(names, key=lambda value: _in_order(names[value]))
        if voxels[value]
    )
    if not scores:
        raise InputError("The muscle segmentation holds no muscle within the legs; draw it on this series.")
    return scores


def _in_order(name: str) -> list[str]:
    """Sorts the numbers in names by their size."""
    return [part.zfill(9) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
