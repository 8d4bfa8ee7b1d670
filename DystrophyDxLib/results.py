"""`StudyResult`: what a classification says, as written to result.json (schema dystrophydx.result/1)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from .models.strict import Strict

SCHEMA: Literal["dystrophydx.result/1"] = "dystrophydx.result/1"
INDETERMINATE = "indeterminate"
FAINT = 0.25
"""Heat of the strongest evidence of a model not shown to tell the classes apart, where that of another has 1: it
can be looked at, and is never painted as a finding. A power of 2, so that other figures keep every digit."""
Probability = Annotated[float, Field(ge=0, le=1)]
SignSide = Literal["left", "right", "unknown", "none", "both"]


def _absent(value: object) -> bool:
    """Of entries that only some results have; JSON leaves them out of the others."""
    return value in (None, ())


class WarningCode(str, Enum):
    NOT_T1_WEIGHTED = "NOT_T1_WEIGHTED"
    NOT_AXIAL = "NOT_AXIAL"
    NOT_THIGH = "NOT_THIGH"
    LEGS_TOUCHING = "LEGS_TOUCHING"
    PARTIAL_FIELD_OF_VIEW = "PARTIAL_FIELD_OF_VIEW"
    MOSTLY_OUT_OF_VIEW = "MOSTLY_OUT_OF_VIEW"
    OUT_OF_DISTRIBUTION = "OUT_OF_DISTRIBUTION"
    HEATMAP_OUTSIDE_MUSCLE = "HEATMAP_OUTSIDE_MUSCLE"
    MODEL_NOT_SHOWN_TO_TELL = "MODEL_NOT_SHOWN_TO_TELL"
    DEMONSTRATION_MODEL = "DEMONSTRATION_MODEL"
    SIDE_CONTRADICTED = "SIDE_CONTRADICTED"
    SIDE_UNKNOWN = "SIDE_UNKNOWN"
    SIDE_MIRRORED = "SIDE_MIRRORED"
    SIDE_BY_MUSCLES = "SIDE_BY_MUSCLES"
    MUSCLES_UNLIKE = "MUSCLES_UNLIKE"
    MASS_POSSIBLE = "MASS_POSSIBLE"
    SLICES_MISSING = "SLICES_MISSING"
    SLICES_MISPLACED = "SLICES_MISPLACED"
    IMAGES_LEFT_OUT = "IMAGES_LEFT_OUT"
    REGION_CLEANED = "REGION_CLEANED"
    REGION_OVERLAP = "REGION_OVERLAP"
    CASE_INCOMPLETE = "CASE_INCOMPLETE"
    SEEN_IN_TRAINING = "SEEN_IN_TRAINING"
    PATTERN_DISAGREES = "PATTERN_DISAGREES"
    PART_ABOVE_THRESHOLD = "PART_ABOVE_THRESHOLD"


UNSUITABLE = {
    WarningCode.MODEL_NOT_SHOWN_TO_TELL: "The model is not shown to tell the classes apart.",
    WarningCode.NOT_T1_WEIGHTED: "The model was not made for images that are not T1-weighted.",
    WarningCode.NOT_AXIAL: "The model was not made for slices that are not axial.",
    WarningCode.NOT_THIGH: "The model was not made for images that show no thigh.",
    WarningCode.MOSTLY_OUT_OF_VIEW: "The model was not made for legs that run out of most images.",
    WarningCode.OUT_OF_DISTRIBUTION: "The model was not made for images unlike those it was trained on.",
    WarningCode.SIDE_CONTRADICTED: "What tells the side of a leg contradicts itself, so the side is unknown.",
    WarningCode.SIDE_MIRRORED: "By the muscles left and right are exchanged, so a wrong side may be told.",
    WarningCode.MASS_POSSIBLE: "There may be a mass, and the model was not made for legs with one.",
    WarningCode.PATTERN_DISAGREES: "The pattern of fat in the muscles says otherwise than the network.",
}
"""Warnings with which the case is labelled indeterminate, each with the reason."""

GRAVEST = (
    WarningCode.MUSCLES_UNLIKE,
    WarningCode.MASS_POSSIBLE,
    WarningCode.SIDE_MIRRORED,
    WarningCode.SIDE_CONTRADICTED,
)
"""Warnings that are told before all others: what is said may be of another patient, of no muscle or of another leg."""


class ResultWarning(Strict):
    """What may change the meaning of an answer: a code, and a sentence on what was found and what to do.

    SIDE_CONTRADICTED: a source of a side (a laterality of the header, another transform of a file) tells another one
    than geometry; the side is then unknown. SIDE_UNKNOWN: nothing tells the sides. SIDE_MIRRORED: by the muscles, left
    and right are exchanged. SIDE_BY_MUSCLES: the muscles tell a side that nothing else does. MUSCLES_UNLIKE: a given
    map of them hardly agrees with the one that is found. MASS_POSSIBLE: of what looks like muscle, a round piece is
    larger than muscles are. SLICES_MISSING, SLICES_MISPLACED: slices are not there, or are shown off their place.
    IMAGES_LEFT_OUT: images of the chosen series are not part of the case, or double others. REGION_CLEANED,
    REGION_OVERLAP: what is drawn is not all that counts. CASE_INCOMPLETE: a leg or a third of the images is not in the
    case. SEEN_IN_TRAINING: the model was fitted to the series, or its threshold chosen by it. PATTERN_DISAGREES: the
    network and the pattern of fat in the muscles say different classes, see `PatternResult`.
    PART_ABOVE_THRESHOLD: the case is below its threshold, and neighbouring images are well above it, see `peak`.
    """

    code: WarningCode
    message: str


def gravest_first(warnings: Iterable[ResultWarning]) -> tuple[ResultWarning, ...]:
    """The same warnings, those of `GRAVEST` first, and the others as they came."""
    rank = {code: n for n, code in enumerate(GRAVEST)}
    return tuple(sorted(warnings, key=lambda warning: rank.get(warning.code, len(rank))))


class InputFacts(Strict):
    """The series that was classified. `acquisition` holds header facts and defined terms only, no free text;
    `series_uid` leads back to the examination in the archive that it is from.

    `label` is what the study is called wherever its answer is told: what the user calls it, or a name that tells no
    identity. `first_slice` is the end of the body at which slice 0 lies; None where geometry does not tell.
    `warnings` are those of reading, which are also among the warnings of the result. `contrast_note` says what the
    weighting of the images was judged by, where no header tells it and the model asks for one.
    """

    label: str = Field(default="", exclude_if=lambda text: not text)
    first_slice: Literal["inferior", "superior"] | None = Field(default=None, exclude_if=_absent)
    kind: Literal["dicom", "file", "scene"]
    series_uid: str | None
    slices: int
    spacing_mm: tuple[float, float, float]
    selection: str
    notes: tuple[str, ...]
    acquisition: dict[str, str | float | list[str] | None]
    contrast_note: str = Field(default="", exclude_if=lambda text: not text)
    warnings: tuple[ResultWarning, ...] = Field(default=(), exclude_if=_absent)


class ModelFacts(Strict):
    name: str
    version: str
    sha256: str
    trained_on: str
    classes: tuple[str, ...]


class RankedClass(Strict):
    """A class of the differential: its probability in the case, with the 95 % interval."""

    name: str
    probability: Probability
    ci95: tuple[Probability, Probability]


def threshold_in_words(threshold: float, no_label: tuple[float, float] | None) -> tuple[str, str]:
    """The threshold of two classes and the probabilities without a label, with as many digits as tell them apart.

    Returns:
        Threshold, and "from … to …" or "at any probability", empty where there are none.

    >>> threshold_in_words(0.508, (0.501, 0.513)), threshold_in_words(0.39, (0.0, 1.0))
    (('0.508', 'from 0.501 to 0.513'), ('0.39', 'at any probability'))
    """
    low, high = no_label or (0.0, 0.0)
    if high - low < 0.0025:  # no more than rounding leaves
        return f"{threshold:.2f}", ""
    marks = (threshold, low, high)
    digits = 2 if len({f"{mark:.2f}" for mark in marks}) == len({f"{mark:.3f}" for mark in marks}) else 3
    everywhere = (low, high) == (0.0, 1.0)
    band = "at any probability" if everywhere else f"from {low:.{digits}f} to {high:.{digits}f}"
    return f"{threshold:.{digits}f}", band


class CaseResult(Strict):
    """The case: probability with its 95 % interval, and the label that follows.

    Of two classes, `probability` is that of the second, `threshold` the package's, and `no_label` the probabilities
    between which validation shows neither class to be more than chance, where the package tells. Of more,
    `differential` ranks them from the most likely on, `probability` and `ci95` are those of the first, and there is
    neither of them.

    `label` is a class name, or "indeterminate" when the interval crosses the threshold (of more than two: that of the
    first class' lead over the next holds 0), validation does not show the class at this probability, or there is a
    warning in `UNSUITABLE`. `reason` says why.
    """

    probability: Probability
    ci95: tuple[Probability, Probability]
    label: str
    threshold: Probability | None = Field(default=None, exclude_if=_absent)
    no_label: tuple[Probability, Probability] | None = Field(default=None, exclude_if=_absent)
    reason: str
    differential: tuple[RankedClass, ...] = Field(default=(), exclude_if=_absent)

    @model_validator(mode="after")
    def _threshold_or_differential(self) -> CaseResult:
        if (self.threshold is None) != (len(self.differential) > 2):
            raise ValueError("a case of two classes has a threshold, one of more a differential")
        return self

    @property
    def has_interval(self) -> bool:
        """Whether there were slices to resample; a single one, or a whole volume, has 0 to 1 for an interval.

        >>> case = CaseResult(probability=0.8, ci95=(0, 1), label="DMD", threshold=0.5, reason="A whole volume.")
        >>> case.has_interval
        False
        """
        return self.ci95 != (0.0, 1.0)


class ImageResult(Strict):
    """One window of one slice or, of models that see volumes, of all `slices` [k0, k1], half-open, whose middle one
    `slice` then is.

    `window_ijk` holds half-open index ranges [[i0, i1], [j0, j1]]; `slice` is k. `anatomy` is "thigh" where the shaft
    of the femur is seen; where the region is no leg, it is "not judged" and `side` is "none". Only images that are
    `counted` enter the case. `probability` is that of the class
    that the case's is; `probabilities` holds all in the order of `ModelFacts.classes`, where there are more than two.
    """

    slice: int
    slices: tuple[int, int] | None = Field(default=None, exclude_if=_absent)
    side: Literal["left", "right", "unknown", "none"]
    window_ijk: tuple[tuple[int, int], tuple[int, int]]
    probability: Probability
    roi: Literal["auto", "edited"]
    anatomy: Literal["thigh", "other", "not judged"]
    counted: bool
    probabilities: tuple[Probability, ...] = Field(default=(), exclude_if=_absent)

    @property
    def shown(self) -> range:
        """All slices of the image."""
        return range(*self.slices) if self.slices else range(self.slice, self.slice + 1)


class SkippedImage(Strict):
    slice: int
    side: Literal["left", "right", "unknown", "none"] | None
    reason: str


class Provenance(Strict):
    """How the figures came about: enough to make them again."""

    program: str
    created: str
    device: str
    precision: str


class MuscleTexture(Strict):
    """Texture score of a muscle: `under_heat` of its `voxels`; see `explain.texture_score`."""

    muscle: str
    voxels: int
    under_heat: int
    score: Probability


class SliceFat(Strict):
    """A muscle in one slice: its volume there, and its fat fraction where that can be told."""

    slice: int
    volume_ml: float
    fat_fraction: Probability | None


class MuscleFat(MuscleTexture):
    """One muscle of one side: its texture score, its volume, and the fat in it over all slices and in each.

    `fat_ci95` holds what the fraction may be; see `muscles.infiltration`. `mercuri` is the grade of Mercuri et al.
    2002 that `fat_fraction` has, from 1, normal, to 4, severe; `fat_ci95` may reach into one other grade, and where it
    reaches into more, there is none. What cannot be told is None, and `why` says so.
    """

    side: Literal["left", "right", "unknown", "none"]
    volume_ml: float
    fat_fraction: Probability | None
    fat_ci95: tuple[Probability, Probability] | None
    mercuri: Annotated[int, Field(ge=1, le=4)] | None
    why: str = Field(default="", exclude_if=lambda text: not text)
    slices: tuple[SliceFat, ...]


class FatSource(Strict):
    """What tells the fat of muscles, None where nothing does; what must be known of it; whose map it is; and why that
    may not be one of the patient's muscles, so that neither signs nor pattern are told."""

    source: Literal["Dixon", "T1-weighted", "fat image"] | None
    note: str = Field(default="", exclude_if=lambda text: not text)
    map: str = Field(default="", exclude_if=lambda text: not text)
    doubt: str = Field(default="", exclude_if=lambda text: not text)


class Sign(Strict):
    """A published sign of the thigh's muscles on one side, or of both where sides are compared; see `muscles.signs`.

    `present` is None where that cannot be decided; `why` names the muscles that say so, or what keeps it undecided.
    """

    name: str
    disease: str
    side: SignSide
    present: bool | None
    why: str

    @property
    def told(self) -> str:
        """The sign in words.

        >>> Sign(name="sandwich", disease="Bethlem myopathy", side="left", present=False, why="It is too thin.").told
        'Sandwich (Bethlem myopathy), left: absent. It is too thin.'
        """
        side = f", {self.side}" if self.side in ("left", "right") else ""
        found = {True: "present", False: "absent", None: "not decidable"}[self.present]
        return f"{self.name.capitalize()} ({self.disease}){side}: {found}. {self.why}"


class PatternMuscle(Strict):
    """A muscle in an answer by the pattern of fat: its fat fraction, the mean of the sides that show it (None in
    results of versions that listed muscles out of view); and what it adds to the log-odds of the class that the pattern
    tells."""

    muscle: str
    fat_fraction: Probability | None
    share: float


class NetworkLabel(Strict):
    """Label and reason of the case by the network alone."""

    label: str
    reason: str


class PatternResult(Strict):
    """A second answer, from the fat of each muscle relative to the patient's others; see `models.pattern`.

    `case` is None where there is no answer, and `why` says so. `muscles` are those in view that the
    answer rests on, the one that moved it most first, and `told_class` is what they speak for or against; `unseen` are
    those that would have a say and are hardly or not in view. `network` is what the network says
    alone. `agrees` is False where the two contradict each other: where both have a label and these differ, or one has
    one and the whole interval of the other lies on the other side of its threshold; None where they tell different
    classes apart, or there is no answer.
    """

    case: CaseResult | None
    why: str = Field(default="", exclude_if=lambda text: not text)
    told_class: str | None = None
    muscles: tuple[PatternMuscle, ...] = ()
    unseen: tuple[str, ...] = Field(default=(), exclude_if=_absent)
    model: ModelFacts
    network: NetworkLabel
    agrees: bool | None


class RegionHeat(Strict):
    """Evidence in a region of an atlas: its mean over the region's `voxels`, 0 to 1, and the region's share of all; see
    `explain.region_heat`."""

    region: str
    voxels: int
    mean_heat: Probability
    share: Probability


class MuscleHeat(Strict):
    """Evidence in one muscle of one side: its mean over the muscle's voxels, 0 to 1, and the muscle's share of all; see
    `explain.muscle_heat`."""

    side: Literal["left", "right", "unknown", "none"]
    muscle: str
    share: Probability
    mean_heat: Probability


class StudyResult(Strict):
    """Everything a classification found; `model_dump_json` is result.json. `muscles` and `regions`, the latter from the
    one with the highest mean heat on, where they were given; `muscle_heat`, from the muscle with the largest share of
    the heat on, where there is a muscle map.

    `muscles` has a `MuscleFat` a side and muscle of a thigh's muscle map, told by `fat`, and a `MuscleTexture` for each
    other segment of a person's; `signs` follow from the former.
    """

    schema_: Literal["dystrophydx.result/1"] = Field(default=SCHEMA, alias="schema")
    input: InputFacts
    model: ModelFacts
    case: CaseResult
    images: tuple[ImageResult, ...]
    skipped: tuple[SkippedImage, ...]
    warnings: tuple[ResultWarning, ...]
    provenance: Provenance
    timing_s: dict[str, float]
    muscles: tuple[MuscleFat | MuscleTexture, ...] = Field(default=(), exclude_if=_absent)
    fat: FatSource | None = Field(default=None, exclude_if=_absent)
    muscle_heat: tuple[MuscleHeat, ...] = Field(default=(), exclude_if=_absent)
    signs: tuple[Sign, ...] = Field(default=(), exclude_if=_absent)
    pattern: PatternResult | None = Field(default=None, exclude_if=_absent)
    regions: tuple[RegionHeat, ...] = Field(default=(), exclude_if=_absent)

    model_config = ConfigDict(populate_by_name=True)

    @property
    def ends(self) -> tuple[str, str] | None:
        """Where slice 0 and the last slice lie: the ends of the thigh or, where none is seen, of the body; None where
        geometry does not tell."""
        if self.input.first_slice is None or self.input.slices < 2:
            return None
        thigh = any(image.anatomy == "thigh" for image in self.images)
        low, high = ("knee", "hip") if thigh else ("feet", "head")
        return (low, high) if self.input.first_slice == "inferior" else (high, low)

    @property
    def muscle_fat(self) -> tuple[MuscleFat, ...]:
        """Those of `muscles` that say how much fat is in them, or why that cannot be told."""
        return tuple(muscle for muscle in self.muscles if isinstance(muscle, MuscleFat))

    @property
    def numbering(self) -> str:
        """How slices are numbered, in a sentence; nothing where geometry does not tell."""
        if self.ends is None:
            return ""
        return "Slices are numbered from 0 at the {} to {last} at the {}.".format(
            *self.ends, last=self.input.slices - 1
        )

    def to_json(self) -> str:
        """The text of result.json."""
        return self.model_dump_json(by_alias=True, indent=1)
