"""Packages of pattern models made for tests, and the fat of muscles that they answer by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from DystrophyDxLib.models.package_files import write_files
from DystrophyDxLib.models.pattern_package import PatternCard, PatternPackage
from DystrophyDxLib.models.recipe import shipped_recipe
from DystrophyDxLib.muscles.structures import MUSCLES
from DystrophyDxLib.results import MuscleFat

SPARED = "adductor longus"
"""The one muscle that speaks in `make_pattern_package`."""


def make_pattern_package(folder: Path, coefficient: float = -2.0, **card) -> PatternPackage:
    """A package that says dystrophinopathy where the adductor longus has less fat than the other muscles."""
    coefficients = np.zeros((1, len(MUSCLES)))
    coefficients[0, MUSCLES.index(SPARED)] = coefficient
    together = 0.8 * np.ones((len(MUSCLES), len(MUSCLES))) + 0.2 * np.eye(len(MUSCLES))
    arrays = {
        "coefficients": coefficients, "intercept": np.zeros(1), "mean": np.full(len(MUSCLES), -1.0),
        "covariance": together,
    }  # fmt: skip
    facts = {
        "name": "by hand", "version": "0", "classes": ("other", "dystrophinopathy"), "demonstration": True,
        "trained_on": "nothing", "intended_use": "tests", "licence": "Apache-2.0", "training_cohort": {},
        "metrics": {}, "threshold": 0.5, "temperature": 1.0, "muscles_by": "0", "coefficients": {},
    }  # fmt: skip
    tensors = {name: torch.tensor(array, dtype=torch.float32) for name, array in arrays.items()}
    write_files(folder, shipped_recipe("pattern"), PatternCard(**(facts | card)), tensors)
    return PatternPackage.read(folder)


def muscle_fat(
    fractions: Mapping[str, float], margin: float = 0.02, sides: Sequence[str] = ("left", "right")
) -> tuple[MuscleFat, ...]:
    """Rows of muscles with these fractions on both sides."""
    return tuple(
        MuscleFat(
            muscle=name, voxels=900, under_heat=0, score=0, side=side, volume_ml=90.0, fat_fraction=fraction,
            fat_ci95=(max(0, fraction - margin), min(1, fraction + margin)), mercuri=None, slices=(),
        )
        for side in sides
        for name, fraction in fractions.items()
    )  # fmt: skip


def alike(fraction: float, **others: float) -> dict[str, float]:
    """Fractions of all muscles, some by name with an underscore for a blank."""
    return dict.fromkeys(MUSCLES, fraction) | {name.replace("_", " "): value for name, value in others.items()}
