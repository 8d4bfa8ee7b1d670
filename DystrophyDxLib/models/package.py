"""The package of a model that classifies: its recipe, weights and card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from ..errors import InputError
from ..results import Probability
from .backbone_names import check_backbone
from .decision import Decision, decision_for
from .package_files import PackageFiles, parsed_card, tensors_in, write_files
from .recipe import Recipe
from .strict import Strict

if TYPE_CHECKING:
    import torch


class Metric(Strict):
    """A figure with its 95 % interval and what it was measured on."""

    value: float
    ci95: tuple[float, float]
    measured_on: str


BALANCED_ACCURACY = "Balanced accuracy"
"""Name of the mean of the classes' sensitivities, which is chance at one over their number."""


class AnswerCard(Strict):
    """What a user must know of a model that answers, and the constants its answers need.

    Attributes:
        demonstration: True for a model that has seen no patients; every result then says so.
        tried_on: sentences on patients that it was tried on, one by one.
        threshold: case and image probability from which the second of two classes is said; of more than two, the most
            likely one is, without a threshold.
        label_from: the least probability of each class at which it is a label, see `decision.Decision`; empty in
            packages that do not tell.
        temperature: logits are divided by it (Guo et al., ICML 2017).
        seen: of each series that the model was fitted to or whose threshold was chosen by it, see `cohort.seen`;
            empty in packages that do not tell.
    """

    name: str
    version: str
    classes: tuple[str, ...] = Field(min_length=2)
    demonstration: bool
    trained_on: str
    tried_on: tuple[str, ...] = ()
    intended_use: str
    licence: str
    training_cohort: dict[str, Any]
    metrics: dict[str, Metric]
    threshold: Probability | None = None
    label_from: tuple[Probability | None, ...] = ()
    temperature: Annotated[float, Field(gt=0)]
    seen: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _threshold_of_two(self) -> AnswerCard:
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


class ModelCard(AnswerCard):
    """Of a network.

    Attributes:
        heat_reference: class activation that is shown as 1 in a case with none higher, so that a case without
            evidence is not shown in full colour.
        largest_distance: Mahalanobis distance of a case's mean features from the training cohort's beyond which the
            case is unlike what the model has seen.
    """

    heat_reference: Annotated[float, Field(gt=0)]
    largest_distance: Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class ModelPackage:
    """A checked model package.

    Attributes:
        weights: safetensors bytes of the network's state and of `features.mean` (C,) and `features.precision` (C, C),
            the training cohort's mean pooled features and their inverse covariance.
        sha256: see `PackageFiles`.
    """

    recipe: Recipe
    card: ModelCard
    weights: bytes
    sha256: str

    @classmethod
    def read(cls, path: str | Path) -> ModelPackage:
        """Reads and checks a package folder or .zip.

        Raises:
            InputError: when it is absent, damaged, incomplete or hostile, or its backbone is of a package that is not
                installed.
        """
        files = PackageFiles.read(path)
        recipe, card = Recipe.parse(files.recipe), parsed_card(ModelCard, files.card)
        check_backbone(recipe)
        if card.classes != recipe.classes:
            raise InputError("The model package's card and recipe name different classes; get an intact copy of it.")
        return cls(recipe, card, files.weights, files.sha256)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights as float32 tensors.

        Raises:
            InputError: when they are not safetensors.
        """
        return tensors_in(self.weights)


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
    Recipe.parse(recipe_toml)
    stored = {name: tensor.half() if half and _is_weight(name, tensor) else tensor for name, tensor in tensors.items()}
    write_files(folder, recipe_toml, card, stored)


def _is_weight(name: str, tensor: torch.Tensor) -> bool:
    """The feature statistics span too many decades for half precision."""
    return tensor.is_floating_point() and not name.startswith("features.")
