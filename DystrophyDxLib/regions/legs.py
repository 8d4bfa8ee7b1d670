"""Leg windows: one rectangle and mask a slice and leg, or the reason why there is none.

Follows "ROI localization" of Yang et al., BMC Neurology 2021;21:13 (Otsu threshold, largest connected parts, left and
right separated, minimal rectangle around each leg) and goes beyond it: legs that touch are cut apart along the seam of
least tissue instead of being deleted, and what is not a leg (hand, table, sliver of the other thigh) is left out.

All steps but the last work on a coarse grid of about 3 mm, on all slices at once; the outline is then drawn on the
input's own pixels. Inside this module images lie in the *canonical* plane: rows run to posterior, columns to the
patient's left, whatever the stored order; see `PlaneOrientation`.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..results import ResultWarning, WarningCode
from ..series.plane_orientation import PlaneOrientation
from ..series.series import Series
from .masks import box_around, connected_parts, dilated, eroded, holes_filled, largest_parts, opened
from .windows import LABEL_OF_SIDE, Regions, Side, Skipped, Window, window_around

COARSE_MM = 3.0
"""Pixel of the coarse grid."""
CORE_MM = 12.0
"""Half the thickness that a leg has and a hand, a pad or a table has not."""
SMOOTH_MM = 6.0
"""Half the thickness of what is cut off a leg's outline: skin folds, a pad it lies on."""
SMALLEST_LEG_CM2 = 8.0
SMALLEST_SHARE = 0.25
"""Area relative to the largest part of the slice below which a part is a hand or a sliver, not the other leg."""
SMALLER_LEG = 0.4
"""Area of the smaller leg relative to the larger one from which a slice is taken to show two legs."""
NECK = 0.75
"""Tissue that a cut between two legs runs through, at most, relative to the thickness of the thinner leg."""
SKIN_LINE = 0.6
"""Share of a cut's price that the dark line between two legs saves."""
SIDEWAYS = 0.35
"""Price of a step aside in tissue, relative to one straight on."""
PAIR_OF_SLICES = 1 / 3
"""Share of slices that must show two legs for the series to be one of both legs."""
STRAY_PART = 0.15
"""Area, relative to the leg's usual one, below which what is left of a leg is something else (a hand, a fold)."""
UNSIDED_MM = 20.0
"""A single leg closer than this to the scanner's midline is given no side."""
NO_SIGNAL = 0.05
"""Slices whose brightest tissue is below this share of the series' are empty."""
LEAST_CONTRAST = 2.2
"""Signal of tissue relative to air below which a series shows nothing but noise."""


def find_legs(series: Series) -> Regions:
    """Finds the leg windows of an axial series.

    Never raises for what the image shows: a slice without a leg is `Skipped` with its reason. In a series that is not
    axial the largest body part of each slice is taken, without a side.
    """
    return _LegFinder(series).regions()


