"""What each command needs beside the plain package, seen before anything slow is imported."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

COMMAND_LINE = "cli"
EXTRAS = {
    COMMAND_LINE: ("click", "typer", "rich"),
    "viewer": ("slicer",),
    "train": ("matplotlib", "pandas", "PIL", "skimage", "sklearn", "statsmodels", "threadpoolctl"),
    "diffusion": ("dipy",),
    "dicom": ("highdicom",),
    "pacs": ("dicomweb_client", "requests", "pynetdicom", "highdicom", "slicer"),
    "archive": ("ray", "pyarrow", "pandas", "matplotlib"),
}
"""Of pyproject.toml, with what is imported of each. Each of the others brings the command line."""
NEEDED = {
    "classify": "viewer",
    "benchmark": "viewer",
    "diffusivity": "diffusion",
    "pacs": "pacs",
    "node": "pacs",
    "archive": "archive",
    **dict.fromkeys(("phantom", "train", "evaluate", "compare", "texture", "readers"), "train"),
}
"""The extra that each command needs."""


def lacking(command: str | None) -> str | None:
    """What to add for a command, or for the command line alone where there is none; None where all is there."""
    return lacking_extra(NEEDED.get(command or "", COMMAND_LINE))


def lacking_extra(extra: str) -> str | None:
    """What to add for an extra; None where all of it is there."""
    for name in dict.fromkeys((COMMAND_LINE, extra)):
        for module in EXTRAS[name]:
            if not _is_there(module):
                return what_to_add(module, extra)
    return None


def what_to_add(module: str | None, extra: str = "train,viewer,diffusion") -> str:
    """One line: a package that is missing, and how to install the extra that brings it."""
    return (
        f"The package {module} is missing, which this command needs; add it in the folder of the checkout with: "
        f'{_pip()} install -e ".[{extra}]"'
    )


def _pip() -> str:
    """How pip of this Python is called in the folder of the checkout."""
    own = Path(sys.prefix)
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    return str(Path(own.name, scripts, "pip")) if own.name == ".venv" else "pip"


def _is_there(module: str) -> bool:
    """Also where it was taken away, as tests do."""
    return sys.modules[module] is not None if module in sys.modules else find_spec(module) is not None
