"""The folder of a study beside the dataset: as classify makes it, with DICOM objects wherever there can be any."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="the extra viewer is not installed")
pytest.importorskip("highdicom", reason="the extra dicom is not installed")

import SimpleITK as sitk
from archive_cases import study_datasets, write_study
from model_packages import make_package

from DystrophyDxLib.archive.folders import Folders
from DystrophyDxLib.archive.studies import Place, Study
from DystrophyDxLib.archive.worker import Model, StudyWorker
from DystrophyDxLib.exchange import folder as objects
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.results import StudyResult
from DystrophyDxLib.series.image_files import as_image
from DystrophyDxLib.series.reading import read_study

OBJECTS = {"seg.dcm", "heatmap.dcm", "report.dcm", "overview.dcm"}


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worker")
    model = Model(ModelPackage.read(make_package(folder / "model")))
    return StudyWorker(model, "cpu", Folders(folder / "results", dicom=True))


def run(worker, place):
    """The outcome of a study, and the names in its folder and among its DICOM objects."""
    study = Study(place.name, None, Place(place))
    outcome = worker.run(study)
    assert outcome.failure is None
    folder = worker._folders.out / study.study
    written = StudyResult.model_validate_json((folder / "result.json").read_text(encoding="utf-8"))
    assert written == outcome.result
    names = {path.name for path in folder.iterdir()}
    assert names >= {"heatmap.nrrd", "overview.png", "report.html", "scene.mrb"}
    assert ("dicom" in names) == (not outcome.lacking)
    return outcome, {path.name for path in (folder / "dicom").glob("*")}


def test_a_study_gets_the_folder_and_the_objects_of_classify(worker, tmp_path):
    write_study(tmp_path / "whole", study_datasets(1))
    outcome, names = run(worker, tmp_path / "whole")
    assert (names, outcome.lacking) == (OBJECTS, "")


def test_images_without_uids_and_image_files_keep_the_rest_and_say_what_is_missing(worker, tmp_path):
    write_study(tmp_path / "without", study_datasets(2, SeriesInstanceUID=""))
    outcome, names = run(worker, tmp_path / "without")
    assert not names
    assert outcome.lacking.startswith("There are no DICOM objects: ")
    assert "Series Instance UID" in outcome.lacking
    series = read_study(tmp_path / "without")
    sitk.WriteImage(as_image(series.voxels, series.geometry), str(tmp_path / "image.nii.gz"))
    outcome, names = run(worker, tmp_path / "image.nii.gz")
    assert "An image file has no DICOM study" in outcome.lacking


def test_objects_that_cannot_be_written_leave_the_rest(worker, tmp_path, monkeypatch):
    def written_in_part(source, findings, overview, folder):
        folder.mkdir()
        (folder / "seg.dcm").write_bytes(b"half")
        raise objects.InputError("The segmentation cannot be made of series 1.2.840.99.4711.")

    write_study(tmp_path / "full", study_datasets(3))
    monkeypatch.setattr("DystrophyDxLib.exchange.export.write_objects", written_in_part)
    outcome, names = run(worker, tmp_path / "full")
    assert not names
    assert outcome.lacking.endswith("The segmentation cannot be made of series (UID).")
