"""What a result says of the series that was classified."""

from __future__ import annotations

from ..results import InputFacts
from .series import Series
from .standard_terms import standard_facts, standard_uid


def input_facts(series: Series, contrast_note: str) -> InputFacts:
    """What a result says of its series; `contrast_note` see `InputFacts`."""
    return InputFacts(
        label=series.label or series.neutral_label,
        first_slice=series.first_slice,
        kind=series.kind,
        series_uid=standard_uid(series.series_uid),
        slices=len(series.voxels),
        spacing_mm=series.geometry.spacing,
        selection=series.selection,
        notes=series.notes,
        warnings=series.warnings,
        acquisition=standard_facts(series.acquisition),
        contrast_note=contrast_note,
    )
