"""Workers on Ray, begun once for all of these tests: what ends a study ends no other, and answers are `classify`'s."""

from __future__ import annotations

import sys
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

if find_spec("ray") is None:  # it is to be imported by `engine` alone, which prepares it
    pytest.skip("the extra archive is not installed", allow_module_level=True)

from archive_cases import study_datasets, write_study
from archive_workers import Unruly, by_value
from model_packages import make_package

from DystrophyDxLib.archive import schedule
from DystrophyDxLib.archive.engine import RayWorkers, Resources, connected, prepare
from DystrophyDxLib.archive.schedule import Schedule
from DystrophyDxLib.archive.studies import Place, Study
from DystrophyDxLib.archive.worker import Model, StudyWorker
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.package import ModelPackage


@pytest.fixture(scope="module")
def workers():
    """Gives workers of a kind, on two cores."""
    with connected(None, 2):
        yield lambda make: closing(RayWorkers(make, Resources(2)))


def test_what_hangs_dies_or_eats_memory_is_listed_and_the_rest_goes_on(workers, monkeypatch):
    monkeypatch.setattr(schedule, "TRIES", 2)  # each takes a process that has to be started
    names = ["a", "hang", "b", "die", "c", "eat", "d"]
    studies = [Study(name, None, Place(Path(name))) for name in names]
    with workers(by_value(Unruly)) as own:
        found = list(Schedule(own, 2, 3.0).outcomes(studies))
    kinds = {"hang": "time", "die": "worker", "eat": "memory"}
    assert sorted((study.study, outcome.failure.kind) for study, outcome in found) == sorted(
        (name, kinds.get(name, "reading")) for name in names
    )


def test_a_worker_that_cannot_be_made_says_why(workers, tmp_path):
    def make():
        raise InputError("This computer has no usable cuda device; use --device auto.")

    with workers(make) as own, pytest.raises(InputError, match="no usable cuda device"):
        list(Schedule(own, 1, 60.0).outcomes([Study("a", None, Place(tmp_path))]))


def test_answers_are_those_of_a_plain_loop(workers, tmp_path):
    """Also what is read ahead of the network, and what cannot be read."""
    model = Model(ModelPackage.read(make_package(tmp_path / "model")))
    studies = []
    for n in range(3):
        write_study(tmp_path / f"{n}", study_datasets(n))
        studies.append(Study(f"{n}", None, Place(tmp_path / f"{n}")))
    (tmp_path / "1" / "IM1").write_bytes(b"")
    (tmp_path / "2" / "IM1").write_bytes((tmp_path / "2" / "IM1").read_bytes()[:400])
    make = partial(StudyWorker, model, "cpu", None, 4.0)
    with workers(make) as own:
        found = dict((study.study, outcome) for study, outcome in Schedule(own, 1, 300.0).outcomes(studies))
    plain = StudyWorker(model, "cpu")
    for study in studies:
        outcome, expected = found[study.study], plain.run(study)
        assert outcome.failure == expected.failure
        if expected.result is not None:
            assert outcome.result.case == expected.result.case
            assert outcome.result.images == expected.result.images
    assert found["2"].failure.kind == "reading"
    assert "damaged" in found["2"].failure.reason


@pytest.mark.parametrize(
    ("cores", "gpus", "asked", "device", "expected"),
    [
        (64, 8, None, "auto", Resources(64, 1 / 8)),
        (16, 8, None, "auto", Resources(16, 1 / 2)),
        (64, 8, None, "cpu", Resources(64)),
        (64, 0, 10, "auto", Resources(10)),
        (4, 1, 3, "cuda", Resources(3, 1 / 3)),
    ],
)
def test_workers_share_cores_and_gpus(cores, gpus, asked, device, expected):
    assert Resources.of(cores, gpus, asked, device) == expected


def test_more_workers_than_cores_and_a_gpu_that_is_not_there_are_refused():
    with pytest.raises(InputError, match="There are 4 cores for 5 workers"):
        Resources.of(4, 0, 5, "auto")
    with pytest.raises(InputError, match="no GPU"):
        Resources.of(4, 0, None, "cuda")


def test_ray_that_another_package_has_imported_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(InputError, match="has imported Ray before"):
        prepare(local=True)
