"""The fuzzer: equal seeds give equal mutants, and what is no plain refusal is a fault."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Fuzz"))

from fuzz import Tally, mutant, outcome_of
from kinds import KINDS, Kind

from DystrophyDxLib.errors import InputError


class Reader(Kind):
    name = "reader"

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def read(self, path: Path, draw: random.Random) -> None:
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "read"),
        (InputError("The file is damaged; copy it again."), "refused"),
        (InputError("two\nlines"), "a refusal that is not one line"),
        (ValueError("x"), "ValueError in test_fuzz.py"),
        (MemoryError(), "MemoryError in test_fuzz.py"),
    ],
)
def test_all_but_reading_and_a_plain_refusal_is_a_fault(tmp_path, error, outcome):
    found = outcome_of(Reader(error), tmp_path, random.Random(1))
    assert found.startswith(outcome)
    tally = Tally()
    assert tally.add("reader", 1, found) == (outcome not in ("read", "refused"))
    assert not tally.add("reader", 2, found), "only the first of a fault is kept"


@pytest.mark.parametrize("name", ["nrrd", "recipe", "cohort"])
def test_equal_seeds_give_equal_mutants_that_differ_from_their_seeds(tmp_path, name):
    kind, seeds = KINDS[name](), tmp_path / "seeds"
    seeds.mkdir()
    kind.make(seeds)

    def content(number: int, seed: int) -> dict[str, bytes]:
        path, _ = mutant(kind, number, seed, seeds, tmp_path / "mutant")
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        return {file.name: file.read_bytes() for file in files}

    assert content(3, 1) == content(3, 1)
    assert len({str(content(number, seed)) for number in range(4) for seed in (1, 2)}) > 4
