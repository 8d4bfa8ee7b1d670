"""The folder of results, written from a scene: by the command line, and by the panel beside others."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from mrml_cases import DIRECTIONS, SHAPE, image, planted, result, series_of
from offscreen import OffscreenSlicer
from PIL import Image
from vtkmodules.vtkCommonTransforms import vtkTransform

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.overview import TILES, SliceDrawing, _chosen_slices, render_overview
from DystrophyDxLib.mrml.report_folder import write_report_folder
from DystrophyDxLib.mrml.scenes import new_scene, vtk_messages_to_log
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation
from DystrophyDxLib.mrml.slice_plane import whole
from DystrophyDxLib.mrml.volumes import ijk_to_world, series_from_volume
from DystrophyDxLib.reporting.output_folder import FILES
from DystrophyDxLib.series.series import Geometry, Series

vtk_messages_to_log()
BLOCK = (slice(3, 5), slice(12, 20), slice(36, 50))
IMAGES = [image(k, side, 0.9 if (k, side) == (4, "left") else 0.3) for k in range(1, 6) for side in ("left", "right")]


@pytest.fixture
def scene():
    return new_scene()


def answer():
    heat, labels = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint8)
    heat[BLOCK], heat[1, 20:30, 10:20] = 1, -1
    labels[1:6, 10:35, 35:55] = 1
    labels[:6, 12:33, 5:28] = 2
    return {"heat": heat, "labels": labels, "images": IMAGES}


def state(scene):
    """Name of each node, and when it was last changed."""
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    return [(node.GetID(), node.GetName(), node.GetMTime()) for node in nodes]


def moved(classification):
    matrix = vtkTransform()
    matrix.Translate(31, -17, 54)
    matrix.RotateWXYZ(17, 0.4, -0.3, 0.8)
    node = classification.volume.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(matrix.GetMatrix())
    classification.volume.SetAndObserveTransformNodeID(node.GetID())
    classification.follow_volume()


def test_every_file_of_the_contract_is_written_and_the_scene_is_left_as_it_was(scene, tmp_path):
    classification = planted(scene, series_of(DIRECTIONS["20° oblique"]), **answer())
    ClassificationView(scene).show(classification)
    before = state(scene)
    written = write_report_folder(classification, {"trained_on": "phantoms"}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES) - {"muscles.seg.nrrd", "muscles.csv"}
    assert state(scene) == before
    assert written == classification.result, "without a start, times are those of the classification"
    assert json.loads((tmp_path / "result.json").read_text())["images"][7]["probability"] == 0.3
    assert "phantoms" in (tmp_path / "report.html").read_text()
    heat = sitk.ReadImage(str(tmp_path / "heatmap.nrrd"))
    np.testing.assert_allclose(sitk.GetArrayFromImage(heat), np.maximum(answer()["heat"], 0))
    np.testing.assert_allclose(
        np.reshape(heat.GetDirection(), (3, 3)), DIRECTIONS["20° oblique"], atol=1e-6, err_msg="in the input's geometry"
    )


READ_AGAIN = """
import json, sys
import numpy as np, slicer
from offscreen import OffscreenSlicer
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.volumes import ijk_to_world
app = OffscreenSlicer()
assert app.scene.ReadFromMRB(sys.argv[1], False)
app.resize(300, 300)  # as the window does; a scene does not hold it
(classification,), view = SceneClassification.of(app.scene), ClassificationView(app.scene)
assert view.classification == classification
mri, heat = classification.volume, classification.heatmap
display = classification.segmentation.GetDisplayNode()
legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(heat)
composite = [app.scene.GetNodeByID("vtkMRMLSliceCompositeNode" + name) for name in ("Red", "Green", "Yellow")]
np.savez(sys.argv[2], mri=slicer.util.arrayFromVolume(mri), heat=slicer.util.arrayFromVolume(heat),
         labels=labels_from_segmentation(classification.segmentation, mri), picture=app.picture(),
         ijk_to_world=ijk_to_world(mri), heat_ijk_to_world=ijk_to_world(heat))
print(json.dumps({
    "names": [mri.GetName(), heat.GetName()], "opacity": view.opacity, "threshold": view.heatmap.threshold,
    "class": view.heatmap.shown_class, "legend": view.heatmap.legend, "layout": view.layout.value, "slice": view.slice,
    "grey": [mri.GetDisplayNode().GetWindowLevelMin(), mri.GetDisplayNode().GetWindowLevelMax()],
    "outline": [display.GetVisibility(), display.GetVisibility2DOutline(), display.GetVisibility2DFill()],
    "heatmap in views": [node.GetForegroundVolumeID() == heat.GetID() for node in composite],
    "probability": classification.result.case.probability, "pending": classification.pending}))
