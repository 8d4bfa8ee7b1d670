"""Stacks of DICOM images become one volume on a regular grid.

Beside the stack that was chosen there may be others of the same contrast: the field of the other leg, a station further
up. Where their slices fit its grid they are laid beside it, so that nothing of the patient is lost and each leg lies on
its own side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..results import WarningCode
from .dicom_inventory import Frame, uid_of
from .dicom_pixels import Placed, decoded, digest
from .dicom_stacks import IRREGULAR, SAME_COSINE, SAME_FIELD_PIXELS, Stack, regular_grid
from .series import MAX_VOXELS, NO_ORIENTATION, Acquisition, Geometry, Series, check_size
from .words import are, counted

SAME_PIXEL = 0.1
"""Share of a pixel by which a field may be moved to the pixels of another one before it is told."""
BESIDE = 0.25
"""Share of a field's width by which another one is shifted, at least, that lies beside it and not on it."""
Told = tuple[WarningCode, str]
"""A warning, as `Series.warned` takes it."""


class Volume(NamedTuple):
    """A volume, where each frame lies in it, and the stacks that are no part of it."""

    series: Series
    placed: tuple[Placed, ...]
    left_out: list[Stack]


def read_volume(
    stack: Stack, others: Sequence[Stack] = (), advance: Callable[[int, int], None] | None = None
) -> Volume:
    """Decodes the pixels of a stack, and of those of the same contrast that fit beside it, into one volume.

    Args:
        others: stacks of the same contrast.
        advance: told how many of the images are done.

    Raises:
        InputError: no pixel spacing, images that are no slices, that lie at one place or that nothing tells apart.
    """
    if "MOSAIC" in stack.acquisition.image_type:
        raise InputError(
            "The images are mosaics, with many slices in one picture; export the series again as one image a slice."
        )
    first = Field.of(stack)
    fields, left_out = [first], []
    for other in sorted(others, key=Stack.rank, reverse=True):
        beside = first.beside(Slices.of(other), fields)
        if beside is None:
            left_out.append(other)
        else:
            fields.append(beside)
    layout = _Layout(fields, left_out)
    return Volume(layout.read(advance), tuple(layout.placed), left_out)


@dataclass(frozen=True)
class Slices:
    """A stack with one frame a place.

    Attributes:
        frames: in the order of their places along the normal.
        stack: what they are of.
        copies: number of images left out that another one repeats.
        doubles: number of other images left out at the place of one that was taken.
    """

    frames: list[Frame]
    stack: Stack
    copies: int
    doubles: int

    @classmethod
    def of(cls, stack: Stack) -> Slices:
        """Of images of one place copies are left out, and all but the first by time and number.

        Raises:
            InputError: the images say that they all lie at one place, or nothing tells those of a place apart.
        """
        kept = [_without_copies(frames) for frames in stack.at_places]
        _check_told_apart(kept)
        images = sum(map(len, kept))
        return cls(
            [min(frames, key=_by_time) for frames in kept],
            stack,
            stack.copies + len(stack.frames) - images,
            images - len(kept),
        )


def _by_time(frame: Frame) -> tuple:
    return frame.order, frame.sop_uid


def _without_copies(frames: list[Frame]) -> list[Frame]:
    """Images of one place, each once, that whose place is written the most exactly."""
    if len(frames) == 1:
        return frames
    different: dict[bytes, Frame] = {}
    for frame in sorted(frames, key=lambda frame: (-_decimals(frame), _by_time(frame))):
        different.setdefault(digest(frame), frame)
    return list(different.values())


def _decimals(frame: Frame) -> int:
    """Number of decimals with which a header says where an image lies."""
    told = (*(frame.position or ()), *(frame.orientation or ()), *(frame.spacing or ()))
    return sum(len(repr(value).partition(".")[2]) for value in told)


def _check_told_apart(at_places: list[list[Frame]]) -> None:
    """
    Raises:
        InputError: positions are not those of slices, or nothing says which images of the places belong together.
    """
    most = max(map(len, at_places))
    crowded = [sorted(frames, key=_by_time) for frames in at_places if len(frames) > 1]
    if not crowded:
        return
    alone = len(at_places) - len(crowded)
    at_other_times = all(len({frame.order[:3] for frame in frames}) > 1 for frames in crowded)
    if not at_other_times and (len(at_places) < most or (most > 2 and alone > len(crowded))):
        raise InputError(
            f"{most} images of the series lie at one place by their header, so the slices have no positions of their "
            "own; export the series again with its full headers."
        )
    if not at_other_times and not _numbered_through(crowded):
        raise InputError(
            f"The series holds {most} images at a place that its header does not tell apart; export each contrast as a "
            "series of its own, or choose another series with --series UID."
        )


