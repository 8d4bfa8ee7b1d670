"""The devices that networks run on; PyTorch is imported when one is asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def compute_device(name: str) -> torch.device:
    """The device of that name, one of `DEVICES`; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        InputError: when the name is none or the device is not there.
    """
    if name not in DEVICES:
        raise InputError(f"The device {name!r} is not known; choose one of {', '.join(DEVICES)}.")
    if name == "mps" and sys.platform != "darwin":
        raise _not_there(name)
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        raise _not_there(name)
    return torch.device(name)


def _not_there(name: str) -> InputError:
    return InputError(f"This computer has no usable {name} device; use --device auto.")


def channels_last(dimensions: int) -> torch.memory_format:
    """The layout in which convolutions are fastest, of samples with so many dimensions: 4 of images, 5 of volumes."""
    import torch

    return torch.channels_last if dimensions == 4 else torch.channels_last_3d


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 natively."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
