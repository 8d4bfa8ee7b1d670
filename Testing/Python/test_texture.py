"""Texture methods side by side: the published equations, rivals on planted textures, and the whole command."""

import itertools
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch
from model_packages import make_package
from scipy.spatial.distance import euclidean as scipy_euclidean
from statsmodels.stats.proportion import proportion_confint
from torchvision import models

from DystrophyDxLib.cohort.splits import FOLDS, k_folds, read_folds, write_folds
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.evaluation import texture as module
from DystrophyDxLib.evaluation.phantom_truth import read_muscles, read_truth
from DystrophyDxLib.evaluation.texture import FILES, texture
from DystrophyDxLib.evaluation.texture_images import TextureImages
from DystrophyDxLib.evaluation.texture_methods import (
    CENTROIDS,
    PatchDictionary,
    held_out_answers,
    published_features,
    rivals,
    statistical_texture,
    without_answer,
)
from DystrophyDxLib.evaluation.texture_networks import (
    BINS,
    PATCH,
    Responses,
    chi_square,
    class_histograms,
    euclidean,
    neurons_beside_fat,
    patch_map,
)
from DystrophyDxLib.models.backbones import BACKBONES
from DystrophyDxLib.models.cells import CellGrid
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.series.reading import read_channels

pytestmark = pytest.mark.slow


def silent(what, done, total):
    """Progress that nobody sees."""


# Equations.


def test_distances_of_histograms_are_those_worked_out_by_hand():
    p, q = np.array([[0.5, 0.5, 0.0, 0.0]]), np.array([[0.25, 0.25, 0.5, 0.0]])
    assert euclidean(p, q) == pytest.approx([np.sqrt(1 / 16 + 1 / 16 + 1 / 4)])
    assert euclidean(p, q) == pytest.approx([scipy_euclidean(p[0], q[0])])
    assert chi_square(p, q) == pytest.approx([0.5 * (1 / 12 + 1 / 12 + 1 / 2)])


def test_the_chi_square_distance_runs_from_0_of_equals_to_1_of_strangers():
    p, q = np.array([[0.2, 0.8, 0, 0]]), np.array([[0, 0, 0.7, 0.3]])
    assert chi_square(p, p) == [0]
    assert chi_square(p, q) == pytest.approx([1])


def test_responses_fall_into_twenty_even_bins_and_count_as_shares_of_their_class():
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(50, 3)) * [1, 10, 0.1] + [0, 5, -3], np.repeat([0, 1], [30, 20])
    found = class_histograms(values, labels)
    for label, neuron in itertools.product((0, 1), range(3)):
        own = values[labels == label, neuron]
        limits = values[:, neuron].min(), values[:, neuron].max()
        expected, _ = np.histogram(own, BINS, limits)
        np.testing.assert_allclose(found[label][neuron], expected / len(own))


def test_a_neuron_is_counted_where_it_sets_two_classes_further_apart_than_fat_does():
    """Fat tells the classes half; one neuron tells them wholly, one like fat, one not at all, and one is dead."""
    labels, fold = np.tile([0, 0, 1, 1], 10), np.repeat([1, 2], 20)
    fat = np.tile([0.0, 1.0, 1.0, 1.0], 10)
    neurons = np.column_stack([labels, fat, np.tile([0, 1], 20), np.full(40, 7.0)])
    found = neurons_beside_fat(neurons, fat, labels, fold)
    assert len(found) == 2 * 2  # folds and distances; one pair of classes
    assert (found["neurons"] == 4).all()
    assert (found["better"] == 1).all()
    chi = found[found["distance"] == "Chi-square"].iloc[0]
    assert chi["best"] == pytest.approx(1)
    assert chi["fat"] == pytest.approx(0.5 * (0.5 + 0.25 / 1.5))


# Rivals.

SIZE = 112


