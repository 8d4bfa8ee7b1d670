"""Packages of any kind."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from .map_package import MapPackage, names_maps
from .package import ModelPackage
from .package_files import PackageFiles
from .pattern_package import PatternPackage, is_of_patterns

AnsweringPackage = ModelPackage | PatternPackage
"""Of models that tell classes apart."""
AnyPackage = AnsweringPackage | MapPackage


def read_package(path: str | Path) -> AnyPackage:
    """The package in a folder or .zip, of the kind that its recipe says.

    Raises:
        InputError: as the kind's own `read`.
    """
    recipe = PackageFiles.read(path).recipe
    if names_maps(recipe):
        return MapPackage.read(path)
    return PatternPackage.read(path) if is_of_patterns(recipe) else ModelPackage.read(path)


def read_answering(path: str | Path) -> AnsweringPackage:
    """The package of a model that tells classes apart.

    Raises:
        InputError: as `read_package`, or it draws muscle maps.
    """
    package = read_package(path)
    if isinstance(package, MapPackage):
        raise InputError("The model package draws muscle maps; give one that classifies.")
    return package


def fold_packages(folder: Path, folds: int) -> tuple[AnsweringPackage, ...]:
    """The packages fold1, fold2 and so on of a cross-validation in a folder.

    Raises:
        InputError: as `read_answering`, with the name of the package.
    """
    packages: list[AnsweringPackage] = []
    for name in (f"fold{n}" for n in range(1, folds + 1)):
        try:
            packages.append(read_answering(folder / name))
        except InputError as error:
            raise InputError(
                f"{name} in {folder.name}: {error} Run a training that was stopped again to finish it."
            ) from None
    return tuple(packages)
