"""Class activation maps back on the patient's voxels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..samples.placement import Placement

Steps = int | tuple[int, ...]
"""Of a layer's window: along all axes alike, or along each."""


@dataclass(frozen=True)
class CellGrid:
    """Where the cells of a network's last feature map look, in sample pixels: cell n is centred at start + n * step.

    A cell's centre is that of its receptive field. For ResNet that is 32 n, half a cell off the usual picture in which
    cells tile the image, so it is measured on the network itself instead of assumed.

    Attributes:
        start, step: along rows and columns, which networks treat alike.
        along: the same along the slices of volumes; None where there are none.
    """

    start: float
    step: float
    along: CellGrid | None = None

    @classmethod
    def of(cls, trunk: nn.Module) -> CellGrid:
        """Measures the grid of the last maps of `trunk`: layers that only average turn a ramp into each cell's centre.

        Args:
            trunk: of a network the layers up to its finest maps, see `CamNetwork.finest`.
        """
        if not any(isinstance(layer, nn.Conv3d) for layer in trunk.modules()):
            return cls(*_start_and_step(trunk, (1536, 96), 0))
        along = cls(*_start_and_step(trunk, (352, 96, 96), 0))
        return cls(*_start_and_step(trunk, (48, 640, 96), 1), along)

    def to_window(self, cells: np.ndarray, placement: Placement) -> np.ndarray:
        """Map of cells ([d,] h, w) on the pixels of a window in the canonical plane; see `at`."""
        return self.at(cells, *map(placement.sample_coordinates, range(len(placement.shape))))

    def at(self, cells: np.ndarray, *coordinates: np.ndarray) -> np.ndarray:
        """Map of cells (..., [d,] h, w) at sample coordinates along each axis ([slices,] rows, columns), linearly, flat
        beyond the outermost cells."""
        *slices, rows, columns = coordinates
        planes = self.weights(rows, cells.shape[-2]) @ cells @ self.weights(columns, cells.shape[-1]).T
        for places in slices:
            planes = self.slices(planes, places)
        return planes

    def slices(self, cells: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
        """Map of cells (..., d, h, w) of a volume at sample coordinates along its slices."""
        if self.along is None:
            raise ValueError("These cells see no volumes.")
        return np.einsum("sd,...dij->...sij", self.along.weights(coordinates, cells.shape[-3]), cells)

    def centres(self, count: int) -> np.ndarray:
        """Sample coordinates of the first `count` cells along rows or columns."""
        return self.start + np.arange(count) * self.step

    def weights(self, coordinates: np.ndarray, count: int) -> np.ndarray:
        """(len(coordinates), count) float32 weights of linear interpolation between the first `count` cells.

        Cells of 32 pixels of which the first is centred at pixel 0, as those of ResNet:

        >>> CellGrid(start=0, step=32).weights(np.array([0, 8, 32, 99]), count=2).tolist()
        [[1.0, 0.0], [0.75, 0.25], [0.0, 1.0], [0.0, 1.0]]
        """
        positions = np.clip((coordinates - self.start) / self.step, 0, count - 1)
        return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(count))).astype(np.float32)


def _start_and_step(trunk: nn.Module, shape: tuple[int, ...], axis: int) -> tuple[float, float]:
    """Centre of the first cell and distance of the cells along an axis of images of `shape`."""
    images = torch.zeros(3, 1, *shape)
    images[0] = torch.arange(shape[axis]).reshape(-1, *[1] * (len(shape) - 1 - axis))
    images[1] = 1
    others = [dimension for dimension in range(1, len(shape) + 2) if dimension != axis + 2]
    with torch.inference_mode(), Averaging():
        ramp, ones, offset = trunk(images).double().sum(dim=others)
    centres = ((ramp - offset) / (ones - offset)).numpy()
    # The middle cells see no border.
    middle = slice(len(centres) * 2 // 5, len(centres) * 3 // 5 + 1)
    step, start = np.polyfit(np.arange(len(centres))[middle], centres[middle], 1)
    return float(start), float(step)


_KEEP_PLACE = (
    functional.batch_norm, functional.layer_norm, functional.group_norm, functional.relu, functional.relu6,
    functional.hardtanh, functional.leaky_relu, functional.elu, functional.gelu, functional.silu, functional.mish,
    functional.hardswish, torch.relu, torch.relu_, torch.clamp, torch.Tensor.relu, torch.Tensor.relu_,
    torch.Tensor.clamp, torch.Tensor.clamp_,
)  # fmt: skip
"""Normalisations and activations, which look at each place alone."""
_GATES = (
    functional.sigmoid, functional.hardsigmoid, torch.sigmoid, torch.Tensor.sigmoid, torch.Tensor.sigmoid_
)  # fmt: skip
"""What weighs maps, as squeeze and excitation do: each counts once."""


class Averaging(TorchFunctionMode):
    """Within it every layer is the linear one of the same reach: constant kernels, no offset, mean for maximum.

    All planes of a layer would be equal, so a convolution gives one.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (functional.conv2d, functional.conv3d):
            return _average_of_planes(*args, **kwargs)
        if func in (functional.max_pool2d, functional.max_pool3d):
            return _average_for_maximum(*args, **kwargs)
        if func is functional.linear:
            return args[0].mean(dim=-1, keepdim=True)
        if func in _KEEP_PLACE:
            return args[0]
        if func in _GATES:
            return torch.ones_like(args[0])
        return func(*args, **kwargs)


def _average_of_planes(
    planes: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Steps = 1,
    padding: Steps = 0,
    dilation: Steps = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Stands for a convolution."""
    pool = functional.avg_pool2d if planes.ndim == 4 else functional.avg_pool3d
    return pool(planes.mean(dim=1, keepdim=True), weight.shape[2:], stride, padding)


def _average_for_maximum(
    planes: torch.Tensor,
    kernel_size: Steps,
    stride: Steps | None = None,
    padding: Steps = 0,
    dilation: Steps = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> torch.Tensor:
    """Stands for max pooling."""
    pool = functional.avg_pool2d if planes.ndim == 4 else functional.avg_pool3d
    return pool(planes, kernel_size, stride, padding, ceil_mode)
