"""`dystrophydx compare`: models beside each other on one cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import CohortTable, Device, Processes, listed, tell
from .progress import progress


def compare(
    cohort: CohortTable,
    out: Annotated[
        Path, typer.Option(help="Folder for packages and comparison; run again to go on.", show_default=False)
    ],
    backbones: Annotated[
        str | None,
        typer.Option(help="To train, separated by commas.", show_default="the five published, without --packages"),
    ] = None,
    packages: Annotated[
        list[Path] | None, typer.Option(help="Trained package to compare; once for each.", show_default="none")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Recipe to train by: a name, or the path of a .toml file.",
            show_default="yang2021, or the packages' without --backbones",
        ),
    ] = None,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(help="Folder with a file of weights for each backbone.", show_default="torchvision's, fetched"),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for samples and features.", show_default="OUT/cache")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="To compare on.", show_default="test, or whom the model has not seen")
    ] = None,
    device: Device = "auto",
    processes: Processes = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of training and bootstrap.")] = 2021,
    json: Annotated[bool, typer.Option("--json", help="Print comparison.json, and nothing else.")] = False,
) -> None:
    """Train backbones by one recipe, or take trained models, and compare them on a cohort."""
    from ..evaluation.compare import PUBLISHED_BACKBONES, RESULTS
    from ..evaluation.compare import compare as compared

    chosen = ("" if packages else PUBLISHED_BACKBONES) if backbones is None else backbones

    with progress(json) as advance:
        summary = compared(
            cohort,
            out,
            recipe=recipe,
            backbones=listed(chosen),
            packages=packages or [],
            weights=backbone_weights,
            cache=cache,
            split=split,
            device=device,
            processes=processes,
            seed=seed,
            advance=advance,
        )
    tell(summary, out / RESULTS, json=json)
