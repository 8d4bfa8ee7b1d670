"""Training: from a cohort to a model package."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cohort_cases import legs_cohort
from safetensors.torch import save_file

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.cohort.options import chosen_recipe, chosen_splits
from DystrophyDxLib.cohort.seen import seen_patients
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.cam_network import build_network
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.recipe import Recipe
from DystrophyDxLib.models.training_recipe import StageRecipe, TrainingRecipe
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.series.reading import read_channels, read_study
from DystrophyDxLib.training.checkpoint import CHECKPOINT, EARLIER
from DystrophyDxLib.training.train import train
from DystrophyDxLib.training.training_log import FIGURES

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def training(
    *, epochs: int, learning_rate: float, trainable: str = "head", copies: int = 2, **changes
) -> TrainingRecipe:
    stage = StageRecipe(size=112, epochs=epochs, learning_rate=learning_rate, schedule="constant")
    return TrainingRecipe(trainable=trainable, optimiser="sgd", batch=8, copies=copies, stages=(stage,), **changes)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Twelve patients of whom two of each class are in each split, and the folder with what is kept of them."""
    folder = tmp_path_factory.mktemp("cohort")
    found = legs_cohort(
        folder,
        ["DMD", "healthy"] * 6,
        split=["train"] * 4 + ["validation"] * 4 + ["test"] * 4,
        synthetic=["yes"] * 12,
    )
    return found, folder / "cache"


QUICK = Recipe.model_validate(
    Recipe.named("embedded").model_dump()
    | {"sample": {"size": 112}, "network": {"backbone": "resnet18", "weights": "none"}}
    | {"training": training(epochs=5, learning_rate=0.01).model_dump()}
)


def packaged(cohort, out: Path, how: Recipe = QUICK, **options) -> ModelPackage:
    table, cache = cohort
    return ModelPackage.read(train(how, table, out, seed=1, cache=cache, **options))


