"""The network of muscle maps: MONAI's U-Net on pixels taken four at a time, without MONAI, whose import takes longer
than the maps of a study."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

_STEP = 2


class MapNetwork(nn.Module):
    """What each pixel of a sample shows.

    A U-Net (Falk et al., Nat Methods 2019;16:67) sees each square of 2 × 2 pixels as one with four channels and gives
    four pixels for it (sub-pixel convolution: Shi et al., CVPR 2016), so that it costs less than half.

    Args:
        planes: of a sample.
        labels: what a pixel may be.
        features: channels of the U-Net's six levels, see `UNet`.
    """

    def __init__(self, planes: int, labels: int, features: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        self.unet = UNet(planes * _STEP**2, labels * _STEP**2, features)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """(N, labels, size, size) logits of samples (N, planes, size, size); `size` is a multiple of 16."""
        return functional.pixel_shuffle(self.unet(functional.pixel_unshuffle(samples, _STEP)), _STEP)


class UNet(nn.Module):
    """MONAI's `BasicUNet` of two dimensions with instance normalisation and leaky ReLU (slope 0.1); the state of each
    fits the other.

    Args:
        features: channels of its five levels from the finest on, and of the last layer but one.
    """

    def __init__(self, channels: int, outputs: int, features: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        *levels, last = features
        self.conv_0 = _convolutions(channels, levels[0])
        for n in range(1, 5):
            down = OrderedDict(max_pooling=_Halved(), convs=_convolutions(levels[n - 1], levels[n]))
            setattr(self, f"down_{n}", nn.Sequential(down))
        self.upcat_4 = _Up(levels[4], levels[4] // 2, levels[3], levels[3])
        self.upcat_3 = _Up(levels[3], levels[3] // 2, levels[2], levels[2])
        self.upcat_2 = _Up(levels[2], levels[2] // 2, levels[1], levels[1])
        self.upcat_1 = _Up(levels[1], levels[1], levels[0], last)
        self.final_conv = nn.Conv2d(last, outputs, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, outputs, rows, columns) of images (N, channels, rows, columns); an odd edge is repeated on the way up."""
        maps = [self.conv_0(images)]
        for n in range(1, 5):
            maps.append(getattr(self, f"down_{n}")(maps[-1]))
        found = maps.pop()
        for n in range(4, 0, -1):
            found = getattr(self, f"upcat_{n}")(found, maps.pop())
        return self.final_conv(found)


class _Halved(nn.Module):
    """The largest of each 2 × 2 pixels; PyTorch's own pooling takes several times as long on a CPU."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        if maps.requires_grad:  # which of equal pixels learns
            return functional.max_pool2d(maps, 2)
        rows, columns = (size // 2 * 2 for size in maps.shape[-2:])
        higher = torch.maximum(maps[..., 0:rows:2, :columns], maps[..., 1:rows:2, :columns])
        return torch.maximum(higher[..., 0::2], higher[..., 1::2])


class _Up(nn.Module):
    """Twice as fine, with the maps of that level beside it."""

    def __init__(self, channels: int, upsampled: int, beside: int, outputs: int) -> None:
        super().__init__()
        self.upsample = nn.Sequential(OrderedDict(deconv=nn.ConvTranspose2d(channels, upsampled, 2, 2)))
        self.convs = _convolutions(beside + upsampled, outputs)

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        upsampled = self.upsample(coarse)
        rows, columns = (have - got for have, got in zip(fine.shape[-2:], upsampled.shape[-2:], strict=True))
        if rows or columns:
            upsampled = functional.pad(upsampled, (0, columns, 0, rows), mode="replicate")
        return self.convs(torch.cat([fine, upsampled], dim=1))


def _convolutions(channels: int, outputs: int) -> nn.Sequential:
    """Two layers of convolution, normalisation and activation."""
    layers = []
    for inputs in (channels, outputs):
        after = OrderedDict(N=nn.InstanceNorm2d(outputs, affine=True), A=nn.LeakyReLU(0.1, inplace=True))
        layers.append(
            nn.Sequential(OrderedDict(conv=nn.Conv2d(inputs, outputs, 3, padding=1), adn=nn.Sequential(after)))
        )
    return nn.Sequential(OrderedDict(conv_0=layers[0], conv_1=layers[1]))
