"""Which sections of the panel are open, and when Slicer's data probe makes room for them."""

from DystrophyDxLib.panel.folding import LOW_WINDOW, Folding, ProbeFolding


def test_before_an_answer_study_and_answer_are_open_and_after_it_all_but_study_and_muscles():
    folding, names = Folding(), ("study", "answer", "heatmap", "muscles", "region", "report")
    assert [name for name in names if folding.open(name, classified=False)] == ["study", "answer"]
    assert [name for name in names if folding.open(name, classified=True)] == ["answer", "heatmap", "region", "report"]


def test_what_the_user_has_opened_or_folded_stays_so():
    folding = Folding()
    folding.choose("study", True)
    folding.choose("region", False)
    assert folding.open("study", classified=True)
    assert not folding.open("region", classified=True)


def test_the_data_probe_is_folded_on_a_low_window_and_comes_back():
    probe = ProbeFolding()
    assert probe.enter(768, opened=True)
    assert not probe.enter(768, opened=False), "the page is entered twice"
    assert probe.leave(opened=False)
    assert not probe.leave(opened=False)
    assert not ProbeFolding().enter(LOW_WINDOW, opened=True), "there is room for both"


def test_a_data_probe_that_was_folded_before_or_opened_again_is_left_alone():
    probe = ProbeFolding()
    assert not probe.enter(768, opened=False)
    assert not probe.leave(opened=False)
    assert probe.enter(768, opened=True)
    assert not probe.leave(opened=True), "the user has opened it again"
    assert not probe.enter(768, opened=True), "and wants it open"
