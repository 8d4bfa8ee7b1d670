"""Workers as actors of Ray: on this computer with nothing to set up, or on a cluster by its address.

The only file that imports Ray. On this computer Ray listens on the loopback address alone, sends no usage statistics,
starts no dashboard, and its files are removed at the end.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from .ray_environment import LOOPBACK, settle_environment
from .schedule import Event, Unit, Worker
from .worker import Outcome

_STARTS = 3
"""Times that Ray is started: on a busy computer its processes may take longer than it waits for them."""
_THREADS = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
"""What PyTorch and ITK read when they are imported."""
_STORE_BYTES = 100 << 20
"""Of Ray's shared memory: studies and answers are small, images never leave the process that reads them."""
PER_GPU = 8
"""Workers that share a GPU at most: the network of one study takes far less of it than reading takes of a core."""


@dataclass(frozen=True)
class Resources:
    """How many workers there are, and which part of a GPU each has."""

    workers: int
    gpus: float = 0.0

    @classmethod
    def of(cls, cores: float, gpus: float, asked: int | None, device: str) -> Resources:
        """Those of a computer or cluster.

        Args:
            asked: number of workers; None for one a core or, where there are GPUs, at most `PER_GPU` a GPU.
            device: see `devices.DEVICES`; only "auto" and "cuda" take GPUs.

        Raises:
            InputError: fewer cores than workers, or no GPU where one is asked for.
        """
        most = max(1, int(cores))
        if asked is not None and asked > most:
            raise InputError(f"There are {most} cores for {asked} workers; give fewer with --workers.")
        if device == "cuda" and not gpus:
            raise InputError("Ray has no GPU; use --device auto.")
        if device not in ("auto", "cuda") or not gpus:
            return cls(asked or most)
        workers = asked or min(most, int(gpus) * PER_GPU)
        return cls(workers, 1 / math.ceil(workers / gpus))


def prepare(*, local: bool) -> None:
    """Makes Ray quiet before it begins; on this computer nobody else can reach its processes then.

    Args:
        local: whether Ray is begun on this computer.

    Raises:
        InputError: something else has imported Ray before, which then takes no token of this run.
    """
    if local and "ray" in sys.modules and os.environ.get("RAY_AUTH_MODE") != LOOPBACK["RAY_AUTH_MODE"]:
        raise InputError("Another package has imported Ray before; classify the archive in a process of its own.")
    settle_environment(local=local)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray  # noqa: F401
    logging.getLogger("ray").setLevel(logging.CRITICAL + 1)


@contextlib.contextmanager
def connected(address: str | None, cores: int) -> Iterator[tuple[float, float]]:
    """Ray, begun on this computer or found at an address, and left as it was.

    Args:
        address: of a cluster's head, host:port or ray://host:port; None for this computer.
        cores: of this computer that may be used.

    Returns:
        Cores and GPUs that there are.

    Raises:
        InputError: it cannot be begun, or reached.
    """
    prepare(local=address is None)
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    folder = None
    if address is None:
        # The names of sockets in it have to be short.
        folder = tempfile.mkdtemp(prefix="dystrophydx", dir="/tmp" if os.name == "posix" else None)
        quiet |= {
            "num_cpus": cores,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
            "_temp_dir": folder,
        }
    own = not ray.is_initialized()
    try:
        if own:
            _begin(address, quiet)
        has = ray.cluster_resources()
        yield has.get("CPU", 1.0), has.get("GPU", 0.0)
    finally:
        if own:
            ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _begin(address: str | None, options: dict[str, Any]) -> None:
    import ray

    for left in range(_STARTS if address is None else 1)[::-1]:
        try:
            ray.init(address=address or "local", **options)
            return
        except Exception as error:
            ray.shutdown()
            if left:
                continue
            where = f"at {address} cannot be reached" if address else "cannot be started on this computer"
            raise InputError(f"Ray {where} ({type(error).__name__}); check its address and versions.") from None


@dataclass
class RayWorkers:
    """Actors that hold a worker each; see `schedule.Workers`.

    Args:
        make: makes the worker, in the actor's process.
        resources: of all of them.
    """

    make: Callable[[], Worker]
    resources: Resources
    _refs: dict[Any, Hashable] = field(default_factory=dict)
    _actors: dict[Hashable, Any] = field(default_factory=dict)
    _count: int = 0

    def __post_init__(self) -> None:
        import ray

        self._ray = ray
        self._maker = ray.put(self.make)
        gpus = self.resources.gpus
        self._actor: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, max_task_retries=0)(Actor)

    def start(self) -> Hashable:
        self._count += 1
        worker = self._count
        actor = self._actor.remote(self._maker)
        self._actors[worker] = actor
        self._refs[actor.ready.remote()] = worker
        return worker

    def give(self, worker: Hashable, study: Unit, ahead: Unit | None) -> None:
        self._refs[self._actors[worker].run.remote(study, ahead)] = worker

    def events(self, wait_s: float) -> list[Event]:
        if not self._refs:
            return []
        refs = list(self._refs)
        done, _ = self._ray.wait(refs, num_returns=1, timeout=wait_s)
        if done:
            done, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        return [self._event(ref) for ref in done]

    def end(self, worker: Hashable) -> None:
        for ref in [ref for ref, of in self._refs.items() if of == worker]:
            del self._refs[ref]
        self._ray.kill(self._actors.pop(worker), no_restart=True)

    def close(self) -> None:
        """Ends all workers."""
        for worker in list(self._actors):
            with contextlib.suppress(Exception):  # it has ended by itself
                self.end(worker)

    def _event(self, ref: Any) -> Event:
        worker = self._refs.pop(ref)
        try:
            outcome: Outcome[Any] | None = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            self._actors.pop(worker, None)
            if isinstance(cause, InputError):
                raise cause from None
            return Event(worker, ended=f"{type(cause or error).__name__} in a worker.")
        except self._ray.exceptions.RayError as error:
            self._actors.pop(worker, None)
            return Event(worker, ended=f"The process that worked on it ended ({type(error).__name__}).")
        return Event(worker, outcome)


class Actor:
    """A worker in a process of Ray's, with one thread for computing."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        os.environ |= dict.fromkeys(_THREADS, "1")
        import pydicom

        # For good: a thread that reads and one that writes would undo each other's `quiet_pydicom`.
        logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
        pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
        warnings.simplefilter("ignore")
        self._made: Worker | Exception
        try:
            self._made = make()
        except Exception as error:  # `ready` tells it, which Ray would tell of a constructor only in words
            self._made = error

    def ready(self) -> None:
        """Returns when the model is loaded; raises what has kept it from being."""
        if isinstance(self._made, Exception):
            raise self._made

    def run(self, study: Unit, ahead: Unit | None) -> Outcome[Any]:
        """See `schedule.Worker`."""
        assert not isinstance(self._made, Exception), "it is not ready"
        return self._made.run(study, ahead)
