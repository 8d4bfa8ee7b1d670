"""From a series and a model package to the answer: windows, one forward pass, heatmap, case, warnings."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.fx.experimental.optimization import fuse
from torch.nn import functional

from . import __version__
from .errors import InputError
from .explain.heatmap import CellGrid
from .model_package import ModelPackage
from .networks import CamNetwork, NetworkOutput, build_network
from .quality import ImageQuality, input_warnings, judge_images, share_outside_muscle, thigh_images
from .results import (
    INDETERMINATE,
    UNSUITABLE,
    CaseResult,
    ImageResult,
    InputFacts,
    ModelFacts,
    Provenance,
    ResultWarning,
    SkippedImage,
    StudyResult,
    WarningCode,
)
from .roi import LegRegions, PlaneOrientation, find_legs
from .samples import GRID, SampleBatch, make_samples, place
from .series import Series

BATCH = 16
"""Windows a forward pass, which bounds the memory whatever the number of slices."""
RESAMPLES = 2000
SEED = 20210113
"""Of the bootstrap; fixed, so that the same input and package give the same result."""
LARGEST_SHIFT = 0.01
"""Probability by which lower precision may move an image before full precision is used instead."""
HEAT_OUTSIDE = 0.5
"""Share of heat outside the muscles from which a positive case is warned of."""
HEAT_JUDGED = 2
"""Positive windows of a batch whose heat is held against the muscles."""
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Classification:
    """All that `Classifier.classify` finds.

    Attributes:
        heatmap: (z, y, x) float32 on the grid of the series, 0 to 1 over the case, 0 outside the legs.
    """

    result: StudyResult
    regions: LegRegions
    heatmap: np.ndarray


class _ImageScores(NamedTuple):
    """Of all windows: evidence for the second class (N,), its maps (N, h, w), feature distance (N,), quality."""

    logits: np.ndarray
    maps: np.ndarray
    distances: np.ndarray
    qualities: list[ImageQuality]


class Classifier:
    """A model package ready to classify on one device.

    Args:
        package: the model.
        device: one of `DEVICES`; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        InputError: when the weights do not fit the recipe's network or the device is not there.
    """

    def __init__(self, package: ModelPackage, device: str = "auto") -> None:
        self.package = package
        self.device = _device(device)
        if package.recipe.outputs != 1:
            raise InputError("The model tells more than two classes apart; choose one for two classes.")
        tensors = package.tensors()
        self._mean, self._precision = (tensors.pop(f"features.{name}", None) for name in ("mean", "precision"))
        network = build_network(package.recipe).eval()
        try:
            network.load_state_dict(tensors)
            if self._mean.shape != (network.head.in_features,) or self._precision.shape != 2 * self._mean.shape:
                raise RuntimeError("the feature statistics have another size")
        except (RuntimeError, AttributeError):
            raise InputError(
                "The model package's weights do not fit its recipe's network; get an intact copy of it."
            ) from None
        self._cells = CellGrid.of(network)
        self._exact = _folded(network).to(self.device, memory_format=torch.channels_last)
        self._network, self._dtype = self._exact, torch.float32
        if self.device.type == "cpu" and _has_bf16():
            fast = _lower_precision(self._exact)
            if self._shift(fast) <= LARGEST_SHIFT:
                self._network, self._dtype = fast, torch.bfloat16

    def classify(
        self,
        series: Series,
        regions: LegRegions | None = None,
        timing_s: dict[str, float] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Classification:
        """Classifies one series.

        Args:
            series: as read by `series.read_study` or taken from a scene.
            regions: leg windows; found automatically when not given.
            timing_s: seconds of the stages before, taken over into the result.
            progress: called with the number of windows done and of all windows.

        Raises:
            InputError: when no leg is found in any slice.
        """
        timing_s = dict(timing_s or {})
        start = time.perf_counter()
        if regions is None:
            regions = find_legs(series)
            if not regions.windows:
                raise InputError("No leg was found in any slice; choose a series of the thighs or give the region.")
        elif not regions.windows:
            raise InputError("The given region holds no leg of this series; give a region that was drawn on it.")
        timing_s["roi"] = timing_s.get("roi", 0.0) + time.perf_counter() - start
        start = time.perf_counter()
        scores, outside = self._scores(series, regions, progress)
        thigh = thigh_images(regions.windows, scores.qualities)
        counted = np.array(thigh) if any(thigh) else np.ones(len(thigh), bool)
        heatmap = self._heatmap(series, regions, scores.maps, counted)
        timing_s["network"] = time.perf_counter() - start
        probabilities = self._probability(scores.logits)
        warnings = input_warnings(series, regions, scores.qualities, thigh)
        warnings += self._model_warnings(scores, probabilities, counted, outside)
        case = self._case(regions, probabilities, counted, warnings)
        result = StudyResult(
            input=_input_facts(series),
            model=self._model_facts(),
            case=case,
            images=tuple(
                ImageResult(
                    slice=window.slice,
                    side=window.side.value,
                    window_ijk=(window.i, window.j),
                    probability=probability,
                    roi=window.source,
                    anatomy="thigh" if is_thigh else "other",
                    counted=bool(counts),
                )
                for window, probability, is_thigh, counts in zip(
                    regions.windows, probabilities.tolist(), thigh, counted, strict=True
                )
            ),
            skipped=tuple(
                SkippedImage(slice=item.slice, side=item.side and item.side.value, reason=item.reason)
                for item in regions.skipped
            ),
            warnings=tuple(warnings),
            provenance=Provenance(
                program=f"DystrophyDx {__version__}",
                created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                device=str(self.device),
                precision=str(self._dtype).removeprefix("torch."),
            ),
            timing_s=timing_s,
        )
        return Classification(result, regions, heatmap)

    def _scores(
        self, series: Series, regions: LegRegions, progress: Callable[[int, int], None] | None
    ) -> tuple[_ImageScores, list[float]]:
        """Scores of all windows, and the share of heat outside the muscles of positive ones."""
        outputs, qualities, outside = [], [], []
        for batch, judged in self._batches(series, regions):
            output = self._forward(self._network, batch.pixels)
            outside += self._heat_outside(output, batch)
            qualities += judged
            outputs.append(output)
            if progress:
                progress(len(qualities), len(regions.windows))
        logits, maps, features = (torch.cat(parts).cpu() for parts in zip(*outputs, strict=True))
        offset = features - self._mean
        distances = torch.einsum("nc,cd,nd->n", offset, self._precision, offset).clamp_min(0).sqrt()
        return _ImageScores(logits[:, 0].numpy(), maps[:, 0].numpy(), distances.numpy(), qualities), outside

    def _batches(self, series: Series, regions: LegRegions) -> Iterator[tuple[SampleBatch, list[ImageQuality]]]:
        """Samples and what they show, batch by batch."""
        for first in range(0, len(regions.windows), BATCH):
            windows = regions.windows[first : first + BATCH]
            batch = make_samples(series, windows, self.package.recipe.sample.size)
            yield batch, judge_images(series, batch)

    def _forward(self, network: CamNetwork, pixels: torch.Tensor) -> NetworkOutput:
        dtype = next(network.trunk.parameters()).dtype
        with torch.inference_mode():
            return network(pixels.to(self.device, dtype, memory_format=torch.channels_last))

    def _shift(self, network: CamNetwork) -> float:
        """Largest change of probability that `network` makes against full precision, on made-up textured legs."""
        size = self.package.recipe.sample.size
        texture = torch.rand(4, 1, size // 8, size // 8, generator=torch.Generator().manual_seed(SEED))
        legs = functional.interpolate(texture, size, mode="bilinear")
        position = torch.linspace(-1, 1, size)
        legs = legs * (torch.hypot(position[:, None], position) < 0.95)
        changed, exact = (
            self._probability(self._forward(candidate, legs).logits.cpu().numpy())
            for candidate in (network, self._exact)
        )
        return float(np.abs(changed - exact).max())

    def _probability(self, logits: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-logits.astype(np.float64) / self.package.card.temperature))

    def _heat_outside(self, output: NetworkOutput, batch: SampleBatch) -> list[float]:
        centres = (np.arange(GRID) + 0.5) * (batch.pixels.shape[-1] / GRID) - 0.5
        positive = self._probability(output.logits[:, 0].cpu().numpy()) >= self.package.card.threshold
        return [
            share_outside_muscle(
                self._cells.at(output.maps[n, 0].clamp_min(0).cpu().numpy(), centres, centres),
                batch.grid[n].numpy(),
                batch.inside[n].numpy(),
            )
            for n in np.flatnonzero(positive)[:HEAT_JUDGED]
        ]

    def _heatmap(self, series: Series, regions: LegRegions, maps: np.ndarray, counted: np.ndarray) -> np.ndarray:
        """(z, y, x) evidence for the second class on the voxels of the legs, 1 where it is highest in the case."""
        plane = PlaneOrientation.of(series.geometry)
        spacing = series.geometry.spacing[:2] if plane.transposed else series.geometry.spacing[1::-1]
        heatmap = np.zeros(series.voxels.shape, np.float32)
        highest = self.package.card.heat_reference
        for window, cells, counts in zip(regions.windows, maps, counted, strict=True):
            mask = plane.canonical(window.mask)
            placement = place(mask.shape, spacing, self.package.recipe.sample.size)
            target = plane.canonical(heatmap[window.slice, slice(*window.j), slice(*window.i)])
            heat = self._cells.to_window(np.maximum(cells, 0), placement)
            np.copyto(target, heat, where=mask)
            if counts:
                highest = max(highest, float(heat[mask].max()))
        np.divide(heatmap, highest, out=heatmap)
        return np.minimum(heatmap, 1, out=heatmap)

    def _model_warnings(
        self, scores: _ImageScores, probabilities: np.ndarray, counted: np.ndarray, outside: list[float]
    ) -> Iterator[ResultWarning]:
        """Warnings that need the network's output or the model's card."""
        card = self.package.card
        if np.median(scores.distances[counted]) > card.largest_distance:
            yield ResultWarning(
                code=WarningCode.OUT_OF_DISTRIBUTION,
                message="The images are unlike those the model was trained on; do not rely on the figures.",
            )
        if np.mean(probabilities[counted]) >= card.threshold and np.median(outside or [0]) > HEAT_OUTSIDE:
            yield ResultWarning(
                code=WarningCode.HEATMAP_OUTSIDE_MUSCLE,
                message=f"{np.median(outside):.0%} of the evidence lies outside the muscles; look at the heatmap "
                "before using the figures.",
            )
        if card.demonstration:
            yield ResultWarning(
                code=WarningCode.DEMONSTRATION_MODEL,
                message=f"The model was trained on {card.trained_on}. Its figures say nothing about patients; "
                "train a model on your own cases.",
            )

    def _case(
        self, regions: LegRegions, probabilities: np.ndarray, counted: np.ndarray, warnings: list[ResultWarning]
    ) -> CaseResult:
        card = self.package.card
        slices = np.array([window.slice for window in regions.windows])
        interval = case_interval(probabilities[counted], slices[counted])
        probability = float(np.mean(probabilities[counted]))
        unsuitable = [warning.code.value for warning in warnings if warning.code in UNSUITABLE]
        other, positive = card.classes
        if unsuitable:
            label, reason = INDETERMINATE, f"The model was not made for this input: {', '.join(unsuitable)}."
        elif len(np.unique(slices[counted])) < 2:
            label, reason = INDETERMINATE, "One slice alone gives no interval."
        elif interval[0] < card.threshold <= interval[1]:
            label, reason = INDETERMINATE, "The 95 % interval crosses the threshold."
        else:
            label = positive if probability >= card.threshold else other
            reason = f"The 95 % interval lies {'above' if label == positive else 'below'} the threshold."
        return CaseResult(probability=probability, ci95=interval, label=label, threshold=card.threshold, reason=reason)

    def _model_facts(self) -> ModelFacts:
        card = self.package.card
        return ModelFacts(
            name=card.name,
            version=card.version,
            sha256=self.package.sha256,
            trained_on=card.trained_on,
            classes=card.classes,
        )


def case_interval(probabilities: np.ndarray, slices: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of the mean probability by bootstrap over slices, both legs of a slice together.

    A single slice says nothing of how the others would have come out: its interval is 0 to 1.

    Args:
        probabilities: (N,) of the images.
        slices: (N,) slice of each.
    """
    _, group = np.unique(slices, return_inverse=True)
    sums, counts = np.bincount(group, probabilities), np.bincount(group)
    if len(sums) < 2:
        return 0.0, 1.0
    drawn = np.random.default_rng(SEED).integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5]).clip(0, 1)
    return float(low), float(high)


def _device(name: str) -> torch.device:
    if name not in DEVICES:
        raise InputError(f"The device {name!r} is not known; choose one of {', '.join(DEVICES)}.")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        raise InputError(f"This computer has no usable {name} device; use --device auto.")
    return torch.device(name)


def _has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 natively."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _folded(network: CamNetwork) -> CamNetwork:
    """The network with batch normalisation folded into the convolutions before it."""
    return CamNetwork(fuse(network.trunk), network.head).eval()


def _lower_precision(network: CamNetwork) -> CamNetwork:
    """The network with its trunk in bfloat16; the head stays in full precision."""
    return CamNetwork(copy.deepcopy(network.trunk).bfloat16(), network.head).eval()


def _input_facts(series: Series) -> InputFacts:
    return InputFacts(
        kind=series.kind,
        series_uid=series.series_uid,
        slices=len(series.voxels),
        spacing_mm=series.geometry.spacing,
        selection=series.selection,
        notes=series.notes,
        acquisition=dataclasses.asdict(series.acquisition),
    )
