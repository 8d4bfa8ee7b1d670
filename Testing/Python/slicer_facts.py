"""What exists in a running Slicer, as facts that lie beside a checkout on some machines."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "slicer_api"
AVAILABLE = _FOLDER.is_dir()


@cache
def _facts(name: str) -> dict:
    return json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8")) if AVAILABLE else {}


def is_class(name: str) -> bool:
    """Whether Python sees a class of that name in the modules qt, ctk or slicer."""
    return name in _facts("python_names")


def module_of(name: str) -> str | None:
    """The module, qt, ctk or slicer, that has the class."""
    return _facts("python_names").get(name, {}).get("module")


@cache
def names_of(kind: str) -> frozenset[str]:
    """Properties, methods, signals and enumerators of a class, inherited ones included."""
    names: set[str] = set()
    while kind is not None:
        facts = _facts("python_names").get(kind)
        if facts is None:
            break
        names.update(facts["names"])
        kind = facts["includes"]
    return frozenset(names)


def has_name(kind: str, name: str) -> bool:
    return name in names_of(kind) or name in ("exec_", "name")


def is_widget_class(name: str) -> bool:
    """Whether Slicer's or CTK's headers declare the class."""
    return name in _facts("widgets")


def _declared(kind: str, part: str) -> set[str]:
    found: set[str] = set()
    while kind in _facts("widgets"):
        found.update(_facts("widgets")[kind][part])
        kind = _facts("widgets")[kind]["base"]
    return found


def has_signal(kind: str, signature: str) -> bool:
    return signature.replace(" ", "") in _declared(kind, "signals")


def has_slot(kind: str, signature: str) -> bool:
    return signature.replace(" ", "") in _declared(kind, "slots")


def has_property(kind: str, name: str) -> bool:
    """Whether a class of Slicer or CTK declares a writable property."""
    return name in _declared(kind, "properties") and name not in _declared(kind, "read_only")


def qt_base(kind: str) -> str:
    """The first base of a class of Slicer or CTK that is Qt's."""
    while kind in _facts("widgets"):
        kind = _facts("widgets")[kind]["base"]
    return kind


def application_has(part: str, name: str) -> bool:
    """Whether `slicer.app`, `slicer.util`, … has the name; see the keys of the facts."""
    return name in _facts("slicer_names")[part]
