"""A volume of a scene is classified in it, as the panel's button does."""

import numpy as np
import pytest
import slicer
from model_packages import make_package

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.model_package import ModelPackage
from DystrophyDxLib.mrml.classify_volume import classify_volume
from DystrophyDxLib.mrml.offscreen import OffscreenSlicer
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.report import summary


def test_the_scene_shows_what_the_classifier_finds(tmp_path):
    scene = OffscreenSlicer().scene
    series = make_phantom(97, "DMD").series
    volume = add_series(scene, series)
    model = make_package(tmp_path / "package")
    study, classification = classify_volume(volume, model)
    direct = Classifier(ModelPackage.read(model)).classify(series)
    assert classification.result.case == direct.result.case
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(study.heatmap), direct.heatmap)
    assert study.segmentation.GetSegmentation().GetNumberOfSegments() == 2
    assert study.heatmap.GetScene() is scene
    text = summary(classification.result)
    assert f"Probability {direct.result.case.probability:.2f}" in text
    assert "not for diagnosis" in text


def test_a_volume_without_an_image_is_refused():
    scene = OffscreenSlicer().scene
    with pytest.raises(InputError):
        classify_volume(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
