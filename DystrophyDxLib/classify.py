"""From a series and a model package to the answer: windows, one forward pass, heatmap, case, warnings."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import __version__
from .errors import InputError
from .explain.heat import Heat, HeatDrawing
from .explain.region_heat import rank_regions
from .explain.texture_score import texture_scores
from .models.decision import Decision, decision_of
from .models.inference import InferenceNetwork
from .models.package import ModelPackage
from .models.pattern_package import PatternPackage
from .muscle_answer import Measured, with_muscles
from .muscles.mapper import MuscleMapper
from .muscles.muscle_map import LegMap, MuscleMap
from .pattern_answer import with_pattern
from .peak import with_peak
from .regions.windows import AnyWindow, Regions
from .results import (
    FAINT,
    UNSUITABLE,
    CaseResult,
    ImageResult,
    ModelFacts,
    Provenance,
    ResultWarning,
    SkippedImage,
    StudyResult,
    WarningCode,
    gravest_first,
)
from .samples.image_quality import ImageQuality
from .samples.kinds import region_of
from .samples.slice_samples import LegBatch, SampleBatch
from .series.input_facts import input_facts
from .series.series import Series
from .series.words import listed

BATCH = 8
"""Windows a forward pass: bounds the memory whatever the number of slices, and how long a user waits for "Cancel"."""
_FACTS = set(ModelFacts.model_fields) - {"sha256"}
HEAT_OUTSIDE = 0.70
"""Share of heat outside the muscles from which a case is warned of: of two classes, one of the second. Of 226 phantoms
that the demonstration model called rightly, 1 in 40 had more (`evaluation.localisation.outside_threshold`)."""


class ImageScore(NamedTuple):
    """What the network and the gates say of one window, whatever the other windows are.

    Attributes:
        logits: (outputs,) float32, evidence for the second class of two, or for each of more.
        cells: (outputs, [d,] h, w) float32, the maps of the same.
        distance: of the features from those of the training images.
        quality: what the window shows; None where that was not judged, as it is no leg.
        outside: share of heat outside the muscles, for the class that the window says; None where that was not judged.
    """

    logits: np.ndarray
    cells: np.ndarray
    distance: float
    quality: ImageQuality | None
    outside: float | None


@dataclass(frozen=True)
class Classification:
    """All that `Classifier.classify` finds.

    Attributes:
        regions: the windows of all slices.
        seen: the windows as the network saw them, one an image; see `Region.seen`.
        scores: of each window, in the order of `seen` and of `result.images`.
        heat: of the class that `Decision.told` gives.
        drawing: by which the maps of `scores` become heat.
        muscles: of the legs; None without a model of muscle maps, or where no thigh is looked at.
        pattern: by which the fat of these muscles becomes a second answer.
        measured: where their fat was measured, of use when it is measured again after a correction.
    """

    result: StudyResult
    regions: Regions
    seen: tuple[AnyWindow, ...]
    scores: tuple[ImageScore, ...]
    heat: Heat
    drawing: HeatDrawing
    muscles: MuscleMap | None = None
    pattern: PatternPackage | None = None
    measured: Measured | None = None

    @property
    def heatmap(self) -> np.ndarray:
        """(z, y, x) float32, a copy: evidence for the told class alone, 0 to `HeatDrawing.most` over the case, and 0
        outside the legs."""
        return np.maximum(self.heat.voxels, 0)

    @property
    def relative_heatmap(self) -> np.ndarray:
        """The same, 0 to 1 over the case whatever the model."""
        return self.heatmap / np.float32(self.drawing.most)

    def heat_of(self, label: int) -> Heat:
        """Heat of another class, from the same forward pass; for the first of two, what speaks against the second."""
        if label == self.heat.label:
            return self.heat
        decision = decision_of(self.result)
        maps = [decision.evidence(score.cells, label) for score in self.scores]
        return self.drawing.draw(self.seen, maps, [image.counted for image in self.result.images], label)


class Classifier:
    """A model package ready to classify on one device.

    Args:
        package: the model.
        device: one of `devices.DEVICES`; "auto" takes CUDA, then MPS, then the CPU.
        mapper: finds the muscles, where the model looks at legs; None for no map.
        pattern: answers by the fat of these muscles; None for no second answer.

    Attributes:
        region: what the model looks at.
        network: what it computes with.

    Raises:
        InputError: when the weights do not fit the recipe's network or the device is not there.
    """

    def __init__(
        self,
        package: ModelPackage,
        device: str = "auto",
        mapper: MuscleMapper | None = None,
        pattern: PatternPackage | None = None,
    ) -> None:
        self.package, self.pattern = package, pattern
        self.mapper = mapper if package.recipe.sample.region.kind == "legs" else None
        self.region = region_of(package.recipe.sample)
        self.network = InferenceNetwork(package, device)

    def classify(
        self,
        series: Series,
        regions: Regions | None = None,
        timing_s: dict[str, float] | None = None,
        progress: Callable[[int, int], None] | None = None,
        previous: Classification | None = None,
    ) -> Classification:
        """Classifies one series.

        Windows that `previous` holds unchanged are not run again; the answer is that of a whole run.

        Args:
            series: as read by `series.read_study` or taken from a scene.
            regions: windows; found automatically when not given.
            timing_s: seconds of the stages before, taken over into the result.
            progress: called after each batch with the number of windows done and of all that are run. What it raises
                ends the work and leaves `previous` as it was; `errors.Cancelled` is for a user who wants that.
            previous: of the same voxels and geometry with other regions. Its `heat.voxels` are taken over and changed
                in place, so only what is returned may be used afterwards.

        Raises:
            InputError: when no leg is found in any slice, the model needs channels that the series has not, or it sees
                volumes and the series has few slices.
        """
        sample = self.package.recipe.sample
        sample.check_further(series.further)
        timing_s = dict(timing_s or {})
        start = time.perf_counter()
        if regions is None:
            regions = self.region.find(series)
            if not regions.windows:
                raise InputError("No leg was found in any slice; choose a series of the thighs or give the region.")
        elif not regions.windows:
            raise InputError("The given region holds nothing of this series; give a region that was drawn on it.")
        timing_s["roi"] = timing_s.get("roi", 0.0) + time.perf_counter() - start
        if previous is not None and not self._answers_as(previous.result):
            previous = None
        seen = self.region.seen(regions)
        kept = _kept_windows(seen, previous.seen if previous else ())
        scores, legs = self._scores(series, seen, kept, previous, timing_s, progress)
        qualities = [score.quality for score in scores]
        if self.mapper is not None:
            start = time.perf_counter()
            before = previous.muscles.legs if previous and previous.muscles else ()
            legs = self.mapper.legs(series, regions.windows, (*before, *legs))
            qualities = self.region.with_maps(seen, qualities, regions, [leg.quality for leg in legs])
            timing_s["muscles"] += time.perf_counter() - start
        start = time.perf_counter()
        judged = self.region.judge(series, regions, seen, qualities)
        counted = np.array(judged.fits) if any(judged.fits) else np.ones(len(seen), bool)
        probabilities = self._probabilities(np.stack([score.logits for score in scores]))
        told = self._decision.told(probabilities[counted])
        card = self.package.card
        on_voxels = self.network.cells, sample, card.heat_reference, series.geometry, series.voxels.shape
        drawing = HeatDrawing(*on_voxels, most=1.0 if card.shown_to_tell else FAINT)
        maps = [self._decision.evidence(score.cells, told) for score in scores]
        if previous is None or previous.heat.label != told:
            heat = drawing.draw(seen, maps, counted, told)
        else:
            heat = drawing.redraw(previous.heat, previous.seen, kept, seen, maps, counted)
        timing_s["network"] += time.perf_counter() - start
        muscles = None
        if self.mapper is not None:
            of_slices = len(seen) == len(regions.windows)  # else each leg was judged as a whole
            thighs = [anatomy == "thigh" for anatomy in judged.anatomy] if of_slices else None
            muscles = self.mapper.map(series, regions, legs, thighs)
        warnings = [
            *series.warnings,
            *regions.warnings,
            *judged.warnings,
            *(muscles.warnings if muscles else ()),
            *self._model_warnings(scores, probabilities, counted),
        ]
        case = self._case(seen, probabilities, counted, warnings)
        result = StudyResult(
            input=input_facts(series, judged.contrast_note),
            model=ModelFacts(**self.package.card.model_dump(include=_FACTS), sha256=self.package.sha256),
            case=case,
            images=tuple(
                ImageResult(
                    slice=window.slice,
                    side=window.side.value,
                    slices=window.slices,
                    window_ijk=(window.i, window.j),
                    probability=of_classes[told],
                    roi=window.source,
                    anatomy=anatomy,
                    counted=bool(counts),
                    probabilities=self._decision.listed(of_classes),
                )
                for window, of_classes, anatomy, counts in zip(
                    seen, probabilities.tolist(), judged.anatomy, counted, strict=True
                )
            ),
            skipped=tuple(
                SkippedImage(slice=item.slice, side=item.side.value if item.side else None, reason=item.reason)
                for item in regions.skipped
            ),
            warnings=gravest_first(warnings),
            provenance=Provenance(
                program=f"DystrophyDx {__version__}",
                created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                device=str(self.network.device),
                precision=self.network.precision,
            ),
            timing_s=timing_s,
        )
        found = Classification(result, regions, seen, scores, heat, drawing, muscles, self.pattern)
        return with_muscle_fat(found, series, previous)

    @property
    def _decision(self) -> Decision:
        return self.package.card.decision

    def _answers_as(self, result: StudyResult) -> bool:
        """Whether `result` came about in the way in which this classifier works."""
        made = result.provenance
        return (result.model.sha256, made.device, made.precision) == (
            self.package.sha256,
            str(self.network.device),
            self.network.precision,
        )

    def _scores(
        self,
        series: Series,
        seen: Sequence[AnyWindow],
        kept: dict[int, int],
        previous: Classification | None,
        timing_s: dict[str, float],
        progress: Callable[[int, int], None] | None,
    ) -> tuple[tuple[ImageScore, ...], tuple[LegMap, ...]]:
        """Scores of all windows, those of `kept` (number of a window → its number in `previous`) taken over; and maps
        of the legs whose samples serve both networks."""
        scores = {n: previous.scores[before] for n, before in kept.items()} if previous else {}
        legs: list[LegMap] = []
        fresh = [n for n in range(len(seen)) if n not in kept]
        timing_s |= dict.fromkeys(("network", *(["muscles"] if self.mapper else [])), 0.0)
        for first in range(0, len(fresh), BATCH):
            start = time.perf_counter()
            numbers = fresh[first : first + BATCH]
            batch = self.region.samples(series, [seen[n] for n in numbers])
            scores |= zip(numbers, self._batch_scores(series, batch), strict=True)
            between = time.perf_counter()
            timing_s["network"] += between - start
            if self.mapper is not None and isinstance(batch, LegBatch):
                legs += self.mapper.of_samples(series, batch)
                timing_s["muscles"] += time.perf_counter() - between
            if progress:
                progress(first + len(numbers), len(fresh))
        return tuple(scores[n] for n in range(len(seen))), tuple(legs)

    def _batch_scores(self, series: Series, batch: SampleBatch) -> list[ImageScore]:
        output = self.network.output(batch.pixels)
        logits, maps = output.logits.numpy(), output.maps.numpy()
        said = self._decision.said(self._probabilities(logits))
        evidence = [
            self._decision.evidence(own, label) if shown else None
            for own, label, shown in zip(maps, said.tolist(), self._decision.has_map(said), strict=True)
        ]
        outside = self.region.heat_outside(self.network.cells, evidence, batch, len(series.voxels))
        qualities = self.region.quality(series, batch)
        return list(map(ImageScore, logits, maps, self.network.distances(output.features), qualities, outside))

    def _probabilities(self, logits: np.ndarray) -> np.ndarray:
        return self._decision.probabilities(logits, self.package.card.temperature)

    def _model_warnings(
        self, scores: Sequence[ImageScore], probabilities: np.ndarray, counted: np.ndarray
    ) -> Iterator[ResultWarning]:
        """Warnings that need the network's output or the model's card."""
        card, decision = self.package.card, self._decision
        told, said = decision.told(probabilities[counted]), decision.said(probabilities)
        outside = [
            score.outside for score, own in zip(scores, said, strict=True) if score.outside is not None and own == told
        ]
        says_so = decision.said(probabilities[counted].mean(axis=0, keepdims=True))[0] == told
        if np.median([score.distance for score, counts in zip(scores, counted, strict=True) if counts]) > (
            card.largest_distance
        ):
            yield ResultWarning(
                code=WarningCode.OUT_OF_DISTRIBUTION,
                message="The images are unlike those the model was trained on; do not rely on the figures.",
            )
        if says_so and np.median(outside or [0]) > HEAT_OUTSIDE:
            yield ResultWarning(
                code=WarningCode.HEATMAP_OUTSIDE_MUSCLE,
                message=f"{np.median(outside):.0%} of the evidence lies outside the muscles; look at the heatmap "
                "before using the figures.",
            )
        if not card.shown_to_tell:
            yield ResultWarning(
                code=WarningCode.MODEL_NOT_SHOWN_TO_TELL,
                message="By its card the interval of its AUC or balanced accuracy per case reaches chance; its "
                f"heat is drawn faint, at most {FAINT} instead of 1.",
            )
        if card.demonstration:
            yield ResultWarning(
                code=WarningCode.DEMONSTRATION_MODEL,
                message=f"The model was trained on {card.trained_on}. Its figures say nothing about patients; "
                "train a model on your own cases.",
            )

    def _case(
        self, seen: Sequence[AnyWindow], probabilities: np.ndarray, counted: np.ndarray, warnings: list[ResultWarning]
    ) -> CaseResult:
        drawn = self.region.slices_drawn(seen)
        slices = np.zeros(len(seen), int)[counted] if drawn is None else drawn[counted]
        given = {warning.code for warning in warnings}
        why_not = next((reason for code, reason in UNSUITABLE.items() if code in given), None)
        if why_not is None and drawn is not None and len(np.unique(slices)) < 2:
            why_not = "One slice alone gives no interval."
        return self._decision.case(probabilities[counted], slices, why_not)


def with_texture_scores(
    classification: Classification, muscles: np.ndarray, names: Mapping[int, str], overlapping: Sequence[int] = ()
) -> Classification:
    """The same with the score of each muscle in its result; see `explain.texture_score.texture_scores`.

    Args:
        overlapping: slices in which a voxel was drawn as more than one muscle, which is told.

    Raises:
        InputError: the muscles lie on another grid, or none of them within the legs.
    """
    scores = texture_scores(classification.relative_heatmap, muscles, names, classification.regions.labels > 0)
    warnings = list(classification.result.warnings)
    if overlapping:
        message = f"Muscles overlap in {listed(overlapping)}; there the later of them counts."
        warnings.append(ResultWarning(code=WarningCode.REGION_OVERLAP, message=message))
    added = {"muscles": scores, "warnings": tuple(warnings)}
    return dataclasses.replace(classification, result=classification.result.model_copy(update=added))


def with_muscle_fat(
    classification: Classification, series: Series, previous: Classification | None = None
) -> Classification:
    """The same with volume, fat, grade and heat of each muscle of its map in its result, the signs that follow, the
    answer by their pattern, and a warning where a part of the images contradicts the case; see `muscles.infiltration`,
    `explain.muscle_heat`, `muscles.signs`, `pattern_answer` and `peak`.

    Scores of segments that are no structure of a thigh stay; the others give way to a row a muscle and side.

    Args:
        series: that was classified.
        previous: of the same voxels; what was measured in slices that are the same is taken over.
    """
    result, measured, drawing = classification.result, classification.measured, classification.drawing
    if classification.muscles is not None:
        result, measured = with_muscles(
            result,
            series,
            {drawing.sample.channels[0].name: series.voxels, **series.further},
            classification.muscles,
            classification.regions.labels > 0,
            classification.heatmap,
            drawing.most,
            previous.measured if previous else None,
        )
        result = with_pattern(result, classification.pattern)
    return dataclasses.replace(classification, result=with_peak(result), measured=measured)


def with_region_heat(classification: Classification, atlas: np.ndarray, names: Mapping[int, str]) -> Classification:
    """The same with the regions of an atlas in its result; see `explain.region_heat.rank_regions`.

    Raises:
        InputError: the atlas lies on another grid, or none of its regions within what was classified.
    """
    regions = rank_regions(classification.heatmap, atlas, names, classification.regions.labels > 0)
    return dataclasses.replace(classification, result=classification.result.model_copy(update={"regions": regions}))


def _kept_windows(windows: Sequence[AnyWindow], before: Sequence[AnyWindow]) -> dict[int, int]:
    """Number of each window that was there before → its number then."""
    places = {(window.slice, window.side, window.i, window.j): n for n, window in enumerate(before)}
    kept = {}
    for n, window in enumerate(windows):
        same = places.get((window.slice, window.side, window.i, window.j))
        if same is not None and (window is before[same] or np.array_equal(window.mask, before[same].mask)):
            kept[n] = same
    return kept
