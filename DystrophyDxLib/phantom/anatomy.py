"""The shape of both thighs: outlines of muscles, femur, fat and skin, drawn as tissue codes.

Muscle outlines come from the shape model of `body`. Everything is in mm in the frame of a left leg seen in LPS (x to
lateral, y to posterior, origin at the femur's centre) until it is placed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ..muscles.structures import MUSCLES
from .body import Body, ShapeModel

(
    SARTORIUS, RECTUS_FEMORIS, VASTUS_LATERALIS, VASTUS_INTERMEDIUS, VASTUS_MEDIALIS, ADDUCTOR_MAGNUS, GRACILIS, BICEPS,
    SEMITENDINOSUS, SEMIMEMBRANOSUS, BICEPS_SHORT, ADDUCTOR_LONGUS, GLUTEUS_MAXIMUS,
) = range(len(MUSCLES))  # fmt: skip
# Later ones cover the rim of earlier ones.
_DRAWING_ORDER = (
    GLUTEUS_MAXIMUS, ADDUCTOR_MAGNUS, ADDUCTOR_LONGUS, VASTUS_LATERALIS, VASTUS_MEDIALIS, VASTUS_INTERMEDIUS, SARTORIUS,
    RECTUS_FEMORIS, GRACILIS, BICEPS, BICEPS_SHORT, SEMITENDINOSUS, SEMIMEMBRANOSUS,
)  # fmt: skip
# Tissue codes of a drawn plane; muscle n (from 1) of the left leg is LEFT + n, of the right leg RIGHT + n.
AIR, SKIN, FAT, SEPTUM, FASCIA, CORTEX, MARROW, VESSEL, NERVE, PAD = range(10)
LEFT, RIGHT = 16, 32
# From above the patella to the lesser trochanter.
LOWEST, HIGHEST = 0.05, 0.86
_CURVE = 72
_BEARINGS = 2 * np.pi * np.arange(_CURVE) / _CURVE
_DIRECTIONS = np.stack([np.cos(_BEARINGS), np.sin(_BEARINGS)], axis=1)


@dataclass(frozen=True)
class Leg:
    """Closed curves (points, 2) of one leg in one slice, in mm; `bed` is where vastus intermedius holds the femur."""

    skin: np.ndarray
    fat: np.ndarray
    fascia: np.ndarray
    muscles: tuple[np.ndarray, ...]
    bed: np.ndarray
    cortex: np.ndarray
    marrow: np.ndarray
    vessels: tuple[np.ndarray, ...]
    nerve: np.ndarray

    def placed(self, mirrored: bool, at: np.ndarray) -> Leg:
        """The leg in LPS with its femur's centre `at` (x, y); a right leg is a mirrored left one."""
        flip = np.array([-1.0 if mirrored else 1.0, 1.0])
        moved: dict[str, Any] = {
            name: tuple(c * flip + at for c in curve) if isinstance(curve, tuple) else curve * flip + at
            for name, curve in vars(self).items()
        }
        return Leg(**moved)


def smooth_curve(points: np.ndarray, harmonics: int | None = None, count: int = _CURVE) -> np.ndarray:
    """(..., count, 2) the closed curve through (..., n, 2) points by its Fourier series, optionally cut short."""
    series = np.fft.rfft(points, axis=-2)
    if harmonics is not None:
        series[..., harmonics + 1 :, :] = 0
    return np.fft.irfft(series, count, axis=-2) * (count / points.shape[-2])


def ellipse(centre: np.ndarray, radii: tuple[float, float], count: int = 24) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return centre + np.stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)], axis=1)


