"""The command line `dystrophydx`: exit 0, or 2 with one line on stderr for bad input or usage."""

from __future__ import annotations

import re
import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import click
import typer

from .. import __version__
from ..errors import InputError
from . import phantom, readers
from .archive import archive
from .benchmark import benchmark
from .classify import classify
from .compare import compare
from .diffusivity import diffusivity
from .evaluate import evaluate
from .extras import lacking, what_to_add
from .node import node
from .pacs import pacs
from .progress import heed_interrupts
from .texture import texture
from .train import TrainCommand, train

app = typer.Typer(
    help="Dystrophinopathy pattern in thigh MRI. For research only, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (classify, archive, benchmark, diffusivity, train, evaluate, compare, texture, pacs, node):
    app.command(cls=TrainCommand if command is train else None)(command)
app.add_typer(phantom.app, name="phantom")
app.add_typer(readers.app, name="readers")
INTERRUPTED = 130
"""What typer makes of Ctrl-C."""


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"DystrophyDx {__version__}")
        raise typer.Exit


@app.callback()
def _several_commands(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Dystrophinopathy pattern in thigh MRI. For research only, not for diagnosis."""
    if "--help" not in sys.argv and (said := lacking(context.invoked_subcommand)):
        raise InputError(said)


def main() -> None:
    """Runs the command line and exits."""
    heed_interrupts()
    try:
        status = app(standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        said = re.sub(r"(Did you mean [^?]*\?)(\s+\1)+", r"\1", error.format_message())  # click and typer both say it
        _fail(f"{said} Use --help to see what is possible.")
    except MemoryError:
        _fail("The memory of this computer is not enough for this study; close other programs or give fewer slices.")
    except ModuleNotFoundError as error:
        _fail(what_to_add(error.name))
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


def _fail(message: str) -> NoReturn:
    print(f"dystrophydx: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
