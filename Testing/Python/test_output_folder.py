"""Results take the place of earlier ones as a whole, or leave them as they were."""

from pathlib import Path

import pytest

from DystrophyDxLib.errors import InputError
from DystrophyDxLib.reporting.output_folder import output_folder


def test_earlier_results_survive_when_new_ones_cannot_take_their_place(tmp_path, monkeypatch):
    folder = tmp_path / "result"
    folder.mkdir()
    (folder / "result.json").write_text("earlier")
    rename = Path.rename

    def fails_for_the_new(self, target):
        if (self / "result.json").read_text() == "new":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_the_new)
    with pytest.raises(InputError, match="cannot be written"), output_folder(folder, overwrite=True) as partial:
        (partial / "result.json").write_text("new")
    assert (folder / "result.json").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["result"]
