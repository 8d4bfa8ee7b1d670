"""Legs as what a recipe looks at: each slice of a leg a sample, or each leg a volume."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..models.cells import CellGrid
from ..regions.drawn import LEG, Tidied, drawn_legs, legs_of_map
from ..regions.drawn_legs import corrected_leg_volumes, corrected_legs, legs_from_labels
from ..regions.legs import find_legs
from ..regions.masks import dilated
from ..regions.volumes import whole
from ..regions.windows import LABEL_OF_SIDE, SEGMENT_NAMES, Regions, Side, VolumeWindow, Window, window_around
from ..results import WarningCode
from ..series.series import NO_SIDE, Series
from .quality import (
    CONTRAST_BY_GREY,
    FAT_BY_HEADER,
    JUDGED,
    ImageQuality,
    incomplete,
    input_warnings,
    judge_images,
    of_most,
    share_outside_muscle,
    thigh_images,
    unsided,
)
from .region import Batch, Judgement, Region, Seen
from .slice_samples import GRID, LegBatch, check_dixon, make_samples
from .volume_samples import LegVolumeBatch, make_leg_volumes

HEAT_JUDGED = 6
"""Slices, evenly along the series, in which the heat of windows is held against the muscles."""


class _Legs(Region[Seen, Batch]):
    """What slices and volumes of legs have in common."""

    least_drawn = LEG

    def described(self) -> str:
        return "a leg"

    def find(self, series: Series) -> Regions:
        return find_legs(series)

    def labels_of_map(self, series: Series, values: np.ndarray) -> np.ndarray:
        return legs_of_map(series, values)

    def judge(
        self, series: Series, regions: Regions, windows: Sequence[Seen], qualities: Sequence[ImageQuality | None]
    ) -> Judgement:
        known = [quality for quality in qualities if quality is not None]
        thigh = thigh_images(windows, known)
        of_thighs = self.sample.of_t1_thighs
        fits = thigh if of_thighs else [True] * len(thigh)
        told = {warning.code for warning in (*series.warnings, *regions.warnings)}
        on_input = input_warnings(series, regions, known, thigh, made_for_thighs=of_thighs)
        by_grey = of_thighs and not series.acquisition.t1_weighted
        note = FAT_BY_HEADER if series.acquisition.fat_image else CONTRAST_BY_GREY
        passed = all(warning.code is not WarningCode.NOT_T1_WEIGHTED for warning in on_input)
        return Judgement(
            tuple("thigh" if is_thigh else "other" for is_thigh in thigh),
            tuple(fits),
            (
                *(() if NO_SIDE & told else unsided(windows)),
                *on_input,
                *incomplete(windows, fits, [k for k in regions.skipped if k.slice not in series.missing_slices]),
            ),
            note if by_grey and passed else "",
        )

    def _as_it_counts(self, series: Series, labels: np.ndarray, found: np.ndarray | None) -> Tidied:
        if (labels == LABEL_OF_SIDE[Side.NONE]).any():
            raise InputError(
                f"The model looks at legs; name the segment “{SEGMENT_NAMES[Side.NONE]}” “{SEGMENT_NAMES[Side.LEFT]}”, "
                f"“{SEGMENT_NAMES[Side.RIGHT]}” or “{SEGMENT_NAMES[Side.UNKNOWN]}”."
            )
        if not series.orientation_known:
            return super()._as_it_counts(series, labels, found)
        return drawn_legs(series.geometry, labels, lambda: find_legs(series).labels if found is None else found, found)

    def _drawn(self, series: Series, labels: np.ndarray) -> Regions:
        """What is said of a slice holds, too, where its legs are drawn as they are found: in a region that an earlier
        classification wrote."""
        drawn = legs_from_labels(labels)
        left, right = (labels == LABEL_OF_SIDE[side] for side in (Side.LEFT, Side.RIGHT))
        if not ((dilated(left, 1) & right).any() or labels[:, [0, -1]].any() or labels[:, :, [0, -1]].any()):
            return drawn
        found = find_legs(series)
        as_found = (labels == found.labels).all(axis=(1, 2))
        touching, cut = (tuple(k for k in told if as_found[k]) for told in (found.touching, found.cut_by_border))
        return dataclasses.replace(drawn, touching=touching, cut_by_border=cut)


class LegSlices(_Legs[Window, LegBatch]):
    """Each leg in each slice, along its outline."""

    def seen(self, regions: Regions) -> tuple[Window, ...]:
        return regions.windows

    def samples(self, series: Series, windows: Sequence[Window]) -> LegBatch:
        batch = make_samples(series, windows, self.sample.size, self.sample.channels[1:], self.sample.slices)
        check_dixon(series, windows, self.sample)
        return batch

    def quality(self, series: Series, batch: LegBatch) -> list[ImageQuality | None]:
        return [*judge_images(series, batch)]

    def with_maps(
        self,
        windows: Sequence[Window],
        qualities: Sequence[ImageQuality | None],
        regions: Regions,
        by_map: Sequence[ImageQuality],
    ) -> list[ImageQuality | None]:
        return [own and own.or_by(other) for own, other in zip(qualities, by_map, strict=True)]

    def heat_outside(
        self, cells: CellGrid, evidence: Sequence[np.ndarray | None], batch: LegBatch, slices: int
    ) -> list[float | None]:
        return _heat_outside(cells, evidence, batch, slices)

    def _corrected(self, series: Series, automatic: Regions, labels: np.ndarray) -> Regions:
        return corrected_legs(automatic, labels)


class LegVolumes(_Legs[VolumeWindow, LegVolumeBatch]):
    """Each leg in all slices that show it."""

    def seen(self, regions: Regions) -> tuple[VolumeWindow, ...]:
        return whole(regions)

    def samples(self, series: Series, windows: Sequence[VolumeWindow]) -> LegVolumeBatch:
        return make_leg_volumes(series, windows, self.sample)

    def quality(self, series: Series, batch: LegVolumeBatch) -> list[ImageQuality | None]:
        return [of_most(judge_images(series, self._each_alone(series, leg.windows))) for leg in batch.legs]

    def with_maps(
        self,
        windows: Sequence[VolumeWindow],
        qualities: Sequence[ImageQuality | None],
        regions: Regions,
        by_map: Sequence[ImageQuality],
    ) -> list[ImageQuality | None]:
        of_slices = [*zip(regions.windows, by_map, strict=True)]
        whole_legs = [of_most([own for part, own in of_slices if part.side is window.side]) for window in windows]
        return [own and own.or_by(other) for own, other in zip(qualities, whole_legs, strict=True)]

    @staticmethod
    def _each_alone(series: Series, windows: Sequence[Window]) -> LegBatch:
        """Samples of the slices of a leg, each cut along its own outline, as where a slice is an image."""
        boxes = [(slice(*window.j), slice(*window.i)) for window in windows]
        alone = [window_around(w.slice, w.side, w.mask, w.source, box) for w, box in zip(windows, boxes, strict=True)]
        return make_samples(series, [window for window in alone if window is not None], JUDGED)

    def heat_outside(
        self, cells: CellGrid, evidence: Sequence[np.ndarray | None], batch: LegVolumeBatch, slices: int
    ) -> list[float | None]:
        shares: list[float | None] = []
        for told, leg, placement in zip(evidence, batch.legs, batch.placements, strict=True):
            planes: list[np.ndarray | None] = [None] * len(leg.windows)
            if told is not None:
                planes = [*cells.slices(told, placement.sample_coordinates(0))]
            judged = [share for share in _heat_outside(cells, planes, leg, slices) if share is not None]
            shares.append(float(np.median(judged)) if judged else None)
        return shares

    def slices_drawn(self, windows: Sequence[VolumeWindow]) -> None:
        return None

    def _corrected(self, series: Series, automatic: Regions, labels: np.ndarray) -> Regions:
        return corrected_leg_volumes(automatic, labels)


def _heat_outside(
    cells: CellGrid, evidence: Sequence[np.ndarray | None], batch: LegBatch, slices: int
) -> list[float | None]:
    """Of slices of legs; see `Region.heat_outside`."""
    centres = (np.arange(GRID) + 0.5) * (batch.pixels.shape[-1] / GRID) - 0.5
    return [
        share_outside_muscle(cells.at(np.maximum(told, 0), centres, centres), grid, inside)
        if told is not None and window.slice % max(1, slices // HEAT_JUDGED) == 0
        else None
        for told, window, grid, inside in zip(
            evidence, batch.windows, batch.grid.numpy(), batch.inside.numpy(), strict=True
        )
    ]
