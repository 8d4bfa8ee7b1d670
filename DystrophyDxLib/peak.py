"""A peak along the thigh that contradicts the case, as a warning."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from .results import ImageResult, ResultWarning, StudyResult, WarningCode
from .series.words import listed

_LEGS = {"left": " of the left leg", "right": " of the right leg", "unknown": " of a leg of unknown side", "none": ""}


def with_peak(result: StudyResult) -> StudyResult:
    """The same with a warning of its `peak`, where there is one, in place of an earlier one."""
    warnings = tuple(warning for warning in result.warnings if warning.code is not WarningCode.PART_ABOVE_THRESHOLD)
    if message := peak(result):
        warnings = (*warnings, ResultWarning(code=WarningCode.PART_ABOVE_THRESHOLD, message=message))
    return result.model_copy(update={"warnings": warnings})


def peak(result: StudyResult) -> str:
    """Says where neighbouring images suggest what the case does not, how many they are and in which slices of which
    leg; nothing where none do, the case is not below the threshold, or there are more than two classes.

    A peak is at least two images of neighbouring slices, or of both legs in one, above the threshold, the highest of
    them at least halfway from there to 1. Beside one, lower ones are named, too.
    """
    threshold = result.case.threshold
    if threshold is None or result.case.label != result.model.classes[0]:
        return ""
    above = [image for image in result.images if image.counted and image.probability > threshold]
    runs = [run for run in _runs(above) if len(run) > 1]
    if not any(_highest(run).probability >= (1 + threshold) / 2 for run in runs):
        return ""
    shown = [image for run in runs for image in run]
    top = _highest(shown)
    slices = {side: sorted({image.slice for image in shown if image.side == side}) for side in _LEGS}
    places = [f"{listed(of_leg)}{_LEGS[side]}" for side, of_leg in slices.items() if of_leg]
    if slices["left"] == slices["right"] != []:
        places = [f"{listed(slices['left'])} of both legs"]
    return (
        f"In {' and '.join(places)} {len(shown)} images lie above the threshold of {threshold:.2f}, "
        f"the highest with {top.probability:.2f} in slice {top.slice}, although the case lies below it."
    )


def _runs(images: Sequence[ImageResult]) -> list[list[ImageResult]]:
    """Images of neighbouring slices together, by slice."""
    ordered = sorted(images, key=lambda image: image.slice)
    slices = sorted({image.slice for image in ordered})
    run_of = {k: k - n for n, k in enumerate(slices)}
    return [list(run) for _, run in groupby(ordered, key=lambda image: run_of[image.slice])]


def _highest(run: Sequence[ImageResult]) -> ImageResult:
    return max(run, key=lambda image: image.probability)
