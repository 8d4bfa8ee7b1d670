"""`dystrophydx readers` from the cohort to the report, and one line for what cannot be."""

import json
import sys

import pytest
from cohort_cases import rows_of, table_of, two_legs, write_series, write_table
from model_packages import make_package
from reader_studies import SetClock, items_until_the_end, make_protocol, make_study, quick_folder
from reading_cases import make_reading_study

from DystrophyDxLib.commands.main import main
from DystrophyDxLib.commands.progress import LOADING, READING
from DystrophyDxLib.commands.readers import STARTING
from DystrophyDxLib.readerstudy.protocol import Arm, Design
from DystrophyDxLib.readerstudy.questions import MUSCLES, Answer
from DystrophyDxLib.readerstudy.session import ReadingSession
from DystrophyDxLib.readerstudy.study import ReaderStudy

STEPS = {READING, LOADING, STARTING, "Reading the answers", "Analysing the answers", "Reading and classifying"}
READERS = "reader,role,years\nR1,radiologist,12\nR2,resident,2\n"


@pytest.fixture
def dystrophydx(monkeypatch, capsys):
    """Runs the command line; gives status, stdout, and stderr without the steps that it tells."""

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dystrophydx", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        err = "".join(line for line in told.err.splitlines(keepends=True) if line.strip() not in STEPS)
        return ended.value.code, told.out, err

    return run


@pytest.fixture
def refusal(dystrophydx):
    """The one line that a refused call writes."""

    def run(*arguments) -> str:
        status, out, err = dystrophydx(*arguments)
        assert (status, out) == (2, "")
        assert err.startswith("dystrophydx: ")
        assert err.count("\n") == 1
        return err

    return run


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_package(tmp_path_factory.mktemp("models") / "package")


@pytest.fixture
def readers(tmp_path):
    path = tmp_path / "readers.csv"
    path.write_text(READERS)
    return path


@pytest.fixture(scope="module")
def read_study():
    """A study of two readers who have read everything, rightly but for one case each."""
    with quick_folder() as folder:
        study = make_study(folder / "study", make_protocol(cases=24))
        clock = SetClock()
        for number, reader in enumerate(study.protocol.readers):
            with ReadingSession(study, reader.code, clock) as session:
                for item in items_until_the_end(session, clock):
                    clock.run(20)
                    case = int(item.image.parent.name[1:])
                    has = case % 2 == 0
                    wrong = case == 3 + number and item.arm is Arm.UNAIDED
                    session.submit(Answer(True, 60 + case) if has != wrong else Answer(False, 10 + case))
        yield study.folder


