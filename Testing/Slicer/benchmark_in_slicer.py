"""CPU time of what the panel's user waits for, on 62 images, in a real Slicer.

    SLICER_BACKGROUND_THREAD_PRIORITY=0 Slicer --testing --additional-module-paths DystrophyDx \\
        --python-script Testing/Slicer/benchmark_in_slicer.py

Time is that of the processor, so that other programs hardly count; without the variable Slicer for Linux gives way to
all of them. With "profile" behind the script, it says of what.
"""

import cProfile
import pstats
import sys
import time
import traceback

import numpy as np
import slicer

from DystrophyDxLib.files.resources import embedded_model, muscle_model
from DystrophyDxLib.models.package import ModelPackage
from DystrophyDxLib.mrml.pipeline import ModelOnDevice
from DystrophyDxLib.mrml.segmentation import labels_from_segmentation, set_labels
from DystrophyDxLib.mrml.volumes import add_series
from DystrophyDxLib.phantom import make_phantom

RUNS = 5


def cpu_ms(job):
    start = time.process_time()
    job()
    slicer.app.processEvents()
    return 1000 * (time.process_time() - start)


def erode(classification, k, run):
    """Takes some columns of both legs of a slice away, others in each round."""
    labels = labels_from_segmentation(classification.segmentation, classification.volume)
    columns = np.flatnonzero(labels[k].any(axis=0))
    labels[k][:, columns[run :: len(columns) // 4]] = 0
    set_labels(classification.segmentation, classification.volume, labels)


def networks_ms(classifier, series):
    """Of a classification without Slicer: CPU time of all of it, and of its two networks alone."""
    spent = []

    def timed(forward):
        def run(*arguments):
            start = time.process_time()
            found = forward(*arguments)
            spent.append(1000 * (time.process_time() - start))
            return found

        return run

    network, maps = classifier.network, classifier.mapper.network
    network.forward, maps.forward = timed(network.forward), timed(maps.forward)
    try:
        return cpu_ms(lambda: classifier.classify(series)), sum(spent)
    finally:
        del network.forward, maps.forward


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        slicer.app.processEvents()


def main():
    slicer.util.selectModule("DystrophyDx")
    page = slicer.util.getModuleWidget("DystrophyDx").classification
    series = make_phantom(3, "DMD", slices=31, matrix=320).series
    volume = add_series(slicer.mrmlScene, series, "Thighs")
    page.study.ui.inputSelector.setCurrentNode(volume)
    classify, again = page.bar.ui.classifyButton, page.bar.ui.reclassifyButton
    first = cpu_ms(classify.click)
    assert page.context.result is not None, page.bar.ui.messageLabel.text
    classification = page.context.classification
    whole = [cpu_ms(classify.click) for _ in range(RUNS)]
    classifier = ModelOnDevice(ModelPackage.read(embedded_model()), "cpu", muscle_model()).classifier
    without, networks = zip(*(networks_ms(classifier, series) for _ in range(RUNS)), strict=True)
    corrected = []
    for run in range(RUNS):
        erode(classification, 15, run)
        until(lambda: again.enabled)  # the panel tells what was edited
        assert again.enabled, page.bar.ui.messageLabel.text
        corrected.append(cpu_ms(again.click))
        assert not classification.pending, page.bar.ui.messageLabel.text
    for name, figure in (
        ("images", len(classification.result.images)),
        ("first Classify, ms of CPU", first),
        ("Classify to overlay, ms of CPU", np.median(whole)),
        ("the same without Slicer, ms of CPU", np.median(without)),
        ("the two networks alone, ms of CPU", np.median(networks)),
        ("Classify to overlay: at most, ms of CPU", 1.5 * np.median(networks) + 500),
        ("Re-classify after correcting one slice, ms of CPU", np.median(corrected)),
    ):
        print(f"{name:52} {figure:.0f}")
    if "profile" in sys.argv:
        erode(classification, 15, RUNS)
        until(lambda: again.enabled)
        profile = cProfile.Profile()
        profile.runcall(lambda: cpu_ms(again.click))
        pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats(40)
        page.region.ui.resetAllButton.click()
        profile = cProfile.Profile()
        profile.runcall(lambda: cpu_ms(classify.click))
        pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats(60)


if __name__ == "__main__":
    code = 1
    try:
        main()
        code = 0
    except BaseException:
        traceback.print_exc()
    slicer.util.exit(code)
