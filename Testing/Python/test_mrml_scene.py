import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import slicer
from mrml_cases import DIRECTIONS, SHAPE, image, result, study
from PIL import Image

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.mrml.offscreen import OffscreenSlicer
from DystrophyDxLib.mrml.overview import TILES, render_overview
from DystrophyDxLib.mrml.study_scene import StudyScene
from DystrophyDxLib.mrml.volumes import add_series, series_from_volume
from DystrophyDxLib.series import Geometry, Series

BLOCK = (slice(3, 5), slice(12, 20), slice(36, 50))  # k, j, i
WHOLE = ((0, SHAPE[2]), (0, SHAPE[1]))


@pytest.fixture
def viewer():
    return OffscreenSlicer()


def planted(viewer, direction, labels=None):
    heat = np.zeros(SHAPE, np.float32)
    heat[BLOCK] = 1
    labels = np.zeros(SHAPE, np.uint8) if labels is None else labels
    return StudyScene(add_series(viewer.scene, study(direction)), labels, heat)


def colored(picture):
    return np.ptp(picture.astype(int), axis=2) > 60


def screen_axes(direction):
    """Index axis (0 i, 1 j) and sign of the screen's right (patient left) and down (posterior), for axial slices."""
    lps = direction[:, :2]
    across = np.abs(lps[0]).argmax()
    return (across, np.sign(lps[0, across])), (1 - across, np.sign(lps[1, 1 - across]))


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_the_heatmap_is_drawn_where_it_lies_in_the_patient_and_nowhere_else(viewer, direction):
    scene = planted(viewer, direction)
    scene.display.legend.SetVisibility(False)
    scale = 5.0  # pixels a mm
    extent = np.array([SHAPE[2] * 1.5, SHAPE[1] * 1.25])  # of the slice along i and j, mm
    axes = screen_axes(direction)
    viewer.look_at(scene.volume, WHOLE)
    viewer.set_size(*(int(extent[axis] * scale) for axis, _ in axes))

    viewer.show_slice(3)
    found = colored(viewer.picture())
    ranges = [(BLOCK[2].start, BLOCK[2].stop), (BLOCK[1].start, BLOCK[1].stop)]
    expected = np.zeros_like(found)
    edges = []
    for axis, sign in axes:
        size = (SHAPE[2], SHAPE[1])[axis]
        start, stop = ranges[axis] if sign > 0 else (size - ranges[axis][1], size - ranges[axis][0])
        pixel = scale * (1.5, 1.25)[axis]
        edges.append((start * pixel, stop * pixel))
    (left, right), (top, bottom) = edges
    expected[round(top) : round(bottom), round(left) : round(right)] = True
    rows, columns = np.nonzero(found)
    # A voxel is 6 to 8 pixels wide and drawn with linear interpolation: its edge fades over less than one voxel.
    np.testing.assert_allclose([columns.min(), columns.max() + 1], [left, right], atol=7.5)
    np.testing.assert_allclose([rows.min(), rows.max() + 1], [top, bottom], atol=7.5)
    assert found[expected].mean() > 0.97
    center = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
    np.testing.assert_allclose(center, [(left + right) / 2, (top + bottom) / 2], atol=1.5)

    for k in (0, 2, 5, 6):
        viewer.show_slice(k)
        assert not colored(viewer.picture()).any()


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_the_patients_left_leg_is_on_the_right_of_the_picture(viewer, direction):
    series = study(direction)
    k, j, i = np.indices(SHAPE)
    lps_x = (series.geometry.ijk_to_lps @ np.stack([i, j, k, np.ones_like(i)]).reshape(4, -1))[0].reshape(SHAPE)
    middle = np.median(lps_x[3])
    heat = (lps_x > middle + 5).astype(np.float32)  # LPS: larger x is more to the patient's left
    scene = StudyScene(add_series(viewer.scene, series), np.zeros(SHAPE, np.uint8), heat)
    scene.display.legend.SetVisibility(False)
    viewer.look_at(scene.volume, WHOLE)
    viewer.set_size(300, 300)
    viewer.show_slice(3)
    columns = np.nonzero(colored(viewer.picture()))[1]
    assert np.mean(columns > 150) > 0.97
    assert viewer.edges == ("R", "L")