def _reach(curve: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Distance from `centre` to the closed curve in each of `_DIRECTIONS`; loops of the curve are left out."""
    x, y = (curve - centre).T
    return np.interp(_BEARINGS, np.arctan2(y, x), np.hypot(x, y), period=2 * np.pi)


def _rounded(radius: np.ndarray, harmonics: int) -> np.ndarray:
    return smooth_curve(radius[:, None], harmonics)[:, 0]


def _outward(curve: np.ndarray) -> np.ndarray:
    """Unit normals of a closed curve that runs clockwise in the image (y down)."""
    tangent = np.roll(curve, -1, axis=0) - np.roll(curve, 1, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    return normal / np.maximum(np.hypot(*normal.T), 1e-9)[:, None]


def legs_at(body: Body, levels: np.ndarray, rng: np.random.Generator) -> list[list[Leg]]:
    """For each level the left and the right leg, placed in LPS (x, y) mm with the body's midline at x = 0."""
    pairs = [leg_stack(body, side, levels, rng) for side in (0, 1)]
    result = []
    for level, left, right in zip(levels, *pairs, strict=True):
        # Apart at the knees, the legs still meet near the groin.
        apart = body.gap * (np.interp(level, [0.4, 0.9], [1, 0.3]) if body.gap > 0 else 1)
        gap = apart - 0.25 * body.size * (level - 0.4)
        # Pressed legs flatten their fat, never the muscle.
        room = sum(float(leg.fascia[:, 0].min() - leg.skin[:, 0].min()) for leg in (left, right))
        gap = max(gap, -0.8 * room)
        at = [np.array([gap / 2 - float(leg.skin[:, 0].min()), 0.0]) for leg in (left, right)]
        result.append([left.placed(False, at[0]), right.placed(True, at[1] * [-1, 1])])
    return result


def leg_stack(body: Body, side: int, levels: np.ndarray, rng: np.random.Generator) -> list[Leg]:
    """The leg of a `side` (0 left, 1 right) at each level, in the frame of a left leg."""
    model = ShapeModel.measured()
    scale = body.size / model.size_mm
    outlines = smooth_curve(model.outlines(body.modes[side], levels, body.shifts[side]) * scale)
    muscles, fascia = outlines[:, :-1], smooth_curve(outlines[:, -1], harmonics=6)
    longus = _adductor_longus(muscles, levels)
    fascia, gluteus = _gluteus_maximus(fascia, levels)
    muscles = np.concatenate([muscles, longus[:, None], gluteus[:, None]], axis=1)
    centre = muscles.mean(axis=2, keepdims=True)
    muscles = centre + (muscles - centre) * np.sqrt(body.bulk[side])[:, None, None]
    cos, sin = np.cos(body.turn[side]), np.sin(body.turn[side])
    rotation = np.array([[cos, -sin], [sin, cos]])
    muscles, fascia = (_bent(body, curves @ rotation.T) for curves in (muscles, fascia))
    thickness = _fat_thickness(body, rng)
    vessel_mm = rng.uniform(2.2, 3.4) * scale
    veins = rng.integers(0, _CURVE, rng.integers(1, 5)), rng.uniform(0.2, 0.8), rng.uniform(0.8, 1.9) * scale
    legs = []
    for level, curves, around in zip(levels, muscles, fascia, strict=True):
        around = around + 1.2 * _outward(around)
        middle = around.mean(axis=0)
        inside = _reach(around, middle)
        # Fat fills the hollows of the fascia and evens out its corners.
        filled = np.maximum(inside, _rounded(inside, 2)) + thickness(level)
        reach = np.maximum(_rounded(filled, 4), inside + 1.2 * body.skin)
        around, skin = (middle + radius[:, None] * _DIRECTIONS for radius in (inside, reach))
        cortex, marrow = _femur(body.femur_mm, body.cortex, level)
        present = tuple(curve if np.ptp(curve, axis=0).min() > 3 else np.empty((0, 2)) for curve in curves)
        centres = curves.mean(axis=1)
        legs.append(
            Leg(
                skin=skin,
                fat=skin - body.skin * _outward(skin),
                fascia=around,
                muscles=present,
                bed=(1.25 * cortex - [0, 0.3 * body.femur_mm]) @ rotation.T,
                cortex=cortex @ rotation.T,
                marrow=marrow @ rotation.T,
                vessels=_deep_vessels(centres, level, scale, vessel_mm) + _veins(skin, around, *veins),
                nerve=ellipse(_furrow(curves), (3.5 * scale, 2.2 * scale)),
            )
        )
    return legs


def _adductor_longus(muscles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(levels, curve, 2) outline of the adductor longus, which the label maps do not name.

    It lies behind sartorius and vastus medialis and before the adductor magnus, from the linea aspera of the femur to
    the gracilis, in the proximal half, where it tapers from above (Gray's Anatomy). The others cover its rim. Further
    up it takes the place of pectineus and adductor brevis too, so it covers the front of the adductor magnus there.
    How large it is, is our estimate.
    """
    corners = muscles[:, [SARTORIUS, VASTUS_MEDIALIS, ADDUCTOR_MAGNUS, GRACILIS]].mean(axis=2)
    behind = np.interp(levels, [0.5, 0.65, HIGHEST], [0.5, 0.6, 0.8])[:, None]
    corners[:, 2] = corners[:, 2] * behind + corners[:, [0, 3]].mean(axis=1) * (1 - behind)
    upward = np.interp(levels, [0.5, 0.7], [0.0, 1.0])[:, None]
    corners[:, 1] = corners[:, 1] * (1 - upward)
    outline = smooth_curve(np.repeat(corners, 5, axis=1), harmonics=4)
    centre = corners.mean(axis=1, keepdims=True)
    grown = np.interp(levels, [0.36, 0.56], [0.0, 1.15])[:, None, None]
    return centre + (outline - centre) * grown


def _gluteus_maximus(fascia: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The fascia (levels, curve, 2) widened by the gluteus maximus, and that muscle's outline (levels, curve, 2).

    The label maps do not name it. In the proximal third it lies under the fascia behind the vastus lateralis, further
    up behind the hamstrings too, and reaches in to the gluteal tuberosity of the femur (Gray's Anatomy); the others
    cover its inner rim. How thick it is, is our estimate.
    """
    angle = np.arctan2(fascia[..., 1], fascia[..., 0])
    reach = np.hypot(*np.moveaxis(fascia, -1, 0))
    grown = np.clip((levels - 0.58) / 0.28, 0, 1)[:, None]
    outer_end, inner_end = np.deg2rad(12), np.deg2rad(75 + 75 * grown)

    def swell(bearing: np.ndarray) -> np.ndarray:
        return np.sin(np.pi * np.clip((bearing - outer_end) / (inner_end - outer_end), 0, 1))

    size = reach.mean(axis=1, keepdims=True)
    wide = smooth_curve(fascia * (1 + 0.46 * grown * swell(angle) * size / reach)[..., None], harmonics=6)
    bearing = outer_end + (inner_end - outer_end) * np.linspace(0, 1, _CURVE // 2)
    order = np.argsort(np.arctan2(wide[..., 1], wide[..., 0]), axis=1)
    along = np.take_along_axis(wide, order[..., None], axis=1)
    rim = np.stack([
        np.interp(at, np.arctan2(*ring.T[::-1]), np.hypot(*ring.T), period=2 * np.pi)
        for at, ring in zip(bearing, along, strict=True)
    ])  # fmt: skip
    tuberosity = np.exp(-(((bearing - np.deg2rad(50)) / 0.28) ** 2))
    depth = grown * (0.6 * size * swell(bearing) ** 0.7 + np.maximum(0, 0.75 * rim - 0.5 * size) * tuberosity)
    direction = np.stack([np.cos(bearing), np.sin(bearing)], axis=-1)
    inner = (rim - np.minimum(depth, 0.8 * rim))[..., None] * direction
    outline = np.concatenate([rim[..., None] * direction, inner[:, ::-1]], axis=1)
    return wide, np.where(grown[..., None] > 0.05, outline, outline.mean(axis=1, keepdims=True))


def _bent(body: Body, curves: np.ndarray) -> np.ndarray:
    """The curves (..., 2) moved by the body's smooth elastic deformation, which leaves the femur in place."""
    vector, phase, amplitude = body.waves[:, :2], body.waves[:, 2], body.waves[:, 3:]
    fixed = np.sin(phase)
    return curves + (np.sin(curves @ vector.T + phase) - fixed) @ amplitude


def _fat_thickness(body: Body, rng: np.random.Generator) -> Callable[[float], np.ndarray]:
    """Function of the level: thickness in mm in each of `_DIRECTIONS`; thicker medially and posteriorly."""
    medial, posterior = rng.uniform(0.1, 0.45), rng.uniform(0.0, 0.35)
    uneven = 1 - medial * np.cos(_BEARINGS) + posterior * np.sin(_BEARINGS)
    for order, (even, odd) in enumerate(rng.normal(0, 0.10, (3, 2)), start=1):
        uneven = uneven + even * np.cos(order * _BEARINGS) + odd * np.sin(order * _BEARINGS)
    uneven = np.maximum(uneven, 0.3)
    slope = rng.uniform(0.2, 1.2)
    return lambda level: body.skin + body.fat * (1 + slope * (level - 0.4)) * uneven


def _femur(radius: float, cortex_share: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Outer and inner outline of the femur: about 27 mm across in an adult, wider with a thin cortex at the knee.

    The shaft carries the linea aspera behind, and widens to the lesser trochanter behind on the inner side (Gray's
    Anatomy).
    """
    distal = np.clip((0.25 - level) / 0.25, 0, 1)
    proximal = np.clip((level - 0.7) / 0.16, 0, 1)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    ridge = (1 - distal) * (1 - proximal) * 0.16 * np.exp(-(((angle - np.pi / 2) / 0.45) ** 2))
    trochanter = 0.55 * np.exp(-(((level - 0.87) / 0.045) ** 2) - ((angle - np.deg2rad(130)) / 0.5) ** 2)
    width = radius * (1 + 0.65 * distal**1.5 + 0.2 * proximal)
    outer = width * (1 + ridge + trochanter)
    inner = width * (1 - cortex_share * (1 - 0.7 * distal - 0.25 * proximal) + 0.75 * trochanter)
    direction = np.stack([np.cos(angle) * (1 + 0.15 * distal), np.sin(angle)], axis=1)
    return outer[:, None] * direction, inner[:, None] * direction


def _furrow(curves: np.ndarray) -> np.ndarray:
    """Where the sciatic nerve runs: between biceps and adductor magnus, or semimembranosus near the knee."""
    medial = curves[ADDUCTOR_MAGNUS if np.ptp(curves[ADDUCTOR_MAGNUS], axis=0).min() > 3 else SEMIMEMBRANOSUS]
    apart = np.square(curves[BICEPS][:, None] - medial).sum(axis=-1)
    at, beside = np.unravel_index(apart.argmin(), apart.shape)
    return (curves[BICEPS][at] + medial[beside]) / 2


def _veins(
    skin: np.ndarray, fascia: np.ndarray, where: np.ndarray, depth: float, radius: float
) -> tuple[np.ndarray, ...]:
    """Veins of the subcutaneous fat at points `where` of the outline, at a share `depth` of the fat below the skin."""
    centres = (1 - depth) * skin[where] + depth * fascia[where]
    return tuple(ellipse(centre, (radius, radius)) for centre in centres)


def _deep_vessels(centres: np.ndarray, level: float, scale: float, radius: float) -> tuple[np.ndarray, ...]:
    """Femoral (near the knee popliteal) artery and vein and, above, the deep femoral vessels."""
    canal = 0.55 * centres[SARTORIUS] + 0.25 * centres[VASTUS_MEDIALIS] + 0.2 * centres[ADDUCTOR_MAGNUS]
    behind = np.array([-4.0, 30.0]) * scale
    share = np.clip((level - 0.15) / 0.2, 0, 1)
    main = share * canal + (1 - share) * behind
    vessels = (
        ellipse(main, (radius, radius)),
        ellipse(main + radius * np.array([0.8, 1.9]), (1.15 * radius, 0.9 * radius)),
    )
    deep = np.array([-5.0, 20.0]) * scale
    return (*vessels, ellipse(deep, (0.45 * radius, 0.45 * radius))) if level > 0.35 else vessels


def draw(legs: list[Leg | None], origin: np.ndarray, pixel_mm: float, matrix: int) -> tuple[np.ndarray, np.ndarray]:
    """Tissue codes and legs (0 none, 1 left, 2 right), both (matrix, matrix) uint8.

    `origin` (x, y) is the LPS position of the centre of pixel (0, 0). None is a leg out of view. Where legs
    press on each other, the border halves the overlap of each row.
    """
    planes = [_draw_leg(leg, code, origin, pixel_mm, matrix) for leg, code in zip(legs, (LEFT, RIGHT), strict=True)]
    left, right = planes
    both = (left > 0) & (right > 0)
    if both.any():
        first, last = both.argmax(axis=1), matrix - 1 - both[:, ::-1].argmax(axis=1)
        # The left leg lies at larger x.
        leftward = np.arange(matrix) > ((first + last) / 2)[:, None]
        left, right = np.where(both & ~leftward, 0, left), np.where(both & leftward, 0, right)
    sides = (left > 0).astype(np.uint8) + 2 * (right > 0).astype(np.uint8)
    tissue = np.maximum(left, right)
    contact = (sides[:, 1:] > 0) & (sides[:, :-1] > 0) & (sides[:, 1:] != sides[:, :-1])
    tissue[:, 1:][contact] = SKIN
    tissue[:, :-1][contact] = SKIN
    return tissue, sides


def _draw_leg(leg: Leg | None, code: int, origin: np.ndarray, pixel_mm: float, matrix: int) -> np.ndarray:
    image = Image.new("L", (matrix, matrix))
    if leg is None:
        return np.array(image)
    pen = ImageDraw.Draw(image)

    def fill(curve: np.ndarray, tissue: int) -> None:
        if len(curve) > 2:
            pen.polygon(((curve - origin) / pixel_mm).ravel().tolist(), fill=tissue)

    fill(leg.skin, SKIN)
    fill(leg.fat, FAT)
    fill(leg.fascia, SEPTUM)
    around = np.array(image)
    fill(leg.bed, code + VASTUS_INTERMEDIUS + 1)
    for number in _DRAWING_ORDER:
        fill(leg.muscles[number], code + number + 1)
    fill(leg.cortex, CORTEX)
    fill(leg.marrow, MARROW)
    fill(leg.nerve, NERVE)
    drawn = np.asarray(image)
    # Muscles end at the fascia; only veins lie outside it.
    image = Image.fromarray(np.where(around == SEPTUM, drawn, around))
    pen = ImageDraw.Draw(image)
    pen.polygon(((leg.fascia - origin) / pixel_mm).ravel().tolist(), outline=FASCIA)
    for vessel in leg.vessels:
        fill(vessel, VESSEL)
    return np.array(image)
