"""`dystrophydx diffusivity`: a diffusion series becomes the map that models of maps read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .progress import progress


def diffusivity(
    series: Annotated[Path, typer.Argument(help="Diffusion series, 4D NIfTI.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The map, NIfTI or NRRD.", show_default=False)],
    bval: Annotated[Path | None, typer.Option(help="b-values as of FSL.", show_default="beside the series")] = None,
    bvec: Annotated[Path | None, typer.Option(help="Directions as of FSL.", show_default="beside the series")] = None,
) -> None:
    """Compute the map of mean diffusivity (mm²/s) of a diffusion series, for models of maps."""
    if out.exists():
        raise InputError(f"There is something at {out}, the place given with --out; give a new one.")
    with progress() as advance:
        advance("Fitting the diffusion tensor", 0, 0)
        from ..series.diffusivity import mean_diffusivity, write_map

        write_map(mean_diffusivity(series, bval, bvec), out)
    print(f"Mean diffusivity in mm²/s: {out}")