def planted(patients=24, images=2, seed=0) -> TextureImages:
    """Three classes whose fat has one histogram and one mean but lies in other patterns: single pixels, streaks and
    blocks. All amounts of fat occur in every class."""
    rng = np.random.default_rng(seed)
    labels, stacks, names = [], [], []
    muscle = np.zeros((SIZE, SIZE), bool)
    muscle[20:90, 20:90] = True
    for patient in range(patients):
        for _ in range(images):
            label, fat = patient % 3, rng.uniform(0.2, 0.8)
            shape = {0: (SIZE, SIZE), 1: (SIZE // 4, SIZE), 2: (SIZE // 4, SIZE // 4)}[label]
            field = rng.permutation(np.prod(shape)).reshape(shape) < fat * np.prod(shape)
            field = field.repeat(SIZE // shape[0], axis=0).repeat(SIZE // shape[1], axis=1)
            stacks.append(np.where(field, 136, 34).astype(np.uint8)[None])
            labels.append(label)
            names.append(f"P{patient}")
    return TextureImages(np.array(stacks), np.repeat(muscle[None], len(labels), 0), np.array(labels), np.array(names))


@pytest.fixture(scope="module")
def textures():
    return planted()


def accuracy(images, name):
    """Of a rival over two folds of patients."""
    rival = next(rival for rival in rivals(lambda _: None, seed=1) if rival.name == name)
    fold = np.array([int(patient[1:]) // 3 % 2 for patient in images.patients])
    answers = held_out_answers(rival, images, fold, seed=1)
    return np.mean([(said == images.labels[fold == n]).mean() for n, said in enumerate(answers)])


def test_fat_alone_cannot_tell_textures_of_one_mean_but_texture_can(textures):
    assert accuracy(textures, "Mean fat fraction, kNN") < 0.55
    for name in ("Statistical texture, kNN", "Statistical texture, SVM"):
        assert accuracy(textures, name) > 0.9
    assert accuracy(textures, "Patch dictionary, SVM") > 0.65


def test_labels_that_mean_nothing_are_told_by_chance(textures):
    rng = np.random.default_rng(3)
    of_patient = dict(zip(np.unique(textures.patients), rng.permutation(np.arange(24) % 3), strict=True))
    shuffled = TextureImages(
        textures.stacked, textures.muscle, np.array([of_patient[p] for p in textures.patients]), textures.patients
    )
    assert accuracy(shuffled, "Statistical texture, SVM") < 0.6


def test_what_lies_outside_the_muscles_does_not_count(textures):
    changed = textures.stacked.copy()
    changed[:, 0][~textures.muscle] = 255
    other = TextureImages(changed, textures.muscle, textures.labels, textures.patients)
    np.testing.assert_array_equal(statistical_texture(other), statistical_texture(textures))


def test_even_fat_has_one_grey_and_perfect_homogeneity():
    images = planted(patients=1, images=1)
    even = TextureImages(np.full_like(images.stacked, 85), images.muscle, images.labels, images.patients)
    (found,) = statistical_texture(even)
    assert sorted(found[:32])[-2:] == [0, 1]
    contrast, homogeneity = found[32:35], found[38:41]
    assert (contrast == 0).all()
    assert homogeneity == pytest.approx([1, 1, 1])


def test_the_dictionary_learns_nothing_from_images_that_are_tested(textures):
    training = textures.patients != "P0"
    dictionary = PatchDictionary(textures, seed=1).histograms(training)
    assert dictionary.shape[1] <= CENTROIDS
    assert dictionary.sum(axis=1) == pytest.approx(1)
    changed = textures.stacked.copy()
    changed[~training] = 0
    other = TextureImages(changed, textures.muscle, textures.labels, textures.patients)
    again = PatchDictionary(other, seed=1).histograms(training)
    np.testing.assert_array_equal(again[training], dictionary[training])


def test_features_of_photographs_are_those_of_the_whole_network_before_its_answer(textures, tmp_path):
    """Weights in torchvision's own form; the network's last layer on the features gives its own answer."""
    torch.manual_seed(0)
    network = models.resnet18().eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    images = TextureImages(
        *(part[:2] for part in (textures.stacked, textures.muscle, textures.labels, textures.patients))
    )
    found = published_features(images, "resnet18", tmp_path / "resnet18.pth")
    mean, deviation = (torch.tensor(colours)[:, None, None] for colours in BACKBONES["resnet18"].normalisation)
    grey = torch.from_numpy(images.stacked.repeat(3, axis=1)).float() * (1.5 / 255)
    with torch.inference_mode():
        answer = network((grey - mean) / deviation)
        np.testing.assert_allclose(network.fc(torch.from_numpy(found)), answer, rtol=1e-4, atol=1e-4)


def test_fc7_of_vgg16_is_its_second_layer_of_4096():
    with torch.device("meta"):
        network = models.vgg16()
        expected = network.classifier[3]
        cut = without_answer(network)
        assert cut(torch.empty(1, 3, 224, 224)).shape == (1, 4096)
    assert [layer for layer in cut.classifier if isinstance(layer, torch.nn.Linear)][-1] is expected
    assert isinstance(cut.classifier[-1], torch.nn.ReLU)


def test_weights_of_another_network_are_refused(textures, tmp_path):
    torch.save(models.resnet34().state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(InputError, match="does not hold the weights of resnet18"):
        published_features(textures, "resnet18", tmp_path / "resnet18.pth")


# Patches under the heat.


def test_patches_are_taken_under_the_strongest_heat_of_images_that_are_called_rightly(textures):
    count = len(textures)
    cells = CellGrid(8.0, 16.0)
    maps = np.zeros((count, 3, 7, 7), np.float32)
    maps[:, :, 3, 2] = 1  # sample pixel (56, 40)
    maps[:, :, 5, 5] = 0.4
    said = textures.labels.copy()
    said[0] = (said[0] + 1) % 3
    found = patch_map(textures, Responses(said, np.empty((count, 1)), maps, cells), seed=1)
    assert len(found.patches) == count - 1
    expected = textures.fractions[1:, 56 - PATCH // 2 : 56 + PATCH // 2, 40 - PATCH // 2 : 40 + PATCH // 2]
    assert sorted(map(np.ndarray.tobytes, found.patches)) == sorted(part.tobytes() for part in expected)
    assert sorted(found.labels) == sorted(textures.labels[1:])
    assert found.places.shape == (count - 1, 2)


def test_no_patch_is_taken_under_heat_that_is_weak_beside_that_outside_the_muscles(textures):
    maps = np.zeros((len(textures), 3, 7, 7), np.float32)
    maps[:, :, 3, 2] = 0.4
    maps[:, :, 0, 0] = 1
    found = Responses(textures.labels, np.empty((len(textures), 1)), maps, CellGrid(8.0, 16.0))
    assert patch_map(textures, found, seed=1) is None


# The command.


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
    """Two networks with a package of random weights a fold, as `train --split kfold:3` lays them out."""
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
    return texture(cohort, out, recipe=str(recipe), **options)


@pytest.fixture(scope="module")
def analysed(cohort, recipe, trained, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("analysis") / "out"
    return run(cohort, out, recipe, models=trained, weights=weights), out


def test_the_command_writes_what_it_says(analysed):
    summary, out = analysed
    assert {path.name for path in out.iterdir()} == set(FILES)
    assert json.loads((out / "texture.json").read_text()) == summary
    assert [failure["method"] for failure in summary["failures"]] == ["VGG16-FC7, SVM"]
    assert list(summary["accuracy"]) == [
        "Mean fat fraction, kNN", "Statistical texture, kNN", "Statistical texture, SVM", "Patch dictionary, SVM",
        "ResNet18-GAP, SVM", "icam", "plain",
    ]  # fmt: skip
    text = (out / "report.html").read_text(encoding="utf-8")
    for told in ("Research only, not for diagnosis.", "Evaluated on synthetic images", "Demonstration model"):
        assert told in text
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
    assert set(differences["Networks"]) == {"icam less plain"}
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


def test_equal_seeds_give_equal_rivals_and_the_folds_are_of_patients(analysed, cohort, recipe, tmp_path, monkeypatch):
    first, _ = analysed
    quick = (0, 1, 4, 5)
    monkeypatch.setattr(module, "rivals", lambda *given: [rivals(*given)[n] for n in quick])
    again = run(cohort, tmp_path / "out", recipe, weights=tmp_path)  # no weights: two methods fail
    assert [failure["method"] for failure in again["failures"]] == ["VGG16-FC7, SVM", "ResNet18-GAP, SVM"]
    for method, figures in again["accuracy"].items():
        assert figures == first["accuracy"][method]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES) - {"heat.csv", "muscles.csv"}
    rows = pd.read_csv(tmp_path / "out" / "predictions.csv", keep_default_na=False)
    assert rows.groupby("patient_id")["fold"].nunique().max() == 1
    with pytest.raises(InputError, match="an earlier report; give another folder, or add --overwrite"):
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
