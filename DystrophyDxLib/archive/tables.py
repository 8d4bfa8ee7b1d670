"""The tables of an archive's dataset, as documented in docs/archive.md: their columns, and the rows of one study.

No column tells an identity: patients, studies and series have pseudonyms, and texts are the program's own sentences.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import cache
from typing import Any

import pyarrow as pa

from .. import __version__
from ..results import CaseResult, MuscleFat, StudyResult
from .pseudonyms import Pseudonyms
from .studies import Failure, Study
from .worker import Model

SCHEMA = "dystrophydx.archive/1"
"""Columns are added, never changed in meaning without a new number."""
Row = dict[str, Any]
_TEXT, _NUMBER, _COUNT, _YES = pa.string(), pa.float64(), pa.int32(), pa.bool_()
_NAMED = pa.list_(pa.struct([("name", _TEXT), ("probability", _NUMBER)]))
_WARNINGS = pa.list_(pa.struct([("code", _TEXT), ("message", _TEXT)]))
_SIGNS = pa.list_(pa.struct([("name", _TEXT), ("disease", _TEXT), ("side", _TEXT), ("present", _YES), ("why", _TEXT)]))
_MADE: dict[str, tuple[pa.DataType, str]] = {
    "program": (_TEXT, "program and version"),
    "model": (_TEXT, "name and version of the model"),
    "model_sha256": (_TEXT, "SHA-256 of its package"),
    "created": (_TEXT, "date and time, UTC, ISO 8601"),
}
COLUMNS: dict[str, dict[str, tuple[pa.DataType, str]]] = {
    "studies": {
        "study": (_TEXT, "pseudonym of the study; the key of all tables"),
        "patient": (_TEXT, "pseudonym of the patient; null where nothing tells one"),
        "series": (_TEXT, "pseudonym of the series that was classified; null where it has no UID"),
        "row": (_COUNT, "row of the cohort table, 1 for its header; null without one"),
        "diagnosis": (_TEXT, "disease by the cohort table; null without one"),
        "label": (_TEXT, "a class or indeterminate, as classify gives it"),
        "probability": (_NUMBER, "of the second of two classes, else of the first of the ranked ones"),
        "ci_low": (_NUMBER, "lower bound of its 95 % interval; null where there is none, as of a single slice"),
        "ci_high": (_NUMBER, "upper bound of its 95 % interval"),
        "threshold": (_NUMBER, "from which on the second class is said; null of more than two classes"),
        "reason": (_TEXT, "why this label"),
        "classes": (pa.list_(_TEXT), "that the model tells apart"),
        "ranked": (_NAMED, "classes by their probability, of more than two"),
        "network_label": (_TEXT, "label by the network alone; null without a second answer"),
        "pattern_label": (_TEXT, "label by the pattern of fat; null where that has no answer"),
        "pattern_probability": (_NUMBER, "probability by the pattern of fat"),
        "pattern_ci_low": (_NUMBER, "lower bound of its 95 % interval; null as of `ci_low`"),
        "pattern_ci_high": (_NUMBER, "upper bound of its 95 % interval"),
        "pattern_agrees": (_YES, "false where network and pattern contradict each other"),
        "warnings": (_WARNINGS, "code and sentence of each warning"),
        "images": (_COUNT, "windows that were classified"),
        "counted": (_COUNT, "of them, that enter the case"),
        "slices": (_COUNT, "of the series"),
        "spacing_i_mm": (_NUMBER, "distance of columns"),
        "spacing_j_mm": (_NUMBER, "distance of rows"),
        "spacing_k_mm": (_NUMBER, "distance of slices"),
        "input": (_TEXT, "dicom or file"),
        "selection": (_TEXT, "why this series of the study"),
        "notes": (pa.list_(_TEXT), "what was found while reading, and what no header told"),
        "field_strength_t": (_NUMBER, "magnetic field by the header"),
        "repetition_time_ms": (_NUMBER, "by the header"),
        "echo_time_ms": (_NUMBER, "by the header"),
        "fat_source": (_TEXT, "what tells the fat of the muscles; null where nothing does"),
        "signs": (_SIGNS, "published signs of the muscles"),
        "device": (_TEXT, "that the network ran on"),
        "precision": (_TEXT, "that it computed in"),
        "lacking": (_TEXT, "what its folder lacks, and why; null where nothing or no folder was asked for"),
        "seconds_read": (_NUMBER, "for reading"),
        "seconds_roi": (_NUMBER, "for finding the legs"),
        "seconds_network": (_NUMBER, "in the network"),
        "seconds_muscles": (_NUMBER, "for the map of the muscles"),
        **_MADE,
    },
    "windows": {
        "study": (_TEXT, "pseudonym of the study"),
        "slice": (_COUNT, "index k, from 0"),
        "side": (_TEXT, "the patient's left, right, unknown or none"),
        "first_slice": (_COUNT, "first slice of a window of several; else null"),
        "end_slice": (_COUNT, "slice after its last; else null"),
        "i0": (_COUNT, "first column"),
        "i1": (_COUNT, "column after the last"),
        "j0": (_COUNT, "first row"),
        "j1": (_COUNT, "row after the last"),
        "probability": (_NUMBER, "of the image; null of a window that was skipped"),
        "probabilities": (pa.list_(_NUMBER), "of all classes, of more than two"),
        "anatomy": (_TEXT, "thigh, other or not judged"),
        "counted": (_YES, "whether it enters the case"),
        "skipped": (_TEXT, "why there is no window; null where there is one"),
    },
    "muscles": {
        "study": (_TEXT, "pseudonym of the study"),
        "side": (_TEXT, "the patient's left, right, unknown or none"),
        "muscle": (_TEXT, "its name"),
        "volume_ml": (_NUMBER, "in the slices"),
        "fat_fraction": (_NUMBER, "0 to 1; null where it cannot be told"),
        "fat_low": (_NUMBER, "what it may be at least"),
        "fat_high": (_NUMBER, "what it may be at most"),
        "mercuri": (_COUNT, "grade 1 to 4; null where it cannot be told"),
        "heat_share": (_NUMBER, "share of all the heat that lies in it"),
        "mean_heat": (_NUMBER, "mean heat in it, 0 to 1"),
        "under_heat": (_NUMBER, "share of it under the heat"),
        "why": (_TEXT, "why the fat cannot be told; null where it is"),
    },
    "failures": {
        "study": (_TEXT, "pseudonym of the study, or of a file that tells none"),
        "patient": (_TEXT, "pseudonym of the patient; null where nothing tells one"),
        "row": (_COUNT, "row of the cohort table; null without one"),
        "kind": (_TEXT, "one of the kinds listed below"),
        "reason": (_TEXT, "in a sentence"),
        **_MADE,
    },
}
"""Of each table each column's type and meaning."""


