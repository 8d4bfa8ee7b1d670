"""Grey levels of T1-weighted thighs, to see whether phantoms are like real images.

Run as `python Tools/grey_levels.py STUDY... --phantoms 60`.
"""

from __future__ import annotations

import argparse
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from DystrophyDxLib.phantom.thigh import make_phantom
from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE
from DystrophyDxLib.samples.quality import judge_images, thigh_images
from DystrophyDxLib.samples.slice_samples import make_samples
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.series import Series


@dataclass(frozen=True)
class GreyLevels:
    """Medians over the images of a series that show a thigh.

    Attributes:
        muscle_to_fat: signal of muscle over that of fat, by the mode of each.
        marrow_to_muscle: signal of the femur's marrow over that of the darkest tenth of the soft tissue.
        noise_to_muscle: SD of the noise over the signal of muscle (Immerkær 1996, Comput Vis Image Underst 64:300).
        edge_mm: width of the edge between skin and air: signal inside over the steepest slope.
    """

    muscle_to_fat: float
    marrow_to_muscle: float
    noise_to_muscle: float
    edge_mm: float


def grey_levels(series: Series) -> GreyLevels | None:
    """Grey levels of a series; None where no image shows the femur's shaft."""
    regions = find_legs(series)
    if not regions.windows:
        return None
    qualities = judge_images(series, make_samples(series, regions.windows, 224))
    shown = thigh_images(regions.windows, qualities)
    measured = []
    for window, quality, thigh in zip(regions.windows, qualities, shown, strict=True):
        if not (thigh and quality.femur):
            continue
        part = (window.slice, slice(*window.j), slice(*window.i))
        inside = regions.labels[part] == LABEL_OF_SIDE[window.side]
        measured.append(_levels(series.voxels[part], inside, series.geometry.spacing[0], quality.fat_to_muscle))
    return GreyLevels(*np.nanmedian(measured, axis=0)) if measured else None


def _levels(image: np.ndarray, inside: np.ndarray, pixel_mm: float, marrow_to_muscle: float) -> tuple[float, ...]:
    values = image[inside]
    threshold = _otsu(values)
    fat = float(np.median(values[values > threshold]))
    lean = inside & (image < threshold) & (image > 0.1 * fat)
    muscle = float(np.median(image[lean]))
    homogeneous = ndimage.binary_erosion(lean, iterations=2)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    rough = np.abs(ndimage.convolve(image, kernel))[homogeneous]
    noise = float(np.median(rough) / (6 * 0.6745)) if rough.size else np.nan
    steepest = ndimage.maximum_filter(np.hypot(*np.gradient(image, pixel_mm)), 5)
    height = ndimage.maximum_filter(image, 7)
    filled = np.pad(inside, 1)[1:-1, 1:-1]
    border = filled & ~ndimage.binary_erosion(filled, border_value=1)
    width = height[border] / np.maximum(steepest[border], 1e-6 * fat)
    return muscle / fat, marrow_to_muscle, noise / muscle, float(np.median(width))


def _otsu(values: np.ndarray) -> float:
    """Threshold of largest variance between two classes (Otsu 1979)."""
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.GetImageFromArray(values[None]))
    return float(otsu.GetThreshold())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", type=Path, nargs="*", help="real T1-weighted studies")
    parser.add_argument("--phantoms", type=int, default=60)
    options = parser.parse_args()
    names = [field.name for field in fields(GreyLevels)]
    print("series | " + " | ".join(names))
    for study in options.studies:
        levels = grey_levels(read_study(study))
        print(f"{study.name} | " + (" | ".join(f"{x:.3f}" for x in astuple(levels)) if levels else "no thigh"))
    found = [grey_levels(make_phantom(seed, slices=2).series) for seed in range(options.phantoms)]
    table = np.array([astuple(levels) for levels in found if levels])
    for name, share in (("least", 0), ("5th percentile", 5), ("median", 50), ("95th percentile", 95), ("most", 100)):
        print(
            f"{len(table)} phantoms, {name} | " + " | ".join(f"{x:.3f}" for x in np.nanpercentile(table, share, axis=0))
        )


if __name__ == "__main__":
    main()
