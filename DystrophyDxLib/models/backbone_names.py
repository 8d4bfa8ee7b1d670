"""Names of the backbones, without PyTorch, so that one that cannot be had is refused at once."""

from __future__ import annotations

import re
import sys
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ..errors import InputError
from .recipe import Recipe

OF_SLICES = (
    "vgg16", "vgg19", "resnet18", "resnet34", "resnet50", "densenet121", "densenet201", "inception_v3", "mobilenet_v2",
    "squeezenet1_1",
)  # fmt: skip
"""Backbones that see slices; all have torchvision's published ImageNet weights."""
OF_VOLUMES = ("resnet10_3d", "resnet18_3d")
"""Backbones that see volumes; none has published weights."""
TIMM = "timm:"
"""What the name of a network of the package timm, which sees slices, begins with."""
TIMM_REQUIRED = "timm>=1.0,<2"


def check_backbone(recipe: Recipe) -> None:
    """Raises an `InputError` when a recipe's backbone is not known, does not see such samples, has no published weights
    but is to start from them, or is of a package that is not installed.
    """
    name = recipe.network.backbone
    of_timm, of_volumes = name.startswith(TIMM), recipe.sample.of_volumes
    fitting = OF_VOLUMES if of_volumes else OF_SLICES
    choice = ", ".join(fitting) + ("" if of_volumes else f", or {TIMM}NAME, a network of the package timm")
    if not of_timm and name not in OF_VOLUMES + OF_SLICES:
        raise InputError(f"The backbone {name!r} is not known; choose one of {choice}.")
    if of_timm and not of_volumes:
        _check_timm(name.removeprefix(TIMM))
    elif name not in fitting:
        seen = "volumes" if of_volumes else "slices"
        raise InputError(f"The backbone {name} does not see {seen}; choose from {choice}.")
    if of_volumes and recipe.network.weights == "imagenet":
        raise InputError(f"The backbone {name} has no published weights; set network.weights to none in the recipe.")


def _check_timm(name: str) -> None:
    """Raises an `InputError` when timm is not there or has no network of that name, which may end with a point and the
    name of its weights."""
    folder = _folder_of_timm()
    if folder is None:
        raise InputError(
            f'The backbone {TIMM}{name} needs the package timm; add it with: pip install "{TIMM_REQUIRED}" (in Slicer '
            f'type slicer.util.pip_install("{TIMM_REQUIRED}") in the Python console, and restart Slicer).'
        )
    known = _networks_of_timm(folder)
    if name.partition(".")[0] not in known:
        near = get_close_matches(name, known, 3)
        also = f"choose one of {', '.join(TIMM + other for other in near)}" if near else "see timm.list_models()"
        raise InputError(f"The package timm knows no network {name!r}; {also}.")


def _folder_of_timm() -> Path | None:
    """Where timm is installed; it is not imported, as it imports PyTorch."""
    if "timm" in sys.modules:
        file = getattr(sys.modules["timm"], "__file__", None)
    else:
        spec = find_spec("timm")
        file = spec and spec.origin
    return Path(file).parent if file else None


@cache
def _networks_of_timm(folder: Path) -> frozenset[str]:
    """Names of the functions that timm's source files register as networks."""
    sources = (file.read_text(encoding="utf-8") for file in sorted((folder / "models").glob("*.py")))
    return frozenset(name for text in sources for name in re.findall(r"^@register_model\s+def (\w+)\(", text, re.M))
