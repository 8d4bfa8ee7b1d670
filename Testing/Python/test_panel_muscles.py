"""The section "Muscles" of the panel: the fat in each, and the map that tells it."""

from html import escape

import pytest

pytest.importorskip("PySide6")

import slicer
from slicer_widgets import unwrap

from DystrophyDxLib.mrml.muscle_nodes import muscles_node
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.muscles.muscle_map import TOLD
from DystrophyDxLib.reporting.muscle_fat import SHADES, fat_by_leg, source_words
from DystrophyDxLib.reporting.muscle_heat import heat_line
from DystrophyDxLib.reporting.muscle_signs import signs_lines
from DystrophyDxLib.reporting.pattern_words import pattern_line
from DystrophyDxLib.results import CaseResult, NetworkLabel, PatternMuscle, PatternResult

pytest_plugins = "panel_fixtures"

KEY = 22
"""Pixels of a line of words below the legs of the chart."""


def rows(panel):
    """Names of the muscles in the table."""
    return [row.split("&nbsp;")[0] for row in panel.ui.fatLabel.text.split("<tr><td>")[1:]]


def remove_a_muscle(desktop, classification):
    """As a person does who corrects the map; returns the name of its segment."""
    segmentation = muscles_node(classification.volume).GetSegmentation()
    name = segmentation.GetNthSegment(0).GetName()
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))
    desktop.settle(700)
    return name


def test_the_section_is_folded_and_tells_the_fat_of_each_muscle(panel, classification):
    result, ui = classification.result, panel.ui
    assert ui.musclesSection.collapsed
    assert ui.fatLabel.text == "", "it is laid out when it is asked for"
    ui.musclesSection.collapsed = False
    assert ui.musclesSection.text == f"Muscles: fat {fat_by_leg(result)}"
    assert rows(panel) == list(dict.fromkeys(muscle.muscle.capitalize() for muscle in result.muscle_fat))
    assert ui.fatLabel.text.count("bgcolor") == len(result.muscle_fat)
    told = [source_words(result), heat_line(result), *signs_lines(result), pattern_line(result)]
    assert ui.musclesNotesLabel.text.split("<br>") == [escape(line) for line in told if line]
    assert result.signs


