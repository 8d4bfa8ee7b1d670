"""Which volume of a scene the panel proposes."""

import subprocess
import sys

import numpy as np
import pytest
import slicer
from dicom_files import series_datasets, thigh_like, write_series
from mrml_cases import planted

from DystrophyDxLib.mrml.scenes import new_scene, vtk_messages_to_log
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.panel.suggestion import suggest_volume
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.series.series import Geometry, Series

vtk_messages_to_log()


@pytest.fixture
def scene():
    return new_scene()


@pytest.fixture(scope="module")
def contrasts():
    return make_phantom(1, "healthy", slices=5, matrix=128, contrasts=("T1", "STIR", "DIXON_WATER")).images


def test_an_empty_scene_says_what_to_load(scene):
    assert suggest_volume(scene) == (None, "The scene holds no volume; load a thigh MRI or the sample study.")
    scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "without voxels")
    assert suggest_volume(scene)[0] is None


@pytest.mark.parametrize("first", ["T1", "STIR", "DIXON_WATER"])
def test_fat_is_bright_in_the_volume_that_is_proposed(scene, contrasts, first):
    volumes = {}
    for name in sorted(contrasts, key=lambda contrast: contrast != first):
        volumes[name] = add_series(scene, contrasts[name], f"volume {len(volumes)}")
    volume, why = suggest_volume(scene)
    assert volume is volumes["T1"]
    assert why == f"“{volume.GetName()}” is the most likely of 3 volumes: axial, 5 slices, fat is bright, legs seen."


def test_the_only_volume_is_called_so_and_is_proposed_whatever_its_contrast(scene, contrasts):
    volume = add_series(scene, contrasts["STIR"], "7: STIR")
    assert suggest_volume(scene) == (
        volume,
        "“7: STIR” is the only volume: axial, 5 slices, fat is not bright, legs seen.",
    )


def test_of_equal_images_the_name_tells_which(scene, contrasts):
    add_series(scene, contrasts["T1"], "3: localizer")
    add_series(scene, contrasts["T1"], "4: T1 lower legs")
    add_series(scene, contrasts["T1"], "5: T1_tra_FS")
    thighs = add_series(scene, contrasts["T1"], "6: T1_tra_thighs")
    assert suggest_volume(scene)[0] is thighs


def test_an_axial_volume_is_proposed_before_a_coronal_one(scene, contrasts):
    series = contrasts["T1"]
    turned = Geometry(series.geometry.origin, series.geometry.spacing, [[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    add_series(scene, Series(series.voxels, turned), "coronal")
    axial = add_series(scene, series, "axial")
    assert suggest_volume(scene)[0] is axial


def test_the_header_of_the_files_counts_where_they_are_dicom(scene, contrasts, tmp_path):
    volumes, files = {}, {}
    for name, facts in {
        "T2": {"RepetitionTime": 4000, "EchoTime": 90, "SeriesDescription": "tra"},
        "T1": {"RepetitionTime": 600, "EchoTime": 12, "SeriesDescription": "tra"},
        "CT": {"Modality": "CT"},
    }.items():
        volumes[name] = add_series(scene, contrasts["T1"], f"volume {name[-1]}")
        files[name] = write_series(tmp_path / name, series_datasets(thigh_like(1), **facts))[0]
        volumes[name].GetStorageNode().SetFileName(str(files[name]))
    volume, why = suggest_volume(scene)
    assert volume is volumes["T1"]
    assert "TR 600 ms, TE 12 ms, spin echo" in why
    files["T1"].unlink()
    scene.RemoveNode(volumes["T2"])
    assert suggest_volume(scene)[0] is volumes["T1"], "files that are gone since are no error"


def test_what_shows_no_legs_is_not_proposed(scene, contrasts):
    noise = np.random.default_rng(0).normal(100, 10, (5, 64, 64)).astype(np.float32)
    add_series(scene, Series(noise, Geometry((0, 0, 0), (4, 4, 8), np.eye(3))), "noise")
    warped = add_series(scene, contrasts["T1"], "T1 thigh, warped")
    warped.SetAndObserveTransformNodeID(scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode").GetID())
    labels = slicer.vtkMRMLLabelMapVolumeNode()
    scene.AddNode(labels)
    slicer.util.updateVolumeFromArray(labels, (contrasts["T1"].voxels > 50).astype(np.int16))
    assert suggest_volume(scene) == (None, "No volume of the scene shows legs; choose one, or load a thigh MRI.")


def test_a_volume_that_was_classified_comes_first_and_its_heatmap_never(scene, contrasts):
    add_series(scene, contrasts["T1"], "T1 thigh")
    classification = planted(
        scene, contrasts["STIR"], contrasts["T1"].voxels / contrasts["T1"].voxels.max(), name="STIR"
    )
    assert suggest_volume(scene) == (classification.volume, "“STIR” has been classified already.")
    classification.remove()
    assert suggest_volume(scene)[0].GetName() == "T1 thigh"


def test_proposing_imports_neither_pytorch_nor_monai():
    code = "import sys, DystrophyDxLib.panel.suggestion, DystrophyDxLib.mrml.classification_view\n"
    code += "print(sorted({'torch', 'monai', 'torchvision'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
