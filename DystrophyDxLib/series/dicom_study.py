"""Reading DICOM: the headers of all files first, then the pixels of the one stack of slices that fits best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .dicom_inventory import Inventory, quiet_pydicom, take_inventory
from .dicom_stacks import Stack, chosen_stack
from .series import Series
from .words import are, counted, described


def read_dicom(path: Path, series_uid: str | None = None) -> Series:
    """Reads the best suited series below the folder `path`, or of the one file `path`.

    Args:
        path: folder of any nesting, or one file. Files that are not DICOM are passed over.
        series_uid: Series Instance UID to take instead of the best suited one.

    Raises:
        InputError: no MR image, several patients, an unknown UID, slices without position, damaged files.
    """
    with quiet_pydicom():
        inventory = take_inventory(path)
        stack = chosen_stack(inventory, series_uid)
        series = stack.read()
    notes = list(series.notes)
    if inventory.empty_files:
        empty = are(inventory.empty_files, "file", " of the input")
        notes.append(f"{empty} empty; if slices are missing, copy the study again.")
    return replace(series, selection=_why(inventory, stack, series_uid), notes=tuple(notes))


def read_dicom_frames(path: Path, series_uid: str | None = None) -> tuple[Series, ...]:
    """Reads the volumes of a cine below the folder `path`, or of the one file `path`, in the order of their times: of
    several stacks of slices that with the most frames a slice.

    Args:
        path, series_uid: as of `read_dicom`.

    Raises:
        InputError: as `read_dicom`, or slices with more frames than others.
    """
    with quiet_pydicom():
        stack = chosen_stack(take_inventory(path), series_uid, Stack.rank_as_cine)
        times = stack.split_by_time()
        told = f"{described(stack.plane, len(times[0].frames), stack.acquisition)} with {counted(len(times), 'frame')}."
        return tuple(replace(time.read(), selection=told) for time in times)


def _why(inventory: Inventory, stack: Stack, series_uid: str | None) -> str:
    """The sentence that says why `stack` was taken."""
    place = f"Series {inventory.series.index(stack.series_uid) + 1} of {len(inventory.series)}"
    if series_uid is not None:
        reason = "asked for by its UID"
    elif len(inventory.series) == 1:
        reason = "the only MR series"
    else:
        reason = "the one that fits axial T1-weighted images of the legs best"
    if stack.siblings:
        reason += f"; the best of the {stack.siblings + 1} stacks of images in this series"
    doubts = [] if stack.plane == "axial" else ["it is not axial"]
    if stack.acquisition.t1_weighted is False:
        doubts.append("its header does not describe T1 weighting")
    if len(inventory.studies) > 1:
        doubts.append(f"the input holds {len(inventory.studies)} examinations of the patient")
    return f"{place}: {stack.description} ({reason}){''.join('; ' + doubt for doubt in doubts)}."
