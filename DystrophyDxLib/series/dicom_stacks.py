"""DICOM images that belong together: all stacks of slices of a study.

A *stack* is a set of frames of one series that share size, orientation, field of view and contrast. What is written by
rounding differs a little from frame to frame, so nothing here is compared exactly: all tolerances are of a pixel, of
the distance of the slices, or of a time. Stacks of other contrasts are told apart whether or not a place repeats;
finer differences, which headers also have within one volume, only part frames that could not be one volume together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median_low

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..errors import InputError
from .dicom_inventory import Frame
from .series import CONTRAST_TYPES, Acquisition, plane_of
from .words import described, suitability

SAME_COSINE = 6e-3
"""Orientations whose direction cosines differ by no more are one (0.3 degrees: two decimals in the header)."""
SAME_PLACE_MM = 0.05
"""Slices closer than this along the normal show the same place."""
SAME_PLACE = 0.2
"""The same relative to the distance of the slices in the header, where others are four times as far apart."""
SAME_FIELD_PIXELS = 3.0
"""Pixels by which the corner of a slice lies off that of another one, at most, where both show one field."""
IRREGULAR = 0.1
"""Share of the slice spacing by which a slice may lie off the regular grid before it is reported."""
OVERLAPPING = 0.75
"""Share of the distance of slices in the header below which they are of two stacks that lie in each other."""


@dataclass(frozen=True)
class Stack:
    """Frames of one series that share size, orientation, field of view and contrast.

    Attributes:
        contrasts: what is the same in stacks of one series that share the contrast; see `_contrasts`.
        siblings: number of other stacks in its series.
        copies: number of files of its series that repeat another file's image.
    """

    frames: list[Frame]
    contrasts: frozenset[Hashable] = frozenset()
    siblings: int = 0
    copies: int = 0

    @property
    def series_uid(self) -> str:
        return self.frames[0].series_uid

    @property
    def is_placed(self) -> bool:
        return self.frames[0].is_placed

    @cached_property
    def direction(self) -> np.ndarray:
        """(3, 3) columns: LPS unit vectors of i, j and the slice normal."""
        first = self.frames[0]
        if first.position is None or first.orientation is None:
            return np.eye(3)
        axes = np.array(first.orientation).reshape(2, 3)
        lengths = np.array([np.linalg.norm(axis) for axis in axes])
        if not np.allclose(lengths, 1, atol=0.01):
            raise InputError("The orientation in the DICOM header is not one; export the series again.")
        axes = axes / lengths[:, None]
        return np.stack([*axes, np.cross(*axes)], axis=1)

    @cached_property
    def places(self) -> np.ndarray:
        """(n, 3) position of each frame along i, j and the normal, mm."""
        if not self.is_placed:
            return np.zeros((1, 3))
        return np.array([frame.position for frame in self.frames]) @ self.direction

    @cached_property
    def at_places(self) -> list[list[Frame]]:
        """The frames of each place, in the order of the places along the normal."""
        places = self.places[:, 2]
        ordered = np.argsort(places, kind="stable")
        steps = np.diff(places[ordered])
        near = SAME_PLACE_MM
        if self.frames[0].thickness and len(steps):
            near = max(near, min(SAME_PLACE * self.frames[0].thickness, float(np.percentile(steps, 75)) / 4))
        return [[self.frames[n] for n in same] for same in np.split(ordered, np.flatnonzero(steps > near) + 1)]

    @cached_property
    def most_at_a_place(self) -> int:
        return max(map(len, self.at_places))

    @property
    def lies_in_itself(self) -> bool:
        """Whether its slices are closer than any volume's, and not evenly: as those of two stacks."""
        places, thickness = np.sort(self.places[:, 2]), self.frames[0].thickness
        steps = np.diff(places)
        overlaps = len(steps) > 1 and (not thickness or steps.min() < OVERLAPPING * thickness)
        return bool(overlaps and not self.is_even)

    @property
    def is_even(self) -> bool:
        return not regular_grid(np.sort(self.places[:, 2]), self.frames[0].thickness)[2]

    @property
    def plane(self) -> str:
        return plane_of(self.direction)

    @cached_property
    def acquisition(self) -> Acquisition:
        """Facts of the first frame, its numbers those of a frame in the middle, and a laterality only if all agree."""
        facts = [frame.acquisition for frame in self.frames]

        def middle(name: str) -> float | None:
            known = [value for fact in facts if (value := getattr(fact, name)) is not None]
            return median_low(known) if known else None

        return replace(
            facts[0],
            field_strength_t=middle("field_strength_t"),
            repetition_time_ms=middle("repetition_time_ms"),
            echo_time_ms=middle("echo_time_ms"),
            inversion_time_ms=middle("inversion_time_ms"),
            laterality=facts[0].laterality if len({fact.laterality for fact in facts}) == 1 else None,
        )

    @property
    def description(self) -> str:
        """The stack in words, for the sentence about the selection."""
        return described(self.plane if self.is_placed else "without orientation", len(self.at_places), self.acquisition)

    def rank(self) -> tuple:
        """Sorts stacks by how well they suit; the last parts only make ties come out the same every time."""
        slices = len(self.at_places)
        points = suitability(self.plane == "axial", slices, self.acquisition, self.frames[0].text)
        number = min(frame.instance_number for frame in self.frames)
        return points, slices, -self.frames[0].series_number, -number, self.series_uid

    def rank_as_cine(self) -> tuple:
        """Sorts stacks by how many frames they have at a place, then as `rank`."""
        return self.most_at_a_place, *self.rank()

    def split_by_time(self) -> list[Stack]:
        """A stack a time, each with one frame a place."""
        at_place = [sorted(frames, key=lambda f: (f.trigger_ms, f.instance_number)) for frames in self.at_places]
        if len(counts := {len(frames) for frames in at_place}) > 1:
            raise InputError(
                f"Slices of the cine have from {min(counts)} to {max(counts)} frames; export the series again, whole."
            )
        return [replace(self, frames=list(frames), copies=0) for frames in zip(*at_place, strict=True)]


