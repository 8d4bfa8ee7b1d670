"""Model packages made for tests, with weights that nobody trained."""

from __future__ import annotations

from pathlib import Path

import torch

from DystrophyDxLib.models.backbones import BACKBONES
from DystrophyDxLib.models.cam_network import build_network
from DystrophyDxLib.models.package import ModelCard, write_package
from DystrophyDxLib.models.recipe import Recipe

IMAGE_BACKBONES = [name for name, backbone in BACKBONES.items() if not backbone.of_volumes]

RECIPE = """
name = "test"
publication = "for tests only"
classes = ["other", "dystrophinopathy"]
[diagnoses]
dystrophinopathy = ["DMD", "BMD"]
other = ["FSHMD", "healthy"]
[sample]
size = 224
[network]
backbone = "resnet18"
weights = "none"
[training]
trainable = "all"
optimiser = "adamw"
batch = 8
[[training.stages]]
size = 112
epochs = 1
learning_rate = 1e-3
schedule = "constant"
"""


FOUR_CLASSES = RECIPE.replace(
    'classes = ["other", "dystrophinopathy"]', 'classes = ["healthy", "DMD", "FSHMD", "CMD"]'
).replace(
    'dystrophinopathy = ["DMD", "BMD"]\nother = ["FSHMD", "healthy"]',
    'healthy = ["healthy"]\nDMD = ["DMD"]\nFSHMD = ["FSHMD"]\nCMD = ["CMD"]',
)
"""The recipe with a class a disease, and the changes of the card that go with it."""
CARD_OF_FOUR = {"classes": ("healthy", "DMD", "FSHMD", "CMD"), "threshold": None}


TWO_CHANNELS = RECIPE.replace(
    "size = 224", 'size = 224\nchannels = [{name = "T1", scale = "fat"}, {name = "STIR", scale = "median"}]'
)
"""The recipe with a STIR series beside the T1-weighted one."""


def make_card(**changes) -> ModelCard:
    facts = {
        "name": "untrained",
        "version": "0",
        "classes": ("other", "dystrophinopathy"),
        "demonstration": True,
        "trained_on": "nothing",
        "intended_use": "tests",
        "licence": "Apache-2.0",
        "training_cohort": {},
        "metrics": {},
        "threshold": 0.5,
        "temperature": 1.0,
        "heat_reference": 1e-6,
        "largest_distance": 1e9,
    }
    return ModelCard(**(facts | changes))


def make_package(folder: Path, *, recipe: str = RECIPE, seed: int = 0, bias: float = 0.0, **card) -> Path:
    """A package folder with random weights; `bias` moves every logit."""
    torch.manual_seed(seed)
    network = build_network(Recipe.parse(recipe)).eval()
    last = [layer for layer in network.head.modules() if isinstance(layer, torch.nn.Linear)][-1]
    last.bias.data.fill_(bias)
    channels = network.feature_count
    statistics = {"features.mean": torch.zeros(channels), "features.precision": torch.eye(channels)}
    write_package(folder, recipe, make_card(**card), dict(network.state_dict()) | statistics, half=True)
    return folder
