"""Image files (NIfTI, NRRD, MetaImage) become `Series`, and voxels become images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..results import WarningCode
from .formats.any_format import read_header
from .series import NO_ORIENTATION, Geometry, Series, check_size
from .words import are

if TYPE_CHECKING:
    import SimpleITK as sitk


def as_image(voxels: np.ndarray, geometry: Geometry) -> sitk.Image:
    """Voxels (z, y, x) as a SimpleITK image."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(voxels)
    image.SetOrigin(geometry.origin)
    image.SetSpacing(geometry.spacing)
    image.SetDirection(geometry.direction.ravel())
    return image


def check_finite(voxels: np.ndarray) -> None:
    if not np.isfinite([voxels.min(), voxels.max()]).all():  # both are NaN where one voxel is
        raise InputError("The image holds voxels that are not numbers (NaN or infinite); export it again.")


IMAGE_FILES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_CUT_OUT = 0.1
"""Share of an image that is NaN around the body from which on a program has cut the body out."""
_DARK = 0.03
"""Voxels within the body, relative to the others, that such a cut takes at most: at 2 to 15 % of the brightness of
fat, of the sample study and of two real ones 3 % are dark and enclosed at most."""
_LONGER = 1.2
"""Edge of a voxel along the body, over that within the slices, from which the slices were surely taken axially."""


def read_image_file(path: Path) -> Series:
    """Reads a NIfTI, NRRD or MetaImage file, whatever its values are.

    Raises:
        InputError: it is damaged, has several values a voxel or such that are no numbers, has axes that are not
            perpendicular, or is no volume.
        OSError: it cannot be opened.
    """
    return read_image_frames(path, most_dimensions=3)[0]


def read_image_frames(path: Path, most_dimensions: int = 4) -> tuple[Series, ...]:
    """Reads a NIfTI, NRRD or MetaImage file of volumes along a fourth axis, time; one volume where it has none.

    Axial slices whose axes were stored in another order are put in the order of a series, with a note. Voxels around
    the body that are no numbers are read as 0, with a note.

    Raises:
        InputError: as `read_image_file`, or more dimensions.
        OSError: it cannot be opened.
    """
    header = read_header(path)
    if header.frames > 1 and most_dimensions == 3:
        raise InputError("The image is 4-dimensional; give one 3D volume of it.")
    order = _order_of_axes(header.geometry, header.size) if header.orientation_known else (0, 1, 2)
    i, j, k = (header.size[axis] for axis in order)
    check_size((header.frames * k, j, i))
    notes = list(header.notes)
    if order != (0, 1, 2):
        notes.append("The axes are stored in another order than that of axial slices, and were exchanged.")
    voxels, more = header.load()
    notes += more
    voxels = voxels.transpose(0, *(3 - axis for axis in reversed(order)))
    geometry = _with_axes(header.geometry, order)
    frames, missing = [], set()
    for frame in voxels:
        frame, without, note = _filled_around(np.ascontiguousarray(frame))
        if frame.dtype.kind == "f":
            check_finite(frame)
        frames.append(frame)
        missing |= without
        if note and note not in notes:
            notes.append(note)
    warnings = [(warning.code, warning.message) for warning in header.warnings]
    if missing:
        warnings.append((WarningCode.SLICES_MISSING, f"{are(len(missing), 'slice')} missing: all voxels are NaN."))
    if not header.orientation_known:
        warnings.append(NO_ORIENTATION)
    volumes = []
    for frame in frames:
        series = Series(
            voxels=frame,
            geometry=geometry,
            selection="The image file that was given.",
            notes=tuple(notes),
            missing_slices=tuple(sorted(missing)),
        )
        for code, message in warnings:
            series = series.warned(code, message)
        volumes.append(series)
    return tuple(volumes)


def _order_of_axes(geometry: Geometry, size: tuple[int, int, int]) -> tuple[int, int, int]:
    """Which stored axis becomes i, j and k: as stored, but for axial slices that lie along another axis than k."""
    along = int(np.abs(geometry.direction[2]).argmax())
    i, j = (axis for axis in range(3) if axis != along)
    within = max(geometry.spacing[i], geometry.spacing[j])
    if along == 2 or size[2] == 1 or geometry.spacing[along] < _LONGER * within:
        return 0, 1, 2
    return i, j, along


def _with_axes(geometry: Geometry, order: tuple[int, int, int]) -> Geometry:
    i, j, k = (geometry.spacing[axis] for axis in order)
    return Geometry(geometry.origin, (i, j, k), geometry.direction[:, order])


def _filled_around(voxels: np.ndarray) -> tuple[np.ndarray, set[int], str]:
    """Voxels (z, y, x) with 0 for those that are NaN around the body, as programs leave them that cut the body out;
    the slices that are nothing else; and a note on others.

    Such a cut by brightness takes the dark cortex of a bone too. More of them within the body stay: nobody knows what
    they were.
    """
    if voxels.dtype.kind != "f" or not np.isnan(voxels.min()):
        return voxels, set(), ""
    from scipy import ndimage

    lacking = np.isnan(voxels)
    there = voxels[~lacking]
    if not there.size or there.min() == there.max():  # what is NaN is the body
        return voxels, set(), ""
    without = lacking.all(axis=(1, 2))
    within = lacking & ~without[:, None, None]
    labels, _ = ndimage.label(within)
    edges = [labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]]
    around = within & np.isin(labels, np.unique(np.concatenate([edge.ravel() for edge in edges])))
    enclosed, outside = np.count_nonzero(within & ~around), np.count_nonzero(around)
    is_cut_out = outside >= _CUT_OUT * voxels.size and enclosed <= _DARK * there.size
    note = "Voxels around the body that are no numbers (NaN) were read as 0"
    note += f", and so were {enclosed} within it." if enclosed and is_cut_out else "."
    filled = np.where((within if is_cut_out else around) | without[:, None, None], 0, voxels)
    return filled, set(np.flatnonzero(without).tolist()), note if outside else ""
