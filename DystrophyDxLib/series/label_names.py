"""Names of the labels of a label map, from the tables that programs of segmentation write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.small_files import read_bytes
from ..files.spreadsheet import Sheet
from ..models.strict import parsed

LARGEST = 1 << 20
"""Bytes of a table of names."""
_IMAGE_ENDINGS = re.compile(r"(\.seg)?\.(nii(\.gz)?|nrrd|nhdr|mha|mhd)$", re.IGNORECASE)
_TABLES = (".json", ".csv", ".tsv", ".ctbl", ".label", ".txt")
_LABEL = ("label", "labelvalue", "value", "index", "id")
_NAME = ("name", "structure", "region", "muscle")
_ITK_SNAP = re.compile(r'\s*(\d+)(?:\s+[\d.]+){4,6}\s+"(.*)"\s*')
_COLOURS = re.compile(r"\s*(\d+)\s+(\S.*?)(?:\s+[\d.]+){3,4}\s*")


def read_label_names(path: Path) -> dict[int, str]:
    """Names by label, 0 left out.

    Args:
        path: CSV with the columns `label` and `name`; label file of ITK-SNAP; colour table of Slicer or FreeSurfer; or
            JSON such as nnU-Net's dataset.json: names by label, or labels by name, at the top or under `labels`.

    Raises:
        InputError: it cannot be opened, or holds no names.
    """
    try:
        names = _names(path)
    except OSError:
        raise InputError(f"The names of labels cannot be opened; check the path {path} and its permissions.") from None
    if not names:
        raise InputError(
            f"{path.name} holds no names of labels; give a CSV with the columns label and name, a label file of "
            "ITK-SNAP, a colour table of Slicer, or JSON with the names under 'labels'."
        )
    return names


def names_beside(image: Path) -> dict[int, str]:
    """Names in a table of the label map's own name that lies beside it, such as muscles.csv beside muscles.nii.gz; none
    where there is no such table, or it is of something else."""
    stem = _IMAGE_ENDINGS.sub("", image.name)
    for path in (image.with_name(stem + ending) for ending in _TABLES):
        try:
            if path.is_file() and (names := _names(path)):
                return names
        except (OSError, InputError):  # whatever it is, it was not given as names
            continue
    return {}


def _names(path: Path) -> dict[int, str]:
    text = read_bytes(path, LARGEST).decode("utf-8", errors="replace")
    if path.suffix.lower() == ".json":
        pairs = _of_json(text)
    else:
        pairs = _of_lines(text)
        pairs = pairs or _of_sheet(Sheet.read(path, path.name))
    return {label: name for label, name in pairs if label > 0 and name}


def _of_json(text: str) -> list[tuple[int, str]]:
    try:
        content = parsed(json.loads, text)
    except ValueError:
        return []
    content = content.get("labels", content) if isinstance(content, dict) else content
    if isinstance(content, list):
        content = dict(filter(None, map(_entry, content)))
    return list(_pairs(content)) if isinstance(content, dict) else []


def _entry(own: Any) -> tuple[str, str] | None:
    """Label and name of an entry such as {"label": 3, "name": "sartorius"}."""
    if not isinstance(own, dict):
        return None
    label = next((own[key] for key in _LABEL if key in own), "")
    return str(label), str(own.get("name", ""))


def _pairs(content: dict[str, Any]) -> Iterator[tuple[int, str]]:
    for key, value in content.items():
        for label, name in ((key, value), (value, key)):
            if isinstance(name, str) and not isinstance(label, (bool, float)) and str(label).isdecimal():
                yield int(label), name.strip()
                break


def _of_lines(text: str) -> list[tuple[int, str]]:
    """Of a label file or colour table, in which each line that is no comment has label, colours and name."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    snap = [_ITK_SNAP.fullmatch(line) for line in lines]
    if lines and all(snap):
        return [(int(match[1]), match[2].strip()) for match in snap if match]
    colours = [_COLOURS.fullmatch(line) for line in lines]
    if lines and all(colours):
        return [(int(match[1]), match[2].replace("_", " ")) for match in colours if match]
    return []


def _of_sheet(sheet: Sheet) -> list[tuple[int, str]]:
    label = next((name for name in _LABEL if name in sheet.header), None)
    name = next((name for name in _NAME if name in sheet.header), None)
    if label is None or name is None:
        return []
    return [(int(row[label]), row[name]) for _, row in sheet.records() if row[label].isdecimal()]
