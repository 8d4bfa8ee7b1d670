"""Results take the place of earlier ones as a whole, or leave them as they were, and never a file of the user's."""

import os
import stat
import sys
from pathlib import Path

import pytest

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.reporting import exchange_folders
from DystrophyDxLib.reporting.output_folder import check_output_folder, output_folder

POSIX = pytest.mark.skipif(os.name != "posix", reason="rights and locks as POSIX has them")


@pytest.fixture(params=["at once", "one after the other"])
def system(request, monkeypatch):
    """Operating systems that exchange the names of two folders at once, and others."""
    if request.param == "one after the other":
        monkeypatch.setattr(exchange_folders, "_at_once", lambda *names: False)
    elif sys.platform not in ("linux", "darwin"):
        pytest.skip("only Linux and macOS exchange two folders at once")
    return request.param


def write(folder: Path, text: str, *, overwrite: bool = False, meanwhile=lambda: None) -> None:
    with output_folder(folder, overwrite=overwrite) as inside:
        (inside / "result.json").write_text(text)
        meanwhile()


def content(place: Path) -> dict[str, str]:
    """The text of all files below a place, hidden ones included."""
    return {path.relative_to(place).as_posix(): path.read_text() for path in place.rglob("*") if path.is_file()}


def test_results_take_the_place_of_earlier_ones(tmp_path, system):
    for text in ("first", "second", "third"):
        write(tmp_path / "new" / "out", text, overwrite=True)
    assert content(tmp_path) == {"new/out/result.json": "third"}


def test_earlier_results_survive_when_new_ones_cannot_take_their_place(tmp_path, monkeypatch):
    write(tmp_path / "out", "earlier")
    monkeypatch.setattr(exchange_folders, "_at_once", lambda *names: False)
    rename = Path.rename

    def fails_for_the_new(self, target):
        if Path(target).name == "out" and (self / "result.json").read_text() == "new":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_the_new)
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "out", "new", overwrite=True)
    assert content(tmp_path) == {"out/result.json": "earlier"}


def test_a_file_that_the_user_puts_there_meanwhile_stays(tmp_path, system):
    write(tmp_path / "out", "earlier")
    with pytest.raises(InputError, match="other files"):
        write(tmp_path / "out", "new", overwrite=True, meanwhile=lambda: (tmp_path / "out" / "note").write_text("mine"))
    assert content(tmp_path) == {"out/result.json": "earlier", "out/note": "mine"}


def test_a_file_that_the_user_puts_between_earlier_dicom_objects_stays(tmp_path, system):
    out = tmp_path / "out"
    (out / "dicom").mkdir(parents=True)
    (out / "dicom" / "seg.dcm").write_text("earlier")
    (out / "dicom" / "mine.dcm").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        write(out, "new", overwrite=True)
    assert content(out) == {"dicom/seg.dcm": "earlier", "dicom/mine.dcm": "mine"}
    (out / "dicom" / "mine.dcm").unlink()
    write(out, "new", overwrite=True)
    assert content(out) == {"result.json": "new"}


def test_a_file_in_the_place_of_the_folder_stays(tmp_path):
    (tmp_path / "out").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is a file"):
            write(tmp_path / "out", "new", overwrite=overwrite)
    assert content(tmp_path) == {"out": "mine"}


def test_a_file_that_comes_at_the_last_moment_stays(tmp_path, system, monkeypatch):
    write(tmp_path / "out", "earlier")
    exchange, calls = exchange_folders.exchange, []

    def late(ready, folder, between):
        if not calls:
            (folder / "note").write_text("mine")
        calls.append(exchange(ready, folder, between))

    monkeypatch.setattr("DystrophyDxLib.reporting.output_folder.exchange", late)
    with pytest.raises(InputError, match="other files"):
        write(tmp_path / "out", "new", overwrite=True)
    assert content(tmp_path) == {"out/result.json": "earlier", "out/note": "mine"}


