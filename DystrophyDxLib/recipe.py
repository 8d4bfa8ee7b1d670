"""A recipe says as data what a published method is: classes, network input and network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleRecipe(_Table):
    """`size`: edge in pixels of the square network input; `samples.GRID` times a power of two."""

    size: Literal[112, 224, 448, 896]


class NetworkRecipe(_Table):
    """`backbone`: a name in `networks.BACKBONES`."""

    backbone: str


class Recipe(_Table):
    """One published system as data.

    With two classes the network has one output, the evidence for the second class; with more, one a class.
    """

    name: str
    publication: str
    classes: tuple[str, ...] = Field(min_length=2)
    sample: SampleRecipe
    network: NetworkRecipe

    @property
    def outputs(self) -> int:
        """Number of network outputs (logits)."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Reads TOML text.

        Raises:
            InputError: when it is not TOML or not a recipe.
        """
        try:
            return cls.model_validate(tomllib.loads(text))
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            raise InputError(f"recipe.toml is not a valid recipe ({_first_line(error)}); correct that entry.") from None

    @classmethod
    def named(cls, name: str) -> Recipe:
        """The recipe of that name that ships with the library.

        Raises:
            InputError: when there is none.
        """
        folder = Path(__file__).parent / "recipes"
        known = sorted(path.stem for path in folder.glob("*.toml"))
        if name not in known:
            raise InputError(f"There is no recipe {name!r}; choose one of {', '.join(known)}.")
        return cls.parse((folder / f"{name}.toml").read_text(encoding="utf-8"))


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0]
