"""`ReadingRoom`: the cases of a reader study in the slice views of a scene, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import slicer

from ..errors import InputError
from ..explain.colours import OPACITY
from ..series.image_files import read_image_file
from ..series.reading import read_study
from ..series.series import Series
from .classification import SceneClassification
from .classification_view import ClassificationView
from .display import HeatmapDisplay
from .layers import Layers, keep_with_images, layers, set_layers
from .layouts import MAIN_VIEW, Layout
from .legs_in_view import PLACES
from .views_state import ViewsState
from .volumes import add_series

if TYPE_CHECKING:
    from ..readerstudy.session import Item, ReadingSession

REST_SECONDS = 1.0
"""How long a reader must have let the image rest before a file is read ahead."""


class ReadingRoom:
    """Shows the cases of a reading session and logs what the reader does to them.

    A case is shown from its middle slice, in the grey window of the protocol: the MRI alone, or in the aided arm beside
    itself with the heatmap. Its nodes have the same names whatever the case is, are saved with no scene, and leave the
    scene when the next case comes.

    Args:
        scene: with a layout node, as Slicer's application and `scenes.new_scene` have it.
        session: of a reader who has signed in; `close` signs out.
        settle: lets the views take their size after the layout has changed.
    """

    def __init__(self, scene: slicer.vtkMRMLScene, session: ReadingSession, settle: Callable[[], None]) -> None:
        self.session = session
        self._scene = scene
        self._view = ClassificationView(scene)
        self._settle = settle
        self._item: Item | None = None
        self._classification: SceneClassification | None = None
        self._ahead: dict[Path, Series] = {}
        self._observed: list[tuple[slicer.vtkMRMLNode, int]] = []
        self._slice: int | None = None
        self._grey_window: tuple[float, float] | None = None
        self._touched = 0.0
        self._before = ViewsState(scene)
        self._hidden: Layers | None = None
        self._hide()

    def show(self) -> Item | None:
        """Shows the case that is due and returns it; None where there is none, see `session.progress`.

        Raises:
            InputError: a file of the case is missing or damaged. The session is paused then; `resume` tries again.
        """
        item = self.session.show()
        if item is None:
            self._empty()
        else:
            self._show_or_pause(item)
        return item

    def pause(self) -> None:
        """Hides the case; its time stands still until `resume`. Raises as `ReadingSession.pause`."""
        self._hide()
        if self.session.item:
            self.session.pause()

    def resume(self) -> None:
        """Shows the case again as it was left. Raises as `show` and `ReadingSession.resume`."""
        if self.session.item:
            self.session.resume()
            self._show_or_pause(self.session.item)

    def read_ahead(self) -> bool:
        """Reads one file of the next case if the reader lets the image rest.

        Returns:
            Whether there may be more to read later.

        Raises:
            InputError: it is missing or damaged.
        """
        if self.session.item is None:
            return False
        wanted = {self.session.next_image: read_study, self.session.next_heatmap: _read_heatmap}
        wanted.pop(None, None)
        due = next((path for path in wanted if path not in self._ahead), None)
        if due is not None and time.monotonic() - self._touched >= REST_SECONDS:
            self._ahead = {path: series for path, series in self._ahead.items() if path in wanted}
            self._ahead[due] = wanted[due](due)
        return due is not None

    def scroll(self, slices: int) -> None:
        """Goes some slices on, or back where negative, at most to the last or the first."""
        k, shown = self._view.slice, self._classification
        if self._seen and k is not None and shown is not None:
            last = shown.volume.GetImageData().GetDimensions()[2] - 1
            self._view.slice = min(max(k + slices, 0), last)

    def close(self) -> None:
        """Signs the reader out and leaves the views as they were. Raises as `ReadingSession.close`."""
        try:
            self.session.close()
        finally:
            self._empty()
            self._before.restore(self._settle)
            keep_with_images(self._scene)

    def _show_or_pause(self, item: Item) -> None:
        try:
            if item is self._item and self._in_scene:
                self._reveal()
            else:
                self._present(item)
        except Exception:
            self.pause()  # whatever it was: nobody answers a case that is not wholly there
            raise

    def _present(self, item: Item) -> None:
        """Shows the files of an item; in the second step of sequential reading the case stays where it is."""
        before = self._item
        stays = before is not None and (item.image, item.position) == (before.image, before.position) and self._in_scene
        shown = self._classification if stays else None
        place = self._view.slice if stays else None
        if shown is None:  # both files are read before anything changes
            self._ahead[item.image] = self._taken(item.image, read_study)
        evidence = self._taken(item.heatmap, _read_heatmap) if item.heatmap else None
        if shown is None:
            self._hide()  # or else the views would draw without each node in turn
            self._discard()
            shown = SceneClassification(add_series(self._scene, self._ahead.pop(item.image), "MRI"))
            shown.volume.GetDisplayNode().SetWindowLevelMinMax(*item.grey_window)
            _leave_unsaved(shown.volume)
            self._classification = shown
        if evidence is not None:
            _add_heatmap(shown, evidence)
        self._item = item
        self._hidden = None
        self._forget()
        self._arrange(Layout.OVERLAY if evidence is None else Layout.SIDE_BY_SIDE)
        self._view.overlay, self._view.opacity = True, OPACITY
        self._view.show(shown)
        if place is not None:
            self._view.fit(place)  # the layout may be another one; another case is fitted where it is shown
        if evidence is not None:  # the lower right corner: beside each other, the views are higher than the images
            HeatmapDisplay(shown.heatmap).place_legend(f"vtkMRMLSliceNode{MAIN_VIEW}", PLACES[2])
        self._observe(shown.volume.GetDisplayNode())

    def _arrange(self, layout: Layout) -> None:
        if self._view.layout is not layout:
            self._view.layout = layout
            self._settle()

    def _taken(self, path: Path, read: Callable[[Path], Series]) -> Series:
        """What was read ahead of a file, or else is read now."""
        return self._ahead.pop(path, None) or read(path)

    def _observe(self, display: slicer.vtkMRMLScalarVolumeDisplayNode) -> None:
        self._slice, self._grey_window = self._view.slice, _grey_window(display)
        if self._slice is not None:
            self.session.slice_shown(self._slice)
        for node, changed in (
            (self._scene.GetNodeByID(f"vtkMRMLSliceNode{MAIN_VIEW}"), self._on_view_changed),
            (display, self._on_display_changed),
        ):
            self._observed.append((node, node.AddObserver("ModifiedEvent", changed)))

    def _on_view_changed(self, _node: slicer.vtkMRMLSliceNode, _event: str) -> None:
        now = self._view.slice
        if self._seen and now not in (self._slice, None):
            self._slice = now
            self._touched = time.monotonic()
            self.session.slice_shown(now)

    def _on_display_changed(self, display: slicer.vtkMRMLScalarVolumeDisplayNode, _event: str) -> None:
        now = _grey_window(display)
        if self._seen and now != self._grey_window:
            self._grey_window = now
            self._touched = time.monotonic()
            self.session.window_changed(*now)

    @property
    def _seen(self) -> bool:
        """Whether what happens in the views happens to the item of the session."""
        return self._hidden is None and self._in_scene and self._item is self.session.item

    @property
    def _in_scene(self) -> bool:
        return self._classification is not None and self._classification.volume.GetScene() is self._scene

    def _forget(self) -> None:
        """Observes the case no longer."""
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = []

    def _discard(self) -> None:
        """Takes the nodes of the case out of the scene."""
        self._forget()
        if self._classification is not None and self._in_scene:
            self._classification.discard()
        self._item = self._classification = None

    def _empty(self) -> None:
        self._discard()
        self._ahead = {}
        self._hide()

    def _hide(self) -> None:
        if self._hidden is None:
            self._hidden = layers(self._scene)
            set_layers(self._scene, dict.fromkeys(self._hidden, (None, None)))

    def _reveal(self) -> None:
        if self._hidden is not None:
            set_layers(self._scene, self._hidden)
            self._hidden = None


def _read_heatmap(path: Path) -> Series:
    """Evidence of the model, which may be none anywhere."""
    try:
        return read_image_file(path)
    except OSError:
        raise InputError("A heatmap of the study cannot be opened; check the folder's permissions.") from None


def _add_heatmap(shown: SceneClassification, evidence: Series) -> None:
    if evidence.voxels.shape[::-1] != shown.volume.GetImageData().GetDimensions():
        raise InputError("A heatmap of the study is not of its case; restore it from the study's backup.")
    _leave_unsaved(shown.put_heatmap(evidence.voxels))


def _grey_window(display: slicer.vtkMRMLScalarVolumeDisplayNode) -> tuple[float, float]:
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def _leave_unsaved(volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    for node in (volume, volume.GetDisplayNode(), volume.GetStorageNode()):
        if node is not None:
            node.SetSaveWithScene(False)
