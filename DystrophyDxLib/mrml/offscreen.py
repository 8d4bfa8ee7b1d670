"""Slicer without its desktop: a scene and one axial slice view, rendered offscreen."""

from __future__ import annotations

import logging
import os
import sys

import numpy as np
import slicer

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    # Without a display VTK would first try, and complain of, an X server.
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    os.environ.setdefault("EGL_LOG_LEVEL", "fatal")

from trame_slicer.core import SlicerApp
from trame_slicer.views import SliceView
from trame_slicer.views.render_scheduler import NoScheduleRendering
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import VTK_STRING, vtkLogger, vtkOutputWindow
from vtkmodules.vtkRenderingCore import vtkRenderWindow, vtkWindowToImageFilter

from ..errors import InputError
from .volumes import ijk_to_world

Box = tuple[tuple[int, int], tuple[int, int]]

_logger = logging.getLogger(__name__)


class OffscreenSlicer:
    """A Slicer scene with the slice view "Red", in the radiological convention: patient right on the left.

    The layout saved with the scene is that one view, so Slicer opens the scene with it. What VTK has to say goes to
    the log of this module at level INFO.

    Attributes:
        scene: an own, otherwise empty MRML scene.

    Raises:
        InputError: this computer has no OpenGL, neither with a display nor without (EGL, OSMesa).
    """

    def __init__(self) -> None:
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
        _require_opengl()
        self._app = SlicerApp()
        _log_vtk_messages()
        self.scene = self._app.scene
        self.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
        # Rendered on demand: most changes of the scene are not worth a picture.
        self._view = SliceView(self.scene, self._app.app_logic, "Red", scheduled_render_strategy=NoScheduleRendering())
        self._layout = slicer.vtkMRMLLayoutLogic()
        self._layout.SetMRMLScene(self.scene)
        self._layout.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        for name in ("Green", "Yellow"):  # what Slicer shows there when the reader changes the layout
            composite = slicer.vtkMRMLSliceCompositeNode()
            composite.SetLayoutName(name)
            self.scene.AddNode(composite)
        self._grabber = vtkWindowToImageFilter()
        self._grabber.SetInput(self._view.render_window())
        self._grabber.ReadFrontBufferOff()
        self._grabber.ShouldRerenderOff()

    def look_at(self, volume: slicer.vtkMRMLScalarVolumeNode, box: Box) -> float:
        """Turns the view to the slices of `volume` (not to anatomical planes, where these differ).

        Args:
            box: half-open index ranges ((i0, i1), (j0, j1)) that the view frames.

        Returns:
            Width of the box on the screen relative to its height.
        """
        self._ijk_to_ras = ijk_to_world(volume)
        self._center = [(start + stop - 1) / 2 for start, stop in box]
        plane = self._view.get_view_node()
        plane.SetOrientation(("Sagittal", "Coronal", "Axial")[np.abs(self._ijk_to_ras[:3, 2]).argmax()])
        plane.RotateToVolumePlane(volume)
        screen_axes = slicer.util.arrayFromVTKMatrix(plane.GetSliceToRAS())[:3, :2].T
        self._extent = np.abs(screen_axes @ self._ijk_to_ras[:3, :2]) @ [stop - start for start, stop in box]
        return float(self._extent[0] / self._extent[1])

    def set_size(self, width: int, height: int) -> None:
        """Makes pictures `width` × `height` pixels; the framed box fills them as far as its shape allows."""
        self._view.render_window().SetSize(width, height)
        plane = self._view.get_view_node()
        plane.SetDimensions(width, height, 1)
        mm_per_pixel = max(self._extent / (width, height))
        plane.SetFieldOfView(width * mm_per_pixel, height * mm_per_pixel, plane.GetFieldOfView()[2])

    def show_slice(self, k: int) -> None:
        """Moves the view to slice `k` of the volume that it looks at."""
        plane = self._view.get_view_node()
        position = self._ijk_to_ras @ [*self._center, k, 1]
        for row in range(3):
            plane.GetSliceToRAS().SetElement(row, 3, position[row])
        plane.UpdateMatrices()

    def picture(self) -> np.ndarray:
        """What the view shows: (height, width, 3) uint8 RGB, top row first."""
        self._view.render()
        self._grabber.Modified()
        self._grabber.Update()
        image = self._grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()

    @property
    def edges(self) -> tuple[str, str]:
        """Patient directions at the left and the right edge of the view, e.g. ("R", "L")."""
        across = slicer.util.arrayFromVTKMatrix(self._view.get_view_node().GetSliceToRAS())[:3, 0]
        axis = np.abs(across).argmax()
        negative, positive = ("LR", "PA", "IS")[axis]
        return (negative, positive) if across[axis] > 0 else (positive, negative)


def _require_opengl() -> None:
    window = vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.Initialize()
    # VTK would crash at the first picture.
    if not window.IsCurrent():
        raise InputError(
            "Slicer's views need OpenGL, which is missing here; install it (Debian, Ubuntu: libegl1 libgl1-mesa-dri)."
        )
    window.Finalize()


def _log_vtk_messages() -> None:
    def log(_window, _event: str, text: str) -> None:
        _logger.info("%s", text.strip())

    log.CallDataType = VTK_STRING
    window = vtkOutputWindow.GetInstance()
    window.SetDisplayModeToNever()
    for event in ("ErrorEvent", "WarningEvent"):
        window.AddObserver(event, log)
