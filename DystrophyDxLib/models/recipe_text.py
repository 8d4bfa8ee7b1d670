"""Recipes as TOML text."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ..errors import InputError
from .strict import Strict, parsed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from typing_extensions import Self

LARGEST = 64 << 10
"""Bytes of a recipe; more is refused before it is read."""
_DEEP = re.compile(r"\.(?:\s*[\w\"'-]{1,64}\s*\.){16}")
"""Keys nested as no recipe nests them; the time of reading them grows with the square of their number."""


class TomlRecipe(Strict):
    """A recipe of any kind, which is read from TOML text and written as it."""

    @classmethod
    def parse(cls, text: str, name: str = "recipe.toml") -> Self:
        """Reads TOML text.

        Args:
            name: of the file that it is from.

        Raises:
            InputError: when it is not TOML or not such a recipe.
        """
        try:
            if len(text) > LARGEST or _DEEP.search(text):
                raise ValueError("larger or nested deeper than any recipe")
            return cls.model_validate(parsed(tomllib.loads, text))
        except ValueError as error:  # of TOML, numbers of too many digits, and entries that do not go together
            raise InputError(f"{name} is not a valid recipe ({first_line(error)}); correct that entry.") from None

    def toml(self) -> str:
        """The recipe as TOML text, which `parse` reads back."""
        return "\n".join(_toml_lines(self.model_dump(exclude_none=True))) + "\n"


def first_line(error: Exception) -> str:
    """What is wrong, in one line: of a recipe the first entry that is."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
    return str(error).splitlines()[0]


def _toml_lines(table: dict[str, Any], path: str = "") -> Iterator[str]:
    """Lines of a TOML table: its own values, then its tables. Strings, numbers and lists look as in JSON."""
    tables: list[tuple[str, str, dict[str, Any]]] = []
    for name, value in table.items():
        key = name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name, ensure_ascii=False)
        if isinstance(value, dict):
            tables.append((f"[{path}{key}]", f"{path}{key}.", value))
        elif isinstance(value, tuple) and any(isinstance(entry, dict) for entry in value):
            tables += [(f"[[{path}{key}]]", f"{path}{key}.", entry) for entry in value]
        else:
            yield f"{key} = {json.dumps(value, ensure_ascii=False)}"
    for header, inner_path, inner in tables:
        yield from ("", header, *_toml_lines(inner, inner_path))
