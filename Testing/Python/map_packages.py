"""Packages of muscle models made for tests, and networks that answer by the place of a pixel alone."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from DystrophyDxLib.models.map_network import MapNetwork
from DystrophyDxLib.models.map_package import MapCard
from DystrophyDxLib.models.package_files import write_files
from DystrophyDxLib.muscles.structures import FEMUR, STRUCTURES

MAP_RECIPE = """
name = "map test"
publication = "for tests only"
features = [4, 4, 4, 4, 4, 4]
maps = "muscles"
[sample]
size = 112
expects = "leg"
[training]
trainable = "all"
optimiser = "adamw"
batch = 4
[[training.stages]]
size = 112
epochs = 2
learning_rate = 1e-3
schedule = "constant"
"""
VASTUS, ADDUCTOR = 3, 6
"""What `ByPlace` finds on the outer and on the inner side of a leg."""


def make_map_package(folder: Path, **card) -> Path:
    """A package folder with random weights."""
    torch.manual_seed(0)
    facts = {
        "name": "untrained", "version": "0", "structures": STRUCTURES, "demonstration": True, "trained_on": "nothing",
        "intended_use": "tests", "licence": "Apache-2.0", "training_cohort": {}, "metrics": {},
        "least_likelihood": -9.0,
    }  # fmt: skip
    network = MapNetwork(1, len(STRUCTURES) + 1, (4, 4, 4, 4, 4, 4))
    write_files(folder, MAP_RECIPE, MapCard(**(facts | card)), network.state_dict())
    return folder


class ByPlace(nn.Module):
    """Of a left leg the outer half of the sample is `VASTUS`, the inner half `ADDUCTOR`, and the middle femur; surer of
    samples whose outer half is the brighter one (unless `even`), and 0 where the sample is darker than `dark`."""

    def __init__(self, dark: float = 0.0, even: bool = False) -> None:
        super().__init__()
        self.dark, self.even = dark, even

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        size = samples.shape[-1]
        outer = samples[..., size // 2 :].sum((1, 2, 3)) > samples[..., : size // 2].sum((1, 2, 3))
        labels = torch.full(samples.shape[:1] + samples.shape[2:], ADDUCTOR)
        labels[..., size // 2 :] = VASTUS
        labels[..., size // 2 - 6 : size // 2 + 6, size // 2 - 6 : size // 2 + 6] = FEMUR
        labels[samples[:, 0] <= self.dark] = 0
        sure = torch.where(outer | self.even, 8.0, 2.0)[:, None, None, None]
        return sure * nn.functional.one_hot(labels, len(STRUCTURES) + 1).permute(0, 3, 1, 2).float()
