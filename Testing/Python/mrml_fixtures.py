"""Fixtures of the tests of a classification in a scene: a small phantom, classified."""

import pytest
from model_packages import make_package
from trame_slicer.core import SlicerApp

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.phantom import make_phantom


@pytest.fixture(scope="session")
def series():
    return make_phantom(1, "DMD", slices=5, matrix=192).series


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    return Classifier(ModelPackage.read(make_package(tmp_path_factory.mktemp("models") / "package", bias=0.3)), "cpu")


@pytest.fixture
def slicer_app():
    return SlicerApp()


@pytest.fixture
def scene(slicer_app):
    return slicer_app.scene


@pytest.fixture
def classification(scene, series, classifier):
    classification = SceneClassification(add_series(scene, series, "Thighs"))
    classification.classify(classifier)
    return classification