class _LegFinder:
    """The stages of `find_legs` on the coarse grid; arrays are (slice, row, column) in the canonical plane."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.plane = PlaneOrientation.of(series.geometry)
        self.images = self.plane.canonical(series.voxels)
        self.shape = self.images.shape[1:]
        self.origin = 0, 0
        spacing = series.geometry.spacing[:2]
        self.row_mm, self.column_mm = spacing if self.plane.transposed else spacing[::-1]
        self.bin = max(1, round(COARSE_MM / self.row_mm)), max(1, round(COARSE_MM / self.column_mm))
        self.coarse_row_mm, self.coarse_column_mm = self.row_mm * self.bin[0], self.column_mm * self.bin[1]
        self.coarse = _binned(self.images, self.bin)
        self.warnings: list[ResultWarning] = []

    def regions(self) -> Regions:
        threshold = self._tissue_threshold()
        tissue = holes_filled(self._cropped(self.coarse > threshold[:, None, None]))
        body = self._leg_sized(opened(tissue, self._pixels(SMOOTH_MM)) & tissue)
        legs, seams = self._legs(body)
        return self._drawn(threshold, legs, seams)

    def _cropped(self, tissue: np.ndarray) -> np.ndarray:
        """Leaves the empty margin that no slice has tissue in out of all that follows."""
        shown = box_around(np.logical_or.reduce(opened(tissue, 1)))
        if shown is None:
            return tissue
        # One bin of margin keeps a leg off the border of the crop, where it has not left the image.
        box = tuple(
            slice(max(0, used.start - 1), min(size, used.stop + 1))
            for used, size in zip(shown, tissue.shape[1:], strict=True)
        )
        self.coarse = self.coarse[(slice(None), *box)]
        self.origin = tuple(part.start * width for part, width in zip(box, self.bin, strict=True))
        ends = (part.stop * width for part, width in zip(box, self.bin, strict=True))
        self.images = self.images[(slice(None), *map(slice, self.origin, ends))]
        return tissue[(slice(None), *box)]

    def _pixels(self, mm: float) -> int:
        return max(1, round(mm / max(self.coarse_row_mm, self.coarse_column_mm)))

    def _cm2(self, pixels: np.ndarray | int) -> np.ndarray | float:
        return pixels * (self.coarse_row_mm * self.coarse_column_mm / 100)

    def _tissue_threshold(self) -> np.ndarray:
        """(slices,) signal above which a pixel is tissue; infinite in slices without signal.

        One Otsu threshold for the series on the logarithm of signal relative to each slice's brightest tissue: the
        logarithm makes muscle and fat one class, and the slice's own scale follows a coil that fades along the leg.
        """
        # A ninth of the pixels tells the histogram as well as all of them.
        flat = self.coarse[:, ::3, ::3].reshape(len(self.coarse), -1)
        rank = int(0.98 * (flat.shape[1] - 1))
        brightest = np.partition(flat, rank, axis=1)[:, rank]
        threshold = np.full(len(flat), np.inf, np.float32)
        if not (brightest > 0).any():
            return threshold
        shown = np.flatnonzero(brightest > NO_SIGNAL * np.median(brightest[brightest > 0]))
        sampled = shown[np.unique(np.linspace(0, len(shown) - 1, 24).astype(int))]
        relative = np.log(np.clip(flat[sampled] / brightest[sampled, None], 0.02, 1))
        otsu = sitk.OtsuThresholdImageFilter()
        otsu.Execute(sitk.GetImageFromArray(relative))
        tissue = relative > otsu.GetThreshold()
        if relative[tissue].mean() - relative[~tissue].mean() > np.log(LEAST_CONTRAST):
            threshold[shown] = np.exp(otsu.GetThreshold()) * brightest[shown]
        return threshold

    def _leg_sized(self, body: np.ndarray) -> np.ndarray:
        """The connected parts of each slice that are thick and large enough to be a leg, also beside the largest."""
        labels, slices, areas = connected_parts(body)
        largest = np.zeros(len(body), areas.dtype)
        np.maximum.at(largest, slices[1:], areas[1:])
        keep = (self._cm2(areas) >= SMALLEST_LEG_CM2) & (areas >= SMALLEST_SHARE * largest[slices])
        thick = np.zeros(len(areas), bool)
        thick[labels[eroded(body, self._pixels(CORE_MM))]] = True
        keep &= thick
        keep[0] = False
        return keep[labels]

    def _legs(self, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Leg labels (slices, rows, columns), 1 towards the patient's left and 2 towards the right, 1 for a single leg;
        and the seam between two legs (slices, rows) as a column, NaN in slices that need none.
        """
        seams = np.full(body.shape[:2], np.nan, np.float32)
        shown = np.flatnonzero(body.any(axis=(1, 2)))
        legs = np.zeros(body.shape, np.uint8)
        midline = self._midline(body, shown, seams) if len(shown) and self.series.geometry.is_axial else None
        if midline is None:
            seams[:] = np.nan
            single = largest_parts(body)
            legs[single] = 1
            legs[self._of_the_other_leg(single)] *= 2
            return legs, seams
        columns = np.arange(body.shape[2])
        unclear = shown[np.isnan(seams[shown, 0])]
        near = np.abs(columns - midline) <= self._pixels(45)
        seams[unclear] = self._seams(body, unclear, np.broadcast_to(near, (len(unclear), len(columns))))
        left = body & (columns >= seams[:, :, None])
        for label, side in ((1, left), (2, body & ~left)):
            part = largest_parts(side)
            area = part.sum(axis=(1, 2))
            part[area < STRAY_PART * np.median(area[area > 0])] = False
            legs[part] = label
        return legs, seams

    def _midline(self, body: np.ndarray, shown: np.ndarray, seams: np.ndarray) -> float | None:
        """Column between the legs, or None when the series shows one leg.

        Cuts every slice along the seam of least tissue in the middle half of what is in view. Two halves of like size
        and a cut through little tissue are two legs. Fills in `seams` of those slices.
        """
        columns = np.arange(body.shape[2])
        spans = body[shown].any(axis=1)
        start, stop = spans.argmax(axis=1)[:, None], len(columns) - spans[:, ::-1].argmax(axis=1)[:, None]
        middle = (columns > start + (stop - start) / 4) & (columns < stop - (stop - start) / 4)
        found = self._seams(body, shown, middle)
        left = body[shown] & (columns >= found[:, :, None])
        right = body[shown] & ~left
        areas = np.stack([left.sum(axis=(1, 2)), right.sum(axis=(1, 2))])
        thickness = np.minimum(left.sum(axis=1).max(axis=1), right.sum(axis=1).max(axis=1))
        neck = np.take_along_axis(body[shown], found[:, :, None], axis=2).sum(axis=(1, 2))
        pair = (areas.min(axis=0) >= SMALLER_LEG * areas.max(axis=0)) & (neck < NECK * thickness)
        if pair.sum() < max(1, PAIR_OF_SLICES * len(shown)):
            return None
        seams[shown[pair]] = found[pair]
        return float(np.median(found[pair]))

    def _seams(self, body: np.ndarray, slices: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """(len(slices), rows) columns of the path from the first to the last row that crosses least tissue.

        The dark line of skin on skin is cheaper than other tissue; in air the path keeps away from tissue; a step
        sideways has a price, or a slanting path would be no longer than a straight one. `allowed` (len(slices),
        columns) are the columns it may use. Dynamic programming over rows, all slices at once.
        """
        body = body[slices]
        blurred = ndimage.uniform_filter(body.astype(np.float32), (0, 5, 5))
        cost = np.where(body, 1 - SKIN_LINE * _dark_line(self.coarse[slices]), 0) + 0.2 * blurred + 0.01
        sideways = (0.02 + SIDEWAYS * body).astype(np.float32)
        cost = np.where(allowed[:, None, :], cost, np.float32(1e6)).astype(np.float32)
        count, rows, columns = cost.shape
        steps = np.zeros((rows, count, columns), np.int8)
        total = cost[:, 0]
        padded = np.full((count, columns + 2), np.float32(1e9))
        for row in range(1, rows):
            padded[:, 1:-1] = total
            left, right = padded[:, :-2], padded[:, 2:]
            aside = np.minimum(left, right) + sideways[:, row]
            # Straight on wins a tie.
            steps[row] = (aside < total) * np.where(right < left, np.int8(1), np.int8(-1))
            total = np.minimum(total, aside) + cost[:, row]
        path = np.empty((count, rows), np.intp)
        path[:, -1] = total.argmin(axis=1)
        everyone = np.arange(count)
        for row in range(rows - 1, 0, -1):
            path[:, row - 1] = path[:, row] + steps[row, everyone, path[:, row]]
        return path

    def _drawn(self, threshold: np.ndarray, legs: np.ndarray, seams: np.ndarray) -> Regions:
        """Draws the legs on the input's own pixels and takes the minimal window of each."""
        sides = self._sides(legs)
        certain = eroded(legs == 1, 1) | eroded(legs == 2, 1)
        labels = np.zeros(self.series.voxels.shape, np.uint8)
        windows: list[Window] = []
        skipped: list[Skipped] = []
        cut_by_border: list[int] = []
        for k, plane in enumerate(legs):
            drawn = {}
            for leg, side in sides.items():
                if not (plane == leg).any():
                    continue
                box, outline = self._outline(k, plane == leg, certain[k], threshold[k], seams[k], leg)
                window = window_around(k, side, outline, "auto", box)
                if window is not None:
                    drawn[leg] = window
                    labels[k][box][outline] = LABEL_OF_SIDE[side]
            if not drawn:
                skipped.append(Skipped(k, None, self._why_empty(k)))
                continue
            windows += drawn.values()
            skipped += [Skipped(k, side, "this leg is not in view") for leg, side in sides.items() if leg not in drawn]
            if self._leaves_the_image(labels[k]):
                cut_by_border.append(k)
        crossed = np.take_along_axis(legs > 0, np.nan_to_num(seams)[:, :, None].astype(np.intp), axis=2)[:, :, 0]
        touching = np.flatnonzero((crossed & ~np.isnan(seams)).any(axis=1))
        return Regions(
            labels,
            tuple(windows),
            tuple(skipped),
            tuple(touching.tolist()),
            tuple(cut_by_border),
            tuple(self.warnings),
        )

    def _outline(
        self, k: int, coarse: np.ndarray, certain: np.ndarray, threshold: float, seam: np.ndarray, leg: int
    ) -> tuple[tuple[slice, slice], np.ndarray]:
        """Box (j, i) around one leg with a margin, and the leg's mask in it, on the input's pixels as stored."""
        row_bin, column_bin = self.bin
        region = dilated(coarse, 1)
        box = box_around(region)
        assert box is not None, "a leg has pixels"
        shape = self.images.shape[1:]
        fine = tuple(
            slice(part.start * size, min(part.stop * size, limit) if part.stop < bins else limit)
            for part, size, limit, bins in zip(box, self.bin, shape, coarse.shape, strict=True)
        )
        region, certain = (_repeated(mask[box], self.bin, fine) for mask in (region, coarse & certain))
        image = self.images[k][fine]
        mask = opened((_box_mean(image) if min(self.row_mm, self.column_mm) < 1.2 else image) > threshold, 1)
        mask = (mask & region) | certain
        if not np.isnan(seam[0]):
            border = np.interp(
                np.arange(fine[0].start, fine[0].stop), (np.arange(len(seam)) + 0.5) * row_bin - 0.5, seam
            )
            left = np.arange(fine[1].start, fine[1].stop) >= (border[:, None] + 0.5) * column_bin
            mask &= left if leg == 1 else ~left
        rows, columns = (slice(o + part.start, o + part.stop) for o, part in zip(self.origin, fine, strict=True))
        return self.plane.stored_box(rows, columns, self.shape), self.plane.stored(mask)

    def _sides(self, legs: np.ndarray) -> dict[int, Side]:
        """Side of each leg label in use, the left one first."""
        if (legs == 2).any():
            known = self.series.orientation_known
            return {1: Side.LEFT, 2: Side.RIGHT} if known else {1: Side.UNKNOWN, 2: Side.UNKNOWN}
        return {1: self._side_of_single_leg(legs == 1)}

    def _side_of_single_leg(self, leg: np.ndarray) -> Side:
        """From the header's laterality and from where the leg lies relative to the scanner's midline; unknown where
        these contradict each other."""
        laterality = self.series.acquisition.laterality
        told = Side(laterality) if laterality is not None else Side.UNKNOWN
        if not self.series.orientation_known or not self.series.geometry.is_axial or not leg.any():
            return told
        x = self._to_the_left(leg)
        if abs(x) < UNSIDED_MM:
            return told
        seen = Side.LEFT if x > 0 else Side.RIGHT
        if told in (seen, Side.UNKNOWN):
            return seen
        self.warnings.append(
            ResultWarning(
                code=WarningCode.SIDE_CONTRADICTED,
                message=f"By the header's laterality this is the {told.value} leg, but by its position it lies "
                f"{abs(x):.0f} mm to the patient's {seen.value} of the scanner's midline.",
            )
        )
        return Side.UNKNOWN

    def _to_the_left(self, leg: np.ndarray, first: int = 0) -> float:
        """How far the middle of a leg, in slices from `first` on, lies to the patient's left of the scanner's midline,
        mm, in axial slices."""
        k, *place = (float(np.mean(axis)) for axis in np.nonzero(leg))
        row, column = (o + (n + 0.5) * width - 0.5 for o, n, width in zip(self.origin, place, self.bin, strict=True))
        j, i = self.plane.stored_index(row, column, self.shape)
        return float((self.series.geometry.ijk_to_lps @ [i, j, first + k, 1])[0])

    def _of_the_other_leg(self, single: np.ndarray) -> list[int]:
        """Of slices with one leg each those of the right one, where others show the left one: as where each leg was
        imaged in slices of its own."""
        if not (self.series.orientation_known and self.series.geometry.is_axial):
            return []
        shown = np.flatnonzero(single.any(axis=(1, 2))).tolist()
        places = {k: self._to_the_left(single[k : k + 1], k) for k in shown}
        right = [k for k, place in places.items() if place < 0]
        clear = bool(right) and len(right) < len(places) and min(map(abs, places.values())) >= UNSIDED_MM
        return right if clear else []

    def _leaves_the_image(self, labels: np.ndarray) -> bool:
        """Whether a leg meets the image border over more than a centimetre."""
        longest = max(np.count_nonzero(edge) for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]))
        return bool(longest * min(self.row_mm, self.column_mm) > 10)

    def _why_empty(self, k: int) -> str:
        if k in self.series.missing_slices:
            return "slice missing from the series"
        return "no leg found" if self.coarse[k].any() else "no signal in this slice"