def stacks_of(frames: Iterable[Frame], *, of_one_time: bool = True) -> list[Stack]:
    """All stacks of all series; frames without a place are left out.

    Args:
        of_one_time: whether images of a place that only their numbers tell apart are of different stacks, and not of
            one cine.
    """
    by_series = _grouped([frame for frame in frames if frame.is_placed], [f.series_uid for f in frames if f.is_placed])
    stacks = []
    for series in by_series:
        images = _without_copied_files(series)
        found = _of_series(images, of_one_time)
        stacks += [replace(s, siblings=len(found) - 1, copies=len(series) - len(images)) for s in found]
    return stacks


def _without_copied_files(series: list[Frame]) -> list[Frame]:
    """Frames of which another file says the same, down to its own UID, are left out; the largest file stays, as one
    that was cut off is smaller."""
    images = _grouped(series, [(f.sop_uid or f.path, f.number) for f in series])
    return [frame for same in images for frame in ([_largest(same)] if _are_one(same) else same)]


def _largest(copies: list[Frame]) -> Frame:
    return copies[0] if len(copies) == 1 else max(copies, key=lambda frame: frame.path.stat().st_size)


def _are_one(frames: list[Frame]) -> bool:
    return len({replace(frame, path=Path()) for frame in frames}) == 1


def _of_series(frames: list[Frame], of_one_time: bool) -> list[Stack]:
    stacks = []
    for group in _grouped(frames, [(f.shape, f.inverted, f.spacing is None) for f in frames]):
        # Another spacing that moves no pixel of the image by half of one is the same.
        scales = [0] * len(group)
        if _have_spacing(group):
            scales = _clusters(np.log([f.spacing or () for f in group]), 0.5 / max(group[0].shape))
        turns = _clusters(np.array([f.orientation for f in group]), SAME_COSINE)
        for same in _grouped(group, list(zip(scales, turns, strict=True))):
            stacks.append(Stack(same))
    contrast = _contrasts(frames)
    parted = []
    for stack in stacks:
        for field in _fields(stack):
            for part in _grouped(field.frames, [contrast[id(f)][0] for f in field.frames]):
                parted += _parted(Stack(part), contrast, of_one_time)
    return [
        replace(stack, contrasts=frozenset(contrast[id(f)][:_CONTRAST_KEYS] for f in stack.frames)) for stack in parted
    ]


