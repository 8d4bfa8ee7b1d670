"""`dystrophydx archive`: all studies of an archive, into one dataset."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import typer

from ..errors import InputError
from .extras import lacking_extra
from .options import Address, Device, Model, MuscleMap, NoPattern, Pattern, tell
from .progress import progress


def archive(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder with studies of any nesting, cohort table (CSV), or a PACS: its DICOMweb service, https://…",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the dataset; an earlier run in it goes on.", show_default=False)
    ],
    model: Model = None,
    muscle_map: MuscleMap = True,
    pattern: Pattern = None,
    no_pattern: NoPattern = False,
    patient: Annotated[str, typer.Option(help="Patient ID, of a PACS.", show_default="any")] = "",
    date: Annotated[
        str, typer.Option(help="Day, 20260131, or days, 20260101-20260131, of a PACS.", show_default="any")
    ] = "",
    description: Annotated[
        str,
        typer.Option(help="Description of the study, of a PACS; * stands for anything.", show_default="any"),
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option(
            help="File with the secret key of the pseudonyms; it is made where it is not there. Keep it.",
            show_default="beside the folder of the dataset, with the ending .key",
        ),
    ] = None,
    identities: Annotated[
        Path | None,
        typer.Option(
            help="Table to write that leads from pseudonyms to patients, studies and places; for you alone.",
            show_default="none",
        ),
    ] = None,
    address: Address = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that classify.", show_default="one a core, or eight a GPU")
    ] = None,
    device: Device = "auto",
    limit: Annotated[float, typer.Option(min=1, help="Seconds after which a study is ended and listed.")] = 600,
    memory: Annotated[
        float, typer.Option(min=0.1, help="Memory in GB beside the model that ends a study that needs more.")
    ] = 8,
    folders: Annotated[
        bool, typer.Option("--folders", help="Write the folder of each study, too, as classify does.")
    ] = False,
    dicom: Annotated[
        bool, typer.Option("--dicom", help="Write DICOM objects into each study's folder; makes it, too.")
    ] = False,
    changed: Annotated[
        Literal["keep", "again"] | None,
        typer.Option(
            help="Where the dataset was made by another model or version: keep its rows, or classify all again.",
            show_default="ask",
        ),
    ] = None,
    add_source: Annotated[
        bool,
        typer.Option(
            "--add-source",
            help="Add this archive to a dataset that was made of another one.",
            show_default="ask",
        ),
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try the failures of earlier runs again.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print summary.json, and nothing else; progress as JSON lines on stderr.")
    ] = False,
) -> None:
    """Classify all studies of an archive into a dataset of Parquet tables. Stops and goes on; works on Ray."""
    for extra, needed in (("viewer", folders or dicom), ("dicom", dicom), ("pacs", source.startswith("http"))):
        if needed and (lack := lacking_extra(extra)):
            raise InputError(lack)
    with progress(json) as advance:
        advance("Loading the model", 0, 0)
        from ..archive.dataset import Changed, OtherSource
        from ..archive.run import ArchiveOptions, classify_archive, print_figures
        from ..archive.sources import Asked
        from ..files.resources import embedded_model, muscle_model, pattern_model

    options = ArchiveOptions(
        out=out,
        key=key or out.with_name(f"{out.name}.key"),
        asked=Asked(patient, date, description),
        identities=identities,
        address=address,
        workers=workers,
        device=device,
        limit_s=limit,
        memory_gb=memory,
        folders=folders or dicom,
        dicom=dicom,
        changed=changed,
        add_source=add_source,
        retry=retry,
    )
    packages = (
        model or embedded_model(),
        muscle_model() if muscle_map else None,
        None if no_pattern else pattern or pattern_model(),
    )
    while True:
        try:
            # Ray tells on stdout of processes that have ended.
            with progress(json) as advance, contextlib.redirect_stdout(io.StringIO()):
                summary = classify_archive(source, *packages, options, advance, print_figures if json else None)
            break
        except (Changed, OtherSource) as error:
            options = replace(options, **_asked(error, json=json))
        except KeyboardInterrupt:
            raise InputError("Interrupted; what is done is in the dataset, and the same command goes on.") from None
    tell(summary, out / "summary.html", json=json)


def _asked(error: InputError, *, json: bool) -> dict[str, Any]:
    """The options that say what the user wants of a dataset of another model, version or archive.

    Raises:
        InputError: nobody can be asked, or wants neither.
    """
    if json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise error
    from ..archive.dataset import Changed

    question, choices = (
        (
            "Keep its rows and classify only what is new, or classify all again?",
            {"keep": {"changed": "keep"}, "again": {"changed": "again"}},
        )
        if isinstance(error, Changed)
        else ("Add this archive to it?", {"add": {"add_source": True}})
    )
    print(str(error).partition(" Add --")[0], file=sys.stderr)
    said = click.prompt(question, type=click.Choice([*choices, "stop"]), default="stop", err=True)
    if said == "stop":
        raise InputError("Nothing was changed.")
    return choices[said]