@cache
def schema(table: str) -> pa.Schema:
    """The columns of a table, each with its meaning as metadata."""
    return pa.schema(
        [pa.field(name, kind, metadata={"description": meaning}) for name, (kind, meaning) in COLUMNS[table].items()]
    )


def rows_of(study: Study, result: StudyResult, pseudonyms: Pseudonyms, lacking: str = "") -> Mapping[str, list[Row]]:
    """The rows of a study that was classified, by table; see `Outcome`."""
    return {
        "studies": [_study_row(study, result, pseudonyms) | {"lacking": lacking or None}],
        "windows": _window_rows(study.study, result),
        "muscles": _muscle_rows(study.study, result),
    }


def failure_row(study: str, patient: str | None, row: int | None, failure: Failure, model: Model) -> Row:
    """The row of a study without an answer."""
    card = model.package.card
    return {
        "study": study,
        "patient": patient,
        "row": row,
        "kind": failure.kind,
        "reason": failure.reason,
        "program": f"DystrophyDx {__version__}",
        "model": f"{card.name} {card.version}",
        "model_sha256": model.package.sha256,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def _bounds(case: CaseResult | None) -> tuple[float | None, float | None]:
    return case.ci95 if case is not None and case.has_interval else (None, None)


def _study_row(study: Study, result: StudyResult, pseudonyms: Pseudonyms) -> Row:
    case, facts, pattern = result.case, result.input, result.pattern
    second = pattern.case if pattern else None
    return {
        "study": study.study,
        "patient": study.patient,
        "series": pseudonyms.series(facts.series_uid),
        "row": study.row,
        "diagnosis": study.diagnosis,
        "label": case.label,
        "probability": case.probability,
        **dict(zip(("ci_low", "ci_high"), _bounds(case), strict=True)),
        "threshold": case.threshold,
        "reason": case.reason,
        "classes": list(result.model.classes),
        "ranked": [{"name": each.name, "probability": each.probability} for each in case.differential],
        "network_label": pattern.network.label if pattern else None,
        "pattern_label": second.label if second else None,
        "pattern_probability": second.probability if second else None,
        **dict(zip(("pattern_ci_low", "pattern_ci_high"), _bounds(second), strict=True)),
        "pattern_agrees": pattern.agrees if pattern else None,
        "warnings": [{"code": each.code.value, "message": each.message} for each in result.warnings],
        "images": len(result.images),
        "counted": sum(image.counted for image in result.images),
        "slices": facts.slices,
        **dict(zip(("spacing_i_mm", "spacing_j_mm", "spacing_k_mm"), facts.spacing_mm, strict=True)),
        "input": facts.kind,
        "selection": facts.selection,
        "notes": [*facts.notes, *filter(None, [facts.contrast_note])],
        **{name: facts.acquisition.get(name) for name in ("field_strength_t", "repetition_time_ms", "echo_time_ms")},
        "fat_source": result.fat.source if result.fat else None,
        "signs": [sign.model_dump() for sign in result.signs],
        "device": result.provenance.device,
        "precision": result.provenance.precision,
        **{f"seconds_{stage}": result.timing_s.get(stage) for stage in ("read", "roi", "network", "muscles")},
        "program": result.provenance.program,
        "model": f"{result.model.name} {result.model.version}",
        "model_sha256": result.model.sha256,
        "created": result.provenance.created,
    }


def _window_rows(study: str, result: StudyResult) -> list[Row]:
    rows = []
    for image in result.images:
        (i0, i1), (j0, j1) = image.window_ijk
        first, end = image.slices or (None, None)
        rows.append(
            {
                "study": study,
                "slice": image.slice,
                "side": image.side,
                "first_slice": first,
                "end_slice": end,
                "i0": i0,
                "i1": i1,
                "j0": j0,
                "j1": j1,
                "probability": image.probability,
                "probabilities": list(image.probabilities),
                "anatomy": image.anatomy,
                "counted": image.counted,
            }
        )
    rows += [
        {"study": study, "slice": item.slice, "side": item.side, "counted": False, "skipped": item.reason}
        for item in result.skipped
    ]
    return rows


def _muscle_rows(study: str, result: StudyResult) -> list[Row]:
    heat = {(each.side, each.muscle): each for each in result.muscle_heat}
    rows = []
    for muscle in result.muscles:
        row: Row = {"study": study, "muscle": muscle.muscle, "under_heat": muscle.score}
        if isinstance(muscle, MuscleFat):
            low, high = muscle.fat_ci95 or (None, None)
            own = heat.get((muscle.side, muscle.muscle))
            row |= {
                "side": muscle.side,
                "volume_ml": muscle.volume_ml,
                "fat_fraction": muscle.fat_fraction,
                "fat_low": low,
                "fat_high": high,
                "mercuri": muscle.mercuri,
                "heat_share": own.share if own else None,
                "mean_heat": own.mean_heat if own else None,
                "why": muscle.why or None,
            }
        rows.append(row)
    return rows