@pytest.fixture(scope="module")
def package(cohort, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "package"
    return packaged(cohort, out), out


def test_a_cohort_becomes_a_package_that_classifies(cohort, package):
    result = Classifier(package[0], "cpu").classify(read_study(cohort[0].cases[0].path)).result
    assert 0 <= result.case.probability <= 1
    assert result.model.trained_on == "synthetic T1-weighted thigh images of 4 phantoms only, no patients"


def test_the_card_says_what_was_seen_and_what_was_measured(cohort, package):
    card = package[0].card
    assert seen_patients(cohort[0], card) == {case.patient_id for case in cohort[0].cases if case.split != "test"}
    assert card.demonstration
    assert card.name == "package (embedded, resnet18, demonstration)", "a model has its own name"
    assert len(card.label_from) == 2, "validation chose from which probability each class is a label"
    assert card.training_cohort["patients"] == 4
    assert card.training_cohort["diagnoses"] == {"DMD": 2, "healthy": 2}
    assert "4 synthetic phantoms" in card.metrics["AUC, case"].measured_on
    assert "optimistic" in card.metrics["AUC, case, validation"].measured_on


def test_log_and_figure_lie_beside_the_package_and_no_checkpoint(package):
    folder = package[1].with_name("package-training")
    assert {path.name for path in folder.iterdir()} == {"training_log.jsonl", *FIGURES}


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    """A package of three classes, trained by the same means."""
    folder = tmp_path_factory.mktemp("three")
    diseases = ["healthy", "DMD", "FSHMD"]
    facts = QUICK.model_dump() | {"classes": tuple(diseases), "diagnoses": {name: (name,) for name in diseases}}
    table = legs_cohort(
        folder,
        diseases * 6,
        recipe=Recipe.model_validate(facts),
        split=["train"] * 6 + ["validation"] * 6 + ["test"] * 6,
        synthetic=["yes"] * 18,
    )
    return table, packaged((table, folder / "cache"), folder / "package", table.recipe)


def test_a_cohort_of_many_classes_becomes_a_package_that_ranks(ranking):
    table, package = ranking
    assert package.card.threshold is None
    assert package.card.training_cohort["class_weights"] == {"healthy": 1, "DMD": 1, "FSHMD": 1}
    assert {"Top-1 accuracy, case", "AUC, case"} < set(package.card.metrics)
    assert not any(name.startswith("Top-3") for name in package.card.metrics), "one of three is always among three"
    result = Classifier(package, "cpu").classify(read_study(table.cases[0].path)).result
    assert {ranked.name for ranked in result.case.differential} == {"healthy", "DMD", "FSHMD"}


def test_the_recipe_of_cai_trains_on_dixon_phantoms_and_classifies_with_maps_of_fine_cells(tmp_path):
    """A small cohort, half the size, one step a stage, from random weights; thighs are not asked for."""
    diseases, splits = ["healthy", "CMD", "DMD"] * 4, ["train"] * 6 + ["validation"] * 6
    patients = [Patient(n, *both, "A", 1, "left") for n, both in enumerate(zip(diseases, splits, strict=True), 1)]
    contrasts = ("T1", "DIXON_FAT", "DIXON_WATER", "DIXON_FF")
    table = write_cohort(patients, tmp_path / "cohort", seed=2, matrix=128, contrasts=contrasts, truth=False)
    published = Recipe.named("cai2019").model_dump()
    published["network"]["weights"] = "none"
    published["sample"]["size"] = 112
    for quick in published["training"]["stages"]:
        quick |= {"iterations": 1, "size": 112}
    recipe = Recipe.model_validate(published)
    cohort = Cohort.read(table, recipe)
    assert cohort.cases[0].path.name == "DIXON_FAT.nii.gz"
    package = ModelPackage.read(train(recipe, cohort, tmp_path / "package", seed=1, cache=tmp_path / "cache"))
    case = cohort.cases[0]
    found = Classifier(package, "cpu").classify(read_channels(case.path, case.further))
    assert found.scores[0].cells.shape == (3, 14, 14)
    seen = "synthetic DIXON_FAT, DIXON_WATER and DIXON_FF images of 6 phantoms only, no patients"
    assert package.card.trained_on == seen
    about_the_model = {"DEMONSTRATION_MODEL", "OUT_OF_DISTRIBUTION", "MODEL_NOT_SHOWN_TO_TELL"}
    assert {warning.code for warning in found.result.warnings} <= about_the_model
    assert all(image.counted for image in found.result.images)
    with pytest.raises(InputError, match="needs DIXON_WATER and DIXON_FF beside DIXON_FAT"):
        Classifier(package, "cpu").classify(read_study(case.path))


def test_the_trunk_of_a_head_training_is_left_as_it_was(package):
    torch.manual_seed(1)
    expected = build_network(QUICK).trunk.state_dict()
    weights = package[0].tensors()
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[f"trunk.{name}"], tensor.float(), rtol=1e-3, atol=1e-6)


def test_a_cohort_of_patients_makes_no_demonstration_model(cohort, tmp_path):
    table, cache = cohort
    real = replace(table, cases=tuple(replace(case, extra={}) for case in table.cases))
    card = packaged((real, cache), tmp_path / "package").card
    assert not card.demonstration
    assert card.trained_on == "4 patients of the user's cohort (2 other, 2 dystrophinopathy)"
    assert "4 patients" in card.metrics["AUC, case"].measured_on


def test_equal_cohorts_give_equal_packages_also_when_all_layers_train(cohort, tmp_path):
    every = QUICK.model_copy(update={"training": training(epochs=1, learning_rate=1e-3, trainable="all", copies=0)})
    first, second = (packaged(cohort, tmp_path / name / "model", every) for name in "ab")
    assert first.weights == second.weights
    assert first.card == second.card


def test_a_model_that_is_fitted_further_keeps_a_share_of_its_weights(cohort, package, tmp_path):
    """Equation 1 of Wortsman et al. 2022."""
    start = package[0].tensors()
    fitted, averaged = (
        packaged(
            cohort,
            tmp_path / name,
            QUICK.model_copy(
                update={
                    "training": training(epochs=1, learning_rate=1e-2, trainable="all", copies=0, start_share=share)
                }
            ),
            backbone_weights=package[1],
        ).tensors()
        for name, share in (("fitted", 0.0), ("averaged", 0.25))
    )
    for name in ("trunk.0.weight", "head.weight", "head.bias"):
        assert not torch.equal(fitted[name], start[name])
        expected = 0.25 * start[name].float() + 0.75 * fitted[name].float()
        torch.testing.assert_close(averaged[name].float(), expected, atol=2e-3, rtol=2e-3)


