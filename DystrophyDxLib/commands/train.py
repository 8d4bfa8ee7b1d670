"""`dystrophydx train`: a cohort becomes a model package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from typer.core import TyperCommand

from ..errors import InputError
from .extras import lacking_extra
from .options import Address, CohortTable, Device, Processes, listed
from .progress import LOADING, READING, progress

if TYPE_CHECKING:
    from ..models.package import Metric

LEFT_OUT_SHOWN = 8
"""Series left out that the terminal names; the file names all."""


class TrainCommand(TyperCommand):
    """The command, whose help lists the recipes."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help, with a line on each recipe, which are read for it alone."""
        from ..models.recipe import known_recipes

        self.epilog = "\n\n".join(("Recipes:", *(f"{name}: {_told(name)}" for name in known_recipes())))
        super().format_help(ctx, formatter)


def _told(name: str) -> str:
    """What a recipe is for, and what it takes."""
    from ..cohort.options import chosen_recipe
    from ..models.map_package import MapRecipe
    from ..models.pattern_package import PatternRecipe
    from ..models.recipe import about_recipe

    recipe = chosen_recipe(name)
    if isinstance(recipe, PatternRecipe):
        return f"{about_recipe(name)} Needs: {recipe.sample.channels[0].name}, or {' + '.join(recipe.dixon)} beside it."
    if isinstance(recipe, MapRecipe):
        return f"{about_recipe(name)} Needs: {recipe.sample.channels[0].name} + {recipe.maps}."
    inputs = "cines" if recipe.sample.of_cine else " + ".join(channel.name for channel in recipe.sample.channels)
    weights = f"; ImageNet weights of {recipe.network.backbone}" if recipe.network.weights == "imagenet" else ""
    return f"{about_recipe(name)} Needs: {inputs}{weights}."


