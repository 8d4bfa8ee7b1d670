"""Training in several processes at once, as `torchrun` starts them: one a GPU, or several on CPUs.

Every batch is the batch that one process would take; each process works on its share of it, and the gradient is that
of the whole batch. On GPUs batch normalisation is over the whole batch too (`torch.nn.SyncBatchNorm`), and the result
is that of one process but for rounding. CPUs have no such layer: there each process normalises its own share, so where
batch normalisation is trained the result is as if its batches had been smaller, and the running statistics that all
processes keep are those of the first one's shares.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

LONGEST_WAIT = datetime.timedelta(days=1)
"""The others wait while the first process makes samples."""
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Processes:
    """The processes that train together; by default this one alone, on the CPU.

    Attributes:
        device: that this process computes on.
        rank: number of this process; 0 writes files and shows progress.
        count: how many there are.
    """

    device: torch.device = _CPU
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
        """`model` with gradients averaged over all processes and, on GPUs, batch normalisation too."""
        if self.count == 1:
            return model
        return DistributedDataParallel(_normalised_together(model, self.device))

    def share_buffers(self, model: nn.Module) -> None:
        """Gives all processes what the first has in the buffers of `model`: the running statistics of batches."""
        if self.count > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

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
        yield Processes(device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=LONGEST_WAIT)
    try:
        yield Processes(device, distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def _normalised_together(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with `SyncBatchNorm` in place of its batch normalisation on CUDA, which alone has it."""
    return nn.SyncBatchNorm.convert_sync_batchnorm(model) if device.type == "cuda" else model
