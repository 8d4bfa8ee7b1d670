"""Synthetic brain maps, registered to each other, to try out and test recipes of maps: grey-matter density and mean
diffusivity of Parkinson's disease, multiple system atrophy and health, with an atlas of the regions.

A cohort of them is the maps of each patient, `atlas.nii.gz` with `atlas.csv`, and the table `cohort.csv`.

Which regions change is that of the diagnostic criteria (Wenning et al., Mov Disord 2022;37:1131): the putamen in the
parkinsonian type, pons, middle cerebellar peduncles and cerebellum in the cerebellar type, both in the mixed type.
Diffusivity rises and density falls there. How much, the shapes (ellipsoids about where the regions lie in a brain of
common size) and the normal values are our estimate: the maps say nothing about patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..files.phantom_cohort import ATLAS, ATLAS_NAMES, TABLE, earlier_cohort
from ..reporting.output_folder import output_folder
from ..reporting.progress import Advance, silent
from ..series.image_files import as_image
from ..series.series import Geometry
from .cohort_files import write_image, write_table
from .persons import person_keys, seed_of

SPACING_MM = 4.0
SHAPE = (40, 48, 40)
"""Voxels (z, y, x)."""
_CENTRE_MM = (0.0, 18.0, 4.0)
"""LPS position of the middle of the grid."""


@dataclass(frozen=True)
class Region:
    """A region of the atlas: ellipsoids in LPS mm, with what is normal there.

    Attributes:
        middles: of the ellipsoids.
        radii: of each, along x, y and z.
        density: of grey matter, 0 to 1.
        diffusivity: mean, in 1e-3 mm²/s.
    """

    name: str
    middles: tuple[tuple[float, float, float], ...]
    radii: tuple[float, float, float]
    density: float
    diffusivity: float


def _both(x: float, y: float, z: float) -> tuple[tuple[float, float, float], ...]:
    return ((x, y, z), (-x, y, z))


REGIONS = (
    Region("lateral ventricles", _both(10, 5, 20), (6, 26, 8), 0.05, 2.8),
    Region("caudate nucleus", _both(14, -12, 8), (6, 10, 10), 0.65, 0.78),
    Region("putamen", _both(27, -2, 2), (7, 14, 9), 0.65, 0.76),
    Region("thalamus", _both(12, 18, 8), (9, 13, 9), 0.5, 0.8),
    Region("midbrain", ((0, 22, -12),), (14, 10, 9), 0.3, 0.8),
    Region("pons", ((0, 26, -34),), (14, 12, 13), 0.2, 0.74),
    Region("middle cerebellar peduncles", _both(20, 38, -34), (8, 11, 7), 0.15, 0.7),
    Region("cerebellum", ((0, 64, -34),), (50, 26, 22), 0.7, 0.8),
)
"""The first that holds a voxel has it."""
CORTEX = "cerebral cortex"
WHITE_MATTER = "white matter"
_BRAIN = ((0.0, 16.0, 10.0), (68.0, 84.0, 62.0))
_CORTEX_DEPTH = 0.82

CHANGED = {
    "HC": (),
    "PD": (),
    "MSA-P": ("putamen",),
    "MSA-C": ("pons", "middle cerebellar peduncles", "cerebellum"),
    "MSA-PC": ("putamen", "pons", "middle cerebellar peduncles", "cerebellum"),
}
"""Regions that a disease changes. Parkinson's disease leaves these maps as they are."""
LARGEST_CHANGE = (0.45, 0.55)
"""Share by which density falls and diffusivity rises where the disease is at its most severe."""
PERSON = (0.06, 0.05)
"""Standard deviation of density and diffusivity between persons, as a share, in patches of some cm."""
CENTRES = {"A": (1.0, 1.0), "B": (0.95, 1.08)}
"""Factors of density and diffusivity that a centre's scanner adds."""
NAMES = ("GM", "MD")
COLUMNS = ("patient_id", "path", "diagnosis", "sex", "age", "centre", "severity", "synthetic", "person", *NAMES)


@dataclass(frozen=True)
class BrainMaps:
    """The maps of one person, (z, y, x) float32, 0 outside the brain.

    Attributes:
        density: of grey matter, 0 to 1.
        diffusivity: mean, in mm²/s.
    """

    density: np.ndarray
    diffusivity: np.ndarray


def atlas() -> tuple[np.ndarray, dict[int, str]]:
    """Labels (z, y, x) uint8 and names of the regions."""
    x, y, z = _positions()
    inside = _ellipsoid((x, y, z), *_BRAIN)
    labels = np.zeros(SHAPE, np.uint8)
    labels[inside <= 1] = len(REGIONS) + 2
    labels[(inside <= 1) & (inside > _CORTEX_DEPTH**2)] = len(REGIONS) + 1
    for number, region in reversed(list(enumerate(REGIONS, 1))):
        for middle in region.middles:
            labels[_ellipsoid((x, y, z), middle, region.radii) <= 1] = number
    names = (*(region.name for region in REGIONS), CORTEX, WHITE_MATTER)
    return labels, dict(enumerate(names, 1))


