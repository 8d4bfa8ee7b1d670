"""DICOM images that form volumes: all stacks of a study, the one that fits best, and its regular grid of slices.

A *stack* is a set of frames of one series that share size, orientation and contrast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..errors import InputError
from ..results import WarningCode
from .dicom_inventory import Frame, Inventory
from .dicom_pixels import decoded
from .series import NO_ORIENTATION, Acquisition, Geometry, Series, check_size, plane_of
from .words import are, described, suitability

SAME_COSINE = 5e-3
"""Orientations whose direction cosines differ by no more are one (0.3 degrees: rounding in the header)."""
SAME_PLACE_MM = 0.05
"""Slices closer than this along the normal show the same place."""
SAME_FIELD_MM = 5.0
"""Slices of one place whose corners lie further apart in the plane show different fields (one leg each)."""
IRREGULAR = 0.1
"""Share of the slice spacing by which a slice may lie off the regular grid before it is reported."""


@dataclass(frozen=True)
class Stack:
    """Frames of one series that share size, orientation and contrast.

    Attributes:
        siblings: number of other stacks in its series.
        copies: number of files of its series that repeat another file's image.
    """

    frames: list[Frame]
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

    @property
    def repeats_a_place(self) -> bool:
        return bool((np.diff(np.sort(self.places[:, 2])) < SAME_PLACE_MM).any())

    def split_by_contrast(self) -> list[Stack]:
        fields = _clusters(self.places[:, :2], SAME_FIELD_MM)
        field_of = dict(zip(map(id, self.frames), fields.tolist(), strict=True))

        def contrast(frame: Frame) -> tuple:
            a = frame.acquisition
            times = (a.echo_time_ms, a.inversion_time_ms, a.repetition_time_ms)
            return field_of[id(frame)], times, a.image_type, a.scan_options

        return [Stack(frames) for frames in _grouped(self.frames, contrast)]

    @property
    def plane(self) -> str:
        return plane_of(self.direction)

    @cached_property
    def acquisition(self) -> Acquisition:
        """Facts of the first frame, with the median of its numbers and a laterality only if all frames agree."""
        facts = [frame.acquisition for frame in self.frames]

        def median(name: str) -> float | None:
            known = [value for fact in facts if (value := getattr(fact, name)) is not None]
            return float(np.median(known)) if known else None

        return replace(
            facts[0],
            field_strength_t=median("field_strength_t"),
            repetition_time_ms=median("repetition_time_ms"),
            echo_time_ms=median("echo_time_ms"),
            inversion_time_ms=median("inversion_time_ms"),
            laterality=facts[0].laterality if len({fact.laterality for fact in facts}) == 1 else None,
        )

    @property
    def description(self) -> str:
        """The stack in words, for the sentence about the selection."""
        return described(self.plane if self.is_placed else "without orientation", len(self.frames), self.acquisition)

    def rank(self) -> tuple:
        """Sorts stacks by how well they suit; the last parts only make ties come out the same every time."""
        points = suitability(self.plane == "axial", len(self.frames), self.acquisition, self.frames[0].text)
        number = min(frame.instance_number for frame in self.frames)
        return points, len(self.frames), -self.frames[0].series_number, -number, self.series_uid

    def rank_as_cine(self) -> tuple:
        """Sorts stacks by how many frames they have at a place, then as `rank`."""
        return max(map(len, self._at_places)), *self.rank()

    def split_by_time(self) -> list[Stack]:
        """A stack a time, each with one frame a place."""
        at_place = [sorted(frames, key=lambda f: (f.trigger_ms, f.instance_number)) for frames in self._at_places]
        if len(counts := {len(frames) for frames in at_place}) > 1:
            raise InputError(
                f"Slices of the cine have from {min(counts)} to {max(counts)} frames; export the series again, whole."
            )
        return [Stack(list(frames), self.siblings, self.copies) for frames in zip(*at_place, strict=True)]

    @cached_property
    def _at_places(self) -> list[list[Frame]]:
        """The frames of each place, in the order of the places along the normal."""
        places = self.places[:, 2]
        ordered = sorted(range(len(places)), key=lambda n: places[n])
        distinct = np.diff(places[ordered], prepend=-np.inf) >= SAME_PLACE_MM
        return [[self.frames[n] for n in same] for same in np.split(ordered, np.flatnonzero(distinct)[1:])]

    def read(self) -> Series:
        """Decodes the pixels into a volume on a regular grid."""
        first = self.frames[0]
        if first.spacing is None or min(first.spacing) <= 0:
            raise InputError("The DICOM header gives no pixel spacing; export the series again with its full headers.")
        row_mm, column_mm = first.spacing
        ordered, notes, warnings = self._one_frame_a_place()
        x, y, z = ordered.frames[0].position or (0.0, 0.0, 0.0)
        index, slice_mm, misplaced = _regular_grid(ordered.places[:, 2], ordered.frames[0].thickness)
        misplaced += ordered._shifts(max(row_mm, column_mm) / 2)
        warnings += [(WarningCode.SLICES_MISPLACED, words) for words in misplaced]
        slices = int(index[-1]) + 1
        check_size((slices, *first.shape))
        missing = tuple(sorted(set(range(slices)) - set(index.tolist())))
        if missing:
            warnings.append((WarningCode.SLICES_MISSING, f"{are(len(missing), 'slice')} missing from the series."))
        if not self.is_placed:
            warnings.append(NO_ORIENTATION)
        if not (len(index) > 1 or ordered.frames[0].thickness):
            notes.append("A single slice without thickness in the header; 1 mm is written for it.")
        series = Series(
            voxels=decoded(ordered.frames, index),
            geometry=Geometry((x, y, z), (column_mm, row_mm, slice_mm), self.direction),
            acquisition=self.acquisition,
            kind="dicom",
            series_uid=self.series_uid,
            notes=tuple(notes),
            missing_slices=missing,
        )
        for code, words in warnings:
            series = series.warned(code, words)
        return series

    def _one_frame_a_place(self) -> tuple[Stack, list[str], list[tuple[WarningCode, str]]]:
        """The stack ordered along the normal, with one frame a place, that of the lowest Instance Number; notes and
        warnings on what was left out."""
        kept = [min(same, key=lambda frame: (frame.instance_number, frame.sop_uid)) for same in self._at_places]
        notes, warnings = [], []
        if self.copies:
            notes.append(f"{are(self.copies, 'image', ' of the series')} there twice; read once.")
        if doubles := len(self.frames) - len(kept):
            words = f"{are(doubles, 'slice')} at the place of another one; the one with the lowest instance number"
            warnings.append((WarningCode.IMAGES_LEFT_OUT, f"{words} was kept."))
        return Stack(kept), notes, warnings

    def _shifts(self, least_mm: float) -> list[str]:
        shift = float(np.linalg.norm(self.places[:, :2] - self.places[0, :2], axis=1).max())
        if shift <= least_mm:
            return []
        return [f"Slices are shifted against the first one by up to {shift:.1f} mm in their plane; read as unshifted."]


def chosen_stack(inventory: Inventory, series_uid: str | None, rank: Callable[[Stack], tuple] = Stack.rank) -> Stack:
    """The stack to read, by `series_uid` or by how well it suits, the models of thighs unless `rank` says otherwise."""
    if not inventory.frames:
        if inventory.other_modalities:
            kinds = ", ".join(sorted(inventory.other_modalities))
            raise InputError(f"The input holds no MR images, only {kinds}; give the MR examination of the legs.")
        raise InputError(
            "No DICOM image was found; give a folder with a DICOM MR series, or a DICOM, NIfTI, NRRD or MetaImage file."
        )
    if series_uid is None and len(inventory.patients - {""}) > 1:
        raise InputError(
            f"The input holds studies of {len(inventory.patients - {''})} patients; give the folder of one,"
            " or name the series by its UID."
        )
    if series_uid is not None and series_uid not in inventory.series:
        raise InputError(f"There is no MR series with this UID; the input holds {', '.join(inventory.series)}.")
    pool = [frame for frame in inventory.frames if series_uid in (None, frame.series_uid)]
    stacks = _stacks([frame for frame in pool if frame.is_placed])
    if len(pool) == 1:
        return Stack(pool)
    # Beside placed slices a picture that was never a slice (a saved screen) may lack a place; a slice may not.
    best = max(stacks, key=rank, default=None)
    lost = [f for f in pool if not f.is_placed and (not best or (f.is_mr_storage and f.series_uid == best.series_uid))]
    if lost or best is None:
        raise InputError(
            f"{are(len(lost), 'slice', ' of the input')} without position or orientation in the header; export the"
            " series again with its full headers."
        )
    return best


def _stacks(frames: list[Frame]) -> list[Stack]:
    """All stacks of all series. A series is split by contrast only where it shows a place more than once, so that a
    header field that varies from slice to slice tears no volume apart.
    """
    by_image = {(f.series_uid, f.sop_uid or f.path, f.number, f.position): f for f in reversed(frames)}
    copies = Counter(f.series_uid for f in frames)
    copies.subtract(f.series_uid for f in by_image.values())
    by_format = _grouped(by_image.values(), lambda f: (f.series_uid, f.shape, f.spacing, f.inverted))
    stacks = []
    for group in by_format:
        directions = _clusters(np.array([f.orientation for f in group]), SAME_COSINE)
        for cluster in np.unique(directions):
            stack = Stack([group[n] for n in np.flatnonzero(directions == cluster)])
            stacks += stack.split_by_contrast() if stack.repeats_a_place else [stack]
    per_series = Counter(stack.series_uid for stack in stacks)
    return [replace(s, siblings=per_series[s.series_uid] - 1, copies=copies[s.series_uid]) for s in stacks]


def _grouped(frames: Iterable[Frame], key: Callable[[Frame], object]) -> list[list[Frame]]:
    groups: dict[object, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    return list(groups.values())


def _clusters(vectors: np.ndarray, tolerance: float) -> np.ndarray:
    """(n,) label of each of the (n, m) vectors; those within `tolerance` of a label's first one share it."""
    labels = np.full(len(vectors), -1)
    for n in range(len(vectors)):
        if labels[n] < 0:
            near = (np.abs(vectors - vectors[n]) <= tolerance).all(axis=1)
            labels[near & (labels < 0)] = n
    return labels


