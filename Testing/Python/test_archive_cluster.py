"""A cluster of four nodes on loopback, of which one is lost in the middle: every study is done once all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from archive_workers import Slow, by_value

from DystrophyDxLib.archive import engine
from DystrophyDxLib.archive.engine import RayWorkers, Resources, connected
from DystrophyDxLib.archive.schedule import Schedule
from DystrophyDxLib.archive.studies import Place, Study

STUDIES = 40


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra archive is not installed")
def test_a_node_that_is_lost_in_the_middle_loses_and_doubles_nothing():
    """In a process of its own: what Ray reads of the environment, it reads once, and other tests begin it otherwise."""
    paths = os.pathsep.join((str(Path(__file__).parents[2]), str(Path(__file__).parent)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    run = subprocess.run(
        [sys.executable, __file__], env=environment | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stderr[-3000:]


def main() -> None:
    engine.prepare(local=True)
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [made.add_node(num_cpus=1) for _ in range(3)]
    studies = [Study(f"S{n}", None, Place(Path(f"/{n}"))) for n in range(STUDIES)]
    found = []
    with connected(made.address, 1) as (cores, _):
        assert cores == 4
        with closing(RayWorkers(by_value(Slow), Resources(4))) as workers:
            for study, outcome in Schedule(workers, 4, 60.0).outcomes(studies):
                found.append((study.study, outcome))
                if len(found) == STUDIES // 4:
                    made.remove_node(nodes[0], allow_graceful=False)
    made.shutdown()
    assert sorted(found) == sorted((study.study, Slow().run(study)) for study in studies)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


if __name__ == "__main__":
    main()
