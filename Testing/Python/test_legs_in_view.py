"""The colour legend lies beside the legs, and no view looks between them."""

import numpy as np
import pytest
import slicer
from mrml_cases import SHAPE, image, planted, series_of

from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.display import HeatmapDisplay
from DystrophyDxLib.mrml.layouts import MAIN_VIEW
from DystrophyDxLib.mrml.legs_in_view import (
    PLACES,
    Rectangle,
    free_place,
    legs_in_view,
    look_through_a_leg,
    place_legend,
    taken,
)
from DystrophyDxLib.mrml.scenes import new_scene
from DystrophyDxLib.mrml.slice_plane import SlicePlane

MIDDLE = PLACES[0]


def window(k, side, i, j):
    return image(k, side, 0.9).model_copy(update={"window_ijk": (i, j)})


@pytest.fixture
def scene():
    return new_scene()


@pytest.fixture
def classification(scene):
    """Legs at the left and the right third of the images, as high as these."""
    _, rows, columns = SHAPE
    third = columns // 3
    sides = (("left", (0, third)), ("right", (columns - third, columns)))
    images = [window(k, side, i, (0, rows)) for k in range(3) for side, i in sides]
    images += [window(3, "left", (0, 2 * third), (0, rows))]  # near the hip the legs reach the middle
    made = planted(scene, series_of(np.eye(3)), heat=np.full(SHAPE, 0.5, np.float32), images=images)
    ClassificationView(scene).show(made)
    return made


def main_view(scene):
    return scene.GetNodeByID(f"vtkMRMLSliceNode{MAIN_VIEW}")


def legend(classification):
    return slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(classification.heatmap.GetDisplayNode())


def covers(classification, view):
    place = taken(legend(classification).GetPosition())
    return any(place.meets(leg) for leg in legs_in_view(classification, view))


@pytest.mark.parametrize(
    ("legs", "place"),
    [
        ([], MIDDLE),
        ([Rectangle(0.3, 0.7, 0, 1)], MIDDLE),
        ([Rectangle(0, 1, 0.4, 0.6)], (0.98, 0.98)),
        ([Rectangle(0, 1, 0.4, 1)], (0.98, 0.02)),
        ([Rectangle(0.5, 1, 0, 1)], (0.02, 0.5)),
        ([Rectangle(0, 1, 0, 1)], None),
    ],
)
def test_the_first_free_place(legs, place):
    assert free_place(legs, MIDDLE) == place


def test_a_legend_that_covers_no_leg_stays_where_the_reader_has_put_it():
    assert free_place([Rectangle(0.4, 0.9, 0.5, 0.9)], (0.4, 0.02)) == (0.4, 0.02)


def test_room_is_made_for_the_legend_and_it_is_shown_in_the_main_view_alone(scene, classification):
    view = main_view(scene)
    view.SetDimensions(400, 400, 1)
    ClassificationView(scene).fit()
    assert covers(classification, view)
    place_legend(classification, make_room=True)
    assert not covers(classification, view)
    assert legend(classification).GetVisibility()
    assert legend(classification).IsDisplayableInView(view.GetID())
    assert not legend(classification).IsDisplayableInView("vtkMRMLSliceNodeGreen")
    for leg in legs_in_view(classification, view):
        assert leg.left > -0.01, "no leg leaves the view for it"
        assert leg.bottom > -0.01


def test_a_legend_without_room_is_not_seen_until_there_is_some_again(scene, classification):
    view, display = main_view(scene), HeatmapDisplay(classification.heatmap)
    view.SetDimensions(400, 400, 1)
    ClassificationView(scene).fit()
    width, height, depth = view.GetFieldOfView()
    view.SetFieldOfView(width / 4, height / 4, depth)
    view.SetXYZOrigin(-width / 3, 0, 0)
    view.UpdateMatrices()
    place_legend(classification)
    assert not legend(classification).GetVisibility()
    assert display.legend, "it is still wanted"
    view.SetFieldOfView(2 * width, 2 * height, depth)
    view.SetXYZOrigin(0, 0, 0)
    view.UpdateMatrices()
    place_legend(classification)
    assert legend(classification).GetVisibility()
    display.legend = False
    place_legend(classification)
    assert not legend(classification).GetVisibility()


def test_no_sagittal_view_looks_between_the_legs(scene, classification):
    sagittal = SlicePlane(scene.GetNodeByID("vtkMRMLSliceNodeYellow"), classification.volume)
    windows = [image.window_ijk[0] for image in classification.result.images if image.slice < 3]

    def through_a_leg():
        axis, place = sagittal.across
        assert axis == 0
        return any(start <= place < stop for start, stop in windows)

    assert not through_a_leg()
    look_through_a_leg(classification)
    assert through_a_leg()
    sagittal.go_to((sum(windows[0]) // 2, 1, 1))
    before = sagittal.across
    look_through_a_leg(classification)
    assert sagittal.across == before, "a reader's own choice of a plane through a leg stays"


def test_where_the_legs_touch_no_sagittal_view_looks_along_their_border(scene):
    _, rows, columns = SHAPE
    middle = columns // 2
    halves = (("left", (0, middle)), ("right", (middle, columns)))
    images = [window(k, side, i, (0, rows)) for k in range(3) for side, i in halves]
    touching = planted(scene, series_of(np.eye(3)), heat=np.full(SHAPE, 0.5, np.float32), images=images)
    ClassificationView(scene).show(touching)
    sagittal = SlicePlane(scene.GetNodeByID("vtkMRMLSliceNodeYellow"), touching.volume)
    for beside in (middle - 1, middle):
        sagittal.go_to((beside, 1, 1))
        look_through_a_leg(touching)
        _, place = sagittal.across
        assert abs(place - middle) > columns / 8
