"""Measures `anatomy_figures.json` on a folder of label maps of the thigh muscles.

Run as `python Tools/measure_anatomy.py LABEL_MAPS [OUTPUT]`; needs contourpy (it comes with
matplotlib). What is kept is a point distribution model (Cootes et al. 1995, CVIU 61:38, sections 3 and 4): the mean
outlines and the main modes of their joint variation, no one's own outlines.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import contourpy
import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw
from scipy import ndimage, stats
from scipy.spatial import ConvexHull

from DystrophyDxLib.phantom.anatomy import HIGHEST, LOWEST

LABELLED = 11
"""Muscles of the label maps: the first of `phantom.anatomy.MUSCLES`."""
POINTS = 20
LEVELS = 9
MODES = 10
GAP_MM = 3.0
# Share of the muscles' area at levels 0.2 to 0.8; centroid about the femur's centre, as distance in leg sizes (square
# root of the mean area of the muscles' hull) and angle from lateral to posterior; the lowest and highest level shown.
MEASURES = ("area share", "radius", "angle_deg", "lowest level", "highest level")
ANGLE = 2
SOURCE = "Multimodal-Multiethnic-Thigh-Muscle-MRI-analysis (HuashanMyo), Apache-2.0"


def read_legs(path: Path) -> tuple[list[np.ndarray], tuple[float, float]]:
    """The two legs of one label map (z, y, x), distal first, each mirrored to a left leg; pixel size in mm (x, y)."""
    image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
    labels = sitk.GetArrayFromImage(image).astype(np.uint8)
    columns = np.flatnonzero(labels.any(axis=(0, 1)))
    middle = (columns[0] + columns[-1]) // 2
    legs = [labels[:, :, middle:], labels[:, :, :middle][:, :, ::-1]]
    pixel_mm = image.GetSpacing()[:2]
    smallest = 400 / np.prod(pixel_mm)
    return [_cropped(leg[np.count_nonzero(leg, axis=(1, 2)) > smallest]) for leg in legs], pixel_mm


def _cropped(leg: np.ndarray) -> np.ndarray:
    """The leg with a border of 8 pixels around its labels."""
    rows, columns = (np.flatnonzero(leg.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    inner = leg[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.pad(inner, ((0, 0), (8, 8), (8, 8)))


def fill_gaps(plane: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    """Gives pixels within `GAP_MM` of a muscle to the nearest one, as annotators leave its rim out; the hull bounds."""
    distance, nearest = ndimage.distance_transform_edt(plane == 0, sampling=pixel_mm[::-1], return_indices=True)
    filled = plane[tuple(nearest)]
    return np.where((distance <= GAP_MM) & drawn(hull(plane > 0), plane.shape), filled, 0)


def hull(mask: np.ndarray) -> np.ndarray:
    """(n, 2) vertices (x, y) in pixels of the convex hull."""
    rows = np.flatnonzero(mask.any(axis=1))
    first, last = mask[rows].argmax(axis=1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    points = np.stack([np.concatenate([first, last]), np.tile(rows, 2)], axis=1)
    return points[ConvexHull(points).vertices].astype(float)


def drawn(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    image = Image.new("1", shape[::-1])
    ImageDraw.Draw(image).polygon([tuple(point) for point in polygon], fill=1, outline=1)
    return np.asarray(image)


def femur_centres(leg: np.ndarray, pixel_mm: tuple[float, float]) -> np.ndarray:
    """(slices, 2) centre (x, y) in pixels of the hole that the vasti enclose, on a smooth curve along the thigh."""
    deepest, levels = [], []
    for z, plane in enumerate(leg):
        vasti = np.isin(plane, (3, 4, 5))
        if vasti.sum() * np.prod(pixel_mm) < 600 or not (plane == 4).any():
            continue
        hole = (plane == 0) & drawn(hull(vasti), plane.shape)
        depth = np.minimum(ndimage.distance_transform_edt(hole, sampling=pixel_mm[::-1]), 14)
        depth = ndimage.gaussian_filter(depth, 3)
        deepest.append(np.unravel_index(depth.argmax(), depth.shape)[::-1])
        levels.append(z)
    found = np.asarray(deepest, float)
    weights = np.ones(len(levels))
    for _ in range(5):
        fits = [np.polyfit(levels, found[:, axis], 2, w=weights) for axis in (0, 1)]
        residual = np.hypot(*[found[:, axis] - np.polyval(fits[axis], levels) for axis in (0, 1)])
        weights = 1 / (1 + (residual / 4) ** 2)
    return np.stack([np.polyval(fit, np.arange(len(leg))) for fit in fits], axis=1)


def outline(mask: np.ndarray) -> np.ndarray:
    """(POINTS, 2) points (x, y) in pixels, evenly spaced along the outer outline of the largest part, clockwise."""
    smooth = ndimage.gaussian_filter(np.pad(mask, 2).astype(float), 1)
    lines = [np.asarray(line, float) for line in contourpy.contour_generator(z=smooth).lines(0.5)]
    areas = [_area(line) for line in lines]
    line = lines[int(np.argmax(np.abs(areas)))] - 2
    return resampled(line if max(areas, key=abs) > 0 else line[::-1])


def _area(line: np.ndarray) -> float:
    x, y = line.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def resampled(closed: np.ndarray) -> np.ndarray:
    closed = np.vstack([closed, closed[:1]])
    along = np.append(0, np.cumsum(np.hypot(*np.diff(closed, axis=0).T)))
    wanted = np.linspace(0, along[-1], POINTS, endpoint=False)
    return np.stack([np.interp(wanted, along, closed[:, axis]) for axis in (0, 1)], axis=1)


@dataclass(frozen=True)
class LabelledLeg:
    """Label planes of one leg, mirrored to a left one, distal first.

    Attributes:
        labels: (slices, rows, columns) uint8, 1 to LABELLED, else 0.
        centres: (slices, 2) the femur's centre (x, y) in pixels.
        pixel_mm: (x, y).
    """

    labels: np.ndarray
    centres: np.ndarray
    pixel_mm: tuple[float, float]

    @classmethod
    def read(cls, path: Path) -> list[LabelledLeg]:
        """Both legs of a label map, the rims that annotators left out filled."""
        legs, pixel_mm = read_legs(path)
        return [
            cls(np.stack([fill_gaps(plane, pixel_mm) for plane in leg]), femur_centres(leg, pixel_mm), pixel_mm)
            for leg in legs
        ]

    def outlines(self) -> np.ndarray:
        """(slices, LABELLED + 1, POINTS, 2) outlines in mm about the femur, the compartment last; absent: NaN."""
        result = np.full((len(self.labels), LABELLED + 1, POINTS, 2), np.nan)
        for z, plane in enumerate(self.labels):
            for muscle in range(1, LABELLED + 1):
                mask = plane == muscle
                if mask.sum() * np.prod(self.pixel_mm) >= 40:
                    result[z, muscle - 1] = (outline(mask) - self.centres[z]) * self.pixel_mm
            whole = hull(plane > 0)
            whole = resampled(whole if _area(whole) > 0 else whole[::-1])
            result[z, LABELLED] = (whole - self.centres[z]) * self.pixel_mm
        return result

    def areas(self) -> np.ndarray:
        """(slices, LABELLED) areas in mm²."""
        counts = [np.bincount(plane.ravel(), minlength=LABELLED + 1)[1 : LABELLED + 1] for plane in self.labels]
        return np.stack(counts) * np.prod(self.pixel_mm)

    def _centroids(self) -> np.ndarray:
        """(slices, LABELLED, 2) middle (x, y) of each muscle in pixels; anywhere where absent."""
        result = np.empty((len(self.labels), LABELLED, 2))
        for middle, plane in zip(result, self.labels, strict=True):
            y, x = np.nonzero(plane)
            count, *sums = (np.bincount(plane[y, x], weights, LABELLED + 1)[1:] for weights in (None, x, y))
            middle[:] = (np.stack(sums) / np.maximum(count, 1)).T
        return result

    def measures(self, levels: np.ndarray) -> np.ndarray:
        """(len(MEASURES), LABELLED) `MEASURES` of the leg whose slices lie at `levels`; NaN for a muscle not shown."""
        areas = self.areas()
        whole = [abs(_area(hull(plane > 0))) * np.prod(self.pixel_mm) for plane in self.labels]
        size = np.sqrt(np.mean([area for area, level in zip(whole, levels, strict=True) if 0.2 < level < 0.8]))
        used = (levels >= LOWEST) & (levels <= HIGHEST)
        shown = (areas > 0.004 * size**2) & used[:, None]
        middle = areas[(levels > 0.2) & (levels < 0.8)]
        share = (middle / middle.sum(axis=1, keepdims=True)).mean(axis=0)
        result = np.full((len(MEASURES), LABELLED), np.nan)
        result[0] = share
        at = (self._centroids() - self.centres[:, None]) * self.pixel_mm
        for muscle in np.flatnonzero(shown.any(axis=0)):
            slices = np.flatnonzero(shown[:, muscle])
            x, y = at[slices, muscle].T
            angle = np.degrees(stats.circmean(np.arctan2(y, x)))
            result[1:, muscle] = np.hypot(x, y).mean() / size, angle, levels[slices[0]], levels[slices[-1]]
        return result


def mean_and_spread(legs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD over (legs, len(MEASURES), LABELLED) measures of the legs that show the muscle; angles circular."""
    mean, spread = np.nanmean(legs, axis=0), np.nanstd(legs, axis=0)
    angles = np.radians(legs[:, ANGLE])
    mean[ANGLE] = np.degrees(stats.circmean(angles, axis=0, nan_policy="omit"))
    spread[ANGLE] = np.degrees(stats.circstd(angles, axis=0, nan_policy="omit"))
    return mean, spread


