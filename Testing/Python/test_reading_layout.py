"""The views suit axial reading after a classification, and the reader's own layout comes back."""

import numpy as np
import pytest
import slicer
from mrml_cases import SHAPE, image, planted, series_of

from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.layouts import SIDE_BY_SIDE_LAYOUT, Layout
from DystrophyDxLib.mrml.scenes import new_scene
from DystrophyDxLib.panel.reading_layout import ReadingLayout

FOUR_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
CONVENTIONAL = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView


class Reader:
    """A reader with own views at a page of the panel, and the settings that are kept from session to session."""

    def __init__(self, view):
        self.view, self.kept = view, []
        self.node = view.scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        self.node.SetViewArrangement(FOUR_UP)
        self.start()

    def start(self):
        """A new session."""
        self.layout = ReadingLayout(lambda: self.kept[-1] if self.kept else None, self.kept.append)

    def classify(self):
        self.layout.after_classification(self.view, lambda: None)

    def choose(self, layout):
        self.layout.choose(self.view, layout, lambda: None)

    def arrange_in_slicer(self, number):
        self.node.SetViewArrangement(number)
        self.layout.follow(self.view)

    def leave(self):
        self.layout.leave(self.view)

    def enter(self):
        self.layout.enter(self.view, lambda: None)

    @property
    def number(self):
        return self.node.GetViewArrangement()


def reader_of(images):
    scene = new_scene()
    view = ClassificationView(scene)
    view.show(planted(scene, series_of(np.eye(3)), heat=np.full(SHAPE, 0.5, np.float32), images=images))
    return Reader(view)


@pytest.fixture
def reader():
    return reader_of([image(k, side, 0.9) for k in (0, 1) for side in ("left", "right")])


def test_after_classify_the_axial_view_alone_is_seen_and_the_own_layout_comes_back(reader):
    reader.classify()
    assert reader.view.layout is Layout.OVERLAY
    reader.leave()
    assert reader.number == FOUR_UP
    reader.enter()
    assert reader.view.layout is Layout.OVERLAY, "as it was when the page was left"
    reader.leave()
    assert reader.number == FOUR_UP
    assert not reader.kept, "nothing was chosen"


def test_a_choice_is_kept_into_the_next_session(reader):
    reader.choose(Layout.SIDE_BY_SIDE)
    reader.classify()
    assert reader.number == SIDE_BY_SIDE_LAYOUT
    reader.leave()
    assert reader.number == FOUR_UP
    reader.start()
    reader.classify()
    assert reader.number == SIDE_BY_SIDE_LAYOUT


def test_the_own_layout_can_be_chosen_and_then_stays(reader):
    reader.classify()
    reader.choose(None)
    assert reader.number == FOUR_UP
    reader.classify()
    assert reader.number == FOUR_UP


def test_a_layout_of_slicers_own_menu_is_a_choice(reader):
    reader.classify()
    reader.arrange_in_slicer(CONVENTIONAL)
    reader.classify()
    assert reader.number == CONVENTIONAL
    reader.leave()
    assert reader.number == CONVENTIONAL


def test_a_reader_who_has_the_axial_view_alone_gets_it_back_from_side_by_side(reader):
    reader.node.SetViewArrangement(Layout.OVERLAY.number)
    reader.choose(Layout.SIDE_BY_SIDE)
    reader.leave()
    assert reader.number == Layout.OVERLAY.number
    reader.leave()
    assert reader.number == Layout.OVERLAY.number


def test_a_whole_volume_keeps_its_three_planes():
    reader = reader_of([image(1, "none", 0.9).model_copy(update={"slices": (0, 2)})])
    reader.classify()
    assert reader.number == FOUR_UP


def test_the_own_layout_is_what_was_shown_before_the_answer_also_after_a_scene_was_closed(reader):
    reader.classify()
    reader.node.SetViewArrangement(CONVENTIONAL)  # while the page knows no view
    reader.classify()
    assert reader.view.layout is Layout.OVERLAY
    reader.leave()
    assert reader.number == CONVENTIONAL
