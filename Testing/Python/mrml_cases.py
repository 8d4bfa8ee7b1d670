"""Small series in the ways in which scanners and converters store them."""

from __future__ import annotations

import numpy as np
import slicer
from scipy.spatial.transform import Rotation
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import VTK_UNSIGNED_CHAR

from DystrophyDxLib.classify import Classification
from DystrophyDxLib.explain.heat import Heat, HeatDrawing
from DystrophyDxLib.models.cells import CellGrid
from DystrophyDxLib.models.recipe import SampleRecipe
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.segmentation import BINARY_LABELMAP as LABELMAP
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.phantom.heart import HeartPhantom
from DystrophyDxLib.regions.windows import Regions, Side
from DystrophyDxLib.results import (
    CaseResult,
    ImageResult,
    InputFacts,
    ModelFacts,
    Provenance,
    ResultWarning,
    SkippedImage,
    StudyResult,
)
from DystrophyDxLib.series.series import Geometry, Series

# Columns are the LPS directions of i, j, k.
DIRECTIONS = {
    "head first": np.eye(3),
    "feet first": np.diag([1.0, 1.0, -1.0]),
    "flipped columns": np.diag([-1.0, 1.0, 1.0]),
    "flipped rows": np.diag([1.0, -1.0, 1.0]),
    "rows along the body's width": np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]),
    "20° oblique": Rotation.from_euler("xz", [20, 12], degrees=True).as_matrix(),
}
SHAPE = (7, 48, 60)


def series_of(direction: np.ndarray, seed: int = 0) -> Series:
    voxels = np.random.default_rng(seed).uniform(90, 110, SHAPE).astype(np.float32)
    return Series(voxels, Geometry((-43.7, 12.25, 301.0), (1.5, 1.25, 6.0), direction))


def result(images=(), **changes) -> StudyResult:
    facts = {
        "input": InputFacts(
            kind="dicom",
            series_uid=None,
            slices=SHAPE[0],
            spacing_mm=(1.5, 1.25, 6.0),
            selection="The only series.",
            notes=(),
            acquisition={"field_strength_t": 3.0, "scanning_sequence": ["SE"], "body_part": None},
        ),
        "model": ModelFacts(
            name="demo", version="1", sha256="0" * 64, trained_on="x", classes=("other", "dystrophinopathy")
        ),
        "case": CaseResult(
            probability=0.12, ci95=(0.05, 0.21), label="other", threshold=0.5, reason="Below the threshold."
        ),
        "images": tuple(images),
        "skipped": (SkippedImage(slice=0, side=None, reason="no leg found"),),
        "warnings": (ResultWarning(code="DEMONSTRATION_MODEL", message="Synthetic images only."),),
        "provenance": Provenance(program="DystrophyDx", created="now", device="cpu", precision="float32"),
        "timing_s": {"total": 1.0},
    }
    return StudyResult(**(facts | changes))


def image(k: int, side: str, probability: float, counted: bool = True) -> ImageResult:
    return ImageResult(
        slice=k,
        side=side,
        window_ijk=((10, 30), (8, 40)),
        probability=probability,
        roi="auto",
        anatomy="thigh",
        counted=counted,
    )


def planted(scene, series: Series, heat=None, labels=None, images=(), name: str = "T1"):
    """The classification of `series` in `scene` with a made-up answer: (z, y, x) heat -1 to 1, leg labels, images."""
    shape = series.voxels.shape
    heat = np.zeros(shape, np.float32) if heat is None else heat
    labels = np.zeros(shape, np.uint8) if labels is None else labels
    found = SceneClassification(add_series(scene, series, name))
    drawing = HeatDrawing(CellGrid(0, 32), SampleRecipe(size=224), 1.0, series.geometry, shape)
    found.put(Classification(result(images), Regions(labels, ()), (), (), Heat(heat, 1.0, (), 1), drawing))
    return found


def add_cine(scene: slicer.vtkMRMLScene, heart: HeartPhantom) -> slicer.vtkMRMLScalarVolumeNode:
    """The volume that shows a frame of a cine, as Slicer loads a file with a fourth axis."""
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    frames = slicer.vtkMRMLScene()
    for number, voxels in enumerate(heart.voxels):
        sequence.SetDataNodeAtValue(add_series(frames, Series(voxels, heart.geometry), "frame"), str(number))
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.AddSynchronizedSequenceNode(sequence)
    vars(browser)["logic"] = logic  # follows what the browser selects, as Slicer's own does
    logic.UpdateProxyNodesFromSequences(browser)
    return browser.GetProxyNode(sequence)


def segment_id(classification, side):
    return classification.segmentation.GetSegmentation().GetNthSegmentID((Side.LEFT, Side.RIGHT).index(side))


def erase(classification, side, k, columns=slice(None)):
    """Erases a leg in a slice, or part of it, as the segment editor's effects do."""
    drawn = (
        labels_from_segmentation(classification.segmentation, classification.volume)
        == (Side.LEFT, Side.RIGHT).index(side) + 1
    )
    drawn[k, :, columns] = False
    redraw(classification, side, drawn)


def redraw(classification, side, drawn):
    """Makes a leg's segment (z, y, x) `drawn`, over the other leg where they overlap."""
    segmentation = classification.segmentation.GetSegmentation()
    labelmap = slicer.vtkOrientedImageData()
    labelmap.DeepCopy(segmentation.GetSegment(segment_id(classification, side)).GetRepresentation(LABELMAP))
    labelmap.SetExtent(0, drawn.shape[2] - 1, 0, drawn.shape[1] - 1, 0, drawn.shape[0] - 1)
    labelmap.AllocateScalars(VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = drawn.ravel()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(
        labelmap, classification.segmentation, segment_id(classification, side), logic.MODE_REPLACE
    )


def half_erased(classification, side=Side.LEFT, k=2):
    """Erases the outer half of a leg."""
    window = next(image for image in classification.result.images if (image.slice, image.side) == (k, side.value))
    (start, stop), _ = window.window_ijk
    erase(classification, side, k, slice((start + stop) // 2, stop))


def column(table, name):
    values = table.GetTable().GetColumnByName(name)
    return [values.GetValue(n) for n in range(values.GetNumberOfValues())]
