"""What a command tells while it works: on a terminal a bar, in a pipe lines."""

import pytest
from rich.progress import Progress

from DystrophyDxLib.commands import progress as module
from DystrophyDxLib.commands.progress import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test turns."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def told(capsys, clock, steps):
    """Lines of a pipe after (seconds since the step before, what, done, total)."""
    with progress() as advance:
        for seconds, *step in steps:
            clock[0] += seconds
            advance(*step)
    said = capsys.readouterr()
    assert said.out == ""  # of results alone
    return said.err.splitlines()


def test_a_long_step_says_how_long_it_will_take_as_soon_as_that_is_known(capsys, clock):
    steps = [(0, "Classifying", 0, 61), *((5, "Classifying", done, 61) for done in range(1, 9))]
    assert told(capsys, clock, steps) == [
        "Classifying",
        "Classifying (1 of 61, about 0:05:00 left)",
        "Classifying (8 of 61, about 0:04:25 left)",
    ]


def test_a_short_step_is_one_line_and_each_step_has_its_own(capsys, clock):
    steps = [(0.01, "Reading", done, 100) for done in range(100)]
    steps += [(0, "Fold 1: Classifying", 0, 4), (1, "Fold 1: Classifying", 3, 4), (1, "Fold 2: Classifying", 0, 4)]
    assert told(capsys, clock, steps) == ["Reading", "Fold 1: Classifying", "Fold 2: Classifying"]


def test_a_step_that_tells_its_time_itself_is_not_told_another(capsys, clock):
    steps = [(16, f"Training: stage 1 of 2, epoch {n} of 9, at most 0:0{9 - n}:00 left", n, 9) for n in (1, 2, 3)]
    assert told(capsys, clock, steps) == [
        "Training: stage 1 of 2, epoch 1 of 9, at most 0:08:00 left",
        "Training: stage 1 of 2, epoch 3 of 9, at most 0:06:00 left (3 of 9)",
    ]


def test_the_bar_begins_anew_with_each_step_and_estimates_from_its_first_items():
    now = [0.0]
    bar = Progress(get_time=lambda: now[0], speed_estimate_period=3600, disable=True)
    show = module._Bar(bar)
    show("Loading PyTorch", 0, 0)
    now[0] = 20
    for done in range(3):
        show("Classifying", done, 10)
        now[0] += 60
    (task,) = bar.tasks
    assert task.total == 10
    assert task.completed == 2
    text = module._TimeLeft().render(task)
    assert str(text) == "about 0:08:00 left"
    show("Drawing cases", 0, 0)
    assert str(module._TimeLeft().render(bar.tasks[0])) == ""
