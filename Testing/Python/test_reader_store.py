"""A reader's file keeps what was submitted, and says what to do when it cannot."""

import os
import sqlite3
import subprocess
import sys
from datetime import datetime, timezone

import pytest
from reader_studies import make_protocol, quick_folder

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.readerstudy import schema
from DystrophyDxLib.readerstudy.database import connect
from DystrophyDxLib.readerstudy.questions import Answer
from DystrophyDxLib.readerstudy.store import Event, EventKind, ReaderStore

PROTOCOL = make_protocol(questions={"subtype": True, "quality": True, "mercuri": ["gracilis"], "comment": True})
READER = PROTOCOL.readers[0]
AT = datetime(2026, 3, 1, 8, 30, 0, 250000, tzinfo=timezone.utc)
ANSWER = Answer(True, 85, "DMD", 4, "trefoil; „clear“", {("gracilis", "left"): "0", ("gracilis", "right"): "2b"})


@pytest.fixture
def path():
    """File of a reader who has not read yet."""
    with quick_folder() as folder:
        path = folder / "R1.sqlite"
        ReaderStore.create(path, PROTOCOL, READER)
        yield path


@pytest.fixture
def answered(path):
    """File of a reader with three answers, of which the second is amended."""
    store = ReaderStore.sign_in(path, PROTOCOL, READER)
    for number, answer in enumerate((ANSWER, Answer(False, 10), Answer(True, 60)), 1):
        events = [Event(number, EventKind.SHOWN, 0.0, AT), Event(number, EventKind.SLICE, 1.5, AT, slice=7)]
        store.submit(events, number, answer, 12.3456, AT)
    store.amend(2, Answer(True, 90), "wrong key", AT)
    store.close()
    return path


def opened(path) -> ReaderStore:
    return ReaderStore.open(path, PROTOCOL, READER)