def test_slices_of_a_sagittal_series_are_shown_with_anterior_on_the_left(viewer):
    direction = np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])  # columns to posterior, rows downwards, slices to left
    scene = planted(viewer, direction)
    scene.display.legend.SetVisibility(False)
    viewer.look_at(scene.volume, WHOLE)
    viewer.set_size(450, 300)
    assert viewer.edges == ("A", "P")
    viewer.show_slice(3)
    rows, columns = np.nonzero(colored(viewer.picture()))
    assert columns.mean() == pytest.approx(43 / 60 * 450, abs=3)
    assert rows.mean() == pytest.approx(16 / 48 * 300, abs=3)


def test_threshold_and_opacity_change_what_is_seen_and_not_the_voxels(viewer):
    scene = StudyScene(
        add_series(viewer.scene, study(np.eye(3))),
        np.zeros(SHAPE, np.uint8),
        np.broadcast_to(np.linspace(0, 1, SHAPE[2], dtype=np.float32), SHAPE).copy(),
    )
    scene.display.legend.SetVisibility(False)
    before = slicer.util.arrayFromVolume(scene.heatmap).copy()
    viewer.look_at(scene.volume, WHOLE)
    viewer.set_size(600, 400)
    viewer.show_slice(3)
    for threshold in (0.25, 0.6, 0.8):
        scene.display.threshold = threshold
        assert scene.display.threshold == threshold
        columns = np.nonzero(colored(viewer.picture()).any(axis=0))[0]
        assert columns.min() == pytest.approx(600 * threshold, abs=8)
        assert columns.max() == 599
    scene.display.opacity = 0.0
    assert not colored(viewer.picture()).any()
    scene.display.opacity = 1.0
    red, green, blue = viewer.picture()[200, 595].astype(int)
    assert red > 240
    assert green < 40
    assert blue < 40, "the highest value is red"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(scene.heatmap), before)


def test_leg_outlines_are_drawn_around_the_legs(viewer):
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 10:38, 34:54] = 1
    scene = StudyScene(add_series(viewer.scene, study(np.eye(3))), labels, np.zeros(SHAPE, np.float32))
    scene.display.legend.SetVisibility(False)
    viewer.look_at(scene.volume, WHOLE)
    viewer.set_size(600, 400)
    viewer.show_slice(3)
    outline = colored(viewer.picture())
    rows, columns = np.nonzero(outline)
    assert columns.min() == pytest.approx(340, abs=8)
    assert columns.max() == pytest.approx(540, abs=8)
    assert rows.min() == pytest.approx(10 / 48 * 400, abs=8)
    assert rows.max() == pytest.approx(38 / 48 * 400, abs=8)
    assert not outline[120:280, 370:510].any(), "the leg itself is not covered"


