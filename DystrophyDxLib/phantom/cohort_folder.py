"""The folder of a cohort of phantoms: all of its files, or none."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError
from ..spreadsheet import write_rows


@contextmanager
def cohort_folder(out: Path) -> Iterator[None]:
    """Makes the folder, to be written into; after any failure or interruption it is empty again.

    Raises:
        InputError: `out` holds files already or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise InputError("The folder for the cohort holds files already; give a new or empty folder with --out.")
        try:
            yield
        except BaseException:
            _empty(out)
            raise
    except OSError:
        raise InputError(
            f"The cohort cannot be written to {out.name}; check free space and permissions of --out."
        ) from None


def write_image(image: sitk.Image, path: Path) -> None:
    """Writes a NIfTI (.nii.gz), and reads it to the end, as a full disk goes without a word.

    Raises:
        OSError: the file is not whole.
    """
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
        with gzip.open(path) as file:
            whole = len(file.read()) >= image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    except (RuntimeError, EOFError):
        whole = False
    if not whole:
        raise OSError


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> Path:
    """Writes a CSV that has its name only when it is whole; cells of other columns are left out."""
    partial = path.with_suffix(".part")
    with partial.open("w", newline="", encoding="utf-8") as file:
        write_rows(file, [columns, *([row.get(name, "") for name in columns] for row in rows)])
        file.flush()
        os.fsync(file.fileno())
    return partial.replace(path)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
