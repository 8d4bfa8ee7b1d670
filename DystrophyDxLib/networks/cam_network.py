"""A torchvision backbone under a global-average-pooling head, whose forward pass is also its explanation.

Zhou et al., "Learning deep features for discriminative localization", CVPR 2016, section 2: with global average pooling
and one linear layer, the class activation map is the last feature maps weighted by that layer. Pooling and the linear
layer commute, so the maps are made first and the score is their mean: both come out of one forward pass.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from ..errors import InputError
from ..recipe import STAGES, Recipe
from .backbones import BACKBONES, Backbone, WithOnes, make_trunk


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
        trunk: maps (N, planes, H, W) to (N, C, h, w).
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

    def train(self, mode: bool = True) -> CamNetwork:
        """As of every module, but layers of the trunk that take no gradient keep their batch statistics."""
        super().train(mode)
        for layer in self.trunk.children():
            if not any(parameter.requires_grad for parameter in layer.parameters()):
                layer.eval()
        return self


def build_network(recipe: Recipe) -> CamNetwork:
    """The network of `recipe` with random weights, for samples (N, planes, size, size).

    Raises:
        InputError: when the backbone is not in `BACKBONES`.
    """
    backbone = backbone_of(recipe)
    trunk = make_trunk(backbone, recipe.sample.planes, normalised=recipe.network.weights == "imagenet")
    return CamNetwork(trunk, nn.Linear(backbone.channels, recipe.outputs))


def backbone_of(recipe: Recipe) -> Backbone:
    """The recipe's backbone.

    Raises:
        InputError: when it is not in `BACKBONES`.
    """
    name = recipe.network.backbone
    if name not in BACKBONES:
        raise InputError(f"The backbone {name!r} is not known; choose one of {', '.join(BACKBONES)}.")
    return BACKBONES[name]


def trainable_parameters(network: CamNetwork, recipe: Recipe) -> list[nn.Parameter]:
    """The parameters that `recipe` fits; all others stop taking gradients, and their layers stay in evaluation mode
    from the next `network.train()` on.
    """
    trainable = recipe.training.trainable
    layers = [layer for layer in network.trunk if not isinstance(layer, WithOnes)]
    if trainable == "head":
        first = len(layers)
    elif trainable == "all":
        first = 0
    else:
        first = backbone_of(recipe).stages[STAGES.index(trainable[0])]
    for number, layer in enumerate(layers):
        layer.requires_grad_(number >= first)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]
