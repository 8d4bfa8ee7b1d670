"""The dataset of an archive: whole whenever a run is killed, each study once, and never of two models unasked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="the extra archive is not installed")

import pandas as pd
from archive_cases import KEY, model_of, result_of, study_of

from DystrophyDxLib.archive import dataset as module
from DystrophyDxLib.archive import tables
from DystrophyDxLib.archive.dataset import ABOUT, Changed, Dataset, OtherSource, open_dataset
from DystrophyDxLib.archive.pseudonyms import Pseudonyms
from DystrophyDxLib.archive.studies import KINDS, Failure
from DystrophyDxLib.archive.tables import COLUMNS, schema
from DystrophyDxLib.archive.worker import Outcome
from DystrophyDxLib.errors import InputError

PAGE = (Path(__file__).parents[2] / "docs" / "archive.md").read_text(encoding="utf-8")
ANSWER = Outcome(result_of())
FAILED = Outcome(None, Failure("reading", "It is empty."))


def write(folder, names, outcome=ANSWER, version="1", changed=None, **options):
    """Adds the studies that the dataset lacks; gives their names."""
    with open_dataset(folder, model_of(version), KEY, changed, **options) as writer:
        new = [name for name in names if study_of(name).study not in writer.done]
        for name in new:
            writer.add(study_of(name), outcome)
    return new


def column(folder, table, name="study"):
    return Dataset.at(folder).table(table, [name]).column(name).to_pylist()


def test_what_is_written_is_read_by_anybody_and_tells_no_identity(tmp_path):
    write(tmp_path / "out", ["a", "b"])
    write(tmp_path / "out", ["c"], FAILED)
    tables = {name: Dataset.at(tmp_path / "out").table(name).to_pandas() for name in COLUMNS}
    assert {name: len(table) for name, table in tables.items()} == {
        "studies": 2, "windows": 6, "muscles": 2, "failures": 1,
    }  # fmt: skip
    row = tables["studies"].iloc[0]
    assert (row["label"], row["probability"], row["ci_low"], row["counted"]) == ("dystrophinopathy", 0.75, 0.625, 1)
    assert row["series"] == KEY.series("1.2.840.99.4711")
    assert [(each["code"], each["message"]) for each in row["warnings"]] == [
        ("LEGS_TOUCHING", "The legs touch in slice 1.")
    ]
    assert tables["windows"]["skipped"].notna().sum() == 2
    assert tables["muscles"].iloc[0][["fat_fraction", "fat_low", "mercuri", "heat_share"]].tolist() == [
        0.5,
        0.25,
        3,
        0.5,
    ]
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"4711" not in everything
    # Without this library, too: hidden and partial files are none of the dataset.
    assert len(pd.read_parquet(tmp_path / "out" / "studies")) == 2


def test_a_single_slice_has_no_interval(tmp_path):
    result = result_of()
    case = result.case.model_copy(update={"ci95": (0.0, 1.0)})
    write(tmp_path / "out", ["a"], Outcome(result.model_copy(update={"case": case})))
    assert column(tmp_path / "out", "studies", "ci_low") == column(tmp_path / "out", "studies", "ci_high") == [None]


def test_what_no_header_told_is_a_note(tmp_path):
    result = result_of()
    facts = {"notes": ("The axes were exchanged.",), "contrast_note": "No header says that the images are T1-weighted."}
    result = result.model_copy(update={"input": result.input.model_copy(update=facts)})
    write(tmp_path / "out", ["a"], Outcome(result))
    assert column(tmp_path / "out", "studies", "notes") == [[*facts["notes"], facts["contrast_note"]]]


def test_a_run_goes_on_and_does_nothing_twice(tmp_path):
    out = tmp_path / "out"
    assert write(out, ["a", "b"]) == ["a", "b"]
    assert write(out, ["a", "b", "c"]) == ["c"]
    assert sorted(column(out, "studies")) == sorted(study_of(name).study for name in "abc")


def write_both(out):
    """An answer and a failure, in one part."""
    with open_dataset(out, model_of(), KEY) as writer:
        writer.add(study_of("a"), ANSWER)
        writer.add(study_of("b"), FAILED)


class Killed(BaseException):
    """The process is gone: nothing after it runs that would write."""


@pytest.mark.parametrize("at", range(1, 5))
def test_killed_at_any_file_nothing_is_lost_or_doubled(tmp_path, monkeypatch, at):
    """The kill strikes before the n-th file gets its name, with an answer and a failure to be written."""
    out, names = tmp_path / "out", ["a", "b"]
    write(out, ["before"])
    atomically, written = module.write_atomically, []

    def killed(path, content):
        if path.parent != out and len(written) + 1 >= at:
            path.with_name(f".{path.name}.tmp").write_bytes(content[:10])
            raise Killed
        written.extend([path] if path.parent != out else [])
        atomically(path, content)

    monkeypatch.setattr(module, "write_atomically", killed)
    with pytest.raises(Killed):
        write_both(out)
    monkeypatch.undo()
    done = column(out, "studies") + column(out, "failures")
    assert set(column(out, "windows")) == set(column(out, "studies"))
    assert write(out, names) == [name for name in names if study_of(name).study not in done]
    found = column(out, "studies") + column(out, "failures")
    assert sorted(found) == sorted(study_of(name).study for name in ("a", "b", "before"))
    assert set(column(out, "windows")) == set(column(out, "studies"))
    assert not list(out.rglob("*.tmp"))
    assert {path.name for path in (out / "windows").iterdir()} == {path.name for path in (out / "studies").iterdir()}


def test_parts_are_written_on_the_way(tmp_path):
    with open_dataset(tmp_path / "out", model_of(), KEY, part_rows=2) as writer:
        for name in "abc":
            writer.add(study_of(name), ANSWER)
        assert len(column(tmp_path / "out", "studies")) == 2


def test_another_model_is_noticed_and_asked_for(tmp_path):
    out = tmp_path / "out"
    write(out, ["a", "b"])
    with pytest.raises(Changed, match=r"demo 1 \(1aba.*now it is .*demo 2 .*--changed"):
        write(out, ["a", "b"], version="2")
    assert write(out, ["a", "b", "c"], version="2", changed="keep") == ["c"]
    assert write(out, ["a", "b", "c", "d"], version="1") == ["d"]
    assert write(out, ["a", "b", "c", "d"], version="3", changed="again") == ["a", "b", "c", "d"]
    assert len(column(out, "studies")) == 4
    assert list(Dataset.at(out).about.made) == [model_of("3").made]


def test_another_archive_is_asked_for_and_then_known(tmp_path):
    out = tmp_path / "out"
    assert write(out, [], source="one") == []
    assert write(out, ["a"], source="two") == ["a"], "nothing was made of the first"
    with pytest.raises(OtherSource, match="Add --add-source"):
        write(out, ["b"], source="three")
    assert write(out, ["b"], source="three", add_source=True) == ["b"]
    assert write(out, ["c"], source="two") == ["c"]
    assert Dataset.at(out).about.sources == ["one", "two", "three"]


def test_a_dataset_of_a_version_with_fewer_columns_is_read(tmp_path, monkeypatch):
    fewer = {name: each for name, each in COLUMNS["studies"].items() if name != "lacking"}
    with monkeypatch.context() as patch:
        patch.setitem(COLUMNS, "studies", fewer)
        schema.cache_clear()
        rows = tables.rows_of
        patch.setattr(module, "rows_of", lambda *given: without_lacking(rows(*given)))
        write(tmp_path / "out", ["a"])
    schema.cache_clear()
    write(tmp_path / "out", ["b"], Outcome(result_of(), lacking="There are no DICOM objects."))
    found = Dataset.at(tmp_path / "out").table("studies", ["label", "lacking", "created"]).to_pylist()
    assert [row["lacking"] for row in found] == [None, "There are no DICOM objects."]
    assert {row["label"] for row in found} == {"dystrophinopathy"}


def without_lacking(rows):
    del rows["studies"][0]["lacking"]
    return rows


def test_failures_are_tried_again_where_that_is_asked_for(tmp_path):
    out = tmp_path / "out"
    write(out, ["a"])
    write(out, ["b"], FAILED)
    assert write(out, ["b"]) == []
    with open_dataset(out, model_of(), KEY) as writer:
        assert writer.failed == {study_of("b").study}
        writer.drop_failures()
    assert write(out, ["a", "b"]) == ["b"]
    assert column(out, "failures") == []


def test_one_run_at_a_time_one_key_and_nobody_elses_files(tmp_path):
    out = tmp_path / "out"
    with open_dataset(out, model_of(), KEY), pytest.raises(InputError, match="Another run works"):
        write(out, ["a"])
    with pytest.raises(InputError, match="another key"), open_dataset(out, model_of(), Pseudonyms(b"k" * 16)):
        pass
    (out / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        write(out, ["a"])
    with pytest.raises(InputError, match="holds no dataset"):
        Dataset.at(tmp_path)
    os.rename(out, tmp_path / "old")
    (tmp_path / "old" / ABOUT).write_text('{"schema": "dystrophydx.archive/9"}')
    with pytest.raises(InputError, match="archive/9"):
        Dataset.at(tmp_path / "old")


def test_the_schema_is_documented():
    for table, columns in COLUMNS.items():
        for name, (_, meaning) in columns.items():
            assert f"| `{name}` | {meaning} |" in PAGE, table
    for kind, meaning in KINDS.items():
        assert f"| {kind} | {meaning} |" in PAGE
