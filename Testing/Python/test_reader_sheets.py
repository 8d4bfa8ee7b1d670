"""A reader study read on paper or in a spreadsheet: tables to fill in, pages of the cases, and the way back."""

from __future__ import annotations

import csv
import shutil
from datetime import datetime, timezone

import pytest
from reader_studies import make_protocol, quick_folder, store_of, stored_answers
from reading_cases import make_reading_study

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.readerstudy.analysis.analyse import analyse
from DystrophyDxLib.readerstudy.export import nobody_answered, reads_of, status
from DystrophyDxLib.readerstudy.protocol import plan
from DystrophyDxLib.readerstudy.questions import Answer
from DystrophyDxLib.readerstudy.reads import Reads
from DystrophyDxLib.readerstudy.session import ReadingSession
from DystrophyDxLib.readerstudy.sheets import TABLE, import_sheets, write_sheets
from DystrophyDxLib.readerstudy.study import ReaderStudy
from DystrophyDxLib.reporting.progress import silent

NOW = datetime(2026, 6, 1, 8, tzinfo=timezone.utc)
ASKED = {"subtype": True, "quality": True, "mercuri": ["gracilis"], "comment": True}
FIRST, SECOND = "2026-03-01", "2026-04-05"
BEFORE = "2020-01-01"


@pytest.fixture(scope="module")
def made():
    """A crossover with questions of every kind and hidden duplicates, and its empty tables."""
    with quick_folder() as folder:
        study = make_reading_study(folder / "study", make_protocol(duplicates=1, questions=ASKED))
        rows = write_sheets(study, folder / "tables", silent)
        yield study, folder / "tables", rows


@pytest.fixture
def study(made, tmp_path):
    """A copy of both to write into."""
    shutil.copytree(made[0].folder, tmp_path / "study")
    shutil.copytree(made[1], tmp_path / "tables")
    return ReaderStudy.open(tmp_path / "study")


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def fill(study, session, day, reader="R1", count=None, **changes):
    """Fills in a table as a reader would, from the first row on; `changes` by number of the row give other cells."""
    path = study.folder.parent / "tables" / reader / f"session-{session}" / TABLE
    rows = read(path)
    for number, row in enumerate(rows[:count]):
        row |= {"read_on": day, "answer": "no", "confidence": "20", "quality": "4", "gracilis left": "2a"}
        row |= changes.get(f"row{number + 2}", {})
    write(path, rows)
    return path


def taken(study, *paths, accept=False):
    return import_sheets(study, paths or [study.folder.parent / "tables"], NOW, accept_deviations=accept)


def test_tables_hold_every_answer_in_its_order_and_nothing_that_tells_the_case(made):
    study, tables, rows = made
    assert rows == 2 * 2 * 9
    for reader in study.protocol.readers:
        shown = plan(study.protocol, reader)
        found = [row for n in (1, 2) for row in read(tables / reader.code / f"session-{n}" / TABLE)]
        assert [(int(row["session"]), int(row["case"]), row["arm"]) for row in found] == [
            (one.session, one.position, one.arm.value) for one in shown
        ]
        assert {row["confidence"] for row in found} == {""}
    text = "".join(path.read_text() for path in tables.rglob("*") if path.is_file())
    assert not any(case in text for case in study.protocol.cases), "codes tell duplicates"
    assert "DMD," not in text


def test_a_page_shows_the_slices_and_the_model_in_the_aided_arm_alone(made):
    study, tables, _ = made
    for reader in study.protocol.readers:
        for shown in plan(study.protocol, reader):
            folder = tables / reader.code / f"session-{shown.session}"
            page = (folder / f"case-{shown.position}-{shown.arm.value}.html").read_text(encoding="utf-8")
            slices = page.count("<figcaption>")
            assert "<figcaption>Slice 0" in page
            assert "numbered from 0 to" in page
            if shown.arm.value == "aided":
                assert f"probability <strong>{study.model_answer(shown.case).probability:.2f}</strong>" in page
                assert page.count(", heatmap</figcaption>") == slices / 2 > 0
            else:
                assert "probability" not in page
                assert "heatmap" not in page


