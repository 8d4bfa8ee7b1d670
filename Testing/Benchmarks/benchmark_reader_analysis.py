"""How long the analysis of a reader study takes on one core, and what of it dominates; and how often the comparison of
arms finds a difference where there is none.

Run as `OMP_NUM_THREADS=1 python Testing/Benchmarks/benchmark_reader_analysis.py [--readers 20] [--cases 1000]
[--null-studies 40000]`. Seconds are of the processor, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))

import numpy as np
from simulated_reads import simulated_reads
from test_mrmc import STRUCTURES, performance, roe_metz

from DystrophyDxLib.readerstudy.analysis.analyse import analyse
from DystrophyDxLib.readerstudy.reads import Reads
from DystrophyDxLib.statistics.merit import RANDOM
from DystrophyDxLib.statistics.mrmc import compare_arms

SHOWN = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--null-studies", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    reads = simulated_reads(options.seed, readers=options.readers, cases=options.cases, duplicates=options.cases // 20)
    with tempfile.TemporaryDirectory() as folder:
        reads.write(Path(folder) / "tables")
        print(
            f"{options.readers} readers, {options.cases} cases, {len(reads.reads)} answers, {len(reads.mercuri)} grades"
        )
        seconds = time.process_time()
        analyse(Reads.read(Path(folder) / "tables"), Path(folder) / "report", overwrite=False)
        print(f"read and analysed: {time.process_time() - seconds:.1f} s")
        print_what_dominates(reads, Path(folder) / "profiled")
    if options.null_studies:
        print_level(options.null_studies, options.seed)


def print_what_dominates(reads: Reads, out: Path) -> None:
    """The parts that take longest, under the profiler, which makes all of them slower."""
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(analyse, reads, out, overwrite=False)
    stats = pstats.Stats(profiler).stats
    parts = [
        (cumulated, Path(file).stem, function)
        for (file, _, function), (_, _, _, cumulated, _) in stats.items()
        if "DystrophyDxLib" in file
    ]
    for cumulated, module, function in sorted(parts, reverse=True)[:SHOWN]:
        print(f"  {cumulated:6.1f} s  {module}.{function}")


def print_level(studies: int, seed: int) -> None:
    """Share of studies without a difference in which one is found, which should be 5 %."""
    rng = np.random.default_rng(seed)
    for structure in STRUCTURES:
        called = [
            compare_arms(performance(*roe_metz(rng, **structure), covariance="DeLong"), RANDOM[0]).p < 0.05
            for _ in range(studies // len(STRUCTURES))
        ]
        error = np.sqrt(0.05 * 0.95 / len(called))
        print(f"{structure}: {np.mean(called):.4f} of {len(called)} (5 % within ± {2 * error:.4f})")


if __name__ == "__main__":
    main()
