"""`SceneClassification`: a volume of a scene and what was found in it, in nodes that are saved with the scene."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import slicer
from pydantic import ValidationError
from vtkmodules.vtkCommonCore import VTK_DOUBLE, VTK_INT, VTK_STRING, vtkDoubleArray, vtkIntArray, vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkTable

from ..errors import Cancelled, InputError
from ..explain.texture_score import texture_scores
from ..regions.legs import find_legs
from ..regions.windows import LABEL_OF_SIDE, Regions, Side
from ..results import ImageResult, MuscleTexture, StudyResult
from ..series.channels import with_channels
from ..series.series import Acquisition, Series
from .segmentation import (
    SEGMENT_COLORS,
    SEGMENT_NAMES,
    add_segmentation,
    labels_from_segmentation,
    move_regions,
    muscles_from_segmentation,
    set_labels,
)
from .volumes import FRAME, add_map, ijk_to_world, move_map, series_from_volume, update_map

if TYPE_CHECKING:
    from ..classify import Classification, Classifier
    from ..explain.heat import Heat

Progress = Callable[[int, int], None]

COLUMNS = {"Slice": int, "Side": str, "Probability": float, "Source": str, "Anatomy": str, "Counted": str}
"""Of `SceneClassification.images_table`, with the type of their values.

Source is "automatic" or "edited", anatomy "thigh" or "other", counted "yes" or "no".
"""

_VOLUME = "DystrophyDx.volume"
_HEATMAP, _SEGMENTATION, _IMAGES, _CHART, _RESULT, _BEFORE = _ROLES = tuple(
    f"DystrophyDx.{role}" for role in ("heatmap", "segmentation", "images", "chart", "result", "resultBefore")
)
_REGIONS = "DystrophyDx.regions"
_CLASS = "DystrophyDx.class"
CHANNEL = "DystrophyDx.channel."
"""Beginning of the role of a further channel's volume; its name follows."""


_VolumeState = tuple[tuple[int, ...], tuple[bytes, ...]]
"""Modified time of the voxels of all channels, and where they lie in the world."""


