"""`dystrophydx compare`: backbones trained by one recipe, or finished packages, side by side on one cohort."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..archive.crew import OwnProcesses
from ..cohort.options import (
    PACKAGES,
    PUBLISHED_RECIPE,
    check_number,
    chosen_classifier,
    chosen_splits,
    model_name,
)
from ..cohort.seen import evaluated_cases
from ..cohort.table import Cohort
from ..errors import InputError
from ..models.classes_recipe import ClassesRecipe
from ..models.packages import read_answering
from ..models.published_weights import fetch_published, weights_file
from ..reporting.harness import FIGURES, table_sha256
from ..reporting.progress import WRITING, Advance, part_of
from ..reporting.reports import COMPARISON as REPORT
from ..reporting.reports import PREDICTIONS
from ..training.train import train
from .comparison import Comparison, Model, sections
from .pattern_classifier import classifier_of
from .plan import RESULTS, open_comparison
from .predictions import predict
from .summaries import ComparisonSummary

CACHE = "cache"


def compare(
    cohort: Path,
    out: Path,
    *,
    recipe: str | None,
    backbones: Sequence[str],
    packages: Sequence[Path],
    weights: Path | None,
    cache: Path | None,
    split: str | None,
    device: str,
    processes: int,
    seed: int,
    advance: Advance,
) -> ComparisonSummary:
    """Trains what is to be compared, evaluates it, and writes the files of `REPORT` into the folder `comparison` of
    `out`.

    `out` also takes the trained packages, in `packages`: run again with the same cohort, recipe and seed, those that
    are finished are kept, an interrupted training goes on, and the comparison is written anew. A backbone that fails
    is reported, the others go on.

    Args:
        recipe: a shipped recipe's name or a .toml file; None takes `PUBLISHED_RECIPE` or, where no backbone is to be
            trained, that of the first package.
        backbones: to train, see `backbone_names.check_backbone`.
        packages: trained ones; to be compared beside the backbones.
        weights: folder with torchvision's weights, a file for each backbone whose name begins with the backbone's.
        cache: for samples and features; None takes the folder `cache` of `out`.
        split, device, seed: as in `evaluate.evaluate`.
        processes: that make samples.

    Raises:
        InputError: cohort, recipe, packages, weights or `out` cannot be used, `out` holds another comparison, the user
            interrupted a training, or fewer than two models were left.
    """
    if recipe is None and packages and not backbones:
        published = read_answering(packages[0]).recipe
    else:
        published = chosen_classifier(recipe or PUBLISHED_RECIPE)
    files = {name: weights_file(weights, name) for name in backbones}
    cases = Cohort.read(cohort, published)
    if backbones:
        cases = chosen_splits(cases, None, seed)[0]
    wanted_of = {name: chosen_classifier(recipe or PUBLISHED_RECIPE, name) for name in backbones}
    _check_names([*map(model_name, backbones), *map(_name, packages)])
    chosen, split = evaluated_cases(cases, split, [read_answering(package).card for package in packages])
    before = open_comparison(out, published, cohort, seed)
    failures: list[tuple[str, str]] = []
    places = {_name(package): package for package in packages}
    recipes = {}
    for name, wanted in wanted_of.items():
        try:
            if not (out / PACKAGES / model_name(name)).exists():
                fetch_published(wanted, files[name], advance)
            recipes[name] = wanted
        except InputError as error:
            failures.append((name, str(error)))
    check_number(len(packages) + len(recipes), [f"{name}: {why}" for name, why in failures])
    for name, wanted in recipes.items():
        place = out / PACKAGES / model_name(name)
        place.parent.mkdir(exist_ok=True)
        try:
            if not place.exists():
                train(
                    wanted,
                    cases,
                    place,
                    seed=seed,
                    cache=cache or out / CACHE,
                    backbone_weights=files[name],
                    device=device,
                    crew=OwnProcesses(processes),
                    resume=True,
                    advance=part_of(advance, name),
                )
            places[place.name] = place
        except InputError as error:
            if str(error).startswith("Training was interrupted"):
                raise InputError(
                    "The comparison was interrupted; run the same command again to go on: what is finished is kept."
                ) from None
            failures.append((name, str(error)))
    models = []
    for name, place in places.items():
        try:
            models.append(_evaluated(name, place, published, chosen, device, advance))
        except InputError as error:
            failures.append((name, str(error)))
    check_number(len(models), [f"{name}: {why}" for name, why in failures])
    comparison = Comparison(tuple(models), tuple(failures), chosen, split, seed)
    advance(WRITING, 0, 0)
    summary = comparison.summary(table_sha256(cohort))
    REPORT.write(
        out / RESULTS,
        summary,
        f"{len(models)} models compared",
        lambda folder: sections(comparison, summary, folder / FIGURES),
        {f"{PREDICTIONS}/{model.name}.csv": model.predictions.images for model in models},
        overwrite=True,
        before=before,
    )
    return summary


def _check_names(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise InputError("Two models have the same name; give each backbone once and rename the packages' folders.")


def _name(package: Path) -> str:
    return package.absolute().name.removesuffix(".zip")


def _evaluated(name: str, place: Path, recipe: ClassesRecipe, cohort: Cohort, device: str, advance: Advance) -> Model:
    package = read_answering(place)
    if package.recipe.classes != recipe.classes:
        raise InputError(f"The package tells {' and '.join(package.card.classes)} apart, the recipe others.")
    return Model(name, package, predict(classifier_of(package, device), cohort, part_of(advance, name)))