def _have_spacing(group: Sequence[Frame]) -> bool:
    return all(frame.spacing is not None and min(frame.spacing) > 0 for frame in group)


def _fields(stack: Stack) -> list[Stack]:
    """The same parted by field of view: chains of slices none of which is shifted much against its neighbours."""
    if not _have_spacing(stack.frames):
        return [stack]
    corners = stack.places[:, :2] / (SAME_FIELD_PIXELS * max(stack.frames[0].spacing or (1.0,)))
    spots, of_frame = np.unique(np.round(corners, 1), axis=0, return_inverse=True)
    pairs = cKDTree(spots).query_pairs(1.0, output_type="ndarray")
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(spots),) * 2)
    labels = connected_components(links, directed=False)[1][of_frame.ravel()]
    return [Stack(frames) for frames in _grouped(stack.frames, labels.tolist())]


_CONTRAST_KEYS = 7
"""Number of the first entries of `_contrasts` that are of the contrast; the others are of how a stack came about."""


def _contrasts(frames: list[Frame]) -> dict[int, tuple]:
    """By the identity of each frame of a series: what parts contrasts in any case, then what only parts frames that are
    no one volume, the most telling first."""
    facts = [frame.acquisition for frame in frames]

    def levels(name: str, share: float, least: float) -> list[int]:
        return _levels([getattr(fact, name) for fact in facts], share, least)

    unlike = zip(
        _filled(levels("echo_time_ms", 0.25, 1.0)),
        _filled(levels("repetition_time_ms", 0.5, 100.0)),
        _filled(levels("inversion_time_ms", 0.5, 20.0)),
        ["IR" in fact.scanning_sequence for fact in facts],
        [fact.fat_suppressed for fact in facts],
        [frozenset(fact.image_type) & CONTRAST_TYPES for fact in facts],
        strict=True,
    )
    finer = zip(
        unlike,
        levels("echo_time_ms", 0.01, 0.05),
        levels("inversion_time_ms", 0.01, 1.0),
        [fact.image_type for fact in facts],
        [(frame.flip_angle, frame.b_value) for frame in frames],
        levels("repetition_time_ms", 0.02, 1.0),
        [(fact.scanning_sequence, fact.scan_options) for fact in facts],
        [frame.series_number for frame in frames],
        [frame.text for frame in frames],
        [frame.stack_id for frame in frames],
        strict=True,
    )
    return {id(frame): entries for frame, entries in zip(frames, finer, strict=True)}


def _levels(values: Iterable[float | None], share: float, least: float) -> list[int]:
    """Numbers of the levels that values are on, from the lowest on; -1 where there is none.

    Args:
        share, least: of a value and absolute: what is more above the next lower value is on another level.
    """
    values = list(values)
    level, of = -1, {}
    below = -np.inf
    for value in sorted({value for value in values if value is not None}):
        level += value - below > max(least, share * value)
        of[value] = level
        below = value
    return [-1 if value is None else of[value] for value in values]


def _filled(levels: list[int]) -> list[int]:
    """The same where frames whose header says nothing are on the level that most are on."""
    usual = Counter(level for level in levels if level >= 0).most_common(1)
    return [usual[0][0] if level < 0 and usual else level for level in levels]


def _parted(stack: Stack, contrast: dict[int, tuple], of_one_time: bool) -> list[Stack]:
    """Stacks whose frames can be one volume each, as far as their headers tell them apart."""
    if stack.most_at_a_place == 1 and not stack.lies_in_itself:
        return [stack]
    keys = [list(key) for key in zip(*(contrast[id(frame)] for frame in stack.frames), strict=True)]
    if of_one_time:
        keys += [[frame.acquisition_number for frame in stack.frames], _runs(stack), _phases(stack)]
    for key in keys:
        parts = [Stack(frames) for frames in _grouped(stack.frames, key)]
        if len(parts) > 1 and _are_better(parts, stack):
            return [finest for part in parts for finest in _parted(part, contrast, of_one_time)]
    return [stack]


