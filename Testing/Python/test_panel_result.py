"""The section "Result" of the panel: answer, images and chart."""

import pytest

pytest.importorskip("PySide6")

import numpy as np
import slicer
from model_packages import CARD_OF_FOUR, FOUR_CLASSES, make_package
from panel_cases import SLICES, erase_half_of_the_left_leg, foregrounds, shown_slice
from PySide6 import QtCore, QtGui, QtWidgets
from slicer_widgets import unwrap
from test_volumes import OF_LEGS, OF_MAPS

from DystrophyDxLib.models.decision import decision_of
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.results import threshold_in_words

pytest_plugins = "panel_fixtures"


def test_classify_shows_answer_images_chart_and_heatmap(panel, classification):
    ui, result = panel.ui, classification.result
    assert "Images suggest dystrophinopathy" in ui.answerLabel.text
    assert result.case.reason in ui.answerLabel.text
    assert "Demonstration model" in ui.answerLabel.text
    assert f"Probability {result.case.probability:.2f}, 95 % interval" in ui.figuresLabel.text
    threshold, _ = threshold_in_words(result.case.threshold, result.case.no_label)
    assert f"threshold {threshold}," in ui.figuresLabel.text
    assert "<img" in ui.barLabel.text
    for warning in result.warnings:
        assert warning.message in ui.warningsLabel.text
    assert sorted(panel.rows()) == sorted(
        (str(image.slice), image.side, f"{image.probability:.3f}", "automatic", image.anatomy)
        for image in result.images
    )
    assert foregrounds() == {classification.heatmap.GetID()}
    assert ui.messageLabel.text == ""
    assert not ui.progressFrame.visible
    assert panel.chart.mrmlPlotViewNode().GetPlotChartNodeID() == classification.chart.GetID()
    assert not ui.reclassifyButton.enabled, "nothing was edited"


def test_the_table_sorts_and_a_row_moves_the_views(panel, classification):
    table = panel.ui.imagesTable
    table.sortByColumn(0, QtCore.Qt.DescendingOrder)
    assert [int(row[0]) for row in panel.rows()] == sorted(
        (i.slice for i in classification.result.images), reverse=True
    )
    table.selectRow(0)
    assert shown_slice() == SLICES - 1
    table.sortByColumn(2, QtCore.Qt.AscendingOrder)
    probabilities = [float(row[2]) for row in panel.rows()]
    assert probabilities == sorted(probabilities)
    table.selectRow(0)
    assert shown_slice() == int(panel.rows()[0][0])


def test_slices_sort_as_numbers(desktop, panel, series):
    panel.ui.sampleButton.click()
    panel.ui.classifyButton.click()
    panel.ui.imagesTable.sortByColumn(0, QtCore.Qt.AscendingOrder)
    slices = [int(row[0]) for row in panel.rows()]
    assert slices == sorted(slices)
    assert max(slices) > 9


def test_a_point_of_the_chart_moves_the_views_each_time(desktop, panel, classification):
    chart = panel.chart
    images = {
        side: [image for image in classification.result.images if image.side == side] for side in ("left", "right")
    }
    apart = [abs(images["left"][point].probability - images["right"][point].probability) > 0.03 for point in (2, 3)]
    assert any(apart)
    for side, name in (("left", "Left leg"), ("right", "Right leg"), ("left", "Left leg")):
        for point, is_apart in zip((2, 3), apart, strict=True):
            chart.click(name, classification.images.index(images[side][point]))
            desktop.settle(20)
            assert shown_slice() == images[side][point].slice
            shown = panel.rows()[panel.ui.imagesTable.currentRow()]
            assert shown[0] == str(images[side][point].slice)
            # Of points that lie on each other, only the upper one can be clicked.
            assert shown[1] == side or not is_apart


def test_a_click_on_the_chart_is_answered_once_and_never_after_the_scene_is_closed(desktop, panel, classification):
    chart = panel.chart
    chart.click("Left leg", 2)
    desktop.settle(50)
    assert chart.told == 2, "the click, and that its selection was removed"
    chart.click("Left leg", 3)
    slicer.mrmlScene.Clear(0)
    desktop.settle(50)
    assert not chart.crashed


def test_next_and_previous_image_by_button_and_key(desktop, panel, classification):
    order = sorted(classification.result.images, key=lambda image: image.slice)
    panel.ui.imagesTable.sortByColumn(0, QtCore.Qt.AscendingOrder)
    panel.page.result.select(order[0])
    panel.ui.nextButton.click()
    desktop.press("F8")
    assert shown_slice() == order[2].slice
    assert panel.rows()[panel.ui.imagesTable.currentRow()][:2] == (str(order[2].slice), order[2].side)
    desktop.press("F7")
    panel.ui.previousButton.click()
    assert shown_slice() == order[0].slice


