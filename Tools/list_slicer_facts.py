"""Lists what a running Slicer has of the classes that the panel uses, for tests without Slicer.

    python Tools/list_slicer_facts.py ../shared/slicer_api

The folder holds facts about all of Slicer: `python_names.json`, `slicer_names.json` and `widgets.json`, as its README
describes them. Names alone are kept, in Testing/Python/slicer_facts.json.
"""

from __future__ import annotations

import ast
import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "DystrophyDx"
FACTS = ROOT / "Testing" / "Python" / "slicer_facts.json"

WITHOUT_A_NAME = (
    "QClipboard", "QFile", "QFormLayout", "QGridLayout", "QHBoxLayout", "QHeaderView", "QMainWindow",
    "QScrollBar", "QTabBar", "QUiLoader", "qMRMLSortFilterProxyModel", "qSlicerModulePanel",
    "qSlicerScriptedLoadableModule",
)  # fmt: skip
"""Classes that the panel reaches through methods of others."""

SOURCES = ("qt", "ctk", "slicer")
"""Modules whose classes a source takes as their attributes."""


def used_classes(module: Path) -> set[str]:
    """Names of the widget classes of the .ui files, and of what the sources take from `qt`, `ctk` and `slicer`."""
    used = set(WITHOUT_A_NAME)
    for page in module.glob("Resources/UI/*.ui"):
        used.update(widget.get("class", "") for widget in ElementTree.parse(page).getroot().iter("widget"))
    for source in module.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in SOURCES:
                used.add(node.attr)
    return used - {"Qt"}  # the namespace of enumerators


def facts(folder: Path, module: Path = MODULE) -> dict[str, dict[str, object]]:
    """The facts of the classes that a module uses, and of their bases.

    Returns:
        "classes": module, base ("includes") and own names of each class as Python sees it. "widgets": base, signals,
        slots and writable properties of each of Slicer's and CTK's. "application": names on `slicer.app` and
        `slicer.util`.
    """
    python, application, widgets = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("python_names", "slicer_names", "widgets")
    )
    used = used_classes(module)
    return {
        "classes": {
            kind: {key: python[kind][key] for key in ("module", "includes", "names")}
            for kind in _with_bases(used, python, "includes")
        },
        "widgets": {
            kind: {
                "base": widgets[kind]["base"],
                "signals": sorted(widgets[kind]["signals"]),
                "slots": sorted(widgets[kind]["slots"]),
                "properties": sorted(set(widgets[kind]["properties"]) - set(widgets[kind]["read_only"])),
            }
            for kind in _with_bases(used, widgets, "base")
        },
        "application": {place: sorted(application[place]) for place in ("slicer.app", "slicer.util")},
    }


def _with_bases(kinds: set[str], known: dict[str, dict[str, str]], base: str) -> list[str]:
    found = set()
    for kind in kinds:
        while kind in known:
            found.add(kind)
            kind = known[kind][base]
    return sorted(found)


def text(found: dict[str, dict[str, object]]) -> str:
    """As the file holds it: a line a class."""
    parts = []
    for part, entries in found.items():
        lines = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
        parts.append(f'"{part}": {{\n' + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    FACTS.write_text(text(facts(Path(sys.argv[1]))), encoding="utf-8")