def _regular_grid(places: np.ndarray, thickness: float | None) -> tuple[np.ndarray, float, list[str]]:
    """Puts slices at increasing `places` (mm) on a regular grid.

    Returns:
        (n,) slice index k of each, the spacing in mm, and in words what does not fit.
    """
    if len(places) == 1:
        return np.zeros(1, int), thickness or 1.0, []
    steps = np.diff(places)
    index, spacing, error = _grid(places, float(np.median(steps)))
    if error > IRREGULAR * spacing and steps.min() >= (thickness or spacing) / 2:
        # Where every other slice is missing, not the usual step but the smallest is the spacing, if all fit its grid.
        fine = _grid(places, float(steps.min()))
        if fine[2] <= IRREGULAR * fine[1]:
            return *fine[:2], []
    if error <= IRREGULAR * spacing:
        return index, spacing, []
    return index, spacing, [f"The slices are not evenly spaced; some are shown up to {error:.1f} mm off their place."]


def _grid(places: np.ndarray, base: float) -> tuple[np.ndarray, float, float]:
    """Slice index of each place for steps of about `base` mm, the exact step, and the largest distance off the grid."""
    index = np.append(0, np.cumsum(np.maximum(1, np.rint(np.diff(places) / base)))).astype(int)
    spacing = float((places[-1] - places[0]) / index[-1])
    return index, spacing, float(np.abs(places - places[0] - index * spacing).max())
