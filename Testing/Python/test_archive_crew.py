"""What training makes of each series is made by an archive's workers, too, and is the same to the last bit."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cohort_cases import RECIPE, legs_cohort
from crews import Elsewhere, InProcess
from test_features import PIXELS, small_network
from typer.testing import CliRunner

from DystrophyDxLib.archive.crew import OWN_PROCESS, Cluster, OwnProcesses, PartWorker, by_workers
from DystrophyDxLib.cohort import options
from DystrophyDxLib.cohort.table import Cohort
from DystrophyDxLib.commands.main import app
from DystrophyDxLib.errors import InputError
from DystrophyDxLib.models.recipe import SampleRecipe
from DystrophyDxLib.reporting.progress import silent
from DystrophyDxLib.training import features, pattern_store, sample_store
from DystrophyDxLib.training import train as training
from DystrophyDxLib.training.distributed import Processes
from DystrophyDxLib.training.features import FeatureStore
from DystrophyDxLib.training.sample_store import SampleStore


@pytest.fixture
def elsewhere(tmp_path_factory):
    return Elsewhere(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    legs_cohort(folder, ["DMD", "BMD", "GNE", "healthy"])
    return folder / "cohort.csv"


@pytest.fixture
def cohort(table, tmp_path, monkeypatch):
    """A cohort whose table is named as seen from the folder in which the command runs."""
    monkeypatch.chdir(tmp_path)
    return Cohort.read(Path(os.path.relpath(table)), RECIPE)


def test_parts_come_back_in_their_order():
    maker = partial(partial, str.upper)
    assert list(OwnProcesses().each(maker, list("abcde"))) == list("ABCDE")
    assert list(by_workers(InProcess(partial(PartWorker, maker), ""), 3, list("abcde"))) == list("ABCDE")


def test_samples_are_those_of_one_process(cohort, elsewhere):
    made = [
        SampleStore.of(cohort, SampleRecipe(size=112), folder, crew, silent)
        for folder, crew in (("here", OWN_PROCESS), ("there", elsewhere))
    ]
    np.testing.assert_array_equal(made[1].pixels[:], made[0].pixels[:])
    assert made[1].digests == made[0].digests
    assert [path.name for path in sorted(Path("there").iterdir())] == [
        path.name for path in sorted(Path("here").iterdir())
    ]
    assert not list(elsewhere.folder.iterdir())


def test_features_are_those_of_one_process(elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "_PART", 4)
    found = []
    for name, crew in (("here", OWN_PROCESS), ("there", elsewhere)):
        store = FeatureStore(
            small_network(), PIXELS, ("a", "b"), size=112, copies=2, seed=1, folder=tmp_path / name,
            processes=Processes(), crew=crew,
        )  # fmt: skip
        told = []
        store.compute(np.ones_like(store.known), lambda *news, told=told: told.append(news[1:]))
        assert told == [(done, 21) for done in (0, 4, 8, 12, 16, 20, 21)]
        found.append(np.array(store.features))
    np.testing.assert_array_equal(found[1], found[0])


def test_a_series_that_ends_its_process_is_told_with_its_row(cohort, elsewhere):
    deadly = replace(elsewhere, deadly="2")
    with pytest.raises(InputError, match=r"The process ended \(row 4 of patient P002\)"):
        SampleStore.of(cohort, SampleRecipe(size=112), "there", deadly, silent)


def test_a_cache_that_is_not_shared_is_told(cohort, elsewhere, monkeypatch):
    monkeypatch.setattr(sample_store, "_put", lambda path, content: None)
    with pytest.raises(InputError, match="a folder that all computers of the cluster reach"):
        SampleStore.of(cohort, SampleRecipe(size=112), "there", elsewhere, silent)


def test_a_computer_with_another_version_is_refused(monkeypatch):
    for module, name in ((sample_store, "_preprocessing"), (pattern_store, "_code")):
        monkeypatch.setattr(module, name, lambda: "its own digest")
    with pytest.raises(InputError, match="another version"):
        sample_store._maker(Path(), SampleRecipe(size=112), "ours")
    with pytest.raises(InputError, match="another version"):
        pattern_store._maker(None, None, "cpu", Path(), "ours")


@pytest.mark.parametrize(
    ("given", "crew"),
    [(["--address", "127.0.0.1:6379"], Cluster("127.0.0.1:6379")), (["--processes", "2"], OwnProcesses(2))],
)
def test_the_command_trains_with_the_crew_that_is_asked_for(given, crew, table, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="the extra archive is not installed")
    got = []

    def stands_in(*_, **given):
        got.append(given["crew"])
        raise InputError("That is enough.")

    monkeypatch.setattr(training, "train_any", stands_in)
    monkeypatch.setattr(options, "chosen_splits", lambda cohort, *_: [cohort])
    asked = ["train", "embedded", str(table), "--out", str(tmp_path / "model")]
    assert "enough" in str(CliRunner().invoke(app, [*asked, *given]).exception)
    assert got == [crew]
