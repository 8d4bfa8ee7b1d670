"""A model of muscle maps against the maps of persons: Dice of each muscle, and whether the muscles tell the side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from ..cohort.seen import evaluated_cases, seen_notice, seen_patients
from ..cohort.table import Case, Cohort
from ..errors import InputError
from ..models.map_package import MapPackage
from ..muscles.label_maps import read_label_map
from ..muscles.mapper import MuscleMapper
from ..muscles.structures import MUSCLES, STRUCTURES
from ..regions.legs import find_legs
from ..regions.windows import Side
from ..reporting.harness import Measure, Summary, provenance, report_notices, table_sha256
from ..reporting.pages import Section
from ..reporting.reports import MAPS as REPORT
from ..reporting.tables import Table
from ..series.reading import read_study
from ..training.objectives import dice_estimates, overlap_counts
from .evaluated import EvaluationOptions

_LABELS = len(STRUCTURES) + 1


class MapSummary(Summary):
    """Summary of an evaluation: Dice of each structure and their mean, over all legs and over those in which the map
    of a person has every muscle that any of these maps has."""

    schema_: Literal["dystrophydx.map-evaluation/1"] = Field(default="dystrophydx.map-evaluation/1", alias="schema")
    model: str
    patients: int
    legs: int
    sides_right: int
    sides_told: int
    dice: dict[str, Measure]
    dice_where_all: dict[str, Measure]

    def lines(self) -> Iterator[str]:
        yield from super().lines()
        yield f"{self.patients} patients, {self.legs} legs in single slices"
        for name, measure in self.dice.items():
            yield f"{name}: {measure}"
        if "Dice, mean" in self.dice_where_all:
            yield f"Dice, mean, where all muscles are in view: {self.dice_where_all['Dice, mean']}"
        yield f"Side by muscles right in {self.sides_right} of {self.sides_told} legs"


def evaluate_maps(
    package: Path, cohort: Path, out: Path, options: EvaluationOptions, *, split: str | None, seed: int
) -> MapSummary:
    """Evaluates a package of muscle maps and writes a report.

    Args:
        package, cohort, split: as of `evaluate.evaluate`; the cohort has the column of maps.
        seed: of the bootstrap.

    Raises:
        InputError: package, cohort, split or `out` cannot be used, or no series could be read.
    """
    before = REPORT.check(out, overwrite=options.overwrite)
    model = MapPackage.read(package)
    read = Cohort.read(cohort, model.recipe)
    chosen, split = evaluated_cases(read, split, [model.card])
    mapper = MuscleMapper(model, options.device)
    rows, counts, failures = [], [], []
    for done, case in enumerate(chosen.cases, 1):
        try:
            of_case = list(_legs(mapper, case))
        except InputError as error:
            failures.append({"row": case.row, "patient_id": case.patient_id, "reason": str(error)})
            of_case = []
        rows += [row for row, _ in of_case]
        counts += [own for _, own in of_case]
        options.advance("Mapping muscles", done, len(chosen.cases))
    if not rows:
        raise InputError("No series of the cohort has a leg with a map; see that its maps lie on its series.")
    legs, overlaps = pd.DataFrame(rows), np.stack(counts)
    known = np.asarray(overlaps[:, 2].any(axis=0))
    known[0] = True
    needed = np.flatnonzero(known[: len(MUSCLES) + 1])[1:]
    whole = np.asarray(overlaps[:, 2][:, needed].all(axis=1))
    patient = legs["patient_id"].to_numpy()
    dice = dice_estimates(overlaps, patient, known, seed)
    where_all = dice_estimates(overlaps[whole], patient[whole], known, seed) if whole.any() else {}
    told = legs["side"] != Side.UNKNOWN.value
    seen = len(seen_patients(chosen, model.card))
    notice = (seen_notice(seen, len(chosen.patients)),) if seen else ()
    synthetic = all(case.synthetic for case in chosen.cases)
    summary = MapSummary(
        notices=report_notices(
            demonstration=model.card.demonstration, synthetic=synthetic, further=(*notice, *chosen.notices)
        ),
        model=model.sha256,
        patients=legs["patient_id"].nunique(),
        legs=len(legs),
        sides_right=int((legs["side"] == legs["side_by_muscles"])[told].sum()),
        sides_told=int(told.sum()),
        dice={name: Measure.of(figure) for name, figure in dice.items()},
        dice_where_all={name: Measure.of(figure) for name, figure in where_all.items()},
    )

    def sections(_folder: Path) -> Iterator[Section]:
        both = pd.DataFrame({
            "Structure": [name.removeprefix("Dice, ") for name in dice],
            "Dice, all legs": list(dice.values()),
            "Dice, legs with all muscles": [where_all.get(name, np.nan) for name in dice],
        })  # fmt: skip
        note = "2·|A∩B| / (|A|+|B|) over the voxels of all legs, with the 95 % bootstrap interval over patients."
        table = Table("dice", "Muscles that were found against those that a person drew", both, note)
        yield Section("Muscles", tuple(summary.lines())[len(summary.notices) :][:1], (), (table,))
        yield provenance([
            ("Model", f"{model.card.name} {model.card.version}, {model.sha256}"), ("Trained on", model.card.trained_on),
            ("Cohort table, SHA-256", table_sha256(cohort)), ("Split", split or "any"), ("Seed", str(seed)),
        ])  # fmt: skip

    tables = {"legs.csv": legs, "failures.csv": pd.DataFrame(failures, columns=["row", "patient_id", "reason"])}
    REPORT.write(
        out, summary, f"{model.card.name} {model.card.version}", sections, tables, overwrite=options.overwrite,
        before=before,
    )  # fmt: skip
    return summary


def _legs(mapper: MuscleMapper, case: Case) -> Iterator[tuple[dict[str, object], np.ndarray]]:
    """Of each leg with a muscle in the map of a person, a row of the table and the (3, labels) `overlap_counts`."""
    series = read_study(case.path)
    assert case.map is not None
    truth = read_label_map(case.map, series)
    found = mapper.map(series, find_legs(series))
    for leg in found.legs:
        window = leg.window
        drawn = truth[window.box] * window.mask
        if not ((drawn > 0) & (drawn <= len(MUSCLES))).any():
            continue
        own, true = (torch.from_numpy(labels[window.mask].astype(np.uint8))[None] for labels in (leg.labels, drawn))
        by_muscles = Side.LEFT if leg.either[0] > leg.either[1] else Side.RIGHT
        yield (
            {
                "row": case.row, "patient_id": case.patient_id, "slice": window.slice, "side": window.side.value,
                "side_by_muscles": by_muscles.value, "likelihood_left": leg.either[0],
                "likelihood_right": leg.either[1], "thigh": leg.mapped,
            },
            overlap_counts(own, true, _LABELS)[0].numpy(),
        )  # fmt: skip
