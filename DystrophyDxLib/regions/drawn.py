"""A region that a person drew, as it counts: without specks, with its holes filled, its names held against geometry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..results import ResultWarning, WarningCode
from ..series.series import Geometry, Series
from ..series.words import counted, listed
from .legs import SMALLEST_LEG_CM2, UNSIDED_MM
from .masks import TOUCHING, box_around, holes_filled
from .windows import LABEL_OF_SIDE, SEGMENT_NAMES, Side

_LEFT, _RIGHT = LABEL_OF_SIDE[Side.LEFT], LABEL_OF_SIDE[Side.RIGHT]


class LeastSize(NamedTuple):
    """What is smaller than a person means when drawing a region.

    Attributes:
        island: share of the region in a slice (of all of it, where slices hang together) below which a part of it that
            stands alone is left out.
        slice: share of the largest slice below which what is drawn in a slice is no region.
        cm2: area below which it is none.
        fill: whether holes are filled.
        slices_apart: whether each slice is looked at by itself.
        found_as_drawn: whether the automatic region of a slice is as large as a person would draw it.
    """

    island: float
    slice: float = 0.0
    cm2: float = 0.0
    fill: bool = False
    slices_apart: bool = True
    found_as_drawn: bool = True

    @property
    def words(self) -> str:
        """Below which size what is drawn in a slice is no region."""
        sizes = [f"{self.cm2:g} cm²"] * bool(self.cm2) + [f"{self.slice * 100:.0f} % of the largest slice"]
        return f"below {' or '.join(sizes)}"


LEG = LeastSize(island=0.15, slice=0.15, cm2=SMALLEST_LEG_CM2, fill=True)
SQUARE = LeastSize(island=0.15, slice=0.05, found_as_drawn=False)
VOLUME = LeastSize(island=0.01, slices_apart=False)


class Tidied(NamedTuple):
    """A drawn region as it counts, and what is not as it was drawn."""

    labels: np.ndarray
    warnings: tuple[ResultWarning, ...]


def tidied(geometry: Geometry, drawn: np.ndarray, least: LeastSize, found: np.ndarray | None = None) -> Tidied:
    """What counts of a drawn region.

    Args:
        drawn: (z, y, x) uint8 with the values of `LABEL_OF_SIDE`.
        found: the automatic region that was corrected; where a leg's outline in a slice is as it was found, it stays.

    Raises:
        InputError: nothing of what is drawn is large enough.
    """
    labels, sentences = drawn.copy(), []
    cm2 = geometry.spacing[0] * geometry.spacing[1] / 100
    edited = _edited(drawn, found, least)
    for side, slices in edited.items():
        value = LABEL_OF_SIDE[side]
        box = box_around((drawn == value).any(axis=0))
        if box is None:
            continue
        mask = drawn[(slice(None), *box)] == value
        counts = _counts(mask, slices, least, cm2)
        sentences += _specks_in_words(SEGMENT_NAMES[side], slices, least, mask[slices] & ~counts, counts)
        labels[(slices, *box)] = np.where(mask[slices] & ~counts, 0, labels[(slices, *box)])
    for side, slices in edited.items():
        value = LABEL_OF_SIDE[side]
        box = box_around((labels == value).any(axis=0))
        if box is None or not least.fill:
            continue
        own = labels[(slices, *box)]
        holes = holes_filled(own == value) & (own == 0)
        labels[(slices, *box)] = np.where(holes, np.uint8(value), own)
        if holes.any():
            where = listed(slices[holes.any(axis=(1, 2))])
            sentences.append(f"Holes of “{SEGMENT_NAMES[side]}” in {where} were filled.")
    if drawn.any() and not labels.any():
        raise InputError(f"What is drawn is too small to be meant ({least.words}); draw the whole outline.")
    warning = ResultWarning(code=WarningCode.REGION_CLEANED, message=" ".join(sentences)) if sentences else None
    return Tidied(labels, (warning,) if warning else ())


def drawn_legs(
    geometry: Geometry, drawn: np.ndarray, shown: Callable[[], np.ndarray], found: np.ndarray | None = None
) -> Tidied:
    """What counts of drawn legs, as `tidied`, where the sides of the patient are known.

    Legs whose names say another side than where they lie are of unknown side. A part of a leg lies on the other side
    when it is more than `legs.UNSIDED_MM` beyond the middle between the legs: of its slice where both are drawn there,
    else of all slices; where but one leg is drawn at all, of the legs that the images show, or the scanner's.

    Args:
        drawn, found: as of `tidied`; slices that are as they were found are not held against geometry.
        shown: gives the legs (z, y, x) that the images show; called where but one leg is drawn.

    Raises:
        InputError: nothing of what is drawn is large enough.
    """
    labels, warnings = tidied(geometry, drawn, LEG, found)
    legs = labels if all((labels == value).any() for value in (_LEFT, _RIGHT)) else shown()
    edited = np.ones(len(labels), bool) if found is None else (labels != found).any(axis=(1, 2))
    slices = np.flatnonzero(edited)
    parts = [part for side in (Side.LEFT, Side.RIGHT) for part in _parts(geometry, labels, side, slices)]
    wrong = _beyond(parts, cache(lambda: _middle_of_legs(geometry, legs) or 0.0))
    for part in wrong:
        labels[part.slice][part.mask] = LABEL_OF_SIDE[Side.UNKNOWN]
    if found is None:
        warnings = (*warnings, *_one_leg_of_two(labels, legs))
    if not wrong:
        return Tidied(labels, warnings)
    told = [
        f"“{SEGMENT_NAMES[side]}” lies on the patient's {other.value} in {listed(sorted(there))}"
        for side, other in ((Side.LEFT, Side.RIGHT), (Side.RIGHT, Side.LEFT))
        if (there := {part.slice for part in wrong if part.side is side})
    ]
    message = f"By the geometry of the images {' and '.join(told)}; the side is taken as unknown there."
    return Tidied(labels, (*warnings, ResultWarning(code=WarningCode.SIDE_CONTRADICTED, message=message)))


def _one_leg_of_two(labels: np.ndarray, shown: np.ndarray) -> tuple[ResultWarning, ...]:
    """A warning where but one of the two legs that the images show is drawn.

    Args:
        labels, shown: (z, y, x) uint8 with the values of `LABEL_OF_SIDE`.
    """
    if (labels == LABEL_OF_SIDE[Side.UNKNOWN]).any() or not all((shown == value).any() for value in (_LEFT, _RIGHT)):
        return ()
    message = "The images show both legs, and only the {} one is drawn; the answer rests on that."
    return tuple(
        ResultWarning(code=WarningCode.CASE_INCOMPLETE, message=message.format(other.value))
        for value, other in ((_LEFT, Side.RIGHT), (_RIGHT, Side.LEFT))
        if not (labels == value).any()
    )


def legs_of_map(series: Series, values: np.ndarray) -> np.ndarray:
    """The two labels of a map without names as legs, by where they lie; of unknown side where the header of the images
    does not say how they lie in the patient.

    Args:
        values: (z, y, x) on the grid of `series`, 0 outside.

    Returns:
        (z, y, x) uint8 with the values of `LABEL_OF_SIDE`.

    Raises:
        InputError: there are not two labels, or they do not lie on two sides.
    """
    found = np.unique(values[values != 0])
    if len(found) == 2:
        one, other = (
            np.where(values == left, _LEFT, np.where(values == right, _RIGHT, 0)).astype(np.uint8)
            for left, right in (found, found[::-1])
        )
        if not series.orientation_known:
            return np.where(one > 0, LABEL_OF_SIDE[Side.UNKNOWN], 0).astype(np.uint8)
        apart = _mean_x(series.geometry, one == _LEFT) - _mean_x(series.geometry, one == _RIGHT)
        legs = one if apart > 0 else other
        told = drawn_legs(series.geometry, legs, lambda: legs).warnings
        if abs(apart) > 2 * UNSIDED_MM and WarningCode.SIDE_CONTRADICTED not in {warning.code for warning in told}:
            return legs
    raise InputError(
        f"The label map has no names and {counted(len(found), 'label')} on these images"
        f"{', which do not lie on two sides' * (len(found) == 2)}; give one with a label for each leg, or a "
        f"segmentation (.seg.nrrd) with segments “{SEGMENT_NAMES[Side.LEFT]}” and “{SEGMENT_NAMES[Side.RIGHT]}”."
    )


class _Part(NamedTuple):
    """A connected part of a drawn leg in a slice: its mask (y, x), and x of its middle in mm to the patient's left."""

    slice: int
    side: Side
    mask: np.ndarray
    area: int
    x: float


