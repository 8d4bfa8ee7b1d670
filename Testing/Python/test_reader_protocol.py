"""The protocol of a reader study: declared once, contradictions refused, orders balanced and the same everywhere."""

import itertools
import json
import subprocess
import sys
from collections import Counter

import pytest
from pydantic import ValidationError
from reader_studies import make_protocol

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.readerstudy import reads
from DystrophyDxLib.readerstudy.protocol import Arm, Protocol, Reader, arms_of, block_of, plan, session_order
from DystrophyDxLib.readerstudy.protocol_page import write_protocol_page

DESIGNS = {
    "crossover": {"readers": 4, "cases": 40},
    "fully crossed": {"design": "fully-crossed", "readers": 3, "cases": 36, "arms": ["aided", "unaided", "re-read"]},
    "split-plot": {"design": "split-plot", "readers": 6, "cases": 48, "blocks": 3},
    "sequential": {"design": "fully-crossed", "readers": 5, "cases": 25, "arms": ["sequential"], "washout_days": 0},
    "duplicates": {"readers": 2, "cases": 20, "duplicates": 5},
    "more sessions than cases": {"readers": 9, "cases": 4},
}


@pytest.fixture(params=DESIGNS, scope="module")
def protocol(request):
    return make_protocol(**DESIGNS[request.param])


def test_every_reader_reads_every_case_of_the_block_once_in_every_arm(protocol):
    for reader in protocol.readers:
        shown = Counter((item.case, item.arm, item.repeat) for item in plan(protocol, reader))
        assert set(shown.values()) == {1}
        steps = {Arm.UNAIDED, Arm.AIDED} if protocol.arms == (Arm.SEQUENTIAL,) else set(protocol.arms)
        firsts = {(case, arm) for case, arm, repeat in shown if not repeat}
        assert firsts == {(case, arm) for case in protocol.blocks[block_of(protocol, reader)] for arm in steps}


def test_presentations_are_numbered_in_the_order_of_sessions_and_positions(protocol):
    for reader in protocol.readers:
        shown = plan(protocol, reader)
        assert [item.number for item in shown] == list(range(1, len(shown) + 1))
        assert [(item.session, item.position) for item in shown] == sorted(
            (item.session, item.position) for item in shown
        )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("design", ["crossover", "fully crossed", "split-plot", "sequential"])
def test_over_the_sessions_of_a_block_each_case_comes_once_in_each_part_of_a_session(design, seed):
    """In these designs the cases of a block are a multiple of its sessions, so that balance is exact."""
    protocol = make_protocol(**DESIGNS[design], seed=seed)
    for block, cases in enumerate(protocol.blocks):
        readers = [reader for reader in protocol.readers if block_of(protocol, reader) == block]
        sessions = len(readers) * len(protocol.arms)
        parts = {case: [] for case in cases}
        for reader in readers:
            for session in range(1, len(protocol.arms) + 1):
                for position, (case, _) in enumerate(session_order(protocol, reader, session)):
                    parts[case].append(position * sessions // len(cases))
        assert all(sorted(of_case) == list(range(sessions)) for of_case in parts.values())


def test_two_sessions_of_a_reader_hardly_share_neighbours():
    protocol = make_protocol(readers=5, cases=100)
    for reader in protocol.readers:
        first, second = ([case for case, _ in session_order(protocol, reader, session)] for session in (1, 2))
        neighbours = set(itertools.pairwise(first)) & set(itertools.pairwise(second))
        assert len(neighbours) <= 20


@pytest.mark.parametrize("seed", range(10))
def test_half_of_the_readers_of_a_crossover_begin_aided(seed):
    for readers in (2, 5, 8):
        protocol = make_protocol(readers=readers, seed=seed, arms=["unaided", "aided", "re-read"])
        starts = Counter(arms_of(protocol, reader)[0] for reader in protocol.readers)
        assert abs(starts[Arm.UNAIDED] - starts[Arm.AIDED]) <= 1
        assert {arms_of(protocol, reader)[2] for reader in protocol.readers} == {Arm.RE_READ}


def test_who_begins_aided_is_drawn():
    drawn = {arms_of(protocol, protocol.readers[0]) for protocol in (make_protocol(seed=seed) for seed in range(20))}
    assert len(drawn) == 2


@pytest.mark.parametrize("readers", [3, 7, 8])
def test_blocks_of_a_split_plot_have_equally_many_readers(readers):
    protocol = make_protocol(readers=readers, cases=30, blocks=3, design="split-plot")
    count = Counter(block_of(protocol, reader) for reader in protocol.readers)
    assert set(count) == {0, 1, 2}
    assert max(count.values()) - min(count.values()) <= 1


@pytest.mark.parametrize("seed", range(30))
def test_a_hidden_duplicate_comes_at_least_a_quarter_of_the_cases_later(seed):
    protocol = make_protocol(readers=3, cases=41, duplicates=1 + seed % 10, seed=seed)
    for reader in protocol.readers:
        for session in (1, 2):
            order = session_order(protocol, reader, session)
            again = [(position, case) for position, (case, repeat) in enumerate(order) if repeat]
            assert len(again) == protocol.duplicates == len({case for _, case in again})
            for position, case in again:
                assert position - order.index((case, 0)) > 41 // 4


def test_sequential_reading_shows_each_case_unaided_and_then_aided():
    protocol = make_protocol(**DESIGNS["sequential"])
    shown = plan(protocol, protocol.readers[0])
    for unaided, aided in zip(shown[::2], shown[1::2], strict=True):
        assert (unaided.arm, aided.arm) == (Arm.UNAIDED, Arm.AIDED)
        assert (unaided.case, unaided.position) == (aided.case, aided.position)


def test_orders_follow_from_the_seed_in_every_process():
    protocol = make_protocol(readers=3, cases=20, duplicates=2)
    code = (
        "import sys, hashlib; from DystrophyDxLib.readerstudy.protocol import Protocol, plan;"
        "p = Protocol.model_validate_json(sys.stdin.read());"
        "print(hashlib.sha256(repr([plan(p, r) for r in p.readers]).encode()).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], input=protocol.model_dump_json(), env={"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(told) == 1
    other = make_protocol(readers=3, cases=20, duplicates=2, seed=2)
    assert plan(protocol, protocol.readers[0]) != plan(other, other.readers[0])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"arms": ["unaided", "unaided"], "design": "fully-crossed"}, "each arm is named once"),
        ({"arms": ["sequential", "aided"], "design": "fully-crossed"}, "sequential reading holds"),
        ({"arms": ["aided", "re-read"], "design": "fully-crossed"}, "repeats the unaided reading"),
        ({"arms": ["re-read", "unaided"], "design": "fully-crossed"}, "the re-read is the last arm"),
        ({"arms": ["unaided", "re-read"]}, "a crossover has the arms unaided and aided"),
        ({"readers": 1}, "at least two readers"),
        ({"washout_days": 0}, "a wash-out of at least one day"),
        ({"design": "split-plot"}, "at least two blocks"),
        ({"design": "split-plot", "blocks": 3}, "a reader for each"),
        ({"blocks": 2}, "belong to the split-plot design"),
        ({"duplicates": 3}, "at most a quarter"),
        ({"arms": ["sequential"], "design": "fully-crossed", "duplicates": 1}, "hidden duplicate; leave one out"),
    ],
)
def test_a_contradiction_is_refused(changes, told):
    with pytest.raises(ValidationError, match=told):
        make_protocol(**changes)


