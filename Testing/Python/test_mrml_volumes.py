import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from mrml_cases import DIRECTIONS, SHAPE, series_of
from scipy.spatial.transform import Rotation
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkThinPlateSplineTransform

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.mrml.volumes import add_map, add_series, ijk_to_world, series_from_volume, write_volume
from DystrophyDxLib.results import WarningCode

RAS = np.diag([-1, -1, 1, 1])


@pytest.fixture
def scene():
    return slicer.vtkMRMLScene()


def under_transform(node, matrix):
    transform = node.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    elements = vtkMatrix4x4()
    elements.DeepCopy(np.asarray(matrix, float).ravel().tolist())
    transform.SetMatrixTransformToParent(elements)
    node.SetAndObserveTransformNodeID(transform.GetID())


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_a_series_comes_back_from_the_scene_exactly(scene, direction):
    series = series_of(direction)
    back = series_from_volume(add_series(scene, series))
    np.testing.assert_array_equal(back.voxels, series.voxels)
    assert back.geometry.origin == series.geometry.origin
    assert back.geometry.spacing == series.geometry.spacing
    np.testing.assert_allclose(back.geometry.direction, series.geometry.direction, rtol=0, atol=1e-15)
    assert back.kind == "scene"


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_a_voxel_lies_in_the_scene_where_it_lies_in_the_patient(scene, direction):
    series = series_of(direction)
    node = add_series(scene, series)
    np.testing.assert_allclose(ijk_to_world(node), RAS @ series.geometry.ijk_to_lps, atol=1e-12)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node)[2, 5, 7], series.voxels[2, 5, 7])


def test_voxels_are_shared_on_the_way_in_and_copied_on_the_way_out(scene):
    series = series_of(np.eye(3))
    node = add_series(scene, series)
    assert np.shares_memory(slicer.util.arrayFromVolume(node), series.voxels)
    back = series_from_volume(node)
    assert not np.shares_memory(back.voxels, series.voxels)


def test_voxels_that_became_a_label_map_are_refused(scene):
    node = add_series(scene, series_of(np.eye(3)))
    series_from_volume(node)
    voxels = slicer.util.arrayFromVolume(node)
    voxels[:] = np.where(np.arange(voxels.shape[2]) < voxels.shape[2] // 2, 1, 2)
    slicer.util.arrayFromVolumeModified(node)
    for _ in range(2):
        with pytest.raises(InputError, match="label map"):
            series_from_volume(node)


@pytest.mark.parametrize(("x", "mirrored"), [(-1.0, True), (1.0, False)])
def test_a_volume_under_a_transform_that_mirrors_has_no_sides(scene, x, mirrored):
    node = add_series(scene, series_of(DIRECTIONS["feet first"]))
    under_transform(node, np.diag([x, 1.0, 1.0, 1.0]))
    series = series_from_volume(node)
    assert [warning.code for warning in series.warnings] == [WarningCode.SIDE_CONTRADICTED] * mirrored
    assert series.orientation_known is not mirrored


def test_a_volume_moved_by_a_linear_transform_is_read_where_it_was_moved(scene):
    series = series_of(DIRECTIONS["20° oblique"])
    node = add_series(scene, series)
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    move[:3, 3] = (10, -20, 30)
    under_transform(node, move)
    back = series_from_volume(node).geometry
    np.testing.assert_allclose(RAS @ back.ijk_to_lps, move @ RAS @ series.geometry.ijk_to_lps, atol=1e-9)


def test_a_sheared_or_warped_volume_is_refused(scene):
    sheared = add_series(scene, series_of(np.eye(3)))
    shear = np.eye(4)
    shear[0, 1] = 0.3
    under_transform(sheared, shear)
    with pytest.raises(InputError, match="perpendicular"):
        series_from_volume(sheared)

    warped = add_series(scene, series_of(np.eye(3)))
    warp = vtkThinPlateSplineTransform()
    source, target = vtkPoints(), vtkPoints()
    for point in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50)):
        source.InsertNextPoint(point)
        target.InsertNextPoint(point[0] + 5, point[1], point[2] * 1.1)
    warp.SetSourceLandmarks(source)
    warp.SetTargetLandmarks(target)
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    transform.SetAndObserveTransformToParent(warp)
    warped.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="harden"):
        series_from_volume(warped)


def test_a_volume_without_an_image_is_refused(scene):
    with pytest.raises(InputError, match="no image"):
        series_from_volume(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"))


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_a_written_heatmap_has_the_grid_of_the_input_in_other_programs(scene, tmp_path, direction):
    series = series_of(direction)
    heat = np.random.default_rng(1).uniform(-1, 1, SHAPE).astype(np.float32)
    write_volume(add_map(add_series(scene, series), heat, "Heatmap"), tmp_path / "heatmap.nrrd")
    image = sitk.ReadImage(str(tmp_path / "heatmap.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), np.maximum(heat, 0))
    np.testing.assert_allclose(image.GetOrigin(), series.geometry.origin, atol=1e-9)
    np.testing.assert_allclose(image.GetSpacing(), series.geometry.spacing, atol=1e-9)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), series.geometry.direction, atol=1e-9)


def test_a_map_of_a_moved_volume_moves_with_it(scene):
    node = add_series(scene, series_of(np.eye(3)))
    move = np.eye(4)
    move[0, 3] = 25
    under_transform(node, move)
    heat = add_map(node, np.zeros(SHAPE, np.float32), "Heatmap")
    np.testing.assert_array_equal(ijk_to_world(heat), ijk_to_world(node))


def test_grey_window_spans_the_tissue_and_ignores_a_bright_vessel(scene):
    series = series_of(np.eye(3))
    series.voxels[:, :20] = 0
    series.voxels[3, 40, 30:33] = 9000
    display = add_series(scene, series).GetDisplayNode()
    assert display.GetWindowLevelMin() == pytest.approx(90, abs=1)
    assert display.GetWindowLevelMax() == pytest.approx(110, abs=1)


def test_a_heatmap_that_cannot_be_written_is_an_error_in_one_line(scene, tmp_path):
    node = add_map(add_series(scene, series_of(np.eye(3))), np.zeros(SHAPE, np.float32), "Heatmap")
    with pytest.raises(InputError, match="cannot be written") as error:
        write_volume(node, tmp_path / "absent" / "heatmap.nrrd")
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize(
    ("name", "label"), [("4: T1 axial, A. Miller", "Series 4"), ("Miller_Anna_T1", ""), ("1901: ", "Series 1901")]
)
def test_of_a_volumes_name_only_what_tells_no_identity_is_a_label(scene, name, label):
    assert series_from_volume(add_series(scene, series_of(np.eye(3)), name)).label == label
