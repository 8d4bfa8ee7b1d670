"""`MuscleMapper` finds the muscles of a series, and says which side a leg is.

A network sees every leg as a left one: right legs are mirrored. It sees each leg the other way round, too: the map of a
leg that is called by the wrong side is less likely than that of its mirror image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ..devices import channels_last, compute_device, has_bfloat16
from ..errors import InputError
from ..models.map_network import MapNetwork
from ..models.map_package import MapPackage
from ..regions.windows import LABEL_OF_SIDE, Regions, Side, Window
from ..samples.placement import Placement
from ..samples.quality import reaches_border
from ..samples.slice_samples import LegBatch, make_samples
from ..series.plane_orientation import PlaneOrientation
from ..series.series import Series
from .masses import undivided_mm, warnings_on_masses
from .muscle_map import LegMap, MuscleMap
from .sides import told_sides
from .structures import FEMUR, MUSCLES, STRUCTURES
from .thigh import quality_by_map

BATCH = 8
"""Legs a forward pass; each is seen both ways round."""
LEAST_FEMUR, LEAST_MUSCLE = 0.002, 0.08
"""Shares of a leg that femur and muscles have at least where it gets a map (our choice)."""


class MuscleMapper:
    """A model of muscle maps on one device.

    Args:
        package: the model.
        device: one of `devices.DEVICES`.

    Raises:
        InputError: when the weights do not fit the recipe's network or the device is not there.
    """

    def __init__(self, package: MapPackage, device: str = "auto") -> None:
        self.package = package
        self.device = compute_device(device)
        recipe = package.recipe
        network = MapNetwork(recipe.sample.planes, len(STRUCTURES) + 1, recipe.features).eval()
        try:
            network.load_state_dict(package.tensors())
        except RuntimeError:
            raise InputError(
                "The muscle model's weights do not fit its recipe's network; get an intact copy of it."
            ) from None
        self.network = network.to(self.device).to(memory_format=channels_last(4))

    def legs(self, series: Series, windows: Sequence[Window], previous: Sequence[LegMap] = ()) -> tuple[LegMap, ...]:
        """What the network says of each leg, mapped as its own side or, where that is unknown, as the likelier one.

        Args:
            windows: the legs.
            previous: of the same voxels; legs that it holds unchanged are not mapped again.
        """
        known = {_place(leg.window): leg for leg in previous}
        before = [known.get(_place(window)) for window in windows]
        kept = {
            n: leg
            for n, (leg, window) in enumerate(zip(before, windows, strict=True))
            if leg is not None and (leg.window is window or np.array_equal(leg.window.mask, window.mask))
        }
        as_left = {n: _OWN_WAY.get(window.side) for n, window in enumerate(windows) if n not in kept}
        fresh = self._mapped(series, windows, as_left)
        return tuple(kept[n] if n in kept else fresh[n] for n in range(len(windows)))

    def map(
        self,
        series: Series,
        regions: Regions,
        legs: Sequence[LegMap] | None = None,
        thighs: Sequence[bool] | None = None,
    ) -> MuscleMap:
        """The muscles of a series; no leg of a slice without a thigh gets a map.

        Args:
            regions: windows of its legs.
            legs: of these windows, see `legs`; found when not given.
            thighs: of each window, whether it shows a thigh; None where all do.
        """
        windows = regions.windows
        own = [*(self.legs(series, windows) if legs is None else legs)]
        sides = told_sides(windows, [leg.either for leg in own], thighs)
        turned = {n: way for n, way in enumerate(sides.as_left) if own[n].as_left != way}
        for n, leg in self._mapped(series, windows, turned).items():
            own[n] = leg
        labels, placed = np.zeros(series.voxels.shape, np.uint8), np.zeros(series.voxels.shape, np.uint8)
        judged = thighs if thighs is not None else [True] * len(own)
        for leg, side, thigh in zip(own, sides.sides, judged, strict=True):
            if not (thigh and leg.mapped):
                continue
            labels[leg.window.box][leg.window.mask] = leg.labels[leg.window.mask]
            placed[leg.window.box][leg.labels > 0] = LABEL_OF_SIDE[side]
        of_thighs = [leg for leg, thigh in zip(own, judged, strict=True) if thigh]
        warnings = (*sides.warnings, *warnings_on_masses(of_thighs, series.geometry.spacing))
        return MuscleMap(labels, placed, "auto", tuple(own), warnings, self.package.card.told)

    def of_samples(self, series: Series, batch: LegBatch) -> list[LegMap]:
        """As `legs`, of legs whose samples are there already; none where these are not of the size that is seen."""
        if batch.pixels.shape[-1] != self.package.recipe.sample.size:
            return []
        return self._maps(series, batch, [_OWN_WAY.get(window.side) for window in batch.windows])

    def _mapped(self, series: Series, windows: Sequence[Window], ways: Mapping[int, bool | None]) -> dict[int, LegMap]:
        """Some of the windows, each mapped as a left leg, a right one or, where that is None, the likelier one."""
        found: dict[int, LegMap] = {}
        numbers = [*ways]
        for first in range(0, len(numbers), BATCH):
            chosen = numbers[first : first + BATCH]
            batch = make_samples(series, [windows[n] for n in chosen], self.package.recipe.sample.size)
            found |= zip(chosen, self._maps(series, batch, [ways[n] for n in chosen]), strict=True)
        return found

    def _maps(self, series: Series, batch: LegBatch, ways: Sequence[bool | None]) -> list[LegMap]:
        """Maps of samples of legs; of the likelier way round alone the probability of each label is made."""
        images = batch.pixels[:, batch.own, None]
        samples = torch.cat([images, images.flip(-1)])
        evidence, total = self._evidence(samples)
        either = [*zip(*(part.tolist() for part in _likelihoods(total, samples[:, 0] > 0).chunk(2)), strict=True)]
        as_left = [one >= other if way is None else way for way, (one, other) in zip(ways, either, strict=True)]
        rows = [n if left else n + len(ways) for n, left in enumerate(as_left)]
        rounded = (evidence[rows] / total[rows]).half().cpu()
        # Label by label, as they are gone through from here on; the network gives them pixel by pixel.
        probabilities = rounded.to(torch.float32, memory_format=torch.contiguous_format)
        right = [n for n, left in enumerate(as_left) if not left]
        probabilities[right] = probabilities[right].flip(-1)
        plane, least = PlaneOrientation.of(series.geometry), self.package.card.least_likelihood
        seen = zip(
            batch.windows, batch.placements, images[:, 0].numpy(), _most_likely(probabilities.numpy().swapaxes(0, 1)),
            probabilities, as_left, either, strict=True,
        )  # fmt: skip
        return [_Seen(*of_leg).leg(least, plane, series) for of_leg in seen]

    def _evidence(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, labels, size, size) of samples (N, 1, size, size): how likely each label is relative to the likeliest
        one; and (N, 1, size, size) the sum over the labels."""
        fast = torch.autocast(self.device.type, torch.bfloat16, enabled=has_bfloat16(self.device))
        with torch.inference_mode(), fast:
            logits = self.network(samples.to(self.device, memory_format=channels_last(4))).float()
            evidence = (logits - logits.amax(dim=1, keepdim=True)).exp_()
            return evidence, evidence.sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class _Seen:
    """What the network says of a window.

    Attributes:
        image: (size, size) float32, the sample.
        most: (size, size) uint8, the likeliest label.
        probabilities: (labels, size, size).
        as_left, either: see `LegMap`.
    """

    window: Window
    placement: Placement
    image: np.ndarray
    most: np.ndarray
    probabilities: torch.Tensor
    as_left: bool
    either: tuple[float, float]

    def leg(self, least_likelihood: float, plane: PlaneOrientation, series: Series) -> LegMap:
        """The map of the leg."""
        inside = self.image > 0
        shares = np.bincount(self.most[inside], minlength=len(STRUCTURES) + 1) / max(1, int(np.count_nonzero(inside)))
        mapped = bool(
            shares[FEMUR] >= LEAST_FEMUR
            and shares[1 : len(MUSCLES) + 1].sum() >= LEAST_MUSCLE
            and self.either[0 if self.as_left else 1] >= least_likelihood
        )
        pixel_mm = min(series.geometry.spacing[:2]) / max(self.placement.scale)
        quality = quality_by_map(
            self.image,
            inside,
            self.most,
            self.probabilities[FEMUR].numpy(),
            self.either,
            pixel_mm,
            reaches_border(self.window, series.voxels.shape[1:]),
        )
        labels = self._drawn(plane) if mapped else np.zeros(self.window.mask.shape, np.uint8)
        undivided = undivided_mm(self.image, inside, self.most, pixel_mm)
        return LegMap(self.window, labels, mapped, self.as_left, self.either, quality, undivided)

    def _drawn(self, plane: PlaneOrientation) -> np.ndarray:
        """The likeliest label of each pixel of the window; 0 outside the leg."""
        mask = plane.canonical(self.window.mask)
        places = np.nonzero(mask)
        y, x = (
            ((self.placement.sample_coordinates(axis) + 0.5) * (2 / self.image.shape[axis]) - 1)[places[axis]]
            for axis in (0, 1)
        )
        grid = torch.from_numpy(np.stack([x, y], axis=-1).astype(np.float32))
        sampled = functional.grid_sample(self.probabilities[None], grid[None, None], align_corners=False)
        labels = np.zeros(mask.shape, np.uint8)
        labels[places] = _most_likely(sampled[0, :, 0].numpy())
        return plane.stored(labels)


_OWN_WAY = {Side.LEFT: True, Side.RIGHT: False}


def _likelihoods(total: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(N,) mean log probability of the likeliest label over the pixels `inside` (N, size, size) bool; 0 without any.

    Args:
        total: see `MuscleMapper._evidence`; the likeliest label is one of that.
    """
    most = (1 / total[:, 0]).half().float().log().cpu()
    return (most * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2)).clamp_min(1)


def _most_likely(probabilities: np.ndarray) -> np.ndarray:
    """(...) uint8 label of the largest of (labels, ...), the first of equal ones; `argmax` takes ten times as long."""
    best = probabilities[0].copy()
    labels = np.zeros(best.shape, np.uint8)
    for label, plane in enumerate(probabilities[1:], 1):
        np.maximum(labels, (plane > best).view(np.uint8) * np.uint8(label), out=labels)
        np.maximum(best, plane, out=best)
    return labels


def _place(window: Window) -> tuple:
    return window.slice, window.side, window.i, window.j
