"""Whether an input is what the model was made for: bones and contrast of each image, and the warnings of a case.

Judged on the images themselves and, where the header says it, on the acquisition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from ..regions.masks import IN_PLANE, dilated, eroded, opened
from ..regions.windows import LEFT_OUT, LEG_SIDES, NOT_DRAWN, AnyWindow, Regions, Side, Skipped
from ..results import ResultWarning, WarningCode
from ..series.series import Acquisition, Series
from ..series.words import listed
from .cut_legs import cut_and_shown, lost_in_words, share_lost
from .image_quality import ImageQuality
from .slice_samples import LegBatch, halved, make_samples

JUDGED = 224
"""Edge of the samples on which images are judged, of whatever size a recipe's are: what an image shows must not depend
on the model that sees it."""
CORTEX = 0.75
"""Signal of cortical bone, relative to muscle, at most."""
BRIGHTEST_MUSCLE = 0.45
"""Normalised signal (fat is 1) that healthy muscle has at most in a T1-weighted image."""
FAT_ALONE = 0.25
"""Signal below which muscle is as dark as cortical bone, as in images of fat alone (Dixon). There all that is darker
than `DARK` is about a bone, and marrow, which is fat, is told from islands of other tissue by its signal `MARROW`."""
DARK = 0.4
MARROW = 0.75
SKIN_MM = 4.0
"""Depth to which dark lines belong to the skin."""
CORTEX_MM = 2.7
CORTEX_OF_MARROW = 0.4
"""Thickness of the layer around the marrow that must be cortex, at most, and relative to the marrow's radius: a
child's bone is thinner all over."""
CLOSED = 0.55
"""Share of that layer that must be dark."""
MARROW_CM2 = (0.5, 10.0)
ROUND = 0.75
"""Area of the marrow relative to the ellipse in its bounding box."""
CUT_OFF = 0.8
"""Length over which a leg meets the image border, of the diameter of what is shown, from which the image shows only a
part of it: such a chord takes 14 % away from a circle."""
CENTRAL = 0.4
"""Depth of the marrow's centre below the skin relative to the leg's radius; the tibia lies closer to the skin."""
FAT_TO_MUSCLE = 1.15
"""Signal of fat relative to the darkest tenth of the soft tissue, at least, where no header says that the images are
T1-weighted. In end-stage disease little but fat is left, so a healthy thigh's 2 cannot be asked for."""
FAT_TO_BRIGHTEST = 0.65
"""Signal of fat relative to the brightest tenth of the soft tissue, at least: nothing is brighter than fat in a
T1-weighted image."""
DARKER_THAN_FAT = 0.7
CONTRAST_BY_GREY = (
    "No header says that the images are T1-weighted: only their grey values were judged, and a fat image may pass, too."
)
FAT_BY_HEADER = (
    "By the header these are the fat images of a Dixon scan, not T1-weighted ones: only their grey values were judged, "
    "as without a header."
)
GONE = 1 / 3
"""Share of the images from which it is told that they do not enter the case."""


