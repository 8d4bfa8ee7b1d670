"""Tables are read as spreadsheets write them, and written so that no spreadsheet runs a cell."""

import os
import unicodedata

import pandas as pd
import pytest

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.files.spreadsheet import Sheet, csv_of, escaped, existing, spelling_key, write_rows


def sheet_of(folder, content: bytes) -> Sheet:
    (folder / "table.csv").write_bytes(content)
    return Sheet.read(folder / "table.csv", "The table")


@pytest.mark.parametrize(
    "content",
    [
        b"Patient ID,Age\nP1,7\n",
        "\ufeffsep=;\r\npatient_id;age\r\nP1;7\r\n".encode(),
        b'"sep=,"\npatient_id,age\nP1,7\n',
        b"PATIENT-ID\tage\nP1\t7\n",
        "\ufeffpatient_id\tage\r\nP1\t7\r\n".encode("utf-16-le"),
        "\ufeffpatient_id\tage\r\nP1\t7\r\n".encode("utf-16-be"),
        '"patient; id",age,,\n"P1",7,,\n'.replace("; ", " ").encode(),
        "patient\u00a0id,age\n\u200bP1\u200b,\u00a07\n".encode(),
        b"patient_id;age\r\rP1;7\r",
    ],
)
def test_a_table_is_read_however_a_spreadsheet_wrote_it(tmp_path, content):
    sheet = sheet_of(tmp_path, content)
    assert [(row["patient_id"], row["age"]) for _, row in sheet.records()] == [("P1", "7")]


def test_rows_are_numbered_as_a_spreadsheet_shows_them(tmp_path):
    sheet = sheet_of(tmp_path, b'sep=;\npatient_id;note\nP1;"two\nlines"\n;\n\nP4;x;y\nP5;\n')
    assert [number for number, _ in sheet.records()] == [2, 6]
    assert sheet.ragged == [5]


@pytest.mark.parametrize("content", ["Mü,a\n".encode("latin-1"), b"a\0b,c\n", b"a\n" + b"x" * 200_000])
def test_what_is_no_table_is_told(tmp_path, content):
    with pytest.raises(InputError, match="not a CSV in UTF-8"):
        sheet_of(tmp_path, content)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_no_table(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="cannot be opened"):
        Sheet.read(tmp_path / "pipe.csv", "The table")


@pytest.mark.parametrize(
    "spellings",
    [
        ("Pat-01", "pat-01", "PAT\u201001", " Pat-1 ", "Pat-001"),
        ("Mü 7", "mu\u0308 7", "MÜ\u00a07", "Mü\u20097", "M\u00adü\u200b7", "Mü\uff17", "Mü7"),
        ("0012", "12", "12 "),
        ("Groß", "GROSS"),
    ],
)
def test_all_spellings_of_one_patient_have_one_key(spellings):
    assert len({spelling_key(name) for name in spellings}) == 1


def test_other_patients_have_other_keys():
    names = ["P1", "P10", "P100", "P01A", "P1B", "Q1", "0", "00A", "P-1", "P1-1", "P11"]
    assert len({spelling_key(name) for name in names}) == len(names)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "＝1", "'=1", "''@a"])
def test_a_formula_is_written_as_text_and_read_as_it_was(tmp_path, text):
    with (tmp_path / "table.csv").open("w", encoding="utf-8", newline="") as file:
        write_rows(file, [["name", "note"], ["P1", text]])
    written = (tmp_path / "table.csv").read_text(encoding="utf-8")
    assert "'" + text in written.replace('""', '"')
    assert Sheet.read(tmp_path / "table.csv", "The table").rows == ((2, ("P1", text)),)
    frame = csv_of(pd.DataFrame({text: [text, "plain", None], "p": [-0.5, 1e-30, 2]}))
    assert frame.count("'" + text) == 2
    assert "-0.5" in frame
    assert "'-0.5" not in frame


def test_numbers_stay_numbers():
    assert [escaped(cell) for cell in (-3, "-3.5e-7", "+4", "-inf", "-", "'tis", "R-1")] == [
        -3, "-3.5e-7", "+4", "-inf", "-", "'tis", "R-1"
    ]  # fmt: skip


def test_a_path_is_found_however_its_letters_are_composed_and_folders_parted(tmp_path):
    for form in ("NFC", "NFD"):
        folder = tmp_path / form / unicodedata.normalize(form, "Müller")
        folder.mkdir(parents=True)
        (folder / "a.nii").touch()
        for other in ("NFC", "NFD"):
            assert existing(tmp_path / form, unicodedata.normalize(other, "Müller/a.nii")) == folder / "a.nii"
        assert existing(tmp_path / form, f".\\{folder.name}\\a.nii") == folder / "a.nii"
    assert existing(tmp_path, "NFC/Muller/a.nii") is None
    assert existing(tmp_path, "a\0b") is None
    assert existing(tmp_path, "x" * 5000) is None
