"""The folder that results go into: all of its files, or none, and never at the cost of a file of the user's.

Results are written into a hidden folder beside it, which takes its place at the end. The process that writes holds a
lock on its hidden folder, which ends with the process, so that the next run knows and removes what a killed one left.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from ..errors import InputError
from .exchange_folders import exchange

if os.name == "posix":
    import fcntl

FILES: Collection[str] = (
    "result.json", "heatmap.nrrd", "roi.seg.nrrd", "muscles.seg.nrrd", "muscles.csv", "overview.png", "report.html",
    "scene.mrb",
)  # fmt: skip
"""What `classify` writes; the muscles where a thigh has a map."""
KNOWN: Collection[str] = (*FILES, "dicom/seg.dcm", "dicom/heatmap.dcm", "dicom/report.dcm", "dicom/overview.dcm")
"""The same with what it writes where DICOM is asked for."""
Content = frozenset[Path]
"""Paths of all that lies in a folder, seen from it; nothing where there is none."""
_READY, _ASIDE = ".ready", ".aside"
"""Ends of the names of hidden folders: of a whole result, or of the earlier one where the two have changed places; and
of the earlier result while it has neither name."""
_UNMAKEABLE = "The output folder {} cannot be made there; check the place and its permissions."
_OTHER_FILES = "The output folder {} holds other files; give a new or empty folder."
_FORGOTTEN_SECONDS = 24 * 3600
"""Age from which a hidden folder is one of a killed run, where locks cannot tell."""


@contextlib.contextmanager
def output_folder(
    folder: Path, files: Collection[str] = KNOWN, *, overwrite: bool, before: Content | None = None
) -> Iterator[Path]:
    """A hidden folder beside `folder` to write into, which takes its place when all has been written.

    Args:
        files: that an earlier result may hold.
        before: what `check_output_folder` found, where that was earlier; what came since then is the user's.

    Raises:
        InputError: when `folder` holds, at the beginning or at the end, anything but an earlier result, or a result
            without `overwrite`, or when it cannot be written.
    """
    found = check_output_folder(folder, files, overwrite=overwrite)
    folder = folder.resolve()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial, lock = _locked_folder(folder)
    except OSError:
        raise InputError(_UNMAKEABLE.format(folder)) from None
    try:
        yield partial
        _refuse(folder, files, overwrite=overwrite)
        if folder.exists():
            partial = partial.rename(partial.with_name(partial.name + _READY))
            own = {part for name in files for part in (Path(name), Path(name).parent)}
            _replace(folder, partial, (found if before is None else before) | own)
        else:
            partial.rename(folder)
    except OSError:
        _refuse(folder, files, overwrite=overwrite)  # somebody may have been there first
        raise InputError(
            f"The results cannot be written into {folder}; check free space and the folder's permissions."
        ) from None
    finally:
        if partial.suffix != _READY or not _foreign(partial, files):
            shutil.rmtree(partial, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def check_output_folder(folder: Path, files: Collection[str] = KNOWN, *, overwrite: bool) -> Content:
    """Raises the `InputError` of `output_folder` before any work is done, and tidies up what killed runs left.

    Returns:
        What lies in the folder.
    """
    try:
        folder = folder.resolve()
        if os.path.ismount(folder):
            raise InputError(
                f"The output folder {folder} is a drive or a mounted folder as a whole; give a folder in it."
            )
        place = next(parent for parent in folder.parents if parent.exists())
        if place == folder.parent:
            _tidy(folder, files)
        trial = place / (_hidden_name(folder) + _READY)  # the longest name that is needed
        trial.mkdir()
        trial.rmdir()
    except (OSError, ValueError, RuntimeError):
        raise InputError(_UNMAKEABLE.format(folder)) from None
    _refuse(folder, files, overwrite=overwrite)
    return _content(folder)


def _replace(folder: Path, ready: Path, known: Content) -> None:
    """Puts the folder `ready` in the place of `folder`, whose content is then removed.

    Raises:
        OSError: it is not possible.
        InputError: `folder` holds more than is known; it stays as it is.
    """
    with contextlib.suppress(OSError):  # not every file system has such rights
        shutil.copymode(folder, ready)
    aside = ready.with_suffix(_ASIDE)
    exchange(ready, folder, aside)
    if _content(ready) <= known:
        shutil.rmtree(ready, ignore_errors=True)
    else:
        exchange(ready, folder, aside)
        raise InputError(_OTHER_FILES.format(folder))


def _refuse(folder: Path, files: Collection[str], *, overwrite: bool) -> None:
    """Raises the `InputError` of what the folder holds."""
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError:  # Slicer would not write there
        raise InputError("The path of the output folder holds bytes that are no UTF-8; give another folder.") from None
    try:
        present = _names(folder, files) if folder.exists() else set()
    except NotADirectoryError:
        raise InputError(f"The place of the output folder {folder} is a file; give a folder.") from None
    except OSError:
        raise InputError(f"The output folder {folder} cannot be read; check the place and its permissions.") from None
    if present - set(files):
        raise InputError(_OTHER_FILES.format(folder))
    if present and not overwrite:
        held, where = ("results already", "on the command line ") if files == KNOWN else ("earlier results", "")
        raise InputError(f"The output folder {folder} holds {held}; give another folder, or {where}add --overwrite.")


def _content(folder: Path) -> Content:
    return frozenset(path.relative_to(folder) for path in folder.rglob("*"))


def _hidden_name(folder: Path) -> str:
    return f".{folder.name}.{secrets.token_hex(4)}"


def _locked_folder(folder: Path) -> tuple[Path, int | None]:
    """A new hidden folder beside `folder`, with the rights that the umask gives, and its lock."""
    while True:
        partial = folder.parent / _hidden_name(folder)
        partial.mkdir()
        lock = _lock(partial)
        if partial.exists():  # nobody tidied it up before it was locked
            return partial, lock
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """The lock on a folder; None where the system or its file system has none.

    Raises:
        BlockingIOError: another process holds it.
    """
    if os.name != "posix":
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError) and not isinstance(error, BlockingIOError):
            return None
        raise
    return descriptor


def _tidy(folder: Path, files: Collection[str]) -> None:
    """Removes hidden folders of runs that were killed; an earlier result that has lost its name gets it again."""
    pattern = re.compile(re.escape(f".{folder.name}.") + f"[0-9a-f]{{8}}({_READY}|{_ASIDE})?")
    for path in [folder.parent / name for name in os.listdir(folder.parent) if pattern.fullmatch(name)]:
        with contextlib.suppress(OSError):  # another run holds it, or is tidying up as well
            if path.suffix == _ASIDE and not folder.exists():
                path.rename(folder)
                continue
            lock = _lock(path)
            try:
                old = lock is not None or time.time() - path.stat().st_mtime > _FORGOTTEN_SECONDS
                if old and (path.suffix not in (_READY, _ASIDE) or not _foreign(path, files)):
                    shutil.rmtree(path)
            finally:
                if lock is not None:
                    os.close(lock)


def _foreign(folder: Path, files: Collection[str]) -> bool:
    """Whether a folder that may have been in the place of results holds something else."""
    return folder.is_dir() and bool(_names(folder, files) - set(files))


def _names(folder: Path, files: Collection[str]) -> set[str]:
    """What lies in a folder; of folders in it of which files are known, their content."""
    known = {Path(name).parts[0] for name in files if "/" in name}
    found = set()
    for path in folder.iterdir():
        inside = path.iterdir() if path.name in known and path.is_dir() else (path,)
        found |= {item.relative_to(folder).as_posix() for item in inside}
    return found
