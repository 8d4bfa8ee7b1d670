"""A reader study analysed: the report's figures against scikit-learn and by hand, and that what is missing is told."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from simulated_reads import simulated_reads
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, roc_auc_score

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.readerstudy.analysis.analyse import REPORT, analyse
from DystrophyDxLib.readerstudy.analysis.figures import Points, readers_figure
from DystrophyDxLib.readerstudy.analysis.first_answers import FirstAnswers, repeated_answers
from DystrophyDxLib.readerstudy.analysis.performance_tables import MEAN, performance_frame
from DystrophyDxLib.readerstudy.analysis.summary import ReaderStudySummary
from DystrophyDxLib.readerstudy.reads import AIDED, RE_READ, UNAIDED, Reads
from DystrophyDxLib.reporting.case_report import SYNTHETIC_COHORT
from DystrophyDxLib.reporting.pages import Picture
from DystrophyDxLib.reporting.tables import cell_text
from DystrophyDxLib.statistics.estimate import Estimate


def study_of(answers, truth, **columns) -> Reads:
    """A study of (reader, arm, decisions) on cases C0, C1, …; None is a missing decision."""
    rows = [
        {"reader": reader, "case": f"C{n}", "arm": arm, "decision": decision, **columns}
        for reader, arm, decisions in answers
        for n, decision in enumerate(decisions)
    ]
    readers = pd.DataFrame({"reader": list(dict.fromkeys(reader for reader, _, _ in answers))})
    return Reads(
        pd.DataFrame(rows), readers, pd.DataFrame({"case": [f"C{n}" for n in range(len(truth))], "label": truth})
    )


def analysed(reads: Reads, out) -> tuple[ReaderStudySummary, dict[str, pd.DataFrame], str]:
    """Summary, tables by name, and the page."""
    summary = analyse(reads, out, overwrite=False)
    tables = {path.stem: pd.read_csv(path) for path in (out / "tables").glob("*.csv")}
    return summary, tables, (out / "report.html").read_text(encoding="utf-8")


def test_a_code_is_drawn_as_it_is_written(tmp_path):
    code = r"$\frac$"
    study = study_of(
        [(code, UNAIDED, [1, 0, 1, 0]), (code, AIDED, [1, 0, 1, 1]), ("R$2", UNAIDED, [1, 1, 0, 0])], [1, 0, 1, 0]
    )
    _, _, page = analysed(study, tmp_path / "out")
    assert r"$\frac$" in page
    assert any("$" in path.read_text() for path in (tmp_path / "out" / "figures").glob("*.svg"))


@pytest.fixture(scope="module")
def reads() -> Reads:
    return simulated_reads(1, readers=4, cases=60)


@pytest.fixture(scope="module")
def found(reads, tmp_path_factory):
    """Summary, tables and page of a study of 4 readers, 60 cases and 2 arms, with the folder."""
    out = tmp_path_factory.mktemp("study") / "analysis"
    return (*analysed(reads, out), out)


def own_answers(reads: Reads, reader: str, arm: str) -> pd.DataFrame:
    """First answers of a reader with the truth and the model's, straight from the tables."""
    table = reads.reads[(reads.reads["reader"] == reader) & (reads.reads["arm"] == arm) & (reads.reads["repeat"] == 0)]
    told = reads.model.rename(columns={"label": "model_label"})
    return table.merge(reads.truth, on="case").merge(told, on="case").dropna(subset=["decision", "confidence"])


# The whole report


def test_a_study_of_phantoms_and_what_the_model_was_trained_on_stand_beside_the_figures(reads, tmp_path):
    model = reads.model.assign(trained_on="synthetic images only, no patients")
    synthetic = dataclasses.replace(reads, truth=reads.truth.assign(synthetic=1), model=model)
    summary, _, page = analysed(synthetic, tmp_path / "analysis")
    for notice in (SYNTHETIC_COHORT, "The model was trained on synthetic images only, no patients."):
        assert notice in summary.notices
        assert notice in page


