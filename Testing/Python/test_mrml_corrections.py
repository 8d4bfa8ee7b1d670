"""Corrections of the region in a scene: pending until they are classified, undone, refused."""

import dataclasses

import numpy as np
import pytest
import slicer
from mrml_cases import LABELMAP, column, erase, half_erased, redraw
from vtkmodules.vtkCommonCore import VTK_UNSIGNED_CHAR

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.mrml import drawn_region
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.nodes import plot_series_of
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation, legs_drawn, set_labels
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side
from DystrophyDxLib.series.series import NO_ORIENTATION

pytest_plugins = ("mrml_fixtures",)


def test_a_correction_is_pending_until_it_is_classified(classification, series, classifier):
    first = classification.result
    half_erased(classification)
    assert classification.changed_slices == (2,)
    assert classification.pending
    run = []
    result = classification.reclassify(classifier, lambda done, total: run.append(total))
    assert run == [1]
    assert not classification.pending
    assert classification.result == result
    assert classification.result_before == first
    assert [(image.slice, image.side) for image in result.images if image.roi == "edited"] == [(2, "left")]
    rows = zip(*(column(classification.images_table, name) for name in ("Slice", "Side", "Region")), strict=True)
    assert [row for row in rows if row[2] == "edited"] == [(2, "left", "edited")]
    regions = labels_from_segmentation(classification.segmentation, classification.volume)
    assert not slicer.util.arrayFromVolume(classification.heatmap)[regions == 0].any()


def test_the_heatmap_is_updated_where_it_lies(classification, classifier):
    node, image = classification.heatmap, classification.heatmap.GetImageData()
    scalars = image.GetPointData().GetScalars()
    modified = image.GetMTime()
    half_erased(classification)
    classification.reclassify(classifier)
    assert classification.heatmap is node
    assert node.GetImageData() is image
    assert image.GetPointData().GetScalars() is scalars
    assert image.GetMTime() > modified


def test_undo_in_the_segment_editor_leads_back_to_nothing_pending(classification):
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(classification.segmentation.GetSegmentation())
    history.SaveState()
    half_erased(classification)
    assert classification.pending
    assert history.RestorePreviousState()
    assert not classification.pending


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ({}, ()),
        ({"slice": 2}, (4,)),
        ({"side": Side.LEFT}, (2,)),
        ({"slice": 2, "side": Side.LEFT}, (2, 4)),
        ({"slice": 4, "side": Side.RIGHT}, (2, 4)),
    ],
)
def test_reset_puts_the_automatic_region_back(classification, what, left):
    half_erased(classification, Side.LEFT, 2)
    erase(classification, Side.RIGHT, 2)
    erase(classification, Side.LEFT, 4)
    classification.reset(**what)
    assert classification.changed_slices == left


def test_an_excluded_slice_leaves_the_answer(classification, classifier):
    classification.exclude(3)
    assert classification.changed_slices == (3,)
    result = classification.reclassify(classifier)
    assert {image.slice for image in result.images} == {0, 1, 2, 4}
    assert [(item.slice, item.reason) for item in result.skipped] == [(3, "left out by the reader")]
    assert not slicer.util.arrayFromVolume(classification.heatmap)[3].any()
    classification.reset(slice=3)
    assert {image.slice for image in classification.reclassify(classifier).images} == {0, 1, 2, 3, 4}


def test_a_deleted_region_is_made_again_by_classifying_and_missed_by_reclassifying(scene, classification, classifier):
    scene.RemoveNode(classification.segmentation)
    assert not classification.pending
    with pytest.raises(InputError, match="classify the volume from the start"):
        classification.reclassify(classifier)
    classification.classify(classifier)
    assert classification.segmentation is not None


def test_a_segment_that_is_no_leg_is_pending_and_refused(classification, classifier):
    classification.segmentation.GetSegmentation().GetNthSegment(0).SetName("Segment_1")
    assert classification.pending
    with pytest.raises(InputError, match="name it"):
        classification.reclassify(classifier)


def test_a_new_segment_that_is_drawn_in_one_slice_makes_that_slice_edited(classification):
    segmentation = classification.segmentation.GetSegmentation()
    added = segmentation.AddEmptySegment("", "Segment_1")
    assert classification.changed_slices == (), "nothing is drawn in it yet"
    labelmap = slicer.vtkOrientedImageData()
    labelmap.DeepCopy(segmentation.GetNthSegment(0).GetRepresentation(LABELMAP))
    columns, rows, _ = labelmap.GetDimensions()
    labelmap.SetExtent(0, columns - 1, 0, rows - 1, 2, 2)
    labelmap.AllocateScalars(VTK_UNSIGNED_CHAR, 1)
    labelmap.GetPointData().GetScalars().Fill(0)
    labelmap.SetScalarComponentFromDouble(5, 5, 2, 0, 1)
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(
        labelmap, classification.segmentation, added, slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE
    )
    assert classification.changed_slices == (2,)
    segmentation.RemoveSegment(added)
    assert classification.changed_slices == ()


