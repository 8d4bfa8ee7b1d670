import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from mrml_cases import DIRECTIONS, SHAPE, series_of

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.mrml.segmentation import (
    add_segmentation,
    labels_from_segmentation,
    labels_of_file,
    legs_drawn,
    muscles_from_segmentation,
    muscles_of_file,
    set_labels,
    write_segmentation,
)
from DystrophyDxLib.mrml.volumes import add_series, series_from_volume
from DystrophyDxLib.series.image_files import as_image
from DystrophyDxLib.series.segmentation_file import read_segmentation
from DystrophyDxLib.series.series import Geometry, Series

BINARY_LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


def legs():
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:6, 10:35, 35:55] = 1
    labels[:6, 12:33, 5:28] = 2
    return labels


def segments(node):
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_leg_regions_come_back_from_the_scene_exactly(scene, direction):
    volume = add_series(scene, series_of(direction))
    node = add_segmentation(volume, legs())
    assert [segment.GetName() for segment in segments(node)] == ["Left leg", "Right leg"]
    np.testing.assert_array_equal(labels_from_segmentation(node, volume), legs())


def test_a_leg_of_unknown_side_gets_its_own_segment(scene):
    volume = add_series(scene, series_of(np.eye(3)))
    labels = np.where(legs() == 1, 3, 0).astype(np.uint8)
    node = add_segmentation(volume, labels)
    assert [segment.GetName() for segment in segments(node)] == ["Left leg", "Right leg", "Leg, side unknown"]
    np.testing.assert_array_equal(labels_from_segmentation(node, volume), labels)


def test_legs_are_shown_as_outlines(scene):
    display = add_segmentation(add_series(scene, series_of(np.eye(3))), legs()).GetDisplayNode()
    assert display.GetVisibility2DOutline()
    assert not display.GetVisibility2DFill()


def test_a_reader_who_swaps_the_names_swaps_the_sides(scene):
    volume = add_series(scene, series_of(np.eye(3)))
    node = add_segmentation(volume, legs())
    left, right = segments(node)
    left.SetName("Right leg")
    right.SetName(" left LEG ")
    swapped = np.array([0, 2, 1], np.uint8)[legs()]
    np.testing.assert_array_equal(labels_from_segmentation(node, volume), swapped)


def test_an_edited_region_is_read_as_edited(scene):
    volume = add_series(scene, series_of(np.eye(3)))
    labels = legs()
    node = add_segmentation(volume, labels)
    drawn = slicer.util.arrayFromSegmentInternalBinaryLabelmap(node, node.GetSegmentation().GetNthSegmentID(0))
    drawn[3, :5, :5] = 1
    edited = labels_from_segmentation(node, volume)
    assert (edited[3, :5, :5] == 1).all()
    assert not labels[3, :5, :5].any(), "the regions of the result must not change with the drawing"


def test_a_segment_that_is_no_leg_is_refused(scene):
    volume = add_series(scene, series_of(np.eye(3)))
    node = add_segmentation(volume, legs())
    segments(node)[1].SetName("Segment_2")
    with pytest.raises(InputError, match="name it “Left leg” or “Right leg”"):
        labels_from_segmentation(node, volume)


def test_an_empty_segmentation_is_refused(scene):
    volume = add_series(scene, series_of(np.eye(3)))
    with pytest.raises(InputError, match="empty"):
        labels_from_segmentation(scene.AddNewNodeByClass("vtkMRMLSegmentationNode"), volume)


def layer(volume, labels, start):
    """Binary labelmap of its own, on the grid of `volume` from index `start` (i, j, k) on."""
    scratch = slicer.vtkMRMLScene()
    grid = add_series(scratch, Series(np.zeros(labels.shape, np.float32), series_from_volume(volume).geometry))
    labelmap = segments(add_segmentation(grid, labels))[0].GetRepresentation(BINARY_LABELMAP)
    moved = slicer.vtkOrientedImageData()
    moved.DeepCopy(labelmap)
    ends = np.array(start) + np.array(labels.shape[::-1]) - 1
    moved.SetExtent(*np.stack([start, ends], axis=1).ravel().tolist())
    return moved


def test_what_is_drawn_beyond_the_volume_is_left_out(scene):
    volume = add_series(scene, series_of(DIRECTIONS["20° oblique"]))
    node = add_segmentation(volume, np.zeros(SHAPE, np.uint8))
    drawn = np.ones((SHAPE[0] + 4, 20, 30), np.uint8)
    segments(node)[0].AddRepresentation(BINARY_LABELMAP, layer(volume, drawn, (-10, 40, -2)))
    expected = np.zeros(SHAPE, np.uint8)
    expected[:, 40:, :20] = 1
    np.testing.assert_array_equal(labels_from_segmentation(node, volume), expected)


