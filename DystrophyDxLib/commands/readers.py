"""`dystrophydx readers`: reader studies from the protocol to the analysis."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import click
import typer

from ..errors import InputError
from ..statistics.merit import COMPARES, FIGURES_OF_MERIT, RANDOM, Compares, FigureOfMerit, Random
from .extras import lacking_extra
from .options import Device, Model, Predictions, PredictionsKey, check_cohort, listed
from .progress import LOADING, READING, progress

if TYPE_CHECKING:
    from ..readerstudy.export import Unusable

app = typer.Typer(help="Reader studies: blinded reads beside the model, and their statistics.", no_args_is_help=True)
STARTING = "Opening the study"
ASKED = ("subtype", "quality", "mercuri", "comment")
StudyFolder = Annotated[Path, typer.Argument(help="Folder of the study.", show_default=False)]


@app.command()
def create(
    cohort: Annotated[
        Path, typer.Argument(help="Table of the cohort (CSV).", show_default=False, exists=True, dir_okay=False)
    ],
    readers: Annotated[
        Path,
        typer.Option(
            help="Table of the readers (CSV): reader (a code), role, years.",
            show_default=False,
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="New or empty folder for the study.", show_default=False)],
    title: Annotated[str, typer.Option(help="Of the protocol.")] = "Reader study of thigh MRI",
    arms: Annotated[
        str, typer.Option(help="In this order, separated by commas: unaided, aided; or sequential; and re-read.")
    ] = "unaided,aided",
    design: Annotated[
        str,
        typer.Option(
            click_type=click.Choice(["fully-crossed", "crossover", "split-plot"]), help="See docs/reader-studies.md."
        ),
    ] = "crossover",
    washout_days: Annotated[int, typer.Option(min=0, help="Least days between two sessions of a reader.")] = 28,
    ask: Annotated[
        str, typer.Option(help=f"Beside yes or no and confidence, separated by commas: {', '.join(ASKED)}.")
    ] = "",
    duplicates: Annotated[int, typer.Option(min=0, help="Hidden duplicates a session.")] = 0,
    blocks: Annotated[int, typer.Option(min=1, help="Blocks of cases, of the split-plot design.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal orders.")] = 2021,
    primary: Annotated[
        str,
        typer.Option(
            click_type=click.Choice(FIGURES_OF_MERIT),
            help="Figure of the primary endpoint, which the report tells first.",
        ),
    ] = "AUC",
    compares: Annotated[
        str | None,
        typer.Option(
            click_type=click.Choice(COMPARES),
            help="What the primary endpoint compares.",
            show_default="the arms if both are read, else the readers with the model",
        ),
    ] = None,
    holds_for: Annotated[
        str,
        typer.Option(click_type=click.Choice(RANDOM), help="Of which others than those of the study it is to hold."),
    ] = "readers and cases",
    model: Model = None,
    predictions: Predictions = None,
    key: PredictionsKey = None,
    device: Device = "auto",
) -> None:
    """Create a study: protocol, pseudonymised cases, the model's answers, and the truth apart."""
    from ..files.resources import embedded_model
    from ..models.package import ModelPackage
    from ..readerstudy.protocol import Arm, Design
    from ..readerstudy.questions import MUSCLES, Questions
    from ..readerstudy.study import PAGE
    from ..reporting.output_folder import check_output_folder

    check_output_folder(out, (), overwrite=False)
    if predictions is not None and (lack := lacking_extra("archive")):
        raise InputError(lack)
    asked = _words(ask, "question", ASKED)
    in_order = tuple(Arm(name) for name in _words(arms, "arm", [arm.value for arm in Arm]))
    with progress() as advance:
        advance(READING, 0, 0)
        check_cohort(cohort, model or embedded_model())
        advance(LOADING, 0, 0)
        from ..readerstudy.creation import StudyPlan, create_study, one_class, read_readers
    plan = StudyPlan(
        title=title,
        readers=read_readers(readers),
        arms=in_order,
        design=Design(design),
        questions=Questions(
            subtype="subtype" in asked,
            quality="quality" in asked,
            mercuri=MUSCLES if "mercuri" in asked else (),
            comment="comment" in asked,
        ),
        duplicates=duplicates,
        washout_days=washout_days,
        blocks=blocks,
        seed=seed,
        primary=cast(FigureOfMerit, primary),
        compares=cast(Compares | None, compares),
        holds_for=cast(Random, holds_for),
    )
    with progress() as advance:
        package, recorded = ModelPackage.read(model or embedded_model()), None
        if predictions is not None:
            from ..archive.answers import ArchiveAnswers

            recorded = ArchiveAnswers(predictions, key, package, cohort)
        study = create_study(cohort, plan, package, device, out, advance, recorded)
    protocol = study.protocol
    print(f"{len(protocol.cases)} cases, {len(protocol.readers)} readers, arms {arms}: {out}")
    if one_class(study):
        print("All cases are of one class: sensitivity or specificity, and the AUC, cannot be told from this study.")
    print(f"Primary endpoint: {protocol.primary}")
    print(f"Protocol to print: {out / PAGE}")
    print(f"Keep the truth from the readers: {study.truth}")