def test_a_region_whose_segments_are_all_deleted_is_edited_where_legs_were(classification):
    segmentation = classification.segmentation.GetSegmentation()
    for segment in list(segmentation.GetSegmentIDs()):
        segmentation.RemoveSegment(segment)
    assert classification.changed_slices == tuple(sorted({image.slice for image in classification.result.images}))


@pytest.mark.parametrize("corrected", [True, False])
def test_an_edit_made_while_the_legs_are_classified_is_kept_and_pending(classification, classifier, corrected):
    if corrected:
        half_erased(classification)
    classification.classify(classifier, lambda done, total: erase(classification, Side.RIGHT, 4))
    assert classification.changed_slices == (4,)
    assert classification.corrected


@pytest.mark.parametrize("already_classified", [True, False])
def test_classifying_keeps_a_correction_until_the_automatic_region_is_put_back(
    classification, classifier, already_classified
):
    first = classification.result
    assert not classification.corrected
    half_erased(classification)
    drawn = labels_from_segmentation(classification.segmentation, classification.volume)
    if already_classified:
        classification.reclassify(classifier)
    assert classification.corrected
    result = classification.classify(classifier)
    assert np.array_equal(labels_from_segmentation(classification.segmentation, classification.volume), drawn)
    assert [(image.slice, image.side) for image in result.images if image.roi == "edited"] == [(2, "left")]
    classification.reset()
    assert not classification.corrected
    assert classification.classify(classifier).images == first.images


def test_a_segment_that_is_no_leg_is_never_thrown_away_by_classifying(classification, classifier):
    classification.segmentation.GetSegmentation().GetNthSegment(0).SetName("Segment_1")
    assert classification.corrected
    with pytest.raises(InputError, match="name it"):
        classification.classify(classifier)


def test_a_region_that_was_drawn_from_the_start_is_a_correction(classification, series, classifier):
    drawn = find_legs(series).labels
    drawn[3] = 0
    classification.put(classifier.classify(series, classifier.region.from_labels(series, drawn)))
    assert classification.corrected
    assert 3 not in {image.slice for image in classification.classify(classifier).images}


def test_a_leg_that_is_erased_everywhere_leaves_table_and_chart(classification, classifier):
    classification.reset()
    erase(classification, Side.LEFT, slice(None))
    result = classification.reclassify(classifier)
    assert {image.side for image in result.images} == {"right"}
    assert set(column(classification.images_table, "Side")) == {"right"}
    (series,) = plot_series_of(classification.chart)
    assert series.GetName() == "Right leg"
    assert len(column(classification.images_table, series.GetYColumnName())) == 5


def test_an_edited_region_is_turned_into_voxels_once_for_all_that_asks_for_it(classification, classifier, monkeypatch):
    asked = {"drawn": 0, "digested": 0}

    def counting(name, function):
        def counted(*args):
            asked[name] += 1
            return function(*args)

        return counted

    monkeypatch.setattr(drawn_region, "legs_drawn", counting("drawn", legs_drawn))
    monkeypatch.setattr(drawn_region, "digests", counting("digested", drawn_region.digests))
    half_erased(classification)
    assert classification.changed_slices == (2,)
    classification.reclassify(classifier)
    assert not classification.pending
    assert classification.texture_scores(classification.segmentation)
    classification.follow_volume()
    assert not SceneClassification(classification.volume).pending
    assert asked == {"drawn": 1, "digested": 1}
    classification.exclude(3)
    assert classification.changed_slices == (3,)
    assert asked == {"drawn": 1, "digested": 2}, "what the program puts there is known"
    classification.segmentation.GetSegmentation().GetNthSegment(0).SetName("Right leg")
    assert len(classification.changed_slices) == 5, "a name is enough to change the region"


def test_a_region_that_is_cleaned_is_turned_into_voxels_once_too(classification, classifier, monkeypatch):
    drawn_in(classification, 2, slice(0, 1), slice(0, 1))
    asked = []
    monkeypatch.setattr(drawn_region, "legs_drawn", lambda *args: asked.append(args) or legs_drawn(*args))
    result = classification.reclassify(classifier)
    assert "REGION_CLEANED" in [warning.code for warning in result.warnings]
    assert not classification.pending
    assert len(asked) == 1
    known = drawn_region.drawn_region(classification.segmentation, classification.volume)
    np.testing.assert_array_equal(known.labels, legs_drawn(classification.segmentation, classification.volume).labels)


