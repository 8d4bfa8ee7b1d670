"""A reading session in Slicer's own slice views: what is seen when, what is logged, and that nothing tells the case."""

import sqlite3
import time

import numpy as np
import pytest
import slicer
from mrml_cases import planted, series_of
from offscreen import OffscreenSlicer
from reader_studies import SetClock, make_protocol, quick_folder
from reading_cases import SEQUENTIAL, SHAPE, grey_value, make_reading_study, write_case, write_image

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.mrml import reading_room
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.layouts import MRI_VIEW, Layout
from DystrophyDxLib.mrml.reading_room import ReadingRoom
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.readerstudy.protocol import Arm
from DystrophyDxLib.readerstudy.questions import Answer
from DystrophyDxLib.readerstudy.session import ReadingSession
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side
from DystrophyDxLib.series.series import Geometry, Series

NO = Answer(False, 20)
AIDED = {"design": "fully-crossed", "arms": ["aided"], "washout_days": 0}
UNAIDED = {"design": "fully-crossed", "arms": ["unaided"], "washout_days": 0}
SIZE = 200


@pytest.fixture
def folder():
    with quick_folder() as folder:
        yield folder / "study"


@pytest.fixture
def slicer_app():
    app = OffscreenSlicer("Red", "Green", "Yellow", MRI_VIEW)
    for view in ("Red", MRI_VIEW):
        app.resize(SIZE, SIZE, view)
    return app


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(reading_room, "REST_SECONDS", 0)


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def enter(slicer_app, folder, clock):
    """Makes a study and signs its first reader in."""

    def entered(write=write_case, **changes):
        study = make_reading_study(folder, make_protocol(cases=4, **changes), write)
        return ReadingRoom(slicer_app.scene, ReadingSession(study, "R1", clock), lambda: None)

    return entered


def events(folder, kind):
    with sqlite3.connect(folder / "answers" / "R1.sqlite") as database:
        return database.execute(
            "SELECT presentation, slice, low, high, seconds FROM event WHERE kind = ? ORDER BY id", (kind,)
        ).fetchall()