def train(
    recipe: Annotated[
        str, typer.Argument(help="Recipe: a name from the list below, or the path of a .toml file.", show_default=False)
    ],
    cohort: CohortTable,
    out: Annotated[Path, typer.Option(help="Place for the model package; it is made.", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal models.")] = 2021,
    backbone: Annotated[
        str | None, typer.Option(help="Other backbone; timm:NAME is one of timm's.", show_default="the recipe's")
    ] = None,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(
            help="File of its weights (.pth, .safetensors), or a model package; for patterns that of the muscle maps.",
            show_default="published ones, fetched",
            exists=True,
        ),
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Train all layers, from random weights.")
    ] = False,
    sample_size: Annotated[
        str | None,
        typer.Option(help="Edge of square samples: 128, 160, 256, or raw.", show_default="the recipe's"),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="One of the recipe's tasks.", show_default="the recipe's classes")
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Those of the recipe's that are used, separated by commas.", show_default="all")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for samples and features.", show_default="OUT-training/cache")
    ] = None,
    device: Device = "auto",
    processes: Processes = 1,
    address: Address = None,
    split_by: Annotated[
        str | None,
        typer.Option(
            help="How patients are split: stratified, stratified:60/20/20, cohort, kfold:K (K models, each "
            "trained on K - 2 of K parts) or centre:NAME.",
            show_default="cohort if its table has splits",
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="Cross-validations, each with other folds; with --split-by kfold:K.")
    ] = 1,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Refuse to begin anew beside an interrupted training of another recipe, cohort, seed or weights. One "
            "of the same is gone on with in any case.",
        ),
    ] = False,
    trained_on: Annotated[
        str | None, typer.Option(help="What the model card says of the cohort.", show_default="its numbers")
    ] = None,
) -> None:
    """Train a model on a cohort and write its package, with log and figure beside it."""
    if address and (lack := lacking_extra("archive")):
        raise InputError(lack)
    with progress() as advance:
        advance(READING, 0, 0)
        from ..cohort.options import checked_place, chosen_recipe, chosen_splits
        from ..cohort.table import Cohort
        from ..models.published_weights import fetch_published
        from ..models.recipe import Recipe

        chosen = chosen_recipe(recipe, backbone, from_scratch, sample_size, task, listed(channels))
        read = Cohort.read(cohort, chosen)
        cohorts = chosen_splits(read, split_by, seed)
        folds = len(cohorts) > 1
        if repeats > 1 and not folds:
            raise InputError("Only cross-validation is repeated; add --split-by kfold:K.")
        work = checked_place(out) if not folds else out
        if isinstance(chosen, Recipe):
            fetch_published(chosen, backbone_weights, advance)
    parts = len(cohorts)
    share = f"Of {parts} parts of the patients each model is trained on {parts - 2}, chosen by one and tested on one."
    for told in (*((read.others_told,) if read.others else ()), *read.notices, *([share] if folds else ())):
        print(told)
    with progress() as advance:
        advance(LOADING, 0, 0)
        from ..archive.crew import Cluster, OwnProcesses
        from ..training.checkpoint import CHECKPOINT, EARLIER
        from ..training.preparation import LEFT_OUT
        from ..training.train import train_any, train_folds, train_repeats

        if (work / CHECKPOINT).exists():
            print(
                f"{work} holds an interrupted training. If recipe, cohort, seed and weights are the same, it goes on; "
                f"else it is kept as {EARLIER} and training begins anew."
            )
        options: dict[str, Any] = {
            "seed": seed,
            "cache": cache or work / "cache",
            "backbone_weights": backbone_weights,
            "device": device,
            "crew": Cluster(address) if address else OwnProcesses(processes),
            "resume": resume,
            "trained_on": trained_on,
            "advance": advance,
        }
        if split_by is not None and repeats > 1:
            packages = train_repeats(chosen, read, split_by, out, repeats=repeats, **options)
        elif folds:
            packages = train_folds(chosen, cohorts, out, **options)
        else:
            packages = [train_any(chosen, cohorts[0], out, **options)]
    from ..models.package import AnswerCard
    from ..models.packages import read_package
    from ..reporting.case_report import NOT_SHOWN_TO_TELL

    told_already, cards = None, []
    for package in packages:
        left_out = package.with_name(f"{package.name}-training") / LEFT_OUT
        if left_out.exists():
            lines = left_out.read_text(encoding="utf-8").splitlines()
            if lines != told_already:
                print(f"{len(lines)} series left out, of training and of all figures; all are in {left_out}:")
                print("\n".join(f"  {line}" for line in lines[:LEFT_OUT_SHOWN]))
            told_already = lines
        print(f"{package}:")
        card = read_package(package).card
        cards.append(card)
        for name, metric in card.metrics.items():
            print(f"  {name}: {metric.value:.3f} ({metric.ci95[0]:.3f} to {metric.ci95[1]:.3f}), {metric.measured_on}")
        if isinstance(card, AnswerCard) and not card.shown_to_tell:
            print(f"  {NOT_SHOWN_TO_TELL}")
    if folds:
        print(f"Over the {len(cards)} models, mean (lowest to highest), each by patients that it has not seen:")
        print("\n".join(f"  {line}" for line in over_models([card.metrics for card in cards])))
        print(f"All patients together, with intervals: dystrophydx evaluate {out} {cohort} --out EVALUATION")


def over_models(measured: Sequence[Mapping[str, Metric]]) -> list[str]:
    """Each figure over several models that were measured alike; those of validation, by which models were chosen, are
    left out.

    >>> from DystrophyDxLib.models.package import Metric
    >>> own = [Metric(value=value, ci95=(0, 1), measured_on="4 patients") for value in (0.5, 1.0)]
    >>> over_models([{"AUC, case": metric, "AUC, case, validation": metric} for metric in own])
    ['AUC, case: 0.750 (0.500 to 1.000)']
    """
    names = [name for name in measured[0] if not name.endswith(", validation")]
    values = {name: [metrics[name].value for metrics in measured if name in metrics] for name in names}
    return [
        f"{name}: {sum(own) / len(own):.3f} ({min(own):.3f} to {max(own):.3f})"
        + (f", of {len(own)} models that have it" if len(own) < len(measured) else "")
        for name, own in values.items()
    ]
