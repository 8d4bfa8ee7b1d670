"""A torchvision backbone under a global-average-pooling head, whose forward pass is also its explanation.

Zhou et al., "Learning deep features for discriminative localization", CVPR 2016, section 2: with global average pooling
and one linear layer, the class activation map is the last feature maps weighted by that layer. Pooling and the linear
layer commute, so the maps are made first and the score is their mean: both come out of one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torchvision import models

from ..errors import InputError
from ..recipe import Recipe


class NetworkOutput(NamedTuple):
    """What one forward pass gives for N samples.

    Attributes:
        logits: (N, K).
        maps: (N, K, h, w) class activation maps; their mean over h and w is the logit less the bias.
        features: (N, C) pooled features.
    """

    logits: torch.Tensor
    maps: torch.Tensor
    features: torch.Tensor


class CamNetwork(nn.Module):
    """Backbone without its own head, global average pooling and one linear layer.

    Args:
        trunk: maps (N, 1, H, W) to (N, C, h, w).
        head: from C features to K classes, in float32 whatever the precision of the trunk.
    """

    def __init__(self, trunk: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, samples: torch.Tensor) -> NetworkOutput:
        activations = self.trunk(samples).float()
        features = activations.mean(dim=(2, 3))
        maps = nn.functional.conv2d(activations, self.head.weight[:, :, None, None])
        return NetworkOutput(self.head(features), maps, features)


def _resnet_trunk(model: models.ResNet) -> tuple[nn.Module, int]:
    return nn.Sequential(*list(model.children())[:-2]), model.fc.in_features


BACKBONES: dict[str, tuple[Callable[..., nn.Module], Callable[[nn.Module], tuple[nn.Module, int]]]] = {
    "resnet18": (models.resnet18, _resnet_trunk),
    "resnet50": (models.resnet50, _resnet_trunk),
}
"""Name to torchvision constructor and the function that takes its head off."""


def build_network(recipe: Recipe) -> CamNetwork:
    """The network of `recipe` with random weights, for grey samples (N, 1, size, size).

    Raises:
        InputError: when the backbone is not in `BACKBONES`.
    """
    name = recipe.network.backbone
    if name not in BACKBONES:
        raise InputError(f"The backbone {name!r} is not known; choose one of {', '.join(BACKBONES)}.")
    constructor, take_off_head = BACKBONES[name]
    trunk, channels = take_off_head(constructor(weights=None))
    _take_grey(trunk)
    return CamNetwork(trunk, nn.Linear(channels, recipe.outputs))


def _take_grey(trunk: nn.Module) -> None:
    """Makes the first convolution take one channel, with the response it had to the same image in all three."""
    convolution = next(module for module in trunk.modules() if isinstance(module, nn.Conv2d))
    convolution.weight = nn.Parameter(convolution.weight.detach().sum(dim=1, keepdim=True))
    convolution.in_channels = 1
