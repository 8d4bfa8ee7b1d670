"""How a plane of voxels as it is stored turns into the one plane in which all images are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .series import Geometry


@dataclass(frozen=True)
class PlaneOrientation:
    """How the stored plane (j, i) turns into the canonical one (rows to posterior, columns to the patient's left).

    Attributes:
        transposed: rows and columns change places, before the flips.
        flip_rows, flip_columns: of the canonical plane.
        flip_slices: whether the stored slices run from the head to the feet.

    Columns that are stored from the patient's left to the right are turned round:

    >>> to_the_right = Geometry((0.0, 0.0, 0.0), (1.0, 1.0, 5.0), np.diag([-1, 1, 1]))
    >>> PlaneOrientation.of(to_the_right).canonical(np.array([[1, 2, 3]]))
    array([[3, 2, 1]])
    """

    transposed: bool
    flip_rows: bool
    flip_columns: bool
    flip_slices: bool = False

    @classmethod
    def of(cls, geometry: Geometry) -> PlaneOrientation:
        """Orientation of the slices of `geometry`, by its direction cosines."""
        i_axis, j_axis = geometry.direction[:, 0], geometry.direction[:, 1]
        transposed = abs(j_axis[0]) > abs(i_axis[0])
        column_axis, row_axis = (j_axis, i_axis) if transposed else (i_axis, j_axis)
        # In a sagittal or coronal plane the rows run along the body, and are turned head up.
        down = max(row_axis[1], -row_axis[2], key=abs)
        return cls(bool(transposed), bool(down < 0), bool(column_axis[0] < 0), bool(geometry.direction[2, 2] < 0))

    def pixel_mm(self, geometry: Geometry) -> tuple[float, float]:
        """Of `geometry`, mm a pixel along rows and columns of the canonical plane."""
        i_mm, j_mm, _ = geometry.spacing
        return (i_mm, j_mm) if self.transposed else (j_mm, i_mm)

    def canonical(self, planes: np.ndarray) -> np.ndarray:
        """View of (..., j, i) as (..., rows, columns)."""
        if self.transposed:
            planes = planes.swapaxes(-1, -2)
        return planes[..., :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def volume(self, voxels: np.ndarray) -> np.ndarray:
        """View of (k, j, i) as (slices from the feet up, rows, columns)."""
        return self.canonical(voxels)[:: -1 if self.flip_slices else 1]

    def of_window(self, voxels: np.ndarray) -> np.ndarray:
        """View of the voxels of a window, (j, i) or (k, j, i), as its sample shows them: `canonical` or `volume`."""
        return self.volume(voxels) if voxels.ndim == 3 else self.canonical(voxels)

    def stored(self, planes: np.ndarray) -> np.ndarray:
        """View of (..., rows, columns) as (..., j, i): the inverse of `canonical`."""
        planes = planes[..., :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        return planes.swapaxes(-1, -2) if self.transposed else planes

    def stored_index(self, row: float, column: float, shape: tuple[int, int]) -> tuple[float, float]:
        """(j, i) of a place in a canonical plane of `shape` (rows, columns)."""
        row = shape[0] - 1 - row if self.flip_rows else row
        column = shape[1] - 1 - column if self.flip_columns else column
        return (column, row) if self.transposed else (row, column)

    def stored_box(self, rows: slice, columns: slice, shape: tuple[int, int]) -> tuple[slice, slice]:
        """(j, i) ranges of a box in a canonical plane of `shape` (rows, columns)."""
        rows = slice(shape[0] - rows.stop, shape[0] - rows.start) if self.flip_rows else rows
        columns = slice(shape[1] - columns.stop, shape[1] - columns.start) if self.flip_columns else columns
        return (columns, rows) if self.transposed else (rows, columns)
