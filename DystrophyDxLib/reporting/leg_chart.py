"""A leg as a chart: the muscles of both thighs in one slice, each shaded by its grade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..muscles.structures import MUSCLES
from ..regions.masks import box_around
from ..regions.windows import LABEL_OF_SIDE, Side
from ..results import MuscleFat
from ..series.plane_orientation import PlaneOrientation
from ..series.series import Geometry

SHORT = dict(zip(MUSCLES, ("Sa", "RF", "VL", "VI", "VM", "AM", "Gr", "BL", "ST", "SM", "BS", "AL", "GM"), strict=True))
"""What a muscle is called in the chart."""
_WIDTH = 720
_SMOOTHED = 4
_LEAST_PIXELS = 12


@dataclass(frozen=True)
class Outline:
    """What is drawn of a mask: closed loops (N, 2) of x and y each; what an even number of them holds is outside.

    Attributes:
        loops: its borders.
        at: x and y of its innermost point.
    """

    loops: tuple[np.ndarray, ...]
    at: tuple[float, float]

    @property
    def path(self) -> str:
        """Of an SVG."""
        return " ".join("M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in loop) + " Z" for loop in self.loops)


@dataclass(frozen=True)
class Shape:
    """One muscle in the chart.

    Attributes:
        outline: where it lies.
        muscle: what is known of it.
    """

    outline: Outline
    muscle: MuscleFat

    @property
    def grade(self) -> int:
        """By which it is shaded; 0 where it has none."""
        return self.muscle.mercuri or 0

    @property
    def name(self) -> str:
        """That is written on it."""
        return SHORT[self.muscle.muscle]


@dataclass(frozen=True)
class Leg:
    """One leg in the chart, with R or L below its middle x, where its side is known."""

    outline: Outline
    x: float
    letter: str


@dataclass(frozen=True)
class LegChart:
    """What is drawn, in units of an SVG (x right, y down), as radiologists see it: the patient's right on the left.

    Attributes:
        slice: whose shapes these are.
        height: of the chart; its width is `width`.
    """

    slice: int
    height: int
    legs: tuple[Leg, ...]
    shapes: tuple[Shape, ...]
    width: int = _WIDTH

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        sides: np.ndarray,
        legs: np.ndarray,
        geometry: Geometry,
        muscles: Sequence[MuscleFat],
    ) -> LegChart | None:
        """Of the slice that shows most of the muscles: in which the areas, each relative to that muscle's largest, add
        up to most; None without any.

        Args:
            labels, sides: (z, y, x) the muscle map: labels of `STRUCTURES`, and `LABEL_OF_SIDE`.
            legs: (z, y, x) `LABEL_OF_SIDE` of each leg.
        """
        keys = np.where((labels > 0) & (labels <= len(MUSCLES)), labels + np.uint8(16) * sides, 0).astype(np.uint8)
        counts = np.stack([np.bincount(plane.ravel(), minlength=256) for plane in keys])[:, 1:]
        shown = np.flatnonzero(counts.any(axis=1))
        if not len(shown):
            return None
        in_view = (counts[shown] / np.maximum(counts.max(axis=0), _LEAST_PIXELS)).sum(axis=1)
        k = int(shown[in_view.argmax()])
        plane = PlaneOrientation.of(geometry)
        of_legs, of_muscles = plane.canonical(legs[k]), plane.canonical(keys[k])
        box = box_around((of_legs > 0) | (of_muscles > 0))
        assert box is not None  # there are muscles
        row_mm, column_mm = plane.pixel_mm(geometry)
        unit = _WIDTH / ((box[1].stop - box[1].start + 2) * column_mm)
        step = np.array([column_mm, row_mm]) * unit

        def drawn(mask: np.ndarray) -> Outline:
            around = box_around(mask)
            assert around is not None  # only what is there is drawn
            corner = np.array([around[1].start - box[1].start, around[0].start - box[0].start]) + 1
            own = np.pad(mask[around], 1)
            inmost = np.array(np.unravel_index(ndimage.distance_transform_edt(own).argmax(), own.shape))[::-1]
            x, y = (inmost - 0.5 + corner) * step
            loops = tuple((loop - 1 + corner) * step for loop in _loops(own))
            return Outline(loops, (round(float(x), 1), round(float(y), 1)))

        outlines = []
        for side, value in LABEL_OF_SIDE.items():
            if (of_legs == value).any():
                x = (np.nonzero(of_legs == value)[1].mean() + 1.5 - box[1].start) * step[0]
                letter = {"left": "L", "right": "R"}.get(side.value, "")
                outlines.append(Leg(drawn(of_legs == value), round(float(x), 1), letter))
        shapes = []
        for muscle in muscles:
            value = LABEL_OF_SIDE[Side(muscle.side)] * 16 + MUSCLES.index(muscle.muscle) + 1
            if counts[k, value - 1] >= _LEAST_PIXELS:
                shapes.append(Shape(drawn(of_muscles == value), muscle))
        if not shapes:
            return None
        height = round((box[0].stop - box[0].start + 2) * step[1])
        return cls(k, height, tuple(outlines), tuple(shapes))

    @property
    def caption(self) -> str:
        """What is seen."""
        shown = f"The muscles in slice {self.slice}, shaded by their grade in the whole case."
        return f"{shown} The patient's right is on the left of the picture."


def _loops(mask: np.ndarray) -> list[np.ndarray]:
    """Closed outlines (N, 2) of a mask (rows, columns), x and y of the corners of its pixels, smoothed."""
    padded = np.pad(mask, 1).astype(np.int8)
    down, right = np.diff(padded, axis=0), np.diff(padded, axis=1)
    # Edges run with the mask on their right, so that each ends where the next begins.
    edges: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for sign, begin, end in ((1, 0, 1), (-1, 1, 0)):
        for y, x in np.argwhere(down[:, 1:-1] == sign).tolist():
            edges.setdefault((x + begin, y), []).append((x + end, y))
        for y, x in np.argwhere(right[1:-1] == -sign).tolist():
            edges.setdefault((x, y + begin), []).append((x, y + end))
    loops = []
    while edges:
        start = at = next(iter(edges))
        loop = []
        while True:
            loop.append(at)
            following = edges[at].pop()
            if not edges[at]:
                del edges[at]
            at = following
            if at == start:
                break
        points = np.array(loop, float)
        for _ in range(_SMOOTHED):
            points = (np.roll(points, 1, axis=0) + 2 * points + np.roll(points, -1, axis=0)) / 4
        loops.append(points[::2])
    return loops
