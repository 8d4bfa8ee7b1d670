"""How near the fat of each muscle comes to the truth, on phantoms and on two real patients, as Markdown.

PYTHONPATH=. .venv/bin/python Tools/fat_figures.py Resources/Figures/fat_of_muscles.md --data DATA

Phantoms: against their true fat. Patients: against their Dixon images under an nnU-Net's map of eleven muscles. DATA is
a folder of images that do not come with the program, see `patients_in_phantoms.py`; nothing was fitted to them, but
they were in view when constants were chosen. Each series is measured as a classification measures it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from patients_in_phantoms import RECIPE, THIGHS

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.files.resources import muscle_model
from DystrophyDxLib.models.map_package import MapPackage
from DystrophyDxLib.muscles.fat_of_series import fat_of_series
from DystrophyDxLib.muscles.label_maps import read_label_map
from DystrophyDxLib.muscles.mapper import MuscleMapper
from DystrophyDxLib.muscles.structures import MUSCLES
from DystrophyDxLib.phantom.cohort import CENTRES, drawn_patients
from DystrophyDxLib.phantom.persons import person_keys, seed_of
from DystrophyDxLib.phantom.thigh import Phantom, make_phantom
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE, Side
from DystrophyDxLib.series.reading import read_channels
from DystrophyDxLib.series.series import Series

FAT, WATER = RECIPE.dixon
SEED, PURPOSE, SLICES, MATRIX = 501, "fat figures", 6, 192
LEAST_VOXELS = 60
WATER_IN_T1 = 0.3
"""Share of the water image, each image divided by its bright level, that makes a fat image look T1-weighted."""
Fat = Mapping[tuple[str, str], tuple[float, float, float]]
"""Of each side and muscle: found, least and greatest."""
Rows = list[tuple[float, float, float, float]]
"""Truth, found, least and greatest of each muscle."""


def inputs(t1: Series, fat: Series, water: np.ndarray) -> Iterator[tuple[str, Series]]:
    """The same patient as T1-weighted images, as fat images alone, and as fat and water."""
    yield "T1-weighted", replace(t1, further={})
    yield "fat image alone", replace(fat, further={})
    yield "Dixon", replace(fat, further={WATER: water})


def found(series: Series, mapper: MuscleMapper, drawn: np.ndarray | None) -> Fat:
    """Of each side and muscle whose fat is told; nothing of a series that is refused."""
    try:
        rows = fat_of_series(series, RECIPE.sample, mapper, RECIPE.dixon, drawn).muscles
    except InputError:
        return {}
    return {
        (row.side, row.muscle): (row.fat_fraction, *row.fat_ci95)
        for row in rows
        if row.fat_fraction is not None and row.fat_ci95 is not None
    }


def truth_of(phantom: Phantom) -> dict[tuple[str, str], float]:
    """True fat of each side and muscle of which enough is in view."""
    truth = {}
    for side in (Side.LEFT, Side.RIGHT):
        for label, muscle in enumerate(MUSCLES, 1):
            own = (phantom.structures == label) & (phantom.legs == LABEL_OF_SIDE[side])
            if np.count_nonzero(own) > LEAST_VOXELS:
                truth[side.value, muscle] = float(phantom.fat_fraction[own].mean())
    return truth


def held(truth: Mapping[tuple[str, str], float], fat: Fat) -> Rows:
    """Of the muscles that both know."""
    return [(truth[key], *told) for key, told in fat.items() if key in truth]


def on_phantoms(count: int, mapper: MuscleMapper) -> dict[tuple[str, str], Rows]:
    """By input and map."""
    patients = drawn_patients(count, SEED)
    keys = person_keys("thigh", SEED, [patient.diagnosis for patient in patients], PURPOSE)
    rows: dict[tuple[str, str], Rows] = {}
    for patient, key in zip(patients, keys, strict=True):
        how = {"site": CENTRES[patient.centre], "legs": patient.legs}
        phantom = make_phantom(seed_of(key), patient.diagnosis, SLICES, MATRIX, ("T1", FAT, WATER), **how)
        truth, images = truth_of(phantom), phantom.images
        for name, series in inputs(images["T1"], images[FAT], images[WATER].voxels):
            for map_name, drawn in (("network's", None), ("true", phantom.structures)):
                rows.setdefault((name, map_name), []).extend(held(truth, found(series, mapper, drawn)))
    return rows


def on_patient(name: str, data: Path, mapper: MuscleMapper) -> dict[tuple[str, str], Rows]:
    """By input and map."""
    folder = data / "dystrophy_dixon"
    both = read_channels(folder / f"{name}_fat.nii.gz", {WATER: folder / f"{name}_water.nii.gz"})
    drawn, water = read_label_map(folder / f"{name}_muscles.nii.gz", both), both.further[WATER]
    fat_part, water_part = (voxels / np.percentile(voxels, 99) for voxels in (both.voxels, water))
    t1 = replace(both, voxels=(500 * (fat_part + WATER_IN_T1 * water_part)).astype(np.float32))
    truth = {key: fraction for key, (fraction, *_) in found(both, mapper, drawn).items()}
    rows = {}
    for how, series in inputs(t1, both, water):
        rows[how, "network's"] = held(truth, found(series, mapper, None))
        if how != "Dixon":
            rows[how, "nnU-Net's"] = held(truth, found(series, mapper, drawn))
    return rows


def table(who: str, rows: Mapping[tuple[str, str], Rows]) -> list[str]:
    """A Markdown row for each input and map."""
    lines = []
    for (how, map_name), of_muscles in rows.items():
        true, said, low, high = np.array(of_muscles).T
        apart, inside = said - true, ((low <= true) & (true <= high)).mean()
        like = f"{how}-like" if how == "T1-weighted" and who != "phantoms" else how
        figures = f"{np.abs(apart).mean():.3f} | {apart.mean():+.3f} | {inside:.2f}"
        lines.append(f"| {who} | {like} | {map_name} | {len(true)} | {figures} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="Markdown to write")
    parser.add_argument("--data", type=Path, help="with real patients; none without")
    parser.add_argument("--phantoms", type=int, default=26)
    given = parser.parse_args()
    model = muscle_model()
    assert model is not None, "the model of muscle maps is in the checkout"
    mapper = MuscleMapper(MapPackage.read(model), "cpu")
    lines = table("phantoms", on_phantoms(given.phantoms, mapper))
    for name in THIGHS if given.data else ():
        lines += table(name, on_patient(name, given.data, mapper))
    text = (
        f"**Fat of each muscle beside the truth: {given.phantoms} phantoms of {SLICES} slices, and two patients with a "
        "muscular dystrophy**",
        "\n".join((
            "| who | images | map | muscles | mean absolute difference | mean difference | truth in the interval |",
            "| --- | --- | --- | ---: | ---: | ---: | ---: |",
            *lines,
        )),
        "Truth: of phantoms the true fat, of patients that of their Dixon images under an nnU-Net's map. Dixon images "
        "of phantoms read too high, as real ones do, which no interval holds. The network's map of a muscle may reach "
        "further along the thigh than the nnU-Net's. T1-weighted-like: fat image with 0.3 of the water image.",
    )  # fmt: skip
    given.out.write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
