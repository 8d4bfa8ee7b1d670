"""`MuscleMapper` finds the muscles of a series, and says which side a leg is.

A network sees every leg as a left one: right legs are mirrored. It sees each leg the other way round, too: the map of a
leg that is called by the wrong side is less likely than that of its mirror image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

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
from ..samples.slice_samples import make_samples
from ..series.plane_orientation import PlaneOrientation
from ..series.series import Series
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
            if leg is not None and np.array_equal(leg.window.mask, window.mask)
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
        return MuscleMap(labels, placed, "auto", tuple(own), sides.warnings, self.package.card.told)

    def _mapped(self, series: Series, windows: Sequence[Window], ways: Mapping[int, bool | None]) -> dict[int, LegMap]:
        """Some of the windows, each mapped as a left leg, a right one or, where that is None, the likelier one."""
        found: dict[int, LegMap] = {}
        plane, least = PlaneOrientation.of(series.geometry), self.package.card.least_likelihood
        numbers = [*ways]
        for first in range(0, len(numbers), BATCH):
            chosen = numbers[first : first + BATCH]
            batch = make_samples(series, [windows[n] for n in chosen], self.package.recipe.sample.size)
            both = torch.cat([batch.pixels, batch.pixels.flip(-1)])
            as_left, as_right = self._probabilities(both).chunk(2)
            of_legs = zip(chosen, batch.placements, batch.pixels[:, 0], as_left, as_right.flip(-1), strict=True)
            for n, place, image, left, right in of_legs:
                found[n] = _Seen(windows[n], place, image, (left, right)).leg(ways[n], least, plane, series)
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
        image: (size, size) float32, the sample.
        probabilities: (labels, size, size) of the leg taken for a left one, and for a right one.
    """

    window: Window
    placement: Placement
    image: torch.Tensor
    probabilities: tuple[torch.Tensor, torch.Tensor]

    @cached_property
    def inside(self) -> torch.Tensor:
        """(size, size) bool, pixels of the sample that are leg."""
        return self.image > 0

    def leg(self, as_left: bool | None, least_likelihood: float, plane: PlaneOrientation, series: Series) -> LegMap:
        """The map of the leg, taken for a left or a right one; for the likelier of both where it is not said."""
        first, second = (self._likelihood(one) for one in self.probabilities)
        as_left = first >= second if as_left is None else as_left
        probabilities, inside = self.probabilities[0 if as_left else 1].float(), self.inside
        most = _most_likely(probabilities)
        shares = torch.bincount(most[inside], minlength=len(STRUCTURES) + 1) / max(1, int(inside.sum()))
        mapped = bool(
            shares[FEMUR] >= LEAST_FEMUR
            and shares[1 : len(MUSCLES) + 1].sum() >= LEAST_MUSCLE
            and (first if as_left else second) >= least_likelihood
        )
        quality = quality_by_map(
            self.image.numpy(),
            inside.numpy(),
            most.numpy(),
            probabilities[FEMUR].numpy(),
            (first, second),
            min(series.geometry.spacing[:2]) / max(self.placement.scale),
            reaches_border(self.window, series.voxels.shape[1:]),
        )
        labels = np.zeros(self.window.mask.shape, np.uint8)
        if mapped:
            rows, columns = (
                torch.from_numpy((self.placement.sample_coordinates(axis) + 0.5) * (2 / inside.shape[axis]) - 1)
                for axis in (0, 1)
            )
            grid = torch.stack(torch.meshgrid(rows.float(), columns.float(), indexing="ij")[::-1], dim=-1)
            drawn = _most_likely(functional.grid_sample(probabilities[None], grid[None], align_corners=False)[0])
            labels = plane.stored(drawn.numpy()) * self.window.mask
        return LegMap(self.window, labels, mapped, as_left, (first, second), quality)

    def _likelihood(self, probabilities: torch.Tensor) -> float:
        most = probabilities.float().amax(dim=0)[self.inside]
        return float(most.log().mean()) if len(most) else 0.0


_OWN_WAY = {Side.LEFT: True, Side.RIGHT: False}


def _most_likely(probabilities: torch.Tensor) -> torch.Tensor:
    """(rows, columns) uint8 label of the largest of (labels, rows, columns), the first of equal ones; PyTorch's own
    `argmax` over planes takes several times as long."""
    best = probabilities[0]
    labels = torch.zeros(best.shape, dtype=torch.uint8)
    for label, plane in enumerate(probabilities[1:], 1):
        labels.masked_fill_(plane > best, label)
        best = torch.maximum(best, plane)
    return labels


def _place(window: Window) -> tuple:
    return window.slice, window.side, window.i, window.j
