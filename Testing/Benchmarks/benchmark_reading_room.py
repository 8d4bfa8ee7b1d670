"""What a reader waits for between two cases of usual size: from the answer to both views of the next case.

python Testing/Benchmarks/benchmark_reading_room.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))

import numpy as np
from offscreen import OffscreenSlicer
from reader_studies import SetClock, make_protocol
from reading_cases import BLOCK, make_reading_study, write_image

from DystrophyDxLib.mrml.layouts import MRI_VIEW
from DystrophyDxLib.mrml.reading_room import ReadingRoom
from DystrophyDxLib.readerstudy.questions import Answer
from DystrophyDxLib.readerstudy.session import ReadingSession

VIEWS = ("Red", MRI_VIEW)


def main(folder: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 1000, (31, 512, 512)).astype(np.int16)
    evidence = np.zeros(grey.shape, np.float32)
    evidence[BLOCK] = 0.7

    def of_usual_size(image: Path, heatmap: Path, number: int) -> None:
        write_image(image, grey)
        write_image(heatmap, evidence)

    protocol = make_protocol(cases=4, design="fully-crossed", arms=["aided"], washout_days=0)
    study = make_reading_study(folder, protocol, of_usual_size)
    slicer_app = OffscreenSlicer("Red", "Green", "Yellow", MRI_VIEW)
    for view in VIEWS:
        slicer_app.resize(700, 700, view)
    room = ReadingRoom(slicer_app.scene, ReadingSession(study, "R1", SetClock()), lambda: None)
    room.show()
    for _ in range(3):
        while room.read_ahead():
            pass
        room.session.submit(Answer(False, 20))
        start = time.process_time()  # of this program; others may run beside it
        room.show()
        for view in VIEWS:
            slicer_app.picture(view)
        print(f"next case in both views: {1000 * (time.process_time() - start):.0f} ms of processor time")
    room.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(place) / "study")
