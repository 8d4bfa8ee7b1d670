"""What an archive's engine costs, how it scales, and how fast several processes read headers.

    python Testing/Benchmarks/benchmark_archive.py headers --files 20000 --processes 2
    python Testing/Benchmarks/benchmark_archive.py engine --studies 24 --workers 2

`headers` looks through a tree of DICOM headers with one process and with several, in turns, and compares what they
find. `engine` classifies copies of the sample study, with the shipped models, in a plain loop over what a worker does,
and by one and by several workers on Ray, in turns; loading the models and the first study of each worker are not
counted. Time of the processor is that of all processes: where others use the computer, too, it tells more than the
clock.
"""

from __future__ import annotations

import argparse
import copy
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1")  # as a worker has them
os.environ |= {"RAY_worker_niceness": "0"}  # as the loop has it; Ray's own 15 gives way to whatever else runs

import pydicom
from pydicom.uid import generate_uid

from DystrophyDxLib.archive.crew import OWN_PROCESS, OwnProcesses
from DystrophyDxLib.archive.engine import RayWorkers, Resources, connected
from DystrophyDxLib.archive.pseudonyms import Pseudonyms
from DystrophyDxLib.archive.schedule import Schedule
from DystrophyDxLib.archive.studies import Study
from DystrophyDxLib.archive.tree import TreeScan
from DystrophyDxLib.archive.worker import Model, StudyWorker
from DystrophyDxLib.files.resources import embedded_model, muscle_model, pattern_model, sample_study
from DystrophyDxLib.models.package import ModelPackage

KEY = Pseudonyms(b"of a benchmark alone")
IMAGES = 150
"""Of a study, of the tree of headers."""


def write_studies(folder: Path, count: int) -> None:
    """Writes copies of the sample study, each of another patient."""
    images = [pydicom.dcmread(path) for path in sorted(sample_study().iterdir())]
    for n in range(count):
        place = folder / f"{n}"
        place.mkdir(parents=True)
        study, series = generate_uid(), generate_uid()
        for k, image in enumerate(images):
            ds = copy.copy(image)
            ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = f"P{n}", study, series
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            ds.save_as(place / f"{k}.dcm", enforce_file_format=True)


def write_headers(folder: Path, files: int) -> None:
    """Writes files that end with their headers, `IMAGES` a study."""
    ds = pydicom.dcmread(next(sample_study().iterdir()), stop_before_pixels=True)
    ds.PatientID, ds.StudyInstanceUID = "P1000000000", "1.2.840.1000000000"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.840.2000000000"
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    for start in range(0, files, IMAGES):
        place = folder / f"{start}"
        place.mkdir(parents=True)
        of_study = stream.getvalue().replace(b"1000000000", str(1_000_000_000 + start).encode())
        for n in range(start, min(start + IMAGES, files)):
            (place / f"{n}").write_bytes(of_study.replace(b"2000000000", str(2_000_000_000 + n).encode()))


