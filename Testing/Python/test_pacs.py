"""A real PACS on this machine: studies are found, one series comes back, objects go in. Orthanc is Debian's."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pydicom
import pytest
import requests
from dicom_files import IDENTITY, thigh_like, write_series
from exchange_cases import result_of, study_datasets, write_all
from node_cases import free_port, running, store, study
from typer.testing import CliRunner

from DystrophyDxLib.archive.pseudonyms import Pseudonyms
from DystrophyDxLib.archive.sources import Asked, find
from DystrophyDxLib.archive.tree import TreeScan
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.exchange.node.destinations import Peer, Unreachable, Web
from DystrophyDxLib.exchange.pacs import PASSWORD, USER, Pacs
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.mrml import pipeline
from DystrophyDxLib.series.reading import read_study

PLUGINS = Path("/usr/share/orthanc/plugins")
T1, STIR = "1.2.3.1", "1.2.3.2"
VOXELS = thigh_like(4)


class Orthanc(NamedTuple):
    """Address of its DICOMweb service, and port of its DICOM node."""

    url: str
    port: int


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    """It holds a study with a T1-weighted series and one of STIR."""
    program = shutil.which("Orthanc")
    if program is None or not (PLUGINS / "libOrthancDicomWeb.so").exists():
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    folder, port, dicom_port = tmp_path_factory.mktemp("orthanc"), free_port(), free_port()
    config = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "DicomPort": dicom_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"reader": "secret"},
        "Plugins": [str(PLUGINS / "libOrthancDicomWeb.so")],
    }
    (folder / "config.json").write_text(json.dumps(config))
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([program, folder / "config.json"], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}/dicom-web"
        wait_for(url, server)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(USER, "reader")
            environment.setenv(PASSWORD, "secret")
            Pacs(url).store(write_series(folder / "study", both_series()))
        yield Orthanc(url, dicom_port)
    finally:
        server.kill()  # nothing of it is kept
        server.wait(20)


def wait_for(url: str, server: subprocess.Popen) -> None:
    for _ in range(300):
        assert server.poll() is None, "Orthanc has ended"
        try:
            requests.get(f"{url}/studies", auth=("reader", "secret"), timeout=5).raise_for_status()
            return
        except requests.RequestException:
            time.sleep(0.2)
    pytest.fail("Orthanc does not answer")


def both_series():
    facts = {"StudyDate": "20260131", "StudyDescription": "MR thighs"}
    t1 = study_datasets(VOXELS, SeriesInstanceUID=T1, **facts)
    stir = {"InversionTime": 150, "ScanningSequence": ["SE", "IR"], "RepetitionTime": 4000, "EchoTime": 60}
    others = study_datasets(thigh_like(9, seed=3), SeriesInstanceUID=STIR, **facts, **stir)
    for ds in others:
        ds.SeriesDescription = "stir tra"
    return [*t1, *others]


@pytest.fixture
def service(orthanc, monkeypatch) -> Pacs:
    monkeypatch.setenv(USER, "reader")
    monkeypatch.setenv(PASSWORD, "secret")
    return Pacs(orthanc.url)


STUDY = str(both_series()[0].StudyInstanceUID)


def test_studies_are_found_by_patient_date_and_description_and_told_without_a_patient(service):
    for asked in (
        {"patient": IDENTITY[2]},
        {"date": "20260101-20260201"},
        {"date": "20260131", "description": "mr t*"},
    ):
        (study,) = service.studies(**asked)
        assert study["StudyInstanceUID"] == STUDY
        assert study["StudyDate"] == "20260131"
    assert service.studies(patient="nobody") == service.studies(date="20250101") == []
    assert service.studies(patient=IDENTITY[2], description="CT*") == []
    with pytest.raises(InputError, match="too many studies"):
        service.studies(description="MR*")
    told = CliRunner().invoke(app, ["pacs", service.url, "--patient", IDENTITY[2]])
    assert told.exit_code == 0, told.exception
    assert STUDY in told.stdout
    assert "MR thighs" in told.stdout
    assert not [word for word in IDENTITY if word in told.output]


def test_the_series_that_suits_best_comes_back_alone_as_it_was(service, tmp_path):
    assert service.best_series(STUDY) == T1
    assert service.retrieve(STUDY, T1, tmp_path) == 4
    assert {pydicom.dcmread(path).SeriesInstanceUID for path in tmp_path.iterdir()} == {T1}
    np.testing.assert_array_equal(read_study(tmp_path).voxels, VOXELS)


def test_an_archive_takes_its_studies_with_the_pseudonyms_that_a_folder_gives_them(service, tmp_path):
    key = Pseudonyms(b"sixteen letters!")
    package = SimpleNamespace(recipe=SimpleNamespace(sample=SimpleNamespace(further=(), of_cine=False)))
    found = find(service.url, Asked(date="20260131"), package, key, tmp_path, lambda *_: None)
    (study,) = found.studies
    with study.images.opened() as given:
        assert read_study(given.path, given.series_uid).series_uid == T1
        (in_folder,) = TreeScan(given.path, key).run().studies
    assert (in_folder.study, in_folder.patient) == (study.study, study.patient)
    assert not given.path.exists()


def test_what_the_service_refuses_is_told_in_one_line(service, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="no MR series of this study"):
        service.best_series("1.2.3.9")
    with pytest.raises(InputError, match="no UID"):
        service.best_series("Mustermann")
    with pytest.raises(InputError, match=r"no such study|no image"):
        service.retrieve(STUDY, "1.2.3.9", tmp_path)
    monkeypatch.setenv(PASSWORD, "wrong")
    with pytest.raises(InputError, match="wants credentials"):
        Pacs(service.url).studies(date="20260131")


@pytest.mark.parametrize(
    ("url", "user", "words"),
    [
        ("pacs.example/dicom-web", "", "no URL"),
        ("https://reader:secret@pacs.example/dicom-web", "", "holds credentials"),
        ("http://pacs.example/dicom-web", "reader", "unencrypted"),
    ],
)
def test_an_address_that_would_give_credentials_away_is_refused(url, user, words, monkeypatch):
    monkeypatch.setenv(USER, user)
    with pytest.raises(InputError, match=words) as refused:
        Pacs(url)
    assert "secret" not in str(refused.value)


def test_a_service_that_is_not_there_is_told(monkeypatch):
    monkeypatch.delenv(USER, raising=False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between tries
    with pytest.raises(InputError, match="cannot be reached"):
        Pacs(f"http://127.0.0.1:{free_port()}/dicom-web").studies(date="20260131")


def test_objects_go_into_the_study_and_the_second_time_change_nothing(service, tmp_path):
    service.retrieve(STUDY, T1, tmp_path)
    written = write_all(tmp_path / "all", [pydicom.dcmread(path) for path in sorted(tmp_path.glob("*.dcm"))])
    for _ in range(2):
        service.store(sorted(written.folder.iterdir()))
        (study,) = service.studies(patient=IDENTITY[2])
        assert study["NumberOfStudyRelatedInstances"] == "17"
    assert {"MR", "SEG", "SR", "OT"} <= set(study["ModalitiesInStudy"].split("\\"))


def test_the_command_takes_a_study_from_the_pacs_and_sends_its_objects(service, tmp_path, monkeypatch):
    seen = {}

    def classify(files, model, out, *, further, **_):
        series = read_study(files.images, files.series_uid)
        seen.update(folder=files.images, voxels=series.voxels, uid=files.series_uid, export=further)
        written = write_all(tmp_path / "w", [pydicom.dcmread(path) for path in sorted(files.images.iterdir())])
        out.mkdir()
        shutil.copytree(written.folder, out / "dicom")
        return result_of(series)

    monkeypatch.setattr(pipeline, "classify_into_folder", classify)
    sent = []
    monkeypatch.setattr(Pacs, "store", lambda self, paths: sent.extend(path.name for path in paths))
    asked = ["classify", "--pacs", service.url, "--study", STUDY, "--out", str(tmp_path / "out"), "--send", "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.exception
    np.testing.assert_array_equal(seen["voxels"], VOXELS)
    assert seen["uid"] == T1
    assert seen["export"] is not None, "what is sent is made"
    assert not seen["folder"].exists(), "no image of the patient stays behind"
    assert sorted(sent) == ["heatmap.dcm", "overview.dcm", "report.dcm", "seg.dcm"]


def test_further_inputs_of_a_model_come_from_the_same_study(service, tmp_path, monkeypatch):
    package = SimpleNamespace(recipe=Recipe.named("yang2021_stir"))  # its weights are no matter here
    monkeypatch.setattr(ModelPackage, "read", lambda path: package)
    seen = {}

    def classify(files, model, out, **_):
        seen.update({name: read_study(path).voxels for name, path in files.channels.items()}, first=files.series_uid)
        return result_of(read_study(files.images, files.series_uid))

    monkeypatch.setattr(pipeline, "classify_into_folder", classify)
    asked = ["classify", "--pacs", service.url, "--study", STUDY, "--out", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(app, [*asked, "--channel", f"STIR={STIR}"])
    assert done.exit_code == 0, done.exception
    assert seen["first"] == T1
    np.testing.assert_array_equal(seen["STIR"], thigh_like(9, seed=3))


@pytest.mark.parametrize("how", ["C-STORE", "STOW"])
def test_a_node_stores_the_objects_of_a_study_in_the_pacs(orthanc, service, how, tmp_path):
    destination = Peer("ORTHANC", "127.0.0.1", orthanc.port, "NODE") if how == "C-STORE" else Web(service)
    images = study(PatientID=how)
    with running(tmp_path / "node", destination) as node:
        store(node.port, images)
        node.wait()
    (found,) = service.studies(patient=how)
    assert found["StudyInstanceUID"] == images[0].StudyInstanceUID
    assert found["NumberOfStudyRelatedInstances"] == "4"
    assert set(found["ModalitiesInStudy"].split("\\")) == {"SEG", "SR", "OT"}


def test_what_the_pacs_refuses_for_good_is_told_apart_from_what_it_cannot_take_now(service, tmp_path, monkeypatch):
    (path,) = write_series(tmp_path / "s", study(1))
    ds = pydicom.dcmread(path)
    del ds.StudyInstanceUID
    ds.save_as(path)
    assert [outcome.state for outcome in Web(service).send([path])] == ["refused"]
    monkeypatch.setenv(PASSWORD, "wrong")
    with pytest.raises(Unreachable, match="wants credentials"):
        list(Web(Pacs(service.url)).send([path]))


@pytest.mark.parametrize("asked", [[], ["study", "--pacs", "https://x"], ["--pacs", "https://x"], ["study", "--send"]])
def test_a_study_comes_from_one_place(asked, tmp_path):
    refused = CliRunner().invoke(app, ["classify", *asked, "--out", str(tmp_path / "out")])
    assert "Give either a study, or --pacs URL with --study UID" in str(refused.exception)
