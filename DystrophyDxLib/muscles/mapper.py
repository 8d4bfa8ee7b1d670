"""`MuscleMapper` finds the muscles of a series, and says which side a leg is.

A network sees every leg as a left one: right legs are mirrored. It sees each leg the other way round, too: the map of a
leg that is called by the wrong side is less likely than that of its mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ..devices import channels_last, compute_device, has_bfloat16
from ..errors import InputError
from ..models.map_network import MapNetwork
from ..models.map_package import MapPackage
from ..regions.windows import LABEL_OF_SIDE, Regions, Window
from ..samples.placement import Placement
from ..samples.slice_samples import make_samples
from ..series.plane_orientation import PlaneOrientation
from ..series.series import Series
from .muscle_map import LegMap, MuscleMap
from .sides import told_sides
from .structures import FEMUR, MUSCLES, STRUCTURES

BATCH = 8
"""Legs a forward pass; each is seen both ways round."""
LEAST_FEMUR, LEAST_MUSCLE = 0.002, 0.08
"""Shares of a leg that femur and muscles have where it is a thigh (our choice)."""


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

    def map(
        self,
        series: Series,
        regions: Regions,
        previous: MuscleMap | None = None,
        thighs: Sequence[bool] | None = None,
    ) -> MuscleMap:
        """The muscles of a series; no leg of a slice without a thigh gets a map.

        Args:
            regions: windows of its legs.
            previous: of the same voxels with other regions; legs that it holds unchanged are not mapped again.
            thighs: of each window, whether it shows a thigh as far as that was judged otherwise; None where it was not.
        """
        known = {_place(leg.window): leg for leg in previous.legs} if previous else {}
        kept = {}
        for n, window in enumerate(regions.windows):
            before = known.get(_place(window))
            if before is not None and np.array_equal(before.window.mask, window.mask):
                kept[n] = before
        seen = self._seen(series, regions.windows, [n for n in range(len(regions.windows)) if n not in kept])
        either = [kept[n].either if n in kept else seen[n].either for n in range(len(regions.windows))]
        sides = told_sides(regions.windows, either, thighs)
        turned = [n for n, leg in kept.items() if leg.as_left != sides.as_left[n]]
        seen |= self._seen(series, regions.windows, turned)
        plane = PlaneOrientation.of(series.geometry)
        legs = tuple(
            seen[n].leg(sides.as_left[n], self.package.card.least_likelihood, plane) if n in seen else kept[n]
            for n in range(len(regions.windows))
        )
        labels, placed = np.zeros(series.voxels.shape, np.uint8), np.zeros(series.voxels.shape, np.uint8)
        judged = thighs if thighs is not None else [True] * len(legs)
        for leg, side, thigh in zip(legs, sides.sides, judged, strict=True):
            if not (thigh and leg.thigh):
                continue
            labels[leg.window.box][leg.window.mask] = leg.labels[leg.window.mask]
            placed[leg.window.box][leg.labels > 0] = LABEL_OF_SIDE[side]
        return MuscleMap(labels, placed, "auto", legs, sides.warnings, self.package.card.told)

    def _seen(self, series: Series, windows: Sequence[Window], numbers: Sequence[int]) -> dict[int, _Seen]:
        """What the network says of some of the windows, taken for left legs and for right ones."""
        found: dict[int, _Seen] = {}
        for first in range(0, len(numbers), BATCH):
            chosen = numbers[first : first + BATCH]
            batch = make_samples(series, [windows[n] for n in chosen], self.package.recipe.sample.size)
            both = torch.cat([batch.pixels, batch.pixels.flip(-1)])
            probabilities = self._probabilities(both)
            as_left, as_right = probabilities.chunk(2)
            inside = batch.pixels[:, 0] > 0
            pairs = zip(chosen, batch.windows, batch.placements, as_left, as_right.flip(-1), inside, strict=True)
            found |= {n: _Seen(windows[n], place, (left, right), leg) for n, _, place, left, right, leg in pairs}
        return found

    def _probabilities(self, samples: torch.Tensor) -> torch.Tensor:
        """(N, labels, size, size) float16 of samples (N, 1, size, size), on the CPU."""
        fast = torch.autocast(self.device.type, torch.bfloat16, enabled=has_bfloat16(self.device))
        with torch.inference_mode(), fast:
            logits = self.network(samples.to(self.device, memory_format=channels_last(4)))
            return logits.float().softmax(dim=1).half().cpu()


@dataclass(frozen=True)
class _Seen:
    """What the network says of a window.

    Attributes:
        probabilities: (labels, size, size) of the leg taken for a left one, and for a right one.
        inside: (size, size) bool, pixels of the sample that are leg.
    """

    window: Window
    placement: Placement
    probabilities: tuple[torch.Tensor, torch.Tensor]
    inside: torch.Tensor

    @property
    def either(self) -> tuple[float, float]:
        """See `LegMap.either`."""
        first, second = (self._likelihood(one) for one in self.probabilities)
        return first, second

    def leg(self, as_left: bool, least_likelihood: float, plane: PlaneOrientation) -> LegMap:
        """The map of the leg, taken for a left or a right one."""
        probabilities = self.probabilities[0 if as_left else 1].float()
        most = probabilities.argmax(dim=0)[self.inside]
        shares = torch.bincount(most, minlength=len(STRUCTURES) + 1) / max(1, len(most))
        thigh = bool(
            shares[FEMUR] >= LEAST_FEMUR
            and shares[1 : len(MUSCLES) + 1].sum() >= LEAST_MUSCLE
            and self.either[0 if as_left else 1] >= least_likelihood
        )
        labels = np.zeros(self.window.mask.shape, np.uint8)
        if thigh:
            rows, columns = (
                torch.from_numpy((self.placement.sample_coordinates(axis) + 0.5) * (2 / self.inside.shape[axis]) - 1)
                for axis in (0, 1)
            )
            grid = torch.stack(torch.meshgrid(rows.float(), columns.float(), indexing="ij")[::-1], dim=-1)
            drawn = functional.grid_sample(probabilities[None], grid[None], align_corners=False)[0].argmax(dim=0)
            labels = plane.stored(drawn.numpy().astype(np.uint8)) * self.window.mask
        return LegMap(self.window, labels, thigh, as_left, self.either)

    def _likelihood(self, probabilities: torch.Tensor) -> float:
        most = probabilities.float().amax(dim=0)[self.inside]
        return float(most.log().mean()) if len(most) else 0.0


def _place(window: Window) -> tuple:
    return window.slice, window.side, window.i, window.j