def test_a_region_without_any_leg_is_refused_and_the_answer_stays(classification, classifier):
    result = classification.result
    for k in range(5):
        classification.exclude(k)
    with pytest.raises(InputError, match="holds nothing of this series"):
        classification.reclassify(classifier)
    assert classification.result == result
    classification.reset()
    assert not classification.pending


def test_legs_of_unknown_side_are_corrected_like_others(scene, series, classifier):
    window = next(window for window in find_legs(series).windows if window.side is Side.LEFT)
    # One leg across the scanner's midline tells no side.
    columns = slice(max(0, window.i[0] - 4), window.i[1] + 4)
    geometry = dataclasses.replace(series.geometry, origin=(-60.0, *series.geometry.origin[1:]))
    single = dataclasses.replace(
        series, voxels=np.ascontiguousarray(series.voxels[:, :, columns]), geometry=geometry, orientation_known=False
    )
    classification = SceneClassification(add_series(scene, single))
    regions = find_legs(single)
    assert {window.side for window in regions.windows} == {Side.UNKNOWN}
    classification.put(classifier.classify(single, regions))
    assert not classification.pending
    classification.exclude(2)
    result = classification.reclassify(classifier)
    assert {(image.side, image.roi) for image in result.images} == {("unknown", "auto")}
    assert 2 not in {image.slice for image in result.images}


def drawn_in(classification, k, rows, columns, side="left"):
    """Draws a rectangle into a leg's segment, as the segment editor's effects do."""
    labels = labels_from_segmentation(classification.segmentation, classification.volume)
    labels[k, rows, columns] = LABEL_OF_SIDE[Side(side)]
    set_labels(classification.segmentation, classification.volume, labels)


def test_the_outline_shown_after_a_correction_is_the_one_that_was_used(classification, classifier):
    before = labels_from_segmentation(classification.segmentation, classification.volume)
    first = classification.result
    drawn_in(classification, 2, slice(0, 1), slice(0, 1))
    result = classification.reclassify(classifier)
    shown = labels_from_segmentation(classification.segmentation, classification.volume)
    np.testing.assert_array_equal(shown, before)
    assert not classification.pending
    assert result.case == first.case
    assert "REGION_CLEANED" in [warning.code for warning in result.warnings]


def test_a_leg_that_leaves_the_case_by_a_correction_is_a_warning_beside_the_answer(classification, classifier):
    for k in range(classification.result.input.slices):
        erase(classification, "left", k)
    result = classification.reclassify(classifier)
    assert {image.side for image in result.images if image.counted} == {"right"}
    (told,) = [warning.message for warning in result.warnings if warning.code == "CASE_INCOMPLETE"]
    assert "all of the left leg" in told


def test_exchanged_names_are_told_before_anything_runs(classification, classifier):
    segmentation = classification.segmentation.GetSegmentation()
    left, right = (segmentation.GetNthSegment(n) for n in (0, 1))
    assert classification.doubts == ()
    left.SetName("Right leg")
    right.SetName("Left leg")
    (doubt,) = classification.doubts
    assert doubt.code == "SIDE_CONTRADICTED"
    result = classification.reclassify(classifier)
    assert doubt in result.warnings
    assert {image.side for image in result.images} == {"unknown"}
    assert result.case.label == "indeterminate"
    assert len(result.images) == len(classification.result_before.images)


def test_sides_that_the_files_did_not_tell_stay_unknown_in_a_scene_that_was_reopened(scene, series, classifier):
    unsided = series.warned(*NO_ORIENTATION)
    classification = SceneClassification(add_series(scene, unsided))
    first = classification.put(classifier.classify(unsided))
    vars(classification.volume).clear()  # what a saved scene does not keep
    classification.exclude(2)
    result = classification.reclassify(classifier)
    assert {image.side for image in result.images} == {"unknown"}
    assert len(result.images) == len(first.images) - 2
    assert "SIDE_UNKNOWN" in [warning.code for warning in result.warnings]


def test_a_slight_overlap_is_told_and_no_longer_shown(classification, classifier):
    before = labels_from_segmentation(classification.segmentation, classification.volume)
    drawn = before == LABEL_OF_SIDE[Side.LEFT]
    rows, columns = np.nonzero(before[2] == LABEL_OF_SIDE[Side.RIGHT])
    drawn[2, rows[:20], columns[:20]] = True
    redraw(classification, Side.LEFT, drawn)
    assert legs_drawn(classification.segmentation, classification.volume).overlapping == (2,)
    result = classification.reclassify(classifier)
    assert ["slice 2" in w.message for w in result.warnings if w.code == "REGION_OVERLAP"] == [True]
    shown = legs_drawn(classification.segmentation, classification.volume)
    assert shown.overlapping == ()
    np.testing.assert_array_equal(shown.labels, before)
    assert not classification.pending
