"""The DICOM node: what kills do to it, how many studies it answers in a minute, and the memory that takes.

    python Testing/Benchmarks/benchmark_node.py kills --kills 200 --studies 200
    python Testing/Benchmarks/benchmark_node.py kills --model --kills 20 --studies 20 --longest-life 30
    python Testing/Benchmarks/benchmark_node.py throughput --studies 20
    python Testing/Benchmarks/benchmark_node.py images --images 2000
    python Testing/Benchmarks/benchmark_node.py objects STUDY

`kills` sends studies to a node that is killed at random moments, and an archive on the same computer counts what it is
given: each study must have one answer, of four objects. The answers are drawn instead of classified, another one each
time, so that a second answer would be seen; with `--model` the shipped model classifies copies of some slices of the
sample study, whose answers must all be the same. The exit status is 1 where one is lost, there twice or another one.
`throughput` runs
the command with the shipped model on copies of the sample study. `images` sends many in one
association by dcmtk. `objects` times the DICOM objects of a study, image
file or DICOM, as the shipped model answers it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))

import numpy as np
import pydicom
import SimpleITK as sitk
from dicom_files import write_series
from exchange_cases import study_datasets, texts
from node_cases import (
    ANSWER_S,
    LOOPBACK,
    Archive,
    Tiny,
    forking_processes,
    free_port,
    run_for_ever,
    store,
    study,
    wait_until,
)
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import evt

from DystrophyDxLib.commands.node_worker import make_classify
from DystrophyDxLib.exchange.node.status import NodeStatus
from DystrophyDxLib.exchange.node.worker import MakeClassify
from DystrophyDxLib.files.resources import sample_study

ROOT = Path(__file__).resolve().parents[2]
LONGEST_S = 3600.0
SOME_SLICES = slice(6, 10)
"""Of the sample study: of the thighs."""
QUIET_S = 1.0
"""Long enough for a sender to send the rest of a study again to the node that follows a killed one."""


@dataclass
class Keeping(Archive):
    """Remembers what is told and drawn in each object, too, but of the overview, which names the study."""

    content: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def _store(self, event: evt.Event) -> int:
        ds = event.dataset
        heat_or_picture = ds.get("FloatPixelData") or ds.get("PixelData")
        told = heat_or_picture or json.dumps([texts(ds), list(figures(ds))]).encode()
        if "overview" not in ds.SeriesDescription:
            self.content[str(ds.SOPInstanceUID)] = ds.SeriesDescription, hashlib.sha256(told).digest()
        return super()._store(event)


def kill_nodes(kills: int, studies: int, seed: int, longest_life_s: float, model: bool) -> dict[str, object]:
    """Kills so many nodes, one after the other on one folder, while so many studies are sent.

    Args:
        model: whether the shipped model classifies.
    """
    draw = random.Random(seed)
    processes = forking_processes(*(("torch", "DystrophyDxLib.mrml.pipeline") if model else ()))
    make: MakeClassify = partial(make_classify, None, "cpu") if model else Tiny
    unsent = [_copy_of_sample(SOME_SLICES) if model else study(draw.randint(8, 16)) for _ in range(studies)]
    uids = [images[0].StudyInstanceUID for images in unsent]
    port, began, cut = free_port(), time.monotonic(), 0
    with tempfile.TemporaryDirectory() as place, Keeping().open() as archive:
        folder = Path(place) / "node"
        found: Counter[str] = Counter()
        for n in range(kills + 1):
            process = processes.Process(target=run_for_ever, args=(folder, port, archive.port, QUIET_S, make))
            process.start()
            life = threading.Timer(draw.uniform(0.05, longest_life_s), process.kill)
            if n < kills:
                life.start()
            due = studies if n >= kills else max(1, studies * (n + 1) // kills)
            while process.is_alive() and (n < kills or unsent):
                if unsent and len(unsent) > studies - due:
                    statuses = store(port, unsent[0], answer_s=ANSWER_S)
                    cut += 0 in statuses and None in statuses
                    unsent[0] = [ds for ds, status in zip(unsent[0], statuses, strict=True) if status != 0]
                    unsent = unsent[not unsent[0] :]
                time.sleep(0.02)
            if n == kills:
                wait_until(lambda: _is_done(folder, studies), LONGEST_S)
            elif (folder / "node.sqlite3").exists():
                found.update({what: bool(number) for what, number in NodeStatus.read(folder).counts().items()})
            process.kill()
            process.join()
        objects = Counter(archive.study_of.values())
        wrong = [uid for uid in uids if objects[uid] != 4]
        kinds = Counter(kind for kind, _ in set(archive.content.values()))
        different = [kind for kind, contents in kinds.items() if model and contents > 1]
        return {
            "kills": kills,
            "studies": studies,
            "answers lost or there twice": len(wrong),
            "kinds of objects that differ": different,
            "objects given": sum(archive.got.values()),
            "of them again after a kill": sum(archive.got.values()) - len(archive.got),
            "studies cut by a kill": cut,
            "kills with studies waiting": found["waiting"],
            "kills with objects to send": found["objects to send"],
            "seconds": round(time.monotonic() - began),
        }


def figures(ds: Dataset) -> Iterator[str]:
    """All numbers of a report, in their order."""
    for item in ds.ContentSequence:
        if item.ValueType == "NUM":
            yield str(item.MeasuredValueSequence[0].NumericValue)
        if "ContentSequence" in item:
            yield from figures(item)


def _is_done(folder: Path, studies: int) -> bool:
    counts = NodeStatus.read(folder).counts()
    return counts["answered"] == studies and not counts["waiting"] and not counts["objects to send"]


def throughput(studies: int) -> dict[str, object]:
    """Time of so many copies of the sample study through the command, and its memory."""
    port = free_port()
    with tempfile.TemporaryDirectory() as place, Archive().open() as archive:
        folder = Path(place) / "node"
        asked = ["--folder", folder, "--send-to", f"ARCHIVE@{LOOPBACK}:{archive.port}", "--quiet", "1"]
        code = "from DystrophyDxLib.commands.main import main; main()"
        called = [sys.executable, "-c", code, "node", *map(str, asked), "--port", str(port)]
        started = time.monotonic()
        node = subprocess.Popen(called, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        try:
            assert node.stderr is not None, "it is piped"
            while " ready: " not in (line := node.stderr.readline()):
                if not line:
                    raise SystemExit("The node has ended.")
            ready = time.monotonic() - started
            idle, before = _memory(node.pid), _cpu_seconds(node.pid)
            began = time.monotonic()
            for _ in range(studies):
                statuses = store(port, _copy_of_sample())
                assert set(statuses) == {0}, statuses
            stored = time.monotonic() - began
            wait_until(lambda: _is_done(folder, studies), LONGEST_S)
            wait_until(lambda: len(archive.got) == 4 * studies, LONGEST_S)
            took = time.monotonic() - began
            return {
                "studies": studies,
                "images of each": len(list(sample_study().iterdir())),
                "seconds until ready": round(ready, 1),
                "seconds to store all": round(stored, 1),
                "studies a minute": round(60 * studies / took, 1),
                "CPU seconds a study": round((_cpu_seconds(node.pid) - before) / studies, 1),
                "MiB idle (node, worker)": idle,
                "MiB afterwards (node, worker)": _memory(node.pid),
            }
        finally:
            node.send_signal(signal.SIGTERM)
            node.wait(60)


def many_images(images: int) -> dict[str, object]:
    """Time and memory of a node that gets so many images, of 256 × 256 pixels, in one association of storescu."""
    with tempfile.TemporaryDirectory() as place, Archive().open() as archive:
        process = forking_processes().Process(
            target=run_for_ever, args=(Path(place) / "node", port := free_port(), archive.port, LONGEST_S)
        )
        process.start()
        sent = study_datasets(np.zeros((images, 256, 256), np.int16))  # all of one study
        wait_until(lambda: store(port, sent[:1]) == [0], 60)
        write_series(Path(place) / "s", sent)
        before, began = _memory(process.pid)[0], time.monotonic()
        done = subprocess.run(["storescu", "+sd", LOOPBACK, str(port), Path(place) / "s"], check=False)
        took = time.monotonic() - began
        after = _memory(process.pid)[0]
        (told,) = NodeStatus.read(Path(place) / "node").studies
        process.kill()
        process.join()
    return {
        "images": told.images,
        "exit status of storescu": done.returncode,
        "seconds": round(took, 1),
        "MiB before": before,
        "MiB after": after,
    }


def _copy_of_sample(slices: slice = slice(None)) -> list[pydicom.Dataset]:
    images = [pydicom.dcmread(path) for path in sorted(sample_study().iterdir())[slices]]
    study_uid, series_uid = generate_uid(), generate_uid()
    for ds in images:
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, series_uid
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return images


def _processes(pid: int) -> list[str]:
    """A process and its children."""
    return [str(pid), *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu_seconds(pid: int) -> float:
    """Of a process and its children."""
    fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in _processes(pid)]
    return sum(int(own[11]) + int(own[12]) for own in fields) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> tuple[int, ...]:
    """MiB of a process and its children, as Linux tells it."""
    told = [Path(f"/proc/{one}/status").read_text() for one in _processes(pid)]
    sizes = (line.split()[1] for text in told for line in text.splitlines() if line.startswith("VmRSS"))
    return tuple(round(int(size) / 1024) for size in sizes)


def time_objects(path: Path, runs: int) -> dict[str, object]:
    """Median processor time of writing the four objects of a study."""
    from DystrophyDxLib.exchange.folder import write_objects
    from DystrophyDxLib.exchange.making import Findings
    from DystrophyDxLib.exchange.source import Source
    from DystrophyDxLib.files.resources import embedded_model, muscle_model, pattern_model
    from DystrophyDxLib.models.package import ModelPackage
    from DystrophyDxLib.mrml.pipeline import ModelOnDevice
    from DystrophyDxLib.series.reading import read_study

    with tempfile.TemporaryDirectory() as place:
        series = read_study(path)
        if series.kind != "dicom":
            voxels = (series.voxels / series.voxels.max() * 4095).astype("int16")
            geometry = series.geometry
            write_series(Path(place) / "s", study_datasets(voxels, geometry.direction, spacing=geometry.spacing))
            path = Path(place) / "s"
            series = read_study(path)
        package = ModelPackage.read(embedded_model())
        found = ModelOnDevice(package, "cpu", muscle_model(), pattern_model()).classifier.classify(series)
        card = package.card.model_dump()
        findings = Findings(found.result, found.regions.labels, found.heatmap, found.muscles, card)
        overview = Path(place) / "overview.png"
        _draw(overview)
        times, parts = [], []
        for run in range(runs + 1):
            start = time.process_time()
            source = Source.read(path, series)
            read = time.process_time() - start
            paths = write_objects(source, findings, overview, Path(place) / str(run))
            times.append(time.process_time() - start - read)
            parts.append(read)
        return {
            "windows": len(found.result.images),
            "CPU seconds to write the objects": round(statistics.median(times[1:]), 2),
            "CPU seconds to read the source again": round(statistics.median(parts[1:]), 2),
            "MB": round(sum(path.stat().st_size for path in paths) / 1e6, 1),
        }


def _draw(path: Path) -> None:
    """A picture of the size of overview.png."""
    pixels = np.random.default_rng(1).integers(0, 255, (1200, 1600, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["kills", "throughput", "images", "objects"])
    parser.add_argument("study", nargs="?", type=Path, default=sample_study())
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--longest-life", type=float, default=4.0, help="Seconds until a node is killed, at most.")
    parser.add_argument("--model", action="store_true", help="Classify by the shipped model.")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.what == "kills":
        told = kill_nodes(given.kills, given.studies, given.seed, given.longest_life, given.model)
    elif given.what == "images":
        told = many_images(given.images)
    elif given.what == "throughput":
        told = throughput(given.studies)
    else:
        told = time_objects(given.study, given.runs)
    for what, figure in told.items():
        print(f"{what}: {figure}")
    sys.exit(bool(told.get("answers lost or there twice") or told.get("kinds of objects that differ")))


if __name__ == "__main__":
    main()
