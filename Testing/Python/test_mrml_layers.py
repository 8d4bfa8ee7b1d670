"""Heatmap, legend and outlines lie over the images that they are of, in whatever views Slicer shows others."""

import numpy as np
import pytest
from mrml_cases import SHAPE, image, planted, series_of

from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.layers import layers, set_layers, shown_instead
from DystrophyDxLib.mrml.nodes import nodes_of_class
from DystrophyDxLib.mrml.scenes import new_scene
from DystrophyDxLib.mrml.volumes import add_series


@pytest.fixture
def scene():
    scene = new_scene()
    for view in nodes_of_class(scene, "vtkMRMLSliceNode"):
        view.SetMappedInLayout(1)  # as Slicer's layout manager does
    return scene


@pytest.fixture
def view(scene):
    return ClassificationView(scene)


@pytest.fixture
def first(scene, view):
    classification = planted(scene, series_of(np.eye(3)), heat=np.full(SHAPE, 0.5, np.float32))
    view.show(classification)
    view.follow()
    return classification


@pytest.fixture
def second(scene):
    return add_series(scene, series_of(np.eye(3), seed=1), "Patient B")


def composite(scene, name):
    return scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{name}")


def outlined(classification):
    """Names of the slice views in which the outlines are seen."""
    display = classification.segmentation.GetDisplayNode()
    return {name for name in ("Red", "Green", "Yellow") if display.IsDisplayableInView(f"vtkMRMLSliceNode{name}")}


def test_outlines_and_heatmap_leave_a_view_that_shows_another_volume(scene, view, first, second):
    assert outlined(first) == {"Red", "Green", "Yellow"}
    composite(scene, "Green").SetBackgroundVolumeID(second.GetID())
    view.follow()
    assert outlined(first) == {"Red", "Yellow"}
    assert composite(scene, "Green").GetForegroundVolumeID() is None
    assert composite(scene, "Red").GetForegroundVolumeID() == first.heatmap.GetID()
    for name in ("Red", "Yellow"):
        composite(scene, name).SetBackgroundVolumeID(second.GetID())
    view.follow()
    assert outlined(first) == set()
    view.show(first)
    assert outlined(first) == {"Red", "Green", "Yellow"}
    assert composite(scene, "Green").GetForegroundVolumeID() == first.heatmap.GetID()


def test_nothing_of_a_deleted_volume_is_seen_over_another(scene, view, first, second):
    heatmap, display = first.heatmap, first.segmentation.GetDisplayNode()
    scene.RemoveNode(first.volume)
    for name in ("Red", "Green", "Yellow"):
        composite(scene, name).SetBackgroundVolumeID(second.GetID())
        composite(scene, name).SetForegroundVolumeID(heatmap.GetID())
    view.follow()
    assert not any(display.IsDisplayableInView(f"vtkMRMLSliceNode{name}") for name in ("Red", "Green", "Yellow"))
    assert {composite(scene, name).GetForegroundVolumeID() for name in ("Red", "Green", "Yellow")} == {None}


def test_what_a_reader_has_put_over_another_volume_stays(scene, view, first, second):
    composite(scene, "Green").SetBackgroundVolumeID(second.GetID())
    composite(scene, "Green").SetForegroundVolumeID(first.volume.GetID())
    view.follow()
    assert composite(scene, "Green").GetForegroundVolumeID() == first.volume.GetID()


def test_nothing_is_touched_while_only_slices_are_turned(scene, view, first):
    legend = scene.GetFirstNodeByClass("vtkMRMLColorLegendDisplayNode")
    before = legend.GetMTime()
    view.slice = 2
    view.follow()
    assert legend.GetMTime() == before


def test_views_of_another_study_are_told_but_not_those_that_nobody_sees(scene, view, first, second):
    assert shown_instead(first) is None
    first.set_channel("water", second)
    composite(scene, "Yellow").SetBackgroundVolumeID(second.GetID())
    assert shown_instead(first) is None, "it is part of the input"
    first.set_channel("water", None)
    assert shown_instead(first) is second
    scene.GetNodeByID("vtkMRMLSliceNodeYellow").SetMappedInLayout(0)
    assert shown_instead(first) is None
    composite(scene, "Red").SetBackgroundVolumeID(first.heatmap.GetID())
    assert shown_instead(first) is None


def test_each_study_is_shown_again_on_the_slice_that_was_left(scene, view, first, second):
    other = planted(scene, series_of(np.eye(3), seed=2))
    view.slice = 5
    view.show(other)
    view.slice = 1
    view.show(first)
    assert view.slice == 5
    view.slice = 4
    view.follow()
    set_layers(scene, {name: (second.GetID(), None) for name in layers(scene)})  # by Slicer, which turns the views, too
    view.slice = 0
    view.show(first)
    assert view.slice == 4


def test_a_table_or_chart_that_was_deleted_does_not_come_back_by_being_shown(scene, view):
    images = [image(1, "left", 0.4), image(1, "right", 0.6)]
    found = planted(scene, series_of(np.eye(3)), images=images)
    scene.RemoveNode(found.images_table)
    view.show(found)
    assert found.images_table is None
    scene.RemoveNode(found.chart)
    view.show(found)
    assert found.chart is None
    assert len(found.result.images) == 2


def test_legends_are_told_once_of_what_the_views_show(scene, view, first):
    (legend,) = nodes_of_class(scene, "vtkMRMLColorLegendDisplayNode")
    told = []
    legend.AddObserver("ModifiedEvent", lambda *_: told.append(1))
    view.show(first)
    assert told == [], "nothing has changed"
    view.overlay = False
    assert told == [1]
    view.overlay = True
    assert told == [1, 1]
