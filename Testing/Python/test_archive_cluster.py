"""A cluster of four nodes on loopback, of which one is lost in the middle: every study is done once all the same."""

from __future__ import annotations

import os
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("ray") is None:  # it is to be imported by `engine` alone, which prepares it
    pytest.skip("the extra archive is not installed", allow_module_level=True)

from archive_workers import Slow, by_value

from DystrophyDxLib.archive import engine
from DystrophyDxLib.archive.engine import RayWorkers, Resources, connected
from DystrophyDxLib.archive.schedule import Schedule
from DystrophyDxLib.archive.studies import Place, Study

STUDIES = 40


@pytest.fixture
def cluster():
    engine.prepare(local=True)
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [made.add_node(num_cpus=1) for _ in range(3)]
    yield made, nodes
    made.shutdown()


def test_a_node_that_is_lost_in_the_middle_loses_and_doubles_nothing(cluster):
    made, nodes = cluster
    studies = [Study(f"S{n}", None, Place(Path(f"/{n}"))) for n in range(STUDIES)]
    found = []
    with connected(made.address, 1) as (cores, _):
        assert cores == 4
        with closing(RayWorkers(by_value(Slow), Resources(4))) as workers:
            for study, outcome in Schedule(workers, 4, 60.0).outcomes(studies):
                found.append((study.study, outcome))
                if len(found) == STUDIES // 4:
                    made.remove_node(nodes[0], allow_graceful=False)
    assert sorted(found) == sorted((study.study, Slow().run(study)) for study in studies)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
