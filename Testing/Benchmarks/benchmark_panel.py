"""What the panel's user waits for: classify, correct one slice, classify again; and the memory that takes.

    python Testing/Benchmarks/benchmark_panel.py [STUDY]

Memory is what Linux says of the process, relative to the volume and beyond it, for four such volumes end to end.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))

import numpy as np
from offscreen import OffscreenSlicer

from DystrophyDxLib.classify import Classifier
from DystrophyDxLib.files.resources import embedded_model, sample_study
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.mrml.classification import SceneClassification
from DystrophyDxLib.mrml.classification_view import ClassificationView
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation, set_labels
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.series.reading import read_study

RUNS = 7


def main(path: Path) -> None:
    slicer_app = OffscreenSlicer()
    classifier = Classifier(ModelPackage.read(embedded_model()))
    classification = SceneClassification(add_series(slicer_app.scene, read_study(path)))
    classification.classify(classifier)
    size = classification.volume.GetImageData().GetDimensions()
    middle = size[2] // 2
    peak, kept = _memory(slicer_app, classifier, path)
    view = ClassificationView(slicer_app.scene)
    slicer_app.resize(800, 800)
    view.show(classification)
    view.go_to(min(classification.result.images, key=lambda image: abs(image.slice - middle)))
    slicer_app.picture()

    batches = _Batches()
    whole, seen, again, pending, pictures = [], [], [], [], []
    for run in range(RUNS + 1):
        classification.reset()  # else it would be the correction that is classified
        batches.start()
        whole.append(_seconds(lambda: classification.classify(classifier, batches)))
        seen.append(_seconds(lambda: (view.show(classification), slicer_app.picture())))
        _erode(classification, middle, run)
        pending.append(_seconds(lambda: classification.pending))
        again.append(_seconds(lambda: classification.reclassify(classifier)))
        pictures.append(_seconds(slicer_app.picture))
    medians = {
        "windows": len(classification.result.images),
        "Classify to overlay in the view, ms": _ms([a + b for a, b in zip(whole, seen, strict=True)]),
        "classify into the scene, ms": _ms(whole),
        "longest batch, ms": 1000 * max(batches.seconds),
        "after correcting one slice, ms": _ms(again),
        "its share of the whole, %": 100 * statistics.median(a / b for a, b in zip(again[1:], whole[1:], strict=True)),
        "whether a correction is pending, ms": _ms(pending),
        "a picture of the view, ms": _ms(pictures),
        "peak memory of classify / volume": peak,
        "memory kept by the study / volume": kept,
    }
    for name, figure in medians.items():
        print(f"{name:40} {figure:.3g}")


def _memory(slicer_app: OffscreenSlicer, classifier: Classifier, path: Path) -> tuple[float, float]:
    """Peak of classifying and what stays afterwards, in volumes, on top of the volume itself."""
    series = read_study(path)
    # Arrays above 32 MiB go back to the system when they are freed, so that what is counted is in use.
    long = dataclasses.replace(series, voxels=np.tile(series.voxels, (4, 1, 1)))
    classification = SceneClassification(add_series(slicer_app.scene, long))
    Path("/proc/self/clear_refs").write_text("5")
    before = _process_bytes("VmRSS")
    classification.classify(classifier)
    figures = (
        (_process_bytes("VmHWM") - before) / long.voxels.nbytes,
        (_process_bytes("VmRSS") - before) / (long.voxels.nbytes),
    )
    classification.remove()
    slicer_app.scene.RemoveNode(classification.volume)
    return figures


class _Batches:
    """Progress that notes how long each batch took, the last round's only."""

    def start(self) -> None:
        self.seconds: list[float] = []
        self._last: float | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.seconds.append(now - self._last)
        self._last = now


def _erode(classification: SceneClassification, k: int, run: int) -> None:
    """Takes some columns of both legs of a slice away, others in each round."""
    labels = labels_from_segmentation(classification.segmentation, classification.volume)
    columns = np.flatnonzero(labels[k].any(axis=0))
    labels[k][:, columns[run :: len(columns) // 4]] = 0
    set_labels(classification.segmentation, classification.volume, labels)


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _ms(seconds: list[float]) -> float:
    return 1000 * statistics.median(seconds[1:])


def _process_bytes(what: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else sample_study())