def test_a_study_gives_one_page_that_stands_alone_with_tables_and_figures(found):
    summary, tables, page, out = found
    assert {path.name for path in out.iterdir()} == set(REPORT.files)
    assert json.loads((out / "analysis.json").read_text()) == json.loads(summary.to_json())
    assert page.count('<img src="data:image/svg+xml;base64,') == 4
    assert "://" not in page
    assert "Research only, not for diagnosis." in page
    assert set(tables) == {
        "answers", "times", "performance", "performance_further", "confusion", "agreement", "agreement_pairs",
        "agreement_intra", "agreement_grades", "mrmc_arms", "arms_by_reader", "mrmc_model", "model_by_reader",
        "sample_size", "mrmc_components",
    }  # fmt: skip
    for name in ("bars", "roc", "roc_readers", "confusion"):
        assert (out / "figures" / f"{name}.png").exists()


def test_performance_is_that_of_scikit_learn(reads, found):
    _, tables, _, _ = found
    table, further = (tables[name].set_index(["Arm", "Reader"]) for name in ("performance", "performance_further"))
    for reader in ("R1", "R3"):
        own = own_answers(reads, reader, AIDED)
        row = table.loc[AIDED, reader]
        assert row["Accuracy"] == pytest.approx(accuracy_score(own["label"], own["decision"]))
        assert row["AUC"] == pytest.approx(roc_auc_score(own["label"], own["confidence"]))
        f1 = further.loc[AIDED, reader]
        assert f1["F1"] == pytest.approx(f1_score(own["label"], own["decision"]))
        assert f1["F1 low"] < f1["F1"] < f1["F1 high"]
    assert table.loc[(UNAIDED, MEAN), "Sensitivity"] == pytest.approx(
        table.loc[UNAIDED].drop(MEAN)["Sensitivity"].mean()
    )
    assert table.loc[("model", "ResNet50"), "Accuracy"] == pytest.approx(
        accuracy_score(reads.truth["label"], reads.model["label"])
    )


def test_agreement_is_that_of_scikit_learn(reads, found):
    _, tables, _, _ = found
    row = tables["agreement_pairs"].set_index(["Arm", "First", "Second"]).loc[(UNAIDED, "R1", "ResNet50")]
    own = own_answers(reads, "R1", UNAIDED)
    assert row["Cases"] == len(own)
    assert row["Kappa, Cohen"] == pytest.approx(cohen_kappa_score(own["decision"], own["model_label"]))
    intra = tables["agreement_intra"].set_index(["Reader", "Again"])
    both = own_answers(reads, "R2", UNAIDED).merge(
        own_answers(reads, "R2", RE_READ), on="case", suffixes=("", "_again")
    )
    assert intra.loc[("R2", "re-read 3"), "Kappa, Cohen"] == pytest.approx(
        cohen_kappa_score(both["decision"], both["decision_again"])
    )
    assert set(intra.index.get_level_values("Again")) == {"re-read 3", "duplicate, unaided", "duplicate, aided"}
    assert set(tables["agreement_grades"]["Muscles"]) == {60 * 4 * 2}


def test_comparisons_of_the_tables_agree_with_each_other(found):
    _, tables, page, _ = found
    arms = tables["mrmc_arms"]
    assert arms.groupby(["Figure", "Covariances"]).size().to_dict() == {
        ("AUC", "DeLong"): 3, ("AUC", "jackknife"): 3,
        ("accuracy", "jackknife"): 3, ("sensitivity", "jackknife"): 3, ("specificity", "jackknife"): 3,
    }  # fmt: skip
    difference = "Difference, aided minus unaided"
    assert arms[difference].to_numpy() == pytest.approx((arms["Value, aided"] - arms["Value, unaided"]).to_numpy())
    by_reader = tables["arms_by_reader"]
    auc = arms[arms["Figure"] == "AUC"].iloc[0]
    assert auc["Value, unaided"] == pytest.approx(
        tables["performance"].query("Arm == 'unaided'").iloc[:4]["AUC"].mean()
    )
    assert auc[f"{difference} low"] < by_reader["AUC, aided minus unaided"].mean() < auc[f"{difference} high"]
    model = tables["mrmc_model"].query("Arm == 'aided' and Figure == 'AUC'").iloc[0]
    readers = tables["model_by_reader"].query("Arm == 'aided'")
    assert model["Difference, readers minus model"] == pytest.approx(readers["AUC, reader minus model"].mean())
    assert "Obuchowski and Rockette" in page
    assert "Fleiss&#39; kappa of the readers, unaided: " in page


