"""What a node has done and is doing, told beside it and without identity."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError
from .files import DATABASE, STUDIES, Condition, condition, content_of, name_of, node_key
from .records import Records

_TOLD: dict[Condition, str] = {
    "listens": "The node runs.",
    "loads": "The node loads the model; senders do not reach it yet.",
    "stopped": "The node does not run.",
}


@dataclass(frozen=True)
class StudyStatus:
    """A study of a node.

    Attributes:
        study: its name in the log, too.
        state: "waiting" for quiet or classification, "answered", or "kept" as it cannot be classified.
        reason: why it is kept, or an object refused.
        images: number of them.
        objects: number of its objects by state: "waiting", "sent", "refused".
    """

    study: str
    state: str
    reason: str
    images: int
    objects: dict[str, int]


@dataclass(frozen=True)
class NodeStatus:
    """All that a node has.

    Attributes:
        condition: what the node does.
        destination: why it takes nothing at present; empty where it does.
        studies: the newest first.
    """

    condition: Condition
    destination: str
    studies: tuple[StudyStatus, ...]

    @classmethod
    def read(cls, folder: Path, uid: str = "") -> NodeStatus:
        """
        Args:
            folder: of the node, whether it runs or not.
            uid: Study Instance UID of the one study to tell.

        Raises:
            InputError: it is no node's folder, cannot be read, or does not hold the one study.
        """
        if not (folder / DATABASE).is_file():
            raise InputError(f"{folder} is no folder of a node; give the one that the node was started with.")
        try:
            records = Records(folder / DATABASE)
            try:
                told, destination = records.told(), records.destination()
            finally:
                records.close()
            images = {path.name: path for path in (folder / STUDIES).iterdir()}
            alone = name_of(node_key(folder), uid) if uid else ""
            rows = {name: StudyStatus(name, "waiting", "", _count(path), {}) for name, path in images.items()}
            for name, state, reason, content, objects in told:
                path = images.get(name)
                if path is not None and content_of(path) != content:
                    state, reason = "waiting", ""
                rows[name] = StudyStatus(name, state, reason, _count(path) if path else 0, objects)
        except (OSError, sqlite3.Error):
            raise InputError(f"The node's folder {folder} cannot be read; check its permissions.") from None
        if alone and alone not in rows:
            raise InputError("The node holds no study of this UID; look at the status of all.")
        order = {name: n for n, (name, *_) in enumerate(told)}
        studies = sorted(rows.values(), key=lambda row: order.get(row.study, -1))
        return cls(condition(folder), destination, tuple(row for row in studies if alone in ("", row.study)))

    def counts(self) -> dict[str, int]:
        """Numbers of studies by state, and of objects that wait."""
        numbers = {state: sum(row.state == state for row in self.studies) for state in ("waiting", "answered", "kept")}
        return numbers | {"objects to send": sum(row.objects.get("waiting", 0) for row in self.studies)}

    def to_json(self) -> dict[str, Any]:
        """The same with the counts, and whether a node works on the folder."""
        condition = {"running": self.condition != "stopped", "condition": self.condition}
        studies = [asdict(row) for row in self.studies]
        return condition | {"destination": self.destination, **self.counts(), "studies": studies}

    def lines(self) -> list[str]:
        """The same for a person."""
        numbers = ", ".join(f"{number} {what}" for what, number in self.counts().items())
        first = f"{_TOLD[self.condition]} Studies: {numbers}."
        down = [f"The destination takes nothing at present: {self.destination}"] if self.destination else []
        return [first, *down, *map(_line, self.studies)]


def _line(row: StudyStatus) -> str:
    objects = ", ".join(f"{number} {state}" for state, number in row.objects.items())
    told = (f"{row.study}  {row.state}", f"{row.images} images", objects and f"objects: {objects}", row.reason)
    return "  ".join(filter(None, told))


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())