def test_filled_in_tables_become_answers_and_what_is_not_known_of_them_is_told(study, tmp_path):
    answered = {
        "answer": "Yes",
        "confidence": "80",
        "subtype": "bmd",
        "comment": "thin",
        "gracilis right": "",
    }
    fill(study, 1, FIRST, row2=answered)
    fill(study, 2, SECOND)
    fill(study, 1, "01.03.2026", reader="R2", count=3)
    assert nobody_answered(study)
    assert not status(study, NOW)[0][0].last
    assert [(one.reader.code, one.answers, one.deviations) for one in taken(study)] == [("R1", 18, ()), ("R2", 3, ())]
    assert status(study, NOW)[0][1].last == "2026-03-01, at a time not known"
    first, *others = stored_answers(study)
    assert first.answer == Answer(True, 80, "BMD", 4, "thin", {("gracilis", "left"): "2a"})
    assert (first.seconds, first.slices_seen, first.at.date().isoformat()) == (None, None, FIRST)
    assert {stored.answer.confidence for stored in others} == {20}
    reads, _ = reads_of(study)
    reads.write(tmp_path / "csv")
    summary = analyse(Reads.read(tmp_path / "csv"), tmp_path / "report", overwrite=False)
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "21 of 21 answers (R1, R2) were given on paper or in a spreadsheet" in page
    assert "The protocol was not kept" not in page
    assert summary is not None
    assert [one.known for one in taken(study)] == [18, 3], "a table that is given again changes nothing"


def test_reading_goes_on_in_the_panel_where_the_tables_end(study):
    taken(study, fill(study, 1, FIRST, count=4))
    with ReadingSession(study, "R1") as session:
        assert session.show().position == 5
        session.submit(Answer(False, 10, quality=3))
    with store_of(study) as store:
        assert [stored.deviation for stored in store.answers] == [""] * 4 + [None]


def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_taken(study):
    wrong = {
        "row2": {"answer": "perhaps", "quality": "good", "confidence": "150", "read_on": "2026-13-01"},
        "row3": {"confidence": "90"},
        "row4": {"read_on": "3/1/2026"},
        "row5": {"read_on": "2026-07-01"},
        "row6": {"gracilis left": "5"},
        "row7": {"subtype": "DMD"},
        "row8": {"case": "77"},
        "row9": {"study": "S-00000000"},
        "row10": {"read_on": BEFORE},
    }
    path = fill(study, 1, FIRST, **wrong)
    other = fill(study, 1, FIRST, reader="R2", row2={"reader": "Miller"})
    with pytest.raises(InputError) as refused:
        taken(study)
    told = str(refused.value)
    for row in range(2, 11):
        assert f"{path} row {row}" in told, row
    assert f"{other} row 2" in told
    for words in (
        f"answer is neither yes nor no ({path} row 2)",
        f"confidence is no whole number from 0 to 100 ({path} row 2)",
        f"quality is no whole number from 1 to 5 ({path} row 2)",
        "50 to 100 with a yes, 0 to 50 with a no",
        f"read_on is no day, such as 2026-06-01 ({path} row 2, {path} row 4)",
        f"read_on lies in the future, after today, 2026-06-01 ({path} row 5)",
        f"before the day on which the study was created, {study.protocol.created} ({path} row 10)",
        "A grade is one of",
        "A subtype belongs to a yes",
        "not this reader's by the protocol",
        "rows of another study",
        "no reader 'Miller'",
    ):
        assert words in told
    assert not stored_answers(study)


def test_an_answer_before_the_one_that_is_due_is_refused(study):
    path = fill(study, 1, FIRST)
    rows = read(path)
    write(path, [*rows[:2], *rows[3:]])
    with pytest.raises(InputError, match=r"answers before the one that is due \(session 1, case 3, \w+\)"):
        taken(study, path)


def test_what_was_submitted_is_not_changed_by_a_table(study):
    path = fill(study, 1, FIRST, count=2)
    taken(study, path)
    fill(study, 1, FIRST, count=3, row3={"confidence": "21"})
    with pytest.raises(InputError, match=r"another answer than the one that was submitted.*row 3"):
        taken(study, path)
    assert len(stored_answers(study)) == 2


def test_a_broken_wash_out_is_refused_or_noted_in_the_report(study, tmp_path):
    fill(study, 1, FIRST, row5={"read_on": "2026-02-28"})
    fill(study, 2, "2026-03-11")
    with pytest.raises(InputError) as refused:
        taken(study)
    washout = "a wash-out of 10 instead of 28 days before session 2"
    for told in (washout, "a case of session 1 read on an earlier day than the one before it", "--accept-deviations"):
        assert told in str(refused.value)
    (one,) = taken(study, accept=True)
    assert len(one.deviations) == 2
    analyse(reads_of(study)[0], tmp_path / "report", overwrite=False)
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "The protocol was not kept: R1, a case of session 1 read on an earlier day" in page
    assert f"R1, {washout}" in page


def test_tables_without_an_answer_are_told(study, made):
    with pytest.raises(InputError, match="No row is filled in"):
        taken(study)
    (study.folder.parent / "nothing").mkdir()
    with pytest.raises(InputError, match=r"nothing holds no \.csv file"):
        taken(study, study.folder.parent / "nothing")
