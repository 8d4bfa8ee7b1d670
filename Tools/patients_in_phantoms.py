"""Whether real patients lie inside the phantoms of their disease, by the fat of each muscle and of all together.
Nothing is fitted to them.

PYTHONPATH=. .venv/bin/python Tools/patients_in_phantoms.py DATA Resources/Figures/patients_in_phantoms.md

DATA is a folder of images that do not come with the program: `dystrophy_dixon` (Dixon images of thighs with maps of
their muscles, of Huashan's "Rapid-automatic-fat-quantification-for-thigh-muscle-degeneration") and `disease_slices`
(fat images of single slices, of Huashan's "fopi"), both Apache-2.0.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from phantom_fat import fat_of
from scipy.spatial import cKDTree

from DystrophyDxLib.files.resources import muscle_model
from DystrophyDxLib.models.map_package import MapPackage
from DystrophyDxLib.models.pattern import PatientFat, log_odds
from DystrophyDxLib.models.pattern_package import PatternRecipe
from DystrophyDxLib.models.recipe import shipped_recipe
from DystrophyDxLib.muscles.fat_of_series import fat_of_series
from DystrophyDxLib.muscles.label_maps import read_label_map
from DystrophyDxLib.muscles.mapper import MuscleMapper
from DystrophyDxLib.muscles.structures import MUSCLES
from DystrophyDxLib.phantom.disease import DIAGNOSES, Infiltration
from DystrophyDxLib.phantom.thigh import muscle_shares
from DystrophyDxLib.series.reading import read_channels

PERSONS = 1500
"""Phantoms of each disease."""
SLICES = {"healthy": "healthy", "lgmdr2": "LGMD2B", "bmd": "BMD"}
"""Names of single slices → diagnosis."""
THIGHS = {"lgmdr2": "LGMD2B", "dystrophy_unnamed": None}
"""Names of thighs → diagnosis."""
RECIPE = PatternRecipe.parse(shipped_recipe("pattern"))


@dataclass(frozen=True)
class Real:
    """A patient's fat.

    Attributes:
        diagnosis: as phantoms have it; None where it is not known.
        fractions: (13,), nan where a muscle is not in view.
    """

    name: str
    diagnosis: str | None
    fractions: np.ndarray


@dataclass(frozen=True)
class Inside:
    """How a patient lies among the phantoms of a disease.

    Attributes:
        ranks: (13,) share of the phantoms with less fat in the muscle, half of those with as much counted; nan where it
            is not in view.
        nearest: distance to the nearest phantom, in log-odds, the root of the mean square over the muscles.
        rank: share of phantoms that lie nearer to another one than that.
    """

    ranks: np.ndarray
    nearest: float
    rank: float

    @classmethod
    def of(cls, fractions: np.ndarray, diagnosis: str) -> Inside:
        """Of fractions (13,) among phantoms of a diagnosis."""
        seen = ~np.isnan(fractions)
        own, phantoms = log_odds(fractions[seen]), phantom_odds(diagnosis)[:, seen]
        ranks = np.full(len(MUSCLES), np.nan)
        ranks[seen] = ((phantoms < own).mean(axis=0) + (phantoms <= own).mean(axis=0)) / 2
        tree, scale = cKDTree(phantoms), np.sqrt(seen.sum())
        nearest = float(tree.query(own)[0] / scale)
        among_themselves = tree.query(phantoms, k=2)[0][:, 1] / scale
        return cls(ranks, nearest, float((among_themselves < nearest).mean()))


@lru_cache
def phantom_odds(diagnosis: str) -> np.ndarray:
    """(PERSONS, 13) log-odds of the fat of the phantoms' muscles, as far as grey tells it."""
    rng, shares = np.random.default_rng(1), muscle_shares()
    return log_odds(fat_of([Infiltration.drawn(rng, diagnosis, shares) for _ in range(PERSONS)]) / 100)


def real_patients(data: Path) -> list[Real]:
    """The fat of the muscles of each patient: of thighs by Dixon images under their own map, without what it lacks; of
    single slices by the grey of fat images under the shipped network's map."""
    model = muscle_model()
    assert model is not None, "the model of muscle maps is in the checkout"
    mapper, found = MuscleMapper(MapPackage.read(model), "cpu"), []
    for name, diagnosis in THIGHS.items():
        folder = data / "dystrophy_dixon"
        paths = {part: folder / f"{name}_{part}.nii.gz" for part in ("fat", "water", "muscles")}
        found.append(_real(f"{name}, thighs", diagnosis, {"DIXON_WATER": paths["water"]}, paths, mapper))
    for name, diagnosis in SLICES.items():
        paths = {"fat": data / "disease_slices" / f"{name}_fat.nrrd"}
        found.append(_real(f"{name}, one slice", diagnosis, {}, paths, mapper))
    return found


def _real(
    name: str, diagnosis: str | None, further: Mapping[str, Path], paths: Mapping[str, Path], mapper: MuscleMapper
) -> Real:
    series = read_channels(paths["fat"], further)
    drawn = read_label_map(paths["muscles"], series) if "muscles" in paths else None
    fat = fat_of_series(series, RECIPE.sample, mapper, RECIPE.dixon, drawn)
    return Real(name, diagnosis, PatientFat.of(fat.muscles, by_grey=fat.by_grey).fractions)


def table(patients: list[Real]) -> list[str]:
    """A Markdown row for each patient."""
    rows = [
        "| patient | phantoms of | muscles in view | lowest percentile | highest percentile | nearest phantom | "
        "percentile of that distance |",
        "| --- | --- | ---: | --- | --- | ---: | ---: |",
    ]
    for patient in patients:
        for diagnosis in [patient.diagnosis] if patient.diagnosis else _nearest_diseases(patient):
            inside = Inside.of(patient.fractions, diagnosis)
            low, high = int(np.nanargmin(inside.ranks)), int(np.nanargmax(inside.ranks))
            ends = [f"{100 * inside.ranks[n]:.1f} ({MUSCLES[n]})" for n in (low, high)]
            told = diagnosis if patient.diagnosis else f"{diagnosis} (disease not known; nearest)"
            rows.append(
                f"| {patient.name} | {told} | {int((~np.isnan(inside.ranks)).sum())} | {ends[0]} | {ends[1]} | "
                f"{inside.nearest:.2f} | {100 * inside.rank:.0f} |"
            )
    return rows


def _nearest_diseases(patient: Real) -> list[str]:
    return sorted(DIAGNOSES, key=lambda name: Inside.of(patient.fractions, name).nearest)[:1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="Markdown to write")
    given = parser.parse_args()
    parts = (
        "**Real patients among the phantoms of their disease, by the fat of their muscles**",
        "\n".join(table(real_patients(given.data))),
        f"Of {PERSONS} phantoms of each disease. Percentiles: share of phantoms with less fat in the muscle. Nearest "
        "phantom: root mean square difference of the log-odds of fat; the last column tells which share of phantoms "
        "lies nearer to another phantom than that. Thighs: Dixon images under an nnU-Net's map without adductor longus "
        "and gluteus maximus; slices: grey of fat images under the shipped network's map. Nothing was fitted to them.",
    )
    given.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
