"""`make_phantom`: synthetic axial series of the thighs with known anatomy, fat, oedema and diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from ..errors import InputError
from ..muscles.structures import FEMUR, MUSCLES, SUBCUTANEOUS_FAT
from ..series.series import Geometry, Series
from . import anatomy
from .anatomy import Leg
from .body import Body, ShapeModel
from .contrasts import CONTRASTS, DIXON, stir, t1_weighted, three_point_dixon
from .disease import DIAGNOSES, DYSTROPHINOPATHY, Infiltration, drawn_diagnosis
from .physics import FINE, Plane, Scanner, Site, block_max, block_mean, random_field
from .texture import lesions

# Each step draws from a generator of its own, so that what is drawn in one does not change the others.
_PERSON, _BODY, _VIEW, _PLANES, _SCANNER, _T1, _STIR, _DIXON = range(8)
# Depths within a slice that are drawn, in slice thicknesses from its centre: partial volume through the plane.
_DEPTHS = np.array([-0.25, 0.25])
# Share of fat above which a septum is wide (our estimate).
_FATTY = 0.6


@dataclass(frozen=True)
class Phantom:
    """Synthetic images of both thighs, or of one, and the truth behind them. Arrays are (z, y, x) as the series.

    Attributes:
        images: axial series in LPS of each contrast asked for, slices from distal to proximal.
        structures: uint8, 0 or 1 + index in `STRUCTURES`, the same for both legs.
        legs: uint8, 0 none, 1 the patient's left leg, 2 the right, skin included.
        fat_fraction: float32, 0 to 1, of each muscle voxel; 0 elsewhere.
        oedema: float32, 0 to 1, share of the remaining muscle that is oedematous; 0 elsewhere.
        diagnosis: one of `DIAGNOSES`.
        severity: mean fat fraction of the muscle voxels.
        age_years, sex: of the person; "F" or "M".
        duration_years: since the disease began; 0 in health.
        thickness_mm: of the slices; they may lie further apart.
    """

    images: dict[str, Series]
    structures: np.ndarray
    legs: np.ndarray
    fat_fraction: np.ndarray
    oedema: np.ndarray
    diagnosis: str
    severity: float
    age_years: float
    sex: str
    duration_years: float
    thickness_mm: float

    @property
    def series(self) -> Series:
        """The T1-weighted series."""
        return self.images["T1"]

    @property
    def muscles(self) -> np.ndarray:
        """uint8, 0 or 1 + index of the muscle in `MUSCLES`, the same for both legs."""
        return np.where(self.structures <= len(MUSCLES), self.structures, 0).astype(np.uint8)

    @property
    def is_dystrophinopathy(self) -> bool:
        return self.diagnosis in DYSTROPHINOPATHY


@dataclass(frozen=True)
class _View:
    """What of the legs is seen.

    Attributes:
        origin: LPS position (x, y) in mm of pixel (0, 0).
        pixel_mm, matrix: of the image.
        margin: pixels around the image that are drawn as well, because they wrap around.
        pad: first row and number of rows of a pad under the legs, in pixels of the drawing; None where there is none.
        septa, collagen, lobules: strength of the fat between muscles, of the borders of muscles that went to fat, and
            of the septa in subcutaneous fat.
    """

    origin: np.ndarray
    pixel_mm: float
    matrix: int
    margin: int
    pad: tuple[int, int] | None
    septa: float
    collagen: float
    lobules: float


# The last bits of a matrix product depend on the number of threads.
@threadpool_limits.wrap(limits=1, user_api="blas")
def make_phantom(
    seed: int,
    diagnosis: str | None = None,
    slices: int = 4,
    matrix: int = 256,
    contrasts: Sequence[str] = ("T1",),
    *,
    site: Site | None = None,
    legs: str | None = None,
) -> Phantom:
    """Draws a person, a protocol and the images; the same arguments give the same bytes.

    Contrasts are drawn apart: the T1-weighted images are the same whatever else is asked for.

    Args:
        seed: of all random generators.
        diagnosis: one of `DIAGNOSES`; None draws a dystrophinopathy in half of the cases.
        slices: number of axial slices between the knee and the lesser trochanter.
        matrix: rows and columns.
        contrasts: of `CONTRASTS`, "T1" among them.
        site: hospital whose protocols are used; None draws from all that are common.
        legs: "both", "left" or "right" are in view; None draws it.

    Raises:
        InputError: unknown diagnosis or contrast, no slice, or a matrix too small to show muscles.
    """
    if diagnosis is not None and diagnosis not in DIAGNOSES:
        raise InputError(f"Unknown diagnosis; choose one of: {', '.join(DIAGNOSES)}.")
    if slices < 1 or matrix < 64:
        raise InputError("A phantom needs at least 1 slice and 64 rows; raise the number of slices or the matrix.")
    if "T1" not in contrasts or not set(contrasts) <= set(CONTRASTS):
        raise InputError(f"The contrasts are T1 and, as wished, others of: {', '.join(CONTRASTS[1:])}.")

    def stream(step: int) -> np.random.Generator:
        return np.random.default_rng([seed, step])

    rng = stream(_PERSON)
    infiltration = Infiltration.drawn(rng, diagnosis or drawn_diagnosis(rng), muscle_shares())
    rng = stream(_BODY)
    body = Body.drawn(rng, infiltration.bulk, infiltration.age_years, infiltration.sex)
    scanner = Scanner.drawn(stream(_SCANNER), site or Site())
    view_rng = stream(_VIEW)
    levels, distance_mm = _levels(view_rng, body, slices, scanner.thickness_mm)
    depths = levels[:, None] + _DEPTHS * (scanner.thickness_mm / body.thigh_mm)
    drawn = anatomy.legs_at(body, depths.ravel(), rng)
    shown = _legs_shown(view_rng, legs)
    pairs = [[leg if seen else None for leg, seen in zip(pair, shown, strict=True)] for pair in drawn]
    view = _view(view_rng, pairs, matrix, scanner.readout)
    rng = stream(_PLANES)
    made = [
        _plane(pairs[n * len(_DEPTHS) : (n + 1) * len(_DEPTHS)], level, view, infiltration, body.tone, rng)
        for n, level in enumerate(levels)
    ]
    planes = [plane for plane, *_ in made]
    structures, sides, fat, oedema = (np.stack(part) for part in list(zip(*made, strict=True))[1:])
    is_muscle = (structures > 0) & (structures <= len(MUSCLES))
    geometry = Geometry(
        (float(view.origin[0]), float(view.origin[1]), round(float(levels[0] * body.thigh_mm), 2)),
        (view.pixel_mm, view.pixel_mm, distance_mm),
        np.eye(3),
    )
    acquired = {"T1": t1_weighted(planes, scanner, view.pixel_mm, stream(_T1))}
    if "STIR" in contrasts:
        acquired["STIR"] = stir(planes, scanner, view.pixel_mm, stream(_STIR))
    if set(DIXON) & set(contrasts):
        acquired |= three_point_dixon(planes, scanner, view.pixel_mm, stream(_DIXON))
    laterality: Literal["left", "right"] | None = None if all(shown) else "left" if shown[0] else "right"
    images = {
        name: Series(voxels, geometry, replace(facts, laterality=laterality), selection="The synthetic series.")
        for name, (voxels, facts) in acquired.items()
        if name in contrasts
    }
    return Phantom(
        images=images,
        structures=structures,
        legs=sides,
        fat_fraction=fat,
        oedema=oedema,
        diagnosis=infiltration.diagnosis,
        severity=float(fat[is_muscle].mean()) if is_muscle.any() else 0.0,
        age_years=infiltration.age_years,
        sex=infiltration.sex,
        duration_years=infiltration.duration_years,
        thickness_mm=scanner.thickness_mm,
    )


def muscle_shares() -> np.ndarray:
    """(13,) share of each muscle in the thigh's muscle in the shape model at mid-thigh; a twentieth is adductor longus
    and a thirtieth gluteus maximus (our estimate, as the label maps do not name them)."""
    x, y = np.moveaxis(ShapeModel.measured().mean[2:6, :-1], -1, 0)
    area = np.abs(np.sum(x * np.roll(y, -1, -1) - y * np.roll(x, -1, -1), axis=-1)).mean(axis=0)
    return np.append((1 - 1 / 20 - 1 / 30) * area / area.sum(), [1 / 20, 1 / 30])


def _levels(rng: np.random.Generator, body: Body, slices: int, thickness_mm: float) -> tuple[np.ndarray, float]:
    """Levels of the slices along the thigh and their distance in mm."""
    room = (anatomy.HIGHEST - anatomy.LOWEST) * body.thigh_mm
    distance = round(float(rng.uniform(thickness_mm, 40)), 3)
    if slices > 1:
        distance = min(distance, round(room / (slices - 1), 3))
    span = distance * (slices - 1) / body.thigh_mm
    # Examinations are centred on mid-thigh, more often above than below.
    first = anatomy.LOWEST + max(anatomy.HIGHEST - anatomy.LOWEST - span, 0) * rng.beta(2, 1.7)
    return first + distance / body.thigh_mm * np.arange(slices), distance


def _legs_shown(rng: np.random.Generator, legs: str | None) -> tuple[bool, bool]:
    """Whether the left and the right leg are in view: both in three quarters of the examinations."""
    drawn = str(rng.choice(["both", "left", "right"], p=[0.75, 0.125, 0.125]))
    return {"both": (True, True), "left": (True, False), "right": (False, True)}[legs or drawn]


def _view(rng: np.random.Generator, pairs: list[list[Leg | None]], matrix: int, readout: int) -> _View:
    """A field of view around the legs in view; one in five cuts into them.

    A little that is cut off along the phase axis mostly wraps around; against more, scanners oversample.
    """
    skins = np.concatenate([leg.skin for pair in pairs for leg in pair if leg is not None])
    low, high = skins.min(axis=0), skins.max(axis=0)
    width = float(np.max(high - low))
    field_mm = width * (rng.uniform(0.75, 0.98) if rng.random() < 0.22 else rng.uniform(1.03, 1.4))
    pixel_mm = round(float(np.clip(field_mm, 140, max(width, 440))) / matrix, 4)
    slack = 0.5 * np.abs(pixel_mm * matrix - (high - low)) * rng.uniform(-0.8, 0.8, 2)
    origin = (low + high) / 2 + slack - pixel_mm * (matrix - 1) / 2
    # Images are (y, x), positions (x, y).
    phase = readout
    beyond = max(origin[phase] - low[phase], high[phase] - (origin[phase] + pixel_mm * matrix), 0) / pixel_mm
    wraps = rng.random() < 0.6 and 2 < beyond < matrix / 8
    margin = int(np.ceil(beyond)) + 2 if wraps else 0
    pad = None
    if rng.random() < 0.12:
        first = int((high[1] + rng.uniform(2, 15) - origin[1]) / (pixel_mm / FINE)) + margin * FINE
        pad = (first, max(1, round(rng.uniform(1, 6) / (pixel_mm / FINE))))
    septa, collagen, lobules = rng.uniform(0.15, 0.95), rng.uniform(0.1, 0.9), rng.uniform(0.03, 0.3)
    return _View(np.round(origin, 2), pixel_mm, matrix, margin, pad, septa, collagen, lobules)


def _plane(
    parts: list[list[Leg | None]],
    level: float,
    view: _View,
    infiltration: Infiltration,
    tone: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Plane, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One slice, drawn at several depths; and its truth, each (matrix, matrix): structures, legs, fat, oedema."""
    mm, size = view.pixel_mm, view.matrix + 2 * view.margin
    corner = view.origin - view.margin * mm - (mm - mm / FINE) / 2
    drawn = [anatomy.draw(legs, corner, mm / FINE, size * FINE) for legs in parts]
    tissue, sides = map(np.stack, zip(*drawn, strict=True))
    if view.pad is not None:
        rows = slice(view.pad[0], sum(view.pad))
        tissue[:, rows][sides[:, rows] == 0] = anatomy.PAD
    codes = block_max(tissue)
    is_muscle = tissue > anatomy.LEFT
    share = block_mean(is_muscle)
    muscle = share > 0
    fat, oedema = (np.zeros(codes.shape, np.float32) for _ in range(2))
    fat[muscle], oedema[muscle] = lesions(codes, muscle, level, mm, infiltration, rng)
    border = _borders(tissue) & is_muscle
    # Septa hold more fat about muscles that go to fat, and where they hold much they are wider.
    thin, profile = block_mean(border), np.minimum(_fat_in_septa(codes.shape, mm, rng) + fat, 1)
    border = np.where(profile > _FATTY, block_mean(_widened(border) & is_muscle), thin)
    healthy = share * (1 - fat)
    septa = np.clip(np.float32(view.septa) * profile * border, -healthy, healthy)
    tones = np.ones(256, np.float32)
    tones[anatomy.LEFT + 1 : anatomy.LEFT + 14], tones[anatomy.RIGHT + 1 : anatomy.RIGHT + 14] = tone
    plane = Plane(
        tissue=tissue,
        muscle=(healthy - np.abs(septa)) * tones[codes],
        oedema=oedema,
        # The borders of muscles that went to fat stay as dark lines of collagen.
        lipid=(share - np.float32(view.collagen) * thin) * fat + np.maximum(septa, 0),
        lobules=1 - np.float32(view.lobules) * _fat_septa(codes == anatomy.FAT, mm, rng),
        margin=view.margin,
    )
    inner = slice(view.margin, view.margin + view.matrix)
    labels = np.where(share >= 0.5, codes & 15, 0).astype(np.uint8)
    for label, tissues in ((FEMUR, (anatomy.CORTEX, anatomy.MARROW)), (SUBCUTANEOUS_FAT, (anatomy.FAT,))):
        labels[block_mean(np.isin(tissue, tissues)) > 0.5] = label
    whole = np.where(block_mean(sides > 0) >= 0.5, block_max(sides), 0).astype(np.uint8)
    fat, oedema = (np.where(share >= 0.5, values, 0).astype(np.float32) for values in (fat, oedema))
    return plane, labels[inner, inner], whole[inner, inner], fat[inner, inner], oedema[inner, inner]


