"""From a series and a model package to the answer: windows, one forward pass, heatmap, case, warnings."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.fx.experimental.optimization import fuse
from torch.nn import functional

from . import __version__
from .devices import compute_device, has_bfloat16
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
from .roi import LegRegions, PlaneOrientation, Window, find_legs
from .samples import GRID, SampleBatch, make_samples, place
from .series import Series

BATCH = 8
"""Windows a forward pass: bounds the memory whatever the number of slices, and how long a user waits for "Cancel"."""
RESAMPLES = 2000
SEED = 20210113
"""Of the bootstrap; fixed, so that the same input and package give the same result."""
LARGEST_SHIFT = 0.01
"""Probability by which lower precision may move an image before full precision is used instead."""
HEAT_OUTSIDE = 0.5
"""Share of heat outside the muscles from which a positive case is warned of."""
HEAT_JUDGED = 6
"""Slices, evenly along the series, in which the heat of positive windows is held against the muscles."""


class ImageScore(NamedTuple):
    """What the network and the gates say of one window, whatever the other windows are.

    Attributes:
        logit: evidence for the second class.
        cells: (h, w) float32, its map.
        distance: of the features from those of the training images.
        quality: what the window shows.
        outside: share of heat outside the muscles; None where that was not judged.
    """

    logit: float
    cells: np.ndarray
    distance: float
    quality: ImageQuality
    outside: float | None


class Heat(NamedTuple):
    """Evidence on the voxels.

    Attributes:
        voxels: (z, y, x) float32 on the grid of the series: evidence for the second class, up to 1 over the case, and
            where negative for the first, down to -1 on the same scale; 0 outside the legs.
        strongest: evidence at 1.
        peaks: strongest evidence for the second class in each window.
    """

    voxels: np.ndarray
    strongest: float
    peaks: tuple[float, ...]


@dataclass(frozen=True)
class Classification:
    """All that `Classifier.classify` finds.

    Attributes:
        scores: of each window, in the order of `regions.windows`.
    """

    result: StudyResult
    regions: LegRegions
    scores: tuple[ImageScore, ...]
    heat: Heat

    @property
    def heatmap(self) -> np.ndarray:
        """(z, y, x) float32, a copy: evidence for the second class alone, 0 to 1 over the case, 0 outside the legs."""
        return np.maximum(self.heat.voxels, 0)


class Classifier:
    """A model package ready to classify on one device.

    Args:
        package: the model.
        device: one of `devices.DEVICES`; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        InputError: when the weights do not fit the recipe's network or the device is not there.
    """

    def __init__(self, package: ModelPackage, device: str = "auto") -> None:
        self.package = package
        self.device = compute_device(device)
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
        if self.device.type == "cpu" and has_bfloat16(self.device):
            fast = _lower_precision(self._exact)
            if self._shift(fast) <= LARGEST_SHIFT:
                self._network, self._dtype = fast, torch.bfloat16

    def classify(
        self,
        series: Series,
        regions: LegRegions | None = None,
        timing_s: dict[str, float] | None = None,
        progress: Callable[[int, int], None] | None = None,
        previous: Classification | None = None,
    ) -> Classification:
        """Classifies one series.

        Windows that `previous` holds unchanged are not run again; the answer is that of a whole run.

        Args:
            series: as read by `series.read_study` or taken from a scene.
            regions: leg windows; found automatically when not given.
            timing_s: seconds of the stages before, taken over into the result.
            progress: called after each batch with the number of windows done and of all that are run. What it raises
                ends the work and leaves `previous` as it was; `errors.Cancelled` is for a user who wants that.
            previous: of the same voxels and geometry with other regions. Its `heat.voxels` are taken over and changed
                in place, so only what is returned may be used afterwards.

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
        if previous is not None and not self._answers_as(previous.result):
            previous = None
        kept = _kept_windows(regions.windows, previous.regions.windows if previous else ())
        scores = self._scores(series, regions, kept, previous, progress)
        qualities = [score.quality for score in scores]
        thigh = thigh_images(regions.windows, qualities)
        counted = np.array(thigh) if any(thigh) else np.ones(len(thigh), bool)
        heat = self._heat(series, regions, scores, counted, kept, previous)
        timing_s["network"] = time.perf_counter() - start
        probabilities = self._probability(np.array([score.logit for score in scores]))
        warnings = input_warnings(series, regions, qualities, thigh)
        warnings += self._model_warnings(scores, probabilities, counted)
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
                precision=self._precision_name,
            ),
            timing_s=timing_s,
        )
        return Classification(result, regions, scores, heat)

    @property
    def _precision_name(self) -> str:
        return str(self._dtype).removeprefix("torch.")

    def _answers_as(self, result: StudyResult) -> bool:
        """Whether `result` came about in the way in which this classifier works."""
        made = result.provenance
        return (result.model.sha256, made.device, made.precision) == (
            self.package.sha256,
            str(self.device),
            self._precision_name,
        )

    def _scores(
        self,
        series: Series,
        regions: LegRegions,
        kept: dict[int, int],
        previous: Classification | None,
        progress: Callable[[int, int], None] | None,
    ) -> tuple[ImageScore, ...]:
        """Scores of all windows, those of `kept` (number of a window → its number in `previous`) taken over."""
        scores = {n: previous.scores[before] for n, before in kept.items()}
        fresh = [n for n in range(len(regions.windows)) if n not in kept]
        for first in range(0, len(fresh), BATCH):
            numbers = fresh[first : first + BATCH]
            batch = make_samples(series, [regions.windows[n] for n in numbers], self.package.recipe.sample.size)
            scores |= zip(numbers, self._batch_scores(series, batch), strict=True)
            if progress:
                progress(first + len(numbers), len(fresh))
        return tuple(scores[n] for n in range(len(regions.windows)))

    def _batch_scores(self, series: Series, batch: SampleBatch) -> list[ImageScore]:
        output = self._forward(self._network, batch.pixels)
        logits, maps, features = (part.cpu() for part in output)
        offset = features - self._mean
        distances = torch.einsum("nc,cd,nd->n", offset, self._precision, offset).clamp_min(0).sqrt()
        maps = maps[:, 0].numpy()
        outside = self._heat_outside(logits[:, 0].numpy(), maps, batch, len(series.voxels))
        return list(
            map(
                ImageScore,
                logits[:, 0].tolist(),
                maps,
                distances.tolist(),
                judge_images(series, batch),
                outside,
            )
        )

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

    def _heat_outside(
        self, logits: np.ndarray, maps: np.ndarray, batch: SampleBatch, slices: int
    ) -> list[float | None]:
        """Share of heat outside the muscles of each window; None where it is not judged."""
        centres = (np.arange(GRID) + 0.5) * (batch.pixels.shape[-1] / GRID) - 0.5
        positive = self._probability(logits) >= self.package.card.threshold
        judged = [window.slice % max(1, slices // HEAT_JUDGED) == 0 for window in batch.windows]
        return [
            share_outside_muscle(
                self._cells.at(np.maximum(maps[n], 0), centres, centres),
                batch.grid[n].numpy(),
                batch.inside[n].numpy(),
            )
            if judge
            else None
            for n, judge in enumerate(positive & judged)
        ]

    def _heat(
        self,
        series: Series,
        regions: LegRegions,
        scores: Sequence[ImageScore],
        counted: np.ndarray,
        kept: dict[int, int],
        previous: Classification | None,
    ) -> Heat:
        """Evidence on the voxels of the legs, 1 where that for the second class is highest in the case."""
        plane = PlaneOrientation.of(series.geometry)
        spacing = series.geometry.spacing[:2] if plane.transposed else series.geometry.spacing[1::-1]
        size = self.package.recipe.sample.size
        if previous is None:
            voxels = np.zeros(series.voxels.shape, np.float32)
        else:
            voxels = previous.heat.voxels
            for n in set(range(len(previous.regions.windows))) - set(kept.values()):
                window = previous.regions.windows[n]
                _of_window(voxels, window)[window.mask] = 0

        def drawn(n: int) -> float:
            """Draws one window and returns its strongest evidence."""
            mask = plane.canonical(regions.windows[n].mask)
            heat = self._cells.to_window(scores[n].cells, place(mask.shape, spacing, size))
            np.copyto(plane.canonical(_of_window(voxels, regions.windows[n])), heat, where=mask)
            return float(heat[mask].max())

        everything = range(len(regions.windows))
        peaks = [previous.heat.peaks[kept[n]] if n in kept else drawn(n) for n in everything]
        reference = self.package.card.heat_reference
        strongest = max([reference, *(peak for peak, counts in zip(peaks, counted, strict=True) if counts)])
        changed = [n for n in everything if n not in kept]
        if kept and strongest != previous.heat.strongest:
            for n in kept:
                drawn(n)
            changed = everything
        for n in changed:
            window = regions.windows[n]
            target = _of_window(voxels, window)
            np.divide(target, strongest, out=target, where=window.mask)
            np.clip(target, -1, 1, out=target, where=window.mask)
        return Heat(voxels, strongest, tuple(peaks))

    def _model_warnings(
        self, scores: Sequence[ImageScore], probabilities: np.ndarray, counted: np.ndarray
    ) -> Iterator[ResultWarning]:
        """Warnings that need the network's output or the model's card."""
        card = self.package.card
        outside = [score.outside for score in scores if score.outside is not None]
        if np.median([score.distance for score, counts in zip(scores, counted, strict=True) if counts]) > (
            card.largest_distance
        ):
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


def _kept_windows(windows: Sequence[Window], before: Sequence[Window]) -> dict[int, int]:
    """Number of each window that was there before → its number then."""
    places = {(window.slice, window.side, window.i, window.j): n for n, window in enumerate(before)}
    kept = {}
    for n, window in enumerate(windows):
        same = places.get((window.slice, window.side, window.i, window.j))
        if same is not None and np.array_equal(window.mask, before[same].mask):
            kept[n] = same
    return kept


def _of_window(voxels: np.ndarray, window: Window) -> np.ndarray:
    """View of (z, y, x) voxels: the rectangle of a window."""
    return voxels[window.slice, slice(*window.j), slice(*window.i)]


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