def areas(outlines: np.ndarray) -> np.ndarray:
    """Areas (...) in mm² of outlines (..., POINTS, 2); 0 where absent."""
    x, y = np.moveaxis(outlines, -1, 0)
    return np.nan_to_num(np.sum(x * np.roll(y, -1, -1) - y * np.roll(x, -1, -1), axis=-1) / 2)


def aligned_levels(profiles: list[np.ndarray]) -> list[np.ndarray]:
    """Level of every slice of every leg, 0 just above the knee, 1 at the upper thigh.

    `profiles` are (slices, LABELLED) shares of the muscle area. Each leg's slices are shifted and stretched onto the
    mean profile, which is then measured again.
    """
    grid = np.linspace(0, 1, 41)
    maps = [(0.0, 1.0)] * len(profiles)

    def on_grid(profile: np.ndarray, shift: float, stretch: float) -> np.ndarray:
        levels = shift + stretch * np.linspace(0, 1, len(profile))
        rows = [np.interp(grid, levels, column, np.nan, np.nan) for column in profile.T]
        return np.stack(rows, axis=1)

    for _ in range(4):
        mean = np.nanmean([on_grid(p, *m) for p, m in zip(profiles, maps, strict=True)], axis=0)
        best = []
        for profile in profiles:
            trials = [(s, t) for s in np.arange(-0.3, 0.31, 0.02) for t in np.arange(0.7, 1.31, 0.05)]
            misfit = [np.nanmean(np.square(on_grid(profile, *trial) - mean)) for trial in trials]
            best.append(trials[int(np.argmin(misfit))])
        shift, stretch = np.mean(best, axis=0)
        maps = [((s - shift) / stretch, t / stretch) for s, t in best]
    return [s + t * np.linspace(0, 1, len(p)) for p, (s, t) in zip(profiles, maps, strict=True)]


