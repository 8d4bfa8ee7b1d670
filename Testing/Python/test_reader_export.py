"""From what was read in a reader study to the tables of the analysis."""

import contextlib
import csv
import hashlib
import json
import os
import shutil
import sqlite3
from datetime import datetime, timezone

import pytest
from reader_studies import SetClock, items_until_the_end, make_protocol, make_study, quick_folder

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.readerstudy.export import check_content, export, reads_of, status
from DystrophyDxLib.readerstudy.protocol import Protocol
from DystrophyDxLib.readerstudy.questions import Answer
from DystrophyDxLib.readerstudy.reads import Reads
from DystrophyDxLib.readerstudy.session import ReadingSession
from DystrophyDxLib.readerstudy.study import ReaderStudy

ASKED = {"subtype": True, "quality": True, "mercuri": ["gracilis", "sartorius"], "comment": True}


def table(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def read():
    """A study of which R1 has read both sessions and amended an answer twice, and R2 three cases."""
    with quick_folder() as folder:
        study = make_study(folder / "study", make_protocol(duplicates=2, questions=ASKED))
        clock = SetClock()
        with ReadingSession(study, "R1", clock) as session:
            for _ in items_until_the_end(session, clock):
                clock.run(4)
                session.slice_shown(1)
                session.submit(Answer(False, 20, quality=3, grades={("gracilis", "left"): "2a"}))
                if session.progress.answered == 2:
                    session.amend(
                        2, Answer(True, 80, "DMD", 3, "", {("gracilis", "left"): "3"}), "pressed the wrong key"
                    )
                    session.amend(2, Answer(True, 95, "BMD", 3, "sure", {("sartorius", "right"): "4"}), "type")
        with ReadingSession(study, "R2", clock) as session:
            for _ in range(3):
                session.show()
                session.submit(Answer(True, 75, "DMD", quality=5))
        yield study


def test_the_tables_of_the_analysis_hold_every_answer(read, tmp_path):
    export(read, tmp_path / "out")
    reads = Reads.read(tmp_path / "out")
    assert reads.reads.groupby("reader").size().to_dict() == {"R1": 21, "R2": 3}
    assert list(reads.readers["reader"]) == ["R1", "R2"]
    submitted = reads.reads[reads.reads["amended"] == 0]
    assert submitted[submitted["reader"] == "R1"].groupby(["arm", "repeat"]).size().to_dict() == {
        ("aided", 0): 8, ("aided", 1): 2, ("unaided", 0): 8, ("unaided", 1): 2,
    }  # fmt: skip
    assert set(submitted.loc[submitted["reader"] == "R1", "confidence"]) == {20}
    assert set(submitted.loc[submitted["reader"] == "R1", "seconds"]) == {4}
    assert set(submitted.loc[submitted["reader"] == "R1", "slices_seen"]) == {1}
    assert set(submitted.loc[submitted["reader"] == "R2", "quality"]) == {"5"}
    (amended,) = reads.reads[reads.reads["amended"] == 1].to_dict("records")
    assert (amended["decision"], amended["confidence"], amended["subtype"], amended["comment"]) == (
        1,
        95,
        "BMD",
        "sure",
    )
    assert reads.truth.set_index("case")["label"].to_dict() == {f"C{n:03d}": (n + 1) % 2 for n in range(1, 9)}
    assert reads.model.set_index("case").loc["C005", ["probability", "label"]].tolist() == [0.5, 1]
    assert set(reads.model["model"]) == {"test 1"}
    assert len(reads.mercuri) == 20
    case = amended["case"]
    grades = reads.mercuri[(reads.mercuri["case"] == case) & (reads.mercuri["session"] == 1)]
    assert ("sartorius", "right", "4") in set(grades[["muscle", "side", "grade"]].itertuples(index=False, name=None))


def test_amendments_and_events_are_exported_as_they_were_kept(read, tmp_path):
    export(read, tmp_path / "out")
    amendments = table(tmp_path / "out" / "amendments.csv")
    assert [(row["revision"], row["reason"], row["confidence"]) for row in amendments] == [
        ("1", "pressed the wrong key", "80"),
        ("2", "type", "95"),
    ]
    events = table(tmp_path / "out" / "events.csv")
    assert {row["kind"] for row in events} == {"shown", "slice"}
    assert len(events) == 20 * 2 + 3
    assert {row["reader"] for row in events} == {"R1", "R2"}


def test_an_export_does_not_overwrite(read, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(InputError, match="new or empty folder"):
        export(read, tmp_path / "out")


def test_status_tells_how_far_each_reader_is(read):
    (first, second), unusable = status(read, datetime(2026, 4, 1, tzinfo=timezone.utc))
    assert not unusable
    assert (first.reader.code, first.progress.finished, first.progress.answered) == ("R1", True, 20)
    assert (second.progress.answered, second.progress.position, second.last_at is None) == (3, 4, False)


def test_a_study_that_nobody_has_read_has_nothing_to_export(folder_of_none):
    with pytest.raises(InputError, match="No reader has answered a case yet"):
        reads_of(folder_of_none)
    readers, _ = status(folder_of_none, datetime.now(timezone.utc))
    assert [reader.last_at for reader in readers] == [None, None]


@pytest.fixture
def folder_of_none():
    with quick_folder() as folder:
        yield make_study(folder / "study", make_protocol())


def edited(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda study: edited(study / "truth/truth.csv", "C002,1,", "C002,0,"), "truth/truth.csv was changed"),
        (lambda study: (study / "truth/truth.csv").unlink(), "truth/truth.csv is missing"),
        (lambda study: edited(study / "model/C001/answer.json", '"probability":0.0', '"probability":0.9'),
         "model/C001/answer.json was changed"),
        (lambda study: shutil.copy(study / "cases/C001/mri.nrrd", study / "cases/C002/mri.nrrd"),
         "cases/C002/mri.nrrd was changed"),
        (lambda study: shutil.rmtree(study / "cases/C003"), "cases/C003/mri.nrrd is missing"),
    ],
)  # fmt: skip
def test_content_that_is_not_as_it_was_declared_is_refused(read, tmp_path, change, told):
    change(read.folder)
    for use in (check_content, reads_of, lambda study: export(study, tmp_path / "out")):
        with pytest.raises(InputError, match=told):
            use(read)