def _numbered_through(crowded: list[list[Frame]]) -> bool:
    """Whether the numbers of images say which of several places belong together: they go through one after the other,
    or through the images of a place before the next one."""
    numbers = [[frame.instance_number for frame in frames] for frames in crowded]
    if any(len(set(own)) < len(own) for own in numbers):
        return False
    most = max(map(len, numbers))
    volumes = [[own[n] for own in numbers if len(own) > n] for n in range(most)]
    one_by_one = all(max(before) < min(after) for before, after in pairwise(volumes))
    ranges = sorted((own[0], own[-1]) for own in numbers)
    return one_by_one or all(before[1] < after[0] for before, after in pairwise(ranges))


@dataclass(frozen=True)
class Field:
    """Slices of one field of view on the grid of the volume.

    Attributes:
        slices: the frames.
        geometry: of the grid; its origin is the first pixel of the first slice of the stack that was chosen.
        cells: (n, 3) column, row and slice of the first pixel of each frame on that grid.
        off: (n, 3) distance of each frame from there, in voxels.
        hidden: number of frames left out as the field of a stack that was taken before shows their place.
    """

    slices: Slices
    geometry: Geometry
    cells: np.ndarray
    off: np.ndarray
    hidden: int = 0

    @classmethod
    def of(cls, stack: Stack) -> Field:
        """The field of the stack that was chosen, on the grid that fits it.

        Raises:
            InputError: as of `Slices.of`; there is no pixel spacing, or too many or too few pixels.
        """
        slices = Slices.of(stack)
        first = slices.frames[0]
        spacing = first.spacing
        if spacing is None or min(spacing) <= 0:
            raise InputError("The DICOM header gives no pixel spacing; export the series again with its full headers.")
        direction = replace(stack, frames=slices.frames).direction
        x, y, z = first.position or (0.0, 0.0, 0.0)
        along = np.array([frame.position or (0.0, 0.0, 0.0) for frame in slices.frames]) @ direction[:, 2]
        index, slice_mm, _ = regular_grid(along, first.thickness)
        check_size((int(index[-1]) + 1, *first.shape))
        geometry = Geometry((x, y, z), (spacing[1], spacing[0], slice_mm), direction)
        exact = _on_grid(slices.frames, geometry)
        cells = np.column_stack([np.rint(exact[:, :2]), index]).astype(int)
        return cls(slices, geometry, cells, exact - cells)

    def beside(self, other: Slices, fields: Sequence[Field]) -> Field | None:
        """The field of another stack on the grid of this one; None where it does not fit beside `fields`."""
        if not self._is_like(other.stack):
            return None
        exact = _on_grid(other.frames, self.geometry)
        cells = np.rint(exact).astype(int)
        off = exact - cells
        k = cells[:, 2]
        taken = np.concatenate([field.cells[:, 2] for field in fields])
        if (np.diff(k) <= 0).any() or np.ptp(off[:, 2]) > IRREGULAR:
            return None
        if k.min() > taken.max() + 1 or k.max() < taken.min() - 1:  # a gap between them, of which nothing is known
            return None
        fits = np.ones(len(k), bool)
        for field in fields:
            if field._shows_place_of(cells):
                fits &= ~np.isin(k, field.cells[:, 2])
        corners = np.concatenate([cells, *(field.cells for field in fields)])
        shape = np.ptp(corners, axis=0) + self.extent
        if not fits.any() or np.prod(shape, dtype=float) > MAX_VOXELS or (shape[:2] > 3 * max(self.shape)).any():
            return None
        kept = [frame for frame, fit in zip(other.frames, fits, strict=True) if fit]
        return Field(replace(other, frames=kept), self.geometry, cells[fits], off[fits], int((~fits).sum()))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of its frames."""
        return self.slices.frames[0].shape

    @property
    def extent(self) -> np.ndarray:
        """(3,) columns, rows and slices of a frame."""
        return np.array([*self.shape[::-1], 1])

    def _is_like(self, stack: Stack) -> bool:
        """Whether a stack has these pixels and this orientation."""
        first = stack.frames[0]
        return (
            first.inverted == self.slices.frames[0].inverted
            and first.spacing is not None
            and np.allclose(first.spacing[::-1], self.geometry.spacing[:2], rtol=0.5 / max(first.shape))
            and np.allclose(stack.direction, self.geometry.direction, atol=SAME_COSINE)
        )

    def _shows_place_of(self, cells: np.ndarray) -> bool:
        """Whether a field with its first pixels at `cells` lies on this one, by all but a share of `BESIDE`."""
        apart = np.abs(np.median(cells[:, :2], axis=0) - np.median(self.cells[:, :2], axis=0))
        return bool((apart < BESIDE * np.array(self.shape[::-1])).all())

    @cached_property
    def gaps(self) -> list[tuple[int, int]]:
        """Slices (k, k) between which images are missing: those without any in which the numbers do not go on."""
        k = self.cells[:, 2]
        numbers = np.array([frame.instance_number for frame in self.slices.frames])
        goes_on = np.abs(np.diff(numbers)) == 1
        return [(k[n], k[n + 1]) for n in np.flatnonzero((np.diff(k) > 1) & ~goes_on)]

    @property
    def is_left(self) -> float:
        """How far its middle lies to the patient's left, mm, in LPS."""
        middle = np.median(self.cells, axis=0) + self.extent / 2
        return float((self.geometry.ijk_to_lps @ [*middle, 1])[0])


