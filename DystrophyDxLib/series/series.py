"""`Series`: the voxels of one MR series, where they lie in the patient, and how they were made; without identity."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ..errors import InputError
from ..results import ResultWarning, WarningCode

MAX_VOXELS = 2**30
"""Largest volume that is read: 4 GiB as float32."""
MIN_PIXELS = 16
"""Least rows and columns of an image that can show a leg."""
VOXEL_MM = (0.05, 500.0)
"""Least and greatest edge of a voxel; a header with another one is in other units, or damaged."""

NO_SIDE = {WarningCode.SIDE_CONTRADICTED, WarningCode.SIDE_UNKNOWN}
"""Warnings of a series from which no side of the patient can be told."""
NO_ORIENTATION = WarningCode.SIDE_UNKNOWN, "No orientation in the header: the sides of the patient cannot be trusted."
"""The warning, as `Series.warned` takes it, of a series whose header does not say how it lies in the patient."""

FAT_SHIFT_HZ_PER_T = 145.0
"""Fat precesses 3.4 ppm slower than water (Dixon, Radiology 1984;153:189), of 42.577 MHz/T."""

_NO_ANATOMY = {"P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY"}
_FAT = {"F", "FAT"}
_WATER_OR_FAT = {"W", "WATER", "FF", "FAT_FRACTION"} | _FAT
_OPPOSED_PHASE = {"OP", "OPP", "OPP_PHASE", "OPPOSED_PHASE", "OUT_PHASE", "OUT_OF_PHASE"}
CONTRAST_TYPES = frozenset(
    _NO_ANATOMY | _WATER_OR_FAT | _OPPOSED_PHASE
    | {"IP", "IN_PHASE", "ADC", "TRACEW", "DIFFUSION", "SUBTRACTION", "PROJECTION IMAGE", "LOCALIZER", "MOSAIC"}
)  # fmt: skip
"""Image types whose images show something else than those without them."""


def plane_of(direction: np.ndarray) -> str:
    """The plane of slices whose axes are the columns of `direction` (3, 3): that whose normal is the closest."""
    return ("sagittal", "coronal", "axial")[int(np.abs(direction[:, 2]).argmax())]


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a series lie in the patient, in LPS (x to the left, y to posterior, z to superior), as DICOM.

    Attributes:
        origin: LPS position in mm of the centre of voxel (i, j, k) = (0, 0, 0).
        spacing: voxel size in mm along i (columns), j (rows), k (slices); all positive.
        direction: (3, 3), orthonormal; column n is the LPS unit vector of index axis n (i, j, k).

    >>> geometry = Geometry((-100.0, -80.0, 0.0), (1.5, 1.5, 6.0), np.eye(3))
    >>> geometry.ijk_to_lps @ [0, 0, 10, 1]
    array([-100.,  -80.,   60.,    1.])
    """

    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    direction: np.ndarray

    def __post_init__(self) -> None:
        direction = np.asarray(self.direction, dtype=float).reshape(3, 3)
        if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
            raise InputError("The image axes are not perpendicular; resample the image to a regular grid first.")
        if not min(self.spacing) > 0:
            raise InputError("The voxel spacing is not positive; check the image header.")
        if not VOXEL_MM[0] <= min(self.spacing) <= max(self.spacing) <= VOXEL_MM[1]:
            raise InputError(
                f"By the header a voxel is {' × '.join(f'{edge:.3g}' for edge in self.spacing)} mm large; export the "
                "image with its sizes in millimetres."
            )
        object.__setattr__(self, "direction", direction)

    @property
    def ijk_to_lps(self) -> np.ndarray:
        """(4, 4) affine from voxel index (i, j, k, 1) to LPS mm."""
        affine = np.eye(4)
        affine[:3, :3] = self.direction * np.asarray(self.spacing)
        affine[:3, 3] = self.origin
        return affine

    @property
    def is_axial(self) -> bool:
        return plane_of(self.direction) == "axial"