def test_digests_of_the_content_cannot_be_changed_with_it(read):
    edited(read.folder / "truth/truth.csv", "C002,1,", "C002,0,")
    path = read.folder / "protocol.json"
    content = json.loads(path.read_text())
    digest = hashlib.sha256((read.folder / "truth/truth.csv").read_bytes()).hexdigest()
    content["protocol"]["files"]["truth/truth.csv"] = digest
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="protocol was changed"):
        ReaderStudy.open(read.folder)
    Protocol.model_validate(content["protocol"]).write(path)
    with pytest.raises(InputError, match="protocol is another one than when reader R1's file was made"):
        reads_of(ReaderStudy.open(read.folder))


def test_a_damaged_file_of_one_reader_leaves_the_others(read, tmp_path):
    path = read.answers(read.protocol.reader("R2"))
    path.write_bytes(path.read_bytes()[:2000])
    (first,), (unusable,) = status(read, datetime(2026, 4, 1, tzinfo=timezone.utc))
    assert first.reader.code == "R1"
    assert str(unusable).startswith("Reader R2: The file of")
    assert "restore it from a backup" in str(unusable)
    reads, (unusable,) = export(read, tmp_path / "out")
    assert set(reads.reads["reader"]) == {"R1"}
    assert unusable.reader.code == "R2"
    read.answers(read.protocol.reader("R1")).unlink()
    with pytest.raises(InputError, match=r"Reader R1: .* is missing or empty.* Reader R2: "):
        reads_of(read)


def test_what_is_still_to_be_read_is_in_the_tables(read, tmp_path):
    export(read, tmp_path / "out")
    unread = Reads.read(tmp_path / "out").unread
    assert unread.groupby("reader").size().to_dict() == {"R2": 17}


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
def test_the_answers_are_closed_to_other_users(read):
    assert not (read.folder / "answers").stat().st_mode & 0o007


def damage_text(path) -> None:
    """A byte that is no UTF-8 in the digest of the protocol."""
    content = bytearray(path.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as database:
        (digest,) = database.execute("SELECT protocol_sha256 FROM study").fetchone()
    content[content.index(digest.encode())] = 0xFF
    path.write_bytes(content)


def damage_format(path) -> None:
    content = bytearray(path.read_bytes())
    content[44:48] = (9).to_bytes(4, "big")
    path.write_bytes(content)


def damage_version(path) -> None:
    content = bytearray(path.read_bytes())
    content[60:64] = (0).to_bytes(4, "big")
    path.write_bytes(content)


def damage_answer(path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE answer (' WHERE name = 'answer'")
        database.commit()


@pytest.mark.parametrize("damage", [damage_text, damage_format, damage_version, damage_answer])
def test_whatever_is_damaged_in_one_readers_file_its_reader_is_named_and_others_reported(read, damage):
    damage(read.answers(read.protocol.reader("R2")))
    told, unusable = status(read, datetime.now(timezone.utc))
    assert [found.reader.code for found in told] == ["R1"]
    assert [found.reader.code for found in unusable] == ["R2"]
    reads, unusable = reads_of(read)
    assert set(reads.reads["reader"]) == {"R1"}
    assert "restore it from a backup" in str(unusable[0])


def test_events_that_cannot_be_read_leave_the_answers_and_are_told(read, tmp_path):
    path = read.answers(read.protocol.reader("R2"))
    with contextlib.closing(sqlite3.connect(path)) as database:
        (trigger,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'event_keeps_UPDATE'").fetchone()
        database.execute("DROP TRIGGER event_keeps_UPDATE")
        database.execute("UPDATE event SET at = 'yesterday'")
        database.execute(trigger)
        database.commit()
    reads, unusable = export(read, tmp_path / "out")
    assert [found.reader.code for found in unusable] == ["R2"]
    assert set(reads.reads["reader"]) == {"R1", "R2"}
    assert {row["reader"] for row in table(tmp_path / "out" / "events.csv")} == {"R1"}
