"""Cines in a scene: their frames as volumes of their own, proposed by the heart's cavity or as chosen."""

import numpy as np
import pytest
import slicer
from mrml_cases import add_cine

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.mrml.cines import Cine
from DystrophyDxLib.mrml.scenes import new_scene
from DystrophyDxLib.mrml.volumes import series_from_volume
from DystrophyDxLib.phantom.heart import make_heart

PAIR = Recipe.named("germain2021").sample


@pytest.fixture(scope="module")
def heart():
    return make_heart("HCM", seed=4, matrix=96, frames=14)


@pytest.fixture
def cine(heart):
    return Cine.of(add_cine(new_scene(), heart))


def test_a_volume_on_its_own_is_no_cine(cine):
    taken = cine.take({"DIASTOLE": 0})
    assert Cine.of(taken["DIASTOLE"]) is None


def test_the_frames_proposed_are_those_of_the_command_line(cine, heart):
    assert len(cine) == 14
    assert cine.proposed(PAIR)["SYSTOLE"] == heart.systole


def test_the_scene_shows_the_frame_that_is_asked_for(cine, heart):
    for number in (5, 0):
        cine.show(number)
        assert np.array_equal(slicer.util.arrayFromVolume(cine.volume), heart.voxels[number])


def test_frames_become_volumes_where_the_cine_is(cine, heart):
    turned = slicer.vtkMRMLLinearTransformNode()
    cine.volume.GetScene().AddNode(turned)
    matrix = np.eye(4)
    matrix[:3, 3] = 10, 20, 30
    turned.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    cine.volume.SetAndObserveTransformNodeID(turned.GetID())
    taken = cine.take({"DIASTOLE": 0, "SYSTOLE": 5})
    for name, number in (("DIASTOLE", 0), ("SYSTOLE", 5)):
        series = series_from_volume(taken[name])
        assert np.array_equal(series.voxels, heart.voxels[number])
        moved = np.subtract(series.geometry.origin, heart.geometry.origin)
        np.testing.assert_allclose(moved, (-10, -20, 30), atol=1e-3)


def test_a_frame_taken_again_is_the_same_volume(cine):
    first = cine.take({"DIASTOLE": 0, "SYSTOLE": 5})
    again = cine.take({"DIASTOLE": 0, "SYSTOLE": 6})
    assert again["DIASTOLE"] is first["DIASTOLE"]
    assert again["SYSTOLE"] is not first["SYSTOLE"]


def test_one_frame_cannot_be_two_inputs(cine):
    nodes = cine.volume.GetScene().GetNumberOfNodes()
    with pytest.raises(InputError, match="Frame 3 cannot be two inputs"):
        cine.take({"DIASTOLE": 3, "SYSTOLE": 3})
    assert cine.volume.GetScene().GetNumberOfNodes() == nodes