def at_levels(outlines: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(LEVELS, outlines, POINTS, 2) by interpolation between slices that both show a muscle, NaN elsewhere."""
    wanted = np.linspace(0, 1, LEVELS)
    below = np.searchsorted(levels, wanted, side="right") - 1
    result = np.full((LEVELS, *outlines.shape[1:]), np.nan)
    for n, z in enumerate(below):
        if 0 <= z < len(levels) - 1:
            share = (wanted[n] - levels[z]) / (levels[z + 1] - levels[z])
            lower, upper = outlines[z], in_step(outlines[z + 1], outlines[z])
            result[n] = (1 - share) * lower + share * upper
    return result


def in_step(outlines: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The outlines (..., POINTS, 2) with their points renumbered to start as near the reference's as can be."""
    centred = outlines - outlines.mean(axis=-2, keepdims=True)
    target = reference - reference.mean(axis=-2, keepdims=True)
    misfit = [np.square(np.roll(centred, n, axis=-2) - target).sum(axis=(-1, -2)) for n in range(POINTS)]
    start = np.nan_to_num(np.stack(misfit), nan=0).argmin(axis=0)
    order = (np.arange(POINTS) - start[..., None]) % POINTS
    return np.take_along_axis(outlines, order[..., None], axis=-2)


def _mean(legs: np.ndarray) -> np.ndarray:
    """Mean over the legs that show an outline, NaN where none does."""
    shown = np.count_nonzero(~np.isnan(legs), axis=0)
    return np.where(shown > 0, np.nansum(legs, axis=0) / np.maximum(shown, 1), np.nan)


def numbered_alike(leg: np.ndarray) -> np.ndarray:
    """The leg (LEVELS, outlines, POINTS, 2) with the points of each outline in step with those of the level below."""
    leg = leg.copy()
    for level in range(1, LEVELS):
        leg[level] = in_step(leg[level], np.where(np.isnan(leg[level - 1]), leg[level], leg[level - 1]))
    return leg


def turned(leg: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The leg turned about its femur onto the mean (orthogonal Procrustes, rotation only)."""
    valid = ~np.isnan(leg + mean).any(axis=-1)
    u, _, vt = np.linalg.svd(leg[valid].T @ mean[valid])
    rotation = u @ np.diag([1, np.linalg.det(u @ vt)]) @ vt
    return leg @ rotation


def labelled_legs(folder: Path) -> tuple[list[LabelledLeg], list[np.ndarray]]:
    """Every subject's two legs under `folder` (files `…_SUBJECT_CONTRAST.nii.gz`) and the levels of their slices."""
    paths = {path.name.split("_")[-2]: path for path in sorted(folder.glob("*.nii.gz"))}
    legs = [leg for path in paths.values() for leg in LabelledLeg.read(path)]
    return legs, aligned_levels([areas / areas.sum(axis=1, keepdims=True) for areas in map(LabelledLeg.areas, legs)])


def measure(labelled: list[LabelledLeg], levels: list[np.ndarray]) -> dict:
    """The figures of the legs, see `labelled_legs`."""
    raw = [leg.outlines() for leg in labelled]
    measures = mean_and_spread(np.stack([leg.measures(at) for leg, at in zip(labelled, levels, strict=True)]))
    legs = np.stack([at_levels(o, level) for o, level in zip(raw, levels, strict=True)])
    size_mm = np.sqrt(np.nanmean(areas(legs)[:, 2:7, LABELLED], axis=1))
    legs /= size_mm[:, None, None, None, None]
    # Start from the leg that shows most; what it lacks joins in the first mean.
    mean = numbered_alike(legs[np.argmin(np.isnan(legs).sum(axis=(1, 2, 3, 4)))])
    for _ in range(5):
        legs = np.stack([turned(in_step(leg, mean), mean) for leg in legs])
        mean = numbered_alike(_mean(legs))
    presence = (~np.isnan(legs[..., 0, 0])).mean(axis=0)
    seen = presence / np.maximum(presence[:, -1:], 1e-6)
    kept = seen >= 0.3
    mean = np.where(kept[:, :, None, None], mean, np.nan)
    deviation = np.nan_to_num(legs - mean).reshape(len(legs), -1)
    _, singular, modes = np.linalg.svd(deviation, full_matrices=False)
    spread = singular / np.sqrt(len(legs) - 1)
    scaled = (modes[:MODES] * spread[:MODES, None]).reshape(MODES, *mean.shape)
    # Where only some legs show a muscle, it gets the mean area of all.
    narrow = np.sqrt(np.minimum(seen, 1))[:, :, None, None]
    middle = mean.mean(axis=2, keepdims=True)
    mean, scaled = middle + narrow * (mean - middle), narrow * scaled
    whole = float(np.mean(size_mm))
    explained = (singular[:MODES] ** 2).sum() / (singular**2).sum()
    return {
        "source": SOURCE,
        "method": "point distribution model, Cootes et al. 1995, CVIU 61:38; unit 0.1 mm at the mean size",
        "axes": "left leg seen in LPS: x to lateral, y to posterior, origin at the femur's centre",
        "legs": len(legs),
        "size_mm": round(whole, 1),
        "size_sd_mm": round(float(np.std(size_mm)), 1),
        "explained_variance": round(float(explained), 3),
        "present": kept.astype(int).tolist(),
        "measures": {
            name: {"mean": np.round(mean, 4).tolist(), "sd": np.round(spread, 4).tolist()}
            for name, mean, spread in zip(MEASURES, *measures, strict=True)
        },
        "mean": np.rint(np.nan_to_num(mean) * whole * 10).astype(int).tolist(),
        "modes": np.rint(scaled * whole * 10).astype(int).tolist(),
    }


if __name__ == "__main__":
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("anatomy_figures.json")
    target.write_text(json.dumps(measure(*labelled_legs(Path(sys.argv[1]))), separators=(",", ":")) + "\n")
