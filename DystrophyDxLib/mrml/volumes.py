"""Volume nodes ↔ `Series`. The one place where LPS (DICOM, SimpleITK, `Geometry`) meets Slicer's RAS."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..errors import InputError
from ..results import WarningCode
from ..series.reading import check_no_label_map
from ..series.series import Geometry, Series

FRAME = "DystrophyDx.frame"
"""Attribute of a volume that was taken out of a cine: which frame it is, in words."""

MIRRORED = WarningCode.SIDE_CONTRADICTED, "The volume lies under a transform that mirrors it; remove that transform."
"""The warning on a series whose sides a transform of the scene exchanges."""

_SERIES_NUMBER = re.compile(r"(\d{1,6}): ")
"""Begin of the name that Slicer gives to a DICOM volume; the description after it is free text, which is kept out."""

_NO_LABEL_MAP = "dystrophydx_no_label_map"
"""Python attribute of a volume: modified time of the voxels that were looked at, and are those of an image."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])  # its own inverse

_DISPLAYED_SAMPLE = 1_000_000
"""Voxels from which the grey window of an image is taken; a percentile needs no more."""


def add_series(scene: slicer.vtkMRMLScene, series: Series, name: str = "MRI") -> slicer.vtkMRMLScalarVolumeNode:
    """Adds `series` to `scene` as a grey volume, its window set to the 1st to 99.5th percentile of the tissue.

    The node shares the memory of `series.voxels`.
    """
    node = _add_volume(scene, series.voxels, name)
    geometry = series.geometry
    node.SetOrigin(*(_LPS_TO_RAS @ geometry.origin))
    node.SetSpacing(*geometry.spacing)
    node.SetIJKToRASDirections(*(_LPS_TO_RAS @ geometry.direction).ravel())

    display = node.GetDisplayNode()
    display.SetWindowLevelMinMax(*_grey_window(series.voxels))
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    return node


def add_map(volume: slicer.vtkMRMLScalarVolumeNode, values: np.ndarray, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Adds `values` (z, y, x) float32 to the scene of `volume`, voxel on voxel, under the same parent transform.

    The node shares the memory of `values`.
    """
    node = _add_volume(volume.GetScene(), values, name)
    node.CopyOrientation(volume)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    return node


def update_map(
    node: slicer.vtkMRMLScalarVolumeNode, volume: slicer.vtkMRMLScalarVolumeNode, values: np.ndarray
) -> None:
    """Shows `values` (z, y, x) float32, on the grid of `volume`, in a node that `add_map` made.

    Values that the node already shares, changed in place, are not touched; others are shared from now on.
    """
    image = node.GetImageData()
    if image is not None and np.may_share_memory(slicer.util.arrayFromVolume(node), values):
        image.GetPointData().GetScalars().Modified()
        image.Modified()
    else:
        node.SetAndObserveImageData(_image(values))
    node.CopyOrientation(volume)


def move_map(node: slicer.vtkMRMLScalarVolumeNode, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Puts a node that `add_map` made voxel on voxel again, where `volume` was moved since."""
    node.CopyOrientation(volume)
    if node.GetTransformNodeID() != volume.GetTransformNodeID():
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())