def _binned(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(slices, rows, columns) mean over bins of `size` (rows, columns); the last bin of an axis may be smaller."""
    shape = [-(-images.shape[axis] // width) for axis, width in zip((1, 2), size, strict=True)]
    total = np.zeros((len(images), *shape), np.float32)
    count = np.zeros(shape, np.float32)
    for row, column in np.ndindex(size):
        part = images[:, row :: size[0], column :: size[1]]
        covered = slice(part.shape[1]), slice(part.shape[2])
        total[(slice(None), *covered)] += part
        count[covered] += 1
    return total / count


def _dark_line(images: np.ndarray) -> np.ndarray:
    """How much darker each pixel is than what lies two pixels to both of its sides, 0 to 1."""
    padded = np.pad(images, [(0, 0), (0, 0), (2, 2)], mode="edge")
    beside = np.minimum(padded[:, :, :-4], padded[:, :, 4:])
    return np.clip(1 - images / np.maximum(beside, 1e-6), 0, 1)


def _repeated(mask: np.ndarray, size: tuple[int, ...], fine: tuple[slice, ...]) -> np.ndarray:
    """Coarse mask (rows, columns) on the fine pixels `fine` that it covers."""
    rows, columns = (part.stop - part.start for part in fine)
    return mask.repeat(size[0], axis=0)[:rows].repeat(size[1], axis=1)[:, :columns]


def _box_mean(image: np.ndarray) -> np.ndarray:
    """Mean over 3 x 3 pixels, the border repeated."""
    padded = np.pad(image, 1, mode="edge")
    lines = padded[:-2] + padded[1:-1] + padded[2:]
    return (lines[:, :-2] + lines[:, 1:-1] + lines[:, 2:]) / 9
