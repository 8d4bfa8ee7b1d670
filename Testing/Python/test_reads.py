"""Answers of readers as CSV: what a study read elsewhere may bring, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.readerstudy.reads import AIDED, RE_READ, UNAIDED, Reads

READS = "reader,case,arm,session,repeat,decision,confidence,comment,seconds\n"
FILES = {
    "reads": READS + "R1,C1,unaided,1,0,1,80,,12.5\nR1,C2,unaided,1,0,0,5,dark,9\nR2,C1,unaided,1,0,0,30,,\n",
    "readers": "reader,role,years\nR1,radiologist,12\nR2,resident,\n",
    "truth": "case,label,diagnosis\nC1,1,DMD\nC2,0,LGMD2A\nC3,0,\n",
}


def folder_of(tmp_path, **files):
    for name, text in (FILES | files).items():
        if text is not None:
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def refusal(tmp_path, **files) -> str:
    """The one line with which tables are refused."""
    with pytest.raises(InputError) as refused:
        Reads.read(folder_of(tmp_path, **files))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def assert_equal(first: Reads, second: Reads) -> None:
    for name in ("reads", "readers", "truth", "model", "mercuri"):
        one, other = getattr(first, name), getattr(second, name)
        if one is None:
            assert other is None
        else:
            pd.testing.assert_frame_equal(one, other)


def test_answers_are_read_with_what_is_not_known_left_open(tmp_path):
    reads = Reads.read(folder_of(tmp_path))
    first, _, third = reads.reads.to_dict("records")
    assert (first["reader"], first["case"], first["arm"], first["session"], first["repeat"]) == (
        "R1",
        "C1",
        UNAIDED,
        1,
        0,
    )
    assert (first["decision"], first["confidence"], first["seconds"], first["amended"]) == (1, 80, 12.5, 0)
    assert np.isnan(third["seconds"])
    assert np.isnan(third["slices_seen"])
    assert third["comment"] == ""
    assert reads.truth["label"].tolist() == [1, 0, 0]
    assert reads.model is None
    assert reads.mercuri is None


def test_what_was_written_is_read_again(tmp_path):
    files = {
        "model": "case,model,probability,label\nC1,ResNet50,0.123456789012345,0\nC3,ResNet50,1e-9,0\n",
        "mercuri": "reader,case,arm,session,repeat,muscle,side,grade\nR1,C1,unaided,1,0,gracilis,left,2a\n",
        "reads": FILES["reads"] + 'R2,C2,unaided,1,0,,,"said ""no, or"" twice\nand left",\n',
    }
    reads = Reads.read(folder_of(tmp_path, **files))
    reads.write(tmp_path / "again")
    assert_equal(Reads.read(tmp_path / "again"), reads)
    assert "1.0" not in (tmp_path / "again" / "readers.csv").read_text()


def test_spreadsheets_of_other_countries_are_read(tmp_path):
    text = FILES["reads"].replace(",", ";").replace("12.5", "12,5").replace("unaided", " Unaided ")
    (folder_of(tmp_path) / "reads.csv").write_bytes(b"\xef\xbb\xbf" + (text + ";;;;;;;;\n").encode())
    reads = Reads.read(tmp_path)
    assert reads.reads["seconds"].iloc[0] == 12.5
    assert len(reads.reads) == 3


@pytest.mark.parametrize(
    ("table", "old", "new", "told"),
    [
        ("reads", "C1", "c1", "reads.csv, rows 2, 4: a case in another spelling (c1 for C1)"),
        ("reads", "R1,", "r1,", "reads.csv, rows 2, 3: a reader in another spelling (r1 for R1)"),
        ("truth", "C2", "C01", "truth.csv, row 3: a case in another spelling (C01 for C1)"),
        ("readers", "R2", "R\u00a01", "readers.csv, row 3: a reader in another spelling"),
    ],
)
def test_two_spellings_of_one_code_are_told_with_both(tmp_path, table, old, new, told):
    assert told in refusal(tmp_path, **{table: FILES[table].replace(old, new)})


def test_codes_without_the_zeros_that_a_spreadsheet_took_are_told(tmp_path):
    files = {name: text.replace("C1", "001").replace("C2", "002").replace("C3", "003") for name, text in FILES.items()}
    message = refusal(tmp_path, **files | {"truth": files["truth"].replace("00", "")})
    assert "(001 for 1, 002 for 2" in message
    assert "zeros that spreadsheets take away" in message


def test_a_table_of_the_model_without_rows_is_no_model(tmp_path):
    assert Reads.read(folder_of(tmp_path, model="case,model,probability,label\n")).model is None


def test_columns_that_mean_nothing_here_are_left_alone(tmp_path):
    truth = "case,label,note,note,,\nC1,1,a,b,,\nC2,0,c,d,,\n"
    assert list(Reads.read(folder_of(tmp_path, truth=truth)).truth) == ["case", "label", "diagnosis", "synthetic"]


def test_a_session_that_is_not_told_stays_unknown(tmp_path):
    reads = Reads.read(folder_of(tmp_path, reads="reader,case,arm,decision\nR1,C1,aided,1\n")).reads.iloc[0]
    assert (reads["arm"], reads["session"], reads["repeat"], reads["amended"]) == (AIDED, 0, 0, 0)
    assert np.isnan(reads["confidence"])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("R1,C3,unaided,1,0,2,80,,", "reads.csv, row 5: decision not 0 or 1"),
        ("R1,C3,unaided,1,0,1,101,,", "confidence not 0 to 100"),
        ("R1,C3,unaided,1,0,1,nan,,", "confidence not 0 to 100"),
        ("R1,C3,assisted,1,0,1,80,,", "arm not one of unaided, aided, re-read"),
        ("R1,C3,unaided,1.5,0,1,80,,", "session not 1 or more"),
        ("R1,C3,unaided,1,0,1,0,,", "a 1 with less confidence than a 0 of the same reader and arm"),
        ("R1,C3,unaided,1,2,1,80,,", "repeat not 0, or 1 for a hidden duplicate"),
        ("R1,C3,unaided,1,0,1,80,,-1", "seconds not 0 or more"),
        ("R1,C3,unaided", "more or fewer cells than the header"),
        (",C3,unaided,1,0,1,80,,", "reader not a code"),
        ("R3,C3,unaided,1,0,1,80,,", "a reader that readers.csv does not hold; add it"),
        ("R1,C4,unaided,1,0,1,80,,", "a case that truth.csv does not hold; add it"),
        ("R1,C1,unaided,1,0,1,80,,", "as a row above; keep one"),
        ("R1,C1,unaided,2,0,1,80,,", "answered in this arm already; call later readings re-read"),
    ],
)
def test_a_row_that_cannot_be_used_is_told(tmp_path, row, told):
    message = refusal(tmp_path, reads=FILES["reads"] + row + "\n")
    assert told in message
    assert "row 5" in message


def test_confidence_in_the_decision_is_not_taken_for_that_in_the_disease(tmp_path):
    """A reader who is 90 % sure of a no and 70 % of a yes."""
    rows = "R3,C1,unaided,1,0,1,70,,\nR3,C2,unaided,1,0,0,90,,\n"
    readers = FILES["readers"] + "R3,resident,\n"
    assert "row 5: a 1 with less" in refusal(tmp_path, reads=FILES["reads"] + rows, readers=readers)


def test_ratings_of_one_to_five_with_decisions_from_three_on_are_read(tmp_path):
    """As the published ratings of Van Dyke are, which other programs take."""
    rows = "".join(f"R{n % 2 + 1},C{n % 3 + 1},aided,1,0,{int(n >= 3)},{n},,\n" for n in range(1, 6))
    assert Reads.read(folder_of(tmp_path, reads=READS + rows)).reads["confidence"].tolist() == [1, 2, 3, 4, 5]


def test_all_rows_with_one_fault_are_told_at_once(tmp_path):
    rows = "".join(f"R1,C3,wrong,{n},0,1,80,,\n" for n in range(1, 12))
    assert "rows 5, 6, 7, 8, 9, 10, 11, 12 and 3 more" in refusal(tmp_path, reads=FILES["reads"] + rows)


def test_re_reads_have_sessions_of_their_own(tmp_path):
    rows = f"R1,C1,{RE_READ},2,0,1,75,,\nR1,C1,{RE_READ},3,0,1,70,,\n"
    assert len(Reads.read(folder_of(tmp_path, reads=FILES["reads"] + rows)).reads) == 5


def test_an_amendment_stands_beside_what_it_amends(tmp_path):
    header = "reader,case,arm,decision,amended\n"
    assert len(Reads.read(folder_of(tmp_path, reads=header + "R1,C1,unaided,1,0\nR1,C1,unaided,0,1\n")).reads) == 2
    message = refusal(tmp_path, reads=header + "R1,C1,unaided,1,0\nR1,C2,unaided,0,1\n")
    assert "row 3: an amendment without the answer that it amends" in message


def test_tables_that_are_not_there_or_not_such_are_told(tmp_path):
    assert "reads.csv cannot be opened" in refusal(tmp_path, reads=None)
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        Reads.read(tmp_path / "nowhere")
    assert "lacks the column label" in refusal(tmp_path, truth="case,diagnosis\nC1,DMD\n")
    assert "reads.csv has no rows" in refusal(tmp_path, reads=READS)
    assert "lacks the column reader" in refusal(tmp_path, readers="")
    assert "columns reader more than once" in refusal(tmp_path, reads="reader,reader,case,arm\nR1,R1,C1,aided\n")
    two = "case,model,probability,label\nC1,A,0.5,1\nC2,B,0.5,1\n"
    assert "more than one model" in refusal(tmp_path, reads=FILES["reads"], readers=FILES["readers"], model=two)


def test_a_grade_that_mercuri_does_not_know_is_told(tmp_path):
    header = "reader,case,arm,muscle,side,grade\n"
    assert "grade not one of 0, 1, 2a, 2b, 3, 4" in refusal(
        tmp_path, mercuri=header + "R1,C1,unaided,sartorius,left,2\n"
    )
    assert "side not one of left, right" in refusal(tmp_path, mercuri=header + "R1,C1,unaided,sartorius,l,2a\n")


def test_everything_that_is_wrong_in_any_table_is_told_at_once(tmp_path):
    reads = FILES["reads"].replace("unaided", "seldom", 1)
    truth = FILES["truth"].replace("label", "labels", 1)
    message = refusal(tmp_path, reads=reads, truth=truth, readers="reader,role,years\nR1,radiologist,many\n")
    for told in (
        "reads.csv, row 2: arm not one of",
        "truth.csv lacks the column label",
        "readers.csv, row 2: years not 0 to 80",
    ):
        assert told in message
    more = "R9,C1,unaided,1,0,1,60,,\nR1,C9,unaided,1,0,1,60,,\n"
    message = refusal(tmp_path, reads=FILES["reads"] + more)
    assert "a reader that readers.csv does not hold" in message
    assert "a case that truth.csv does not hold" in message
    for name in ("reads", "truth"):
        (tmp_path / f"{name}.csv").unlink()
    message = refusal(tmp_path, reads=None, truth=None)
    assert "reads.csv cannot be opened" in message
    assert "truth.csv cannot be opened" in message
