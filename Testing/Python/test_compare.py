"""Comparison of models: tables side by side, and training that goes on where it stopped."""

import json

import pandas as pd
import pytest
from model_packages import CARD_OF_FOUR, FOUR_CLASSES, make_package

from DystrophyDxLib.cohort.seen import seen_keys
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation import compare as module
from DystrophyDxLib.evaluation.compare import REPORT, compare
from DystrophyDxLib.evaluation.summaries import ComparisonSummary
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.reporting.progress import silent

DISEASES = {
    "train": ("DMD", "BMD", "FSHMD", "healthy"),
    "validation": ("DMD", "BMD", "FSHMD", "healthy"),
    "test": ("DMD", "BMD", "FSHMD", "healthy"),
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    cases = [(disease, split) for split, diseases in DISEASES.items() for disease in diseases]
    patients = [Patient(n, disease, split, "A", 2, "both") for n, (disease, split) in enumerate(cases, 1)]
    return write_cohort(
        patients, tmp_path_factory.mktemp("cohort") / "phantoms", seed=1, matrix=256, file_format="dicom"
    )


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [make_package(folder / f"model{n}", seed=n) for n in range(2)]


def run(cohort, out, **options):
    options = {
        "recipe": "embedded", "backbones": [], "packages": [], "weights": None, "cache": None, "split": None,
        "device": "cpu", "processes": 1, "seed": 1, "advance": silent,
    } | options  # fmt: skip
    return json.loads(compare(cohort, out, **options).to_json())


@pytest.fixture
def trained(monkeypatch):
    """Training that only writes a package, or fails for vgg19; gives the backbones that were trained."""
    calls = []

    def train(recipe, cohort, out, **options):
        calls.append(recipe.network.backbone)
        assert {case.split for case in cohort.cases} == {"train", "validation", "test"}
        if recipe.network.backbone == "vgg19":
            raise InputError("The loss is not a number; lower the learning rate.")
        return make_package(out, seed=len(calls))

    monkeypatch.setattr(module, "train", train)
    return calls


def test_packages_are_compared_on_the_same_images(cohort, packages, tmp_path):
    summary = run(cohort, tmp_path / "out", packages=packages)
    results = tmp_path / "out" / "comparison"
    assert {path.name for path in results.iterdir()} == set(REPORT.files)
    assert json.loads((results / "comparison.json").read_text()) == summary
    assert list(summary["models"]) == ["model0", "model1"]
    assert summary["cohort"]["patients"] == len(DISEASES["test"])
    table = pd.read_csv(results / "tables" / "table1.csv")
    assert set(table["Model"]) == {"model0", "model1"}
    assert len(set(table[table["Per"] == "images"]["Positive"])) == 1
    differences = pd.read_csv(results / "tables" / "differences.csv")
    other = next(name for name in summary["models"] if name != summary["best"])
    assert list(differences["Model"]) == [other]
    areas = {name: model["patients"]["AUC"]["value"] for name, model in summary["models"].items()}
    assert areas[summary["best"]] == max(areas.values())
    (minus,) = (name for name in differences if name == f"AUC, this minus {summary['best']}, patients")
    assert differences[minus][0] == pytest.approx(areas[other] - areas[summary["best"]])
    assert (results / "figures" / "roc_images.svg").exists()
    text = (results / "report.html").read_text(encoding="utf-8")
    assert "Research only, not for diagnosis." in text
    assert "Evaluated on synthetic images" in text


def test_a_model_that_has_seen_the_patients_is_named(cohort, packages, tmp_path):
    recipe = ModelPackage.read(packages[0]).recipe
    knowing = make_package(tmp_path / "knowing", seen=seen_keys(Cohort.read(cohort, recipe).of_split("test").cases))
    run(cohort, tmp_path / "out", packages=[packages[0], knowing], split="test")
    text = (tmp_path / "out" / "comparison" / "report.html").read_text(encoding="utf-8")
    patients = len(DISEASES["test"])
    assert f"knowing: Too good: {patients} of these {patients} patients were used in training" in text
    assert "model0: Too good" not in text


def test_a_model_does_not_differ_from_itself(cohort, packages, tmp_path):
    copy = make_package(tmp_path / "copy", seed=0)
    best = run(cohort, tmp_path / "out", packages=[packages[0], copy])["best"]
    row = pd.read_csv(tmp_path / "out" / "comparison" / "tables" / "differences.csv").iloc[0]
    assert row[f"AUC, this minus {best}, images"] == 0
    assert row["p, images"] == 1
    assert row["Only this right"] == 0
    assert row["p, McNemar"] == 1
    text = (tmp_path / "out" / "comparison" / "report.html").read_text(encoding="utf-8")
    told = "Not shown to tell the classes apart, as the interval of their AUC reaches chance: "
    assert told in text.partition("<h2>In brief</h2>")[2].partition("</section>")[0].replace("&#39;", "'")
    written = (tmp_path / "out" / "comparison" / "comparison.json").read_text(encoding="utf-8")
    assert any(told in line for line in ComparisonSummary.model_validate_json(written).lines())


def test_a_backbone_that_fails_is_told_and_the_others_go_on(cohort, tmp_path, trained):
    summary = run(cohort, tmp_path / "out", backbones=["vgg19", "resnet18", "resnet50"])
    assert trained == ["vgg19", "resnet18", "resnet50"]
    assert list(summary["models"]) == ["resnet18", "resnet50"]
    assert [failure["model"] for failure in summary["failures"]] == ["vgg19"]
    assert "not a number" in (tmp_path / "out" / "comparison" / "report.html").read_text(encoding="utf-8")


def test_models_of_many_classes_are_compared_by_rank(cohort, tmp_path):
    text = FOUR_CLASSES.replace('= ["CMD"]', '= ["CMD", "BMD"]')
    packages = [make_package(tmp_path / f"model{n}", recipe=text, seed=n, **CARD_OF_FOUR) for n in range(2)]
    summary = run(cohort, tmp_path / "out", recipe=None, packages=packages)
    results = tmp_path / "out" / "comparison"
    assert {path.name for path in results.iterdir()} == set(REPORT.files)
    table = pd.read_csv(results / "tables" / "table1.csv")
    assert {"Top-1 accuracy", "Top-3 accuracy", "AUC"} < set(table.columns)
    areas = {name: model["patients"]["AUC"]["value"] for name, model in summary["models"].items()}
    assert areas[summary["best"]] == max(areas.values())
    row = pd.read_csv(results / "tables" / "differences.csv").iloc[0]
    assert 0 <= row["p, McNemar"] <= 1


def test_finished_backbones_are_kept_when_run_again(cohort, tmp_path, trained):
    first = run(cohort, tmp_path / "out", backbones=["resnet18", "resnet50"])
    again = run(cohort, tmp_path / "out", backbones=["resnet18", "resnet50", "densenet121"])
    assert trained == ["resnet18", "resnet50", "densenet121"]
    for name, model in first["models"].items():
        assert again["models"][name]["sha256"] == model["sha256"]


def test_weights_that_cannot_be_fetched_are_told_before_any_training(cohort, tmp_path, trained, monkeypatch):
    def offline(*_, **__):
        raise OSError("no route")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr("DystrophyDxLib.models.published_weights.urlopen", offline)
    monkeypatch.setattr("DystrophyDxLib.models.published_weights._unreachable", set())
    with pytest.raises(InputError, match="Fewer than two models are left to compare; give more of them") as raised:
        run(cohort, tmp_path / "out", recipe="yang2021", backbones=["resnet50", "densenet121"])
    assert trained == []
    message = str(raised.value)
    assert "resnet50: torchvision's weights could not be fetched; get resnet50-" in message
    assert "densenet121: torchvision's" in message
    assert not {".;", ".)", "FILE"} & {message[n : n + width] for n in range(len(message)) for width in (2, 4)}


def test_another_comparison_is_never_mixed_in(cohort, tmp_path, trained):
    run(cohort, tmp_path / "out", backbones=["resnet18", "resnet50"])
    for other in ({"seed": 2}, {"recipe": "yang2021"}):
        with pytest.raises(InputError, match="another cohort, recipe or seed"):
            run(cohort, tmp_path / "out", backbones=["resnet18", "resnet50"], **other)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(InputError, match="other files"):
        run(cohort, tmp_path / "mine", backbones=["resnet18", "resnet50"])


def test_bad_input_is_refused_before_any_training(cohort, packages, tmp_path, trained):
    (tmp_path / "weights").mkdir()
    for options, said in (
        ({"backbones": ["resnet18", "alexnet"]}, "not known"),
        ({"backbones": ["resnet18", "resnet18"]}, "same name"),
        ({"backbones": ["resnet18"], "packages": [tmp_path / "none"]}, "no model package"),
        ({"backbones": ["resnet18"], "weights": tmp_path / "weights"}, "No file for resnet18"),
        ({"backbones": ["resnet18"], "split": "exam"}, "no split"),
    ):
        with pytest.raises(InputError, match=said):
            run(cohort, tmp_path / "out", **options)
    assert trained == []
    with pytest.raises(InputError, match="Fewer than two models"):
        run(cohort, tmp_path / "out", packages=packages[:1])


def test_an_interruption_ends_the_comparison(cohort, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise InputError("Training was interrupted; run the same command again to go on from here.")

    monkeypatch.setattr(module, "train", interrupted)
    with pytest.raises(InputError, match="run the same command again"):
        run(cohort, tmp_path / "out", backbones=["resnet18", "resnet50"])


def test_a_backbone_is_trained_by_the_recipe(cohort, packages, tmp_path):
    recipe = tmp_path / "quick.toml"
    recipe.write_text(packages[0].joinpath("recipe.toml").read_text())
    summary = run(cohort, tmp_path / "out", recipe=str(recipe), backbones=["resnet18"], packages=packages[:1])
    assert list(summary["models"]) == ["model0", "resnet18"]
    assert (tmp_path / "out" / "packages" / "resnet18" / "model.safetensors").exists()
