"""What the panel asks for, as the chosen model needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..models.recipe import SampleRecipe


@dataclass(frozen=True)
class ModelInputs:
    """The volumes or frames that a model takes.

    Attributes:
        sample: of the model's recipe; None where its package cannot be read, which is said when it is used.

    >>> ModelInputs().label(of_cine=False)
    'Thigh MRI:'
    """

    sample: SampleRecipe | None = None

    @classmethod
    def of(cls, package: Path) -> ModelInputs:
        """Those of a model package."""
        from ..models.package import ModelPackage

        try:
            return cls(ModelPackage.read(package).recipe.sample)
        except InputError:
            return cls()

    @property
    def takes_thighs(self) -> bool:
        """Whether the first input is a T1-weighted thigh MRI, as that of the demonstration model."""
        return self.sample is None or self.sample.expects == "t1_thigh"

    @property
    def takes_frames(self) -> bool:
        """Whether the inputs are frames of a cine."""
        return self.sample is not None and self.sample.of_cine

    @property
    def names(self) -> list[str]:
        """One an input."""
        names = [channel.name for channel in self.sample.channels] if self.sample is not None else []
        return ["Thigh MRI"] if self.takes_thighs and len(names) < 2 else names

    @property
    def further(self) -> list[str]:
        """Names of the inputs after the first."""
        return self.names[1:]

    def label(self, of_cine: bool) -> str:
        """Beside the selector of the first input, or of the cine that holds them all."""
        return "Cine:" if of_cine else f"{self.names[0]}:"