def test_the_chart_shades_the_muscles_of_each_leg_with_the_patients_right_on_the_left(panel, classification):
    result, ui = classification.result, panel.ui
    assert ui.legsLabel.isHidden(), "it is painted when it is asked for"
    grades = {"right": 2, "left": 4}
    muscles = [muscle.model_copy(update={"mercuri": grades[muscle.side]}) for muscle in result.muscles]
    classification.tell(result.model_copy(update={"muscles": tuple(muscles)}))
    ui.musclesSection.collapsed = False
    picture = ui.legsLabel.pixmap.toImage()
    width, legs_end = picture.width(), picture.height() - 3 * KEY
    seen = [{picture.pixelColor(x, y).name() for x in half for y in range(legs_end)}
            for half in (range(width // 2), range(width // 2, width))]  # fmt: skip
    assert [[SHADES[grade] in half for grade in (2, 4)] for half in seen] == [[True, False], [False, True]]
    assert picture.pixelColor(0, 0).alpha() == 0, "the panel's own colour lies around the legs"
    assert ui.legsCaptionLabel.text.startswith("The muscles in slice ")


def test_the_answer_by_the_muscles_stands_beside_the_network_s(panel, classification):
    result = classification.result
    assert bool(panel.ui.patternLabel.text) is (result.pattern is not None)
    gracilis = PatternMuscle(muscle="gracilis", fat_fraction=0.06, share=0.8)
    case = CaseResult(probability=0.21, ci95=(0.1, 0.4), label="other", threshold=0.5, reason="Below the threshold.")
    network = NetworkLabel(label=result.case.label, reason=result.case.reason)
    pattern = PatternResult(
        case=case, told_class="other", muscles=(gracilis,), model=result.model, network=network, agrees=False
    )
    panel.ui.musclesSection.collapsed = False
    for changed, beside, below in (
        ({}, ("By the fat of the muscles: other", "0.21", "It contradicts the network."), "gracilis (6 %)"),
        ({"case": None, "why": "Too few muscles."}, ("no answer. Too few muscles.",), "Too few muscles."),
    ):
        told = result.model_copy(update={"pattern": pattern.model_copy(update=changed)})
        classification.tell(told)
        panel.context.changed()
        assert all(words in panel.ui.patternLabel.text for words in beside)
        assert below in panel.ui.musclesNotesLabel.text.split("<br>")[-1]


def test_nothing_is_told_of_muscles_before_and_after_an_answer(desktop, panel, classification):
    panel.ui.musclesSection.collapsed = False
    panel.ui.inputSelector.setCurrentNode(None)
    desktop.settle(20)
    assert panel.ui.musclesSection.text == "Muscles"
    assert (panel.ui.fatLabel.text, panel.ui.musclesNotesLabel.text) == ("", "")
    assert panel.ui.legsLabel.isHidden()
    assert panel.ui.legsCaptionLabel.isHidden()
    assert not panel.ui.mapFrame.visible


def test_the_map_is_seen_when_asked_for_and_over_its_own_images_alone(desktop, panel, classification, series):
    display = muscles_node(classification.volume).GetDisplayNode()
    assert not display.GetVisibility()
    panel.ui.showMapCheckBox.checked = True
    assert display.GetVisibility()
    other = add_series(slicer.mrmlScene, series, "Other")
    red, view = (slicer.mrmlScene.GetNodeByID(f"vtkMRMLSlice{kind}Red") for kind in ("CompositeNode", "Node"))
    assert display.IsDisplayableInView(view.GetID())
    red.SetBackgroundVolumeID(other.GetID())
    desktop.settle(20)
    assert not display.IsDisplayableInView(view.GetID())


def test_the_table_follows_a_corrected_map_and_its_way_back(desktop, panel, classification):
    panel.ui.musclesSection.collapsed = False
    before, legs = panel.ui.fatLabel.text, panel.page.muscles.legs
    shapes = len(legs.chart.shapes)
    assert not panel.ui.resetMapButton.enabled
    name = remove_a_muscle(desktop, classification)
    told = {f"{muscle.side} {muscle.muscle}".casefold() for muscle in classification.result.muscle_fat}
    assert name.casefold() not in told
    assert panel.ui.fatLabel.text != before
    assert len(legs.chart.shapes) == shapes - 1
    assert TOLD["edited"] in panel.ui.musclesNotesLabel.text
    panel.ui.resetMapButton.click()
    assert panel.ui.fatLabel.text == before
    assert len(legs.chart.shapes) == shapes
    assert not panel.ui.resetMapButton.enabled


def test_a_corrected_map_stays_when_the_volume_is_classified_again(desktop, panel, classification):
    panel.ui.musclesSection.collapsed = False
    remove_a_muscle(desktop, classification)
    corrected = panel.ui.fatLabel.text
    panel.ui.classifyButton.click()
    assert panel.ui.fatLabel.text == corrected
    assert TOLD["edited"] in panel.ui.musclesNotesLabel.text


def test_one_editor_is_open_at_a_time(desktop, panel, classification):
    panel.ui.editButton.checked = True
    panel.ui.editMapButton.checked = True
    assert not panel.ui.editButton.checked
    assert panel.ui.showMapCheckBox.checked, "what is corrected is seen"
    editor = unwrap(panel.page.muscles.editor.widget)
    assert editor.told["SegmentationNode"] is muscles_node(classification.volume)
    panel.ui.editButton.checked = True
    assert not panel.ui.editMapButton.checked
    assert editor.told["SegmentationNode"] is None


def test_a_map_that_is_deleted_while_it_is_edited_takes_the_editor_away(desktop, panel, classification):
    panel.ui.musclesSection.collapsed = False
    panel.ui.editMapButton.checked = True
    slicer.mrmlScene.RemoveNode(muscles_node(classification.volume))
    desktop.settle(20)
    assert not panel.ui.editMapButton.checked
    assert not panel.ui.mapFrame.visible
    assert panel.ui.fatLabel.text, "the answer is still there"
