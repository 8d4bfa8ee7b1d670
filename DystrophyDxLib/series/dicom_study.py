"""Reading DICOM: the headers of all files first, then the pixels of the one stack of slices that fits best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..reporting.progress import Advance
from .dicom_header import quiet_pydicom
from .dicom_inventory import Inventory, take_inventory
from .dicom_pixels import Placed
from .dicom_stacks import SAME_COSINE, Stack, stacks_of
from .dicom_volume import read_volume
from .series import CONTRAST_TYPES, Acquisition, Series
from .words import are, counted, described


def read_dicom(
    path: Path | Sequence[Path],
    series_uid: str | None = None,
    modality: str | None = None,
    advance: Advance | None = None,
) -> Series:
    """Reads the best suited series below the folder `path`, of the one file `path`, or of several files.

    Args:
        path: folder of any nesting, one file, or several. Files that are not DICOM are passed over.
        series_uid: Series Instance UID to take instead of the best suited one.
        modality: "MR" where the user says that images of any modality are MR.
        advance: told how many of the files are read.

    Raises:
        InputError: no MR image, several patients, an unknown UID, slices without position, damaged files.
    """
    return read_located(path, series_uid, modality, advance)[0]


def read_located(
    path: Path | Sequence[Path],
    series_uid: str | None = None,
    modality: str | None = None,
    advance: Advance | None = None,
) -> tuple[Series, tuple[Placed, ...]]:
    """As `read_dicom`, with where each image of the study lies in the volume. Images name the patient and the study.

    Args:
        path, series_uid, modality, advance: as of `read_dicom`.
    """
    with quiet_pydicom():
        inventory = take_inventory(path, modality, _of(advance, "Reading headers"))
        stack, stacks = _chosen(inventory, series_uid)
        others = [other for other in stacks if _is_part(other, stack) or _is_leg_beside(other, stack)]
        series, placed, left_out = read_volume(stack, others, _of(advance, "Reading images"))
    joined = len(others) - len(left_out)
    notes = list(series.notes)
    if gathered := inventory.gathered.get(stack.series_uid):
        notes.append(
            f"Each of {gathered} images has a series of its own, as some anonymisers leave them; they were taken as one"
            " series, by their descriptions and places."
            if series.series_uid
            else "Images have no Series Instance UID; those of one number and description were taken as one series."
        )
    if modality and inventory.other_modalities:
        kinds = ", ".join(sorted(inventory.other_modalities))
        notes.append(f"The header calls images {kinds}; they were read as MR, as asked.")
    if inventory.empty_files:
        empty = are(inventory.empty_files, "file", " of the input")
        notes.append(f"{empty} empty or nothing but zeros; if slices are missing, copy the study again.")
    return replace(series, selection=_why(inventory, stack, series_uid, joined), notes=tuple(notes)), placed


def read_dicom_frames(
    path: Path | Sequence[Path],
    series_uid: str | None = None,
    modality: str | None = None,
    advance: Advance | None = None,
) -> tuple[Series, ...]:
    """Reads the volumes of a cine below the folder `path`, of the one file `path`, or of several files, in the order
    of their times: of several stacks of slices that with the most frames a slice.

    Args:
        path, series_uid, modality, advance: as of `read_dicom`.

    Raises:
        InputError: as `read_dicom`, or slices with more frames than others.
    """
    with quiet_pydicom():
        inventory = take_inventory(path, modality, _of(advance, "Reading headers"))
        stack, _ = _chosen(inventory, series_uid, as_cine=True)
        times = stack.split_by_time()
        told = f"{described(stack.plane, len(times[0].frames), stack.acquisition)} with {counted(len(times), 'frame')}."
        return tuple(replace(read_volume(time).series, selection=told) for time in times)


def _of(advance: Advance | None, what: str) -> Callable[[int, int], None] | None:
    return (lambda done, total: advance(what, done, total)) if advance else None


def _chosen(inventory: Inventory, series_uid: str | None, *, as_cine: bool = False) -> tuple[Stack, list[Stack]]:
    """The stack to read, by `series_uid` or by how well it suits, the models of thighs unless a cine is asked for; and
    all stacks."""
    if not inventory.frames:
        raise InputError(_why_no_image(inventory))
    if series_uid is None and len(inventory.patients - {""}) > 1:
        raise InputError(
            f"The input holds studies of {len(inventory.patients - {''})} patients; give the folder of one, or choose "
            f"a series with --series: {', '.join(inventory.uids)}."
        )
    if series_uid is not None and series_uid not in inventory.uids:
        known = ", ".join(inventory.uids)
        raise InputError(f"There is no MR series with the UID {series_uid}; give --series one of {known}.")
    pool = [frame for frame in inventory.frames if series_uid in (None, frame.series_uid)]
    if len(pool) == 1:
        return Stack(pool), []
    stacks = stacks_of(pool, of_one_time=not as_cine)
    # Beside placed slices a picture that was never a slice (a saved screen) may lack a place; a slice may not.
    best = max(stacks, key=Stack.rank_as_cine if as_cine else Stack.rank, default=None)
    lost = [f for f in pool if not f.is_placed and (not best or (f.is_mr_storage and f.series_uid == best.series_uid))]
    if lost or best is None:
        raise InputError(
            f"{are(len(lost), 'slice', ' of the input')} without position or orientation in the header; export the"
            " series again with its full headers."
        )
    return best, stacks


def _why_no_image(inventory: Inventory) -> str:
    kinds = ", ".join(sorted(inventory.other_modalities) + sorted(inventory.other_objects))
    if not kinds:
        return (
            "No DICOM image was found, and pictures such as PNG hold no MRI; give a folder with a DICOM MR series, or a"
            " DICOM, NIfTI, NRRD or MetaImage file."
        )
    if inventory.without_voltage:
        return (
            f"The input holds no MR images, only {kinds}; as it names no tube voltage, it is probably a volume that 3D"
            " Slicer exported, which calls all CT: if it is MR, add --modality MR, or export it again as MR."
        )
    what = "MR examination of the legs" if inventory.other_modalities else "MR examination that they are of"
    return f"The input holds no MR images, only {kinds}; give the {what}."


def _is_part(other: Stack, stack: Stack) -> bool:
    """Whether another stack is of the series and contrast of this one."""
    return other is not stack and other.series_uid == stack.series_uid and bool(other.contrasts & stack.contrasts)


def _is_leg_beside(other: Stack, stack: Stack) -> bool:
    """Whether a stack of another series of the examination shows the other leg: the same slices with the same contrast,
    side by side."""
    one, two = stack.frames[0], other.frames[0]
    if other.series_uid == stack.series_uid or one.study_uid != two.study_uid or stack.plane != "axial":
        return False
    alike = one.shape == two.shape and np.allclose(stack.direction, other.direction, atol=SAME_COSINE)
    if one.spacing is None or not alike:
        return False
    row_mm, column_mm = one.spacing
    apart = np.abs(other.places.mean(axis=0) - stack.places.mean(axis=0))
    height = np.ptp(stack.places[:, 2])
    side_by_side = 0.5 <= apart[0] / (one.shape[1] * column_mm) <= 2 and apart[1] < one.shape[0] * row_mm / 2
    same_slices = apart[2] <= height / 2 or apart[2] <= (one.thickness or 0)
    return bool(side_by_side and same_slices and _same_contrast(stack.acquisition, other.acquisition))


def _same_contrast(one: Acquisition, other: Acquisition) -> bool:
    """Whether the header facts of two series are of one protocol."""

    def close(first: float | None, second: float | None) -> bool:
        return first == second or bool(first and second and abs(first - second) <= 0.05 * first)

    return (
        close(one.echo_time_ms, other.echo_time_ms)
        and close(one.repetition_time_ms, other.repetition_time_ms)
        and close(one.inversion_time_ms, other.inversion_time_ms)
        and one.scanning_sequence == other.scanning_sequence
        and one.fat_suppressed == other.fat_suppressed
        and frozenset(one.image_type) & CONTRAST_TYPES == frozenset(other.image_type) & CONTRAST_TYPES
    )


def _why(inventory: Inventory, stack: Stack, series_uid: str | None, joined: int) -> str:
    """The sentence that says why `stack` was taken, with so many others laid beside it."""
    place = f"Series {inventory.series.index(stack.series_uid) + 1} of {len(inventory.series)}"
    if series_uid is not None:
        reason = "asked for by its UID"
    elif len(inventory.series) == 1:
        reason = "the only MR series"
    else:
        reason = "the one that fits axial T1-weighted images of the legs best"
    if joined:
        reason += f"; with {counted(joined, 'stack')} of the same contrast beside it"
    elif stack.siblings:
        reason += f"; the best of the {stack.siblings + 1} stacks of images in this series"
    doubts = [] if stack.plane == "axial" else ["it is not axial"]
    if stack.acquisition.t1_weighted is False:
        doubts.append("its header does not describe T1 weighting")
    if len(inventory.studies) > 1 and stack.series_uid not in inventory.gathered:
        doubts.append(f"the input holds {len(inventory.studies)} examinations of the patient")
    return f"{place}: {stack.description} ({reason}){''.join('; ' + doubt for doubt in doubts)}."
