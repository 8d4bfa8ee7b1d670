"""What a model was trained on is told wherever it answers on it: one series, or a person of a synthetic cohort."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import slicer
from model_packages import make_package

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.cohort.seen import key_of, seen_keys, seen_patients
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.pipeline import ModelOnDevice, StudyFiles, classify_into_folder
from DystrophyDxLib.mrml.volumes import add_series, write_volume
from DystrophyDxLib.phantom import make_phantom
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.results import WarningCode
from DystrophyDxLib.series.reading import read_study

SEEN = WarningCode.SEEN_IN_TRAINING
PATIENTS = [Patient(number, "DMD", "train", "A", 2, "both") for number in (1, 2)]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_cohort(PATIENTS, tmp_path_factory.mktemp("cohort") / "cohort", seed=3, matrix=96, truth=False)


@pytest.fixture(scope="module")
def cohort(table):
    return Cohort.read(table, ModelPackage.read(make_package(table.parent.parent / "any")).recipe)


@pytest.fixture(scope="module")
def package(cohort, tmp_path_factory):
    """A model that was trained on the first of two patients."""
    folder = tmp_path_factory.mktemp("model") / "package"
    return ModelPackage.read(make_package(folder, seen=seen_keys(cohort.cases[:1])))


def codes(result):
    return {warning.code for warning in result.warnings}


def test_a_series_that_the_model_was_trained_on_is_told_under_any_name(cohort, package, tmp_path):
    copy = tmp_path / "renamed.nii.gz"
    shutil.copy(cohort.cases[0].path, copy)
    model = ModelOnDevice(package, "cpu")
    results = [
        classify_into_folder(StudyFiles(path), model, tmp_path / str(number))
        for number, path in enumerate((copy, cohort.cases[1].path))
    ]
    assert [SEEN in codes(result) for result in results] == [True, False]
    report = (tmp_path / "0" / "report.html").read_text(encoding="utf-8")
    assert "The model was trained on this series" in report


def test_a_volume_of_a_scene_is_told_by_the_files_it_was_read_from(package, tmp_path):
    series = make_phantom(5, "DMD", slices=2, matrix=96).series
    scene = slicer.vtkMRMLScene()
    volume = add_series(scene, series)
    path = tmp_path / "volume.nrrd"
    write_volume(volume, path)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    volume.SetAndObserveStorageNodeID(scene.AddNode(storage).GetID())
    knowing = Classifier(ModelPackage.read(make_package(tmp_path / "knowing", seen=(key_of(path),))), "cpu")
    in_scene = SceneClassification(volume)
    assert SEEN in codes(in_scene.classify(knowing))
    assert [warning.code for warning in in_scene.classify(knowing).warnings].count(SEEN) == 1
    assert SEEN not in codes(in_scene.classify(Classifier(package, "cpu")))


def test_a_person_is_recognised_in_other_images(cohort, package, tmp_path):
    """The same persons at another matrix: other files, but no new patients."""
    table = write_cohort(PATIENTS, tmp_path / "finer", seed=3, matrix=128, truth=False)
    finer = Cohort.read(table, package.recipe)
    assert not np.array_equal(*(read_study(cases.cases[0].path).voxels.shape for cases in (cohort, finer)))
    assert seen_patients(finer, package.card) == {"P0001"}
