"""The heatmap as a DICOM Parametric Map (PS3.3, A.75)."""

from __future__ import annotations

import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ..models.decision import decision_of
from ..muscles.structures import LEG_CODES
from ..regions.windows import LABEL_OF_SIDE, Side
from .making import Making, code, code_item


def make_heatmap(making: Making) -> Dataset:
    """The object; float32, a frame a slice, whose stored values are the heat itself, 0 to 1."""
    source, result = making.source, making.findings.result
    slices = list(source.slices)
    told = decision_of(result).told_class(result.case)
    mapping = RealWorldValueMapping(
        lut_label="HEAT",
        lut_explanation=f"Evidence for {told}, 0 none to 1"[:64],
        unit=codes.UCUM.NoUnits,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=codes.DCM.ClassActivation,
    )
    ds = ParametricMap(
        source_images=[source.slice_dataset(k) for k in slices],
        pixel_array=np.ascontiguousarray(np.maximum(making.findings.heat[slices], 0), np.float32),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        window_center=0.5,  # highdicom 0.27, which Slicer ships, asks for them
        window_width=1.0,
        content_label="HEATMAP",
        content_description="Heatmap of a classification, for research only",
        **making.common("heatmap"),
        **making.device,
    )
    if anatomy := _anatomy(making):
        ds.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]
    else:
        ds.Laterality = ""
    _in_order_of_slices(ds, making)
    return making.referring(making.finished(ds, "heatmap"), codes.DCM.ClassActivation)


def _in_order_of_slices(ds: Dataset, making: Making) -> None:
    """Turns the frames where highdicom has put the last slice first: some readers take them as they come."""
    normal = making.source.series.geometry.direction[:, 2]
    each = ds.PerFrameFunctionalGroupsSequence
    first, last = (np.array(each[n].PlanePositionSequence[0].ImagePositionPatient, float) @ normal for n in (0, -1))
    if first > last:
        pixels = np.frombuffer(ds.FloatPixelData, np.float32).reshape(len(each), -1)[::-1]
        ds.FloatPixelData = np.ascontiguousarray(pixels).tobytes()
        ds.PerFrameFunctionalGroupsSequence = list(each)[::-1]
        for number, groups in enumerate(ds.PerFrameFunctionalGroupsSequence, 1):
            groups.FrameContentSequence[0].DimensionIndexValues = number


def _anatomy(making: Making) -> Dataset | None:
    """Which legs the frames show (PS3.3, C.7.6.16.2.8); None where they show another region. Slicer's reader of
    parametric maps (dcmqi) ends where there is none."""
    sides = {side for side, value in LABEL_OF_SIDE.items() if (making.findings.legs == value).any()}
    if not sides or Side.NONE in sides:
        return None
    item = Dataset()
    item.AnatomicRegionSequence = [code_item(code(LEG_CODES[1]))]
    item.FrameLaterality = "U" if Side.UNKNOWN in sides else "B" if len(sides) > 1 else sides.pop().value[0].upper()
    return item
