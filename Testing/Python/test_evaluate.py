"""Evaluation: tables from probabilities, and the whole way from a cohort to a report that opens offline."""

import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from model_packages import CARD_OF_FOUR, FOUR_CLASSES, RECIPE, make_package
from scipy.ndimage import gaussian_filter

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation import tables
from DystrophyDxLib.evaluation.evaluate import REPORT, evaluate
from DystrophyDxLib.evaluation.evaluated import EvaluationOptions
from DystrophyDxLib.evaluation.gallery import choose
from DystrophyDxLib.evaluation.predictions import by_patient, units_of
from DystrophyDxLib.evaluation.summaries import EvaluationSummary
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.reporting.case_report import NOT_SHOWN_TO_TELL
from DystrophyDxLib.reporting.progress import silent
from DystrophyDxLib.reporting.tables import cell_text
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.statistics.binary import bootstrap_figures, published_figures
from DystrophyDxLib.statistics.estimate import Estimate
from DystrophyDxLib.statistics.ranked import probability_columns

CLASSES = ("other", "dystrophinopathy")
BIAS = 0.035
"""At which the untrained model calls some of the images of the cohort."""
SMALL_RECIPE = RECIPE.replace("size = 224", "size = 112")
DISEASES = ("DMD", "BMD", "DMD", "FSHMD", "healthy", "FSHMD")


def image_table(patients):
    """An image table of (patient, disease, truth, probabilities of the images)."""
    rows = [
        {
            "row": number, "patient_id": patient, "disease": disease, "truth": truth, "slice": k, "side": "left",
            "probability": probability, "counted": True, "sex": "FM"[number % 2], "age": 5.0 * number,
            "centre": None, "field_strength_t": 3.0, "severity": 0.2,
            "label": CLASSES[int(np.mean(probabilities) >= 0.5)], "warnings": "",
        }
        for number, (patient, disease, truth, probabilities) in enumerate(patients, 2)
        for k, probability in enumerate(probabilities)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def published():
    """Images with the decisions that Table 3 of Yang et al. 2021 counts, one a patient."""
    counts = (("DMD", 1, 123, 7), ("BMD", 1, 81, 17), ("other", 0, 35, 385))
    return image_table(
        [
            (f"{disease}{n}", disease, truth, [0.9 if n < called else 0.1])
            for disease, truth, called, missed in counts
            for n in range(called + missed)
        ]
    )


def cell(table, column, **where):
    """The cell of the one row in which the columns have these values."""
    frame = table.frame
    for name, value in where.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0][column]


def test_table_1_is_that_of_the_paper(published):
    table, further = tables.table1(units_of(published), 0.5, CLASSES, seed=0)
    figures = {
        name: cell_text(name, cell(table, name, Per="Images", Interval=tables.PUBLISHED))
        for name in ("Accuracy", "Specificity", "Sensitivity")
    }
    assert figures == {
        "Accuracy": "0.91 (0.88, 0.93)",
        "Specificity": "0.92 (0.89, 0.94)",
        "Sensitivity": "0.89 (0.85, 0.93)",
    }
    assert cell(further, "F1", Per="Images", Interval=tables.PUBLISHED) == pytest.approx(0.874, abs=5e-4)
    for interval in (tables.PUBLISHED, tables.BOOTSTRAP):
        assert cell(further, "LR+", Per="Images", Interval=interval).value == pytest.approx(10.7, abs=0.05)
        assert cell(further, "LR−", Per="Images", Interval=interval).value == pytest.approx(0.115, abs=5e-4)


def test_table_3_is_that_of_the_paper(published):
    table = tables.by_disease(units_of(published), 0.5, CLASSES, seed=0)
    assert list(table.frame["Disease"]) == ["DMD", "BMD", "other"]
    assert cell(table, "Images right, Wilson", Disease="DMD").value == pytest.approx(0.946, abs=5e-4)
    assert cell(table, "Images right, Wilson", Disease="BMD").value == pytest.approx(0.827, abs=5e-4)
    assert cell(table, "Figure", Disease="other") == "specificity"


