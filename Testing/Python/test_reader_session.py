"""A reader at work: what is shown when, and what is logged and kept."""

from collections import Counter
from datetime import timedelta

import pytest
from reader_studies import SetClock, make_protocol, make_study, quick_folder, store_of, stored_answers

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.readerstudy.protocol import Arm, plan
from DystrophyDxLib.readerstudy.questions import Answer
from DystrophyDxLib.readerstudy.session import ReadingSession
from DystrophyDxLib.readerstudy.store import EventKind

YES, NO = Answer(True, 90), Answer(False, 5)
sequential = pytest.mark.parametrize(
    "study", [{"design": "fully-crossed", "arms": ["sequential"], "washout_days": 0}], indirect=True
)


@pytest.fixture
def study(request):
    """A crossover of two readers, but for what a test changes of it."""
    with quick_folder() as folder:
        yield make_study(folder / "study", make_protocol(**getattr(request, "param", {})))


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def session(study, clock):
    """Reader R1."""
    with ReadingSession(study, "R1", clock) as session:
        yield session


def read_session(session: ReadingSession, answer: Answer = NO) -> list:
    """Reads all that can be read now."""
    items = []
    while item := session.show():
        items.append(item)
        session.submit(answer)
    return items


# What is shown


def test_cases_come_in_the_order_of_the_protocol(study, clock):
    expected = [item.case for item in plan(study.protocol, study.protocol.readers[0]) if item.session == 1]
    with ReadingSession(study, "r1", clock) as session:
        items = read_session(session)
    assert [item.image.parent.name for item in items] == expected
    assert [(item.position, item.positions) for item in items] == [(n, 8) for n in range(1, 9)]


def test_the_same_case_is_shown_until_it_is_answered(session):
    first = session.show()
    assert session.show() is first
    session.submit(YES)
    assert session.item is None
    assert session.show() != first


def test_the_model_is_shown_in_the_aided_arm_alone(study, clock):
    shown = []
    for code in ("R1", "R2"):
        with ReadingSession(study, code, clock) as session:
            shown += read_session(session)
            clock.run(29 * 86400)
            shown += read_session(session)
    assert Counter(item.arm for item in shown) == {Arm.UNAIDED: 16, Arm.AIDED: 16}
    for item in shown:
        aided = item.arm is Arm.AIDED
        assert (item.model is not None, item.heatmap is not None) == (aided, aided)
        if aided:
            assert item.heatmap.is_file()
            assert 0 <= item.model.probability <= 1


def test_the_next_image_can_be_read_ahead_within_the_session(session):
    ahead = session.next_image
    while item := session.show():
        assert ahead == item.image
        ahead = session.next_image
        session.submit(NO)
    assert ahead is None
    assert session.next_image is None


def test_the_next_heatmap_can_be_read_ahead_in_the_aided_arm_alone(session, clock):
    for _ in range(2):
        ahead = session.next_heatmap
        while item := session.show():
            assert ahead == item.heatmap
            ahead = session.next_heatmap
            session.submit(NO)
        assert ahead is None
        clock.run(28 * 86400)


@sequential
def test_sequential_reading_locks_the_unaided_answer_before_the_model_is_shown(session, study):
    unaided = session.show()
    following = session.next_image
    session.submit(NO)
    aided = session.show()
    assert (unaided.arm, unaided.model, unaided.locked) == (Arm.UNAIDED, None, None)
    assert (aided.arm, aided.locked, aided.image) == (Arm.AIDED, NO, unaided.image)
    assert aided.model is not None
    assert following == session.next_image != aided.image
    session.submit(YES)
    assert session.show().locked is None
    assert [stored.answer for stored in stored_answers(study)] == [NO, YES]


@pytest.mark.parametrize(
    "study", [{"cases": 12, "arms": ["unaided", "re-read"], "design": "fully-crossed"}], indirect=True
)
def test_a_re_read_shows_the_same_cases_in_another_order_after_the_wash_out(session, clock):
    first = read_session(session)
    clock.run(28 * 86400)
    again = read_session(session)
    assert {item.arm for item in again} == {Arm.RE_READ}
    assert {item.model for item in again} == {None}
    cases = [[item.image for item in items] for items in (first, again)]
    assert sorted(cases[0]) == sorted(cases[1])
    assert cases[0] != cases[1]