@pytest.mark.parametrize("code", ["", "../R1", "Dr. Meier", "a" * 17, "CON:"])
def test_a_code_is_nothing_that_a_file_name_could_not_be(code):
    with pytest.raises(ValidationError, match="code"):
        Reader(code=code, role="resident", years=1)


def test_two_readers_whose_files_would_be_one_are_refused():
    same = [{"code": code, "role": "resident", "years": 1} for code in ("r1", "R1")]
    with pytest.raises(ValidationError, match="each reader has a code"):
        Protocol.model_validate(make_protocol().model_dump() | {"readers": same})


def test_a_protocol_is_read_as_it_was_written(protocol, tmp_path):
    protocol.write(tmp_path / "protocol.json")
    assert Protocol.read(tmp_path / "protocol.json") == protocol


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace('"washout_days": 28', '"washout_days": 1'), "changed after"),
        (lambda text: text.replace('"seed": 1', '"seed": 2'), "changed after"),
        (lambda text: text.replace('"washout_days": 28', '"washout_days": 0'), "wash-out of at least one day"),
        (lambda text: text.replace('"seed": 1', '"seed": 1, "other": 1'), "not valid"),
        (lambda text: text.replace("readers/2", "readers/3"), "another version"),
        (lambda text: text[:100], "damaged"),
        (lambda text: "[" * 100_000, "damaged"),
        (lambda text: text.replace('"seed": 1', '"seed": ' + "1" * 5000), "damaged"),
        (lambda text: "[]", "another version"),
    ],
)
def test_a_changed_protocol_is_refused(tmp_path, change, told):
    path = tmp_path / "protocol.json"
    make_protocol().write(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=told):
        Protocol.read(path)


def test_what_changes_nothing_of_the_meaning_is_not_a_change(tmp_path):
    path = tmp_path / "protocol.json"
    make_protocol().write(path)
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert Protocol.read(path) == make_protocol()


def test_a_folder_without_a_study_is_told(tmp_path):
    with pytest.raises(InputError, match="no reader study"):
        Protocol.read(tmp_path / "protocol.json")


def test_a_reader_is_found_by_code_and_others_are_told():
    protocol = make_protocol()
    assert protocol.reader(" r2 ").code == "R2"
    with pytest.raises(InputError, match="sign in as one of R1, R2"):
        protocol.reader("R3")


def test_the_page_declares_the_study_and_nothing_of_the_truth(tmp_path):
    asked = {"subtype": True, "quality": True, "mercuri": ["gracilis"], "comment": True}
    protocol = make_protocol(readers=3, questions=asked, duplicates=2, title="Thighs <1>")
    write_protocol_page(protocol, tmp_path / "protocol.html")
    page = " ".join((tmp_path / "protocol.html").read_text(encoding="utf-8").split())
    for told in (
        "Thighs &lt;1&gt;", protocol.digest, "at least 28 days", "half of the readers", "8 cases", "gracilis", "2a, 2b",
        "DMD or BMD", "2 cases of each session are shown a second time", "not for diagnosis", "seed 1",
        "aided, 10 cases", protocol.model.sha256,
    ):  # fmt: skip
        assert told in page, told
    assert "://" not in page
    assert not any(case in page for case in protocol.cases)


def test_a_page_leaves_out_what_is_not_part_of_the_study(tmp_path):
    write_protocol_page(make_protocol(**DESIGNS["sequential"]), tmp_path / "protocol.html")
    page = (tmp_path / "protocol.html").read_text(encoding="utf-8")
    for absent in ("Wash-out", "DMD or BMD", "Mercuri", "second time", "Session 2", "Block"):
        assert absent not in page, absent


def test_sessions_and_tables_use_the_same_words():
    assert {arm.value for arm in Arm} - {"sequential"} == set(reads.ARMS)
