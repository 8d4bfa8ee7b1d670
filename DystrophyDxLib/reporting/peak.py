"""A peak along the thigh that contradicts the case, in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..results import ImageResult, StudyResult

_LEGS = {
    ("left",): " of the left leg",
    ("right",): " of the right leg",
    ("left", "right"): " of both legs",
    ("unknown",): " of a leg of unknown side",
}


def peak(result: StudyResult) -> str:
    """Says where neighbouring images suggest what the case does not, how many they are and on which side; nothing
    where none do, the case is not below the threshold, or there are more than two classes.

    A peak is at least two images of neighbouring slices, or of both legs in one, above the threshold, the highest of
    them at least halfway from there to 1.
    """
    threshold = result.case.threshold
    if threshold is None or result.case.label != result.model.classes[0]:
        return ""
    above = [image for image in result.images if image.counted and image.probability > threshold]
    runs = [run for run in _runs(above) if len(run) > 1 and _highest(run).probability >= (1 + threshold) / 2]
    if not runs:
        return ""
    strongest = max(runs, key=lambda run: _highest(run).probability)
    top, others = _highest(strongest), sum(map(len, runs)) - len(strongest)
    first, last = strongest[0].slice, strongest[-1].slice
    slices = f"slice {first}" if first == last else f"slices {first} to {last}"
    legs = _LEGS.get(tuple(sorted({image.side for image in strongest})), "")
    more = f" {others} more images do so elsewhere." if others else ""
    return (
        f"Look at {slices}{legs}: {len(strongest)} images there lie above the threshold of {threshold:.2f}, "
        f"the highest with {top.probability:.2f} in slice {top.slice}, although the case lies below it.{more}"
    )


def _runs(images: Sequence[ImageResult]) -> list[list[ImageResult]]:
    """Images of neighbouring slices together, by slice."""
    ordered = sorted(images, key=lambda image: image.slice)
    slices = sorted({image.slice for image in ordered})
    run_of = {k: k - n for n, k in enumerate(slices)}
    return [list(run) for _, run in groupby(ordered, key=lambda image: run_of[image.slice])]


def _highest(run: Sequence[ImageResult]) -> ImageResult:
    return max(run, key=lambda image: image.probability)
