"""The section "Region" of the panel: corrections of what the model looked at."""

from html import escape

import pytest

pytest.importorskip("PySide6")

import numpy as np
import slicer
from panel_cases import erase_half_of_the_left_leg

from DystrophyDxLib.mrml.segmentation import labels_from_segmentation, set_labels
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side

pytest_plugins = "panel_fixtures"


def test_edit_opens_slicers_segment_editor_on_the_region(panel, classification):
    panel.ui.editButton.checked = True
    editor = panel.editor
    assert panel.ui.editorFrame.visible
    assert editor.told["EffectNameOrder"] == ["Paint", "Draw", "Erase", "Scissors", "Islands"]
    assert not editor.unorderedEffectsVisible
    assert editor.undoEnabled
    assert editor.told["SegmentationNode"] is classification.segmentation
    assert editor.told["SourceVolumeNode"] is classification.volume
    assert editor.told["MRMLSegmentEditorNode"].GetSingletonTag() == "DystrophyDx"
    assert editor.shortcuts
    panel.ui.editButton.checked = False
    assert not panel.ui.editorFrame.visible
    assert not editor.shortcuts
    panel.ui.editButton.checked = True
    panel.widget.exit()
    assert not editor.shortcuts, "no key of the editor works in another module"


def test_correct_and_reclassify_runs_what_changed_and_shows_the_difference(desktop, panel, classification, monkeypatch):
    before, told = classification.result, []
    erase_half_of_the_left_leg(classification, 2)
    desktop.wait(lambda: panel.ui.reclassifyButton.enabled)
    assert panel.ui.pendingLabel.text == "Edited since the result: slice 2."
    progress = panel.page.bar.onProgress
    monkeypatch.setattr(panel.page.bar, "onProgress", lambda *counts: (told.append(counts), progress(*counts)))
    panel.ui.reclassifyButton.click()
    assert told[-1] == (1, 1), "one image was run"
    assert "Before: Images suggest dystrophinopathy" in panel.ui.differenceLabel.text
    edited = [row for row in panel.rows() if row[3] == "edited"]
    assert [row[:2] for row in edited] == [("2", "left")]
    assert classification.result_before == before
    assert panel.ui.pendingLabel.text == ""
    assert not panel.ui.reclassifyButton.enabled


def test_what_takes_no_longer_than_to_show_progress_shows_none(panel, classification, monkeypatch):
    erase_half_of_the_left_leg(classification, 2)
    panel.page.region.onEdited()
    frames = []
    monkeypatch.setattr(slicer.app, "processEvents", lambda: frames.append(panel.ui.progressFrame.visible))
    panel.ui.reclassifyButton.click()
    assert "edited" in {row[3] for row in panel.rows()}
    assert True not in frames
    panel.ui.resetAllButton.click()
    panel.ui.classifyButton.click()
    assert True in frames, "a whole study takes its time"


def test_classify_keeps_a_correction_and_says_so(desktop, panel, classification):
    erase_half_of_the_left_leg(classification, 2)
    desktop.press("F5")
    assert [row[:2] for row in panel.rows() if row[3] == "edited"] == [("2", "left")]
    assert "The corrected region was classified" in panel.ui.messageLabel.text
    panel.ui.resetAllButton.click()
    desktop.press("F5")
    assert "edited" not in {row[3] for row in panel.rows()}
    assert panel.ui.messageLabel.text == ""


def test_what_is_drawn_while_a_classification_runs_is_kept_and_told(desktop, panel, classification, monkeypatch):
    first, progress = classification.result, panel.page.bar.onProgress

    def drawing(done, total):
        if done and not panel.ui.pendingLabel.text:
            erase_half_of_the_left_leg(classification, 2)
            desktop.settle(600)  # longer than the panel waits after an edit
        progress(done, total)

    panel.ui.autoReclassifyCheckBox.checked = True
    monkeypatch.setattr(panel.page.bar, "onProgress", drawing)
    panel.ui.classifyButton.click()
    assert panel.ui.pendingLabel.text == "Edited since the result: slice 2."
    assert classification.result.images == first.images
    monkeypatch.undo()
    desktop.wait(lambda: "edited" in {row[3] for row in panel.rows()}, 10)


