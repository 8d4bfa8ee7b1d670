"""The heatmap as a DICOM Parametric Map (PS3.3, A.75)."""

from __future__ import annotations

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ..models.decision import decision_of
from .making import Making


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
        voi_lut_transformations=[VOILUTTransformation(window_center=0.5, window_width=1.0)],
        content_label="HEATMAP",
        content_description="Heatmap of a classification, for research only",
        **making.common("heatmap"),
        **making.device,
    )
    return making.referring(making.finished(ds, "heatmap"), codes.DCM.ClassActivation)
