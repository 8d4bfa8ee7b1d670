"""Training in two processes gives what one gives; on CPUs but for batch normalisation, which is each process's own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from DystrophyDxLib.models.cam_network import CamNetwork
from DystrophyDxLib.models.decision import Binary
from DystrophyDxLib.models.training_recipe import StageRecipe, TrainingRecipe
from DystrophyDxLib.training import fit as fit_module
from DystrophyDxLib.training.distributed import Processes, _normalised_together, processes_of_torchrun
from DystrophyDxLib.training.fit import Logits, SampleExamples, fit
from DystrophyDxLib.training.objectives import ClassObjective

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def train_small(processes: Processes, folder: Path, normalisation: nn.Module):
    """A small network, and its epochs; 21 images in batches of 7 do not divide by two."""
    fit_module.has_bfloat16 = lambda device: False
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(1, 6, 5, stride=4, bias=False), normalisation, nn.ReLU())
    model = Logits(CamNetwork(trunk, nn.Linear(6, 1)))
    pixels = torch.randint(0, 255, (30, 1, 112, 112), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    labels = (torch.arange(30) % 2).float()
    pixels[labels == 1, :, :56] //= 3
    training, validation = (
        SampleExamples(pixels.numpy(), rows, labels[torch.from_numpy(rows)], 112)
        for rows in (np.arange(21), np.arange(21, 30))
    )
    stage = StageRecipe(size=112, epochs=3, learning_rate=0.01, schedule="one_cycle")
    recipe = TrainingRecipe(trainable="all", optimiser="adamw", batch=7, class_weights="balanced", stages=(stage,))
    epochs = fit(
        model,
        lambda stage: (training, validation),
        recipe,
        objective=ClassObjective(Binary(("other", "positive"), 0.5)),
        seed=3,
        folder=folder,
        identity="small",
        resume=False,
        processes=processes,
        advance=lambda what, done, total: None,
    )
    return model.state_dict(), epochs


NORMALISATIONS = {"group": lambda: nn.GroupNorm(2, 6), "batch": lambda: nn.BatchNorm2d(6)}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """State and epochs of one process; no batch normalisation."""
    return train_small(Processes(), tmp_path_factory.mktemp("alone"), NORMALISATIONS["group"]())


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder in which two processes, started as torchrun does, have trained once with each normalisation."""
    folder = tmp_path_factory.mktemp("together")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    runs = [
        subprocess.Popen([sys.executable, __file__, folder], env=environment | {"RANK": rank, "LOCAL_RANK": rank})
        for rank in "01"
    ]
    assert [run.wait(timeout=300) for run in runs] == [0, 0]
    return folder


def ranks(together: Path, normalisation: str):
    """State and losses of each of the two processes."""
    return [torch.load(together / normalisation / f"rank{n}.pt", weights_only=True) for n in (0, 1)]


def test_the_weights_are_those_of_one_process(alone, together):
    state, _ = alone
    for rank in ranks(together, "group"):
        assert rank["state"].keys() == state.keys()
        for name, tensor in state.items():
            torch.testing.assert_close(rank["state"][name], tensor, rtol=1e-4, atol=1e-5)


def test_both_processes_end_with_the_same_weights_and_statistics_of_batches(together):
    first, second = ranks(together, "batch")
    assert first["state"]["network.trunk.1.running_mean"].abs().max() > 0
    assert all(torch.equal(first["state"][name], second["state"][name]) for name in first["state"])
    assert np.isfinite(first["losses"]).all()
    np.testing.assert_array_equal(first["losses"], second["losses"])


def test_batch_normalisation_is_over_the_whole_batch_on_gpus_alone():
    def kinds(device: str) -> list[type[nn.Module]]:
        model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6)), nn.BatchNorm2d(6))
        together = _normalised_together(model, torch.device(device))
        return [type(layer) for layer in together.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]

    assert kinds("cuda") == [nn.SyncBatchNorm] * 2
    assert kinds("cpu") == [nn.BatchNorm2d] * 2


def test_losses_are_those_of_the_whole_batch(alone, together):
    _, epochs = alone
    for rank in ranks(together, "group"):
        expected = [(epoch.training_loss, epoch.validation_loss, epoch.validation_score) for epoch in epochs]
        np.testing.assert_allclose(rank["losses"], expected, rtol=1e-4)


def test_only_the_first_process_writes(together):
    assert len((together / "group" / "training_log.jsonl").read_text().splitlines()) == 3


def test_shares_are_disjoint_and_whole():
    rows = torch.arange(11)
    shares = [Processes(rank=rank, count=3).share(rows) for rank in range(3)]
    assert sorted(torch.cat(shares).tolist()) == rows.tolist()


def main() -> None:
    """What each of the two processes runs."""
    torch.set_num_threads(1)
    with processes_of_torchrun(CPU) as processes:
        for name, normalisation in NORMALISATIONS.items():
            folder = Path(sys.argv[1], name)
            folder.mkdir(exist_ok=True)
            state, epochs = train_small(processes, folder, normalisation())
            losses = [[epoch.training_loss, epoch.validation_loss, epoch.validation_score] for epoch in epochs]
            torch.save({"state": state, "losses": losses}, folder / f"rank{processes.rank}.pt")


if __name__ == "__main__":
    main()
