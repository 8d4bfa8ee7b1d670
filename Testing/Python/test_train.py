"""Training: from images and labels to a model, interrupted or not."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cohort_cases import legs_cohort
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.cohort.options import chosen_recipe, chosen_splits
from DystrophyDxLib.cohort.seen import seen_patients
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.cam_network import build_network
from DystrophyDxLib.models.decision import Binary, Ranked
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.models.recipe import Recipe, StageRecipe, TrainingRecipe
from DystrophyDxLib.phantom.cohort import Patient, write_cohort
from DystrophyDxLib.series.reading import read_channels, read_study
from DystrophyDxLib.training import fit as fit_module
from DystrophyDxLib.training.distributed import Processes
from DystrophyDxLib.training.features import FeatureExamples
from DystrophyDxLib.training.fit import CHECKPOINT, class_weights, fit
from DystrophyDxLib.training.train import train
from DystrophyDxLib.training.training_log import FIGURES, draw_log, read_log

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def stage(**changes) -> StageRecipe:
    facts = {"size": 112, "epochs": 30, "learning_rate": 0.5, "schedule": "constant", "patience": None}
    return StageRecipe(**(facts | changes))


def recipe(*stages: StageRecipe, **changes) -> TrainingRecipe:
    facts = {"trainable": "head", "optimiser": "sgd", "batch": 8, "copies": 2, "stages": stages or (stage(),)}
    return TrainingRecipe(**(facts | changes))


def blobs(seed: int = 0, count: int = 40, apart: float = 1.0):
    """Training and validation features of two classes whose means are `apart` in each of four dimensions."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.arange(2 * count) % 2).float()
    features = torch.randn(3, 2 * count, 4, generator=generator) + apart * labels[:, None]
    rows = np.arange(2 * count)
    return tuple(
        FeatureExamples(features.numpy(), part, labels[torch.from_numpy(part)]) for part in (rows[:count], rows[count:])
    )


def fitted(folder: Path, how: TrainingRecipe, *, seed: int = 1, resume: bool = False, examples=None, **options):
    """Weights (5,) and epochs of a linear head fitted in `folder`."""
    torch.manual_seed(0)
    head = nn.Linear(4, 1)
    folder.mkdir(exist_ok=True)
    examples = examples or blobs()
    facts = {
        "decision": Binary(("other", "positive"), 0.5), "identity": "this training", "device": CPU,
        "processes": Processes(), "advance": lambda what, done, total: None,
    }  # fmt: skip
    epochs = fit(head, lambda stage: examples, how, seed=seed, folder=folder, resume=resume, **(facts | options))
    return torch.cat([head.weight.detach()[0], head.bias.detach()]), epochs


def test_two_classes_that_lie_apart_are_told_apart(tmp_path):
    weights, epochs = fitted(tmp_path, recipe(), examples=blobs(apart=2.0))
    assert epochs[-1].validation_auc > 0.95
    assert (weights[:4] > 0).all()
    assert epochs[-1].training_loss < epochs[0].training_loss


def test_equal_seeds_give_equal_weights_and_other_seeds_others(tmp_path):
    first, again, other = (fitted(tmp_path / str(n), recipe(), seed=seed)[0] for n, seed in enumerate((1, 1, 2)))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_epoch_of_lowest_validation_loss_is_kept(tmp_path):
    """Few features that hardly differ: after some epochs validation only gets worse."""
    examples = blobs(seed=7, count=12, apart=0.3)
    _, epochs = fitted(tmp_path / "all", recipe(), examples=examples)
    best = min(epochs, key=lambda epoch: epoch.validation_loss)
    assert best.epoch < len(epochs)
    assert [epoch.best for epoch in epochs][best.epoch - 1]
    assert not any(epoch.best for epoch in epochs[best.epoch :])
    kept, _ = fitted(tmp_path / "all anew", recipe(), examples=examples)
    until_best, _ = fitted(tmp_path / "until best", recipe(stage(epochs=best.epoch)), examples=examples)
    assert torch.equal(kept, until_best)


def test_training_ends_when_validation_has_not_improved_for_as_long_as_the_recipe_waits(tmp_path):
    _, epochs = fitted(tmp_path, recipe(stage(epochs=500, patience=5)), examples=blobs(seed=7, count=12, apart=0.3))
    assert len(epochs) < 500
    assert epochs[-6].best
    assert not any(epoch.best for epoch in epochs[-5:])


def test_one_cycle_ends_at_a_low_rate(tmp_path):
    _, epochs = fitted(tmp_path, recipe(stage(schedule="one_cycle")))
    rates = [epoch.learning_rate for epoch in epochs]
    assert max(rates) == pytest.approx(0.5, rel=0.2)
    assert rates[-1] < 1e-4


