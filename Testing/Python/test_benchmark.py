"""The figures of `dystrophydx benchmark`, on a study of two slices."""

import pytest
from cohort_cases import two_legs, write_series

from DystrophyDxLib.commands import speed


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Figures of a study with a leg pair in each of two slices, and what was told meanwhile."""
    study = tmp_path_factory.mktemp("study") / "thighs.nii.gz"
    write_series(two_legs(1), study)
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "LEAST_RUNS", 1)
        patch.setattr(speed, "MOST_RUNS", 1)
        figures = speed.measure(study, "cpu", lambda *part: told.append(part))
    return figures, told


def test_the_parts_of_the_command_line_add_up(measured):
    figures, _ = measured
    shares = [figure for name, figure in figures.items() if name.endswith("share")]
    assert sum(shares) == pytest.approx(1)
    assert all(0 <= share < 1 for share in shares)


def test_a_classification_takes_longer_than_its_forward_pass_and_holds_its_volume(measured):
    figures, _ = measured
    assert figures["windows"] == 4
    assert figures["classify, s"] > figures["bare forward pass, s"] > 0
    assert figures["peak memory, MiB"] > figures["volume, MiB"] > 0


def test_a_user_sees_which_part_is_measured(measured):
    assert [(done, of) for _, done, of in measured[1]] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert len({what for what, _, _ in measured[1]}) == 4


@pytest.mark.parametrize(("job_s", "runs"), [(0.5, 7), (4.0, 4), (60.0, 3)])
def test_slow_jobs_are_run_less_often(monkeypatch, job_s, runs):
    """So that a machine which takes a minute for a job does not take eight of each."""
    now = [0.0]
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])

    def job():
        now[0] += job_s

    assert speed._seconds(job) == [[job_s] * runs]