def test_a_model_of_many_classes_shows_its_differential_and_the_heatmap_of_each_class(panel, volume, tmp_path):
    panel.add_model(make_package(tmp_path / "four", recipe=FOUR_CLASSES, **CARD_OF_FOUR))
    panel.ui.classifyButton.click()
    result = SceneClassification(volume).result
    text = panel.ui.answerLabel.text
    places = [text.index(f"<td>{ranked.name}&nbsp;</td>") for ranked in result.case.differential]
    assert places == sorted(places)
    selector = panel.ui.classSelector
    assert [selector.itemText(n) for n in range(selector.count)] == list(result.model.classes)
    told = result.model.classes.index(decision_of(result).told_class(result.case))
    assert selector.currentIndex == told
    before = slicer.util.arrayFromVolume(SceneClassification(volume).heatmap).copy()
    selector.currentIndex = (told + 1) % 4
    assert not np.array_equal(slicer.util.arrayFromVolume(SceneClassification(volume).heatmap), before)


def test_a_whole_brain_is_one_image_without_interval_chart_or_sides(panel, maps, tmp_path):
    panel.add_model(make_package(tmp_path / "maps", recipe=OF_MAPS))
    ui = panel.ui
    ui.inputSelector.setCurrentNode(maps["GM"])
    panel.inputs.channels["MD"].setCurrentNode(maps["MD"])
    ui.classifyButton.click()
    classification = SceneClassification(maps["GM"])
    assert classification.result is not None, ui.messageLabel.text
    (cells,) = panel.rows()
    seen = slicer.util.arrayFromVolume(maps["GM"]).any(axis=(1, 2)).nonzero()[0]
    assert cells[:2] == (f"{seen[0]} to {seen[-1]}", "none")
    assert "no 95 % interval" in ui.figuresLabel.text
    assert classification.chart is None
    assert not ui.chartFrame.visible
    assert ui.resetAllButton.enabled
    assert not ui.resetLeftButton.enabled
    assert not ui.resetRightButton.enabled
    ui.excludeButton.click()
    panel.page.region.onEdited()
    ui.reclassifyButton.click()
    assert "1 image changed, most the volume: " in ui.differenceLabel.text


def test_slices_of_another_model_leave_no_chart_when_volumes_follow(panel, classification, tmp_path):
    assert classification.chart is not None
    panel.add_model(make_package(tmp_path / "legs", recipe=OF_LEGS))
    panel.ui.classifyButton.click()
    assert {image.side for image in classification.result.images} == {"left", "right"}
    assert len(panel.rows()) == 2
    assert classification.chart is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 0
    assert panel.ui.resetLeftButton.enabled
    erase_half_of_the_left_leg(classification, SLICES // 2)
    panel.page.region.onEdited()
    panel.ui.reclassifyButton.click()
    assert "1 image changed, most the left leg: " in panel.ui.differenceLabel.text


def test_the_bar_of_the_case_is_seen(panel, classification):
    label = unwrap(panel.ui.barLabel)
    blue = (66, 133, 212)
    assert label.grab().toImage().pixelColor(20, label.height() // 2).getRgb()[:3] == blue


def test_the_chart_follows_slicers_dark_style(desktop, panel, classification):
    application, chart = QtWidgets.QApplication.instance(), panel.chart.chart()
    light, dark = application.palette(), QtGui.QPalette(QtGui.QColor(40, 40, 40))

    def brightness(palette, role):
        return palette.color(role).lightness()

    def drawn():
        color = [0.0] * 4
        chart.GetBackgroundBrush().GetColorF(color)
        return round(255 * color[0]), round(255 * chart.GetAxis(0).GetLabelProperties().GetColor()[0])

    assert brightness(dark, QtGui.QPalette.Base) < brightness(light, QtGui.QPalette.Base)
    try:
        application.setPalette(dark)
        desktop.settle(20)
        assert drawn() == tuple(dark.color(role).red() for role in (QtGui.QPalette.Base, QtGui.QPalette.Text))
    finally:
        application.setPalette(light)
        desktop.settle(20)
    assert drawn() == tuple(light.color(role).red() for role in (QtGui.QPalette.Base, QtGui.QPalette.Text))
