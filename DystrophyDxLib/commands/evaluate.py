"""`dystrophydx evaluate`: a model, or the models of a cross-validation, on a cohort."""

from __future__ import annotations

from collections.abc import Iterator
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .options import AtlasNames, CohortTable, Device, ResultsFolder, atlas_with_names, figure_in_words
from .progress import progress

_TOLD = ("AUC", "Sensitivity", "Specificity", "Top-1 accuracy", "Top-3 accuracy")
"""Figures of evaluation.json that are printed, where it has them."""


def evaluate(
    package: Annotated[Path, typer.Argument(help="Model package, folder or .zip.", show_default=False)],
    cohort: CohortTable,
    out: ResultsFolder,
    split: Annotated[
        str | None, typer.Option(help="train, validation or test.", show_default="test, or whom the model has not seen")
    ] = None,
    atlas: Annotated[
        Path | None,
        typer.Option(help="Label map on the grid of all images, for its regions ranked by the heat in them."),
    ] = None,
    atlas_names: AtlasNames = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Diagnosis of the cohort's reference group, for alterations of maps.",
            show_default="the training patients of the first class",
        ),
    ] = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 2021,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier evaluation.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print evaluation.json, and nothing else.")] = False,
) -> None:
    """Evaluate a model on a cohort: tables, figures, cases with heatmaps, and a report. Of the folder of a
    cross-validation, each patient by the model that has not seen them."""
    from ..cohort.splits import FOLDS, repeats_in
    from ..evaluation.evaluate import evaluate as evaluated
    from ..evaluation.folds import evaluate_folds
    from ..evaluation.repeats import evaluate_repeats

    repeated, folds = bool(repeats_in(package)), (package / FOLDS).exists()
    if (repeated or folds) and split is not None:
        raise InputError("A cross-validation tests every patient; leave out --split.")
    with progress(json) as advance:
        options = {
            "device": device,
            "overwrite": overwrite,
            "advance": advance,
            "atlas": atlas_with_names(atlas, atlas_names),
            "reference": reference,
        }
        if repeated:
            summary = evaluate_repeats(package, cohort, out, **options)
        elif folds:
            summary = evaluate_folds(package, cohort, out, **options)
        else:
            summary = evaluated(package, cohort, out, split=split, seed=seed, **options)
    if json:
        print(dumps(summary, indent=1))
        return
    for notice in summary["notices"]:
        print(notice)
    for line in (_told_repeats if repeated else _told_folds if folds else _told_package)(summary):
        print(line)
    print(f"Results: {out / 'report.html'}")


def _told_repeats(summary: dict) -> Iterator[str]:
    for name, figure in summary["figures"].items():
        yield f"{name}: {figure['mean']:.3f} ± {figure['sd']:.3f} (mean ± sd of {len(figure['repeats'])} repeats)"


def _told_folds(summary: dict) -> Iterator[str]:
    for unit in ("images", "patients"):
        yield f"{summary[unit]['total']} {unit}: {figure_in_words('accuracy', summary[unit]['accuracy'], 'ci95')}"


def _told_package(summary: dict) -> Iterator[str]:
    for unit, interval in (("images", "ci95_bootstrap"), ("patients", "ci95")):
        figures = summary["figures"][unit]
        told = (figure_in_words(name, figures[name], interval) for name in _TOLD if name in figures)
        yield f"{summary['cohort'][unit]} {unit}: {', '.join(told)}"
    if failed := summary["cohort"]["series_failed"]:
        yield f"{failed} series could not be evaluated; the report lists them."