def middle(picture):
    return picture[SIZE // 2 - 5 : SIZE // 2 + 5, 20:30].mean()


def colored(picture):
    return np.ptp(picture.astype(int), axis=2) > 60


def number_of(item):
    return int(item.image.parent.name[1:]) - 1


def nodes(scene):
    return [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]


def of_kind(scene, kind):
    return [node for node in nodes(scene) if node.IsA(kind)]


def test_every_case_is_shown_in_the_grey_window_of_the_protocol(slicer_app, enter):
    room = enter(**UNAIDED)
    while item := room.show():
        expected = 255 * grey_value(number_of(item)) / 1000
        assert middle(slicer_app.picture()) == pytest.approx(expected, abs=2)
        display = slicer_app.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode").GetDisplayNode()
        display.SetWindowLevelMinMax(0, 10000)  # by this reader, for this case alone
        room.session.submit(NO)
    assert room.session.progress.finished
    assert not slicer_app.picture().max(axis=2)[SIZE // 2 - 5 : SIZE // 2 + 5, 20:30].any()


def test_unaided_the_mri_alone_is_shown(slicer_app, enter):
    room = enter(**UNAIDED)
    room.show()
    assert ClassificationView(slicer_app.scene).layout is Layout.OVERLAY
    assert not colored(slicer_app.picture()).any()
    assert len(of_kind(slicer_app.scene, "vtkMRMLScalarVolumeNode")) == 1, "no heatmap is in the scene"


def test_aided_the_mri_lies_beside_the_mri_with_the_heatmap(slicer_app, enter):
    room = enter(**AIDED)
    ClassificationView(slicer_app.scene).overlay = False  # as somebody left it
    while item := room.show():
        assert ClassificationView(slicer_app.scene).layout is Layout.SIDE_BY_SIDE
        assert not colored(slicer_app.picture(MRI_VIEW)).any()
        heat = colored(slicer_app.picture())
        legend = heat[:, SIZE * 17 // 20 :]
        assert legend.any()
        assert heat[:, : SIZE * 17 // 20].any() == (number_of(item) > 0), "the model saw nothing in the first case"
        room.session.submit(NO)


def test_sequential_reading_adds_the_heatmap_where_the_reader_is(slicer_app, enter):
    room = enter(**SEQUENTIAL)
    unaided = room.show()
    room.scroll(-2)
    volume = of_kind(slicer_app.scene, "vtkMRMLScalarVolumeNode")[0]
    volume.GetDisplayNode().SetWindowLevelMinMax(100, 700)
    room.session.submit(NO)
    aided = room.show()
    assert (unaided.arm, aided.arm) == (Arm.UNAIDED, Arm.AIDED)
    view = ClassificationView(slicer_app.scene)
    assert (view.classification.volume, view.slice, view.layout) == (volume, SHAPE[0] // 2 - 2, Layout.SIDE_BY_SIDE)
    display = volume.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (100, 700)
    room.session.submit(NO)
    room.show()
    assert len(of_kind(slicer_app.scene, "vtkMRMLScalarVolumeNode")) == 1
    assert view.layout is Layout.OVERLAY
    assert view.slice == SHAPE[0] // 2


def test_slices_and_grey_windows_are_logged_with_the_time_that_passed(slicer_app, enter, folder, clock):
    room = enter(**UNAIDED)
    number = room.show().number
    clock.run(4)
    room.scroll(+1)
    clock.run(2)
    logic = slicer_app.logic("Red")
    logic.SetSliceOffset(logic.GetSliceOffset() + 6)
    logic.SetSliceOffset(logic.GetSliceOffset() + 1)  # still the same slice
    room.scroll(-10)
    display = ClassificationView(slicer_app.scene).classification.volume.GetDisplayNode()
    display.SetWindowLevelMinMax(50, 600)
    display.SetInterpolate(not display.GetInterpolate())  # no grey window
    clock.run(1.5)
    room.session.submit(NO)
    logic.SetSliceOffset(logic.GetSliceOffset() + 12)  # after the answer
    assert [row[:2] + row[4:] for row in events(folder, "slice")] == [
        (number, 3, 0.0), (number, 4, 4.0), (number, 5, 6.0), (number, 0, 6.0),
    ]  # fmt: skip
    assert [row[2:] for row in events(folder, "window")] == [(50.0, 600.0, 6.0)]
    with sqlite3.connect(folder / "answers" / "R1.sqlite") as database:
        assert database.execute("SELECT seconds, slices_seen FROM answer").fetchall() == [(7.5, 4)]


def test_scrolling_stops_at_the_ends_and_moves_both_views(slicer_app, enter):
    room = enter(**AIDED)
    room.show()
    view = ClassificationView(slicer_app.scene)
    for slices, expected in ((+2, 5), (+9, 6), (-1, 5), (-9, 0)):
        room.scroll(slices)
        assert view.slice == expected
        planes = [
            slicer.util.arrayFromVTKMatrix(slicer_app.node(name).GetSliceToRAS())[2, 3] for name in ("Red", MRI_VIEW)
        ]
        assert planes[0] == planes[1]


def test_a_slice_is_shown_and_nothing_between_two(slicer_app, enter):
    def of_six_slices(image, heatmap, number):
        write_case(image, heatmap, number)
        write_image(image, np.random.default_rng(0).integers(0, 1000, (6, 48, 60)).astype(np.int16))

    room = enter(of_six_slices, **UNAIDED)
    room.show()
    plane = slicer.util.arrayFromVTKMatrix(slicer_app.node().GetSliceToRAS())[2, 3]
    assert plane == pytest.approx(301 + 6 * ClassificationView(slicer_app.scene).slice, abs=1e-6)


def test_scrolling_leaves_zoom_and_position(slicer_app, enter):
    room = enter(**UNAIDED)
    room.show()
    node = slicer_app.node()
    node.SetFieldOfView(8, 8, 1)
    node.SetXYZOrigin(30, 20, 0)
    room.scroll(+2)
    assert node.GetFieldOfView()[:2] == (8, 8)
    assert node.GetXYZOrigin() == (30, 20, 0)


def test_a_pause_hides_the_case_in_all_views_and_resuming_shows_it_as_it_was(slicer_app, enter, folder, clock):
    room = enter(**AIDED)
    room.show()
    if not number_of(room.session.item):
        room.session.submit(NO)
        room.show()
    room.scroll(-1)
    slicer_app.node().SetFieldOfView(30, 30, 1)
    before = [slicer_app.picture(name) for name in ("Red", MRI_VIEW)]
    clock.run(5)
    room.pause()
    assert room.session.paused
    for name in ("Red", "Green", "Yellow", MRI_VIEW):
        assert np.ptp(slicer_app.picture(name).reshape(-1, 3), axis=0).max() < 30, f"something is seen in {name}"
    clock.run(600)
    room.scroll(+1)
    room.resume()
    after = [slicer_app.picture(name) for name in ("Red", MRI_VIEW)]
    for then, now in zip(before, after, strict=True):
        assert np.abs(then.astype(int) - now).mean() < 0.5
    clock.run(1)
    room.session.submit(NO)
    with sqlite3.connect(folder / "answers" / "R1.sqlite") as database:
        assert database.execute("SELECT seconds FROM answer ORDER BY id DESC").fetchone() == (6.0,)


def test_nothing_in_the_scene_tells_which_case_it_is(slicer_app, enter):
    room = enter(**AIDED)
    told = []
    while item := room.show():
        shown = [node for node in nodes(slicer_app.scene) if node.IsA("vtkMRMLDisplayableNode")]
        told.append(sorted((node.GetClassName(), node.GetName()) for node in shown))
        for node in nodes(slicer_app.scene):
            texts = [node.GetName() or "", node.GetDescription() or ""]
            texts += [node.GetAttribute(name) or "" for name in node.GetAttributeNames() or ()]
            if node.IsA("vtkMRMLStorageNode"):
                texts.append(node.GetFileName() or "")
            assert not any(item.image.parent.name in text or str(item.image.parent) in text for text in texts)
        room.session.submit(NO)
    assert len(told) == 4
    assert len({tuple(names) for names in told}) == 1


def test_a_case_is_neither_saved_nor_left_in_the_scene(slicer_app, enter, tmp_path):
    count = len(nodes(slicer_app.scene))
    room = enter(**AIDED)
    room.show()
    slicer_app.scene.SetURL(str(tmp_path / "scene.mrml"))
    slicer_app.scene.Commit()
    saved = (tmp_path / "scene.mrml").read_text()
    assert "<Slice" in saved
    assert "<Volume" not in saved
    while item := room.session.item:
        room.session.submit(NO)
        room.show()
    kinds = ("vtkMRMLVolumeNode", "vtkMRMLStorageNode", "vtkMRMLVolumeDisplayNode", "vtkMRMLColorLegendDisplayNode")
    for kind in kinds:
        assert not of_kind(slicer_app.scene, kind)
    assert item is None
    assert len(nodes(slicer_app.scene)) <= count + 6, "only views and colours stay"


def test_what_was_shown_before_is_hidden_and_comes_back(slicer_app, enter):
    rng = np.random.default_rng(0)
    series = Series(rng.uniform(90, 110, SHAPE).astype("f4"), Geometry((0, 0, 0), (1.5, 1.25, 6), np.eye(3)))
    other = SceneClassification(add_series(slicer_app.scene, series, "Patient"))
    view = ClassificationView(slicer_app.scene)
    view.show(other)
    view.layout = Layout.SIDE_BY_SIDE
    room = enter(**UNAIDED)
    assert np.ptp(slicer_app.picture().reshape(-1, 3), axis=0).max() < 30
    room.show()
    assert view.classification != other
    room.close()
    assert (view.classification, view.layout) == (other, Layout.SIDE_BY_SIDE)


def test_after_signing_out_the_classified_study_looks_as_before(slicer_app, enter):
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 10:40, 5:25] = LABEL_OF_SIDE[Side.LEFT]
    heat = np.zeros(SHAPE, np.float32)
    heat[2:4, 12:30, 36:50] = 1
    other = planted(slicer_app.scene, series_of(np.eye(3)), heat, labels, name="Patient")
    view = ClassificationView(slicer_app.scene)
    view.layout = Layout.OVERLAY
    view.show(other)
    view.slice, view.opacity = 2, 0.8
    red, yellow = (slicer_app.scene.GetNodeByID(f"vtkMRMLSliceNode{name}") for name in ("Red", "Yellow"))
    red.SetFieldOfView(40, 40, 1)
    yellow.SetSliceOffset(11)
    view.overlay = False
    before, pictures = yellow.GetSliceOffset(), [slicer_app.picture(name) for name in ("Red", "Yellow")]
    room = enter(**AIDED)
    room.show()
    room.scroll(-2)
    assert not other.segmentation.GetDisplayNode().GetVisibility()
    room.close()
    assert other.segmentation.GetDisplayNode().GetVisibility()
    assert (view.slice, view.overlay, view.opacity) == (2, False, pytest.approx(0.8))
    assert yellow.GetSliceOffset() == before
    for name, picture in zip(("Red", "Yellow"), pictures, strict=True):
        np.testing.assert_array_equal(slicer_app.picture(name), picture)


def test_a_volume_that_was_deleted_while_somebody_read_is_not_looked_for(slicer_app, enter):
    other = planted(slicer_app.scene, series_of(np.eye(3)), name="Patient")
    view = ClassificationView(slicer_app.scene)
    view.show(other)
    room = enter(**UNAIDED)
    room.show()
    other.discard()
    room.close()
    assert view.classification is None


def test_the_next_case_is_read_ahead_one_file_at_a_time_and_not_read_again(slicer_app, enter, monkeypatch):
    room = enter(**AIDED)
    read = []
    for name in ("read_study", "_read_heatmap"):
        reader = getattr(reading_room, name)
        monkeypatch.setattr(reading_room, name, lambda path, reader=reader: read.append(path) or reader(path))
    item = room.show()
    assert read == [item.image, item.heatmap]
    while room.read_ahead():
        pass
    following = room.session.next_image, room.session.next_heatmap
    assert read[2:] == list(following)
    room.session.submit(NO)
    item = room.show()
    assert (item.image, item.heatmap) == following
    assert len(read) == 4


def test_the_model_is_not_read_ahead_before_the_unaided_answer_is_locked(enter, monkeypatch):
    room = enter(**SEQUENTIAL)
    heatmaps = []
    monkeypatch.setattr(reading_room, "_read_heatmap", lambda path: heatmaps.append(path))
    room.show()
    while room.read_ahead():
        pass
    assert room._ahead
    assert not heatmaps


def test_nothing_is_read_ahead_while_the_reader_scrolls(enter, monkeypatch):
    monkeypatch.setattr(reading_room, "REST_SECONDS", 0.2)
    room = enter(**UNAIDED)
    room.show()
    room.scroll(+1)
    assert room.read_ahead()
    assert not room._ahead
    time.sleep(0.25)
    assert room.read_ahead()
    assert list(room._ahead) == [room.session.next_image]
    assert not room.read_ahead()


def test_a_case_that_was_changed_is_told_and_not_shown_until_it_is_restored(slicer_app, enter, clock):
    room = enter(**UNAIDED)
    room.show()
    changed = room.session.next_image
    room.session.submit(NO)
    whole = changed.read_bytes()
    changed.write_bytes(next(path for path in changed.parents[1].glob("*/mri.nrrd") if path != changed).read_bytes())
    with pytest.raises(InputError, match=f"cases/{changed.parent.name}/mri.nrrd was changed"):
        room.show()
    with pytest.raises(InputError, match="No case is shown"):
        room.session.submit(NO)
    changed.write_bytes(whole)
    room.show()
    assert middle(slicer_app.picture()) == pytest.approx(255 * grey_value(number_of(room.session.item)) / 1000, abs=2)


def test_a_heatmap_of_another_grid_is_refused(enter):
    def of_two_grids(image, heatmap, number):
        write_case(image, heatmap, number)
        write_image(heatmap, np.zeros((7, 48, 61), np.float32))

    room = enter(of_two_grids, **AIDED)
    with pytest.raises(InputError, match="not of its case"):
        room.show()
    assert room.session.paused


def test_a_scene_closed_amid_reading_brings_the_case_back_on_resume(slicer_app, enter):
    room = enter(**AIDED)
    room.show()
    slicer_app.scene.Clear(0)
    room.pause()
    room.resume()
    assert len(of_kind(slicer_app.scene, "vtkMRMLScalarVolumeNode")) == 2
    room.scroll(+1)
    assert ClassificationView(slicer_app.scene).slice == SHAPE[0] // 2 + 1