def make_maps(seed: int, diagnosis: str, severity: float, centre: str = "A") -> BrainMaps:
    """The maps of a person. Equal arguments give equal maps.

    Args:
        diagnosis: of `CHANGED`.
        severity: 0 to 1, share of `LARGEST_CHANGE`.
        centre: of `CENTRES`.
    """
    rng = np.random.default_rng(seed)
    labels, names = atlas()
    density, diffusivity = (np.zeros(SHAPE) for _ in NAMES)
    normal = {region.name: (region.density, region.diffusivity) for region in REGIONS}
    normal |= {CORTEX: (0.75, 0.88), WHITE_MATTER: (0.15, 0.72)}
    for number, name in names.items():
        change = severity * np.array(LARGEST_CHANGE) * (name in CHANGED[diagnosis])
        density[labels == number], diffusivity[labels == number] = normal[name] * (1 + change * (-1, 1))
    brain = labels > 0
    maps = []
    for values, spread, factor in zip((density, diffusivity * 1e-3), PERSON, CENTRES[centre], strict=True):
        smooth = _within(values, brain)
        varied = smooth * factor * (1 + spread * _patches(rng)) * (1 + 0.02 * rng.standard_normal(SHAPE))
        maps.append(np.where(brain, varied, 0).clip(0).astype(np.float32))
    return BrainMaps(maps[0].clip(0, 1), maps[1])


def write_brains(
    patients: int,
    out: Path,
    *,
    seed: int,
    diagnoses: Sequence[str] = tuple(CHANGED),
    purpose: str = "",
    overwrite: bool = False,
    advance: Advance = silent,
) -> Path:
    """Writes the maps of each patient, the table of all, and the atlas with the names of its regions.

    Severity is even from 0.1, so that some are mild; the centres take turns.

    Args:
        out: new or empty folder; with `overwrite` also one of an earlier cohort.
        diagnoses: some of `CHANGED`, taken in turn.

    Returns:
        Path of the table, `cohort.csv`.

    Raises:
        InputError: another diagnosis, or `out` holds files or cannot be written.
    """
    unknown = [name for name in diagnoses if name not in CHANGED]
    if unknown:
        raise InputError(f"There are no brain maps with {unknown[0]!r}; choose from {', '.join(CHANGED)}.")
    with output_folder(out, earlier_cohort(out), overwrite=overwrite) as folder:
        _write_atlas(folder)
        rows = []
        drawn = [diagnoses[number % len(diagnoses)] for number in range(patients)]
        for number, person in enumerate(person_keys("brain", seed, drawn, purpose)):
            advance("Making brain maps", number, patients)
            centre = list(CENTRES)[number // len(diagnoses) % len(CENTRES)]
            rows.append(_write_patient(folder, f"B{number + 1:04d}", person, drawn[number], centre))
        write_table(folder / TABLE, COLUMNS, rows)
    return out / TABLE


def _write_atlas(out: Path) -> None:
    labels, names = atlas()
    write_image(as_image(labels, _geometry()), out / ATLAS)
    write_table(out / ATLAS_NAMES, ("label", "name"), [{"label": n, "name": name} for n, name in names.items()])


def _write_patient(out: Path, name: str, person: str, diagnosis: str, centre: str) -> dict[str, object]:
    """Files and row of a patient."""
    rng = np.random.default_rng(seed_of(person))
    severity = float(rng.uniform(0.1, 1)) if CHANGED[diagnosis] else 0.0
    made = make_maps(int(rng.integers(1 << 31)), diagnosis, severity, centre)
    (out / name).mkdir()
    for channel, voxels in zip(NAMES, (made.density, made.diffusivity), strict=True):
        write_image(as_image(voxels, _geometry()), out / name / f"{channel}.nii.gz")
    return {
        "patient_id": name,
        "path": f"{name}/GM.nii.gz",
        "diagnosis": diagnosis,
        "sex": str(rng.choice(["F", "M"])),
        "age": int(rng.integers(50, 80)),
        "centre": centre,
        "severity": round(severity, 3),
        "synthetic": "yes",
        "person": person,
        **{channel: f"{name}/{channel}.nii.gz" for channel in NAMES},
    }


def _geometry() -> Geometry:
    x, y, z = _positions()
    return Geometry((float(x.flat[0]), float(y.flat[0]), float(z.flat[0])), (SPACING_MM,) * 3, np.eye(3))


def _positions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LPS mm of all voxels along x, y and z, to be broadcast over (z, y, x)."""
    z, y, x = (
        middle + SPACING_MM * (np.arange(edge) - (edge - 1) / 2)
        for edge, middle in zip(SHAPE, _CENTRE_MM[::-1], strict=True)
    )
    return x[None, None, :], y[None, :, None], z[:, None, None]


def _ellipsoid(positions: tuple[np.ndarray, ...], middle: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """(z, y, x) squared distance from the middle, 1 on the surface."""
    x, y, z = (((p - m) / r) ** 2 for p, m, r in zip(positions, middle, radii, strict=True))
    return x + y + z


def _within(values: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Values blurred as registered maps are, without what lies outside the brain."""
    blurred, covered = (ndimage.gaussian_filter(part, 0.7) for part in (values * brain, brain.astype(float)))
    return blurred / np.maximum(covered, 1e-6)


def _patches(rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 4.0)
    return noise / noise.std()
