"""Weights for a trunk to start from: published ones, fetched or from a file, or those of another model package."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn

from ..errors import InputError
from ..series.file_digests import file_digest
from .backbone_names import TIMM
from .backbones import BACKBONES, Backbone, WithOnes, branches_of, first_convolution
from .cam_network import CamNetwork, backbone_of
from .package import ModelCard, ModelPackage
from .published_weights import digest_of, fetched, installed, what_to_pass
from .recipe import Recipe

_COUNTER = "num_batches_tracked"
_DAMAGED = (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError)


def load_backbone(network: CamNetwork, recipe: Recipe, file: Path | None = None) -> ModelCard | None:
    """Gives the trunk of `network` the weights it starts from; the head keeps its own unless a package of the same
    classes gives it one.

    Without `file` these are torchvision's or timm's, fetched once, when the recipe's `network.weights` is "imagenet",
    and none when it is "none".

    Args:
        network: of `build_network(recipe)`.
        file: instead, a file of such weights (.pth or .safetensors), or a model package (folder or .zip) with the same
            backbone. If it saw another number of planes, each of the new ones is seen as grey and counts for its share
            of the whole; stages that it does not have keep their random weights.

    Returns:
        The card of the model package that the weights are of, if they are of one.

    Raises:
        InputError: when the weights cannot be fetched or read, or belong to another backbone.
    """
    packaged = file is not None and (file.is_dir() or file.suffix == ".zip")
    if recipe.training.start_share and not packaged:
        raise InputError("The recipe's start_share is that of a model package; pass one with --backbone-weights.")
    if file is None and recipe.network.weights == "none":
        return None
    if file is not None and packaged:
        return _load_package(network, recipe, file)
    _load_published(branches_of(network.trunk), recipe, file)
    return None


def published_model(name: str, file: Path | None = None) -> nn.Module:
    """torchvision's whole network with its ImageNet weights, head included, in evaluation mode.

    Args:
        name: in `BACKBONES`.
        file: of torchvision's weights (.pth, or the same as .safetensors); fetched once when not given.

    Raises:
        InputError: when the weights cannot be fetched or read, or belong to another network.
    """
    backbone = BACKBONES[name]
    file = _published(backbone) if file is None else file
    state = {_present_name(layer): tensor for layer, tensor in _read(file, backbone).items()}
    with torch.device("meta"):
        model = backbone.model()
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError:
        raise InputError(
            f"{file.name} does not hold the weights of {name}; {what_to_pass(backbone.published)}."
        ) from None
    return model.eval().requires_grad_(False)


def _load_published(trunks: Sequence[nn.Module], recipe: Recipe, file: Path | None) -> None:
    """Weights with the names that the network's layers have where it was published, for each of trunks that are alike.

    torchvision's model is made without memory and takes the file's tensors for its own: nothing is drawn or copied.
    """
    backbone, name = backbone_of(recipe), recipe.network.backbone
    if file is not None and recipe.network.weights == "none":
        raise InputError(
            f"{file.name} holds weights for normalised RGB images; set network.weights to imagenet in the recipe."
        )
    with torch.device("meta"):
        model = backbone.model()
    own = {layer: tensor for layer, tensor in model.state_dict().items() if not layer.startswith(backbone.heads)}
    file = file or installed(name)
    if file is None and name.startswith(TIMM):
        from .timm_backbones import timm_state

        state, source = timm_state(name.removeprefix(TIMM)), name
    else:
        file = file or _published(backbone)
        read = {_present_name(layer): tensor for layer, tensor in _read(file, backbone).items()}
        state, source = _by_order(read, own), file.name
    state = {layer: tensor for layer, tensor in state.items() if not layer.startswith(backbone.heads)}
    try:
        keys = model.load_state_dict(state, strict=False, assign=True)
        if keys.unexpected_keys or not all(layer.startswith(backbone.heads) for layer in keys.missing_keys):
            raise RuntimeError("other layers")
    except RuntimeError:
        raise InputError(f"{source} does not hold the weights of {name}; {what_to_pass(backbone.published)}.") from None
    count = sum(not isinstance(layer, WithOnes) for layer in trunks[0].children())
    layers = nn.Sequential(*backbone.layers(model)[:count])
    convolution = first_convolution(layers)
    kernels = _normalising(convolution.weight.detach(), backbone, recipe.sample.planes // len(trunks))
    convolution.weight = nn.Parameter(kernels)
    for trunk in trunks:
        trunk.load_state_dict(layers.state_dict())


def _by_order(state: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a file in which the layers have other names, under those of the network; others as they are.

    Such a file has tensors of the same kind and shape in the same order, and behind them at most those of a classifier.
    """
    counted = [[name for name in names if not name.endswith(_COUNTER)] for names in (own, state)]
    wanted, given = counted
    if set(wanted) <= set(given) or not len(wanted) <= len(given) <= len(wanted) + 2:
        return state
    alike = (
        name.rpartition(".")[2] == other.rpartition(".")[2] and own[name].shape == state[other].shape
        for name, other in zip(wanted, given, strict=False)
    )
    return {name: state[other] for name, other in zip(wanted, given, strict=False)} if all(alike) else state


