"""What makes a model of patterns, which tells diseases by the fat of each muscle: its recipe and its package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ..errors import InputError
from ..muscles.structures import MUSCLES
from .classes_recipe import ClassesRecipe
from .package import AnswerCard
from .package_files import PackageFiles, parsed_card
from .pattern import PatternModel
from .recipe import SampleRecipe
from .strict import Strict

if TYPE_CHECKING:
    from typing_extensions import Self


class PatternTerms(Strict):
    """What the answer may rest on.

    Attributes:
        signs: of two classes, muscles whose fat, relative to the patient's other muscles, publications say to speak for
            the second class (1) or against it (-1). The fit may leave such a muscle out and never turn it round.
        strengths: inverse penalties of the coefficients' sizes (L1) from which validation chooses.
        least_sure: probability of a class below which it is no label, whatever validation shows. The threshold of two
            classes is a half.
        least_muscles: muscles in view with fewer of which there is no answer.
    """

    signs: dict[str, Literal[-1, 1]] = Field(default_factory=dict)
    strengths: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    least_sure: Annotated[float, Field(ge=0, lt=1)] = 0.0
    least_muscles: Annotated[int, Field(ge=1, le=len(MUSCLES))]

    @model_validator(mode="after")
    def _known_muscles(self) -> Self:
        unknown = [name for name in self.signs if name not in MUSCLES]
        if unknown:
            raise ValueError(f"signs names {unknown[0]!r}, which is none of the muscles")
        return self


class PatternRecipe(ClassesRecipe):
    """How the fat of each muscle becomes an answer.

    Attributes:
        sample: the T1-weighted series whose windows are mapped.
        dixon: columns of the cohort table that may hold Dixon images on its grid, which tell fat better than grey;
            where the first is not there and the second is, the series itself is the first.
        fraction: column that may hold its image of the fat fraction, which tells it where those do not.
        drawn: column of the cohort table that may hold a person's map of the muscles of each series.
        pattern: what the answer rests on.
    """

    sample: SampleRecipe
    dixon: tuple[str, str] = ("DIXON_FAT", "DIXON_WATER")
    fraction: str = "DIXON_FF"
    drawn: str = "muscles"
    pattern: PatternTerms

    @model_validator(mode="after")
    def _parts_agree(self) -> PatternRecipe:
        if self.sample.region.kind != "legs" or self.sample.depth is not None or self.sample.planes != 1:
            raise ValueError("a pattern is seen in single slices of legs, in one channel")
        if self.pattern.signs and len(self.classes) > 2:
            raise ValueError("signs belong to two classes")
        return self

    def for_task(self, name: str) -> PatternRecipe:
        """See `ClassesRecipe.for_task`. Signs go with the recipe's own classes alone; of a task's, one is a label
        where it is likelier than all others together.

        Raises:
            InputError: it has no such task.
        """
        if name in self.tasks:
            return super(PatternRecipe, self.unbound()).for_task(name)
        return super().for_task(name)

    def unbound(self) -> PatternRecipe:
        """The same with muscles that may speak either way, and a class a label from a half on."""
        terms = self.pattern.model_dump() | {"signs": {}, "least_sure": 0.5}
        return self.changed({"pattern": terms}, "The recipe needs its signs")


def is_of_patterns(recipe: str) -> bool:
    """Whether the text of a recipe is one of patterns."""
    return re.search(r"^\[pattern\]", recipe, re.MULTILINE) is not None


class PatternCard(AnswerCard):
    """What a user must know of a model of patterns.

    Attributes:
        muscles_by: package of muscle maps whose fat it was fitted to, by its digest.
        coefficients: of each output and muscle, as the package's weights hold them, for people to read.
    """

    muscles_by: str
    coefficients: dict[str, dict[str, float]]


def is_pattern_package(path: str | Path) -> bool:
    """Whether a package that can be read is one of patterns."""
    try:
        return is_of_patterns(PackageFiles.read(path).recipe)
    except InputError:
        return False


@dataclass(frozen=True)
class PatternPackage:
    """A checked package of a model of patterns.

    Attributes:
        sha256: see `package_files.PackageFiles`.
    """

    recipe: PatternRecipe
    card: PatternCard
    model: PatternModel
    sha256: str

    @classmethod
    def read(cls, path: str | Path) -> PatternPackage:
        """Reads and checks a package folder or .zip.

        Raises:
            InputError: when it is absent, damaged, incomplete, hostile, or of another kind.
        """
        files = PackageFiles.read(path)
        recipe, card = PatternRecipe.parse(files.recipe), parsed_card(PatternCard, files.card)
        if card.classes != recipe.classes:
            raise InputError("The model package's card and recipe name different classes; get an intact copy of it.")
        return cls(recipe, card, PatternModel.of(_arrays(files.weights), card.decision.outputs), files.sha256)


def _arrays(weights: bytes) -> dict[str, np.ndarray]:
    """The arrays of safetensors bytes.

    Raises:
        InputError: they are none.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return {name: array.astype(np.float64) for name, array in load(weights).items()}
    except SafetensorError:
        raise InputError("The model package's weights are damaged; get an intact copy of it.") from None
