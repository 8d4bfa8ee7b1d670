"""Slicer's application without its desktop: a scene whose slice views are rendered offscreen."""

from __future__ import annotations

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
from vtkmodules.vtkRenderingCore import vtkRenderWindow, vtkWindowToImageFilter

from DystrophyDxLib.mrml.scenes import vtk_messages_to_log


class OffscreenSlicer:
    """A Slicer scene with application logic (which links views) and slice views, rendered on demand.

    Attributes:
        scene: an own, otherwise empty MRML scene.
    """

    def __init__(self, *views: str) -> None:
        window = vtkRenderWindow()
        window.SetOffScreenRendering(True)
        window.Initialize()
        if not window.IsCurrent():
            raise RuntimeError("These tests need OpenGL; install it (Debian, Ubuntu: libegl1 libgl1-mesa-dri).")
        window.Finalize()
        self._app = SlicerApp()
        vtk_messages_to_log()
        self.scene = self._app.scene
        self.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
        # Before the layout, whose slice nodes these views would not take.
        self._views = {
            name: SliceView(self.scene, self._app.app_logic, name, scheduled_render_strategy=NoScheduleRendering())
            for name in views or ("Red",)
        }
        self._layout = slicer.vtkMRMLLayoutLogic()
        self._layout.SetMRMLScene(self.scene)
        self._layout.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)

    def node(self, name: str = "Red") -> slicer.vtkMRMLSliceNode:
        """Slice node of a view."""
        return self._views[name].get_view_node()

    def logic(self, name: str) -> slicer.vtkMRMLSliceLogic:
        """What the mouse in that view acts on."""
        return self._app.app_logic.GetSliceLogic(self.node(name))

    def resize(self, width: int, height: int, name: str = "Red") -> None:
        """Makes pictures of a view `width` × `height` pixels."""
        self._views[name].render_window().SetSize(width, height)
        self.node(name).SetDimensions(width, height, 1)

    def picture(self, name: str = "Red") -> np.ndarray:
        """What a view shows: (height, width, 3) uint8 RGB, top row first."""
        view = self._views[name]
        view.render()
        grabber = vtkWindowToImageFilter()
        grabber.SetInput(view.render_window())
        grabber.ReadFrontBufferOff()
        grabber.ShouldRerenderOff()
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()
