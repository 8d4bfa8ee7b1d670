"""The folder that results go into: all of its files, or none."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from ..errors import InputError

FILES: Collection[str] = ("result.json", "heatmap.nrrd", "roi.seg.nrrd", "overview.png", "report.html", "scene.mrb")
"""What `classify` writes."""


@contextlib.contextmanager
def output_folder(folder: Path, files: Collection[str] = FILES, *, overwrite: bool) -> Iterator[Path]:
    """A hidden folder beside `folder` to write into, which takes its name only when all has been written.

    Args:
        files: that an earlier result may hold.

    Raises:
        InputError: when `folder` holds anything but an earlier result, or a result without `overwrite`, or when it
            cannot be written.
    """
    folder = folder.absolute()
    check_output_folder(folder, files, overwrite=overwrite)
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


def check_output_folder(folder: Path, files: Collection[str] = FILES, *, overwrite: bool) -> None:
    """Raises the `InputError` of `output_folder`, before any work is done."""
    try:
        present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except NotADirectoryError:
        raise InputError("The place of the output folder is a file; give a folder.") from None
    except OSError:
        raise InputError("The output folder cannot be read; check the place and its permissions.") from None
    if present - set(files):
        raise InputError("The output folder holds other files; give a new or empty folder.")
    if present and not overwrite:
        held, where = ("results already", "on the command line ") if files == FILES else ("an earlier report", "")
        raise InputError(f"The output folder holds {held}; give another folder, or {where}add --overwrite.")