def judge_images(series: Series, batch: LegBatch) -> list[ImageQuality]:
    """Looks for the femur and the contrast in every window of `batch`; on samples of the size `JUDGED`, which are made
    where those of the batch have another."""
    if batch.pixels.shape[-1] != JUDGED:
        batch = make_samples(series, batch.windows, JUDGED)
    images = halved(batch.pixels[:, batch.own]).numpy()
    inside = batch.inside.numpy().repeat(images.shape[1] // batch.inside.shape[1], axis=1)
    inside = inside.repeat(images.shape[2] // batch.inside.shape[2], axis=2)
    spacing = min(series.geometry.spacing[:2])
    pixel_mm = np.array([2 * spacing / max(placement.scale) for placement in batch.placements])
    tissues = _Tissues.of(images, inside, pixel_mm)
    soft = tissues.soft
    muscle, brightest = (_level(images, soft, share) for share in (0.1, 0.9))
    marrow = _femoral_marrow(images, inside, tissues, pixel_mm, batch.windows, series.voxels.shape[1:])
    qualities = []
    for n, fat in enumerate(marrow):
        if fat is None and soft[n].any():
            rim = soft[n] & ~eroded(inside[n], max(1, round(9 / pixel_mm[n])))
            fat_signal = float(np.percentile(images[n][rim], 75)) if rim.any() else 0.0
        else:
            fat_signal = fat or 0.0
        ratios = (fat_signal / max(float(level), 1e-3) for level in (muscle[n], brightest[n]))
        qualities.append(ImageQuality(fat is not None, *ratios))
    return qualities


def of_most(qualities: Sequence[ImageQuality]) -> ImageQuality:
    """What most of the slices of a leg show."""
    return ImageQuality(
        sum(quality.femur for quality in qualities) >= len(qualities) / 2,
        float(np.median([quality.fat_to_muscle for quality in qualities])),
        float(np.median([quality.fat_to_brightest for quality in qualities])),
    )


@dataclass(frozen=True)
class _Tissues:
    """What lies under the skin in N images.

    Attributes:
        cortex: (N, size, size) bool, as dark as cortical bone.
        soft: the same shape, all that is brighter than bone relative to muscle.
        fat_alone: (N,) bool, images in which muscle is as dark as bone.
    """

    cortex: np.ndarray
    soft: np.ndarray
    fat_alone: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, inside: np.ndarray, pixel_mm: np.ndarray) -> _Tissues:
        under_skin = np.stack(
            [eroded(mask, max(1, round(SKIN_MM / mm))) for mask, mm in zip(inside, pixel_mm, strict=True)]
        )
        muscle = _level(images, under_skin, 0.2)
        bone = CORTEX * np.minimum(muscle, BRIGHTEST_MUSCLE)
        fat_alone = muscle < FAT_ALONE
        cortex = images < np.where(fat_alone, DARK, bone)[:, None, None]
        return cls(cortex & under_skin, under_skin & (images >= bone[:, None, None]), fat_alone)


def _level(images: np.ndarray, masks: np.ndarray, share: float) -> np.ndarray:
    """(N,) signal below which `share` of each image's masked pixels lie; 1 where there are none."""
    levels = np.ones(len(images), np.float32)
    for n, (image, mask) in enumerate(zip(images, masks, strict=True)):
        values = image[mask]
        if len(values):
            rank = int(share * (len(values) - 1))
            levels[n] = np.partition(values, rank)[rank]
    return levels


def _femoral_marrow(
    images: np.ndarray,
    inside: np.ndarray,
    tissues: _Tissues,
    pixel_mm: np.ndarray,
    windows: Sequence[AnyWindow],
    plane: tuple[int, ...],
) -> list[float | None]:
    """Mean signal of the femur's marrow in each window; None where there is no shaft, or a second bone.

    In images of fat alone a bone near the skin is a second one, too: there the tibia is told from fat by its signal.
    """
    labels, count = ndimage.label(~tissues.cortex, IN_PLANE)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    found: list[list[float | None]] = [[] for _ in images]
    boxes = ndimage.find_objects(labels)
    # Most parts are specks: only those of a size that marrow can have are looked at.
    for label in np.flatnonzero(areas[1:] * pixel_mm.max() ** 2 >= MARROW_CM2[0] * 100) + 1:
        box = boxes[label - 1]
        n = box[0].start
        mm2 = pixel_mm[n] ** 2
        if not MARROW_CM2[0] <= areas[label] * mm2 / 100 <= MARROW_CM2[1]:
            continue
        rows, columns = (side.stop - side.start for side in box[1:])
        if areas[label] < ROUND * np.pi / 4 * rows * columns:
            continue
        radius_mm = np.sqrt(areas[label] * mm2 / np.pi)
        layer = max(1, round(min(CORTEX_MM, CORTEX_OF_MARROW * radius_mm) / pixel_mm[n]))
        around = (n, *(slice(max(0, side.start - layer), side.stop + layer) for side in box[1:]))
        marrow = labels[around] == label
        ring = dilated(marrow, layer) & ~marrow
        centre = ((box[1].start + box[1].stop) / 2, (box[2].start + box[2].stop) / 2)
        signal, fat_alone = float(images[around][marrow].mean()), tissues.fat_alone[n]
        if tissues.cortex[around][ring].mean() < CLOSED or (fat_alone and signal < MARROW):
            continue
        central = _is_central(centre, inside[n], windows[n], plane)
        if central or fat_alone:
            found[n].append(signal if central else None)
    return [signals[0] if len(signals) == 1 else None for signals in found]


def _is_central(centre: tuple[float, float], inside: np.ndarray, window: AnyWindow, plane: tuple[int, ...]) -> bool:
    """Whether a bone lies deep in the leg. Where the image border cuts the leg there is no skin to measure from."""
    skin = np.argwhere(inside ^ eroded(inside, 1))
    depth = np.sqrt(((skin - centre) ** 2).sum(axis=1).min())
    return bool(reaches_border(window, plane) or depth >= CENTRAL * np.sqrt(np.count_nonzero(inside) / np.pi))


def share_outside_muscle(heat: np.ndarray, grid: np.ndarray, inside: np.ndarray) -> float:
    """Share of the heat of one image that lies outside the muscles: in subcutaneous fat.

    Args:
        heat, grid, inside: (GRID, GRID) heat, `LegBatch.grid` and `LegBatch.inside` of the image.
    """
    total = float(heat[inside].sum())
    if total <= 0:
        return 0.0
    return 1 - float(heat[muscle_compartment(grid, inside)].sum()) / total


def muscle_compartment(grid: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(GRID, GRID) bool, the leg without its subcutaneous fat: the convex hull of all that is darker than fat under the
    skin; the whole leg where too little is.

    Args:
        grid, inside: (GRID, GRID) `SampleBatch.grid` and `SampleBatch.inside` of the image.
    """
    darker = (grid < DARKER_THAN_FAT) & eroded(inside, 2)
    corners = np.argwhere(opened(darker, 1))
    if len(corners) < 16:
        return inside
    faces = ConvexHull(corners).equations
    within = (np.argwhere(inside) @ faces[:, :2].T + faces[:, 2] <= 1.0).all(axis=1)
    muscle = np.zeros_like(inside)
    muscle[inside] = within
    return muscle


def reaches_border(window: AnyWindow, plane: tuple[int, ...]) -> bool:
    """Whether the window ends at the border of images of so many rows and columns."""
    return window.i[0] == 0 or window.j[0] == 0 or window.i[1] == plane[1] or window.j[1] == plane[0]


def _is_part_of_a_leg(window: AnyWindow, series: Series) -> bool:
    """Whether the image border cuts away a large part of the leg."""
    lengths_mm, areas_mm2 = cut_and_shown(window, series)
    return bool(lengths_mm.max(initial=0.0) > CUT_OFF * np.sqrt(4 * areas_mm2.max() / np.pi))


def thigh_images(windows: Sequence[AnyWindow], qualities: Sequence[ImageQuality]) -> list[bool]:
    """Which windows show a thigh: the femur's shaft in it, or in the windows of the same leg above and below. Of a leg
    that shows it in neighbouring windows, one that stands apart does not count: a bone at the knee may look alike."""
    thigh = [False] * len(windows)
    for side in {window.side for window in windows}:
        own = [n for n, window in enumerate(windows) if window.side == side]
        femur = np.array([qualities[n].femur for n in own], int)
        votes = np.convolve(np.pad(femur, 1, mode="edge"), [1, 1, 1], mode="valid")
        shown = votes >= 2
        alone = shown & (np.convolve(np.pad(shown, 2), [1, 1, 0, 1, 1], mode="valid") == 0)
        if (shown & ~alone).any():
            shown &= ~alone
        for n, is_thigh in zip(own, shown.tolist(), strict=True):
            thigh[n] = is_thigh
    return thigh


def input_warnings(
    series: Series,
    regions: Regions,
    qualities: Sequence[ImageQuality],
    thigh: Sequence[bool],
    *,
    made_for_thighs: bool,
) -> list[ResultWarning]:
    """Warnings on a series of legs and its windows.

    Args:
        made_for_thighs: whether the model was made for T1-weighted thighs, and not for any axial images of a leg.
    """
    warnings = []

    def warn(code: WarningCode, message: str) -> None:
        warnings.append(ResultWarning(code=code, message=message))

    if not series.geometry.is_axial:
        warn(WarningCode.NOT_AXIAL, "The slices are not axial; choose the axial series of the thighs.")
    not_t1 = _why_not_t1(series.acquisition, qualities, thigh) if made_for_thighs else None
    if not_t1:
        warn(WarningCode.NOT_T1_WEIGHTED, f"{not_t1}; choose a T1-weighted series without fat suppression.")
    seen = f"only {sum(thigh)}" if any(thigh) else "none"
    if made_for_thighs and (sum(thigh) < len(thigh) / 2 or not thigh):
        warn(
            WarningCode.NOT_THIGH,
            f"The shaft of the femur, as the one bone of a thigh, is seen in {seen} of {len(thigh)} images; "
            "choose a series of the thighs, not of the lower legs, knees or hips.",
        )
    if regions.touching:
        warn(
            WarningCode.LEGS_TOUCHING,
            f"The legs touch in {listed(regions.touching)} and were separated along the seam of least tissue; "
            "check the border between them there.",
        )
    if regions.cut_by_border:
        cut = [_is_part_of_a_leg(window, series) for window in regions.windows]
        most = sum(cut) > len(cut) / 2
        lost = [share for window in regions.windows if (share := share_lost(window, series))] or [0.0]
        warn(
            WarningCode.MOSTLY_OUT_OF_VIEW if most else WarningCode.PARTIAL_FIELD_OF_VIEW,
            f"A leg runs out of the image in {listed(regions.cut_by_border)}, where by its outline "
            f"{lost_in_words(lost)}; the answer for them rests on the part that is shown.",
        )
    return warnings


def unsided(windows: Sequence[AnyWindow]) -> Iterator[ResultWarning]:
    """A warning where nothing tells which leg is shown."""
    if slices := sorted({window.slice for window in windows if window.side is Side.UNKNOWN}):
        message = f"Nothing tells which leg is shown in {listed(slices)}."
        yield ResultWarning(code=WarningCode.SIDE_UNKNOWN, message=message)


def incomplete(
    windows: Sequence[AnyWindow], fits: Sequence[bool], skipped: Sequence[Skipped]
) -> Iterator[ResultWarning]:
    """A warning where a leg, or `GONE` of the images, does not enter the case; none where no image does.

    Args:
        windows: of all images.
        fits: of each, whether it enters the case.
        skipped: what has no window; what a reader left out, or did not draw, is missing in the case.
    """
    in_case = Counter(window.side for window, fit in zip(windows, fits, strict=True) if fit)
    gone = Counter(window.side for window, fit in zip(windows, fits, strict=True) if not fit)
    legs = [item for item in skipped if item.reason in (LEFT_OUT, NOT_DRAWN)]
    sides = {*in_case, *gone, *(item.side for item in legs if item.side)}
    left_out = Counter(side for item in legs for side in ([item.side] if item.side else sides))
    if any(window.slices for window in windows):  # a leg is one image
        left_out = Counter(side for side in left_out if side not in in_case | gone)
    gone += left_out
    whole_legs = [side for side in LEG_SIDES if gone[side] and not in_case[side]]
    total = gone.total() + in_case.total()
    if not in_case or (not whole_legs and gone.total() < GONE * total):
        return
    named = {side: "a leg of unknown side" if side is Side.UNKNOWN else f"the {side.value} leg" for side in whole_legs}
    told = f"{gone.total()} of {total} images do not enter the case"
    if whole_legs:
        told += f", among them all of {' and '.join(named.values())}"
    yield ResultWarning(code=WarningCode.CASE_INCOMPLETE, message=f"{told}; the answer rests on the others.")


def _why_not_t1(acquisition: Acquisition, qualities: Sequence[ImageQuality], thigh: Sequence[bool]) -> str | None:
    """Why the series is not T1-weighted with all of its fat signal, or None. Fat images are judged by their look alone,
    whether a header names them or not."""
    if acquisition.t1_weighted is False and not acquisition.fat_image:
        return "By its header the series is not T1-weighted with all of its fat signal"
    judged = [quality for quality, shown in zip(qualities, thigh, strict=True) if shown] or list(qualities)
    if not judged:
        return None
    to_brightest = np.median([quality.fat_to_brightest for quality in judged])
    if to_brightest < FAT_TO_BRIGHTEST:
        return f"Fat is only {to_brightest:.1f} times as bright as the brightest tissue"
    to_muscle = np.median([quality.fat_to_muscle for quality in judged])
    if not acquisition.t1_weighted and to_muscle < FAT_TO_MUSCLE:
        return f"Fat is only {to_muscle:.1f} times as bright as the darkest tissue"
    return None
