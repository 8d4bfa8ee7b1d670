"""What exists in a running Slicer of what the panel uses; Tools/list_slicer_facts.py lists it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

_FACTS = json.loads(Path(__file__).with_name("slicer_facts.json").read_text(encoding="utf-8"))
_CLASSES, _WIDGETS = _FACTS["classes"], _FACTS["widgets"]


def is_class(name: str) -> bool:
    """Whether Python sees a class of that name in the modules qt, ctk or slicer."""
    return name in _CLASSES


def module_of(name: str) -> str | None:
    """The module, qt, ctk or slicer, that has the class."""
    return _CLASSES[name]["module"] if name in _CLASSES else None


@cache
def has_name(kind: str, name: str) -> bool:
    """Whether a class has a property, method, signal or enumerator, its own or inherited."""
    if name in ("exec_", "name") or name in _CLASSES[kind]["names"]:
        return True
    base = _CLASSES[kind]["includes"]
    return base is not None and has_name(base, name)


def is_widget_class(name: str) -> bool:
    """Whether Slicer's or CTK's headers declare the class."""
    return name in _WIDGETS


def declares(kind: str, part: str, what: str) -> bool:
    """Whether a class of Slicer or CTK declares something, itself or through such a base.

    part: "signals" or "slots", by signature, or "properties", by name, of those that can be written.
    """
    while kind in _WIDGETS:
        if what.replace(" ", "") in _WIDGETS[kind][part]:
            return True
        kind = _WIDGETS[kind]["base"]
    return False


def qt_base(kind: str) -> str:
    """The class itself where it is Qt's, or its first base that is."""
    while kind in _WIDGETS:
        kind = _WIDGETS[kind]["base"]
    return kind


def application_has(place: str, name: str) -> bool:
    """Whether `slicer.app` or `slicer.util` has the name."""
    return name in _FACTS["application"][place]
