"""Sensitivity and specificity of the published signs on phantoms, beside the published ones, as Markdown.

Run as `python Tools/sign_figures.py OUT.md`. The phantoms are others than those on which limits were chosen. Each sign
is told three times: from the true fat under the true map; from T1-weighted images under the true map; and from these
images under the map of the shipped network, as of a patient.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from DystrophyDxLib.files.resources import muscle_model
from DystrophyDxLib.models.map_package import MapPackage
from DystrophyDxLib.muscles.infiltration import FatScale, MuscleVoxels, Undecided, fat_of_muscles, scale_of
from DystrophyDxLib.muscles.leg_fat import ERROR
from DystrophyDxLib.muscles.mapper import MuscleMapper
from DystrophyDxLib.muscles.rims import rim_fat
from DystrophyDxLib.muscles.signs import RIMMED, SIGNS, PublishedSign, signs_of
from DystrophyDxLib.phantom.cohort import CENTRES, drawn_patients
from DystrophyDxLib.phantom.disease import DYSTROPHINOPATHY
from DystrophyDxLib.phantom.persons import person_keys, seed_of
from DystrophyDxLib.phantom.thigh import Phantom, make_phantom
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.results import FatSource
from DystrophyDxLib.statistics.confusion import proportion

SEEN_IN: Mapping[str, frozenset[str]] = {
    "trefoil": DYSTROPHINOPATHY,
    "sandwich": frozenset({"Bethlem"}),
    "posterior thigh": frozenset({"LGMD2A"}),
    "vastus lateralis spared": frozenset({"GNE"}),
    "rectus femoris spared": frozenset({"IBM"}),
    "asymmetry": frozenset({"FSHMD"}),
}
"""Diagnoses of phantoms with the disease of each sign."""
COMMON, RARE = (
    ("DMD", "BMD", "DMD", "BMD", "LGMD2A", "Bethlem", "GNE", "IBM", "FSHMD"),
    ("LGMD2B", "LGMD2C", "LGMD2I", "CMD", "MADD", "myositis", "neurogenic", "DM1", "Pompe", "healthy", "healthy"),
)
DRAWN = (*COMMON, *COMMON[4:], *RARE)
"""Diagnoses, each as often as it stands here: more of those that a sign is of."""
SLICES = 4
HOW = ("true fat, true map", "T1-weighted, true map", "T1-weighted, the network's map")
States = Mapping[str, bool | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="Markdown to write")
    parser.add_argument("--patients", type=int, default=6 * len(DRAWN))
    parser.add_argument("--mapped", type=int, default=3 * len(DRAWN), help="patients that the network sees")
    parser.add_argument("--seed", type=int, default=2015)
    parser.add_argument("--matrix", type=int, default=160)
    given = parser.parse_args()
    folder = muscle_model()
    if folder is None:
        parser.error("The model of muscle maps was left out of Resources.")
    mapper = MuscleMapper(MapPackage.read(folder), "cpu")
    patients = drawn_patients(given.patients, given.seed, DRAWN, SLICES)
    keys = person_keys("thigh", given.seed, [patient.diagnosis for patient in patients], "sign figures")
    found = []
    for number, (patient, key) in enumerate(zip(patients, keys, strict=True)):
        site = CENTRES[patient.centre]
        phantom = make_phantom(seed_of(key), patient.diagnosis, patient.slices, given.matrix, site=site, legs="both")
        found.append((patient.diagnosis, told(phantom, mapper if number < given.mapped else None)))
        print(f"{number + 1} of {len(patients)}", flush=True)
    given.out.write_text("\n\n".join(written(found)) + "\n", encoding="utf-8")


def told(phantom: Phantom, mapper: MuscleMapper | None) -> tuple[States, ...]:
    """The state of each sign in a phantom, in each of the ways of `HOW`; not in the last without a mapper."""
    series, labels, spacing = phantom.series, phantom.structures, phantom.series.geometry.spacing
    channels = {"T1": series.voxels}
    voxels = MuscleVoxels.of(labels, np.where(labels > 0, phantom.legs, 0).astype(np.uint8), min(spacing[:2]))
    truth = FatScale("Dixon", phantom.fat_fraction.ravel()[voxels.index], lambda within, _: np.stack([within] * 3))
    grey = scale_of(series, channels, labels, voxels, phantom.legs > 0)
    found = states(voxels, spacing, truth, error=0.0), states(voxels, spacing, grey)
    if mapper is None:
        return found
    regions = find_legs(series)
    seen = mapper.map(series, regions)
    voxels = MuscleVoxels.of(seen.labels, seen.sides, min(spacing[:2]))
    scale = scale_of(series, channels, seen.labels, voxels, regions.labels > 0)
    if isinstance(scale, FatScale):
        scale = scale.trusted(by_network=True, unlike=None)
    return *found, states(voxels, spacing, scale)


def states(
    voxels: MuscleVoxels, spacing: tuple[float, float, float], scale: FatScale | Undecided, error: float = ERROR
) -> States:
    """Of each sign, whether any leg, or both together, show it; None where none does and one is not decidable."""
    fat = fat_of_muscles(voxels, np.zeros(len(voxels.index), bool), spacing, scale)
    rims = rim_fat([row for row in fat if row.muscle in RIMMED], voxels, spacing, scale)
    source = FatSource(source=scale.source if isinstance(scale, FatScale) else None)
    found: dict[str, list[bool | None]] = {sign.name: [] for sign in SIGNS}
    for row in signs_of(fat, rims, source, error):
        found[row.name].append(row.present)
    return {name: True if True in own else None if None in own or not own else False for name, own in found.items()}


def written(found: list[tuple[str, tuple[States, ...]]]) -> list[str]:
    """The parts of the page."""
    rows = ["| sign, in | from | sensitivity | specificity | not decidable |", "| --- | --- | --- | --- | --- |"]
    for sign in SIGNS:
        rows.append(f"| **{sign.name}**, {sign.disease} | published | {_published(sign)} | |")
        for number, how in enumerate(HOW):
            rows.append(f"| | {how} | {_measured(sign, found, number)} |")
    by_disease = [
        f"| diagnosis | patients | {' | '.join(sign.name for sign in SIGNS)} |",
        f"| --- | ---: |{' ---: |' * len(SIGNS)}",
    ]
    for diagnosis in dict.fromkeys(DRAWN):
        own = [ways for name, ways in found if name == diagnosis]
        counts = [" / ".join(str(sum(ways[n][sign.name] is True for ways in own)) for n in (0, 1)) for sign in SIGNS]
        by_disease.append(f"| {diagnosis} | {len(own)} | {' | '.join(counts)} |")
    return [
        f"**Published signs on {len(found)} phantoms of {SLICES} slices, per patient, with 95 % intervals (Wilson)**",
        "\n".join(rows),
        "A sign that is not decidable counts as not present. The diseases of the phantoms were fitted to published fat "
        "fractions and orders of muscles, so these figures say how well a rule finds what phantoms show, not how often "
        "patients show the sign.",
        f"**Patients with each sign, by diagnosis: {' / '.join(HOW[:2])}**",
        "\n".join(by_disease),
    ]


def _published(sign: PublishedSign) -> str:
    return f"{sign.figures} |"


def _measured(sign: PublishedSign, found: list[tuple[str, tuple[States, ...]]], number: int) -> str:
    present = [(name in SEEN_IN[sign.name], ways[number][sign.name]) for name, ways in found if number < len(ways)]
    ill, others = ([state for of_disease, state in present if of_disease is which] for which in (True, False))
    sensitivity = proportion(sum(state is True for state in ill), len(ill))
    specificity = proportion(sum(state is not True for state in others), len(others))
    undecided = sum(state is None for _, state in present)
    return f"{sensitivity:.2f} | {specificity:.2f} | {undecided} of {len(present)}"


if __name__ == "__main__":
    main()
