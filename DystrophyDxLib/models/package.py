"""Model packages: a folder or .zip with recipe.toml, model.safetensors, card.json and SHA256SUMS.

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
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError, model_validator

from ..errors import InputError
from ..files.small_files import read_bytes
from ..results import Probability
from .decision import Decision, decision_for
from .recipe import LARGEST as LARGEST_RECIPE
from .recipe import Recipe
from .strict import Strict

if TYPE_CHECKING:
    import torch

RECIPE, WEIGHTS, CARD, SUMS = "recipe.toml", "model.safetensors", "card.json", "SHA256SUMS"
LARGEST = {SUMS: 64 << 10, RECIPE: LARGEST_RECIPE, CARD: 16 << 20, WEIGHTS: 4 << 30}
"""Bytes of each member of a package; more is refused before it is read."""


class Metric(Strict):
    """A figure with its 95 % interval and what it was measured on."""

    value: float
    ci95: tuple[float, float]
    measured_on: str


BALANCED_ACCURACY = "Balanced accuracy"
"""Name of the mean of the classes' sensitivities, which is chance at one over their number."""


class ModelCard(Strict):
    """What a user must know of a model, and the constants its answers need.

    Attributes:
        demonstration: True for a model that has seen no patients; every result then says so.
        threshold: case and image probability from which the second of two classes is said; of more than two, the most
            likely one is, without a threshold.
        label_from: the least probability of each class at which it is a label, see `decision.Decision`; empty in
            packages that do not tell.
        temperature: logits are divided by it (Guo et al., ICML 2017).
        heat_reference: class activation that is shown as 1 in a case with none higher, so that a case without
            evidence is not shown in full colour.
        largest_distance: Mahalanobis distance of a case's mean features from the training cohort's beyond which the
            case is unlike what the model has seen.
        seen: of each series that the model was fitted to or whose threshold was chosen by it, see `cohort.seen`;
            empty in packages that do not tell.
    """

    name: str
    version: str
    classes: tuple[str, ...] = Field(min_length=2)
    demonstration: bool
    trained_on: str
    intended_use: str
    licence: str
    training_cohort: dict[str, Any]
    metrics: dict[str, Metric]
    threshold: Probability | None = None
    label_from: tuple[Probability | None, ...] = ()
    temperature: Annotated[float, Field(gt=0)]
    heat_reference: Annotated[float, Field(gt=0)]
    largest_distance: Annotated[float, Field(gt=0)]
    seen: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _threshold_of_two(self) -> ModelCard:
        decision_for(self.classes, self.threshold, self.label_from)
        return self

    @property
    def decision(self) -> Decision:
        """How the model answers."""
        return decision_for(self.classes, self.threshold, self.label_from)

    @property
    def shown_to_tell(self) -> bool:
        """Whether the 95 % intervals of its AUC per case, and of more than two classes of its balanced accuracy, lie
        above chance where they were measured: of patients that training did not see, else of those by whom the
        threshold was chosen.

        >>> measured = Metric(value=0.7, ci95=(0.45, 0.88), measured_on="30 patients that training did not see")
        >>> ModelCard.model_construct(classes=("DMD", "CMD"), metrics={"AUC, case": measured}).shown_to_tell
        False
        """
        for name, by_chance in (("AUC, case", 0.5), (f"{BALANCED_ACCURACY}, case", 1 / len(self.classes))):
            measured = self.metrics.get(name) or self.metrics.get(f"{name}, validation")
            if measured is not None and measured.ci95[0] <= by_chance:
                return False
        return True


@dataclass(frozen=True)
class ModelPackage:
    """A checked model package.

    Attributes:
        weights: safetensors bytes of the network's state and of `features.mean` (C,) and `features.precision` (C, C),
            the training cohort's mean pooled features and their inverse covariance.
        sha256: digest of the package: of its SHA256SUMS, which is the same for folder and zip.
    """

    recipe: Recipe
    card: ModelCard
    weights: bytes
    sha256: str

    @classmethod
    def read(cls, path: str | Path) -> ModelPackage:
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
        recipe = Recipe.parse(_text(files, RECIPE))
        card = _parse_card(_text(files, CARD))
        if card.classes != recipe.classes:
            raise InputError("The model package's card and recipe name different classes; get an intact copy of it.")
        return cls(recipe, card, files[WEIGHTS], hashlib.sha256(files[SUMS]).hexdigest())

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights as float32 tensors.

        Raises:
            InputError: when they are not safetensors.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return {name: tensor.float() for name, tensor in load(self.weights).items()}
        except SafetensorError:
            raise InputError("The model package's weights are damaged; get an intact copy of it.") from None


def fold_packages(folder: Path, folds: int) -> tuple[ModelPackage, ...]:
    """The packages fold1, fold2 and so on of a cross-validation in a folder.

    Raises:
        InputError: as `ModelPackage.read`, with the name of the package.
    """
    packages = []
    for name in (f"fold{n}" for n in range(1, folds + 1)):
        try:
            packages.append(ModelPackage.read(folder / name))
        except InputError as error:
            raise InputError(
                f"{name} in {folder.name}: {error} Run a training that was stopped again to finish it."
            ) from None
    return tuple(packages)


def write_package(
    folder: str | Path, recipe_toml: str, card: ModelCard, tensors: Mapping[str, torch.Tensor], *, half: bool
) -> None:
    """Writes a package folder.

    Args:
        folder: must not exist yet.
        recipe_toml: text of recipe.toml.
        tensors: what `ModelPackage.weights` describes.
        half: store the network's weights in half precision.

    Raises:
        InputError: when the recipe is not one or the folder is there already.
    """
    from safetensors.torch import save

    Recipe.parse(recipe_toml)
    stored = {
        name: (tensor.half() if half and _is_weight(name, tensor) else tensor).contiguous()
        for name, tensor in tensors.items()
    }
    files = {
        RECIPE: recipe_toml.encode(),
        WEIGHTS: save(stored),
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


def _is_weight(name: str, tensor: torch.Tensor) -> bool:
    """The feature statistics span too many decades for half precision."""
    return tensor.is_floating_point() and not name.startswith("features.")


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


def _parse_card(text: str) -> ModelCard:
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "card"
        raise InputError(f"The model package's card.json is not valid ({where}: {first['msg']}); correct it.") from None
