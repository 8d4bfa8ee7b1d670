"""The command line `dystrophydx`: exit 0, or 2 with one line on stderr for bad input or usage."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from json import dumps
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import click
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ..errors import InputError
from .readers import app as readers

if TYPE_CHECKING:
    from ..models.recipe import SampleRecipe

app = typer.Typer(
    help="Dystrophinopathy pattern in thigh MRI. For research only, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(readers, name="readers")
INTERRUPTED = 130
"""What typer makes of Ctrl-C."""
_interrupted = threading.Event()
_NEED_TRAIN = ("phantom", "train", "evaluate", "compare", "texture", "readers")
"""Commands that need the extra `train`; that it is there is seen before anything slow is imported."""
_TRAIN_MODULES = ("matplotlib", "pandas", "PIL", "skimage", "sklearn", "statsmodels", "threadpoolctl")
Study = Annotated[Path, typer.Argument(help="DICOM folder or file, NIfTI, NRRD or MetaImage.", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@app.callback()
def _several_commands(context: typer.Context) -> None:
    """Dystrophinopathy pattern in thigh MRI. For research only, not for diagnosis."""
    if context.invoked_subcommand in _NEED_TRAIN and "--help" not in sys.argv:
        for module in _TRAIN_MODULES:
            if find_spec(module) is None:
                raise ModuleNotFoundError(name=module)


@app.command()
def classify(
    study: Study,
    out: Annotated[Path, typer.Option(help="Folder for the results; it is made.", show_default=False)],
    model: Annotated[
        Path | None, typer.Option(help="Model package, folder or .zip.", show_default="the embedded one")
    ] = None,
    roi: Annotated[
        Path | None,
        typer.Option(
            help="Segmentation instead of the automatic region: segments 'Left leg' and 'Right leg', or of a model of "
            "another region a segment 'Region' around whose middle it lies."
        ),
    ] = None,
    muscles: Annotated[
        Path | None,
        typer.Option(help="Segmentation with a segment a muscle, for the share of each that lies under the heat."),
    ] = None,
    atlas: Annotated[
        Path | None,
        typer.Option(
            help="Label map on the images' grid, for its regions ranked by the heat in them.",
            show_default="the muscles",
        ),
    ] = None,
    atlas_names: Annotated[
        Path | None,
        typer.Option(help="Names of the atlas' regions, CSV: label, name.", show_default="their numbers"),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(help="Further input of a model that needs one, as NAME=PATH; once for each.", show_default="none"),
    ] = None,
    frame: Annotated[
        list[str] | None,
        typer.Option(
            help="Frame of a cine that is an input, as NAME=NUMBER from 0; once for each.",
            show_default="those with the largest and smallest cavity",
        ),
    ] = None,
    series: Annotated[str | None, typer.Option(help="Series Instance UID to take, of several in the folder.")] = None,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results in the folder.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print result.json, and nothing else.")] = False,
) -> None:
    """Classify a thigh MRI: probability of each image and of the case, with a heatmap."""
    started = time.perf_counter()
    from ..explain.region_heat import read_atlas
    from ..models.package import ModelPackage
    from ..regions.kinds import drawn_regions
    from ..reporting.output_folder import check_output_folder, output_folder
    from ..resources import embedded_model
    from ..series.reading import read_input

    check_output_folder(out, overwrite=overwrite)
    if roi is not None and not roi.exists():
        raise InputError("The region given with --roi does not exist; check the path.")
    if muscles is not None and not muscles.exists():
        raise InputError("The muscles given with --muscles do not exist; check the path.")
    named = _atlas(atlas, atlas_names)
    timing = {}
    with progress(json) as advance:
        with _timed(timing, "load"):
            advance("Loading the model")
            package = ModelPackage.read(model or embedded_model())
        further = _channels(channel or [], package.recipe.sample)
        frames = _frames(frame or [], package.recipe.sample)
        with _timed(timing, "read"):
            advance("Reading the study")
            read = read_input(study, further, package.recipe.sample, series, frames)
        with _timed(timing, "load"):
            advance("Loading PyTorch and Slicer")
            from ..classify import Classifier, with_region_heat, with_texture_scores

            classifier = Classifier(package, device)
            _require_slicer()
            from ..mrml.classification import SceneClassification
            from ..mrml.report_folder import write_report_folder
            from ..mrml.scenes import new_scene, vtk_messages_to_log
            from ..mrml.segmentation import read_labels, read_muscles
            from ..mrml.volumes import add_series

            vtk_messages_to_log()
            scene = new_scene()
            volume = add_series(scene, read)
        drawn = read_muscles(muscles, volume) if muscles is not None else None
        places = drawn if named is None else read_atlas(*named, read)
        regions = None
        if roi is not None:
            with _timed(timing, "roi"):
                regions = drawn_regions(read, read_labels(roi, volume), package.recipe.sample)
        classification = classifier.classify(
            read, regions, timing, lambda done, total: advance("Classifying", done, total)
        )
        if drawn is not None:
            classification = with_texture_scores(classification, *drawn)
        if places is not None:
            classification = with_region_heat(classification, *places)
        advance("Writing the results")
        in_scene = SceneClassification(volume)
        in_scene.put(classification)
        with output_folder(out, overwrite=overwrite) as folder:
            result = write_report_folder(in_scene, package.card.model_dump(), folder, started)
    if json:
        print(result.to_json())
        return
    from ..reporting.case_report import extent, summary

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(summary(result))
    console.print(f"{extent(result)} {result.input.selection}".strip())
    console.print("Time: " + ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in result.timing_s.items()))
    console.print(f"Results: {out}")


@app.command()
def benchmark(
    study: Annotated[Path | None, typer.Argument(help="Study to measure.", show_default="the sample study")] = None,
    device: Device = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure speed and memory with the embedded model, as ratios in one run."""
    from ..resources import sample_study
    from .benchmark import benchmark as measured

    with progress(json) as advance:
        figures = measured(study or sample_study(), device, advance)
    if json:
        print(dumps(figures, indent=1))
        return
    for name, figure in figures.items():
        print(f"{name:36} {figure if isinstance(figure, str) else format(figure, '.3g')}")


