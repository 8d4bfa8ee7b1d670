"""Data that is checked when it is made."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Nothing beside its entries, and nothing that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
