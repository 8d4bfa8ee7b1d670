"""The legs and muscles as a DICOM Segmentation (PS3.3, A.51)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ..muscles.muscle_map import OWNERS, MapSource, colour, segment_name
from ..muscles.structures import CODES, LEFT_CODE, LEG_CODES, RIGHT_CODE
from ..regions.windows import LABEL_OF_SIDE, SEGMENT_NAMES, Side
from .making import Findings, Making, code, code_item

LATERALITY = {"left": code(LEFT_CODE), "right": code(RIGHT_CODE)}
REGION_CODES = "SCT^309825002^Spatial and Relational Concept", "DCM^111030^Image Region"
"""Category and type of a region that is no leg."""
DESCRIPTIONS: dict[MapSource, str] = {"auto": "Found by the program", **OWNERS}
REGION_BY_USER = "Drawn, corrected or given by the user"
"""Of legs, which do not know how they came to differ from those that are found."""
ALGORITHM_TYPES = {"auto": "AUTOMATIC", "edited": "SEMIAUTOMATIC", "given": "MANUAL"}
"""By source. PS3.3, C.8.20.2: MANUAL is what a user enters, and needs no algorithm, which of a given map nobody knows.
"""


@dataclass(frozen=True)
class Segment:
    """A leg, or a muscle of a side.

    Attributes:
        name: as it is called everywhere else.
        side: of the patient.
        label: of `STRUCTURES`; 0 for a leg.
        category, kind: codes.
        source: whose it is.
    """

    name: str
    side: Side
    label: int
    category: Code
    kind: Code
    source: MapSource

    @property
    def laterality(self) -> Code | None:
        return LATERALITY.get(self.side.value)

    def mask(self, findings: Findings) -> np.ndarray:
        """(z, y, x) bool: its voxels."""
        if self.label and findings.muscles is not None:
            return findings.muscles.mask(self.side, self.label)
        return findings.legs == LABEL_OF_SIDE[self.side]


def segments_of(making: Making) -> list[Segment]:
    """The legs, then the muscles of the left side and of the right one; in this order they are numbered from 1 on."""
    findings = making.findings
    values = {value: side for side, value in LABEL_OF_SIDE.items()}
    legs = [
        _segment(SEGMENT_NAMES[side], side, 0, "edited" if findings.edited else "auto")
        for value in np.unique(findings.legs[findings.legs > 0]).tolist()
        for side in [values[value]]
    ]
    muscles = findings.muscles
    if muscles is None:
        return legs
    return legs + [_segment(segment_name(side, label), side, label, muscles.source) for side, label in muscles.shown]


def _segment(name: str, side: Side, label: int, source: MapSource) -> Segment:
    category, kind = CODES[label - 1] if label else REGION_CODES if side is Side.NONE else LEG_CODES
    return Segment(name, side, label, code(category), code(kind), source)


def tracking(making: Making, segment: Segment) -> tuple[str, str]:
    """Identifier and UID by which segmentation and report name a segment."""
    return segment.name, making.uid("segment", segment.name)


def make_segmentation(making: Making) -> Dataset:
    """The object; a frame a segment and slice, slices without a voxel of it left out."""
    source, segments = making.source, segments_of(making)
    slices = list(source.slices)
    findings = making.findings
    pixels = np.empty((len(segments), len(slices), *findings.legs.shape[1:]), np.uint8)
    for plane, segment in zip(pixels, segments, strict=True):
        plane[:] = segment.mask(findings)[slices]
    descriptions = [_description(making, segment, number) for number, segment in enumerate(segments, 1)]
    ds = Segmentation(
        source_images=[source.slice_dataset(k) for k in slices],
        pixel_array=np.moveaxis(pixels, 0, -1),  # each segment by itself in memory: highdicom takes them one by one
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        content_label="LEGS_AND_MUSCLES",
        content_description="Legs and muscles of the thigh, for research only",
        **making.common("seg"),
        **making.device,
    )
    return making.referring(making.finished(ds, "seg"), codes.DCM.Segmentation)


def _description(making: Making, segment: Segment, number: int) -> SegmentDescription:
    identifier, uid = tracking(making, segment)
    described = SegmentDescription(
        segment_number=number,
        segment_label=segment.name,
        segmented_property_category=segment.category,
        segmented_property_type=segment.kind,
        algorithm_type=ALGORITHM_TYPES[segment.source],
        algorithm_identification=None if segment.source == "given" else making.algorithm_sequence(),
        tracking_id=identifier,
        tracking_uid=uid,
        display_color=CIELabColor.from_rgb(*(round(255 * part) for part in colour(segment.label))),
    )
    is_region = segment.label == 0 and segment.source == "edited"
    described.SegmentDescription = REGION_BY_USER if is_region else DESCRIPTIONS[segment.source]
    if segment.laterality is not None:
        item = code_item(segment.laterality)
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [item]
    return described