def _on_grid(frames: Sequence[Frame], geometry: Geometry) -> np.ndarray:
    """(n, 3) place of the first pixel of each frame along i, j, k, in voxels."""
    offsets = np.array([frame.position or geometry.origin for frame in frames]) - geometry.origin
    return offsets @ geometry.direction / geometry.spacing


@dataclass(frozen=True)
class _Layout:
    """Fields that become one volume, the first one that of the stack that was chosen."""

    fields: list[Field]
    left_out: list[Stack]

    def read(self, advance: Callable[[int, int], None] | None) -> Series:
        grid = self.fields[0].geometry
        lowest = self.lowest
        stop = np.max([field.cells.max(axis=0) + field.extent for field in self.fields], axis=0)
        placed = self.placed
        slices = int(stop[2] - lowest[2])
        shape = slices, int(stop[1] - lowest[1]), int(stop[0] - lowest[0])
        check_size(shape)
        x, y, z = (grid.ijk_to_lps @ [*lowest, 1])[:3].tolist() if lowest.any() else grid.origin
        stack = self.fields[0].slices.stack
        series = Series(
            voxels=decoded(placed, shape, advance),
            geometry=replace(grid, origin=(x, y, z)),
            acquisition=self._acquisition(),
            kind="dicom",
            series_uid=uid_of(stack.series_uid),
            notes=tuple(self._notes()),
            missing_slices=tuple(sorted(set(range(slices)) - {item.k for item in placed})),
        )
        for code, words in self._warnings():
            series = series.warned(code, words)
        return series if stack.is_placed else series.warned(*NO_ORIENTATION)

    @cached_property
    def lowest(self) -> np.ndarray:
        """(3,) column, row and slice of the first voxel, on the grid of the first field."""
        return np.min([field.cells.min(axis=0) for field in self.fields], axis=0)

    @cached_property
    def placed(self) -> list[Placed]:
        return list(self._placed(self.lowest))

    def _placed(self, lowest: np.ndarray) -> Iterator[Placed]:
        """Where each frame goes; of two that overlap each keeps the half that is on its side."""
        spans: dict[int, list[tuple[int, int]]] = {}
        for field in self.fields:
            columns = field.shape[1]
            for frame, (i, j, k) in zip(field.slices.frames, (field.cells - lowest).tolist(), strict=True):
                first, stop = 0, columns
                for start, end in spans.get(k, []):
                    middle = (max(start, i) + min(end, i + columns)) // 2 - i
                    if start < i < end:
                        first = max(first, middle)
                    elif i < start < i + columns:
                        stop = min(stop, middle)
                spans.setdefault(k, []).append((i, i + columns))
                yield Placed(frame, k, j, i, slice(first, stop))

    def _acquisition(self) -> Acquisition:
        facts = self.fields[0].slices.stack.acquisition
        one_side = len(self.fields) == 1 and not self._contradictions()
        return facts if one_side else replace(facts, laterality=None)

    def _notes(self) -> Iterator[str]:
        if copies := sum(field.slices.copies for field in self.fields):
            repeat = "repeats another" if copies == 1 else "repeat others"
            yield f"{counted(copies, 'image')} of the series {repeat}; each is read once."
        first = self.fields[0].slices.frames
        if len(first) == 1 and not first[0].thickness:
            yield "A single slice without thickness in the header; 1 mm is written for it."
        for field in self.fields[1:]:
            if (moved := float(np.abs(field.off[:, :2]).max())) > SAME_PIXEL:
                yield f"A field of view was moved by up to {moved:.1f} pixels to the pixels of the field beside it."
        for field in self.fields:
            steps = np.diff(field.cells[:, 2])
            if (steps > 1).sum() > len(field.gaps):
                yield f"The series has a gap of {steps.max() * field.geometry.spacing[2]:.0f} mm between two slices."

    def _warnings(self) -> Iterator[Told]:
        slice_mm = self.fields[0].geometry.spacing[2]
        if doubles := sum(field.slices.doubles + field.hidden for field in self.fields):
            words = f"{are(doubles, 'image')} at the place of another one; the first of each place by time and number"
            yield WarningCode.IMAGES_LEFT_OUT, f"{words} was taken."
        if self.left_out:
            images = sum(len(stack.frames) for stack in self.left_out)
            yield (
                WarningCode.IMAGES_LEFT_OUT,
                (
                    f"{are(images, 'image')} left out that the header gives the same contrast: {self._why_left_out()}; "
                    "classify them by themselves where they show more of the legs."
                ),
            )
        if missing := self._missing():
            yield WarningCode.SLICES_MISSING, f"{are(missing, 'slice')} missing from the series."
        uneven = float(np.abs(self.fields[0].off[:, 2]).max()) * slice_mm
        if uneven > IRREGULAR * slice_mm:
            words = f"The slices are not evenly spaced; some are shown up to {uneven:.1f} mm off their place."
            yield WarningCode.SLICES_MISPLACED, words
        beside = max((float(np.abs(field.off[:, 2]).max()) * slice_mm for field in self.fields[1:]), default=0.0)
        if beside > IRREGULAR * slice_mm:
            yield (
                WarningCode.SLICES_MISPLACED,
                (f"Fields of the series lie at other heights; slices of one are shown up to {beside:.1f} mm off."),
            )
        yield from self._contradictions()

    def _missing(self) -> int:
        """Number of slices that no file shows: not those that another field shows or that were left out."""
        first, missing = self.fields[0], 0
        left_out = {int(k) for stack in self.left_out for k in np.rint(_on_grid(stack.frames, first.geometry)[:, 2])}
        for field in self.fields:
            same = [other.cells[:, 2].tolist() for other in self.fields if field._shows_place_of(other.cells)]
            shown = left_out.union(*same)
            missing += sum(len(set(range(start + 1, stop)) - shown) for start, stop in field.gaps)
        return missing

    def _why_left_out(self) -> str:
        """In words, where the stacks lie that were left out."""
        first = self.fields[0]
        words = []
        for stack in self.left_out:
            if not first._is_like(stack) or stack.frames[0].shape != first.shape:
                words.append("of another size or orientation")
                continue
            exact = _on_grid(stack.frames, first.geometry)
            if np.abs(np.median(exact[:, :2] - first.cells[0, :2], axis=0)).max() > SAME_FIELD_PIXELS:
                words.append("another field of view")
            elif np.isin(np.rint(exact[:, 2]), first.cells[:, 2]).all():
                words.append("the same places at another time")
            else:
                words.append("slices further up or down")
        return " and ".join(dict.fromkeys(words))

    def _contradictions(self) -> list[Told]:
        """Lateralities of the header that contradict each other, or where the fields lie; its two orientations."""
        if any(frame.is_mirrored for field in self.fields for frame in field.slices.frames):
            words = "Patient Orientation and Image Orientation in the header exchange left and right."
            return [(WarningCode.SIDE_CONTRADICTED, words)]
        lateralities = [set[str]().union(*(frame.sides for frame in field.slices.frames)) for field in self.fields]
        if any(len(told) > 1 for told in lateralities):
            words = "By the header's lateralities the slices of one place are of the left side and of the right."
            return [(WarningCode.SIDE_CONTRADICTED, words)]
        if len(self.fields) < 2:
            return []
        middle = float(np.mean([field.is_left for field in self.fields]))
        for field, told in zip(self.fields, lateralities, strict=True):
            seen = "left" if field.is_left > middle else "right"
            width = field.shape[1] * field.geometry.spacing[0]
            if told and told != {seen} and abs(field.is_left - middle) > width / 8:
                words = f"By the header's laterality a field is of the {told.pop()} side, but it lies on the {seen}."
                return [(WarningCode.SIDE_CONTRADICTED, words)]
        return []
