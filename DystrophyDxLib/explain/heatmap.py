"""Class activation maps back on the patient's voxels."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from ..networks import CamNetwork
from ..samples import Placement


class CellGrid:
    """Where the cells of a network's last feature map look, in sample pixels: cell n is centred at start + n * step.

    A cell's centre is that of its receptive field. For ResNet that is 32 n, half a cell off the usual picture in which
    cells tile the image, so it is measured on the network itself instead of assumed.
    """

    def __init__(self, start: float, step: float) -> None:
        self.start = start
        self.step = step

    @classmethod
    def of(cls, network: CamNetwork) -> CellGrid:
        """Measures the grid: a copy of the trunk that only averages turns a ramp into each cell's centre."""
        trunk = copy.deepcopy(network.trunk).float().to("cpu", memory_format=torch.contiguous_format)
        _make_averaging(trunk)
        ramp = torch.arange(1536, dtype=torch.float32)
        images = torch.stack([ramp, torch.ones_like(ramp)])[:, None, :, None].expand(-1, -1, -1, 8)
        with torch.inference_mode():
            weighted, weights = trunk(images.contiguous()).double().sum(dim=(1, 3))
        centres = (weighted / weights).numpy()
        # The middle cells see no border.
        middle = slice(len(centres) * 2 // 5, len(centres) * 3 // 5 + 1)
        step, start = np.polyfit(np.arange(len(centres))[middle], centres[middle], 1)
        return cls(float(start), float(step))

    def to_window(self, cells: np.ndarray, placement: Placement) -> np.ndarray:
        """Map of cells (h, w) on the pixels of a window in the canonical plane; see `at`."""
        return self.at(cells, placement.sample_coordinates(0), placement.sample_coordinates(1))

    def at(self, cells: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Map of cells (..., h, w) at sample coordinates, bilinearly, flat beyond the outermost cells."""
        by_row = _hat_weights((rows - self.start) / self.step, cells.shape[-2])
        by_column = _hat_weights((columns - self.start) / self.step, cells.shape[-1])
        return by_row @ cells @ by_column.T


def _hat_weights(positions: np.ndarray, count: int) -> np.ndarray:
    """(len(positions), count) weights of linear interpolation between cells 0 .. count - 1."""
    positions = np.clip(positions, 0, count - 1)
    return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(count))).astype(np.float32)


def _make_averaging(module: nn.Module) -> None:
    """Replaces every layer by the linear one of the same reach: constant kernels, no offset, mean for maximum."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            nn.init.constant_(child.weight, 1 / child.weight[0].numel())
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.Identity())
        elif isinstance(child, nn.MaxPool2d):
            pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
            setattr(module, name, pool)
        else:
            _make_averaging(child)