def test_the_bootstrap_knows_that_images_of_a_patient_are_not_independent():
    """Forty patients with ten alike images each tell no more than forty images."""
    rng = np.random.default_rng(0)
    images = image_table(
        [(f"P{n}", "DMD" if n % 2 else "healthy", n % 2, [float(rng.random())] * 10) for n in range(40)]
    )
    published, drawn = published_figures(images, 0.5), bootstrap_figures(images, 0.5, seed=0)
    alone = published_figures(by_patient(images), 0.5)
    width = {name: figure.high - figure.low for name, figure in drawn.items()}
    assert width["Accuracy"] > 2 * (published["Accuracy"].high - published["Accuracy"].low)
    for name in ("Accuracy", "AUC"):
        assert width[name] == pytest.approx(alone[name].high - alone[name].low, rel=0.25)
    assert f"{published['AUC']:.3f}" == f"{alone['AUC']:.3f}"


def test_a_group_of_one_class_shows_what_can_be_computed():
    images = image_table([("A", "DMD", 1, [0.9, 0.8]), ("B", "DMD", 1, [0.7]), ("C", "BMD", 1, [0.2])])
    table, _ = tables.table1(units_of(images), 0.5, CLASSES, seed=0)
    row = {name: text for name, text in table.rows[0]}
    assert row["Sensitivity"].startswith("0.75 (")
    assert (row["Specificity"], row["AUC"]) == ("–", "–")
    bootstrap = {name: text for name, text in table.rows[1]}
    assert bootstrap["Sensitivity"] == "0.75 (–)"


def test_groups_are_in_order_and_unknown_ones_are_named():
    images = image_table([(f"P{n}", "DMD" if n % 2 else "healthy", n % 2, [0.9]) for n in range(24)])
    table = tables.by_group(units_of(images), 0.5, CLASSES, seed=0)
    groups = {by: list(dict.fromkeys(part["Group"])) for by, part in table.frame.groupby("By")}
    assert groups["Age"] == [
        "10 to 19 years", "20 to 39 years", "40 to 59 years", "60 years and over",
    ]  # fmt: skip
    assert groups["Centre"] == [tables.NOT_GIVEN]
    assert groups["Field strength"] == ["3 T"]
    counted = table.frame[(table.frame["By"] == "Age") & (table.frame["Per"] == "patients")]
    assert counted["Positive"].sum() + counted["Negative"].sum() == 24


def test_a_table_keeps_full_precision_in_csv_and_reads_well_in_markdown():
    table = tables.Table("t", "Title", pd.DataFrame({"Who": ["a|b"], "AUC": [Estimate(2 / 3, 0.1, 0.9)], "n": [3]}))
    assert table.csv().splitlines()[0] == "Who,AUC,AUC low,AUC high,n"
    assert float(table.csv().splitlines()[1].split(",")[1]) == 2 / 3
    assert "| a\\|b | 0.667 (0.100, 0.900) | 3 |" in table.markdown()
    assert "| --- | ---: | ---: |" in table.markdown()


def test_a_patient_is_the_mean_of_the_counted_images():
    images = image_table([("A", "DMD", 1, [0.9, 0.5, 0.1]), ("B", "healthy", 0, [0.3])])
    images.loc[2, "counted"] = False
    patients = by_patient(images).set_index("patient_id")
    assert patients.loc["A", "probability"] == pytest.approx(0.7)
    assert patients.loc["A", "images"] == 2


