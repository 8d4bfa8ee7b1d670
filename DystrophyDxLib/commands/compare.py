"""`dystrophydx compare`: models beside each other on one cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..reporting.progress import Advance
from .options import CohortTable, Device, Processes, Split, listed, tell
from .progress import LOADING, READING, progress


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
        list[Path] | None,
        typer.Option(help="Trained package to compare; once for each.", show_default="none", exists=True),
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
        typer.Option(
            help="Folder with a file of weights for each backbone.",
            show_default="published ones, fetched",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for samples and features.", show_default="OUT/cache")
    ] = None,
    split: Split = None,
    device: Device = "auto",
    processes: Processes = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of training and bootstrap.")] = 2021,
    json: Annotated[bool, typer.Option("--json", help="Print comparison.json, and nothing else.")] = False,
) -> None:
    """Train backbones by one recipe, or take trained models, and compare them on a cohort."""
    with progress(json) as advance:
        advance(READING, 0, 0)
        from ..cohort.options import PUBLISHED_BACKBONES

        chosen = ("" if packages else PUBLISHED_BACKBONES) if backbones is None else backbones
        _check(cohort, out, packages or [], recipe, listed(chosen), backbone_weights, seed, advance)
        advance(LOADING, 0, 0)
        from ..evaluation.compare import compare as compared
        from ..evaluation.plan import RESULTS

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
    tell(summary, out / RESULTS / "report.html", json=json)


def _check(
    cohort: Path,
    out: Path,
    packages: list[Path],
    recipe: str | None,
    backbones: list[str],
    weights: Path | None,
    seed: int,
    advance: Advance,
) -> None:
    """Looks at what is compared, and fetches the weights of what is trained, before anything slow is imported.

    Raises:
        InputError: packages, cohort or recipe cannot be used, or no weights are there for all but one model.
    """
    from ..cohort.options import PACKAGES, PUBLISHED_RECIPE, check_number, chosen_classifier, model_name
    from ..cohort.table import Cohort
    from ..evaluation.plan import open_comparison
    from ..models.packages import read_answering
    from ..models.published_weights import fetch_published, weights_file

    read = [read_answering(package) for package in packages]
    by_package = read and recipe is None and not backbones
    published = read[0].recipe if by_package else chosen_classifier(recipe or PUBLISHED_RECIPE)
    Cohort.read(cohort, published)
    failures = []
    for name, wanted in {name: chosen_classifier(recipe or PUBLISHED_RECIPE, name) for name in backbones}.items():
        try:
            if not (out / PACKAGES / model_name(name)).exists():
                fetch_published(wanted, weights_file(weights, name), advance)
        except InputError as error:
            failures.append(f"{name}: {error}")
    check_number(len(packages) + len(backbones) - len(failures), failures)
    open_comparison(out, published, cohort, seed)
