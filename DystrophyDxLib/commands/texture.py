"""`dystrophydx texture`: networks beside other texture methods, by cross-validation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import CohortTable, Device, Processes, ResultsFolder, tell
from .progress import LOADING, READING, progress


def texture(
    cohort: CohortTable,
    out: ResultsFolder,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of 'train --split-by kfold:K', with a model a fold; once for each.",
            show_default="none",
            exists=True,
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="Recipe with a fat fraction: a name, or the path of a .toml file.")
    ] = "cai2019",
    folds: Annotated[int, typer.Option(min=3, help="Folds of patients, where no models are given.")] = 4,
    muscles: Annotated[
        str | None,
        typer.Option(help="Column of the cohort with muscle segmentations.", show_default="the truth of phantoms"),
    ] = None,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a file of weights for vgg16 and resnet18.",
            show_default="torchvision's, fetched",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for samples.", show_default="OUT-cache")] = None,
    device: Device = "auto",
    processes: Processes = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 2021,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier analysis.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print texture.json, and nothing else.")] = False,
) -> None:
    """Compare networks with other texture methods by cross-validation, and look at what their neurons and heat see."""
    with progress(json) as advance:
        advance(READING, 0, 0)
        from ..cohort.options import chosen_classifier
        from ..cohort.splits import FOLDS, read_folds
        from ..cohort.table import Cohort
        from ..reporting.reports import TEXTURE

        TEXTURE.check(out, overwrite=overwrite)
        cases = Cohort.read(cohort, chosen_classifier(recipe))
        for folder in models or []:
            read_folds(folder / FOLDS, cases)
        advance(LOADING, 0, 0)
        from ..evaluation.texture import texture as analysed

        summary = analysed(
            cohort,
            out,
            recipe=recipe,
            models=models or [],
            folds=folds,
            muscles=muscles,
            weights=backbone_weights,
            cache=cache,
            device=device,
            processes=processes,
            seed=seed,
            overwrite=overwrite,
            advance=advance,
        )
    tell(summary, out / "report.html", json=json)
