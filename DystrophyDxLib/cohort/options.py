"""Recipe and splits that options choose; without PyTorch, so that what cannot be used is told at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.small_files import read_bytes
from ..models.backbone_names import check_backbone
from ..models.map_package import MapRecipe, names_maps
from ..models.pattern_package import PatternRecipe, is_of_patterns
from ..models.recipe import Recipe, shipped_recipe
from ..models.recipe_text import LARGEST
from .splits import hold_out_centre, k_folds, own, stratified
from .table import AnyRecipe, Cohort

PUBLISHED_RECIPE = "yang2021"
PUBLISHED_BACKBONES = "vgg19,resnet50,densenet201,densenet121,inception_v3"
"""Of Table 1 of Yang et al. 2021, separated by commas: what `compare` trains unless told otherwise."""
PACKAGES = "packages"
"""Folder of a comparison with what it trained."""


def model_name(backbone: str) -> str:
    """What a model with a backbone is called in a comparison, and the folder of its package.

    >>> model_name("timm:tf_efficientnet_lite0")
    'timm-tf_efficientnet_lite0'
    """
    return backbone.replace(":", "-")


def checked_place(out: Path) -> Path:
    """The folder for log and checkpoint of the package that is to be written at `out`.

    Raises:
        InputError: there is something at `out` other than an empty folder.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"There is something at {out}, the place given with --out; give a new one.")
    return out.with_name(f"{out.name}-training")


def check_number(models: int, failures: Sequence[str]) -> None:
    """Raises an `InputError` with the reasons when fewer than two models are left to compare."""
    if models < 2:
        told = " ".join(failures)
        raise InputError(f"Fewer than two models are left to compare; give more of them. {told}".strip())


def chosen_recipe(
    recipe: str,
    backbone: str | None = None,
    from_scratch: bool = False,
    matrix: str | None = None,
    task: str | None = None,
    channels: Sequence[str] = (),
) -> AnyRecipe:
    """A recipe with what options change in it; a recipe of muscle maps is taken as it is, one of patterns
    with another task alone.

    Args:
        recipe: name of one that ships with the library, or path of a .toml file.
        backbone: another backbone.
        from_scratch: train all layers from random weights.
        matrix: other edge of square samples in pixels, or "raw" for whole slices.
        task: one of the recipe's tasks.
        channels: those of the recipe's that are used, all where none is named.

    Raises:
        InputError: there is no such recipe, task or channel, it is none, it cannot be changed so, or its backbone
            cannot be had.
    """
    if recipe.endswith(".toml"):
        try:
            text = read_bytes(Path(recipe), LARGEST).decode("utf-8")
        except (OSError, ValueError):
            raise InputError(
                f"The recipe {recipe} cannot be read; give the path of a TOML file, or a recipe's name."
            ) from None
        name = Path(recipe).name
    else:
        text, name = shipped_recipe(recipe), f"{recipe}.toml"
    if names_maps(text):
        if any((backbone, from_scratch, matrix, task, channels)):
            raise InputError("A recipe of muscle maps has one network and one task; leave these options out.")
        return MapRecipe.parse(text, name)
    if is_of_patterns(text):
        if any((backbone, from_scratch, matrix, channels)):
            raise InputError("A recipe of patterns has no network; leave these options out.")
        pattern = PatternRecipe.parse(text, name)
        return pattern.for_task(task) if task else pattern
    found = Recipe.parse(text, name)
    found = found.for_task(task) if task else found
    found = found.with_channels(channels) if channels else found
    network, training = found.network.model_dump(), found.training.model_dump()
    if backbone:
        network |= {"backbone": backbone}
    if from_scratch:
        network |= {"weights": "none"}
        training |= {"trainable": "all", "copies": 0}
    changes = {"network": network, "training": training}
    if matrix is not None:
        changes |= _with_matrix(found.model_dump() | changes, matrix)
    found = found.changed(changes, "The recipe cannot be changed so")
    check_backbone(found)
    return found


def chosen_classifier(recipe: str, backbone: str | None = None) -> Recipe:
    """As `chosen_recipe`, for what compares classifications.

    Raises:
        InputError: as `chosen_recipe`, or the recipe is none of a network that classifies.
    """
    found = chosen_recipe(recipe, backbone)
    if not isinstance(found, Recipe):
        what = "draws muscle maps; give one that classifies"
        if not isinstance(found, MapRecipe):
            what = "has no backbone; give one of a network, or its trained package with --packages"
        raise InputError(f"The recipe {recipe} {what}.")
    return found


def _with_matrix(recipe: dict[str, Any], matrix: str) -> dict[str, Any]:
    """The matrix sizes of Germain et al., Diagnostics 2021;11:1554, Table 4."""
    if recipe["sample"]["region"]["kind"] != "square":
        raise InputError("--sample-size is for recipes with a square region; leave it out.")
    if matrix == "raw":
        return recipe | {"sample": recipe["sample"] | {"region": {"kind": "slice"}}}
    if matrix not in ("128", "160", "256"):
        raise InputError(f"--sample-size cannot be {matrix!r}; give 128, 160, 256 or raw.")
    scale = int(matrix) / recipe["sample"]["size"]
    stages = [stage | {"size": round(stage["size"] * scale)} for stage in recipe["training"]["stages"]]
    return recipe | {
        "sample": recipe["sample"] | {"size": int(matrix)},
        "training": recipe["training"] | {"stages": stages},
    }


def chosen_splits(cohort: Cohort, how: str | None, seed: int) -> list[Cohort]:
    """The cohort with splits, or one for each fold.

    Args:
        how: "cohort" for the table's own splits, "stratified" (with the shares in percent of other than Yang et al.'s:
            "stratified:60/20/20"), "kfold:K" or "centre:NAME"; None takes the table's own where it has some.

    Raises:
        InputError: another word, or splits that cannot be made.
    """
    kind, _, argument = (how or ("cohort" if cohort.has_splits else "stratified")).partition(":")
    if kind == "kfold" and argument.isdecimal():
        return k_folds(cohort, int(argument), seed)
    if kind == "centre" and argument:
        return [hold_out_centre(cohort, argument, seed)]
    if (kind, argument) == ("stratified", ""):
        return [stratified(cohort, seed)]
    if kind == "stratified" and re.fullmatch(r"\d+/\d+/\d+", argument):
        train, validation, test = (int(share) / 100 for share in argument.split("/"))
        return [stratified(cohort, seed, (train, validation, test))]
    if (kind, argument) == ("cohort", ""):
        return [own(cohort)]
    raise InputError(
        f"--split-by cannot be {how!r}; give cohort, stratified, stratified:60/20/20, kfold:K or centre:NAME."
    )
