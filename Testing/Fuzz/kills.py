"""Kills readers and classifications at random moments, and tells whether anything was lost.

    python Testing/Fuzz/kills.py reading --kills 1000
    python Testing/Fuzz/kills.py classify --kills 200 [STUDY]

A reading session must keep every answer that it acknowledged, once. After each kill of `classify --overwrite` the
folder of results must hold the earlier result or the new one as a whole; in the end nothing may lie beside it. The
process forks with everything imported and the study classified, so that a kill costs little. Needs a system that can
fork. The exit status is 1 where something was lost.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "Python")]

WRITING = 10
"""One of so many classifications is killed while it draws and writes, the others while the result takes its place."""
LONGEST_S = 4.0
"""About how long a classification draws and writes."""


def kill_readers(kills: int, seed: int) -> int:
    """Kills readers of a study that is large enough for so many kills; gives how many answers were given."""
    from reader_at_work import check, run
    from reader_studies import make_protocol, make_study, quick_folder

    with quick_folder() as folder:
        study = make_study(folder / "study", make_protocol(readers=10, cases=max(8, kills // 6)))
        told = run(study, kills, seed)
        if told["killed"] != kills:
            raise AssertionError(f"Readers were killed {told['killed']} times.")
        return check(study, told)


class Killer:
    """Stands for `output_folder`: forks and kills processes that write into it, and then writes itself.

    Attributes:
        found: how often the folder held which result after a kill.
    """

    def __init__(self, out: Path, kills: int, seed: int) -> None:
        from DystrophyDxLib.reporting.output_folder import FILES, output_folder

        self._files, self._real = frozenset(FILES), output_folder
        self._out, self._kills, self._draw = out, kills, random.Random(seed)
        self.found: Counter[str] = Counter()

    @contextlib.contextmanager
    def output_folder(self, out: Path, *, overwrite: bool) -> Iterator[Path]:
        if self._in_a_child(lambda child, told: None):  # left alone, so that there is an earlier result
            yield from self._written(out)
        finished = Path(tempfile.mkdtemp(), "finished")
        shutil.copytree(out, finished)
        for n in range(self._kills):
            before, started = self._content(), time.time()
            kill = self._kill_soon if n % WRITING == 0 else self._kill_at_the_end
            if self._in_a_child(kill):
                if n % WRITING == 0:
                    yield from self._written(out)
                with self._real(out, overwrite=True) as folder:
                    for path in finished.iterdir():
                        shutil.copy(path, folder)
                    os.write(self._told, b".")  # all is written and takes its place now
                os._exit(0)
            self._look(before, started)
        shutil.rmtree(finished.parent)
        with self._real(out, overwrite=overwrite) as folder:
            yield folder

    def _written(self, out: Path) -> Iterator[Path]:
        """Lets the caller write the results, and ends the process."""
        with self._real(out, overwrite=True) as folder:
            yield folder
        os._exit(0)

    def _in_a_child(self, end: Callable[[int, int], None]) -> bool:
        """Whether this is a new process, after which the old one has looked with `end`."""
        told, self._told = os.pipe()
        child = os.fork()
        if child:
            os.close(self._told)
            end(child, told)
            os.waitpid(child, 0)
            os.close(told)
        return not child

    def _kill_soon(self, child: int, told: int) -> None:
        """Kills a process while it writes."""
        time.sleep(self._draw.uniform(0, LONGEST_S))
        os.kill(child, signal.SIGKILL)

    def _kill_at_the_end(self, child: int, told: int) -> None:
        """Kills a process while its result takes its place."""
        os.read(told, 1)
        time.sleep(self._draw.uniform(0, 0.003))
        os.kill(child, signal.SIGKILL)

    def _content(self) -> dict[str, tuple[int, int]]:
        """Time and size of each file of the results."""
        facts = {path.name: path.stat() for path in self._out.iterdir()} if self._out.exists() else {}
        return {name: (fact.st_mtime_ns, fact.st_size) for name, fact in facts.items()}

    def _look(self, before: dict[str, tuple[int, int]], started: float) -> None:
        now = self._content()
        is_new = self._files == set(now) and all(time_ns > (started - 0.1) * 1e9 for time_ns, _ in now.values())
        if now != before and not is_new:
            raise AssertionError(f"After a kill the folder holds {sorted(now)}.")
        json.loads((self._out / "result.json").read_text(encoding="utf-8"))
        beside = [path.name for path in self._out.parent.iterdir() if path != self._out]
        if len(beside) > 1:
            raise AssertionError(f"After a kill {', '.join(beside)} lie beside the folder.")
        self.found["the new result" if is_new else "the earlier result"] += 1
        self.found["something to tidy up"] += len(beside)


def kill_classifications(kills: int, seed: int, study: Path) -> Counter[str]:
    """Kills `classify --overwrite` so often; gives what lay in and beside the folder of results afterwards."""
    from DystrophyDxLib.files.resources import embedded_model
    from DystrophyDxLib.models.package import ModelPackage
    from DystrophyDxLib.mrml import pipeline

    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        killer = Killer(out, kills, seed)
        pipeline.output_folder = killer.output_folder
        model = pipeline.ModelOnDevice(ModelPackage.read(embedded_model()), "cpu")
        pipeline.classify_into_folder(pipeline.StudyFiles(study), model, out, overwrite=True)
        if beside := [path.name for path in Path(place).iterdir() if path != out]:
            raise AssertionError(f"In the end {', '.join(beside)} lie beside the folder.")
        return killer.found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["reading", "classify"])
    parser.add_argument("study", nargs="?", type=Path, default=ROOT / "Resources" / "SampleStudy")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    try:
        if given.what == "reading":
            print(f"{given.kills} kills, {kill_readers(given.kills, given.seed)} answers acknowledged, none lost.")
        else:
            found = kill_classifications(given.kills, given.seed, given.study)
            print(f"{given.kills} kills, none with a loss. Afterwards: {dict(found)}.")
    except AssertionError as error:
        sys.exit(f"LOST: {error}")


if __name__ == "__main__":
    main()