def test_where_legs_touch_and_overlap_a_little_the_later_one_counts_and_it_is_told(scene):
    volume = add_series(scene, series_of(np.eye(3)))
    node = add_segmentation(volume, legs())
    drawn = (legs() == 1).astype(np.uint8)
    drawn[2, 15:18, 27:29] = 1
    segments(node)[0].AddRepresentation(BINARY_LABELMAP, layer(volume, drawn, (0, 0, 0)))
    found = legs_drawn(node, volume)
    np.testing.assert_array_equal(found.labels, np.where(legs() == 2, 2, drawn))
    assert found.overlapping == (2,)


@pytest.mark.parametrize("shift", [0, 2])
def test_a_leg_that_is_drawn_over_by_the_other_is_refused(scene, shift):
    volume = add_series(scene, series_of(np.eye(3)))
    node = add_segmentation(volume, legs())
    whole = np.full((SHAPE[0] - shift, *SHAPE[1:]), 2, np.uint8)
    segments(node)[1].AddRepresentation(BINARY_LABELMAP, layer(volume, whole, (0, 0, shift)))
    with pytest.raises(InputError, match="overlap in slices"):
        labels_from_segmentation(node, volume)


def test_labels_that_are_set_are_read_again_and_share_one_labelmap(scene):
    volume = add_series(scene, series_of(np.eye(3)))
    node = add_segmentation(volume, legs())
    left = segments(node)[0]
    left.SetName("LEFT LEG")
    set_labels(node, volume, np.roll(legs(), 3, axis=2))
    np.testing.assert_array_equal(labels_from_segmentation(node, volume), np.roll(legs(), 3, axis=2))
    assert segments(node)[0] is left
    assert node.GetSegmentation().GetNumberOfLayers() == 1


def test_setting_labels_tells_who_looks_at_the_segmentation(scene):
    volume = add_series(scene, series_of(np.eye(3)))
    node = add_segmentation(volume, legs())
    told = []
    node.GetSegmentation().AddObserver(
        slicer.vtkSegmentation.SourceRepresentationModified, lambda *_: told.append(True)
    )
    set_labels(node, volume, np.roll(legs(), 3, axis=2))
    assert told


def test_regions_drawn_on_another_grid_are_resampled_to_the_volume(scene):
    direction = DIRECTIONS["20° oblique"]
    coarse = series_of(direction)
    fine_geometry = Geometry(coarse.geometry.origin, (0.9, 0.8, 3.1), direction)
    fine = Series(np.zeros((13, 70, 95), np.float32), fine_geometry)
    labels = np.zeros(fine.voxels.shape, np.uint8)
    k, j, i = np.indices(labels.shape)
    labels[(i - 30) ** 2 + (j - 35) ** 2 + (3 * (k - 6)) ** 2 < 300] = 2
    node = add_segmentation(add_series(scene, fine), labels)
    resampled = labels_from_segmentation(node, add_series(scene, coarse))

    expected = sitk.Resample(
        image_of(labels, fine_geometry),
        image_of(coarse.voxels, coarse.geometry),
        sitk.Transform(),
        sitk.sitkNearestNeighbor,
    )
    expected = sitk.GetArrayFromImage(expected)
    assert expected.any()
    np.testing.assert_array_equal(resampled, expected)


@pytest.fixture
def editor(scene):
    """Slicer's own segment editor, below its widget, over the legs of a volume."""
    slicer.vtkSlicerSegmentationsModuleLogic().SetMRMLScene(scene)  # lets Slicer copy regions, as undo does
    volume = add_series(scene, series_of(np.eye(3)))
    editor = slicer.vtkSlicerSegmentEditorLogic()
    editor.SetMRMLScene(scene)
    editor.SetSegmentEditorNode(scene.AddNode(slicer.vtkMRMLSegmentEditorNode()))
    editor.SetSegmentationNode(add_segmentation(volume, legs()))
    editor.SetSourceVolumeNode(volume)
    return editor


def stroke(editor, segment, box, mode):
    """Paints or erases a box, (z, y, x) slices."""
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[box] = 1
    brush = add_segmentation(editor.GetSourceVolumeNode(), drawn).GetSegmentation().GetNthSegment(0)
    labelmap, node = brush.GetRepresentation(BINARY_LABELMAP), editor.GetSegmentationNode()
    name = node.GetSegmentation().GetSegmentIdBySegmentName(segment)
    editor.SaveStateForUndo()
    editor.ModifySegmentByLabelmap(node, name, labelmap, mode, labelmap.GetExtent(), False, True)


def test_strokes_of_the_segment_editor_are_read_and_can_be_undone(editor):
    node, volume = editor.GetSegmentationNode(), editor.GetSourceVolumeNode()
    erased, painted = np.s_[3, 10:20, 35:45], np.s_[0, 40:44, 50:60]
    stroke(editor, "Left leg", erased, editor.ModificationModeRemove)
    stroke(editor, "Right leg", painted, editor.ModificationModeAdd)
    expected = legs()
    expected[erased], expected[painted] = 0, 2
    np.testing.assert_array_equal(labels_from_segmentation(node, volume), expected)
    editor.Undo()
    expected[painted] = 0
    np.testing.assert_array_equal(labels_from_segmentation(node, volume), expected)
    editor.Undo()
    np.testing.assert_array_equal(labels_from_segmentation(node, volume), legs())


