"""One process a reader: nothing is lost, doubled or seen too early, whatever ends the process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reader_at_work import check
from reader_studies import SetClock, make_protocol, make_study, quick_folder, store_of, stored_answers

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.readerstudy import lease
from DystrophyDxLib.readerstudy.questions import Answer
from DystrophyDxLib.readerstudy.session import ReadingSession

YES, NO = Answer(True, 90), Answer(False, 5)


@pytest.fixture
def study(request):
    """A crossover of two readers, but for what a test changes of it."""
    with quick_folder() as folder:
        yield make_study(folder / "study", make_protocol(**getattr(request, "param", {})))


@pytest.fixture
def clock():
    return SetClock()


def test_two_readers_read_at_once(study, clock):
    with ReadingSession(study, "R1", clock) as one, ReadingSession(study, "R2", clock) as two:
        for _ in range(8):
            for session in (one, two):
                session.show()
                session.submit(NO)
    assert len(stored_answers(study, "R1")) == len(stored_answers(study, "R2")) == 8


READING_ON = "print('in', flush=True)\nwhile True: session.beat(); time.sleep(0.1)"


def in_a_process(study, code: str, **options) -> subprocess.Popen:
    """Another process in which `session` is reader R1's, after all imports of a page without Slicer."""
    head = (
        "import sys, time; from DystrophyDxLib.readerstudy.study import ReaderStudy;"
        "from DystrophyDxLib.readerstudy.session import ReadingSession;"
        "session = ReadingSession(ReaderStudy.open(sys.argv[1]), 'R1');"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + code, str(study.folder)], text=True, stdout=subprocess.PIPE, **options
    )


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(lease, "_POLL_SECONDS", 0.05)


def test_a_reader_who_signs_in_twice_is_told_where_the_first_is(study):
    other = in_a_process(study, READING_ON)
    try:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(InputError, match=r"R1 is signed in already, on the computer .*; sign out there first"):
            ReadingSession(study, "R1")
    finally:
        other.kill()
        other.wait()


def test_of_processes_that_sign_in_at_once_one_reads(study):
    others = [in_a_process(study, READING_ON, stderr=subprocess.PIPE) for _ in range(3)]
    try:
        deadline = time.monotonic() + 120
        while sum(other.poll() is not None for other in others) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        refused = [other for other in others if other.poll() is not None]
        assert len(refused) == 2
        assert all("signed in already" in other.stderr.read() for other in refused)
        (reading,) = set(others) - set(refused)
        assert reading.stdout.readline() == "in\n"
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_a_killed_reader_signs_in_again_at_once_with_all_answers(study):
    code = "session.show(); from DystrophyDxLib.readerstudy.questions import Answer; session.submit(Answer(True, 77));"
    other = in_a_process(study, code + "print('in', flush=True); time.sleep(60)")
    assert other.stdout.readline() == "in\n"
    other.send_signal(signal.SIGKILL)
    other.wait()
    with ReadingSession(study, "R1") as session:
        assert session.show().position == 2
    assert stored_answers(study)[0].answer.confidence == 77


def test_time_goes_on_where_a_killed_process_left_it(study, clock):
    session = ReadingSession(study, "R1", clock)
    session.show()
    clock.run(7)
    session.slice_shown(2)
    session.beat()
    session._store._database.close()  # the process is gone, without a word
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with store_of(study) as store:
        store._database.execute("UPDATE lease SET process = ?", (gone.pid,))
    clock.run(3600)
    with ReadingSession(study, "R1", clock) as session:
        session.show()
        clock.run(3)
        session.slice_shown(4)
        session.submit(NO)
    (answer,) = stored_answers(study)
    assert (answer.seconds, answer.slices_seen) == (10, 2)


@pytest.mark.parametrize("host", [socket.gethostname(), f"{socket.gethostname()} another-boot pid:[1]"])
def test_a_holder_on_another_computer_of_the_same_name_keeps_the_lease(study, clock, impatient, monkeypatch, host):
    with ReadingSession(study, "R1", clock) as first:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        with store_of(study) as store:
            store._database.execute("UPDATE lease SET process = ?, host = ?", (gone.pid, host))
        monkeypatch.setattr(lease.time, "sleep", lambda _: first.beat())  # while the other one waits
        with pytest.raises(InputError, match=f"signed in already, on the computer {socket.gethostname()};"):
            ReadingSession(study, "R1", clock)


