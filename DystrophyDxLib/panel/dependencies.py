"""The Python packages that the panel needs inside Slicer: which are missing, how large they are, their installation.

Slicer's own `slicer.packaging` reads the requirements, checks and installs them (5.12 and later).
Installing adds packages and changes none: every package that is there, Slicer's own and those of other extensions, is
held at its version by a constraints file. PyTorch comes through the PyTorch extension, which finds the build for the
graphics card. The one exception is pip itself: the PyTorch extension's installer (light-the-torch) brings its own.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ..errors import InputError
from .pip_words import heard, why_it_failed

_PYTORCH = ("torch", "torchvision")

_PYTORCH_ON_DISK = "0.6 GB on disk, or 5 GB with support for NVIDIA graphics cards"
"""Measured: PyTorch 2.15 with CUDA 13.2 and what it brings takes 5.2 GB on Linux, 0.6 GB without all that is CUDA's."""

_OTHERS_ON_DISK = "20 MB"
"""Measured: jinja2 3.1, pydantic 2.13, safetensors 0.8 and what they bring, on Linux for Python 3.12, 10 MB; MONAI 1.6,
which brings nothing beside PyTorch, 8 MB."""

_UNINSTALL = "restart Slicer, press Uninstall PyTorch in the module PyTorch Utils, and try again."


class Packaging(Protocol):
    """What is used of `slicer.packaging`."""

    def load_requirements(self, path: Path) -> list[Requirement]: ...

    def pip_check(self, req: Requirement) -> bool: ...

    def pip_install(self, requirements: list[str], constraints: Path, requester: str) -> object: ...


class PyTorchInstaller(Protocol):
    """What is used of `PyTorchUtils.PyTorchUtilsLogic`, the logic of the PyTorch extension."""

    def installTorch(
        self, askConfirmation: bool, torchVersionRequirement: str, torchvisionVersionRequirement: str
    ) -> object: ...


@dataclass(frozen=True)
class Installation:
    """What has to be installed before a volume can be classified; one of the two at least.

    Attributes:
        packages: requirements for pip, such as "pydantic>=2.12,<3".
        pytorch: whether PyTorch is to be installed.
    """

    packages: tuple[str, ...]
    pytorch: bool

    @property
    def question(self) -> str:
        """What the user is asked: the packages, their size, and what happens to the others."""
        parts = [f"PyTorch ({_PYTORCH_ON_DISK})"] if self.pytorch else []
        if self.packages:
            names = ", ".join(Requirement(package).name for package in self.packages)
            parts.append(f"{names} (together {_OTHERS_ON_DISK} at most)")
        return (
            f"DystrophyDx needs {' and '.join(parts)}. Install into Slicer's Python now? "
            "No package that is there already is changed."
        )


class Dependencies:
    """The packages of a requirements file inside Slicer's Python.

    Args:
        requirements: path of requirements.txt; `torch` and `torchvision` in it are the PyTorch extension's.
        packaging: the module `slicer.packaging`.
        pytorch: the PyTorch extension's logic; None where the extension is not installed.
    """

    def __init__(self, requirements: Path, packaging: Packaging, pytorch: PyTorchInstaller | None) -> None:
        self._requirements = packaging.load_requirements(requirements)
        self._packaging = packaging
        self._pytorch = pytorch

    def missing(self) -> Installation | None:
        """What has to be installed; None when everything is there. Imports none of the packages.

        Raises:
            InputError: when it cannot be installed from here: the PyTorch extension is missing, or a package is there
                in a version that does not fit.
        """
        importlib.invalidate_caches()
        unfit = [requirement for requirement in self._requirements if not self._packaging.pip_check(requirement)]
        missing, there = [], _installed() if unfit else {}
        for requirement in unfit:
            version = there.get(requirement.name)
            if version is None:
                missing.append(requirement)
            elif not requirement.specifier.contains(version, prereleases=True):
                raise InputError(_conflict(requirement, version))
        pytorch = any(requirement.name in _PYTORCH for requirement in missing)
        if pytorch and self._pytorch is None:
            raise InputError(
                "PyTorch is missing: install the extension PyTorch with Slicer's Extensions Manager (menu View), "
                "restart Slicer, and try again."
            )
        packages = tuple(str(requirement) for requirement in missing if requirement.name not in _PYTORCH)
        return Installation(packages, pytorch) if missing else None

    def install(self, installation: Installation) -> None:
        """Installs; takes seconds for the small packages, minutes for PyTorch.

        Raises:
            InputError: when that fails, with what pip said; see `why_it_failed`.
        """
        said: list[str] = []
        try:
            with heard() as said:
                # First, or MONAI would bring a PyTorch that knows nothing of the graphics card.
                if installation.pytorch:
                    self._install_pytorch()
                if installation.packages:
                    with _constraints() as constraints:
                        self._packaging.pip_install(
                            list(installation.packages), constraints=constraints, requester="DystrophyDx"
                        )
        # Two foreign installers with their networks and processes: what they raise is not documented.
        except Exception as error:
            logging.exception("DystrophyDx could not install what it needs")
            what = "PyTorch" if installation.pytorch else "The packages that DystrophyDx needs"
            raise InputError(f"{what} could not be installed. {why_it_failed(said, error)}") from None
        finally:
            importlib.invalidate_caches()

    def _install_pytorch(self) -> None:
        assert self._pytorch is not None, "`missing` raises where the extension is not there"
        version = {requirement.name: str(requirement.specifier) for requirement in self._requirements}
        with _constraints() as constraints, _held_by_pip(constraints):
            self._pytorch.installTorch(
                askConfirmation=False,
                torchVersionRequirement=version["torch"],
                torchvisionVersionRequirement=version["torchvision"],
            )