def test_the_segment_editor_undoes_labels_that_were_set_after_a_stroke(editor):
    node, volume = editor.GetSegmentationNode(), editor.GetSourceVolumeNode()
    stroke(editor, "Left leg", np.s_[3, 10:20, 35:45], editor.ModificationModeRemove)
    after_stroke = labels_from_segmentation(node, volume)
    without = after_stroke.copy()
    without[4] = 0
    editor.SaveStateForUndo()
    set_labels(node, volume, without)
    np.testing.assert_array_equal(labels_from_segmentation(node, volume), without)
    editor.Undo()
    np.testing.assert_array_equal(labels_from_segmentation(node, volume), after_stroke)


def image_of(array, geometry):
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(geometry.origin)
    image.SetSpacing(geometry.spacing)
    image.SetDirection(geometry.direction.ravel())
    return image


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_a_region_file_gives_the_same_legs_again_and_to_other_programs(scene, tmp_path, direction):
    series = series_of(direction)
    volume = add_series(scene, series)
    path = tmp_path / "roi.seg.nrrd"
    write_segmentation(add_segmentation(volume, legs()), path)
    nodes = scene.GetNumberOfNodes()
    np.testing.assert_array_equal(labels_of_file(read_segmentation(path), volume, np.copy).labels, legs())
    assert scene.GetNumberOfNodes() == nodes, "reading a file leaves nothing behind"

    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), legs())
    np.testing.assert_allclose(image.GetOrigin(), series.geometry.origin, atol=1e-6)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), series.geometry.direction, atol=1e-6)
    assert [image.GetMetaData(f"Segment{n}_Name") for n in (0, 1)] == ["Left leg", "Right leg"]


@pytest.mark.parametrize("content", [None, b"", b"NRRD0004\nbroken\n"], ids=["absent", "empty", "broken"])
def test_an_unreadable_region_file_is_refused(scene, tmp_path, content):
    path = tmp_path / "roi.seg.nrrd"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        labels_of_file(read_segmentation(path), add_series(scene, series_of(np.eye(3))), np.copy)


def test_a_muscle_file_that_is_cut_off_is_refused(scene, tmp_path):
    """SimpleITK would read the rest of it as no muscle."""
    series = series_of(np.eye(3))
    labels = np.random.default_rng(1).integers(0, 5, series.voxels.shape).astype(np.uint8)
    path = tmp_path / "muscles.nii.gz"
    sitk.WriteImage(as_image(labels, series.geometry), str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read"):
        muscles_of_file(read_segmentation(path), add_series(scene, series))


def test_muscles_that_overlap_are_told_of(scene):
    volume = add_series(scene, series_of(np.eye(3)))
    node = add_segmentation(volume, legs())
    assert muscles_from_segmentation(node, volume).overlapping == ()
    drawn = (legs() == 1).astype(np.uint8)
    segments(node)[0].AddRepresentation(BINARY_LABELMAP, layer(volume, drawn, (0, 0, 0)))
    assert muscles_from_segmentation(node, volume).overlapping == (), "two layers, and no voxel in both"
    drawn[2, 15:18, 27:29] = 1
    segments(node)[0].AddRepresentation(BINARY_LABELMAP, layer(volume, drawn, (0, 0, 0)))
    found = muscles_from_segmentation(node, volume)
    assert found.names == {1: "Left leg", 2: "Right leg"}
    assert found.overlapping == (2,)


@pytest.mark.parametrize("name", ["drawn.nii.gz", "drawn.nrrd", "drawn.mha"])
def test_a_label_map_without_names_is_given_to_what_tells_its_legs(scene, tmp_path, name):
    series = series_of(DIRECTIONS["feet first"])
    sitk.WriteImage(as_image(legs() * np.uint8(20), series.geometry), str(tmp_path / name))
    file = read_segmentation(tmp_path / name)
    found = labels_of_file(file, add_series(scene, series), lambda values: np.where(values == 2, 1, values))
    np.testing.assert_array_equal(found.labels, legs() > 0)


def test_a_file_of_cropped_segments_in_layers_is_read_as_slicer_has_written_it(scene, tmp_path):
    series = series_of(DIRECTIONS["20° oblique"])
    volume = add_series(scene, series)
    node = add_segmentation(volume, np.zeros(SHAPE, np.uint8))
    segments(node)[0].AddRepresentation(BINARY_LABELMAP, layer(volume, np.ones((2, 5, 7), np.uint8), (6, 3, 1)))
    segments(node)[1].AddRepresentation(BINARY_LABELMAP, layer(volume, np.full((3, 4, 5), 2, np.uint8), (20, 9, 0)))
    write_segmentation(node, tmp_path / "roi.seg.nrrd")
    expected = labels_from_segmentation(node, volume)
    assert set(np.unique(expected)) == {0, 1, 2}
    file = read_segmentation(tmp_path / "roi.seg.nrrd")
    np.testing.assert_array_equal(labels_of_file(file, volume, np.copy).labels, expected)
