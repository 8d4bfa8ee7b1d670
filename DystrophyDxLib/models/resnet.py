"""Residual networks of images: ResNet-18, -34 and -50.

He et al., "Deep residual learning for image recognition", CVPR 2016, table 1, with the stride of a bottleneck in its
3 × 3 convolution. Layers have torchvision's names, so that its published weights fit. torchvision itself takes as long
to import as PyTorch; who classifies does not need it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions and the way past them; gives (N, `channels`, h / `stride`, w / `stride`) maps."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _projection(inputs, channels, stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        changed = self.relu(self.bn1(self.conv1(maps)))
        changed = self.bn2(self.conv2(changed))
        changed += maps if self.downsample is None else self.downsample(maps)
        return self.relu(changed)


class Bottleneck(nn.Module):
    """A 3 × 3 convolution between two 1 × 1, and the way past them; gives four times `channels` maps."""

    expansion = 4

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(inputs, channels * self.expansion, stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        changed = self.relu(self.bn1(self.conv1(maps)))
        changed = self.relu(self.bn2(self.conv2(changed)))
        changed = self.bn3(self.conv3(changed))
        changed += maps if self.downsample is None else self.downsample(maps)
        return self.relu(changed)


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """Brings the way past a block to its shape; none where it has that already."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """A residual network with its own head: (N, 3, H, W) to (N, 1000) logits.

    Args:
        block: of which its four stages are made.
        numbers: of blocks in each stage.
    """

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], numbers: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = _stage(block, 64, 64, numbers[0], stride=1)
        self.layer2 = _stage(block, 64 * block.expansion, 128, numbers[1], stride=2)
        self.layer3 = _stage(block, 128 * block.expansion, 256, numbers[2], stride=2)
        self.layer4 = _stage(block, 256 * block.expansion, 512, numbers[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * block.expansion, 1000)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return self.fc(self.avgpool(maps).flatten(1))


def _stage(
    block: type[BasicBlock] | type[Bottleneck], inputs: int, channels: int, number: int, stride: int
) -> nn.Sequential:
    first = block(inputs, channels, stride)
    return nn.Sequential(first, *(block(channels * block.expansion, channels, 1) for _ in range(number - 1)))
