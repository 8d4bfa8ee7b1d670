"""A torchvision backbone under a global-average-pooling head, whose forward pass is also its explanation.

Zhou et al., "Learning deep features for discriminative localization", CVPR 2016, section 2: with global average pooling
and one linear layer, the class activation map is the last feature maps weighted by that layer. Pooling and the linear
layer commute, so the maps are made first and the score is their mean: both come out of one forward pass.

Cai et al., "Texture analysis for muscular dystrophy classification in MRI with improved class activation mapping",
Pattern Recognition 2019;86:368, equations (1) and (2): ICAM, the same with the pooled maps of two layers in one
classification layer. The map of a class is the weighted sum of the finer maps and of the coarser ones, upsampled
bilinearly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn

from ..explain.grad_cam import grad_cam
from .backbone_names import TIMM, check_backbone
from .backbones import BACKBONES, Backbone, Branches, WithOnes, branches_of, make_trunk
from .cells import CellGrid
from .recipe import HeadRecipe, Recipe
from .training_recipe import STAGES


class NetworkOutput(NamedTuple):
    """What one forward pass gives for N samples.

    Attributes:
        logits: (N, K).
        maps: (N, K, [d,] h, w) class activation maps on the cells of the finest layer that is pooled. Where it is the
            only one, their mean over all cells is the logit less the bias. Of a head with hidden layers, Grad-CAM.
        features: (N, C) pooled features of all layers, the finest first.
    """

    logits: torch.Tensor
    maps: torch.Tensor
    features: torch.Tensor


@dataclass(frozen=True)
class PooledLayer:
    """A layer whose maps are pooled.

    Attributes:
        number: among the children of the trunk.
        cells: where its cells look.
    """

    number: int
    cells: CellGrid


class CamNetwork(nn.Module):
    """Backbone without its own head, global average pooling and one linear layer.

    Args:
        trunk: maps (N, planes, H, W) to (N, C, h, w).
        head: from the pooled features to K classes, in float32 whatever the precision of the trunk.
        pooled: layers of a trunk of several, the finest first and the trunk's last at the end; the last alone when not
            given.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module, pooled: tuple[PooledLayer, ...] = ()) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.pooled = pooled

    @property
    def feature_count(self) -> int:
        """C of `NetworkOutput.features`."""
        return _linear(self.head).in_features

    @property
    def outputs(self) -> int:
        """K of `NetworkOutput.logits`."""
        return _linear(list(self.head.modules())[-1]).out_features

    def forward(self, samples: torch.Tensor) -> NetworkOutput:
        activations = [part.float() for part in self._pooled_activations(samples)]
        features = torch.cat([part.mean(dim=tuple(range(2, part.ndim))) for part in activations], dim=1)
        weights = _linear(self.head).weight.split([part.shape[1] for part in activations], dim=1)
        maps = [_weighted(*pair) for pair in zip(activations, weights, strict=True)]
        return NetworkOutput(self.head(features), self._on_finest(maps), features)

    def logits(self, samples: torch.Tensor) -> torch.Tensor:
        """(N, K), through which gradients flow."""
        return self(samples).logits

    def finest(self) -> nn.Module:
        """The layers up to the finest maps; of several branches, those of the first."""
        return branches_of(self.parts()[0])[0]

    def with_parts(self, parts: list[nn.Module]) -> CamNetwork:
        """The network in evaluation mode with others in the place of its `parts`."""
        if not self.pooled:
            return CamNetwork(parts[0], self.head).eval()
        pooled = (replace(layer, number=number) for number, layer in enumerate(self.pooled))
        return CamNetwork(nn.Sequential(*parts), self.head, tuple(pooled)).eval()

    def parts(self) -> list[nn.Module]:
        """The trunk, cut behind each layer that is pooled."""
        if not self.pooled:
            return [self.trunk]
        ends = [layer.number + 1 for layer in self.pooled]
        layers = list(self.trunk.children())
        return [nn.Sequential(*layers[start:end]) for start, end in zip([0, *ends], ends, strict=False)]

    def _pooled_activations(self, samples: torch.Tensor) -> Iterator[torch.Tensor]:
        for part in self.parts():
            samples = part(samples)
            yield samples

    def _on_finest(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Sum of all maps on the cells of the first."""
        total, *coarser = maps
        for layer, values in zip(self.pooled[1:], coarser, strict=True):
            by_row, by_column = (
                torch.from_numpy(layer.cells.weights(self.pooled[0].cells.centres(fine), coarse)).to(values)
                for fine, coarse in zip(total.shape[2:], values.shape[2:], strict=True)
            )
            total = total + by_row @ values @ by_column.T
        return total

    def train(self, mode: bool = True) -> CamNetwork:
        """As of every module, but layers of the trunk that take no gradient keep their batch statistics."""
        super().train(mode)
        for layer in (layer for branch in branches_of(self.trunk) for layer in branch.children()):
            if not any(parameter.requires_grad for parameter in layer.parameters()):
                layer.eval()
        return self


def _linear(layer: nn.Module) -> nn.Linear:
    """The layer, which is linear."""
    if not isinstance(layer, nn.Linear):
        raise TypeError("class activation maps need a head that is one linear layer")
    return layer


def _weighted(activations: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(N, K, ...) sums of maps (N, C, ...) with weights (K, C)."""
    if activations.ndim == 4:
        return nn.functional.conv2d(activations, weights[:, :, None, None])
    return nn.functional.conv3d(activations, weights[:, :, None, None, None])


class GradCamNetwork(CamNetwork):
    """Backbone without its own head, and a head with hidden layers on its flattened maps.

    What such a head says of a place is not the sum of what it says of the maps, so each class's map is Grad-CAM. Of
    several branches it is the sum over all of them: where in any of the frames, which lie on one grid, evidence is.

    Args:
        trunk: maps (N, planes, H, W) to (N, C, h, w), its last convolution's maps.
        head: from these maps to K classes, in float32 whatever the precision of the trunk; its last layer is linear.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module, feature_count: int) -> None:
        super().__init__(trunk, head)
        self._feature_count = feature_count

    @classmethod
    def of(cls, trunks: Sequence[nn.Sequential], shape: torch.Size, recipe: HeadRecipe, outputs: int) -> GradCamNetwork:
        """Pooling at a trunk's end belongs to the head: the maps before it are finer.

        Args:
            trunks: alike, one a branch.
            shape: (C, h, w) of a trunk's maps, after that pooling.
        """
        pools = isinstance(trunks[0][-1], nn.MaxPool2d)
        layers: list[nn.Module] = [trunks[0][-1]] if pools else []
        layers.append(nn.Flatten())
        channels = len(trunks) * shape[0]
        units = channels * shape[1] * shape[2]
        for hidden, dropout in zip(recipe.hidden, recipe.dropout, strict=True):
            layers += [nn.Linear(units, hidden), nn.ReLU(), nn.Dropout(dropout)]
            units = hidden
        layers.append(nn.Linear(units, outputs))
        return cls(_joined([trunk[:-1] if pools else trunk for trunk in trunks]), nn.Sequential(*layers), channels)

    @property
    def feature_count(self) -> int:
        return self._feature_count

    def forward(self, samples: torch.Tensor) -> NetworkOutput:
        activations = self.trunk(samples).float()
        logits, maps = grad_cam(self.head, activations)
        return NetworkOutput(logits, maps, activations.mean(dim=(2, 3)))

    def logits(self, samples: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(samples).float())

    def with_parts(self, parts: list[nn.Module]) -> GradCamNetwork:
        return GradCamNetwork(parts[0], self.head, self._feature_count).eval()


def build_network(recipe: Recipe) -> CamNetwork:
    """The network of `recipe` with random weights, for samples (N, *recipe.sample.shape).

    Raises:
        InputError: see `backbone_of`.
    """
    branches = len(recipe.sample.channels) if recipe.network.branches == "channels" else 1
    trunks, shapes = zip(
        *(
            make_trunk(
                backbone_of(recipe),
                recipe.sample.planes // branches,
                recipe.sample.shape[1:],
                recipe.network.pooled,
                normalised=recipe.network.weights == "imagenet",
            )
            for _ in range(branches)
        ),
        strict=True,
    )
    pooled = shapes[0]
    if recipe.network.head:
        (shape,) = pooled.values()
        return GradCamNetwork.of(trunks, shape, recipe.network.head, recipe.decision.outputs)
    head = nn.Linear(branches * sum(channels for channels, *_ in pooled.values()), recipe.decision.outputs)
    if len(pooled) == 1:
        return CamNetwork(_joined(trunks), head)
    layers = (PooledLayer(number, CellGrid.of(trunks[0][: number + 1])) for number in pooled)
    return CamNetwork(trunks[0], head, tuple(layers))


def _joined(trunks: Sequence[nn.Sequential]) -> nn.Module:
    return trunks[0] if len(trunks) == 1 else Branches(trunks)


def backbone_of(recipe: Recipe) -> Backbone:
    """The recipe's backbone.

    Raises:
        InputError: see `check_backbone`, or a network of timm is none of layers that lead to feature maps.
    """
    check_backbone(recipe)
    name = recipe.network.backbone
    if not name.startswith(TIMM):
        return BACKBONES[name]
    from .timm_backbones import timm_backbone

    return timm_backbone(name.removeprefix(TIMM))


def trainable_parameters(network: CamNetwork, recipe: Recipe) -> list[nn.Parameter]:
    """The parameters that `recipe` fits; all others stop taking gradients, and their layers stay in evaluation mode
    from the next `network.train()` on.
    """
    trainable = recipe.training.trainable
    for branch in branches_of(network.trunk):
        layers = [layer for layer in branch.children() if not isinstance(layer, WithOnes)]
        if trainable == "head":
            first = len(layers)
        elif trainable == "all":
            first = 0
        else:
            first = backbone_of(recipe).stages[STAGES.index(trainable[0])]
        for number, layer in enumerate(layers):
            layer.requires_grad_(number >= first)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]
