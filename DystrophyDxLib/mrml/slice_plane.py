"""`SlicePlane`: where a slice view looks, in the voxels of a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer

from .volumes import ijk_to_world

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Half-open index ranges of a volume along i, j and k."""


@dataclass(frozen=True)
class SlicePlane:
    """A slice view and the volume that it shows.

    Where the volume lies is read anew each time, so a transform that moves it is followed.

    Attributes:
        view: slice node of the view.
        volume: anything with a voxel grid, in the same scene.
    """

    view: slicer.vtkMRMLSliceNode
    volume: slicer.vtkMRMLScalarVolumeNode

    def turn(self, acquired: bool) -> None:
        """Turns the view to a voxel plane of the volume, patient right and anterior to the left of the picture.

        Args:
            acquired: to the plane in which the images were acquired; otherwise to the voxel plane nearest to the one
                that the view shows.

        Raises:
            InputError: the volume lies under a transform that is not linear.
        """
        if acquired:
            across_slices = ijk_to_world(self.volume)[:3, 2]
            self.view.SetOrientation(("Sagittal", "Coronal", "Axial")[np.abs(across_slices).argmax()])
        self.view.RotateToVolumePlane(self.volume)

    def extent(self, box: Box) -> np.ndarray:
        """(width, height) in mm that the voxels of `box` take on the screen. Raises as `turn`."""
        across = np.array([stop - start for start, stop in box])
        return np.abs(self._axes[:, :2].T @ ijk_to_world(self.volume)[:3, :3]) @ across

    def frame(self, box: Box) -> None:
        """Centres `box` in the view and makes it as large as the view's size allows. Raises as `turn`."""
        width, height, _ = self.view.GetDimensions()
        mm_per_pixel = max(self.extent(box) / (max(width, 1), max(height, 1)))
        self.view.SetFieldOfView(width * mm_per_pixel, height * mm_per_pixel, self.view.GetFieldOfView()[2])
        self.view.SetXYZOrigin(0, 0, 0)
        self.view.JumpSliceByCentering(*self.world([(start + stop - 1) / 2 for start, stop in box]))

    @property
    def slice(self) -> int:
        """Slice k of the volume at the middle of the view; beyond the volume its first or last. Raises as `turn`."""
        middle = slicer.util.arrayFromVTKMatrix(self.view.GetSliceToRAS())[:, 3]
        k = np.linalg.solve(ijk_to_world(self.volume), middle)[2]
        return int(np.clip(np.round(k), 0, self.volume.GetImageData().GetDimensions()[2] - 1))

    @property
    def across(self) -> tuple[int, float]:
        """Axis of the volume (0 for i, 1 for j, 2 for k) that crosses the view most, and where on it the view lies, in
        voxels. Raises as `turn`."""
        to_world = ijk_to_world(self.volume)
        axes = to_world[:3, :3] / np.linalg.norm(to_world[:3, :3], axis=0)
        axis = int(np.abs(self._axes[:, 2] @ axes).argmax())
        middle = slicer.util.arrayFromVTKMatrix(self.view.GetSliceToRAS())[:, 3]
        return axis, float(np.linalg.solve(to_world, middle)[axis])

    def go_to_slice(self, k: int) -> None:
        """Moves the plane to slice k of the volume, never sideways. Raises as `turn`."""
        i, j, _ = ((start + stop - 1) / 2 for start, stop in whole(self.volume))
        self.view.JumpSliceByOffsetting(*self.world((i, j, k)))

    def go_to(self, ijk: Sequence[float]) -> None:
        """Moves the plane through a voxel; sideways only where the voxel would not be seen. Raises as `turn`."""
        place = self.world(ijk)
        self.view.JumpSliceByOffsetting(*place)
        if not self._shows(place):
            self.view.JumpSliceByCentering(*place)

    def world(self, ijk: Sequence[float]) -> np.ndarray:
        """Place of a voxel, (3,) in RAS mm. Raises as `turn`."""
        return (ijk_to_world(self.volume) @ [*ijk, 1])[:3]

    @property
    def edges(self) -> tuple[str, str]:
        """Patient directions at the left and the right edge of the view, e.g. ("R", "L")."""
        across = self._axes[:, 0]
        axis = np.abs(across).argmax()
        negative, positive = ("LR", "PA", "IS")[axis]
        return (negative, positive) if across[axis] > 0 else (positive, negative)

    @property
    def _axes(self) -> np.ndarray:
        """(3, 3): the screen's right, up, and out of the screen, as columns in RAS."""
        return slicer.util.arrayFromVTKMatrix(self.view.GetSliceToRAS())[:3, :3]

    def _shows(self, place: np.ndarray) -> bool:
        middle = slicer.util.arrayFromVTKMatrix(self.view.GetSliceToRAS())[:3, 3]
        aside = self._axes[:, :2].T @ (place - middle) - self.view.GetXYZOrigin()[:2]
        return bool((np.abs(aside) <= np.array(self.view.GetFieldOfView()[:2]) / 2).all())


def whole(volume: slicer.vtkMRMLScalarVolumeNode) -> Box:
    """All voxels of a volume."""
    i, j, k = volume.GetImageData().GetDimensions()
    return (0, i), (0, j), (0, k)