def load_pytorch() -> None:
    """Imports PyTorch, so that one that is broken is found here and not amid the work. torchvision takes as long again,
    and is imported by the models that need it.

    Raises:
        InputError: when it does not start.
    """
    _keep_triton_out_beside_mesa()
    try:
        importlib.import_module("torch")
    # A damaged or mismatched PyTorch raises ImportError, OSError, RuntimeError, AttributeError and others.
    except Exception:
        logging.exception("PyTorch does not start")
        raise InputError(f"PyTorch is there but does not start: {_UNINSTALL} The log has the details.") from None


@contextlib.contextmanager
def _constraints() -> Iterator[Path]:
    """A constraints file with every package that is there, at its version."""
    importlib.invalidate_caches()
    with tempfile.TemporaryDirectory(prefix="DystrophyDx-") as folder:
        file = Path(folder).resolve() / "constraints.txt"
        held = (f"{name}=={version}" for name, version in sorted(_installed().items()) if name != "pip")
        file.write_text("\n".join(filter(_is_requirement, held)), encoding="utf-8")
        yield file


def _installed() -> dict[str, str]:
    """Versions of all packages by canonical name; of a package that is there twice, of the one that is imported."""
    versions: dict[str, str] = {}
    for distribution in distributions():
        metadata = distribution.metadata
        # An uninstalled package that was in use leaves a folder without metadata.
        if "Name" in metadata and "Version" in metadata:
            versions.setdefault(canonicalize_name(metadata["Name"]), metadata["Version"])
    return versions


def _is_requirement(line: str) -> bool:
    """Whether pip can read it: one odd version of some other extension's package must not stop the installation."""
    try:
        Requirement(line)
    except InvalidRequirement:
        return False
    return True


def _conflict(requirement: Requirement, version: str) -> str:
    there = f"DystrophyDx needs {requirement}, but {requirement.name} {version} is there and DystrophyDx changes no "
    if requirement.name in _PYTORCH:
        return there + f"package: {_UNINSTALL}"
    return there + f'package: type slicer.util.pip_install("{requirement}") in the Python console and restart Slicer.'


@contextlib.contextmanager
def _held_by_pip(constraints: Path) -> Iterator[None]:
    """Constrains every pip that is started meanwhile, however deep in another extension."""
    before = os.environ.get("PIP_CONSTRAINT")
    # pip splits the variable at spaces, which a home folder may have; in an address they are %20.
    os.environ["PIP_CONSTRAINT"] = " ".join(filter(None, (before, constraints.as_uri())))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PIP_CONSTRAINT"]
        else:
            os.environ["PIP_CONSTRAINT"] = before


def _keep_triton_out_beside_mesa() -> None:
    """Hides Triton, which PyTorch's builds for NVIDIA cards import, where Mesa draws in software.

    Both bring an LLVM of their own, and the second to be loaded ends the program. Nothing here uses Triton.
    """
    maps = Path("/proc/self/maps")  # Linux only, as Triton
    if "triton" not in sys.modules and maps.exists() and "libLLVM" in maps.read_text():
        sys.modules["triton"] = None  # type: ignore[assignment]  # makes its import fail