def test_the_gallery_shows_typical_right_cases_of_several_diseases_and_the_worst_wrong_ones():
    images = image_table(
        [
            ("dmd typical", "DMD", 1, [0.8]), ("dmd surest", "DMD", 1, [0.99]), ("bmd", "BMD", 1, [0.6]),
            ("missed a little", "BMD", 1, [0.45]), ("missed", "BMD", 1, [0.2, 0.0]),
            ("right", "healthy", 0, [0.1]), ("wrong", "GNE", 0, [0.7]),
        ]
    )  # fmt: skip
    chosen = choose(images, by_patient(images), 0.5)
    assert [(item.kind, item.patient_id) for item in chosen] == [
        ("true positive", "dmd typical"),
        ("true positive", "bmd"),
        ("true positive", "dmd surest"),
        ("true negative", "right"),
        ("false positive", "wrong"),
        ("false negative", "missed"),
        ("false negative", "missed a little"),
    ]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Six phantoms with truth, one of which shows no thigh, and one series that nobody can read."""
    folder = tmp_path_factory.mktemp("cohort") / "phantoms"
    patients = [
        Patient(n, disease, "test" if n > 1 else "train", "A", 2, "both") for n, disease in enumerate(DISEASES, 1)
    ]
    table = write_cohort(patients, folder, seed=8, matrix=128)
    # Too blurred for a femur.
    second = str(folder / "P0002" / "T1.nii.gz")
    image = sitk.ReadImage(second)
    blurred = sitk.GetImageFromArray(gaussian_filter(sitk.GetArrayFromImage(image), (0, 2, 2)))
    blurred.CopyInformation(image)
    sitk.WriteImage(blurred, second)
    (folder / "broken.nii.gz").write_bytes(b"no image")
    cells = table.read_text().splitlines()
    broken = dict(zip(cells[0].split(","), cells[-1].split(","), strict=True))
    broken |= {"patient_id": "P0099", "path": "broken.nii.gz"}
    table.write_text("\n".join([*cells, ",".join(broken.values())]) + "\n")
    return table


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_package(tmp_path_factory.mktemp("model") / "package", recipe=SMALL_RECIPE, seed=3, bias=BIAS)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, cohort, package):
    out = tmp_path_factory.mktemp("out") / "evaluation"
    summary = run(package, cohort, out)
    return out, summary


def run(package, cohort, out, *, split=None, overwrite=False, quick=False):
    how = EvaluationOptions("cpu", overwrite, silent, quick=quick)
    return json.loads(evaluate(package, cohort, out, how, split=split, seed=1).to_json())


def test_all_files_are_written_and_the_test_split_is_evaluated(evaluated):
    out, summary = evaluated
    assert {path.name for path in out.iterdir()} == set(REPORT.files)
    assert json.loads((out / "evaluation.json").read_text()) == summary
    assert summary["cohort"]["split"] == "test"
    assert summary["cohort"]["patients"] == 4
    for name in ("roc", "probability_by_disease", "calibration", "heat_in_diseased_muscle", "deletion_insertion"):
        assert (out / "figures" / f"{name}.svg").stat().st_size > 2000
        assert (out / "figures" / f"{name}.png").stat().st_size > 2000
    assert {path.suffix for path in (out / "tables").iterdir()} == {".csv", ".md"}
    # Three and two patients draw no band.
    assert "FillBetweenPolyCollection" not in (out / "figures" / "roc.svg").read_text()
    assert "without bands as a class has fewer than 10 patients" in (out / "report.html").read_text(encoding="utf-8")


def test_an_auc_has_one_interval_in_legend_table_and_terminal(evaluated):
    out, summary = evaluated
    table = pd.read_csv(out / "tables" / "table1.csv").set_index(["Per", "Interval"])
    legend, terminal = Page(out / "report.html"), "\n".join(EvaluationSummary.model_validate(summary).lines())
    drawn = " ".join(attrs.get("alt", "") for _, attrs in legend.tags)
    for unit in ("Images", "Patients"):
        row = table.loc[(unit, tables.PUBLISHED)]
        area, low, high = (row[name] for name in ("AUC", "AUC low", "AUC high"))
        assert f"{unit}: AUC {area:.3f} ({low:.3f}, {high:.3f})" in drawn
        assert f"{unit.lower()}: AUC {area:.3f} ({low:.3f} to {high:.3f})" in terminal
    assert (NOT_SHOWN_TO_TELL in terminal) == (low <= 0.5)


def test_probabilities_are_those_that_classify_gives(evaluated, cohort, package):
    images = pd.read_csv(evaluated[0] / "predictions.csv")
    result = (
        Classifier(ModelPackage.read(package), "cpu").classify(read_study(cohort.parent / "P0004" / "T1.nii.gz")).result
    )
    found = images[images["patient_id"] == "P0004"]
    assert list(found["probability"]) == pytest.approx([image.probability for image in result.images])
    patients = pd.read_csv(evaluated[0] / "patients.csv").set_index("patient_id")
    assert patients.loc["P0004", "probability"] == pytest.approx(result.case.probability)
    assert patients.loc["P0004", "label"] == result.case.label


def test_the_called_images_are_deleted_and_inserted(evaluated):
    out, _ = evaluated
    images = pd.read_csv(out / "predictions.csv")
    called = images[images["counted"] & (images["probability"] >= 0.5)]
    table = pd.read_csv(out / "tables" / "deletion_insertion.csv").set_index("Disease")
    assert 0 < len(called) < len(images)
    assert table.loc["all", "Images"] == len(called)
    assert table["Images"].drop("all").to_dict() == called["disease"].value_counts().to_dict()
    assert table[["Deletion", "Insertion", "Deletion, random", "Insertion, random"]].stack().between(0, 1).all()


def test_a_model_that_calls_no_image_has_no_evidence_to_delete(cohort, tmp_path):
    package = make_package(tmp_path / "package", recipe=SMALL_RECIPE, bias=-20.0)
    run(package, cohort, tmp_path / "out", split="train")
    assert "No image was called dystrophinopathy" in Page(tmp_path / "out" / "report.html").text
    assert not (tmp_path / "out" / "figures" / "heat_in_diseased_muscle.svg").exists()
    assert not (tmp_path / "out" / "tables" / "deletion_insertion.csv").exists()


def test_a_quick_evaluation_says_what_it_leaves_out(cohort, package, tmp_path):
    run(package, cohort, tmp_path / "out", split="train", quick=True)
    assert "Deletion and insertion were left out (--quick)." in Page(tmp_path / "out" / "report.html").text
    assert not (tmp_path / "out" / "tables" / "deletion_insertion.csv").exists()


def test_a_series_that_cannot_be_read_is_listed_with_its_reason(evaluated):
    out, summary = evaluated
    assert summary["cohort"]["series_failed"] == 2
    failures = pd.read_csv(out / "failures.csv")
    assert list(failures["patient_id"]) == ["P0002", "P0099"]
    for reason in failures["reason"]:
        assert reason in Page(out / "report.html").text
    last = list(EvaluationSummary.model_validate(summary).lines())[-1]
    assert "2 series are in no figure: row 3 (The shaft of the femur" in last
    assert "), row 8 (" in last


class Page(HTMLParser):
    """Tags with attributes, and the text of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self._text = [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self._text.append(data)


def test_the_report_opens_offline_and_says_what_it_is_worth(evaluated):
    page = Page(evaluated[0] / "report.html")
    sources = [attrs["src"] for tag, attrs in page.tags if "src" in attrs]
    assert len(sources) > 5
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:|//|file:)", page.source)
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    assert page.text.count("Research only, not for diagnosis.") == 2
    assert "Evaluated on synthetic images" in page.text
    assert "The model was trained on nothing." in page.text
    assert NOT_SHOWN_TO_TELL in page.text
    assert "Does the heatmap look where the disease is?" in page.text
    assert "Trefoil" in page.text or "trefoil" in page.text


def test_a_model_of_many_classes_is_evaluated_by_rank(cohort, tmp_path):
    package = make_package(
        tmp_path / "package", recipe=FOUR_CLASSES.replace('= ["CMD"]', '= ["CMD", "BMD"]'), **CARD_OF_FOUR
    )
    summary = run(package, cohort, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(REPORT.files)
    patients = pd.read_csv(tmp_path / "out" / "patients.csv")
    columns = probability_columns(CARD_OF_FOUR["classes"])
    said = patients[columns].to_numpy().argmax(axis=1)
    assert summary["figures"]["patients"]["Top-1 accuracy"]["value"] == pytest.approx(
        (said == patients["truth"]).mean()
    )
    np.testing.assert_allclose(patients[columns].sum(axis=1), 1)
    page = Page(tmp_path / "out" / "report.html")
    assert "Confusion matrix of patients" in page.text
    assert "top-3 accuracy" in page.text
    assert "Does the heatmap look where the disease is?" in page.text
    matrix = pd.read_csv(tmp_path / "out" / "tables" / "confusion.csv").set_index("Truth")
    assert matrix.to_numpy().sum() == len(patients) == 4


@pytest.fixture(scope="module")
def without_splits(cohort, tmp_path_factory):
    """The readable series of the cohort under other names and patients, in a table without splits."""
    folder = tmp_path_factory.mktemp("without")
    rows = [
        {"patient_id": f"Q{n}", "path": f"{n}.nii.gz", "diagnosis": disease} for n, disease in enumerate(DISEASES, 1)
    ]
    for n, row in enumerate(rows, 1):
        shutil.copy(cohort.parent / f"P{n:04}" / "T1.nii.gz", folder / row["path"])
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    return folder / "cohort.csv"


def package_that_has_seen(folder, *series):
    """A package whose card says that it was fitted to these series."""
    seen = tuple(hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in series)
    return make_package(folder / "package", recipe=SMALL_RECIPE, seed=3, bias=BIAS, seen=seen)


def test_without_splits_only_patients_that_the_model_has_not_seen_are_evaluated(cohort, without_splits, tmp_path):
    package = package_that_has_seen(tmp_path, *(cohort.parent / f"P{n:04}" / "T1.nii.gz" for n in (1, 4)))
    summary = run(package, without_splits, tmp_path / "out")
    patients = pd.read_csv(tmp_path / "out" / "patients.csv")["patient_id"]
    assert sorted(patients) == ["Q3", "Q5", "Q6"]
    assert summary["cohort"]["seen_in_training"] == 0
    text = Page(tmp_path / "out" / "report.html").text
    assert "patients of the cohort that the model has not seen in training" in text
    assert "Too good" not in text


def test_a_model_of_other_splits_than_the_tables_is_tested_on_whom_it_has_not_seen(cohort, tmp_path):
    """P0001 is a training patient of the table, P0002 a test patient; this model was trained the other way round."""
    package = package_that_has_seen(tmp_path, cohort.parent / "P0002" / "T1.nii.gz")
    summary = run(package, cohort, tmp_path / "out")
    patients = pd.read_csv(tmp_path / "out" / "patients.csv")["patient_id"]
    assert sorted(patients) == ["P0001", "P0003", "P0004", "P0005", "P0006"]
    assert (summary["cohort"]["split"], summary["cohort"]["seen_in_training"]) == (None, 0)


def test_figures_of_patients_that_the_model_has_seen_are_said_to_be_too_good(cohort, tmp_path):
    package = package_that_has_seen(tmp_path, cohort.parent / "P0003" / "T1.nii.gz")
    summary = run(package, cohort, tmp_path / "out", split="test")
    assert summary["cohort"]["seen_in_training"] == 1
    assert "Too good: 1 of these 4 patients was used in training" in Page(tmp_path / "out" / "report.html").text


def test_of_a_cohort_that_was_seen_whole_the_figures_are_said_to_be_too_good(without_splits, tmp_path):
    package = package_that_has_seen(tmp_path, *(without_splits.parent / f"{n}.nii.gz" for n in range(1, 7)))
    summary = run(package, without_splits, tmp_path / "out")
    assert summary["cohort"]["patients"] == summary["cohort"]["seen_in_training"] == 5
    assert "Too good: 5 of these 5 patients were used" in summary["notices"][-2]
    with pytest.raises(InputError, match="has no splits; leave --split out"):
        run(package, without_splits, tmp_path / "other", split="test")


def test_nothing_tells_where_the_cohort_lay(evaluated, cohort):
    for path in evaluated[0].rglob("*"):
        if path.suffix in (".html", ".csv", ".json", ".md"):
            assert str(cohort.parent) not in path.read_text(encoding="utf-8")


def test_equal_input_and_seed_give_equal_files(evaluated, cohort, package, tmp_path):
    run(package, cohort, tmp_path / "again")
    for path in evaluated[0].rglob("*"):
        if path.is_file():
            assert (tmp_path / "again" / path.relative_to(evaluated[0])).read_bytes() == path.read_bytes(), path.name


def test_an_earlier_evaluation_is_replaced_only_on_demand(evaluated, cohort, package, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(evaluated[0], out)
    with pytest.raises(InputError, match="output folder"):
        run(package, cohort, out)
    (out / "predictions.csv").unlink()
    run(package, cohort, out, overwrite=True, split="train")
    assert pd.read_csv(out / "patients.csv")["patient_id"].tolist() == ["P0001"]
    assert list(tmp_path.iterdir()) == [out]
    (out / "mine.txt").write_text("not ours")
    with pytest.raises(InputError, match="other files"):
        run(package, cohort, out, overwrite=True)
    assert (out / "mine.txt").exists()


def test_bad_input_is_refused_before_any_work(cohort, package, tmp_path):
    with pytest.raises(InputError, match="no case in the split 'validation'"):
        run(package, cohort, tmp_path / "out", split="validation")
    with pytest.raises(InputError, match="no split 'exam'"):
        run(package, cohort, tmp_path / "out", split="exam")
    with pytest.raises(InputError, match="model package"):
        run(tmp_path / "none", cohort, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_cohort_of_unreadable_series_is_an_error(cohort, package, tmp_path):
    lines = cohort.read_text().splitlines()
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    (tmp_path / "cohort.csv").write_text("\n".join([lines[0], lines[-1]]) + "\n")
    with pytest.raises(InputError, match="None of the 1 series"):
        run(package, tmp_path / "cohort.csv", tmp_path / "out")
