"""What makes a muscle map: its recipe, and the package of a trained model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from ..errors import InputError
from ..muscles.structures import STRUCTURES
from .package import Metric
from .package_files import PackageFiles, parsed_card, tensors_in
from .recipe import SampleRecipe
from .recipe_text import TomlRecipe
from .strict import Strict
from .training_recipe import TrainingRecipe

if TYPE_CHECKING:
    import torch

Channels = Annotated[int, Field(ge=4, le=512)]


class MapRecipe(TomlRecipe):
    """How a network is taught to name the muscles of a thigh.

    Attributes:
        features: channels of the network's levels, see `map_network.MapNetwork`.
        maps: column of the cohort table with the path of a person's map of each series, see `muscles.label_maps`.
    """

    name: str
    publication: str
    sample: SampleRecipe
    features: tuple[Channels, Channels, Channels, Channels, Channels, Channels]
    maps: str
    training: TrainingRecipe

    @model_validator(mode="after")
    def _parts_agree(self) -> MapRecipe:
        if self.sample.region.kind != "legs" or self.sample.depth is not None or self.sample.planes != 1:
            raise ValueError("a muscle map is made of one slice of one leg, in one channel")
        if self.training.trainable != "all" or self.training.augmentation or self.training.start_share:
            raise ValueError("of a muscle map all is trained, with the augmentation of its own")
        if any(stage.size != self.sample.size for stage in self.training.stages):
            raise ValueError("a muscle map is trained at the size of the sample")
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """One, of which every disease is."""
        return ("thigh",)

    @property
    def diagnoses(self) -> dict[str, tuple[str, ...]]:
        """None by name: every disease is taken."""
        return {"thigh": ()}

    def class_of(self, diagnosis: str) -> int:
        """0 for every disease: it has no say."""
        return 0

    def leaves_out(self, diagnosis: str) -> bool:
        """False: every disease is taken."""
        return False


def names_maps(recipe: str) -> bool:
    """Whether the text of a recipe is one of muscle maps."""
    return re.search(r"^maps\s*=", recipe, re.MULTILINE) is not None


class MapCard(Strict):
    """What a user must know of a model of muscle maps.

    Attributes:
        structures: that it names, by label from 1.
        demonstration: True for a model that has seen no patients.
        tried_on: sentences on patients that it was tried on, one by one.
        metrics: Dice of each structure (2·|A∩B| / (|A|+|B|)) over the test or validation images.
        least_likelihood: mean log probability of the map of a leg below which the leg shows no thigh.
        seen: as of `package.ModelCard`.
    """

    name: str
    version: str
    structures: tuple[str, ...]
    demonstration: bool
    trained_on: str
    tried_on: tuple[str, ...] = ()
    intended_use: str
    licence: str
    training_cohort: dict[str, Any]
    metrics: dict[str, Metric]
    least_likelihood: float
    seen: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """Whose map it is, in a sentence that stands wherever figures from such a map do."""
        dice = self.metrics.get("Dice, mean")
        known = f"mean Dice {dice.value:.2f} on {dice.measured_on}" if dice else "its Dice is not known"
        return (
            f"The muscles were found by the network “{self.name}” {self.version}, trained on {self.trained_on}; "
            f"{known}. Look at the outlines before you use the figures."
        )

    @model_validator(mode="after")
    def _known_structures(self) -> MapCard:
        if self.structures != STRUCTURES:
            raise ValueError("it names other structures than this version")
        return self


def is_map_package(path: str | Path) -> bool:
    """Whether a package that can be read is one of muscle maps."""
    try:
        return names_maps(PackageFiles.read(path).recipe)
    except InputError:
        return False


@dataclass(frozen=True)
class MapPackage:
    """A checked package of a model of muscle maps.

    Attributes:
        weights: safetensors bytes of the network's state.
        sha256: see `package_files.PackageFiles`.
    """

    recipe: MapRecipe
    card: MapCard
    weights: bytes
    sha256: str

    @classmethod
    def read(cls, path: str | Path) -> MapPackage:
        """Reads and checks a package folder or .zip.

        Raises:
            InputError: when it is absent, damaged, incomplete, hostile, or of another kind.
        """
        files = PackageFiles.read(path)
        return cls(MapRecipe.parse(files.recipe), parsed_card(MapCard, files.card), files.weights, files.sha256)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights as float32 tensors.

        Raises:
            InputError: when they are not safetensors.
        """
        return tensors_in(self.weights)
