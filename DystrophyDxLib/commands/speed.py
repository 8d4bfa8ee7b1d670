"""Speed and memory of a classification, as ratios measured in one run."""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..classify import BATCH, Classifier
from ..files.resources import embedded_model
from ..models.package import ModelPackage
from ..regions.legs import find_legs
from ..reporting.progress import Advance
from ..samples.slice_samples import make_samples
from ..series.image_files import as_image
from ..series.reading import read_study
from ..series.series import Series

MOST_RUNS = 7
LEAST_RUNS = 3
ENOUGH_S = 15.0
"""Seconds after which a comparison ends, when it has had `LEAST_RUNS`: without native bfloat16 a run takes many times
as long."""
Figures = dict[str, float | str]
"""By name; words where a figure cannot be had."""
GRAD_CAM_WINDOWS = 2 * BATCH
"""Windows, of which each costs the same, that Grad-CAM explains."""


def measure(study: Path, device: str, advance: Advance) -> Figures:
    """Measures a study with the embedded model.

    Args:
        advance: told what is measured, how many parts are done, and of how many.

    Returns:
        Figures by name; ratios are medians over runs in turn, so that a drifting machine does not matter.
    """
    series = read_study(study)
    classifier = Classifier(ModelPackage.read(embedded_model()), device)
    parts: dict[str, Callable[[], Figures]] = {
        "Measuring classification": lambda: _against_bare_forward(classifier, series),
        "Measuring Grad-CAM": lambda: _against_grad_cam(classifier, series),
        "Measuring the command line": lambda: _command_line(study),
        "Measuring memory": lambda: _memory(study),
    }
    figures: Figures = {"windows": float(len(find_legs(series).windows))}
    for number, (what, measured) in enumerate(parts.items()):
        advance(what, number, len(parts))
        figures |= measured()
    return figures


def _seconds(*jobs: Callable[[], object]) -> list[list[float]]:
    """Seconds of each job in `LEAST_RUNS` to `MOST_RUNS` rounds, the jobs in turn, after one round that is not
    counted."""
    for job in jobs:
        job()
    seconds: list[list[float]] = [[] for _ in jobs]
    start = time.perf_counter()
    for done in range(MOST_RUNS):
        if done >= LEAST_RUNS and time.perf_counter() - start > ENOUGH_S:
            break
        for job, taken in zip(jobs, seconds, strict=True):
            began = time.perf_counter()
            job()
            taken.append(time.perf_counter() - began)
    return seconds


def _ratio(slow: list[float], fast: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def _against_bare_forward(classifier: Classifier, series: Series) -> Figures:
    """Region, samples, network, gates, heatmap and case against the network's forward pass alone."""
    pixels = make_samples(series, find_legs(series).windows, classifier.package.recipe.sample.size).pixels
    batches = [part.contiguous() for part in pixels.split(BATCH)]
    network = classifier.network

    def bare() -> None:
        for batch in batches:
            network.forward(network.used, batch)

    whole, forward, roi = _seconds(lambda: classifier.classify(series), bare, lambda: find_legs(series))
    return {
        "classify, s": statistics.median(whole),
        "bare forward pass, s": statistics.median(forward),
        "region alone, s": statistics.median(roi),
        "region alone, ms a slice": 1000 * statistics.median(roi) / len(series.voxels),
        "classify / bare forward pass": _ratio(whole, forward),
    }


def _against_grad_cam(classifier: Classifier, series: Series) -> Figures:
    """Our maps against pytorch-grad-cam's of the same windows by the same network; it works in full precision."""
    if importlib.util.find_spec("pytorch_grad_cam") is None:
        return {"GradCAM / ours": "pytorch-grad-cam is not installed"}
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    network = classifier.network

    class Scores(torch.nn.Module):
        """The network as that library wants it: scores only."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network.exact

        def forward(self, samples: torch.Tensor) -> torch.Tensor:
            return self.network(samples).logits

    windows = find_legs(series).windows[:GRAD_CAM_WINDOWS]
    batches = make_samples(series, windows, classifier.package.recipe.sample.size).pixels.split(BATCH)
    trunk, pooled = network.exact.trunk, network.exact.pooled
    last = [*trunk.children()][pooled[-1].number] if pooled else trunk
    with GradCAM(model=Scores(), target_layers=[last]) as explainer:

        def grad_cam() -> None:
            for batch in batches:
                explainer(input_tensor=batch, targets=[ClassifierOutputTarget(0)] * len(batch))

        def ours() -> None:
            for batch in batches:
                network.forward(network.used, batch)

        def ours_in_full_precision() -> None:
            for batch in batches:
                network.forward(network.exact, batch)

        theirs, fast, full = _seconds(grad_cam, ours, ours_in_full_precision)
    return {
        "GradCAM / ours": _ratio(theirs, fast),
        "GradCAM / ours in full precision": _ratio(theirs, full),
    }


def _command_line(study: Path) -> Figures:
    """Wall time of `dystrophydx classify` from start to exit, and each stage's share of it."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        timing = json.loads(_classified_in_own_process(study, Path(folder) / "out"))["timing_s"]
        wall = time.perf_counter() - start
    stages = {f"{stage}, share": timing[stage] / wall for stage in ("read", "load", "roi", "network", "write")}
    return {"command line, s": wall, **stages, "start and exit, share": 1 - sum(stages.values())}


def _memory(study: Path) -> Figures:
    """Peak memory of the command line, and how it grows with slices relative to the volumes in memory."""
    import SimpleITK as sitk

    if sys.platform == "win32":
        return {"peak memory, MiB": "Windows does not tell it"}
    series = read_study(study)
    with tempfile.TemporaryDirectory() as folder:
        peaks = []
        for repeats in (1, 4):
            path = Path(folder) / f"{repeats}.nrrd"
            sitk.WriteImage(as_image(np.tile(series.voxels, (repeats, 1, 1)), series.geometry), str(path))
            peaks.append(_peak_bytes(path))
    volume = series.voxels.nbytes
    return {
        "peak memory, MiB": peaks[0] / 2**20,
        "volume, MiB": volume / 2**20,
        "growth a slice / a slice": (peaks[1] - peaks[0]) / (3 * volume),
    }


def _peak_bytes(study: Path) -> int:
    code = (
        "import sys; from DystrophyDxLib.commands.speed import peak_of_classification; "
        "print(peak_of_classification(sys.argv[1]))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(study)], capture_output=True, text=True, check=True)
    return int(run.stdout)


def peak_of_classification(study: str) -> int:
    """Peak memory in bytes of this process after classifying `study`, files not written."""
    Classifier(ModelPackage.read(embedded_model()), "cpu").classify(read_study(study))
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _classified_in_own_process(study: Path, out: Path) -> str:
    code = "from DystrophyDxLib.commands.main import main; main()"
    command = [sys.executable, "-c", code, "classify", str(study), "--out", str(out), "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