READ_AGAIN = """
import json, sys
import numpy as np, slicer
from DystrophyDxLib.mrml.offscreen import OffscreenSlicer
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation
from DystrophyDxLib.mrml.volumes import series_from_volume
viewer = OffscreenSlicer()
assert viewer.scene.ReadFromMRB(sys.argv[1], False)
scene = viewer.scene
scene.GetNodeByID("vtkMRMLSliceNodeRed").SetDimensions(300, 300, 1)  # as the window does; a scene does not hold it
view = scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
mri, heat = (scene.GetNodeByID(n) for n in (view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()))
segmentation = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
display, colors = heat.GetDisplayNode(), heat.GetDisplayNode().GetColorNode()
table = [[0.0] * 4 for _ in range(colors.GetNumberOfColors())]
for n, color in enumerate(table):
    colors.GetColor(n, color)
segments = segmentation.GetSegmentation()
np.savez(sys.argv[2], mri=slicer.util.arrayFromVolume(mri), heat=slicer.util.arrayFromVolume(heat), colors=table,
         labels=labels_from_segmentation(segmentation, mri), ijk_to_lps=series_from_volume(mri).geometry.ijk_to_lps,
         heat_ijk_to_lps=series_from_volume(heat).geometry.ijk_to_lps, picture=viewer.picture())
legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(heat)
layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
print(json.dumps({
    "names": [mri.GetName(), heat.GetName()], "opacity": view.GetForegroundOpacity(),
    "threshold": [display.GetApplyThreshold(), display.GetLowerThreshold(), display.GetUpperThreshold()],
    "window": [display.GetWindowLevelMin(), display.GetWindowLevelMax()],
    "grey": [mri.GetDisplayNode().GetWindowLevelMin(), mri.GetDisplayNode().GetWindowLevelMax()],
    "segments": [segments.GetNthSegment(n).GetName() for n in range(segments.GetNumberOfSegments())],
    "outline": [segmentation.GetDisplayNode().GetVisibility2DOutline(),
                segmentation.GetDisplayNode().GetVisibility2DFill()],
    "legend": bool(legend and legend.GetVisibility()), "layout": layout.GetViewArrangement(),
    "other views": [scene.GetNodeByID("vtkMRMLSliceCompositeNode" + name).GetForegroundVolumeID() == heat.GetID()
                    for name in ("Green", "Yellow")]}))
"""