@pytest.mark.parametrize("study", [{"duplicates": 2}], indirect=True)
def test_a_hidden_duplicate_looks_like_any_other_case(session):
    items = read_session(session)
    assert [(item.position, item.positions) for item in items] == [(n, 10) for n in range(1, 11)]
    assert sorted(Counter(item.image for item in items).values()) == [1] * 6 + [2] * 2


def test_a_missing_case_is_told_and_reading_goes_on_when_it_is_back(session, study):
    session.show()
    ahead = session.next_image
    session.submit(NO)
    ahead.parent.rename(study.folder / "elsewhere")
    with pytest.raises(InputError, match=r"cases/C\d+/mri.nrrd is missing in the study folder; restore"):
        session.show()
    assert session.item is None
    (study.folder / "elsewhere").rename(ahead.parent)
    assert session.show().image == ahead
    assert len(stored_answers(study)) == 1


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_text(path.read_text().replace("indeterminate", "other")), "was changed"),
    ],
)
def test_a_case_without_its_model_answer_is_not_shown_aided(study, clock, damage, told):
    aided = next(r for r in study.protocol.readers if plan(study.protocol, r)[0].arm is Arm.AIDED)
    case = plan(study.protocol, aided)[0].case
    damage(study.folder / "model" / case / "answer.json")
    with (
        ReadingSession(study, aided.code, clock) as session,
        pytest.raises(InputError, match=f"model/{case}/answer.json {told}"),
    ):
        session.show()


def test_the_images_of_another_case_are_not_shown(study, clock):
    first, second, *_ = plan(study.protocol, study.protocol.reader("R1"))
    study.image(first.case).write_bytes(study.image(second.case).read_bytes())
    with (
        ReadingSession(study, "R1", clock) as session,
        pytest.raises(InputError, match=f"cases/{first.case}/mri.nrrd was changed after the study was created"),
    ):
        session.show()


def test_an_unknown_reader_is_told(study):
    with pytest.raises(InputError, match="no reader 'R9'"):
        ReadingSession(study, "R9")


# Wash-out and clock


def test_a_wash_out_lasts_from_the_last_answer_of_a_session(study, clock):
    with ReadingSession(study, "R1", clock) as session:
        read_session(session)
        last = clock.now()
        clock.run(28 * 86400 - 1)
        assert session.show() is None
        assert session.progress.opens == last + timedelta(days=28)
        local = (last + timedelta(days=28)).astimezone()
        assert f"reading may go on from {local.day} {local:%B %Y, %H:%M}" in session.progress.sentence
    with ReadingSession(study, "R1", clock) as session:
        assert session.show() is None
        clock.run(1)
        assert (session.progress.opens, session.progress.session) == (None, 2)
        assert session.show().position == 1


def test_other_readers_do_not_wait_for_a_wash_out(study, clock):
    with ReadingSession(study, "R1", clock) as session:
        read_session(session)
    with ReadingSession(study, "R2", clock) as session:
        assert session.show() is not None


def test_at_the_end_all_is_said_to_be_read(session, clock):
    assert session.progress.sentence == "Session 1 of 2, case 1 of 8."
    read_session(session)
    clock.run(30 * 86400)
    read_session(session)
    assert session.progress.finished
    assert session.progress.sentence.startswith("All cases are read")
    assert (session.progress.answered, session.progress.answers) == (16, 16)


def test_a_clock_set_back_is_told_and_answers_keep_their_order(study, clock):
    with ReadingSession(study, "R1", clock) as session:
        for _ in range(3):
            session.show()
            clock.run(60)
            session.submit(NO)
        assert session.clock_notice is None
    clock.set(clock.now() - timedelta(days=400))
    with ReadingSession(study, "R1", clock) as session:
        assert "clock of this computer is behind the last entry" in session.clock_notice
        assert session.show().position == 4
        clock.run(10)
        session.submit(YES)
        read_session(session)
        assert session.show() is None
    answers = stored_answers(study)
    assert [stored.presentation for stored in answers] == list(range(1, 9))
    assert answers[3].at < answers[2].at
    assert answers[3].seconds == 10


def test_a_clock_set_back_does_not_shorten_a_wash_out(session, clock):
    read_session(session)
    clock.set(clock.now() - timedelta(days=400))
    assert session.show() is None


