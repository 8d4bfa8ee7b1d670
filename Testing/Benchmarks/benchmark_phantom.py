"""Speed of the phantom on one core, and its shares: `python Testing/Benchmarks/benchmark_phantom.py`."""

import cProfile
import os
import pstats
import time

os.environ["OMP_NUM_THREADS"] = "1"

from DystrophyDxLib.phantom import CONTRASTS, make_phantom

PHANTOMS, SLICES = 10, 6
STAGES = {
    "draw": "anatomy", "legs_at": "outlines", "lesions": "fat and oedema in muscles", "signal": "signal",
    "_magnitude": "image, with signal", "random_field": "smooth noise",
}  # fmt: skip


def slices_a_second(matrix: int, contrasts: tuple[str, ...]) -> float:
    start = time.process_time()
    for seed in range(PHANTOMS):
        make_phantom(seed, slices=SLICES, matrix=matrix, contrasts=contrasts)
    return PHANTOMS * SLICES / (time.process_time() - start)


def shares() -> None:
    profile = cProfile.Profile()
    profile.enable()
    for seed in range(PHANTOMS):
        make_phantom(seed, slices=SLICES)
    profile.disable()
    stats = pstats.Stats(profile)
    times: dict[str, float] = {}
    for (file, _, name), (_, _, _, cumulative, _) in stats.stats.items():
        if name in STAGES and "phantom" in file and cumulative > times.get(name, 0):
            times[name] = cumulative
    print("ms a slice: " + ", ".join(f"{STAGES[n]} {1000 * t / PHANTOMS / SLICES:.1f}" for n, t in times.items()))


if __name__ == "__main__":
    make_phantom(0, slices=1, contrasts=CONTRASTS)
    for matrix in (256, 512):
        print(f"{matrix} x {matrix}: {slices_a_second(matrix, ('T1',)):.0f} T1 slices a second a core")
    print(f"256 x 256, all contrasts: {slices_a_second(256, CONTRASTS):.0f} slices a second a core")
    shares()
