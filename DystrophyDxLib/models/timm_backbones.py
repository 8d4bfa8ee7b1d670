"""Networks of the package timm (Wightman, PyTorch Image Models) as backbones, by their names there.

timm takes seconds to import, so that only backbones of its import this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

import timm
import torch
from timm.layers import Conv2dSame
from torch import nn

from ..errors import InputError
from .backbone_names import TIMM
from .backbones import RGB, Backbone
from .cells import CellGrid

_EDGE = 128
"""Of the image by which a network's layers and stages are found."""


@cache
def timm_backbone(name: str) -> Backbone:
    """The network of that name up to its last feature maps, with the normalisation of timm's configuration.

    Args:
        name: as timm calls it, without `TIMM`.

    Raises:
        InputError: timm does not make it, its layers do not lead one after the other to feature maps, or where these
            look cannot be told, as of vision transformers.
    """
    try:
        model = _model(name).eval()
        layers, edges = _chain(model)
        step = CellGrid.of(nn.Sequential(*_submodules(model, layers))).step
        if not abs(step - round(step)) < 0.01:
            raise ValueError("its maps are on no grid")
    # What timm and its networks raise is not documented.
    except Exception as error:
        raise InputError(
            f"The network {name} of timm cannot be a backbone: it does not lead layer by layer to maps of an image; "
            "choose a plain convolutional one, such as timm:tf_efficientnet_lite0."
        ) from error
    halved = [_EDGE >> stage for stage in range(1, 6)]
    # Convolutions without padding give a little less than half, others half or a pixel more.
    begins = [next((n for n, edge in enumerate(edges) if edge <= most + 1), len(edges)) for most in halved]
    configuration: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
    mean, deviation = (_rgb(configuration[key]) for key in ("mean", "std"))
    tops = {layer.partition(".")[0] for layer in layers}
    return Backbone(
        partial(_model, name),
        partial(_submodules, names=tuple(layers)),
        (0, begins[1], begins[2], begins[3], begins[4]),
        None,
        (mean, deviation),
        heads=tuple(f"{top}." for top, _ in model.named_children() if top not in tops),
        drawn=True,
    )


def timm_state(name: str) -> dict[str, torch.Tensor]:
    """timm's published weights of a network, which timm fetches the first time.

    Raises:
        InputError: they cannot be fetched, or there are none.
    """
    try:
        with torch.device("cpu"):
            return timm.create_model(name, pretrained=True).state_dict()
    # What timm and the hub that it asks raise is not documented.
    except Exception as error:
        raise InputError(
            f"The weights of {TIMM}{name} could not be fetched; give a file of them (.safetensors or .pth) with "
            "--backbone-weights, or begin with random weights: train --from-scratch."
        ) from error


def _model(name: str) -> nn.Module:
    """The network with random weights as timm draws them, also where others are made without memory."""
    with torch.device("cpu"):
        return timm.create_model(name, pretrained=False)


def _chain(model: nn.Module) -> tuple[list[str], list[int]]:
    """Names of the layers that lead from images to the last feature maps, each of which takes what the one before it
    gives, and the edges of their maps.

    Raises:
        ValueError: there is no such chain, or it does not begin with one convolution that takes its kernels as they
            are, of which `weights` makes one for grey images.
    """
    names = [name for top, _ in model.named_children() for name in _parts(model, top)]
    seen: list[tuple[str, torch.Tensor, torch.Tensor]] = []
    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: seen.append((name, inputs[0], output))
        )
        for name in names
    ]
    images = torch.zeros(1, 3, _EDGE, _EDGE)
    first: list[nn.Module] = []
    hooks += [
        module.register_forward_hook(lambda module, inputs, _: first.append(module) if inputs[0] is images else None)
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.inference_mode():
        maps = model.forward_features(images)  # type: ignore[operator]  # every network of timm has it
    for hook in hooks:
        hook.remove()
    if [type(module) for module in first] not in ([nn.Conv2d], [Conv2dSame]):
        raise ValueError("another beginning than one convolution")
    whole = seen and seen[0][1] is images and seen[-1][2] is maps
    if not whole or maps.ndim != 4 or any(before[2] is not after[1] for before, after in pairwise(seen)):
        raise ValueError("its layers are no chain")
    return [name for name, _, _ in seen], [output.shape[-1] for _, _, output in seen]


def _parts(model: nn.Module, name: str) -> list[str]:
    """The layers of a sequence, or the one layer that there is."""
    layer = model.get_submodule(name)
    return [f"{name}.{part}" for part, _ in layer.named_children()] if type(layer) is nn.Sequential else [name]


def _submodules(model: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    return [model.get_submodule(name) for name in names]


def _rgb(values: Sequence[float]) -> RGB:
    red, green, blue = values
    return red, green, blue