def _normalising(kernels: torch.Tensor, backbone: Backbone, planes: int) -> torch.Tensor:
    """(K, 3, h, w) kernels for normalised RGB images to (K, planes + 1, h, w) for planes of greys and a plane of ones.

    With w the kernel of a colour, m its mean and s its standard deviation, sum w (x - m) / s is one kernel for x, sum
    w / s, and one for ones, - sum w m / s. Padding with zeros afterwards is so the same for both. Three planes take the
    place of the three colours; of another number each is seen as grey (`_spread`).
    """
    mean, deviation = (torch.tensor(colours)[:, None, None] for colours in backbone.normalisation)
    kernels = kernels / deviation
    ones = -(kernels * mean).sum(dim=1, keepdim=True)
    return torch.cat([_spread(kernels, planes), ones], dim=1)


def _spread(kernels: torch.Tensor, planes: int) -> torch.Tensor:
    """(K, n, ...) kernels for so many planes: as they are for n, else the same for each, by its share of the whole."""
    if planes == kernels.shape[1]:
        return kernels
    grey = kernels.sum(dim=1, keepdim=True) / planes
    return grey.expand(-1, planes, *kernels.shape[2:])


def _for_planes(kernels: torch.Tensor, shape: torch.Size, normalised: bool, normalising: bool) -> torch.Tensor:
    """A package's first kernels, with or without a plane of ones at the end, as those of `shape`, likewise.

    The plane of ones counts for nothing in a trunk that was fitted without it.
    """
    ones = kernels[:, -1:] if normalised else torch.zeros_like(kernels[:, :1])
    images = _spread(kernels[:, :-1] if normalised else kernels, shape[1] - normalising)
    return torch.cat([images, ones], dim=1) if normalising else images


def _load_package(network: CamNetwork, recipe: Recipe, path: Path) -> ModelCard:
    """Weights of a model package's trunk, and of its head when it tells the same classes apart; gives its card."""
    package = ModelPackage.read(path)
    have, want = package.recipe.network, recipe.network
    if have.backbone != want.backbone:
        raise InputError(f"The model package's backbone is {have.backbone}, not {want.backbone}; choose one like it.")
    if (have.weights, want.weights) == ("imagenet", "none"):
        raise InputError(
            "The model package's backbone normalises its samples; set network.weights to imagenet in the recipe."
        )
    if have.branches != want.branches:
        raise InputError(
            "Of the model package and the recipe, one has a trunk for each channel and one a single trunk; choose a "
            "package like the recipe."
        )
    same_head = _head_of(package.recipe) == _head_of(recipe)
    if recipe.training.start_share and not same_head:
        raise InputError("The recipe's start_share is that of a package of the same classes; pass one of these.")
    parts: tuple[str, ...] = ("trunk.", "head.") if same_head else ("trunk.",)
    state = {name: tensor for name, tensor in package.tensors().items() if name.startswith(parts)}
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    try:
        convolutions = [first_convolution(branch) for branch in branches_of(network.trunk)]
        for name, module in network.trunk.named_modules():
            if module in convolutions:
                key, normalised = f"trunk.{name}.weight", have.weights == "imagenet"
                state[key] = _for_planes(state[key], module.weight.shape, normalised, want.weights == "imagenet")
        if have.pooled[-1] != want.pooled[-1]:
            own = network.state_dict()
            parts = tuple(f"{name}." for name in _layers(state) & _layers(own) if name.startswith("trunk."))
            state = {name: tensor for name, tensor in state.items() if name.startswith(parts)}
        keys = network.load_state_dict(state, strict=False)
        if keys.unexpected_keys or any(name.startswith(parts) for name in keys.missing_keys):
            raise RuntimeError("other layers")
    except (RuntimeError, KeyError):
        raise InputError(
            "The model package's weights do not fit its recipe's network; get an intact copy of it."
        ) from None
    return package.card


def _layers(names: Iterable[str]) -> set[str]:
    """The layers of a trunk, "trunk.3" and so on, and the head that some tensors are of."""
    return {".".join(name.split(".")[:2]) for name in names}


def _head_of(recipe: Recipe) -> tuple:
    """What recipes have in common whose heads fit each other."""
    network = recipe.network
    return recipe.classes, network.pooled, network.head, network.head and recipe.sample.size


def _read(file: Path, backbone: Backbone) -> dict[str, torch.Tensor]:
    """Tensors of a .pth or .safetensors file as float32, checked against the digest that is known of it."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.is_file():
        raise InputError(f"There is no file {file.name} at the given place; {what_to_pass(backbone.published)}.")
    expected = digest_of(file.name)
    if expected and not file_digest(file).startswith(expected):
        raise InputError(f"{file.name} does not match its checksum; get an intact copy of it.")
    try:
        if file.suffix == ".safetensors":
            state = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
        return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    except (*_DAMAGED, SafetensorError):
        raise InputError(f"{file.name} is damaged or holds no weights; {what_to_pass(backbone.published)}.") from None


def _published(backbone: Backbone) -> Path:
    """torchvision's file, fetched when it is not there.

    Raises:
        InputError: it cannot be fetched, or the network has no published weights.
    """
    if backbone.published is None:
        raise InputError("The network has no published weights; set network.weights to none in the recipe.")
    return fetched(backbone.published)


def _present_name(name: str) -> str:
    """Files of DenseNet name its layers norm.1 where they are norm1 today."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", name)
