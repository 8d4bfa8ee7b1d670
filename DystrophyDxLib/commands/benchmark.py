"""`dystrophydx benchmark`: speed and memory on this machine."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .options import Device
from .progress import LOADING, progress


def benchmark(
    study: Annotated[Path | None, typer.Argument(help="Study to measure.", show_default="the sample study")] = None,
    device: Device = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure speed and memory with the embedded model, as ratios in one run."""
    from ..files.resources import sample_study

    if study is not None and not study.exists():
        raise InputError("The input does not exist; check the path.")
    with progress(json) as advance:
        advance(LOADING, 0, 0)
        from .speed import measure

        figures = measure(study or sample_study(), device, advance)
    if json:
        print(dumps(figures, indent=1))
        return
    for name, figure in figures.items():
        print(f"{name:36} {figure if isinstance(figure, str) else format(figure, '.3g')}")