def _are_better(parts: list[Stack], stack: Stack) -> bool:
    """Whether parts of a stack are volumes rather than it: a header field that varies from slice to slice tears none
    apart."""
    if stack.most_at_a_place > 1:
        return max(part.most_at_a_place for part in parts) < stack.most_at_a_place
    return all(len(part.frames) > 1 and part.is_even for part in parts)


def _runs(stack: Stack) -> list[int]:
    """Of each frame the number of the run that it is in: slices that follow each other by number go on one way, in even
    steps. All are in one where images share a number or runs are no volumes."""
    numbers = [frame.instance_number for frame in stack.frames]
    if len(set(numbers)) < len(numbers):
        return [0] * len(numbers)
    order = np.argsort(numbers)
    steps = np.diff(stack.places[order, 2])
    turns = np.append(0, np.cumsum(steps * np.median(steps) <= 0))
    runs = np.empty(len(order), int)
    runs[order] = turns
    parts = [Stack(frames) for frames in _grouped(stack.frames, runs.tolist())]
    are_volumes = all(len(part.frames) > 1 and part.most_at_a_place == 1 and part.is_even for part in parts)
    return runs.tolist() if are_volumes else [0] * len(order)


def _phases(stack: Stack) -> list[int]:
    """Of each frame which of the grids that lie in each other it is on, by the distance of slices in the header."""
    places, step = stack.places[:, 2], stack.frames[0].thickness
    if not step or stack.most_at_a_place > 1:
        return [0] * len(places)
    return _levels(((places - places[0]) / step + 0.5) % 1, 0.0, IRREGULAR)


def _grouped(frames: Sequence[Frame], keys: Sequence[Hashable]) -> list[list[Frame]]:
    groups: dict[Hashable, list[Frame]] = {}
    for frame, key in zip(frames, keys, strict=True):
        groups.setdefault(key, []).append(frame)
    return list(groups.values())


def _clusters(vectors: np.ndarray, tolerance: float) -> list[int]:
    """Label of each of the (n, m) vectors; those within `tolerance` of a label's first one share it."""
    labels = np.full(len(vectors), -1)
    for n in range(len(vectors)):
        if labels[n] < 0:
            near = (np.abs(vectors - vectors[n]) <= tolerance).all(axis=1)
            labels[near & (labels < 0)] = n
    return labels.tolist()


def regular_grid(places: np.ndarray, thickness: float | None) -> tuple[np.ndarray, float, float]:
    """Puts slices at increasing `places` (mm) on a regular grid.

    Returns:
        (n,) slice index k of each, the spacing in mm, and the distance in mm by which the slices lie off their places,
        0 where that is next to nothing.
    """
    if len(places) == 1:
        return np.zeros(1, int), thickness or 1.0, 0.0
    steps = np.diff(places)
    index, spacing, error = _grid(places, float(np.median(steps)))
    if error > IRREGULAR * spacing and steps.min() >= (thickness or spacing) / 2:
        # Where every other slice is missing, not the usual step but the smallest is the spacing, if all fit its grid.
        fine = _grid(places, float(steps.min()))
        if fine[2] <= IRREGULAR * fine[1]:
            return *fine[:2], 0.0
    return index, spacing, error if error > IRREGULAR * spacing else 0.0


def _grid(places: np.ndarray, base: float) -> tuple[np.ndarray, float, float]:
    """Slice index of each place for steps of about `base` mm, the exact step, and the largest distance off the grid."""
    index = np.append(0, np.cumsum(np.maximum(1, np.rint(np.diff(places) / base)))).astype(int)
    spacing = float((places[-1] - places[0]) / index[-1])
    return index, spacing, float(np.abs(places - places[0] - index * spacing).max())
