"""Arguments and options that several commands have, and what their texts mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer

from ..devices import DEVICES
from ..errors import InputError

if TYPE_CHECKING:
    from ..reporting.harness import Summary

Predictions = Annotated[
    Path | None,
    typer.Option(
        help="Dataset that archive has written: its answers are taken, and nothing is classified again.",
        show_default="none",
        exists=True,
        file_okay=False,
    ),
]
PredictionsKey = Annotated[
    Path | None,
    typer.Option(
        help="Key of the dataset's pseudonyms.", show_default="beside the dataset, with the ending .key", exists=True
    ),
]
CohortTable = Annotated[
    Path, typer.Argument(help="Table of the cohort (CSV).", show_default=False, exists=True, dir_okay=False)
]
ResultsFolder = Annotated[Path, typer.Option(help="Folder for the results; it is made.", show_default=False)]
Model = Annotated[
    Path | None, typer.Option(help="Model package, folder or .zip.", show_default="the embedded one", exists=True)
]
MuscleMap = Annotated[bool, typer.Option("--muscle-map/--no-muscle-map", help="Find the muscles.")]
Pattern = Annotated[
    Path | None,
    typer.Option(
        help="Package of a model that answers by the fat of the muscles, beside the network.",
        show_default="the one that comes with the program",
        exists=True,
    ),
]
NoPattern = Annotated[bool, typer.Option("--no-pattern", help="No answer by the fat of the muscles.")]
AtlasNames = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        help="Names of the atlas' regions: CSV (label, name), label file of ITK-SNAP, colour table of Slicer, or JSON.",
        show_default="a table of the atlas' own name beside it",
    ),
]
Device = Annotated[str, typer.Option(click_type=click.Choice(DEVICES), help="auto takes the fastest that is there.")]
Split = Annotated[
    str | None,
    typer.Option(
        click_type=click.Choice(["train", "validation", "test"]),
        help="Split of the cohort.",
        show_default="test, or whom the model has not seen",
    ),
]
Processes = Annotated[int, typer.Option(min=1, help="Processes that make samples.")]
Address = Annotated[
    str | None, typer.Option(help="Ray cluster to work on: HOST:PORT of its head.", show_default="this computer")
]
CohortSeed = Annotated[int, typer.Option(min=0, help="Equal seeds give equal cohorts.")]
CohortFolder = Annotated[Path, typer.Option(help="New or empty folder for the cohort.", show_default=False)]


def listed(names: str | None) -> list[str]:
    """Names of a list with commas.

    >>> listed("healthy, DMD,")
    ['healthy', 'DMD']
    """
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def by_name(
    option: str, given: Sequence[str], names: Sequence[str], what: str, fits: Callable[[str], bool], why_none: str
) -> dict[str, str]:
    """Values of an option that is given once for each of `names`, as NAME=VALUE.

    >>> by_name("--channel", ["stir=thigh.nii"], ["STIR"], "PATH", bool, "this model has one input")
    {'STIR': 'thigh.nii'}

    Args:
        what: word for the value in the message.
        why_none: why no name can be given, where there is none.

    Raises:
        InputError: another name, a value that does not fit, or a name that is given twice.
    """
    known, values = {name.casefold(): name for name in names}, {}
    for text in given:
        name, _, value = text.partition("=")
        if name.casefold() not in known or not fits(value):
            how = f"NAME={what} with NAME one of {', '.join(names)}" if names else f"none: {why_none}"
            raise InputError(f"{option} cannot be {text!r}; give {how}.")
        if known[name.casefold()] in values:
            raise InputError(f"{option} names {known[name.casefold()]} twice; give it once.")
        values[known[name.casefold()]] = value
    return values


def atlas_with_names(labels: Path | None, names: Path | None) -> tuple[Path, Path | None] | None:
    """Label map and names of an atlas; None without one.

    Raises:
        InputError: names without a label map.
    """
    if labels is None and names is not None:
        raise InputError("--atlas-names belongs to an atlas; give its label map with --atlas.")
    return None if labels is None else (labels, names)


def check_cohort(cohort: Path, package: Path) -> None:
    """Reads a model package, and the cohort that it is to classify, before anything slow is imported.

    Raises:
        InputError: one of them cannot be used.
    """
    from ..cohort.table import Cohort
    from ..models.packages import read_package

    Cohort.read(cohort, read_package(package).recipe)


def tell(summary: Summary, page: Path, *, json: bool) -> None:
    """Prints what a long command found and where its page lies; as `json` the summary, and nothing else."""
    if json:
        print(summary.to_json())
        return
    for line in summary.lines():
        print(line)
    print(f"Results: {page}")
