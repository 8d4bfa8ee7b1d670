"""What a dataset answers to a cohort is what its model would say again, to evaluations and to reader studies."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pandas as pd
import pytest

pytest.importorskip("pyarrow", reason="the extra archive is not installed")

from archive_cases import KEY, study_datasets, write_study
from cohort_cases import RECIPE, legs_cohort, rows_of, write_table
from model_packages import make_package

from DystrophyDxLib.archive.answers import ArchiveAnswers
from DystrophyDxLib.archive.dataset import open_dataset
from DystrophyDxLib.archive.sources import Asked, find
from DystrophyDxLib.archive.tree import TreeScan
from DystrophyDxLib.archive.worker import Model, StudyWorker
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation.heat_audit import WRONG, unjudged
from DystrophyDxLib.evaluation.predictions import predict, recorded
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.readerstudy.creation import StudyPlan, create_study
from DystrophyDxLib.readerstudy.protocol import Arm, Design, Reader
from DystrophyDxLib.readerstudy.questions import Questions
from DystrophyDxLib.readerstudy.study import MODEL, MODEL_ANSWER


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A cohort of two patients and one whose image is none, and the dataset of an archive of the same table."""
    folder = tmp_path_factory.mktemp("cohort")
    package = ModelPackage.read(make_package(folder / "model"))
    legs_cohort(folder, ["DMD", "FSHMD", "BMD"])
    (folder / "series2.nii.gz").write_bytes(b"nothing")
    table = folder / "cohort.csv"
    worker = StudyWorker(Model(package), "cpu")
    key = folder / "answers.key"
    key.write_text("sixteen letters!")
    for name, source in (("answers", table), ("by images", folder / "tree")):
        if name != "answers":
            source.mkdir()
            for n in range(2):
                shutil.copy(folder / f"series{n}.nii.gz", source / f"{n}.nii.gz")
        found = find(str(source), Asked(), package, KEY, folder / name, quiet)
        with open_dataset(folder / name, Model(package), KEY) as writer:
            for study in found.studies:
                writer.add(study, worker.run(study))
    classifier = SimpleNamespace(package=package, classify=worker._classifier.classify)
    cohort = Cohort.read(table, RECIPE)
    return SimpleNamespace(folder=folder, table=table, package=package, classifier=classifier, cohort=cohort, key=key)


def test_predictions_are_those_of_classifying_again(case):
    again = predict(case.classifier, case.cohort, quiet)
    taken = recorded(ArchiveAnswers(case.folder / "answers", None, case.package, case.table), case.cohort, quiet)
    pd.testing.assert_frame_equal(taken.images, again.images)
    pd.testing.assert_frame_equal(taken.failures, again.failures)
    audit = unjudged(taken.images, case.package.card)
    wrong = taken.images[taken.images["counted"]]
    assert len(audit) == len(wrong)
    assert (audit["finding"] == WRONG).sum() == (audit["truth"] != audit["said"]).sum()


def test_the_study_of_a_row_is_found_by_its_images_wherever_they_lie(case):
    answers = ArchiveAnswers(case.folder / "by images", case.key, case.package, case.table)
    again = predict(case.classifier, case.cohort, quiet)
    pd.testing.assert_frame_equal(recorded(answers, case.cohort, quiet).images, again.images)
    with pytest.raises(InputError, match="no answer to it"):
        answers.of(case.cohort.cases[2])


def test_another_series_of_the_same_study_is_not_taken_for_it(case, tmp_path):
    for n, number in enumerate(("1.2.3.1", "1.2.3.2")):
        write_study(
            tmp_path / f"{n}", study_datasets(n, PatientID="P", StudyInstanceUID="1.2.3", SeriesInstanceUID=number)
        )
    studies = TreeScan(tmp_path, KEY).run().studies
    assert len(studies) == 1
    worker = StudyWorker(Model(case.package), "cpu")
    with open_dataset(tmp_path / "out", Model(case.package), KEY) as writer:
        outcome = worker.run(studies[0])
        writer.add(studies[0], outcome)
    table = write_table(tmp_path, [row | {"path": f"{n}"} for n, row in enumerate(rows_of(["DMD", "FSHMD"]))])
    answers = ArchiveAnswers(tmp_path / "out", case.key, case.package, table)
    told = []
    for row in Cohort.read(table, RECIPE).cases:
        try:
            told.append(answers.of(row).case == outcome.result.case)
        except InputError as error:
            told.append(str(error))
    assert sorted(map(str, told)) == ["The dataset has the answer to another series of its study.", "True"]


def test_a_reader_study_takes_the_answers_and_says_what_an_aided_arm_lacks(case, tmp_path):
    cohort = case.folder / "two.csv"
    cohort.write_text("".join(case.table.read_text().splitlines(keepends=True)[:3]))
    answers = ArchiveAnswers(case.folder / "answers", None, case.package, cohort)
    plan = StudyPlan(
        title="Readers",
        readers=(Reader(code="R1", role="radiologist", years=3),),
        arms=(Arm("unaided"),),
        design=Design("fully-crossed"),
        questions=Questions(),
        duplicates=0,
        washout_days=0,
        blocks=1,
        seed=1,
    )
    made = [
        create_study(cohort, plan, case.package, "cpu", tmp_path / name, quiet, given)
        for name, given in (("again", None), ("taken", answers))
    ]
    texts = [
        [(study.folder / MODEL / name / MODEL_ANSWER).read_text() for name in study.protocol.cases] for study in made
    ]
    assert texts[0] == texts[1]
    aided = StudyPlan(**{**vars(plan), "arms": (Arm("unaided"), Arm("aided")), "washout_days": 1})
    with pytest.raises(InputError, match=r"no heatmap of it, which archive --folders writes \(row 2, row 3\)"):
        create_study(cohort, aided, case.package, "cpu", tmp_path / "aided", quiet, answers)


def test_another_key_or_model_is_refused(case, tmp_path):
    other = ModelPackage.read(make_package(tmp_path / "other", seed=1))
    with pytest.raises(InputError, match="no answer of this model"):
        ArchiveAnswers(case.folder / "answers", None, other, case.table)
    (tmp_path / "x.key").write_text("k" * 20)
    with pytest.raises(InputError, match="not that of the dataset"):
        ArchiveAnswers(case.folder / "answers", tmp_path / "x.key", case.package, case.table)
    with pytest.raises(InputError, match="give it with --key"):
        ArchiveAnswers(case.folder / "by images", None, case.package, case.table)
