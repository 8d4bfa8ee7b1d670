"""How a recipe says that the weights are fitted: stages, optimiser, what is trained, how samples are varied."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from .strict import Strict

Size = Annotated[int, Field(ge=32, le=1024, multiple_of=16)]
"""Edge in pixels of a square network input."""
STAGES = ("stage1", "stage2", "stage3", "stage4", "stage5")
"""The parts of every backbone in order; each halves the resolution once (conv1 to conv5 in He et al., CVPR 2016,
table 1)."""


class AugmentationRecipe(Strict):
    """Changes of a sample that a publication names, each drawn evenly within its bounds.

    Attributes:
        zoom: enlargement, lowest and highest.
        rotation_degrees: largest turn to either side.
        shift: largest way along rows and columns, as a share of the edge.
        intensity: factor of all greys, lowest and highest.
        mirror: whether half of the samples change left and right.
    """

    zoom: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
    rotation_degrees: Annotated[float, Field(ge=0, le=180)]
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.0
    intensity: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (1.0, 1.0)
    mirror: bool = False


class StageRecipe(Strict):
    """A run over the training images at one size.

    Attributes:
        size: edge of the samples in this stage, at most that of the recipe's samples.
        epochs: times every image is seen, at most; or instead
        iterations: steps, rounded up to whole epochs.
        learning_rate: constant, or the highest of a one-cycle schedule (Smith & Topin 2017, arXiv:1708.07120).
        patience: epochs without a better validation loss after which the stage ends; None trains all epochs.
    """

    size: Size
    epochs: Annotated[int, Field(ge=1)] | None = None
    iterations: Annotated[int, Field(ge=1)] | None = None
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    schedule: Literal["constant", "one_cycle"]
    patience: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _epochs_or_iterations(self) -> StageRecipe:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError("a stage has either epochs or iterations")
        return self

    def epochs_of(self, batches: int) -> int:
        """Epochs of so many steps."""
        return self.epochs or math.ceil((self.iterations or 0) / batches)


class TrainingRecipe(Strict):
    """How the weights are fitted.

    Attributes:
        trainable: "head" keeps the whole trunk as it is, "all" fits everything, and the last of `STAGES` fit these and
            the head.
        momentum: of SGD; 0 with AdamW, which has its own.
        batch: images a step.
        class_weights: "balanced" weighs each class by the inverse of its number of images.
        copies: augmented copies of an image whose features are kept beside its own, when the trunk is frozen; 0
            otherwise, since augmentation is then drawn anew in each epoch.
        augmentation: how samples are varied in training; None draws them as another patient, position and scanner would
            give them (`training.augment`), "wide" further than that, of slices of legs (`training.wide_augment`).
        start_share: share of the starting weights, those of a model package of the same classes, in the model; the rest
            are the fitted ones. A model fitted further keeps so what it knew of other images (Wortsman et al., CVPR
            2022, equation 1, whose α is 1 - start_share).
    """

    trainable: Literal["head", "all"] | Annotated[tuple[str, ...], Field(min_length=1)]
    optimiser: Literal["sgd", "adamw"]
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    batch: Annotated[int, Field(ge=1)]
    class_weights: Literal["none", "balanced"] = "none"
    copies: Annotated[int, Field(ge=0)] = 0
    augmentation: AugmentationRecipe | Literal["wide"] | None = None
    start_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stages: Annotated[tuple[StageRecipe, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _parts_agree(self) -> TrainingRecipe:
        if isinstance(self.trainable, tuple) and self.trainable != STAGES[-len(self.trainable) :]:
            raise ValueError(f"trainable is head, all, or the last of {', '.join(STAGES)} in this order")
        if self.optimiser == "adamw" and self.momentum:
            raise ValueError("momentum belongs to sgd")
        if self.trainable != "head" and self.copies:
            raise ValueError("copies are kept only with trainable = head")
        if self.trainable == "head" and self.augmentation:
            raise ValueError("augmentation belongs to trunks that are trained")
        return self
