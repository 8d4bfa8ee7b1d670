"""Gives damaged files to the library's own readers, and tells where one crashes, hangs, or fails with no plain line.

    python Testing/Fuzz/fuzz.py --seconds 60 --seed 1        # as `make fuzz`
    python Testing/Fuzz/fuzz.py --only nifti:123 --seed 1    # one mutant again, with its traceback

A mutant is a good file, made here from the sample study and phantoms, with a few random changes; its kind, number and
seed make it again. A worker process reads it under limits of time and memory. Right is that it is read, or refused with
`InputError`. The first mutant of each fault is kept in --out, and the exit status is 1 where there is a fault.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kinds import KINDS, Kind

from DystrophyDxLib.errors import InputError

LONGEST_S = 20
"""Seconds that a mutant may take; good ones take a hundredth of one."""
MEMORY = 3 << 30
"""Bytes that a worker may take beside what its libraries take."""
STARTING_S = 300


@dataclass
class Fault:
    """A way in which reading failed: how often, and the first mutant that did."""

    first: str
    count: int = 0


@dataclass
class Tally:
    """What became of the mutants."""

    of_kind: Counter[str] = field(default_factory=Counter)
    read: int = 0
    refused: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)

    def add(self, kind: str, number: int, outcome: str) -> bool:
        """Counts a mutant; whether it is the first of its fault."""
        self.of_kind[kind] += 1
        if outcome in ("read", "refused"):
            setattr(self, outcome, getattr(self, outcome) + 1)
            return False
        fault = self.faults.setdefault(f"{kind}: {outcome}", Fault(f"{kind}:{number}"))
        fault.count += 1
        return fault.count == 1


def mutant(kind: Kind, number: int, seed: int, seeds: Path, place: Path) -> tuple[Path, random.Random]:
    """The mutant of a number, made at `place`, and the numbers that its reader draws."""
    draw = random.Random(f"{seed} {kind.name} {number}")
    sources = sorted(seeds.iterdir())
    source = draw.choice(sources)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    path = place / source.name
    shutil.copytree(source, path) if source.is_dir() else shutil.copy(source, path)
    kind.change(path, draw, sources)
    return path, draw


def outcome_of(kind: Kind, path: Path, draw: random.Random, *, shown: bool = False) -> str:
    """ "read", "refused", or what went wrong and where."""
    try:
        kind.read(path, draw)
    except InputError as error:
        told = str(error)
        return "refused" if told and "\n" not in told else "a refusal that is not one line"
    except (Exception, MemoryError) as error:
        if shown:
            traceback.print_exc()
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if "DystrophyDxLib" in frame.filename]
        frame = own[-1] if own else traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {Path(frame.filename).name} line {frame.lineno}"
    return "read"


def make_seeds(folder: Path) -> None:
    """Good inputs of each kind, in a folder each."""
    for name, kind in KINDS.items():
        (folder / name).mkdir(parents=True)
        kind().make(folder / name)


def work(tasks: Connection, seeds: Path, place: Path, seed: int) -> None:
    """Reads the mutants whose kinds and numbers come, and answers with what became of each."""
    faulthandler.enable(open(place.with_suffix(".crash"), "w"))  # noqa: SIM115 -- open as long as the process is
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries print of damaged files
    kinds = {name: make() for name, make in KINDS.items()}
    for name, kind in kinds.items():  # imports what a reader needs, and shows that the seeds are good
        found = {
            outcome_of(kind, path, random.Random(n)) for path in sorted((seeds / name).iterdir()) for n in range(4)
        }
        if not {"read"} <= found <= {"read", "refused"}:
            tasks.send(f"of the good files of {name} become {', '.join(found)}")
            return
    if hasattr(resource, "RLIMIT_AS") and sys.platform == "linux":
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    tasks.send("ready")
    while (task := tasks.recv()) is not None:
        name, number = task
        path, draw = mutant(kinds[name], number, seed, seeds / name, place)
        tasks.send(outcome_of(kinds[name], path, draw))


class Worker:
    """A process that reads mutants, started anew after each crash or hang."""

    def __init__(self, seeds: Path, place: Path, seed: int) -> None:
        self._start = lambda tasks: multiprocessing.get_context("spawn").Process(
            target=work, args=(tasks, seeds, place, seed), daemon=True
        )
        self._process: multiprocessing.process.BaseProcess | None = None

    def read(self, name: str, number: int) -> str:
        """What became of a mutant."""
        if self._process is None:
            self._tasks, theirs = multiprocessing.Pipe()
            self._process = self._start(theirs)
            self._process.start()
            theirs.close()
            told = self._answer(STARTING_S)
            if told != "ready":
                raise SystemExit(f"fuzz: the worker does not start: {told}")
        self._tasks.send((name, number))
        return self._answer(LONGEST_S)

    def _answer(self, seconds: float) -> str:
        process = self._process
        assert process is not None
        with suppress(EOFError, ConnectionResetError):
            if self._tasks.poll(seconds):
                return self._tasks.recv()
            process.kill()
            process.join()
            self._process = None
            return f"hang of more than {seconds:g} s"
        process.join()
        self._process = None
        return f"crash: {signal.Signals(-process.exitcode).name if process.exitcode < 0 else process.exitcode}"

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal mutants (default: 1)")
    parser.add_argument("--mutants", type=int, default=1_000_000, help="how many at most")
    parser.add_argument("--seconds", type=float, default=60, help="how long, once all is imported (default: 60)")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="default: all")
    parser.add_argument("--only", metavar="KIND:NUMBER", help="one mutant, read in this process")
    parser.add_argument("--out", type=Path, default=Path("fuzz-faults"), help="gets the mutants of faults")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        seeds, place = Path(scratch) / "seeds", Path(scratch) / "mutant"
        make_seeds(seeds)
        if given.only:
            name, _, number = given.only.partition(":")
            path, draw = mutant(KINDS[name](), int(number), given.seed, seeds / name, place)
            _keep(path, given.out / given.only.replace(":", "-"))
            print(outcome_of(KINDS[name](), path, draw, shown=True))
            return 0
        tally = run(given, seeds, place)
    counted = ", ".join(f"{name} {count}" for name, count in tally.of_kind.items())
    print(f"{tally.of_kind.total()} mutants ({counted}): {tally.read} read, {tally.refused} refused.")
    for what, fault in sorted(tally.faults.items()):
        print(f"FAULT {what} ({fault.count} times; {fault.first} with --seed {given.seed} is in {given.out})")
    return 1 if tally.faults else 0


def run(given: argparse.Namespace, seeds: Path, place: Path) -> Tally:
    """Reads mutants, the kinds in turn by their weight, until they or the time are spent."""
    tally, worker = Tally(), Worker(seeds, place, given.seed)
    turn = [name for name in given.kinds for _ in range(KINDS[name].weight)]
    ends = None
    try:
        for n in range(given.mutants):
            name = turn[n % len(turn)]
            outcome = worker.read(name, n)
            ends = ends or time.monotonic() + given.seconds
            if tally.add(name, n, outcome):
                kind = KINDS[name]()
                path, _ = mutant(kind, n, given.seed, seeds / name, place.with_name("again"))
                _keep(path, given.out / f"{name}-{n}")
                print(f"{name}:{n}: {outcome}", flush=True)
            if time.monotonic() > ends:
                break
    finally:
        worker.end()
    return tally


def _keep(path: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(path.parent, folder)


if __name__ == "__main__":
    sys.exit(main())
