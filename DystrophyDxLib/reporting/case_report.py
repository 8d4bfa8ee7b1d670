"""report.html: a classified study as one self-contained page, to read on screen or to print on A4."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..models.decision import decision_for, decision_of
from ..results import FAINT, INDETERMINATE, ImageResult, StudyResult, WarningCode, threshold_in_words
from .leg_chart import SHORT, LegChart
from .muscle_fat import (
    GRADE_WORDS,
    GRADES,
    INKS,
    SHADES,
    by_muscle,
    grade_cell,
    sides_of,
    source_words,
    summary_line,
    told,
)
from .muscle_heat import heat_line, heat_rows
from .muscle_signs import STATES, WORDS, by_sign, signs_lines
from .pattern_words import PatternChart, pattern_line
from .rendering import rendered

RESEARCH_ONLY = "Research only, not for diagnosis."
DEMONSTRATION_MODEL = "Demonstration model: trained on synthetic images only."
SYNTHETIC_COHORT = "Evaluated on synthetic images: the figures say nothing about patients."

NOT_SHOWN_TO_TELL = (
    "This model is not shown to tell the classes apart: the interval of its AUC or accuracy per patient reaches chance."
    " Train longer or on more cases, and do not rely on its answers."
)

INTERVAL = "The interval covers the choice of slices of this study, not how often the model is wrong."
WARNINGS = {
    WarningCode.NOT_T1_WEIGHTED: ("The images do not look T1-weighted.", "Classify the T1-weighted series."),
    WarningCode.NOT_AXIAL: ("The slices are not axial.", "Classify an axial series."),
    WarningCode.NOT_THIGH: ("The images do not show the thigh.", "Classify a series of the thighs."),
    WarningCode.LEGS_TOUCHING: (
        "The legs touch in some slices and were separated along a computed line.",
        "Check the outlines of both legs in these slices, and correct them where needed.",
    ),
    WarningCode.PARTIAL_FIELD_OF_VIEW: (
        "A leg runs out of the image.",
        "Take the figures of the cut slices with care; use a series that shows the whole leg where there is one.",
    ),
    WarningCode.MOSTLY_OUT_OF_VIEW: (
        "A leg runs out of most images.",
        "Do not rely on the probability; use a series that shows the whole leg.",
    ),
    WarningCode.OUT_OF_DISTRIBUTION: (
        "The images are unlike those the model was trained on.",
        "Do not rely on the probability; read the images without the model.",
    ),
    WarningCode.HEATMAP_OUTSIDE_MUSCLE: (
        "The model's evidence lies largely outside muscle.",
        "Look at the heatmap: an answer that rests on fat, bone or the image border says little about muscle.",
    ),
    WarningCode.MODEL_NOT_SHOWN_TO_TELL: (
        "The model is not shown to tell the classes apart.",
        "Do not rely on its answer or its heatmap; train a model longer or on more cases.",
    ),
    WarningCode.DEMONSTRATION_MODEL: (
        DEMONSTRATION_MODEL,
        "Use this result to see how the program works, and nothing else.",
    ),
    WarningCode.SIDE_CONTRADICTED: (
        "What tells the side of a leg contradicts itself, so the side is unknown.",
        "Find out from the scanner's own images which leg is which before any figure is used for a side.",
    ),
    WarningCode.SIDE_UNKNOWN: (
        "Nothing tells which side of the patient is which.",
        "Find out from the scanner's own images which leg is which, or export the series with its full headers.",
    ),
    WarningCode.SIDE_MIRRORED: (
        "By their muscles, left and right legs are exchanged.",
        "Find out from the scanner's own images which leg is which before any figure is used for a side.",
    ),
    WarningCode.SIDE_BY_MUSCLES: (
        "The muscles alone tell which side is which.",
        "Find out from the scanner's own images whether that is so before any figure is used for a side.",
    ),
    WarningCode.MUSCLES_UNLIKE: (
        "The given muscles are not those that are found in these images.",
        "Check that segmentation and images are of one patient and examination; until then use none of its figures.",
    ),
    WarningCode.MASS_POSSIBLE: (
        "There may be a mass, which is taken for muscle.",
        "Look at the images there; with a mass, do not use fat, grades or volumes of muscles, nor the probability.",
    ),
    WarningCode.SEEN_IN_TRAINING: (
        "The model was trained on this series.",
        "Use the answer to see how the program works; it says nothing of how well the model knows new patients.",
    ),
    WarningCode.SLICES_MISSING: (
        "Slices are missing.",
        "Export the series again, whole; the answer rests on the slices that are there.",
    ),
    WarningCode.SLICES_MISPLACED: (
        "Slices are shown off their place in the patient.",
        "Do not measure across these slices, and check that the heatmap and the regions lie where they should.",
    ),
    WarningCode.IMAGES_LEFT_OUT: (
        "Images of the series are not part of the case.",
        "Check that the images that were taken are those that you want; else give the others on their own.",
    ),
    WarningCode.REGION_CLEANED: (
        "The region was drawn with specks or holes, which do not count.",
        "Look at the outlines, which are those that were used, and correct them where they are not what you meant.",
    ),
    WarningCode.REGION_OVERLAP: (
        "The drawn regions overlap.",
        "Look at the outlines, which are those that were used, and correct them where they are not what you meant.",
    ),
    WarningCode.PATTERN_DISAGREES: (
        "The network and the pattern of fat in the muscles contradict each other.",
        "Read the images without both; correct the outlines of the muscles where they are wrong.",
    ),
    WarningCode.PART_ABOVE_THRESHOLD: (
        "A part of the images suggests what the case does not.",
        "Look at the images there: the disease may be in this part alone.",
    ),
    WarningCode.CASE_INCOMPLETE: (
        "A leg, or a good part of the images, does not enter the case.",
        "Check the outlines in the images that do not count; the answer rests on the others alone.",
    ),
}
"""What a warning means and what to do about it."""

_ACQUISITION = {
    "modality": ("Modality", ""),
    "field_strength_t": ("Field strength", "T"),
    "repetition_time_ms": ("Repetition time", "ms"),
    "echo_time_ms": ("Echo time", "ms"),
    "inversion_time_ms": ("Inversion time", "ms"),
    "scanning_sequence": ("Sequence", ""),
    "scan_options": ("Scan options", ""),
    "image_type": ("Image type", ""),
    "body_part": ("Body part", ""),
    "laterality": ("Laterality", ""),
}
_COHORT = {
    "epochs": "Epochs of training, of all its stages",
    "series_without_image": "Series of the cohort that gave no image and were left out",
}
_CARD = ("trained_on", "tried_on", "intended_use", "licence")


def finding(result: StudyResult) -> str:
    """The case in words; see `Decision.finding`."""
    return decision_of(result).finding(result.case)


def figures(result: StudyResult) -> str:
    """The figures of the case in one line; see `Decision.figures`."""
    return decision_of(result).figures(result.case)


def extent(result: StudyResult) -> str:
    """Of which slices, and of legs which, the figures are, in one line."""
    sides = Counter(image.side for image in result.images if image.counted)
    legs = ", ".join(f"{side} {number}" for side, number in sorted(sides.items()))
    if any(warning.code is WarningCode.SIDE_MIRRORED for warning in result.warnings):
        legs += "; by their muscles the other way round"
    others = len(result.images) - sides.total()
    return (
        f"Images that count: {sides.total()} of {len(result.images)}{f' ({legs})' if of_legs(result) else ''}; "
        f"slices: {result.input.slices}, {'legs or ' if of_legs(result) else ''}slices without an image: "
        f"{len(result.skipped)}.{f' Images that show no thigh and do not count: {others}.' if others else ''}"
        f" {result.numbering}"
    ).strip()


def of_legs(result: StudyResult) -> bool:
    """Whether the images are of legs, and not of a heart or another region."""
    return any(image.side != "none" for image in result.images)


def reservations(result: StudyResult) -> tuple[str, ...]:
    """What the interval beside the probability, where there is one, does not cover, and what no header told."""
    return tuple(filter(None, (INTERVAL if result.case.has_interval else "", result.input.contrast_note)))


def notices(result: StudyResult) -> list[str]:
    """What must stand beside every figure of this result."""
    demonstration = any(warning.code is WarningCode.DEMONSTRATION_MODEL for warning in result.warnings)
    return [DEMONSTRATION_MODEL, RESEARCH_ONLY] if demonstration else [RESEARCH_ONLY]


def title(result: StudyResult) -> str:
    """The name of the study and the finding."""
    return f"{result.input.label}: {finding(result)}" if result.input.label else finding(result)


def caption(result: StudyResult) -> str:
    """Why there is no label, where there is none, and the figures, in one line."""
    why = (result.case.reason,) if result.case.label == INDETERMINATE else ()
    return "  ".join((*why, figures(result)))


def summary(result: StudyResult) -> str:
    """The case in a few lines of plain text: name, finding, figures, why, warnings with what to do."""
    lines = [
        title(result),
        " ".join((f"{figures(result)}. {result.case.reason}", *reservations(result))),
        *filter(None, [heat_line(result), summary_line(result), *signs_lines(result), pattern_line(result)]),
        *(f"{warning.code.value}: {warning.message} {WARNINGS[warning.code][1]}" for warning in result.warnings),
        " ".join(notices(result)),
    ]
    return "\n".join(lines)


def write_report(
    path: Path, result: StudyResult, card: Mapping[str, Any], overview_png: Path, legs: LegChart | None = None
) -> None:
    """Writes the report of a classified study.

    Args:
        path: the HTML file; picture, styles and charts are inside it.
        card: the model package's card.json; entries beyond the usual ones are listed as they are.
        overview_png: picture of the slices, see `mrml.overview`.
        legs: chart of the muscles, where there is a map of them.
    """
    page = rendered(
        "report.html",
        result=result,
        title=title(result),
        reservations=reservations(result),
        told_class=decision_of(result).told_class(result.case),
        marks=decision_of(result).marks,
        mark_words=threshold_in_words(result.case.threshold or 0.0, result.case.no_label),
        notices=notices(result),
        of_legs=of_legs(result),
        most_heat=FAINT if any(w.code is WarningCode.MODEL_NOT_SHOWN_TO_TELL for w in result.warnings) else None,
        warnings=[(*WARNINGS[warning.code], warning.message) for warning in result.warnings],
        overview=base64.b64encode(Path(overview_png).read_bytes()).decode(),
        chart=_SliceChart(result),
        heat_line=heat_line(result),
        heat_rows=heat_rows(result),
        fat=by_muscle(result),
        fat_sides=sides_of(result),
        fat_words=source_words(result),
        fat_title=told,
        grade_cell=grade_cell,
        grades=GRADES.items(),
        shades=SHADES,
        inks=INKS,
        grade_words=GRADE_WORDS,
        legs=legs,
        signs=by_sign(result, sides_of(result)),
        sign_states=STATES,
        sign_words=WORDS,
        short=SHORT,
        pattern=PatternChart.of(result),
        acquisition=_acquisition(result.input.acquisition),
        card=card,
        metrics=card.get("metrics", {}),
        cohort=_rows(card.get("training_cohort", {})),
        card_rows=[*((_words(key), _sentences(card[key])) for key in _CARD if card.get(key)), *_labels(card)],
    )
    Path(path).write_text(page, encoding="utf-8")


@dataclass(frozen=True)
class _SliceChart:
    """Coordinates of the chart of probability by slice, in SVG units (x right, y down)."""

    result: StudyResult
    left: int = 52
    right: int = 740
    top: int = 14
    bottom: int = 214

    @cached_property
    def sides(self) -> list[tuple[str, list[tuple[float, float, ImageResult]]]]:
        """Points (x, y, image) of each side that occurs, by slice."""
        found = []
        for side in ("right", "left", "unknown", "none"):
            images = sorted((i for i in self.result.images if i.side == side), key=lambda image: image.slice)
            if images:
                found.append((side, [(self.x(image.slice), self.y(image.probability), image) for image in images]))
        return found

    @cached_property
    def slice_ticks(self) -> list[int]:
        """At most 12 round slice indices over the whole series."""
        last = max(self.result.input.slices - 1, 1)
        step = next(step * 10**power for power in range(9) for step in (1, 2, 5) if last / (step * 10**power) <= 11)
        return list(range(0, last + 1, step))

    def x(self, slice_index: float) -> float:
        return round(self.left + (self.right - self.left) * slice_index / max(self.result.input.slices - 1, 1), 1)

    def y(self, probability: float) -> float:
        return round(self.bottom - (self.bottom - self.top) * probability, 1)


def _acquisition(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Label and value of what the header says."""
    rows = []
    for key, value in facts.items():
        label, unit = _ACQUISITION.get(key, (_words(key), ""))
        if value not in (None, [], ()):
            rows.append((label, f"{_value(value)} {unit}".strip()))
    return rows


def _labels(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """From which probability each class is a label, of a card that has its classes."""
    if "classes" not in card:
        return []
    decision = decision_for(card["classes"], card.get("threshold"), card.get("label_from", ()))
    return [("A class is a label", decision.labels_in_words())]


def _rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(_words(key), _value(value)) for key, value in facts.items()]


def _words(key: str) -> str:
    return _COHORT.get(key, key.replace("_", " ").capitalize())


def _sentences(said: str | Sequence[str]) -> str:
    return said if isinstance(said, str) else " ".join(said)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_value(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
