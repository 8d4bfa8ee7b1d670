"""A run over an archive, with answers that are made up: what it finds, writes, tells, and how it ends."""

from __future__ import annotations

import csv
import html
import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("pyarrow", reason="the extra archive is not installed")

from archive_cases import KEY, result_of, study_datasets, write_study
from cohort_cases import rows_of, table_of
from model_packages import make_package
from typer.testing import CliRunner

from DystrophyDxLib.archive import run as module
from DystrophyDxLib.archive.dataset import Changed, Dataset, OtherSource
from DystrophyDxLib.archive.studies import Failure
from DystrophyDxLib.archive.worker import Outcome
from DystrophyDxLib.commands import archive as command
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_package(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three studies, one of them damaged, a CT, and a damaged file of none."""
    folder = tmp_path_factory.mktemp("archive")
    for n in range(3):
        write_study(folder / "a" / f"{n}", study_datasets(n))
    write_study(folder / "ct", study_datasets(9, Modality="CT"))
    (folder / "lost").write_bytes((folder / "a" / "0" / "IM0").read_bytes()[:300])
    return folder


@pytest.fixture
def answers(monkeypatch):
    """What stands in for the workers; a study whose pseudonym is in `failing` fails, and `interrupt` is Ctrl-C."""

    class Answers:
        def __init__(self):
            self.failing, self.asked, self.interrupt = set(), [], False

        def __call__(self, model, options, studies, begun):
            begun(2)
            print("(raylet) A worker died.")
            self.asked = [study.study for study in studies]
            for n, study in enumerate(studies):
                if self.interrupt and n == 1:
                    raise KeyboardInterrupt
                fails = study.study in self.failing
                yield study, Outcome(None, Failure("reading", "It is empty.")) if fails else Outcome(result_of())

    stands_in = Answers()
    monkeypatch.setattr(module, "_outcomes", stands_in)
    return stands_in


def call(source, out, package, *further):
    return CliRunner().invoke(app, ["archive", str(source), "--out", str(out), "--model", str(package), *further])


def counts(out):
    return {name: Dataset.at(out).table(name).num_rows for name in ("studies", "failures")}


def test_every_study_is_in_the_table_or_among_the_failures(archive, package, answers, tmp_path):
    out = tmp_path / "out"
    told = call(archive, out, package, "--json", "--identities", str(tmp_path / "whose.csv"))
    assert told.exit_code == 0, told.exception
    summary = json.loads(told.stdout)
    assert counts(out) == {"studies": 3, "failures": 2}
    assert (summary["studies"], summary["failures_by_kind"]) == (3, {"no MR": 1, "file": 1})
    assert (summary["run"]["found"], summary["run"]["done"], summary["run"]["before"]) == (5, 5, 0)
    assert [json.loads(line)["total"] for line in told.stderr.splitlines() if line.startswith("{")] == [5]
    with (tmp_path / "whose.csv").open() as file:
        whose = {row["study"]: row for row in csv.DictReader(file)}
    assert {whose[study]["patient_id"] for study in answers.asked} == {f"4711-{n:05d}" for n in range(3)}
    assert (tmp_path / "out.key").exists()
    everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert not re.search(rb"4711|Mustermann|1\.2\.826\.", everything)


def test_it_goes_on_where_it_stopped_and_failures_are_tried_again_on_demand(archive, package, answers, tmp_path):
    out = tmp_path / "out"
    answers.interrupt = True
    told = call(archive, out, package)
    assert "Interrupted; what is done is in the dataset" in str(told.exception)
    assert counts(out) == {"studies": 1, "failures": 2}
    answers.interrupt, answers.failing = False, {answers.asked[1]}
    assert call(archive, out, package).exit_code == 0
    assert len(answers.asked) == 2
    assert counts(out) == {"studies": 2, "failures": 3}
    answers.failing = set()
    told = call(archive, out, package, "--retry")
    assert len(answers.asked) == 1
    assert counts(out) == {"studies": 3, "failures": 2}
    assert "3 studies of 3 patients: dystrophinopathy 3." in told.stdout
    answers.asked = []
    told = call(archive, out, package)
    assert "This run: 0 new, 5 were there before; there was nothing to classify." in told.stdout
    assert answers.asked == []
    told = call(archive, out, package, "--key", str(tmp_path / "lost.key"))
    assert "The key of the dataset's pseudonyms is not at" in str(told.exception)
    assert not (tmp_path / "lost.key").exists(), "another one would be of no use"


def test_another_archive_is_asked_for_and_the_summary_says_which_part_the_run_is_of(
    archive, package, answers, tmp_path
):
    call(archive, tmp_path / "out", package)
    other = tmp_path / "other"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 32, 32), np.float32)), str(tmp_path / "x.nii.gz"))
    other.mkdir()
    (tmp_path / "x.nii.gz").rename(other / "x.nii.gz")
    told = call(other, tmp_path / "out", package)
    assert "made of another archive" in str(told.exception)
    told = call(other, tmp_path / "out", package, "--add-source")
    assert told.exit_code == 0, told.exception
    assert "4 studies of 3 patients (1 of them names no patient): dystrophinopathy 4." in told.stdout
    assert (
        "This run (one of the dataset's 2 archives): 1 new, 0 were there before; 2 workers took 1 study" in told.stdout
    )
    page = html.unescape((tmp_path / "out" / "summary.html").read_text(encoding="utf-8"))
    assert "4 studies of 3 patients (1 of them names no patient)" in page
    assert "The last run (one of the dataset's 2 archives) found 1 study in 1 file; 0 files are no image" in page
    assert "Studies without a patient" in page


def test_a_folder_is_of_the_answer_in_the_table(archive, package, answers, tmp_path):
    """Not of an earlier one: a study that has a folder is not classified again without it, and one that fails loses
    it."""
    out = tmp_path / "out"
    call(archive, out, package)
    one, two = answers.asked[:2]
    for study in (one, two):
        (out / "results" / study).mkdir(parents=True)
    other = make_package(tmp_path / "other", seed=1)
    told = call(archive, out, other, "--changed", "again")
    assert "2 of the studies to be classified have folders of an earlier run in results/" in str(told.exception)
    assert counts(out) == {"studies": 3, "failures": 2}, "the earlier rows are there still"
    answers.failing = {one}
    assert call(archive, out, other, "--changed", "again", "--folders").exit_code == 0
    answers.failing = set()
    assert {path.name for path in (out / "results").iterdir()} == {two}


def test_failures_stay_where_they_cannot_be_tried_again(archive, package, answers, tmp_path):
    out = tmp_path / "out"
    answers.failing = {KEY.study("4711-00001", study_datasets(1)[0].StudyInstanceUID)}
    key = tmp_path / "own.key"
    key.write_text("sixteen letters!")
    call(archive, out, package, "--key", str(key))
    (out / "results" / next(iter(answers.failing))).mkdir(parents=True)
    told = call(archive, out, package, "--retry", "--key", str(key))
    answers.failing = set()
    assert "1 of the studies to be classified have folders" in str(told.exception)
    assert counts(out) == {"studies": 2, "failures": 3}


def test_studies_that_an_earlier_run_left_without_a_folder_are_told(archive, package, answers, tmp_path):
    out = tmp_path / "out"
    assert "no folder" not in call(archive, out, package).output
    told = "3 studies have no folder, as a run without folders answered them"
    assert told in " ".join(call(archive, out, package, "--folders").output.split())
    assert told in (out / "summary.html").read_text(encoding="utf-8")


def test_the_page_tells_answers_warnings_failures_and_times(archive, package, answers, tmp_path):
    answers.failing = set()
    call(archive, tmp_path / "out", package)
    page = (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")
    for words in ("3 studies of 3 patients", "LEGS_TOUCHING", "only CT", "Finding the legs", "contradict each other"):
        assert words in page
    assert "4711" not in re.sub(r"data:image[^\"]*", "", page)


def test_a_changed_model_is_asked_for_and_rows_are_kept_or_made_again(archive, package, answers, tmp_path):
    out, other = tmp_path / "out", make_package(tmp_path / "other", seed=1)
    call(archive, out, package)
    told = call(archive, out, other)
    assert told.exit_code == 1
    assert "The dataset was made by DystrophyDx" in str(told.exception)
    assert "--changed keep" in str(told.exception)
    answers.asked = []
    assert call(archive, out, other, "--changed", "keep").exit_code == 0
    assert answers.asked == []
    assert call(archive, out, other, "--changed", "again").exit_code == 0
    assert len(answers.asked) == 3
    assert counts(out) == {"studies": 3, "failures": 2}


@pytest.mark.parametrize(
    ("error", "said", "expected"),
    [
        (Changed, "keep", {"changed": "keep"}),
        (Changed, "again", {"changed": "again"}),
        (OtherSource, "add", {"add_source": True}),
        (OtherSource, "stop", None),
    ],
)
def test_who_sits_at_a_terminal_is_asked(error, said, expected, monkeypatch, capsys):
    terminal = SimpleNamespace(isatty=lambda: True, write=sys.stderr.write, flush=sys.stderr.flush)
    monkeypatch.setattr(command.sys, "stdin", terminal)
    monkeypatch.setattr(command.sys, "stderr", terminal)
    monkeypatch.setattr(command.click, "prompt", lambda question, type, **_: said if said in type.choices else None)
    why = error("It was made otherwise. Add --this to go on.")
    if expected is None:
        with pytest.raises(InputError, match="Nothing was changed"):
            command._asked(why, json=False)
    else:
        assert command._asked(why, json=False) == expected
    with pytest.raises(error):
        command._asked(why, json=True)


def test_a_cohort_table_is_an_archive_with_its_diagnoses(package, answers, tmp_path):
    rows = rows_of(["DMD", "FSHMD"])
    told = call(table_of(tmp_path, rows), tmp_path / "out", package)
    assert told.exit_code == 0, told.exception
    studies = Dataset.at(tmp_path / "out").table("studies", ["row", "diagnosis"]).to_pylist()
    assert sorted((row["row"], row["diagnosis"]) for row in studies) == [(2, "DMD"), (3, "FSHMD")]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["nowhere"], "There is no folder or table nowhere"),
        ([".", "--date", "20260101"], "are for a PACS"),
        ([".", "--key", "{out}/x.key"], "--key would lie in the folder of the results"),
        (["https://pacs.example/dicom-web"], "too many studies to list all"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(given, words, package, answers, tmp_path):
    source, *further = (word.replace("{out}", str(tmp_path / "out")) for word in given)
    told = call(source, tmp_path / "out", package, *further)
    assert told.exit_code == 1
    assert words in str(told.exception)
    assert "\n" not in str(told.exception)