def _parts(geometry: Geometry, labels: np.ndarray, side: Side, slices: np.ndarray) -> Iterator[_Part]:
    """The parts of a drawn leg in some of the slices."""
    to_x = geometry.ijk_to_lps[0]
    for k in slices.tolist():
        own = labels[k] == LABEL_OF_SIDE[side]
        if not own.any():
            continue
        parts, count = ndimage.label(own, TOUCHING[1])
        for number in range(1, count + 1):
            mask = parts == number
            j, i = (float(places.mean()) for places in np.nonzero(mask))
            yield _Part(k, side, mask, int(np.count_nonzero(mask)), float(to_x @ [i, j, k, 1]))


def _middle_of_legs(geometry: Geometry, labels: np.ndarray) -> float | None:
    """x between the legs of (z, y, x) labels in mm; None where one of them is not there."""
    masks = [labels == value for value in (_LEFT, _RIGHT)]
    return sum(_mean_x(geometry, mask) for mask in masks) / 2 if all(mask.any() for mask in masks) else None


def _mean_x(geometry: Geometry, mask: np.ndarray) -> float:
    """x of the middle of a mask (z, y, x), in mm to the patient's left."""
    k, j, i = (
        np.average(np.arange(mask.shape[axis]), weights=mask.sum(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)
    )
    return float(geometry.ijk_to_lps[0] @ [i, j, k, 1])


def _beyond(parts: Sequence[_Part], middle: Callable[[], float]) -> list[_Part]:
    """The parts that lie on the other side of the middle, of their slice's own where both legs are drawn in it."""
    wrong = []
    for k in {part.slice for part in parts}:
        here = [part for part in parts if part.slice == k]
        legs = [[part for part in here if part.side is side] for side in (Side.LEFT, Side.RIGHT)]
        if all(legs):
            places = (np.average([part.x for part in leg], weights=[part.area for part in leg]) for leg in legs)
            between = float(sum(places)) / 2
        else:
            between = middle()
        wrong += [p for p in here if (between - p.x if p.side is Side.LEFT else p.x - between) >= UNSIDED_MM]
    return wrong


def _edited(drawn: np.ndarray, found: np.ndarray | None, least: LeastSize) -> dict[Side, np.ndarray]:
    """Slices in which a side is not as it was found, all of them where slices hang together; of sides that are."""
    everywhere = np.arange(len(drawn))
    if found is None:
        return dict.fromkeys(LABEL_OF_SIDE, everywhere)
    changed = np.flatnonzero((drawn != found).any(axis=(1, 2)))
    now, then = drawn[changed], found[changed]
    edited = {}
    for side, value in LABEL_OF_SIDE.items():
        own = changed[((now == value) != (then == value)).any(axis=(1, 2))]
        if len(own):
            edited[side] = own if least.slices_apart else everywhere
    return edited


def _counts(mask: np.ndarray, slices: np.ndarray, least: LeastSize, cm2: float) -> np.ndarray:
    """(len(slices), rows, columns) of `mask` (z, rows, columns) without what is too small, in the given slices."""
    parts, count = ndimage.label(mask[slices], TOUCHING if least.slices_apart else None)
    areas = np.bincount(parts.ravel(), minlength=count + 1)
    keep = np.ones(count + 1, bool)
    keep[0] = False
    for of_slice in parts if least.slices_apart else [parts]:
        own = np.unique(of_slice[of_slice > 0])
        keep[own] = areas[own] >= least.island * areas[own].sum()
    counts = keep[parts]
    if least.slices_apart:
        drawn = counts.sum(axis=(1, 2))
        largest = (mask if least.found_as_drawn else mask[slices]).sum(axis=(1, 2)).max()
        counts[(drawn < least.slice * largest) | (drawn * cm2 < least.cm2)] = False
    return counts


def _specks_in_words(
    name: str, slices: np.ndarray, least: LeastSize, left_out: np.ndarray, counts: np.ndarray
) -> list[str]:
    """Where in the given slices something was left out, with or without something beside it that counts."""
    gone, shown = (mask.any(axis=(1, 2)) for mask in (left_out, counts))
    told = []
    if (gone & ~shown).any():
        where = f"“{name}” in {listed(slices[gone & ~shown])}"
        told.append(f"{where} is too small to be meant ({least.words}) and does not count.")
    if (gone & shown).any():
        share = f"below {least.island * 100:.0f} % of what is drawn"
        told.append(f"Islands of “{name}” ({share}) in {listed(slices[gone & shown])} were left out.")
    return told
