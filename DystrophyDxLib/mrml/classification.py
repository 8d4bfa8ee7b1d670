"""`SceneClassification`: a volume of a scene and what was found in it, in nodes that are saved with the scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import slicer
from pydantic import ValidationError

from ..errors import Cancelled, InputError
from ..explain.texture_score import texture_scores
from ..muscles.muscle_map import TOLD
from ..regions.legs import find_legs
from ..regions.windows import Regions, Side
from ..results import ImageResult, MuscleTexture, ResultWarning, StudyResult
from ..series.series import Series
from .drawn_region import SEGMENTATION, Digests, SceneRegion, digests, with_automatic
from .images_table import leg_by_leg, tabulate
from .model_input import CHANNEL, InputState, input_state, model_input, series_as_read, with_chosen_channels
from .muscle_nodes import MUSCLES, muscles_corrected, muscles_of, put_muscles
from .nodes import VolumeNodes, nodes_of_class, remove_node
from .segmentation import move_regions, muscles_from_segmentation
from .volumes import add_map, move_map, update_map

if TYPE_CHECKING:
    from ..classify import Classification, Classifier
    from ..explain.heat import Heat

Progress = Callable[[int, int], None]

_HEATMAP, _IMAGES, _CHART, _RESULT, _BEFORE = _OWN_ROLES = tuple(
    f"DystrophyDx.{role}" for role in ("heatmap", "images", "chart", "result", "resultBefore")
)
_ROLES = (SEGMENTATION, MUSCLES, *_OWN_ROLES)
_REGIONS = "DystrophyDx.regions"
_CLASS = "DystrophyDx.class"
_MEMORY, _PARSED = "dystrophydx_run", "dystrophydx_result"


class _Memory(NamedTuple):
    """What the scene does not keep of the last classification, of use as long as its input is what it was.

    Attributes:
        classification: without the images' answers, which are those of the scene.
        automatic: the regions as they were found without help.
        state: of the input.
    """

    classification: Classification
    automatic: Regions
    state: InputState


@dataclass(frozen=True)
class SceneClassification:
    """One input volume and what was found in it.

    The state lies in the scene: nodes that the volume refers to. So any two objects of one volume are the same, what
    a user renames stays found, and what a user deletes is None until the next classification makes it again.

    Attributes:
        volume: the MRI, in a scene.
    """

    volume: slicer.vtkMRMLScalarVolumeNode

    @classmethod
    def of(cls, scene: slicer.vtkMRMLScene) -> list[SceneClassification]:
        """The classifications of a scene, also of one that was just opened, in the order of their volumes."""
        volumes = map(cls, nodes_of_class(scene, "vtkMRMLScalarVolumeNode"))
        return [each for each in volumes if any(map(each._nodes.get, _ROLES))]

    @property
    def heatmap(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """Evidence on the grid of the volume: for `shown_class` up to 1, against it, and so of two classes for the
        first, down to -1."""
        return self._nodes.get(_HEATMAP)

    @property
    def shown_class(self) -> int:
        """Index of the class of `heatmap`: the second of two; of more the most likely, until `show_heat`."""
        heatmap = self.heatmap
        return int((heatmap.GetAttribute(_CLASS) if heatmap is not None else None) or 1)

    @property
    def segmentation(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The leg regions, as the reader may have corrected them."""
        return self._region.segmentation

    @property
    def images_table(self) -> slicer.vtkMRMLTableNode | None:
        """One row for each of `images`, for a person to read and for `chart` to plot; made by `tabulate`, with
        `images_table.COLUMNS`."""
        return self._nodes.get(_IMAGES)

    @property
    def chart(self) -> slicer.vtkMRMLPlotChartNode | None:
        """Probability along the thigh, one plot series a side, whose points are the rows of `images_table`. None of a
        model of volumes, and of one image."""
        return self._nodes.get(_CHART)

    @property
    def images(self) -> list[ImageResult]:
        """The images of `result` in the order of the rows of `images_table`."""
        return leg_by_leg(self.result.images) if self.result is not None else []

    @property
    def result(self) -> StudyResult | None:
        """The answer."""
        return _result_in(self._nodes.get(_RESULT))

    @property
    def result_before(self) -> StudyResult | None:
        """The answer before the last re-classification; None when there was none since `classify`."""
        return _result_in(self._nodes.get(_BEFORE))

    @property
    def changed_slices(self) -> tuple[int, ...]:
        """Slices k whose region is no longer that of `result`; all of them where nothing of the region can be read."""
        node = self._nodes.get(_RESULT)
        return self._region.edited_since((node.GetAttribute(_REGIONS) or "").split()) if node is not None else ()

    @property
    def pending(self) -> bool:
        """Whether the region was edited since the result."""
        return bool(self.changed_slices)

    @property
    def doubts(self) -> tuple[ResultWarning, ...]:
        """What is told of the region before it is classified, while the last answer is in memory; see `SceneRegion`."""
        memory = self._memory()
        return self._region.doubts(memory.automatic, memory.classification.result.input) if memory else ()

    @property
    def corrected(self) -> bool:
        """Whether a reader has corrected the region, classified or not; also where that cannot be told."""
        return self._region.corrected

    def channel(self, name: str) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The volume that is a further channel of the model's input; None where none was chosen."""
        return self.volume.GetNodeReference(CHANNEL + name)

    def set_channel(self, name: str, volume: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Chooses the volume of a further channel, registered to the first and on its grid."""
        self.volume.SetNodeReferenceID(CHANNEL + name, volume.GetID() if volume is not None else None)

    def classify(self, classifier: Classifier, progress: Progress | None = None) -> StudyResult:
        """Finds the legs and classifies them; what was there before is replaced.

        Where a reader has corrected the region, this is `reclassify`: only `reset` gives up a correction.

        Args:
            progress: as `Classifier.classify`; what it raises goes through and leaves the scene as it was.

        Raises:
            Cancelled: the volume was deleted meanwhile.
            InputError: as `reclassify`, `Classifier.classify`, `series_from_volume` and `with_channels`.
        """
        self.follow_volume()
        if self.corrected:
            return self.reclassify(classifier, progress)
        drawn, state = self._region.digests, input_state(self.volume)
        series = model_input(self.volume, self._series(), classifier.package, self.result)
        return self._put(
            with_corrected_muscles(classifier.classify(series, progress=progress), self, series), state, drawn
        )

    def put(self, classification: Classification) -> StudyResult:
        """Puts a finished classification of the volume into the scene; what was there before is replaced."""
        self.follow_volume()
        return self._put(classification, input_state(self.volume), self._region.digests)

    def tell(self, result: StudyResult) -> None:
        """Has the scene tell a result of the same classification, whose muscle map was corrected since."""
        _tell(self._nodes.get_or_add(_RESULT, "vtkMRMLTextNode", "result"), result.to_json(), result)

    def put_heatmap(self, evidence: np.ndarray) -> slicer.vtkMRMLScalarVolumeNode:
        """Puts a heatmap (z, y, x) float32 on the volume; see `heatmap`. One that was there before is replaced."""
        heatmap = self.heatmap
        if heatmap is None:
            heatmap = add_map(self.volume, evidence, self._nodes.named("heatmap"))
            self._nodes.put(_HEATMAP, heatmap)
        else:
            update_map(heatmap, self.volume, evidence)
        return heatmap

    def tabulate(self) -> None:
        """Makes `images_table` and `chart`, where they are there, say what `result` says; for a scene that was opened:
        saving rounds the figures, and an earlier version wrote other columns."""
        if self.images_table is not None and self.result is not None:
            tabulate(self.images, self.images_table, self.chart, self.result.ends)

    def reclassify(self, classifier: Classifier, progress: Progress | None = None) -> StudyResult:
        """Classifies the region as it is now; only windows that changed are run. What is drawn meanwhile is kept, and
        `pending` afterwards.

        All are run where the last answer is not in memory (the scene was reopened), or another model gave it.

        Args:
            progress: as `Classifier.classify`; what it raises goes through and leaves the scene as it was.

        Raises:
            Cancelled: the volume was deleted meanwhile.
            InputError: the region was deleted, or holds no leg, or a segment that is no leg.
        """
        self.follow_volume()
        memory, last, state = self._memory(), self._last(), input_state(self.volume)
        series, region = self._series(), classifier.region
        automatic = memory.automatic if memory else region.find(series)
        drawn = self._region.drawn
        regions = region.corrected(series, automatic, drawn.labels, drawn.overlapping)
        series = model_input(self.volume, series, classifier.package, self.result)
        found = classifier.classify(series, regions, progress=progress, previous=last)
        self._check_still_there()
        classification = with_corrected_muscles(found, self, series)
        now = digests(regions.labels, drawn)
        if drawn.overlapping or now != drawn.digests:  # what was drawn is not all that counts
            self._region.put_unless_edited(regions.labels, now, drawn.digests)
        if memory is None:
            self._region.keep_automatic(automatic, digests(automatic.labels, drawn))
        before = self._nodes.get(_RESULT)
        if before is not None:
            _tell(self._nodes.get_or_add(_BEFORE, "vtkMRMLTextNode", "result before"), before.GetText(), self.result)
        self._show(classification, now)
        return self._remember(classification, automatic, state)

    def heat_of(self, label: int) -> Heat:
        """Evidence for one of more than two classes.

        Raises:
            InputError: the last answer is not in memory (the scene was reopened).
        """
        last = self._last()
        if last is None:
            raise InputError("A saved scene keeps the heatmap of one class; classify again to see that of another.")
        return last.heat_of(label)

    def texture_scores(self, muscles: slicer.vtkMRMLSegmentationNode) -> tuple[MuscleTexture, ...]:
        """Share of each muscle of a segmentation under the heat that is shown; see `explain.texture_score`.

        Raises:
            InputError: the segmentation has no segments or none of them lies within the legs, the region cannot be
                read, or the heatmap was deleted.
        """
        if self.heatmap is None:
            raise InputError("The heatmap was deleted; classify the volume again.")
        drawn, names, _ = muscles_from_segmentation(muscles, self.volume)
        heat = slicer.util.arrayFromVolume(self.heatmap)
        return texture_scores(np.maximum(heat, 0), drawn, names, self._region.drawn.labels > 0)

    def show_heat(self, heat: Heat) -> None:
        """Puts heat of the volume into `heatmap`."""
        self.put_heatmap(heat.voxels).SetAttribute(_CLASS, str(heat.label))

    def reset(self, slice: int | None = None, side: Side | None = None) -> None:
        """Puts the automatic region back: of one slice, one side, both at once, or all of it.

        Raises:
            InputError: as `series_from_volume`; where the region cannot be read and not all of it is reset; or the last
                answer is not in memory (the scene was reopened) and the region is no leg.
        """
        self.follow_volume()
        memory = self._memory()
        if memory is None and self.result is not None and any(image.side == Side.NONE for image in self.result.images):
            raise InputError("A saved scene does not keep the automatic region; classify again, which finds it.")
        automatic = (memory.automatic if memory else find_legs(self._series())).labels
        if slice is not None or side is not None:
            automatic = with_automatic(self._region.drawn.labels, automatic, slice, side)
        self._region.put(automatic)

    def exclude(self, slice: int) -> None:
        """Takes both legs of a slice out of the region.

        Raises:
            InputError: the region cannot be read.
        """
        self.follow_volume()
        labels = self._region.drawn.labels.copy()
        labels[slice] = 0
        self._region.put(labels)

    def follow_volume(self) -> None:
        """Puts all where the volume is: under its transform, and moved with it where one was hardened on it alone."""
        if self.heatmap is not None:
            move_map(self.heatmap, self.volume)
        for node in (self.segmentation, self._nodes.get(MUSCLES)):
            if node is not None:
                move_regions(node, self.volume)

    def remove(self) -> None:
        """Takes everything but the volume out of the scene."""
        for role in _ROLES:
            self._nodes.remove(role)
        vars(self.volume).pop(_MEMORY, None)

    def discard(self) -> None:
        """Takes everything out of the scene, the volume too."""
        self.remove()
        remove_node(self.volume)

    def _check_still_there(self) -> None:
        if self.volume.GetScene() is None:
            raise Cancelled("The volume was deleted while it was classified.")

    def _put(self, classification: Classification, state: InputState, drawn: Digests | None) -> StudyResult:
        """drawn: the region when the classification began; where it is another one now, somebody draws."""
        self._check_still_there()
        regions = classification.regions
        now = digests(regions.labels)
        self._region.put_unless_edited(regions.labels, now, drawn)
        self._region.keep_automatic(regions, now)
        self._nodes.remove(_BEFORE)
        self._show(classification, now)
        return self._remember(classification, regions, state)

    def _show(self, classification: Classification, regions: Digests) -> None:
        """Heatmap, result, table and chart of a classification whose region, of these digests, is already shown."""
        self.show_heat(classification.heat)
        put_muscles(self.volume, classification.muscles)
        result = self._nodes.get_or_add(_RESULT, "vtkMRMLTextNode", "result")
        _tell(result, classification.result.to_json(), classification.result)
        result.SetAttribute(_REGIONS, " ".join(regions))
        self._nodes.get_or_add(_IMAGES, "vtkMRMLTableNode", "images")
        if len(self.images) < 2 or any(image.slices for image in self.images):  # VTK draws no line of one point
            self._nodes.remove(_CHART)
        else:
            self._nodes.get_or_add(_CHART, "vtkMRMLPlotChartNode", "probability along the thigh")
        self.tabulate()

    def _remember(self, classification: Classification, automatic: Regions, state: InputState) -> StudyResult:
        kept = replace(classification, result=classification.result.model_copy(update={"images": ()}))
        # A Python attribute of a VTK object lives as long as the object, whoever holds it.
        setattr(self.volume, _MEMORY, _Memory(kept, automatic, state))
        return classification.result

    def _memory(self) -> _Memory | None:
        memory = vars(self.volume).get(_MEMORY)
        return memory if memory is not None and memory.state == input_state(self.volume) else None

    def _last(self) -> Classification | None:
        """The last classification, its answer as the scene has it; None where the rest is not in memory."""
        memory, result = self._memory(), self.result
        return replace(memory.classification, result=result) if memory and result else None

    def _series(self) -> Series:
        return series_as_read(self.volume, self.result.input if self.result is not None else None)

    @property
    def _region(self) -> SceneRegion:
        return SceneRegion(self.volume)

    @property
    def _nodes(self) -> VolumeNodes:
        return VolumeNodes(self.volume)


def with_corrected_muscles(found: Classification, shown: SceneClassification, series: Series) -> Classification:
    """A classification that tells the fat of the muscle map as it was corrected or given in the scene; as it is where
    it was not. Its `muscles` stay those that were found.

    Raises:
        InputError: as `muscles_of`.
    """
    from ..classify import with_muscle_fat  # imports PyTorch, which whoever has a classification has loaded

    corrected = muscles_of(shown.volume, found.regions) if muscles_corrected(shown.volume) else None
    if corrected is None:
        return found
    return replace(found, result=with_muscle_fat(replace(found, muscles=corrected), series, found).result)


def result_now(shown: SceneClassification) -> StudyResult | None:
    """The answer with the fat of the muscle map as it is in the scene; that of the last classification where that is
    not in memory any more.

    Raises:
        InputError: as `with_corrected_muscles`.
    """
    last, result = shown._last(), shown.result
    corrected = muscles_corrected(shown.volume)
    before = result is not None and result.fat is not None and result.fat.map in TOLD.values()
    if last is None or not (corrected or before):
        return result
    from ..classify import with_muscle_fat

    series = with_chosen_channels(shown.volume, shown._series(), last.drawing.sample)
    return (with_corrected_muscles(last, shown, series) if corrected else with_muscle_fat(last, series, last)).result


def tell_muscles(shown: SceneClassification) -> bool:
    """Makes the fat of the muscle map as it is in the scene that of `SceneClassification.result`; returns whether that
    has changed.

    Raises:
        InputError: as `result_now`.
    """
    result = result_now(shown)
    if result is None or result == shown.result:
        return False
    shown.tell(result)
    return True


def reset_muscles(shown: SceneClassification) -> None:
    """Puts the muscle map as it was found in place of a corrected one.

    Raises:
        InputError: the last answer is not in memory (the scene was reopened), or had no map.
    """
    last = shown._last()
    if last is None or last.muscles is None:
        raise InputError("A saved scene does not keep the map as it was found; classify again, which finds it.")
    put_muscles(shown.volume, last.muscles, over_corrections=True)
    tell_muscles(shown)


def is_heatmap(volume: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether a volume holds evidence of a classification, also where the volume that was classified is gone."""
    return volume.GetAttribute(_CLASS) is not None


def _result_in(node: slicer.vtkMRMLTextNode | None) -> StudyResult | None:
    """The result that a node tells; read once for each text, and not at all where it was written here."""
    if node is None:
        return None
    text = node.GetText() or ""
    known, result = vars(node).get(_PARSED, (None, None))
    if known != text:
        try:
            result = StudyResult.model_validate_json(text)
        except ValidationError:
            result = None
        setattr(node, _PARSED, (text, result))
    return result


def _tell(node: slicer.vtkMRMLTextNode, text: str, result: StudyResult | None) -> None:
    """Has a node tell a result, which is `text` in a saved scene."""
    node.SetText(text)
    setattr(node, _PARSED, (text, result))
