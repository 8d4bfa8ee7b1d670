"""The muscle map of a volume in a scene: named and coded segments, which a person may correct and a file keeps."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from mrml_cases import DIRECTIONS, SHAPE, planted, result, series_of
from vtkmodules.vtkCommonCore import reference

from DystrophyDxLib.classify import Classification, with_muscle_fat
from DystrophyDxLib.explain.heat import Heat, HeatDrawing
from DystrophyDxLib.models.cells import CellGrid
from DystrophyDxLib.models.recipe import SampleRecipe
from DystrophyDxLib.mrml.classification import SceneClassification, reset_muscles, result_now, tell_muscles
from DystrophyDxLib.mrml.muscle_nodes import MUSCLES, muscles_corrected, muscles_of, put_muscles
from DystrophyDxLib.mrml.nodes import VolumeNodes
from DystrophyDxLib.mrml.report_folder import write_report_folder
from DystrophyDxLib.mrml.scenes import copy_into, new_scene
from DystrophyDxLib.mrml.segmentation import write_segmentation
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.muscles.muscle_map import TOLD, MuscleMap
from DystrophyDxLib.muscles.structures import CODES, STRUCTURES
from DystrophyDxLib.phantom.thigh import make_phantom
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Regions, Side
from DystrophyDxLib.results import StudyResult

pytest_plugins = ("mrml_fixtures",)
LEFT, RIGHT = (LABEL_OF_SIDE[side] for side in (Side.LEFT, Side.RIGHT))


def legs():
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:5, 5:40, 35:55], labels[1:5, 5:40, 5:30] = LEFT, RIGHT
    return Regions(labels, ())


def mapped():
    regions = legs()
    labels = np.zeros(SHAPE, np.uint8)
    labels[2, 10:20, 38:50], labels[2, 20:30, 38:50], labels[3, 10:20, 8:20] = 1, 14, 13
    sides = np.where(labels > 0, regions.labels, 0).astype(np.uint8)
    return MuscleMap(labels, sides)


def node_of(classification):
    return VolumeNodes(classification.volume).get(MUSCLES)


def names(node):
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]


@pytest.fixture(params=["head first", "20° oblique"])
def classification(request, scene):
    found = planted(scene, series_of(DIRECTIONS[request.param]), labels=legs().labels)
    put_muscles(found.volume, mapped())
    return found


def test_segments_are_named_coded_and_hidden(classification):
    node = node_of(classification)
    assert names(node) == ["Left sartorius", "Left femur", "Right gluteus maximus"]
    tags = [terminology_of(node.GetSegmentation().GetNthSegment(n)) for n in range(3)]
    assert "SCT^71341001^Femur~SCT^7771000^Left" in tags[1]
    assert "SCT^206007^Gluteus maximus muscle~SCT^24028007^Right" in tags[2]
    assert not node.GetDisplayNode().GetVisibility()


def terminology_of(segment):
    text = reference("")
    assert segment.GetTag(segment.GetTerminologyEntryTagName(), text)
    return str(text)


def test_the_file_holds_each_structure_on_the_voxels_of_the_volume(classification, tmp_path):
    write_segmentation(node_of(classification), tmp_path / "muscles.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "muscles.seg.nrrd"))
    keys = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    assert {keys[f"Segment{n}_Name"] for n in range(3)} == {"Left sartorius", "Left femur", "Right gluteus maximus"}
    assert "SCT^71341001^Femur" in "".join(keys.values())
    assert np.count_nonzero(sitk.GetArrayFromImage(image)) == np.count_nonzero(mapped().labels)


def test_what_lies_in_the_scene_is_the_map_again(classification):
    found = muscles_of(classification.volume, legs())
    np.testing.assert_array_equal(found.labels, mapped().labels)
    np.testing.assert_array_equal(found.sides, mapped().sides)
    assert not muscles_corrected(classification.volume)


def test_a_corrected_map_stays_and_is_what_counts(classification):
    segmentation = node_of(classification).GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(1))
    assert muscles_corrected(classification.volume)
    put_muscles(classification.volume, mapped())
    assert names(node_of(classification)) == ["Left sartorius", "Right gluteus maximus"]
    assert muscles_of(classification.volume, legs()).shown == ((Side.LEFT, 1), (Side.RIGHT, 13))


def test_a_new_map_takes_the_place_of_the_last_and_none_takes_it_away(classification):
    put_muscles(classification.volume, mapped())
    assert len(names(node_of(classification))) == 3
    put_muscles(classification.volume, None)
    assert node_of(classification) is None
    assert muscles_of(classification.volume, legs()) is None


def test_the_node_stays_and_is_seen_as_before_when_there_is_a_new_map(classification):
    node, other = node_of(classification), mapped()
    node.GetDisplayNode().SetVisibility(True)
    other.labels[3] = np.where(other.labels[3] == 13, 3, 0)
    put_muscles(classification.volume, MuscleMap(other.labels, other.sides))
    assert node_of(classification) is node
    assert node.GetDisplayNode().GetVisibility()
    assert names(node) == ["Left sartorius", "Left femur", "Right vastus lateralis"]
    assert not muscles_corrected(classification.volume)
    np.testing.assert_array_equal(muscles_of(classification.volume, legs()).labels, other.labels)


def test_a_map_of_the_same_muscles_is_told_once(classification):
    node, other, told = node_of(classification), mapped(), []
    node.GetSegmentation().AddObserver(slicer.vtkSegmentation.SourceRepresentationModified, lambda *_: told.append(1))
    other.labels[2, 10] = 0
    put_muscles(classification.volume, MuscleMap(other.labels, other.sides))
    assert told == [1]
    np.testing.assert_array_equal(muscles_of(classification.volume, legs()).labels, other.labels)
    assert not muscles_corrected(classification.volume)


def test_a_map_that_was_put_counts_as_found_also_when_its_segments_are_read(classification):
    node = node_of(classification)
    moved = MuscleMap(*(np.roll(part, 2, axis=1) for part in (mapped().labels, mapped().sides)))
    for again in (mapped(), moved):
        put_muscles(classification.volume, again)
        known = vars(node).pop("dystrophydx_digest")
        assert not muscles_corrected(classification.volume)
        assert vars(node)["dystrophydx_digest"][1] == known[1]


def test_a_copied_scene_has_the_map(classification):
    room = new_scene()
    copy = copy_into(room, classification)
    np.testing.assert_array_equal(muscles_of(copy.volume, legs()).labels, mapped().labels)


def test_a_given_map_is_a_person_s_only_when_one_corrects_it(classification):
    put_muscles(classification.volume, mapped().of_source("given"))
    put_muscles(classification.volume, mapped())
    assert muscles_corrected(classification.volume), "a given map stays"
    found = muscles_of(classification.volume, legs())
    assert (found.source, found.told) == ("given", "Map of the muscles: Given by the user; its origin is not known.")
    segmentation = node_of(classification).GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))
    found = muscles_of(classification.volume, legs())
    assert (found.source, found.told) == ("edited", "Map of the muscles: Drawn or corrected by a person.")
    put_muscles(classification.volume, mapped(), over_corrections=True)
    assert muscles_of(classification.volume, legs()).source == "auto"


def test_every_structure_has_a_code():
    assert len(CODES) == len(STRUCTURES)
    assert all(code.count("^") == 2 for pair in CODES for code in pair)


def test_the_report_tells_the_fat_of_the_map_as_it_was_corrected(scene, tmp_path):
    phantom = make_phantom(5, "BMD", SHAPE[0], 96, legs="left")
    regions = Regions(phantom.legs, ())
    found = Classification(
        result(), regions, (), (), Heat(np.zeros(phantom.legs.shape, np.float32), 1.0, (), 1),
        HeatDrawing(CellGrid(0, 32), SampleRecipe(size=224), 1.0, phantom.series.geometry, phantom.legs.shape),
        MuscleMap.drawn(phantom.structures, regions),
    )  # fmt: skip
    found = replace(found, muscles=replace(found.muscles, source="auto", told="A network drew the map."))
    shown = SceneClassification(add_series(scene, phantom.series, "T1"))
    before = shown.put(with_muscle_fat(found, phantom.series)).muscle_fat
    assert result_now(shown).muscle_fat == before
    segmentation = node_of(shown).GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))
    (tmp_path / "out").mkdir()
    written = write_report_folder(shown, {}, tmp_path / "out")
    assert shown.result.muscle_fat == before, "the scene that is reported on does not change"
    assert tell_muscles(shown)
    assert not tell_muscles(shown), "it is told already"
    assert [row.muscle for row in shown.result.muscle_fat] == [row.muscle for row in before[1:]]
    assert shown.result.fat.map == TOLD["edited"]
    assert [row.muscle for row in written.muscle_fat] == [row.muscle for row in before[1:]]
    lines = (tmp_path / "out" / "muscles.csv").read_text().splitlines()
    assert len(lines) == len(before)
    with zipfile.ZipFile(tmp_path / "out" / "scene.mrb") as saved:
        told = StudyResult.model_validate_json(saved.read("scene/Data/MRI result.txt"))
    assert (told.muscle_fat, told.signs) == (written.muscle_fat, written.signs)
    assert written.signs
    assert (tmp_path / "out" / "report.html").read_text().count("<title>left ") > 5
    reset_muscles(shown)
    assert not muscles_corrected(shown.volume)
    assert shown.result.muscle_fat == before
