"""`dystrophydx phantom`: cohorts of synthetic patients, with the table for train and evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import click
import typer

from ..errors import InputError
from .options import CohortFolder, CohortSeed, listed
from .progress import progress

app = typer.Typer(
    help="Make a cohort of synthetic patients (phantoms), with the table for train and evaluate.", no_args_is_help=True
)
STARTING = "Preparing the phantoms"
Patients = Annotated[int, typer.Option(min=1, help="Number of patients.")]
Purpose = Annotated[
    str,
    typer.Option(
        help="Any word; other words make other persons. Cohorts share persons only where seed, purpose, number of "
        "patients and diagnoses are equal."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier cohort.")]
Matrix = Annotated[int, typer.Option(min=64, max=1024, help="Rows and columns of the images.")]


@app.command()
def thighs(
    out: CohortFolder,
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
        Literal["nifti", "dicom"],
        typer.Option("--format", click_type=click.Choice(["nifti", "dicom"]), help="Of the series."),
    ] = "nifti",
    contrasts: Annotated[
        str, typer.Option(help="T1 and, separated by commas: STIR, DIXON_FAT, DIXON_WATER, DIXON_FF.")
    ] = "T1",
    matrix: Matrix = 256,
    seed: CohortSeed = 2021,
    purpose: Purpose = "",
    processes: Annotated[int, typer.Option(min=1, help="Processes to work in.")] = 1,
    truth: Annotated[bool, typer.Option("--truth/--no-truth", help="Write what no image tells.")] = True,
    overwrite: Overwrite = False,
) -> None:
    """Make MRI of thighs."""
    if like and (patients or diagnoses or slices):
        raise InputError(
            "A published cohort has its own patients; leave out --like, or --patients, --diagnoses and --slices."
        )
    with progress() as advance:
        advance(STARTING, 0, 0)
        _check(out, overwrite)
        from ..phantom.cohort import drawn_patients, like_yang2021, write_cohort

        drawn = like_yang2021(seed) if like else drawn_patients(patients or 20, seed, listed(diagnoses), slices)
        table = write_cohort(
            drawn,
            out,
            seed=seed,
            purpose=purpose,
            matrix=matrix,
            file_format=file_format,
            contrasts=tuple(contrasts.upper().replace(" ", "").split(",")),
            truth=truth,
            judge=True,
            processes=processes,
            overwrite=overwrite,
            advance=advance,
        )
    print(f"{len(drawn)} patients, {sum(patient.images for patient in drawn)} images (one leg in one slice): {table}")


@app.command()
def hearts(
    out: CohortFolder,
    patients: Patients = 20,
    diagnoses: Annotated[
        str | None,
        typer.Option(
            help="Of normal, HCM, DCM; or planes, each of a heart of any of these; separated by commas.",
            show_default="normal,HCM,DCM",
        ),
    ] = None,
    matrix: Matrix = 256,
    seed: CohortSeed = 2021,
    purpose: Purpose = "",
    overwrite: Overwrite = False,
) -> None:
    """Make cines of beating hearts, NIfTI."""
    with progress() as advance:
        advance(STARTING, 0, 0)
        _check(out, overwrite)
        from ..phantom.heart import DISEASES
        from ..phantom.heart_cohort import write_hearts

        shown = listed(diagnoses) or DISEASES
        table = write_hearts(
            patients,
            out,
            seed=seed,
            purpose=purpose,
            diagnoses=shown,
            matrix=matrix,
            overwrite=overwrite,
            advance=advance,
        )
    print(f"{patients} patients with a cine each: {table}")


@app.command()
def brains(
    out: CohortFolder,
    patients: Patients = 20,
    diagnoses: Annotated[
        str | None,
        typer.Option(help="Of HC, PD, MSA-P, MSA-C, MSA-PC, separated by commas.", show_default="all"),
    ] = None,
    seed: CohortSeed = 2021,
    purpose: Purpose = "",
    overwrite: Overwrite = False,
) -> None:
    """Make maps of brains (grey-matter density, mean diffusivity) with their atlas, NIfTI."""
    with progress() as advance:
        advance(STARTING, 0, 0)
        _check(out, overwrite)
        from ..phantom.brain_maps import CHANGED, write_brains

        shown = listed(diagnoses) or tuple(CHANGED)
        table = write_brains(
            patients, out, seed=seed, purpose=purpose, diagnoses=shown, overwrite=overwrite, advance=advance
        )
    print(f"{patients} persons with GM and MD each: {table}")


def _check(out: Path, overwrite: bool) -> None:
    """Raises the `InputError` of a place that cannot be used, before anything slow is imported."""
    from ..files.phantom_cohort import earlier_cohort
    from ..reporting.output_folder import check_output_folder

    check_output_folder(out, earlier_cohort(out), overwrite=overwrite)