@app.command()
def status(study: StudyFolder) -> None:
    """Tell how far each reader is, and when reading may go on."""
    with progress() as advance:
        advance(STARTING, 0, 0)
        from ..readerstudy.export import check_content
        from ..readerstudy.export import status as told
        from ..readerstudy.study import ReaderStudy

    opened = ReaderStudy.open(study)
    readers, unusable = told(opened, datetime.now(timezone.utc))
    for reader in readers:
        reached = reader.progress
        last = f", last on {reader.last}" if reader.last else ""
        print(f"{reader.reader.code}: {reached.answered} of {reached.answers} answers{last}. {reached.sentence}")
    if unusable:
        raise InputError(" ".join(map(str, unusable)))
    check_content(opened)


@app.command()
def export(
    study: StudyFolder,
    out: Annotated[Path, typer.Option(help="New or empty folder for the tables.", show_default=False)],
    to_fill_in: Annotated[
        bool,
        typer.Option(
            "--to-fill-in",
            help="Write tables and pages for readers without Slicer, of all that is not read yet; without it, where "
            "nobody has answered.",
        ),
    ] = False,
) -> None:
    """Write all answers, the truth and the model's answers as CSV; before the first answer, tables to fill in."""
    from ..reporting.output_folder import check_output_folder

    check_output_folder(out, (), overwrite=False)
    with progress() as advance:
        advance(STARTING, 0, 0)
        from ..readerstudy.export import export as exported
        from ..readerstudy.export import nobody_answered
        from ..readerstudy.study import ReaderStudy

    opened = ReaderStudy.open(study)
    if to_fill_in or nobody_answered(opened):
        from ..readerstudy.sheets import write_sheets

        with progress() as advance:
            rows = write_sheets(opened, out, advance)
        print(f"{rows} answers to fill in, a folder a reader and session, with a page a case: {out}")
        print("Give a reader one session at a time. Take them over with: dystrophydx readers import STUDY TABLES")
        return
    reads, unusable = exported(opened, out)
    _tell(unusable)
    print(f"{len(reads.reads)} rows of answers by {reads.reads['reader'].nunique()} readers: {out}")


@app.command("import")
def import_(
    study: StudyFolder,
    tables: Annotated[
        list[Path],
        typer.Argument(help="Filled-in tables of export, or folders with them.", show_default=False, exists=True),
    ],
    accept_deviations: Annotated[
        bool,
        typer.Option(
            "--accept-deviations", help="Take answers whose days break wash-out or order; the report says so."
        ),
    ] = False,
) -> None:
    """Take over answers that were given on paper or in a spreadsheet, all of them or none."""
    from ..readerstudy.sheets import import_sheets
    from ..readerstudy.study import ReaderStudy

    now = datetime.now(timezone.utc)
    for taken in import_sheets(ReaderStudy.open(study), tables, now, accept_deviations=accept_deviations):
        known = f", {taken.known} were there already" if taken.known else ""
        print(f"{taken.reader.code}: {taken.answers} answers taken over{known}.")
        for deviation in taken.deviations:
            print(f"  Noted: {deviation}.")


@app.command()
def analyse(
    source: Annotated[
        Path, typer.Argument(help="Folder of the study, or of tables as export writes them.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the report; it is made.", show_default=False)],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier analysis.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print analysis.json, and nothing else.")] = False,
) -> None:
    """Analyse readers and model: report, tables and figures. A study read elsewhere comes as tables."""
    if not source.is_dir():
        raise InputError(f"There is no folder {source}; give that of a study or of its tables.")
    with progress(json) as advance:
        advance("Reading the answers", 0, 0)
        from ..readerstudy.export import reads_of
        from ..readerstudy.reads import Reads
        from ..readerstudy.study import PROTOCOL, ReaderStudy
        from ..reporting.reports import READER_STUDY

        READER_STUDY.check(out, overwrite=overwrite)
        of_study = (source / PROTOCOL).exists()
        reads, unusable = reads_of(ReaderStudy.open(source)) if of_study else (Reads.read(source), ())
    _tell(unusable)
    with progress(json) as advance:
        advance("Analysing the answers", 0, 0)
        from ..readerstudy.analysis.analyse import analyse as analysed

        summary = analysed(reads, out, overwrite=overwrite, notices=tuple(map(str, unusable)))
    if json:
        print(summary.to_json())
        return
    if summary.primary:
        print(summary.primary.line)
    print(f"Report: {out / 'report.html'}")


def _tell(unusable: Sequence[Unusable]) -> None:
    """Names the readers whose answers cannot be had; the others' are reported all the same."""
    for reader in unusable:
        print(f"dystrophydx: {reader} The answers of the other readers are reported.", file=sys.stderr)


def _words(text: str, what: str, known: list[str] | tuple[str, ...]) -> list[str]:
    """The words of an option, separated by commas.

    Raises:
        InputError: one is not known.
    """
    words = listed(text.lower())
    for word in words:
        if word not in known:
            raise InputError(f"There is no {what} {word!r}; choose from {', '.join(known)}.")
    return words