def test_create_makes_the_study_that_was_asked_for(dystrophydx, tmp_path, readers, package):
    rows = rows_of(["DMD", "healthy"])
    for n, row in enumerate(rows):
        write_series(two_legs(n), tmp_path / str(row["path"]))
    table = write_table(tmp_path, rows)
    status, out, err = dystrophydx(
        "readers", "create", table, "--readers", readers, "--out", tmp_path / "study", "--arms", "sequential,re-read",
        "--design", "fully-crossed", "--washout-days", 14, "--ask", "subtype,mercuri", "--title", "Thighs", "--seed", 5,
        "--model", package, "--device", "cpu",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "2 cases, 2 readers, arms sequential,re-read" in out
    protocol = ReaderStudy.open(tmp_path / "study").protocol
    assert (protocol.title, protocol.seed, protocol.washout_days) == ("Thighs", 5, 14)
    assert (protocol.arms, protocol.design) == ((Arm.SEQUENTIAL, Arm.RE_READ), Design.FULLY_CROSSED)
    assert (protocol.questions.subtype, protocol.questions.quality) == (True, False)
    assert protocol.questions.mercuri == MUSCLES
    assert protocol.asked == "dystrophinopathy"
    assert f"Primary endpoint: {protocol.primary}\n" in out
    assert str(protocol.primary) == "AUC, mean of the readers, aided minus unaided, for other readers and cases"
    status, out, _ = dystrophydx("readers", "status", tmp_path / "study")
    assert (status, out) == (
        0,
        "R1: 0 of 6 answers. Session 1 of 2, case 1 of 2.\nR2: 0 of 6 answers. Session 1 of 2, case 1 of 2.\n",
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--arms", "unaided,blind"], "no arm 'blind'; choose from unaided, aided, sequential, re-read"),
        (["--ask", "age"], "no question 'age'; choose from subtype, quality, mercuri, comment"),
        (["--design", "latin"], "'latin' is not one of"),
        (["--washout-days", "0"], "a wash-out of at least one day"),
        (["--duplicates", "1"], "at most a quarter of the cases"),
        (["--arms", "unaided"], "a crossover has the arms unaided and aided"),
        (["--blocks", "2"], "belong to the split-plot design"),
        (
            ["--arms", "unaided", "--design", "fully-crossed", "--compares", "aided minus model"],
            "the primary endpoint compares an arm that is not read",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_told(refusal, tmp_path, readers, package, options, told):
    table = table_of(tmp_path, rows_of(["DMD", "healthy"]))
    assert told in refusal(
        "readers", "create", table, "--readers", readers, "--out", tmp_path / "study", "--model", package, *options
    )
    assert not (tmp_path / "study").exists()


def test_a_diagnosis_that_the_model_does_not_know_is_told(refusal, tmp_path, readers, package):
    table = table_of(tmp_path, rows_of(["DMD", "Duchenne"]))
    told = refusal("readers", "create", table, "--readers", readers, "--out", tmp_path / "study", "--model", package)
    assert "diagnosis that the recipe does not know" in told
    assert "(row 3)" in told


def test_status_tells_who_is_done(dystrophydx, read_study):
    status, out, _ = dystrophydx("readers", "status", read_study)
    assert status == 0
    assert out.count("48 of 48 answers") == 2
    assert out.count("All cases are read") == 2


def test_analyse_gives_the_same_of_a_study_and_of_its_exported_tables(dystrophydx, read_study, tmp_path):
    status, out, _ = dystrophydx("readers", "export", read_study, "--out", tmp_path / "tables")
    assert (status, out) == (0, f"96 rows of answers by 2 readers: {tmp_path / 'tables'}\n")
    for source, name in ((read_study, "one"), (tmp_path / "tables", "two")):
        status, out, err = dystrophydx("readers", "analyse", source, "--out", tmp_path / name)
        assert (status, err) == (0, "")
        assert out == f"Report: {tmp_path / name / 'report.html'}\n"
    one, two = (json.loads((tmp_path / name / "analysis.json").read_text()) for name in ("one", "two"))
    assert one == two
    status, out, _ = dystrophydx(
        "readers", "analyse", tmp_path / "tables", "--out", tmp_path / "one", "--json", "--overwrite"
    )
    assert (status, json.loads(out)) == (0, one)


def test_a_folder_that_is_no_study_is_told(refusal, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no reader study" in refusal("readers", "status", tmp_path / "empty")
    assert "holds no reader study" in refusal("readers", "export", tmp_path / "empty", "--out", tmp_path / "out")
    assert "reads.csv cannot be opened" in refusal("readers", "analyse", tmp_path / "empty", "--out", tmp_path / "out")


def test_an_earlier_report_is_kept_with_a_hint(dystrophydx, refusal, read_study, tmp_path):
    assert dystrophydx("readers", "analyse", read_study, "--out", tmp_path / "out")[0] == 0
    assert "add --overwrite" in refusal("readers", "analyse", read_study, "--out", tmp_path / "out")


def test_a_table_that_is_not_there_is_told_by_its_path_before_any_work(refusal, tmp_path, readers):
    missing = tmp_path / "missing.csv"
    assert "missing.csv" in refusal("readers", "create", missing, "--readers", readers, "--out", tmp_path / "study")
    assert "missing.csv" in refusal("readers", "create", readers, "--readers", missing, "--out", tmp_path / "study")


def test_a_damaged_file_and_a_changed_case_are_told_after_the_other_readers(dystrophydx, tmp_path):
    study = make_study(tmp_path / "study", make_protocol())
    (study.folder / "answers" / "R1.sqlite").write_bytes(b"SQLite format 3\0" + bytes(2000))
    status, out, err = dystrophydx("readers", "status", study.folder)
    assert status == 2
    assert out.startswith("R2: 0 of 16 answers")
    assert err.startswith("dystrophydx: Reader R1: ")
    study = make_study(tmp_path / "other", make_protocol())
    study.image("C003").write_bytes(b"other")
    status, out, err = dystrophydx("readers", "status", study.folder)
    assert (status, out.count("\n")) == (2, 2)
    assert "cases/C003/mri.nrrd was changed after the study was created" in err


def test_a_study_that_nobody_has_read_is_told(refusal, tmp_path):
    study = make_study(tmp_path / "study", make_protocol())
    assert "No reader has answered" in refusal("readers", "analyse", study.folder, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_study_is_read_without_slicer(dystrophydx, refusal, tmp_path):
    study = make_reading_study(tmp_path / "study", make_protocol(readers=1, cases=4, design="fully-crossed"))
    tables = tmp_path / "tables"
    status, out, _ = dystrophydx("readers", "export", study.folder, "--out", tables)
    assert status == 0
    assert f"8 answers to fill in, a folder a reader and session, with a page a case: {tables}" in out
    assert not list(tables.rglob("truth*")), "nothing that unblinds"
    table = tables / "R1" / "session-1" / "answers.csv"
    header, *rows = table.read_text().splitlines()
    assert header == "study,reader,session,case,arm,read_on,answer,confidence"
    table.write_text("\n".join([header, *(row.replace(",,,", ",2026-02-01,no,10") for row in rows)]))
    assert dystrophydx("readers", "import", study.folder, tables)[:2] == (0, "R1: 4 answers taken over.\n")
    assert "4 of 8 answers" in dystrophydx("readers", "status", study.folder)[1]
    assert dystrophydx("readers", "export", study.folder, "--out", tmp_path / "answers")[0] == 0
    assert (tmp_path / "answers" / "truth.csv").exists()
    again = ("readers", "export", study.folder, "--to-fill-in", "--out", tmp_path / "rest")
    assert "4 answers to fill in" in dystrophydx(*again)[1]
    assert "does not exist" in refusal("readers", "import", study.folder, tmp_path / "none.csv")