@app.command()
def phantom(
    out: Annotated[Path, typer.Option(help="New or empty folder for the cohort.", show_default=False)],
    like: Annotated[
        str | None,
        typer.Option(
            click_type=click.Choice(["yang2021"]),
            help="Published cohort whose numbers of patients and images are kept, instead of --patients.",
        ),
    ] = None,
    patients: Annotated[int | None, typer.Option(min=1, help="Number of patients.", show_default="20")] = None,
    diagnoses: Annotated[
        str | None,
        typer.Option(
            help="Diseases, separated by commas, each of as many patients.",
            show_default="drawn, half dystrophinopathies",
        ),
    ] = None,
    slices: Annotated[int | None, typer.Option(min=1, max=60, help="Of each series.", show_default="2 to 5")] = None,
    file_format: Annotated[
        str, typer.Option("--format", click_type=click.Choice(["nifti", "dicom"]), help="Of the series.")
    ] = "nifti",
    contrasts: Annotated[
        str, typer.Option(help="T1 and, separated by commas: STIR, DIXON_FAT, DIXON_WATER, DIXON_FF.")
    ] = "T1",
    matrix: Annotated[int, typer.Option(min=64, max=1024, help="Rows and columns of the images.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal cohorts.")] = 2021,
    processes: Annotated[int, typer.Option(min=1, help="Processes to work in.")] = 1,
    truth: Annotated[bool, typer.Option("--truth/--no-truth", help="Write what no image tells.")] = True,
    hearts: Annotated[
        bool,
        typer.Option(
            "--hearts",
            help="Cines of beating hearts instead of thighs; --diagnoses names normal, HCM, DCM, or planes.",
        ),
    ] = False,
    brains: Annotated[
        bool,
        typer.Option(
            "--brains",
            help="Maps of brains (grey-matter density, mean diffusivity) with their atlas instead of thighs; "
            "--diagnoses names HC, PD, MSA-P, MSA-C, MSA-PC.",
        ),
    ] = False,
) -> None:
    """Make a cohort of synthetic thighs, hearts or brains (phantoms), with the table for train and evaluate."""
    if hearts and brains:
        raise InputError("A cohort is of one organ; give --hearts or --brains.")
    of_thighs = like or slices or file_format != "nifti" or contrasts != "T1" or processes > 1 or not truth
    if (hearts or brains) and of_thighs:
        raise InputError(
            "Hearts and brains are written as NIfTI, one way alone; leave out --like, --slices, --format, --contrasts, "
            "--processes and --no-truth."
        )
    if brains:
        from ..phantom.brain_maps import CHANGED, write_brains

        with progress(False) as advance:
            asked = _listed(diagnoses) or tuple(CHANGED)
            table = write_brains(patients or 20, out, seed=seed, diagnoses=asked, advance=advance)
        print(f"{patients or 20} persons with GM and MD each: {table}")
        return
    if hearts:
        from ..phantom.heart import DISEASES
        from ..phantom.heart_cohort import write_hearts

        asked = _listed(diagnoses) or DISEASES
        with progress(False) as advance:
            table = write_hearts(patients or 20, out, seed=seed, diagnoses=asked, matrix=matrix, advance=advance)
        print(f"{patients or 20} patients with a cine each: {table}")
        return
    from ..phantom.cohort import drawn_patients, like_yang2021, write_cohort

    if like and (patients or diagnoses or slices):
        raise InputError(
            "A published cohort has its own patients; leave out --like, or --patients, --diagnoses and --slices."
        )
    drawn = like_yang2021(seed) if like else drawn_patients(patients or 20, seed, _listed(diagnoses), slices)
    with progress(False) as advance:
        table = write_cohort(
            drawn,
            out,
            seed=seed,
            matrix=matrix,
            file_format=file_format,
            contrasts=tuple(contrasts.upper().replace(" ", "").split(",")),
            truth=truth,
            processes=processes,
            advance=advance,
        )
    print(f"{len(drawn)} patients, {sum(patient.images for patient in drawn)} images (one leg in one slice): {table}")


