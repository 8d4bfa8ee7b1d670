"""Accuracy and speed of the leg windows: `python Testing/Benchmarks/benchmark_roi.py`.

On synthetic pairs of legs with known outlines, and on the real series beside the checkout where there are any.
"""

import os
import sys
import time
from collections import Counter
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))

import numpy as np
import SimpleITK as sitk
from leg_pairs import border_error_mm, make_leg_pair
from shared_data import SHARED_DATA

from DystrophyDxLib.regions.legs import find_legs
from DystrophyDxLib.regions.windows import LABEL_OF_SIDE
from DystrophyDxLib.series.reading import read_study
from DystrophyDxLib.series.series import Series

PAIRS = 40
SLICES = 24


def synthetic() -> None:
    print("contact mm | both legs found | cut error mm, 95th pct | leg inside, min | window / box, median and max")
    errors = []
    for contact in (-30, -5, 0, 10, 20, 30, 40, 50, 60):
        found, inside, area, error = 0, [], [], []
        for seed in range(PAIRS):
            noise, shading = (0.01, 0.025, 0.04)[seed % 3], (1.0, 2.0, 3.0)[seed % 3]
            pair = make_leg_pair(1000 * (contact + 100) + seed, contact, noise=noise, shading=shading)
            regions = find_legs(pair.series)
            found += len(regions.windows) == 2
            error += border_error_mm(pair, regions.labels[0]).tolist()
            for window in regions.windows:
                leg = pair.legs == LABEL_OF_SIDE[window.side]
                rows, columns = np.nonzero(leg)
                box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
                inside.append(leg[slice(*window.j), slice(*window.i)].sum() / leg.sum())
                area.append((window.i[1] - window.i[0]) * (window.j[1] - window.j[0]) / box)
        errors += error
        cut = f"{np.percentile(error, 95):.1f}" if error else "-"
        print(f"{contact:10} | {found} of {PAIRS} | {cut} | {min(inside):.4f} | {np.median(area):.3f} {max(area):.3f}")
    print(f"cut error over all: median {np.median(errors):.1f} mm, 95th percentile {np.percentile(errors, 95):.1f} mm")


def speed() -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    pair = make_leg_pair(1, 30).series
    series = Series(np.repeat(pair.voxels, SLICES, axis=0), pair.geometry)
    find_legs(series)
    start = time.perf_counter()
    find_legs(series)
    print(f"{(time.perf_counter() - start) / SLICES * 1000:.1f} ms a 512 x 512 slice with touching legs, one core")


def real() -> None:
    studies = [*sorted(SHARED_DATA.glob("t1_thigh_dicom/*")), *sorted(SHARED_DATA.glob("bilateral_dixon/*.nii.gz"))]
    if not studies:
        print("no real series beside this checkout")
        return
    print("series | slices | with windows | windows | sides | touching | cut by border | skipped, by reason")
    for path in studies:
        series = read_study(path)
        regions = find_legs(series)
        reasons = Counter(item.reason for item in regions.skipped)
        facts = (
            path.name,
            len(series.voxels),
            len({window.slice for window in regions.windows}),
            len(regions.windows),
            ", ".join(sorted({window.side.value for window in regions.windows})),
            len(regions.touching),
            len(regions.cut_by_border),
            ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "-",
        )
        print(" | ".join(map(str, facts)))


if __name__ == "__main__":
    synthetic()
    speed()
    real()