def _borders(tissue: np.ndarray) -> np.ndarray:
    """Where muscle borders on another muscle, on its upper and left side; thin septa lie there."""
    border = np.zeros(tissue.shape, bool)
    border[:, 1:] = (tissue[:, 1:] != tissue[:, :-1]) & (tissue[:, :-1] > anatomy.LEFT)
    border[..., 1:] |= (tissue[..., 1:] != tissue[..., :-1]) & (tissue[..., :-1] > anatomy.LEFT)
    return border


def _widened(border: np.ndarray) -> np.ndarray:
    """The border three drawn pixels wide."""
    wide = border.copy()
    wide[:, 1:] |= border[:, :-1]
    wide[:, :-1] |= border[:, 1:]
    wide[..., 1:] |= border[..., :-1]
    wide[..., :-1] |= border[..., 1:]
    return wide


def _fat_in_septa(shape: tuple[int, int], pixel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """(rows, columns) fat in septa, from 1 down to −0.4, where a dark aponeurosis takes its place."""
    return np.clip(0.4 + 0.6 * random_field(rng, shape, 14 / pixel_mm), -0.4, 1)


def _fat_septa(fat: np.ndarray, pixel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Thin dark septa between the lobules of subcutaneous fat: 1 on them, 0 between and elsewhere."""
    field = random_field(rng, fat.shape, rng.uniform(2.5, 6) / pixel_mm)
    return np.where(fat, np.exp(-((field / 0.1) ** 2)), 0)
