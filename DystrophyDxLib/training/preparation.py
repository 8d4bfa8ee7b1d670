"""What every training does before and after it fits a network: its place, its samples, its package."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from .. import __version__
from ..archive.crew import OWN_PROCESS, Crew
from ..cohort.table import AnyRecipe, Cohort
from ..errors import InputError
from ..reporting.progress import Advance
from .distributed import Processes
from .sample_store import SampleStore

LEFT_OUT = "left-out.txt"
"""File beside the training log that names the series without an image that can be used, and why."""


def made_samples(
    cohort: Cohort, recipe: AnyRecipe, folder: Path, crew: Crew, together: Processes, advance: Advance
) -> SampleStore:
    """The cohort's samples, made by the first process."""
    if together.writes:
        store = SampleStore.of(cohort, recipe.sample, folder, crew, advance)
    together.wait()
    if not together.writes:
        store = SampleStore.of(cohort, recipe.sample, folder, OWN_PROCESS, advance)
    return store


def make_folder(folder: Path, warnings: Sequence[str]) -> None:
    """Makes the folder beside the package; with warnings, `LEFT_OUT` in it.

    Raises:
        InputError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if warnings:
            (folder / LEFT_OUT).write_text("\n".join(warnings) + "\n", encoding="utf-8")
    except OSError:
        raise InputError("The folder of --out cannot be written; check the place and its permissions.") from None


def identity_of(network: nn.Module, recipe: AnyRecipe, store: SampleStore, seed: int) -> str:
    """Digest of all that the trained weights depend on."""
    cases = [(case.label, case.split, digest) for case, digest in zip(store.cohort.cases, store.digests, strict=True)]
    digest = hashlib.sha256(repr((__version__, recipe.toml(), seed, cases)).encode())
    for tensor in network.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def check_room(network: nn.Module, out: Path) -> None:
    """Raises an `InputError` when package and checkpoints (model, best model and two moments, twice) have no room."""
    size = 4 * sum(tensor.numel() for tensor in network.state_dict().values()) * 9
    there = next(parent for parent in out.absolute().parents if parent.exists())
    if shutil.disk_usage(there).free < size:
        raise InputError(f"Training needs {size / 2**30:.1f} GiB beside --out, which has less; free space there.")


def round_weights(network: nn.Module) -> None:
    """Rounds the weights as the package stores them, so that what is measured is what is shipped."""
    state = {
        name: tensor.half().to(tensor.dtype) if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    if not all(tensor.isfinite().all() for tensor in state.values()):
        raise InputError("The trained weights are too large for half precision; lower the recipe's learning_rate.")
    network.load_state_dict(state)


def put_package(out: Path, write: Callable[[Path], None]) -> None:
    """Writes a package under another name, which it leaves when it is whole.

    Args:
        write: writes it into a folder that is not there yet.

    Raises:
        InputError: it cannot be written.
    """
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        write(partial)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(
            f"The package {out} cannot be written; free space there and run the same command again to go on."
        ) from None