def series_from_volume(node: slicer.vtkMRMLScalarVolumeNode, slices: int | None = None) -> Series:
    """`Series` of kind "scene" from a volume node, placed where a linear parent transform puts it.

    The voxels are copied: what happens in the scene afterwards does not reach the series.

    Args:
        slices: how many of them for a quick look, evenly along the volume; all when None.

    Raises:
        InputError: no image, a label map, more than one value a voxel, or a transform that is not linear or shears.
    """
    image = node.GetImageData()
    if image is None or not image.GetNumberOfPoints() or image.GetPointData().GetScalars() is None:
        raise InputError("The volume holds no image; choose a volume with voxels.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError("The volume has several values in each voxel; choose a plain grey-value volume.")
    voxels, geometry = slicer.util.arrayFromVolume(node), geometry_in_world(node)
    if slices is not None:
        step = max(1, len(voxels) // slices)
        start = (len(voxels) - 1) % step // 2
        origin, (i_mm, j_mm, k_mm) = geometry.ijk_to_lps[:3] @ [0, 0, start, 1], geometry.spacing
        voxels = voxels[start::step]
        geometry = Geometry(_triple(origin), (i_mm, j_mm, k_mm * step), geometry.direction)
    elif vars(node).get(_NO_LABEL_MAP) != image.GetMTime():
        check_no_label_map(voxels)
        setattr(node, _NO_LABEL_MAP, image.GetMTime())
    number = _SERIES_NUMBER.match(node.GetName() or "")
    series = Series(
        np.array(voxels, np.float32),
        geometry,
        kind="scene",
        selection="The volume chosen in the scene.",
        label=f"Series {number[1]}" if number else "",
    )
    return series.warned(*MIRRORED) if _is_mirrored(node) else series


def files_of(node: slicer.vtkMRMLScalarVolumeNode) -> list[Path]:
    """The files that a volume was read from, as far as they are still there."""
    storage = node.GetStorageNode()
    if storage is None or not storage.GetFileName():
        return []
    names = [storage.GetFileName(), *(storage.GetNthFileName(n) for n in range(storage.GetNumberOfFileNames()))]
    return [path for path in dict.fromkeys(map(Path, names)) if path.is_file()]


def ijk_to_world(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """(4, 4) affine from voxel index (i, j, k, 1) to RAS mm in the world, through the parent transforms.

    Raises:
        InputError: a transform that is not linear.
    """
    ijk_to_ras, ras_to_world = vtkMatrix4x4(), vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    transform = node.GetParentTransformNode()
    if transform is not None:
        if not transform.IsTransformToWorldLinear():
            raise InputError(
                "The volume lies under a warping transform; harden the transform in the Data module first."
            )
        transform.GetMatrixTransformToWorld(ras_to_world)
    return slicer.util.arrayFromVTKMatrix(ras_to_world) @ slicer.util.arrayFromVTKMatrix(ijk_to_ras)


def ijk_to_ras_of(geometry: Geometry) -> np.ndarray:
    """(4, 4) affine from voxel index (i, j, k, 1) to RAS mm."""
    affine = geometry.ijk_to_lps
    affine[:3] = _LPS_TO_RAS @ affine[:3]
    return affine


def write_volume(node: slicer.vtkMRMLScalarVolumeNode, path: Path) -> None:
    """Writes a heatmap as compressed NRRD, in LPS: the evidence for its class, 0 to 1.

    Raises:
        InputError: the file cannot be written.
    """
    evidence = slicer.vtkMRMLScalarVolumeNode()
    evidence.CopyOrientation(node)
    evidence.SetAndObserveImageData(_image(np.maximum(slicer.util.arrayFromVolume(node), 0)))
    storage = slicer.vtkMRMLNRRDStorageNode()
    storage.SetFileName(str(path))
    if not storage.WriteData(evidence):
        raise InputError("The heatmap cannot be written; check that the output folder is writable and has space.")


def _add_volume(scene: slicer.vtkMRMLScene, voxels: np.ndarray, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()  # before the voxels come, through all of which it would look
    node.SetAndObserveImageData(_image(voxels))
    node.AddDefaultStorageNode()
    # Else a reopened scene would count the slices of a left-handed volume from the other end.
    node.GetStorageNode().SetForceRightHandedIJKCoordinateSystem(False)
    return node


def _image(voxels: np.ndarray) -> vtkImageData:
    image = vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    # VTK keeps a reference to the array, so sharing its memory is safe.
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(voxels).ravel()))
    return image


def _grey_window(voxels: np.ndarray) -> tuple[float, float]:
    sample = voxels.ravel()[:: voxels.size // _DISPLAYED_SAMPLE + 1]
    tissue = sample[sample != 0]
    low, high = np.percentile(tissue, [1, 99.5]) if tissue.size else (0, 1)
    return float(low), float(max(high, low + 1e-6))


def geometry_in_world(node: slicer.vtkMRMLScalarVolumeNode) -> Geometry:
    """Where a linear parent transform puts a volume.

    Raises:
        InputError: a transform that is not linear or shears.
    """
    if node.GetParentTransformNode() is None:
        # Not by way of the matrix, which would round.
        directions = vtkMatrix4x4()
        node.GetIJKToRASDirectionMatrix(directions)
        axes = slicer.util.arrayFromVTKMatrix(directions)[:3, :3]
        spacing, origin = node.GetSpacing(), node.GetOrigin()
    else:
        affine = ijk_to_world(node)
        spacing, origin = np.linalg.norm(affine[:3, :3], axis=0), affine[:3, 3]
        axes = affine[:3, :3] / spacing
    return Geometry(_triple(_LPS_TO_RAS @ origin), _triple(spacing), _LPS_TO_RAS @ axes)


def _is_mirrored(node: slicer.vtkMRMLScalarVolumeNode) -> bool:
    transform, to_world = node.GetParentTransformNode(), vtkMatrix4x4()
    if transform is not None:
        transform.GetMatrixTransformToWorld(to_world)
    return to_world.Determinant() < 0


def _triple(values: Iterable[float]) -> tuple[float, float, float]:
    x, y, z = map(float, values)
    return x, y, z
