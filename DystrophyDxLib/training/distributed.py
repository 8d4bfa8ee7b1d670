"""Training in several processes at once, as `torchrun` starts them: one a GPU, or several on CPUs.

Every batch is the batch that one process would take; each process works on its share of it. With the gradient of the
whole batch and batch normalisation over the whole batch, the result is that of one process but for rounding.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.parallel import DistributedDataParallel

LONGEST_WAIT = datetime.timedelta(days=1)
"""The others wait while the first process makes samples."""


@dataclass(frozen=True)
class Processes:
    """The processes that train together; by default this one alone.

    Attributes:
        rank: number of this process; 0 writes files and shows progress.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def share(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows that this process works on: every `count`-th."""
        return rows[self.rank :: self.count]

    def gathered(self, mine: torch.Tensor, total: int) -> torch.Tensor:
        """(total, ...) rows in their order, of which each process has made its `share`."""
        if self.count == 1:
            return mine
        rows = torch.zeros(total, *mine.shape[1:], dtype=mine.dtype, device=mine.device)
        rows[self.rank :: self.count] = mine
        distributed.all_reduce(rows)
        return rows

    def together(self, model: nn.Module) -> nn.Module:
        """`model` with gradients averaged, and batch normalisation done, over all processes."""
        if self.count == 1:
            return model
        _normalise_together(model)
        return DistributedDataParallel(model, broadcast_buffers=False)

    def wait(self) -> None:
        """Returns when all processes have come here."""
        if self.count > 1:
            distributed.barrier()


@contextlib.contextmanager
def processes_of_torchrun(device: torch.device) -> Iterator[Processes]:
    """The processes that `torchrun` started, or this one alone where it did not.

    On CUDA each process takes the GPU of its number on its machine.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=LONGEST_WAIT)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


class _BatchNormTogether(nn.BatchNorm2d):
    """Batch normalisation over the batch of all processes; PyTorch's own `SyncBatchNorm` needs a GPU."""

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(activations)
        values = activations.float()
        count = values.new_tensor(values.numel() / values.shape[1])
        distributed.all_reduce(count)
        mean = all_reduce(values.sum(dim=(0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = all_reduce(centred.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(activations.dtype)


def _normalise_together(model: nn.Module) -> None:
    for name, child in model.named_children():
        if type(child) is nn.BatchNorm2d:
            together = _BatchNormTogether(child.num_features, child.eps, child.momentum)
            together.weight, together.bias = child.weight, child.bias
            for buffer, value in child.named_buffers():
                setattr(together, buffer, value)
            setattr(model, name, together.train(child.training))
        else:
            _normalise_together(child)