@pytest.mark.parametrize("direction", ["flipped rows", "20° oblique"])
def test_a_saved_scene_opens_the_same_in_a_fresh_program(viewer, tmp_path, direction):
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:6, 10:35, 35:55] = 1
    labels[:6, 12:33, 5:28] = 2
    scene = planted(viewer, DIRECTIONS[direction], labels)
    scene.display.threshold, scene.display.opacity = 0.35, 0.65
    viewer.look_at(scene.volume, WHOLE)
    viewer.set_size(300, 300)
    viewer.show_slice(4)
    picture = viewer.picture()
    scene.save(tmp_path / "scene.mrb")
    done = subprocess.run(
        [sys.executable, "-c", READ_AGAIN, tmp_path / "scene.mrb", tmp_path / "read.npz"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    told, read = json.loads(done.stdout.splitlines()[-1]), np.load(tmp_path / "read.npz")
    grey = scene.volume.GetDisplayNode()
    assert told == {
        "names": ["MRI", "Heatmap"],
        "opacity": 0.65,
        "threshold": [1, 0.35, 1.0],
        "window": [0.0, 1.0],
        "grey": pytest.approx([grey.GetWindowLevelMin(), grey.GetWindowLevelMax()], abs=1e-3),
        "segments": ["Left leg", "Right leg"],
        "outline": [True, False],
        "legend": True,
        "layout": slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView,
        "other views": [True, True],
    }
    np.testing.assert_array_equal(read["mri"], slicer.util.arrayFromVolume(scene.volume))
    np.testing.assert_array_equal(read["heat"], slicer.util.arrayFromVolume(scene.heatmap))
    np.testing.assert_array_equal(read["labels"], labels)
    expected = series_from_volume(scene.volume).geometry.ijk_to_lps
    np.testing.assert_allclose(read["ijk_to_lps"], expected, atol=1e-9)
    np.testing.assert_allclose(read["heat_ijk_to_lps"], expected, atol=1e-9)
    np.testing.assert_allclose(read["colors"][[0, -1]], [[0, 0, 1, 1], [1, 0, 0, 1]])
    assert np.abs(read["picture"].astype(int) - picture).mean() < 0.5, "the reopened view shows the same picture"


def test_a_saved_scene_tells_nothing_of_the_computer(viewer, tmp_path):
    scene = planted(viewer, np.eye(3))
    scene.save(tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        content = b"".join(name.encode() + bundle.read(name) for name in bundle.namelist())
    for trace in (str(tmp_path), tmp_path.name, os.path.expanduser("~") + "/", os.getcwd(), "/tmp"):
        assert trace.encode() not in content


def test_a_scene_that_cannot_be_written_is_an_error_in_one_line(viewer, tmp_path):
    with pytest.raises(InputError, match="cannot be written") as error:
        planted(viewer, np.eye(3)).save(tmp_path / "absent" / "scene.mrb")
    assert str(tmp_path) not in str(error.value)


@pytest.fixture
def long_study(viewer):
    rng = np.random.default_rng(0)
    voxels = rng.uniform(90, 110, (40, 48, 60)).astype(np.float32)
    series = Series(voxels, Geometry((0, 0, 0), (1.5, 1.25, 6), np.eye(3)))
    heat = np.zeros(voxels.shape, np.float32)
    heat[23, 12:36, 12:28] = 1
    return StudyScene(add_series(viewer.scene, series), np.zeros(voxels.shape, np.uint8), heat)


def test_the_overview_shows_slices_along_the_thigh_and_the_most_suspicious_one(viewer, long_study, tmp_path):
    images = [
        image(k, side, 0.9 if k == 23 and side == "left" else 0.3) for k in range(2, 38) for side in ("left", "right")
    ]
    facts = result().input.model_copy(update={"slices": 40})
    render_overview(viewer, long_study, result(images, input=facts), tmp_path / "overview.png")
    sheet = np.asarray(Image.open(tmp_path / "overview.png"))
    assert sheet.shape[1] == 1600
    # Everything but the text and the legend in the header is grey, except the one slice with a hot heatmap.
    hot = (sheet[128:, :, 0].astype(int) - sheet[128:, :, 2]) > 60
    tiles = np.flatnonzero(hot.any(axis=1))
    assert hot.any()
    assert len(tiles) < sheet.shape[0] / 3, "one tile is hot"
    assert long_study.display.legend.GetVisibility()
    view = viewer.scene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(23 * 6), "the view is left at that slice"


@pytest.mark.parametrize(
    "images",
    [(), (image(3, "unknown", 1.0),), (image(3, "left", 0.4, counted=False), image(4, "right", 0.2, counted=False))],
    ids=["no image", "one image", "none counted"],
)
def test_the_overview_of_a_poor_study_is_drawn_too(viewer, tmp_path, images):
    render_overview(viewer, planted(viewer, np.eye(3)), result(images), tmp_path / "overview.png")
    sheet = np.asarray(Image.open(tmp_path / "overview.png"))
    assert (sheet[140:].max(axis=2) > 80).any()


def test_slices_of_the_overview():
    from DystrophyDxLib.mrml.overview import _chosen_slices

    images = [image(k, "left", 0.9 if k == 23 else 0.3, counted=k < 30) for k in range(40)]
    chosen, highest = _chosen_slices(result(images))
    assert highest == 23
    assert 23 in chosen
    assert len(chosen) == TILES
    assert (chosen[0], chosen[-1]) == (0, 29), "counted images only, from one end to the other"
    assert chosen == sorted(set(chosen))
    assert max(np.diff(chosen)) <= 5


def test_missing_opengl_is_an_error_in_one_line():
    environment = os.environ | {"VTK_DEFAULT_OPENGL_WINDOW": "vtkOSOpenGLRenderWindow"}
    code = (
        "from DystrophyDxLib.errors import InputError\n"
        "from DystrophyDxLib.mrml.offscreen import OffscreenSlicer\n"
        "try:\n    OffscreenSlicer()\nexcept InputError as error:\n    print(error)\nelse:\n    print('works')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True, timeout=120
    )
    if done.stdout.strip() == "works":
        pytest.skip("this computer has OSMesa")
    assert "need OpenGL" in done.stdout
    assert "install" in done.stdout
    assert not done.stderr.strip()
