"""The folder that results go into: all of its files, or none."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError

FILES = ("result.json", "heatmap.nrrd", "roi.seg.nrrd", "overview.png", "report.html", "scene.mrb")


@contextlib.contextmanager
def output_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A hidden folder beside `folder` to write into, which takes its name only when all has been written.

    Raises:
        InputError: when `folder` holds anything but an earlier result, or a result without `overwrite`, or when it
            cannot be written.
    """
    folder = folder.absolute()
    check_output_folder(folder, overwrite=overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError:
        raise InputError("The output folder cannot be made there; check the place and its permissions.") from None
    try:
        yield partial
        os.chmod(partial, 0o755)
        if folder.exists():
            old = partial.with_name(partial.name + ".old")
            folder.rename(old)
            try:
                partial.rename(folder)
            except OSError:
                old.rename(folder)
                raise
            shutil.rmtree(old)
        else:
            partial.rename(folder)
    except OSError:
        raise InputError("The results cannot be written; check free space and the folder's permissions.") from None
    finally:
        if partial.exists():
            shutil.rmtree(partial)


def check_output_folder(folder: Path, *, overwrite: bool) -> None:
    """Raises the `InputError` of `output_folder`, before any work is done."""
    try:
        present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except NotADirectoryError:
        raise InputError("The place of the output folder is a file; give a folder.") from None
    except OSError:
        raise InputError("The output folder cannot be read; check the place and its permissions.") from None
    if present - set(FILES):
        raise InputError("The output folder holds other files; give a new or empty folder.")
    if present and not overwrite:
        raise InputError(
            "The output folder holds results already; give another folder, or on the command line add --overwrite."
        )


@contextlib.contextmanager
def results_folder(folder: Path, files: tuple[str, ...], *, overwrite: bool) -> Iterator[Path]:
    """A hidden folder to write into, which takes the place of `folder` when all has been written.

    Raises:
        InputError: as `check_results_folder`, or when it cannot be written.
    """
    check_results_folder(folder, files, overwrite=overwrite)
    folder = folder.absolute()
    if not folder.exists() or not any(folder.iterdir()):
        with output_folder(folder, overwrite=False) as partial:
            yield partial
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with output_folder(aside / "new", overwrite=False) as partial:
            yield partial
        folder.rename(aside / "earlier")
        try:
            (aside / "new").rename(folder)
        except OSError:
            (aside / "earlier").rename(folder)
            raise InputError("The results cannot be put in place; check the permissions of --out.") from None
    finally:
        shutil.rmtree(aside)


def check_results_folder(folder: Path, files: tuple[str, ...], *, overwrite: bool) -> None:
    """Raises `InputError` where `folder` cannot take results: it holds anything but `files`, or these without
    `overwrite`."""
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if present and present <= set(files):
        if overwrite:
            return
        raise InputError("The output folder holds an earlier report; give another folder, or add --overwrite.")
    check_output_folder(folder, overwrite=False)
