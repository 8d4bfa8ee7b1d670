"""The models that the panel offers: the demonstration model, and the packages that a user has added."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

from ..files.resources import embedded_model

DEMONSTRATION = "Demonstration model"


class ModelList:
    """Model packages, remembered by their paths; they are read where they lie.

    Args:
        read: gives the text that was kept last; nothing before the first time.
        keep: keeps a text until the next session.

    >>> kept = ['["/models/thighs"]']
    >>> models = ModelList(lambda: kept[-1], kept.append)
    >>> [name for name, path in models.entries()]
    ['Demonstration model', 'thighs']
    """

    def __init__(self, read: Callable[[], str | None], keep: Callable[[str], None]) -> None:
        self._read = read
        self._keep = keep
        self.chosen = embedded_model()
        """Package that classifies."""

    @property
    def added(self) -> list[Path]:
        """Packages that the user has added, in that order; none where what was kept is damaged."""
        try:
            paths = json.loads(self._read() or "[]")
        except (TypeError, ValueError):
            paths = None
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            logging.warning("The settings on model packages cannot be read; add the packages again.")
            return []
        return [Path(path) for path in paths]

    def entries(self) -> list[tuple[str, Path]]:
        """(name, path) of every model that can be chosen."""
        return [(DEMONSTRATION, embedded_model()), *((path.name, path) for path in self.added)]

    def add(self, path: Path) -> None:
        """Adds a package, after a look into it.

        Args:
            path: a package's folder or .zip, or the card.json in its folder.

        Raises:
            InputError: as `ModelPackage.read`.
        """
        from ..models.package import ModelPackage  # needs pydantic, which Slicer does not ship

        package = path.parent if path.name == "card.json" else path
        ModelPackage.read(package)
        if package not in self.added:
            self._keep(json.dumps([*map(str, self.added), str(package)]))
        self.chosen = package