def test_a_holder_on_another_computer_that_stands_still_is_followed(study, clock, impatient):
    first = ReadingSession(study, "R1", clock)
    with store_of(study) as store:
        store._database.execute("UPDATE lease SET host = 'elsewhere'")
    with ReadingSession(study, "R1", clock) as second:
        second.show()
        second.submit(NO)
        first._study, shown = study, first.show()
        assert shown is not None
        for write in (first.beat, lambda: first.submit(YES), lambda: first.save_draft({})):
            with pytest.raises(InputError, match="signed in elsewhere meanwhile and nothing was saved"):
                write()
        with pytest.raises(InputError, match="signed in elsewhere"):
            first.close()
        second.show()
        second.submit(NO)
    assert [stored.answer for stored in stored_answers(study)] == [NO, NO]


def test_signing_out_lets_the_next_in_at_once(study, clock):
    for _ in range(3):
        ReadingSession(study, "R1", clock).close()


def test_a_session_opens_nothing_of_the_truth_or_of_other_readers(study):
    """All files that Python or SQLite opens in the process of a reader who reads everything."""
    watch = (
        "import sys; opened = [];"
        "sys.addaudithook(lambda event, args: opened.append((event, str(args[0])))"
        " if event in ('open', 'sqlite3.connect', 'os.listdir', 'os.scandir') else None);"
    )
    read = f"""
import json
sys.path.insert(0, {str(Path(__file__).parent)!r})
from reader_studies import SetClock, items_until_the_end
from DystrophyDxLib.readerstudy.questions import Answer
from DystrophyDxLib.readerstudy.study import ReaderStudy
from DystrophyDxLib.readerstudy.session import ReadingSession
clock, log = SetClock(), []
with ReadingSession(ReaderStudy.open(sys.argv[1]), "R1", clock) as session:
    before = len(opened)
    for item in items_until_the_end(session, clock):
        item.image.read_bytes()
        session.next_image.read_bytes() if session.next_image else None
        log.append([item.arm.value, item.image.parent.name, [path for _, path in opened[before:]]])
        session.submit(Answer(True, 80))
        session.beat()
        before = len(opened)
print(json.dumps({{"all": [path for _, path in opened], "items": log, "modules": list(sys.modules)}}))
"""
    run = subprocess.run(
        [sys.executable, "-c", watch + read, str(study.folder)], capture_output=True, text=True, check=True
    )
    told = json.loads(run.stdout)
    inside = {os.path.relpath(path, study.folder) for path in told["all"] if path.startswith(str(study.folder))}
    assert "answers/R1.sqlite" in inside
    assert "protocol.json" in inside
    assert not [path for path in inside if path.startswith(("truth", "answers/R2"))], inside
    assert "." not in inside
    assert "answers" not in inside
    assert [arm for arm, _, _ in told["items"]].count("aided") == 8
    assert not {"qt", "slicer", "torch", "pandas", "numpy"} & set(told["modules"])
    for arm, case, paths in told["items"]:
        model = {path.split(os.sep)[-2] for path in paths if f"{os.sep}model{os.sep}" in path}
        assert model == ({case} if arm == "aided" else set())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked")
@pytest.mark.parametrize("study", [{"readers": 5, "cases": 100}], indirect=True)
def test_no_answer_is_lost_or_doubled_by_200_kills(study):
    """Five readers, 100 cases, two arms; killed with SIGKILL at 200 random moments and resumed each time."""
    script = Path(__file__).with_name("reader_at_work.py")
    run = subprocess.run(
        [sys.executable, str(script), str(study.folder), "200", "1"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["killed"] == 200
    assert check(study, told) > 750
    for acknowledged in told["acknowledged"].values():
        assert len({confidence for _, confidence in acknowledged}) > 10
