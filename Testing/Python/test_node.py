"""A node takes studies, classifies each once and sends its objects once, whatever happens to it or around it."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import random
import signal
import socket
import struct
import threading
import time
from collections import Counter

import pytest
from dicom_files import IDENTITY
from node_cases import (
    ANSWER_S,
    LOOPBACK,
    Archive,
    Tiny,
    free_port,
    run_for_ever,
    running,
    store,
    study,
    wait_until,
    warm,
)
from pydicom.uid import ParametricMapStorage, generate_uid
from pynetdicom import AE
from pynetdicom.presentation import AllStoragePresentationContexts

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.exchange.node.files import NodeFiles
from DystrophyDxLib.exchange.node.receiver import Caller, Receiver
from DystrophyDxLib.exchange.node.records import Records
from DystrophyDxLib.exchange.node.status import NodeStatus
from DystrophyDxLib.exchange.node.worker import Answer, Job, Stopped, Worker, WorkerDied


@pytest.fixture
def archive():
    with Archive().open() as opened:
        yield opened


def test_a_study_is_classified_when_it_is_quiet_and_its_objects_are_sent_once(tmp_path, archive, caplog):
    caplog.set_level(logging.DEBUG, "dystrophydx.node")
    images = study()
    with running(tmp_path / "node", archive.peer, quiet_s=1) as node:
        assert store(node.port, images[:1]) == [0]
        time.sleep(0.2)
        assert store(node.port, images[1:]) == [0, 0]
        node.wait()
        assert store(node.port, images) == [0, 0, 0], "what is there already is taken, and changes nothing"
        assert node.records.to_send() == []
        told = json.dumps(NodeStatus.read(node.folder).to_json())
    assert sorted(archive.got.values()) == [1, 1, 1, 1]
    assert set(archive.study_of.values()) == {images[0].StudyInstanceUID}
    assert json.loads(told)["studies"][0] | {"study": ""} == {
        "study": "", "state": "answered", "reason": "", "images": 3, "objects": {"sent": 4},
    }  # fmt: skip
    names = " ".join(str(path) for path in (tmp_path / "node").rglob("*"))
    secrets = (*IDENTITY, images[0].StudyInstanceUID, images[0].SOPInstanceUID)
    assert not [word for word in secrets if word in told + caplog.text + names]
    assert (tmp_path / "node").stat().st_mode & 0o077 == 0


def test_a_new_series_is_an_answer_of_its_own_only_where_it_is_the_better_one(tmp_path, archive):
    t1 = study()
    same = {"StudyInstanceUID": t1[0].StudyInstanceUID}
    stir = study(InversionTime=150, ScanningSequence=["SE", "IR"], RepetitionTime=4000, EchoTime=60, **same)
    longer = study(6, **same)
    with running(tmp_path / "node", archive.peer) as node:
        store(node.port, t1)
        node.wait()
        first = set(archive.got)
        store(node.port, stir)
        wait_until(lambda: NodeStatus.read(node.folder).counts()["waiting"] == 1)
        wait_until(lambda: NodeStatus.read(node.folder).counts()["waiting"] == 0)
        assert set(archive.got) == first, "the same images have their answer"
        store(node.port, longer)
        wait_until(lambda: len(archive.got) == 8)
    assert set(archive.got.values()) == {1}


def test_what_cannot_be_classified_is_kept_with_its_reason(tmp_path, archive, caplog):
    stir = study(InversionTime=150, ScanningSequence=["SE", "IR"], RepetitionTime=4000, EchoTime=60)
    two = study()
    two[1].PatientID = "another"
    with running(tmp_path / "node", archive.peer) as node:
        store(node.port, stir)
        store(node.port, two)
        node.wait(2, "kept")
        lines = NodeStatus.read(node.folder).lines()
    assert any("no axial T1-weighted series" in line for line in lines)
    assert any("studies of 2 patients" in line for line in lines)
    assert "no axial T1-weighted series" in caplog.text
    assert two[0].SeriesInstanceUID not in caplog.text + str(lines)
    assert not archive.got


def test_a_destination_that_is_down_is_tried_again(tmp_path):
    archive = Archive()
    with archive.open():
        pass
    with running(tmp_path / "node", archive.peer) as node:
        store(node.port, study())
        wait_until(lambda: node.records.destination() == "It cannot be reached.")
        with archive.open():
            node.wait()
            wait_until(lambda: not node.records.destination())
    assert sorted(archive.got.values()) == [1, 1, 1, 1]


def test_a_file_that_somebody_removed_does_not_hold_up_the_others(tmp_path):
    archive = Archive(port=free_port())
    with running(tmp_path / "node", archive.peer) as node:
        store(node.port, study())
        wait_until(node.records.destination)
        node.records.to_send()[0][0].unlink()
        with archive.open():
            node.wait()
        (told,) = NodeStatus.read(node.folder).studies
    assert told.objects == {"sent": 3, "refused": 1}
    assert told.reason == "Its file is gone."
    with pytest.raises(InputError, match="no study of this UID"):
        NodeStatus.read(node.folder, "1.2.3")


def test_a_status_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "node.sqlite3").write_bytes(b"no database at all" * 99)
    with pytest.raises(InputError, match="cannot be read"):
        NodeStatus.read(tmp_path)


def test_an_object_that_the_destination_refuses_does_not_hold_up_the_others(tmp_path):
    kinds = [kind for kind in AllStoragePresentationContexts if kind.abstract_syntax != ParametricMapStorage]
    with Archive(answers=[0xA700, 0xC000]).open(kinds) as archive, running(tmp_path / "node", archive.peer) as node:
        store(node.port, study())
        node.wait()
        (told,) = NodeStatus.read(node.folder).studies
    assert told.objects == {"sent": 2, "refused": 2}, "0xA700 is for now, 0xC000 for good"
    assert "takes no Parametric Map Storage." in told.reason
    assert "status 0xC000." in told.reason
    assert sorted(archive.got.values()) == [1, 1]


class Mortal(Tiny):
    """Dies of studies with more than three images."""

    def __call__(self, job):
        if len(list(job.images.iterdir())) > 3:
            job.out.with_name(".half").mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(job)


def test_a_study_that_kills_the_classification_leaves_the_node_alive(tmp_path, archive):
    with running(tmp_path / "node", archive.peer, Mortal) as node:
        store(node.port, study(4))
        store(node.port, study(3))
        node.wait(1, "kept")
        node.wait(1)
        (reason,) = [told.reason for told in node.records.told() if told.state == "kept"]
        wait_until(lambda: not list((node.folder / "work").iterdir()))
    assert reason == "The classification crashed 3 times."
    assert len(archive.got) == 4


def test_a_classification_that_hangs_is_ended(tmp_path):
    worker = Worker(lambda: lambda job: time.sleep(60), "fork", longest_s=1)
    with pytest.raises(WorkerDied):
        worker.classify(Job(tmp_path, tmp_path, ()), threading.Event())
    stop = threading.Event()
    worker.start(stop)
    stop.set()
    with pytest.raises(Stopped):
        worker.classify(Job(tmp_path, tmp_path, ()), stop)


def test_a_fresh_process_takes_over_now_and_then(tmp_path):
    worker = Worker(lambda: lambda job: Answer("same", str(os.getpid())), "fork", most_jobs=2)
    job, stop = Job(tmp_path, tmp_path, ()), threading.Event()
    pids = [worker.classify(job, stop).digest for _ in range(5)]
    worker.close()
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]


def test_a_model_that_cannot_be_loaded_is_told_when_the_node_starts(tmp_path):
    def make():
        raise InputError("There is no GPU here.")

    with pytest.raises(InputError, match="no GPU"):
        Worker(make, "fork").start(threading.Event())


def test_images_that_come_while_a_study_is_classified_are_part_of_its_answer(tmp_path, archive):
    class Slow(Tiny):
        def __call__(self, job):
            answer = super().__call__(job)
            time.sleep(0.5)
            return answer

    images = study(6)
    with running(tmp_path / "node", archive.peer, Slow) as node:
        store(node.port, images[:4])
        time.sleep(0.6)
        store(node.port, images[4:])
        node.wait()
        time.sleep(0.5)
    assert len(archive.got) == 4, "the answer on a part of the study is not sent"


def test_only_who_is_known_may_send(tmp_path, archive):
    callers = [Caller.of("MR1@127.0.0.0/8"), Caller.of("MR2@10.1.2.3")]
    with running(tmp_path / "node", archive.peer, callers=callers) as node:
        assert store(node.port, study(1), "MR2") == store(node.port, study(1), "MR3") == [None]
        assert store(node.port, study(1), "MR1") == [0]
    assert Caller.of("MR1").is_it("MR1 ", "10.9.9.9")
    assert Caller.of("MR1@10.9.0.0/16").is_it("MR1", "::ffff:10.9.9.9")
    for wrong in ("", "@10.1.1.1", "MR1@host", "A" * 17, "A\\B"):
        with pytest.raises(InputError, match="--from cannot be"):
            Caller.of(wrong)


def test_a_full_folder_is_said_to_the_sender(tmp_path, archive):
    with running(tmp_path / "node", archive.peer, most_bytes=12_000) as node:
        statuses = store(node.port, study(12))
        assert statuses[0] == 0
        assert statuses[-1] == 0xA700, "none of these is done"
        assert node.receiver.full


def test_finished_studies_make_room_and_are_forgotten(tmp_path, archive):
    with running(tmp_path / "node", archive.peer) as node:
        store(node.port, study())
        node.wait()
        assert node.node._forget_oldest()
        assert not node.node._forget_oldest()
        assert not list((node.folder / "studies").iterdir())
        wait_until(lambda: not list((node.folder / "outbox").iterdir()))
        assert node.records.told() == []


def test_two_nodes_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("DystrophyDxLib.exchange.node.files._START_S", 0.05)
    files = NodeFiles(tmp_path / "node", 10**9)
    with pytest.raises(InputError, match="Another node uses this folder"):
        NodeFiles(tmp_path / "node", 10**9)
    files.close()
    NodeFiles(tmp_path / "node", 10**9).close()


def test_a_node_is_said_to_run_only_when_senders_reach_it(tmp_path):
    folder = tmp_path / "node"

    def told():
        status = NodeStatus.read(folder)
        return status.lines()[0].partition(". Studies")[0], status.to_json()["condition"], status.to_json()["running"]

    with contextlib.ExitStack() as at_the_end:
        for _ in range(2):
            files = NodeFiles(folder, 10**9)
            Records(files.database).close()
            assert told() == ("The node loads the model; senders do not reach it yet", "loads", True)
            receiver = Receiver(files, "NODE", ())
            at_the_end.callback(receiver.stop)
            receiver.start(LOOPBACK, 0)
            assert told() == ("The node runs", "listens", True)
            files.close()
            assert told() == ("The node does not run", "stopped", False), "also when it was killed"


def test_what_is_no_image_of_a_study_is_refused_by_its_status(tmp_path, archive):
    no_study, other_uid = study(2)
    del no_study.StudyInstanceUID
    other_uid.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    with running(tmp_path / "node", archive.peer) as node:
        assert store(node.port, [no_study]) == [0xC000]
        picture = study(1)[0]
        picture.SOPClassUID = picture.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        assert store(node.port, [picture]) == [None], "a screenshot is no MR image"
        packed = study(1)[0]
        packed.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        assert store(node.port, [packed]) == [None], "nobody reads MPEG2 here"
        assert not list((node.folder / "studies").iterdir())


def test_a_broken_association_leaves_nothing_and_stops_nobody(tmp_path, archive):
    with running(tmp_path / "node", archive.peer) as node:
        with socket.create_connection((LOOPBACK, node.port)) as cut:
            cut.sendall(b"\x01\x00" + struct.pack(">I", 200) + b"\x00" * 50)
        images = study()
        ae = AE("SENDER")
        ae.add_requested_context(images[0].SOPClassUID, images[0].file_meta.TransferSyntaxUID)
        association = ae.associate(LOOPBACK, node.port)
        assert association.send_c_store(images[0]).Status == 0
        sent = association.dul.socket.socket
        sent.sendall(b"\x04\x00" + struct.pack(">I", 5000) + b"\x00" * 90)
        sent.shutdown(socket.SHUT_RDWR)
        assert store(node.port, images) == [0, 0, 0]
        node.wait()
    assert len(archive.got) == 4


def test_nothing_is_lost_or_answered_twice_when_the_node_is_killed(tmp_path, archive):
    """It is killed while it receives, classifies and sends; a sender sends again what was not acknowledged."""
    draw, port = random.Random(5), free_port()
    processes = multiprocessing.get_context("fork")
    warm()
    images = [study(1)[0] for _ in range(6)]  # of one image each, so that a study is there as a whole or not at all
    unsent = list(images)
    folder = tmp_path / "node"

    def start():
        process = processes.Process(target=run_for_ever, args=(folder, port, archive.port, 0.1))
        process.start()
        return process

    def send(most):
        if unsent and len(unsent) > len(images) - most and store(port, unsent[:1], answer_s=ANSWER_S) == [0]:
            unsent.pop(0)
        time.sleep(0.02)

    for n in range(8):
        process = start()
        threading.Timer(draw.uniform(0.05, 0.7), process.kill).start()
        while process.is_alive():
            send(most=n + 1)
        process.join()
    process = start()
    wait_until(lambda: send(len(images)) or not unsent, 60)
    whole = {"waiting": 0, "answered": len(images), "kept": 0, "objects to send": 0}
    wait_until(lambda: NodeStatus.read(folder).counts() == whole, 60)
    process.kill()
    process.join()
    assert Counter(archive.study_of.values()) == {ds.StudyInstanceUID: 4 for ds in images}, "one answer of four objects"
