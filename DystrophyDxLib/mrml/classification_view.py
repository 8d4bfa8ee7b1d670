"""`ClassificationView`: a classification in the slice views of its scene."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import slicer

from ..errors import InputError
from ..explain.colours import OPACITY
from ..models.decision import decision_of
from ..results import ImageResult
from .classification import SceneClassification
from .display import HeatmapDisplay
from .layers import Layers, keep_with_images, layers, update_legends
from .layouts import MAIN_VIEW, MRI_VIEW, Layout, register_layouts
from .nodes import nodes_of_class
from .slice_plane import SlicePlane, whole

_ON, _OFF = "on", "off"
_OVERLAY = "DystrophyDx.overlay"


class ClassificationView:
    """What the slice views of a scene show of a classification: MRI, heatmap over it, leg outlines, a slice.

    The state lies in the nodes of views and displays, so it is saved with the scene, and what the user changes by
    Slicer's own means holds here too.

    Args:
        scene: with a layout node, as Slicer's application and `scenes.new_scene` have it.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self.scene = scene
        self._side: str | None = None
        self._layers: tuple[Layers, int] | None = None
        self._left: dict[str, int] = {}
        """Slice that was last seen of each volume, by its ID."""
        register_layouts(self._layout_node())

    def show(self, classification: SceneClassification) -> None:
        """Shows a classification in all slice views; planes and zoom are left alone where it is the one shown already.

        Call it again after a classification: the heatmap, where there is one now, appears.
        """
        classification.follow_volume()
        classification.tabulate()
        shown = self.classification
        changes = shown != classification
        for name in ("Red", "Green", "Yellow"):  # what Slicer shows there when the reader changes the layout
            self._composite(name)
        main = self._composite(MAIN_VIEW)
        if main.GetAttribute(_OVERLAY) is None:
            main.SetAttribute(_OVERLAY, _ON)
            main.SetForegroundOpacity(OPACITY)
        if classification.heatmap is not None:
            HeatmapDisplay(classification.heatmap)
        if changes:
            if shown is not None and (k := self.slice) is not None:
                self._left[shown.volume.GetID()] = k
            # Before it is shown, as views draw at every change.
            self._fit(classification, self._left.get(classification.volume.GetID()))
        unchanged = [(composite, composite.StartModify()) for composite in self._composites()]
        for composite, _ in unchanged:
            composite.SetBackgroundVolumeID(classification.volume.GetID())
        self._show_heatmap()
        for composite, modifying in unchanged:
            composite.EndModify(modifying)
        self.opacity = self.opacity  # in views that came later too
        for other in SceneClassification.of(self.scene):
            segmentation = other.segmentation
            if (
                segmentation is not None
                and segmentation.GetDisplayNode() is not None
                and (changes or other != classification)
            ):
                segmentation.GetDisplayNode().SetVisibility(other == classification)
        keep_with_images(self.scene)

    @property
    def classification(self) -> SceneClassification | None:
        """The classification whose volume the main view shows; it may hold no answer yet."""
        volume = self.scene.GetNodeByID(self._composite(MAIN_VIEW).GetBackgroundVolumeID() or "")
        return SceneClassification(volume) if isinstance(volume, slicer.vtkMRMLScalarVolumeNode) else None

    def fit(self, k: int | None = None) -> None:
        """Turns all slice views to voxel planes of the volume and shows it whole, the main one on slice k or else in
        the middle; nothing under a warping transform."""
        if self.classification is not None:
            self._fit(self.classification, k)

    def arrange(self, layout: Layout, settle: Callable[[], None]) -> None:
        """Arranges the views anew, each with the volume whole, on the slice that is shown.

        Args:
            settle: lets the views take their sizes, each with a zoom of its own; linked ones move each other then.
        """
        k = self.slice
        self.layout = layout
        settle()
        self.fit(k)

    def follow(self) -> None:
        """Answers what was done to the views by Slicer's own means: heatmap, legend and outlines stay with their
        images, and each volume is shown again on the slice that was last seen of it."""
        now = layers(self.scene), len(self._slice_nodes())  # a view may come after what it shows
        if now != self._layers:
            keep_with_images(self.scene)
            self._layers = now
        if self.classification is not None and (k := self.slice) is not None:
            self._left[self.classification.volume.GetID()] = k

    @property
    def layout(self) -> Layout | None:
        """How the views are arranged; None for another layout of Slicer's."""
        shown = self._layout_node().GetViewArrangement()
        return next((layout for layout in Layout if layout.number == shown), None)

    @layout.setter
    def layout(self, layout: Layout) -> None:
        self._layout_node().SetViewArrangement(layout.number)
        beside = layout is Layout.SIDE_BY_SIDE
        main, mri = self._composite(MAIN_VIEW), self._composite(MRI_VIEW)
        mri.SetBackgroundVolumeID(main.GetBackgroundVolumeID())
        mri.SetForegroundVolumeID(None)
        for composite in (main, mri):
            composite.SetLinkedControl(beside)
            composite.SetHotLinkedControl(beside)
        if beside:
            self._align()

    @property
    def overlay(self) -> bool:
        """Whether the heatmap is seen."""
        return self._composite(MAIN_VIEW).GetAttribute(_OVERLAY) != _OFF

    @overlay.setter
    def overlay(self, visible: bool) -> None:
        self._composite(MAIN_VIEW).SetAttribute(_OVERLAY, _ON if visible else _OFF)
        self._show_heatmap()
        update_legends(self.scene)

    @property
    def opacity(self) -> float:
        """Opacity of the heatmap over the MRI, 0 to 1; the same in all slice views."""
        return self._composite(MAIN_VIEW).GetForegroundOpacity()

    @opacity.setter
    def opacity(self, value: float) -> None:
        for composite in self._composites():
            composite.SetForegroundOpacity(value)

    @property
    def heatmap(self) -> HeatmapDisplay | None:
        """Threshold, sign and legend of the heatmap; None while there is none."""
        classification = self.classification
        return (
            HeatmapDisplay(classification.heatmap)
            if classification is not None and classification.heatmap is not None
            else None
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `shown_class`; none before classification."""
        result = self.classification.result if self.classification else None
        return result.model.classes if result else ()

    @property
    def _one_heatmap(self) -> bool:
        result = self.classification.result if self.classification else None
        return result is not None and decision_of(result).ONE_HEATMAP

    @property
    def shown_class(self) -> int | None:
        """Index of the class whose evidence is seen; None without a heatmap. Where the heatmap does not hold it, it is
        filled anew.

        Raises (when set):
            InputError: as `SceneClassification.heat_of`.
        """
        heatmap, classification = self.heatmap, self.classification
        if heatmap is None or classification is None:
            return None
        return heatmap.shown_class if self._one_heatmap else classification.shown_class

    @shown_class.setter
    def shown_class(self, index: int) -> None:
        heatmap, classification = self.heatmap, self.classification
        if heatmap is None or classification is None:
            return
        if self._one_heatmap:
            heatmap.shown_class = index
        elif index != classification.shown_class:
            classification.show_heat(classification.heat_of(index))

    @property
    def slice(self) -> int | None:
        """Slice k of the volume that the main view shows; None without one, and under a warping transform. The view
        beside it goes along."""
        classification = self.classification
        if classification is None or classification.volume.GetImageData() is None:
            return None
        try:
            return SlicePlane(self._slice_node(MAIN_VIEW), classification.volume).slice
        except InputError:
            return None

    @slice.setter
    def slice(self, k: int) -> None:
        classification = self.classification
        if classification is None or classification.volume.GetImageData() is None:
            return
        try:
            for node in (self._slice_node(MAIN_VIEW), self._slice_node(MRI_VIEW)):
                if node is not None:
                    SlicePlane(node, classification.volume).go_to_slice(k)
        except InputError:
            return

    @property
    def image(self) -> ImageResult | None:
        """The image last gone to, or the first one of the slice where the reader moved on; None where there is none."""
        k = self.slice
        here = [image for image in self._images() if k in image.shown]
        return next((image for image in here if image.side == self._side), here[0] if here else None)

    def go_to(self, image: ImageResult) -> None:
        """Moves every slice view to an image: through the middle of its window, whatever plane the view shows."""
        classification = self.classification
        if classification is None:
            return
        self._side = image.side
        middle = [(start + stop - 1) / 2 for start, stop in image.window_ijk]
        try:
            for node in self._slice_nodes():
                SlicePlane(node, classification.volume).go_to((*middle, image.slice))
        except InputError:
            return

    def next_image(self) -> ImageResult | None:
        """Goes to the next image along the thigh, at most to the last; returns where the views are then."""
        return self._step(+1)

    def previous_image(self) -> ImageResult | None:
        """Goes to the image before, at most to the first; returns where the views are then."""
        return self._step(-1)

    def _step(self, step: int) -> ImageResult | None:
        images, here, k = self._images(), self.image, self.slice
        if not images or k is None:
            return None
        if here is not None:
            n = images.index(here) + step
        else:
            after = bisect_left([image.slice for image in images], k)
            n = after if step > 0 else after - 1
        target = images[min(max(n, 0), len(images) - 1)]
        self.go_to(target)
        return target

    def _images(self) -> list[ImageResult]:
        result = self.classification.result if self.classification else None
        return sorted(result.images, key=lambda image: image.slice) if result else []

    def _fit(self, classification: SceneClassification, k: int | None = None) -> None:
        if classification.volume.GetImageData() is None:
            return
        box = whole(classification.volume)
        middle = min(k, box[2][1] - 1) if k is not None else (box[2][1] - 1) // 2
        try:
            for node in self._slice_nodes():
                plane, acquired = SlicePlane(node, classification.volume), node.GetLayoutName() in (MAIN_VIEW, MRI_VIEW)
                plane.turn(acquired)
                plane.frame((*box[:2], (middle, middle + 1)) if acquired else box)
        except InputError:
            return

    def _show_heatmap(self) -> None:
        classification = self.classification
        shown = classification.heatmap if classification is not None and self.overlay else None
        for composite in self._composites():
            over = shown if composite.GetLayoutName() != MRI_VIEW else None
            composite.SetForegroundVolumeID(over.GetID() if over is not None else None)

    def _align(self) -> None:
        """Makes the view without heatmap show what the main one shows."""
        main, mri = self._slice_node(MAIN_VIEW), self._slice_node(MRI_VIEW)
        if main is None or mri is None:
            return
        mri.GetSliceToRAS().DeepCopy(main.GetSliceToRAS())
        mri.SetXYZOrigin(*main.GetXYZOrigin())
        width, _, depth = main.GetFieldOfView()
        columns, rows, _ = mri.GetDimensions()
        mri.SetFieldOfView(width, width * rows / max(columns, 1), depth)
        mri.UpdateMatrices()

    def _layout_node(self) -> slicer.vtkMRMLLayoutNode:
        return self.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")

    def _slice_node(self, name: str) -> slicer.vtkMRMLSliceNode | None:
        return next((node for node in self._slice_nodes() if node.GetLayoutName() == name), None)

    def _slice_nodes(self) -> list[slicer.vtkMRMLSliceNode]:
        return self._all("vtkMRMLSliceNode")

    def _composite(self, name: str) -> slicer.vtkMRMLSliceCompositeNode:
        for node in self._composites():
            if node.GetLayoutName() == name:
                return node
        node = slicer.vtkMRMLSliceCompositeNode()
        node.SetLayoutName(name)
        return self.scene.AddNode(node)

    def _composites(self) -> list[slicer.vtkMRMLSliceCompositeNode]:
        return self._all("vtkMRMLSliceCompositeNode")

    def _all(self, kind: str) -> list[slicer.vtkMRMLNode]:
        return nodes_of_class(self.scene, kind)