def test_balanced_weights_count_both_classes_the_same():
    labels = torch.tensor([1.0, 0, 0, 0])
    other, positive = class_weights(labels, recipe(class_weights="balanced"))
    assert positive * 1 == pytest.approx(other * 3)
    assert (positive * 1 + other * 3) / 4 == pytest.approx(1)
    assert class_weights(labels, recipe()) == (1, 1)


def test_balanced_weights_of_many_classes_are_those_of_scikit_learn():
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    found = class_weights(torch.tensor(labels).float(), recipe(class_weights="balanced"))
    assert found == pytest.approx(tuple(expected))


def test_declared_weights_move_the_decision_towards_the_rarer_class(tmp_path):
    features, _ = blobs(apart=0.5)
    rare = FeatureExamples(
        features.features, np.r_[0:30:2, 1, 3, 5], torch.tensor([0.0] * 15 + [1.0] * 3)
    )  # fmt: skip
    plain, balanced = (
        fitted(tmp_path / weights, recipe(class_weights=weights), examples=(rare, rare))[0]
        for weights in ("none", "balanced")
    )
    logits = [rare.plain(torch.arange(18)) @ weights[:4] + weights[4] for weights in (plain, balanced)]
    assert logits[1].mean() > logits[0].mean()


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path, optimiser, schedule):
    """Interrupted in the middle of an epoch of the second stage."""
    how = recipe(
        stage(epochs=6, schedule=schedule, learning_rate=0.1),
        stage(epochs=8, schedule=schedule, learning_rate=0.05),
        optimiser=optimiser,
        momentum=0.9 if optimiser == "sgd" else 0,
    )
    whole, epochs = fitted(tmp_path / "whole", how)
    with pytest.raises(InputError, match="--resume"):
        fitted(tmp_path / "cut", how, examples=interrupted_after(blobs(), 6 * 5 + 17))
    resumed, all_epochs = fitted(tmp_path / "cut", how, resume=True)
    assert torch.equal(whole, resumed)
    same = ("stage", "epoch", "training_loss", "validation_loss", "validation_auc", "best", "learning_rate")
    assert [[getattr(epoch, name) for name in same] for epoch in epochs] == [
        [getattr(epoch, name) for name in same] for epoch in all_epochs
    ]
    assert read_log(tmp_path / "cut") == all_epochs


def interrupted_after(examples, steps):
    """Examples in whose midst the user presses Ctrl-C."""
    training, validation = examples

    class Interrupting(FeatureExamples):
        seen = 0

        def varied(self, chosen, seeds):
            Interrupting.seen += 1
            if Interrupting.seen == steps:
                os.kill(os.getpid(), signal.SIGINT)
            return super().varied(chosen, seeds)

    return Interrupting(training.features, training.images, training.labels), validation


class Killed(BaseException):
    """What no code of training handles, as kill -9 gives it no chance to."""


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    whole, _ = fitted(tmp_path / "whole", recipe())
    monkeypatch.setattr(fit_module, "CHECKPOINT_SECONDS", 0.05)
    training, validation = blobs()
    seen = []

    class KilledInTheMiddle(FeatureExamples):
        def varied(self, chosen, seeds):
            seen.append(chosen)
            if len(seen) > 60 and (tmp_path / "killed" / CHECKPOINT).exists():
                raise Killed
            return super().varied(chosen, seeds)

    examples = (KilledInTheMiddle(training.features, training.images, training.labels), validation)
    with pytest.raises(Killed):
        fitted(tmp_path / "killed", recipe(), examples=examples)
    (tmp_path / "killed" / f"{CHECKPOINT}.partial").write_bytes(b"PK half a checkpoint")
    resumed, epochs = fitted(tmp_path / "killed", recipe(), resume=True)
    assert torch.equal(whole, resumed)
    assert len(read_log(tmp_path / "killed")) == len(epochs) == 30


def test_a_finished_fit_is_not_done_again(tmp_path):
    first, epochs = fitted(tmp_path, recipe())

    def no_examples(stage):
        raise AssertionError("fitted again")

    torch.manual_seed(5)
    head = nn.Linear(4, 1)
    again = fit(
        head, no_examples, recipe(), decision=Binary(("other", "positive"), 0.5), seed=1, folder=tmp_path,
        identity="this training", resume=True, device=CPU, processes=Processes(),
        advance=lambda what, done, total: None,
    )  # fmt: skip
    assert torch.equal(first, torch.cat([head.weight.detach()[0], head.bias.detach()]))
    assert again == epochs


