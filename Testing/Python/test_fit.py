"""Fitting to labelled images: what is learnt, and that an interruption changes nothing."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.decision import Binary, Ranked
from DystrophyDxLib.models.training_recipe import StageRecipe, TrainingRecipe
from DystrophyDxLib.training import checkpoint
from DystrophyDxLib.training import fit as fit_module
from DystrophyDxLib.training.checkpoint import CHECKPOINT, EARLIER
from DystrophyDxLib.training.distributed import Processes
from DystrophyDxLib.training.features import FeatureExamples
from DystrophyDxLib.training.fit import fit
from DystrophyDxLib.training.objectives import ClassObjective, class_weights
from DystrophyDxLib.training.training_log import FIGURES, LOG, Epoch, draw_log

pytestmark = pytest.mark.slow
TWO = ClassObjective(Binary(("other", "positive"), 0.5))


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
        "objective": TWO, "identity": "this training", "processes": Processes(),
        "advance": lambda what, done, total: None,
    }  # fmt: skip
    epochs = fit(head, lambda stage: examples, how, seed=seed, folder=folder, resume=resume, **(facts | options))
    return torch.cat([head.weight.detach()[0], head.bias.detach()]), epochs


def read_log(folder: Path) -> list[Epoch]:
    return [Epoch(**json.loads(line)) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]


def test_two_classes_that_lie_apart_are_told_apart(tmp_path):
    weights, epochs = fitted(tmp_path, recipe(), examples=blobs(apart=2.0))
    assert epochs[-1].validation_score > 0.95
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
    with pytest.raises(InputError, match="run the same command again"):
        fitted(tmp_path / "cut", how, examples=interrupted_after(blobs(), 6 * 5 + 17))
    resumed, all_epochs = fitted(tmp_path / "cut", how)
    assert torch.equal(whole, resumed)
    same = ("stage", "epoch", "training_loss", "validation_loss", "validation_score", "best", "learning_rate")
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
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.05)
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
        head, no_examples, recipe(), objective=TWO, seed=1, folder=tmp_path,
        identity="this training", resume=True, processes=Processes(),
        advance=lambda what, done, total: None,
    )  # fmt: skip
    assert torch.equal(first, torch.cat([head.weight.detach()[0], head.bias.detach()]))
    assert again == epochs


def test_the_checkpoint_of_another_training_is_refused(tmp_path):
    fitted(tmp_path, recipe())
    with pytest.raises(InputError, match="another recipe, cohort, seed"):
        fitted(tmp_path, recipe(), resume=True, identity="another training")
    assert not (tmp_path / EARLIER).exists()


def test_the_checkpoint_of_another_training_is_put_aside_for_a_new_one(tmp_path):
    fitted(tmp_path / "one", recipe())
    kept = (tmp_path / "one" / CHECKPOINT).read_bytes()
    weights, _ = fitted(tmp_path / "one", recipe(), identity="another training", seed=2)
    anew, _ = fitted(tmp_path / "two", recipe(), identity="another training", seed=2)
    assert torch.equal(weights, anew)
    assert (tmp_path / "one" / EARLIER).read_bytes() == kept


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

    monkeypatch.setattr(checkpoint.torch, "save", full)
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


@pytest.mark.parametrize(
    ("stages", "told"), [((1, 1, 2), "kept: the lowest of each stage"), ((1,), "kept: the lowest")]
)
def test_the_figure_says_which_epoch_is_kept_and_shows_a_single_one(tmp_path, stages, told):
    epochs = [Epoch(number, 112, n + 1, 1e-3, 0.5, 0.6, 0.7, n != 1, 1.0) for n, number in enumerate(stages)]
    draw_log(epochs, tmp_path)
    drawn = (tmp_path / "training.svg").read_text(encoding="utf-8")
    assert f"<!-- {told} -->" in drawn
    assert f"<!-- {len(stages)} -->" in drawn, "epochs are whole numbers"


def test_three_classes_that_lie_apart_are_told_apart(tmp_path):
    generator = torch.Generator().manual_seed(0)
    labels = (torch.arange(90) % 3).float()
    features = torch.randn(3, 90, 4, generator=generator) + 3 * torch.eye(4)[labels.long()]
    rows = np.arange(90)
    examples = tuple(FeatureExamples(features.numpy(), part, labels[part]) for part in (rows[:45], rows[45:]))
    torch.manual_seed(0)
    head = nn.Linear(4, 3)
    epochs = fit(
        head, lambda stage: examples, recipe(), seed=1, folder=tmp_path,
        objective=ClassObjective(Ranked(("a", "b", "c"))), identity="three", resume=False, processes=Processes(),
        advance=lambda what, done, total: None,
    )  # fmt: skip
    probabilities = head(examples[1].plain(torch.arange(45))).softmax(dim=1).detach().double().numpy()
    expected = roc_auc_score(labels[45:].numpy(), probabilities, multi_class="ovr")
    best = min(epochs, key=lambda epoch: epoch.validation_loss)
    assert best.validation_score == pytest.approx(expected, abs=0.01)
    assert expected > 0.9
    assert (probabilities.argmax(axis=1) == labels[45:].numpy()).mean() > 0.8
