"""The files of a model package: a folder or .zip with recipe.toml, model.safetensors, card.json and SHA256SUMS.

Nothing in a package is ever unpacked to disk or unpickled: its four files are read into memory, checked against
SHA256SUMS, and the weights are safetensors.
"""

from __future__ import annotations

import hashlib
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from ..errors import InputError
from ..files.small_files import read_bytes
from .recipe_text import LARGEST as LARGEST_RECIPE
from .strict import Strict

if TYPE_CHECKING:
    import torch

RECIPE, WEIGHTS, CARD, SUMS = "recipe.toml", "model.safetensors", "card.json", "SHA256SUMS"
LARGEST = {SUMS: 64 << 10, RECIPE: LARGEST_RECIPE, CARD: 16 << 20, WEIGHTS: 4 << 30}
"""Bytes of each member of a package; more is refused before it is read."""
Card = TypeVar("Card", bound=Strict)


@dataclass(frozen=True)
class PackageFiles:
    """What a package holds, its sums checked.

    Attributes:
        recipe, card: their texts.
        weights: safetensors bytes.
        sha256: digest of the package: of its SHA256SUMS, which is the same for folder and zip.
    """

    recipe: str
    card: str
    weights: bytes
    sha256: str

    @classmethod
    def read(cls, path: str | Path) -> PackageFiles:
        """Reads and checks a package folder or .zip.

        Raises:
            InputError: when it is absent, damaged, incomplete or hostile.
        """
        path = Path(path)
        files = _read_folder(path) if path.is_dir() else _read_zip(path)
        missing = [name for name in (SUMS, RECIPE, WEIGHTS, CARD) if name not in files]
        if missing:
            raise InputError(f"The model package lacks {', '.join(missing)}; get a complete copy of it.")
        _check_sums(files)
        digest = hashlib.sha256(files[SUMS]).hexdigest()
        return cls(_text(files, RECIPE), _text(files, CARD), files[WEIGHTS], digest)


def tensors_in(weights: bytes) -> dict[str, torch.Tensor]:
    """The weights of a package as float32 tensors.

    Raises:
        InputError: when they are not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return {name: tensor.float() for name, tensor in load(weights).items()}
    except SafetensorError:
        raise InputError("The model package's weights are damaged; get an intact copy of it.") from None


def parsed_card(kind: type[Card], text: str) -> Card:
    """The card of a package.

    Raises:
        InputError: it is none of this kind.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "card"
        raise InputError(f"The model package's card.json is not valid ({where}: {first['msg']}); correct it.") from None


def write_files(folder: str | Path, recipe: str, card: Strict, tensors: Mapping[str, torch.Tensor]) -> None:
    """Writes a package folder.

    Args:
        folder: must not exist yet.
        recipe: text of recipe.toml.
        tensors: the weights, in the precision in which they are stored.

    Raises:
        InputError: when the folder is there already.
    """
    from safetensors.torch import save

    files = {
        RECIPE: recipe.encode(),
        WEIGHTS: save({name: tensor.contiguous() for name, tensor in tensors.items()}),
        CARD: (card.model_dump_json(indent=1) + "\n").encode(),
    }
    files[SUMS] = "".join(f"{hashlib.sha256(files[n]).hexdigest()}  {n}\n" for n in sorted(files)).encode()
    folder = Path(folder)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise InputError("The folder for the model package exists already; choose another.") from None
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _read_folder(folder: Path) -> dict[str, bytes]:
    try:
        return {name: read_bytes(folder / name, most) for name, most in LARGEST.items() if (folder / name).exists()}
    except OSError:
        raise InputError("A file of the model package cannot be read or is too large; get an intact copy.") from None


def _read_zip(path: Path) -> dict[str, bytes]:
    """The files of a zipped package, at its top level or in its one folder."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise zipfile.BadZipFile
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in members:
                parts = member.filename.replace("\\", "/").split("/")
                if ".." in parts or parts[0] == "" or ":" in parts[0]:
                    raise InputError("The model package holds a file that would leave its folder; do not use it.")
                if member.file_size > LARGEST.get(parts[-1], LARGEST[WEIGHTS]):
                    raise InputError(f"The model package's {parts[-1]} is too large to be one; do not use it.")
            files = {Path(member.filename).name: member for member in members}
            return {name: archive.read(files[name]) for name in (SUMS, RECIPE, WEIGHTS, CARD) if name in files}
    except FileNotFoundError:
        raise InputError("There is no model package at the given place; check its path.") from None
    except _BAD_ZIP:
        raise InputError("The model package is neither a folder nor an intact .zip; get another copy of it.") from None


_BAD_ZIP = (
    zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError, zlib.error,
    lzma.LZMAError, struct.error,
)  # fmt: skip
"""What reading a damaged zip may raise."""


def _check_sums(files: dict[str, bytes]) -> None:
    sums = {}
    for line in _text(files, SUMS).splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    for name in (RECIPE, WEIGHTS, CARD):
        if sums.get(name) != hashlib.sha256(files[name]).hexdigest():
            raise InputError(f"The model package's {name} does not match its checksum; get an intact copy of it.")


def _text(files: dict[str, bytes], name: str) -> str:
    try:
        return files[name].decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"The model package's {name} is not text; get an intact copy of it.") from None