@dataclass(frozen=True)
class Acquisition:
    """What the header says of how the images were made; None where it says nothing. Nothing that identifies a person.

    Units: tesla, milliseconds.
    """

    modality: str | None = None
    field_strength_t: float | None = None
    repetition_time_ms: float | None = None
    echo_time_ms: float | None = None
    inversion_time_ms: float | None = None
    scanning_sequence: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    body_part: str | None = None
    laterality: Literal["left", "right"] | None = None

    @property
    def fat_suppressed(self) -> bool:
        """Whether the header says that fat gives no signal: fat saturation, or inversion recovery that nulls fat."""
        nulled = "IR" in self.scanning_sequence and 0 < (self.inversion_time_ms or 0) < 400
        return nulled or any(option in ("FS", "SFS") or "FATSAT" in option for option in self.scan_options)

    @property
    def opposed_phase(self) -> bool:
        """Whether fat and water cancel where they mix: so labelled, or a gradient echo at such an echo time."""
        if _OPPOSED_PHASE & set(self.image_type):
            return True
        if "GR" not in self.scanning_sequence or "SE" in self.scanning_sequence:
            return False
        if not self.field_strength_t or not self.echo_time_ms:
            return False
        turns = FAT_SHIFT_HZ_PER_T * self.field_strength_t * self.echo_time_ms / 1000
        return bool(np.cos(2 * np.pi * turns) < -0.5)

    @property
    def fat_image(self) -> bool:
        """Whether the header says that these are the fat images of a Dixon scan, and nothing else.

        >>> Acquisition(image_type=("DERIVED", "PRIMARY", "FAT")).fat_image
        True
        >>> Acquisition(image_type=("DERIVED", "PRIMARY", "FAT", "FAT_FRACTION")).fat_image
        False
        """
        types = set(self.image_type) & (_NO_ANATOMY | _WATER_OR_FAT | _OPPOSED_PHASE)
        return bool(types) and types <= _FAT and not self.fat_suppressed

    @property
    def t1_weighted(self) -> bool | None:
        """Whether these are T1-weighted images with all of their fat signal; None where the header does not say.

        T1 weighting is TR < 1200 ms with TE < 35 ms (gradient echo: TE < 10 ms).

        >>> Acquisition(repetition_time_ms=550, echo_time_ms=12).t1_weighted
        True
        >>> Acquisition(repetition_time_ms=550, echo_time_ms=12, scan_options=("FS",)).t1_weighted
        False
        """
        if self.fat_suppressed or self.opposed_phase or "EP" in self.scanning_sequence:
            return False
        if (_NO_ANATOMY | _WATER_OR_FAT) & set(self.image_type):
            return False
        is_gradient_echo = "GR" in self.scanning_sequence and "SE" not in self.scanning_sequence
        short_tr = None if self.repetition_time_ms is None else self.repetition_time_ms < 1200
        short_te = None if self.echo_time_ms is None else self.echo_time_ms < (10 if is_gradient_echo else 35)
        if False in (short_tr, short_te):
            return False
        return None if None in (short_tr, short_te) else True


