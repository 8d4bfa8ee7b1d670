"""`dystrophydx evaluate`: a model, or the models of a cross-validation, on a cohort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .extras import lacking_extra
from .options import (
    AtlasNames,
    CohortTable,
    Device,
    Predictions,
    PredictionsKey,
    ResultsFolder,
    Split,
    atlas_with_names,
    check_cohort,
    tell,
)
from .progress import LOADING, READING, progress

if TYPE_CHECKING:
    from ..reporting.harness import Summary


def evaluate(
    package: Annotated[Path, typer.Argument(help="Model package, folder or .zip.", show_default=False, exists=True)],
    cohort: CohortTable,
    out: ResultsFolder,
    split: Split = None,
    atlas: Annotated[
        Path | None,
        typer.Option(
            exists=True, help="Label map on the grid of all images, for its regions ranked by the heat in them."
        ),
    ] = None,
    atlas_names: AtlasNames = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Diagnosis of the cohort's reference group, for alterations of maps.",
            show_default="the training patients of the first class",
        ),
    ] = None,
    predictions: Predictions = None,
    key: PredictionsKey = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 2021,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out deletion and insertion, which take most of the time.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier evaluation.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print evaluation.json, and nothing else.")] = False,
) -> None:
    """Evaluate a model on a cohort: tables, figures, cases with heatmaps, and a report. Of the folder of a
    cross-validation, each patient by the model that has not seen them."""
    with progress(json) as advance:
        advance(READING, 0, 0)
        from ..cohort.splits import FOLDS, repeats_in
        from ..models.map_package import is_map_package
        from ..models.pattern_package import is_pattern_package
        from ..reporting import reports

        repeated, folds = repeats_in(package), (package / FOLDS).exists()
        of_maps = not (repeated or folds) and is_map_package(package)
        of_patterns = not (repeated or folds) and is_pattern_package(package)
        if repeated:
            report = reports.of_repeats(repeat.name for repeat in repeated)
        else:
            alone = reports.MAPS if of_maps else reports.PATTERNS if of_patterns else reports.EVALUATION
            report = reports.FOLDS if folds else alone
        report.check(out, overwrite=overwrite)
        if predictions is not None:
            if lack := lacking_extra("archive"):
                raise InputError(lack)
            if atlas or report is not reports.EVALUATION:
                raise InputError("--predictions is for one model that classifies, without --atlas; leave it out.")
        if (repeated or folds) and split is not None:
            raise InputError("A cross-validation tests every patient; leave out --split.")
        if not repeated and not folds:
            check_cohort(cohort, package)
        advance(LOADING, 0, 0)
        from ..evaluation.evaluate import evaluate as evaluated
        from ..evaluation.evaluated import EvaluationOptions
        from ..evaluation.folds import evaluate_folds
        from ..evaluation.muscle_maps import evaluate_maps
        from ..evaluation.patterns import evaluate_pattern
        from ..evaluation.repeats import evaluate_repeats

        of_atlas = atlas_with_names(atlas, atlas_names)
        recorded = (predictions, key) if predictions else None
        options = EvaluationOptions(device, overwrite, advance, of_atlas, reference, quick, recorded)
        summary: Summary
        if of_maps:
            summary = evaluate_maps(package, cohort, out, options, split=split, seed=seed)
        elif of_patterns:
            summary = evaluate_pattern(package, cohort, out, options, split=split, seed=seed)
        elif repeated:
            summary = evaluate_repeats(package, cohort, out, options)
        elif folds:
            summary = evaluate_folds(package, cohort, out, options)
        else:
            summary = evaluated(package, cohort, out, options, split=split, seed=seed)
    tell(summary, out / "report.html", json=json)