def test_what_came_into_a_folder_of_the_report_since_the_check_stays(tmp_path, system):
    files = ("report.html", "tables")

    def report(before, text):
        with output_folder(tmp_path / "out", files, overwrite=True, before=before) as folder:
            (folder / "tables").mkdir()
            (folder / "tables" / "areas.csv").write_text(text)

    report(None, "earlier")
    report(check_output_folder(tmp_path / "out", files, overwrite=True), "newer")
    before = check_output_folder(tmp_path / "out", files, overwrite=True)
    (tmp_path / "out" / "tables" / "note").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        report(before, "new")
    assert content(tmp_path) == {"out/tables/areas.csv": "newer", "out/tables/note": "mine"}


@pytest.mark.parametrize("first", ["no folder", "an empty folder"])
def test_of_two_runs_without_overwrite_the_first_stays(tmp_path, first):
    out = tmp_path / "out"
    if first == "an empty folder":
        out.mkdir()
    with pytest.raises(InputError, match="results already"):
        write(out, "second", meanwhile=lambda: write(out, "first"))
    assert content(tmp_path) == {"out/result.json": "first"}


@POSIX
@pytest.mark.parametrize("state", ["writing", ".ready", ".aside"])
def test_the_next_run_tidies_up_what_a_killed_one_left(tmp_path, state):
    out = tmp_path / "out"
    write(out, "earlier")
    left = tmp_path / f".out.0123abcd{'' if state == 'writing' else state}"
    if state == ".aside":
        out.rename(left)
    else:
        left.mkdir()
        (left / ("half" if state == "writing" else "result.json")).write_text("new")
    with pytest.raises(InputError, match="results already"):
        check_output_folder(out, overwrite=False)
    assert content(tmp_path) == {"out/result.json": "earlier"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@POSIX
def test_a_run_that_still_writes_is_left_alone(tmp_path):
    out = tmp_path / "out"
    with output_folder(out, overwrite=True) as folder:
        check_output_folder(out, overwrite=True)
        write(out, "another's", overwrite=True)
        (folder / "result.json").write_text("mine")
    assert content(tmp_path) == {"out/result.json": "mine"}


def test_hidden_folders_of_others_are_left_alone(tmp_path):
    for name in (".out.notes", ".out.0123abcd.ready", ".other.0123abcd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "note").write_text("mine")
    write(tmp_path / "out", "new")
    assert len(content(tmp_path)) == 4


@POSIX
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_folders_have_the_rights_that_the_user_gives(tmp_path, umask):
    earlier = os.umask(umask)
    try:
        write(tmp_path / "out", "new")
    finally:
        os.umask(earlier)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777 & ~umask


@POSIX
def test_a_folder_that_is_there_keeps_its_rights(tmp_path, system):
    (tmp_path / "out").mkdir(mode=0o700)
    write(tmp_path / "out", "new")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


@POSIX
def test_a_link_to_a_folder_stays_one(tmp_path, system):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    write(tmp_path / "out", "new")
    assert (tmp_path / "out").is_symlink()
    assert content(tmp_path / "disk") == {"result.json": "new"}


@pytest.mark.parametrize("out", ["file/out", "file/a/b/out", "x" * 250, "x" * 243, "a\0b", "y" * 300 + "/out"])
def test_a_place_that_cannot_be_written_is_told_before_any_work(tmp_path, out):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made there"):
        check_output_folder(tmp_path / out, overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_whole_drive_is_no_output_folder(tmp_path):
    with pytest.raises(InputError, match="give a folder in it"):
        check_output_folder(Path(tmp_path.anchor), overwrite=False)


@POSIX
@pytest.mark.parametrize("out", ["locked/out", "locked/a/b/out"])
def test_a_folder_without_rights_is_told_before_any_work(tmp_path, monkeypatch, out):
    (tmp_path / "locked").mkdir()
    mkdir = Path.mkdir

    def refused(self, *args, **options):
        if self.parent.name == "locked":
            raise PermissionError
        mkdir(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(InputError, match="cannot be made there"):
        check_output_folder(tmp_path / out, overwrite=False)


@POSIX
def test_a_place_that_is_no_utf8_is_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="no UTF-8"):
        check_output_folder(tmp_path / os.fsdecode(b"M\xfcller") / "out", overwrite=False)