"""


@pytest.mark.parametrize("direction", ["flipped rows", "20° oblique"])
def test_the_scene_opens_with_the_study_in_a_fresh_program(scene, tmp_path, direction):
    classification = planted(scene, series_of(DIRECTIONS[direction]), **answer())
    view = ClassificationView(scene)
    view.show(classification)
    view.heatmap.threshold = 0.35
    view.heatmap.shown_class, view.heatmap.legend, view.overlay = 0, False, False
    write_report_folder(classification, {}, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", READ_AGAIN, tmp_path / "scene.mrb", tmp_path / "read.npz"],
        capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told, read = json.loads(done.stdout.splitlines()[-1]), np.load(tmp_path / "read.npz")
    grey = classification.volume.GetDisplayNode()
    assert told == {
        "names": ["MRI", "MRI heatmap"],
        "opacity": 0.5,
        "threshold": 0.35,
        "class": 1,
        "legend": True,
        "layout": "overlay",
        "slice": 4,
        "grey": pytest.approx([grey.GetWindowLevelMin(), grey.GetWindowLevelMax()], abs=1e-3),
        "outline": [True, True, False],
        "heatmap in views": [True, True, True],
        "probability": classification.result.case.probability,
        "pending": False,
    }
    np.testing.assert_array_equal(read["mri"], slicer.util.arrayFromVolume(classification.volume))
    np.testing.assert_array_equal(read["heat"], answer()["heat"])
    np.testing.assert_array_equal(read["labels"], answer()["labels"])
    expected = ijk_to_world(classification.volume)
    np.testing.assert_allclose(read["ijk_to_world"], expected, atol=1e-9)
    np.testing.assert_allclose(read["heat_ijk_to_world"], expected, atol=1e-9)
    assert (np.ptp(read["picture"].astype(int), axis=2) > 60).any()


def test_of_a_scene_with_other_studies_only_the_one_is_written(scene, tmp_path):
    classification = planted(scene, series_of(np.eye(3)), **answer())
    moved(classification)
    classification.volume.SetName("Erika Mustermann T1")
    classification.volume.SetAttribute("DICOM.instanceUIDs", "1.2.3.4.5")
    classification.volume.GetStorageNode().SetFileName(str(tmp_path / "Mustermann.nrrd"))
    planted(scene, series_of(np.eye(3), seed=1), name="Other Patient")
    write_report_folder(classification, {}, tmp_path)
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        names = bundle.namelist()
        content = b"".join(name.encode() + bundle.read(name) for name in names)
    traces = ("Mustermann", "Other Patient", "1.2.3.4.5", str(tmp_path), os.path.expanduser("~") + "/", "/tmp")
    for trace in traces:
        assert trace.encode() not in content
        for written in ("report.html", "result.json", "heatmap.nrrd", "roi.seg.nrrd"):
            assert trace.encode() not in (tmp_path / written).read_bytes()
    assert sum(name.endswith(".nrrd") for name in names) == 3
    again = OffscreenSlicer()
    assert again.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), False)
    (reopened,) = SceneClassification.of(again.scene)
    np.testing.assert_allclose(
        series_from_volume(reopened.volume).geometry.ijk_to_lps,
        series_from_volume(classification.volume).geometry.ijk_to_lps,
        atol=1e-6,
    )
    np.testing.assert_array_equal(labels_from_segmentation(reopened.segmentation, reopened.volume), answer()["labels"])


def test_what_cannot_be_reported_says_what_to_do(scene, tmp_path):
    classification = planted(scene, series_of(np.eye(3)), **answer())
    with pytest.raises(InputError, match="cannot be written") as error:
        write_report_folder(classification, {}, tmp_path / "absent")
    assert str(tmp_path) not in str(error.value)
    classification.exclude(3)
    with pytest.raises(InputError, match="edited since"):
        write_report_folder(classification, {}, tmp_path)
    classification.remove()
    with pytest.raises(InputError, match="classify the volume first"):
        write_report_folder(classification, {}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("under_transform", [False, True], ids=["", "under a transform"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_drawing_shows_what_the_slice_view_shows(direction, under_transform):
    app = OffscreenSlicer()
    classification = planted(
        app.scene, series_of(DIRECTIONS[direction]), **answer() | {"images": [image(3, "left", 0.5)]}
    )
    if under_transform:
        moved(classification)
    app.resize(450, 400)
    view = ClassificationView(app.scene)
    view.show(classification)
    view.heatmap.legend = False
    view.go_to(classification.result.images[0])
    on_screen = app.picture().astype(int)
    drawing = SliceDrawing(classification)
    (i, j, _) = whole(classification.volume)
    drawn = drawing.picture((i, j, (3, 4)), 450, 400).astype(int)
    assert drawing.plane.edges == ("R", "L")
    # They differ along the outlines, which a view draws as lines.
    assert np.mean(np.abs(on_screen - drawn).max(axis=2) > 12) < 0.03
    for color in ((255, 89, 230), (166, 128, 255)):
        places = [np.argwhere(np.abs(p - color).max(axis=2) < 40) for p in (on_screen, drawn)]
        np.testing.assert_allclose(places[0].min(axis=0), places[1].min(axis=0), atol=4)
        np.testing.assert_allclose(places[0].max(axis=0), places[1].max(axis=0), atol=4)


def test_slices_of_a_sagittal_series_are_drawn_with_anterior_on_the_left(scene):
    direction = np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])  # columns to posterior, rows downwards, slices to left
    heat = np.zeros(SHAPE, np.float32)
    heat[BLOCK] = 1
    classification = planted(scene, series_of(direction), heat)
    ClassificationView(scene).show(classification)
    drawing = SliceDrawing(classification)
    (i, j, _) = whole(classification.volume)
    picture = drawing.picture((i, j, (3, 4)), 450, 300).astype(int)
    assert drawing.plane.edges == ("A", "P")
    rows, columns = np.nonzero(np.ptp(picture, axis=2) > 60)
    assert columns.mean() == pytest.approx(43 / 60 * 450, abs=3)
    assert rows.mean() == pytest.approx(16 / 48 * 300, abs=3)


def test_the_overview_shows_slices_along_the_thigh_and_the_most_suspicious_one(scene, tmp_path):
    voxels = np.random.default_rng(0).uniform(90, 110, (40, 48, 60)).astype(np.float32)
    heat = np.zeros(voxels.shape, np.float32)
    heat[23, 12:36, 12:28] = 1
    images = [
        image(k, side, 0.9 if k == 23 and side == "left" else 0.3) for k in range(2, 38) for side in ("left", "right")
    ]
    classification = planted(scene, Series(voxels, Geometry((0, 0, 0), (1.5, 1.25, 6), np.eye(3))), heat, images=images)
    render_overview(classification, tmp_path / "overview.png")
    sheet = np.asarray(Image.open(tmp_path / "overview.png"))
    assert sheet.shape[1] == 1600
    # Everything but the text and the legend in the header is grey, except the one slice with a hot heatmap.
    hot = (sheet[128:, :, 0].astype(int) - sheet[128:, :, 2]) > 60
    assert hot.any()
    assert len(np.flatnonzero(hot.any(axis=1))) < sheet.shape[0] / 3, "one tile is hot"


def test_an_overview_without_any_heat_to_see_says_so_in_a_line_more(scene, tmp_path):
    rows = []
    for strongest in (0.1, 0.9):
        heat = np.full(SHAPE, 0.05, np.float32)
        heat[3, 20, 20] = strongest
        render_overview(planted(scene, series_of(np.eye(3)), heat, images=[image(3, "left", 0.4)]), tmp_path / "o.png")
        rows.append(Image.open(tmp_path / "o.png").height)
    assert 10 < rows[0] - rows[1] < 30


def test_an_overview_with_brackets_says_what_they_mean_in_a_line_more(scene, tmp_path):
    rows = []
    for drawn in (3, 4):  # only slice 4 has a leg that does not enter the case, too
        images = [
            image(drawn, "left", 0.4),
            image(4, "right", 0.2, counted=False),
            image(5, "right", 0.2, counted=False),
        ]
        render_overview(planted(scene, series_of(np.eye(3)), images=images), tmp_path / "o.png")
        rows.append(Image.open(tmp_path / "o.png").height)
    assert 10 < rows[1] - rows[0] < 30


@pytest.mark.parametrize(
    "images",
    [(), (image(3, "unknown", 1.0),), (image(3, "left", 0.4, counted=False), image(4, "right", 0.2, counted=False))],
    ids=["no image", "one image", "none counted"],
)
def test_the_overview_of_a_poor_study_is_drawn_too(scene, tmp_path, images):
    render_overview(planted(scene, series_of(np.eye(3)), images=images), tmp_path / "overview.png")
    sheet = np.asarray(Image.open(tmp_path / "overview.png"))
    assert (sheet[140:].max(axis=2) > 80).any()


def test_slices_of_the_overview():
    images = [image(k, "left", 0.9 if k == 23 else 0.3, counted=k < 30) for k in range(40)]
    chosen = _chosen_slices(result(images))
    assert 23 in chosen
    assert len(chosen) == TILES
    assert (chosen[0], chosen[-1]) == (0, 29), "counted images only, from one end to the other"
    assert chosen == sorted(set(chosen))
    assert max(np.diff(chosen)) <= 5


def test_results_are_written_without_opengl(tmp_path):
    code = (
        "import sys; sys.modules['trame_slicer'] = None\n"
        "from mrml_cases import *\nfrom pathlib import Path\n"
        "from DystrophyDxLib.mrml.scenes import new_scene\n"
        "from DystrophyDxLib.mrml.report_folder import write_report_folder\n"
        "scene = new_scene()\n"
        "found = planted(scene, series_of(np.eye(3)), images=[image(3, 'left', 0.5)])\n"
        "write_report_folder(found, {}, Path(sys.argv[1]))\n"
    )
    environment = os.environ | {
        "VTK_DEFAULT_OPENGL_WINDOW": "vtkOSOpenGLRenderWindow",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    subprocess.run([sys.executable, "-c", code, tmp_path], env=environment, check=True, timeout=120)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES) - {"muscles.seg.nrrd", "muscles.csv"}
