"""Features of a trunk that stays as it is: computed once and kept, so that an epoch costs the head only."""

from __future__ import annotations

import copy
import hashlib
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..archive.crew import OWN_PROCESS, Crew
from ..archive.studies import Failure
from ..devices import compute_device, has_bfloat16
from ..errors import InputError
from ..models.cam_network import CamNetwork
from ..reporting.progress import Advance
from . import augment
from .distributed import Processes
from .fit import EVALUATION_BATCH, Labelled, SampleExamples, placed


@dataclass(frozen=True)
class FeatureExamples(Labelled):
    """Pooled features, for a head.

    Attributes:
        features: (1 + copies, M, C) float32: of each image as it is, and of its augmented copies.
        images: (N,) rows of interest in M.
        labels: (N,) float32.
    """

    features: np.ndarray
    images: np.ndarray
    labels: torch.Tensor

    def plain(self, chosen: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.features[0, self.images[chosen.numpy()]])

    def varied(self, chosen: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
        copy = (seeds % len(self.features)).numpy()
        return torch.from_numpy(self.features[copy, self.images[chosen.numpy()]])


class FeatureStore:
    """Two files in a folder: the features, memory-mapped, and which of them are there.

    Their name is a digest of all that features depend on. A feature is marked as there only after it has been written
    to disk, so what an interrupted run has computed is taken up by the next, and nothing half-written is trusted.

    Args:
        network: in evaluation mode, on the device; its trunk is used.
        pixels: (M, C, S, S) uint8 samples, see `fit.SampleExamples`.
        digests: of the samples, in their order.
        size: edge at which the trunk sees them.
        copies: augmented copies of an image.
        seed: of their augmentation.
        folder: made where it is absent.
        crew: computes them where it is elsewhere and this process trains alone.
        device: that the crew computes on, one of `devices.DEVICES`.

    Raises:
        InputError: the disk has no room for them.
    """

    def __init__(
        self,
        network: CamNetwork,
        pixels: Any,
        digests: tuple[str, ...],
        *,
        size: int,
        copies: int,
        seed: int,
        folder: Path,
        processes: Processes,
        crew: Crew = OWN_PROCESS,
        device: str = "cpu",
    ) -> None:
        bfloat16 = has_bfloat16(processes.device)
        self._trunk = _Trunk(network, pixels, size, seed, processes.device, bfloat16)
        self._processes, self._crew, self._device = processes, crew, device
        key = _digest(network, digests, size, copies, seed, bfloat16)
        self._file, self._known = folder / f"{key}.features", folder / f"{key}.known.npy"
        shape = (1 + copies, len(pixels), network.feature_count)
        if processes.writes:
            self._reserve(4 * int(np.prod(shape)))
        processes.wait()
        self.features = np.memmap(self._file, np.float32, "r+" if processes.writes else "r", shape=shape)
        self.known = np.load(self._known) if self._known.exists() else np.zeros(shape[:2], bool)
        processes.wait()

    def compute(self, wanted: np.ndarray, advance: Advance) -> None:
        """Computes the wanted features that are not there yet.

        Args:
            wanted: (1 + copies, M) bool.
            advance: called with what is done, how much of it, and of how much.

        Raises:
            InputError: a feature is not a number.
        """
        missing = torch.from_numpy(np.argwhere(wanted & ~self.known))
        parts = missing.split(_PART) if len(missing) else ()
        advance("Computing features", 0, len(missing))
        for done, (part, features) in enumerate(zip(parts, self._of(parts), strict=True)):
            if not features.isfinite().all():
                raise InputError("The backbone gives features that are no numbers; check its weights.")
            copy, image = part.T.numpy()
            if self._processes.writes:
                self.features[copy, image] = features.cpu().numpy()
                self.features.flush()
            self.known[copy, image] = True
            if self._processes.writes:
                self._mark()
            advance("Computing features", done * _PART + len(part), len(missing))
        self._processes.wait()

    def _of(self, parts: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        """(n, C) features of each part, n pairs of copy and image."""
        if not self._crew.elsewhere or self._processes.count > 1:
            for part in parts:
                yield self._processes.gathered(self._trunk.features(self._processes.share(part)), len(part))
            return
        maker = partial(_maker, self._trunk.on(torch.device("cpu")), self._device)
        for found in self._crew.each(maker, [part.numpy() for part in parts], self._device) if parts else ():
            if isinstance(found, Failure):
                raise InputError(f"Features cannot be computed on the cluster: {found.reason}")
            yield torch.tensor(found)

    def _reserve(self, size: int) -> None:
        """Makes room for the features, so that a full disk shows now."""
        if self._file.exists() and self._file.stat().st_size == size:
            return
        self._known.unlink(missing_ok=True)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("wb") as file:
                _allocate(file.fileno(), size)
        except OSError:
            self._file.unlink(missing_ok=True)
            raise InputError(
                f"The features need {size / 2**30:.1f} GiB, which --cache has no room for; free space there."
            ) from None

    def _mark(self) -> None:
        partial = self._known.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                np.save(file, self.known)
            partial.replace(self._known)
        except OSError:
            partial.unlink(missing_ok=True)
            raise InputError("The features cannot be written; free space in --cache.") from None


@dataclass(frozen=True)
class _Trunk:
    """What gives features of samples; see `FeatureStore`.

    Attributes:
        bfloat16: whether it computes in that precision, wherever it is.
    """

    network: CamNetwork
    pixels: Any
    size: int
    seed: int
    device: torch.device
    bfloat16: bool

    def on(self, device: torch.device) -> _Trunk:
        """The same, with a network of its own, on another device."""
        return replace(self, network=copy.deepcopy(self.network).to(device), device=device)

    def features(self, part: torch.Tensor) -> torch.Tensor:
        """(n, C) of n pairs of copy and image."""
        features = [torch.empty(0, self.network.feature_count, device=self.device)]
        for pairs in part.split(EVALUATION_BATCH):
            examples = SampleExamples(self.pixels, pairs[:, 1].numpy(), torch.empty(len(pairs)), self.size)
            everyone = torch.arange(len(pairs))
            samples, plain = examples.plain(everyone), pairs[:, 0] == 0
            if not plain.all():
                varied = everyone[~plain]
                samples[varied] = examples.varied(varied, _seeds(self.seed, pairs[varied]))
            with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                features.append(self.network(placed(samples, self.device)).features.float())
        return torch.cat(features)


def _maker(trunk: _Trunk, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """What gives (n, C) float32 features of (n, 2) pairs of copy and image, in whichever process."""
    there = trunk.on(compute_device(device))
    return lambda pairs: there.features(torch.tensor(pairs)).cpu().numpy()


_PART = 512
"""Features that are computed before they are written."""


def _digest(network: CamNetwork, digests: tuple[str, ...], size: int, copies: int, seed: int, bfloat16: bool) -> str:
    digest = hashlib.sha256(repr((digests, size, copies, seed, bfloat16)).encode())
    digest.update(inspect.getsource(augment).encode())
    for name, tensor in network.trunk.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    digest.update(repr(network.trunk).encode())
    return digest.hexdigest()[:32]


def _seeds(seed: int, pairs: torch.Tensor) -> torch.Tensor:
    """(n,) of pairs of copy and image, the same whatever else is computed."""
    return torch.tensor(
        [int(np.random.SeedSequence([seed, *pair]).generate_state(1)[0]) for pair in pairs.tolist()], dtype=torch.int64
    )


def _allocate(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)