def test_a_model_that_is_fitted_further_has_seen_what_the_first_has(cohort, package, tmp_path):
    """The patients of the first model's training are not in the second's cohort."""
    table, cache = cohort
    kept = replace(table, cases=tuple(case for case in table.cases if case.split != "train"))
    moved = {"validation": "train", "test": "validation"}
    others = kept.with_splits({case.patient_id: moved[case.split] for case in kept.cases})
    further = packaged((others, cache), tmp_path / "further", backbone_weights=package[1]).card
    assert seen_patients(table, further) == {case.patient_id for case in table.cases}


def test_a_model_is_not_tested_on_whom_the_one_it_starts_from_has_seen(cohort, package, tmp_path):
    table, cache = cohort
    turned = {"train": "test", "test": "train", "validation": "validation"}
    other = table.with_splits({case.patient_id: turned[case.split] for case in table.cases})
    with pytest.raises(InputError, match="has seen 4 of the test patients in training"):
        packaged((other, cache), tmp_path / "package", backbone_weights=package[1])


def test_a_share_of_starting_weights_needs_a_package(cohort, tmp_path):
    averaging = QUICK.model_copy(update={"training": QUICK.training.model_copy(update={"start_share": 0.5})})
    with pytest.raises(InputError, match="start_share"):
        packaged(cohort, tmp_path / "package", averaging)


def test_a_place_that_is_taken_is_refused_before_any_work(cohort, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="--out"):
        packaged(cohort, tmp_path)


def test_what_a_training_that_failed_left_does_not_block_the_next(cohort, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package-training").mkdir()
    (tmp_path / "package-training" / CHECKPOINT).write_bytes(b"cut off")
    with pytest.raises(InputError, match="damaged; leave --resume out"):
        packaged(cohort, tmp_path / "package", resume=True)
    assert packaged(cohort, tmp_path / "package").card.threshold > 0
    assert (tmp_path / "package-training" / EARLIER).read_bytes() == b"cut off"
    with pytest.raises(InputError, match=r"something at .*package, the place given with --out"):
        packaged(cohort, tmp_path / "package")


def test_weights_of_another_architecture_are_refused_before_any_work(cohort, tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file({"layer.weight": torch.zeros(2, 2)}, file)
    how = chosen_recipe("yang2021", "resnet18", False)
    with pytest.raises(InputError, match=r"weights\.safetensors does not hold the weights of resnet18"):
        packaged(cohort, tmp_path / "package", how, backbone_weights=file)
    assert not (tmp_path / "package-training").exists()


def test_a_disk_that_fills_up_leaves_no_package(cohort, tmp_path, monkeypatch):
    def full(folder, *_, **__):
        folder.mkdir()
        (folder / "recipe.toml").touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("DystrophyDxLib.training.train.write_package", full)
        with pytest.raises(InputError, match="run the same command again"):
            packaged(cohort, tmp_path / "package")
    assert {path.name for path in tmp_path.iterdir()} == {"package-training"}
    assert packaged(cohort, tmp_path / "package").card.threshold > 0


def test_a_place_that_cannot_be_written_is_told(cohort, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        packaged(cohort, tmp_path / "file" / "package")


def test_recipes_change_as_the_command_line_says(tmp_path):
    how = chosen_recipe("yang2021", "vgg19", False)
    assert (how.network.backbone, how.network.weights, how.training.trainable) == ("vgg19", "imagenet", "head")
    how = chosen_recipe("yang2021", None, True)
    assert (how.network.backbone, how.network.weights, how.training.trainable) == ("resnet50", "none", "all")
    (tmp_path / "own.toml").write_text(QUICK.toml())
    assert chosen_recipe(str(tmp_path / "own.toml")) == QUICK
    with pytest.raises(InputError, match="cannot be read"):
        chosen_recipe(str(tmp_path / "absent.toml"))


def test_splits_are_as_the_command_line_says(cohort):
    table = cohort[0]
    assert chosen_splits(table, None, 1) == [table]
    assert len(chosen_splits(table, "kfold:3", 1)) == 3
    twice = replace(table, cases=table.cases + tuple(replace(c, patient_id=f"Q{c.patient_id}") for c in table.cases))
    assert chosen_splits(twice, "stratified", 1)[0] != twice
    for wrong in ("kfold", "kfold:x", "centre:", "random", "stratified:2"):
        with pytest.raises(InputError, match="--split-by"):
            chosen_splits(table, wrong, 1)