def refusal(path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(InputError) as refused:
        opened(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def change(path, *statements: str) -> None:
    """What somebody does to the file with another program."""
    database = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        database.execute(statement)
    database.close()


def test_everything_of_an_answer_is_there_again(answered):
    store = opened(answered)
    first, second, third, amendment = store.answers
    assert first.answer == ANSWER
    assert (first.presentation, first.revision, first.reason) == (1, 0, None)
    assert (first.seconds, first.slices_seen, first.at) == (12.346, 1, AT)
    assert [stored.answer.confidence for stored in (second, third)] == [10, 60]
    assert (amendment.presentation, amendment.revision, amendment.reason) == (2, 1, "wrong key")
    assert amendment.answer == Answer(True, 90)
    assert store.last_at == AT
    assert [event.slice for event in store.events()] == [None, 7] * 3
    store.close()


def test_commits_are_durable_without_a_write_ahead_log(path):
    database = connect(path)
    told = {name: database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert told == {"journal_mode": "delete", "synchronous": 3}
    assert database.execute("PRAGMA foreign_keys").fetchone() == (1,)
    database.close()


def test_a_file_that_another_program_set_to_write_ahead_is_set_back(answered):
    change(answered, "PRAGMA journal_mode = WAL")
    opened(answered).close()
    database = sqlite3.connect(answered)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    database.close()


@pytest.mark.parametrize("table", ["study", "presentation", "answer", "grade", "event"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET rowid = rowid + 100"])
def test_what_was_submitted_cannot_be_changed(answered, table, statement):
    statement = statement.format(table)
    with pytest.raises(sqlite3.IntegrityError, match="what was submitted is not changed"):
        change(answered, statement)


UNLOCKED = tuple(
    f"DROP TRIGGER {table}_keeps_{change}"
    for table in ("study", "presentation", "answer", "grade", "event")
    for change in ("UPDATE", "DELETE")
)
LOCKED = tuple(statement for statement in schema.MIGRATIONS[0] if statement.startswith("CREATE TRIGGER"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE answer SET decision = 0 WHERE id = 1",
        "UPDATE answer SET seconds = seconds / 2 WHERE id = 1",
        "UPDATE answer SET at = '2026-03-02T08:30:00.250+00:00' WHERE id = 3",
        "UPDATE answer SET reason = 'other' WHERE id = 4",
        "UPDATE answer SET digest = 'x' WHERE id = 4",
        "UPDATE grade SET grade = '4' WHERE side = 'left'",
        "DELETE FROM grade",
        "DELETE FROM answer WHERE id = 4",
        "DELETE FROM answer WHERE id = 2",
        "INSERT INTO grade VALUES (2, 'gracilis', 'left', '1')",
        "INSERT INTO answer (presentation, revision, decision, confidence, comment, seconds, slices_seen, at, digest)"
        " VALUES (4, 0, 1, 99, '', 1.0, 1, '2026-03-01T08:30:00.250+00:00', 'x')",
        "UPDATE presentation SET case_code = 'C999' WHERE number = 8",
        "UPDATE presentation SET arm = 're-read' WHERE number = 8",
        "DELETE FROM presentation WHERE number = 16",
        "UPDATE study SET reader = 'R2'",
        "DELETE FROM study",
    ],
)
def test_a_tampered_file_is_found(answered, statement):
    change(answered, *UNLOCKED, statement, *LOCKED)
    assert "changed by another program" in refusal(answered)


def test_a_file_without_its_locks_is_found(answered):
    change(answered, UNLOCKED[0])
    assert "changed by another program" in refusal(answered)


def test_a_file_of_another_reader_is_refused(answered):
    with pytest.raises(InputError, match="R2's answers was changed"):
        ReaderStore.open(answered, PROTOCOL, PROTOCOL.readers[1])


def test_a_file_of_another_protocol_is_refused(answered):
    other = make_protocol(washout_days=27)
    with pytest.raises(InputError, match="protocol is another one"):
        ReaderStore.open(answered, other, READER)


def test_a_newer_file_is_refused_as_it_is(answered):
    change(answered, f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    before = answered.read_bytes()
    assert "newer version of DystrophyDx" in refusal(answered)
    assert answered.read_bytes() == before


def test_an_older_file_is_brought_up_to_date_with_its_answers(answered, monkeypatch):
    version = len(schema.MIGRATIONS)
    added = ("ALTER TABLE draft ADD COLUMN at TEXT", "CREATE INDEX event_of ON event (presentation)")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, added))
    store = opened(answered)
    assert len(store.answers) == 4
    store.close()
    database = sqlite3.connect(answered)
    assert database.execute("PRAGMA user_version").fetchone() == (version + 1,)
    assert [row[1] for row in database.execute("PRAGMA table_info(draft)")] == ["presentation", "content", "at"]
    database.close()
    monkeypatch.undo()
    assert "newer version" in refusal(answered)


def test_an_update_that_fails_half_way_leaves_the_file_as_it_was(answered, monkeypatch):
    broken = ("ALTER TABLE draft ADD COLUMN at TEXT", "CREATE TABLE draft (x)")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    with pytest.raises(InputError, match="damaged"):
        opened(answered)
    monkeypatch.undo()
    store = opened(answered)
    assert len(store.answers) == 4
    store.close()


def overwrite(path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.write_bytes(b""), "missing or empty; restore it from a backup"),
        (lambda path: path.unlink(), "missing or empty; restore it from a backup"),
        (lambda path: path.write_bytes(b"not a database, " * 300), "damaged; restore it from a backup"),
        (lambda path: path.write_bytes(path.read_bytes()[:-8192]), "damaged; restore it from a backup"),
        (lambda path: overwrite(path, 4096, b"\xff" * 8192), "damaged; restore it from a backup"),
        (lambda path: (path.unlink(), change(path, "CREATE TABLE a (b)")), "of another program"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_told_and_never_begun_anew(answered, damage, told):
    damage(answered)
    before = answered.read_bytes() if answered.exists() else None
    assert told in refusal(answered)
    assert (answered.read_bytes() if answered.exists() else None) == before


def test_a_full_disk_takes_nothing_and_loses_nothing(answered):
    store = ReaderStore.sign_in(answered, PROTOCOL, READER)
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    long = Answer(True, 70, comment="x" * 4000)
    scrolled = [Event(4, EventKind.SLICE, 1.0, AT, slice=k) for k in range(1000)]
    with pytest.raises(InputError, match="disk of the study folder is full and nothing was saved"):
        store.submit(scrolled, 4, long, 3.0, AT)
    with pytest.raises(InputError, match="full"):
        store.save_draft(4, {"comment": "x" * 20000})
    assert len(store.answers) == len(opened(answered).answers) == 4
    assert len(store.events()) == 6
    store._database.execute(f"PRAGMA max_page_count = {pages * 100}")
    store.submit(scrolled, 4, long, 3.0, AT)
    store.close()
    assert opened(answered).answers[-1].answer == long


@pytest.mark.skipif(os.name != "posix", reason="limits of processes")
def test_a_disk_that_takes_no_more_bytes_leaves_the_file_whole(answered):
    """The writing itself fails, as on a share that is cut off."""
    code = """if True:
        import resource, sys
        from datetime import datetime, timezone
        from pathlib import Path
        from DystrophyDxLib.errors import InputError
        from DystrophyDxLib.readerstudy.questions import Answer
        from DystrophyDxLib.readerstudy.protocol import Protocol
        from DystrophyDxLib.readerstudy.store import ReaderStore
        protocol = Protocol.model_validate_json(sys.stdin.read())
        path = Path(sys.argv[1])
        store = ReaderStore.sign_in(path, protocol, protocol.readers[0])
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, path.stat().st_size))
        try:
            for number in range(4, 9):
                store.submit([], number, Answer(True, 70, comment="x" * 4000), 3.0, datetime.now(timezone.utc))
                print(number)
        except InputError as error:
            print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", code, str(answered)],
        input=PROTOCOL.model_dump_json(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    *taken, told = run.stdout.strip().splitlines()
    assert "nothing was saved" in told
    store = opened(answered)
    submitted = [stored.presentation for stored in store.answers if not stored.revision]
    assert submitted == [1, 2, 3, *map(int, taken)]
    store.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_not_be_written_is_told(answered):
    answered.chmod(0o400)
    with pytest.raises(InputError, match="write-protected"):
        ReaderStore.sign_in(answered, PROTOCOL, READER)


def test_a_place_that_cannot_be_written_is_told_when_the_study_is_made(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        ReaderStore.create(tmp_path / "none" / "R1.sqlite", PROTOCOL, READER)


def test_a_file_is_looked_at_while_its_reader_works(answered):
    working = ReaderStore.sign_in(answered, PROTOCOL, READER)
    looking = opened(answered)
    working.submit([], 4, Answer(False, 0), 1.0, AT)
    assert len(looking.answers) == 4
    looking.close()
    assert len(opened(answered).answers) == 5
    working.close()


def test_an_answer_has_one_submission(answered):
    store = ReaderStore.sign_in(answered, PROTOCOL, READER)
    with pytest.raises(InputError, match="saved already"):
        store.submit([], 3, Answer(False, 0), 1.0, AT)
    store.close()
    assert len(opened(answered).answers) == 4


def test_a_draft_is_kept_until_the_answer(path):
    store = ReaderStore.sign_in(path, PROTOCOL, READER)
    store.save_draft(1, {"confidence": 40})
    store.save_draft(1, {"confidence": 45, "comment": "grüß"})
    assert store.draft(1) == {"confidence": 45, "comment": "grüß"}
    store.submit([], 1, Answer(False, 45), 1.0, AT)
    assert store.draft(1) == {}
    store.close()


def test_contradicting_answers_are_refused():
    for given, told in (
        ((True, 49), "50 to 100 with a yes"),
        ((False, 51), "0 to 50 with a no"),
        ((True, 101), "whole number from 0 to 100"),
        ((True, 70.5), "whole number"),
        ((1, 70), "yes or no"),
        ((False, 20, "DMD"), "belongs to a yes"),
        ((True, 80, "LGMD"), "DMD or BMD"),
        ((True, 80, None, 6), "1 to 5"),
        ((True, 80, None, None, "x" * 4001), "longer than 4000"),
        ((True, 80, None, None, "", {("gracilis", "both"): "1"}), "left or the right"),
        ((True, 80, None, None, "", {("gracilis", "left"): "2"}), "one of 0, 1, 2a, 2b, 3, 4"),
    ):
        with pytest.raises(InputError, match=told):
            Answer(*given)
    assert Answer(True, 50).decision
    assert not Answer(False, 50).decision


def test_what_was_not_asked_is_not_taken_and_what_was_is_needed():
    asked, plain = PROTOCOL.questions, make_protocol().questions
    ANSWER.check(asked)
    Answer(False, 20, quality=3).check(asked)
    Answer(False, 20).check(plain)
    for answer, questions, told in (
        (Answer(True, 80, quality=3), asked, "subtype is not answered"),
        (Answer(True, 80, "BMD"), asked, "image quality is not answered"),
        (Answer(True, 80, "BMD"), plain, "does not ask for the subtype"),
        (Answer(True, 80, quality=2), plain, "does not ask for the image quality"),
        (Answer(True, 80, comment="x"), plain, "does not ask for a comment"),
        (Answer(True, 80, grades={("sartorius", "left"): "1"}, subtype="DMD", quality=1), asked, "muscle is graded"),
    ):
        with pytest.raises(InputError, match=told):
            answer.check(questions)
