"""Data that is checked when it is made, and texts that say it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Nothing beside its entries, and nothing that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parsed(loads: Callable[[str], Any], text: str) -> Any:
    """What a text of JSON or TOML says.

    Args:
        loads: `json.loads` or `tomllib.loads`.

    Raises:
        ValueError: it is not such a text, or nothing can follow how deeply it is nested.
    """
    try:
        return loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
