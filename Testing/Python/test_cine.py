"""Cines: which frames are end-diastole and end-systole, from image files and DICOM, by the cavity or as asked."""

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import series_datasets, write_series

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.phantom.heart import DISEASES, make_heart
from DystrophyDxLib.phantom.heart_cohort import write_cine
from DystrophyDxLib.series.cine import cavity_voxels, picked
from DystrophyDxLib.series.image_files import as_image
from DystrophyDxLib.series.reading import read_frames, read_input
from DystrophyDxLib.series.series import Series

PAIR = Recipe.named("germain2021").sample
SINGLE = Recipe.named("germain2021_single").sample
FRAMES = 14


@pytest.fixture(scope="module")
def hearts():
    return {name: make_heart(name, seed=4 + n, matrix=96, frames=FRAMES) for n, name in enumerate(DISEASES)}


@pytest.fixture
def cine(tmp_path, hearts):
    write_cine(hearts["HCM"], tmp_path / "cine.nii.gz")
    return tmp_path / "cine.nii.gz"


@pytest.mark.parametrize("disease", DISEASES)
def test_the_frames_with_the_largest_and_smallest_cavity_are_found(hearts, disease):
    heart = hearts[disease]
    frames = [Series(voxels, heart.geometry) for voxels in heart.voxels]
    areas = cavity_voxels(frames, PAIR)
    # The heart rests before the next beat, so several frames are end-diastole but for noise.
    assert areas[0] > 0.99 * areas.max()
    assert int(areas.argmin()) == heart.systole
    found = picked(frames, PAIR, {})
    assert np.array_equal(found.further["SYSTOLE"], heart.voxels[heart.systole])
    assert f"SYSTOLE is frame {heart.systole} of {FRAMES} (from 0), with the smallest cavity." in found.selection


def test_frames_are_those_that_a_user_asks_for(cine, hearts):
    series = read_input(cine, {}, PAIR, frames={"DIASTOLE": 1, "SYSTOLE": 5})
    assert np.array_equal(series.voxels, hearts["HCM"].voxels[1].round())
    assert np.array_equal(series.further["SYSTOLE"], hearts["HCM"].voxels[5].round())
    assert "DIASTOLE is frame 1 of 14 (from 0), as asked." in series.selection
    np.testing.assert_allclose(series.geometry.ijk_to_lps, hearts["HCM"].geometry.ijk_to_lps, atol=1e-3)


def test_a_model_of_one_frame_takes_a_cine_or_a_frame(cine, tmp_path, hearts):
    assert not read_input(cine, {}, SINGLE).further
    sitk.WriteImage(as_image(hearts["DCM"].voxels[0], hearts["DCM"].geometry), str(tmp_path / "frame.nii.gz"))
    assert np.array_equal(read_input(tmp_path / "frame.nii.gz", {}, SINGLE).voxels, hearts["DCM"].voxels[0])


def test_what_cannot_be_two_frames_is_refused(cine, tmp_path, hearts):
    heart = hearts["normal"]
    sitk.WriteImage(as_image(heart.voxels[0], heart.geometry), str(tmp_path / "one.nii.gz"))
    with pytest.raises(InputError, match="needs SYSTOLE beside DIASTOLE; give a cine, or each frame as a channel"):
        read_input(tmp_path / "one.nii.gz", {}, PAIR)
    with pytest.raises(InputError, match="no frame 14; give one from 0 to 13 for SYSTOLE"):
        read_input(cine, {}, PAIR, frames={"SYSTOLE": 14})
    with pytest.raises(InputError, match="cannot be two inputs"):
        read_input(cine, {}, PAIR, frames={"SYSTOLE": 2, "DIASTOLE": 2})
    with pytest.raises(InputError, match="leave out either the channels or the frames"):
        read_input(tmp_path / "one.nii.gz", {"SYSTOLE": cine}, PAIR, frames={"SYSTOLE": 2})
    with pytest.raises(InputError, match="Channel SYSTOLE: The image is 4-dimensional; give one 3D volume"):
        read_input(tmp_path / "one.nii.gz", {"SYSTOLE": cine}, PAIR)


def test_frames_on_other_grids_are_refused(tmp_path, hearts):
    first, other = hearts["normal"], hearts["DCM"]
    sitk.WriteImage(as_image(first.voxels[0], first.geometry), str(tmp_path / "one.nii.gz"))
    moved = dataclasses.replace(other.geometry, origin=(50.0, 0.0, 0.0))
    sitk.WriteImage(as_image(other.voxels[3], moved), str(tmp_path / "other.nii.gz"))
    with pytest.raises(InputError, match="The channel SYSTOLE lies up to"):
        read_input(tmp_path / "one.nii.gz", {"SYSTOLE": tmp_path / "other.nii.gz"}, PAIR)


def test_a_model_of_thighs_refuses_a_cine(cine):
    with pytest.raises(InputError, match="The image is 4-dimensional; give one 3D volume of it"):
        read_input(cine, {}, Recipe.named("yang2021").sample)


def dicom_cine(voxels: np.ndarray):
    """(t, z, y, x) as MR objects, each slice after the other and in it the times backwards."""
    datasets = []
    for t, volume in enumerate(voxels):
        datasets += series_datasets(volume, TriggerTime=30.0 * t + 5, InstanceNumber=len(voxels) - t)
    return datasets


def test_dicom_frames_come_in_the_order_of_their_trigger_times(tmp_path):
    voxels = np.random.default_rng(1).integers(0, 999, (4, 3, 24, 20)).astype(np.int16)
    write_series(tmp_path / "cine", dicom_cine(voxels))
    frames = read_frames(tmp_path / "cine")
    assert np.array_equal(np.stack([frame.voxels for frame in frames]), voxels)
    assert "4 frames" in frames[0].selection
    assert frames[0].geometry.spacing[2] == pytest.approx(6)


def test_a_dicom_cine_that_lacks_a_frame_is_refused(tmp_path):
    voxels = np.random.default_rng(1).integers(0, 999, (4, 3, 24, 20)).astype(np.int16)
    write_series(tmp_path / "cine", dicom_cine(voxels)[:-1])
    with pytest.raises(InputError, match="from 3 to 4 frames"):
        read_frames(tmp_path / "cine")
