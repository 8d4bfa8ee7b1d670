"""A trained network on one device, as fast as that device computes it without moving an answer."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError
from torch.nn import functional

from ..devices import channels_last, compute_device, has_bfloat16
from ..errors import InputError
from .cam_network import CamNetwork, NetworkOutput, build_network
from .cells import CellGrid
from .draws import SEED
from .package import ModelPackage

LARGEST_SHIFT = 0.01
"""Probability by which lower precision may move an image before full precision is used instead."""


class InferenceNetwork:
    """The network of a model package in evaluation mode.

    On CPUs that compute in bfloat16 the trunk does, where that moves no probability by more than `LARGEST_SHIFT`.

    Args:
        package: the model.
        device: one of `devices.DEVICES`.

    Attributes:
        device: that it computes on.
        cells: where the cells of the maps look in a sample.
        exact: the network in full precision.
        used: the network that answers: `exact`, or the same in lower precision.

    Raises:
        InputError: when the weights do not fit the recipe's network or the device is not there.
    """

    def __init__(self, package: ModelPackage, device: str) -> None:
        self.device = compute_device(device)
        network, self._mean, self._precision = _loaded(package)
        self.cells = CellGrid.of(network.finest())
        self._layout = channels_last(1 + len(package.recipe.sample.shape))
        self.exact = self.used = folded(network).to(self.device).to(memory_format=self._layout)
        if self.device.type == "cpu" and has_bfloat16(self.device):
            fast = lower_precision(self.exact)
            if self._shift(fast, package) <= LARGEST_SHIFT:
                self.used = fast

    @property
    def precision(self) -> str:
        """What the trunk computes in, as PyTorch calls it."""
        return str(_dtype(self.used)).removeprefix("torch.")

    def output(self, pixels: torch.Tensor) -> NetworkOutput:
        """What the network gives for samples (N, planes, [depth,] size, size), on the CPU."""
        return NetworkOutput(*(part.cpu() for part in self.forward(self.used, pixels)))

    def forward(self, network: CamNetwork, pixels: torch.Tensor) -> NetworkOutput:
        """What `exact` or `used` gives for samples, on the device."""
        with torch.inference_mode():
            return network(pixels.to(self.device, _dtype(network), memory_format=self._layout))

    def distances(self, features: torch.Tensor) -> list[float]:
        """Mahalanobis distance of features (N, C), on the CPU, from those of the training images."""
        offset = features - self._mean
        return torch.einsum("nc,cd,nd->n", offset, self._precision, offset).clamp_min(0).sqrt().tolist()

    def _shift(self, network: CamNetwork, package: ModelPackage) -> float:
        """Largest change of probability that `network` makes against full precision, on made-up textured legs."""
        planes, *extent = package.recipe.sample.shape
        coarse = [edge // 8 for edge in extent]
        texture = torch.rand(4, planes, *coarse, generator=torch.Generator().manual_seed(SEED))
        legs = functional.interpolate(texture, tuple(extent), mode="bilinear" if len(extent) == 2 else "trilinear")
        position = torch.linspace(-1, 1, extent[-1])
        legs = legs * (torch.hypot(position[:, None], position) < 0.95)
        changed, exact = (
            package.card.decision.probabilities(
                self.forward(candidate, legs).logits.cpu().numpy(), package.card.temperature
            )
            for candidate in (network, self.exact)
        )
        return float(np.abs(changed - exact).max())


def folded(network: CamNetwork) -> CamNetwork:
    """The network with batch normalisation folded into the convolutions before it, where its layers can be traced."""
    return network.with_parts([_fused(part) for part in network.parts()])


def _fused(part: nn.Module) -> nn.Module:
    try:
        return fuse(part)
    except TraceError:  # of layers whose padding depends on the image, as those converted from TensorFlow
        return copy.deepcopy(part)


def lower_precision(network: CamNetwork) -> CamNetwork:
    """The network with its trunk in bfloat16; the head stays in full precision."""
    return network.with_parts([copy.deepcopy(part).bfloat16() for part in network.parts()])


def _loaded(package: ModelPackage) -> tuple[CamNetwork, torch.Tensor, torch.Tensor]:
    """The network of a package in evaluation mode, and mean (C,) and inverse covariance (C, C) of the features."""
    tensors = package.tensors()
    network = build_network(package.recipe).eval()
    try:
        mean, precision = (tensors.pop(f"features.{name}") for name in ("mean", "precision"))
        network.load_state_dict(tensors)
        if mean.shape != (network.feature_count,) or precision.shape != 2 * mean.shape:
            raise RuntimeError("the feature statistics have another size")
    except (RuntimeError, KeyError):
        raise InputError(
            "The model package's weights do not fit its recipe's network; get an intact copy of it."
        ) from None
    return network, mean, precision


def _dtype(network: CamNetwork) -> torch.dtype:
    return next(network.trunk.parameters()).dtype