@dataclass(frozen=True)
class Series:
    """One MR series.

    Attributes:
        voxels: (z, y, x) = (k, j, i) float32, rescaled, bright is strong signal. Slices missing in the input are zero.
        geometry: position of the voxels in LPS.
        acquisition: facts from the header.
        kind: "dicom" or "file" as read by `read_study`, "scene" for a volume of a Slicer scene.
        series_uid: DICOM Series Instance UID, None for other inputs.
        selection: one sentence that says why this series of the input was taken.
        notes: sentences on what was found while reading and changes no answer (images that were there twice, ...).
        warnings: what was found while reading and may change what an answer means; part of every answer.
        missing_slices: indices k of slices that the input lacks.
        orientation_known: False when the header does not say how the image lies in the patient: `geometry` is then a
            guess and no side of the patient can be told from it.
        further: voxels of further channels on the same grid, by name; see `with_channels`.
        label: what the user calls the study; empty where nothing was said.
    """

    voxels: np.ndarray
    geometry: Geometry
    acquisition: Acquisition = field(default_factory=Acquisition)
    kind: Literal["dicom", "file", "scene"] = "file"
    series_uid: str | None = None
    selection: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[ResultWarning, ...] = ()
    missing_slices: tuple[int, ...] = ()
    orientation_known: bool = True
    further: Mapping[str, np.ndarray] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise InputError(f"The image has {self.voxels.ndim} dimensions; give a 3D volume or a series of slices.")
        if self.voxels.dtype != np.float32:
            object.__setattr__(self, "voxels", self.voxels.astype(np.float32))

    def warned(self, code: WarningCode, message: str) -> Series:
        """The same with another warning; with one on its sides, no side can be told from it.

        >>> series = Series(np.zeros((2, 16, 16)), Geometry((0.0, 0.0, 0.0), (1.5, 1.5, 6.0), np.eye(3)))
        >>> series.warned(WarningCode.SIDE_CONTRADICTED, "The transforms contradict each other.").orientation_known
        False
        """
        known = self.orientation_known and code not in NO_SIDE
        warnings = dict.fromkeys((*self.warnings, ResultWarning(code=code, message=message)))
        return replace(self, warnings=tuple(warnings), orientation_known=known)

    @property
    def neutral_label(self) -> str:
        """A name that tells no identity, as the names of files and folders may: of DICOM the last digits of the UID, of
        a file a checksum of its voxels.

        >>> series = Series(np.zeros((2, 16, 16)), Geometry((0.0, 0.0, 0.0), (1.5, 1.5, 6.0), np.eye(3)), kind="dicom")
        >>> replace(series, series_uid="1.2.840.99.31").neutral_label
        'DICOM series 409931'
        """
        digits = "".join(filter(str.isdecimal, self.series_uid or ""))[-6:]
        if self.kind == "file":
            return f"Image file {zlib.crc32(np.ascontiguousarray(self.voxels).data):08x}"
        return "Volume of a scene" if self.kind == "scene" else f"DICOM series {digits}".strip()

    @property
    def first_slice(self) -> Literal["inferior", "superior"] | None:
        """End of the body at which slice 0 lies; None where slices are not axial or the header tells no orientation."""
        if not (self.orientation_known and self.geometry.is_axial):
            return None
        return "inferior" if self.geometry.direction[2, 2] > 0 else "superior"

    @property
    def present_slices(self) -> tuple[int, ...]:
        """Indices k of the slices that the input has."""
        return tuple(k for k in range(len(self.voxels)) if k not in self.missing_slices)

    def square(self, edge_mm: float | None, middle: tuple[float, float] | None = None) -> tuple[slice, slice]:
        """Rows and columns (j, i) of a square in a slice.

        A square that would leave the image is moved into it; of a smaller image all of it is taken.

        Args:
            edge_mm: edge of the square; None for the whole slice.
            middle: (j, i) of its middle; that of the image when not given.
        """
        i_mm, j_mm, _ = self.geometry.spacing
        shape = self.voxels.shape[1:]
        middle = middle or ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
        rows, columns = (
            _pixels_around(centre, edge if edge_mm is None else edge_mm / mm, edge)
            for centre, edge, mm in zip(middle, shape, (j_mm, i_mm), strict=True)
        )
        return rows, columns


def _pixels_around(centre: float, length: float, edge: int) -> slice:
    """About `length` pixels around `centre` within an edge of so many."""
    pixels = min(edge, max(1, round(length)))
    start = min(max(0, round(centre + 0.5 - pixels / 2)), edge - pixels)
    return slice(start, start + pixels)


def check_size(shape: tuple[int, ...]) -> None:
    """Refuses a volume of `shape` (z, y, x) that is too small to show a leg or too large to be read.

    Raises:
        InputError: fewer than `MIN_PIXELS` rows or columns, or more than `MAX_VOXELS` voxels.
    """
    if min(shape[1:]) < MIN_PIXELS:
        raise InputError(
            f"The slices have only {shape[1]} × {shape[2]} pixels; give images of at least {MIN_PIXELS} × {MIN_PIXELS}."
        )
    if math.prod(shape) > MAX_VOXELS:
        raise InputError(
            f"The image would have {shape[2]} × {shape[1]} × {shape[0]} voxels, too many for memory;"
            " crop it to the thighs or resample it."
        )