def test_the_checkpoint_of_another_training_is_refused(tmp_path):
    fitted(tmp_path, recipe())
    with pytest.raises(InputError, match="another recipe, cohort, seed"):
        fitted(tmp_path, recipe(), resume=True, identity="another training")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x80\x04cos\nsystem\n"])
def test_a_damaged_checkpoint_is_refused_and_never_run(tmp_path, content):
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        fitted(tmp_path, recipe(), resume=True)


def test_a_loss_that_is_no_number_ends_training_at_once(tmp_path):
    training, validation = blobs()
    training.features[:, 7] = np.nan
    with pytest.raises(InputError, match=r"no longer a number \(stage 1, epoch 1"):
        fitted(tmp_path, recipe(), examples=(training, validation))


def test_a_full_disk_ends_training_in_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fit_module.torch, "save", full)
    with pytest.raises(InputError, match="free space"):
        fitted(tmp_path, recipe())
    assert not list(tmp_path.glob("checkpoint*"))


def test_progress_tells_losses_and_time_left(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_module, "TOLD_EVERY_S", 0.0)
    told = []
    fitted(tmp_path, recipe(stage(epochs=3)), advance=lambda *what: told.append(what))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1:] == (15, 15)
    assert "epoch 3 of 3, loss 0." in told[-1][0]
    assert "left" in told[-1][0]


def test_the_log_is_drawn(tmp_path):
    _, epochs = fitted(tmp_path, recipe(stage(epochs=10), stage(epochs=5, learning_rate=0.01)))
    draw_log(epochs, tmp_path)
    assert all((tmp_path / name).stat().st_size > 5000 for name in FIGURES)


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
    | {"training": recipe(stage(epochs=5, learning_rate=0.01)).model_dump()}
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
    seen = "synthetic DIXON_FAT and DIXON_WATER and DIXON_FF images of 6 phantoms only, no patients"
    assert package.card.trained_on == seen
    about_the_model = {"DEMONSTRATION_MODEL", "OUT_OF_DISTRIBUTION", "MODEL_NOT_SHOWN_TO_TELL"}
    assert {warning.code for warning in found.result.warnings} <= about_the_model
    assert all(image.counted for image in found.result.images)
    with pytest.raises(InputError, match="needs DIXON_WATER and DIXON_FF beside DIXON_FAT"):
        Classifier(package, "cpu").classify(read_study(case.path))


def test_three_classes_that_lie_apart_are_told_apart(tmp_path):
    generator = torch.Generator().manual_seed(0)
    labels = (torch.arange(90) % 3).float()
    features = torch.randn(3, 90, 4, generator=generator) + 3 * torch.eye(4)[labels.long()]
    rows = np.arange(90)
    examples = tuple(FeatureExamples(features.numpy(), part, labels[part]) for part in (rows[:45], rows[45:]))
    torch.manual_seed(0)
    head = nn.Linear(4, 3)
    epochs = fit(
        head, lambda stage: examples, recipe(), decision=Ranked(("a", "b", "c")), seed=1, folder=tmp_path,
        identity="three", resume=False, device=CPU, processes=Processes(), advance=lambda what, done, total: None,
    )  # fmt: skip
    probabilities = head(examples[1].plain(torch.arange(45))).softmax(dim=1).detach().double().numpy()
    expected = roc_auc_score(labels[45:].numpy(), probabilities, multi_class="ovr")
    best = min(epochs, key=lambda epoch: epoch.validation_loss)
    assert best.validation_auc == pytest.approx(expected, abs=0.01)
    assert expected > 0.9
    assert (probabilities.argmax(axis=1) == labels[45:].numpy()).mean() > 0.8


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
    every = QUICK.model_copy(
        update={"training": recipe(stage(epochs=1, learning_rate=1e-3), trainable="all", copies=0)}
    )
    first, second = (packaged(cohort, tmp_path / name, every) for name in "ab")
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
                    "training": recipe(stage(epochs=1, learning_rate=1e-2), trainable="all", copies=0).model_copy(
                        update={"start_share": share}
                    )
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
    with pytest.raises(InputError, match="--out"):
        packaged(cohort, tmp_path)


def test_an_interrupted_training_is_not_begun_anew_by_mistake(cohort, tmp_path):
    (tmp_path / "package-training").mkdir()
    (tmp_path / "package-training" / CHECKPOINT).touch()
    with pytest.raises(InputError, match="add --resume"):
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
        with pytest.raises(InputError, match="--resume"):
            packaged(cohort, tmp_path / "package")
    assert {path.name for path in tmp_path.iterdir()} == {"package-training"}
    assert packaged(cohort, tmp_path / "package", resume=True).card.threshold > 0


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
        with pytest.raises(InputError, match="--split"):
            chosen_splits(table, wrong, 1)