def test_equal_studies_give_equal_reports(reads, found, tmp_path):
    analyse(reads, tmp_path / "again", overwrite=False)
    for name in ("report.html", "analysis.json", "tables/performance.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (found[-1] / name).read_bytes()


def test_what_was_written_and_read_again_gives_the_same(reads, found, tmp_path):
    reads.write(tmp_path / "csv")
    assert analyse(Reads.read(tmp_path / "csv"), tmp_path / "out", overwrite=False) == found[0]


def test_the_interval_of_f1_holds_it_19_times_in_20():
    rng = np.random.default_rng(2)
    truth = np.arange(100) < 40
    called = np.where(rng.random((60, 100)) < 0.85, truth, ~truth).astype(int)
    reads = study_of([(f"R{n}", UNAIDED, decisions) for n, decisions in enumerate(called)], truth.astype(int))
    figures = performance_frame(FirstAnswers.of(reads))
    found = figures.loc[figures["Reader"] != MEAN, "F1"]
    true = 2 * 0.4 * 0.85 / (2 * 0.4 * 0.85 + 0.6 * 0.15 + 0.4 * 0.15)
    assert sum(estimate.low < true < estimate.high for estimate in found) >= 53


# What is used


def test_decisions_are_counted_by_hand(tmp_path):
    truth = [1, 1, 1, 0, 0, 0]
    reads = study_of([("A", UNAIDED, [1, 1, 0, 0, 0, None]), ("B", UNAIDED, [1, 0, 0, 0, 1, 0])], truth)
    summary, tables, page = analysed(reads, tmp_path / "out")
    counts = tables["confusion"].set_index("Reader")
    assert counts.loc["A"].drop("Arm").tolist() == [2, 1, 0, 2, 1]
    assert counts.loc["B"].drop("Arm").tolist() == [1, 2, 1, 2, 0]
    assert summary.answers.model_dump() == {
        "rows": 12, "first_decisions": 11, "missing_decisions": 1, "unread": 0,
    }  # fmt: skip
    assert "12 first decisions on them were to be made, 1 of them are missing." in page
    assert tables["agreement"].loc[0, "Cases"] == 5
    assert "No model answered." in page
    assert "Only unaided readings are there" in page


def test_a_missing_answer_leaves_the_others_of_the_case(tmp_path):
    truth = [1, 0] * 6
    whole = [1, 0] * 5 + [0, 1]
    one_less = [None, *whole[1:]]
    both = study_of(
        [("A", UNAIDED, whole), ("B", UNAIDED, whole[::-1]), ("A", AIDED, one_less), ("B", AIDED, whole)],
        truth,
        session=1,
    )
    answers = FirstAnswers.of(both)
    assert np.isnan(answers.decisions).sum() == 1
    _, tables, page = analysed(both, tmp_path / "out")
    assert tables["arms_by_reader"]["Cases"].tolist() == [11, 12]
    assert set(tables["mrmc_arms"]["Readers"]) == {2}
    assert "Sequential reading" in page


def test_a_reader_of_one_arm_is_not_in_the_comparison_of_arms_and_that_is_counted(tmp_path):
    reads = simulated_reads(2, readers=4, cases=40, re_read=False, grades=False)
    table = reads.reads
    left = dataclasses.replace(reads, reads=table[(table["reader"] != "R2") | (table["arm"] == UNAIDED)])
    _, tables, _ = analysed(left, tmp_path / "out")
    assert set(tables["mrmc_arms"]["Readers"]) == {3}
    assert set(tables["mrmc_arms"]["Cases"]) == {40}
    decisions = tables["answers"].set_index(["Reader", "Arm"])["Decisions"]
    assert decisions["R2", AIDED] == 0
    assert decisions["R2", UNAIDED] > 30
    assert tables["performance"].query("Reader == 'R2' and Arm == 'aided'")["Accuracy"].isna().all()


def test_readers_of_different_cases_are_compared_with_the_model_on_their_own(tmp_path):
    reads = simulated_reads(3, readers=4, cases=80, arms=(UNAIDED,), re_read=False, duplicates=0, grades=False)
    number = reads.reads["case"].str[1:].astype(int)
    own = (number <= 40) == reads.reads["reader"].isin(["R1", "R2"])
    split = dataclasses.replace(reads, reads=reads.reads[own])
    _, tables, _ = analysed(split, tmp_path / "out")
    assert (tables["model_by_reader"]["Cases"] <= 40).all()
    assert set(tables["agreement_pairs"].query("Second != 'ResNet50'")["First"]) == {"R1", "R3"}
    assert set(tables["mrmc_model"]["Readers"]) == {4}
    assert set(tables["mrmc_model"]["Cases"]) == {80}


def test_amendments_are_counted_and_the_submitted_answers_analysed(tmp_path):
    truth = [1, 0, 1, 0]
    reads = study_of([("A", UNAIDED, [1, 0, 0, 0]), ("B", UNAIDED, [1, 0, 1, 1])], truth)
    changed = pd.DataFrame([{"reader": "A", "case": "C2", "arm": UNAIDED, "decision": 1, "amended": 1}])
    amended = dataclasses.replace(reads, reads=pd.concat([reads.reads, changed]))
    _, tables, _ = analysed(amended, tmp_path / "out")
    row = tables["answers"].set_index("Reader").loc["A"]
    assert (row["Amendments"], row["Amended decisions"]) == (1, 1)
    assert tables["confusion"].set_index("Reader").loc["A", "False negative"] == 1


def test_cases_that_no_one_read_and_the_model_did_not_answer_are_told(tmp_path):
    reads = simulated_reads(4, readers=3, cases=40, arms=(UNAIDED,), re_read=False, grades=False)
    fewer = dataclasses.replace(
        reads, reads=reads.reads[reads.reads["case"] != "C0003"], model=reads.model[reads.model["case"] != "C0004"]
    )
    summary, tables, page = analysed(fewer, tmp_path / "out")
    assert summary.cases.not_read == 1
    assert "Read by no one and in no figure: 1 of the cases" in page
    assert "in none of its figures: 1 of the cases" in page
    assert tables["confusion"].set_index("Reader").loc["ResNet50", "No decision"] == 1


def test_a_re_read_is_compared_with_the_unaided_reading_and_a_duplicate_with_its_own_arm():
    rows = [
        {"reader": "A", "case": "C0", "arm": arm, "session": session, "repeat": repeat, "confidence": confidence}
        for arm, session, repeat, confidence in (
            (UNAIDED, 1, 0, 10), (AIDED, 2, 0, 20), (AIDED, 2, 1, 30), (RE_READ, 3, 0, 40),
        )
    ]  # fmt: skip
    twice = repeated_answers(pd.DataFrame(rows)).set_index("repeats")
    pairs = twice[["confidence_first", "confidence_again"]]
    assert pairs.loc["duplicate, aided"].tolist() == [20, 30]
    assert pairs.loc["re-read 3"].tolist() == [10, 40]
    assert len(pairs) == 2


# Unfinished reading


@pytest.fixture
def unfinished(reads):
    """R2 has not begun, R4 has not read aided yet."""
    table = reads.reads
    due = (table["reader"] == "R2") | ((table["reader"] == "R4") & (table["arm"] == AIDED))
    unread = table.loc[due, ["reader", "case", "arm", "session", "repeat"]]
    model = reads.model.assign(model="embedded, resnet18 (demonstration) 0.1.0")
    return dataclasses.replace(reads, reads=table[~due], model=model, unread=unread)


def test_an_unfinished_study_is_told_so_in_brief_and_beside_every_figure(unfinished, tmp_path):
    summary, _, page = analysed(unfinished, tmp_path / "out")
    given = len(unfinished.reads)
    told = f"Reading is unfinished: {given} of {given + len(unfinished.unread)} answers are given. Whoever looks"
    assert any(notice.startswith(told) for notice in summary.notices)
    assert told in page.partition("<h2>In brief</h2>")[2].partition("</section>")[0]
    assert "is unblinded" in page
    assert "in no figure: R2." in page
    assert summary.answers.unread == len(unfinished.unread)


def test_a_finished_study_is_not_called_unfinished(found):
    assert "unfinished" not in found[2]


def test_readers_without_answers_are_in_no_figure_and_no_test(unfinished, tmp_path):
    _, tables, _ = analysed(unfinished, tmp_path / "out")
    assert tables["arms_by_reader"]["Reader"].tolist() == ["R1", "R3"]
    assert ("aided", "R4") not in set(tables["model_by_reader"][["Arm", "Reader"]].itertuples(index=False, name=None))
    assert (tables["confusion"].drop(columns=["Arm", "Reader", "No decision"]).sum(axis=1) > 0).all()
    assert "R2" not in set(tables["performance"]["Reader"])


def test_an_arm_that_is_still_to_come_is_told(reads, tmp_path):
    table = reads.reads
    due = table["arm"] != UNAIDED
    begun = dataclasses.replace(
        reads, reads=table[~due], unread=table.loc[due, ["reader", "case", "arm", "session", "repeat"]]
    )
    assert "Only unaided readings are there; aided ones are still to come." in analysed(begun, tmp_path / "out")[2]


def test_figures_say_model_and_captions_its_name(unfinished, tmp_path, monkeypatch):
    drawn = {}
    save = "DystrophyDxLib.reporting.figures.save_figure"
    monkeypatch.setattr(save, lambda figure, folder, name: drawn.update({name: figure}))
    monkeypatch.setattr(Picture, "data_uri", "data:,")
    page = analysed(unfinished, tmp_path / "out")[2]
    for name, figure in drawn.items():
        assert not [text for text in figure.findobj(Text) if "resnet18" in text.get_text()], name
    assert [text.get_text() for text in drawn["bars"].axes[-1].get_xticklabels()] == ["R1", "R3", "R4", MEAN, "model"]
    assert page.count("the model (embedded, resnet18 (demonstration) 0.1.0)") >= 3


def test_readers_at_one_place_of_the_roc_plane_are_counted_and_not_cut_off():
    points = Points(UNAIDED, np.array([0.0, 0.0, 0.5]), np.array([1.0, 1.0, 0.5]), mean=(0.2, 0.8))
    axes = readers_figure([points], None, None).axes[0]
    assert [text.get_text() for text in axes.texts] == ["2"]
    assert not any(line.get_clip_on() for line in axes.lines if line.get_marker() in ("o", "^"))


def test_nothing_is_said_of_a_model_where_none_answered(tmp_path):
    page = analysed(study_of([("A", UNAIDED, [1, 0, 1, 0]), ("B", UNAIDED, [1, 0, 0, 0])], [1, 0, 1, 0]), tmp_path)[2]
    captions = re.findall("<figcaption>(.*?)</figcaption>", page)
    assert captions
    assert not [caption for caption in captions if "model" in caption]


# What is planned and what else is asked


def test_only_the_cases_of_a_readers_own_block_are_planned(tmp_path):
    reads = simulated_reads(5, readers=4, cases=60, re_read=False, duplicates=0, grades=False, missing=0)
    number = reads.reads["case"].str[1:].astype(int)
    own = (number <= 30) == reads.reads["reader"].isin(["R1", "R2"])
    summary, tables, page = analysed(dataclasses.replace(reads, reads=reads.reads[own]), tmp_path / "out")
    assert "All 240 first decisions on them were made." in page
    assert summary.answers.missing_decisions == 0
    assert set(tables["answers"]["Cases"]) == {30}
    assert set(tables["confusion"]["No decision"]) == {0}


def test_tables_without_sessions_are_not_called_sequential(tmp_path):
    answers = [("A", UNAIDED, [1, 0]), ("A", AIDED, [1, 0])]
    told = "do not tell all sessions"
    page = analysed(study_of(answers, [1, 0]), tmp_path / "unknown")[2]
    assert "Sequential reading" not in page
    assert told in page
    page = analysed(study_of(answers, [1, 0], session=1), tmp_path / "one")[2]
    assert "Sequential reading" in page
    assert told not in page


def test_subtypes_quality_comments_and_re_reads_are_reported(tmp_path):
    rows = [
        ("A", "C0", UNAIDED, 1, 1, "DMD", "4", "sure", 10), ("A", "C1", UNAIDED, 1, 1, "DMD", "4", "", 20),
        ("A", "C2", UNAIDED, 1, 0, "", "1", "", 30), ("A", "C0", RE_READ, 2, 1, "BMD", "5", "", 40),
    ]  # fmt: skip
    columns = ["reader", "case", "arm", "session", "decision", "subtype", "quality", "comment", "seconds"]
    truth = pd.DataFrame({"case": ["C0", "C1", "C2"], "label": [1, 1, 0], "diagnosis": ["DMD", "BMD", "FSHMD"]})
    reads = Reads(pd.DataFrame(rows, columns=columns), pd.DataFrame({"reader": ["A"]}), truth)
    _, tables, _ = analysed(reads, tmp_path / "out")
    (subtypes,) = tables["subtypes"].to_dict("records")
    assert (subtypes["DMD, truly DMD"], subtypes["DMD, truly BMD"], subtypes["Right"]) == (1, 1, 0.5)
    assert tables["quality"][["Quality 1", "Quality 4"]].values.tolist() == [[1, 2]]
    answers = tables["answers"].set_index("Arm")
    assert answers["Decisions"].to_dict() == {UNAIDED: 3, RE_READ: 1}
    assert answers["Comments"].to_dict() == {UNAIDED: 1, RE_READ: 0}
    assert tables["times"].set_index("Arm")["Median, s"].to_dict() == {UNAIDED: 20, RE_READ: 40}


def test_a_difference_that_rounds_to_nothing_has_no_sign():
    assert [cell_text("Value", value) for value in (-0.0001, -0.0006, -1e-17)] == ["0.000", "−0.001", "0.000"]


def test_an_interval_that_reaches_below_0_keeps_its_sign():
    assert cell_text("Value", Estimate(0.044, -0.0004, 0.088)) == "0.044 (−0.000, 0.088)"
    assert cell_text("Value", Estimate(0.044, -1e-17, 0.088)) == "0.044 (0.000, 0.088)"


# Small and odd studies


def test_confidences_without_decisions_give_an_auc_and_no_picture_of_decisions(tmp_path):
    reads = study_of([("A", UNAIDED, [None] * 4)], [1, 0, 1, 0])
    rated = dataclasses.replace(reads, reads=reads.reads.assign(confidence=[80, 10, 60, 20]))
    _, tables, page = analysed(rated, tmp_path / "out")
    assert tables["performance"]["AUC"].tolist() == [1]
    assert page.count("<figure>") == 1


def test_one_reader_alone_is_analysed(tmp_path):
    _, tables, page = analysed(study_of([("A", UNAIDED, [1, 0, 1, 0])], [1, 0, 0, 1]), tmp_path / "out")
    assert tables["performance"]["Reader"].tolist() == ["A"]
    assert "No two answers to one case can be compared." in page


def test_cases_of_one_class_and_readers_who_never_differ_give_no_tests(tmp_path):
    same = [1, 1, 1, 1]
    reads = study_of([(reader, arm, same) for reader in "AB" for arm in (UNAIDED, AIDED)], same)
    _, tables, page = analysed(reads, tmp_path / "out")
    assert tables["performance"]["Specificity"].isna().all()
    assert tables["arms_by_reader"]["p, McNemar"].tolist() == [1, 1]
    assert "All cases that were read are of one class, so that the AUC and the specificity cannot be told." in page
    assert "Mean of the readers, aided: accuracy 1.00 (–), sensitivity 1.00 (–)." in page
    assert set(tables["mrmc_arms"]["Figure"]) == {"accuracy", "sensitivity"}
    assert tables["mrmc_arms"]["p"].isna().all()
    assert tables["agreement"]["Kappa, Fleiss"].isna().all()


def test_nothing_read_and_a_folder_of_other_files_are_told(tmp_path):
    only_re_reads = study_of([("A", RE_READ, [1, 0])], [1, 0])
    with pytest.raises(InputError, match="no unaided or aided answer"):
        analyse(only_re_reads, tmp_path / "out", overwrite=False)
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(InputError, match="other files"):
        analyse(study_of([("A", UNAIDED, [1, 0])], [1, 0]), tmp_path / "mine", overwrite=True)


@pytest.mark.parametrize(("own", "told"), [([1, 0, 1, 0], True), ([1, None, None, 0], False)])
def test_the_mean_of_readers_is_drawn_only_where_the_table_has_it(tmp_path, own, told):
    study = study_of([("A", UNAIDED, own), ("B", UNAIDED, own)], [1, 0, 1, 0])
    _, tables, page = analysed(study, tmp_path / "out")
    assert ("their mean as a triangle" in page) == told == tables["performance"]["Sensitivity"].notna().all()