def test_a_leg_that_leaves_the_case_is_told_beside_the_answer(panel, classification):
    labels = labels_from_segmentation(classification.segmentation, classification.volume)
    labels[labels == LABEL_OF_SIDE[Side.LEFT]] = 0
    set_labels(classification.segmentation, classification.volume, labels)
    panel.page.region.onEdited()
    panel.ui.reclassifyButton.click()
    assert {row[1] for row in panel.rows()} == {"right"}
    assert "among them all of the left leg" in panel.ui.warningsLabel.text
    for warning in classification.result.warnings:
        assert escape(warning.message) in panel.ui.warningsLabel.text


def test_after_a_correction_the_outline_is_the_one_that_was_used(panel, classification):
    labels = labels_from_segmentation(classification.segmentation, classification.volume)
    automatic = labels.copy()
    labels[2, :3, :3] = LABEL_OF_SIDE[Side.LEFT]
    set_labels(classification.segmentation, classification.volume, labels)
    panel.page.region.onEdited()
    panel.ui.reclassifyButton.click()
    shown = labels_from_segmentation(classification.segmentation, classification.volume)
    assert np.array_equal(shown, automatic), "a speck does not count, and is not seen"
    assert "Islands" in panel.ui.warningsLabel.text
    assert panel.ui.pendingLabel.text == ""


def test_reset_to_automatic_leads_back_to_nothing_to_do(desktop, panel, classification):
    ui = panel.ui
    for k in (1, 4):
        erase_half_of_the_left_leg(classification, k)
    desktop.wait(lambda: ui.pendingLabel.text == "Edited since the result: slices 1, 4.")
    panel.select(4)
    ui.resetSliceButton.click()
    assert ui.pendingLabel.text == "Edited since the result: slice 1."
    ui.resetRightButton.click()
    assert ui.pendingLabel.text == "Edited since the result: slice 1."
    ui.resetLeftButton.click()
    assert ui.pendingLabel.text == ""
    ui.excludeButton.click()
    assert ui.pendingLabel.text == "Edited since the result: slice 4."
    ui.resetAllButton.click()
    assert ui.pendingLabel.text == ""


def test_exclude_this_slice_can_be_undone_in_the_editor(panel, classification):
    panel.ui.editButton.checked = True
    panel.select(3)
    panel.ui.excludeButton.click()
    assert panel.editor.saved == 1
    assert classification.changed_slices == (3,)
    panel.ui.reclassifyButton.click()
    assert "3" not in {row[0] for row in panel.rows()}
    assert "2 images left out" in panel.ui.differenceLabel.text


def test_automatic_reclassification_follows_an_edit(desktop, panel, classification):
    first = classification.result
    panel.ui.autoReclassifyCheckBox.checked = True
    erase_half_of_the_left_leg(classification, 2)
    desktop.wait(lambda: classification.result != first, 10)
    assert not classification.pending
    assert "edited" in {row[3] for row in panel.rows()}


def test_a_region_deleted_while_it_is_corrected_ends_the_correction(desktop, panel, classification):
    panel.ui.editButton.checked = True
    slicer.mrmlScene.RemoveNode(classification.segmentation)
    # Slicer's editor turns to another region and shows the volume that belongs to it.
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(None)
    desktop.settle(20)
    assert not panel.ui.editButton.checked
    assert not panel.ui.editorFrame.visible
    assert panel.context.view.classification == classification, "the volume of the answer that the panel shows"


def test_the_editor_ignores_the_views_while_the_scene_is_closed(panel, classification):
    panel.ui.editButton.checked = True
    editor, attached = panel.editor, []
    # Slicer builds the views anew at the end of closing, and an effect that is told of it ends the program.
    first = 10.0
    slicer.mrmlScene.AddObserver(
        slicer.mrmlScene.EndCloseEvent, lambda *_: attached.append(editor.told["MRMLSegmentEditorNode"]), first
    )
    slicer.mrmlScene.Clear()
    assert attached == [None]
    assert editor.told["MRMLSegmentEditorNode"] is not None, "ready for the next scene"


def test_exchanged_names_are_told_before_anything_runs(desktop, panel, classification):
    segmentation = classification.segmentation.GetSegmentation()
    for n, name in enumerate(("Right leg", "Left leg")):
        segmentation.GetNthSegment(n).SetName(name)
    desktop.wait(lambda: "“Left leg” lies on the patient's right" in panel.ui.pendingLabel.text)
    panel.ui.reclassifyButton.click()
    assert {image.side for image in classification.result.images} == {"unknown"}
    assert "SIDE_CONTRADICTED" in {warning.code for warning in classification.result.warnings}
