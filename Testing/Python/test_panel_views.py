"""The panel and the slice views: the study of the answer, and the image that is seen."""

import pytest

pytest.importorskip("PySide6")

import slicer
from panel_cases import SLICES, shown_slice

from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.phantom import make_phantom

pytest_plugins = "panel_fixtures"


@pytest.fixture
def other(classification):
    return add_series(slicer.mrmlScene, make_phantom(2, "healthy", slices=SLICES, matrix=192).series, "Patient B")


def load_by_slicer(desktop, volume):
    """Shows a volume as Slicer does when it is loaded."""
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(volume.GetID())
    desktop.settle(20)


def test_an_answer_beside_the_images_of_another_study_is_told_and_led_back(desktop, panel, classification, other):
    ui, views = panel.ui, slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    assert ui.studyLabel.text == "“Thighs”"
    assert not ui.elsewhereFrame.visible
    load_by_slicer(desktop, other)
    assert ui.elsewhereFrame.visible
    assert "The views show “Patient B”" in ui.elsewhereLabel.text
    assert {view.GetForegroundVolumeID() for view in views} == {None}
    assert not classification.segmentation.GetDisplayNode().IsDisplayableInView("vtkMRMLSliceNodeRed")
    assert ui.showButton.text == "Show “Thighs”"
    ui.showButton.click()
    desktop.settle(20)
    assert not ui.elsewhereFrame.visible
    assert classification.segmentation.GetDisplayNode().IsDisplayableInView("vtkMRMLSliceNodeRed")


def test_nobody_draws_the_region_of_one_study_over_the_images_of_another(desktop, panel, classification, other):
    panel.ui.editButton.checked = True
    panel.context.view.slice = 1
    desktop.settle(20)
    assert panel.ui.editButton.checked
    load_by_slicer(desktop, other)
    assert not panel.ui.editButton.checked
    assert not panel.editor.shortcuts


def test_outlines_of_another_study_are_hidden_in_other_modules_too(desktop, panel, classification, other):
    panel.widget.exit()
    load_by_slicer(desktop, other)
    assert not classification.segmentation.GetDisplayNode().IsDisplayableInView("vtkMRMLSliceNodeRed")


def test_studies_of_one_name_are_told_apart_and_a_new_name_is_shown(desktop, panel, classification, other):
    other.SetName("Thighs")
    load_by_slicer(desktop, other)
    assert panel.ui.studyLabel.text == "“Thighs” (1 of 2 of this name)"
    assert "“Thighs” (2 of 2 of this name)" in panel.ui.elsewhereLabel.text
    classification.volume.SetName("First visit")
    desktop.settle(20)
    assert panel.ui.studyLabel.text == "“First visit”"


def test_report_and_summary_name_the_study_and_go_with_it(desktop, panel, classification, other, tmp_path):
    ui = panel.ui
    ui.folderSelector.currentPath = str(tmp_path / "report")
    ui.reportButton.click()
    assert ui.reportLabel.text.startswith("Report of “Thighs”: ")
    ui.copyButton.click()
    assert slicer.app.clipboard().text().startswith("“Thighs”: Images suggest")
    assert "“Thighs”" in ui.reportLabel.text
    ui.inputSelector.setCurrentNode(other)
    assert ui.reportLabel.text == ""
    assert ui.folderSelector.currentPath == "", "the folder is that of another patient's report"


def test_the_table_goes_with_the_slice_that_is_seen(desktop, panel, classification):
    table = panel.ui.imagesTable
    panel.page.result.select(next(image for image in classification.images if image.side == "right"))
    for k in (4, 1):
        panel.context.view.slice = k
        desktop.settle(20)
        assert panel.rows()[table.currentRow()][:2] == (str(k), "right")
        assert shown_slice() == k
    panel.context.view.slice = 3
    panel.ui.excludeButton.click()
    panel.ui.reclassifyButton.click()
    desktop.settle(20)
    assert not table.selectedItems(), "no image is of this slice"


def test_no_change_of_layout_page_or_study_changes_the_slice(desktop, panel, classification, other, monkeypatch):
    panel.select(4)
    view, process_events = panel.context.view, slicer.app.processEvents

    def jump():
        process_events()
        view.slice = 0  # as Slicer's linked views do while they take their sizes

    monkeypatch.setattr(slicer.app, "processEvents", jump)
    panel.ui.layoutSelector.currentIndex = 2
    monkeypatch.undo()
    assert shown_slice() == 4
    for page in (1, 0):
        panel.widget.pages.currentIndex = page
        desktop.settle(20)
    assert shown_slice() == 4
    panel.ui.inputSelector.setCurrentNode(other)
    view.slice = 1
    panel.ui.inputSelector.setCurrentNode(classification.volume)
    desktop.settle(20)
    assert shown_slice() == 4
    assert panel.rows()[panel.ui.imagesTable.currentRow()][0] == "4"


def test_views_wait_until_an_answer_is_in_the_scene_and_draw_again_after_a_cancel(desktop, panel, classification):
    """Slicer's views draw at many a change of a node, all but the last for nothing."""
    seen = []
    event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
    tag = classification.heatmap.AddObserver(event, lambda *_: seen.append(desktop.app._paused))
    panel.ui.classifyButton.click()
    assert seen
    assert set(seen) == {1}
    assert desktop.app._paused == 0
    classification.heatmap.RemoveObserver(tag)
    progress = panel.page.bar.onProgress

    def cancelling(done, total):
        progress(done, total)
        if done == total:
            panel.context.stop()

    panel.page.bar.onProgress = cancelling
    panel.ui.classifyButton.click()
    assert panel.ui.messageLabel.text == "Stopped; everything is as it was."
    assert desktop.app._paused == 0