def test_a_clock_set_back_for_the_last_answer_does_not_shorten_a_wash_out(session, clock):
    for _ in range(7):
        session.show()
        session.submit(NO)
    right = clock.now()
    clock.set(right - timedelta(days=400))
    session.show()
    session.submit(NO)
    clock.set(right + timedelta(days=27))
    assert session.show() is None
    clock.set(right + timedelta(days=28))
    assert session.show() is not None


def test_clocks_of_workstations_may_differ_by_minutes(session, clock):
    session.show()
    clock.set(clock.now() - timedelta(minutes=4))
    assert session.clock_notice is None


# What is logged


def test_time_to_decision_leaves_pauses_out(session, study, clock):
    session.show()
    clock.run(10)
    session.pause()
    assert session.paused
    clock.run(500)
    with pytest.raises(InputError, match="paused; resume"):
        session.submit(NO)
    session.resume()
    clock.run(2.5)
    session.submit(NO)
    assert stored_answers(study)[0].seconds == 12.5


def test_slices_and_grey_windows_are_logged_with_their_times(session, study, clock):
    session.show()
    for index in (3, 4, 5, 4):
        clock.run(1)
        session.slice_shown(index)
    session.window_changed(-20.5, 800)
    session.submit(NO)
    with store_of(study) as store:
        shown, *slices, window = store.events()
    assert (shown.kind, shown.seconds) == (EventKind.SHOWN, 0)
    assert [(event.slice, event.seconds) for event in slices] == [(3, 1), (4, 2), (5, 3), (4, 4)]
    assert (window.kind, window.low, window.high, window.slice) == (EventKind.WINDOW, -20.5, 800, None)
    assert stored_answers(study)[0].slices_seen == 3


def test_a_draft_is_there_again_and_goes_with_the_answer(study, clock):
    with ReadingSession(study, "R1", clock) as session:
        session.show()
        assert session.draft == {}
        session.save_draft({"confidence": 30})
    with ReadingSession(study, "R1", clock) as session:
        session.show()
        assert session.draft == {"confidence": 30}
        session.submit(NO)
        session.show()
        assert session.draft == {}


def test_nothing_can_be_answered_that_is_not_shown(session):
    for act in (lambda: session.submit(NO), lambda: session.save_draft({}), lambda: session.slice_shown(1)):
        with pytest.raises(InputError, match="No case is shown"):
            act()


def test_an_answer_to_what_was_not_asked_leaves_the_case_open(session, study):
    item = session.show()
    with pytest.raises(InputError, match="does not ask for a comment"):
        session.submit(Answer(True, 80, comment="x"))
    assert session.show() is item
    assert stored_answers(study) == ()


# Amendments


def test_an_amendment_stands_beside_the_answer_with_its_reason(session, study):
    session.show()
    session.submit(NO)
    assert [stored.presentation for stored in session.amendable] == [1]
    session.amend(1, YES, " pressed the wrong key ")
    session.amend(1, Answer(True, 70), "less sure")
    submitted, first, second = stored_answers(study)
    assert (submitted.answer, submitted.reason) == (NO, None)
    assert (first.answer, first.revision, first.reason) == (YES, 1, "pressed the wrong key")
    assert (second.answer.confidence, second.revision) == (70, 2)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 4001])
def test_an_amendment_needs_a_reason(session, reason):
    session.show()
    session.submit(NO)
    with pytest.raises(InputError, match="reason of the amendment"):
        session.amend(1, YES, reason)


def test_answers_of_an_earlier_session_cannot_be_amended(session, clock):
    read_session(session)
    clock.run(30 * 86400)
    assert len(session.amendable) == 8
    session.show()
    assert session.amendable == ()
    with pytest.raises(InputError, match="Only answers of this session"):
        session.amend(1, YES, "thought again")
    session.submit(NO)
    assert [stored.presentation for stored in session.amendable] == [9]


@sequential
def test_an_unaided_answer_cannot_be_amended_once_the_model_was_seen(session):
    for _ in range(4):
        session.show()
        session.submit(NO)
    assert [stored.presentation for stored in session.amendable] == [2, 4]
    with pytest.raises(InputError, match="Only answers"):
        session.amend(1, YES, "the model says so")