class _Run(NamedTuple):
    """The last classification in memory, of use as long as the volume is what it was. A saved scene has none."""

    classification: Classification
    automatic: Regions
    volume_state: _VolumeState


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
        kind = "vtkMRMLScalarVolumeNode"
        volumes = [scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind))]
        return [
            classification for classification in map(cls, volumes) if any(classification._node(role) for role in _ROLES)
        ]

    @property
    def heatmap(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """Evidence on the grid of the volume: for `shown_class` up to 1, against it, and so of two classes for the
        first, down to -1."""
        return self._node(_HEATMAP)

    @property
    def shown_class(self) -> int:
        """Index of the class whose evidence `heatmap` holds: the second of two; of more the most likely, until
        `show_class`."""
        heatmap = self.heatmap
        return int((heatmap.GetAttribute(_CLASS) if heatmap is not None else None) or 1)

    @property
    def segmentation(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The leg regions, as the reader may have corrected them."""
        return self._node(_SEGMENTATION)

    @property
    def images_table(self) -> slicer.vtkMRMLTableNode | None:
        """A row an image, in the order of `result.images`, with `COLUMNS`."""
        return self._node(_IMAGES)

    @property
    def chart(self) -> slicer.vtkMRMLPlotChartNode | None:
        """Probability along the thigh, one plot series a side; see `image_of_point`. None of a model of volumes."""
        return self._node(_CHART)

    @property
    def result(self) -> StudyResult | None:
        """The answer."""
        return _result_in(self._node(_RESULT))

    @property
    def result_before(self) -> StudyResult | None:
        """The answer before the last re-classification; None when there was none since `classify`."""
        return _result_in(self._node(_BEFORE))

    @property
    def changed_slices(self) -> tuple[int, ...]:
        """Slices k whose region is no longer that of `result`; all of them where the region cannot be read."""
        node, segmentation = self._node(_RESULT), self.segmentation
        if node is None or segmentation is None or self.volume.GetImageData() is None:
            return ()
        known = (node.GetAttribute(_REGIONS) or "").split()
        try:
            present = _digests(labels_from_segmentation(segmentation, self.volume))
        except InputError:
            return tuple(range(self.volume.GetImageData().GetDimensions()[2]))
        if len(present) != len(known):
            return tuple(range(len(present)))
        return tuple(k for k, (now, then) in enumerate(zip(present, known, strict=True)) if now != then)

    @property
    def pending(self) -> bool:
        """Whether the region was edited since the result."""
        return bool(self.changed_slices)

    def image_of_point(self, series: slicer.vtkMRMLPlotSeriesNode, point: int) -> ImageResult | None:
        """The image that a point of `chart` stands for; None for a series of another chart."""
        side = series.GetAttribute("DystrophyDx.side")
        images = [image for image in self.result.images if image.side == side] if self.result else []
        return images[point] if 0 <= point < len(images) else None

    def channel(self, name: str) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The volume that is a further channel of the model's input; None where none was chosen."""
        return self.volume.GetNodeReference(CHANNEL + name)

    def set_channel(self, name: str, volume: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Chooses the volume of a further channel, registered to the first and on its grid."""
        self.volume.SetNodeReferenceID(CHANNEL + name, volume.GetID() if volume is not None else None)

    def classify(self, classifier: Classifier, progress: Progress | None = None) -> StudyResult:
        """Finds the legs and classifies them; what was there before is replaced.

        Args:
            progress: as `Classifier.classify`; what it raises goes through and leaves the scene as it was.

        Raises:
            Cancelled: the volume was deleted meanwhile.
            InputError: as `Classifier.classify`, `series_from_volume` and `with_channels`.
        """
        state = self._volume_state()
        series = self._with_channels(self._series(), classifier)
        return self._put(classifier.classify(series, progress=progress), state)

    def put(self, classification: Classification) -> StudyResult:
        """Puts a finished classification of the volume into the scene; what was there before is replaced."""
        return self._put(classification, self._volume_state())

    def put_heatmap(self, evidence: np.ndarray) -> None:
        """Puts a heatmap (z, y, x) float32 on the volume; see `heatmap`. One that was there before is replaced."""
        if self.heatmap is None:
            self._refer(_HEATMAP, add_map(self.volume, evidence, self._name("heatmap")))
        else:
            update_map(self.heatmap, self.volume, evidence)

    def _put(self, classification: Classification, state: _VolumeState) -> StudyResult:
        self._check_still_there()
        self.follow_volume()
        if self.segmentation is None:
            self._refer(_SEGMENTATION, add_segmentation(self.volume, classification.regions.labels, self._name("legs")))
        else:
            set_labels(self.segmentation, self.volume, classification.regions.labels)
        self._remove(_BEFORE)
        self._show(classification, classification.regions, state)
        return classification.result

    def reclassify(self, classifier: Classifier, progress: Progress | None = None) -> StudyResult:
        """Classifies the region as it is now; only windows that changed are run.

        All are run where the last answer is not in memory (the scene was reopened), or another model gave it.

        Args:
            progress: as `Classifier.classify`; what it raises goes through and leaves the scene as it was.

        Raises:
            Cancelled: the volume was deleted meanwhile.
            InputError: the region was deleted, or holds no leg, or a segment that is no leg.
        """
        if self.segmentation is None:
            raise InputError("The region was deleted; classify the volume from the start.")
        self.follow_volume()
        run, state = self._run(), self._volume_state()
        series = self._series()
        automatic = run.automatic if run else classifier.region.find(series)
        drawn = labels_from_segmentation(self.segmentation, self.volume)
        regions = classifier.region.corrected(series, automatic, drawn)
        series = self._with_channels(series, classifier)
        classification = classifier.classify(
            series, regions, progress=progress, previous=run.classification if run else None
        )
        self._check_still_there()
        if not np.array_equal(regions.labels, drawn):  # squares around what was drawn, or slices that are not there
            self._set_labels(regions.labels)
        before = self._node(_RESULT)
        if before is not None:
            self._write_text(_BEFORE, "result before", before.GetText())
        self._show(classification, automatic, state)
        return classification.result

    def show_class(self, label: int) -> None:
        """Puts the evidence for another of more than two classes into the heatmap.

        Raises:
            InputError: as `heat_of`.
        """
        if label != self.shown_class:
            self.show_heat(self.heat_of(label))

    def heat_of(self, label: int) -> Heat:
        """Evidence for one of more than two classes.

        Raises:
            InputError: the last answer is not in memory (the scene was reopened).
        """
        run = self._run()
        if run is None:
            raise InputError("A saved scene keeps the heatmap of one class; classify again to see that of another.")
        return run.classification.heat_of(label)

    def texture_scores(self, muscles: slicer.vtkMRMLSegmentationNode) -> tuple[MuscleTexture, ...]:
        """Share of each muscle of a segmentation under the heat that is shown; see `explain.texture_score`.

        Raises:
            InputError: the segmentation has no segments or none of them lies within the legs, the region cannot be
                read, or the heatmap was deleted.
        """
        if self.heatmap is None:
            raise InputError("The heatmap was deleted; classify the volume again.")
        drawn, names = muscles_from_segmentation(muscles, self.volume)
        heat = slicer.util.arrayFromVolume(self.heatmap)
        return texture_scores(np.maximum(heat, 0), drawn, names, self._labels() > 0)

    def show_heat(self, heat: Heat) -> None:
        """Puts heat of the volume into the heatmap; see `put_heatmap`."""
        self.put_heatmap(heat.voxels)
        self.heatmap.SetAttribute(_CLASS, str(heat.label))

    def reset(self, slice: int | None = None, side: Side | None = None) -> None:
        """Puts the automatic region back: of one slice, one side, both at once, or all of it.

        Raises:
            InputError: as `series_from_volume`; where the region cannot be read and not all of it is reset; or the last
                answer is not in memory (the scene was reopened) and the region is no leg.
        """
        self.follow_volume()
        run = self._run()
        if run is None and self.result is not None and any(image.side == Side.NONE for image in self.result.images):
            raise InputError("A saved scene keeps the region as it is; classify again to get the automatic one.")
        automatic = (run.automatic if run else find_legs(self._series())).labels
        if slice is None and side is None:
            labels = automatic
        else:
            labels = self._labels()
            planes = np.s_[:] if slice is None else np.s_[slice]
            values = list(LABEL_OF_SIDE.values()) if side is None else [LABEL_OF_SIDE[side]]
            present, found = labels[planes], automatic[planes]
            present[np.isin(present, values)] = 0
            np.copyto(present, found, where=np.isin(found, values))
        self._set_labels(labels)

    def exclude(self, slice: int) -> None:
        """Takes both legs of a slice out of the region.

        Raises:
            InputError: the region cannot be read.
        """
        self.follow_volume()
        labels = self._labels()
        labels[slice] = 0
        self._set_labels(labels)

    def follow_volume(self) -> None:
        """Puts heatmap and region where the volume is: under its transform, and moved with it where a transform was
        hardened on the volume alone."""
        if self.heatmap is not None:
            move_map(self.heatmap, self.volume)
        if self.segmentation is not None:
            move_regions(self.segmentation, self.volume)

    def remove(self) -> None:
        """Takes everything but the volume out of the scene."""
        for role in _ROLES:
            self._remove(role)
        vars(self.volume).pop(_MEMORY, None)

    def discard(self) -> None:
        """Takes everything out of the scene, the volume too."""
        self.remove()
        for node in [*_belongings(self.volume), self.volume]:
            self.volume.GetScene().RemoveNode(node)

    def _check_still_there(self) -> None:
        if self.volume.GetScene() is None:
            raise Cancelled("The volume was deleted while it was classified.")

    def _show(self, classification: Classification, automatic: Regions, state: _VolumeState) -> None:
        """Heatmap, result, table and chart of a classification whose region is already shown."""
        self.show_heat(classification.heat)
        self._write_text(_RESULT, "result", classification.result.to_json())
        self._node(_RESULT).SetAttribute(_REGIONS, " ".join(_digests(classification.regions.labels)))
        images = classification.result.images
        self._tabulate(images)
        if any(image.slices for image in images):
            self._remove(_CHART)  # a volume has one probability for all slices
        else:
            self._plot(images)
        # A Python attribute of a VTK object lives as long as the object, whoever holds it.
        setattr(self.volume, _MEMORY, _Run(classification, automatic, state))

    def _tabulate(self, images: Sequence[ImageResult]) -> None:
        node = self.images_table
        if node is None:
            node = self._add(_IMAGES, "vtkMRMLTableNode", "images")
        rows = [
            (
                image.slice,
                image.side,
                round(image.probability, 3),
                "edited" if image.roi == "edited" else "automatic",
                image.anatomy,
                "yes" if image.counted else "no",
            )
            for image in images
        ]
        _fill(node, COLUMNS, rows)

    def _plot(self, images: Sequence[ImageResult]) -> None:
        chart = self.chart
        if chart is None:
            chart = self._add(_CHART, "vtkMRMLPlotChartNode", "probability along the thigh")
            chart.SetXAxisTitle("Slice")
            chart.SetYAxisTitle("Probability")
            chart.YAxisRangeAutoOff()
            # Room for points at 0 and 1.
            chart.SetYAxisRange(-0.05, 1.05)
            chart.XAxisRangeAutoOff()
        chart.SetXAxisRange(-0.5, max((image.slice for image in images), default=0) + 0.5)
        there = {series.GetAttribute("DystrophyDx.side"): series for series in _series_of(chart)}
        for side in Side:
            rows = [(image.slice, image.probability) for image in images if image.side == side.value]
            series = there.get(side.value)
            if series is None and rows:
                series = self._add_series(chart, side)
            if series is not None:
                _fill(series.GetTableNode() or self._add_series_table(series), _POINTS, rows)

    def _add_series(self, chart: slicer.vtkMRMLPlotChartNode, side: Side) -> slicer.vtkMRMLPlotSeriesNode:
        series = chart.GetScene().AddNewNodeByClass("vtkMRMLPlotSeriesNode", SEGMENT_NAMES[side])
        series.SetAttribute("DystrophyDx.side", side.value)
        series.SetPlotType(series.PlotTypeScatter)
        series.SetMarkerStyle(series.MarkerStyleCircle)
        series.SetColor(*SEGMENT_COLORS[side])
        self._add_series_table(series)
        series.SetXColumnName("Slice")
        series.SetYColumnName("Probability")
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
        return series

    def _add_series_table(self, series: slicer.vtkMRMLPlotSeriesNode) -> slicer.vtkMRMLTableNode:
        table = slicer.vtkMRMLTableNode()
        table.SetName(self._name(series.GetName()))
        table.HideFromEditorsOn()
        series.GetScene().AddNode(table)
        series.SetAndObserveTableNodeID(table.GetID())
        return table

    def _series(self) -> Series:
        """The volume, with what the header of its files said where they were classified before."""
        series, result = series_from_volume(self.volume), self.result
        if result is None:
            return series
        facts = result.input
        told = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.acquisition.items()}
        return dataclasses.replace(
            series,
            acquisition=Acquisition(**told),
            kind=facts.kind,
            series_uid=facts.series_uid,
            selection=facts.selection,
            notes=facts.notes,
        )

    def _with_channels(self, series: Series, classifier: Classifier) -> Series:
        """The series with the channels that a model needs, of those that were chosen; which of them are frames of a
        cine is told in its `selection`."""
        sample = classifier.package.recipe.sample
        chosen = {name: node for name in sample.further if (node := self.channel(name)) is not None}
        inputs = {sample.channels[0].name: self.volume, **chosen}
        frames = [f"{name} is {words}." for name, node in inputs.items() if (words := node.GetAttribute(FRAME))]
        if frames:
            series = dataclasses.replace(series, selection=" ".join(("Chosen in the scene:", *frames)))
        return with_channels(series, {name: series_from_volume(node) for name, node in chosen.items()})

    def _labels(self) -> np.ndarray:
        if self.segmentation is None:
            raise InputError("The region was deleted; classify the volume from the start.")
        return labels_from_segmentation(self.segmentation, self.volume)

    def _set_labels(self, labels: np.ndarray) -> None:
        if self.segmentation is None:
            self._refer(_SEGMENTATION, add_segmentation(self.volume, labels, self._name("legs")))
        else:
            set_labels(self.segmentation, self.volume, labels)

    def _run(self) -> _Run | None:
        run = vars(self.volume).get(_MEMORY)
        return run if run is not None and run.volume_state == self._volume_state() else None

    def _volume_state(self) -> _VolumeState:
        roles = [self.volume.GetNthNodeReferenceRole(n) for n in range(self.volume.GetNumberOfNodeReferenceRoles())]
        channels = [self.volume.GetNodeReference(role) for role in roles if role.startswith(CHANNEL)]
        volumes = [self.volume, *(node for node in channels if node is not None)]
        images = [volume.GetImageData() for volume in volumes]
        return (
            tuple(image.GetMTime() if image is not None else 0 for image in images),
            tuple(ijk_to_world(volume).tobytes() for volume in volumes),
        )

    def _name(self, what: str) -> str:
        return f"{self.volume.GetName()} {what}"

    def _node(self, role: str) -> slicer.vtkMRMLNode | None:
        """Node in a role. A clone of the volume refers to the same nodes, but they do not refer to the clone."""
        node = self.volume.GetNodeReference(role)
        return node if node is not None and node.GetNodeReference(_VOLUME) is self.volume else None

    def _refer(self, role: str, node: slicer.vtkMRMLNode) -> None:
        self.volume.SetNodeReferenceID(role, node.GetID())
        node.SetNodeReferenceID(_VOLUME, self.volume.GetID())

    def _add(self, role: str, kind: str, what: str) -> slicer.vtkMRMLNode:
        node = self.volume.GetScene().AddNewNodeByClass(kind, self._name(what))
        self._refer(role, node)
        return node

    def _write_text(self, role: str, what: str, text: str) -> None:
        node = self._node(role) or self._add(role, "vtkMRMLTextNode", what)
        node.SetText(text)

    def _remove(self, role: str) -> None:
        node = self._node(role)
        if node is not None:
            for belonging in [*_belongings(node), node]:
                belonging.GetScene().RemoveNode(belonging)
        self.volume.RemoveNodeReferenceIDs(role)


def is_heatmap(volume: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether a volume holds evidence of a classification, also where the volume that was classified is gone."""
    return volume.GetAttribute(_CLASS) is not None


_MEMORY = "dystrophydx_run"


def _belongings(node: slicer.vtkMRMLNode) -> Iterable[slicer.vtkMRMLNode]:
    """Nodes that have no use without `node`."""
    if node.IsA("vtkMRMLPlotChartNode"):
        for series in _series_of(node):
            yield from filter(None, (series.GetTableNode(), series))
    if node.IsA("vtkMRMLDisplayableNode"):
        # The first last: a colour legend looks for it.
        yield from (node.GetNthDisplayNode(n) for n in reversed(range(node.GetNumberOfDisplayNodes())))
    if node.IsA("vtkMRMLStorableNode") and node.GetStorageNode() is not None:
        yield node.GetStorageNode()


def _series_of(chart: slicer.vtkMRMLPlotChartNode) -> list[slicer.vtkMRMLPlotSeriesNode]:
    found = (chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes()))
    return [series for series in found if series is not None]


def _result_in(node: slicer.vtkMRMLTextNode | None) -> StudyResult | None:
    return _parsed(node.GetText() or "") if node is not None else None


@lru_cache(maxsize=16)
def _parsed(text: str) -> StudyResult | None:
    try:
        return StudyResult.model_validate_json(text)
    except ValidationError:
        return None


def _digests(labels: np.ndarray) -> list[str]:
    """One a slice, equal for equal planes."""
    return [hashlib.blake2b(np.ascontiguousarray(plane), digest_size=8).hexdigest() for plane in labels]


_POINTS = {"Slice": int, "Probability": float}
_ARRAYS = {int: (vtkIntArray, VTK_INT), float: (vtkDoubleArray, VTK_DOUBLE), str: (vtkStringArray, VTK_STRING)}


def _fill(node: slicer.vtkMRMLTableNode, columns: Mapping[str, type], rows: Sequence[tuple]) -> None:
    table = vtkTable()
    for n, (name, kind) in enumerate(columns.items()):
        array = _ARRAYS[kind][0]()
        array.SetName(name)
        for row in rows:
            array.InsertNextValue(row[n])
        table.AddColumn(array)
    node.SetAndObserveTable(table)
    for name, kind in columns.items():
        node.SetColumnType(name, _ARRAYS[kind][1])  # else a reopened scene has texts
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
