"""Backbones as trunks: their layers up to the last feature maps, for samples of any number of planes.

torchvision and MONAI take seconds to import, so that only backbones of theirs import them. Those of timm are in
`timm_backbones`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from ..errors import InputError
from .published_weights import address_of
from .recipe import STAGES
from .resnet import BasicBlock, Bottleneck, ResNet

RGB = tuple[float, float, float]
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Weights converted from TensorFlow, whose input ran from -1 to 1.
_MINUS_ONE_TO_ONE = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Backbone:
    """A network of images, or of volumes.

    Attributes:
        model: makes it, with its own head and random weights.
        layers: its layers in order, from RGB images (N, 3, H, W) to the last feature maps (N, C, h, w); of volumes with
            a depth before H.
        stages: number of the layer with which each of `recipe.STAGES` begins.
        published: address of torchvision's ImageNet weights (IMAGENET1K_V1), whose name ends with the begin of the
            file's SHA-256; None where there are none.
        normalisation: mean and standard deviation of red, green and blue for which these weights were made, of
            intensities from 0 to 1.
        fan: by which random kernels are scaled (He et al., ICCV 2015, section 2.2); as torchvision does.
        of_volumes: whether it sees volumes.
        heads: what the names of the layers after the last feature maps begin with.
        drawn: whether `model` draws its random weights itself.
    """

    model: Callable[[], nn.Module]
    layers: Callable[[nn.Module], list[nn.Module]]
    stages: tuple[int, int, int, int, int]
    published: str | None
    normalisation: tuple[RGB, RGB] = _IMAGENET
    fan: Literal["fan_in", "fan_out"] = "fan_out"
    of_volumes: bool = False
    heads: tuple[str, ...] = ("fc.", "classifier.", "AuxLogits.")
    drawn: bool = False


def _resnet_layers(model: nn.Module) -> list[nn.Module]:
    return list(model.children())[:-2]


def _feature_layers(model: nn.Module) -> list[nn.Module]:
    return list(model.get_submodule("features").children())


def _densenet_layers(model: nn.Module) -> list[nn.Module]:
    return [*model.get_submodule("features").children(), nn.ReLU()]


def _inception_layers(model: nn.Module) -> list[nn.Module]:
    return list(model.children())[:-3]


def _of_torchvision(name: str, **options: bool) -> nn.Module:
    try:
        from torchvision import models
    # One that does not fit to this PyTorch raises ImportError, OSError, RuntimeError, AttributeError and others.
    except Exception as error:
        raise InputError(
            "torchvision does not start beside this PyTorch; install both anew (in Slicer, press Uninstall PyTorch in "
            "the module PyTorch Utils, and restart)."
        ) from error
    return models.get_model(name, **options)


def _volume_resnet(blocks: Sequence[int]) -> nn.Module:
    """ResNet of basic blocks on volumes. Its first layer halves rows and columns alone, as slices are thick and few (as
    in Tran et al., CVPR 2018, section 4); it has half of the usual maps.
    """
    # Takes a second, which only models of volumes need.
    from monai.networks.nets import ResNet

    return ResNet(
        "basic",
        list(blocks),
        [32, 64, 128, 256],
        spatial_dims=3,
        n_input_channels=3,
        conv1_t_size=(3, 7, 7),  # type: ignore[arg-type]  # one number an axis, which MONAI's annotation forgets
        conv1_t_stride=(1, 2, 2),  # type: ignore[arg-type]
    )


def _resnet(name: str, block: type[BasicBlock] | type[Bottleneck], numbers: Sequence[int]) -> Backbone:
    return Backbone(partial(ResNet, block, numbers), _resnet_layers, (0, 3, 5, 6, 7), address_of(name))


def _vgg(name: str, stages: tuple[int, int, int, int, int]) -> Backbone:
    return Backbone(partial(_of_torchvision, name), _feature_layers, stages, address_of(name))


def _densenet(name: str) -> Backbone:
    model = partial(_of_torchvision, name)
    return Backbone(model, _densenet_layers, (0, 3, 5, 7, 9), address_of(name), fan="fan_in")


BACKBONES = {
    "vgg16": _vgg("vgg16", (0, 5, 10, 17, 24)),
    "vgg19": _vgg("vgg19", (0, 5, 10, 19, 28)),
    "resnet18": _resnet("resnet18", BasicBlock, (2, 2, 2, 2)),
    "resnet34": _resnet("resnet34", BasicBlock, (3, 4, 6, 3)),
    "resnet50": _resnet("resnet50", Bottleneck, (3, 4, 6, 3)),
    "densenet121": _densenet("densenet121"),
    "densenet201": _densenet("densenet201"),
    "inception_v3": Backbone(
        partial(_of_torchvision, "inception_v3", aux_logits=False, init_weights=False),
        _inception_layers,
        (0, 3, 6, 10, 15),
        address_of("inception_v3"),
        _MINUS_ONE_TO_ONE,
    ),
    "mobilenet_v2": Backbone(
        partial(_of_torchvision, "mobilenet_v2"), _feature_layers, (0, 2, 4, 7, 14), address_of("mobilenet_v2")
    ),
    # It halves the resolution four times; its last two fire modules stand for a fifth stage.
    "squeezenet1_1": Backbone(
        partial(_of_torchvision, "squeezenet1_1"), _feature_layers, (0, 2, 5, 8, 11), address_of("squeezenet1_1")
    ),
    **{
        name: Backbone(partial(_volume_resnet, blocks), _resnet_layers, (0, 3, 5, 6, 7), None, of_volumes=True)
        for name, blocks in (("resnet10_3d", (1, 1, 1, 1)), ("resnet18_3d", (2, 2, 2, 2)))
    },
}
"""The networks that Yang et al. 2021 and Cai et al. 2019 compare, two small ones, and those of volumes."""


class WithOnes(nn.Module):
    """Adds a channel of ones to samples (N, planes, H, W).

    The first convolution can so subtract a mean as it would from RGB images that are padded with zeros after it.
    """

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return torch.cat([samples, torch.ones_like(samples[:, :1])], dim=1)


class Branches(nn.Module):
    """A trunk for each channel, which sees only that channel's planes; their maps are put side by side (Germain et al.,
    Diagnostics 2021;11:1554, two VGG16 with concatenated features).

    Args:
        trunks: in the order of the channels.
    """

    def __init__(self, trunks: Sequence[nn.Sequential]) -> None:
        super().__init__()
        self.trunks = nn.ModuleList(trunks)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        channels = samples.chunk(len(self.trunks), dim=1)
        return torch.cat([trunk(channels[n]) for n, trunk in enumerate(self.trunks)], dim=1)


def branches_of(trunk: nn.Module) -> list[nn.Module]:
    """The trunks of `Branches`, or the one trunk that there is."""
    return list(trunk.trunks) if isinstance(trunk, Branches) else [trunk]


def make_trunk(
    backbone: Backbone, planes: int, extent: Sequence[int], pooled: Sequence[str], *, normalised: bool
) -> tuple[nn.Sequential, dict[int, torch.Size]]:
    """Trunk for samples (N, planes, *extent) with random weights; its layers are named by their numbers.

    Args:
        pooled: stages of `recipe.STAGES` after which maps are pooled; the trunk ends with the last.
        normalised: let the first convolution take `WithOnes`, as published weights need it.

    Returns:
        The trunk, and for each layer that is pooled its number in the trunk and the shape (C, [d,] h, w) of its maps.
    """
    # The head, most of VGG-19, never takes memory; timm's networks draw their weights where they are made.
    with torch.device("meta"):
        model = backbone.model()
    layers = backbone.layers(model)
    ends = [(*backbone.stages[1:], len(layers))[STAGES.index(stage)] for stage in pooled]
    if not all(ends):
        raise InputError(f"The backbone has no maps of {pooled[0]}; pool a later stage.")
    named: OrderedDict[str, nn.Module] = OrderedDict(ones=WithOnes()) if normalised else OrderedDict()
    named.update((str(number), layer) for number, layer in enumerate(layers[: ends[-1]]))
    trunk = nn.Sequential(named)
    convolution = first_convolution(trunk)
    convolution.in_channels = planes + normalised
    outputs, _, *kernel = convolution.weight.shape
    convolution.weight = nn.Parameter(torch.empty(outputs, convolution.in_channels, *kernel))
    _take_memory(trunk)
    for module in [convolution] if backbone.drawn else trunk.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode=backbone.fan, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    numbers = [end - 1 + normalised for end in ends]
    shapes = _shapes(trunk, torch.zeros(1, planes, *extent))
    return trunk, {number: shapes[number] for number in numbers}


def _take_memory(trunk: nn.Module) -> None:
    """Tensors without values in the place of those of the meta device. `nn.Module.to_empty` would import SymPy, which
    takes seconds."""
    for module in trunk.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.is_meta:
                setattr(module, name, nn.Parameter(torch.empty(parameter.shape)))
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))


def _shapes(trunk: nn.Sequential, maps: torch.Tensor) -> list[torch.Size]:
    """Shape of each layer's maps of one sample. On the meta device, PyTorch would import its compiler for it."""
    shapes = []
    trunk.eval()
    with torch.inference_mode():
        for layer in trunk:
            maps = layer(maps)
            shapes.append(maps.shape[1:])
    trunk.train()
    return shapes


def first_convolution(trunk: nn.Module) -> nn.Conv2d | nn.Conv3d:
    """The layer that sees the samples."""
    return next(module for module in trunk.modules() if isinstance(module, nn.Conv2d | nn.Conv3d))
