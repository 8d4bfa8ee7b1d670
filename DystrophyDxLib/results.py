"""`StudyResult`: what a classification says, as written to result.json (schema dystrophydx.result/1)."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = "dystrophydx.result/1"
INDETERMINATE = "indeterminate"
Probability = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WarningCode(str, Enum):
    NOT_T1_WEIGHTED = "NOT_T1_WEIGHTED"
    NOT_AXIAL = "NOT_AXIAL"
    NOT_THIGH = "NOT_THIGH"
    LEGS_TOUCHING = "LEGS_TOUCHING"
    PARTIAL_FIELD_OF_VIEW = "PARTIAL_FIELD_OF_VIEW"
    OUT_OF_DISTRIBUTION = "OUT_OF_DISTRIBUTION"
    HEATMAP_OUTSIDE_MUSCLE = "HEATMAP_OUTSIDE_MUSCLE"
    DEMONSTRATION_MODEL = "DEMONSTRATION_MODEL"


# The model was never meant for an image with one of these; the case is labelled indeterminate.
UNSUITABLE = frozenset(
    {WarningCode.NOT_T1_WEIGHTED, WarningCode.NOT_AXIAL, WarningCode.NOT_THIGH, WarningCode.OUT_OF_DISTRIBUTION}
)


class ResultWarning(_Part):
    code: WarningCode
    message: str


class InputFacts(_Part):
    """The series that was classified. `acquisition` holds header facts only, nothing that identifies a person."""

    kind: Literal["dicom", "file", "scene"]
    series_uid: str | None
    slices: int
    spacing_mm: tuple[float, float, float]
    selection: str
    notes: tuple[str, ...]
    acquisition: dict[str, str | float | list[str] | None]


class ModelFacts(_Part):
    name: str
    version: str
    sha256: str
    trained_on: str
    classes: tuple[str, ...]


class CaseResult(_Part):
    """The case: probability with its 95 % interval, and the label it gives at the package's threshold.

    `label` is a class name, or "indeterminate" when the interval crosses the threshold or a warning in `UNSUITABLE`
    says that the model was never meant for this image. `reason` says why in one sentence.
    """

    probability: Probability
    ci95: tuple[Probability, Probability]
    label: str
    threshold: Probability
    reason: str


class ImageResult(_Part):
    """One window of one slice.

    `window_ijk` holds half-open index ranges [[i0, i1], [j0, j1]]; `slice` is k. `anatomy` is "thigh" where
    the shaft of the femur is seen; only images that are `counted` enter the case.
    """

    slice: int
    side: Literal["left", "right", "unknown"]
    window_ijk: tuple[tuple[int, int], tuple[int, int]]
    probability: Probability
    roi: Literal["auto", "edited"]
    anatomy: Literal["thigh", "other"]
    counted: bool


class SkippedImage(_Part):
    slice: int
    side: Literal["left", "right", "unknown"] | None
    reason: str


class Provenance(_Part):
    """How the figures came about: enough to make them again."""

    program: str
    created: str
    device: str
    precision: str


class StudyResult(_Part):
    """Everything a classification found; `model_dump_json` is result.json."""

    schema_: Literal["dystrophydx.result/1"] = Field(SCHEMA, alias="schema")
    input: InputFacts
    model: ModelFacts
    case: CaseResult
    images: tuple[ImageResult, ...]
    skipped: tuple[SkippedImage, ...]
    warnings: tuple[ResultWarning, ...]
    provenance: Provenance
    timing_s: dict[str, float]

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def to_json(self) -> str:
        """The text of result.json."""
        return self.model_dump_json(by_alias=True, indent=1)