def headers(files: int, processes: int, runs: int) -> dict[str, object]:
    """Seconds of one process and of several."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_headers(folder, files)
        crews = {"one process": OWN_PROCESS, f"{processes} processes": OwnProcesses(processes)}
        seconds: dict[str, list[float]] = {name: [] for name in crews}
        found = []
        for _ in range(runs):
            for name, crew in crews.items():
                began = time.perf_counter()
                found.append(TreeScan(folder, KEY, crew=lambda _, crew=crew: crew).run())
                seconds[name].append(time.perf_counter() - began)
        if any(each != found[0] for each in found):
            raise SystemExit("They did not find the same.")
        one, many = (statistics.median(each) for each in seconds.values())
        return {
            "files": files,
            "studies found, by all": len(found[0].studies),
            **{f"seconds, {name}": [round(each, 2) for each in own] for name, own in seconds.items()},
            "ratio of the medians": round(one / many, 2),
        }


class Timed(RayWorkers):
    """Workers that are given nothing before all are ready, and know when that was."""

    def wait_for_all(self, count: int, warm_up: Study) -> list[object]:
        """Starts them, and returns when each has loaded the models and classified a study."""
        for _ in range(count):
            super().start()
        ready: list[object] = []
        while len(ready) < count:
            for event in self.events(1.0):
                if event.outcome is None:
                    self.give(event.worker, warm_up, None)
                else:
                    ready.append(event.worker)
        return ready

    def with_ready(self, ready: list[object]) -> Timed:
        """The same, whose `start` gives one of those that are ready."""
        self._ready = list(ready)
        return self

    def start(self) -> object:  # type: ignore[override]
        worker = self._ready.pop()
        self._refs[self._actors[worker].ready.remote()] = worker
        return worker


def in_a_loop(worker: StudyWorker, studies: list[Study]) -> Iterator[object]:
    """What a worker does, without any engine."""
    for study, ahead in zip(studies, [*studies[1:], None], strict=True):
        yield worker.run(study, ahead)


def engine(studies: int, workers: int, runs: int) -> dict[str, object]:
    """Seconds of a plain loop, of one worker and of several."""
    import torch

    torch.set_num_threads(1)
    model = Model.read(ModelPackage.read(embedded_model()), muscle_model(), pattern_model())
    make = partial(StudyWorker, model, "cpu", None, 8.0)
    told: dict[str, object] = {"studies": studies, "load before": round(os.getloadavg()[0], 2)}
    clock: dict[str, list[float]] = {}
    processor: dict[str, list[float]] = {}

    def timed(name: str, outcomes: Callable[[], Iterable[object]]) -> None:
        before, began = cpu_seconds(os.getpid()), time.perf_counter()
        done = len(list(outcomes()))
        clock.setdefault(name, []).append((time.perf_counter() - began) / done)
        after = cpu_seconds(os.getpid())
        processor.setdefault(name, []).append(sum(used - before.get(pid, 0) for pid, used in after.items()) / done)

    with tempfile.TemporaryDirectory() as folder, connected(None, workers):
        write_studies(Path(folder), studies)
        found = TreeScan(Path(folder), KEY).run().studies
        plain = make()
        plain.run(found[0])
        for _ in range(runs):
            timed("a plain loop", lambda: in_a_loop(plain, found))
            for count in (1, workers):
                with closing(Timed(make, Resources(count))) as own:
                    ready = own.wait_for_all(count, found[0])
                    schedule = Schedule[Study](own.with_ready(ready), count, 600.0)
                    timed(f"workers: {count}", partial(schedule.outcomes, found))
    told["load after"] = round(os.getloadavg()[0], 2)
    for name in clock:
        told[f"seconds a study, {name}"] = [round(each, 3) for each in clock[name]]
        told[f"of the processor, {name}"] = [round(each, 3) for each in processor[name]]
    loop, one, many = (statistics.median(each) for each in clock.values())
    told["cost of the engine, by the clock"] = f"{one / loop - 1:+.1%}"
    loop_cpu, one_cpu, _ = (statistics.median(each) for each in processor.values())
    told["cost of the engine, of the processor"] = f"{one_cpu / loop_cpu - 1:+.1%}"
    told[f"from one worker to {workers}, by the clock"] = f"{one / many:.2f} times as fast"
    return told


def cpu_seconds(pid: int) -> dict[int, float]:
    """Of a process and of all that it has begun and that are there still, as Linux tells it."""
    stat = {int(path.name): path / "stat" for path in Path("/proc").iterdir() if path.name.isdigit()}
    parent, ticks = {}, {}
    for number, path in stat.items():
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        parent[number], ticks[number] = int(fields[1]), int(fields[11]) + int(fields[12])
    own = {pid}
    while more := {number for number, of in parent.items() if of in own} - own:
        own |= more
    return {number: ticks[number] / os.sysconf("SC_CLK_TCK") for number in own if number in ticks}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["headers", "engine"])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--studies", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    told = (
        headers(given.files, given.processes, given.runs)
        if given.what == "headers"
        else engine(given.studies, given.workers, given.runs)
    )
    for what, figure in told.items():
        print(f"{what}: {figure}")


if __name__ == "__main__":
    main()