@app.command()
def diffusivity(
    series: Annotated[Path, typer.Argument(help="Diffusion series, 4D NIfTI.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The map, NIfTI or NRRD.", show_default=False)],
    bval: Annotated[Path | None, typer.Option(help="b-values as of FSL.", show_default="beside the series")] = None,
    bvec: Annotated[Path | None, typer.Option(help="Directions as of FSL.", show_default="beside the series")] = None,
) -> None:
    """Compute the map of mean diffusivity (mm²/s) of a diffusion series, for models of maps."""
    from ..series.diffusivity import mean_diffusivity, write_map

    if out.exists():
        raise InputError("There is something at the place given with --out; give a new one.")
    write_map(mean_diffusivity(series, bval, bvec), out)
    print(f"Mean diffusivity in mm²/s: {out}")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Recipe: its name, or the path of a .toml file.", show_default=False)],
    cohort: Annotated[Path, typer.Argument(help="Table of the cohort (CSV).", show_default=False)],
    out: Annotated[Path, typer.Option(help="Place for the model package; it is made.", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal models.")] = 2021,
    backbone: Annotated[str | None, typer.Option(help="Other backbone.", show_default="the recipe's")] = None,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(help="File of torchvision's weights, or a model package.", show_default="torchvision's, fetched"),
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Train all layers, from random weights.")
    ] = False,
    matrix: Annotated[
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
    processes: Annotated[int, typer.Option(min=1, help="Processes that make samples.")] = 1,
    split: Annotated[
        str | None,
        typer.Option(
            help="stratified, stratified:60/20/20, cohort, kfold:K or centre:NAME.",
            show_default="cohort if its table has splits",
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="Cross-validations, each with other folds; with --split kfold:K.")
    ] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where training was interrupted.")] = False,
    trained_on: Annotated[
        str | None, typer.Option(help="What the model card says of the cohort.", show_default="its numbers")
    ] = None,
) -> None:
    """Train a model on a cohort and write its package, with log and figure beside it."""
    from ..cohort.options import recipe_as_asked, split_as_asked
    from ..cohort.table import Cohort

    chosen = recipe_as_asked(recipe, backbone, from_scratch, matrix, task, _listed(channels))
    read = Cohort.read(cohort, chosen)
    cohorts = split_as_asked(read, split, seed)
    folds = len(cohorts) > 1
    if repeats > 1 and not folds:
        raise InputError("Only cross-validation is repeated; add --split kfold:K.")
    if read.others:
        print(read.others_told)
    from ..reporting.case_report import NOT_SHOWN_TO_TELL
    from ..training.train import LEFT_OUT, checked_place, train_folds, train_repeats
    from ..training.train import train as trained

    work = checked_place(out, resume=resume) if not folds else out
    with progress(False) as advance:
        options = {
            "seed": seed,
            "cache": cache or work / "cache",
            "backbone_weights": backbone_weights,
            "device": device,
            "processes": processes,
            "resume": resume,
            "trained_on": trained_on,
            "advance": advance,
        }
        if repeats > 1:
            packages = train_repeats(chosen, read, split, out, repeats=repeats, **options)
        elif folds:
            packages = train_folds(chosen, cohorts, out, **options)
        else:
            packages = [trained(chosen, cohorts[0], out, **options)]
    from ..models.package import ModelPackage

    for package in packages:
        left_out = package.with_name(f"{package.name}-training") / LEFT_OUT
        if left_out.exists():
            print(f"{len(left_out.read_text(encoding='utf-8').splitlines())} series gave no image: see {left_out}")
        print(f"{package}:")
        card = ModelPackage.read(package).card
        for name, metric in card.metrics.items():
            print(f"  {name}: {metric.value:.3f} ({metric.ci95[0]:.3f} to {metric.ci95[1]:.3f}), {metric.measured_on}")
        if not card.shown_to_tell:
            print(f"  {NOT_SHOWN_TO_TELL}")


@app.command()
def evaluate(
    package: Annotated[Path, typer.Argument(help="Model package, folder or .zip.", show_default=False)],
    cohort: Annotated[Path, typer.Argument(help="Table of the cohort (CSV).", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the results; it is made.", show_default=False)],
    split: Annotated[
        str | None, typer.Option(help="train, validation or test.", show_default="test, or whom the model has not seen")
    ] = None,
    atlas: Annotated[
        Path | None,
        typer.Option(help="Label map on the grid of all images, for its regions ranked by the heat in them."),
    ] = None,
    atlas_names: Annotated[
        Path | None,
        typer.Option(help="Names of the atlas' regions, CSV: label, name.", show_default="their numbers"),
    ] = None,
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
            "atlas": _atlas(atlas, atlas_names),
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
        yield f"{summary[unit]['total']} {unit}: {_figure('accuracy', summary[unit]['accuracy'], 'ci95')}"


def _told_package(summary: dict) -> Iterator[str]:
    for unit, interval in (("images", "ci95_bootstrap"), ("patients", "ci95")):
        figures = summary["figures"][unit]
        told = (_figure(name, figures[name], interval) for name in _TOLD if name in figures)
        yield f"{summary['cohort'][unit]} {unit}: {', '.join(told)}"
    if failed := summary["cohort"]["series_failed"]:
        yield f"{failed} series could not be evaluated; the report lists them."


def _atlas(labels: Path | None, names: Path | None) -> tuple[Path, Path | None] | None:
    if labels is None and names is not None:
        raise InputError("--atlas-names belongs to an atlas; give its label map with --atlas.")
    return None if labels is None else (labels, names)


@app.command()
def compare(
    cohort: Annotated[Path, typer.Argument(help="Table of the cohort (CSV).", show_default=False)],
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
    processes: Annotated[int, typer.Option(min=1, help="Processes that make samples.")] = 1,
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
            backbones=_listed(chosen),
            packages=packages or [],
            weights=backbone_weights,
            cache=cache,
            split=split,
            device=device,
            processes=processes,
            seed=seed,
            advance=advance,
        )
    if json:
        print(dumps(summary, indent=1))
        return
    for notice in summary["notices"]:
        print(notice)
    for name, model in summary["models"].items():
        print(f"{name}: patients {_figure('AUC', model['patients']['AUC'], 'ci95')}")
    for failure in summary["failures"]:
        print(f"{failure['model']} failed: {failure['reason']}")
    print(f"Results: {out / RESULTS / 'report.html'}")


@app.command()
def texture(
    cohort: Annotated[Path, typer.Argument(help="Table of the cohort (CSV).", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the results; it is made.", show_default=False)],
    models: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of 'train --split kfold:K', with a model a fold; once for each.", show_default="none"
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
            help="Folder with a file of weights for vgg16 and resnet18.", show_default="torchvision's, fetched"
        ),
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for samples.", show_default="OUT-cache")] = None,
    device: Device = "auto",
    processes: Annotated[int, typer.Option(min=1, help="Processes that make samples.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 2021,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier analysis.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print texture.json, and nothing else.")] = False,
) -> None:
    """Compare networks with other texture methods by cross-validation, and look at what their neurons and heat see."""
    from ..evaluation.texture import texture as analysed

    with progress(json) as advance:
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
    if json:
        print(dumps(summary, indent=1))
        return
    for notice in summary["notices"]:
        print(notice)
    for name, accuracy in summary["accuracy"].items():
        of_images = accuracy["images"]
        print(
            f"{name}: accuracy {of_images['mean']:.3f} (folds {of_images['minimum']:.3f} to {of_images['maximum']:.3f})"
        )
    print(f"By chance (always the most frequent class): {summary['chance']['images']:.3f}")
    for failure in summary["failures"]:
        print(f"{failure['method']} failed: {failure['reason']}")
    print(f"Results: {out / 'report.html'}")


_TOLD = ("AUC", "Sensitivity", "Specificity", "Top-1 accuracy", "Top-3 accuracy")
"""Figures of evaluation.json that are printed, where it has them."""


def _listed(names: str | None) -> list[str]:
    """Names of a list with commas."""
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def _figure(name: str, figure: dict, interval: str) -> str:
    """A figure of evaluation.json or comparison.json in words."""
    value, (low, high) = figure["value"], figure[interval] or figure["ci95_bootstrap"] or (None, None)
    told = "cannot be told" if value is None else f"{value:.3f}"
    return f"{name} {told}" + ("" if None in (value, low, high) else f" ({low:.3f} to {high:.3f})")


def _channels(given: list[str], sample: SampleRecipe) -> dict[str, Path]:
    """Paths of a model's further channels by name, from NAME=PATH.

    Raises:
        InputError: a channel that the model does not have, is given twice, or is lacking.
    """
    texts = _by_name("--channel", given, sample.further, "PATH", bool, "this model has one input")
    if texts or not sample.of_cine:
        sample.check_further(texts)
    return {name: Path(text) for name, text in texts.items()}


def _frames(given: list[str], sample: SampleRecipe) -> dict[str, int]:
    """Numbers of a cine's frames by the name of the input that they are, from NAME=NUMBER.

    Raises:
        InputError: an input that the model does not have or take from a cine, or is given twice, or no number.
    """
    names = [channel.name for channel in sample.channels if channel.frame]
    texts = _by_name("--frame", given, names, "NUMBER", str.isdecimal, "the model takes no cine")
    return {name: int(text) for name, text in texts.items()}


def _by_name(
    option: str, given: list[str], names: Sequence[str], what: str, fits: Callable[[str], bool], why_none: str
) -> dict[str, str]:
    """Values of an option that is given once for each of `names`, as NAME=VALUE.

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


@contextlib.contextmanager
def _timed(timing: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timing[stage] = timing.get(stage, 0.0) + time.perf_counter() - start


@contextlib.contextmanager
def progress(hidden: bool) -> Iterator:
    """A progress bar on stderr, or where that is no terminal lines on stdout now and then; gives a function of what is
    being done, and how much of how many is."""
    if not hidden and not sys.stderr.isatty():
        yield _heeding(_lines())
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=hidden,
    )
    with bar:
        task = bar.add_task("Starting", total=None)
        yield _heeding(lambda what, done=0, total=None: bar.update(task, description=what, completed=done, total=total))


def _heeding(tell: Callable[..., None]) -> Callable[..., None]:
    """`tell`, which ends the work where the user's wish to end it was lost: Python drops an exception that is raised
    while it collects garbage or runs a library's callback."""

    def heeding(what: str, done: int = 0, total: int | None = None) -> None:
        if _interrupted.is_set():
            raise KeyboardInterrupt
        tell(what, done, total)

    return heeding


def _interrupt(number: int, frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _lines() -> Callable[..., None]:
    """Prints each step when it begins, and how far it is every half minute."""
    told = {}

    def tell(what: str, done: int = 0, total: int | None = None) -> None:
        step, now = what.partition(":")[0], time.monotonic()
        if now - told.get(step, -math.inf) > 30:
            print(f"{what} ({done} of {total})" if done and total else what, flush=True)
            told[step] = now

    return tell


def _require_slicer() -> None:
    try:
        import slicer  # noqa: F401
    except ImportError:
        raise InputError(
            "Writing the results needs Slicer's scene library; install it with: pip install 'dystrophydx[viewer]'."
        ) from None


def main() -> None:
    """Runs the command line and exits."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        status = app(standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        _fail(f"{error.format_message()} Use --help to see what is possible.")
    except MemoryError:
        _fail("The memory of this computer is not enough for this study; close other programs or give fewer slices.")
    except ModuleNotFoundError as error:
        _fail(
            f"The package {error.name} is missing, which this command needs; install what it needs with "
            "'make .venv/.dev' in a checkout, or pip install 'dystrophydx[train,viewer,diffusion]'."
        )
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        print(
            f"dystrophydx: unexpected {type(error).__name__} in {Path(where.filename).name} line {where.lineno}; "
            "nothing was written; please report this line.",
            file=sys.stderr,
        )
        sys.exit(1)
    if status == INTERRUPTED:
        _fail("Interrupted; nothing was written.")
    sys.exit(status or 0)


def _fail(message: str) -> None:
    print(f"dystrophydx: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
