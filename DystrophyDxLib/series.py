"""Reading a study: files or arrays become a `Series` of voxels, geometry and acquisition facts, without identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .errors import InputError


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a series lie in the patient, in LPS (x to the left, y to posterior, z to superior), as DICOM.

    Attributes:
        origin: LPS position in mm of the centre of voxel (i, j, k) = (0, 0, 0).
        spacing: voxel size in mm along i (columns), j (rows), k (slices); all positive.
        direction: (3, 3), orthonormal; column n is the LPS unit vector of index axis n (i, j, k).
    """

    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    direction: np.ndarray

    def __post_init__(self) -> None:
        direction = np.asarray(self.direction, dtype=float).reshape(3, 3)
        if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
            raise InputError("The image axes are not perpendicular; resample the image to a regular grid first.")
        if min(self.spacing) <= 0:
            raise InputError("The voxel spacing is not positive; check the image header.")
        object.__setattr__(self, "direction", direction)

    @property
    def ijk_to_lps(self) -> np.ndarray:
        """(4, 4) affine from voxel index (i, j, k, 1) to LPS mm."""
        affine = np.eye(4)
        affine[:3, :3] = self.direction * np.asarray(self.spacing)
        affine[:3, 3] = self.origin
        return affine


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
        notes: sentences on what was found while reading (gaps, duplicate slices, ...).
        missing_slices: indices k of slices that the input lacks.
        orientation_known: False when the header does not say how the image lies in the patient: `geometry` is then a
            guess and no side of the patient can be told from it.
    """

    voxels: np.ndarray
    geometry: Geometry
    acquisition: Acquisition = field(default_factory=Acquisition)
    kind: Literal["dicom", "file", "scene"] = "file"
    series_uid: str | None = None
    selection: str = ""
    notes: tuple[str, ...] = ()
    missing_slices: tuple[int, ...] = ()
    orientation_known: bool = True

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise InputError(f"The image has {self.voxels.ndim} dimensions; give a 3D volume or a series of slices.")
        if self.voxels.dtype != np.float32:
            object.__setattr__(self, "voxels", self.voxels.astype(np.float32))
