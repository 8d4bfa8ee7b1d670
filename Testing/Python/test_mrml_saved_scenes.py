"""A classification in a scene that was saved and opened again, also by an earlier version."""

import numpy as np
import pytest
import slicer
from mrml_cases import SHAPE, column, erase, half_erased, image, planted, series_of
from offscreen import OffscreenSlicer
from trame_slicer.core import SlicerApp
from vtkmodules.vtkCommonCore import vtkDoubleArray, vtkIntArray, vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkTable

from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.images_table import COLUMNS
from DystrophyDxLib.mrml.nodes import nodes_of_class, plot_series_of
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side

pytest_plugins = ("mrml_fixtures",)


def same_figures(result, other):
    return [image.model_dump(exclude={"probability"}) for image in result.images] == [
        image.model_dump(exclude={"probability"}) for image in other.images
    ] and np.allclose(
        [image.probability for image in result.images], [image.probability for image in other.images], atol=1e-5
    )


@pytest.fixture
def reopened(classification, tmp_path):
    apps = []  # each keeps its scene

    def reopen():
        path = tmp_path / "scene.mrb"
        assert classification.volume.GetScene().WriteToMRB(str(path))
        app = SlicerApp()
        apps.append(app)
        assert app.scene.ReadFromMRB(str(path))
        (found,) = SceneClassification.of(app.scene)
        return found

    return reopen


def test_everything_is_there_after_the_scene_is_opened_again(classification, reopened, classifier):
    half_erased(classification)
    classification.reclassify(classifier)
    found = reopened()
    assert found.result == classification.result
    assert found.result_before == classification.result_before
    assert not found.pending
    np.testing.assert_allclose(
        slicer.util.arrayFromVolume(found.heatmap), slicer.util.arrayFromVolume(classification.heatmap), atol=1e-6
    )
    for name in COLUMNS:
        now, then = column(found.images_table, name), column(classification.images_table, name)
        assert now == (pytest.approx(then, abs=1e-6) if name == "Probability" else then)
    found.tabulate()
    assert column(found.images_table, "Probability") == [image.probability for image in found.images], "in full again"
    assert [series.GetTableNode() for series in plot_series_of(found.chart)] == [found.images_table] * 2


def test_an_edit_that_was_not_classified_is_still_pending_after_opening(classification, reopened, classifier):
    half_erased(classification)
    found = reopened()
    assert found.changed_slices == (2,)
    result = found.reclassify(classifier)
    assert same_figures(result, classification.reclassify(classifier))


def test_a_correction_after_opening_gives_the_same_answer_as_before(classification, reopened, classifier):
    half_erased(classification)
    classification.reclassify(classifier)
    found = reopened()
    for edited in (classification, found):
        erase(edited, Side.RIGHT, 4)
    assert found.changed_slices == classification.changed_slices == (4,)
    assert same_figures(found.reclassify(classifier), classification.reclassify(classifier))
    found.reset()
    assert {image.roi for image in found.reclassify(classifier).images} == {"auto"}


def test_a_saved_classification_can_be_added_to_a_scene_that_holds_it(classification, classifier, tmp_path):
    half_erased(classification)
    path = tmp_path / "scene.mrb"
    scene = classification.volume.GetScene()
    assert scene.WriteToMRB(str(path))
    classification.reclassify(classifier)
    assert scene.ReadFromMRB(str(path), False)
    first, second = SceneClassification.of(scene)
    assert first == classification
    assert (first.pending, second.pending) == (False, True)
    assert not {first.heatmap, first.segmentation, first.chart} & {second.heatmap, second.segmentation, second.chart}


def in_an_earlier_form(found):
    """Gives a classification the nodes of an earlier version: rounded figures in a table of other columns, and a table
    for each plot series."""
    scene, images = found.volume.GetScene(), found.result.images
    figures = [(i.slice, i.side, round(i.probability, 3), "automatic", i.anatomy, "yes") for i in images]
    fill(found.images_table, ("Slice", "Side", "Probability", "Source", "Anatomy", "Counted"), figures)
    for series, side in zip(plot_series_of(found.chart), ("left", "right"), strict=True):
        table = scene.AddNewNodeByClass("vtkMRMLTableNode", f"{series.GetName()} points")
        fill(table, ("Slice", "Probability"), [(i.slice, i.probability) for i in images if i.side == side])
        series.SetAttribute("DystrophyDx.side", side)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetYColumnName("Probability")


def fill(node, names, rows):
    table, arrays = vtkTable(), {int: vtkIntArray, float: vtkDoubleArray, str: vtkStringArray}
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        array = arrays[type(values[0])]()
        array.SetName(name)
        for value in values:
            array.InsertNextValue(value)
        table.AddColumn(array)
    node.SetAndObserveTable(table)


def test_a_scene_of_an_earlier_version_opens_with_todays_table_and_chart(tmp_path):
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:6, 10:40, 5:25], labels[1:6, 10:40, 35:55] = LABEL_OF_SIDE[Side.LEFT], LABEL_OF_SIDE[Side.RIGHT]
    images = [
        image(1, "left", 1 / 3),
        image(1, "right", 0.123456789),
        image(3, "left", 2 / 3),
        image(3, "right", 0.25, counted=False),
    ]
    written, path = SlicerApp(), tmp_path / "earlier.mrb"
    in_an_earlier_form(planted(written.scene, series_of(np.eye(3)), labels=labels, images=images))
    assert written.scene.WriteToMRB(str(path))

    app = OffscreenSlicer("Red")
    assert app.scene.ReadFromMRB(str(path))
    (found,) = SceneClassification.of(app.scene)
    assert not found.pending
    chart = found.chart
    assert len(nodes_of_class(app.scene, "vtkMRMLTableNode")) == 3
    ClassificationView(app.scene).show(found)
    assert nodes_of_class(app.scene, "vtkMRMLTableNode") == [found.images_table]
    assert column(found.images_table, "Probability") == [1 / 3, 2 / 3, 0.123456789, 0.25]
    assert column(found.images_table, "Anatomy") == ["thigh", "thigh", "thigh", "thigh, not counted"]
    assert found.chart is chart
    assert nodes_of_class(app.scene, "vtkMRMLPlotSeriesNode") == plot_series_of(chart)
    assert [series.GetName() for series in plot_series_of(chart)] == ["Left leg", "Right leg"]
    left, right = (column(found.images_table, series.GetYColumnName()) for series in plot_series_of(chart))
    np.testing.assert_array_equal(left, [1 / 3, 2 / 3, np.nan, np.nan])
    np.testing.assert_array_equal(right, [np.nan, np.nan, 0.123456789, 0.25])
