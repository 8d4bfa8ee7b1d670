"""`dystrophydx texture`: networks beside other texture methods."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch
from model_packages import make_package
from statsmodels.stats.proportion import proportion_confint
from torchvision import models

from DystrophyDxLib.cohort.splits import FOLDS, k_folds, read_folds, write_folds
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation import texture as module
from DystrophyDxLib.evaluation.phantom_truth import read_muscles, read_truth
from DystrophyDxLib.evaluation.texture import REPORT, texture
from DystrophyDxLib.evaluation.texture_images import TextureImages
from DystrophyDxLib.evaluation.texture_methods import (
    texture_methods,
)
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.reporting.progress import silent
from DystrophyDxLib.series.reading import read_channels

pytestmark = pytest.mark.slow

SIZE = 112


def small_recipe(pooled) -> Recipe:
    """cai2019 at half the size, from random weights."""
    published = Recipe.named("cai2019").model_dump()
    published["network"] |= {"weights": "none", "pooled": pooled}
    published["sample"]["size"] = SIZE
    for stage in published["training"]["stages"]:
        stage["size"] = SIZE
    return Recipe.model_validate(published)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    patients = [Patient(n, ("DMD", "CMD", "healthy")[n % 3], "train", "A", 1, "left") for n in range(1, 19)]
    contrasts = ("T1", "DIXON_FAT", "DIXON_WATER", "DIXON_FF")
    folder = tmp_path_factory.mktemp("cohort") / "dixon"
    return write_cohort(patients, folder, seed=2, matrix=128, contrasts=contrasts)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(small_recipe(("stage3", "stage5")).toml())
    return path


@pytest.fixture(scope="module")
def trained(cohort, tmp_path_factory):
    """Two networks with a package of random weights a fold, as `train --split-by kfold:3` lays them out."""
    folders = []
    for name, pooled in (("icam", ("stage3", "stage5")), ("plain", ("stage5",))):
        found = small_recipe(pooled)
        folder = tmp_path_factory.mktemp(name) / name
        write_folds(folder / FOLDS, k_folds(Cohort.read(cohort, found), 3, seed=1))
        for n in range(1, 4):
            make_package(
                folder / f"fold{n}", recipe=found.toml(), seed=n, classes=("normal", "CMD", "DMD"), threshold=None
            )
        folders.append(folder)
    return folders


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file for ResNet18 alone: VGG16 cannot be tried."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(1)
    torch.save(models.resnet18().state_dict(), folder / "resnet18.pth")
    return folder


def run(cohort, out, recipe, **options):
    options = {
        "models": [], "folds": 3, "muscles": None, "weights": None, "cache": out.with_name("cache"), "device": "cpu",
        "processes": 1, "seed": 1, "overwrite": False, "advance": silent,
    } | options  # fmt: skip
    return json.loads(texture(cohort, out, recipe=str(recipe), **options).to_json())


@pytest.fixture(scope="module")
def analysed(cohort, recipe, trained, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("analysis") / "out"
    return run(cohort, out, recipe, models=trained, weights=weights), out


def test_the_command_writes_what_it_says(analysed):
    summary, out = analysed
    assert {path.name for path in out.iterdir()} == set(REPORT.files)
    assert json.loads((out / "texture.json").read_text()) == summary
    assert [failure["method"] for failure in summary["failures"]] == ["VGG16-FC7, SVM"]
    assert list(summary["accuracy"]) == [
        "Mean fat fraction, kNN", "Statistical texture, kNN", "Statistical texture, SVM", "Patch dictionary, SVM",
        "ResNet18-GAP, SVM", "icam", "plain",
    ]  # fmt: skip
    text = (out / "report.html").read_text(encoding="utf-8")
    for told in ("Research only, not for diagnosis.", "Evaluated on synthetic images", "Demonstration model"):
        assert told in text
    assert "dystrophinopath" not in text.casefold()
    assert {path.stem for path in (out / "figures").glob("*.svg")} >= {"neurons"}


def test_every_accuracy_can_be_counted_again_from_the_predictions(analysed):
    summary, out = analysed
    rows = pd.read_csv(out / "predictions.csv", keep_default_na=False)
    for method, accuracy_of in summary["accuracy"].items():
        right = rows[method] == rows["truth"]
        folds = right.groupby(rows["fold"]).mean()
        assert accuracy_of["images"]["folds"] == pytest.approx(folds.tolist())
        figures = accuracy_of["images"]
        assert [figures[name] for name in ("mean", "maximum", "minimum")] == pytest.approx(
            [folds.mean(), folds.max(), folds.min()]
        )
        low, high = proportion_confint(right.sum(), len(right), method="wilson")
        assert figures["all"]["value"] == pytest.approx(right.mean())
        assert figures["all"]["ci95"] == pytest.approx([max(low, 0), min(high, 1)])
    assert summary["chance"]["images"] == pytest.approx(rows["truth"].value_counts(normalize=True).max())
    assert not rows.duplicated(["patient_id", "row", "slice", "side"]).any()
    assert set(rows["side"]) == {"left"}
    tables = pd.read_csv(out / "tables" / "table2.csv")
    assert list(tables["Maps"]) == ["ICAM-14²", "4²"]


def test_a_network_answers_only_for_patients_whom_it_has_not_seen(analysed, cohort, recipe, trained):
    """The first image of fold 1 by hand, through the package of fold 1 alone."""
    from DystrophyDxLib.classify import Classifier
    from DystrophyDxLib.models.package import ModelPackage

    _, out = analysed
    rows = pd.read_csv(out / "predictions.csv", keep_default_na=False)
    cases = Cohort.read(cohort, Recipe.parse(recipe.read_text()))
    folds = read_folds(trained[0] / FOLDS, cases)
    assert rows.set_index("patient_id")["fold"].to_dict() == folds
    classifier = Classifier(ModelPackage.read(trained[0] / "fold1"), "cpu")
    case = next(case for case in cases.cases if folds[case.patient_id] == 1)
    found = classifier.classify(read_channels(case.path, case.further)).result
    said = found.model.classes[int(np.argmax(found.images[0].probabilities))]
    assert rows.loc[rows["patient_id"] == case.patient_id, "icam"].iloc[0] == said


def test_tables_of_neurons_heat_and_muscles_hold_every_class(analysed):
    _, out = analysed
    neurons = pd.read_csv(out / "tables" / "neurons.csv")
    assert len(neurons) == 2 * 3 * 2  # networks, pairs of classes, distances
    assert set(neurons["Neurons"]) == {128 + 512, 512}
    heat = pd.read_csv(out / "tables" / "localisation.csv", keep_default_na=False)
    assert set(heat["Network"]) == {"icam", "plain"}
    assert {"DMD", "CMD"} < set(heat["Class"])
    images = pd.read_csv(out / "heat.csv").set_index(["row", "slice", "side"])
    differences = pd.read_csv(out / "tables" / "differences.csv", keep_default_na=False).set_index("Class")
    assert set(differences["Networks"]) == {"icam minus plain"}
    for disease, of_class in (("all", images["disease"].notna()), ("DMD", images["disease"] == "DMD")):
        for title, figure in {"accuracy": "right", "pointing game": "pointing"}.items():
            own, other = (images[of_class & (images["network"] == name)][figure] for name in ("icam", "plain"))
            assert differences.loc[disease, f"Difference, {title}"] == pytest.approx((own - other).mean())
            assert differences.loc[disease, "Patients"] == images[of_class]["patient_id"].nunique()
    scores = pd.read_csv(out / "muscles.csv", keep_default_na=False)
    assert scores["score"].between(0, 1).all()
    table = pd.read_csv(out / "tables" / "table3.csv", keep_default_na=False).set_index("Muscle")
    best = heat.loc[heat["Accuracy"].astype(float).idxmax(), "Network"]
    own = scores[(scores["network"] == best) & (scores["muscle"] == "gracilis") & (scores["truth"] == 2)]["score"]
    assert table.loc["gracilis", "DMD"] == f"{own.mean():.2f} ± {own.std():.2f}"
    assert table.loc["gracilis", "DMD, cases"] == len(own)


def test_equal_seeds_give_equal_answers_and_the_folds_are_of_patients(analysed, cohort, recipe, tmp_path, monkeypatch):
    first, _ = analysed
    quick = (0, 1, 4, 5)
    monkeypatch.setattr(module, "texture_methods", lambda *given: [texture_methods(*given)[n] for n in quick])
    again = run(cohort, tmp_path / "out", recipe, weights=tmp_path)  # no weights: two methods fail
    assert [failure["method"] for failure in again["failures"]] == ["VGG16-FC7, SVM", "ResNet18-GAP, SVM"]
    for method, figures in again["accuracy"].items():
        assert figures == first["accuracy"][method]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(REPORT.files) - {"heat.csv", "muscles.csv"}
    rows = pd.read_csv(tmp_path / "out" / "predictions.csv", keep_default_na=False)
    assert rows.groupby("patient_id")["fold"].nunique().max() == 1
    with pytest.raises(InputError, match="earlier results; give another folder, or add --overwrite"):
        run(cohort, tmp_path / "out", recipe)


def test_muscles_come_from_a_column_where_it_is_named(cohort, recipe, trained, tmp_path):
    """The truth, drawn by a reader under other names, gives the same scores as the truth itself."""
    folder = tmp_path / "cohort"
    shutil.copytree(cohort.parent, folder)
    table = pd.read_csv(folder / "cohort.csv", keep_default_na=False)
    table["drawn"] = table["patient_id"] + "/drawn.nrrd"
    table.to_csv(folder / "cohort.csv", index=False)
    for patient in table["patient_id"]:
        image = sitk.ReadImage(str(folder / patient / "truth" / "muscles.nii.gz"))
        image = image * (image == 7)
        image.SetMetaData("Segment0_Name", "Gracilis (reader)")
        image.SetMetaData("Segment0_LabelValue", "7")
        sitk.WriteImage(image, str(folder / patient / "drawn.nrrd"))
    case = Cohort.read(folder / "cohort.csv", Recipe.parse(recipe.read_text())).cases[0]
    series = read_channels(case.path, case.further)
    labels, names = read_muscles(folder / case.patient_id / "drawn.nrrd", series)
    assert names == {7: "Gracilis (reader)"}
    np.testing.assert_array_equal(labels == 7, read_truth(case, series).muscles == 7)
    with pytest.raises(InputError, match="no column sketches"):
        run(folder / "cohort.csv", tmp_path / "out", recipe, muscles="sketches")
    (folder / "P0003" / "drawn.nrrd").unlink()
    with pytest.raises(InputError, match=r"column drawn a segmentation does not exist \(row 4\)"):
        run(folder / "cohort.csv", tmp_path / "out", recipe, muscles="drawn")


def test_folders_that_do_not_belong_together_are_refused_before_any_work(
    cohort, recipe, trained, tmp_path, monkeypatch
):
    monkeypatch.setattr(module.SampleStore, "of", None)
    copy = tmp_path / "icam"
    shutil.copytree(trained[0], copy)
    with pytest.raises(InputError, match="the same name"):
        run(cohort, tmp_path / "out", recipe, models=[trained[0], copy])
    cases = Cohort.read(cohort, Recipe.parse(recipe.read_text()))
    (copy / FOLDS).unlink()
    with pytest.raises(InputError, match=f"icam holds no {FOLDS}"):
        run(cohort, tmp_path / "out", recipe, models=[copy])
    write_folds(copy / FOLDS, k_folds(cases, 3, seed=5))
    with pytest.raises(InputError, match="different folds"):
        run(cohort, tmp_path / "out", recipe, models=[copy, trained[1]])
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("\n".join((copy / FOLDS).read_text().splitlines()[:-1]))
    fewer.replace(copy / FOLDS)
    with pytest.raises(InputError, match="other patients"):
        run(cohort, tmp_path / "out", recipe, models=[copy])
    with pytest.raises(InputError, match="other classes or samples"):
        run(cohort, tmp_path / "out", "cai2019", models=trained[:1])
    with pytest.raises(InputError, match="no fat fraction"):
        TextureImages.of(None, Recipe.named("yang2021").sample)


def test_folds_that_are_there_are_never_mixed_with_others(cohort, recipe, tmp_path):
    cases = Cohort.read(cohort, Recipe.parse(recipe.read_text()))
    write_folds(tmp_path / FOLDS, k_folds(cases, 3, seed=1))
    write_folds(tmp_path / FOLDS, k_folds(cases, 3, seed=1))
    assert sorted(read_folds(tmp_path / FOLDS, cases)) == sorted(case.patient_id for case in cases.patients)
    with pytest.raises(InputError, match="another cohort, number of folds or seed"):
        write_folds(tmp_path / FOLDS, k_folds(cases, 3, seed=2))
