"""Reading a study: DICOM or an image file, a cine or several channels, become a `Series`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..models.recipe import SampleRecipe
from ..reporting.progress import Advance
from .channels import with_channels
from .cine import picked
from .image_files import IMAGE_FILES, check_finite, read_image_file, read_image_frames
from .series import Series

LOOKED_AT = 16
"""Slices by which a label map is known."""
PLAIN = 0.9
"""Share of neighbours with one value from which an image is a label map; in images noise makes most of them differ."""
MOST_LABELS = 256
Given = str | Path | Sequence[Path]
"""A file, a folder, or the DICOM files of one study among others."""


def read_input(
    path: Given,
    further: Mapping[str, str | Path],
    sample: SampleRecipe,
    series_uid: str | None = None,
    frames: Mapping[str, int] | None = None,
    modality: str | None = None,
    advance: Advance | None = None,
) -> Series:
    """Reads a study as the samples of a recipe are made of it. What was picked of a cine, and why, is in its
    `selection`.

    Args:
        path: of the first channel, or of a cine where the recipe takes one and `further` is empty.
        further: paths of the further channels, by name.
        series_uid: see `series.read_study`.
        frames: number, from 0, of the frame that a channel is; the others are picked by `cavity_voxels`.
        modality, advance: see `series.read_study`.

    Raises:
        InputError: as `read_channels` and `read_frames`; one frame where the recipe needs two; no such frame.
    """
    if not sample.of_cine or further:
        if frames:
            raise InputError("Frames are picked of a cine alone; leave out either the channels or the frames.")
        return read_channels(path, further, series_uid, modality, advance)
    cine = read_frames(path, series_uid, modality, advance)
    if len(cine) == 1 and not frames:
        if sample.further:
            raise InputError(
                f"The input has one frame, and the model needs {' and '.join(sample.further)} beside "
                f"{sample.channels[0].name}; give a cine, or each frame as a channel."
            )
        return cine[0]
    return picked(cine, sample, frames or {})


def read_study(
    path: Given, series_uid: str | None = None, modality: str | None = None, advance: Advance | None = None
) -> Series:
    """Reads the axial T1-weighted series of the legs from a DICOM folder, or one image file.

    Of several DICOM series (or stacks of slices in one series) the best suited is taken, and `Series.selection` says
    why. An image that is not axial or not T1-weighted is read like any other; what it is fit for is judged later.

    Args:
        path: folder with DICOM files of any names, nested or not; one DICOM file; or a NIfTI (.nii, .nii.gz),
            NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) file. Or several DICOM files, of which none else is looked at.
        series_uid: DICOM Series Instance UID to take instead of the best suited series.
        modality: "MR" to take DICOM images of any modality for MR: a volume that Slicer exported is called CT.
        advance: told what of the study is being read, how much of it is, and all of it.

    Raises:
        InputError: there is no image that can be used, with what to do about it.
    """
    return _read(path, series_uid, modality, advance, cine=False)[0]


def read_frames(
    path: Given, series_uid: str | None = None, modality: str | None = None, advance: Advance | None = None
) -> tuple[Series, ...]:
    """Reads a cine: volumes of one place at several times, in their order; one volume where there is no other.

    Args:
        path: as `read_study`; an image file with a fourth axis, or DICOM with several frames at each slice's position,
            of which, of several series, that with the most frames is taken.
        series_uid: DICOM Series Instance UID to take instead.
        modality, advance: as `read_study`.

    Raises:
        InputError: as `read_study`, or slices with more frames than others.
    """
    return _read(path, series_uid, modality, advance, cine=True)


def _read(
    given: Given, series_uid: str | None, modality: str | None, advance: Advance | None, *, cine: bool
) -> tuple[Series, ...]:
    """The volumes of an input, one where no cine is asked for."""
    path = Path(given) if isinstance(given, str | Path) else tuple(given)
    is_image_file = isinstance(path, Path) and _is_image_file(path)
    if is_image_file and series_uid is not None:
        raise InputError("A series UID is for DICOM input only; leave out --series for an image file.")
    try:
        if isinstance(path, Path) and is_image_file:
            volumes = read_image_frames(path) if cine else (read_image_file(path),)
        else:
            volumes = _read_dicom(path, series_uid, modality, advance, cine=cine)
    except OSError:
        raise InputError("The input cannot be opened; check its permissions.") from None
    except MemoryError:
        raise InputError("The image does not fit into memory; crop it to the thighs or resample it.") from None
    for volume in volumes:
        _check_voxels(volume.voxels)
    return volumes


def _is_image_file(path: Path) -> bool:
    """Whether a path is that of an image file, else of DICOM.

    Raises:
        InputError: it is neither file nor folder.
    """
    if not path.exists():
        raise InputError("The input does not exist; check the path.")
    if not (path.is_file() or path.is_dir()):  # to open a pipe would wait for ever
        raise InputError("The input is a pipe or a device; give a file or a folder.")
    return path.is_file() and path.name.lower().endswith(IMAGE_FILES)


def read_channels(
    path: Given,
    further: Mapping[str, str | Path],
    series_uid: str | None = None,
    modality: str | None = None,
    advance: Advance | None = None,
) -> Series:
    """Reads a study with further channels: `read_study` of each, then `with_channels`.

    Raises:
        InputError: as both, with the name of the channel.
    """
    first = read_study(path, series_uid, modality, advance)
    others = {}
    for name, other in further.items():
        try:
            others[name] = read_study(other, None, modality, advance)
        except InputError as error:
            raise InputError(f"Channel {name}: {error}") from None
    return with_channels(first, others)


def check_no_label_map(voxels: np.ndarray) -> None:
    """Refuses what is no image but a map of regions: whole numbers, each in areas of its own.

    Args:
        voxels: (z, y, x).

    Raises:
        InputError: it is a label map.
    """
    sample = voxels[:: max(1, len(voxels) // LOOKED_AT)]
    left, right = sample[:, :, :-1], sample[:, :, 1:]
    labelled = (left != 0) & (right != 0)
    pairs = np.count_nonzero(labelled)
    # Noise alone makes neighbours in an image differ, so that few of many slices tell.
    if not pairs or np.count_nonzero(labelled & (left == right)) < PLAIN * pairs:
        return
    if len(np.unique(sample)) <= MOST_LABELS and (sample == np.rint(sample)).all():
        raise InputError(
            "The image is a label map, whole numbers in plain areas; give the MRI, and the label map as its region."
        )


def _check_voxels(voxels: np.ndarray) -> None:
    check_finite(voxels)
    if voxels.min() == voxels.max():
        raise InputError("The image is empty: all voxels have the same value; give another image or export it again.")
    check_no_label_map(voxels)


def _read_dicom(
    path: Path | Sequence[Path], series_uid: str | None, modality: str | None, advance: Advance | None, *, cine: bool
) -> tuple[Series, ...]:
    from .dicom_study import read_dicom, read_dicom_frames

    if isinstance(path, Path) and path.is_dir() and not any(path.iterdir()):
        raise InputError("The folder is empty; give a folder with a DICOM MR series, or an image file.")
    asked = series_uid, modality, advance
    return read_dicom_frames(path, *asked) if cine else (read_dicom(path, *asked),)
