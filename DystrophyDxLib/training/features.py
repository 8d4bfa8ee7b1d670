"""Features of a trunk that stays as it is: computed once and kept, so that an epoch costs the head only."""

from __future__ import annotations

import hashlib
import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..devices import has_bfloat16
from ..errors import InputError
from ..models.cam_network import CamNetwork
from ..reporting.progress import Advance
from . import augment
from .distributed import Processes
from .fit import EVALUATION_BATCH, Labelled, SampleExamples, fast_precision, placed


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
    ) -> None:
        self._network, self._pixels, self._size, self._seed = network, pixels, size, seed
        self._processes = processes
        key = _digest(network, digests, size, copies, seed, has_bfloat16(processes.device))
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
        for done, part in enumerate(missing.split(_PART)):
            advance("Computing features", done * _PART, len(missing))
            features = self._processes.gathered(self._of(self._processes.share(part)), len(part))
            if not features.isfinite().all():
                raise InputError("The backbone gives features that are no numbers; check its weights.")
            copy, image = part.T.numpy()
            if self._processes.writes:
                self.features[copy, image] = features.cpu().numpy()
                self.features.flush()
            self.known[copy, image] = True
            if self._processes.writes:
                self._mark()
        self._processes.wait()

    def _of(self, part: torch.Tensor) -> torch.Tensor:
        """(n, C) features of n pairs of copy and image."""
        device = self._processes.device
        features = [torch.empty(0, self._network.feature_count, device=device)]
        for pairs in part.split(EVALUATION_BATCH):
            examples = SampleExamples(self._pixels, pairs[:, 1].numpy(), torch.empty(len(pairs)), self._size)
            everyone = torch.arange(len(pairs))
            samples, plain = examples.plain(everyone), pairs[:, 0] == 0
            if not plain.all():
                varied = everyone[~plain]
                samples[varied] = examples.varied(varied, _seeds(self._seed, pairs[varied]))
            with torch.inference_mode(), fast_precision(device):
                features.append(self._network(placed(samples, device)).features.float())
        return torch.cat(features)

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
