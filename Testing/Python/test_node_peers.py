"""The node with the programs of others: dcmtk sends and receives, TLS by OpenSSL; and the command around it."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import threading

import pydicom
import pytest
from dicom_files import write_series
from exchange_cases import result_of
from node_cases import LOOPBACK, Archive, Tiny, free_port, running, store, study, wait_until
from pydicom.uid import RLELossless
from typer.testing import CliRunner

from DystrophyDxLib.commands import node as command
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.commands.node_worker import make_classify
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.exchange.node import worker
from DystrophyDxLib.exchange.node.destinations import Peer, destination_of
from DystrophyDxLib.exchange.node.status import NodeStatus
from DystrophyDxLib.exchange.node.thighs import ThighExport
from DystrophyDxLib.exchange.node.tls import Certificates
from DystrophyDxLib.exchange.node.worker import Answer, Job
from DystrophyDxLib.files.resources import sample_study
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.series.reading import read_study


@pytest.fixture
def archive():
    with Archive().open() as opened:
        yield opened


def dcmtk(name: str) -> str:
    return shutil.which(name) or pytest.skip(f"{name} is not installed: apt-get install dcmtk")


def test_dcmtk_sends_a_study_and_stores_its_objects(tmp_path):
    """Two senders at once, each of a study, one of them compressed."""
    echo, send, receive = map(dcmtk, ("echoscu", "storescu", "storescp"))
    (tmp_path / "got").mkdir()
    port = free_port()
    studies = [study(), study()]
    for ds in studies[1]:
        ds.compress(RLELossless)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, images in zip(folders, studies, strict=True):
        write_series(folder, images)
    receiving = subprocess.Popen([receive, "-aet", "ARCHIVE", "-od", tmp_path / "got", str(port)])
    try:
        with running(tmp_path / "node", Peer("ARCHIVE", LOOPBACK, port, "NODE")) as node:
            called = ["-aec", "NODE", LOOPBACK, str(node.port)]
            assert subprocess.run([echo, *called], check=False).returncode == 0
            senders = [
                subprocess.Popen([send, *options, "+sd", *called, folder])
                for options, folder in zip((["-R"], ["-xr"]), folders, strict=True)
            ]
            assert [sender.wait(30) for sender in senders] == [0, 0]
            node.wait(2)
    finally:
        receiving.terminate()
        receiving.wait(10)
    got = [pydicom.dcmread(path, stop_before_pixels=True) for path in (tmp_path / "got").iterdir()]
    for images in studies:
        own = [ds for ds in got if ds.StudyInstanceUID == images[0].StudyInstanceUID]
        assert sorted(ds.Modality for ds in own) == ["OT", "OT", "SEG", "SR"]
        assert {ds.PatientID for ds in own} == {images[0].PatientID}


def test_many_images_come_in_one_association(tmp_path, archive):
    with running(tmp_path / "node", archive.peer, quiet_s=60) as node:
        assert set(store(node.port, study(40))) == {0}
        (told,) = NodeStatus.read(node.folder).studies
        assert told.images == 40
        assert not list((node.folder / "incoming").iterdir())


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    """Certificate and key of this computer, and those of a stranger."""
    openssl = shutil.which("openssl") or pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("own", "stranger"):
        files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"]
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        whose = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run([openssl, "req", "-x509", *kind, *files, *whose], check=True, capture_output=True)
    return folder


def test_by_tls_only_who_shows_a_certificate_may_send(tmp_path, archive, pems):
    own = Certificates(pems / "own.pem", pems / "own.key", pems / "own.pem")
    stranger = Certificates(pems / "stranger.pem", pems / "stranger.key", pems / "own.pem")
    images = study(1)
    with running(tmp_path / "node", archive.peer, quiet_s=60, tls=own.for_senders()) as node:
        assert store(node.port, images) == [None], "not encrypted"
        assert store(node.port, images, tls_args=(stranger.for_destination(), LOOPBACK)) == [None]
        assert store(node.port, images, tls_args=(Certificates().for_destination(), LOOPBACK)) == [None]
        assert store(node.port, images, tls_args=(own.for_destination(), LOOPBACK)) == [0]


def test_objects_go_to_a_destination_by_tls_whose_certificate_is_checked(tmp_path, pems):
    own = Certificates(pems / "own.pem", pems / "own.key", pems / "own.pem")
    archive = Archive()
    with archive.open(tls=own.for_senders()):
        peer = destination_of(f"ARCHIVE@{LOOPBACK}:{archive.port}", "NODE", Certificates().for_destination())
        with running(tmp_path / "node", peer) as node:
            store(node.port, study())
            wait_until(node.records.destination)
        assert not archive.got, "nobody vouches for it"
        peer = destination_of(f"ARCHIVE@{LOOPBACK}:{archive.port}", "NODE", own.for_destination())
        with running(tmp_path / "node", peer) as node:
            node.wait()
    assert len(archive.got) == 4


def test_wrong_certificates_are_told(pems, tmp_path):
    with pytest.raises(InputError, match="PEM files"):
        Certificates(pems / "own.pem", pems / "stranger.key").for_senders()
    with pytest.raises(InputError, match="belongs to a certificate"):
        Certificates(key=pems / "own.key")
    assert Certificates().for_senders() is None
    assert Certificates().for_destination().verify_mode == ssl.CERT_REQUIRED


def test_the_command_runs_until_it_is_ended_and_tells_its_status(tmp_path, archive, monkeypatch):
    monkeypatch.setattr(worker, "Worker", lambda make: Worker(Tiny, "fork"))
    folder, port, images = tmp_path / "node", free_port(), study()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def use() -> None:
        try:
            wait_until(lambda: store(port, images) == [0, 0, 0])
            wait_until(lambda: len(archive.got) == 4)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    user = threading.Thread(target=use)
    user.start()
    to = f"ARCHIVE@{LOOPBACK}:{archive.port}"
    asked = ["node", "--folder", str(folder), "--send-to", to, "--port", str(port), "--quiet", "0.3"]
    try:
        done = CliRunner().invoke(app, asked)
    finally:
        user.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    assert done.exit_code == 0, done.exception
    assert sorted(archive.got.values()) == [1, 1, 1, 1]
    assert "classified in" in done.output
    told = CliRunner().invoke(app, ["node", "--folder", str(folder), "--status", "--study", images[0].StudyInstanceUID])
    assert "The node does not run. Studies: 0 waiting, 1 answered" in told.output
    assert "3 images  objects: 4 sent" in told.output


Worker = worker.Worker


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ([], "Give --send-to"),
        (["--send-to", "archive"], "--send-to cannot be 'archive'"),
        (["--send-to", "A@b:99999"], "--send-to cannot be"),
        (["--send-to", "https://reader:secret@x/y"], "holds credentials"),
        (["--send-to", "A@b:104", "--title", "SEVENTEEN LETTERS"], "AE title"),
        (["--status"], "is no folder of a node"),
    ],
)
def test_what_a_node_cannot_be_is_said_in_one_line(asked, words, tmp_path):
    refused = CliRunner().invoke(app, ["node", "--folder", str(tmp_path / "node"), *asked])
    assert isinstance(refused.exception, InputError)
    assert words in str(refused.exception)
    assert not (tmp_path / "node").exists()


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded_and_leaves_no_folder(tmp_path, archive, monkeypatch):
    monkeypatch.setattr(worker, "Worker", lambda make: pytest.fail("The model is loaded."))
    asked = ["--send-to", "ARCHIVE@pacs:104", "--port", str(archive.port)]
    refused = CliRunner().invoke(app, ["node", "--folder", str(tmp_path / "node"), *asked])
    assert isinstance(refused.exception, InputError)
    assert f"Port {archive.port} of {LOOPBACK} cannot be used; another program may use it." in str(refused.exception)
    assert not (tmp_path / "node").exists()


@pytest.mark.parametrize(
    ("name", "fits"),
    [("embedded", True), ("yang2021", True), ("cai2019", False), ("germain2021", False), ("mattia2025", False)],
)
def test_a_node_takes_models_of_one_series_of_the_thighs(name, fits):
    sample = Recipe.named(name).sample
    if fits:
        command.check_sample(sample)
    else:
        with pytest.raises(InputError, match="give a model that takes one T1-weighted series"):
            command.check_sample(sample)


def test_the_shipped_model_answers_the_sample_study_once(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for path in sorted(sample_study().iterdir())[6:9]:  # some slices of it
        shutil.copy(path, images)
    classify = make_classify(None, "cpu")
    answer = classify(Job(images, tmp_path / "out", ()))
    assert answer.kind == "answered"
    assert sorted(path.stem for path in (tmp_path / "out" / "dicom").iterdir()) == [
        "heatmap", "overview", "report", "seg",
    ]  # fmt: skip
    again = classify(Job(images, tmp_path / "again", (answer.digest,)))
    assert again == Answer("same", answer.digest)
    assert not (tmp_path / "again").exists()


def test_images_without_a_thigh_give_no_objects(tmp_path):
    write_series(tmp_path / "s", study())
    series = read_study(tmp_path / "s")
    export = ThighExport(tmp_path / "s", ())
    export.check(series)
    result = result_of(series)
    lower = [image.model_copy(update={"anatomy": "other"}) for image in result.images]
    with pytest.raises(InputError, match="shows no thigh"):
        export.write(tmp_path, result.model_copy(update={"images": tuple(lower)}), None, {})
